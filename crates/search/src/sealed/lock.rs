//! One process at a time has the index open.

use crate::error::SearchError;
use crate::sealed::disk::Disk;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::Path;

/// The file that is locked. It is empty and never removed.
const LOCK_FILE: &str = "LOCK";

/// The index's directory, locked until this is dropped.
#[derive(Debug)]
pub(crate) struct LockedDirectory(File);

impl LockedDirectory {
    /// Makes the directory if it is not there, and locks it.
    pub(crate) fn open(disk: &Disk, directory: &Path) -> Result<Self, SearchError> {
        disk.make_directory(directory)?;
        let file = disk.open_or_create(&directory.join(LOCK_FILE))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(SearchError::Locked { directory: directory.to_owned() }),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

impl Drop for LockedDirectory {
    /// Unlocks by itself: a child process that is just being started shares the lock until it runs its own program.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "the search index's directory could not be unlocked");
        }
    }
}
