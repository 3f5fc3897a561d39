//! A target in memory, with faults that can be turned on: for tests and simulations.

use crate::target::{Listed, ObjectName, Prunable, Put, Target, TargetError};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tacet_types::Timestamp;

/// A target that is gone with its last clone. Clones share what they hold.
#[derive(Clone, Default)]
pub struct MemoryTarget(Arc<Inner>);

#[derive(Default)]
struct Inner {
    objects: Mutex<BTreeMap<ObjectName, Vec<u8>>>,
    down: AtomicBool,
    written: AtomicU64,
    /// Calls that succeed before it goes down; 0: that is not planned.
    calls_left: AtomicU64,
    compares: AtomicBool,
}

impl MemoryTarget {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every call fail as long as it is set.
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
        self.0.calls_left.store(0, Ordering::SeqCst);
    }

    /// Makes it go down after so many calls that succeed. What the next one puts arrives, and nobody is told.
    pub fn set_down_after(&self, calls: u64) {
        self.0.calls_left.store(calls.saturating_add(1), Ordering::SeqCst);
    }

    /// Makes it say that it compares what it is given with what it has ([`Target::compares`]).
    pub fn set_compares(&self, compares: bool) {
        self.0.compares.store(compares, Ordering::SeqCst);
    }

    /// Bytes that were written so far; what was there already does not count.
    pub fn written_bytes(&self) -> u64 {
        self.0.written.load(Ordering::SeqCst)
    }

    /// What it holds, to look at and to damage.
    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Vec<u8>>> {
        self.0.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, BTreeMap<ObjectName, Vec<u8>>>, TargetError> {
        if self.0.calls_left.load(Ordering::SeqCst) > 0 && self.0.calls_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.down.store(true, Ordering::SeqCst);
        }
        if self.0.down.load(Ordering::SeqCst) {
            return Err(TargetError::Unavailable("it was told to be down".to_owned()));
        }
        Ok(self.objects())
    }
}

impl Target for MemoryTarget {
    fn put_new(&self, name: &ObjectName, bytes: &[u8], _: Option<Timestamp>) -> Result<Put, TargetError> {
        let last = self.0.calls_left.load(Ordering::SeqCst) == 1;
        let up = self.up().map(drop);
        if last {
            self.objects().entry(name.clone()).or_insert_with(|| bytes.to_vec());
        }
        up?;
        let mut objects = self.objects();
        match objects.get(name) {
            Some(found) if found == bytes => Ok(Put::Same),
            Some(_) => Err(TargetError::Different(name.clone())),
            None => {
                objects.insert(name.clone(), bytes.to_vec());
                self.0.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                Ok(Put::Written)
            }
        }
    }

    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Vec<u8>, TargetError> {
        let objects = self.up()?;
        let bytes = objects.get(name).ok_or_else(|| TargetError::Absent(name.clone()))?;
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let (from, to) = range.map_or((0, bytes.len()), |range| (at(range.start), at(range.end)));
        Ok(bytes.get(from..to).unwrap_or_default().to_vec())
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<(), TargetError> {
        let listed: Vec<Listed> = self
            .up()?
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(prefix))
            .map(|(name, bytes)| Listed { name: name.clone(), bytes: bytes.len() as u64 })
            .collect();
        let _ = listed.into_iter().try_for_each(visit);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn compares(&self) -> bool {
        self.0.compares.load(Ordering::SeqCst)
    }
}

impl Prunable for MemoryTarget {
    fn remove(&self, name: &ObjectName) -> Result<(), TargetError> {
        self.up()?.remove(name);
        Ok(())
    }
}
