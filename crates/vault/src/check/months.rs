//! The keys of the ledger's months: each opens, or an entry says that it was destroyed.

use super::{Check, words};
use crate::EventKind;
use crate::error::VaultError;
use crate::retention::{KEEP_YEARS_MIN, says_destroyed};
use std::collections::BTreeSet;
use tacet_ledger::{Epoch, EpochRow, SPACE_EPOCH_KEYS};

/// Entries opened at a time.
const ENTRIES_FETCH: u64 = 4096;

impl Check<'_> {
    pub(super) fn months(&mut self) -> Result<(), VaultError> {
        let mut destroyed = BTreeSet::new();
        self.scan(SPACE_EPOCH_KEYS, |check, key, value| {
            let Some(row) = EpochRow::parse(value) else {
                check.at_row(key, "a row of the ledger's keys cannot be read");
                return Ok(());
            };
            if row.key(&check.inner.keys.row_keys).as_slice() != key {
                check.at_row(key, "a key of the ledger stands in another's place");
                return Ok(());
            }
            match row.wrapped {
                None => drop(destroyed.insert(row.epoch)),
                Some(wrapped) => {
                    if let Err(error) = check.inner.unwrap_patiently(&wrapped, key) {
                        let month = row.epoch;
                        check.at_row(
                            key,
                            format!("the key of the ledger's month {month} does not unwrap: {}", words(&error)),
                        );
                    }
                }
            }
            Ok(())
        })?;
        self.destroyed_by_rule(destroyed)
    }

    /// Whoever writes the word in the place of a key ends a month without an entry that says so.
    fn destroyed_by_rule(&mut self, mut destroyed: BTreeSet<Epoch>) -> Result<(), VaultError> {
        let Some(kept) = self.inner.ledger_kept()? else {
            for month in destroyed {
                self.found(
                    "ledger",
                    format!("the key of month {month} is destroyed, and those of months before it are not"),
                );
            }
            return Ok(());
        };
        // The entry may be past its time itself.
        destroyed.retain(|month| month.over_for(KEEP_YEARS_MIN) >= kept.since);
        let reader = self.inner.store.reader();
        let size = tacet_ledger::head(reader, &self.inner.ledger_keys)?.map_or(0, |head| head.size());
        let mut from = kept.first_entry;
        while from < size && !destroyed.is_empty() {
            let to = size.min(from + ENTRIES_FETCH);
            let indexes: Vec<u64> = (from..to).collect();
            for (_, entry) in tacet_ledger::read_each(reader, &self.inner.ledger_keys, &indexes)? {
                if let Ok(entry) = entry
                    && entry.kind == EventKind::LedgerKeyDestroyed
                {
                    let detail = entry.detail.as_deref().unwrap_or_default();
                    destroyed.retain(|month| !says_destroyed(detail, *month));
                }
            }
            from = to;
        }
        for month in destroyed {
            self.found(
                "ledger",
                format!("the key of month {month} is destroyed and no entry says so: it was not the rule"),
            );
        }
        Ok(())
    }
}
