//! Rows of a batch as a reader shows them, and questions to a target that need no store.

use crate::catalog;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{ManifestRef, manifest_name};
use crate::tail::Writes;
use crate::target::{Target, TargetError};
use tacet_store::{Reader, StoreError, Value, Visit};

/// Whether a snapshot of content is on a target, unchanged.
///
/// # Errors
/// The target cannot be asked.
pub fn is_there(target: &dyn Target, reference: &ManifestRef) -> Result<bool, BackupError> {
    match catalog::load(target, &manifest_name(Class::Content, reference.number, &reference.id)) {
        Ok(signed) => Ok(signed.reference() == *reference),
        Err(BackupError::Target(TargetError::Absent(_)) | BackupError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The rows of a batch, for who reads the ledger's head from them.
pub(super) struct BatchReader<'a>(pub(super) &'a Writes);

impl Reader for BatchReader<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.0.get(key).flatten().map(<[u8]>::to_vec))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let rows = self.0.range(from, to);
        let _ = rows.filter_map(|(key, value)| Some((key, value?))).try_for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let rows = self.0.range(from, to).rev();
        let _ = rows.filter_map(|(key, value)| Some((key, value?))).try_for_each(|(key, value)| visit(key, value));
        Ok(())
    }
}
