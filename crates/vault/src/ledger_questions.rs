//! Questions to the ledger: who saw this patient, what did this person see, what did one session touch.
//!
//! ```text
//! question ──> index brought up to the newest entry ──> entry of the question, durable ──> lists joined ──> entries opened, held against it
//! ```
//!
//! Who asks is in the ledger, with what was asked, before anything is shown; so is each page. Only entries that may answer are opened. An entry that does
//! not open is said to be there: nothing is passed over in silence.

mod extent;

pub use extent::{PatientExtent, SessionExtent};

use crate::caller::Caller;
use crate::error::VaultError;
use crate::ledger_index::{BEHIND_MAX, LedgerIndex, LedgerIndexStatistics, Refused, Search};
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome, Role};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_ledger::index::Question;
use tacet_ledger::{Entry, LedgerError, QUERY_BYTES_MAX};
use tacet_types::Timestamp;

/// Most entries of one page.
pub const LEDGER_PAGE_MAX: usize = 1000;

/// Most entries that are opened for one page. A question of which few of those that it finds are an answer (refusals of a busy account) gives
/// short pages, with a way on.
pub const EXAMINED_MAX: usize = 20_000;

/// Records after which a page is full: an entry may name hundreds.
const PAGE_RECORDS_MAX: usize = 100_000;

/// Entries opened at a time to begin with, and where they name many records each.
const BATCH_ENTRIES: usize = 256;

/// Entries opened at a time once those before were small: enough for every core, and some megabytes.
pub(crate) const BATCH_ENTRIES_MAX: usize = 4096;

/// Records of an entry, on the average of a batch, up to which the next batch is larger.
const SMALL_RECORDS: usize = 16;

/// Most unread entries that are counted.
const UNREAD_COUNTED_MAX: u64 = 10_000;

/// How often the background looks whether entries were written, in milliseconds: so that a question finds few that are not in the index.
const LOOK_MS: u64 = 500;

/// What a place in an answer is bound to, before the question.
const PLACE: &[u8] = b"ledger cursor";

/// In which order entries are given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LedgerOrder {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// One entry of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are entries, and lines live in a list for a moment")]
pub enum LedgerLine {
    /// It answers the question.
    Entry {
        /// Its number.
        index: u64,
        /// What it says.
        entry: Entry,
    },
    /// It answered when it was written, as far as the index knows, and its key is gone: its retention is over.
    Expired {
        /// Its number.
        index: u64,
    },
    /// It does not open: somebody altered it, or the disk did.
    Damaged {
        /// Its number.
        index: u64,
    },
}

/// A page of an answer.
#[derive(Debug)]
pub struct LedgerPage {
    /// The entries, in the order that was asked for.
    pub lines: Vec<LedgerLine>,
    /// Where the next page begins; none: this was the last.
    pub next: Option<String>,
    /// Entries in the ledger when the question was asked first.
    pub size: u64,
    /// Entries of the ledger that did not open when the index was made: nobody can say whether they would answer. At most 10,000 are counted.
    pub unread: u64,
    /// From when on entries can be read: those of before are past their time, and what they said is gone. None: all can.
    pub kept_since: Option<Timestamp>,
}

/// The index with the thread that keeps it up to date.
pub(crate) struct Indexed {
    index: LedgerIndex,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Vault {
    /// Keeps the ledger's index in this directory, which is nobody else's, for questions. `background`: brings it up to date by itself, from now on;
    /// otherwise [`Vault::bring_up_ledger_index`] does.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn keep_ledger_index_in(&self, directory: &Path, background: bool) -> Result<(), VaultError> {
        let failed = |error: std::io::Error| VaultError::Unavailable(Box::new(error));
        let (keys, ledger_keys) = (&self.0.keys, self.0.ledger_keys.clone());
        let index = LedgerIndex::open(directory, keys, ledger_keys, self.0.rng.clone()).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let indexed = Indexed { index, stop: Arc::clone(&stop), thread: Mutex::new(None) };
        if self.0.ledger_index.set(indexed).is_err() {
            return Err(VaultError::NotSupported("the ledger's index is kept already"));
        }
        if background {
            let inner = Arc::downgrade(&self.0);
            let name = "ledger-index".to_owned();
            let thread =
                std::thread::Builder::new().name(name).spawn(move || keep_up(&inner, &stop)).map_err(failed)?;
            if let Some(indexed) = self.0.ledger_index.get() {
                *indexed.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
            }
        }
        Ok(())
    }

    /// Brings the ledger's index up to date now; `progress` is told entries done and all.
    ///
    /// # Errors
    /// There is no index, or the ledger cannot be read.
    pub fn bring_up_ledger_index(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), VaultError> {
        let indexed = self.0.indexed()?;
        indexed.index.bring_up(&|| self.0.store.snapshot(), progress, &|| indexed.stop.load(Ordering::Relaxed))
    }

    /// Forgets the ledger's index, which is then made again. Nothing of what it knew is left on the disk that opens.
    ///
    /// # Errors
    /// There is none, or its disk does not take it.
    pub fn forget_ledger_index(&self) -> Result<(), VaultError> {
        let failed = |error: Refused| VaultError::Unavailable(Box::new(error));
        self.0.indexed()?.index.forget().map_err(failed)
    }

    /// Has the ledger's index forget what entries said whose key was destroyed. It is found by no question from here on; files are written again
    /// without it, in the background where it is [kept so](Vault::keep_ledger_index_in), otherwise before this returns.
    ///
    /// # Errors
    /// There is none, the ledger cannot be read, or the index's disk does not take it.
    pub(crate) fn forget_ended_entries(&self) -> Result<(), VaultError> {
        let indexed = self.0.indexed()?;
        indexed.index.hide(self.0.store.reader())?;
        match indexed.thread.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(thread) => thread.thread().unpark(),
            None => {
                indexed.index.forget_ended(&|| self.0.store.snapshot())?;
            }
        }
        Ok(())
    }

    /// Figures of the ledger's index; none where there is none.
    pub fn ledger_index_statistics(&self) -> Option<LedgerIndexStatistics> {
        self.0.ledger_index.get().map(|indexed| indexed.index.statistics())
    }

    /// A page of the entries that answer a question, or of those after `cursor`. Written down before it is given.
    ///
    /// # Errors
    /// The caller's role does not read the ledger, the question is none, the cursor is of another one, or the index cannot answer now.
    pub async fn ask_ledger(
        &self,
        caller: &Caller,
        question: &Question,
        order: LedgerOrder,
        count: usize,
        cursor: Option<&str>,
    ) -> Result<LedgerPage, VaultError> {
        let mut reading = self.read_ledger(caller, question, order, cursor).await?;
        let count = count.clamp(1, LEDGER_PAGE_MAX);
        let lines = reading.next(count)?;
        let kept_since = self.0.ledger_kept()?.map(|kept| kept.since);
        Ok(LedgerPage { next: reading.cursor()?, size: reading.size(), unread: reading.unread(), kept_since, lines })
    }

    /// The entries that answer a question, a part at a time. That it was asked is written down once, before the first part.
    ///
    /// # Errors
    /// As [`Vault::ask_ledger`].
    pub async fn read_ledger(
        &self,
        caller: &Caller,
        question: &Question,
        order: LedgerOrder,
        cursor: Option<&str>,
    ) -> Result<LedgerReading, VaultError> {
        if !may_ask(caller.role) {
            return Err(VaultError::Forbidden);
        }
        self.0.check_question(question)?;
        let mut asked = question.criteria();
        if asked.is_empty() {
            asked.push_str("(all entries)");
        }
        let bound = [PLACE, caller.account().as_bytes(), &[0, order as u8], asked.as_bytes()].concat();
        let (size, next) = match cursor {
            None => (u64::MAX, None),
            Some(cursor) => {
                let place = self.0.open_place(&bound, cursor).ok_or(VaultError::CursorRefused)?;
                let (size, next) = place.split_once('.').ok_or(VaultError::CursorRefused)?;
                let number = |text: &str| text.parse::<u64>().map_err(|_| VaultError::CursorRefused);
                (number(size)?, Some(number(next)?))
            }
        };
        self.0.indexed()?;
        // INVARIANT: nothing of the ledger is looked at before it is written down who looks.
        let mut entry = caller.entry(self.0.clock.now(), EventKind::LedgerAccess, Outcome::Success, None);
        entry.patient.clone_from(&question.patient);
        asked.truncate(asked.floor_char_boundary(QUERY_BYTES_MAX));
        entry.query = Some(asked);
        entry.detail = next.map(|next| format!("from entry {next} on"));
        self.0.record(vec![entry]).await?;
        self.0.reading(question, order, (size, next), bound)
    }
}

/// Whether a role may ask the ledger: it has no right to any record, and does not keep accounts or the machine.
pub(crate) fn may_ask(role: Role) -> bool {
    role.may_read_ledger() || role.may_review()
}

/// An answer that is being read.
pub struct LedgerReading {
    inner: Arc<Inner>,
    question: Question,
    search: Search,
    bound: Vec<u8>,
    /// An entry that was found and not given, because a part was full.
    held: Option<u64>,
}

impl LedgerReading {
    /// The next entries, at most `count`. Fewer, where [`EXAMINED_MAX`] were opened or those that answer name very many records; none and no [`LedgerReading::cursor`]: this was all.
    ///
    /// # Errors
    /// The index or the ledger cannot be read.
    pub fn next(&mut self, count: usize) -> Result<Vec<LedgerLine>, VaultError> {
        let indexed = self.inner.indexed()?;
        let mut lines = Vec::new();
        let (mut examined, mut records, mut batch) = (0, 0, BATCH_ENTRIES);
        while lines.len() < count && examined < EXAMINED_MAX && records < PAGE_RECORDS_MAX {
            let mut found = Vec::new();
            found.extend(self.held.take());
            // No more than the page still takes: what is opened and answers is shown.
            let room = batch.min(count - lines.len());
            while found.len() < room
                && let Some(entry) = self.search.advance().map_err(|error| indexed.refused(&error))?
            {
                found.push(entry);
            }
            if found.is_empty() {
                break;
            }
            examined += found.len();
            let reader = self.inner.store.reader();
            let mut named = 0;
            for (index, entry) in tacet_ledger::read_each(reader, &self.inner.ledger_keys, &found)? {
                named += entry.as_ref().map_or(0, |entry| entry.records.len());
                match entry {
                    Ok(entry) if self.question.matches(&entry) => {
                        records += entry.records.len();
                        lines.push(LedgerLine::Entry { index, entry });
                    }
                    Ok(_) => {}
                    Err(LedgerError::KeyNotHeld { .. }) => lines.push(LedgerLine::Expired { index }),
                    Err(_) => lines.push(LedgerLine::Damaged { index }),
                }
            }
            let small = named <= found.len() * SMALL_RECORDS;
            batch = if small { (batch * 4).min(BATCH_ENTRIES_MAX) } else { BATCH_ENTRIES };
        }
        // Whether there is more is known before a way on is given.
        self.held = self.search.advance().map_err(|error| indexed.refused(&error))?;
        Ok(lines)
    }

    /// Where it goes on, for [`Vault::ask_ledger`] by the same account with the same question; none: this was all.
    ///
    /// # Errors
    /// The cipher fails.
    pub fn cursor(&self) -> Result<Option<String>, VaultError> {
        let Some(next) = self.held else { return Ok(None) };
        self.inner.seal_place(&self.bound, &format!("{}.{next}", self.search.size())).map(Some)
    }

    /// Whether all was given.
    pub fn is_done(&self) -> bool {
        self.held.is_none() && self.search.position().is_none()
    }

    /// Entries in the ledger when the question was asked first.
    pub fn size(&self) -> u64 {
        self.search.size()
    }

    /// See [`LedgerPage::unread`].
    pub fn unread(&self) -> u64 {
        self.search.unread()
    }
}

impl std::fmt::Debug for LedgerReading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerReading(..)")
    }
}

impl Indexed {
    /// A part of it was refused: it is made again.
    fn refused(&self, error: &Refused) -> VaultError {
        if error.passes() {
            tracing::error!(%error, "the ledger's index cannot be read");
            return VaultError::LedgerIndex("its disk cannot be read at this moment");
        }
        tracing::error!("a file of the ledger's index is damaged: it is made again");
        self.index.start_over();
        VaultError::LedgerIndex("a file of it is damaged, and it is being made again")
    }
}

impl Inner {
    /// The entries before `before` that may answer, the newest first; none where the index is not kept, or is not there yet. For who writes down
    /// what is looked at before it is shown, and holds each entry against the question.
    pub(crate) fn may_answer(&self, question: &Question, before: u64) -> Result<Option<Search>, VaultError> {
        let Some(indexed) = self.ledger_index.get() else { return Ok(None) };
        let reached = indexed.index.catch_up(&|| self.store.snapshot(), BEHIND_MAX)?;
        if reached.entries < reached.size {
            return Ok(None);
        }
        let groups = question.keys(&indexed.index.facet_keys);
        let view = indexed.index.view(&groups, reached.entries, 0).map_err(|error| indexed.refused(&error))?;
        let Some(view) = view else { return Ok(None) };
        Ok(Some(Search::new(view, question, groups, true, before, None)))
    }

    /// The next of them.
    pub(crate) fn next_of(&self, search: &mut Search) -> Result<Option<u64>, VaultError> {
        let indexed = self.indexed()?;
        search.advance().map_err(|error| indexed.refused(&error))
    }

    /// Whether it is a question.
    pub(crate) fn check_question(&self, question: &Question) -> Result<(), VaultError> {
        let refused = |message: String| VaultError::Search(vec![Issue::error(IssueType::Invalid, "", message)]);
        question.check().map_err(|error| refused(error.to_string()))?;
        self.indexed().map(|_| ())
    }

    /// All that answers a question, the oldest first. For who decides who may ask, and has written down that they did.
    pub(crate) fn oldest_first(self: &Arc<Self>, question: &Question) -> Result<LedgerReading, VaultError> {
        self.reading(question, LedgerOrder::OldestFirst, (u64::MAX, None), Vec::new())
    }

    /// What answers a question, from a place on. `at`: the size of the ledger when it was asked first, and the entry with which it goes on.
    fn reading(
        self: &Arc<Self>,
        question: &Question,
        order: LedgerOrder,
        (size, next): (u64, Option<u64>),
        bound: Vec<u8>,
    ) -> Result<LedgerReading, VaultError> {
        let indexed = self.indexed()?;
        let reached = indexed.index.catch_up(&|| self.store.snapshot(), BEHIND_MAX)?;
        if reached.entries < reached.size {
            return Err(VaultError::LedgerIndex("it is being made from the ledger's entries"));
        }
        let groups = question.keys(&indexed.index.facet_keys);
        let view = indexed.index.view(&groups, reached.entries, UNREAD_COUNTED_MAX);
        // Begun anew by somebody else since it was brought up: less than all is no answer.
        let view = view.map_err(|error| indexed.refused(&error))?;
        let view = view.ok_or(VaultError::LedgerIndex("it is being made from the ledger's entries"))?;
        let newest_first = order == LedgerOrder::NewestFirst;
        let search = Search::new(view, question, groups, newest_first, size, next);
        let (inner, question) = (Arc::clone(self), question.clone());
        Ok(LedgerReading { inner, question, search, bound, held: None })
    }

    fn indexed(&self) -> Result<&Indexed, VaultError> {
        self.ledger_index.get().ok_or(VaultError::NotSupported("this store was opened without the ledger's index"))
    }

    /// Stops the thread that keeps it up, and writes what is worth a file.
    pub(crate) fn stop_ledger_index(&self) {
        let Some(indexed) = self.ledger_index.get() else { return };
        indexed.stop.store(true, Ordering::Relaxed);
        let thread = indexed.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of the ledger's index ended early");
            }
        }
        indexed.index.close();
    }
}

/// Keeps the index up to date until it is told to stop or the vault is gone.
fn keep_up(inner: &Weak<Inner>, stop: &AtomicBool) {
    let mut failing = false;
    while !stop.load(Ordering::Relaxed) {
        let Some(inner) = inner.upgrade() else { return };
        if let Ok(indexed) = inner.indexed() {
            let stopped = || stop.load(Ordering::Relaxed);
            let kept = indexed.index.bring_up(&|| inner.store.snapshot(), &mut |_, _| {}, &stopped);
            let failed = kept.err();
            if let Some(error) = failed.as_ref().filter(|_| !failing) {
                tracing::error!(%error, "the ledger's index could not be brought up to date");
            }
            failing = failed.is_some();
        }
        drop(inner);
        std::thread::park_timeout(Duration::from_millis(LOOK_MS));
    }
}
