//! From situations to patients: what somebody may see or change now, as a [`Visibility`].
//!
//! ```text
//! care data: relations, flags, consents, emergencies        policies
//!            patient ──> standing (finite) ──────────────> openings: types, labels, criteria, basis
//!            patients of the same openings ──────────────> classes
//! every patient about whom there is nothing to say ──────> one class of all but those
//! ```

use crate::care_view::CareView;
use crate::openings::{Opening, Standing};
use crate::policies::Policies;
use crate::regions::{self, Threefold};
use crate::situation::{Act, CareSettings, ConsentSays, Relation, RelationSet, Subject};
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
    if Relation::OF_THE_HOSPITAL.into_iter().any(|relation| read.has(relation)) {
        care.hospital(now, settings).into_iter().for_each(|(patient, set)| add(patient, set));
    }
    // Somebody of the hospital opens their own record as a patient, not by the account that they work with.
    if subject.role == Role::Patient {
        subject.patients.iter().for_each(|patient| add(patient.clone(), RelationSet::of([Relation::OwnRecord])));
    }
    for patient in care.break_glass(&subject.account, now) {
        ties.entry(patient).or_default().break_glass = true;
    }
    ties
}

/// What the subject may do `act` to at this moment. The time it takes grows with the patients to whom the subject has a relation and
/// with those who are set apart or have consents, not with the store.
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
    let mut compiler = Compiler { policies, care, subject, now, bare, known: HashMap::new() };
    let otherwise = compiler.plain(bare);
    let mut groups: HashMap<Arc<[Opening]>, HashSet<ResourceId>> = HashMap::new();
    let mut apart: HashSet<ResourceId> = HashSet::new();
    let mut put = |patient: &ResourceId, openings: Arc<[Opening]>| {
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
        put(patient, compiler.openings(patient, *ties));
    }
    care.each_flagged(now, &mut |patient| {
        if !ties.contains_key(patient) {
            put(patient, compiler.openings(patient, Ties::default()));
        }
    });
    let nobody = compiler.plain(Standing { of_patient: false, ..bare });
    let mut classes: Vec<Class> = Vec::new();
    let mut add = |openings: &[Opening], patients: &PatientSet| {
        classes.extend(openings.iter().map(|opening| opening.class(patients.clone())));
    };
    add(&nobody, &PatientSet::Nobody);
    let mut groups: Vec<(Arc<[Opening]>, HashSet<ResourceId>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, patients)| std::cmp::Reverse(patients.len()));
    for (openings, patients) in groups {
        add(&openings, &PatientSet::Only(Arc::new(patients)));
    }
    add(&otherwise, &PatientSet::AllBut(Arc::new(apart)));
    Visibility { classes }
}

struct Compiler<'a, C> {
    policies: &'a Policies,
    care: &'a C,
    subject: &'a Subject,
    now: Timestamp,
    bare: Standing,
    /// What standings open at this moment.
    known: HashMap<Standing, Arc<[Opening]>>,
}

impl<C: CareView> Compiler<'_, C> {
    /// What a standing opens at this moment, consents aside.
    fn plain(&mut self, standing: Standing) -> Arc<[Opening]> {
        let make = || self.policies.opened(standing).iter().map(|opening| opening.at(self.now)).collect();
        Arc::clone(self.known.entry(standing).or_insert_with(make))
    }

    fn openings(&mut self, patient: &ResourceId, ties: Ties) -> Arc<[Opening]> {
        let flags = self.care.flags(patient);
        let Ties { relations, break_glass } = ties;
        let standing = Standing { relations, break_glass, flags, ..self.bare };
        let nothing = self.plain(standing);
        let permit = self.plain(Standing { consent: ConsentSays::Permit, ..standing });
        let deny = self.plain(Standing { consent: ConsentSays::Deny, ..standing });
        if nothing == permit && nothing == deny {
            return nothing;
        }
        let mut rulings = self.care.consents(patient, self.subject, self.now);
        rulings.retain(|ruling| ruling.concerns(relations, break_glass));
        if rulings.is_empty() {
            return nothing;
        }
        regions::after(&Threefold { nothing: &nothing, permit: &permit, deny: &deny }, &rulings).into()
    }
}

impl Opening {
    fn class(&self, patients: PatientSet) -> Class {
        Class {
            patients,
            types: self.types,
            labels: self.labels,
            only: self.only.clone(),
            except: self.except.clone(),
            told: self.told,
            basis: self.basis.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
