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

/// Whether a record may make a relation between a patient and the hospital.
fn is_of_hospital(fact: &Fact) -> bool {
    match fact {
        Fact::Stay { inpatient, state, .. } => *inpatient && *state != State::Ahead,
        Fact::Order { kind: OrderKind::Prescription | OrderKind::Examination, state, .. } => *state == State::Going,
        _ => false,
    }
}

impl CareData {
    /// Puts what a record says in the place of what it said; `false` if that is the same.
    pub(super) fn replace(&mut self, link: Link, fact: Option<Fact>) -> bool {
        let old = self.take(&link);
        let changed = old != fact;
        if let Some(old) = old {
            self.unlink(&link, &old);
        }
        if let Some(fact) = fact {
            self.link(&link, &fact);
            match fact {
                Fact::Patient { doctors, flags, identifiers } => {
                    let row = PatientRow { doctors: doctors.into(), flags, identifiers: identifiers.into() };
                    self.patients.insert(link, row);
                }
                other => {
                    self.records.insert(link, Box::new(other));
                }
            }
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
        if is_of_hospital(fact) {
            self.of_hospital.insert(link.clone());
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
        self.of_hospital.remove(link);
        self.remove_special(link, fact);
    }
}
