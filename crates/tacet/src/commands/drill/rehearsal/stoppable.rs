//! An engine whose reads end once somebody says stop: whoever derives a ledger or opens every seal reads for hours, and looks at nothing else.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tacet_store::{
    Durability, Engine, EngineStatistics, Pressure, Reader, Snapshot, StoreError, Value, Visit, Witness, Write,
};

/// Reads of `R`, as long as nobody says stop.
pub(super) struct Stoppable<R> {
    inner: R,
    stop: Arc<AtomicBool>,
}

impl<R> Stoppable<R> {
    pub(super) fn new(inner: R, stop: Arc<AtomicBool>) -> Self {
        Self { inner, stop }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn go_on(&self) -> Result<(), StoreError> {
        match self.is_stopped() {
            true => Err(StoreError::Io(io::Error::from(io::ErrorKind::Interrupted))),
            false => Ok(()),
        }
    }

    /// A scan that looks at each row whether it is to go on.
    fn scan(
        &self,
        visit: &mut Visit<'_>,
        scan: impl FnOnce(&mut Visit<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.go_on()?;
        let mut stopped = false;
        scan(&mut |key, value| {
            stopped = self.is_stopped();
            if stopped { ControlFlow::Break(()) } else { visit(key, value) }
        })?;
        if stopped { self.go_on() } else { Ok(()) }
    }
}

impl<R: std::ops::Deref<Target: Reader>> Reader for Stoppable<R> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.go_on()?;
        self.inner.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>, StoreError> {
        self.go_on()?;
        self.inner.get_many(keys)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.scan(visit, |visit| self.inner.range(from, to, visit))
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.scan(visit, |visit| self.inner.range_rev(from, to, visit))
    }
}

impl Snapshot for Stoppable<Box<dyn Snapshot>> {}

impl Engine for Stoppable<Arc<dyn Engine>> {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.go_on()?;
        Ok(Box::new(Stoppable::new(self.inner.snapshot()?, Arc::clone(&self.stop))))
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        self.inner.write(writes, durability)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    fn statistics(&self) -> EngineStatistics {
        self.inner.statistics()
    }

    fn pressure(&self) -> Pressure {
        self.inner.pressure()
    }

    fn recovered(&self) -> Result<(), StoreError> {
        self.inner.recovered()
    }

    fn witness(&self) -> &dyn Witness {
        self.inner.witness()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_store::memory::MemoryEngine;

    #[test]
    fn reads_end_in_their_midst_when_somebody_says_stop() {
        let inner: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let writes: Vec<Write> = (0..10).map(|row| Write::put(vec![0x10, row], vec![row])).collect();
        inner.write(&writes, Durability::Durable).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let engine = Stoppable::new(inner, Arc::clone(&stop));
        let snapshot = engine.snapshot().unwrap();
        for reader in [&engine as &dyn Reader, snapshot.as_ref()] {
            stop.store(false, Ordering::Relaxed);
            assert!(reader.get(&[0x10, 3]).unwrap().is_some());
            let mut seen = 0;
            let mut few = |_: &[u8], _: &[u8]| {
                seen += 1;
                if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            reader.range(&[0x10], &[0x11], &mut few).unwrap();
            assert_eq!(seen, 3, "who has enough is no error");
            let mut seen = 0;
            let read = reader.range(&[0x10], &[0x11], &mut |_, _| {
                seen += 1;
                stop.store(seen == 4, Ordering::Relaxed);
                ControlFlow::Continue(())
            });
            assert!(read.is_err() && seen == 4, "{seen}");
            let all = &mut |_: &[u8], _: &[u8]| ControlFlow::Continue(());
            assert!(reader.range_rev(&[0x10], &[0x11], all).is_err());
            assert!(reader.get(&[0x10, 3]).is_err() && reader.get_many(&[vec![0x10, 3]]).is_err());
        }
        assert!(engine.snapshot().is_err() && engine.flush().is_ok());
    }
}
