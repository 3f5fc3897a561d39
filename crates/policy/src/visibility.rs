//! From situations to patients: what somebody may see or change now, as a [`Visibility`].
//!
//! ```text
//! care data: relations, flags, consents, emergencies        policies
//!            patient ──> standing (finite) ──────────────> openings: types, labels, criteria, basis
//!            patients of the same openings ──────────────> classes
//! every patient about whom there is nothing to say ──────> one class of all but those
//! ```
//!
//! [`visibility`] makes one from nothing, and says what it should be. Who serves asks a [`crate::Maker`], which keeps what is the same for
//! many and makes anew what has changed.

pub(crate) mod base;
pub(crate) mod maker;

use crate::care_view::CareView;
use crate::openings::{Opening, Standing, with_plans};
use crate::policies::Policies;
use crate::regions::{self, Threefold};
use crate::situation::{Act, CareSettings, ConsentRuling, ConsentSays, PatientFlags, Relation, RelationSet, Subject};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tacet_types::{Class, PatientSet, ResourceId, Role, Timestamp, Visibility};

/// What an account has to do with a patient.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ties {
    pub(crate) relations: RelationSet,
    pub(crate) break_glass: bool,
}

/// Every patient with whom the subject has something to do that a policy about its role looks at.
pub(crate) fn ties<C: CareView>(
    policies: &Policies,
    care: &C,
    settings: &CareSettings,
    subject: &Subject,
    now: Timestamp,
) -> HashMap<ResourceId, Ties> {
    let read = policies.decider.relations_read(subject.role);
    let mut ties: HashMap<ResourceId, Ties> = HashMap::new();
    let mut add = |patient: ResourceId, relations: RelationSet| {
        let relations = relations.common(read);
        if !relations.is_empty() {
            let ties = ties.entry(patient).or_default();
            ties.relations = ties.relations.and(relations);
        }
    };
    if let Some(practitioner) = subject.practitioner.as_ref() {
        care.relations(practitioner, now, settings).into_iter().for_each(|(patient, set)| add(patient, set));
    }
    if reads_hospital(read) {
        care.hospital(now, settings).into_iter().for_each(|(patient, set)| add(patient, set));
    }
    own(subject).for_each(|patient| add(patient.clone(), RelationSet::of([Relation::OwnRecord])));
    for patient in care.break_glass(&subject.account, now) {
        ties.entry(patient).or_default().break_glass = true;
    }
    ties
}

/// The patients whose records are the subject's own. Somebody of the hospital opens their own record as a patient, not by the account that
/// they work with.
fn own(subject: &Subject) -> impl Iterator<Item = &ResourceId> {
    subject.patients.iter().filter(|_| subject.role == Role::Patient)
}

/// Whether one of these relations is one to the hospital.
fn reads_hospital(read: RelationSet) -> bool {
    Relation::OF_THE_HOSPITAL.into_iter().any(|relation| read.has(relation))
}

/// What the subject may do `act` to at this moment, made from nothing. The time it takes grows with the patients to whom the subject has a
/// relation and with those who are set apart or have consents, not with the store.
pub fn visibility<C: CareView>(
    policies: &Policies,
    care: &C,
    settings: &CareSettings,
    subject: &Subject,
    act: Act,
    now: Timestamp,
) -> Visibility {
    // Whatever policies say: who keeps the machine, accounts or the ledger sees no record.
    if !subject.role.may_read_records() {
        return Visibility::nothing();
    }
    let bare = Standing::of(subject, act);
    let otherwise = policies.opened(bare);
    let mut groups: HashMap<Arc<[Opening]>, HashSet<ResourceId>> = HashMap::new();
    let mut apart: HashSet<ResourceId> = HashSet::new();
    let mut put = |patient: &ResourceId, ties: Ties| {
        let known = Known { ties, flags: care.flags(patient), plans: care.plans(patient, now) };
        let openings = openings(policies, bare, &known, || care.consents(patient, subject, now));
        if openings == otherwise {
            return;
        }
        if !otherwise.is_empty() {
            apart.insert(patient.clone());
        }
        if !openings.is_empty() {
            groups.entry(openings).or_default().insert(patient.clone());
        }
    };
    let ties = ties(policies, care, settings, subject, now);
    for (patient, ties) in &ties {
        put(patient, *ties);
    }
    care.each_flagged(now, &mut |patient| {
        if !ties.contains_key(patient) {
            put(patient, Ties::default());
        }
    });
    let groups = groups.into_iter().map(|(openings, patients)| (openings, Arc::new(patients))).collect();
    Parts { bare, otherwise, groups, apart: Arc::new(apart) }.together(policies, now)
}

/// What is known of one patient.
struct Known {
    ties: Ties,
    flags: PatientFlags,
    plans: Vec<ResourceId>,
}

/// What is open of one patient, at whatever moment. Consents are asked only where they can change it.
fn openings(
    policies: &Policies,
    bare: Standing,
    known: &Known,
    consents: impl FnOnce() -> Vec<ConsentRuling>,
) -> Arc<[Opening]> {
    let Known { ties: Ties { relations, break_glass }, flags, plans } = known;
    let (relations, break_glass) = (*relations, *break_glass);
    let standing = Standing { relations, break_glass, flags: *flags, ..bare };
    let plain = |consent: ConsentSays| with_plans(&policies.opened(Standing { consent, ..standing }), plans);
    let nothing = plain(ConsentSays::Nothing);
    let (permit, deny) = (plain(ConsentSays::Permit), plain(ConsentSays::Deny));
    if nothing == permit && nothing == deny {
        return nothing;
    }
    let mut rulings = consents();
    rulings.retain(|ruling| ruling.concerns(relations, break_glass));
    if rulings.is_empty() {
        return nothing;
    }
    regions::after(&Threefold { nothing: &nothing, permit: &permit, deny: &deny }, &rulings).into()
}

/// Patients of whom the same is open.
type Groups = Vec<(Arc<[Opening]>, Arc<HashSet<ResourceId>>)>;

/// What a visibility is put together from.
struct Parts {
    bare: Standing,
    /// What is open of every other patient.
    otherwise: Arc<[Opening]>,
    groups: Groups,
    /// The patients who are not like every other.
    apart: Arc<HashSet<ResourceId>>,
}

impl Parts {
    fn together(mut self, policies: &Policies, now: Timestamp) -> Visibility {
        let mut classes: Vec<Class> = Vec::new();
        let mut add = |openings: &[Opening], patients: &PatientSet| {
            classes.extend(openings.iter().map(|opening| opening.at(now).class(patients.clone())));
        };
        add(&policies.opened(Standing { of_patient: false, ..self.bare }), &PatientSet::Nobody);
        self.groups.sort_by_key(|(_, patients)| std::cmp::Reverse(patients.len()));
        for (openings, patients) in self.groups {
            add(&openings, &PatientSet::Only(patients));
        }
        add(&self.otherwise, &PatientSet::AllBut(self.apart));
        Visibility { classes }
    }
}

impl Opening {
    fn class(self, patients: PatientSet) -> Class {
        let Self { types, labels, only, except, told, basis } = self;
        Class { patients, types, labels, only, except, told, basis }
    }
}

#[cfg(test)]
mod tests;
