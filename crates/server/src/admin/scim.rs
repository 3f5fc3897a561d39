//! SCIM 2.0 (RFC 7644) under `/scim/v2`: the hospital's directory makes, changes and ends accounts of people with roles of care.
//!
//! Only machines come here, with a token of the role that keeps accounts. What a directory may do is decided in `tacet_identity::scim`: it lets
//! nobody in and gives no right to an account in use.

use super::AdminCall;
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde_json::Value;
use tacet_identity::scim::{self, ScimError};
use tacet_identity::{AccountId, Actor};

const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// What is asked of the directory's side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScimAction {
    /// What is supported.
    Configuration,
    /// The kinds of resources.
    ResourceTypes,
    /// Their attributes.
    Schemas,
    /// Users that fit a filter.
    List,
    /// A new user.
    Create,
    /// One user.
    Read,
    /// One user, as a whole.
    Replace,
    /// A part of one user.
    Patch,
    /// The user has left.
    Delete,
}

/// Answers a request of the directory. Refusals have SCIM's own form.
pub(super) async fn answer<S>(action: ScimAction, call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    let Some(actor) = call.machine() else { return Err(ApiError::forbidden()) };
    Ok(match carried_out(action, call, &actor).await {
        Ok((status, Some(body))) => reply(status, &body, &call.app.base_url),
        Ok((status, None)) => Reply::empty(status),
        Err(refused) => {
            if refused.status >= 500 {
                tracing::error!(operation = %actor.operation, "the directory's request failed");
            }
            let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            reply(status, &refused.to_json(), &call.app.base_url)
        }
    })
}

async fn carried_out<S>(
    action: ScimAction,
    call: &AdminCall<'_, S>,
    actor: &Actor,
) -> Result<(StatusCode, Option<Value>), ScimError> {
    let (identity, ok) = (&call.people.identity, StatusCode::OK);
    let id = call.path.split('/').nth(4).unwrap_or_default();
    Ok(match action {
        ScimAction::Configuration => (ok, Some(scim::service_provider_config())),
        ScimAction::ResourceTypes => (ok, Some(scim::resource_types())),
        ScimAction::Schemas => (ok, Some(scim::schemas())),
        ScimAction::List => {
            let number = |name: &str| -> Result<Option<i64>, ScimError> {
                parameter(call, name)?
                    .map(|text| text.parse().map_err(|_| wrong("a number of the query is none")))
                    .transpose()
            };
            let filter = parameter(call, "filter")?;
            (ok, Some(identity.scim_list(filter.as_deref(), number("startIndex")?, number("count")?)?))
        }
        ScimAction::Create => (StatusCode::CREATED, Some(identity.scim_create(actor, &call.body).await?)),
        ScimAction::Read => (ok, Some(identity.scim_read(id)?)),
        ScimAction::Replace => {
            let user = identity.scim_replace(actor, id, &call.body).await?;
            left(call, &user).await?;
            (ok, Some(user))
        }
        ScimAction::Patch => {
            let user = identity.scim_patch(actor, id, &call.body).await?;
            left(call, &user).await?;
            (ok, Some(user))
        }
        ScimAction::Delete => {
            identity.scim_delete(actor, id).await?;
            if let Some(account) = AccountId::parse(id) {
                call.revoke(&account).await.map_err(|_| failed())?;
            }
            (StatusCode::NO_CONTENT, None)
        }
    })
}

/// Whoever is active no more loses what they gave to apps, too.
async fn left<S>(call: &AdminCall<'_, S>, user: &Value) -> Result<(), ScimError> {
    let account = user.get("id").and_then(Value::as_str).and_then(AccountId::parse);
    let active = user.get("active").and_then(Value::as_bool).unwrap_or_default();
    match account {
        Some(account) if !active => call.revoke(&account).await.map_err(|_| failed()),
        _ => Ok(()),
    }
}

fn parameter<S>(call: &AdminCall<'_, S>, name: &str) -> Result<Option<String>, ScimError> {
    let value = call.query.get(name).map_err(|_| wrong("a parameter of the query stands twice"))?;
    Ok(value.map(str::to_owned))
}

fn wrong(detail: &str) -> ScimError {
    ScimError { status: 400, scim_type: Some(scim::ScimType::InvalidValue), detail: detail.to_owned() }
}

fn failed() -> ScimError {
    ScimError { status: 500, scim_type: None, detail: "the server could not do it: see its log".to_owned() }
}

/// The answer, with the addresses of users as a client may use them.
fn reply(status: StatusCode, body: &Value, base_url: &str) -> Reply {
    let mut body = body.clone();
    let own = located(&mut body, base_url);
    if let Some(users) = body.get_mut("Resources").and_then(Value::as_array_mut) {
        for user in users {
            located(user, base_url);
        }
    }
    let reply = Reply::text(status, SCIM_JSON, body.to_string());
    match own.and_then(|place| HeaderValue::try_from(place).ok()) {
        Some(place) => reply.header(LOCATION, place),
        None => reply,
    }
}

fn located(user: &mut Value, base_url: &str) -> Option<String> {
    let location = user.get_mut("meta")?.get_mut("location")?;
    let place = format!("{base_url}/scim/v2/{}", location.as_str()?);
    *location = Value::String(place.clone());
    Some(place)
}
