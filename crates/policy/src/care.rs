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

mod identities;
mod index;
mod moments;
mod relations;
mod rota;
mod special;

use crate::breakglass::BreakGlass;
use crate::care_view::CareView;
use crate::consent::Asker;
use crate::facts::{Fact, Facts, KEPT_AFTER_END_MS, Link};
use crate::situation::{CareSettings, ConsentRuling, PatientFlags, RelationSet, Subject};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tacet_types::{ResourceId, ResourceType, Role, Timestamp};

pub(crate) use moments::Moments;
pub use rota::Zone;
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
    /// Records in which somebody takes part.
    by_actor: HashMap<Link, HashSet<Link>>,
    /// Stays at a place, or, for those that name no place, at an organisation.
    by_place: HashMap<Link, HashSet<Link>>,
    /// Places that are a part of a place.
    parts: HashMap<Link, HashSet<Link>>,
    /// Busy slots of a schedule.
    slots: HashMap<Link, HashSet<Link>>,
    /// Stays and orders by which a patient may have to do with the hospital now.
    of_hospital: HashSet<Link>,
    /// Patients who are not like any other.
    special: HashMap<ResourceId, Special>,
    /// Who has an identifier: patients, and staff.
    patients_by_identifier: Holders,
    staff_by_identifier: Holders,
    /// Whom a practitioner put on file, and when.
    registered: HashMap<ResourceId, Vec<(ResourceId, i64)>>,
    emergencies: HashMap<String, Vec<BreakGlass>>,
    /// Moments at which some consent begins or ends, with how many do.
    consent_moments: BTreeMap<i64, usize>,
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
        let fact = facts.map(|facts| facts.fact);
        if self.replace(link, fact) {
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

    /// Lets go of what can say nothing any more at this moment. Changes no answer about now or later.
    pub fn forget(&mut self, now: Timestamp) {
        let over = |fact: &Fact| fact.ends_ms().is_some_and(|end| end < now.as_ms());
        let gone: Vec<Link> =
            self.records.iter().filter(|(_, fact)| over(fact)).map(|(link, _)| link.clone()).collect();
        for link in gone {
            self.replace(link, None);
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
        if let Some((at, _)) = self.consent_moments.range(now.as_ms().saturating_add(1)..).next() {
            moments.note(*at);
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
        let Some(special) = self.special.get(patient).filter(|special| !special.consents.is_empty()) else {
            return Vec::new();
        };
        let mut identities = match &subject.practitioner {
            Some(practitioner) => self.identities_of(practitioner, now),
            None => Arc::default(),
        };
        if !subject.patients.is_empty()
            && let Some(kind) = ResourceType::parse("Patient")
        {
            let own = subject.patients.iter().map(|patient| Link::new(kind, patient.as_str()));
            Arc::make_mut(&mut identities).extend(own);
        }
        let asker = Asker {
            purpose: self.declared(&subject.account, patient, now).map_or(subject.purpose, |_| BREAK_GLASS),
            identities: &identities,
            unknown_staff: subject.practitioner.is_none() && subject.role != Role::Patient,
            of_patient: subject.role == Role::Patient,
        };
        let moments = &mut Moments::at(now);
        let mut rulings = Vec::new();
        for link in &special.consents {
            if let (Some(Fact::Consent(consent)), Some(id)) =
                (self.records.get(link).map(Box::as_ref), link.resource_id())
            {
                rulings.extend(consent.rulings(&id, &asker, moments));
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
            if !special.flags().is_none() || special.consents.iter().any(in_force) {
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
}

#[cfg(test)]
mod tests;
