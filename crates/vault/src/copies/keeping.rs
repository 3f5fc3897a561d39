//! The rows of copies: read, written, taken away.

use super::record::Record;
use super::{Copies, CopyApproval, remove_folder, unreadable};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::layout;
use crate::lockdown::LockdownLevel;
use crate::vault::Inner;
use crate::{EventKind, Outcome};
use std::ops::ControlFlow;
use std::sync::MutexGuard;
use tacet_ledger::{Entry, Prepared};
use tacet_seal::Purpose;
use tacet_store::{Commit, Precondition, Write};

/// What an erasure does with the copies: the rows that go with its commit, and whose files go after it.
pub(crate) struct EndingCopies {
    pub(crate) writes: Vec<Write>,
    ids: Vec<String>,
}

impl EndingCopies {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

impl Inner {
    pub(super) fn copies(&self) -> Result<&Copies, VaultError> {
        self.copies.get().ok_or(VaultError::NotSupported("bulk export (this server has no directory for copies)"))
    }

    /// Lets no copy begin while this is held.
    pub(crate) fn hold_copies(&self) -> Option<MutexGuard<'_, ()>> {
        self.copies.get().map(Copies::turn)
    }

    /// Every copy that there is, to be ended in the commit of an erasure: none outlives a patient's record. Its key goes with its row.
    pub(crate) fn ending_copies(&self) -> Result<EndingCopies, VaultError> {
        let ids: Vec<String> = self.copy_records()?.into_iter().map(|record| record.id.clone()).collect();
        let row = |id: &String| layout::copy(&self.keys.row_keys, id).to_vec();
        Ok(EndingCopies { writes: ids.iter().map(|id| Write::Delete { key: row(id) }).collect(), ids })
    }

    /// Once their rows are gone: gives up those that are being made, and removes the files. What cannot be removed is noise without
    /// its key, and goes at the next start.
    pub(crate) fn end_copies(&self, ending: &EndingCopies) {
        let Some(copies) = self.copies.get() else { return };
        for id in &ending.ids {
            copies.running.give_up(id);
            let _ = remove_folder(&copies.folder(id));
        }
    }

    /// Whether a copy can be read still.
    pub(super) fn copy_stands(&self, id: &str) -> Result<bool, VaultError> {
        // Where sessions are cut, so is what they were sending.
        if self.store.mode.lockdown().is_some_and(|level| level >= LockdownLevel::Cut) {
            return Ok(false);
        }
        let now = self.clock.now().as_ms();
        Ok(self.copy_record(id)?.is_some_and(|record| record.expires_ms > now))
    }

    pub(super) fn copy_record(&self, id: &str) -> Result<Option<Record>, VaultError> {
        let row = layout::copy(&self.keys.row_keys, id);
        let Some(value) = self.store.reader().get(&row)? else { return Ok(None) };
        Record::decode(&self.open_structure(Purpose::Export, &row, &value)?).map(Some)
    }

    pub(super) fn copy_records(&self) -> Result<Vec<Record>, VaultError> {
        let (from, to) = layout::bounds(layout::COPIES);
        let mut rows = Vec::new();
        self.store.reader().range(&from, &to, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        rows.iter().map(|(row, value)| Record::decode(&self.open_structure(Purpose::Export, row, value)?)).collect()
    }

    pub(super) fn copy_entry(&self, caller: &Caller, record: &Record, what: &str, outcome: Outcome) -> Entry {
        let mut entry = caller.entry(self.clock.now(), EventKind::Export, outcome, None);
        entry.detail = Some(record.described(what));
        entry
    }

    /// Writes down that a copy begins, and the row that it has from now on. Blocks: no erasure comes in between.
    pub(super) fn begun(
        &self,
        copies: &Copies,
        caller: &Caller,
        record: &Record,
        approval: Option<&CopyApproval>,
    ) -> Result<(), VaultError> {
        self.store.mode.require_full()?;
        let _turn = copies.turn();
        if self.copy_records()?.len() >= super::COPIES_KEPT_MAX {
            let what = "copies kept (delete those that are not needed)";
            return Err(VaultError::TooLarge { what, max: super::COPIES_KEPT_MAX });
        }
        let mut entry = self.copy_entry(caller, record, "begun", Outcome::Success);
        entry.query = Some(record.request.clone());
        let mut commit =
            Commit { preconditions: Vec::new(), writes: vec![self.copy_write(record)?], feed: None, item: Vec::new() };
        if let Some(CopyApproval { write, entry, .. }) = approval {
            // INVARIANT: what was allowed once is used up with the one copy that begins by it.
            let (precondition, change) = self.noted_write(write)?.ok_or(VaultError::Conflict)?;
            commit.preconditions.extend(precondition);
            commit.writes.push(change);
            commit.item.push(Prepared::new(entry)?);
        }
        commit.item.push(Prepared::new(&entry)?);
        self.store.submit(commit).wait()?;
        Ok(())
    }

    /// Writes down how a copy ended. False: it was ended meanwhile, and its row is gone.
    pub(super) fn finish_copy(&self, record: &Record, entry: Entry) -> Result<bool, VaultError> {
        let write = self.copy_write(record)?;
        let key = layout::copy(&self.keys.row_keys, &record.id).to_vec();
        let Some(before) = self.store.reader().get(&key)? else { return Ok(false) };
        let preconditions = vec![Precondition::Unchanged { key, value: before }];
        let item = vec![Prepared::new(&entry)?];
        match self.store.submit(Commit { preconditions, writes: vec![write], feed: None, item }).wait() {
            Ok(_) => Ok(true),
            Err(tacet_store::StoreError::PreconditionFailed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn put_copy(&self, record: &Record, entry: Entry) -> Result<(), VaultError> {
        let write = self.copy_write(record)?;
        self.copy_commit(write, entry).await
    }

    /// Takes a copy's row away, and with it the key; then its files.
    pub(super) async fn forget_copy(
        &self,
        copies: &Copies,
        record: &Record,
        what: &str,
        caller: &Caller,
    ) -> Result<(), VaultError> {
        let row = layout::copy(&self.keys.row_keys, &record.id);
        let entry = self.copy_entry(caller, record, what, Outcome::Success);
        self.copy_commit(Write::Delete { key: row.to_vec() }, entry).await?;
        let made = copies.running.progress(&record.id);
        let removed = remove_folder(&copies.folder(&record.id));
        match made {
            // The thread that makes it removes what it has written since.
            Some(progress) => {
                progress.give_up();
                Ok(())
            }
            None => removed.map_err(unreadable),
        }
    }

    fn copy_write(&self, record: &Record) -> Result<Write, VaultError> {
        let row = layout::copy(&self.keys.row_keys, &record.id);
        Ok(Write::Put { key: row.to_vec(), value: self.seal_structure(Purpose::Export, &row, &record.encode()?)? })
    }

    async fn copy_commit(&self, write: Write, entry: Entry) -> Result<(), VaultError> {
        let item = vec![Prepared::new(&entry)?];
        self.store.submit(Commit { preconditions: Vec::new(), writes: vec![write], feed: None, item }).await?;
        Ok(())
    }
}
