//! What patients agreed to and what they forbade: privacy consents of R4 as IHE's Privacy Consent on FHIR profiles them
//! (<https://profiles.ihe.net/ITI/PCF/>: basic, intermediate, advanced).
//!
//! ```text
//! Consent ── read ──> ConsentFacts ── rulings(for whom, what for, when) ──> ConsentRuling: which records it opens, which it withholds
//! ```
//!
//! A rule that narrows itself in a way that we do not understand opens nothing, and withholds without that narrowing. A consent that permits
//! only some content (normal data, data of a year, one encounter) withholds the rest from those and for the purposes that it speaks of: "access
//! only to data of 2022" would otherwise say nothing to somebody who has a relation anyway. Whom or what purpose it does not name, it does not
//! concern. A permit that names nobody is for those who give care: it opens nothing to somebody who has no relation to the patient, because every
//! patient signs such a one at admission. Rules below the root inherit the root's period, and its purposes and actors where they name none.

mod purpose;
mod read;

use crate::care::Moments;
use crate::facts::{Link, Span};
use crate::situation::{ConsentRuling, RecordScope, Subject};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tacet_types::{Criterion, Labels, ResourceId, ResourceType, Role, TypeSet};

pub(crate) use read::read;

/// What a Consent says, as far as it can be applied.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct ConsentFacts {
    #[serde(rename = "p")]
    pub(crate) patient: Link,
    /// Whether it says clearly that it is about privacy. One that may be about it withholds and opens nothing.
    #[serde(rename = "c")]
    certain: bool,
    /// When it is in force.
    #[serde(rename = "t")]
    pub(crate) during: Span,
    #[serde(rename = "r")]
    root: Provision,
    #[serde(rename = "n")]
    nested: Vec<Provision>,
}

/// One rule. What was not understood is resolved already: a permit is `void`, a denial has lost the narrowing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Provision {
    #[serde(rename = "p")]
    permit: bool,
    /// For whom, what for or when a permit holds was not understood: it says nothing.
    #[serde(rename = "v", default)]
    void: bool,
    /// What a permit is about was not understood: it opens nothing.
    #[serde(rename = "x", default)]
    unclear: bool,
    #[serde(rename = "t")]
    during: Span,
    /// Codes of v3-ActReason; empty: any.
    #[serde(rename = "u", default)]
    purposes: Vec<String>,
    /// None: anybody.
    #[serde(rename = "a", default)]
    actors: Option<Vec<Link>>,
    /// Types of resources; none: any.
    #[serde(rename = "k", default)]
    types: Option<Vec<String>>,
    /// Bits of labels, in the meaning of [`RecordScope::labels`]; none: whatever labels.
    #[serde(rename = "l", default)]
    labels: Option<u64>,
    /// Records, and whether those that refer to them are meant too.
    #[serde(rename = "d", default)]
    data: Vec<Datum>,
    /// The clinical dates that are meant.
    #[serde(rename = "w", default)]
    within: Option<Span>,
}

/// A record that a rule names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Datum {
    /// The record itself is meant.
    #[serde(rename = "i")]
    itself: bool,
    /// Records that refer to it are meant.
    #[serde(rename = "r")]
    referring: bool,
    #[serde(rename = "w")]
    what: Link,
}

/// For whom rulings are asked.
pub(crate) struct Asker<'a> {
    /// The v3-ActReason code of what for.
    pub(crate) purpose: &'a str,
    /// All that stands for the one who asks: the Practitioner, roles, organisations, teams, groups; for a patient their own records.
    pub(crate) identities: &'a HashSet<Link>,
    /// Whether it is staff of whom no Practitioner is known, so that nothing shows that they do not belong to an organisation.
    pub(crate) unknown_staff: bool,
    /// Whether it is an account of a patient, who may be a RelatedPerson too.
    pub(crate) of_patient: bool,
}

impl ConsentFacts {
    /// Everybody whom some rule names, perhaps several times over.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Link> {
        let rules = std::iter::once(&self.root).chain(&self.nested);
        rules.flat_map(|rule| rule.actors.iter().flatten())
    }

    /// The moments at which it, or a rule of it, begins or has ended.
    pub(crate) fn moments(&self) -> Vec<i64> {
        let spans = self.nested.iter().map(|provision| provision.during).chain([self.during, self.root.during]);
        let ends = spans.flat_map(|span| [span.0, span.1.saturating_add(1)]);
        let mut moments: Vec<i64> = ends.filter(|at| *at != i64::MIN && *at != i64::MAX).collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// What it says to the asker now. Every moment at which that changes is noted.
    pub(crate) fn rulings(&self, consent: &ResourceId, asker: &Asker<'_>, moments: &mut Moments) -> Vec<ConsentRuling> {
        if !moments.within(self.during) {
            return Vec::new();
        }
        let ruling = |permit: bool, scope: RecordScope, unless: Vec<RecordScope>| ConsentRuling {
            consent: consent.clone(),
            permit,
            named: false,
            scope,
            unless,
        };
        let mut rulings = Vec::new();
        let (mut opened, mut to_named) = (Vec::new(), Vec::new());
        for provision in self.nested.iter().filter(|provision| self.certain || !provision.permit) {
            if !provision.speaks_to(asker, Some(&self.root), moments) {
                continue;
            }
            if !provision.permit {
                rulings.push(ruling(false, provision.scope(), Vec::new()));
            } else if !provision.unclear {
                opened.push(provision.scope());
                to_named.push(provision.actors.is_some() || self.root.actors.is_some());
            }
        }
        let spoken_to = self.root.speaks_to(asker, None, moments);
        if spoken_to && !self.root.permit {
            rulings.push(ruling(false, self.root.scope(), opened.clone()));
        }
        if spoken_to && self.root.permit && self.certain {
            let scope = self.root.scope();
            if self.root.unclear {
                rulings.push(ruling(false, everything(), opened.clone()));
            } else {
                if self.root.narrows_content() {
                    rulings.extend(
                        self.rest(&scope, &opened).into_iter().map(|(rest, unless)| ruling(false, rest, unless)),
                    );
                }
                opened.push(scope);
                to_named.push(self.root.actors.is_some());
            }
        }
        let permits = opened.into_iter().zip(to_named);
        rulings.extend(permits.map(|(scope, named)| ConsentRuling { named, ..ruling(true, scope, Vec::new()) }));
        rulings
    }

    /// What a permit that is narrowed to some content leaves closed: everything but that and what other rules open. Who the patient is stays
    /// open where the narrowing is by dates, authors or encounters, which a Patient has not.
    fn rest(&self, scope: &RecordScope, opened: &[RecordScope]) -> Vec<(RecordScope, Vec<RecordScope>)> {
        let unless = |scope: &RecordScope| -> Vec<RecordScope> {
            std::iter::once(scope.clone()).chain(opened.iter().cloned()).collect()
        };
        if scope.any_of.is_empty() && scope.within.is_none() && scope.types == TypeSet::EVERY {
            return vec![(everything(), unless(scope))];
        }
        let is_patient = |resource_type: &ResourceType| resource_type.as_str() == "Patient";
        let others = TypeSet::of(ResourceType::all().filter(|resource_type| !is_patient(resource_type)));
        let mut rest = vec![(RecordScope { types: others, ..everything() }, unless(scope))];
        if scope.labels.is_some() {
            let patients = TypeSet::of(ResourceType::all().filter(is_patient));
            let by_labels = RecordScope { types: patients, labels: scope.labels, any_of: Vec::new(), within: None };
            rest.push((RecordScope { types: patients, ..everything() }, unless(&by_labels)));
        }
        rest
    }
}

/// What stands in the place of rulings that are too many: everything is withheld.
pub(crate) fn refusal(consent: &ResourceId) -> ConsentRuling {
    ConsentRuling { consent: consent.clone(), permit: false, named: false, scope: everything(), unless: Vec::new() }
}

/// All records.
fn everything() -> RecordScope {
    RecordScope { types: TypeSet::EVERY, labels: None, any_of: Vec::new(), within: None }
}

impl Provision {
    /// Whether it concerns the asker now. A rule below the root takes from the root what it does not say itself.
    fn speaks_to(&self, asker: &Asker<'_>, root: Option<&Self>, moments: &mut Moments) -> bool {
        if self.void || !moments.within(self.during) {
            return false;
        }
        let from_root = |own: &Self| root.filter(|root| !root.void || !own.permit);
        let purposes =
            if self.purposes.is_empty() { from_root(self).map(|root| &root.purposes) } else { Some(&self.purposes) };
        if let Some(purposes) = purposes.filter(|purposes| !purposes.is_empty())
            && !purposes.iter().any(|purpose| purpose::is_a(asker.purpose, purpose))
        {
            return false;
        }
        let actors = self.actors.as_ref().or_else(|| from_root(self)?.actors.as_ref());
        actors.is_none_or(|actors| actors.iter().any(|actor| asker.is(actor, self.permit)))
    }

    fn narrows_content(&self) -> bool {
        self.types.is_some() || self.labels.is_some() || !self.data.is_empty() || self.within.is_some()
    }

    fn scope(&self) -> RecordScope {
        let types = self
            .types
            .as_ref()
            .map_or(TypeSet::EVERY, |names| TypeSet::of(names.iter().filter_map(|name| ResourceType::parse(name))));
        let criteria = self.data.iter().flat_map(|datum| {
            let named = datum.what.resource_type().zip(datum.what.resource_id());
            let itself = named.clone().filter(|_| datum.itself).map(|(kind, id)| Criterion::Is(kind, id));
            let referring = named.filter(|_| datum.referring).map(|(kind, id)| Criterion::RefersTo(kind, id));
            itself.into_iter().chain(referring)
        });
        RecordScope {
            types,
            labels: self.labels.map(Labels::from_bits),
            any_of: criteria.collect(),
            within: self.within.map(|span| (span.0, span.1)),
        }
    }
}

impl<'a> Asker<'a> {
    /// Of this subject, for this purpose, who is all of these.
    pub(crate) fn new(subject: &Subject, purpose: &'a str, identities: &'a HashSet<Link>) -> Self {
        Self {
            purpose,
            identities,
            unknown_staff: subject.practitioner.is_none() && subject.role != Role::Patient,
            of_patient: subject.role == Role::Patient,
        }
    }

    /// Whether an actor of a rule is the asker, or, where something is denied, may be.
    fn is(&self, actor: &Link, permit: bool) -> bool {
        if self.identities.contains(actor) {
            return true;
        }
        let may_be = match actor.kind() {
            "RelatedPerson" => self.of_patient,
            "Patient" | "Device" => false,
            _ => self.unknown_staff,
        };
        !permit && may_be
    }
}
