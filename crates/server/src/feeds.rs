//! Feeds of admissions: HL7 v2 messages by HTTP, each carried out as one transaction of the record store, noted, and acknowledged in its own form.
//!
//! ```text
//! body ──> messages, one after the other ──taken before?──> ACK again
//!             └─> what the store has of patient and stay ──> transaction ──> row and entry ──> ACK
//! ```
//!
//! Who sends may do nothing else, and is told nothing of a record: the answer names the message, whether it was taken, and what to do where it was
//! not. The records are changed by the rules for machines, in the sender's name.

use crate::app::App;
use crate::error::ApiError;
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use aws_lc_rs::digest;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tacet_hl7v2::{
    Adt, Answer, Code, Existing, Key, MESSAGE_BYTES_MAX, Message, Settings, acknowledge, acknowledge_unreadable,
    decode, messages,
};
use tacet_ledger::noted::{Expect, NotedRows, ROW_NAME_BYTES_MAX, RowWrite, RowsError, Table};
use tacet_ledger::{Agent, Entry, EventKind, Outcome};
use tacet_search::request::{Handling, Scope};
use tacet_types::{ResourceType, Role, Timestamp};
use tacet_vault::{Caller, ReturnPreference, SearchCall, VaultError};
use tokio::sync::Mutex;

/// Longest body: some messages at once.
pub(crate) const BODY_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

/// How long it is known that a message was taken, in milliseconds: 30 days.
const TAKEN_MS: i64 = 30 * 86_400_000;

/// How often what is known of old messages is cleared away, in milliseconds.
const SWEEP_MS: i64 = 3_600_000;

/// Rows cleared away at once.
const SWEPT_MAX: usize = 500;

/// How often a message is tried anew where somebody else changes the same records.
const ATTEMPTS_MAX: usize = 5;

/// Longest reason in an answer, in characters.
const REASON_CHARACTERS_MAX: usize = 300;

/// What is said of the first segment of a message in an entry, in characters.
const NAMED_CHARACTERS_MAX: usize = 80;

/// The forms that are taken, and answered in.
const FORMS: [&str; 3] = ["application/hl7-v2", "x-application/hl7-v2+er7", "application/hl7-v2+er7"];

/// The feeds of a server.
#[derive(Debug)]
pub(crate) struct Feeds {
    settings: Settings,
    swept_ms: AtomicI64,
    /// One message at a time, from the question whether it was taken to the answer's row: sent twice at once it counts once too.
    taking: Mutex<()>,
}

impl Feeds {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, swept_ms: AtomicI64::new(i64::MIN), taking: Mutex::default() }
    }
}

/// What became of a message, and whether those after it must wait.
struct Done {
    answer: Answer,
    waits: bool,
}

/// Takes the messages of a body.
pub(crate) async fn adt<S: RecordService>(
    app: &Arc<App<S>>,
    caller: &Caller,
    headers: &HeaderMap,
    query: &Query,
    body: &Bytes,
) -> Result<Reply, ApiError> {
    query.only(&[])?;
    let form = form(headers)?;
    let rows = app.service.rows().ok_or_else(|| ApiError::not_supported("feeds"))?;
    let feed = Feed { app, rows: rows.as_ref(), caller };
    feed.sweep().await?;
    let now = written(app.clock.now());
    let unreadable = |reason: String| {
        let answer = Answer::refused(Code::Reject, 100, reason);
        acknowledge_unreadable(&answer, &now, &feed.number(0))
    };
    let text = match decode(body) {
        Ok(text) => text,
        Err(error) => return Ok(reply(form, unreadable(error.to_string()))),
    };
    let found = match messages(&text) {
        Ok(found) => found,
        Err(error) => return Ok(reply(form, unreadable(error.to_string()))),
    };
    let (mut answers, mut waits) = (String::new(), false);
    for (place, text) in found.into_iter().enumerate() {
        let message = match Message::parse(text) {
            Ok(message) => message,
            Err(error) => {
                answers += &unreadable(error.to_string());
                continue;
            }
        };
        // What comes after a message that must be sent again would be out of order.
        let done = if waits { later() } else { feed.take(&message, text).await? };
        waits |= done.waits;
        answers += &acknowledge(&message, &done.answer, &now, &feed.number(place));
    }
    Ok(reply(form, answers))
}

fn later() -> Done {
    Done { answer: Answer::refused(Code::Reject, 207, "not taken at this moment: send it again"), waits: true }
}

struct Feed<'a, S> {
    app: &'a Arc<App<S>>,
    rows: &'a dyn NotedRows,
    caller: &'a Caller,
}

impl<S: RecordService> Feed<'_, S> {
    /// The number of an answer: 20 characters, as old versions have room for.
    fn number(&self, place: usize) -> String {
        let operation: String =
            self.caller.operation.to_string().chars().filter(char::is_ascii_hexdigit).take(16).collect();
        format!("{operation}{:04}", place % 10_000)
    }

    async fn take(&self, message: &Message<'_>, text: &str) -> Result<Done, ApiError> {
        let Some(name) = self.row_name(message) else {
            let answer = Answer::refused(
                Code::Reject,
                101,
                "MSH-10, the control id, is missing, or MSH-3, -4 and -10 are too long together",
            );
            self.note(message, &answer, Vec::new()).await?;
            return Ok(Done { answer, waits: false });
        };
        let mark = mark(text);
        let _turn = self.app.feeds.taking.lock().await;
        if let Some(row) = self.rows.get(Table::Feeds, &name).map_err(failed)?
            && self.app.clock.now().as_ms() < at(&row.value).saturating_add(TAKEN_MS)
        {
            let same = row.value.get(8..) == Some(mark.as_slice());
            let answer = match same {
                true => Answer::accepted(),
                false => Answer::refused(Code::Error, 205, "MSH-10: another message with this control id was taken"),
            };
            self.note(message, &answer, Vec::new()).await?;
            return Ok(Done { answer, waits: false });
        }
        let done = self.carried_out(message).await;
        let mut writes = Vec::new();
        if done.answer.code == Code::Accept {
            let value = [&self.app.clock.now().as_ms().to_be_bytes()[..], &mark].concat();
            writes.push(RowWrite { table: Table::Feeds, name, value: Some(value), expect: Expect::Anything });
        }
        self.note(message, &done.answer, writes).await?;
        Ok(done)
    }

    /// Sender and control id. None: there is no id, or they are too long.
    fn row_name(&self, message: &Message<'_>) -> Option<Vec<u8>> {
        let part = |number: usize| message.field("MSH", number).raw();
        let owner = &self.caller.owner;
        let name = format!("{}:{owner}\r{}\r{}\r{}", owner.len(), part(3), part(4), part(10)).into_bytes();
        (!part(10).trim().is_empty() && name.len() <= ROW_NAME_BYTES_MAX).then_some(name)
    }

    async fn carried_out(&self, message: &Message<'_>) -> Done {
        let adt = match Adt::of(message, &self.app.feeds.settings) {
            Ok(adt) => adt,
            Err(error) => return Done { answer: error.answer(), waits: false },
        };
        // The rules for machines decide; whose word it is, the entries say.
        let machine = Caller { role: Role::Integrator, strong: true, ..self.caller.clone() };
        for _ in 0..ATTEMPTS_MAX {
            match self.tried(&machine, &adt).await {
                // Somebody else changed it meanwhile: it is looked at again.
                Err(Hindered::Vault(VaultError::Conflict | VaultError::PreconditionFailed)) => {}
                Err(Hindered::Vault(error)) => return refused(&error),
                Err(Hindered::Said(answer)) => return Done { answer, waits: false },
                Ok(()) => return Done { answer: Answer::accepted(), waits: false },
            }
        }
        later()
    }

    async fn tried(&self, machine: &Caller, adt: &Adt<'_>) -> Result<(), Hindered> {
        let patient = self.found(machine, adt.patient()).await?;
        let stay = match adt.stay() {
            Some(key) => self.found(machine, key).await?,
            None => None,
        };
        let ward = match adt.ward() {
            Some(key) => self.found(machine, key).await?.map(|(id, ..)| format!("Location/{id}")),
            None => None,
        };
        let bundle = adt.bundle(&Existing { patient, stay, ward }).map_err(|error| Hindered::Said(error.answer()))?;
        let Some(bundle) = bundle else { return Ok(()) };
        let body = bundle.to_string();
        let base_url = &self.app.base_url;
        self.app.service.bundle(machine, body.as_bytes(), base_url, ReturnPreference::Minimal).await?;
        Ok(())
    }

    /// The one resource that has this identifier.
    async fn found(&self, machine: &Caller, key: &Key) -> Result<Option<(String, u64, Value)>, Hindered> {
        let resource_type = ResourceType::parse(key.resource_type).ok_or(VaultError::NotFound)?;
        let call = SearchCall {
            scope: Scope::Type(resource_type),
            parameters: vec![("identifier".to_owned(), key.token()), ("_count".to_owned(), "2".to_owned())],
            handling: Handling::Strict,
            base_url: self.app.base_url.clone(),
            cursor: None,
        };
        let page = self.app.service.search(machine, &call).await?;
        let [entry] = page.entries.as_slice() else {
            return match page.entries.is_empty() {
                true => Ok(None),
                false => Err(VaultError::SeveralMatch.into()),
            };
        };
        let record = &entry.disclosed.record;
        let version = record.version.to_string().parse().map_err(|_| VaultError::NotFound)?;
        let content =
            serde_json::from_slice(&entry.disclosed.body).map_err(|_| VaultError::Damaged("a resource is no JSON"))?;
        Ok(Some((record.id.as_str().to_owned(), version, content)))
    }

    /// Writes down what became of a message: its kind and number, its sender, and nothing of the patient.
    async fn note(&self, message: &Message<'_>, answer: &Answer, writes: Vec<RowWrite>) -> Result<(), ApiError> {
        let part = |number: usize| short(&message.field("MSH", number).value());
        let event = message.field("MSH", 9);
        let (kind, event) = (short(&event.component(1).value()), short(&event.component(2).value()));
        let agent = Agent {
            owner: self.caller.owner.clone(),
            role: self.caller.role.as_str().to_owned(),
            token: self.caller.token.clone(),
        };
        let now = self.app.clock.now();
        let mut entry = Entry::new(now, EventKind::Import, agent, self.caller.purpose, self.caller.operation);
        entry.origin = self.caller.origin;
        entry.account.clone_from(&self.caller.account);
        entry.session.clone_from(&self.caller.session);
        entry.outcome = match answer.code {
            Code::Accept => Outcome::Success,
            Code::Error | Code::Reject => Outcome::Failed,
        };
        let error = answer.error.map(|error| format!(" {error}")).unwrap_or_default();
        entry.detail = Some(format!(
            "feed message {kind}^{event} {} from {} at {}: {}{error}",
            part(10),
            part(3),
            part(4),
            answer.code.as_str()
        ));
        self.rows.commit(writes, vec![entry]).await.map_err(failed)
    }

    /// Clears away, once in a while, what is known of old messages.
    async fn sweep(&self) -> Result<(), ApiError> {
        let now = self.app.clock.now().as_ms();
        let last = self.app.feeds.swept_ms.load(Ordering::Relaxed);
        if now < last.saturating_add(SWEEP_MS) {
            return Ok(());
        }
        self.app.feeds.swept_ms.store(now, Ordering::Relaxed);
        let mut writes = Vec::new();
        let over = |value: &[u8]| at(value).saturating_add(TAKEN_MS) <= now;
        self.rows
            .scan(Table::Feeds, &mut |row| {
                if over(&row.value) {
                    let expect = Expect::Revision(row.revision);
                    writes.push(RowWrite { table: Table::Feeds, name: row.name, value: None, expect });
                }
                if writes.len() < SWEPT_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .map_err(failed)?;
        match self.rows.commit(writes, Vec::new()).await {
            // Another request was faster.
            Ok(()) | Err(RowsError::Conflict) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Why a message was not carried out.
enum Hindered {
    Vault(VaultError),
    Said(Answer),
}

impl From<VaultError> for Hindered {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

/// What the record store's refusal comes to: whether it is of the moment, or of the message.
fn refused(error: &VaultError) -> Done {
    match error {
        VaultError::Unavailable(_)
        | VaultError::ReadOnly(_)
        | VaultError::RateExceeded { .. }
        | VaultError::Busy { .. }
        | VaultError::Indexing(_)
        | VaultError::Index(_)
        | VaultError::Definitions
        | VaultError::Damaged(_)
        | VaultError::Internal(_) => {
            tracing::error!(%error, "a message of a feed could not be carried out");
            later()
        }
        error => {
            let said: Vec<String> =
                error.issues().iter().map(|issue| format!("{} {}", issue.location, issue.message)).collect();
            let text: String = said.join("; ").chars().take(REASON_CHARACTERS_MAX).collect();
            Done { answer: Answer::refused(Code::Error, 207, text.trim()), waits: false }
        }
    }
}

/// The form of the body, which is that of the answer.
fn form(headers: &HeaderMap) -> Result<HeaderValue, ApiError> {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let form = FORMS.into_iter().find(|form| *form == essence).map(HeaderValue::from_static);
    form.ok_or_else(|| {
        let message = format!("a feed takes HL7 v2 messages: send `Content-Type: {}`", FORMS[0]);
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, tacet_fhir::outcome::IssueType::NotSupported, message)
    })
}

fn reply(form: HeaderValue, text: String) -> Reply {
    Reply::text(StatusCode::OK, form, text)
}

/// When a message was taken, as its row says.
fn at(value: &[u8]) -> i64 {
    value.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// A message by its content.
fn mark(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.trim_end().as_bytes()).as_ref().to_vec()
}

/// `YYYYMMDDHHMMSS+0000`.
fn written(now: Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{digits}+0000")
}

fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(NAMED_CHARACTERS_MAX).collect()
}

fn failed(error: RowsError) -> ApiError {
    ApiError::from(match error {
        RowsError::Conflict => VaultError::Conflict,
        RowsError::TooLarge { what, max } => VaultError::TooLarge { what, max },
        error @ RowsError::Store(_) => VaultError::Unavailable(Box::new(error)),
    })
}
