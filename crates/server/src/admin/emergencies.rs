//! Break-glass: declaring an emergency, ending it, and what security officers review afterwards.

use super::asked::{at, body};
use super::{AdminCall, created, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_ledger::people::ReviewOutcome;
use tacet_types::ResourceId;
use tacet_vault::{Vault, VaultError};

/// An emergency.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    patient: String,
    reason: String,
    text: String,
    minutes: u32,
}

/// What a review came to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewed {
    outcome: String,
    text: String,
}

const DECLARED: &str = "`patient` (the logical id), `reason` (`vital-emergency`, `unable-to-consent`, `care-taken-over`, `advice-asked` or \
                        `other`), `text` in words, `minutes` up to 240";
const REVIEWED: &str = "`outcome` (`justified`, `justified-with-remark` or `unjustified`) and `text`";

/// Declares one: it is in force with the answer, and security officers and the patient's record are told.
pub(super) async fn declare<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let declared: Declared = body(&call.body, DECLARED)?;
    let patient = ResourceId::parse(&declared.patient).map_err(|_| VaultError::NotFound)?;
    let caller = call.caller()?;
    let done = vault(call)?.break_glass(&caller, &patient, &declared.reason, &declared.text, declared.minutes).await?;
    let place = format!("{}/_break-glass/{}", call.app.base_url, done.id);
    let answer = json!({ "id": done.id, "until": done.until.to_string() });
    created(StatusCode::CREATED, &place, &answer)
}

/// Ends one's own before its time.
pub(super) async fn end<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    vault(call)?.end_break_glass(&call.caller()?, call.segment(1)).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Those that wait for a review, oldest first.
pub(super) fn open<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let open = call.people.identity.open_reviews(&call.actor()?)?;
    let open: Vec<Value> = open
        .iter()
        .map(|review| {
            let row = &review.row;
            json!({
                "id": row.id, "account": row.account, "owner": row.owner, "role": row.role, "patient": row.patient,
                "reason": row.reason, "text": row.text, "from": at(row.from_ms), "until": at(row.until_ms),
                "ended": row.ended_ms.map(at), "due": review.due.to_string(), "overdue": review.overdue,
            })
        })
        .collect();
    Ok(json_reply(StatusCode::OK, &json!({ "reviews": open })))
}

/// Says what a review came to. Once.
pub(super) async fn review<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Reviewed { outcome, text } = body(&call.body, REVIEWED)?;
    let outcome = ReviewOutcome::parse(&outcome).ok_or_else(|| ApiError::invalid(format!("give {REVIEWED}")))?;
    let row = call.people.identity.review(&call.actor()?, call.segment(1), outcome, &text).await?;
    let answer = json!({ "id": row.id, "outcome": outcome.as_str() });
    Ok(json_reply(StatusCode::OK, &answer))
}

pub(super) fn vault<'a, S>(call: &AdminCall<'a, S>) -> Result<&'a Vault, ApiError> {
    call.people.vault.as_ref().ok_or_else(|| ApiError::not_supported("rules on who may see what"))
}
