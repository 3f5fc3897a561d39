//! What a planned change needs beside the right to it: that the patients whom it names are there, and that it sets nobody free of what sets
//! them apart.
//!
//! Somebody who may write for every patient but those who are set apart would otherwise learn who is: a record of a patient who is not there
//! would be taken, and one of a hidden patient refused.

use super::Plan;
use crate::access::{Look, is_human};
use crate::error::VaultError;
use crate::head::Head;
use tacet_fhir::json::Json;
use tacet_policy::{Act, facts_of};
use tacet_types::{RecordRef, ResourceId, ResourceType};

/// What is told of a record that may not be stored, whyever.
pub(super) const NOT_STORED: &str = "this account may not store such a resource";

impl Plan<'_> {
    /// Whether the rules hold the caller, and it is a person.
    fn holds_person(&self) -> bool {
        self.inner.access.is_some() && !self.caller.own_work && is_human(self.caller.role)
    }

    /// Remembers the patients of a planned version: those beside itself.
    pub(super) fn name_patients(&mut self, resource_type: ResourceType, id: &ResourceId, patients: &[ResourceId]) {
        if self.holds_person() {
            let itself = |patient: &ResourceId| resource_type.as_str() == "Patient" && patient == id;
            self.named.extend(patients.iter().filter(|patient| !itself(patient)).cloned());
        }
    }

    /// Whether the patients whom the planned versions name are there, before the plan or by it.
    pub(crate) fn confirm(&self) -> Result<(), VaultError> {
        // A version that is planned alone was looked at for that before.
        if !self.alone && self.first_unknown()?.is_some() {
            return Err(VaultError::NotAllowed(NOT_STORED));
        }
        Ok(())
    }

    /// A patient whom the version that is planned alone names and who is not there.
    pub(super) fn unknown_patient(&self) -> Result<Option<ResourceId>, VaultError> {
        if self.alone { self.first_unknown() } else { Ok(None) }
    }

    fn first_unknown(&self) -> Result<Option<ResourceId>, VaultError> {
        let Some(patient_type) = ResourceType::parse("Patient") else { return Ok(None) };
        for patient in &self.named {
            let row = self.inner.head_row(patient_type, patient);
            let there = match self.heads.get(&row) {
                Some(planned) => planned.as_ref().is_some_and(|head| !head.is_deleted()),
                None => self.inner.head_of(patient_type, patient)?.is_some_and(|head| !head.is_deleted()),
            };
            if !there {
                return Ok(Some(patient.clone()));
            }
        }
        Ok(None)
    }

    /// A version that was refused took as much work whether a patient whom it names is hidden or not there.
    pub(super) fn even_out_named(&self, unknown: Option<&ResourceId>) -> Result<(), VaultError> {
        let (true, Some(patient_type)) = (self.alone, ResourceType::parse("Patient")) else { return Ok(()) };
        let Some(patient) = unknown.or(self.named.first()) else { return Ok(()) };
        let row = self.inner.head_row(patient_type, patient);
        self.inner.even_out(self.rights.read.as_ref(), &row, (patient_type, patient), unknown.is_none())
    }

    /// That a patient was erased is told to no person: it would say that there was one.
    pub(super) fn told(&self, error: VaultError) -> VaultError {
        match error {
            VaultError::Erased if self.holds_person() => VaultError::NotAllowed(NOT_STORED),
            error => error,
        }
    }

    /// Whether what sets a patient apart may be taken away: a Flag, a link to a member of staff. It is a label of the whole record, so it
    /// takes the right to take labels away. `after`: what shall stand there; none for a deletion.
    pub(super) fn may_unflag(&self, before: &Head, after: Option<&Json<'_>>) -> Result<(), VaultError> {
        let Some(access) = self.inner.access.as_ref().filter(|_| !self.caller.own_work) else { return Ok(()) };
        let RecordRef { resource_type, id, .. } = &before.record;
        let facts = after.and_then(|resource| facts_of(*resource_type, id, resource));
        if !access.care().data.unflags(*resource_type, id, facts.as_ref()) {
            return Ok(());
        }
        let sights = self.inner.sights(self.caller, Act::Relabel)?;
        match self.inner.look(sights.as_ref(), *resource_type, id, &before.current) {
            Look::Seen(_) => Ok(()),
            Look::Hidden => Err(VaultError::NotAllowed(
                "taking away what sets a patient apart takes a right that this account does not have",
            )),
        }
    }
}
