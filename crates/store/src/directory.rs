//! The directory of a store on disk: made private, locked while it is open, and what stands beside the engine in it.

use crate::error::StoreError;
use crate::witness::FileWitness;
use rustix::fs::{FlockOperation, Mode, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that is locked while a process has the directory open. It is empty and never removed.
const LOCK_FILE: &str = "LOCK";

/// The file that holds the mark of the last acknowledged commits.
const WITNESS_FILE: &str = "WITNESS";

/// Only the owner may look in.
const DIRECTORY_MODE: u32 = Mode::RWXU.bits();

/// Only the owner may read and write.
const FILE_MODE: u32 = Mode::RUSR.union(Mode::WUSR).bits();

/// An open directory, locked until this is dropped.
pub(crate) struct Directory {
    path: PathBuf,
    witness: FileWitness,
    lock: File,
}

impl Drop for Directory {
    /// Unlocks by itself: a child process that is just being started shares the lock until it runs its own program.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "the store's directory could not be unlocked");
        }
    }
}

impl Directory {
    /// Makes the directory if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
        let lock = private_file(&path.join(LOCK_FILE))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StoreError::Locked { directory: path.to_owned() });
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let witness = FileWitness::new(private_file(&path.join(WITNESS_FILE))?);
        sync_directory(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_directory(parent)?;
        }
        Ok(Self { path: path.to_owned(), witness, lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn witness(&self) -> &FileWitness {
        &self.witness
    }

    /// Bytes that the directory takes on disk, holes not counted.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        bytes_below(&self.path)
    }
}

/// Opens a file that only the owner may read, making it if it is not there.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)
}

/// Makes names that were created in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// What cannot be looked at (a file that a compaction just removed) counts nothing.
fn bytes_below(path: &Path) -> u64 {
    /// Unit of `st_blocks` (POSIX leaves it open, Linux says 512).
    const BLOCK_BYTES: u64 = 512;
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_opened_once_at_a_time_and_is_private() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("deep").join("store");
        let open = Directory::open(&path).unwrap();
        assert!(matches!(Directory::open(&path), Err(StoreError::Locked { directory }) if directory == path));
        drop(open);
        Directory::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(path.join(WITNESS_FILE)).unwrap().mode() & 0o777, 0o600);
    }
}
