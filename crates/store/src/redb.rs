//! The second engine: `redb`, a copy-on-write tree in one file, whose format is stable. Slower to write than `fjall`.
//!
//! A buffered write of it does not survive the end of the process, which is less than [`Durability::Buffered`] says; it is
//! for measuring only.

use crate::directory::Directory;
use crate::engine::{Durability, Engine, EngineStatistics, Reader, Snapshot, Value, Visit, Witness, Write};
use crate::error::StoreError;
use ::redb::{
    AccessGuard, Builder, Database, Error, ReadOnlyTable, ReadableDatabase, ReadableTableMetadata, StorageError,
    TableDefinition, TableError, WriteTransaction,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The engine's one file, below the store's directory.
const FILE: &str = "rows.redb";

/// The one table.
const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("rows");

/// How the engine works.
#[derive(Clone, Copy, Debug)]
pub struct RedbOptions {
    /// Memory for pages, in bytes.
    pub cache_bytes: usize,
    /// Keeps with each commit what the next start needs after a crash: a second sync a commit, instead of a walk over
    /// the whole file once.
    pub quick_repair: bool,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self { cache_bytes: 128 << 20, quick_repair: true }
    }
}

/// Rows in a `redb` database.
pub struct RedbEngine {
    // Dropped in this order: the database is closed before the directory is unlocked.
    database: Database,
    options: RedbOptions,
    directory: Directory,
}

impl RedbEngine {
    /// Opens the engine in the store's directory, making it where there is none.
    pub fn open(path: &Path, options: RedbOptions) -> Result<Self, StoreError> {
        let directory = Directory::open(path)?;
        let file = path.join(FILE);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = Builder::new().set_cache_size(options.cache_bytes).create(&file).map_err(failure)?;
            prepare(&database)?;
            Ok(database)
        }));
        let opened = opened.unwrap_or_else(|_| Err(StoreError::corrupt("the engine could not read its own file")));
        let database = opened.map_err(|error| match error {
            StoreError::Locked { .. } => StoreError::Locked { directory: path.to_owned() },
            error => error,
        })?;
        Ok(Self { database, options, directory })
    }

    fn view(&self) -> Result<View, StoreError> {
        let transaction = self.database.begin_read().map_err(failure)?;
        Ok(View(transaction.open_table(ROWS).map_err(failure)?))
    }

    fn begin(&self, durability: Durability) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write().map_err(failure)?;
        let mode = match durability {
            Durability::Durable => ::redb::Durability::Immediate,
            Durability::Buffered => ::redb::Durability::None,
        };
        transaction.set_durability(mode).map_err(failure)?;
        transaction.set_quick_repair(self.options.quick_repair && durability == Durability::Durable);
        Ok(transaction)
    }
}

/// Makes the table where the file is new.
fn prepare(database: &Database) -> Result<(), StoreError> {
    match database.begin_read().map_err(failure)?.open_table(ROWS) {
        Ok(_) => Ok(()),
        Err(TableError::TableDoesNotExist(_)) => {
            let transaction = database.begin_write().map_err(failure)?;
            transaction.open_table(ROWS).map_err(failure)?;
            transaction.commit().map_err(failure)
        }
        Err(error) => Err(failure(error)),
    }
}

/// The engine's error as ours.
fn failure(error: impl Into<Error>) -> StoreError {
    match error.into() {
        Error::Io(error) => error.into(),
        Error::PreviousIo | Error::LockPoisoned(_) | Error::TransactionPoisoned => StoreError::Failed,
        // The caller knows the directory.
        Error::DatabaseAlreadyOpen => StoreError::Locked { directory: Default::default() },
        Error::UpgradeRequired(_) => {
            StoreError::corrupt("the engine's file is of a version that this program does not know")
        }
        Error::Corrupted(_) => StoreError::corrupt("the engine's file is damaged"),
        other => StoreError::Io(std::io::Error::other(other)),
    }
}

/// A snapshot of the table.
struct View(ReadOnlyTable<&'static [u8], &'static [u8]>);

type Row<'a> = Result<(AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>), StorageError>;

impl Reader for View {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.0.get(key).map_err(failure)?.map(|value| value.value().to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        show(self.0.range::<&[u8]>(from..to).map_err(failure)?, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        show(self.0.range::<&[u8]>(from..to).map_err(failure)?.rev(), visit)
    }
}

fn show<'a>(rows: impl Iterator<Item = Row<'a>>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    for row in rows {
        let (key, value) = row.map_err(failure)?;
        if visit(key.value(), value.value()).is_break() {
            break;
        }
    }
    Ok(())
}

impl Snapshot for View {}

impl Reader for RedbEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.view()?.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>, StoreError> {
        self.view()?.get_many(keys)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view()?.range(from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view()?.range_rev(from, to, visit)
    }
}

impl Engine for RedbEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.view()?))
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        let transaction = self.begin(durability)?;
        {
            let mut table = transaction.open_table(ROWS).map_err(failure)?;
            for write in writes {
                match write.value() {
                    Some(value) => drop(table.insert(write.key(), value).map_err(failure)?),
                    None => drop(table.remove(write.key()).map_err(failure)?),
                }
            }
        }
        transaction.commit().map_err(failure)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.begin(Durability::Durable)?.commit().map_err(failure)
    }

    fn statistics(&self) -> EngineStatistics {
        let rows_approximate = self.view().ok().and_then(|view| view.0.len().ok()).unwrap_or_default();
        EngineStatistics { bytes_on_disk: self.directory.bytes_on_disk(), rows_approximate }
    }

    fn witness(&self) -> &dyn Witness {
        self.directory.witness()
    }
}
