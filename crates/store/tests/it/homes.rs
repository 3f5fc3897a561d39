//! Places where an engine can be opened again and again.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::memory::{Crash, Disk, Faults, MemoryEngine};
use tacet_store::redb::{RedbEngine, RedbOptions};
use tacet_store::{Engine, StoreError};
use tempfile::TempDir;

/// A place for one engine's rows.
pub(crate) trait Home {
    /// Opens the engine; the one opened before must be gone.
    fn open(&self) -> Result<Arc<dyn Engine>, StoreError>;
}

/// Small memtables, so that tests reach flushes and compactions.
pub(crate) fn fjall_options(memtable_bytes: u64) -> FjallOptions {
    FjallOptions { memtable_bytes, cache_bytes: 4 << 20, ..FjallOptions::default() }
}

pub(crate) fn open_fjall(path: &Path, memtable_bytes: u64) -> Result<Arc<dyn Engine>, StoreError> {
    Ok(Arc::new(FjallEngine::open(path, fjall_options(memtable_bytes))?))
}

pub(crate) fn open_redb(path: &Path) -> Result<Arc<dyn Engine>, StoreError> {
    Ok(Arc::new(RedbEngine::open(path, RedbOptions { cache_bytes: 4 << 20, quick_repair: true })?))
}

#[derive(Default)]
pub(crate) struct MemoryHome(Disk);

impl Home for MemoryHome {
    fn open(&self) -> Result<Arc<dyn Engine>, StoreError> {
        let disk = self.0.crash(Crash::KeepAll);
        drop(disk);
        Ok(Arc::new(MemoryEngine::open(&self.0, Faults::default())))
    }
}

pub(crate) struct FjallHome(TempDir);

impl Default for FjallHome {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Home for FjallHome {
    fn open(&self) -> Result<Arc<dyn Engine>, StoreError> {
        open_fjall(self.0.path(), 64 << 10)
    }
}

pub(crate) struct RedbHome(TempDir);

impl Default for RedbHome {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Home for RedbHome {
    fn open(&self) -> Result<Arc<dyn Engine>, StoreError> {
        open_redb(self.0.path())
    }
}

/// Copies a directory, leaving the holes of its files as holes.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::write(&target, read_before_hole(&entry.path())).unwrap();
            let length = entry.metadata().unwrap().len();
            std::fs::OpenOptions::new().write(true).open(&target).unwrap().set_len(length).unwrap();
        }
    }
}

/// A file's bytes up to its first hole. A journal is 64 MiB long from its begin and filled from there, so the rest is zeros.
pub(crate) fn read_before_hole(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap();
    let length = match rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(0)) {
        Ok(hole) => hole,
        Err(rustix::io::Errno::NXIO) => 0,
        Err(error) => panic!("{error}"),
    };
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// The journals of a fjall engine below a store's directory, oldest first.
pub(crate) fn journals(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory.join("fjall")).unwrap().map(|entry| entry.unwrap().path());
    let mut journals: Vec<_> = files.filter(|path| path.extension().is_some_and(|is| is == "jnl")).collect();
    journals.sort_by_key(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    journals
}

/// Small deterministic numbers (xorshift64*, S. Vigna 2016).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound.max(1)
    }
}
