//! The periodic review of accesses: security officers and auditors have it prepared, one of them judges.

use super::asked::{body, instant, role};
use super::ledger::elsewhere;
use super::{AdminCall, created, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_identity::{
    Gathering, IdentityError, ItemOutcome, REVIEW_CSV_HEADER, REVIEW_DUE_MS, SampleRule, Terms, item_csv, item_json,
    review_json,
};
use tacet_ledger::index::Question;
use tacet_ledger::listing::parse_moment;
use tacet_types::Timestamp;
use tacet_vault::{LEDGER_PAGE_MAX, LedgerLine, LedgerOrder};

/// A period, and by what rules it is reviewed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Prepared {
    from: String,
    to: String,
    reviewer: String,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    person: Option<String>,
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    dormant_days: Option<u16>,
    #[serde(default)]
    failed_logins: Option<u32>,
    #[serde(default)]
    due: Option<String>,
}

const PREPARED: &str = "`from` and `to` (dates, the second is the day after), `reviewer` (a login or the id of an account), and, where they are \
                        wanted, `role`, `person`, `rule` (`five-percent`, `two-percent` or `one-percent`), `dormantDays`, `failedLogins`, `due`";

/// What an item came to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    outcome: String,
    comment: String,
}

const JUDGED: &str = "`outcome` (`justified`, `not-justified` or `to-be-asked`) and `comment`";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Closed {
    text: String,
}

/// Reviews, the newest period first.
pub(super) fn list<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let reviews = call.people.identity.access_reviews(&call.actor()?)?;
    let reviews: Vec<Value> = reviews.iter().map(|review| review_json(review, call.now())).collect();
    Ok(json_reply(StatusCode::OK, &json!({ "reviews": reviews })))
}

/// Prepares one: the seed is drawn and in the ledger, then the period's entries are read.
pub(super) async fn prepare<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let wanted: Prepared = body(&call.body, PREPARED)?;
    let identity = &call.people.identity;
    let actor = call.actor()?;
    let due = match wanted.due.as_deref() {
        None => call.now().plus_ms(REVIEW_DUE_MS),
        Some(due) => instant(due)?,
    };
    let reviewer = wanted.reviewer.clone();
    let begun = identity.begin_access_review(&actor, terms(wanted)?, &reviewer, due).await?;
    let mut gathering = identity.gathering(&begun)?;
    let question = Question {
        from: Some(Timestamp::from_ms(begun.terms.from_ms)),
        to: Some(Timestamp::from_ms(begun.terms.to_ms)),
        ..Question::default()
    };
    let gathered = elsewhere(call, move |vault, caller| async move {
        let mut reading = vault.read_ledger(&caller, &question, LedgerOrder::OldestFirst, None).await?;
        gathering.untold(reading.unread());
        while !reading.is_done() {
            for line in reading.next(LEDGER_PAGE_MAX)? {
                if let Err(error) = take(&mut gathering, &line) {
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(gathering))
    })
    .await??;
    let review = identity.finish_access_review(&actor, &begun, gathered).await?;
    let place = format!("{}/_reviews/access/{}", call.app.base_url, review.id);
    created(StatusCode::CREATED, &place, &review_json(&review, call.now()))
}

fn take(gathering: &mut Gathering, line: &LedgerLine) -> Result<(), IdentityError> {
    match line {
        LedgerLine::Entry { index, entry } => gathering.take(*index, entry),
        LedgerLine::Expired { .. } | LedgerLine::Damaged { .. } => {
            gathering.untold(1);
            Ok(())
        }
    }
}

fn terms(wanted: Prepared) -> Result<Terms, ApiError> {
    let day = |text: &str| parse_moment(text).ok_or_else(|| ApiError::invalid(format!("give {PREPARED}")));
    let mut terms = Terms::of(day(&wanted.from)?, day(&wanted.to)?);
    terms.role = wanted.role.as_deref().map(role).transpose()?;
    terms.person = wanted.person;
    if let Some(rule) = wanted.rule {
        terms.rule = SampleRule::parse(&rule).ok_or_else(|| ApiError::invalid(format!("give {PREPARED}")))?;
    }
    terms.dormant_days = wanted.dormant_days.unwrap_or(terms.dormant_days);
    terms.failed_logins = wanted.failed_logins.unwrap_or(terms.failed_logins);
    Ok(terms)
}

/// One of them, with its items, as JSON or CSV. Who reads it is in the ledger.
pub(super) async fn read<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let csv = match call.query.get("_format")? {
        Some("csv" | "text/csv") => true,
        Some("json" | "application/json") => false,
        Some(_) => return Err(ApiError::not_supported("a `_format` other than json and csv here")),
        None => call.headers.get(ACCEPT).is_some_and(|kinds| kinds.as_bytes().starts_with(b"text/csv")),
    };
    let (review, items) = call.people.identity.access_review(&call.actor()?, call.segment(2)).await?;
    if csv {
        let mut text = REVIEW_CSV_HEADER.to_owned();
        items.iter().enumerate().for_each(|(number, item)| text += &item_csv(&review.id, number, item));
        let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        return Ok(Reply::text(StatusCode::OK, kind, text));
    }
    let items: Vec<Value> = items.iter().enumerate().map(|(number, item)| item_json(number, item)).collect();
    let answer = json!({ "review": review_json(&review, call.now()), "items": items });
    Ok(json_reply(StatusCode::OK, &answer))
}

/// Says what an item came to.
pub(super) async fn judge<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Judged { outcome, comment } = body(&call.body, JUDGED)?;
    let outcome = ItemOutcome::parse(&outcome).ok_or_else(|| ApiError::invalid(format!("give {JUDGED}")))?;
    let number: usize = call.segment(4).parse().map_err(|_| ApiError::not_found())?;
    let actor = call.actor()?;
    let item = call.people.identity.judge_access(&actor, call.segment(2), number, outcome, &comment).await?;
    Ok(json_reply(StatusCode::OK, &item_json(number, &item)))
}

/// Closes one, when all its items are judged.
pub(super) async fn close<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Closed { text } = body(&call.body, "`text`: what there is to say about the review as a whole")?;
    let review = call.people.identity.close_access_review(&call.actor()?, call.segment(2), &text).await?;
    Ok(json_reply(StatusCode::OK, &review_json(&review, call.now())))
}
