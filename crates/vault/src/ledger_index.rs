//! The sealed index of the ledger: by whom, of whom, from where and in which session each entry is, so that a question over very many entries
//! opens only those that answer it.
//!
//! ```text
//!  ledger rows ──in order──> tail, in memory ──65,536 entries──> segment ──8 of a size──> one larger segment
//!       │                        │                                  │
//!       └── the tree over them, held against the ledger's head      └── a question joins lists of all of these, then opens entries
//! ```
//!
//! It is derived and never believed about an entry. It is told of nothing: each question first reads what was written since, so that an answer holds all
//! entries that were durable when it was asked. What the files hold is held against the tree: the frontier of the entries that they
//! were made from and the entries after it must give the root of the ledger's head, or all of it is made again. A file that is not what was written is
//! refused, and so is the index: it is made again from the rows, in the background.
//!
//! What it is not: it decides nothing about who may ask ([`crate::ledger_questions`] does), and writes nothing into the ledger.

mod disk;
mod ended;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "measuring")]
mod measure;
mod merge;
mod search;
mod tail;
#[cfg(test)]
mod tests;

use crate::error::VaultError;
pub(crate) use disk::Refused;
use disk::{Disk, Segment};
pub(crate) use search::Search;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tacet_ledger::LedgerKeys;
use tacet_ledger::index::{FacetKeys, Manifest, SegmentInfo};
use tacet_ledger::merkle::Frontier;
use tacet_seal::{EstablishmentKeys, Purpose};
use tacet_store::{Reader, Snapshot, StoreError};
use tacet_types::Rng;
use tail::Tail;

/// Entries in memory before they are written into a segment: some 20 MB, and a fraction of a second of reading after a kill.
pub(crate) const TAIL_ENTRIES: u64 = 65_536;

/// A question that finds more than this many entries not looked at yet does not wait for them.
pub(crate) const BEHIND_MAX: u64 = 4 * TAIL_ENTRIES;

/// Most entries in memory, where the disk takes nothing: beyond, questions wait.
const MEMORY_ENTRIES_MAX: u64 = 16 * TAIL_ENTRIES;

/// Entries in memory at the close for which a segment is written.
const CLOSE_ENTRIES: u64 = 1024;

/// The index.
pub(crate) struct LedgerIndex {
    disk: Disk,
    ledger_keys: LedgerKeys,
    pub(crate) facet_keys: FacetKeys,
    state: Mutex<State>,
    /// Held by whoever writes files.
    writing: Mutex<()>,
    /// Entries in memory before they are written: [`TAIL_ENTRIES`], less in tests.
    tail_entries: u64,
}

struct State {
    segments: Vec<Arc<Segment>>,
    /// The tree over the entries in the segments.
    written: Frontier,
    /// Entries that are being written into a segment, and the tree up to there.
    frozen: Option<(Arc<Tail>, Frontier)>,
    tail: Tail,
    /// The tree over all entries that were looked at.
    frontier: Frontier,
    /// Whether all of them were looked at since the start: then it is not the index that is wrong.
    from_zero: bool,
    /// Counts how often it was begun anew.
    generation: u64,
    /// How many keys of months have ended by what is known here: what they opened is in it no more, or hidden.
    ended: u32,
    /// How many had ended when the files, and what is in memory, were last made without what they opened.
    files_ended: u32,
    /// Entries that have ended and are in files or memory still: no question finds them by what they said.
    hidden: Vec<ended::Span>,
}

impl State {
    fn empty(generation: u64, ended: u32) -> Self {
        Self {
            segments: Vec::new(),
            written: Frontier::new(),
            frozen: None,
            tail: Tail::new(0),
            frontier: Frontier::new(),
            from_zero: true,
            generation,
            ended,
            files_ended: ended,
            hidden: Vec::new(),
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reached {
    /// Entries looked at.
    pub(crate) entries: u64,
    /// Entries in the ledger.
    pub(crate) size: u64,
}

/// Figures of the ledger's index, without personal data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LedgerIndexStatistics {
    /// Entries in its files.
    pub entries_in_files: u64,
    /// Entries in memory.
    pub entries_in_memory: u64,
    /// Files.
    pub segments: usize,
    /// Bytes of the files.
    pub bytes_on_disk: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LedgerIndex {
    /// Opens the index in this directory, or begins one there. What is damaged is begun anew.
    pub(crate) fn open(
        directory: &Path,
        keys: &EstablishmentKeys,
        ledger_keys: LedgerKeys,
        rng: Arc<dyn Rng>,
    ) -> std::io::Result<Self> {
        let disk = Disk::new(directory, keys.id, keys.sealer(Purpose::Index).clone(), rng)?;
        Ok(Self::on(disk, keys, ledger_keys, TAIL_ENTRIES))
    }

    fn on(disk: Disk, keys: &EstablishmentKeys, ledger_keys: LedgerKeys, tail_entries: u64) -> Self {
        let ended = ledger_keys.ended();
        let state = match load(&disk) {
            // Made when more had ended: of what opens again since nothing is in it.
            Ok((manifest, _)) if manifest.ended > ended => State::empty(0, ended),
            Ok((manifest, segments)) => {
                let size = manifest.frontier.size();
                State {
                    segments,
                    written: manifest.frontier.clone(),
                    tail: Tail::new(size),
                    frontier: manifest.frontier,
                    // Without files it begins with the first entry.
                    from_zero: size == 0,
                    // What has ended since is hidden before the first question.
                    ..State::empty(0, manifest.ended)
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the ledger's index is damaged and is made again");
                State::empty(0, ended)
            }
        };
        disk.sweep(&state.segments.iter().map(|segment| &segment.info).collect::<Vec<_>>());
        let facet_keys = FacetKeys::new(keys);
        Self { disk, ledger_keys, facet_keys, state: Mutex::new(state), writing: Mutex::new(()), tail_entries }
    }

    /// Looks at the entries that were written since, up to `max` of them.
    ///
    /// # Errors
    /// The ledger cannot be read, or its rows are not those of its head.
    pub(crate) fn catch_up(
        &self,
        snapshot: &dyn Fn() -> Result<Box<dyn Snapshot>, StoreError>,
        max: u64,
    ) -> Result<Reached, VaultError> {
        let mut state = lock(&self.state);
        // Taken in turn: an earlier one would be shorter than what somebody else has looked at.
        let snapshot = snapshot()?;
        self.hide_ended(&mut state, snapshot.as_ref())?;
        let ended = state.ended;
        let head = tacet_ledger::head(snapshot.as_ref(), &self.ledger_keys)?;
        let (size, root) = head.map_or((0, Frontier::new().root()), |head| (head.size(), head.root()));
        let mut left = max;
        loop {
            left = left.min(MEMORY_ENTRIES_MAX.saturating_sub(state.tail.entries()));
            if state.frontier.size() < size && left == 0 {
                return Ok(Reached { entries: state.frontier.size(), size });
            }
            if state.frontier.size() < size {
                let (from, keys) = (state.frontier.size(), &self.ledger_keys);
                let batch = tail::read(snapshot.as_ref(), keys, &self.facet_keys, from, left.min(size - from))?;
                if batch.entries() > 0 {
                    left = left.saturating_sub(batch.entries() as u64);
                    batch.leaves.iter().for_each(|leaf| state.frontier.append(*leaf));
                    batch.into_tail(&mut state.tail);
                    continue;
                }
            }
            if state.frontier.size() == size && state.frontier.root() == root {
                return Ok(Reached { entries: size, size });
            }
            if state.from_zero {
                return Err(VaultError::Damaged("the entries of its ledger are not those of the ledger's head"));
            }
            tracing::warn!("the ledger's index was made from other entries than there are, and is made again");
            *state = State::empty(state.generation + 1, ended);
        }
    }

    /// Forgets all of it, to be made again.
    pub(crate) fn start_over(&self) {
        let mut state = lock(&self.state);
        *state = State::empty(state.generation + 1, self.ledger_keys.ended());
    }

    /// The same, and nothing of it is left on the disk that opens.
    pub(crate) fn forget(&self) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        self.start_over();
        self.disk.put_manifest(&Manifest { ended: self.ledger_keys.ended(), ..Manifest::default() })?;
        self.disk.sweep(&[]);
        Ok(())
    }

    /// Hides what has ended from every question, at once.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn hide(&self, reader: &dyn Reader) -> Result<(), VaultError> {
        Ok(self.hide_ended(&mut lock(&self.state), reader)?)
    }

    /// Writes the entries in memory into a segment, where there are at least so many. Whether it did.
    fn write_tail(&self, entries_min: u64) -> Result<bool, Refused> {
        let _writing = lock(&self.writing);
        let (tail, frontier, generation) = {
            let mut state = lock(&self.state);
            if state.frozen.is_none() {
                if state.tail.entries() < entries_min.max(1) {
                    return Ok(false);
                }
                let next = Tail::new(state.tail.to);
                let tail = std::mem::replace(&mut state.tail, next);
                state.frozen = Some((Arc::new(tail), state.frontier.clone()));
            }
            let Some((tail, frontier)) = state.frozen.clone() else { return Ok(false) };
            (tail, frontier, state.generation)
        };
        let mut writer = self.disk.writer(tail.from)?;
        for (key, entries) in tail.sorted() {
            entries.into_iter().try_for_each(|entry| writer.push(key, entry))?;
        }
        let segment = Arc::new(writer.finish(tail.to, &tail.marks)?);
        self.put_in_place(generation, &[], segment, Some(frontier))
    }

    /// Puts a segment that was written in the place of those that it was made from, or behind all others. Whether it did: not where the index was begun
    /// anew meanwhile.
    fn put_in_place(
        &self,
        generation: u64,
        merged: &[Arc<Segment>],
        segment: Arc<Segment>,
        written: Option<Frontier>,
    ) -> Result<bool, Refused> {
        let (segments, frontier, ended) = {
            let state = lock(&self.state);
            if state.generation != generation {
                self.disk.remove(&segment.info);
                return Ok(false);
            }
            let goes = |of: &Arc<Segment>| merged.iter().any(|merged| merged.info.id == of.info.id);
            let mut segments = Vec::with_capacity(state.segments.len() + 1);
            for of in &state.segments {
                if !goes(of) {
                    segments.push(Arc::clone(of));
                } else if of.info.from == segment.info.from {
                    segments.push(Arc::clone(&segment));
                }
            }
            if merged.is_empty() {
                segments.push(segment);
            }
            (segments, written.clone().unwrap_or_else(|| state.written.clone()), state.files_ended)
        };
        let infos: Vec<SegmentInfo> = segments.iter().map(|segment| segment.info.clone()).collect();
        let manifest = Manifest { ended, frontier, segments: infos };
        // INVARIANT: a manifest names only files that are whole on the disk, and a file goes only after a manifest without it is there.
        self.disk.put_manifest(&manifest)?;
        let mut state = lock(&self.state);
        if state.generation != generation {
            return Ok(false);
        }
        state.segments = segments;
        state.written = manifest.frontier;
        if written.is_some() {
            state.frozen = None;
        }
        drop(state);
        merged.iter().for_each(|segment| self.disk.remove(&segment.info));
        Ok(true)
    }

    /// Brings it up to date with the ledger, in steps, writing files on the way, until `stop` says so. `progress` is told entries done and all.
    pub(crate) fn bring_up(
        &self,
        snapshot: &dyn Fn() -> Result<Box<dyn Snapshot>, StoreError>,
        progress: &mut dyn FnMut(u64, u64),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), VaultError> {
        loop {
            let reached = self.catch_up(snapshot, self.tail_entries)?;
            progress(reached.entries, reached.size);
            if self.holds_ended() {
                self.forget_ended(snapshot)?;
            }
            self.tidy(stop);
            if reached.entries == reached.size || stop() {
                return Ok(());
            }
        }
    }

    /// Writes what is full and merges what is many. What fails here is tried again later: questions are answered from memory meanwhile.
    fn tidy(&self, stop: &dyn Fn() -> bool) {
        let mut done = self.write_tail(self.tail_entries);
        while let Ok(true) = done
            && !stop()
        {
            done = self.merge();
        }
        if let Err(error) = done {
            tracing::warn!(%error, "the ledger's index could not be written");
        }
    }

    /// Writes what is in memory, where it is worth a file.
    pub(crate) fn close(&self) {
        if let Err(error) = self.write_tail(CLOSE_ENTRIES.min(self.tail_entries)) {
            tracing::warn!(%error, "the ledger's index could not be written: the next start reads some entries again");
        }
    }

    /// Figures.
    pub(crate) fn statistics(&self) -> LedgerIndexStatistics {
        let state = lock(&self.state);
        LedgerIndexStatistics {
            entries_in_files: state.written.size(),
            entries_in_memory: state.frontier.size() - state.written.size(),
            segments: state.segments.len(),
            bytes_on_disk: state.segments.iter().map(|segment| segment.bytes()).sum(),
        }
    }
}

/// What the files hold; nothing where there are none.
fn load(disk: &Disk) -> Result<(Manifest, Vec<Arc<Segment>>), Refused> {
    let manifest = disk.manifest()?.unwrap_or_default();
    let segments =
        manifest.segments.iter().map(|info| disk.segment(info.clone()).map(Arc::new)).collect::<Result<_, _>>()?;
    Ok((manifest, segments))
}
