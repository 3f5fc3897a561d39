//! What the store asks of an engine: ordered rows, atomic batches, snapshots, and a witness beside them.
//!
//! An engine knows nothing of commits, preconditions or the change feed; those are the store's. It is held to the
//! conformance tests in `tests/it/conformance.rs`, whichever it is.

use crate::error::StoreError;
use std::fmt;
use std::ops::ControlFlow;

/// The value of a row.
pub type Value = Vec<u8>;

/// What a scan shows each row to, as key and value; `Break` ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Longest key in bytes. Ours have 9 to 33; `fjall` cuts lengths to 16 bits without a word, so the store refuses long ones.
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest value in bytes (256 MiB): above the largest resource that is accepted, below what any engine takes.
pub const VALUE_BYTES_MAX: usize = 256 << 20;

/// One change of one row.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets the row `key` to `value`.
    Put {
        /// The row's key.
        key: Vec<u8>,
        /// The row's new value.
        value: Value,
    },
    /// Removes the row `key`, if it is there.
    Delete {
        /// The row's key.
        key: Vec<u8>,
    },
}

impl Write {
    /// Sets the row `key` to `value`.
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self::Put { key: key.into(), value: value.into() }
    }

    /// Removes the row `key`.
    pub fn delete(key: impl Into<Vec<u8>>) -> Self {
        Self::Delete { key: key.into() }
    }

    /// The key of the row that changes.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// The row's new value; `None` where it is removed.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Put { value, .. } => Some(value),
            Self::Delete { .. } => None,
        }
    }

    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.key().len() + self.value().map_or(0, <[u8]>::len)
    }
}

impl fmt::Debug for Write {
    /// Space byte and lengths only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (space, key) = (self.key().first().copied().unwrap_or_default(), self.key().len());
        match self.value() {
            Some(value) => write!(f, "Put(0x{space:02x}, {key} + {} bytes)", value.len()),
            None => write!(f, "Delete(0x{space:02x}, {key} bytes)"),
        }
    }
}

/// When a written batch is safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// When the write returns, power may fail.
    Durable,
    /// Left to the operating system: survives the end of the process, not a power loss. For measuring the price of the
    /// other only.
    Buffered,
}

/// Rows as they stand, in the order of their keys' bytes.
pub trait Reader {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError>;

    /// The values of `keys`, in their order: one round trip where the engine is elsewhere.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Shows the rows from `from` (included) to `to` (not), ascending, until `visit` breaks.
    ///
    /// A scan costs several microseconds to begin with: where keys are known, [`Reader::get_many`] is cheaper.
    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Shows the rows from `from` (included) to `to` (not), descending, until `visit` breaks.
    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;
}

/// The rows as they stood at one moment, whatever is written later. Hold it for a short time: it keeps old rows on disk.
pub trait Snapshot: Reader + Send {}

/// What an engine holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineStatistics {
    /// Bytes on disk, as the engine counts them.
    pub bytes_on_disk: u64,
    /// Rows, roughly: superseded versions may be counted.
    pub rows_approximate: u64,
}

/// Whether an engine keeps up with what is written to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pressure {
    /// It keeps up.
    Calm,
    /// Work is waiting in the background: bulk commits wait, so that interactive ones are not halted.
    Busy,
}

/// Somewhere that keeps rows.
pub trait Engine: Reader + Send + Sync {
    /// The rows as they stand now.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Writes all of `writes` or nothing; no key occurs twice. After an error the engine may refuse everything.
    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError>;

    /// Makes everything written durable.
    fn flush(&self) -> Result<(), StoreError>;

    /// Sizes.
    fn statistics(&self) -> EngineStatistics;

    /// Whether bulk work should wait.
    fn pressure(&self) -> Pressure {
        Pressure::Calm
    }

    /// Tells the engine that the store found every acknowledged commit, so that what it kept aside may go.
    fn recovered(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The count that is kept outside of the engine.
    fn witness(&self) -> &dyn Witness;
}

/// How far the store's commits went: what the chain says inside of the engine, and the witness outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Number of groups written, which is the number of the last one.
    pub group: u64,
    /// Number of commits in them.
    pub commits: u64,
    /// Digest over all groups up to this one (`docs/formats/store.md`, "Commit chain").
    pub digest: [u8; 32],
}

impl Mark {
    /// Before the first commit.
    pub const START: Self = Self { group: 0, commits: 0, digest: [0; 32] };
}

/// A mark that is kept beside the engine, so that rows which the engine silently lost are missed.
pub trait Witness: Send + Sync {
    /// The last mark recorded and whether the store was closed after it; `None` where none was ever recorded.
    fn read(&self) -> Result<Option<(Mark, bool)>, StoreError>;

    /// Replaces the mark. With [`Durability::Durable`] it is safe when this returns.
    fn record(&self, mark: &Mark, clean: bool, durability: Durability) -> Result<(), StoreError>;
}

/// What must hold for a commit to be written; compared with what is stored, earlier commits of the same group included.
#[derive(Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The row is not there.
    Absent {
        /// The row's key.
        key: Vec<u8>,
    },
    /// The row is there, with exactly this value.
    Unchanged {
        /// The row's key.
        key: Vec<u8>,
        /// The value it was read with.
        value: Value,
    },
}

impl Precondition {
    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Absent { key } => key.len(),
            Self::Unchanged { key, value } => key.len() + value.len(),
        }
    }
}

impl fmt::Debug for Precondition {
    /// Space byte and lengths only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, key) = match self {
            Self::Absent { key } => ("Absent", key),
            Self::Unchanged { key, .. } => ("Unchanged", key),
        };
        write!(f, "{name}(0x{:02x}, {} bytes)", key.first().copied().unwrap_or_default(), key.len())
    }
}
