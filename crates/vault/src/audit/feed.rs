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
    /// Entries from number `from` on, in their order, at most `max` and [`FEED_ENTRIES_MAX`]. None in the place of one whose key ended, and of one
    /// that does not open: somebody altered it, or the disk did. One such entry must not keep all that come after it from who watches; the log
    /// says that it is there, and its number is missing among those that are sent.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn feed_entries(&self, from: u64, max: usize) -> Result<Vec<(u64, Option<Entry>)>, VaultError> {
        let (reader, keys) = (self.0.store.reader(), &self.0.ledger_keys);
        match tacet_ledger::list(reader, keys, from, max) {
            Ok(entries) => Ok(entries.into_iter().map(|(index, entry)| (index, Some(entry))).collect()),
            Err(LedgerError::Store(error)) => Err(LedgerError::Store(error).into()),
            Err(_) => {
                let size = tacet_ledger::head(reader, keys)?.map_or(0, |head| head.size());
                let to = size.min(from.saturating_add(max.min(FEED_ENTRIES_MAX) as u64));
                let indexes: Vec<u64> = (from..to).collect();
                let opened = tacet_ledger::read_each(reader, keys, &indexes)?;
                Ok(opened.into_iter().map(|(index, entry)| (index, told(index, entry))).collect())
            }
        }
    }

    /// What stands in the place of a patient's name outside of this store: the same for the same name, and nothing to whoever has not the
    /// establishment's key. 128 bits in hexadecimal.
    pub fn pseudonym(&self, name: &str) -> String {
        let key = self.0.keys.row_keys.key(PSEUDONYM_SPACE, 1, &[name.as_bytes()]);
        key.iter().skip(1).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is sent of an entry.
fn told(index: u64, entry: Result<Entry, LedgerError>) -> Option<Entry> {
    entry
        .inspect_err(|error| {
            if !matches!(error, LedgerError::KeyNotHeld { .. }) {
                tracing::error!(index, %error, "an entry of the ledger does not open and is sent to no audit feed: run `tacet ledger verify`");
            }
        })
        .ok()
}
