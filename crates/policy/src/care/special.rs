//! Patients who are not like any other: flags by where they come from, and consents.

use super::{CareData, Moments};
use crate::facts::{Fact, Facts, Link, flag};
use crate::situation::PatientFlags;
use std::collections::HashMap;
use tacet_types::{ResourceId, ResourceType};

/// What is special about a patient.
#[derive(Default)]
pub(super) struct Special {
    /// Which record makes which flags.
    flags: Vec<(Link, u8)>,
    /// The patient's consents.
    pub(super) consents: Vec<Link>,
    /// Encounters that tell of what lies ahead, and until when they do.
    pub(super) plans: Vec<(Link, i64)>,
}

impl Special {
    pub(super) fn flags(&self) -> PatientFlags {
        let all = self.flags.iter().fold(0, |all, (_, flags)| all | flags);
        let has = |flag: u8| all & flag != 0;
        PatientFlags {
            detained: has(flag::DETAINED),
            vip: has(flag::VIP),
            staff: has(flag::STAFF),
            restricted: has(flag::RESTRICTED),
        }
    }

    fn is_empty(&self) -> bool {
        self.flags.is_empty() && self.consents.is_empty() && self.plans.is_empty()
    }
}

/// Who has an identifier. Nearly every identifier has one holder, so more than one is kept elsewhere.
#[derive(Default)]
pub(super) struct Holders {
    first: HashMap<u64, Link>,
    more: HashMap<u64, Vec<Link>>,
}

impl Holders {
    pub(super) fn insert(&mut self, identifier: u64, holder: &Link) {
        match self.first.get(&identifier) {
            Some(first) if first == holder => {}
            Some(_) => {
                let more = self.more.entry(identifier).or_default();
                if !more.contains(holder) {
                    more.push(holder.clone());
                }
            }
            None => {
                self.first.insert(identifier, holder.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, identifier: u64, holder: &Link) {
        let more = self.more.remove(&identifier).unwrap_or_default();
        let mut rest = self.first.remove(&identifier).into_iter().chain(more).filter(|known| known != holder);
        if let Some(first) = rest.next() {
            self.first.insert(identifier, first);
        }
        let more: Vec<Link> = rest.collect();
        if !more.is_empty() {
            self.more.insert(identifier, more);
        }
    }

    pub(super) fn of(&self, identifier: u64) -> impl Iterator<Item = &Link> {
        self.first.get(&identifier).into_iter().chain(self.more.get(&identifier).into_iter().flatten())
    }
}

impl CareData {
    /// Notes that a record makes flags of a patient.
    fn flag(&mut self, patient: &Link, source: &Link, flags: u8) {
        let Some(id) = patient.resource_id().filter(|_| flags != 0) else { return };
        let special = self.special.entry(id).or_default();
        special.flags.push((source.clone(), flags));
        self.note(patient);
    }

    /// Takes back the flags that a record makes of a patient.
    fn unflag(&mut self, patient: &Link, source: &Link) {
        self.change_special(patient, |special| special.flags.retain(|(known, _)| known != source));
    }

    /// Takes something out of what is special about a patient.
    fn change_special(&mut self, patient: &Link, change: impl FnOnce(&mut Special)) {
        let Some(id) = patient.resource_id() else { return };
        if let Some(special) = self.special.get_mut(&id) {
            change(special);
            if special.is_empty() {
                self.special.remove(&id);
            }
            self.note(patient);
        }
    }

    /// The patient's encounters that tell of what lies ahead now.
    pub(crate) fn planned(&self, patient: &ResourceId, moments: &mut Moments) -> Vec<ResourceId> {
        let all = self.special.get(patient).into_iter().flat_map(|special| &special.plans);
        let ahead = all.filter(|(_, until)| {
            moments.note(*until);
            *until > moments.now_ms()
        });
        let mut ahead: Vec<ResourceId> = ahead.filter_map(|(link, _)| link.resource_id()).collect();
        ahead.sort_unstable();
        ahead
    }

    /// The patients of whom a record makes flags, and which.
    fn flags_of(link: &Link, fact: &Fact) -> Vec<(Link, u8)> {
        match fact {
            Fact::Flag { patient, flags } | Fact::Stay { patient, flags, .. } if *flags != 0 => {
                vec![(patient.clone(), *flags)]
            }
            Fact::Person { patients, .. } => patients.iter().map(|patient| (patient.clone(), flag::STAFF)).collect(),
            Fact::Patient { flags, .. } if *flags != 0 => vec![(link.clone(), *flags)],
            _ => Vec::new(),
        }
    }

    /// Whether a record made a flag of some patient that it would not make any more, saying this.
    pub fn unflags(&self, resource_type: ResourceType, id: &ResourceId, facts: Option<&Facts>) -> bool {
        let link = Link::new(resource_type, id.as_str());
        let before = match (self.patients.get(&link), self.records.get(&link)) {
            (Some(row), _) => vec![(link.clone(), row.flags)],
            (None, Some(fact)) => Self::flags_of(&link, fact),
            (None, None) => return false,
        };
        let after = facts.map(|facts| Self::flags_of(&link, &facts.fact)).unwrap_or_default();
        before.iter().any(|(patient, flags)| {
            let kept = after.iter().filter(|(known, _)| known == patient).fold(0, |all, (_, flags)| all | flags);
            flags & !kept != 0
        })
    }

    pub(super) fn add_special(&mut self, link: &Link, fact: &Fact) {
        for (patient, flags) in Self::flags_of(link, fact) {
            self.flag(&patient, link, flags);
        }
        match fact {
            Fact::Consent(consent) => {
                if let Some(id) = consent.patient.resource_id() {
                    self.special.entry(id).or_default().consents.push(link.clone());
                    self.note(&consent.patient);
                }
                for moment in consent.moments() {
                    self.turns.add(moment, link);
                }
                for named in consent.named() {
                    self.by_named.entry(named.clone()).or_default().insert(link.clone());
                }
            }
            Fact::Stay { patient, plans, .. } if *plans != i64::MIN => {
                if let Some(id) = patient.resource_id() {
                    self.special.entry(id).or_default().plans.push((link.clone(), *plans));
                    self.note(patient);
                }
                self.turns.add(*plans, link);
            }
            // Somebody with the same identifier as a member of staff is that member of staff.
            Fact::Patient { identifiers, .. } => {
                for identifier in identifiers {
                    self.patients_by_identifier.insert(*identifier, link);
                    let staff: Vec<Link> = self.staff_by_identifier.of(*identifier).cloned().collect();
                    staff.iter().for_each(|staff| self.flag(link, staff, flag::STAFF));
                }
            }
            Fact::Practitioner { identifiers } => {
                for identifier in identifiers {
                    self.staff_by_identifier.insert(*identifier, link);
                    let patients: Vec<Link> = self.patients_by_identifier.of(*identifier).cloned().collect();
                    patients.iter().for_each(|patient| self.flag(patient, link, flag::STAFF));
                }
            }
            _ => {}
        }
    }

    pub(super) fn remove_special(&mut self, link: &Link, fact: &Fact) {
        for (patient, _) in Self::flags_of(link, fact) {
            self.unflag(&patient, link);
        }
        match fact {
            Fact::Consent(consent) => {
                self.change_special(&consent.patient, |special| special.consents.retain(|known| known != link));
                for moment in consent.moments() {
                    self.turns.remove(moment, link);
                }
                for named in consent.named() {
                    if let Some(links) = self.by_named.get_mut(named) {
                        links.remove(link);
                        if links.is_empty() {
                            self.by_named.remove(named);
                        }
                    }
                }
            }
            Fact::Stay { patient, plans, .. } if *plans != i64::MIN => {
                self.change_special(patient, |special| special.plans.retain(|(known, _)| known != link));
                self.turns.remove(*plans, link);
            }
            Fact::Patient { identifiers, .. } => {
                for identifier in identifiers {
                    self.patients_by_identifier.remove(*identifier, link);
                    let staff: Vec<Link> = self.staff_by_identifier.of(*identifier).cloned().collect();
                    staff.iter().for_each(|staff| self.unflag(link, staff));
                }
            }
            Fact::Practitioner { identifiers } => {
                for identifier in identifiers {
                    self.staff_by_identifier.remove(*identifier, link);
                    let patients: Vec<Link> = self.patients_by_identifier.of(*identifier).cloned().collect();
                    patients.iter().for_each(|patient| self.unflag(patient, link));
                }
            }
            _ => {}
        }
    }
}
