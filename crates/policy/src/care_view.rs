//! What the compilation of a visibility asks of care data. A trait, so that tests give it whatever they like.

use crate::situation::{CareSettings, ConsentRuling, PatientFlags, RelationSet, Subject};
use std::collections::HashMap;
use tacet_types::{ResourceId, Timestamp};

/// Care data as a visibility needs it.
pub trait CareView {
    /// The patients to whom this practitioner has a relation now.
    fn relations(
        &self,
        practitioner: &ResourceId,
        now: Timestamp,
        settings: &CareSettings,
    ) -> HashMap<ResourceId, RelationSet>;

    /// The patients to whom the hospital has one of [`crate::Relation::OF_THE_HOSPITAL`] now.
    fn hospital(&self, now: Timestamp, settings: &CareSettings) -> HashMap<ResourceId, RelationSet>;

    /// What is special about a patient.
    fn flags(&self, patient: &ResourceId) -> PatientFlags;

    /// Tells each patient about whom there is something special, or who has a consent in force; once each.
    fn each_flagged(&self, now: Timestamp, each: &mut dyn FnMut(&ResourceId));

    /// What the patient's consents in force say to this subject, for its purpose.
    fn consents(&self, patient: &ResourceId, subject: &Subject, now: Timestamp) -> Vec<ConsentRuling>;

    /// The patients for whom this account has an emergency declared now.
    fn break_glass(&self, account: &str, now: Timestamp) -> Vec<ResourceId>;

    /// The patient's encounters that lie ahead, or tell of something that does, whatever their dates say.
    fn plans(&self, patient: &ResourceId, now: Timestamp) -> Vec<ResourceId>;
}
