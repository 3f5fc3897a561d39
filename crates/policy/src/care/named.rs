//! What who keeps answers asks of care data: what has changed since, and whom consents name.

use super::{CareData, Moments, own_links};
use crate::facts::{Fact, Link};
use crate::situation::Subject;
use std::collections::HashSet;
use tacet_types::{ResourceId, Timestamp};

/// Patients whose consents name somebody who is asked about one by one. Whoever is named by more of them is what many are: an organisation,
/// a unit.
const ALONE_MAX: usize = if cfg!(test) { 2 } else { 256 };

/// What stands for a subject in consents.
pub(crate) struct Named {
    /// All of it.
    pub(crate) identities: HashSet<Link>,
    /// That of it which many consents name; sorted.
    pub(crate) often: Vec<Link>,
    /// The patients whose consents name something else of it.
    pub(crate) alone: HashSet<ResourceId>,
}

impl CareData {
    /// How many changes of patients there were, whoever asks.
    pub(crate) fn mark(&self) -> u64 {
        self.changes.mark()
    }

    /// The patients of whom something has changed since a mark; none if that is too long ago.
    pub(crate) fn changed_since(&self, mark: u64) -> Option<impl Iterator<Item = &ResourceId>> {
        self.changes.since(mark)
    }

    /// The patients who may not be like every other: about whom something is special, and, if asked for, those of the hospital.
    pub(crate) fn apart(&self, hospital: bool) -> Vec<ResourceId> {
        let mut apart: HashSet<ResourceId> = HashSet::new();
        if hospital {
            apart.extend(self.patients_of_hospital());
        }
        let more: Vec<ResourceId> = self.special.keys().filter(|patient| !apart.contains(*patient)).cloned().collect();
        apart.into_iter().chain(more).collect()
    }

    /// Whether something that is special about a patient begins or ends after a moment, and not after another.
    pub(crate) fn turns_between(&self, after: Timestamp, until: Timestamp) -> bool {
        self.turns.between(after.as_ms(), until.as_ms()).next().is_some()
    }

    /// The patients of whom it does.
    pub(crate) fn turned(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = ResourceId> {
        let turns = self.turns.between(after.as_ms(), until.as_ms());
        turns.filter_map(|(_, link)| self.patient_of(link))
    }

    pub(crate) fn note_next_turn(&self, moments: &mut Moments) {
        if let Some(at) = self.turns.after(moments.now_ms()) {
            moments.note(at);
        }
    }

    fn patient_of(&self, link: &Link) -> Option<ResourceId> {
        match self.records.get(link)?.as_ref() {
            Fact::Consent(consent) => consent.patient.resource_id(),
            Fact::Stay { patient, .. } => patient.resource_id(),
            _ => None,
        }
    }

    /// What stands for a subject in consents, and which patients name it.
    pub(crate) fn named(&self, subject: &Subject, moments: &mut Moments) -> Named {
        let mut identities = match &subject.practitioner {
            Some(practitioner) => self.identities(practitioner, moments),
            None => HashSet::new(),
        };
        identities.extend(own_links(subject));
        let counted = identities.iter().filter_map(|link| Some((self.by_named.get(link)?.len(), link)));
        let mut counted: Vec<(usize, &Link)> = counted.collect();
        counted.sort_unstable();
        let (mut often, mut alone, mut consents) = (Vec::new(), HashSet::new(), 0);
        for (count, link) in counted {
            consents += count;
            if consents > ALONE_MAX {
                often.push(link.clone());
            } else {
                let naming = self.by_named.get(link).into_iter().flatten();
                alone.extend(naming.filter_map(|consent| self.patient_of(consent)));
            }
        }
        often.sort_unstable();
        Named { identities, often, alone }
    }

    /// The patients for whom an account has declared an emergency that holds.
    pub(crate) fn declared_for(&self, account: &str, moments: &mut Moments) -> Vec<ResourceId> {
        let declared = self.emergencies.get(account).into_iter().flatten();
        declared.filter(|declared| moments.within(declared.span())).map(|declared| declared.patient.clone()).collect()
    }
}
