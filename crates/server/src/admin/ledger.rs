//! Questions to the ledger: who saw this patient, what did this person see, what did one session touch. For whoever reads the ledger; nobody who
//! keeps accounts or the machine does. Each question is in the ledger before it is answered.

mod whole;

use super::emergencies::vault;
use super::{AdminCall, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderName, HeaderValue, LINK};
use serde_json::{Value, json};
use tacet_ledger::index::Question;
use tacet_ledger::listing::{CSV_HEADER, csv_line, entry_json, parse_moment};
use tacet_types::{ResourceId, ResourceType, Timestamp};
use tacet_vault::{
    Caller, EventKind, LEDGER_PAGE_MAX, LedgerLine, LedgerOrder, LedgerPage, Outcome, Vault, VaultError,
};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Entries of a page where nothing is said.
const COUNT_DEFAULT: usize = 100;

/// Parameters that say what is asked, and how it is given.
const PARAMETERS: [&str; 16] = [
    "patient", "person", "owner", "account", "session", "token", "device", "address", "from", "to", "kind", "outcome",
    "_count", "_cursor", "_order", "_lang",
];

/// How many entries of the ledger did not open, so that nobody can say whether they would answer. JSON has it in its text.
const UNREAD: HeaderName = HeaderName::from_static("tacet-ledger-unread");
const KEPT_SINCE: HeaderName = HeaderName::from_static("tacet-ledger-kept-since");

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Ndjson,
    Pdf,
}

/// `_count` of all that answers, line by line.
const ALL: &str = "all";

/// Entries that answer a question, a page of them.
pub(super) async fn entries<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&PARAMETERS)?;
    let form = form(call)?;
    let question = question(call)?;
    let order = match call.query.get("_order")? {
        None | Some("newest") => LedgerOrder::NewestFirst,
        Some("oldest") => LedgerOrder::OldestFirst,
        Some(_) => return Err(ApiError::invalid("`_order` is `newest` or `oldest`")),
    };
    let language = whole::language(call)?;
    let all = call.query.get("_count")? == Some(ALL);
    if form == Form::Pdf || all {
        if call.query.get("_cursor")?.is_some() {
            return Err(ApiError::invalid("a whole answer begins at its beginning: leave `_cursor` out"));
        }
        return match form {
            Form::Pdf => whole::paper(call, question, order, language).await,
            Form::Json => {
                Err(ApiError::invalid("all entries are given as csv or ndjson: say so in `_format` or `Accept`"))
            }
            Form::Csv | Form::Ndjson => whole::lines(call, question, order, form).await,
        };
    }
    let count = match call.query.get("_count")? {
        None => COUNT_DEFAULT,
        Some(text) => text.parse().ok().filter(|count| (1..=LEDGER_PAGE_MAX).contains(count)).ok_or_else(|| {
            ApiError::invalid(format!("`_count` is a number from 1 to {LEDGER_PAGE_MAX}, or `{ALL}`"))
        })?,
    };
    let cursor = call.query.get("_cursor")?.map(str::to_owned);
    let page = elsewhere(call, move |vault, caller| async move {
        vault.ask_ledger(&caller, &question, order, count, cursor.as_deref()).await
    })
    .await?;
    let next = page.next.as_deref().map(|cursor| next_url(call, cursor));
    rendered(form, &page, next.as_deref())
}

/// Everything that one session touched.
pub(super) async fn extent<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let session = call.segment(2).to_owned();
    let extent =
        elsewhere(call, move |vault, caller| async move { vault.session_extent(&caller, &session).await }).await?;
    Ok(json_reply(StatusCode::OK, &extent.to_json()))
}

/// Asks on a thread that may wait: a question may open many entries.
pub(super) async fn elsewhere<S, T, F>(
    call: &AdminCall<'_, S>,
    ask: impl FnOnce(Vault, Caller) -> F + Send + 'static,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, VaultError>>,
{
    let (vault, caller, runtime) = (vault(call)?.clone(), call.caller()?, Handle::current());
    let asking = spawn_blocking(move || runtime.block_on(ask(vault, caller)));
    let answer = asking.await.map_err(|_| ApiError::internal("a question to the ledger ended in a panic"))?;
    Ok(answer?)
}

fn question<S>(call: &AdminCall<'_, S>) -> Result<Question, ApiError> {
    let get = |name| call.query.get(name);
    // Two names of one thing: both may not be given.
    let one_of = |names: &[&'static str]| -> Result<Option<String>, ApiError> {
        let mut found = None;
        for name in names {
            if let Some(value) = get(name)?
                && found.replace(value.to_owned()).is_some()
            {
                return Err(ApiError::invalid(format!("give one of `{}`", names.join("`, `"))));
            }
        }
        Ok(found)
    };
    let patient = get("patient")?.map(|text| {
        let (kind, id) = text.split_once('/').unwrap_or(("Patient", text));
        let wrong = || ApiError::invalid("`patient` is the id of a Patient");
        Ok::<_, ApiError>((ResourceType::parse(kind).ok_or_else(wrong)?, ResourceId::parse(id).map_err(|_| wrong())?))
    });
    let moment = |name: &'static str| {
        let wrong = || ApiError::invalid(format!("`{name}` is an instant such as `2026-03-01T08:00:00Z`, or a date"));
        get(name)?.map(|text| parse_moment(text).ok_or_else(wrong)).transpose()
    };
    let kind = |text: &str| EventKind::parse(text).ok_or_else(|| ApiError::invalid("`kind` is no kind of entry"));
    let address = get("address")?.map(|text| text.parse().map_err(|_| ApiError::invalid("`address` is no IP address")));
    let outcome = get("outcome")?.map(|text| {
        Outcome::parse(text).ok_or_else(|| ApiError::invalid("`outcome` is `success`, `refused` or `failed`"))
    });
    Ok(Question {
        patient: patient.transpose()?,
        person: one_of(&["person", "owner", "account"])?,
        session: one_of(&["session", "token"])?,
        device: get("device")?.map(str::to_owned),
        address: address.transpose()?,
        from: moment("from")?,
        to: moment("to")?,
        kinds: call.query.all("kind").flat_map(|kinds| kinds.split(',')).map(kind).collect::<Result<_, _>>()?,
        outcome: outcome.transpose()?,
    })
}

/// The first form that is asked for and known; JSON where none is.
fn form<S>(call: &AdminCall<'_, S>) -> Result<Form, ApiError> {
    if let Some(format) = call.query.get("_format")? {
        return match format {
            "json" | "application/json" => Ok(Form::Json),
            "csv" | "text/csv" => Ok(Form::Csv),
            "ndjson" | "application/ndjson" | "application/x-ndjson" => Ok(Form::Ndjson),
            "pdf" | "application/pdf" => Ok(Form::Pdf),
            _ => Err(ApiError::not_supported("a `_format` other than json, csv, ndjson and pdf here")),
        };
    }
    let accepted = call.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds = accepted.flat_map(|line| line.split(',')).map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = |kind: &str| match kind {
        "application/json" | "application/*" | "*/*" => Some(Form::Json),
        "text/csv" | "text/*" => Some(Form::Csv),
        "application/ndjson" | "application/x-ndjson" => Some(Form::Ndjson),
        "application/pdf" => Some(Form::Pdf),
        _ => None,
    };
    Ok(kinds.into_iter().find_map(known).unwrap_or(Form::Json))
}

/// The same question, from where it goes on.
fn next_url<S>(call: &AdminCall<'_, S>, cursor: &str) -> String {
    let mut url = format!("{}{}?", call.app.base_url, call.path);
    let kept = PARAMETERS.iter().chain(&["_format"]).filter(|name| **name != "_cursor");
    for name in kept {
        for value in call.query.all(name) {
            url.push_str(&format!("{name}={}&", encoded(value)));
        }
    }
    url.push_str("_cursor=");
    url.push_str(cursor);
    url
}

/// Percent-encodes all but what needs none anywhere.
fn encoded(value: &str) -> String {
    use std::fmt::Write;
    value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn value(line: &LedgerLine) -> Value {
    match line {
        LedgerLine::Entry { index, entry } => entry_json(*index, entry),
        LedgerLine::Expired { index } => json!({ "index": index, "unreadable": "expired" }),
        LedgerLine::Damaged { index } => json!({ "index": index, "unreadable": "damaged" }),
    }
}

/// Lines of CSV, without what its columns are called, or of NDJSON.
fn lines_of(form: Form, lines: &[LedgerLine]) -> String {
    let csv = |line: &LedgerLine| match line {
        LedgerLine::Entry { index, entry } => csv_line(*index, entry),
        LedgerLine::Expired { index } => format!("{index},,(retention is over)\r\n"),
        LedgerLine::Damaged { index } => format!("{index},,(does not open)\r\n"),
    };
    match form {
        Form::Csv => lines.iter().map(csv).collect(),
        Form::Json | Form::Ndjson | Form::Pdf => lines.iter().map(|line| format!("{}\n", value(line))).collect(),
    }
}

/// Says from when on entries can be read, where not all can.
fn ledger_reply(reply: Reply, kept_since: Option<Timestamp>) -> Reply {
    match kept_since.and_then(|since| HeaderValue::try_from(since.to_string()).ok()) {
        Some(since) => reply.header(KEPT_SINCE, since),
        None => reply,
    }
}

fn rendered(form: Form, page: &LedgerPage, next: Option<&str>) -> Result<Reply, ApiError> {
    let reply = match form {
        Form::Json => {
            let entries: Vec<Value> = page.lines.iter().map(value).collect();
            let since = page.kept_since.map(|since| since.to_string());
            let body = json!({
                "entries": entries, "next": next, "size": page.size, "unread": page.unread, "kept_since": since,
            });
            return Ok(json_reply(StatusCode::OK, &body));
        }
        Form::Csv => Reply::text(StatusCode::OK, CSV, CSV_HEADER.to_owned() + &lines_of(form, &page.lines)),
        Form::Ndjson | Form::Pdf => Reply::text(StatusCode::OK, NDJSON, lines_of(form, &page.lines)),
    };
    let reply = ledger_reply(reply.header(UNREAD, HeaderValue::from(page.unread)), page.kept_since);
    let Some(next) = next else { return Ok(reply) };
    let link = HeaderValue::try_from(format!("<{next}>; rel=\"next\""));
    Ok(reply.header(LINK, link.map_err(|_| ApiError::internal("a link is no header value"))?))
}
