//! Sealed rows that change together with entries: where accounts, sessions, clients and approvals are kept.
//!
//! What they mean is not known here. A row's name and value are sealed together and filled up to a step, so that neither shows. What a
//! break-glass row says is also taken into memory with its commit: it counts from the moment at which it is written.

use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::vault::{Inner, Vault};
use std::ops::ControlFlow;
use tacet_ledger::noted::{
    self, Committing, Expect, NotedRow, NotedRows, ROW_NAME_BYTES_MAX, RowWrite, RowsError, Table,
};
use tacet_ledger::{ENTRIES_MAX, Entry, Prepared};
use tacet_seal::Purpose;
use tacet_store::{Commit, Precondition, StoreError, Write};

/// Step to which rows are filled up, in bytes.
pub(crate) const STEP_BYTES: usize = 256;

/// Format of a row.
const FORMAT: u8 = 1;

impl NotedRows for Vault {
    fn get(&self, table: Table, name: &[u8]) -> Result<Option<NotedRow>, RowsError> {
        self.0.noted_row(table, name).map(|found| found.map(|(row, _)| row)).map_err(failed)
    }

    fn scan(&self, table: Table, each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>) -> Result<(), RowsError> {
        self.0.scan_noted(table, each).map_err(failed)
    }

    fn scan_readable(&self, table: Table, each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>) -> Result<u64, RowsError> {
        self.0.scan_readable_noted(table, each).map_err(failed)
    }

    fn commit(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Committing<'_> {
        Box::pin(async move {
            noted::check(&writes)?;
            if entries.len() > ENTRIES_MAX {
                return Err(RowsError::TooLarge { what: "the entries of a commit", max: ENTRIES_MAX });
            }
            self.0.commit_noted(&writes, &entries).await
        })
    }
}

impl Inner {
    /// A row, and its bytes as they lie.
    pub(crate) fn noted_row(&self, table: Table, name: &[u8]) -> Result<Option<(NotedRow, Vec<u8>)>, VaultError> {
        if name.len() > ROW_NAME_BYTES_MAX {
            return Ok(None);
        }
        let key = layout::noted(&self.keys.row_keys, table as u8, name);
        let Some(value) = self.store.reader().get(&key)? else { return Ok(None) };
        let row = self.open_noted(&key, &value)?;
        if row.name != name {
            return Err(VaultError::Damaged("a row of a table stands in another's place"));
        }
        Ok(Some((row, value)))
    }

    pub(crate) fn scan_noted(
        &self,
        table: Table,
        each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>,
    ) -> Result<(), VaultError> {
        let (from, to) = layout::noted_bounds(table as u8);
        self.each_row(&from, &to, &mut |key, value| Ok(each(self.open_noted(key, value)?)))
    }

    /// The same, passing over rows that do not open. Says how many these were.
    pub(crate) fn scan_readable_noted(
        &self,
        table: Table,
        each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>,
    ) -> Result<u64, VaultError> {
        let ((from, to), mut unreadable) = (layout::noted_bounds(table as u8), 0);
        self.each_row(&from, &to, &mut |key, value| {
            let Ok(row) = self.open_noted(key, value) else {
                unreadable += 1;
                return Ok(ControlFlow::Continue(()));
            };
            Ok(each(row))
        })?;
        Ok(unreadable)
    }

    fn open_noted(&self, key: &[u8], value: &[u8]) -> Result<NotedRow, VaultError> {
        let plain = self.open_structure(Purpose::State, key, value)?;
        decode(&plain).ok_or(VaultError::Damaged("a row of a table cannot be read"))
    }

    /// The write of a row, and what must be so for it. None: what must be so is not so.
    pub(crate) fn noted_write(&self, write: &RowWrite) -> Result<Option<(Option<Precondition>, Write)>, VaultError> {
        let key = layout::noted(&self.keys.row_keys, write.table as u8, &write.name);
        let precondition = match write.expect {
            Expect::Anything => None,
            Expect::Absent => Some(Precondition::Absent { key: key.to_vec() }),
            Expect::Revision(revision) => match self.noted_row(write.table, &write.name)? {
                Some((row, value)) if row.revision == revision => {
                    Some(Precondition::Unchanged { key: key.to_vec(), value })
                }
                _ => return Ok(None),
            },
        };
        let change = match &write.value {
            Some(value) => Write::Put { key: key.to_vec(), value: self.seal_noted(&key, &write.name, value)? },
            None => Write::Delete { key: key.to_vec() },
        };
        Ok(Some((precondition, change)))
    }

    fn seal_noted(&self, key: &RowKey, name: &[u8], value: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut revision = [0; 8];
        self.rng.fill(&mut revision);
        self.seal_structure(Purpose::State, key, &encode(revision, name, value))
    }

    async fn commit_noted(&self, writes: &[RowWrite], entries: &[Entry]) -> Result<(), RowsError> {
        let mut commit = Commit {
            preconditions: Vec::new(),
            writes: Vec::new(),
            feed: None,
            item: Prepared::all(entries).map_err(|error| failed(error.into()))?,
        };
        for write in writes {
            let (precondition, change) = self.noted_write(write).map_err(failed)?.ok_or(RowsError::Conflict)?;
            commit.preconditions.extend(precondition);
            commit.writes.push(change);
        }
        if commit.writes.is_empty() && commit.item.is_empty() {
            return Ok(());
        }
        let declared = writes.iter().filter(|write| write.table == Table::BreakGlass).cloned().collect();
        match self.submit_declared(commit, declared).await {
            Ok(_) => Ok(()),
            Err(StoreError::PreconditionFailed { .. }) => Err(RowsError::Conflict),
            Err(error) => Err(RowsError::Store(Box::new(error))),
        }
    }
}

fn failed(error: VaultError) -> RowsError {
    match error {
        VaultError::Conflict => RowsError::Conflict,
        error => RowsError::Store(Box::new(error)),
    }
}

/// Format, revision, name and value each with its length, zeros up to the step.
fn encode(revision: [u8; 8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut plain = vec![FORMAT];
    plain.extend(revision);
    // Both are far below these bounds.
    plain.extend((name.len() as u16).to_be_bytes());
    plain.extend(name);
    plain.extend((value.len() as u32).to_be_bytes());
    plain.extend(value);
    plain.resize(plain.len().next_multiple_of(STEP_BYTES), 0);
    plain
}

fn decode(plain: &[u8]) -> Option<NotedRow> {
    let (&[FORMAT], rest) = plain.split_first_chunk::<1>()? else { return None };
    let (revision, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (value, filling) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    if filling.len() >= STEP_BYTES || filling.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(NotedRow { name: name.to_vec(), value: value.to_vec(), revision: u64::from_be_bytes(*revision) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_round_in_steps_and_the_malformed_is_refused() {
        for length in [0, 1, 200, 241, 242, 5000] {
            let (name, value) = (vec![7; length / 10], vec![0; length]);
            let plain = encode([1; 8], &name, &value);
            assert_eq!(plain.len() % STEP_BYTES, 0);
            let row = NotedRow { name, value, revision: u64::from_be_bytes([1; 8]) };
            assert_eq!(decode(&plain), Some(row));
            assert_eq!(decode(&[plain.as_slice(), &[0; STEP_BYTES]].concat()), None);
            assert_eq!(decode(&plain[..plain.len() - STEP_BYTES]), None);
            let mut wrong = plain;
            wrong[0] = 2;
            assert_eq!(decode(&wrong), None);
        }
        let mut filled = encode([1; 8], b"a", b"b");
        filled[100] = 1;
        assert_eq!(decode(&filled), None);
    }
}
