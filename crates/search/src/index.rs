//! The search index as the vault uses it: told of every change, it answers which resources a filter means.
//!
//! Changes are visible to every search that begins after [`SearchIndex::apply`] returned. What a search finds is keys: it discloses
//! nothing by itself.

mod committer;
mod evaluate;
mod generation;
mod key;
mod open;
mod overlay;
mod page;
mod payload;
mod plain;
mod purge;
mod rebuild;
mod replace;
#[cfg(test)]
mod tests;
mod types;
mod watermark;
mod writer;

pub use key::{IndexKey, Order};
pub use page::{Hits, PAGE_COUNT_MAX, Page, Position, SORT_KEYS_MAX, SORT_TEXT_BYTES_MAX, SortValue};
pub use rebuild::Rebuild;
pub use types::{Change, Empty, IndexOptions, IndexStatistics, Marks, Opened, Store};

use crate::document::Key;
use crate::error::SearchError;
use crate::filter::Filter;
use crate::parameters::Parameters;
use crate::sealed::{Disk, Latch, LockedDirectory, Pointer};
use committer::Signal;
use generation::{Counts, Generation, Told};
use open::{Beginning, Workshop};
use rebuild::Building;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tacet_fhir::search::ParameterId;
use tacet_types::Sequence;

/// Uncommitted resources from which a commit is made at once. Every search looks at each of them: half a microsecond or so.
const ENTRIES_COMMIT: usize = 2048;

/// The same while nobody searches: a large commit costs less for each resource, and makes fewer segments that must be merged. The first
/// search pays for it once, with some milliseconds, and has a commit made.
const ENTRIES_COMMIT_UNWATCHED: usize = if cfg!(test) { ENTRIES_COMMIT } else { 8 * ENTRIES_COMMIT };

/// Uncommitted resources from which [`SearchIndex::apply`] waits until some are committed.
const ENTRIES_MAX: usize = 4 * ENTRIES_COMMIT_UNWATCHED;

/// How often purging begins again because a rebuild has finished meanwhile.
const PURGES_MAX: usize = 8;

/// A search index. Cheap to clone: all clones are the same index.
#[derive(Clone)]
pub struct SearchIndex(Arc<Inner>);

struct Inner {
    workshop: Workshop,
    /// The store's last sequence when the index was opened.
    last: Sequence,
    slots: Mutex<Slots>,
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// What earlier generations refused.
    refusals: AtomicU64,
    closed: AtomicBool,
}

/// The generations.
struct Slots {
    current: Arc<Generation>,
    path: Option<PathBuf>,
    building: Option<Arc<Building>>,
    lock: Option<LockedDirectory>,
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generations(&self) -> (Arc<Generation>, Option<Arc<Building>>) {
        let slots = self.slots();
        (Arc::clone(&slots.current), slots.building.clone())
    }

    fn current(&self) -> Result<Arc<Generation>, SearchError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(SearchError::Closed);
        }
        Ok(Arc::clone(&self.slots().current))
    }

    /// The generation in use, if it holds enough to answer.
    fn answering(&self) -> Result<Arc<Generation>, SearchError> {
        let generation = self.current()?;
        if generation.latch.is_closed() {
            return Err(generation.latch.error());
        }
        let (Sequence(at), Sequence(last)) = (generation.sequences().0, self.last);
        if at < last { Err(SearchError::NotReady { at, last }) } else { Ok(generation) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.signal.stop();
    }
}

impl SearchIndex {
    /// Opens the index, or makes an empty one. Feed it what [`Opened`] says is missing; until then searches are refused.
    ///
    /// # Errors
    /// [`SearchError::Locked`] if another process has it open, [`SearchError::Io`] if the disk fails. An index that is damaged or from
    /// another time is no error: it comes back empty.
    pub fn open(
        options: IndexOptions,
        key: &IndexKey,
        parameters: Parameters,
        store: Store,
    ) -> Result<(Self, Opened), SearchError> {
        Self::open_on(Disk::default(), options, key, parameters, store, None)
    }

    /// As [`SearchIndex::open`], for a store whose commits can be told apart: an index that was fed by a store which was taken back to an
    /// earlier time since and has gone another way comes back empty.
    ///
    /// # Errors
    /// As [`SearchIndex::open`].
    pub fn open_with_marks(
        options: IndexOptions,
        key: &IndexKey,
        parameters: Parameters,
        store: Store,
        marks: Marks,
    ) -> Result<(Self, Opened), SearchError> {
        Self::open_on(Disk::default(), options, key, parameters, store, Some(marks))
    }

    /// An index in the place of one that could not be opened because its directory cannot be read now: it answers no search, takes what it
    /// is told, and touches nothing in the directory before [`SearchIndex::rebuild`], which makes another there.
    ///
    /// # Errors
    /// [`SearchError::Engine`] if there is no memory for it.
    pub fn open_unreadable(
        options: IndexOptions,
        key: &IndexKey,
        parameters: Parameters,
        store: Store,
        marks: Marks,
    ) -> Result<(Self, Opened), SearchError> {
        let interval_ms = options.commit_interval_ms;
        let workshop = Workshop::new(options, key.clone(), Disk::default(), Some(marks));
        let beginning = open::without_files(&workshop, parameters)?;
        Self::begin(workshop, beginning, store, interval_ms)
    }

    fn open_on(
        disk: Disk,
        options: IndexOptions,
        key: &IndexKey,
        parameters: Parameters,
        store: Store,
        marks: Option<Marks>,
    ) -> Result<(Self, Opened), SearchError> {
        let interval_ms = options.commit_interval_ms;
        let workshop = Workshop::new(options, key.clone(), disk, marks);
        let beginning = open::open(&workshop, parameters, store)?;
        Self::begin(workshop, beginning, store, interval_ms)
    }

    fn begin(
        workshop: Workshop,
        beginning: Beginning,
        store: Store,
        interval_ms: u64,
    ) -> Result<(Self, Opened), SearchError> {
        let Beginning { generation, path, opened, lock } = beginning;
        let signal = Arc::new(Signal::default());
        let inner = Arc::new(Inner {
            workshop,
            last: store.last,
            slots: Mutex::new(Slots { current: Arc::new(generation), path, building: None, lock }),
            signal: Arc::clone(&signal),
            thread: Mutex::default(),
            refusals: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let thread = committer::start(&inner, signal, interval_ms)?;
        *inner.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok((Self(inner), opened))
    }

    /// Takes in the changes of one commit of the store, all of them in one call. Every search that begins after it returned sees them.
    /// Commits may come in any order and again: of a resource the later commit wins, and a commit that was applied is passed over.
    /// Waits while too much is not committed yet: up to some hundred milliseconds of writing, so not for a thread that others need.
    pub fn apply(&self, sequence: Sequence, changes: Vec<Change>) -> Result<(), SearchError> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(SearchError::Closed);
        }
        let (current, building) = self.0.generations();
        self.apply_to(
            &current,
            building.as_ref(),
            Told { commit: sequence, counts: Counts::Yes, patient: true },
            changes,
        );
        Ok(())
    }

    /// As [`SearchIndex::apply`], for a thread that must not wait: where that would, because too much is not committed yet, it gives the
    /// changes back and has some committed. Callers at the same time may each go past the bound by one commit of theirs.
    ///
    /// # Errors
    /// [`SearchError::Closed`].
    pub fn try_apply(&self, sequence: Sequence, changes: Vec<Change>) -> Result<Result<(), Vec<Change>>, SearchError> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(SearchError::Closed);
        }
        let (current, building) = self.0.generations();
        if current.would_wait() || building.as_ref().is_some_and(|building| building.generation.would_wait()) {
            self.0.signal.wake();
            return Ok(Err(changes));
        }
        let told = Told { commit: sequence, counts: Counts::Yes, patient: false };
        self.apply_to(&current, building.as_ref(), told, changes);
        Ok(Ok(()))
    }

    /// Waits until [`SearchIndex::apply`] would not: until enough is committed, or the index takes nothing any more.
    pub fn wait_for_room(&self) {
        let (current, building) = self.0.generations();
        let wake = || self.0.signal.wake();
        for generation in building.iter().map(|building| &building.generation).chain([&current]) {
            generation.wait_for_room(wake);
        }
    }

    /// Whether a call of [`SearchIndex::apply`] would wait now. Then somebody commits soon.
    pub fn would_wait(&self) -> bool {
        let (current, building) = self.0.generations();
        let waits = current.would_wait() || building.as_ref().is_some_and(|building| building.generation.would_wait());
        if waits {
            self.0.signal.wake();
        }
        waits
    }

    /// Takes in changes of a commit that is not done with them: how far the index is does not move. Call [`SearchIndex::applied`] once the
    /// rest is done, too. Of a resource the later commit wins here as well.
    pub fn amend(&self, sequence: Sequence, changes: Vec<Change>) -> Result<(), SearchError> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(SearchError::Closed);
        }
        let (current, building) = self.0.generations();
        self.apply_to(
            &current,
            building.as_ref(),
            Told { commit: sequence, counts: Counts::No, patient: true },
            changes,
        );
        Ok(())
    }

    /// As [`SearchIndex::apply`], for documents made with these parameters: those that [`SearchIndex::parameters_for_changes`] gave.
    ///
    /// # Errors
    /// [`SearchError::OtherParameters`] if a rebuild with others began meanwhile: make the documents again and repeat the call.
    pub fn apply_made_with(
        &self,
        sequence: Sequence,
        changes: Vec<Change>,
        made_with: &Parameters,
    ) -> Result<(), SearchError> {
        self.0.current()?;
        let (current, building) = self.0.generations();
        let newest = building.as_ref().map_or(&current.parameters, |building| &building.generation.parameters);
        if newest.fingerprint() != made_with.fingerprint() {
            return Err(SearchError::OtherParameters);
        }
        self.apply_to(
            &current,
            building.as_ref(),
            Told { commit: sequence, counts: Counts::Yes, patient: true },
            changes,
        );
        Ok(())
    }

    fn apply_to(&self, current: &Generation, building: Option<&Arc<Building>>, told: Told, changes: Vec<Change>) {
        let wake = || self.0.signal.wake();
        let mut full = false;
        if let Some(building) = building {
            full |= building.apply(told, changes.clone(), wake);
        }
        full |= current.apply(told, changes, wake);
        if full {
            wake();
        }
    }

    /// A commit of the store that changed nothing to search for.
    pub fn applied(&self, sequence: Sequence) -> Result<(), SearchError> {
        self.apply(sequence, Vec::new())
    }

    /// Puts everything that was applied on disk. Gives up to where it is held there without a gap.
    pub fn flush(&self) -> Result<Sequence, SearchError> {
        self.0.current()?.commit()
    }

    /// After changes without a document: commits, and rewrites the files so that none holds a value of what was deleted. Takes as long as
    /// writing the segments concerned; searches and changes go on meanwhile.
    pub fn purge(&self) -> Result<(), SearchError> {
        for _ in 0..PURGES_MAX {
            self.0.current()?;
            let (current, building) = self.0.generations();
            let purge = |generation: &Generation| generation.commit().and_then(|_| purge::purge(generation));
            let outcome = purge(&current);
            // One that is being built may have taken in what was deleted since.
            let of_building = building.as_ref().map_or(Ok(()), |building| purge(&building.generation));
            // Another may have come into use meanwhile, or have been given up. One begun after the call never held what was deleted before.
            let (current_now, building_now) = self.0.generations();
            let is_building = |generation: &Arc<Generation>| {
                building.as_ref().is_some_and(|it| Arc::ptr_eq(&it.generation, generation))
            };
            if is_building(&current_now) {
                return of_building;
            }
            if Arc::ptr_eq(&current_now, &current) {
                let still = building_now.is_some_and(|now| is_building(&now.generation));
                return outcome.and(if still { of_building } else { Ok(()) });
            }
        }
        Err(SearchError::Engine("purging"))
    }

    /// Begins a new generation beside this one, which goes on answering if it can. Take the snapshot of the store from which it is fed
    /// after this returned, and after commits that were under way by then were applied; changes applied meanwhile go to both.
    ///
    /// # Errors
    /// [`SearchError::Rebuilding`] if another is being made.
    pub fn rebuild(&self, parameters: Parameters) -> Result<Rebuild, SearchError> {
        self.0.current()?;
        let mut slots = self.0.slots();
        if slots.building.is_some() {
            return Err(SearchError::Rebuilding);
        }
        if let (None, Some(root)) = (&slots.lock, &self.0.workshop.options.directory) {
            // Begun without the directory, which could not be read then.
            slots.lock = Some(LockedDirectory::open(&self.0.workshop.disk, root)?);
        }
        let (generation, place) = self.0.workshop.create(parameters)?;
        let building = Arc::new(Building::new(generation, place));
        slots.building = Some(Arc::clone(&building));
        Ok(Rebuild::new(self.clone(), building))
    }

    /// The files are not to be used by another opening: it will be empty. For changes that are made with other parameters than the
    /// generation in use has, until the one that is built with them has taken its place.
    pub fn distrust(&self) -> Result<(), SearchError> {
        self.0.current()?;
        match &self.0.workshop.options.directory {
            Some(root) => Ok(Pointer::remove(&self.0.workshop.disk, root)?),
            None => Ok(()),
        }
    }

    /// Which resources the filter means, and in what order.
    ///
    /// # Errors
    /// [`SearchError::NotReady`] until the index holds what the store held when it was opened, [`SearchError::Damaged`] from the moment
    /// that a file was refused until a [`SearchIndex::rebuild`] has finished, [`SearchError::Behind`] once changes were lost because the disk
    /// took nothing, [`SearchError::Io`] where a file cannot be read just now, [`SearchError::TooCostly`] beyond a bound.
    pub fn search(&self, filter: &Filter, page: &Page) -> Result<Hits, SearchError> {
        self.ask(|view| evaluate::search(view, filter, page))
    }

    /// As [`SearchIndex::search`], for a filter that was compiled with the parameters that have this fingerprint: with others it could
    /// mean something else.
    ///
    /// # Errors
    /// As [`SearchIndex::search`]; [`SearchError::OtherParameters`] if an index with other parameters took the place of the one before
    /// meanwhile: compile the filter again.
    pub fn search_made_with(&self, filter: &Filter, page: &Page, made_with: &[u8; 16]) -> Result<Hits, SearchError> {
        self.ask(|view| {
            if view.parameters.fingerprint() != *made_with {
                return Err(SearchError::OtherParameters);
            }
            evaluate::search(view, filter, page)
        })
    }

    /// The resources of this store that a resource refers to, by one parameter or by any.
    pub fn references(&self, key: &Key, parameter: Option<ParameterId>) -> Result<Vec<Key>, SearchError> {
        self.ask(|view| evaluate::references(view, key, parameter))
    }

    /// Answers from one moment of the index, and believes no answer that was given while a file was refused.
    fn ask<T>(&self, answer: impl Fn(&generation::View) -> Result<T, SearchError>) -> Result<T, SearchError> {
        loop {
            let generation = self.0.answering()?;
            if generation.note_search() {
                self.0.signal.wake();
            }
            let reads_failed = generation.latch.reads_failed();
            // The library panics where it finds what it did not write.
            let answered = catch_unwind(AssertUnwindSafe(|| answer(&generation.view()?)));
            if generation.latch.reads_failed() > reads_failed && !generation.latch.is_closed() {
                // Whatever was answered may lack what could not be read.
                return Err(Latch::trouble());
            }
            if answered.is_err() {
                generation.latch.close();
            }
            if !generation.latch.is_closed() {
                return answered.unwrap_or(Err(SearchError::Damaged));
            }
            // The files of a generation go when another comes into use: then it is no fault that one was missing.
            if Arc::ptr_eq(&self.0.current()?, &generation) {
                return Err(generation.latch.error());
            }
        }
    }

    /// The search parameters to make documents with: those of the rebuild that goes on, or else those in use. A rebuild's parameters
    /// have all that those in use have, so that both generations can take the same documents.
    pub fn parameters_for_changes(&self) -> Parameters {
        let (current, building) = self.0.generations();
        building.map_or_else(|| current.parameters.clone(), |building| building.generation.parameters.clone())
    }

    /// The search parameters that it is built with.
    pub fn parameters(&self) -> Parameters {
        self.0.slots().current.parameters.clone()
    }

    /// Figures.
    pub fn statistics(&self) -> IndexStatistics {
        let (current, building) = self.0.generations();
        let (applied, committed) = current.sequences();
        let path = self.0.slots().path.clone();
        let overlay = current.overlay_size();
        IndexStatistics {
            documents: current.documents(),
            deleted_documents: current.deleted_documents(),
            disk_bytes: path.map_or(0, |path| crate::sealed::bytes_below(&path)),
            overlay_documents: overlay.0,
            memory_bytes: overlay.1
                + self.0.workshop.cache.bytes()
                + self.0.workshop.whole_bytes.load(Ordering::Relaxed),
            applied,
            committed,
            refusals: self.0.refusals.load(Ordering::SeqCst) + current.latch.refusals(),
            ready: self.0.answering().is_ok(),
            damaged: current.latch.is_closed(),
            rebuilding: building.is_some(),
        }
    }

    /// Commits and lets go of the files. Every later call on any clone is refused.
    pub fn close(self) -> Result<(), SearchError> {
        if self.0.closed.swap(true, Ordering::SeqCst) {
            return Err(SearchError::Closed);
        }
        self.0.signal.stop();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread that commits the search index had failed");
        }
        let (current, building) = self.0.generations();
        let committed = if current.latch.is_closed() { Ok(()) } else { current.commit().map(|_| ()) };
        current.stop();
        if let Some(building) = building {
            self.give_up(&building);
        }
        self.0.slots().lock = None;
        committed
    }
}
