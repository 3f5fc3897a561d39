//! What a restore asks of a vault: the establishment's keys from a description row, records brought near without being shown, and whether the ledger is
//! the one that was backed up.

use crate::caller::Caller;
use crate::error::VaultError;
use crate::layout::DESCRIPTION_ROW;
use crate::members::CHUNK_MEMBERS;
use crate::owner::Owner;
use crate::vault::{Inner, Vault, establishment_of};
use crate::{EventKind, Outcome, layout};
use std::sync::PoisonError;
use tacet_ledger::{DETAIL_BYTES_MAX, Prepared, cut, log};
use tacet_seal::{EstablishmentKeys, KeyKeeper};
use tacet_store::Commit;
use tacet_tlog::merkle::proof::verify_consistency;
use tacet_tlog::{TreeHash, VerifierKey};
use tacet_types::{ResourceId, VersionId};

pub use tacet_policy::Urgency;

/// Where the description of a store stands: the row from which [`establishment_keys`] makes its keys.
pub fn description_row() -> Vec<u8> {
    DESCRIPTION_ROW.to_vec()
}

/// The keys of the establishment whose store has this description.
///
/// # Errors
/// It cannot be read, was made by another version, or is wrapped under another root key than the keeper's.
pub fn establishment_keys(description: &[u8], keeper: &dyn KeyKeeper) -> Result<EstablishmentKeys, VaultError> {
    establishment_of(description, keeper)
}

/// What a derivation of a restored ledger says of the one that was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerHeld {
    /// Entries that are there.
    pub entries: u64,
    /// What is wrong, in words; nothing is.
    pub problems: Vec<String>,
}

/// A log that goes on under another name.
#[derive(Clone, Debug)]
pub struct LogSucceeded {
    /// Its name.
    pub origin: String,
    /// Its keys, for witnesses and whoever verifies.
    pub keys: Vec<VerifierKey>,
    /// The name of before.
    pub before: String,
    /// The entry that says so.
    pub entry: u64,
}

impl Vault {
    /// Derives the ledger's tree anew and holds it against a size and a root of before: its first entries must be those.
    ///
    /// # Errors
    /// Rows cannot be read; what is wrong with the ledger is in the answer.
    pub fn hold_ledger(
        &self,
        size: u64,
        root: [u8; 32],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<LedgerHeld, VaultError> {
        self.hold_ledger_at(&[(size, root)], progress)
    }

    /// The same against several: what the backup says, and what somebody outside saw.
    ///
    /// # Errors
    /// As [`Vault::hold_ledger`].
    pub fn hold_ledger_at(
        &self,
        known: &[(u64, [u8; 32])],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<LedgerHeld, VaultError> {
        let snapshot = self.0.store.snapshot()?;
        let verification = tacet_ledger::verify(snapshot.as_ref(), &self.0.ledger_keys, progress)?;
        let mut problems: Vec<String> = verification.problems.iter().map(ToString::to_string).collect();
        let entries = verification.head.as_ref().map_or(0, tacet_ledger::TreeHead::size);
        for (size, root) in known {
            match verification.derived_root {
                Some(derived) if entries >= *size => {
                    let proof = log::extension(snapshot.as_ref(), *size, entries)?;
                    if !verify_consistency(*size, &TreeHash(*root), entries, &derived, &proof) {
                        problems.push(format!("the first {size} entries are not those that were known before"));
                    }
                }
                _ => problems.push(format!("there are {entries} entries, and {size} were known before")),
            }
        }
        Ok(LedgerHeld { entries, problems })
    }

    /// Whether a witness cosigned the log, as far as the rows know: then it may have seen entries that a restore lost.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn log_was_cosigned(&self) -> Result<bool, VaultError> {
        let (reader, keys) = (self.0.store.reader(), &self.0.ledger_keys);
        let Some(identity) = log::identity(reader, keys)? else { return Ok(false) };
        Ok(log::cosigned(reader, keys, &identity)?.is_some())
    }

    /// Lets the published log go on under another name, with a key of its own: the act by which a store goes on after a restore that lost entries which
    /// were published. The entry that says so names the log of before and its latest checkpoint, and stands in the commit that names the new one; what
    /// stopped disclosures, because the log was behind or other than what was seen, ends with it. May block.
    ///
    /// `why` is what was lost, in words without personal data.
    ///
    /// # Errors
    /// The log has no name yet, or has this one; the name cannot be one.
    pub fn succeed_log(&self, caller: &Caller, origin: &str, why: &str) -> Result<LogSucceeded, VaultError> {
        let inner = &self.0;
        let _one = inner.transparency.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, before, change) =
            log::succeed(inner.store.reader(), &inner.ledger_keys, origin, inner.rng.as_ref())?;
        let mut entry = caller.entry(inner.clock.now(), EventKind::ConfigurationChange, Outcome::Success, None);
        let signed = match &before.signed {
            Some((size, root)) => format!("{size} entries, root {root}"),
            None => "none".to_owned(),
        };
        let detail = format!(
            "the published log goes on as {origin} in the place of {}, whose latest checkpoint that is known here is: {signed}; because: {}",
            before.origin,
            tacet_ledger::one_line(why)
        );
        entry.detail = Some(cut(&detail, DETAIL_BYTES_MAX).to_owned());
        let log::Change { preconditions, writes } = change;
        let item = vec![Prepared::new(&entry)?];
        let committed = inner.store.submit(Commit { preconditions, writes, feed: None, item }).wait()?;
        inner.note_published(None);
        inner.end_halts_of_log(caller, origin)?;
        let entry = committed.outcome.first().map_or(0, tacet_ledger::Receipt::index);
        Ok(LogSucceeded { origin: identity.origin().to_owned(), keys: identity.keys(), before: before.origin, entry })
    }

    /// The patients in care now, the most urgent first. None where nothing is known of care.
    pub fn patients_in_care(&self) -> Vec<(Urgency, ResourceId)> {
        let Some(access) = &self.0.access else { return Vec::new() };
        access.care().data.present(self.0.clock.now())
    }

    /// Reads the rows of a patient's compartment, so that an engine that fills has them near. Nothing is opened but what is needed to find them, and
    /// nothing is shown. Says how many records there are.
    ///
    /// # Errors
    /// A row cannot be read now.
    pub fn bring_near(&self, patient: &ResourceId) -> Result<u64, VaultError> {
        self.0.bring_near(patient)
    }

    /// Writes down that the store was brought back from a backup. `detail` holds no personal data.
    ///
    /// # Errors
    /// The ledger cannot be written to.
    pub async fn note_restored(&self, caller: &Caller, detail: String) -> Result<(), VaultError> {
        self.note_with(caller, EventKind::Restore, Outcome::Success, Some(detail)).await
    }
}

impl Inner {
    fn bring_near(&self, patient: &ResourceId) -> Result<u64, VaultError> {
        let reader = self.store.reader();
        let owner = Owner::Patient(patient.clone());
        reader.get(&layout::data_key(&self.keys.row_keys, &owner.label()))?;
        reader.get(&layout::registered(&self.keys.row_keys, patient))?;
        let mut records = 0;
        for chunk in 0..self.member_count(patient)?.div_ceil(CHUNK_MEMBERS as u64) {
            let heads = self.members_in_chunk(patient, chunk)?;
            let keys: Vec<Vec<u8>> = heads.iter().map(|head| head.to_vec()).collect();
            let mut versions = Vec::new();
            for (head, value) in heads.iter().zip(reader.get_many(&keys)?) {
                let Some(value) = value else { continue };
                let current = self.open_head(head, &value)?.record.version;
                versions.push(self.version_row(head, current).to_vec());
                // An earlier one is read by who looks at the history; the one before by who looks what changed.
                if let Some(before) = current.0.checked_sub(1).filter(|before| *before > 0) {
                    versions.push(self.version_row(head, VersionId(before)).to_vec());
                }
                records += 1;
            }
            reader.get_many(&versions)?;
        }
        Ok(records)
    }
}
