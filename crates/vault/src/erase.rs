//! Erasure of a patient: their key is destroyed, and every row that held something of them.
//!
//! Copies of the sealed records elsewhere (backups, old segments) become unreadable with the key. What stays: the ledger's
//! entries about them, which the law keeps, and records shared with other patients, which the report names.

use crate::access::CareChange;
use crate::caller::Caller;
use crate::change::ChangeSet;
use crate::error::VaultError;
use crate::layout::{self, ERASED, RowKey};
use crate::members::CHUNK_MEMBERS;
use crate::owner::Owner;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use tacet_ledger::Prepared;
use tacet_seal::Purpose;
use tacet_search::Change;
use tacet_search::document::Key;
use tacet_store::{Commit, Precondition, StoreError, Write};
use tacet_types::{ResourceId, ResourceType, VersionId};

/// How often an erasure is planned anew because the record changed meanwhile.
pub(crate) const ATTEMPTS_MAX: usize = 64;

/// What an erasure would destroy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ErasePreview {
    /// Resources under the patient's key, by type.
    pub resources: BTreeMap<ResourceType, u64>,
    /// Their versions.
    pub versions: u64,
    /// Resources under another key that mention the patient (a Group, a shared appointment): they stay.
    pub shared: Vec<(ResourceType, ResourceId)>,
}

/// What an erasure destroyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EraseReport {
    /// What was destroyed.
    pub erased: ErasePreview,
    /// The ledger entry that says so.
    pub ledger_entry: u64,
}

/// An erasure that is planned.
#[derive(Default)]
pub(crate) struct Erasure {
    pub(crate) preview: ErasePreview,
    preconditions: Vec<Precondition>,
    writes: Vec<Write>,
    /// The heads that go, and what the search index is told of each.
    heads: Vec<(RowKey, Change)>,
}

impl Vault {
    /// What an erasure of this patient would destroy. None: there is no key of such a patient.
    pub fn preview_erase(&self, patient: &ResourceId) -> Result<Option<ErasePreview>, VaultError> {
        Ok(self.0.plan_erasure(patient)?.map(|erasure| erasure.preview))
    }

    /// Destroys a patient's key and records. This cannot be undone.
    pub async fn erase(&self, caller: &Caller, patient: &ResourceId) -> Result<EraseReport, VaultError> {
        for _ in 0..ATTEMPTS_MAX {
            let erasure = self.0.plan_erasure(patient)?.ok_or(VaultError::NotFound)?;
            if let Some(report) = self.0.carry_out(caller, patient, erasure, "", false)? {
                return Ok(report);
            }
        }
        Err(VaultError::Conflict)
    }
}

impl Inner {
    /// Makes a planned erasure true. None: the record changed meanwhile, and it is to be planned anew. `why` comes before what is said of it in
    /// the ledger; `in_any_mode`: also while no record may be changed, for a restore that makes an end of what was begun before.
    pub(crate) fn carry_out(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        erasure: Erasure,
        why: &str,
        in_any_mode: bool,
    ) -> Result<Option<EraseReport>, VaultError> {
        let owner = Owner::Patient(patient.clone());
        let now = self.clock.now();
        let mut entry = caller.entry(now, EventKind::Erase, Outcome::Success, owner.ledger_patient());
        entry.categories = erasure.preview.resources.keys().copied().collect();
        entry.detail = Some(format!("{why}{} versions destroyed", erasure.preview.versions));
        // No version is made, and still it stands in the feed: an index that was not told of it finds out there.
        let set = ChangeSet { operation: caller.operation, at: now, changes: Vec::new() };
        let feed = Some(self.seal_structure(Purpose::Feed, b"feed", &set.encode())?);
        let rows = erasure.heads.iter().map(|(row, _)| *row).collect();
        let erasing = self.indexing().map(|indexing| indexing.erasing(rows));
        // A copy made before may hold the patient: none is kept, and none begins meanwhile.
        let begins = self.hold_copies();
        let ending = self.ending_copies()?;
        if ending.len() > 0 {
            entry.detail = entry.detail.map(|detail| format!("{detail}, {} copies ended", ending.len()));
        }
        let mut writes = erasure.writes;
        writes.extend(ending.writes.iter().cloned());
        let commit = Commit { preconditions: erasure.preconditions, writes, feed, item: vec![Prepared::new(&entry)?] };
        // Blocks, and so cannot be given up halfway: what is erased must go out of the index before anybody is answered.
        let ticket = if in_any_mode { self.store.submit_in_any_mode(commit) } else { self.store.submit(commit) };
        let committed = ticket.wait();
        drop(begins);
        match committed {
            Ok(committed) => {
                self.end_copies(&ending);
                let gone = erasure.heads.iter().map(|(_, Change { key, .. })| CareChange::Erased {
                    resource_type: key.resource_type,
                    id: key.id.clone(),
                });
                let gone: Vec<CareChange> = gone.chain([CareChange::ErasedPatient(patient.clone())]).collect();
                if let Some((indexing, sequence)) = self.indexing().zip(committed.sequence) {
                    let forgotten = erasure.heads.into_iter().map(|(_, change)| change).collect();
                    indexing.erase(sequence, forgotten)?;
                }
                // After what was under way: nothing older is taken in from here on.
                if let Some(access) = &self.access {
                    access.take_in(gone);
                }
                drop(erasing);
                let ledger_entry = committed.outcome.first().map_or(0, tacet_ledger::Receipt::index);
                Ok(Some(EraseReport { erased: erasure.preview, ledger_entry }))
            }
            Err(StoreError::PreconditionFailed { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn plan_erasure(&self, patient: &ResourceId) -> Result<Option<Erasure>, VaultError> {
        let owner = Owner::Patient(patient.clone());
        let key_row = layout::data_key(&self.keys.row_keys, &owner.label());
        let Some(wrapped) = self.store.reader().get(&key_row)?.filter(|value| value != ERASED) else {
            return Ok(None);
        };
        let mut erasure = Erasure::default();
        erasure.replace(&key_row, wrapped, Some(ERASED.to_vec()));
        self.plan_rows(patient, &mut erasure)?;
        Ok(Some(erasure))
    }

    /// Plans the rows that go with the key of a patient, whether or not it is still there.
    pub(crate) fn plan_rows(&self, patient: &ResourceId, erasure: &mut Erasure) -> Result<(), VaultError> {
        let owner = Owner::Patient(patient.clone());
        let registered = layout::registered(&self.keys.row_keys, patient);
        erasure.writes.push(Write::Delete { key: registered.to_vec() });
        let members = self.member_rows(patient, erasure)?;
        for head_row in members {
            let Some(value) = self.store.reader().get(&head_row)? else { continue };
            let head = self.open_head(&head_row, &value)?;
            let (resource_type, id) = (head.record.resource_type, head.record.id.clone());
            let whole = head.current.owner == owner;
            let mut theirs = false;
            for number in 1..=head.record.version.0 {
                let Some(found) = self.locate_version(resource_type, &id, VersionId(number))? else { continue };
                // Where the head goes, every version goes: also one that another patient's key sealed before the record was
                // found to be this one's. Without a head nobody could find it again, not even to destroy it.
                if whole || found.meta.owner == owner {
                    let row = self.version_row(&head_row, VersionId(number));
                    erasure.writes.push(Write::Delete { key: row.to_vec() });
                    erasure.preview.versions += 1;
                    theirs = true;
                }
            }
            if whole {
                let key = Key { resource_type, id: id.clone() };
                erasure.writes.push(Write::Delete { key: layout::facts(&self.keys.row_keys, &head_row).to_vec() });
                erasure.heads.push((head_row, Change { key, version: head.record.version, document: None }));
                erasure.replace(&head_row, value, None);
            } else {
                erasure.preconditions.push(Precondition::Unchanged { key: head_row.to_vec(), value });
                erasure.preview.shared.push((resource_type, id));
            }
            if theirs {
                *erasure.preview.resources.entry(resource_type).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The distinct members of the compartment; their rows are planned to go.
    fn member_rows(&self, patient: &ResourceId, erasure: &mut Erasure) -> Result<BTreeSet<RowKey>, VaultError> {
        let count = self.member_count(patient)?;
        let head = layout::members_head(&self.keys.row_keys, patient);
        let mut members = BTreeSet::new();
        if let Some(value) = self.store.reader().get(&head)? {
            erasure.replace(&head, value, None);
        }
        for chunk in 0..count.div_ceil(CHUNK_MEMBERS as u64) {
            members.extend(self.members_in_chunk(patient, chunk)?);
            let row = layout::members_chunk(&self.keys.row_keys, patient, chunk);
            erasure.writes.push(Write::Delete { key: row.to_vec() });
        }
        Ok(members)
    }
}

impl Erasure {
    fn replace(&mut self, row: &RowKey, value: Vec<u8>, by: Option<Vec<u8>>) {
        let key = row.to_vec();
        self.preconditions.push(Precondition::Unchanged { key: key.clone(), value });
        self.writes.push(match by {
            Some(value) => Write::Put { key, value },
            None => Write::Delete { key },
        });
    }
}
