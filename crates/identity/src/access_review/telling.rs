//! A review as people and programs take it away.

use super::{AccessReview, ReviewItem};
use serde_json::{Value, json};
use tacet_ledger::listing::csv_cells;
use tacet_types::Timestamp;

/// The names of the columns of [`item_csv`], as a line.
pub const REVIEW_CSV_HEADER: &str = "review,item,section,owner,account,role,patient,first,last,entry,entries,ground,text,outcome,comment,judged_by,judged\r\n";

fn at(ms: i64) -> String {
    Timestamp::from_ms(ms).to_string()
}

/// A review without its items.
pub fn review_json(review: &AccessReview, now: Timestamp) -> Value {
    let terms = &review.terms;
    json!({
        "id": review.id, "state": review.state.as_str(), "from": at(terms.from_ms), "to": at(terms.to_ms),
        "role": terms.role.map(tacet_types::Role::as_str), "person": terms.person,
        "rule": terms.rule.as_str(), "sample": terms.rule.size(), "dormantDays": terms.dormant_days,
        "failedLogins": terms.failed_logins, "seed": review.seed,
        "reviewer": { "account": review.reviewer.account.as_ref().map(crate::AccountId::as_str), "name": review.reviewer.name },
        "preparedBy": review.prepared_by, "prepared": at(review.prepared_ms),
        "due": at(review.due_ms), "overdue": review.overdue(now),
        "items": review.items, "sections": review.sections,
        "accesses": review.accesses, "machineAccesses": review.machine_accesses, "untold": review.untold,
        "closed": review.closed.as_ref().map(|closed| json!({
            "by": closed.by.name, "at": at(closed.at_ms), "text": closed.text, "outcomes": closed.outcomes,
        })),
    })
}

/// An item with its number.
pub fn item_json(number: usize, item: &ReviewItem) -> Value {
    json!({
        "item": number, "section": item.section.as_str(), "owner": item.owner, "account": item.account,
        "role": item.role, "patient": item.patient, "first": at(item.first_ms), "last": at(item.last_ms),
        "entry": item.entry, "entries": item.entries, "ground": item.ground, "text": item.text,
        "judged": item.judged.as_ref().map(|judged| json!({
            "outcome": judged.outcome.as_str(), "comment": judged.comment, "by": judged.by.name, "at": at(judged.at_ms),
        })),
    })
}

/// An item as a line of CSV under [`REVIEW_CSV_HEADER`]. A text that a spreadsheet would run as a formula gets an apostrophe before it.
pub fn item_csv(review: &str, number: usize, item: &ReviewItem) -> String {
    let judged = item.judged.as_ref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    csv_cells(&[
        review.to_owned(),
        number.to_string(),
        item.section.as_str().to_owned(),
        item.owner.clone(),
        text(&item.account),
        item.role.clone(),
        text(&item.patient),
        at(item.first_ms),
        at(item.last_ms),
        item.entry.map(|entry| entry.to_string()).unwrap_or_default(),
        item.entries.to_string(),
        text(&item.ground),
        item.text.clone(),
        judged.map(|judged| judged.outcome.as_str().to_owned()).unwrap_or_default(),
        judged.map(|judged| judged.comment.clone()).unwrap_or_default(),
        judged.map(|judged| judged.by.name.clone()).unwrap_or_default(),
        judged.map(|judged| at(judged.at_ms)).unwrap_or_default(),
    ])
}
