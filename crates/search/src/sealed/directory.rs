//! What the index library sees as its directory.

use crate::sealed::chunk::Refusal;
use crate::sealed::disk::Disk;
use crate::sealed::file::{OpenFile, Reading};
use crate::sealed::keys::{FileId, GenerationKey};
use crate::sealed::meta::Meta;
use crate::sealed::writer::ChunkWriter;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use tacet_types::Rng;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, TerminatingWrite, WatchCallback, WatchHandle, WritePtr,
};

/// The library's list of segments.
const META_PATH: &str = "meta.json";

/// Under which its next version is written.
const META_NEXT_PATH: &str = "meta.json.next";

/// The library's list of the files that it may remove. It is made from the files that there are, and never written.
const MANAGED_PATH: &str = ".managed.json";

/// A generation's directory. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SealedDirectory(Arc<Inner>);

struct Inner {
    path: PathBuf,
    key: Arc<GenerationKey>,
    disk: Disk,
    rng: Arc<dyn Rng>,
    reading: Reading,
    files: Mutex<Files>,
    locks: Mutex<HashSet<PathBuf>>,
    unlocked: Condvar,
}

#[derive(Default)]
struct Files {
    known: BTreeMap<String, Known>,
    list: Option<Vec<u8>>,
    managed: Option<Vec<u8>>,
    /// Nothing is changed any more.
    detached: bool,
}

impl Files {
    fn attached(&self) -> io::Result<()> {
        if self.detached { Err(io::Error::other("the search index was closed")) } else { Ok(()) }
    }
}

struct Known {
    id: FileId,
    open: Weak<OpenFile>,
}

impl SealedDirectory {
    /// Makes an empty generation.
    pub(crate) fn create(
        disk: &Disk,
        path: &Path,
        key: Arc<GenerationKey>,
        rng: Arc<dyn Rng>,
        reading: Reading,
    ) -> io::Result<Self> {
        disk.make_directory(path).map_err(|error| reading.latch.not_written(error))?;
        Ok(Self::new(disk, path, key, rng, reading, Files::default()))
    }

    /// Opens a generation: reads the list of its files.
    pub(crate) fn open(
        disk: &Disk,
        path: &Path,
        key: Arc<GenerationKey>,
        rng: Arc<dyn Rng>,
        reading: Reading,
    ) -> Result<Self, Refusal> {
        // What stands elsewhere is nobody's to read, and above all not to sweep.
        if std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(reading.latch.refuse(Refusal::Another));
        }
        let meta = OpenFile::open(&reading, &path.join(key.name(META_PATH)), &key, META_PATH, None)
            .and_then(|file| file.text())
            .and_then(|text| Meta::decode(&text))
            .map_err(|refusal| reading.latch.refuse(refusal))?;
        let known = meta.files.into_iter().map(|(path, id)| (path, Known { id, open: Weak::new() })).collect();
        let files = Files { known, list: Some(meta.list), ..Files::default() };
        Ok(Self::new(disk, path, key, rng, reading, files))
    }

    fn new(
        disk: &Disk,
        path: &Path,
        key: Arc<GenerationKey>,
        rng: Arc<dyn Rng>,
        reading: Reading,
        files: Files,
    ) -> Self {
        Self(Arc::new(Inner {
            path: path.to_owned(),
            key,
            disk: disk.clone(),
            rng,
            reading,
            files: Mutex::new(files),
            locks: Mutex::default(),
            unlocked: Condvar::new(),
        }))
    }

    /// Removes what stands in the directory and is none of these files: left by a crash, or by nobody we know. Call it before anything
    /// is written, since names come again.
    pub(crate) fn sweep(&self, living: &HashSet<PathBuf>) -> io::Result<()> {
        self.sweep_files(living).map_err(|error| self.0.reading.latch.not_written(error))
    }

    fn sweep_files(&self, living: &HashSet<PathBuf>) -> io::Result<()> {
        let mut files = self.files();
        files.known.retain(|path, _| living.contains(Path::new(path)));
        let mut names: HashSet<String> = files.known.keys().map(|path| self.0.key.name(path)).collect();
        names.insert(self.0.key.name(META_PATH));
        for entry in std::fs::read_dir(&self.0.path)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.0.disk.remove_directory(&entry.path())?;
            } else {
                self.0.disk.remove_file(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Changes no file from here on. The library goes on merging in its threads after it was told to stop, while another may have the
    /// directory open already.
    pub(crate) fn detach(&self) {
        self.files().detached = true;
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_disk(&self, path: &str) -> PathBuf {
        self.0.path.join(self.0.key.name(path))
    }

    fn open_file(&self, path: &str) -> Result<Arc<OpenFile>, Refusal> {
        let inner = &self.0;
        let (id, open) = {
            let files = self.files();
            let known = files.known.get(path).ok_or(Refusal::Missing);
            known.map(|known| (known.id, known.open.upgrade()))
        }
        .map_err(|refusal| inner.reading.latch.refuse(refusal))?;
        if let Some(open) = open {
            return Ok(open);
        }
        let file = OpenFile::open(&inner.reading, &self.on_disk(path), &inner.key, path, Some(id))
            .map_err(|refusal| inner.reading.latch.refuse(refusal))?;
        let file = Arc::new(file);
        if let Some(known) = self.files().known.get_mut(path) {
            known.open = Arc::downgrade(&file);
        }
        Ok(file)
    }

    /// Writes the list of segments with the ids of all files, in the place of the one before.
    fn write_meta(&self, list: &[u8]) -> io::Result<()> {
        let inner = &self.0;
        let mut files = self.files();
        files.attached()?;
        let ids = files.known.iter().map(|(path, known)| (path.clone(), known.id)).collect();
        let text = Meta { list: list.to_vec(), files: ids }.encode();
        let next = self.on_disk(META_NEXT_PATH);
        let failed = |error| inner.reading.latch.not_written(error);
        match inner.disk.remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let id = FileId::random(inner.rng.as_ref());
        let mut writer = ChunkWriter::create((&inner.disk, &inner.reading.latch), &next, &inner.key, id, META_PATH)?;
        writer.write_all(&text)?;
        writer.finish()?;
        inner.disk.rename(&next, &self.on_disk(META_PATH)).map_err(failed)?;
        files.list = Some(list.to_vec());
        inner.disk.sync_directory(&inner.path).map_err(failed)
    }
}

impl Directory for SealedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let name = text(path).map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        match self.open_file(name) {
            Ok(file) => Ok(file),
            Err(refusal) => Err(OpenReadError::wrap_io_error(refusal.into(), path.to_owned())),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let failed = |error| DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() };
        let name = text(path).map_err(failed)?;
        let mut files = self.files();
        files.attached().map_err(failed)?;
        if files.known.remove(name).is_none() {
            return Err(DeleteError::FileDoesNotExist(path.to_owned()));
        }
        match self.0.disk.remove_file(&self.on_disk(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let name = text(path).map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        let files = self.files();
        Ok(if name == META_PATH { files.list.is_some() } else { files.known.contains_key(name) })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let failed = |error| OpenWriteError::wrap_io_error(error, path.to_owned());
        let name = text(path).map_err(failed)?;
        let inner = &self.0;
        let mut files = self.files();
        files.attached().map_err(failed)?;
        if files.known.contains_key(name) {
            return Err(OpenWriteError::FileAlreadyExists(path.to_owned()));
        }
        let id = FileId::random(inner.rng.as_ref());
        let to = (&inner.disk, &inner.reading.latch);
        let writer = ChunkWriter::create(to, &self.on_disk(name), &inner.key, id, name).map_err(failed)?;
        files.known.insert(name.to_owned(), Known { id, open: Weak::new() });
        let writer: Box<dyn TerminatingWrite + Send + Sync> = Box::new(writer);
        Ok(BufWriter::new(writer))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let name = text(path).map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        let files = self.files();
        let found = match name {
            META_PATH => files.list.clone(),
            MANAGED_PATH => files.managed.clone().or_else(|| {
                let paths: Vec<&str> = files.known.keys().map(String::as_str).chain([META_PATH]).collect();
                // Paths are made of hexadecimal digits, points and letters: quotes are all that JSON asks for.
                files.list.is_some().then(|| format!("[\"{}\"]", paths.join("\",\"")).into_bytes())
            }),
            _ => None,
        };
        found.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        match text(path)? {
            META_PATH => self.write_meta(data),
            MANAGED_PATH => {
                self.files().managed = Some(data.to_vec());
                Ok(())
            }
            _ => Err(io::Error::other("the search index has only one list of files")),
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.disk.sync_directory(&self.0.path).map_err(|error| self.0.reading.latch.not_written(error))
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        // Other processes are kept out by the lock on the whole index.
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        while locks.contains(&lock.filepath) {
            if !lock.is_blocking {
                return Err(LockError::LockBusy);
            }
            locks = self.0.unlocked.wait(locks).unwrap_or_else(PoisonError::into_inner);
        }
        locks.insert(lock.filepath.clone());
        Ok(DirectoryLock::from(Box::new(Held { directory: self.clone(), path: lock.filepath.clone() })))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// A lock of the library, held.
struct Held {
    directory: SealedDirectory,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.directory.0.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        self.directory.0.unlocked.notify_all();
    }
}

impl fmt::Debug for SealedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedDirectory(..)")
    }
}

fn text(path: &Path) -> io::Result<&str> {
    let name: &OsStr = path.as_os_str();
    name.to_str().ok_or_else(|| io::Error::other("a path of the search index is no text"))
}
