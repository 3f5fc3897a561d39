//! `Subscription/$status` and `Subscription/[id]/$events`: how subscriptions stand, and what a client may have missed.
//!
//! Backport of topic-based subscriptions, <https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/components.html#operations>.

use super::Call;
use super::everything::take_parameters;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use crate::subscriptions::answer::{self, Standing};
use hyper::{Method, StatusCode};
use std::sync::Arc;
use tacet_types::ResourceId;
use tacet_vault::{NotificationContent, SubscriptionEventsCall, SubscriptionState};
use zeroize::Zeroizing;

/// The state of one subscription, or of those that are asked for.
pub(super) async fn status<S: RecordService>(mut call: Call<'_, S>) -> Result<Reply, ApiError> {
    if call.method == Method::POST && !call.body().is_empty() {
        let body = call.body();
        take_parameters(&body, &mut call.query)?;
    }
    let id = match call.segment(1).is_some_and(|second| second == "$status") {
        true => None,
        false => Some(call.id()?),
    };
    call.query.only(if id.is_some() { &[] } else { &["id", "status"] })?;
    let wanted: Vec<String> = list(&call, "id");
    let mut states = Vec::new();
    for code in list(&call, "status") {
        let state = SubscriptionState::of_code(&code);
        states
            .push(state.ok_or_else(|| ApiError::invalid("`status` must be `requested`, `active`, `error` or `off`"))?);
    }
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let all = call.run(async move { app.service.subscription_status(&caller, id.as_ref()).await }, true).await?;
    let told: Vec<_> = all
        .into_iter()
        .filter(|(one, _)| wanted.is_empty() || wanted.iter().any(|id| id == one.id.as_str()))
        .filter(|(one, _)| states.is_empty() || states.contains(&one.state))
        .collect();
    let told: Vec<Standing<'_>> =
        told.iter().map(|(subscription, sent)| Standing { subscription, sent: *sent }).collect();
    let ids = || ResourceId::random(call.app.rng.as_ref());
    Ok(Reply::fhir(StatusCode::OK, answer::status(&told, &call.app.base_url, call.app.clock.now(), ids)))
}

/// Events of a subscription as a notification would have them.
pub(super) async fn events<S: RecordService>(mut call: Call<'_, S>) -> Result<Reply, ApiError> {
    if call.method == Method::POST && !call.body().is_empty() {
        let body = call.body();
        take_parameters(&body, &mut call.query)?;
    }
    call.query.only(&["eventsSinceNumber", "eventsUntilNumber", "content"])?;
    let content = match call.query.get("content")? {
        None | Some("id-only") => NotificationContent::Ids,
        Some("empty") => NotificationContent::Empty,
        Some("full-resource") => NotificationContent::Full,
        Some(_) => return Err(ApiError::invalid("`content` must be `empty`, `id-only` or `full-resource`")),
    };
    let (since, until) = (number(&call, "eventsSinceNumber")?, number(&call, "eventsUntilNumber")?);
    let asked = SubscriptionEventsCall { id: call.id()?, since, until, content };
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let found = call.run(async move { app.service.subscription_events(&caller, &asked).await }, true).await?;
    let ids = || ResourceId::random(call.app.rng.as_ref());
    let answer = answer::events(&found, content, &call.app.base_url, call.app.clock.now(), ids);
    Ok(Reply::record(StatusCode::OK, Zeroizing::new(answer)))
}

/// The values of a parameter, repeated or with commas between them.
fn list<S>(call: &Call<'_, S>, name: &str) -> Vec<String> {
    call.query.all(name).flat_map(|value| value.split(',')).map(str::to_owned).collect()
}

fn number<S>(call: &Call<'_, S>, name: &'static str) -> Result<Option<u64>, ApiError> {
    let number = call.query.get(name)?.map(|text| text.parse().map_err(|_| name));
    number.transpose().map_err(|name| ApiError::invalid(format!("`{name}` must be the number of an event")))
}
