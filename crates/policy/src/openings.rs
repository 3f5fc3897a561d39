//! What one standing towards a patient opens: kinds of records, labels, and on which ground.
//!
//! A standing is a situation without a record. There are finitely many, so what one opens is kept.

use crate::category::Category;
use crate::policies::Policies;
use crate::situation::{Act, ConsentSays, Label, PatientFlags, Purpose, RelationSet, Situation, Subject};
use std::sync::Arc;
use tacet_types::{Basis, Criterion, Labels, ResourceId, ResourceType, Role, Timestamp, TypeSet};

/// Standings of which is kept what they open. One is some hundred bytes.
pub(crate) const STANDINGS_KEPT_MAX: usize = 8_192;

/// Who somebody is towards one patient, or towards none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Standing {
    pub(crate) role: Role,
    pub(crate) act: Act,
    pub(crate) purpose: Purpose,
    pub(crate) strong: bool,
    pub(crate) supplier: bool,
    pub(crate) of_patient: bool,
    pub(crate) relations: RelationSet,
    pub(crate) flags: PatientFlags,
    pub(crate) break_glass: bool,
    pub(crate) consent: ConsentSays,
    /// What a second person has allowed, with the labels that they were told of.
    pub(crate) approved: Option<Labels>,
}

impl Standing {
    /// The subject's towards a patient of whom nothing is known.
    pub(crate) fn of(subject: &Subject, act: Act) -> Self {
        Self {
            role: subject.role,
            act,
            purpose: Purpose::of(subject.purpose),
            strong: subject.strong,
            supplier: subject.supplier,
            of_patient: true,
            relations: RelationSet::NONE,
            flags: PatientFlags::NONE,
            break_glass: false,
            consent: ConsentSays::Nothing,
            approved: subject.approved,
        }
    }

    pub(crate) fn situation(self, category: Category, label: Option<Label>, upcoming: bool) -> Situation {
        let Self { role, act, purpose, strong, supplier, of_patient, relations, flags, break_glass, consent, .. } =
            self;
        // Elements with labels of their own are cut out one by one: that a record has some is nothing to be told of.
        let special = label.map_or(Labels::NONE, Label::bits).and(flags.labels()).without(Labels::INLINE);
        Situation {
            role,
            act,
            purpose,
            strong,
            supplier,
            category,
            of_patient,
            upcoming,
            relations,
            flags,
            label,
            break_glass,
            consent,
            approved: self.approved.is_some_and(|told| special.within(told)),
        }
    }
}

/// Whether an opening depends on when the record is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Span {
    Any,
    NotAhead,
    Ahead,
}

/// What a standing opens, before it is known what time it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Timeless {
    types: TypeSet,
    labels: Labels,
    span: Span,
    told: bool,
    basis: Basis,
}

/// Records of a patient that are open for one reason: a [`tacet_types::Class`] without its patients.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Opening {
    pub(crate) types: TypeSet,
    pub(crate) labels: Labels,
    pub(crate) only: Vec<Criterion>,
    pub(crate) except: Vec<Criterion>,
    pub(crate) told: bool,
    pub(crate) basis: Basis,
}

/// What stands in criteria for the moment at which they are asked: no date of a record is so early (FHIR has four digits for the year).
const NOW: i64 = i64::MIN / 2;

impl Timeless {
    fn opening(&self) -> Opening {
        let ahead = || vec![Criterion::Within(NOW, i64::MAX)];
        Opening {
            types: self.types,
            labels: self.labels,
            only: if self.span == Span::Ahead { ahead() } else { Vec::new() },
            except: if self.span == Span::NotAhead { ahead() } else { Vec::new() },
            told: self.told,
            basis: self.basis.clone(),
        }
    }
}

impl Opening {
    /// The same at this moment.
    pub(crate) fn at(&self, now: Timestamp) -> Self {
        let now = now.as_ms();
        let moment = |criterion: &Criterion| match criterion {
            Criterion::Within(NOW, until) => Criterion::Within(now, *until),
            Criterion::Within(from, until) if *until == NOW - 1 => Criterion::Within(*from, now.saturating_sub(1)),
            other => other.clone(),
        };
        Self {
            only: self.only.iter().map(moment).collect(),
            except: self.except.iter().map(moment).collect(),
            basis: self.basis.clone(),
            ..*self
        }
    }

    /// The same for a patient of whom these encounters count as lying ahead.
    fn with_plans(&self, plans: &[ResourceId]) -> Self {
        let Some(kind) = ResourceType::parse("Encounter").filter(|kind| self.types.has(*kind)) else {
            return self.clone();
        };
        let planned = || plans.iter().map(|id| Criterion::Is(kind, id.clone()));
        let mut opening = self.clone();
        for criteria in [&mut opening.only, &mut opening.except] {
            if criteria.iter().any(|criterion| matches!(criterion, Criterion::Within(NOW, _))) {
                criteria.extend(planned());
            }
        }
        opening
    }
}

/// What is opened, for a patient of whom these encounters count as lying ahead.
pub(crate) fn with_plans(openings: &Arc<[Opening]>, plans: &[ResourceId]) -> Arc<[Opening]> {
    let of_time = |opening: &Opening| !opening.only.is_empty() || !opening.except.is_empty();
    if plans.is_empty() || !openings.iter().any(of_time) {
        return Arc::clone(openings);
    }
    openings.iter().map(|opening| opening.with_plans(plans)).collect()
}

impl Policies {
    /// What a standing opens, at whatever moment: [`Opening::at`]. Kept.
    pub(crate) fn opened(&self, standing: Standing) -> Arc<[Opening]> {
        self.decider.openings.get_or(standing, |standing| self.open(*standing))
    }

    fn open(&self, standing: Standing) -> Arc<[Opening]> {
        let mut all: Vec<Timeless> = Vec::new();
        for category in Category::ALL {
            let told = standing.act == Act::Read && {
                let standing = Standing { act: Act::KnowWithheld, ..standing };
                self.decide(&standing.situation(*category, None, false)).permit
            };
            let now = self.grounds(standing, *category, false);
            let ahead = if category.is_planned() { self.grounds(standing, *category, true) } else { now.clone() };
            let spans = if now == ahead {
                [(Span::Any, now), (Span::Any, Vec::new())]
            } else {
                [(Span::NotAhead, now), (Span::Ahead, ahead)]
            };
            for (span, grounds) in spans {
                for (labels, basis) in grounds {
                    let types = category.types();
                    let same = |opening: &&mut Timeless| {
                        opening.labels == labels
                            && opening.span == span
                            && opening.told == told
                            && opening.basis == basis
                    };
                    match all.iter_mut().find(same) {
                        Some(opening) => opening.types = opening.types.and(types),
                        None => all.push(Timeless { types, labels, span, told, basis }),
                    }
                }
            }
        }
        for opening in &mut all {
            if ResourceType::all().all(|resource_type| opening.types.has(resource_type)) {
                opening.types = TypeSet::EVERY;
            }
        }
        all.iter().map(Timeless::opening).collect()
    }

    /// The labels with which records of a category are open, `None` where they are not even without any.
    fn cleared(&self, standing: Standing, category: Category, upcoming: bool) -> Option<Labels> {
        let permits = |label| self.decide(&standing.situation(category, label, upcoming)).permit;
        permits(None).then(|| {
            let open = Label::all().filter(|label| permits(Some(*label)));
            open.fold(Labels::NONE, |all, label| all.and(label.bits()))
        })
    }

    /// The labels that are open, each set with the least reason that opens it.
    fn grounds(&self, standing: Standing, category: Category, upcoming: bool) -> Vec<(Labels, Basis)> {
        let Some(whole) = self.cleared(standing, category, upcoming) else { return Vec::new() };
        let mut grounds: Vec<(Labels, Basis)> = Vec::new();
        for (ground, lesser) in lesser(standing) {
            // Whatever a lesser standing opens, the true one may close again.
            let Some(labels) = self.cleared(lesser, category, upcoming).map(|labels| labels.common(whole)) else {
                continue;
            };
            if grounds.iter().any(|(more, _)| labels.within(*more)) {
                continue;
            }
            grounds.push((labels, self.basis(lesser, category, upcoming, ground)));
            if labels == whole {
                return grounds;
            }
        }
        let ground = standing.relations.iter().next().map_or("several", |relation| relation.as_str());
        grounds.push((whole, self.basis(standing, category, upcoming, ground)));
        grounds
    }

    fn basis(&self, standing: Standing, category: Category, upcoming: bool, ground: &'static str) -> Basis {
        let decision = self.decide(&standing.situation(category, None, upcoming));
        let policy: Arc<str> = decision.policies.first().cloned().unwrap_or_else(|| Arc::from("none"));
        let said = self.info(&policy).and_then(|info| info.ground.clone());
        let ground = if ground.is_empty() { said.unwrap_or_else(|| Arc::from("role")) } else { Arc::from(ground) };
        Basis { ground, policy }
    }
}

/// Standings of which each has one of the reasons that a standing has, with the reason's name; the least first.
fn lesser(standing: Standing) -> impl Iterator<Item = (&'static str, Standing)> {
    let consent = if standing.consent == ConsentSays::Permit { ConsentSays::Nothing } else { standing.consent };
    let bare = Standing { relations: RelationSet::NONE, break_glass: false, consent, ..standing };
    let relations = standing
        .relations
        .iter()
        .map(move |relation| (relation.as_str(), Standing { relations: RelationSet::of([relation]), ..bare }));
    let consent = (standing.consent == ConsentSays::Permit)
        .then_some(("consent", Standing { consent: ConsentSays::Permit, ..bare }));
    let emergency = standing.break_glass.then_some(("break-glass", Standing { break_glass: true, ..bare }));
    std::iter::once(("", bare)).chain(relations).chain(consent).chain(emergency)
}
