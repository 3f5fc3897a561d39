//! What a backup of this vault needs of it: the key that signs, the ledger's head in rows that are going out, and the ledger's word on which
//! snapshots there are. No record is opened for a backup.
//!
//! Manifests name the one before by its hash, so an entry about a snapshot holds for all before it. That lets log snapshots be made every few
//! seconds and the ledger name one now and then.

use crate::error::VaultError;
use crate::vault::Vault;
use crate::{Caller, EventKind, Outcome};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::PoisonError;
use tacet_backup::{BackupSigner, Expected, LedgerState, Made, ManifestRef, ReadLedger};
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, RowsError, Table};
use tacet_seal::SigningUse;
use tacet_store::StoreError;
use tacet_types::Timestamp;

/// Most snapshots that are kept in mind for being looked for; the ledger's entries stay. About a month, at one each ten minutes.
pub const BACKUPS_NAMED_MAX: usize = 4096;

/// Most rows that one entry takes away.
const ROWS_REMOVED_MAX: usize = 100;

/// How a running backup stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BackupFigures {
    /// Number of the last snapshot; 0 before the first.
    pub snapshot: u64,
    /// When it was made, in seconds since 1970; 0 before the first.
    pub made_s: i64,
    /// Bytes of rows that wait to go out.
    pub waiting_bytes: u64,
    /// Tries in a row that failed.
    pub failures: u64,
    /// Snapshots, and segments of the last whole one, that are not where they were put or not what was put.
    pub missing: u64,
    /// Whole snapshots since the start that had far fewer rows than the one before.
    pub shrunk: u64,
    /// When the last step was done, whether or not there was anything to send, in seconds since 1970.
    pub looked_s: i64,
}

#[derive(Serialize, Deserialize)]
struct Named {
    #[serde(flatten)]
    reference: ManifestRef,
    time_ms: i64,
}

fn rows_failed(error: RowsError) -> VaultError {
    match error {
        RowsError::Conflict => VaultError::Conflict,
        other => VaultError::Internal(Box::new(other)),
    }
}

impl Vault {
    /// Signs manifests of backups.
    pub fn backup_signer(&self) -> BackupSigner {
        BackupSigner::new(self.0.keys.signing_seed(SigningUse::Backup))
    }

    /// Reads the ledger's size and root from rows that go into a snapshot.
    pub fn backup_ledger(&self) -> ReadLedger {
        let keys = self.0.ledger_keys.clone();
        Box::new(move |reader| {
            let head = tacet_ledger::head(reader, &keys)
                .map_err(|_| StoreError::corrupt("the ledger's head cannot be read"))?;
            Ok(head.map(|head| LedgerState { entries: head.size(), root: head.root().0 }))
        })
    }

    /// Names a snapshot in the ledger, and keeps it in mind for being looked for.
    ///
    /// # Errors
    /// The store's.
    pub async fn note_backup(&self, caller: &Caller, made: &Made) -> Result<(), VaultError> {
        let named = self.backups_named()?;
        let over = (named.len() + 1).saturating_sub(BACKUPS_NAMED_MAX).min(ROWS_REMOVED_MAX);
        let row = |number: u64, value| RowWrite {
            table: Table::Backups,
            name: format!("{number:012}").into_bytes(),
            value,
            expect: Expect::Anything,
        };
        let value = Named { reference: made.reference.clone(), time_ms: made.time.as_ms() };
        let value = serde_json::to_vec(&value).map_err(|error| VaultError::Internal(Box::new(error)))?;
        let mut writes = vec![row(made.reference.number, Some(value))];
        writes.extend(named.iter().take(over).map(|expected| row(expected.reference.number, None)));
        let mut entry = caller.entry(self.0.clock.now(), EventKind::Backup, Outcome::Success, None);
        let sha256: String = made.reference.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        entry.detail = Some(format!(
            "snapshot {} id {} manifest {sha256} ledger-to-group {} key {}",
            made.reference.number,
            made.reference.id,
            made.to.group,
            self.backup_signer().public()
        ));
        self.commit(writes, vec![entry]).await.map_err(rows_failed)
    }

    /// The snapshots that the ledger names and that are kept in mind, ascending by number.
    ///
    /// # Errors
    /// The store's.
    pub fn backups_named(&self) -> Result<Vec<Expected>, VaultError> {
        let mut named = Vec::new();
        self.scan(Table::Backups, &mut |row| {
            if let Ok(Named { reference, time_ms }) = serde_json::from_slice(&row.value) {
                named.push(Expected { reference, time: Timestamp::from_ms(time_ms) });
            }
            ControlFlow::Continue(())
        })
        .map_err(rows_failed)?;
        named.sort_by_key(|expected| expected.reference.number);
        Ok(named)
    }

    /// Says how the backup stands, for the figures.
    pub fn set_backup_figures(&self, figures: BackupFigures) {
        *self.0.backup.lock().unwrap_or_else(PoisonError::into_inner) = Some(figures);
    }

    /// How the backup stands; none where there is none.
    pub fn backup_figures(&self) -> Option<BackupFigures> {
        *self.0.backup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
