//! An engine that does not keep the rows of all entries: a hundred million of them are more than a workshop's disk has. Every entry is made, sealed and hashed
//! into the tree all the same, and the index reads its sealed row; after that the row goes, except where it may answer a question or is among the first.

use super::entries::{Asked, stays};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tacet_ledger::SPACE_ENTRY;
use tacet_store::fjall::FjallEngine;
use tacet_store::{
    Durability, Engine, EngineStatistics, Pressure, Reader, Snapshot, StoreError, Value, Visit, Witness, Write,
};

pub(super) struct Thin {
    kept: FjallEngine,
    /// Every row of the entries before this one stays.
    whole: u64,
    asked: Vec<Asked>,
    /// Rows that the index has not read.
    unread: Arc<RwLock<BTreeMap<u64, Value>>>,
}

fn number(key: &[u8]) -> Option<u64> {
    match key {
        [SPACE_ENTRY, number @ ..] => number.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

impl Thin {
    pub(super) fn new(kept: FjallEngine, whole: u64, asked: Vec<Asked>) -> Self {
        Self { kept, whole, asked, unread: Arc::default() }
    }

    /// The index has read the entries before this one.
    pub(super) fn read_up_to(&self, entries: u64) {
        let mut unread = self.unread.write().unwrap_or_else(PoisonError::into_inner);
        *unread = unread.split_off(&entries);
    }
}

fn get(kept: &dyn Reader, unread: &RwLock<BTreeMap<u64, Value>>, key: &[u8]) -> Result<Option<Value>, StoreError> {
    if let Some(found) = kept.get(key)? {
        return Ok(Some(found));
    }
    let unread = unread.read().unwrap_or_else(PoisonError::into_inner);
    Ok(number(key).and_then(|number| unread.get(&number).cloned()))
}

/// Rows that the index has not read come from memory; a range that begins before them is one of those that stay.
fn range(
    kept: &dyn Reader,
    unread: &RwLock<BTreeMap<u64, Value>>,
    (from, to): (&[u8], &[u8]),
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    if let Some(first) = number(from) {
        let unread = unread.read().unwrap_or_else(PoisonError::into_inner);
        if unread.first_key_value().is_some_and(|(begin, _)| *begin <= first) {
            let end = number(to).unwrap_or(u64::MAX);
            let _ = unread.range(first..end).try_for_each(|(number, row)| {
                let key = [&[SPACE_ENTRY], number.to_be_bytes().as_slice()].concat();
                visit(&key, row)
            });
            return Ok(());
        }
    }
    kept.range(from, to, visit)
}

struct View {
    kept: Box<dyn Snapshot>,
    unread: Arc<RwLock<BTreeMap<u64, Value>>>,
}

impl Reader for View {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        get(self.kept.as_ref(), &self.unread, key)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        range(self.kept.as_ref(), &self.unread, (from, to), visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.kept.range_rev(from, to, visit)
    }
}

impl Snapshot for View {}

impl Reader for Thin {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        get(&self.kept, &self.unread, key)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        range(&self.kept, &self.unread, (from, to), visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.kept.range_rev(from, to, visit)
    }
}

impl Engine for Thin {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(View { kept: self.kept.snapshot()?, unread: Arc::clone(&self.unread) }))
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        let beyond = |write: &&Write| number(write.key()).is_some_and(|number| number >= self.whole);
        if !writes.iter().any(|write| beyond(&write)) {
            return self.kept.write(writes, durability);
        }
        let stay =
            |write: &&Write| number(write.key()).is_none_or(|number| number < self.whole || stays(number, &self.asked));
        let kept: Vec<Write> = writes.iter().filter(stay).cloned().collect();
        let mut unread = self.unread.write().unwrap_or_else(PoisonError::into_inner);
        for write in writes {
            if let (Some(number), Some(row)) = (number(write.key()), write.value()) {
                unread.insert(number, row.to_vec());
            }
        }
        drop(unread);
        // What is thrown away is not made durable first.
        self.kept.write(&kept, Durability::Buffered)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.kept.flush()
    }

    fn statistics(&self) -> EngineStatistics {
        self.kept.statistics()
    }

    fn pressure(&self) -> Pressure {
        self.kept.pressure()
    }

    fn witness(&self) -> &dyn Witness {
        self.kept.witness()
    }

    fn recovered(&self) -> Result<(), StoreError> {
        self.kept.recovered()
    }
}
