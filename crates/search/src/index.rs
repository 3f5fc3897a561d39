//! The search index as the vault uses it: told of every change, it answers which resources a filter means.
//!
//! Changes are visible to every search that begins after [`SearchIndex::apply`] returned. What a search finds is keys: it discloses
//! nothing by itself.

mod key;
mod page;
mod plain;

pub use key::{IndexKey, Order};
pub use page::{Hits, PAGE_COUNT_MAX, Page, Position, SORT_KEYS_MAX, SORT_TEXT_BYTES_MAX, SortValue};

use crate::document::{Document, Key, Value};
use crate::error::SearchError;
use crate::filter::Filter;
use crate::matcher::{self, World};
use crate::parameters::Parameters;
use crate::request::Total;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use tacet_fhir::search::ParameterId;
use tacet_types::{Clock, Rng, Sequence, VersionId};

/// Where the index lives and what it may use.
#[derive(Clone)]
pub struct IndexOptions {
    /// The directory, made if it is not there, and nobody else's. None: in memory only, gone when it is dropped.
    pub directory: Option<PathBuf>,
    /// Bytes of memory for the writer, the overlay and the caches together, as far as they are bounded: what is held of each
    /// segment (term dictionaries) comes on top and is in the statistics.
    pub memory_bytes_max: usize,
    /// How long a change may stay uncommitted, in milliseconds.
    pub commit_interval_ms: u64,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness fit for keys.
    pub rng: Arc<dyn Rng>,
}

impl fmt::Debug for IndexOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, memory_bytes_max, commit_interval_ms, .. } = self;
        write!(f, "IndexOptions({directory:?}, {memory_bytes_max} bytes, {commit_interval_ms} ms)")
    }
}

/// What the store says of itself when the index is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Store {
    /// Its last sequence. The index answers once it holds everything up to here.
    pub last: Sequence,
    /// The index held everything up to here once: an index that holds less was rolled back.
    pub least: Sequence,
}

/// In what state an index was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// It holds all changes up to here: apply those after.
    At(Sequence),
    /// It holds nothing: apply everything, or use [`SearchIndex::rebuild`].
    Empty(Empty),
}

/// Why an index holds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Empty {
    /// There was none.
    New,
    /// It was built with other search parameters.
    ParametersChanged,
    /// A file of it was not what was written.
    Damaged,
    /// It is older than one that was here before.
    RolledBack,
    /// A newer version of the program wrote it.
    NewerFormat,
}

/// One resource changed.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Which.
    pub key: Key,
    /// The version that the change made.
    pub version: VersionId,
    /// What is there now; None: deleted, or erased.
    pub document: Option<Document>,
}

/// Figures for operators. None of them tells of one patient.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IndexStatistics {
    /// Resources that can be found.
    pub documents: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Changes in memory that are not committed yet.
    pub overlay_documents: usize,
    /// Bytes held in memory for reading.
    pub memory_bytes: usize,
    /// Everything up to here was applied.
    pub applied: Sequence,
    /// Everything up to here is on disk.
    pub committed: Sequence,
    /// How often a file was refused since opening.
    pub refusals: u64,
    /// Whether it answers.
    pub ready: bool,
    /// Whether another generation is being built.
    pub rebuilding: bool,
}

/// A search index. Cheap to clone: all clones are the same index.
#[derive(Clone)]
pub struct SearchIndex(Arc<Inner>);

struct Inner {
    key: IndexKey,
    last: Sequence,
    state: RwLock<State>,
}

struct State {
    parameters: Parameters,
    documents: HashMap<Key, (VersionId, Option<Document>)>,
    sequences: BTreeMap<u64, ()>,
    watermark: Sequence,
}

impl SearchIndex {
    /// Opens the index, or makes an empty one. Feed it what [`Opened`] says is missing; until then searches are refused.
    pub fn open(
        options: IndexOptions,
        key: &IndexKey,
        parameters: Parameters,
        store: Store,
    ) -> Result<(Self, Opened), SearchError> {
        let _ = options;
        let state = State { parameters, documents: HashMap::new(), sequences: BTreeMap::new(), watermark: Sequence(0) };
        let inner = Inner { key: key.clone(), last: store.last, state: RwLock::new(state) };
        Ok((Self(Arc::new(inner)), Opened::Empty(Empty::New)))
    }

    /// Takes in the changes of one commit of the store. Every search that begins after it returned sees them. Commits may come in any
    /// order and again: the later version of a resource wins. Waits while too much is not committed yet.
    pub fn apply(&self, sequence: Sequence, changes: Vec<Change>) -> Result<(), SearchError> {
        let mut state = self.write();
        for change in changes {
            let known = state.documents.get(&change.key).map(|(version, _)| *version);
            if known.is_none_or(|known| known <= change.version) {
                state.documents.insert(change.key, (change.version, change.document));
            }
        }
        state.advance(sequence);
        Ok(())
    }

    /// A commit of the store that changed nothing to search for.
    pub fn applied(&self, sequence: Sequence) -> Result<(), SearchError> {
        self.apply(sequence, Vec::new())
    }

    /// Puts everything that was applied on disk. Gives what is held there now without a gap.
    pub fn flush(&self) -> Result<Sequence, SearchError> {
        Ok(self.read().watermark)
    }

    /// After changes without a document: rewrites the files so that none holds a value of what was deleted.
    pub fn purge(&self) -> Result<(), SearchError> {
        Ok(())
    }

    /// Begins a new generation beside this one, which goes on answering if it can. Take the snapshot of the store from which it is fed
    /// after this returned; changes applied meanwhile go to both.
    pub fn rebuild(&self, parameters: Parameters) -> Result<Rebuild, SearchError> {
        Ok(Rebuild { index: self.clone(), parameters, documents: HashMap::new() })
    }

    /// Which resources the filter means, and in what order.
    pub fn search(&self, filter: &Filter, page: &Page) -> Result<Hits, SearchError> {
        let state = self.read();
        self.ready(&state)?;
        let prepared = matcher::prepare(filter, &*state)?;
        let order = self.0.key.order();
        let mut found: Vec<(Position, VersionId)> = state
            .current()
            .filter(|document| matcher::matches(&prepared, document))
            .map(|document| (plain::position(document, &page.sort, order), document.version))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.compare(b, &page.sort));
        let total = (page.total != Total::None).then_some(found.len() as u64);
        if let Some(after) = &page.after {
            found.retain(|(position, _)| position.compare(after, &page.sort).is_gt());
        }
        let count = page.count.min(PAGE_COUNT_MAX);
        let more = found.len() > count;
        found.truncate(count);
        let keys = found.iter().map(|(position, version)| (position.key.clone(), *version)).collect();
        let positions: Vec<Position> = found.into_iter().map(|(position, _)| position).collect();
        let next = if more { positions.last().cloned() } else { None };
        Ok(Hits { keys, positions, next, total })
    }

    /// The resources of this store that a resource refers to, by one parameter or by any, in the resource's order.
    pub fn references(&self, key: &Key, parameter: Option<ParameterId>) -> Result<Vec<Key>, SearchError> {
        let state = self.read();
        self.ready(&state)?;
        let document = state.documents.get(key).and_then(|(_, document)| document.as_ref());
        let values = document.map(|document| document.values.as_slice()).unwrap_or_default();
        let mut targets = Vec::new();
        for (of, value) in values {
            if let Value::Reference { target, .. } = value
                && parameter.is_none_or(|parameter| parameter == *of)
                && !targets.contains(target)
            {
                targets.push(target.clone());
            }
        }
        Ok(targets)
    }

    /// The search parameters that it is built with.
    pub fn parameters(&self) -> Parameters {
        self.read().parameters.clone()
    }

    /// Figures.
    pub fn statistics(&self) -> IndexStatistics {
        let state = self.read();
        IndexStatistics {
            documents: state.current().count() as u64,
            overlay_documents: state.documents.len(),
            applied: state.watermark,
            committed: state.watermark,
            ready: state.watermark >= self.0.last,
            ..IndexStatistics::default()
        }
    }

    /// Commits and lets go of the files. Every later call on any clone is refused.
    pub fn close(self) -> Result<(), SearchError> {
        Ok(())
    }

    fn ready(&self, state: &State) -> Result<(), SearchError> {
        let (at, last) = (state.watermark.0, self.0.last.0);
        if at < last { Err(SearchError::NotReady { at, last }) } else { Ok(()) }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn current(&self) -> impl Iterator<Item = &Document> {
        self.documents.values().filter_map(|(_, document)| document.as_ref())
    }

    fn advance(&mut self, sequence: Sequence) {
        self.sequences.insert(sequence.0, ());
        while self.sequences.remove(&(self.watermark.0 + 1)).is_some() {
            self.watermark.0 += 1;
        }
    }
}

impl World for State {
    fn matching(&self, filter: &Filter) -> Result<HashSet<Key>, SearchError> {
        let found = self.current().filter(|document| matcher::matches(filter, document));
        Ok(found.map(|document| document.key.clone()).collect())
    }

    fn document(&self, key: &Key) -> Option<Document> {
        self.documents.get(key).and_then(|(_, document)| document.clone())
    }
}

/// A new generation of the index in the making. Dropped without [`Rebuild::finish`], it leaves nothing.
pub struct Rebuild {
    index: SearchIndex,
    parameters: Parameters,
    documents: HashMap<Key, (VersionId, Option<Document>)>,
}

impl Rebuild {
    /// Adds resources of the snapshot, in any order.
    pub fn add(&mut self, changes: Vec<Change>) -> Result<(), SearchError> {
        self.documents.extend(changes.into_iter().map(|change| (change.key, (change.version, change.document))));
        Ok(())
    }

    /// Puts the new generation in the place of the old one. `at` is the sequence of the snapshot: everything up to it was added.
    pub fn finish(self, at: Sequence) -> Result<Sequence, SearchError> {
        let mut state = self.index.write();
        let old = std::mem::replace(&mut state.documents, self.documents);
        for (key, (version, document)) in old {
            if state.documents.get(&key).is_some_and(|(known, _)| *known < version) {
                state.documents.insert(key, (version, document));
            }
        }
        state.parameters = self.parameters;
        state.watermark = state.watermark.max(at);
        let watermark = state.watermark;
        state.sequences.retain(|sequence, ()| *sequence > watermark.0);
        Ok(watermark)
    }
}
