//! What can go wrong in the store. Rows are never named by their key or value, only by their space byte and lengths.

use std::io;
use std::path::PathBuf;

/// Why the store, or an engine under it, refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A precondition of this commit did not hold; nothing of it was written. Read again and decide anew.
    #[error("precondition {index} of the commit does not hold: a row of space 0x{space:02x} changed meanwhile")]
    PreconditionFailed {
        /// Position of the precondition in the commit.
        index: usize,
        /// First byte of the row's key.
        space: u8,
    },
    /// Another process (or another store of this process) has the directory open.
    #[error("`{}` is in use by another process; stop it first", directory.display())]
    Locked {
        /// The data directory.
        directory: PathBuf,
    },
    /// The directory was written by a later Tacet.
    #[error("the store has format {found} and this program knows formats up to {supported}; use a newer program")]
    NewerFormat {
        /// Format number found.
        found: u32,
        /// Highest format number that this program reads.
        supported: u32,
    },
    /// No space is left. What was acknowledged is kept; make room and open the store again.
    #[error("the disk is full; make room, then open the store again")]
    Full,
    /// An earlier write failed, so that what is on disk is uncertain: nothing more is accepted until the store is reopened.
    #[error("the store stopped accepting writes after a failure; see the log for the first error, then open it again")]
    Failed,
    /// A restore into it was not finished.
    #[error("a restore into this store is not finished: go on with it by the same `tacet restore`")]
    Unfinished,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// What is stored is not what was written.
    #[error("the store is damaged: {what}{}; restore it from a backup", missing_text(*missing_commits))]
    Corrupt {
        /// What was found, without any content.
        what: String,
        /// How many acknowledged commits are missing, where that is known.
        missing_commits: Option<u64>,
    },
    /// A key is empty, too long, or in a space that belongs to the store.
    #[error("a key of {bytes} bytes in space 0x{space:02x} is not one that callers may write")]
    KeyRefused {
        /// First byte of the key; 0 for an empty one.
        space: u8,
        /// Length of the key in bytes.
        bytes: usize,
    },
    /// A value is longer than [`crate::VALUE_BYTES_MAX`].
    #[error("a value of {bytes} bytes is longer than the {} that a row may have", crate::VALUE_BYTES_MAX)]
    ValueTooLong {
        /// Length of the value in bytes.
        bytes: usize,
    },
    /// The sequencer refused a commit; nothing of that commit was written.
    #[error("the commit was refused while it was put in order")]
    Sequencer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Whoever stands before the store refused a commit ([`crate::Ticket::refused`]); nothing of it was written.
    #[error("the commit was refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system or the engine failed.
    #[error("the storage engine failed")]
    Io(#[source] io::Error),
}

fn missing_text(missing: Option<u64>) -> String {
    missing.map_or_else(String::new, |count| format!(" ({count} acknowledged commits are missing)"))
}

impl StoreError {
    /// The same failure for another commit of the same group.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Io(error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
            _ => Self::Failed,
        }
    }

    /// Damage of which the number of lost commits is not known.
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), missing_commits: None }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Io(error),
        }
    }
}
