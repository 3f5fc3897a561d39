//! Notices: to a role, to an account, and to the patients for whom an account stands.

use super::asked::at;
use super::{AdminCall, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use serde_json::{Value, json};
use tacet_identity::NOTICES_LISTED_MAX;
use tacet_ledger::people::{NoticeKind, NoticeRow, NoticeTo};

/// Those for this person, newest first; `unseen=true`: those that they did not mark as seen.
pub(super) fn list<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&["unseen"])?;
    let unseen = match call.query.get("unseen")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ApiError::invalid("`unseen` must be `true` or `false`")),
    };
    let (identity, person) = (&call.people.identity, call.person()?);
    let mut notices = identity.notices(&call.actor()?, unseen)?;
    // A patient, or who acts for one, reads who looked into the record in an emergency. Nothing of it is hidden by being marked.
    for patient in &person.patients {
        notices.extend(identity.notices_of_patient(patient)?);
    }
    notices.sort_by(|a, b| (b.at_ms, &b.id).cmp(&(a.at_ms, &a.id)));
    notices.truncate(NOTICES_LISTED_MAX);
    let own = person.account.as_str();
    let notices: Vec<Value> = notices.iter().map(|notice| of(notice, own)).collect();
    Ok(json_reply(StatusCode::OK, &json!({ "notices": notices })))
}

/// Marks one as seen.
pub(super) async fn seen<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let notice = call.people.identity.mark_seen(&call.actor()?, call.segment(1)).await?;
    Ok(json_reply(StatusCode::OK, &of(&notice, call.person()?.account.as_str())))
}

fn of(notice: &NoticeRow, own: &str) -> Value {
    let kind = match notice.kind {
        NoticeKind::BreakGlass => "break-glass",
        NoticeKind::BreakGlassExtended => "break-glass-extended",
        NoticeKind::ReviewOverdue => "review-overdue",
        NoticeKind::AccessReviewAssigned => "access-review-assigned",
        NoticeKind::AccessReviewOverdue => "access-review-overdue",
        NoticeKind::PasskeyCopied => "passkey-copied",
        NoticeKind::LockedOut => "locked-out",
        NoticeKind::ApprovalAsked => "approval-asked",
        NoticeKind::Recovered => "recovered",
        NoticeKind::FirstAccount => "first-account",
        NoticeKind::Locked => "locked",
        NoticeKind::LockdownLifted => "lockdown-lifted",
        NoticeKind::Tripwire => "tripwire",
        NoticeKind::DrillFailed => "drill-failed",
        NoticeKind::Other => "other",
    };
    let to = match &notice.to {
        NoticeTo::Role(role) => json!({ "role": role }),
        NoticeTo::Account(account) => json!({ "account": account }),
        NoticeTo::Patient(patient) => json!({ "patient": patient }),
    };
    json!({
        "id": notice.id, "at": at(notice.at_ms), "kind": kind, "to": to, "about": notice.about, "text": notice.text,
        "seen": notice.seen.iter().any(|seen| seen.by == own),
    })
}
