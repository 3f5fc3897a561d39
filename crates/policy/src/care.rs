//! Who cares for whom, what is special about a patient, what was consented to, who declared an emergency: all of it in memory, at a moment
//! that the caller names.
//!
//! ```text
//! put(record, facts) ─> indexes: by who takes part, by where the patient lies, by what is a part of what
//! relations(practitioner, now) ─> from the practitioner's roles, places, teams and duties to the patients: no other patient is looked at
//! ```
//!
//! It decides nothing and reads no clock. It is changed in the same step that makes a commit visible, so what it says is never behind
//! the records. [`CareData::next_change`] says until when an answer holds if nothing is put in between.

mod changes;
mod identities;
mod index;
mod moments;
mod named;
mod present;
mod relations;
mod rota;
mod special;
mod wards;

use crate::breakglass::BreakGlass;
use crate::care_view::CareView;
use crate::consent::Asker;
use crate::facts::{Author, Fact, Facts, KEPT_AFTER_END_MS, Link};
use crate::situation::{CareSettings, ConsentRuling, PatientFlags, RelationSet, Subject};
use changes::{Calendar, Changes};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tacet_types::{ResourceId, ResourceType, Timestamp};

pub(crate) use moments::Moments;
pub use present::Urgency;
use special::{Holders, Special};

/// Relations of somebody, by patient. Only patients with some relation are in it.
pub type Related = HashMap<ResourceId, RelationSet>;

/// Most patients whom one practitioner can have put on file and have a relation to for it; the latest count.
pub const REGISTERED_MAX: usize = 1_000;

/// Most declarations of emergency of one account that are kept; the oldest goes. The workflow's rate cap is far below.
pub const BREAK_GLASS_MAX: usize = 1_000;

/// Most rulings of a patient's consents for one who asks, each with what it excepts. What remains open is worked out for all of them
/// together, by everybody who asks, so whoever says more than that has refused.
pub(crate) const RULINGS_MAX: usize = 40;

/// Records that are forgotten in one step.
pub const FORGET_EACH_MAX: usize = 1_000;

/// The purpose of use of whoever declared an emergency (v3-ActReason).
const BREAK_GLASS: &str = "BTG";

/// What a Patient says, kept apart since there are so many of them.
#[derive(PartialEq)]
pub(crate) struct PatientRow {
    doctors: Box<[Link]>,
    flags: u8,
    identifiers: Box<[u64]>,
}

/// A practitioner at a moment of an epoch.
type AskedAt = (ResourceId, Timestamp, u64);

/// Care data of the whole establishment.
#[derive(Default)]
pub struct CareData {
    epoch: u64,
    /// What every record says, but Patients.
    records: HashMap<Link, Box<Fact>>,
    patients: HashMap<Link, PatientRow>,
    /// Of records that a Practitioner wrote last: who, and what others had written.
    authors: HashMap<Link, Author>,
    /// Records in which somebody takes part.
    by_actor: HashMap<Link, HashSet<Link>>,
    /// Stays at a place, or, for those that name no place, at an organisation.
    by_place: HashMap<Link, HashSet<Link>>,
    /// Places that are a part of a place.
    parts: HashMap<Link, HashSet<Link>>,
    /// Busy slots of a schedule.
    slots: HashMap<Link, HashSet<Link>>,
    /// Stays and orders by which a patient may have to do with the hospital now, by patient.
    of_hospital: HashMap<Link, HashSet<Link>>,
    /// Consents that name somebody in a rule.
    by_named: HashMap<Link, HashSet<Link>>,
    /// Patients who are not like any other.
    special: HashMap<ResourceId, Special>,
    /// Who has an identifier: patients, and staff.
    patients_by_identifier: Holders,
    staff_by_identifier: Holders,
    /// Whom a practitioner put on file, and when.
    registered: HashMap<ResourceId, Vec<(ResourceId, i64)>>,
    emergencies: HashMap<String, Vec<BreakGlass>>,
    /// Moments from which on a record says something else of a patient, whoever asks: consents, what is planned.
    turns: Calendar,
    /// When records can be forgotten.
    ends: Calendar,
    /// The patients of whom something else is to be said, whoever asks.
    changes: Changes,
    /// For whom identities were last asked: a visibility asks for one person, patient after patient.
    asked: Mutex<Option<(AskedAt, Arc<HashSet<Link>>)>>,
}

impl CareData {
    /// No data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what a record says now in the place of what it said before; none: it is gone, or says nothing.
    pub fn put(&mut self, key: (ResourceType, ResourceId), facts: Option<Facts>) {
        let link = Link::new(key.0, key.1.as_str());
        let (fact, author) = facts.map(|facts| (facts.fact, facts.author)).unzip();
        let author = author.flatten();
        let same_author = self.authors.get(&link) == author.as_ref();
        match author {
            Some(author) => drop(self.authors.insert(link.clone(), author)),
            None => drop(self.authors.remove(&link)),
        }
        if self.replace(link, fact) || !same_author {
            self.epoch += 1;
        }
    }

    /// Notes who put a patient on file, and when. The latest [`REGISTERED_MAX`] of a practitioner are kept.
    pub fn put_registration(&mut self, patient: ResourceId, practitioner: ResourceId, at: Timestamp) {
        let registered = self.registered.entry(practitioner).or_default();
        registered.retain(|(known, _)| *known != patient);
        if registered.len() >= REGISTERED_MAX {
            registered.remove(0);
        }
        registered.push((patient, at.as_ms()));
        self.epoch += 1;
    }

    /// Notes a declaration of emergency, in the place of one with the same id.
    pub fn put_break_glass(&mut self, declared: BreakGlass) {
        let of_account = self.emergencies.entry(declared.account.clone()).or_default();
        of_account.retain(|known| known.id != declared.id);
        if of_account.len() >= BREAK_GLASS_MAX {
            of_account.remove(0);
        }
        of_account.push(declared);
        self.epoch += 1;
    }

    /// Ends a declaration of emergency; `false` if there is none of this id.
    pub fn end_break_glass(&mut self, id: &str) -> bool {
        let mut found = false;
        self.emergencies.retain(|_, of_account| {
            let before = of_account.len();
            of_account.retain(|declared| declared.id != id);
            found |= of_account.len() != before;
            !of_account.is_empty()
        });
        self.epoch += u64::from(found);
        found
    }

    /// Forgets a patient who was erased: who put them on file, and declarations about them. Records are taken out by [`CareData::put`].
    pub fn erase(&mut self, patient: &ResourceId) {
        self.registered.values_mut().for_each(|registered| registered.retain(|(known, _)| known != patient));
        self.emergencies.values_mut().for_each(|of_account| of_account.retain(|declared| declared.patient != *patient));
        self.epoch += 1;
    }

    /// Lets go of what can say nothing any more at this moment, at most [`FORGET_EACH_MAX`] records of it: which they are. Changes no answer
    /// about now or later.
    pub fn forget(&mut self, now: Timestamp) -> Vec<(ResourceType, ResourceId)> {
        let gone = self.ends.before(now.as_ms(), FORGET_EACH_MAX);
        for link in &gone {
            self.authors.remove(link);
            self.replace(link.clone(), None);
        }
        let kept_from = now.as_ms().saturating_sub(KEPT_AFTER_END_MS);
        self.registered.retain(|_, registered| {
            registered.retain(|(_, at)| *at >= kept_from);
            !registered.is_empty()
        });
        self.emergencies.retain(|_, of_account| {
            of_account.retain(|declared| declared.until >= now);
            !of_account.is_empty()
        });
        gone.iter().filter_map(|link| link.resource_type().zip(link.resource_id())).collect()
    }

    /// Whether a record says something.
    pub fn knows(&self, resource_type: ResourceType, id: &ResourceId) -> bool {
        let link = Link::new(resource_type, id.as_str());
        self.records.contains_key(&link) || self.patients.contains_key(&link)
    }

    /// A number that is another one after every change.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many records, patients included, it knows something of.
    pub fn len(&self) -> usize {
        self.records.len() + self.patients.len()
    }

    /// Whether it knows of none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The patients to whom a practitioner has a relation now, with all relations of each. Costs time in their number and in that of the
    /// places and teams in which the practitioner works.
    pub fn relations(&self, practitioner: &ResourceId, now: Timestamp, settings: &CareSettings) -> Related {
        self.related(practitioner, settings, &mut Moments::at(now))
    }

    /// The patients who have to do with the hospital now, whoever asks: [`crate::Relation::OF_THE_HOSPITAL`].
    pub fn hospital(&self, now: Timestamp, settings: &CareSettings) -> Related {
        self.related_to_hospital(settings, &mut Moments::at(now))
    }

    /// The first moment after `now` from which relations of this practitioner, consents or emergencies may be others than at `now`, if
    /// nothing is put in between; none if time alone changes nothing.
    pub fn next_change(
        &self,
        practitioner: Option<&ResourceId>,
        now: Timestamp,
        settings: &CareSettings,
    ) -> Option<Timestamp> {
        let mut moments = Moments::at(now);
        if let Some(practitioner) = practitioner {
            self.related(practitioner, settings, &mut moments);
            self.identities(practitioner, &mut moments);
        }
        if let Some(at) = self.turns.after(now.as_ms()) {
            moments.note(at);
        }
        for declared in self.emergencies.values().flatten() {
            moments.within(declared.span());
        }
        moments.next()
    }

    /// The first moment after `now` from which [`CareData::hospital`] says something else, if nothing is put in between.
    pub fn next_change_of_hospital(&self, now: Timestamp, settings: &CareSettings) -> Option<Timestamp> {
        let mut moments = Moments::at(now);
        self.related_to_hospital(settings, &mut moments);
        moments.next()
    }

    /// What is special about a patient.
    pub fn flags(&self, patient: &ResourceId) -> PatientFlags {
        self.special.get(patient).map(Special::flags).unwrap_or_default()
    }

    /// The patients about whom something is special, or who have a consent.
    pub fn flagged(&self) -> impl Iterator<Item = &ResourceId> {
        self.special.keys()
    }

    /// What the patient's consents in force say to this subject, for its purpose, now. With an emergency declared for the patient the
    /// purpose is that (`BTG`).
    pub fn consents(&self, patient: &ResourceId, subject: &Subject, now: Timestamp) -> Vec<ConsentRuling> {
        if self.special.get(patient).is_none_or(|special| special.consents.is_empty()) {
            return Vec::new();
        }
        let identities = self.identities_asked(subject, now);
        let purpose = self.declared(&subject.account, patient, now).map_or(subject.purpose, |_| BREAK_GLASS);
        self.rulings(patient, &Asker::new(subject, purpose, &identities), &mut Moments::at(now))
    }

    /// All that stands for a subject in a consent.
    fn identities_asked(&self, subject: &Subject, now: Timestamp) -> Arc<HashSet<Link>> {
        let mut identities = match &subject.practitioner {
            Some(practitioner) => self.identities_of(practitioner, now),
            None => Arc::default(),
        };
        let own = own_links(subject);
        if !own.is_empty() {
            Arc::make_mut(&mut identities).extend(own);
        }
        identities
    }

    /// What the patient's consents in force say to one who asks.
    pub(crate) fn rulings(&self, patient: &ResourceId, asker: &Asker<'_>, moments: &mut Moments) -> Vec<ConsentRuling> {
        let Some(special) = self.special.get(patient) else { return Vec::new() };
        let mut rulings = Vec::new();
        for link in &special.consents {
            if let (Some(Fact::Consent(consent)), Some(id)) =
                (self.records.get(link).map(Box::as_ref), link.resource_id())
            {
                rulings.extend(consent.rulings(&id, asker, moments));
                if rulings.iter().map(|ruling| 1 + ruling.unless.len()).sum::<usize>() > RULINGS_MAX {
                    return vec![crate::consent::refusal(&id)];
                }
            }
        }
        rulings
    }

    /// The patients for whom this account has an emergency declared now, each once.
    pub fn break_glass(&self, account: &str, now: Timestamp) -> Vec<ResourceId> {
        let declared = self.emergencies.get(account).into_iter().flatten().filter(|declared| declared.in_force(now));
        let mut patients: Vec<ResourceId> = declared.map(|declared| declared.patient.clone()).collect();
        patients.sort_unstable();
        patients.dedup();
        patients
    }

    /// The declaration in force of this account for this patient, the one that lasts longest.
    pub fn declared(&self, account: &str, patient: &ResourceId, now: Timestamp) -> Option<&BreakGlass> {
        let of_account = self.emergencies.get(account).into_iter().flatten();
        of_account
            .filter(|declared| declared.patient == *patient && declared.in_force(now))
            .max_by_key(|declared| declared.until)
    }

    /// All that stands for a practitioner, as it was last asked.
    fn identities_of(&self, practitioner: &ResourceId, now: Timestamp) -> Arc<HashSet<Link>> {
        let key = (practitioner.clone(), now, self.epoch);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, identities)) = asked.as_ref()
            && *known == key
        {
            return Arc::clone(identities);
        }
        let identities = Arc::new(self.identities(practitioner, &mut Moments::at(now)));
        *asked = Some((key, Arc::clone(&identities)));
        identities
    }
}

/// The subject's own records as a patient.
pub(crate) fn own_links(subject: &Subject) -> Vec<Link> {
    let Some(kind) = ResourceType::parse("Patient") else { return Vec::new() };
    subject.patients.iter().map(|patient| Link::new(kind, patient.as_str())).collect()
}

impl CareView for CareData {
    fn relations(&self, practitioner: &ResourceId, now: Timestamp, settings: &CareSettings) -> Related {
        Self::relations(self, practitioner, now, settings)
    }

    fn hospital(&self, now: Timestamp, settings: &CareSettings) -> Related {
        Self::hospital(self, now, settings)
    }

    fn flags(&self, patient: &ResourceId) -> PatientFlags {
        Self::flags(self, patient)
    }

    fn each_flagged(&self, now: Timestamp, each: &mut dyn FnMut(&ResourceId)) {
        for (patient, special) in &self.special {
            let in_force = |link: &Link| match self.records.get(link).map(Box::as_ref) {
                Some(Fact::Consent(consent)) => Moments::at(now).within(consent.during),
                _ => false,
            };
            if !special.flags().is_none() || !special.plans.is_empty() || special.consents.iter().any(in_force) {
                each(patient);
            }
        }
    }

    fn consents(&self, patient: &ResourceId, subject: &Subject, now: Timestamp) -> Vec<ConsentRuling> {
        Self::consents(self, patient, subject, now)
    }

    fn break_glass(&self, account: &str, now: Timestamp) -> Vec<ResourceId> {
        Self::break_glass(self, account, now)
    }

    fn plans(&self, patient: &ResourceId, now: Timestamp) -> Vec<ResourceId> {
        self.planned(patient, &mut Moments::at(now))
    }
}

#[cfg(test)]
mod tests;
