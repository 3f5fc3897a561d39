//! A restore on its way: keys, logs, then the base piece by piece, in an order that can change while it runs. It goes on where it stopped.

use super::base::Base;
use super::chain::{Chain, READERS, in_order};
use super::filling::{Filled, FillingEngine};
use super::keys::{KeyCopy, rows_of};
use super::source::SegmentBase;
use crate::classes::{Class, class_of};
use crate::error::BackupError;
use crate::manifest::SegmentInfo;
use crate::target::Target;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tacet_store::{Engine, Mark, Reader, StoreError, Write, settle};

/// Notes beside the rows of how far it is.
const NOTE_SNAPSHOT: &str = "snapshot";
const NOTE_LOGS: &str = "logs";

/// The space in which each entry of the ledger has one row, which stays.
const LEDGER_ENTRIES: u8 = 0x10;

/// The spaces that are written to while a store is served from that is not all here: entries of the ledger and what belongs to it, sessions and
/// accounts, places of the index and of subscriptions; and what is known of care, of which what is over is let go.
const WRITTEN_WHILE_FILLING: [u8; 10] = [0x06, 0x09, 0x0c, 0x0d, 0x0e, 0x10, 0x11, 0x12, 0x13, 0x14];

/// Segments of logs fetched at a time.
const LOGS_AT_A_TIME: usize = 2 * READERS;

/// Pieces fetched at a time. More are not faster: one disk takes them in.
const FILLERS: usize = 4;

/// How often a piece that cannot be read now is tried, and how long it is waited before the first further try; then twice as long each time.
const TRIES: u32 = 6;
const RETRY: Duration = Duration::from_millis(250);

/// Rows of a space: how many there should be, as far as the manifests say, and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// First byte of their keys.
    pub space: u8,
    /// What the manifests say; none where logs changed rows of the space, so that no manifest says how many there are after them.
    pub expected: Option<u64>,
    /// What is there.
    pub found: u64,
}

impl Counted {
    /// Whether both say the same, where both say something.
    pub fn agrees(&self) -> bool {
        self.expected.is_none_or(|expected| expected == self.found)
    }
}

/// How far the logs are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogsDone {
    /// Segments taken in.
    pub done: u64,
    /// Segments in all.
    pub all: u64,
}

/// A state of a backup that is being brought into an engine.
pub struct Restoring {
    engine: FillingEngine,
    base: Arc<SegmentBase>,
    chain: Chain,
    target: Arc<dyn Target>,
}

impl Restoring {
    /// Begins to fill `local` with the chain's state and these keys, or goes on.
    ///
    /// # Errors
    /// `local` was begun with another snapshot, or holds a store of its own.
    pub fn begin(
        local: Arc<dyn Engine>,
        target: Arc<dyn Target>,
        chain: Chain,
        keys: &KeyCopy,
    ) -> Result<Self, BackupError> {
        let base = chain.base().ok_or_else(|| BackupError::NoSnapshot("of that chain".to_owned()))?;
        let base = Arc::new(SegmentBase::new(Arc::clone(&target), base.segments.clone()));
        let mut used = false;
        local.range(&[0], &[0xff; 33], &mut |_, _| {
            used = true;
            ControlFlow::Break(())
        })?;
        let engine = FillingEngine::open(local, Arc::clone(&base) as Arc<dyn Base>)?;
        if !engine.is_full() {
            let begun = engine.note(NOTE_SNAPSHOT)?;
            if begun.as_ref().map_or(used, |begun| *begun != chain.wanted.sha256) {
                return Err(BackupError::Settings(
                    "the directory holds something else already: give an empty one, or go on with the snapshot with which it was begun"
                        .to_owned(),
                ));
            }
            // The keys each time: what was erased since it was begun stays erased.
            let writes: Vec<Write> =
                keys.rows.iter().map(|(key, value)| Write::put(key.clone(), value.clone())).collect();
            engine.write_noting(&writes, NOTE_SNAPSHOT, &chain.wanted.sha256)?;
        }
        Ok(Self { engine, base, chain, target })
    }

    /// The engine, which can be read from once [`Restoring::take_logs`] is through.
    pub fn engine(&self) -> &FillingEngine {
        &self.engine
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Takes in the logs, oldest first, and settles the store at the snapshot's mark. Does nothing the second time.
    ///
    /// # Errors
    /// A segment cannot be read or is not what was written; then it goes on from there the next time.
    pub fn take_logs(&self, progress: &mut dyn FnMut(LogsDone)) -> Result<(), BackupError> {
        if self.engine.is_full() {
            return Ok(());
        }
        let segments: Vec<&SegmentInfo> = self.chain.logs().iter().flat_map(|log| &log.segments).collect();
        let done = self.engine.note(NOTE_LOGS)?.and_then(|note| note.try_into().ok()).map_or(0, u64::from_be_bytes);
        let mut done = usize::try_from(done).unwrap_or(usize::MAX).min(segments.len());
        let all = segments.len() as u64;
        progress(LogsDone { done: done as u64, all });
        while let Some(next) = segments.get(done..).filter(|rest| !rest.is_empty()) {
            let next = next.get(..LOGS_AT_A_TIME).unwrap_or(next);
            let read = in_order(next.len(), |place| match next.get(place) {
                Some(segment) => patiently(|| rows_of(self.target.as_ref(), segment)),
                None => Ok(Vec::new()),
            })?;
            for (segment, rows) in next.iter().zip(read) {
                let mut writes = Vec::with_capacity(rows.len());
                for row in rows {
                    if row.key.first().and_then(|space| class_of(*space)) != Some(Class::Content) {
                        return Err(BackupError::damaged(&segment.object, "it has rows that do not belong there"));
                    }
                    writes.push(match row.value {
                        Some(value) => Write::put(row.key, value),
                        None => Write::delete(row.key),
                    });
                }
                done += 1;
                self.engine.write_noting(&writes, NOTE_LOGS, &(done as u64).to_be_bytes())?;
            }
            progress(LogsDone { done: done as u64, all });
        }
        self.engine.flush()?;
        if let Some(last) = self.chain.last()
            && self.engine.witness().read()?.is_none()
        {
            settle(&self.engine, &Mark::from(last.to))?;
        }
        Ok(())
    }

    /// Takes in everything of these spaces, before anything else.
    ///
    /// # Errors
    /// As [`Restoring::fill`].
    pub fn fill_spaces(&self, spaces: &[u8], progress: &(dyn Fn(Filled) + Sync)) -> Result<(), BackupError> {
        let mut pieces: Vec<usize> = spaces
            .iter()
            .flat_map(|space| self.engine.missing_between(&[*space], &[space.saturating_add(1)]))
            .collect();
        pieces.sort_unstable();
        pieces.dedup();
        self.fill_pieces(&pieces, &AtomicBool::new(false), progress)
    }

    /// Takes in everything that is missing, and what was asked for meanwhile first. False: it was told to stop.
    ///
    /// # Errors
    /// A piece cannot be read for long, or is not what was written; what was taken in stays.
    pub fn fill(&self, stop: &AtomicBool, progress: &(dyn Fn(Filled) + Sync)) -> Result<bool, BackupError> {
        let pieces = self.engine.missing_between(&[], &[0xff; 33]);
        self.fill_pieces(&pieces, stop, progress)?;
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        Ok(self.engine.finish()?)
    }

    fn fill_pieces(
        &self,
        pieces: &[usize],
        stop: &AtomicBool,
        progress: &(dyn Fn(Filled) + Sync),
    ) -> Result<(), BackupError> {
        let next = AtomicUsize::new(0);
        let failed = std::sync::Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..FILLERS.min(pieces.len()) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(piece) = pieces.get(place) else { return };
                        let filled = patiently(|| {
                            self.engine.fill_wanted()?;
                            self.engine.fill_piece(*piece).map_err(of_source)
                        });
                        if let Err(error) = filled {
                            next.store(pieces.len(), Ordering::Relaxed);
                            *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                            return;
                        }
                        progress(self.engine.filled());
                    }
                });
            }
        });
        match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Counts the rows of every space and holds them against the manifests. Only when everything is here, and before records change.
    ///
    /// # Errors
    /// The engine cannot be read.
    pub fn count(&self) -> Result<Vec<Counted>, BackupError> {
        let mut found = BTreeMap::<u8, u64>::new();
        self.engine.range(&[0x01], &[0xff; 33], &mut |key, _| {
            *found.entry(key.first().copied().unwrap_or_default()).or_default() += 1;
            ControlFlow::Continue(())
        })?;
        let (Some(base), Some(last)) = (self.chain.base(), self.chain.last()) else { return Ok(Vec::new()) };
        let mut expected: BTreeMap<u8, Option<u64>> =
            base.rows.iter().map(|rows| (rows.space, Some(rows.puts))).collect();
        for rows in self.chain.logs().iter().flat_map(|log| &log.rows) {
            expected.insert(rows.space, None);
        }
        if let Some(ledger) = last.ledger {
            expected.insert(LEDGER_ENTRIES, Some(ledger.entries));
        }
        // Served from while it came: what may be written then has changed since.
        let written = self.engine.witness().read()?.is_some_and(|(mark, _)| mark != Mark::from(last.to));
        if written {
            expected
                .iter_mut()
                .filter(|(space, _)| WRITTEN_WHILE_FILLING.contains(space))
                .for_each(|(_, rows)| *rows = None);
        }
        let spaces: std::collections::BTreeSet<u8> = found.keys().chain(expected.keys()).copied().collect();
        let counted = |space: u8| Counted {
            space,
            expected: match class_of(space) {
                Some(Class::Content) if written && WRITTEN_WHILE_FILLING.contains(&space) => None,
                Some(Class::Content) => expected.get(&space).copied().unwrap_or(Some(0)),
                Some(Class::Local) if written => None,
                Some(Class::Key) => None,
                Some(Class::Local) | None => Some(0),
            },
            found: found.get(&space).copied().unwrap_or(0),
        };
        Ok(spaces.into_iter().map(counted).collect())
    }

    /// How much is here.
    pub fn filled(&self) -> Filled {
        self.engine.filled()
    }

    /// The pieces of the base.
    pub fn pieces(&self) -> usize {
        self.base.pieces().len()
    }
}

/// An error of the source, as it was before it went through the engine.
fn of_source(error: StoreError) -> BackupError {
    match error {
        StoreError::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<BackupError>()) => {
            let inner = error.into_inner().and_then(|inner| inner.downcast::<BackupError>().ok());
            inner.map_or_else(|| BackupError::Settings("the source failed".to_owned()), |inner| *inner)
        }
        other => other.into(),
    }
}

/// Tries again while that can help. What is damaged is damaged the next time too.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, BackupError>) -> Result<T, BackupError> {
    let mut wait = RETRY;
    for _ in 1..TRIES {
        match attempt() {
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "the backup target is tried again");
                std::thread::sleep(wait);
                wait = wait.saturating_mul(2);
            }
            other => return other,
        }
    }
    attempt()
}
