//! What feeds to other systems are made of: entries in their order, the name of the establishment, pseudonyms.
//!
//! This shows entries without an entry for each: whoever sends them says in the ledger when it begins, when it ends, and how far it came.

use crate::error::VaultError;
use crate::vault::Vault;
use tacet_ledger::{Entry, LIST_MAX, LedgerError};

/// Most entries that are given at once.
pub const FEED_ENTRIES_MAX: usize = LIST_MAX;

/// Space of pseudonyms: no row of the store begins with it, so none of its keys is one.
const PSEUDONYM_SPACE: u8 = 0xf0;

impl Vault {
    /// Entries from number `from` on, in their order, at most `max` and [`FEED_ENTRIES_MAX`]. None in the place of one whose key ended.
    ///
    /// # Errors
    /// An entry that cannot be read.
    pub fn feed_entries(&self, from: u64, max: usize) -> Result<Vec<(u64, Option<Entry>)>, VaultError> {
        let (reader, keys) = (self.0.store.reader(), &self.0.ledger_keys);
        match tacet_ledger::list(reader, keys, from, max) {
            Ok(entries) => Ok(entries.into_iter().map(|(index, entry)| (index, Some(entry))).collect()),
            Err(LedgerError::KeyNotHeld { .. }) => {
                let size = tacet_ledger::head(reader, keys)?.map_or(0, |head| head.size());
                let to = size.min(from.saturating_add(max.min(FEED_ENTRIES_MAX) as u64));
                (from..to).map(|index| Ok((index, self.0.ledger_entry_if_any(index)?))).collect()
            }
            Err(other) => Err(other.into()),
        }
    }

    /// What stands in the place of a patient's name outside of this store: the same for the same name, and nothing to whoever has not the
    /// establishment's key. 128 bits in hexadecimal.
    pub fn pseudonym(&self, name: &str) -> String {
        let key = self.0.keys.row_keys.key(PSEUDONYM_SPACE, 1, &[name.as_bytes()]);
        key.iter().skip(1).map(|byte| format!("{byte:02x}")).collect()
    }
}
