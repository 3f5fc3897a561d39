//! What the index is opened with, told and asked for.

use crate::document::{Document, Key};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
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

/// Tells the store's commits apart: sixteen bytes for the commit with this sequence, others for any commit that takes its place in another
/// course of events. None: there is no such commit.
pub type Marks = Arc<dyn Fn(Sequence) -> Option<[u8; 16]> + Send + Sync>;

/// In what state an index was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// It holds all changes up to here: apply those after.
    At(Sequence),
    /// It holds nothing: apply everything, or use [`crate::SearchIndex::rebuild`].
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
    /// Its directory cannot be read at this moment. Nothing was thrown away.
    Unreadable,
    /// It is older than one that was here before.
    RolledBack,
    /// A newer version of the program wrote it.
    NewerFormat,
    /// An older version of the program wrote it.
    OlderFormat,
    /// It holds what the store does not: the store was taken back to an earlier time.
    AheadOfStore,
    /// It was fed by the same store in another course of events: the store was taken back to an earlier time and went on from there.
    OtherBranch,
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
    /// Resources that cannot be found any more and still stand in the files, until those are written anew.
    pub deleted_documents: u64,
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
    /// Whether it answers no more: a file was refused, or it could not be written for too long.
    pub damaged: bool,
    /// Whether another generation is being built.
    pub rebuilding: bool,
}
