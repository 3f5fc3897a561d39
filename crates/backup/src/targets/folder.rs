//! A folder as a target: a mounted disk, a share, a file system that keeps snapshots, or what the receiving end of the SSH target writes to.
//!
//! Objects are made, never opened for writing again: a temporary file in `.incoming`, synced, made read-only, given its name only if nobody has
//! it, and the directory synced. No name of an object begins with a dot, so nothing unfinished can be mistaken for one. The instant until
//! which an object is to be kept is its file's modification time; [`Prunable::remove`] refuses before it.
//!
//! No path is followed through a symbolic link below the folder, nor the folder itself if it is one.
//!
//! What this is **not**: a wall against whoever may write to the folder by other means. The owner of the files and root on the same machine can
//! remove them. Against that there are the other two targets, or a file system whose snapshots are taken by somebody else.

mod listing;
mod upload;

use crate::target::{Listed, ObjectName, Prunable, Put, Target, TargetError};
use crate::targets::OBJECT_BYTES_MAX;
use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tacet_types::{Clock, Rng, Timestamp};

pub(crate) use upload::Upload;

/// The file that says that a folder is for backups.
const MARKER: &str = ".tacet-backup";

/// What stands in it.
const MARKER_TEXT: &[u8] = b"tacet backup folder 1\n";

/// Where files are made before they have their names.
const INCOMING: &str = ".incoming";

/// What a folder may hold besides when it is first used: a file system of its own has it.
const HARMLESS: &str = "lost+found";

/// Bytes that are compared or hashed at a time.
const PIECE_BYTES: usize = 1 << 20;

/// How directories are opened.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How files are opened for reading. A pipe of this name must not hold us up.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A folder for backups. See the head of this module.
pub struct Folder {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// Whether the marker was seen: from then on its absence means that something is not mounted.
    seen: AtomicBool,
    swept: AtomicBool,
}

impl Folder {
    /// The folder at `path`, which must be there: it is looked at, and nothing is written until the first object is put.
    ///
    /// # Errors
    /// [`TargetError::Settings`] where it is a symbolic link, no folder, or holds other things than backups; [`TargetError::Unavailable`] where it is not
    /// there or cannot be looked into.
    pub fn open(path: &Path, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self, TargetError> {
        let (seen, swept) = (AtomicBool::new(false), AtomicBool::new(false));
        let folder = Self { path: path.to_owned(), clock, rng, seen, swept };
        folder.root()?;
        Ok(folder)
    }

    /// Opens the folder and looks for its marker.
    fn root(&self) -> Result<OwnedFd, TargetError> {
        let root = rustix::fs::openat(CWD, &self.path, DIRECTORY, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => TargetError::Settings(format!(
                "{} is no folder, or a symbolic link to one: name the folder itself",
                self.path.display()
            )),
            Errno::NOENT => TargetError::Unavailable(format!(
                "{} is not there: create it, or mount what it is on",
                self.path.display()
            )),
            other => self.failed("cannot be opened", other.into()),
        })?;
        match open_file(&root, MARKER) {
            Ok((file, _)) => {
                let mut text = [0; MARKER_TEXT.len() + 1];
                let bytes = read_at(&file, &mut text, 0).map_err(|error| self.failed("cannot be read", error))?;
                if text.get(..bytes) != Some(MARKER_TEXT) {
                    return Err(self.settings("has backups in a format that this version does not know"));
                }
                self.seen.store(true, Ordering::SeqCst);
                Ok(root)
            }
            Err(Errno::NOENT) if self.seen.load(Ordering::SeqCst) => {
                Err(TargetError::Unavailable(format!("{} has lost its marker: is it mounted?", self.path.display())))
            }
            Err(Errno::NOENT) => {
                let foreign = listing::first_foreign(&root).map_err(|error| self.failed("cannot be listed", error))?;
                match foreign {
                    None => Ok(root),
                    Some(name) => Err(self.settings(&format!(
                        "is not empty and was not made for backups (it holds `{}`): name an empty folder",
                        name.escape_default()
                    ))),
                }
            }
            Err(error) => Err(self.failed("has a marker that cannot be read", error.into())),
        }
    }

    /// The folder, with its marker, ready to be written to.
    fn ready(&self) -> Result<OwnedFd, TargetError> {
        let root = self.root()?;
        if !self.seen.load(Ordering::SeqCst) {
            let mut upload = Upload::begin(&root, self.rng.as_ref()).map_err(|error| self.unwritable(error))?;
            upload.write(MARKER_TEXT).map_err(|error| self.unwritable(error))?;
            // Another process may have been faster: its marker is as good.
            upload.finish(&root, MARKER, None).map_err(|error| self.unwritable(error))?;
            self.seen.store(true, Ordering::SeqCst);
        }
        if !self.swept.swap(true, Ordering::SeqCst) {
            upload::sweep(&root);
        }
        Ok(root)
    }

    /// Begins an object whose bytes come in pieces.
    pub(crate) fn begin(&self) -> Result<Upload, TargetError> {
        Upload::begin(&self.ready()?, self.rng.as_ref()).map_err(|error| self.unwritable(error))
    }

    /// Gives what was uploaded its name.
    pub(crate) fn finish(
        &self,
        upload: Upload,
        name: &ObjectName,
        keep_until: Option<Timestamp>,
    ) -> Result<Put, TargetError> {
        let directory = self.directory_for(name)?;
        match upload.finish(&directory, leaf(name), keep_until).map_err(|error| self.unwritable(error))? {
            upload::Finished::Named => Ok(Put::Written),
            upload::Finished::Taken(file) => self.compare(name, &file, keep_until),
        }
    }

    /// Length and SHA-256 of an object, none where there is no such object.
    pub(crate) fn digest(&self, name: &ObjectName) -> Result<Option<(u64, [u8; 32])>, TargetError> {
        let Some((file, length)) = self.find(name)? else { return Ok(None) };
        let mut context = Context::new(&SHA256);
        self.pieces(&file, length, |piece| {
            context.update(piece);
            true
        })?;
        let digest = <[u8; 32]>::try_from(context.finish().as_ref()).unwrap_or_default();
        Ok(Some((length, digest)))
    }

    /// Lengthens the time for which an object is kept. Never shortens it.
    pub(crate) fn keep(&self, name: &ObjectName, until: Timestamp) -> Result<(), TargetError> {
        match self.find(name)? {
            Some((file, _)) => self.keep_file(&file, until),
            None => Err(TargetError::Absent(name.clone())),
        }
    }

    /// Bytes that may still be written, and bytes of the file system in all.
    pub(crate) fn room(&self) -> Result<(u64, u64), TargetError> {
        let state = rustix::fs::fstatvfs(self.root()?)
            .map_err(|error| self.failed("cannot be asked for its room", error.into()))?;
        Ok((state.f_bavail.saturating_mul(state.f_frsize), state.f_blocks.saturating_mul(state.f_frsize)))
    }

    /// The clock by which objects are kept.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn keep_file(&self, file: &File, until: Timestamp) -> Result<(), TargetError> {
        let known = file.metadata().map_err(|error| self.failed("cannot be read", error))?;
        if modified_ms(&known) < until.as_ms() {
            rustix::fs::futimens(file, &times(until)).map_err(|error| self.unwritable(error.into()))?;
            file.sync_all().map_err(|error| self.unwritable(error))?;
        }
        Ok(())
    }

    /// Opens an object. None where there is none; what is no ordinary file is none of ours.
    fn find(&self, name: &ObjectName) -> Result<Option<(File, u64)>, TargetError> {
        let mut directory = self.root()?;
        let (parents, leaf) = split(name);
        for part in parents {
            directory = match rustix::fs::openat(&directory, part, DIRECTORY, Mode::empty()) {
                Ok(directory) => directory,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(self.odd(name, error)),
            };
        }
        match open_file(&directory, leaf) {
            Ok((file, length)) => Ok(Some((file, length))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.odd(name, error)),
        }
    }

    /// The directory in which an object goes, made where it is not there.
    fn directory_for(&self, name: &ObjectName) -> Result<OwnedFd, TargetError> {
        let mut directory = self.ready()?;
        for part in split(name).0 {
            let inner = match rustix::fs::openat(&directory, part, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) => upload::make_directory(&directory, part),
                other => other.map_err(Into::into),
            };
            directory = inner.map_err(|error| self.unwritable(error))?;
        }
        Ok(directory)
    }

    fn compare(
        &self,
        name: &ObjectName,
        file: &(File, File),
        keep_until: Option<Timestamp>,
    ) -> Result<Put, TargetError> {
        let (ours, theirs) = file;
        let length = |file: &File| {
            file.metadata().map(|known| known.len()).map_err(|error| self.failed("cannot be read", error))
        };
        let bytes = length(ours)?;
        if bytes != length(theirs)? {
            return Err(TargetError::Different(name.clone()));
        }
        let mut at = 0;
        let mut other = vec![0; PIECE_BYTES];
        let mut same = true;
        self.pieces(ours, bytes, |piece| {
            let Some(into) = other.get_mut(..piece.len()) else { return false };
            same = matches!(read_at(theirs, into, at), Ok(read) if read == piece.len()) && into == piece;
            at += piece.len() as u64;
            same
        })?;
        if !same {
            return Err(TargetError::Different(name.clone()));
        }
        if let Some(until) = keep_until {
            self.keep_file(theirs, until)?;
        }
        Ok(Put::Same)
    }

    /// Shows `length` bytes of a file in pieces, until `visit` says no.
    fn pieces(&self, file: &File, length: u64, mut visit: impl FnMut(&[u8]) -> bool) -> Result<(), TargetError> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < length {
            let read = read_at(file, &mut piece, at).map_err(|error| self.failed("cannot be read", error))?;
            let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Err(self.failed("has a file that became shorter", io::ErrorKind::UnexpectedEof.into()));
            };
            if !visit(bytes) {
                return Ok(());
            }
            at += bytes.len() as u64;
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: io::Error) -> TargetError {
        if matches!(error.kind(), io::ErrorKind::PermissionDenied) {
            return TargetError::Refused(format!("{} {what}: {error}", self.path.display()));
        }
        TargetError::Unavailable(format!("{} {what}: {error}", self.path.display()))
    }

    fn unwritable(&self, error: io::Error) -> TargetError {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                TargetError::Refused(format!("{} cannot be written to: {error}", self.path.display()))
            }
            _ => self.failed("cannot be written to", error),
        }
    }

    fn settings(&self, what: &str) -> TargetError {
        TargetError::Settings(format!("{} {what}", self.path.display()))
    }

    /// A name under which there is something that we did not make.
    fn odd(&self, name: &ObjectName, error: Errno) -> TargetError {
        match error {
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::INVAL => TargetError::Unavailable(
                format!("`{name}` in {} is no ordinary file: find out who put it there", self.path.display()),
            ),
            other => self.failed("cannot be read", other.into()),
        }
    }
}

impl Target for Folder {
    fn put_new(&self, name: &ObjectName, bytes: &[u8], keep_until: Option<Timestamp>) -> Result<Put, TargetError> {
        if bytes.len() as u64 > OBJECT_BYTES_MAX {
            return Err(super::too_large(bytes.len() as u64));
        }
        // A length that differs, or the same bytes, need no temporary file.
        if let Some((file, length)) = self.find(name)? {
            let mut same = length == bytes.len() as u64;
            let mut at = 0;
            if same {
                self.pieces(&file, length, |piece| {
                    same = bytes.get(at..at + piece.len()) == Some(piece);
                    at += piece.len();
                    same
                })?;
            }
            if !same {
                return Err(TargetError::Different(name.clone()));
            }
            if let Some(until) = keep_until {
                self.keep_file(&file, until)?;
            }
            return Ok(Put::Same);
        }
        let mut upload = self.begin()?;
        upload.write(bytes).map_err(|error| self.unwritable(error))?;
        self.finish(upload, name, keep_until)
    }

    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Vec<u8>, TargetError> {
        let (file, length) = self.find(name)?.ok_or_else(|| TargetError::Absent(name.clone()))?;
        let range = range.unwrap_or(0..length);
        let (from, to) = (range.start.min(length), range.end.min(length));
        let wanted = to.saturating_sub(from);
        if wanted > OBJECT_BYTES_MAX {
            return Err(super::too_large(wanted));
        }
        let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
        let read = read_at(&file, &mut bytes, from).map_err(|error| self.failed("cannot be read", error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<(), TargetError> {
        let root = self.root()?;
        listing::list(root, prefix, visit).map_err(|error| self.failed("cannot be listed", error))
    }

    fn describe(&self) -> String {
        format!("folder {}", self.path.display())
    }

    fn compares(&self) -> bool {
        true
    }
}

impl Prunable for Folder {
    fn remove(&self, name: &ObjectName) -> Result<(), TargetError> {
        let Some((file, _)) = self.find(name)? else { return Ok(()) };
        let known = file.metadata().map_err(|error| self.failed("cannot be read", error))?;
        let until = Timestamp::from_ms(modified_ms(&known));
        if until > self.clock.now() {
            return Err(TargetError::Refused(format!("`{name}` is to be kept until {until}")));
        }
        let directory = self.directory_for(name)?;
        match rustix::fs::unlinkat(&directory, leaf(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(self.unwritable(error.into())),
        }
        rustix::fs::fsync(&directory).map_err(|error| self.unwritable(error.into()))
    }
}

/// The parts above an object, and its last one.
fn split(name: &ObjectName) -> (impl Iterator<Item = &str>, &str) {
    let (parents, leaf) = name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()));
    (parents.split('/').filter(|part| !part.is_empty()), leaf)
}

fn leaf(name: &ObjectName) -> &str {
    split(name).1
}

/// Opens an ordinary file for reading, and its length.
fn open_file(directory: &OwnedFd, name: &str) -> Result<(File, u64), Errno> {
    let file = rustix::fs::openat(directory, name, READ, Mode::empty())?;
    let known = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(known.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    Ok((File::from(file), u64::try_from(known.st_size).unwrap_or(0)))
}

/// Fills `into` from `at` on, or as much as there is; says how much.
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn modified_ms(known: &std::fs::Metadata) -> i64 {
    known.mtime().saturating_mul(1000).saturating_add(known.mtime_nsec() / 1_000_000)
}

/// The modification time alone.
fn times(until: Timestamp) -> Timestamps {
    let ms = until.as_ms();
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: ms.div_euclid(1000), tv_nsec: ms.rem_euclid(1000) * 1_000_000 },
    }
}

#[cfg(test)]
mod tests;
