//! Opened ranges of files, the most recently asked for, in a bounded number of bytes.
//!
//! The library asks for whole posting lists and columns, so whole ranges are kept as they were asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tantivy::directory::OwnedBytes;

/// What an entry costs beside its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 192;

/// A range that takes more than this part of the cache is not kept: it would push out everything else.
const SHARE_MAX: usize = 2;

/// Which range: number of the open file, start, end.
type RangeKey = (u64, usize, usize);

/// The cache. One shard: it is asked once for each list or column of a query, not once for each document.
pub(crate) struct RangeCache {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    ranges: BTreeMap<RangeKey, (u64, OwnedBytes)>,
    by_age: BTreeMap<u64, RangeKey>,
    bytes: usize,
    clock: u64,
}

impl RangeCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, inner: Mutex::default() }
    }

    pub(crate) fn get(&self, key: RangeKey) -> Option<OwnedBytes> {
        let mut inner = self.lock();
        inner.clock += 1;
        let now = inner.clock;
        let Inner { ranges, by_age, .. } = &mut *inner;
        let (stamp, bytes) = ranges.get_mut(&key)?;
        by_age.remove(stamp);
        by_age.insert(now, key);
        *stamp = now;
        Some(bytes.clone())
    }

    pub(crate) fn put(&self, key: RangeKey, bytes: &OwnedBytes) {
        let cost = cost(bytes);
        if cost > self.bytes_max / SHARE_MAX {
            return;
        }
        let mut inner = self.lock();
        inner.remove(&key);
        while inner.bytes + cost > self.bytes_max {
            let Some((_, oldest)) = inner.by_age.first_key_value() else { break };
            let oldest = *oldest;
            inner.remove(&oldest);
        }
        inner.clock += 1;
        let now = inner.clock;
        inner.ranges.insert(key, (now, bytes.clone()));
        inner.by_age.insert(now, key);
        inner.bytes += cost;
    }

    /// Lets go of everything of a file that was closed.
    pub(crate) fn forget(&self, file: u64) {
        let mut inner = self.lock();
        let keys: Vec<RangeKey> = inner.ranges.range((file, 0, 0)..(file + 1, 0, 0)).map(|(key, _)| *key).collect();
        for key in keys {
            inner.remove(&key);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, key: &RangeKey) {
        if let Some((stamp, bytes)) = self.ranges.remove(key) {
            self.by_age.remove(&stamp);
            self.bytes -= cost(&bytes);
        }
    }
}

fn cost(bytes: &OwnedBytes) -> usize {
    bytes.len() + ENTRY_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> OwnedBytes {
        OwnedBytes::new(vec![0; length])
    }

    #[test]
    fn the_oldest_goes_first_and_the_bound_holds() {
        let cache = RangeCache::new(10_000);
        for file in 0..100 {
            cache.put((file, 0, 1000), &bytes(1000));
            assert!(cache.get((0, 0, 1000)).is_some(), "asked for each time, so never the oldest");
            assert!(cache.bytes() <= 10_000);
        }
        assert!(cache.get((99, 0, 1000)).is_some() && cache.get((50, 0, 1000)).is_none());
        cache.put((1000, 0, 5000), &bytes(5000));
        assert!(cache.get((1000, 0, 5000)).is_none(), "too large a share");
        cache.put((99, 0, 1000), &bytes(1000));
        cache.forget(0);
        assert!(cache.get((0, 0, 1000)).is_none() && cache.get((99, 0, 1000)).is_some());
        (0..100).for_each(|file| cache.forget(file));
        assert_eq!(cache.bytes(), 0);
    }
}
