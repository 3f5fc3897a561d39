//! A file on its way into a folder: made under a name that no object has, and given its own when it is complete and durable.

use super::{DIRECTORY, INCOMING, open_file, times};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use tacet_types::{Rng, Timestamp};

/// Only the owner may look into directories.
const DIRECTORY_MODE: Mode = Mode::RWXU;

/// Nobody may write to an object, its owner included.
const OBJECT_MODE: Mode = Mode::RUSR;

/// How temporary files are made. Readable too: what has the name already is compared with it.
const CREATE: OFlags =
    OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Leftovers that a sweep looks at. More than that many writers at once died only if somebody made them.
const SWEPT_MAX: usize = 10_000;

/// A file that has no name of an object yet. It goes when it is dropped.
pub(crate) struct Upload {
    incoming: OwnedFd,
    name: String,
    /// Locked as long as it is written: a sweep leaves it alone.
    file: File,
}

/// How an upload ended.
pub(super) enum Finished {
    /// It has its name.
    Named,
    /// Another file has the name: ours and that one, to compare.
    Taken((File, File)),
}

impl Upload {
    /// Makes the file.
    pub(super) fn begin(root: &OwnedFd, rng: &dyn Rng) -> io::Result<Self> {
        let incoming = match rustix::fs::openat(root, INCOMING, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => make_directory(root, INCOMING)?,
            other => other?,
        };
        let name = format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64());
        let file = rustix::fs::openat(&incoming, &name, CREATE, Mode::RUSR.union(Mode::WUSR))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { incoming, name, file: File::from(file) })
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Makes it durable and gives it the name `leaf` in `directory`, if nothing has that.
    pub(super) fn finish(self, directory: &OwnedFd, leaf: &str, keep_until: Option<Timestamp>) -> io::Result<Finished> {
        rustix::fs::fchmod(&self.file, OBJECT_MODE)?;
        if let Some(until) = keep_until {
            rustix::fs::futimens(&self.file, &times(until))?;
        }
        self.file.sync_all()?;
        match self.give(directory, leaf) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let (theirs, _) = open_file(directory, leaf)?;
                return Ok(Finished::Taken((self.file.try_clone()?, theirs)));
            }
            Err(error) => return Err(error.into()),
        }
        rustix::fs::fsync(directory)?;
        Ok(Finished::Named)
    }

    fn give(&self, directory: &OwnedFd, leaf: &str) -> Result<(), Errno> {
        match rustix::fs::renameat_with(&self.incoming, &self.name, directory, leaf, RenameFlags::NOREPLACE) {
            // File systems that do not know this way know the other: a second name is never given in the place of a first.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(&self.incoming, &self.name, directory, leaf, AtFlags::empty())
            }
            other => other,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Where it was renamed there is nothing of this name any more.
        let _ = rustix::fs::unlinkat(&self.incoming, &self.name, AtFlags::empty());
    }
}

/// Makes a directory and makes its name durable.
pub(super) fn make_directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, DIRECTORY_MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let made = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
    rustix::fs::fsync(parent)?;
    Ok(made)
}

/// Removes what writers that died have left. What cannot be removed is left: it has no name of an object and harms nobody.
pub(super) fn sweep(root: &OwnedFd) {
    let Ok(incoming) = rustix::fs::openat(root, INCOMING, DIRECTORY, Mode::empty()) else { return };
    let Ok(entries) = Dir::read_from(&incoming) else { return };
    for entry in entries.take(SWEPT_MAX).flatten() {
        let Ok(name) = entry.file_name().to_str() else { continue };
        let Ok((file, _)) = open_file(&incoming, name) else { continue };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = rustix::fs::unlinkat(&incoming, name, AtFlags::empty());
        }
    }
}
