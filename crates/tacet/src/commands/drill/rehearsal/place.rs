//! The directory that a rehearsal fills and empties again: an empty one, or what an earlier rehearsal left that was killed, and never near the store
//! or a backup.

use crate::commands::init::private_directory;
use crate::error::CliError;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that says that a directory is a rehearsal's, and is locked while one runs.
const MARK: &str = "tacet-rehearsal";

/// What a rehearsal makes besides.
const STORE: &str = "store";

/// Tries to empty it: an engine that was just closed may still take files away.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// A directory that was taken. Dropped, it is empty again.
pub(super) struct Place {
    root: PathBuf,
    /// It was not there before.
    made: bool,
    /// Keeps others out.
    mark: Option<File>,
}

impl Place {
    /// Takes `directory`. `away_from`: places in which it may not lie, and which may not lie in it.
    pub(super) fn take(directory: &Path, away_from: &[PathBuf]) -> Result<Self, CliError> {
        let unusable = || CliError::file(directory, "the scratch directory cannot be used");
        let made = !directory.exists();
        let absolute = std::path::absolute(directory).map_err(unusable())?;
        // Before anything is made: as far as it is there already.
        let there = absolute.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
        let rest = absolute.strip_prefix(there).unwrap_or(Path::new(""));
        let root = there.canonicalize().map_err(unusable())?.join(rest);
        if rest.components().any(|part| part == std::path::Component::ParentDir) {
            return Err(CliError::Usage(format!("`{}`: name it without `..`", directory.display())));
        }
        for other in away_from {
            let other = other.canonicalize().unwrap_or_else(|_| other.clone());
            if root.starts_with(&other) || other.starts_with(&root) {
                return Err(CliError::Usage(format!(
                    "`{}` is in, or around, `{}`: a rehearsal needs a directory of its own",
                    directory.display(),
                    other.display()
                )));
            }
        }
        private_directory(&root)?;
        let mark = Self::mark(&root, made).inspect_err(|_| {
            if made {
                let _ = std::fs::remove_dir(&root);
            }
        })?;
        let place = Self { root, made, mark: Some(mark) };
        let store = place.store();
        if store.exists() {
            std::fs::remove_dir_all(&store)
                .map_err(CliError::file(&store, "what an earlier rehearsal left cannot be taken away"))?;
        }
        Ok(place)
    }

    /// Marks the directory as taken; refuses one with anything of others in it.
    fn mark(root: &Path, made: bool) -> Result<File, CliError> {
        let unusable = || CliError::file(root, "the scratch directory cannot be used");
        let (mut own, mut foreign) = (made, false);
        for entry in std::fs::read_dir(root).map_err(unusable())? {
            let name = entry.map_err(unusable())?.file_name();
            own |= name == MARK;
            foreign |= name != MARK && name != STORE;
            // A store without a mark is somebody's.
            foreign |= name == STORE && !root.join(MARK).is_file();
        }
        if foreign {
            return Err(CliError::Usage(format!(
                "`{}` is not empty: a rehearsal goes into an empty directory, which it empties again",
                root.display()
            )));
        }
        let path = root.join(MARK);
        let mark = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(unusable())?;
        match mark.try_lock() {
            Ok(()) => Ok(mark),
            Err(TryLockError::WouldBlock) if own => {
                Err(CliError::Usage(format!("another rehearsal is running in `{}`", root.display())))
            }
            Err(error) => Err(unusable()(error.into())),
        }
    }

    /// Where the store comes back.
    pub(super) fn store(&self) -> PathBuf {
        self.root.join(STORE)
    }

    /// Bytes that are free there.
    pub(super) fn free_bytes(&self) -> Result<u64, CliError> {
        let disk = rustix::fs::statvfs(&self.root)
            .map_err(|error| CliError::file(&self.root, "its free room is not known")(error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// What is to be taken away where nobody waits for the end of what is being done there.
    pub(super) fn leftovers(&self) -> Leftovers {
        Leftovers { root: self.root.clone(), made: self.made }
    }

    /// Takes everything away again.
    pub(super) fn empty(mut self) -> Result<(), CliError> {
        self.take_away()
            .map_err(CliError::file(&self.root, "THE SCRATCH DIRECTORY COULD NOT BE EMPTIED: do it yourself"))
    }

    fn take_away(&mut self) -> std::io::Result<()> {
        let Some(mark) = self.mark.take() else { return Ok(()) };
        let taken = self.leftovers().take_away();
        drop(mark);
        taken
    }
}

/// What a rehearsal has in its directory.
pub(super) struct Leftovers {
    root: PathBuf,
    made: bool,
}

impl Leftovers {
    pub(super) fn take_away(&self) -> std::io::Result<()> {
        let store = self.root.join(STORE);
        let mut taken = Ok(());
        for _ in 0..TRIES {
            taken = if store.exists() { std::fs::remove_dir_all(&store) } else { Ok(()) };
            if taken.is_ok() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        // With something left the mark stays: so the next rehearsal knows it for one's.
        taken?;
        std::fs::remove_file(self.root.join(MARK))?;
        if self.made { std::fs::remove_dir(&self.root) } else { Ok(()) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.take_away();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_directory_away_from_the_store_is_taken_and_it_is_empty_again() {
        let parent = tempfile::tempdir().unwrap();
        let path = |name: &str| parent.path().join(name);
        let data = path("data");
        std::fs::create_dir_all(data.join("deep")).unwrap();
        let away = [data.clone()];
        for near in [data.clone(), data.join("deep"), data.join("new/er"), parent.path().to_owned()] {
            assert!(Place::take(&near, &away).is_err(), "{}", near.display());
        }
        assert!(!data.join("new").exists());
        std::os::unix::fs::symlink(&data, path("link")).unwrap();
        assert!(Place::take(&path("link"), &away).is_err(), "a link into the data directory");

        // A file of others.
        std::fs::create_dir(path("full")).unwrap();
        std::fs::write(path("full").join("thesis.txt"), "precious").unwrap();
        assert!(Place::take(&path("full"), &away).is_err());
        std::fs::create_dir_all(path("old/store")).unwrap();
        assert!(Place::take(&path("old"), &away).is_err(), "a store that is nobody's scratch");
        assert!(path("full/thesis.txt").exists() && path("old/store").exists());

        // A new one goes again, one that was there stays.
        let place = Place::take(&path("new"), &away).unwrap();
        std::fs::create_dir_all(place.store().join("fjall")).unwrap();
        assert!(Place::take(&path("new"), &away).is_err(), "it is in use");
        place.empty().unwrap();
        assert!(!path("new").exists());
        std::fs::create_dir(path("there")).unwrap();
        drop(Place::take(&path("there"), &away).unwrap());
        assert_eq!(std::fs::read_dir(path("there")).unwrap().count(), 0);

        // Who does not wait takes it away all the same.
        let place = Place::take(&path("left"), &away).unwrap();
        std::fs::create_dir_all(place.store().join("fjall")).unwrap();
        place.leftovers().take_away().unwrap();
        assert!(!path("left").exists());
        drop(place);

        // What a killed one left is taken away.
        std::fs::write(path("there").join(MARK), "").unwrap();
        std::fs::create_dir_all(path("there").join(STORE).join("fjall")).unwrap();
        let place = Place::take(&path("there"), &away).unwrap();
        assert!(!place.store().exists());
        place.empty().unwrap();
        assert_eq!(std::fs::read_dir(path("there")).unwrap().count(), 0);
    }
}
