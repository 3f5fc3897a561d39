//! The root key file on disk: read with suspicion, replaced so that a crash leaves the old file or the new one.
//!
//! ```text
//! lock and write `.name.new` ─> sync it ─> look: is the file still the one we read? ─> rename ─> sync the directory
//! ```

use super::RootError;
use super::format::FILE_BYTES_MAX;
use rustix::fs::{FlockOperation, OFlags, flock};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Read and write for the owner, nothing for others.
const MODE: u32 = 0o600;

/// What has been done so far. Tests stop after each to see what a crash leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Created,
    HalfWritten,
    Written,
    Synced,
    Renamed,
    DirectorySynced,
}

/// Reads the file: a regular file, closed to others, of a size that a root key file can have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, RootError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RootError::Missing),
        other => other?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(RootError::NotARootKeyFile);
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(RootError::OpenToOthers { mode });
    }
    let mut bytes = Vec::with_capacity(FILE_BYTES_MAX + 1);
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(RootError::NotARootKeyFile);
    }
    Ok(bytes)
}

/// Writes `bytes` in place of the file, which must still hold `before` (`None`: must not be there yet).
///
/// When this fails before the rename, the file is as it was. `seen` hears of each step.
pub(super) fn replace(
    path: &Path,
    before: Option<&[u8]>,
    bytes: &[u8],
    seen: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<(), RootError> {
    let temporary = temporary_path(path)?;
    let mut file = lock(&temporary)?;
    // Under the lock and before anything is written, so that of two writers the second sees what the first did.
    if let Err(error) = still_as_before(path, before) {
        // Left behind it would do no harm: the next writer takes it over.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.set_len(0)?;
    file.rewind()?;
    seen(Step::Created)?;
    let (first, second) = bytes.split_at_checked(bytes.len() / 2).unwrap_or((bytes, &[]));
    file.write_all(first)?;
    seen(Step::HalfWritten)?;
    file.write_all(second)?;
    seen(Step::Written)?;
    file.sync_all()?;
    seen(Step::Synced)?;
    std::fs::rename(&temporary, path)?;
    seen(Step::Renamed)?;
    File::open(directory(path))?.sync_all()?;
    seen(Step::DirectorySynced)?;
    Ok(())
}

fn still_as_before(path: &Path, before: Option<&[u8]>) -> Result<(), RootError> {
    match (read(path), before) {
        (Err(RootError::Missing), None) => Ok(()),
        (Err(RootError::Missing), Some(_)) => Err(RootError::ChangedMeanwhile),
        (Ok(_) | Err(RootError::OpenToOthers { .. } | RootError::NotARootKeyFile), None) => Err(RootError::Exists),
        (Ok(found), Some(before)) if found == before => Ok(()),
        (Ok(_), Some(_)) => Err(RootError::ChangedMeanwhile),
        (Err(error), _) => Err(error),
    }
}

/// Opens the temporary file and locks it: the lock keeps a second writer out and goes away with a process that dies.
///
/// Between opening and locking, another writer may have renamed or removed what was opened. So the name is looked at
/// again under the lock; from then on only the holder of the lock touches it.
fn lock(temporary: &Path) -> Result<File, RootError> {
    let no_link = OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .custom_flags(no_link)
        .open(temporary)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            let (ours, named) = (file.metadata()?, std::fs::symlink_metadata(temporary));
            let same = named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino()));
            if same { Ok(file) } else { Err(RootError::Busy) }
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RootError::Busy),
        Err(error) => Err(RootError::Io(error.into())),
    }
}

/// `.name.new` beside the file, since a rename is atomic only within a directory.
fn temporary_path(path: &Path) -> Result<PathBuf, RootError> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
