//! Locking the store by one person, and lifting that by two.

use super::approvals::concerning;
use super::asked::{at, body};
use super::emergencies::vault;
use super::{AdminCall, json_reply};
use crate::access;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tacet_identity::{ApprovalId, Kind};
use tacet_vault::{Lockdown, LockdownCause, LockdownLevel};

/// Lifted lockdowns that are told, the latest first.
const TOLD_MAX: usize = 100;

/// When to come again while sessions are still being ended, in seconds.
const CUTTING_RETRY_S: u64 = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locking {
    level: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifting {
    approval: String,
}

const LOCKING: &str = "`level` (`read-only`, `cut` or `sealed`) and `reason`";
const LIFTING: &str = "`approval`, the id of what a second person allowed";

/// How the store stands, and what was lifted before.
pub(super) fn read<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let vault = vault(call)?;
    let now = vault.lockdown()?;
    let lifted: Vec<Value> = vault.lifted_lockdowns()?.iter().take(TOLD_MAX).map(told).collect();
    let level = vault.lockdown_level().map(LockdownLevel::as_str);
    let answer = json!({
        "level": level, "keysLocked": vault.keys_are_locked(), "inForce": now.as_ref().map(told),
        "liftWords": now.as_ref().map(Lockdown::lift_words), "lifted": lifted,
    });
    Ok(json_reply(StatusCode::OK, &answer))
}

/// Locks, at once and without a second person.
pub(super) async fn lock<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Locking { level, reason } = body(&call.body, LOCKING)?;
    let level = LockdownLevel::parse(&level)
        .ok_or_else(|| ApiError::invalid(format!("the body must be a JSON object: {LOCKING}")))?;
    let caller = access::caller(call.who, call.peer, call.headers, call.connection.operation)?;
    let lockdown = vault(call)?.lock(&caller, level, LockdownCause::Person, &reason).await?;
    Ok(json_reply(StatusCode::OK, &told(&lockdown)))
}

/// Lifts, on what a second person allowed.
pub(super) async fn lift<S: RecordService>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Lifting { approval } = body(&call.body, LIFTING)?;
    let vault = vault(call)?;
    let found = vault.lockdown()?.ok_or_else(ApiError::not_found)?;
    if found.level >= LockdownLevel::Cut && !call.app.sessions_cut.load(Ordering::Acquire) {
        // What a thief had must not come back to life with the lift.
        return Err(crate::lockdown::locked_down().retry_after_s(CUTTING_RETRY_S));
    }
    let id = ApprovalId::parse(&approval).ok_or_else(ApiError::not_found)?;
    let approval = concerning(call, &id)?;
    let using = call.people.identity.using(&call.actor()?, &id, Kind::LiftLockdown, &found.lift_words())?;
    let decided = approval.decision.as_ref().map_or("nobody", |decision| decision.by.name.as_str());
    let by = format!("approval {id}, asked for by {}, allowed by {decided}", approval.asked.name);
    let lifted = vault.lift(&call.caller()?, &by, Some((using.write, using.entry))).await?;
    let lifted = lifted.ok_or_else(ApiError::not_found)?;
    Ok(json_reply(StatusCode::OK, &json!({ "lifted": told(&lifted.lockdown), "restart": lifted.restart })))
}

fn told(lockdown: &Lockdown) -> Value {
    json!({
        "id": lockdown.id, "level": lockdown.level.as_str(), "since": at(lockdown.since_ms), "by": lockdown.by,
        "cause": lockdown.cause, "reason": lockdown.reason, "liftedAt": lockdown.lifted_ms.map(at), "liftedBy": lockdown.lifted_by,
    })
}
