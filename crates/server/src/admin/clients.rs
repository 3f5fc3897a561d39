//! Apps and machines of the authorization server: which there are, who lets one in, and ending one.
//!
//! Letting one in takes two people: whoever asks writes down what exactly the client may have; a second person allows that; then it is done by
//! whoever asked. What was allowed holds for the client as it registered: its addresses, keys and scopes are part of the text.

use super::accounts::asked_for;
use super::asked::{Why, at, body};
use super::{AdminCall, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_fhir::outcome::IssueType;
use tacet_identity::{Act, ApprovalId, Kind};
use tacet_smart::{Approval, Client, ClientState};

/// What the client shall have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    /// Narrower scopes than it asked for.
    #[serde(default)]
    scope: Option<String>,
    /// Whether people are spared the consent page.
    #[serde(default)]
    preapproved: bool,
    /// Whether it may ask about tokens of others.
    #[serde(default)]
    may_introspect: bool,
    /// What was allowed. None: it is asked for.
    #[serde(default)]
    approval: Option<String>,
    /// False: the client is not let in. One person may say so.
    #[serde(default)]
    refuse: bool,
    #[serde(default)]
    why: Option<Why>,
}

const WANTED: &str = "`scope` where it shall be narrower, `preapproved`, `mayIntrospect`; with them `why` (`ticket`, `reason`) to ask a \
                      second person, then `approval` to use what was allowed; or `refuse`: true";

/// Every client.
pub(super) fn list<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let mut clients = call.people.smart.clients()?;
    clients.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    let clients: Vec<Value> = clients.iter().map(of).collect();
    Ok(json_reply(StatusCode::OK, &json!({ "clients": clients })))
}

/// One client.
pub(super) fn read<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    Ok(json_reply(StatusCode::OK, &of(&known(call)?)))
}

/// Ends a client: nothing that it was given works any more. One person may: it takes away.
pub(super) async fn end<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let client = known(call)?;
    let by = call.person()?.account.as_str().to_owned();
    call.people.smart.revoke_client(&client.id, &by, call.circumstances()).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Asks that a client is let in, or lets it in by what a second person allowed.
pub(super) async fn approve<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let wanted: Wanted = body(&call.body, WANTED)?;
    let client = known(call)?;
    if client.state != ClientState::Pending {
        let message = "this client waits for no decision: it must register anew";
        return Err(ApiError::new(StatusCode::CONFLICT, IssueType::Conflict, message));
    }
    let (smart, by) = (&call.people.smart, call.person()?.account.as_str().to_owned());
    if wanted.refuse {
        let client = smart.refuse_client(&client.id, &by, call.circumstances()).await?;
        return Ok(json_reply(StatusCode::OK, &of(&client)));
    }
    let text = text(&client, &wanted)?;
    let Some(approval) = wanted.approval else {
        let why = wanted.why.ok_or_else(|| ApiError::invalid(format!("something is missing: {WANTED}")))?;
        let act = Act::Other { kind: Kind::ClientRegistration, text, beneficiaries: Vec::new() };
        return asked_for(call, act, why).await;
    };
    let approval = ApprovalId::parse(&approval).ok_or_else(ApiError::not_found)?;
    let identity = &call.people.identity;
    identity.use_approval(&call.actor()?, &approval, Kind::ClientRegistration, &text).await?;
    // The one who decided is who the client's row names: the person behind the second pair of eyes.
    let decided = identity.approval(&approval)?.and_then(|approval| approval.decision);
    let by = decided.and_then(|decision| decision.by.account).map_or(by, |account| account.as_str().to_owned());
    let given =
        Approval { scope: wanted.scope, preapproved: wanted.preapproved, may_introspect: wanted.may_introspect };
    let client = smart.approve_client(&client.id, &by, &given, call.circumstances()).await?;
    Ok(json_reply(StatusCode::OK, &of(&client)))
}

/// What exactly is allowed, in a text that is the same for the same client and the same rights, and for no others.
fn text(client: &Client, wanted: &Wanted) -> Result<String, ApiError> {
    let metadata = serde_json::to_vec(&client.metadata)
        .map_err(|_| ApiError::internal("what a client said of itself cannot be written"))?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &metadata);
    let digest: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let scope = wanted.scope.as_deref().unwrap_or(&client.metadata.scope);
    let mut text = format!("client {} (registration {digest}), scopes: {scope}", client.id);
    if wanted.preapproved {
        text.push_str("; without a consent page");
    }
    if wanted.may_introspect {
        text.push_str("; may ask about tokens of others");
    }
    Ok(text)
}

fn known<S>(call: &AdminCall<'_, S>) -> Result<Client, ApiError> {
    call.people.smart.client(call.segment(1))?.ok_or_else(ApiError::not_found)
}

fn of(client: &Client) -> Value {
    let state = match client.state {
        ClientState::Pending => "pending",
        ClientState::Active => "active",
        ClientState::Refused => "refused",
        ClientState::Revoked => "revoked",
    };
    json!({
        "id": client.id, "state": state, "registration": client.metadata, "scope": client.scope,
        "preapproved": client.preapproved, "mayIntrospect": client.may_introspect,
        "registeredBy": client.registered_by, "decidedBy": client.decided_by, "created": at(client.created_ms),
    })
}
