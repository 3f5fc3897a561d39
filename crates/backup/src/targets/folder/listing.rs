//! The objects of a folder, in the order of their names, without following a link or trusting a name.

use super::{DIRECTORY, HARMLESS, INCOMING};
use crate::target::{Listed, ObjectName};
use rustix::fs::{AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

/// Entries that one directory may have. Backups of a hundred terabytes stay far below.
const ENTRIES_MAX: usize = 4_000_000;

/// A directory that is being walked.
struct Level {
    directory: OwnedFd,
    /// What stands before the names in it, with its slash.
    prefix: String,
    /// Names in order; those of directories end in a slash, which gives the order of whole names.
    names: std::vec::IntoIter<String>,
}

/// Shows each object whose name begins with `prefix`. What is no ordinary file, or has no name of an object, is passed over: a stranger's file must not
/// keep a restore from working.
pub(super) fn list(root: OwnedFd, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> io::Result<()> {
    let mut levels = vec![Level::open(root, String::new(), prefix)?];
    // INVARIANT: names are bounded in length, and so is the number of levels.
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.next() else {
            levels.pop();
            continue;
        };
        let whole = format!("{}{name}", level.prefix);
        if let Some(part) = name.strip_suffix('/') {
            match rustix::fs::openat(&level.directory, part, DIRECTORY, Mode::empty()) {
                Ok(inner) => levels.push(Level::open(inner, whole, prefix)?),
                // Gone since, or a link.
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        let Some(listed) = ObjectName::parse(&whole) else { continue };
        let known = match rustix::fs::statat(&level.directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(known) => known,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(known.st_mode) != FileType::RegularFile {
            continue;
        }
        let bytes = u64::try_from(known.st_size).unwrap_or(0);
        if visit(Listed { name: listed, bytes }).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

impl Level {
    fn open(directory: OwnedFd, prefix: String, wanted: &str) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // Nor is a directory walked whose name no object can have: `lost+found` opens for root only.
            if ObjectName::parse(&format!("{prefix}{name}")).is_none() {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not say.
                FileType::Unknown => match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(known) => FileType::from_raw_mode(known.st_mode),
                    Err(_) => continue,
                },
                kind => kind,
            };
            let name = match kind {
                FileType::RegularFile => name.to_owned(),
                FileType::Directory => format!("{name}/"),
                _ => continue,
            };
            let whole = format!("{prefix}{name}");
            if !(whole.starts_with(wanted) || (name.ends_with('/') && wanted.starts_with(&whole))) {
                continue;
            }
            if names.len() == ENTRIES_MAX {
                return Err(io::Error::other(format!("a directory has more than {ENTRIES_MAX} entries")));
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(Self { directory, prefix, names: names.into_iter() })
    }
}

/// The first thing in a folder that does not belong to backups, if there is any.
pub(super) fn first_foreign(root: &OwnedFd) -> io::Result<Option<String>> {
    for entry in Dir::read_from(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if !matches!(name.as_ref(), "." | ".." | INCOMING | HARMLESS) {
            return Ok(Some(name.into_owned()));
        }
    }
    Ok(None)
}
