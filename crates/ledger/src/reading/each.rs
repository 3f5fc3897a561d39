//! Entries by their numbers, many at once: what answers a question lies all over the ledger.
//!
//! ```text
//! numbers ──sorted──> a share for each thread ──> runs ──> near each other: one scan          ──> opened ──> put back in their places
//!                                                     └──> far apart: gets, some at a time
//! ```
//!
//! Neighbours lie in one block of the engine's files, so going in order reads each block once; a scan skips what lies between for less than a get
//! costs. Opening is arithmetic and reading waits for the disk: threads do both for each other.

use crate::entry::Entry;
use crate::error::LedgerError;
use crate::keys::LedgerKeys;
use crate::rows::{entry_index, entry_key};
use std::ops::ControlFlow;
use tacet_store::Reader;

/// An entry's number, and what came of opening it.
pub type Opened = (u64, Result<Entry, LedgerError>);

/// Numbers not farther apart than this are read by one scan. A row that is passed over costs about half a microsecond, a get that finds its block in memory about
/// eight.
const NEAR: u64 = 8;

/// Numbers from which a run is worth a scan, which costs several microseconds to begin with.
const SCAN_MIN: usize = 8;

/// Rows that are got at a time: what is held in memory unopened.
const GETS: usize = 64;

/// Numbers from which a share is worth a thread.
const SHARE_MIN: usize = 256;

/// Threads for each core: while most wait for the disk, one opens. A disk answers several at once in the time of one.
const THREADS_A_CORE: usize = 4;

/// Most threads at once.
const THREADS_MAX: usize = 16;

/// Entries by their numbers, each with what came of opening it, in the order of `indexes`. What is opened is in memory all at once: the caller bounds how many
/// are asked for.
///
/// # Errors
/// The store cannot be read.
pub fn read_each(reader: &(dyn Reader + Sync), keys: &LedgerKeys, indexes: &[u64]) -> Result<Vec<Opened>, LedgerError> {
    let mut order: Vec<usize> = (0..indexes.len()).collect();
    order.sort_by_key(|place| indexes.get(*place));
    let sorted: Vec<u64> = order.iter().filter_map(|place| indexes.get(*place).copied()).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (cores * THREADS_A_CORE).min(THREADS_MAX);
    let share = sorted.len().div_ceil(threads).max(SHARE_MIN);
    let opened = if sorted.len() <= share {
        of_share(reader, keys, &sorted)?
    } else {
        std::thread::scope(|scope| {
            let shares: Vec<_> =
                sorted.chunks(share).map(|share| scope.spawn(move || of_share(reader, keys, share))).collect();
            let mut opened = Vec::with_capacity(sorted.len());
            for share in shares {
                opened.append(&mut share.join().map_err(|_| LedgerError::Interrupted)??);
            }
            Ok::<_, LedgerError>(opened)
        })?
    };
    let mut placed: Vec<(usize, Opened)> = order.into_iter().zip(opened).collect();
    placed.sort_unstable_by_key(|(place, _)| *place);
    Ok(placed.into_iter().map(|(_, opened)| opened).collect())
}

/// The entries of ascending numbers, in their order.
fn of_share(reader: &dyn Reader, keys: &LedgerKeys, sorted: &[u64]) -> Result<Vec<Opened>, LedgerError> {
    let mut opened = Vec::with_capacity(sorted.len());
    let mut apart: Vec<u64> = Vec::new();
    for run in sorted.chunk_by(|one, next| next - one <= NEAR) {
        if run.len() >= SCAN_MIN {
            get(reader, keys, &apart, &mut opened)?;
            apart.clear();
            scan(reader, keys, run, &mut opened)?;
        } else {
            apart.extend(run);
        }
    }
    get(reader, keys, &apart, &mut opened)?;
    Ok(opened)
}

/// Opens entries that lie apart.
fn get(reader: &dyn Reader, keys: &LedgerKeys, sorted: &[u64], opened: &mut Vec<Opened>) -> Result<(), LedgerError> {
    for some in sorted.chunks(GETS) {
        let rows: Vec<Vec<u8>> = some.iter().map(|index| entry_key(*index).to_vec()).collect();
        for (index, row) in some.iter().zip(reader.get_many(&rows)?) {
            let row = row.ok_or(LedgerError::NoEntry { index: *index });
            opened.push((*index, row.and_then(|row| keys.open_entry(*index, &row))));
        }
    }
    Ok(())
}

/// Opens entries that lie near each other.
fn scan(reader: &dyn Reader, keys: &LedgerKeys, run: &[u64], opened: &mut Vec<Opened>) -> Result<(), LedgerError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let mut wanted = run.iter().copied().peekable();
    // Behind the last: the row after it, or what follows all entries.
    let end = last.checked_add(1).map_or(crate::rows::HEAD_KEY.to_vec(), |next| entry_key(next).to_vec());
    reader.range(&entry_key(*first), &end, &mut |key, row| {
        let Some(index) = entry_index(key) else { return ControlFlow::Continue(()) };
        while let Some(missing) = wanted.next_if(|wanted| *wanted < index) {
            opened.push((missing, Err(LedgerError::NoEntry { index: missing })));
        }
        // A number may be asked for twice.
        while wanted.next_if_eq(&index).is_some() {
            opened.push((index, keys.open_entry(index, row)));
        }
        if wanted.peek().is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    opened.extend(wanted.map(|missing| (missing, Err(LedgerError::NoEntry { index: missing }))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::small_entry;
    use crate::keys::tests::test_keys;
    use tacet_store::memory::MemoryEngine;
    use tacet_store::{Durability, Engine, Write};
    use tacet_types::{Rng, SeededRng};

    const ENTRIES: u64 = 3000;

    /// Entries in their rows; one is missing and one is another's.
    fn filled(keys: &LedgerKeys) -> MemoryEngine {
        let (engine, rng) = (MemoryEngine::new(), SeededRng::new(4));
        let row = |index: u64| {
            let row = keys.seal_entry(index, &small_entry(index).encode().unwrap(), &rng).unwrap();
            let at = if index == 1500 { 1501 } else { index };
            (at != 700).then(|| Write::put(entry_key(if index == 1501 { 1500 } else { at }), row))
        };
        let writes: Vec<Write> = (0..ENTRIES).filter_map(row).collect();
        engine.write(&writes, Durability::Durable).unwrap();
        engine
    }

    #[test]
    fn however_they_are_read_each_is_what_it_is_alone_and_in_its_place() {
        let keys = test_keys();
        let engine = filled(&keys);
        let rng = SeededRng::new(9);
        let some = |count: usize, below: u64| (0..count).map(|_| rng.next_u64() % below).collect::<Vec<u64>>();
        let cases = [
            vec![],
            vec![5],
            (0..ENTRIES).collect(),
            (0..ENTRIES).rev().collect(),
            (0..ENTRIES + 40).step_by(7).collect(),
            (0..ENTRIES).step_by(100).collect(),
            some(2000, ENTRIES + 100),
            some(300, 400),
            vec![700, 700, 1500, 1501, u64::MAX, 0, 0],
            (690..720).chain(10..13).chain(ENTRIES - 5..ENTRIES + 5).collect(),
        ];
        for asked in cases {
            let read = read_each(&engine, &keys, &asked).unwrap();
            assert_eq!(read.iter().map(|(index, _)| *index).collect::<Vec<_>>(), asked);
            for (index, entry) in read {
                match (entry, crate::read(&engine, &keys, index)) {
                    (Ok(entry), Ok(alone)) => assert!(entry == alone),
                    (Err(error), Err(alone)) => assert_eq!(error.to_string(), alone.to_string(), "{index}"),
                    _ => panic!("{index} opens in one way only"),
                }
            }
        }
        assert!(matches!(crate::read(&engine, &keys, 700), Err(LedgerError::NoEntry { index: 700 })));
        assert!(matches!(crate::read(&engine, &keys, 1500), Err(LedgerError::EntrySealed { index: 1500, .. })));
    }
}
