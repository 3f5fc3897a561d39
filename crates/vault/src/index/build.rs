//! The threads beside the index: one brings it up to date and builds it, one takes over commits whose callers went away.

use super::applying::Rest;
use super::keys::Keys;
use super::{Ends, IndexState, Indexing};
use crate::disclose::Located;
use crate::error::VaultError;
use crate::head::{Head, Method};
use crate::layout::{self, RowKey};
use crate::members::CHUNK_MEMBERS;
use crate::owner::Owner;
use crate::vault::Inner;
use crate::{EventKind, PurposeOfUse};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tacet_ledger::{Agent, Entry, Prepared};
use tacet_seal::Purpose;
use tacet_search::document::Key;
use tacet_search::parameters::Parameters;
use tacet_search::{Change, Empty, Opened, Rebuild};
use tacet_store::{Commit, StoreError, Write};
use tacet_types::{OperationId, RecordRef, ResourceId, ResourceType, Sequence, VersionId};

/// Records taken in at once.
const BATCH_RECORDS: usize = 256;

/// Bytes of sealed records held for one batch.
const BATCH_BYTES: usize = 16 << 20;

/// Head rows fetched at once.
const HEADS_FETCH: usize = 1000;

/// Feed rows fetched at once. Few: the row of a large import takes half a megabyte.
const FEED_FETCH: usize = 32;

/// Most resources of type SearchParameter.
pub(crate) const CUSTOM_PARAMETERS_MAX: usize = 1000;

/// How long it takes until an index that could not be read, and not made anew either, is tried again.
const UNREADABLE_RETRY: Duration = Duration::from_secs(30);

/// Name of the account that the ledger has for work that nobody asked for.
const OWN_ACCOUNT: &str = "tacet";

/// Its role.
const OWN_ROLE: &str = "maintenance";

/// What the building thread is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    /// Make the index anew, with the parameters of now.
    Rebuild,
    /// The SearchParameter resources may have changed.
    Parameters,
    /// The index failed: make it anew where it cannot be used.
    Mend,
    /// Write down how far the index has come.
    Least,
    /// There will be no more.
    Stop,
}

/// The threads; stopped and joined when the last vault goes.
pub(crate) struct Background {
    indexing: Arc<Indexing>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Background {
    pub(crate) fn start(inner: &Arc<Inner>, indexing: &Arc<Indexing>, ends: Ends) -> Result<Self, VaultError> {
        let Ends { rest, jobs, opened, last } = ends;
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            Builder::new().name(name.to_owned()).spawn(work).map_err(|error| VaultError::Unavailable(Box::new(error)))
        };
        let resting = spawn("vault-index-rest", Box::new(move || while rest.recv().is_ok_and(Rest::finish) {}))?;
        let building = spawn("vault-index-build", {
            let work = Building { inner: Arc::clone(inner), indexing: Arc::clone(indexing) };
            Box::new(move || work.run(opened, last, &jobs))
        })?;
        Ok(Self { indexing: Arc::clone(indexing), threads: Mutex::new(vec![resting, building]) })
    }

    /// Lets the threads end: commits under way are taken in, building is broken off.
    pub(crate) fn stop(&self) {
        self.indexing.stop.store(true, Ordering::Relaxed);
        self.indexing.ask(Job::Stop);
        let _ = self.indexing.rest.send(Rest::Stop);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One that panicked has told the log; there is nobody else to tell.
            let _ = thread.join();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
        // Its own thread may be committing and would hold store and files a little longer than whoever opens them next expects.
        // It is an error only where it was closed before; what is not on disk is in the change feed.
        let _ = self.indexing.index.clone().close();
    }
}

/// The building thread's part.
struct Building {
    inner: Arc<Inner>,
    indexing: Arc<Indexing>,
}

/// Where looked-up documents go.
enum Target<'a> {
    /// A new generation.
    Rebuild(&'a mut Rebuild),
    /// The one that is there, as part of this commit.
    Sequence(Sequence),
}

/// Documents looked up and not yet taken in.
#[derive(Default)]
struct Batch {
    changes: Vec<(RowKey, Change)>,
    bytes: usize,
}

impl Building {
    fn run(&self, opened: Opened, last: Sequence, jobs: &Receiver<Job>) {
        match opened {
            // An empty store needs nothing: what comes takes itself in.
            Opened::Empty(why) if last == Sequence(0) && why != Empty::Unreadable => {}
            Opened::At(at) if at >= last => {}
            Opened::At(at) => self.attempt("catching up", |work| work.catch_up(at, last)),
            Opened::Empty(why) => {
                tracing::info!(?why, last = last.0, "the search index is built");
                self.attempt("building", Self::build);
            }
        }
        let unreadable = opened == Opened::Empty(Empty::Unreadable);
        loop {
            let job = if unreadable && self.indexing.state() == IndexState::Failed {
                match jobs.recv_timeout(UNREADABLE_RETRY) {
                    Err(RecvTimeoutError::Timeout) => Ok(Job::Mend),
                    job => job,
                }
            } else {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let Ok(job) = job else { return };
            match job {
                Job::Rebuild => self.attempt("building", Self::build),
                Job::Parameters => {
                    self.parameters();
                    self.indexing.pending.fetch_sub(1, Ordering::SeqCst);
                }
                Job::Mend => self.attempt("building", Self::build),
                Job::Least => {
                    if let Err(error) = self.inner.write_least(&self.indexing) {
                        tracing::warn!(%error, "how far the search index has come was not written down");
                    }
                }
                Job::Stop => return,
            }
        }
    }

    fn attempt(&self, doing: &'static str, work: impl FnOnce(&Self) -> Result<(), VaultError>) {
        match work(self) {
            Ok(()) => self.indexing.set_state(IndexState::Ready),
            Err(_) if self.indexing.stop.load(Ordering::Relaxed) => {}
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(doing, %error, cause, "the search index is not up to date: searches are refused");
                self.indexing.set_state(IndexState::Failed);
            }
        }
    }

    fn stopped(&self) -> Result<(), VaultError> {
        if self.indexing.stop.load(Ordering::Relaxed) {
            return Err(VaultError::Index("the store is being closed"));
        }
        Ok(())
    }

    /// Takes in the commits from after `at` up to `last`. What came later took itself in.
    fn catch_up(&self, at: Sequence, last: Sequence) -> Result<(), VaultError> {
        self.inner.note_own_work(&format!("search index: commits {} to {} are taken in", at.0 + 1, last.0))?;
        let mut keys = Keys::new(&self.inner, &self.indexing.stop);
        let (mut after, all) = (at, last.0 - at.0);
        while after < last {
            let rows = self.inner.store.feed(after, FEED_FETCH)?;
            if rows.is_empty() {
                return Err(VaultError::Damaged("rows of the change feed are missing"));
            }
            for (sequence, sealed) in rows.into_iter().take_while(|(sequence, _)| *sequence <= last) {
                self.stopped()?;
                let set = self.inner.open_change_set(&sealed)?;
                if set.changes.is_empty() {
                    // An erasure that the index was not told of. What it took cannot be named any more: the index is made of what is left.
                    self.indexing.set_state(IndexState::Building { done: 0 });
                    return self.build();
                }
                // A commit is taken in by one call, whatever its size: it was held in memory as a whole when it was made.
                let mut batch = Batch::default();
                for change in set.changes {
                    // Where it is gone, an erasure comes later in the feed; where it is another, a later commit has it.
                    let found = self.inner.locate_row(&change.head)?;
                    if let Some(found) = found.filter(|found| found.record.version == change.version) {
                        self.look_up(change.head, &found, &mut keys, &mut batch)?;
                    }
                }
                self.take_in(&mut batch, &mut Target::Sequence(sequence))?;
                after = sequence;
                self.indexing.set_state(IndexState::CatchingUp { done: after.0 - at.0, all });
            }
        }
        Ok(())
    }

    /// Makes the index anew from the heads, patient by patient, so that each data key is asked for once.
    fn build(&self) -> Result<(), VaultError> {
        self.inner.note_own_work("search index: made anew from every current record")?;
        let mut rebuild = self.indexing.index.rebuild(self.indexing.parameters())?;
        // An older version that is still on its way would come after the newer one that is read from the rows.
        self.indexing.inflight.wait_for_all();
        // What is committed up to here is in the rows that are read from now on.
        let at = self.inner.store.last_sequence();
        let mut keys = Keys::new(&self.inner, &self.indexing.stop);
        let (mut batch, mut orphans, mut done) = (Batch::default(), HashSet::new(), 0);
        let (from, to) = layout::bounds(layout::HEADS);
        let mut from = from.to_vec();
        loop {
            let rows = self.inner.rows(&from, &to, HEADS_FETCH)?;
            let Some((last, _)) = rows.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in &rows {
                self.stopped()?;
                let row: RowKey =
                    key.as_slice().try_into().map_err(|_| VaultError::Damaged("a head row has a wrong key"))?;
                let head = self.inner.open_head(&row, value)?;
                done += 1;
                self.build_from(row, &head, &mut keys, &mut orphans, &mut batch, &mut rebuild)?;
            }
            let state = match self.indexing.state() {
                IndexState::Rebuilding { .. } => IndexState::Rebuilding { done },
                _ => IndexState::Building { done },
            };
            self.indexing.set_state(state);
        }
        self.take_in(&mut batch, &mut Target::Rebuild(&mut rebuild))?;
        rebuild.finish(at)?;
        self.inner.write_least(&self.indexing)
    }

    /// Looks up what a head leads to: for a patient all that is theirs, for what is nobody's itself.
    fn build_from(
        &self,
        row: RowKey,
        head: &Head,
        keys: &mut Keys<'_>,
        orphans: &mut HashSet<ResourceId>,
        batch: &mut Batch,
        rebuild: &mut Rebuild,
    ) -> Result<(), VaultError> {
        let patient = match &head.current.owner {
            Owner::Establishment => {
                if let Some(found) = self.inner.locate_row(&row)? {
                    self.look_up(row, &found, keys, batch)?;
                }
                return self.take_in_if_full(batch, rebuild);
            }
            Owner::Patient(patient) => patient.clone(),
        };
        let theirs = head.record.resource_type.as_str() == "Patient" && head.record.id == patient;
        if !theirs {
            let patient_type = ResourceType::parse("Patient").ok_or(VaultError::NotFound)?;
            let has_head = self.inner.store.reader().get(&self.inner.head_row(patient_type, &patient))?.is_some();
            // Comes, or came, with the patient; where there is only a key of theirs, with the first of their records.
            if has_head || !orphans.insert(patient.clone()) {
                return Ok(());
            }
        }
        let mut seen = HashSet::new();
        for chunk in 0..self.inner.member_count(&patient)?.div_ceil(CHUNK_MEMBERS as u64) {
            for row in self.inner.members_in_chunk(&patient, chunk)? {
                if !seen.insert(row) {
                    continue;
                }
                let Some(found) = self.inner.locate_row(&row)? else { continue };
                // Who is only mentioned in it has it under another's key, and it comes with that one.
                if found.meta.owner == head.current.owner {
                    self.look_up(row, &found, keys, batch)?;
                    self.take_in_if_full(batch, rebuild)?;
                }
            }
        }
        Ok(())
    }

    fn take_in_if_full(&self, batch: &mut Batch, rebuild: &mut Rebuild) -> Result<(), VaultError> {
        if batch.is_full() { self.take_in(batch, &mut Target::Rebuild(rebuild)) } else { Ok(()) }
    }

    /// Makes the document of a located record.
    fn look_up(&self, row: RowKey, found: &Located, keys: &mut Keys<'_>, batch: &mut Batch) -> Result<(), VaultError> {
        let RecordRef { resource_type, id, version } = found.record.clone();
        let document = if found.meta.method == Method::Delete {
            None
        } else {
            let Some(sealer) = keys.of(&found.meta.owner)? else { return Ok(()) };
            Some(self.inner.document_of(&sealer, found, &self.indexing.parameters())?)
        };
        batch.bytes = batch.bytes.saturating_add(found.sealed_bytes());
        batch.changes.push((row, Change { key: Key { resource_type, id }, version, document }));
        Ok(())
    }

    /// Takes in what is still so.
    fn take_in(&self, batch: &mut Batch, target: &mut Target<'_>) -> Result<(), VaultError> {
        let Batch { changes, .. } = std::mem::take(batch);
        let _gate = self.indexing.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut current = Vec::with_capacity(changes.len());
        for (row, change) in changes {
            if self.is_current(&row, change.version)? {
                current.push(change);
            }
        }
        match target {
            Target::Rebuild(rebuild) => rebuild.add(current)?,
            Target::Sequence(sequence) => self.indexing.index.apply(*sequence, current)?,
        }
        Ok(())
    }

    fn is_current(&self, row: &RowKey, version: VersionId) -> Result<bool, VaultError> {
        let Some(value) = self.inner.store.reader().get(row)? else { return Ok(false) };
        Ok(self.inner.open_head(row, &value)?.record.version == version)
    }

    /// Makes the index anew where the SearchParameter resources say other than it was built with.
    fn parameters(&self) {
        let parameters = match self.inner.current_parameters() {
            Ok(parameters) => parameters,
            Err(error) => return self.indexing.failed("reading the search parameters", &error),
        };
        if parameters.fingerprint() == self.indexing.parameters().fingerprint() {
            return;
        }
        // From here on until it is built, the index that is there is told of documents that were made for the other.
        if let Err(error) = self.indexing.index.distrust() {
            return self.indexing.failed("changing the search parameters", &error);
        }
        *self.indexing.parameters.write().unwrap_or_else(PoisonError::into_inner) = parameters;
        // From here on documents are made with the new ones; those that were not are in the index once this is over, and are read
        // again from the rows.
        self.indexing.inflight.wait_for_all();
        if self.indexing.state() == IndexState::Ready {
            self.indexing.set_state(IndexState::Rebuilding { done: 0 });
        }
        self.attempt("building", Self::build);
    }
}

impl Batch {
    fn is_full(&self) -> bool {
        self.changes.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }
}

impl Inner {
    /// Writes down that records are opened for work of the store's own.
    pub(crate) fn note_own_work(&self, detail: &str) -> Result<(), VaultError> {
        let agent = Agent { owner: OWN_ACCOUNT.to_owned(), role: OWN_ROLE.to_owned(), token: None };
        let operation = OperationId::random(self.rng.as_ref());
        let mut entry =
            Entry::new(self.clock.now(), EventKind::Check, agent, PurposeOfUse::SystemAdministration, operation);
        entry.detail = Some(detail.to_owned());
        let item = vec![Prepared::new(&entry)?];
        self.store.submit(Commit { preconditions: Vec::new(), writes: Vec::new(), feed: None, item }).wait()?;
        Ok(())
    }

    /// Puts the index on disk, and writes down how far it goes.
    pub(crate) fn write_least(&self, indexing: &Indexing) -> Result<(), VaultError> {
        let reached = indexing.index.flush()?;
        if !indexing.persistent {
            return Ok(());
        }
        let row = layout::INDEX_LEAST_ROW;
        let value = self.seal_structure(Purpose::State, &row, &reached.0.to_be_bytes())?;
        let write = Write::Put { key: row.to_vec(), value };
        let commit = Commit { preconditions: Vec::new(), writes: vec![write], feed: None, item: Vec::new() };
        match self.store.submit(commit).wait() {
            Ok(_) => Ok(()),
            // Closed or failed meanwhile, or no room: the mark stays as it was, and allows as much as before. The store says so itself.
            Err(StoreError::Closed | StoreError::Failed | StoreError::Full) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All search parameters: those of R4 and what the active SearchParameter resources define.
    pub(crate) fn current_parameters(&self) -> Result<Parameters, VaultError> {
        let rows = self.custom_parameter_rows()?;
        if rows.is_empty() {
            return Ok(Parameters::standard());
        }
        self.note_own_work("search index: the SearchParameter resources are read")?;
        let stop = std::sync::atomic::AtomicBool::new(false);
        let mut keys = Keys::new(self, &stop);
        // In the order of their ids, so that the same resources give the same parameters.
        let mut resources = BTreeMap::new();
        for row in rows {
            let Some(found) = self.locate_row(&row)? else { continue };
            if found.meta.method == Method::Delete {
                continue;
            }
            let Some(sealer) = keys.of(&found.meta.owner)? else { continue };
            let resource = self.value_of(&sealer, &found)?;
            if resource.get_str("status") == Some("active") {
                resources.insert(found.record.id.as_str().to_owned(), resource);
            }
        }
        let resources: Vec<_> = resources.into_values().collect();
        let (parameters, issues) = Parameters::standard().with_custom(&resources);
        if !issues.is_empty() {
            tracing::warn!(refused = issues.len(), "some SearchParameter resources cannot be used");
        }
        Ok(parameters)
    }

    /// The head rows of the SearchParameter resources.
    fn custom_parameter_rows(&self) -> Result<Vec<RowKey>, VaultError> {
        let row = layout::CUSTOM_PARAMETERS_ROW;
        match self.store.reader().get(&row)? {
            Some(value) => decode_rows(&self.open_structure(Purpose::State, &row, &value)?),
            None => Ok(Vec::new()),
        }
    }
}

/// Head rows one after the other.
pub(crate) fn decode_rows(plain: &[u8]) -> Result<Vec<RowKey>, VaultError> {
    let (rows, rest) = plain.as_chunks::<{ size_of::<RowKey>() }>();
    if rest.is_empty() {
        Ok(rows.to_vec())
    } else {
        Err(VaultError::Damaged("the list of search parameters cannot be read"))
    }
}
