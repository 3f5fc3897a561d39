//! What is open of patients with whom one has nothing to do, by what is special about them: the same for everybody of a role, so it is kept,
//! and of each patient made anew when something about that patient changes.

use super::{Known, Ties, openings, reads_hospital};
use crate::care::{CareData, Moments};
use crate::consent::Asker;
use crate::facts::Link;
use crate::openings::{Opening, Standing};
use crate::policies::Policies;
use crate::situation::{Act, CareSettings, RelationSet, Subject};
use crate::visibility::maker::CareAccess;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use tacet_types::{Labels, ResourceId, Role, Timestamp};

/// Patients who are looked at while the care data are held: whoever writes waits no longer than for these.
const AT_ONCE: usize = 512;

/// So much earlier than the last question may one be that is answered as of then, in milliseconds: clocks of two threads.
const EARLIER_MS: i64 = 5_000;

/// What one base is for: all on which openings of a patient depend to whom there is no relation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct BaseKey {
    role: Role,
    act: Act,
    purpose: &'static str,
    strong: bool,
    supplier: bool,
    approved: Option<Labels>,
    /// Somebody of the staff of whom it is not known who.
    unknown: bool,
    /// Of what stands for the subject, that which consents of many patients name; sorted.
    pub(super) often: Vec<Link>,
}

impl BaseKey {
    pub(super) fn of(subject: &Subject, act: Act, often: Vec<Link>) -> Self {
        let Subject { role, purpose, strong, supplier, approved, .. } = *subject;
        let unknown = subject.practitioner.is_none();
        Self { role, act, purpose, strong, supplier, approved, unknown, often }
    }
}

/// By what openings are made.
pub(super) struct Rules<'a> {
    pub(super) policies: &'a Policies,
    pub(super) settings: &'a CareSettings,
    /// The relations that are looked at.
    pub(super) read: RelationSet,
}

/// What is open of patients to whom there is no relation.
pub(super) struct Base {
    /// Whom it is for, with nobody's name.
    subject: Subject,
    often: HashSet<Link>,
    pub(super) bare: Standing,
    pub(super) otherwise: Arc<[Opening]>,
    /// Of the patients who are not like every other.
    pub(super) of: HashMap<ResourceId, Arc<[Opening]>>,
    pub(super) groups: HashMap<Arc<[Opening]>, Arc<HashSet<ResourceId>>>,
    pub(super) apart: Arc<HashSet<ResourceId>>,
    /// How far changes were followed, and the moment for which it holds. None: nothing was made yet.
    as_of: Option<(u64, Timestamp)>,
    /// When relations of patients to the hospital end or begin by themselves.
    due: BTreeSet<(i64, ResourceId)>,
    due_of: HashMap<ResourceId, i64>,
}

impl Base {
    pub(super) fn new(rules: &Rules<'_>, subject: &Subject, act: Act, often: &[Link]) -> Self {
        let subject = Subject { account: String::new(), patients: Vec::new(), ..subject.clone() };
        let bare = Standing::of(&subject, act);
        Self {
            often: often.iter().cloned().collect(),
            bare,
            otherwise: rules.policies.opened(bare),
            of: HashMap::new(),
            groups: HashMap::new(),
            apart: Arc::default(),
            as_of: None,
            due: BTreeSet::new(),
            due_of: HashMap::new(),
            subject,
        }
    }

    /// Whether it holds now, with all that has changed.
    pub(super) fn is_current(&self, care: &CareData, now: Timestamp) -> bool {
        let Some((mark, at)) = self.as_of.filter(|(_, at)| now.as_ms() >= at.as_ms() - EARLIER_MS) else {
            return false;
        };
        let now = now.max(at);
        mark == care.mark()
            && !care.turns_between(at, now)
            && self.due.first().is_none_or(|(due, _)| *due > now.as_ms())
    }

    /// The next moment at which it is not what it is now.
    pub(super) fn next(&self, moments: &mut Moments) {
        if let Some((due, _)) = self.due.first() {
            moments.note(*due);
        }
    }

    /// Follows what has changed, with the care data let go of between steps.
    pub(super) fn catch_up(&mut self, rules: &Rules<'_>, care: &impl CareAccess, now: Timestamp) {
        let kept = self.as_of.filter(|(mark, at)| {
            now.as_ms() >= at.as_ms() - EARLIER_MS && care.with(|care| care.changed_since(*mark).is_some())
        });
        if kept.is_none() {
            *self = Self::new(rules, &self.subject, self.bare.act, &self.often.iter().cloned().collect::<Vec<_>>());
            let hospital = reads_hospital(rules.read);
            let (mark, patients) = care.with(|care| (care.mark(), care.apart(hospital)));
            self.refresh_all(rules, care, &patients, now);
            self.as_of = Some((mark, now));
        }
        let (mark, at) = self.as_of.unwrap_or((0, now));
        let now = now.max(at);
        let (end, changed) = care.with(|care| (care.mark(), self.stale(care, mark, at, now)));
        match changed {
            Some(changed) => {
                self.refresh_all(rules, care, &changed, now);
                self.as_of = Some((end, now));
            }
            None => self.as_of = None,
        }
    }

    /// Follows the rest, while the care data are held. `false`: too much has changed meanwhile.
    pub(super) fn finish(&mut self, rules: &Rules<'_>, care: &CareData, now: Timestamp) -> bool {
        let Some((mark, at)) = self.as_of else { return false };
        let now = now.max(at);
        let Some(stale) = self.stale(care, mark, at, now) else { return false };
        stale.iter().for_each(|patient| self.refresh(rules, care, patient, now));
        self.as_of = Some((care.mark(), now));
        true
    }

    /// The patients of whom something else may be open: changes, and what time alone changes. None: too many to be known.
    fn stale(&self, care: &CareData, mark: u64, at: Timestamp, now: Timestamp) -> Option<Vec<ResourceId>> {
        let mut stale: HashSet<ResourceId> = care.changed_since(mark)?.cloned().collect();
        stale.extend(care.turned(at, now));
        let due = self.due.iter().take_while(|(due, _)| *due <= now.as_ms());
        stale.extend(due.map(|(_, patient)| patient.clone()));
        Some(stale.into_iter().collect())
    }

    fn refresh_all(&mut self, rules: &Rules<'_>, care: &impl CareAccess, patients: &[ResourceId], now: Timestamp) {
        for some in patients.chunks(AT_ONCE) {
            care.with(|care| some.iter().for_each(|patient| self.refresh(rules, care, patient, now)));
        }
    }

    fn refresh(&mut self, rules: &Rules<'_>, care: &CareData, patient: &ResourceId, now: Timestamp) {
        let mut moments = Moments::at(now);
        let relations = hospital_relations(rules, care, patient, &mut moments);
        if let Some(due) = self.due_of.remove(patient) {
            self.due.remove(&(due, patient.clone()));
        }
        if let Some(due) = moments.next() {
            self.due.insert((due.as_ms(), patient.clone()));
            self.due_of.insert(patient.clone(), due.as_ms());
        }
        let ties = Ties { relations, break_glass: false };
        let made = towards(rules.policies, self.bare, care, patient, ties, now, || {
            Asker::new(&self.subject, self.subject.purpose, &self.often)
        });
        self.put(patient, made);
    }

    fn put(&mut self, patient: &ResourceId, made: Arc<[Opening]>) {
        let before = self.of.get(patient).unwrap_or(&self.otherwise);
        if *before == made {
            return;
        }
        if let Some(before) = self.of.remove(patient)
            && let Some(group) = self.groups.get_mut(&before)
        {
            Arc::make_mut(group).remove(patient);
            if group.is_empty() {
                self.groups.remove(&before);
            }
        }
        let differs = made != self.otherwise;
        if !self.otherwise.is_empty() && differs != self.apart.contains(patient) {
            let apart = Arc::make_mut(&mut self.apart);
            if differs {
                apart.insert(patient.clone())
            } else {
                apart.remove(patient)
            };
        }
        if !differs {
            return;
        }
        // Patients of a group share what is open.
        let made = self.groups.get_key_value(&made).map_or(made, |(known, _)| Arc::clone(known));
        if !made.is_empty() {
            let group = self.groups.entry(Arc::clone(&made)).or_default();
            Arc::make_mut(group).insert(patient.clone());
        }
        self.of.insert(patient.clone(), made);
    }
}

/// How a patient has to do with the hospital, as far as it is looked at.
pub(super) fn hospital_relations(
    rules: &Rules<'_>,
    care: &CareData,
    patient: &ResourceId,
    moments: &mut Moments,
) -> RelationSet {
    match (reads_hospital(rules.read), Link::of_patient(patient)) {
        (true, Some(link)) => care.of_hospital(&link, rules.settings, moments).common(rules.read),
        _ => RelationSet::NONE,
    }
}

/// What is open of one patient now.
pub(super) fn towards<'a>(
    policies: &Policies,
    bare: Standing,
    care: &CareData,
    patient: &ResourceId,
    ties: Ties,
    now: Timestamp,
    asker: impl FnOnce() -> Asker<'a>,
) -> Arc<[Opening]> {
    let plans = care.planned(patient, &mut Moments::at(now));
    let known = Known { ties, flags: care.flags(patient), plans };
    openings(policies, bare, &known, || care.rulings(patient, &asker(), &mut Moments::at(now)))
}
