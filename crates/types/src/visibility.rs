//! Which records somebody may see, as data: made by the policy, applied by the index and by the record store alike.
//!
//! It decides nothing. It says for which patients, types and labels a decision was made, so that a search can be cut down to it
//! before anything is counted, and a single record be held against the very same thing.

use crate::{Labels, RecordRef, ResourceId, ResourceType};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// A set of resource types.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeSet([u64; 4]);

impl TypeSet {
    /// No type.
    pub const NONE: Self = Self([0; 4]);
    /// Every type.
    pub const EVERY: Self = Self([u64::MAX; 4]);

    /// These types.
    pub fn of(types: impl IntoIterator<Item = ResourceType>) -> Self {
        types.into_iter().fold(Self::NONE, Self::with)
    }

    /// This set and one more type.
    #[must_use]
    pub fn with(mut self, resource_type: ResourceType) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(resource_type.code() / 64)) {
            *word |= 1 << (resource_type.code() % 64);
        }
        self
    }

    /// Whether the type is in the set.
    pub fn has(&self, resource_type: ResourceType) -> bool {
        let word = self.0.get(usize::from(resource_type.code() / 64)).copied().unwrap_or_default();
        word & (1 << (resource_type.code() % 64)) != 0
    }

    /// What is in both.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        let mut words = self.0;
        words.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        Self(words)
    }

    /// What is in one of them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut words = self.0;
        words.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        Self(words)
    }

    /// This set without the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        let mut words = self.0;
        words.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        Self(words)
    }

    /// Whether it holds no type.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The types in it.
    pub fn iter(&self) -> impl Iterator<Item = ResourceType> + '_ {
        ResourceType::all().filter(|resource_type| self.has(*resource_type))
    }
}

impl fmt::Debug for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Patients whom a class is about.
#[derive(Clone, PartialEq, Debug)]
pub enum PatientSet {
    /// Records that belong to no patient.
    Nobody,
    /// These patients.
    Only(Arc<HashSet<ResourceId>>),
    /// Every patient but these.
    AllBut(Arc<HashSet<ResourceId>>),
}

impl PatientSet {
    /// Whether the patient is in the set.
    pub fn has(&self, patient: &ResourceId) -> bool {
        match self {
            Self::Nobody => false,
            Self::Only(patients) => patients.contains(patient),
            Self::AllBut(patients) => !patients.contains(patient),
        }
    }
}

/// What the content of a record must be, where who and what it is about does not decide it. Asked of the index's document.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Criterion {
    /// This very record.
    Is(ResourceType, ResourceId),
    /// Some element refers to this record: its author, its encounter.
    RefersTo(ResourceType, ResourceId),
    /// Its clinical date (or, without one, when it was stored) meets this span, milliseconds since 1970 UTC, both ends included.
    Within(i64, i64),
}

/// Why somebody may see something, as the ledger keeps it. No personal data beyond ids of records.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Basis {
    /// The relation or ground: `ward-encounter`, `care-team`, `break-glass`, `own-record`, `whole-store`.
    pub ground: Arc<str>,
    /// The policy that permits.
    pub policy: Arc<str>,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.ground, self.policy)
    }
}

/// Records for which one decision was made.
#[derive(Clone, PartialEq, Debug)]
pub struct Class {
    /// Of whom.
    pub patients: PatientSet,
    /// Of which types.
    pub types: TypeSet,
    /// Labels that a record may carry.
    pub labels: Labels,
    /// Some one of these must hold; none: nothing need.
    pub only: Vec<Criterion>,
    /// None of these may hold.
    pub except: Vec<Criterion>,
    /// Whether what is withheld within a record is marked as withheld.
    pub told: bool,
    /// Why.
    pub basis: Basis,
}

impl Class {
    /// Whether the class is decided by whom, what and labels alone.
    pub fn is_plain(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }
}

/// What somebody may see.
///
/// A record of no patient is seen if a class of [`PatientSet::Nobody`] has its type and all its labels. A record of one or more patients
/// is seen if for EACH of them some class has the patient, the type and all the labels (and its criteria hold).
#[derive(Clone, PartialEq, Debug)]
pub struct Visibility {
    /// One decision each.
    pub classes: Vec<Class>,
}

/// What a [`Visibility`] says of a record.
#[derive(Clone, PartialEq, Debug)]
pub enum Sight<'a> {
    /// It is seen, for this reason; more reasons where there are several patients.
    Seen(&'a Basis),
    /// Its content decides: ask the index.
    AskIndex,
    /// As if it were not there.
    Hidden,
}

impl Visibility {
    /// Sees nothing.
    pub fn nothing() -> Self {
        Self { classes: Vec::new() }
    }

    /// Sees everything, on this ground.
    pub fn everything(basis: Basis) -> Self {
        let class = |patients| Class {
            patients,
            types: TypeSet::EVERY,
            labels: Labels::EVERY,
            only: Vec::new(),
            except: Vec::new(),
            told: true,
            basis: basis.clone(),
        };
        Self { classes: vec![class(PatientSet::Nobody), class(PatientSet::AllBut(Arc::default()))] }
    }

    /// Whether every record is seen, so that nothing need be asked.
    pub fn is_everything(&self) -> bool {
        let types_of = |of: &dyn Fn(&PatientSet) -> bool| {
            let whole = self.classes.iter().filter(|class| class.labels == Labels::EVERY && class.is_plain());
            whole.filter(|class| of(&class.patients)).fold(TypeSet::NONE, |all, class| all.and(class.types))
        };
        let every = |types: TypeSet| ResourceType::all().all(|resource_type| types.has(resource_type));
        every(types_of(&|patients| *patients == PatientSet::Nobody))
            && every(types_of(&|patients| matches!(patients, PatientSet::AllBut(apart) if apart.is_empty())))
    }

    /// Whether a record of this type, of these patients (all in whose compartment it is), with these labels is seen.
    pub fn sight(&self, resource_type: ResourceType, patients: &[ResourceId], labels: Labels) -> Sight<'_> {
        let fits = |class: &&Class| class.types.has(resource_type) && labels.within(class.labels);
        let mut seen = None;
        let mut ask = false;
        let mut of = |has: &dyn Fn(&Class) -> bool| -> bool {
            let mut conditional = false;
            for class in self.classes.iter().filter(fits).filter(|class| has(class)) {
                if class.is_plain() {
                    seen.get_or_insert(&class.basis);
                    return true;
                }
                conditional = true;
            }
            ask |= conditional;
            conditional
        };
        let all = match patients {
            [] => of(&|class| class.patients == PatientSet::Nobody),
            patients => patients.iter().all(|patient| of(&|class| class.patients.has(patient))),
        };
        match (all, ask, seen) {
            (true, false, Some(basis)) => Sight::Seen(basis),
            (true, ..) => Sight::AskIndex,
            (false, ..) => Sight::Hidden,
        }
    }

    /// The labels of elements that may be shown within a record of this type and these patients, and whether what is withheld is
    /// marked. It is asked of a record that is seen; what it gives is no more than what the class gives by which it is seen.
    ///
    /// Whether the criteria of a class hold is not known here. So a class with criteria clears something only where no plain class is
    /// about the record (then one with criteria let it be seen), and only what every such class clears.
    pub fn cleared(&self, resource_type: ResourceType, patients: &[ResourceId]) -> (Labels, bool) {
        let of = |has: &dyn Fn(&Class) -> bool| {
            let about = || self.classes.iter().filter(|class| class.types.has(resource_type) && has(class));
            let plain = about().filter(|class| class.is_plain());
            let plain = plain.map(|class| (class.labels, class.told));
            let either = plain.reduce(|(labels, told), (more, tells)| (labels.and(more), told || tells));
            let conditional = about().map(|class| (class.labels, class.told));
            either
                .or_else(|| conditional.reduce(|(labels, told), (more, tells)| (labels.common(more), told && tells)))
                .unwrap_or((Labels::NONE, false))
        };
        match patients {
            [] => of(&|class| class.patients == PatientSet::Nobody),
            patients => patients.iter().fold((Labels::EVERY, true), |(labels, told), patient| {
                let (more, tells) = of(&|class| class.patients.has(patient));
                (labels.common(more), told && tells)
            }),
        }
    }

    /// Cut down to some types, as a narrower token has it.
    #[must_use]
    pub fn of_types(mut self, types: TypeSet) -> Self {
        for class in &mut self.classes {
            class.types = class.types.common(types);
        }
        self.classes.retain(|class| !class.types.is_empty());
        self
    }
}

impl Criterion {
    /// A criterion of this very record.
    pub fn is(record: &RecordRef) -> Self {
        Self::Is(record.resource_type, record.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap()
    }

    fn kind(name: &str) -> ResourceType {
        ResourceType::parse(name).unwrap()
    }

    fn basis(ground: &str) -> Basis {
        Basis { ground: ground.into(), policy: "p".into() }
    }

    fn class(patients: PatientSet, types: &[&str], labels: Labels) -> Class {
        let types = TypeSet::of(types.iter().map(|name| kind(name)));
        Class { patients, types, labels, only: Vec::new(), except: Vec::new(), told: false, basis: basis("ward") }
    }

    #[test]
    fn every_patient_of_a_record_must_be_open() {
        let only = |ids: &[&str]| PatientSet::Only(Arc::new(ids.iter().map(|text| id(text)).collect()));
        let visibility = Visibility {
            classes: vec![
                class(only(&["a", "b"]), &["Observation", "Group"], Labels::NONE),
                class(only(&["c"]), &["Observation"], Labels::HIV),
                class(PatientSet::Nobody, &["Location"], Labels::NONE),
            ],
        };
        let sees = |name: &str, ids: &[&str], labels| {
            let ids: Vec<ResourceId> = ids.iter().map(|text| id(text)).collect();
            matches!(visibility.sight(kind(name), &ids, labels), Sight::Seen(_))
        };
        assert!(sees("Observation", &["a"], Labels::NONE) && sees("Observation", &["a", "c"], Labels::NONE));
        assert!(!sees("Observation", &["a"], Labels::HIV) && sees("Observation", &["c"], Labels::HIV));
        assert!(!sees("Observation", &["a", "c"], Labels::HIV), "a's class has no such label");
        assert!(!sees("Observation", &["a", "x"], Labels::NONE) && !sees("Group", &["a", "c"], Labels::NONE));
        assert!(sees("Location", &[], Labels::NONE) && !sees("Observation", &[], Labels::NONE));
        assert!(!visibility.is_everything());
        let every = Visibility::everything(basis("whole-store"));
        assert!(every.is_everything() && every.clone().of_types(TypeSet::of([kind("Patient")])).classes.len() == 2);
        assert_eq!(Visibility::nothing().sight(kind("Patient"), &[id("a")], Labels::NONE), Sight::Hidden);
    }

    #[test]
    fn what_content_decides_is_asked_for() {
        let mut conditional = class(PatientSet::AllBut(Arc::default()), &["Observation"], Labels::NONE);
        conditional.except.push(Criterion::Within(0, 10));
        let mut visibility = Visibility { classes: vec![conditional] };
        assert_eq!(visibility.sight(kind("Observation"), &[id("a")], Labels::NONE), Sight::AskIndex);
        visibility.classes.push(class(PatientSet::AllBut(Arc::default()), &["Observation"], Labels::NONE));
        assert!(matches!(visibility.sight(kind("Observation"), &[id("a")], Labels::NONE), Sight::Seen(_)));
    }

    #[test]
    fn what_is_cleared_is_never_more_than_what_opened_the_record() {
        let all = || PatientSet::AllBut(Arc::default());
        let patients = [id("a")];
        let mut conditional = class(all(), &["Observation"], Labels::HIV.and(Labels::VIP));
        conditional.only.push(Criterion::Within(0, 10));
        conditional.told = true;
        let mut visibility = Visibility { classes: vec![conditional.clone()] };
        assert_eq!(visibility.cleared(kind("Observation"), &patients), (Labels::HIV.and(Labels::VIP), true));
        conditional.labels = Labels::HIV.and(Labels::STAFF);
        conditional.told = false;
        visibility.classes.push(conditional);
        assert_eq!(
            visibility.cleared(kind("Observation"), &patients),
            (Labels::HIV, false),
            "either may have let it in"
        );
        visibility.classes.push(class(all(), &["Observation"], Labels::STAFF));
        assert_eq!(visibility.cleared(kind("Observation"), &patients), (Labels::STAFF, false), "the plain one did");
        assert_eq!(visibility.cleared(kind("Patient"), &patients), (Labels::NONE, false));
    }

    #[test]
    fn types_are_sets() {
        let both = TypeSet::of([kind("Patient"), kind("Group")]);
        let one = TypeSet::of([kind("Group")]);
        assert_eq!(both.without(one), TypeSet::of([kind("Patient")]));
        assert_eq!(both.without(one).and(one), both);
        assert!(!TypeSet::EVERY.without(one).has(kind("Group")) && TypeSet::EVERY.without(one).has(kind("Patient")));
    }
}
