//! Where a feed is: a sealed row, the first entry that may not have been taken yet.

use tacet_ledger::Entry;
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, RowsError, Table};
use tacet_vault::Vault;

/// Format of the row.
const FORMAT: u8 = 1;

/// The place of a feed; none where it never ran, or where the row is not one of ours.
pub(super) fn read(vault: &Vault, name: &str) -> Result<Option<u64>, RowsError> {
    Ok(NotedRows::get(vault, Table::AuditFeeds, name.as_bytes())?.and_then(|row| decode(&row.value)))
}

/// Writes the place, with entries if something is to be said.
pub(super) async fn write(vault: &Vault, name: &str, next: u64, entries: Vec<Entry>) -> Result<(), RowsError> {
    let write = RowWrite {
        table: Table::AuditFeeds,
        name: name.as_bytes().to_vec(),
        value: Some(encode(next)),
        expect: Expect::Anything,
    };
    NotedRows::commit(vault, vec![write], entries).await
}

/// Format, number.
fn encode(next: u64) -> Vec<u8> {
    let mut value = vec![FORMAT];
    value.extend(next.to_be_bytes());
    value
}

fn decode(value: &[u8]) -> Option<u64> {
    match value {
        [FORMAT, next @ ..] => next.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_goes_round_and_the_malformed_is_none() {
        for next in [0, 1, u64::MAX] {
            assert_eq!(decode(&encode(next)), Some(next));
        }
        for value in [&b""[..], b"\x01", b"\x02\0\0\0\0\0\0\0\0", b"\x01\0\0\0\0\0\0\0\0\0"] {
            assert_eq!(decode(value), None);
        }
    }
}
