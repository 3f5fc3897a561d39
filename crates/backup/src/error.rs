//! Why a backup could not be made, read or believed. No variant carries a value of a row.

use crate::target::{ObjectName, TargetError};
use tacet_store::StoreError;

/// Why a backup could not be made, read or believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The target failed.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The store failed.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// An object is not what its name, its manifest or its signature says.
    #[error("the object `{object}` of the backup is not what was written: {what}")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong with it, without any content.
        what: &'static str,
    },
    /// A manifest is signed by another key.
    #[error("the manifest `{0}` is not signed by the key of this establishment")]
    Signature(ObjectName),
    /// It was made by a later Tacet.
    #[error("the backup has the format `{found}`, which this program does not know: use a newer one")]
    Format {
        /// What the object says.
        found: String,
    },
    /// What belongs together does not.
    #[error("the backup's snapshots do not follow each other: {0}")]
    Broken(String),
    /// There is no snapshot that was asked for.
    #[error("the backup has no snapshot {0}")]
    NoSnapshot(String),
    /// Somebody else writes to the same target.
    #[error("the backup target has snapshot {number}, which this store did not make: {what}")]
    Foreign {
        /// Number of the snapshot.
        number: u64,
        /// What may be the matter, and what to do.
        what: &'static str,
    },
    /// A row is in a space that has no class.
    #[error("a row is in space 0x{0:02x}, of which this program does not know whether it is to be backed up")]
    Space(u8),
    /// It was told to stop before it was done.
    #[error("the backup was told to stop; what it had sent is there, and the next one goes on from it")]
    Stopped,
    /// What was asked makes no sense.
    #[error("{0}")]
    Settings(String),
}

impl BackupError {
    /// An object that is not what was written.
    pub(crate) fn damaged(object: impl ToString, what: &'static str) -> Self {
        Self::Damaged { object: object.to_string(), what }
    }

    /// Whether trying again later can help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Target(error) if error.may_pass())
    }
}
