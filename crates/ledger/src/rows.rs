//! Where the ledger's rows are and what they look like (`docs/formats/ledger.md`).
//!
//! ```text
//! 0x10 index (8)  ->  row format=2  key epoch (2)  commitment (32)  sealed entry      the leaf's data is this whole value
//! 0x11            ->  sealed head
//! 0x12 ...        ->  the published log: crate::log
//! ```

use crate::error::LedgerError;
use crate::merkle::{TreeHash, leaf_hash, proof::HashSource};
use std::ops::ControlFlow;
use tacet_store::Reader;

/// First byte of the keys of entries.
pub const SPACE_ENTRY: u8 = 0x10;

/// The key of the head, and what lies behind the last entry.
pub const SPACE_HEAD: u8 = 0x11;

/// The key of the head's row.
pub(crate) const HEAD_KEY: [u8; 1] = [SPACE_HEAD];

/// Bytes of an entry's key.
pub(crate) const ENTRY_KEY_BYTES: usize = 9;

/// The row format that is written, and the only one that is read.
pub(crate) const ROW_FORMAT: u8 = 2;

/// Bytes of the commitment to an entry, behind the header.
pub(crate) const COMMITMENT_BYTES: usize = 32;

/// Bytes at the start of a row: format and key epoch.
pub(crate) const ROW_HEADER_BYTES: usize = 3;

/// The key of entry `index`.
pub(crate) fn entry_key(index: u64) -> [u8; ENTRY_KEY_BYTES] {
    let [a, b, c, d, e, f, g, h] = index.to_be_bytes();
    [SPACE_ENTRY, a, b, c, d, e, f, g, h]
}

/// The index in an entry's key; `None` for any other key.
pub(crate) fn entry_index(key: &[u8]) -> Option<u64> {
    match key {
        [SPACE_ENTRY, index @ ..] => index.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

/// Format and key epoch at the start of a row.
pub(crate) fn row_header(epoch: u16) -> [u8; ROW_HEADER_BYTES] {
    let [high, low] = epoch.to_be_bytes();
    [ROW_FORMAT, high, low]
}

/// What stands in an entry's row.
pub(crate) struct Row<'a> {
    /// The number of the key that it is sealed under.
    pub(crate) epoch: u16,
    /// What binds the row to what the entry says, for those who cannot open it.
    pub(crate) commitment: &'a [u8; COMMITMENT_BYTES],
    /// Salt and entry.
    pub(crate) sealed: &'a [u8],
}

/// The parts of a row.
pub(crate) fn split_row(index: u64, row: &[u8]) -> Result<Row<'_>, LedgerError> {
    match row {
        [ROW_FORMAT, high, low, rest @ ..] if rest.len() > COMMITMENT_BYTES => {
            let format = LedgerError::RowFormat { index, found: ROW_FORMAT, supported: ROW_FORMAT };
            let (commitment, sealed) = rest.split_first_chunk().ok_or(format)?;
            Ok(Row { epoch: u16::from_be_bytes([*high, *low]), commitment, sealed })
        }
        other => {
            let found = other.first().copied().unwrap_or_default();
            Err(LedgerError::RowFormat { index, found, supported: ROW_FORMAT })
        }
    }
}

/// The number of the last row in the ledger's space; `None` where there is none.
pub(crate) fn last_index(reader: &dyn Reader) -> Result<Option<u64>, LedgerError> {
    let mut last = Ok(None);
    reader.range_rev(&[SPACE_ENTRY], &HEAD_KEY, &mut |key, _| {
        last = entry_index(key).map(Some).ok_or(LedgerError::StrangeRow);
        ControlFlow::Break(())
    })?;
    last
}

/// The ledger's rows as a source of hashes for proofs. Reads every leaf under the hash that is asked for: a proof
/// costs a scan of the ledger up to its size, until tiles are kept.
#[derive(Clone, Copy)]
pub struct RowHashes<'a>(pub &'a dyn Reader);

impl HashSource for RowHashes<'_> {
    type Error = LedgerError;

    fn subtree(&self, level: u32, index: u64) -> Result<TreeHash, LedgerError> {
        let (Some(from), Some(leaves)) = (index.checked_shl(level), 1u64.checked_shl(level)) else {
            return Err(LedgerError::NoEntry { index });
        };
        let to = from.checked_add(leaves).filter(|_| from >> level == index).ok_or(LedgerError::NoEntry { index })?;
        let (mut frontier, mut gap) = (crate::merkle::Frontier::new(), None);
        self.0.range(&entry_key(from), &entry_key(to), &mut |key, row| {
            let expected = from + frontier.size();
            if entry_index(key) != Some(expected) {
                gap = Some(expected);
                return ControlFlow::Break(());
            }
            frontier.append(leaf_hash(row));
            ControlFlow::Continue(())
        })?;
        match gap {
            None if frontier.size() == leaves => Ok(frontier.root()),
            _ => Err(LedgerError::NoEntry { index: gap.unwrap_or(from + frontier.size()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_entries_and_before_the_head() {
        let indexes = [0, 1, 255, 256, 1 << 40, u64::MAX];
        let keys: Vec<_> = indexes.iter().map(|index| entry_key(*index)).collect();
        assert!(keys.is_sorted());
        assert!(
            keys.iter().all(|key| key.as_slice() < HEAD_KEY.as_slice() && key.as_slice() > [SPACE_ENTRY].as_slice())
        );
        assert!(indexes.iter().zip(&keys).all(|(index, key)| entry_index(key) == Some(*index)));
        for strange in [&b""[..], &[0x10], &[0x11, 0, 0, 0, 0, 0, 0, 0, 0], &[0x10; 10], &[0x10; 8]] {
            assert_eq!(entry_index(strange), None);
        }
    }

    #[test]
    fn rows_of_another_format_are_refused() {
        let row = [row_header(0x0102).as_slice(), &[9; 32], b"sealed"].concat();
        let parts = split_row(7, &row).unwrap();
        assert_eq!((parts.epoch, parts.commitment, parts.sealed), (0x0102, &[9; 32], b"sealed".as_slice()));
        for row in [&b""[..], b"\x02", b"\x02\x00", b"\x02\x00\x00short", &[&[1], &row[1..]].concat(), &row[..35]] {
            assert!(matches!(split_row(7, row), Err(LedgerError::RowFormat { index: 7, supported: 2, .. })));
        }
    }
}
