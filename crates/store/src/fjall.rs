//! The embedded engine: `fjall`, a log-structured tree. One keyspace, two workers, its journal synced for each group.
//!
//! What it does not do by itself, and what is done about it here:
//! - It takes a journal torn in its middle for one torn at its end, and cuts it off when it opens. The store notices by
//!   its witness and chain; before an unclean start the journals are copied to `rescue/`, so that nothing is destroyed
//!   by opening, and the copy goes once the store found everything in place.
//! - The chain is a ring, so memtables are flushed before the ring comes round (`FLUSH_GROUPS`).
//! - Damage may make it panic while it opens: that is caught and reported as damage.

use crate::chain::LINKS;
use crate::directory::{Directory, private_file, sync_directory};
use crate::engine::{Durability, Engine, EngineStatistics, Pressure, Reader, Snapshot, Value, Visit, Witness, Write};
use crate::error::StoreError;
use ::fjall::config::CompressionPolicy;
use ::fjall::{
    CompressionType, Database, Error, Guard, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable,
};
use rustix::fs::{SeekFrom, seek};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where the engine keeps its files, below the store's directory.
const ENGINE_DIRECTORY: &str = "fjall";

/// Where journals are kept from an unclean start that found damage.
const RESCUE_DIRECTORY: &str = "rescue";

/// Journals are the files of this kind.
const JOURNAL_EXTENSION: &str = "jnl";

/// The file that the engine writes last when it is made.
const FORMAT_FILE: &str = "version";

/// Name of the one keyspace.
const KEYSPACE: &str = "rows";

/// Batches after which the memtable is flushed, however small. At most six memtables are not yet in tables (one active, four
/// that wait before writers are halted, one being written), so a torn journal cannot take links that left the ring.
const FLUSH_GROUPS: u64 = LINKS / 8;

/// Rows written in one run after which a clean end writes the memtable out. Fewer are replayed in a few milliseconds.
const REPLAYED_ROWS_MAX: u64 = 4_096;

/// How long a clean end waits for the memtable to be written, each time and at most 30 s.
const FLUSH_WAIT: Duration = Duration::from_millis(10);
const FLUSH_WAITS_MAX: u32 = 3_000;

/// Memtables that wait to be written when bulk work should pause; at 4 the engine halts every writer.
const WAITING_MEMTABLES_BUSY: usize = 2;

/// Tables of the first level when bulk work should pause; at 20 the engine slows every writer, at 30 it halts them.
const FIRST_LEVEL_TABLES_BUSY: usize = 14;

/// How the engine works. The defaults suit a server with a few gigabytes of memory.
#[derive(Clone, Copy, Debug)]
pub struct FjallOptions {
    /// Threads that flush and compact. Two keep a flush from waiting for a compaction.
    pub workers: usize,
    /// Memory for blocks read from tables, in bytes.
    pub cache_bytes: u64,
    /// Size at which a memtable is written to a table, in bytes. Up to five are in memory.
    pub memtable_bytes: u64,
    /// Size of all journals at which memtables are flushed to be rid of them, in bytes; at least 64 MiB.
    pub journal_bytes_max: u64,
    /// Keeps a copy of the journals while an unclean start is not known to have found everything.
    pub rescue_journals: bool,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self {
            workers: 2,
            cache_bytes: 128 << 20,
            memtable_bytes: 64 << 20,
            journal_bytes_max: 512 << 20,
            rescue_journals: true,
        }
    }
}

/// Rows in a `fjall` database.
pub struct FjallEngine {
    // Dropped in this order: the database is closed before the directory is unlocked.
    keyspace: Keyspace,
    database: Database,
    directory: Arc<Directory>,
    groups_since_flush: AtomicU64,
    rows_since_flush: AtomicU64,
}

impl FjallEngine {
    /// Opens the engine in the store's directory, making it where there is none.
    pub fn open(path: &Path, options: FjallOptions) -> Result<Self, StoreError> {
        let directory = Arc::new(Directory::open(path)?);
        let witnessed = directory.witness().read();
        if matches!(witnessed, Ok(None)) {
            forget_unfinished(path)?;
        }
        let clean = matches!(witnessed, Ok(Some((_, true))));
        if options.rescue_journals && !clean {
            rescue(path)?;
        }
        let opened = catch_unwind(AssertUnwindSafe(|| open_database(path, options)));
        let opened = opened.unwrap_or_else(|_| Err(StoreError::corrupt("the engine could not read its own files")));
        let (database, keyspace) = opened.map_err(|error| match error {
            StoreError::Locked { .. } => StoreError::Locked { directory: path.to_owned() },
            error => error,
        })?;
        Ok(Self {
            keyspace,
            database,
            directory,
            groups_since_flush: AtomicU64::new(0),
            rows_since_flush: AtomicU64::new(0),
        })
    }

    fn view(&self) -> View {
        View {
            snapshot: self.database.snapshot(),
            keyspace: self.keyspace.clone(),
            _directory: Arc::clone(&self.directory),
        }
    }
}

fn open_database(path: &Path, options: FjallOptions) -> Result<(Database, Keyspace), StoreError> {
    let database = Database::builder(path.join(ENGINE_DIRECTORY))
        .worker_threads(options.workers.max(1))
        .cache_size(options.cache_bytes)
        .max_journaling_size(options.journal_bytes_max.max(64 << 20))
        .journal_compression(CompressionType::None)
        .open()
        .map_err(failure)?;
    let keyspace = database
        .keyspace(KEYSPACE, || {
            // Rows are sealed: they do not compress.
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::disabled())
                .max_memtable_size(options.memtable_bytes)
        })
        .map_err(failure)?;
    Ok((database, keyspace))
}

/// Removes an engine whose making was cut off: the library writes its journal first and its format last, and then finds the journal in
/// its way. Nothing was ever stored in such a one: no commit is witnessed, and the journal holds nothing.
fn forget_unfinished(path: &Path) -> Result<(), StoreError> {
    let engine = path.join(ENGINE_DIRECTORY);
    let format = std::fs::metadata(engine.join(FORMAT_FILE));
    if !engine.exists() || format.is_ok_and(|format| format.len() > 0) {
        return Ok(());
    }
    for entry in std::fs::read_dir(&engine)? {
        let file = entry?.path();
        let journal = file.extension().is_some_and(|is| is == JOURNAL_EXTENSION);
        if journal && seek(&File::open(&file)?, SeekFrom::Data(0)) != Err(rustix::io::Errno::NXIO) {
            return Ok(());
        }
    }
    remove_directory(&engine)?;
    Ok(sync_directory(path)?)
}

/// Copies the journals aside, unless an earlier start did so.
fn rescue(path: &Path) -> Result<(), StoreError> {
    let (engine, rescue) = (path.join(ENGINE_DIRECTORY), path.join(RESCUE_DIRECTORY));
    if rescue.exists() || !engine.exists() {
        return Ok(());
    }
    let unfinished = path.join(format!("{RESCUE_DIRECTORY}.unfinished"));
    remove_directory(&unfinished)?;
    std::fs::create_dir(&unfinished)?;
    for entry in std::fs::read_dir(&engine)? {
        let journal = entry?.path();
        if let Some(name) =
            journal.file_name().filter(|_| journal.extension().is_some_and(|is| is == JOURNAL_EXTENSION))
        {
            copy_extents(&File::open(&journal)?, &private_file(&unfinished.join(name))?)?;
        }
    }
    sync_directory(&unfinished)?;
    std::fs::rename(&unfinished, &rescue)?;
    Ok(sync_directory(path)?)
}

/// Copies a file without its holes: a journal is 64 MiB long from its begin, and mostly empty.
fn copy_extents(from: &File, to: &File) -> io::Result<()> {
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < length {
        at = match seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole follows.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let hole = seek(from, SeekFrom::Hole(at))?;
        while at < hole {
            let wanted = buffer.len().min(usize::try_from(hole - at).unwrap_or(usize::MAX));
            let Some(part) = buffer.get_mut(..wanted) else { break };
            from.read_exact_at(part, at)?;
            to.write_all_at(part, at)?;
            at += part.len() as u64;
        }
    }
    to.sync_all()
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The engine's error as ours. Its texts are not passed on where they could hold a key.
fn failure(error: Error) -> StoreError {
    match error {
        Error::Io(error) | Error::Storage(LsmError::Io(error)) => error.into(),
        Error::Poisoned => StoreError::Failed,
        // The caller knows the directory.
        Error::Locked => StoreError::Locked { directory: Default::default() },
        Error::InvalidVersion(_) => {
            StoreError::corrupt("the engine's files are of a version that this program does not know")
        }
        Error::JournalRecovery(error) => StoreError::corrupt(format!("the engine's journal is damaged: {error}")),
        Error::Storage(_) => StoreError::corrupt("a table of the engine is damaged"),
        _ => StoreError::corrupt("the engine's files are damaged"),
    }
}

/// A snapshot of the database.
struct View {
    snapshot: ::fjall::Snapshot,
    keyspace: Keyspace,
    /// Keeps the directory locked while a snapshot outlives the engine.
    _directory: Arc<Directory>,
}

impl Reader for View {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.snapshot.get(&self.keyspace, key).map_err(failure)?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        show(self.snapshot.range::<&[u8], _>(&self.keyspace, from..to), visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        show(self.snapshot.range::<&[u8], _>(&self.keyspace, from..to).rev(), visit)
    }
}

fn show(rows: impl Iterator<Item = Guard>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    for row in rows {
        let (key, value) = row.into_inner().map_err(failure)?;
        if visit(&key, &value).is_break() {
            break;
        }
    }
    Ok(())
}

impl Snapshot for View {}

impl Reader for FjallEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.keyspace.get(key).map_err(failure)?.map(|value| value.to_vec()))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>, StoreError> {
        self.view().get_many(keys)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view().range(from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view().range_rev(from, to, visit)
    }
}

impl Engine for FjallEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.view()))
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        let mode = match durability {
            // A journal is given its length in advance; data sync writes the length too where it still changes.
            Durability::Durable => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        let mut batch =
            ::fjall::OwnedWriteBatch::with_capacity(self.database.clone(), writes.len()).durability(Some(mode));
        for write in writes {
            match write.value() {
                Some(value) => batch.insert(&self.keyspace, write.key(), value),
                None => batch.remove(&self.keyspace, write.key()),
            }
        }
        batch.commit().map_err(failure)?;
        self.rows_since_flush.fetch_add(writes.len() as u64, Ordering::Relaxed);
        if self.groups_since_flush.fetch_add(1, Ordering::Relaxed) + 1 >= FLUSH_GROUPS {
            self.groups_since_flush.store(0, Ordering::Relaxed);
            self.keyspace.rotate_memtable().map_err(failure)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncAll).map_err(failure)?;
        // A full memtable is replayed from the journal in most of a second, so it is written out. That is for speed only:
        // where it takes too long, the journal has everything.
        if self.rows_since_flush.swap(0, Ordering::Relaxed) >= REPLAYED_ROWS_MAX {
            self.keyspace.rotate_memtable().map_err(failure)?;
            for _ in 0..FLUSH_WAITS_MAX {
                if self.keyspace.sealed_memtable_count() == 0 {
                    break;
                }
                std::thread::sleep(FLUSH_WAIT);
            }
        }
        Ok(())
    }

    fn statistics(&self) -> EngineStatistics {
        EngineStatistics {
            bytes_on_disk: self.directory.bytes_on_disk(),
            rows_approximate: self.keyspace.approximate_len() as u64,
        }
    }

    fn pressure(&self) -> Pressure {
        let waiting = self.keyspace.sealed_memtable_count() >= WAITING_MEMTABLES_BUSY;
        let piled = self.keyspace.l0_table_count() >= FIRST_LEVEL_TABLES_BUSY;
        if waiting || piled { Pressure::Busy } else { Pressure::Calm }
    }

    fn witness(&self) -> &dyn Witness {
        self.directory.witness()
    }

    fn recovered(&self) -> Result<(), StoreError> {
        Ok(remove_directory(&self.directory.path().join(RESCUE_DIRECTORY))?)
    }
}
