//! What the index's files do not hold yet: the newest entries, in memory. And reading them from the ledger's rows, on every core.

use std::collections::{BTreeMap, HashMap};
use tacet_ledger::index::{Facet, FacetKeys, Marks};
use tacet_ledger::merkle::{TreeHash, leaf_hash};
use tacet_ledger::{LedgerError, LedgerKeys};
use tacet_store::Reader;
use tacet_types::Timestamp;

/// Entries read at a time.
const BATCH_ENTRIES: usize = 4096;

/// Bytes after which a batch is full.
const BATCH_BYTES: usize = 8 << 20;

/// A batch below this is not worth a thread.
const SHARE_ENTRIES: usize = 512;

/// Most threads at once.
const THREADS_MAX: usize = 4;

/// The newest entries.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Entries under each key, as distances from the first.
    pub(super) postings: HashMap<u64, Vec<u32>>,
    pub(super) marks: Marks,
}

impl Tail {
    pub(super) fn new(from: u64) -> Self {
        Self { from, to: from, ..Self::default() }
    }

    pub(super) fn entries(&self) -> u64 {
        self.to - self.from
    }

    fn add(&mut self, facets: &[u64], at: Option<Timestamp>) {
        let distance = u32::try_from(self.entries()).unwrap_or(u32::MAX);
        for key in facets {
            self.postings.entry(*key).or_default().push(distance);
        }
        self.marks.add(self.to, at);
        self.to += 1;
    }

    /// Takes over what is said of the entries of another tail of the same entries that are kept.
    pub(super) fn take_from(&mut self, other: &Self, kept: impl Fn(u64) -> bool) {
        for (key, distances) in &other.postings {
            let left = distances.iter().copied().filter(|distance| kept(other.from + u64::from(*distance)));
            let left: Vec<u32> = left.collect();
            if !left.is_empty() {
                self.postings.insert(*key, left);
            }
        }
    }

    /// The entries under a key.
    pub(super) fn list(&self, key: u64) -> Vec<u64> {
        let distances = self.postings.get(&key).map(Vec::as_slice).unwrap_or_default();
        distances.iter().map(|distance| self.from + u64::from(*distance)).collect()
    }

    /// Every key with its entries, in the order of keys.
    pub(super) fn sorted(&self) -> BTreeMap<u64, Vec<u64>> {
        self.postings.keys().map(|key| (*key, self.list(*key))).collect()
    }
}

/// What was found in the rows of consecutive entries.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) leaves: Vec<TreeHash>,
    at: Vec<Option<Timestamp>>,
    /// Where each entry's facets end.
    ends: Vec<usize>,
    facets: Vec<u64>,
}

impl Batch {
    pub(super) fn entries(&self) -> usize {
        self.leaves.len()
    }

    fn look(keys: &LedgerKeys, facet_keys: &FacetKeys, first: u64, rows: &[Vec<u8>]) -> Self {
        let mut batch = Self::default();
        for (index, row) in (first..).zip(rows) {
            batch.leaves.push(leaf_hash(row));
            match tacet_ledger::open_row(keys, index, row) {
                Ok(entry) => {
                    facet_keys.of_entry(&entry, &mut batch.facets);
                    batch.at.push(Some(entry.at));
                }
                // Its time is over: that there is an entry is all that shall be known.
                Err(LedgerError::KeyNotHeld { .. }) => batch.at.push(None),
                // Somebody altered it or took its key away: nobody can say what it would answer.
                Err(_) => {
                    batch.facets.push(facet_keys.key(Facet::Unread));
                    batch.at.push(None);
                }
            }
            batch.ends.push(batch.facets.len());
        }
        batch
    }

    fn append(&mut self, mut later: Self) {
        let before = self.facets.len();
        self.leaves.append(&mut later.leaves);
        self.at.append(&mut later.at);
        self.ends.extend(later.ends.iter().map(|end| end + before));
        self.facets.append(&mut later.facets);
    }

    /// Puts the entries behind those of the tail.
    pub(super) fn into_tail(self, tail: &mut Tail) {
        let mut start = 0;
        for (at, end) in self.at.iter().zip(&self.ends) {
            tail.add(self.facets.get(start..*end).unwrap_or_default(), *at);
            start = *end;
        }
    }
}

/// The next entries from `from` on, at most `max` and at most a batch.
pub(super) fn read(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    facet_keys: &FacetKeys,
    from: u64,
    max: u64,
) -> Result<Batch, LedgerError> {
    let max = usize::try_from(max).unwrap_or(usize::MAX).min(BATCH_ENTRIES);
    let rows = tacet_ledger::rows(reader, from, max, BATCH_BYTES)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let share = rows.len().div_ceil(threads).max(SHARE_ENTRIES);
    if rows.len() <= share {
        return Ok(Batch::look(keys, facet_keys, from, &rows));
    }
    let parts: Vec<Batch> = std::thread::scope(|scope| {
        let look = |(place, rows)| scope.spawn(move || Batch::look(keys, facet_keys, from + place as u64, rows));
        let starts = (0..).step_by(share);
        let threads: Vec<_> = starts.zip(rows.chunks(share)).map(look).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| LedgerError::Interrupted)).collect::<Result<_, _>>()
    })?;
    let mut all = Batch::default();
    parts.into_iter().for_each(|part| all.append(part));
    Ok(all)
}
