//! Rotation of the root key: every data key, and every key of a month of the ledger, is wrapped anew, no record is written again.
//!
//! Each row is changed by itself under a precondition, so rotation may stop at any point (`kill -9` too) and go on later:
//! a key is either under the old generation or under the new one, and the root file holds both until this is done.

use crate::caller::Caller;
use crate::error::VaultError;
use crate::layout::{self, DESCRIPTION_ROW, ERASED};
use crate::vault::{Inner, Vault, wrapped_establishment_key, write_description};
use crate::{EventKind, Outcome};
use std::ops::ControlFlow;
use tacet_ledger::{EpochRow, Prepared, SPACE_EPOCH_KEYS};
use tacet_seal::WrappedKey;
use tacet_store::{Commit, Precondition, StoreError, Write};

/// Keys wrapped anew in one commit.
const KEYS_PER_COMMIT: usize = 500;

/// Rows fetched at once.
pub(crate) const ROWS_FETCH: usize = 1000;

/// What is done with the key and the value of each row, and whether to go on.
pub(crate) type EachRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, VaultError> + 'a;

/// A row's key and value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// What a rotation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RotationReport {
    /// Keys wrapped anew.
    pub rewrapped: u64,
    /// Keys that were under the current root key already.
    pub current: u64,
    /// Places of keys that were destroyed.
    pub erased: u64,
}

impl Vault {
    /// Wraps every key under the keeper's current root key. `progress` is told how many keys were looked at.
    pub async fn rewrap(
        &self,
        caller: &Caller,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<RotationReport, VaultError> {
        let mut report = RotationReport::default();
        for space in [layout::DATA_KEYS, SPACE_EPOCH_KEYS] {
            self.rewrap_space(space, &mut report, progress).await?;
        }
        self.0.rewrap_establishment(caller, &mut report).await?;
        Ok(report)
    }

    async fn rewrap_space(
        &self,
        space: u8,
        report: &mut RotationReport,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), VaultError> {
        let (from, to) = layout::bounds(space);
        let mut from = from.to_vec();
        loop {
            let rows = self.0.rows(&from, &to, KEYS_PER_COMMIT)?;
            let Some((last, _)) = rows.last() else { break };
            let next = [last.as_slice(), &[0]].concat();
            let mut commit = Commit { preconditions: Vec::new(), writes: Vec::new(), feed: None, item: Vec::new() };
            let mut page = *report;
            for (key, value) in rows {
                let Some((wrapped, in_place)) = wrapped_in(space, &value)? else {
                    page.erased += 1;
                    continue;
                };
                if let Some(anew) = self.0.keeper.rewrap(&wrapped, &key)? {
                    commit.preconditions.push(Precondition::Unchanged { key: key.clone(), value });
                    commit.writes.push(Write::Put { key, value: in_place(anew) });
                    page.rewrapped += 1;
                } else {
                    page.current += 1;
                }
            }
            if !commit.writes.is_empty() {
                match self.0.store.submit_in_any_mode(commit).await {
                    Ok(_) => {}
                    // An erasure came between: look at the same rows again.
                    Err(StoreError::PreconditionFailed { .. }) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            *report = page;
            from = next;
            progress(report.rewrapped + report.current + report.erased);
        }
        Ok(())
    }
}

/// Makes the value of a row from another wrapping of its key.
type InPlace = Box<dyn FnOnce(WrappedKey) -> Vec<u8> + Send>;

/// The wrapped key in a row of data keys, or of keys of the ledger's months; none: it was destroyed.
fn wrapped_in(space: u8, value: &[u8]) -> Result<Option<(WrappedKey, InPlace)>, VaultError> {
    if space == SPACE_EPOCH_KEYS {
        let row = EpochRow::parse(value).ok_or(VaultError::Damaged("a row of the ledger's keys cannot be read"))?;
        let epoch = row.epoch;
        let in_place = move |anew| EpochRow { epoch, wrapped: Some(anew) }.encode();
        return Ok(row.wrapped.map(|wrapped| (wrapped, Box::new(in_place) as InPlace)));
    }
    if value == ERASED {
        return Ok(None);
    }
    let in_place = |anew: WrappedKey| anew.as_bytes().to_vec();
    Ok(Some((WrappedKey::from_bytes(value.to_vec())?, Box::new(in_place) as InPlace)))
}

impl Inner {
    /// The establishment's own key comes last, with the ledger entry of the rotation.
    async fn rewrap_establishment(&self, caller: &Caller, report: &mut RotationReport) -> Result<(), VaultError> {
        let value =
            self.store.reader().get(&DESCRIPTION_ROW)?.ok_or(VaultError::Damaged("it has no description row"))?;
        let mut entry = caller.entry(self.clock.now(), EventKind::KeyRotation, Outcome::Success, None);
        let mut commit = Commit { preconditions: Vec::new(), writes: Vec::new(), feed: None, item: Vec::new() };
        match self.keeper.rewrap(&wrapped_establishment_key(&value)?, &self.keys.id.0)? {
            Some(anew) => {
                let new = write_description(self.keys.id, &anew);
                commit.preconditions.push(Precondition::Unchanged { key: DESCRIPTION_ROW.to_vec(), value });
                commit.writes.push(Write::Put { key: DESCRIPTION_ROW.to_vec(), value: new });
                report.rewrapped += 1;
            }
            None => report.current += 1,
        }
        entry.detail = Some(format!("{} keys wrapped under root key {}", report.rewrapped, self.keeper.generation()));
        commit.item.push(Prepared::new(&entry)?);
        self.store.submit_in_any_mode(commit).await?;
        Ok(())
    }

    /// Up to `max` rows from `from` on.
    pub(crate) fn rows(&self, from: &[u8], to: &[u8], max: usize) -> Result<Vec<Row>, VaultError> {
        let mut rows = Vec::new();
        self.store.reader().range(from, to, &mut |key, value| {
            if rows.len() == max {
                return ControlFlow::Break(());
            }
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Calls `each` for every row between two bounds, until it says enough. Rows are fetched some at a time: what is changed meanwhile may be seen or not.
    pub(crate) fn each_row(&self, from: &[u8], to: &[u8], each: &mut EachRow<'_>) -> Result<(), VaultError> {
        let mut from = from.to_vec();
        loop {
            let rows = self.rows(&from, to, ROWS_FETCH)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in &rows {
                if each(key, value)?.is_break() {
                    return Ok(());
                }
            }
        }
    }
}
