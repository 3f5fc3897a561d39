//! An engine in memory, for tests: it keeps a journal of bytes as a disk would, fails where it is told to, and can be
//! "crashed" so that a second engine sees only what had been synced.
//!
//! Not for real data: the journal grows for ever.

mod disk;
mod faults;

pub use disk::{Crash, Disk};
pub use faults::{Effect, Faults, Operation};

use crate::engine::{Durability, Engine, EngineStatistics, Mark, Reader, Snapshot, Value, Visit, Witness, Write};
use crate::error::StoreError;
use disk::{Rows, apply};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows in memory over a [`Disk`] that survives the engine.
pub struct MemoryEngine {
    rows: Mutex<Arc<Rows>>,
    disk: Disk,
    faults: Faults,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryEngine {
    /// An empty engine that never fails.
    pub fn new() -> Self {
        Self::open(&Disk::default(), Faults::default())
    }

    /// Reads a disk's journal back, dropping what is torn at its end as a journalled engine does, and obeys `faults`.
    pub fn open(disk: &Disk, faults: Faults) -> Self {
        Self { rows: Mutex::new(Arc::new(disk.recover())), disk: disk.clone(), faults }
    }

    /// What lies under this engine, to be crashed, damaged and opened again.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The faults it obeys.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Rows>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> View {
        View { rows: Arc::clone(&self.lock()), faults: self.faults.clone() }
    }
}

/// One state of the rows.
struct View {
    rows: Arc<Rows>,
    faults: Faults,
}

impl Reader for View {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        refuse(&self.faults, Operation::Read)?;
        Ok(self.rows.get(key).map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        refuse(&self.faults, Operation::Read)?;
        if from < to {
            let range = (Bound::Included(from), Bound::Excluded(to));
            let _ = self.rows.range::<[u8], _>(range).try_for_each(|(key, value)| visit(key, value));
        }
        Ok(())
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        refuse(&self.faults, Operation::Read)?;
        if from < to {
            let range = (Bound::Included(from), Bound::Excluded(to));
            let _ = self.rows.range::<[u8], _>(range).rev().try_for_each(|(key, value)| visit(key, value));
        }
        Ok(())
    }
}

impl Snapshot for View {}

impl Reader for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.view().get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view().range(from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view().range_rev(from, to, visit)
    }
}

impl Engine for MemoryEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.view()))
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        let effect = self.faults.next(Operation::Write);
        if let Some(Effect::Tear { bytes }) = effect {
            self.disk.append(writes, Some(bytes));
        }
        outcome(effect)?;
        self.disk.append(writes, None);
        if durability == Durability::Durable {
            refuse(&self.faults, Operation::Sync)?;
            self.disk.sync();
        }
        // Shown only once it is durable, as a committer would have it; a living snapshot makes this a copy.
        let mut rows = self.lock();
        apply(Arc::make_mut(&mut rows), writes);
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        refuse(&self.faults, Operation::Sync)?;
        self.disk.sync();
        Ok(())
    }

    fn statistics(&self) -> EngineStatistics {
        let rows = Arc::clone(&self.lock());
        EngineStatistics { bytes_on_disk: self.disk.journal_bytes() as u64, rows_approximate: rows.len() as u64 }
    }

    fn witness(&self) -> &dyn Witness {
        self
    }
}

impl Witness for MemoryEngine {
    fn read(&self) -> Result<Option<(Mark, bool)>, StoreError> {
        Ok(self.disk.mark())
    }

    fn record(&self, mark: &Mark, clean: bool, durability: Durability) -> Result<(), StoreError> {
        refuse(&self.faults, Operation::WitnessWrite)?;
        self.disk.set_mark(*mark, clean, durability);
        Ok(())
    }
}

fn refuse(faults: &Faults, operation: Operation) -> Result<(), StoreError> {
    outcome(faults.next(operation))
}

fn outcome(effect: Option<Effect>) -> Result<(), StoreError> {
    match effect {
        None => Ok(()),
        Some(Effect::Full) => Err(StoreError::Full),
        Some(Effect::Fail | Effect::Tear { .. }) => Err(StoreError::Io(io::Error::other("injected fault"))),
    }
}
