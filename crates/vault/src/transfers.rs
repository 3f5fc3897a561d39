//! What a transfer to or from another hospital needs of the store: its keys, who lies on a ward, and the entries of what was taken in or did not go out. The file itself is
//! `tacet_transfer`'s, what is in it `tacet_summary`'s.

use crate::access::Ward;
use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::Vault;
use crate::{EventKind, Outcome};
use tacet_ledger::ENTRIES_MAX;
use tacet_seal::SigningUse;
use tacet_transfer::HospitalKeys;
use tacet_types::{RecordRef, ResourceId, ResourceType};

impl Vault {
    /// The keys by which this hospital signs what it sends and opens what is sealed to it. They are derived from the establishment's key: the same after
    /// every restore, and kept nowhere.
    pub fn transfer_keys(&self) -> HospitalKeys {
        let seed = |of| self.0.keys.signing_seed(of).as_bytes();
        HospitalKeys::new(seed(SigningUse::Transfer), seed(SigningUse::TransferReceiving))
    }

    /// The patients who lie on a ward now, by care data. Nothing is opened.
    ///
    /// # Errors
    /// Nobody goes by relations here (no access settings).
    pub fn patients_on_ward(&self, ward: &Ward) -> Result<Vec<ResourceId>, VaultError> {
        let without = VaultError::NotSupported("wards without rules on who may see what");
        let access = self.0.access.as_ref().ok_or(without)?;
        let place = (ward.resource_type, &ward.id);
        let present = access.care().data.on_ward(place, self.0.clock.now(), &access.settings);
        Ok(present.into_iter().map(|(patient, _)| patient).collect())
    }

    /// Whether a ward is a record of this store, which was not deleted. Nothing of it is opened but that.
    ///
    /// # Errors
    /// The store's.
    pub fn is_on_record(&self, ward: &Ward) -> Result<bool, VaultError> {
        Ok(self.0.head_of(ward.resource_type, &ward.id)?.is_some_and(|head| !head.is_deleted()))
    }

    /// Writes down that these patients' summaries are in no transfer after all, though their records were opened for one: `told` is which, and why. Without this the
    /// entries that stand before anything opens would say that they were sent.
    ///
    /// # Errors
    /// The ledger cannot write.
    pub async fn note_transfer_failed(
        &self,
        caller: &Caller,
        patients: &[ResourceId],
        told: &str,
    ) -> Result<(), VaultError> {
        let patient_type = ResourceType::parse("Patient");
        let now = self.0.clock.now();
        for some in patients.chunks(ENTRIES_MAX) {
            let entry = |patient: &ResourceId| {
                let of = patient_type.map(|kind| (kind, patient.clone()));
                let mut entry = caller.entry(now, EventKind::TransferMade, Outcome::Failed, of);
                entry.detail = Some(told.to_owned());
                entry
            };
            self.0.record(some.iter().map(entry).collect()).await?;
        }
        Ok(())
    }

    /// Writes down that something of a transfer was taken in, or that one was opened (then about nobody): `told` is which one, from whom.
    ///
    /// # Errors
    /// The ledger cannot write.
    pub async fn note_transfer_taken(
        &self,
        caller: &Caller,
        patient: Option<&ResourceId>,
        records: Vec<RecordRef>,
        told: String,
    ) -> Result<(), VaultError> {
        let of = ResourceType::parse("Patient").zip(patient.cloned());
        let mut entry = caller.entry(self.0.clock.now(), EventKind::TransferTaken, Outcome::Success, of);
        entry.categories = records.iter().map(|record| record.resource_type).collect();
        entry.categories.sort_unstable();
        entry.categories.dedup();
        entry.records = records;
        entry.detail = Some(told);
        self.0.record(vec![entry]).await.map(|_| ())
    }
}
