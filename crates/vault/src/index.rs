//! The search index as the vault keeps it: told of every commit before its writer is answered, and brought up to date in the
//! background after a start.
//!
//! The index is derived. What it holds is taken from the JSON that is being stored, so that nothing is opened for it; only
//! catching up and building anew open records, under an entry of the ledger, at the keeper's rate.

mod applying;
mod build;
mod keys;

pub(crate) use applying::Applying;
pub(crate) use build::{Background, CUSTOM_PARAMETERS_MAX, decode_rows};
pub(crate) use keys::Keys;

use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::subscriptions::Subscribed;
use crate::vault::{Inner, Vault};
use applying::{Inflight, Rest};
use aws_lc_rs::digest;
use build::Job;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use tacet_seal::Purpose;
use tacet_search::document::Document;
use tacet_search::parameters::Parameters;
use tacet_search::{
    Change, Empty, IndexKey, IndexOptions, IndexStatistics, Marks, Opened, SearchError, SearchIndex, Store,
};
use tacet_types::{ResourceId, ResourceType, Sequence, Timestamp, VersionId};

/// Commits after which the least sequence that the index must have is written down again.
const LEAST_COMMITS: u64 = 10_000;

/// Where the search index is and what it may use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexSettings {
    /// Its directory, nobody else's. None: in memory, made again at each start.
    pub directory: Option<PathBuf>,
    /// Memory for it, in bytes.
    pub memory_bytes_max: usize,
    /// How long a change may stay out of its files, in milliseconds. Searches see it at once all the same, and after a kill it is
    /// taken from the change feed.
    pub commit_interval_ms: u64,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self { directory: None, memory_bytes_max: 512 << 20, commit_interval_ms: 1000 }
    }
}

/// Whether searches are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexState {
    /// They are.
    Ready,
    /// Commits that the index had not on disk at the last stop are taken in; searches wait.
    CatchingUp {
        /// Commits taken in.
        done: u64,
        /// Commits to take in.
        all: u64,
    },
    /// There was no index that could be used, and one is made; searches wait.
    Building {
        /// Resources looked at.
        done: u64,
    },
    /// Another index is made beside this one, which goes on answering.
    Rebuilding {
        /// Resources looked at.
        done: u64,
    },
    /// It could not be brought up to date: the log says why. Everything but searches works.
    Failed,
}

impl IndexState {
    /// Whether searches are answered.
    pub fn answers(self) -> bool {
        matches!(self, Self::Ready | Self::Rebuilding { .. })
    }

    /// Whether nothing is under way that will change this.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Failed)
    }
}

/// The index and what keeps it in step with the store.
pub(crate) struct Indexing {
    pub(crate) index: SearchIndex,
    /// Who is told of commits.
    pub(crate) subscribed: Subscribed,
    /// By which new documents are made. Ahead of the index's own while it is built with others.
    parameters: RwLock<Parameters>,
    state: Mutex<IndexState>,
    changed: Condvar,
    /// Held for reading while a commit is taken in, for writing while the background takes in what it has looked up: so nothing is
    /// taken in that was looked up before and applied after a newer commit.
    gate: RwLock<()>,
    /// Commits between their plan and the index.
    inflight: Inflight,
    /// Of those, commits whose caller has gone away.
    left: Inflight,
    /// Head rows that an erasure is about to take out of the index.
    erasing: Mutex<HashSet<RowKey>>,
    rest: Sender<Rest>,
    jobs: Sender<Job>,
    stop: AtomicBool,
    least: AtomicU64,
    /// Looks at the SearchParameter resources that were asked for and are not done.
    pending: AtomicU64,
    /// Whether it outlives the process.
    persistent: bool,
}

/// Whether a commit changes what can be searched for.
fn concerns_parameters(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.key.resource_type.as_str() == "SearchParameter")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Indexing {
    pub(crate) fn state(&self) -> IndexState {
        *lock(&self.state)
    }

    fn set_state(&self, state: IndexState) {
        *lock(&self.state) = state;
        self.changed.notify_all();
    }

    /// The parameters by which documents are made.
    pub(crate) fn parameters(&self) -> Parameters {
        self.parameters.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the index is built anew with parameters that it does not have yet.
    pub(crate) fn parameters_change(&self) -> bool {
        self.parameters_pending() || self.parameters().fingerprint() != self.index.parameters().fingerprint()
    }

    /// Whether a SearchParameter resource was written whose meaning was not looked at yet.
    pub(crate) fn parameters_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
    }

    /// Takes in what a commit changed. It is durable already, so its writer is not told of a failure here: searches are refused from
    /// then on instead, and the index is built anew.
    fn apply(&self, sequence: Sequence, changes: Vec<Change>) {
        let parameters = concerns_parameters(&changes);
        self.subscribed.take_in(sequence, &changes, || self.parameters());
        {
            let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.index.apply(sequence, changes) {
                self.failed("taking in a commit", &error);
            }
        }
        self.taken_in(sequence, parameters);
    }

    /// As [`Indexing::apply`], for a thread that must not wait. Gives the changes back where that would.
    fn try_apply(&self, sequence: Sequence, changes: Vec<Change>) -> Result<(), Vec<Change>> {
        let parameters = concerns_parameters(&changes);
        {
            let _gate = match self.gate.try_read() {
                Ok(gate) => gate,
                Err(TryLockError::Poisoned(gate)) => gate.into_inner(),
                Err(TryLockError::WouldBlock) => return Err(changes),
            };
            // Told twice of a commit, a subscription passes the second time over.
            self.subscribed.take_in(sequence, &changes, || self.parameters());
            match self.index.try_apply(sequence, changes) {
                Ok(taken) => taken?,
                Err(error) => self.failed("taking in a commit", &error),
            }
        }
        self.taken_in(sequence, parameters);
        Ok(())
    }

    /// What follows once the index has a commit.
    fn taken_in(&self, sequence: Sequence, parameters: bool) {
        if parameters {
            // Seen by every search that begins once the writer was answered.
            self.pending.fetch_add(1, Ordering::SeqCst);
            self.ask(Job::Parameters);
        }
        if sequence.0 >= self.least.load(Ordering::Relaxed).saturating_add(LEAST_COMMITS) {
            self.least.store(sequence.0, Ordering::Relaxed);
            self.ask(Job::Least);
        }
    }

    /// The index does not answer any more.
    pub(crate) fn failed(&self, doing: &'static str, error: &dyn std::error::Error) {
        tracing::error!(doing, %error, "the search index cannot be used");
        self.set_state(IndexState::Failed);
        if !self.stop.load(Ordering::Relaxed) {
            self.ask(Job::Mend);
        }
    }

    fn ask(&self, job: Job) {
        // The other end is gone only when the vault is closed: then nobody searches.
        let _ = self.jobs.send(job);
    }

    /// A place among the commits under way, from before their plan until the index has them.
    pub(crate) fn enter(self: &Arc<Self>) -> applying::Place {
        applying::Place::new(Arc::clone(self))
    }

    /// Ready once there is room for more. Bulk work waits here before it plans, so that what several of them want to store at once does not
    /// stand in memory until the index has taken it in.
    pub(crate) fn room(self: &Arc<Self>) -> applying::Room {
        applying::Room::new(Arc::clone(self))
    }

    /// Waits for the commits that are under way: whatever was acknowledged before is taken in after this.
    pub(crate) fn wait_for_commits(&self) {
        self.inflight.wait_for_all();
    }

    /// Waits for commits whose callers went away before they were answered: they are as good as acknowledged to who searches next.
    pub(crate) fn wait_for_left(&self) {
        self.left.wait_for_all();
    }

    /// Whether a head row was erased so short ago that the index does not know yet.
    pub(crate) fn is_erasing(&self, row: &RowKey) -> bool {
        lock(&self.erasing).contains(row)
    }

    /// Marks rows as about to be erased, until what it gives is dropped.
    pub(crate) fn erasing(self: &Arc<Self>, rows: Vec<RowKey>) -> Erasing {
        lock(&self.erasing).extend(rows.iter().copied());
        Erasing { indexing: Arc::clone(self), rows }
    }

    /// Takes erased resources out of the index and of its files. `sequence` is the erasure's own.
    pub(crate) fn erase(&self, sequence: Sequence, erased: Vec<Change>) -> Result<(), VaultError> {
        // Older versions that are still on their way must be there before, or they would come after.
        self.inflight.wait_for_all();
        {
            let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            self.index.amend(sequence, erased)?;
        }
        self.index.purge()?;
        // Not before nothing of it is left: after a kill on the way, the next start finds the erasure in the feed and makes the index anew.
        self.index.applied(sequence)?;
        self.index.flush()?;
        Ok(())
    }
}

/// Rows that are being erased.
pub(crate) struct Erasing {
    indexing: Arc<Indexing>,
    rows: Vec<RowKey>,
}

impl Drop for Erasing {
    fn drop(&mut self) {
        let mut erasing = lock(&self.indexing.erasing);
        self.rows.iter().for_each(|row| {
            erasing.remove(row);
        });
    }
}

/// What the threads of an index are started with.
pub(crate) struct Ends {
    rest: Receiver<Rest>,
    jobs: Receiver<Job>,
    opened: Opened,
    last: Sequence,
}

impl Inner {
    /// Opens the index beside the store.
    pub(crate) fn open_index(&self, settings: &IndexSettings) -> Result<(Arc<Indexing>, Ends), VaultError> {
        let last = self.store.last_sequence();
        let options = IndexOptions {
            directory: settings.directory.clone(),
            memory_bytes_max: settings.memory_bytes_max,
            commit_interval_ms: settings.commit_interval_ms,
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
        };
        let parameters = self.current_parameters()?;
        let least = self.least_indexed()?;
        let store = Store { last, least };
        let key = IndexKey::of(&self.keys);
        let (index, opened) =
            match SearchIndex::open_with_marks(options.clone(), &key, parameters.clone(), store, self.marks()) {
                Err(error @ SearchError::Locked { .. }) => return Err(error.into()),
                // Everything but searches works without it, so that is no reason not to start.
                Err(error) => {
                    tracing::error!(%error, "the search index cannot be opened: searches wait until another is made");
                    SearchIndex::open_unreadable(options, &key, parameters.clone(), store, self.marks())?
                }
                Ok(opened) => opened,
            };
        let ((rest, rest_end), (jobs, jobs_end)) = (channel(), channel());
        let state = match opened {
            Opened::At(at) if at >= last => IndexState::Ready,
            Opened::At(at) => IndexState::CatchingUp { done: 0, all: last.0.saturating_sub(at.0) },
            Opened::Empty(why) if last == Sequence(0) && why != Empty::Unreadable => IndexState::Ready,
            Opened::Empty(_) => IndexState::Building { done: 0 },
        };
        let indexing = Indexing {
            index,
            subscribed: Subscribed::default(),
            parameters: RwLock::new(parameters),
            state: Mutex::new(state),
            changed: Condvar::new(),
            gate: RwLock::default(),
            inflight: Inflight::default(),
            left: Inflight::default(),
            erasing: Mutex::default(),
            rest,
            jobs,
            stop: AtomicBool::new(false),
            least: AtomicU64::new(last.0),
            pending: AtomicU64::new(0),
            persistent: settings.directory.is_some(),
        };
        Ok((Arc::new(indexing), Ends { rest: rest_end, jobs: jobs_end, opened, last }))
    }

    /// Tells commits apart by their sealed rows in the feed: the same change sealed again is another row.
    fn marks(&self) -> Marks {
        let store = self.store.clone();
        Arc::new(move |sequence| {
            let rows = store.feed(Sequence(sequence.0.checked_sub(1)?), 1).ok()?;
            let (_, row) = rows.into_iter().find(|(at, _)| *at == sequence)?;
            digest::digest(&digest::SHA256, &row).as_ref().first_chunk().copied()
        })
    }

    /// The index, if this vault has one.
    pub(crate) fn indexing(&self) -> Option<&Arc<Indexing>> {
        self.index.get()
    }

    /// The index, if it answers now.
    pub(crate) fn answering(&self) -> Result<&Arc<Indexing>, VaultError> {
        let indexing =
            self.indexing().ok_or(VaultError::NotSupported("this store was opened without a search index"))?;
        match indexing.state() {
            state if state.answers() => Ok(indexing),
            IndexState::Failed => Err(VaultError::Index("it could not be brought up to date")),
            state => Err(VaultError::Indexing(state)),
        }
    }

    /// The least sequence that the index must have.
    fn least_indexed(&self) -> Result<Sequence, VaultError> {
        let row = layout::INDEX_LEAST_ROW;
        let Some(value) = self.store.reader().get(&row)? else { return Ok(Sequence(0)) };
        let plain = self.open_structure(Purpose::State, &row, &value)?;
        let number = plain.as_slice().try_into().map_err(|_| VaultError::Damaged("the index's mark cannot be read"))?;
        Ok(Sequence(u64::from_be_bytes(number)))
    }
}

/// What a plan needs to make documents; holds the commit's place until the index has them.
pub(crate) struct Extractor {
    parameters: Parameters,
    pub(crate) changes: Vec<Change>,
}

impl Extractor {
    pub(crate) fn new(parameters: Parameters) -> Self {
        Self { parameters, changes: Vec::new() }
    }

    /// Notes a new version, from its value in hand.
    pub(crate) fn put(
        &mut self,
        resource: &tacet_fhir::json::Json<'_>,
        resource_type: ResourceType,
        id: &ResourceId,
        version: VersionId,
        at: Timestamp,
    ) {
        let key = tacet_search::document::Key { resource_type, id: id.clone() };
        let document = Document::of(resource, key.clone(), version, at, &self.parameters);
        self.changes.push(Change { key, version, document: Some(document) });
    }

    /// Notes a deletion.
    pub(crate) fn delete(&mut self, resource_type: ResourceType, id: &ResourceId, version: VersionId) {
        let key = tacet_search::document::Key { resource_type, id: id.clone() };
        self.changes.push(Change { key, version, document: None });
    }
}

impl Vault {
    /// Whether searches are answered. None: the vault was opened without an index.
    pub fn index_state(&self) -> Option<IndexState> {
        self.0.indexing().map(|indexing| indexing.state())
    }

    /// Figures of the index.
    pub fn index_statistics(&self) -> Option<IndexStatistics> {
        self.0.indexing().map(|indexing| indexing.index.statistics())
    }

    /// Makes the index anew in the background; it goes on answering meanwhile, if it did.
    pub fn rebuild_index(&self) -> Result<(), VaultError> {
        let indexing =
            self.0.indexing().ok_or(VaultError::NotSupported("this store was opened without a search index"))?;
        let begun = match indexing.state() {
            IndexState::Ready => IndexState::Rebuilding { done: 0 },
            IndexState::Failed => IndexState::Building { done: 0 },
            _ => return Err(VaultError::Indexing(indexing.state())),
        };
        indexing.set_state(begun);
        indexing.ask(Job::Rebuild);
        Ok(())
    }

    /// Blocks until the index is up to date or has failed; tells `progress` on the way.
    pub fn wait_for_index(&self, progress: &mut dyn FnMut(IndexState)) -> Option<IndexState> {
        let indexing = self.0.indexing()?;
        let mut state = lock(&indexing.state);
        loop {
            let now = *state;
            if now.is_settled() {
                return Some(now);
            }
            drop(state);
            progress(now);
            state = lock(&indexing.state);
            if *state == now {
                state = indexing.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
