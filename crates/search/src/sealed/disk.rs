//! The operations that change files, in one place, so that tests can stop them after any number of them.

use rustix::fs::{Mode, OFlags};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Only the owner may look in.
const DIRECTORY_MODE: u32 = Mode::RWXU.bits();

/// Only the owner may read and write.
const FILE_MODE: u32 = Mode::RUSR.union(Mode::WUSR).bits();

/// Changes files. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub(crate) struct Disk {
    #[cfg(test)]
    left: Option<std::sync::Arc<std::sync::atomic::AtomicI64>>,
}

impl Disk {
    /// A disk that does this many operations and then fails each, as if the machine had stopped.
    #[cfg(test)]
    pub(crate) fn stopping_after(operations: i64) -> Self {
        Self { left: Some(std::sync::Arc::new(operations.into())) }
    }

    /// Lets it do this many operations from now on.
    #[cfg(test)]
    pub(crate) fn stop_after(&self, operations: i64) {
        if let Some(left) = &self.left {
            left.store(operations, std::sync::atomic::Ordering::SeqCst);
        }
    }

    /// How many operations are left; None: without end.
    #[cfg(test)]
    pub(crate) fn left(&self) -> Option<i64> {
        self.left.as_ref().map(|left| left.load(std::sync::atomic::Ordering::SeqCst))
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        let Some(left) = &self.left else { return Ok(()) };
        if left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(io::Error::other("the disk stopped"))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests count here")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes a directory that only the owner may look into, and those above it.
    pub(crate) fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
    }

    /// Makes a file that was not there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)
    }

    /// Opens a file for locking, making it if it is not there.
    pub(crate) fn open_or_create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .custom_flags(flags)
            .open(path)
    }

    /// Appends to a file. A stopped disk may have written a part.
    pub(crate) fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        let stopped = self.step();
        if stopped.is_err() && self.stops_now() {
            file.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
        }
        stopped?;
        file.write_all(bytes)
    }

    #[cfg(test)]
    fn stops_now(&self) -> bool {
        self.left() == Some(-1)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests count here")]
    fn stops_now(&self) -> bool {
        false
    }

    /// Makes a file's content durable.
    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        file.sync_data()
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        File::open(path)?.sync_all()
    }

    /// Gives a file another name, in the place of what had it.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::rename(from, to)
    }

    /// Removes a file.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::remove_file(path)
    }

    /// Removes a directory with all that is in it.
    pub(crate) fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::remove_dir_all(path)
    }
}

/// Bytes that the files in a directory take on disk, holes not counted. What cannot be looked at (removed just now) counts nothing.
pub(crate) fn bytes_below(path: &Path) -> u64 {
    /// Unit of `st_blocks` (POSIX leaves it open, Linux says 512).
    const BLOCK_BYTES: u64 = 512;
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.blocks() * BLOCK_BYTES).sum()
}
