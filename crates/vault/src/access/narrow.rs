//! What a token is good for, where that is less than what its account may do: a visibility, cut down to SMART scopes.
//!
//! A scope may carry a query (`patient/Observation.rs?category=..`): then what it opens is decided by content, which the search index
//! knows. Such a query is made of search parameters of the standard, without value sets and without other resources.

use super::Ground;
use super::sights::ground;
use crate::bundle::decode_query;
use crate::caller::Caller;
use std::collections::HashSet;
use std::sync::Arc;
use tacet_policy::{Access as Verb, Act, Conditional, Cut};
use tacet_search::SearchError;
use tacet_search::document::{Document, Key};
use tacet_search::filter::{Filter, Guard};
use tacet_search::matcher::{World, matches, prepare};
use tacet_search::parameters::Parameters;
use tacet_search::request::{self, Call, Handling, QueryLimits, Scope};
use tacet_search::terminology::NoTerminology;
use tacet_types::{ResourceId, ResourceType, Timestamp, Visibility};

/// What is done, as scopes tell it apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Doing {
    /// A record is shown that was found, however it was.
    Show,
    /// Records are looked for.
    Search,
    /// A record is made.
    Create,
    /// A record is changed.
    Update,
    /// A record is deleted.
    Delete,
}

impl Doing {
    /// What an act is, where no more is known.
    pub(super) fn of(act: Act) -> Self {
        match act {
            Act::Write | Act::Relabel => Self::Update,
            _ => Self::Show,
        }
    }

    fn verbs(self) -> &'static [Verb] {
        match self {
            Self::Show => &[Verb::Read, Verb::Search],
            Self::Search => &[Verb::Search],
            Self::Create => &[Verb::Create],
            Self::Update => &[Verb::Update],
            Self::Delete => &[Verb::Delete],
        }
    }
}

/// How far a visibility is cut down.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Narrow {
    /// To these scopes, and what is done. None: not at all.
    scopes: Option<(String, Doing)>,
    /// The patient of the launch.
    patient: Option<ResourceId>,
}

/// What is open to who holds a token where the content fits a query.
pub(super) struct Under {
    resource_type: ResourceType,
    /// Ready to be evaluated.
    query: Filter,
    pub(super) visibility: Arc<Visibility>,
    guard: Arc<Guard>,
    grounds: Vec<Ground>,
}

impl Narrow {
    pub(super) fn of(caller: &Caller, doing: Doing) -> Self {
        let Some(scopes) = &caller.scopes else { return Self::default() };
        let text = scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        Self { scopes: Some((text, doing)), patient: caller.launch_patient.clone() }
    }

    /// What is left: open as it is, and open where the content fits.
    pub(super) fn apply(&self, caller: &Caller, visibility: Visibility, now: Timestamp) -> (Visibility, Vec<Under>) {
        let (Some((_, doing)), Some(scopes)) = (&self.scopes, &caller.scopes) else { return (visibility, Vec::new()) };
        let (mut open, mut under) = (Visibility::nothing(), Vec::new());
        for verb in doing.verbs() {
            let Cut { open: classes, under: conditional } = scopes.cut(&visibility, *verb, self.patient.as_ref());
            for class in classes.classes {
                if !open.classes.contains(&class) {
                    open.classes.push(class);
                }
            }
            // A query that we cannot evaluate opens nothing.
            under.extend(conditional.into_iter().filter_map(|conditional| Under::of(conditional, now)));
        }
        (open, under)
    }
}

impl Under {
    fn of(conditional: Conditional, now: Timestamp) -> Option<Self> {
        let Conditional { resource_type, query, visibility } = conditional;
        let parameters = decode_query(&query).ok()?;
        let call = Call {
            scope: Scope::Type(resource_type),
            parameters: &parameters,
            handling: Handling::Strict,
            base_url: "",
            now,
        };
        let known = Parameters::standard();
        let request = request::compile(&call, &known, &NoTerminology, &QueryLimits::default()).ok()?;
        let query = prepare(&request.filter, &NoOthers).ok()?;
        let grounds = visibility.classes.iter().map(|class| ground(&class.basis)).collect();
        let visibility = Arc::new(visibility);
        Some(Self { resource_type, query, guard: Guard::new(Arc::clone(&visibility)), visibility, grounds })
    }

    /// Whether it may open a record of this type.
    pub(super) fn concerns(&self, resource_type: ResourceType) -> bool {
        self.resource_type == resource_type
    }

    pub(super) fn sees(&self, document: &Document) -> bool {
        self.concerns(document.key.resource_type) && self.guard.sees(document) && matches(&self.query, document)
    }

    /// The records that it opens.
    pub(super) fn filter(&self) -> Filter {
        let types = Filter::Types(vec![self.resource_type]);
        Filter::All(vec![types, self.query.clone(), Filter::Guard(Arc::clone(&self.guard))])
    }

    pub(super) fn ground(&self) -> Option<Ground> {
        self.grounds.first().cloned()
    }
}

/// Puts what is open under queries beside every guard of the filter.
pub(super) fn widened(filter: Filter, under: &[Under]) -> Filter {
    let inner = |filter: Filter| widened(filter, under);
    match filter {
        Filter::Guard(guard) => {
            let mut any = vec![Filter::Guard(guard)];
            any.extend(under.iter().map(Under::filter));
            Filter::Any(any)
        }
        Filter::All(all) => Filter::All(all.into_iter().map(inner).collect()),
        Filter::Any(any) => Filter::Any(any.into_iter().map(inner).collect()),
        Filter::Not(filter) => Filter::Not(Box::new(inner(*filter))),
        Filter::Chain { parameter, target } => Filter::Chain { parameter, target: Box::new(inner(*target)) },
        Filter::Has { parameter, source } => Filter::Has { parameter, source: Box::new(inner(*source)) },
        other => other,
    }
}

/// A scope's query is about the record itself.
struct NoOthers;

impl World for NoOthers {
    fn matching(&self, _: &Filter) -> Result<HashSet<Key>, SearchError> {
        Err(SearchError::TooCostly { what: "other resources in the query of a scope", max: 0 })
    }

    fn document(&self, _: &Key) -> Option<Document> {
        None
    }

    fn references(&self, _: &HashSet<Key>, _: tacet_fhir::search::ParameterId) -> Result<HashSet<Key>, SearchError> {
        Err(SearchError::TooCostly { what: "other resources in the query of a scope", max: 0 })
    }
}
