//! Keeping the indexes of the care data with its records.

use super::{CareData, PatientRow};
use crate::facts::{Fact, Link, OrderKind, State};
use std::collections::{HashMap, HashSet};

/// An index: what stands at a link.
type Index = HashMap<Link, HashSet<Link>>;

fn add(index: &mut Index, at: &Link, link: &Link) {
    index.entry(at.clone()).or_default().insert(link.clone());
}

fn remove(index: &mut Index, at: &Link, link: &Link) {
    if let Some(links) = index.get_mut(at) {
        links.remove(link);
        if links.is_empty() {
            index.remove(at);
        }
    }
}

/// Who takes part in a record.
fn actors(fact: &Fact) -> Vec<&Link> {
    match fact {
        Fact::Stay { staff, .. } => staff.iter().map(|part| &part.who).collect(),
        Fact::Meeting { staff, .. } => staff.iter().collect(),
        Fact::Order { by, to, .. } => by.iter().chain(to).collect(),
        Fact::Team { members, .. } | Fact::Group { members } => members.iter().map(|part| &part.who).collect(),
        Fact::Episode { team, .. } => team.iter().collect(),
        Fact::Patient { doctors, .. } => doctors.iter().collect(),
        Fact::Role { practitioner, .. } => vec![practitioner],
        Fact::Schedule { actors, .. } => actors.iter().filter(|actor| !actor.is("Location")).collect(),
        _ => Vec::new(),
    }
}

/// Where the patient of a record lies.
fn places(fact: &Fact) -> Vec<&Link> {
    match fact {
        Fact::Stay { places, provider, .. } => places.iter().map(|part| &part.who).chain(provider).collect(),
        _ => Vec::new(),
    }
}

/// The patient whom a record may bring into a relation to the hospital.
fn of_hospital(fact: &Fact) -> Option<&Link> {
    match fact {
        Fact::Stay { patient, inpatient: true, state, .. } if *state != State::Ahead => Some(patient),
        Fact::Order {
            patient, kind: OrderKind::Prescription | OrderKind::Examination, state: State::Going, ..
        } => Some(patient),
        _ => None,
    }
}

impl CareData {
    /// Puts what a record says in the place of what it said; `false` if that is the same.
    pub(super) fn replace(&mut self, link: Link, fact: Option<Fact>) -> bool {
        let old = self.take(&link);
        let changed = old != fact;
        if changed {
            if let Some(old) = &old {
                self.unlink(&link, old);
            }
            if let Some(fact) = &fact {
                self.link(&link, fact);
            }
        }
        match fact {
            Some(Fact::Patient { doctors, flags, identifiers }) => {
                let row = PatientRow { doctors: doctors.into(), flags, identifiers: identifiers.into() };
                self.patients.insert(link, row);
            }
            Some(other) => {
                self.records.insert(link, Box::new(other));
            }
            None => {}
        }
        changed
    }

    fn take(&mut self, link: &Link) -> Option<Fact> {
        if let Some(row) = self.patients.remove(link) {
            let PatientRow { doctors, flags, identifiers } = row;
            return Some(Fact::Patient { doctors: doctors.into(), flags, identifiers: identifiers.into() });
        }
        self.records.remove(link).map(|fact| *fact)
    }

    fn link(&mut self, link: &Link, fact: &Fact) {
        actors(fact).into_iter().for_each(|actor| add(&mut self.by_actor, actor, link));
        places(fact).into_iter().for_each(|place| add(&mut self.by_place, place, link));
        match fact {
            Fact::Place { part_of } => add(&mut self.parts, part_of, link),
            Fact::Slot { schedule, .. } => add(&mut self.slots, schedule, link),
            _ => {}
        }
        if let Some(patient) = of_hospital(fact) {
            add(&mut self.of_hospital, patient, link);
            self.note(patient);
        }
        if let Some(end) = fact.ends_ms() {
            self.ends.add(end, link);
        }
        self.add_special(link, fact);
    }

    fn unlink(&mut self, link: &Link, fact: &Fact) {
        actors(fact).into_iter().for_each(|actor| remove(&mut self.by_actor, actor, link));
        places(fact).into_iter().for_each(|place| remove(&mut self.by_place, place, link));
        match fact {
            Fact::Place { part_of } => remove(&mut self.parts, part_of, link),
            Fact::Slot { schedule, .. } => remove(&mut self.slots, schedule, link),
            _ => {}
        }
        if let Some(patient) = of_hospital(fact) {
            remove(&mut self.of_hospital, patient, link);
            self.note(patient);
        }
        if let Some(end) = fact.ends_ms() {
            self.ends.remove(end, link);
        }
        self.remove_special(link, fact);
    }

    /// Notes that something else is to be said of a patient.
    pub(super) fn note(&mut self, patient: &Link) {
        if let Some(id) = patient.resource_id() {
            self.changes.note(id);
        }
    }
}
