//! A whole answer of the ledger: CSV or NDJSON, line by line as entries are opened, however many there are; or a PDF.
//!
//! That it was asked is in the ledger before the first byte. The last line says that it is the last. Where an answer cannot be given to its end, a line says so and
//! the connection is broken off, so that what came is not taken for all.

use super::{CSV, Form, NDJSON, UNREAD, elsewhere, ledger_reply, lines_of};
use crate::admin::AdminCall;
use crate::admin::emergencies::vault;
use crate::error::ApiError;
use crate::reply::Reply;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, CONTENT_LANGUAGE, HeaderValue};
use serde_json::json;
use std::sync::Arc;
use tacet_ledger::index::Question;
use tacet_ledger::listing::CSV_HEADER;
use tacet_report::{Asked, Inquiry, Language, PaperError};
use tacet_vault::{LEDGER_PAGE_MAX, LedgerLine, LedgerOrder, LedgerReading, VaultError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::spawn_blocking;

/// Pieces that wait for a slow client, each of at most [`LEDGER_PAGE_MAX`] entries.
const PIECES_WAITING: usize = 2;

/// When to come again where as many answers and files are sent as may be, in milliseconds.
const BUSY_RETRY_MS: u64 = 1000;

/// An answer under way.
struct Source {
    reading: LedgerReading,
    form: Form,
    entries: u64,
    ended: bool,
    kept_since: Option<String>,
}

impl Source {
    /// The next lines; the last of all says that it is. None: that was given.
    fn next(&mut self) -> Result<Option<String>, VaultError> {
        if self.ended {
            return Ok(None);
        }
        let lines = if self.reading.is_done() { Vec::new() } else { self.reading.next(LEDGER_PAGE_MAX)? };
        self.entries += lines.len() as u64;
        let mut text = lines_of(self.form, &lines);
        if self.reading.is_done() {
            self.ended = true;
            text += &self.last();
        }
        Ok(Some(text))
    }

    fn last(&self) -> String {
        let (size, unread) = (self.reading.size(), self.reading.unread());
        match self.form {
            Form::Csv => {
                format!("end,,({} lines; {unread} entries of the ledger of {size} cannot be read)\r\n", self.entries)
            }
            _ => {
                let end = json!({
                    "end": true, "entries": self.entries, "size": size, "unread": unread, "kept_since": self.kept_since,
                });
                format!("{end}\n")
            }
        }
    }

    /// What stands where it ends too early.
    fn broken(&self) -> String {
        let why = "the answer could not be given to its end: ask again";
        match self.form {
            Form::Csv => format!("broken off,,({why})\r\n"),
            _ => format!("{}\n", json!({ "end": false, "entries": self.entries, "problem": why })),
        }
    }
}

async fn piece(mut source: Source) -> Result<(Source, Result<Option<String>, VaultError>), ApiError> {
    let read = spawn_blocking(move || {
        let piece = source.next();
        (source, piece)
    });
    read.await.map_err(|_| ApiError::internal("reading the ledger ended in a panic"))
}

/// A place among those who are sent a whole answer or a file: each may take minutes.
fn place<S>(call: &AdminCall<'_, S>) -> Result<OwnedSemaphorePermit, ApiError> {
    let busy = |_| VaultError::Busy { what: "answers that are sent", retry_after_ms: BUSY_RETRY_MS };
    Ok(Arc::clone(&call.app.downloads).try_acquire_owned().map_err(busy)?)
}

/// All entries that answer, as lines.
pub(super) async fn lines<S>(
    call: &AdminCall<'_, S>,
    question: Question,
    order: LedgerOrder,
    form: Form,
) -> Result<Reply, ApiError> {
    let place = place(call)?;
    let reading =
        elsewhere(call, move |vault, caller| async move { vault.read_ledger(&caller, &question, order, None).await })
            .await?;
    let kept = vault(call)?.ledger_kept()?.map(|kept| kept.since);
    let unread = reading.unread();
    let source = Source { reading, form, entries: 0, ended: false, kept_since: kept.map(|since| since.to_string()) };
    // The first lines before anything is answered: what cannot be read at all is refused and not broken off.
    let (mut source, first) = piece(source).await?;
    let mut next = first?;
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    if form == Form::Csv {
        next = next.map(|text| format!("{CSV_HEADER}{text}"));
    }
    // Lines are read when there is room for them: a slow client holds no thread.
    tokio::spawn(async move {
        let _place = place;
        while let Some(text) = next.take() {
            if sender.send(Ok(Bytes::from(text))).await.is_err() {
                return; // the client has gone
            }
            let Ok(room) = sender.reserve().await else { return };
            next = match piece(source).await {
                Ok((again, Ok(text))) => {
                    source = again;
                    text
                }
                Ok((again, Err(error))) => {
                    tracing::error!(%error, "an answer of the ledger could not be given to its end");
                    room.send(Ok(Bytes::from(again.broken())));
                    let _ = sender.send(Err(std::io::Error::other("the ledger cannot be read"))).await;
                    return;
                }
                Err(_) => {
                    room.send(Err(std::io::Error::other("the ledger cannot be read")));
                    return;
                }
            };
        }
    });
    let kind = if form == Form::Csv { CSV } else { NDJSON };
    let reply = Reply::stream(StatusCode::OK, kind, receiver).header(UNREAD, HeaderValue::from(unread));
    Ok(ledger_reply(reply, kept))
}

/// All entries that answer, as a paper. The names of patients are not in it: who may see a patient's record asks for it.
pub(super) async fn paper<S>(
    call: &AdminCall<'_, S>,
    question: Question,
    order: LedgerOrder,
    language: Language,
) -> Result<Reply, ApiError> {
    let settings = call.app.report.clone();
    let now = call.app.clock.now();
    let place = place(call)?;
    let body = elsewhere(call, move |vault, caller| async move {
        // Held by the work: who asks and hangs up, again and again, has no more of it under way.
        let _place = place;
        let mut reading = vault.read_ledger(&caller, &question, order, None).await?;
        let mut inquiry = Inquiry::new(question);
        while !reading.is_done() {
            for line in reading.next(LEDGER_PAGE_MAX)? {
                match line {
                    LedgerLine::Entry { index, entry } => inquiry.add(index, entry),
                    LedgerLine::Expired { index } => inquiry.expired(index),
                    LedgerLine::Damaged { index } => inquiry.damaged(index),
                }
            }
        }
        let kept_since = vault.ledger_kept()?.map(|kept| kept.since);
        let asked =
            Asked { at: now, by: caller.owner.clone(), size: reading.size(), unread: reading.unread(), kept_since };
        let paper = inquiry.to_paper(&asked, &std::collections::BTreeMap::new(), &settings, language);
        paper.to_pdf().map_err(|error| match error {
            PaperError::TooLong { pages_max } => {
                VaultError::TooLarge { what: "pages of an answer: ask for a shorter time", max: pages_max }
            }
            other => VaultError::Internal(Box::new(other)),
        })
    })
    .await?;
    let reply = Reply::text(StatusCode::OK, HeaderValue::from_static("application/pdf"), body)
        .header(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    // Nothing of anybody in a name that stays in a list of downloads.
    Ok(reply.header(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"ledger.pdf\"")))
}

/// The language of a paper.
pub(super) fn language<S>(call: &AdminCall<'_, S>) -> Result<Language, ApiError> {
    match call.query.get("_lang")? {
        None => Ok(Language::default()),
        Some(text) => Language::parse(text).ok_or_else(|| ApiError::invalid("`_lang` is `fr` or `en`")),
    }
}
