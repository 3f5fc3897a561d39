//! Visibilities for who serves: each is put together from what is kept for everybody of a role and from the few patients with whom the
//! subject has to do. A change of the care data costs what it touches.
//!
//! ```text
//! subject ──> base: role, act, purpose, .. ──> patients who are set apart or have consents   kept; follows changes
//!        └──> relations, emergencies, consents that name the subject ──> a few patients       made each time
//! ```
//!
//! What comes of it is what [`super::visibility`] makes from nothing.

use super::base::{Base, BaseKey, Rules, hospital_relations, towards};
use super::{Groups, Parts, Ties, own};
use crate::care::{CareData, Moments};
use crate::consent::Asker;
use crate::facts::Link;
use crate::openings::{Opening, Standing};
use crate::policies::Policies;
use crate::situation::{Act, CareSettings, ConsentSays, Purpose, Relation, RelationSet, Subject};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use tacet_types::{ResourceId, Role, Timestamp, Visibility};

/// Bases that are kept: there are as many as combinations of role, act and purpose are in use.
const BASES_MAX: usize = if cfg!(test) { 8 } else { 128 };

/// Tries before a visibility is made from nothing, because what stands for the subject changes while it is made.
const TRIES: usize = 4;

/// The purpose of use of whoever declared an emergency (v3-ActReason).
const BREAK_GLASS: &str = "BTG";

/// Care data that others change meanwhile.
pub trait CareAccess {
    /// Asks something of them as they are now. They do not change before it is answered, so it is to be quick.
    fn with<R>(&self, ask: impl FnOnce(&CareData) -> R) -> R;
}

impl CareAccess for CareData {
    fn with<R>(&self, ask: impl FnOnce(&CareData) -> R) -> R {
        ask(self)
    }
}

/// A visibility, and for what it holds.
#[derive(Clone, Debug)]
pub struct Made {
    /// What is seen.
    pub visibility: Visibility,
    /// The care data from which it was made: [`CareData::epoch`].
    pub epoch: u64,
    /// The moment from which on time alone may make it another one; none if it does not.
    pub until: Option<Timestamp>,
}

/// A base, and when it was last asked for.
type Kept = (Arc<RwLock<Base>>, u64);

/// Makes visibilities, and keeps what they share.
pub struct Maker {
    policies: Arc<Policies>,
    settings: CareSettings,
    bases: Mutex<(HashMap<BaseKey, Kept>, u64)>,
}

impl Maker {
    /// By these rules.
    pub fn new(policies: Arc<Policies>, settings: CareSettings) -> Self {
        Self { policies, settings, bases: Mutex::default() }
    }

    /// The rules.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// What makes relations, and for how long.
    pub fn settings(&self) -> &CareSettings {
        &self.settings
    }

    /// What the subject may do `act` to now. It is up to date with the care data at some moment between call and return.
    pub fn visibility(&self, care: &impl CareAccess, subject: &Subject, act: Act, now: Timestamp) -> Made {
        // Whatever policies say: who keeps the machine, accounts or the ledger sees no record.
        if !subject.role.may_read_records() {
            let epoch = care.with(CareData::epoch);
            return Made { visibility: Visibility::nothing(), epoch, until: None };
        }
        let read = self.policies.decider.relations_read(subject.role);
        let rules = Rules { policies: &self.policies, settings: &self.settings, read };
        for _ in 0..TRIES {
            let often = care.with(|care| care.named(subject, &mut Moments::at(now)).often);
            let base = self.base(&rules, subject, act, &often);
            {
                let base = base.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(made) = care.with(|care| self.put_together(&rules, care, &base, subject, &often, now)) {
                    return made;
                }
            }
            let mut base = base.write().unwrap_or_else(PoisonError::into_inner);
            base.catch_up(&rules, care, now);
            let made = care.with(|care| {
                let caught_up = base.finish(&rules, care, now);
                // From here on others of the role may read it too.
                let base = RwLockWriteGuard::downgrade(base);
                caught_up.then(|| self.put_together(&rules, care, &base, subject, &often, now)).flatten()
            });
            if let Some(made) = made {
                return made;
            }
        }
        care.with(|care| {
            let visibility = super::visibility(&self.policies, care, &self.settings, subject, act, now);
            Made { visibility, epoch: care.epoch(), until: Some(now.plus_ms(1)) }
        })
    }

    /// Makes ahead what the first questions of each role need, so that nobody waits for it.
    pub fn warm(&self, care: &impl CareAccess, now: Timestamp, go_on: &dyn Fn() -> bool) {
        for role in Role::ALL.into_iter().filter(|role| role.may_read_records()) {
            let subject = Subject {
                account: String::new(),
                role,
                practitioner: ResourceId::parse("nobody").ok().filter(|_| role != Role::Patient),
                patients: Vec::new(),
                purpose: Purpose::usual(role).as_str(),
                strong: true,
                supplier: false,
                approved: None,
            };
            let of_one = self.policies.decider.relations_read(role).iter().map(|relation| RelationSet::of([relation]));
            let standings = std::iter::once(RelationSet::NONE).chain(of_one);
            let reads = standings.map(|relations| (Act::Read, relations));
            for (act, relations) in std::iter::once((Act::Write, RelationSet::NONE)).chain(reads) {
                for consent in ConsentSays::ALL {
                    if !go_on() {
                        return;
                    }
                    self.policies.opened(Standing { relations, consent: *consent, ..Standing::of(&subject, act) });
                }
                if relations.is_empty() {
                    self.visibility(care, &subject, act, now);
                }
            }
        }
    }

    fn base(&self, rules: &Rules<'_>, subject: &Subject, act: Act, often: &[Link]) -> Arc<RwLock<Base>> {
        let key = BaseKey::of(subject, act, often.to_vec());
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, asked) = &mut *bases;
        *asked += 1;
        if let Some((base, last)) = kept.get_mut(&key) {
            *last = *asked;
            return Arc::clone(base);
        }
        if kept.len() >= BASES_MAX {
            let oldest = kept.iter().min_by_key(|(_, (_, last))| *last).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        let base = Arc::new(RwLock::new(Base::new(rules, subject, act, often)));
        kept.insert(key, (Arc::clone(&base), *asked));
        base
    }

    /// None: the base is behind, or is not the one for this subject any more.
    fn put_together(
        &self,
        rules: &Rules<'_>,
        care: &CareData,
        base: &Base,
        subject: &Subject,
        often: &[Link],
        now: Timestamp,
    ) -> Option<Made> {
        let mut moments = Moments::at(now);
        let named = care.named(subject, &mut moments);
        if named.often != often || !base.is_current(care, now) {
            return None;
        }
        let mut ties = self.ties(rules, care, subject, &mut moments);
        for patient in named.alone {
            ties.entry(patient).or_default();
        }
        let mut moved = Moved::default();
        for (patient, mut ties) in ties {
            let of_hospital = hospital_relations(rules, care, &patient, &mut moments);
            ties.relations = ties.relations.and(of_hospital);
            let made = towards(rules.policies, base.bare, care, &patient, ties, now, || {
                let purpose = if ties.break_glass { BREAK_GLASS } else { subject.purpose };
                Asker::new(subject, purpose, &named.identities)
            });
            moved.put(base, patient, made);
        }
        base.next(&mut moments);
        care.note_next_turn(&mut moments);
        let (groups, apart) = moved.apply(base);
        let parts = Parts { bare: base.bare, otherwise: Arc::clone(&base.otherwise), groups, apart };
        let visibility = parts.together(&self.policies, now);
        Some(Made { visibility, epoch: care.epoch(), until: moments.next() })
    }

    /// Whom the subject has to do with, but by what holds between a patient and the hospital.
    fn ties(
        &self,
        rules: &Rules<'_>,
        care: &CareData,
        subject: &Subject,
        moments: &mut Moments,
    ) -> HashMap<ResourceId, Ties> {
        let mut ties: HashMap<ResourceId, Ties> = HashMap::new();
        if let Some(practitioner) = &subject.practitioner {
            for (patient, relations) in care.related(practitioner, rules.settings, moments) {
                let relations = relations.common(rules.read);
                if !relations.is_empty() {
                    ties.insert(patient, Ties { relations, break_glass: false });
                }
            }
        }
        let of_own = RelationSet::of([Relation::OwnRecord]).common(rules.read);
        for patient in own(subject).filter(|_| !of_own.is_empty()) {
            let ties = ties.entry(patient.clone()).or_default();
            ties.relations = ties.relations.and(of_own);
        }
        for patient in care.declared_for(&subject.account, moments) {
            ties.entry(patient).or_default().break_glass = true;
        }
        ties
    }
}

/// Who leaves a set of patients, and who comes into it.
#[derive(Default)]
struct Moves {
    gone: HashSet<ResourceId>,
    come: Vec<ResourceId>,
}

impl Moves {
    /// The set as it is then: the same one where nobody moves.
    fn apply(self, set: &Arc<HashSet<ResourceId>>) -> Arc<HashSet<ResourceId>> {
        if self.gone.is_empty() && self.come.is_empty() {
            return Arc::clone(set);
        }
        let stay = set.iter().filter(|patient| !self.gone.contains(*patient)).cloned();
        Arc::new(stay.chain(self.come).collect())
    }
}

/// Patients who are elsewhere than a base has them.
#[derive(Default)]
struct Moved {
    /// By what is open.
    groups: HashMap<Arc<[Opening]>, Moves>,
    apart: Moves,
}

impl Moved {
    fn put(&mut self, base: &Base, patient: ResourceId, made: Arc<[Opening]>) {
        let before = base.of.get(&patient).unwrap_or(&base.otherwise);
        if *before == made {
            return;
        }
        let (was_like_others, is_like_others) = (*before == base.otherwise, made == base.otherwise);
        if !base.otherwise.is_empty() && was_like_others {
            self.apart.come.push(patient.clone());
        }
        if !base.otherwise.is_empty() && is_like_others {
            self.apart.gone.insert(patient.clone());
        }
        if !was_like_others && !before.is_empty() {
            self.groups.entry(Arc::clone(before)).or_default().gone.insert(patient.clone());
        }
        if !is_like_others && !made.is_empty() {
            self.groups.entry(made).or_default().come.push(patient);
        }
    }

    /// The groups of the base with these patients moved. Those in which nobody moves are shared.
    fn apply(mut self, base: &Base) -> (Groups, Arc<HashSet<ResourceId>>) {
        let mut groups: Groups = Vec::with_capacity(base.groups.len() + self.groups.len());
        for (openings, patients) in &base.groups {
            let moves = self.groups.remove(openings).unwrap_or_default();
            groups.push((Arc::clone(openings), moves.apply(patients)));
        }
        let new = self.groups.into_iter().map(|(openings, moves)| (openings, moves.apply(&Arc::default())));
        groups.extend(new);
        groups.retain(|(_, patients)| !patients.is_empty());
        (groups, self.apart.apply(&base.apart))
    }
}

#[cfg(test)]
mod tests;
