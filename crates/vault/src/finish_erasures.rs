//! Erasures that a backup knows nothing of: after a restore from before an erasure, the patient's rows are back and their key is not.
//!
//! Nothing of them opens, as the newest backup of keys has the word that the key was destroyed. What is left to do is what an erasure does besides:
//! the rows go, in one commit for each patient with an entry that says so, and so do the index and what is known of their care.

use crate::caller::Caller;
use crate::erase::{ATTEMPTS_MAX, Erasure};
use crate::error::VaultError;
use crate::layout::{self, ERASED, RowKey};
use crate::owner::Owner;
use crate::vault::{Inner, Vault};
use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use tacet_types::ResourceId;

/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 1000;

/// What comes before what is said of such an erasure in the ledger.
const WHY: &str = "finished after a restore: ";

/// What was left of erased patients, and is gone now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FinishedErasures {
    /// Keys that were destroyed, of which nothing may be left.
    pub erased_keys: u64,
    /// Patients of whom rows were there.
    pub patients: u64,
    /// Versions that went.
    pub versions: u64,
}

impl Vault {
    /// Makes an end of every erasure of which rows are left, in whatever mode the store is. `progress` is told how many rows were looked at: all
    /// heads and versions, where any key was destroyed, and otherwise none.
    ///
    /// # Errors
    /// A row cannot be read, or the ledger cannot be written to. What was finished stays so: call it again.
    pub fn finish_erasures(
        &self,
        caller: &Caller,
        progress: &mut dyn FnMut(u64),
    ) -> Result<FinishedErasures, VaultError> {
        let inner = &self.0;
        let erased = inner.erased_keys()?;
        let mut report = FinishedErasures { erased_keys: erased.len() as u64, ..FinishedErasures::default() };
        if erased.is_empty() {
            return Ok(report);
        }
        for patient in inner.left_of(&erased, progress)? {
            report.patients += 1;
            report.versions += inner.finish_erasure(caller, &patient)?;
        }
        Ok(report)
    }
}

impl Inner {
    /// The rows of keys that were destroyed.
    fn erased_keys(&self) -> Result<HashSet<RowKey>, VaultError> {
        let mut erased = HashSet::new();
        self.each_row_of(layout::DATA_KEYS, |key, value| {
            if value == ERASED
                && let Ok(row) = RowKey::try_from(key)
            {
                erased.insert(row);
            }
            Ok(())
        })?;
        Ok(erased)
    }

    /// The patients to whom one of these keys belonged and of whom a head or a version is left.
    fn left_of(
        &self,
        erased: &HashSet<RowKey>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<BTreeSet<ResourceId>, VaultError> {
        let (mut left, mut looked_at) = (BTreeSet::new(), 0);
        let mut note = |owner: &Owner| {
            looked_at += 1;
            if looked_at % PROGRESS_ROWS == 0 {
                progress(looked_at);
            }
            if let Some(patient) = owner.patient()
                && !left.contains(patient)
                && erased.contains(&layout::data_key(&self.keys.row_keys, &owner.label()))
            {
                left.insert(patient.clone());
            }
        };
        let wrong = |_| VaultError::Damaged("a row has a key of a wrong length");
        self.each_row_of(layout::HEADS, |key, value| {
            let row = RowKey::try_from(key).map_err(wrong)?;
            note(&self.open_head(&row, value)?.current.owner);
            Ok(())
        })?;
        // An earlier version may be under another's key than the record is by now.
        self.each_row_of(layout::VERSIONS, |key, value| {
            let row = RowKey::try_from(key).map_err(wrong)?;
            note(&self.open_version_meta(&row, value)?.0.owner);
            Ok(())
        })?;
        Ok(left)
    }

    fn each_row_of(
        &self,
        space: u8,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let (from, to) = layout::bounds(space);
        self.each_row(&from, &to, &mut |key, value| each(key, value).map(ControlFlow::Continue))
    }

    fn finish_erasure(&self, caller: &Caller, patient: &ResourceId) -> Result<u64, VaultError> {
        for _ in 0..ATTEMPTS_MAX {
            let mut erasure = Erasure::default();
            self.plan_rows(patient, &mut erasure)?;
            if let Some(report) = self.carry_out(caller, patient, erasure, WHY, true)? {
                return Ok(report.erased.versions);
            }
        }
        Err(VaultError::Conflict)
    }
}
