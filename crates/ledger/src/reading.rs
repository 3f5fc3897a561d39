//! Reading entries back. Whoever reads the ledger is to be in it: that entry is the caller's to write, before.

mod each;

pub use each::{Opened, read_each};

use crate::entry::Entry;
use crate::error::LedgerError;
use crate::keys::LedgerKeys;
use crate::rows::{HEAD_KEY, SPACE_ENTRY, entry_index, entry_key};
use std::ops::ControlFlow;
use tacet_store::Reader;

/// Most entries of one listing.
pub const LIST_MAX: usize = 1000;

/// Entry `index`.
///
/// # Errors
/// [`LedgerError::NoEntry`]; [`LedgerError::KeyNotHeld`] past its retention; or the entry does not open.
pub fn read(reader: &dyn Reader, keys: &LedgerKeys, index: u64) -> Result<Entry, LedgerError> {
    let row = reader.get(&entry_key(index))?.ok_or(LedgerError::NoEntry { index })?;
    keys.open_entry(index, &row)
}

/// Entries from number `from` on, ascending; at most `max`, and at most [`LIST_MAX`].
///
/// # Errors
/// The first entry that cannot be read.
pub fn list(reader: &dyn Reader, keys: &LedgerKeys, from: u64, max: usize) -> Result<Vec<(u64, Entry)>, LedgerError> {
    let mut listing = Listing::new(keys, max);
    reader.range(&entry_key(from), &HEAD_KEY, &mut |key, row| listing.take(key, row))?;
    listing.outcome
}

/// Entries before number `before`, newest first; at most `max`, and at most [`LIST_MAX`]. `u64::MAX` starts at the end.
///
/// # Errors
/// The first entry that cannot be read.
pub fn list_newest(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    before: u64,
    max: usize,
) -> Result<Vec<(u64, Entry)>, LedgerError> {
    let mut listing = Listing::new(keys, max);
    reader.range_rev(&[SPACE_ENTRY], &entry_key(before), &mut |key, row| listing.take(key, row))?;
    listing.outcome
}

struct Listing<'a> {
    keys: &'a LedgerKeys,
    max: usize,
    outcome: Result<Vec<(u64, Entry)>, LedgerError>,
}

impl<'a> Listing<'a> {
    fn new(keys: &'a LedgerKeys, max: usize) -> Self {
        Self { keys, max: max.min(LIST_MAX), outcome: Ok(Vec::new()) }
    }

    fn take(&mut self, key: &[u8], row: &[u8]) -> ControlFlow<()> {
        let Ok(listed) = &mut self.outcome else { return ControlFlow::Break(()) };
        if listed.len() >= self.max {
            return ControlFlow::Break(());
        }
        let opened = entry_index(key)
            .ok_or(LedgerError::StrangeRow)
            .and_then(|index| self.keys.open_entry(index, row).map(|entry| (index, entry)));
        match opened {
            Ok(entry) => {
                listed.push(entry);
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.outcome = Err(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// The rows of entries from number `from` on, as they are stored: what the tree is made of. Without gaps; at most `max`, and none
/// more once they have `bytes_max` bytes.
///
/// # Errors
/// [`LedgerError::NoEntry`] where one is missing between others.
pub fn rows(reader: &dyn Reader, from: u64, max: usize, bytes_max: usize) -> Result<Vec<Vec<u8>>, LedgerError> {
    let mut rows = Vec::new();
    let (mut gap, mut bytes) = (None, 0);
    if max == 0 {
        return Ok(rows);
    }
    reader.range(&entry_key(from), &HEAD_KEY, &mut |key, row| {
        let expected = from.saturating_add(rows.len() as u64);
        if entry_index(key) != Some(expected) {
            gap = Some(expected);
            return ControlFlow::Break(());
        }
        bytes += row.len();
        rows.push(row.to_vec());
        if rows.len() < max && bytes < bytes_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    gap.map_or(Ok(rows), |index| Err(LedgerError::NoEntry { index }))
}

/// The entry in a row that [`rows`] gave.
///
/// # Errors
/// [`LedgerError::KeyNotHeld`] past its retention; or the entry does not open.
pub fn open_row(keys: &LedgerKeys, index: u64, row: &[u8]) -> Result<Entry, LedgerError> {
    keys.open_entry(index, row)
}
