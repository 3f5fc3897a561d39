//! Resolving what a filter asks about other documents, innermost first.

use crate::SearchError;
use crate::document::{Document, Key};
use crate::filter::{Filter, Test};
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::search::ParameterId;

/// Deepest nesting of a filter. What [`crate::request::compile`] makes stays below.
pub const FILTER_DEPTH_MAX: usize = 64;

/// The other documents.
pub trait World {
    /// The resources that the filter means. It is prepared; nothing in it asks about others again. Fails, and does not leave out, when
    /// they are more than the world's bound.
    fn matching(&self, filter: &Filter) -> Result<HashSet<Key>, SearchError>;

    /// One document, if it is there.
    fn document(&self, key: &Key) -> Option<Document>;

    /// The resources of this store that these refer to by the parameter, whether they exist or not. What is not there refers to
    /// nothing. A world that can do better than to look at each document may.
    fn references(&self, from: &HashSet<Key>, parameter: ParameterId) -> Result<HashSet<Key>, SearchError> {
        let mut found = HashSet::new();
        for document in from.iter().filter_map(|key| self.document(key)) {
            found.extend(document.references(Some(parameter)).cloned());
        }
        Ok(found)
    }
}

/// The same filter without [`Filter::Chain`], [`Filter::Has`] and [`Filter::Members`]: they become the resources that they stand for.
/// Keys come out sorted, parts that hold always or never are taken away.
pub fn prepare(filter: &Filter, world: &dyn World) -> Result<Filter, SearchError> {
    at_depth(filter, world, 0)
}

fn at_depth(filter: &Filter, world: &dyn World, depth: usize) -> Result<Filter, SearchError> {
    if depth > FILTER_DEPTH_MAX {
        return Err(SearchError::TooCostly { what: "nested conditions", max: FILTER_DEPTH_MAX });
    }
    let inner = |filter| at_depth(filter, world, depth + 1);
    Ok(match filter {
        Filter::All(all) => {
            let mut kept = Vec::with_capacity(all.len());
            for filter in all {
                match inner(filter)? {
                    Filter::Everything => {}
                    // What follows need not be looked up.
                    Filter::Nothing => return Ok(Filter::Nothing),
                    filter => kept.push(filter),
                }
            }
            if kept.len() > 1 { Filter::All(kept) } else { kept.pop().unwrap_or(Filter::Everything) }
        }
        Filter::Any(any) => {
            let mut kept = Vec::with_capacity(any.len());
            for filter in any {
                match inner(filter)? {
                    Filter::Nothing => {}
                    Filter::Everything => return Ok(Filter::Everything),
                    filter => kept.push(filter),
                }
            }
            if kept.len() > 1 { Filter::Any(kept) } else { kept.pop().unwrap_or(Filter::Nothing) }
        }
        Filter::Not(filter) => match inner(filter)? {
            Filter::Everything => Filter::Nothing,
            Filter::Nothing => Filter::Everything,
            filter => Filter::Not(Box::new(filter)),
        },
        Filter::Contains(filter) => match inner(filter)? {
            Filter::Nothing => Filter::Nothing,
            filter => Filter::Contains(Box::new(filter)),
        },
        Filter::Keys(keys) => sorted(keys.clone()),
        Filter::Chain { parameter, target } => match inner(target)? {
            Filter::Nothing => Filter::Nothing,
            target => {
                let keys = world.matching(&target)?;
                if keys.is_empty() {
                    Filter::Nothing
                } else {
                    Filter::Value(*parameter, Test::ReferenceAmong(Arc::new(keys)))
                }
            }
        },
        Filter::Has { parameter, source } => match inner(source)? {
            Filter::Nothing => Filter::Nothing,
            source => {
                let sources = world.matching(&source)?;
                sorted(world.references(&sources, *parameter)?.into_iter().collect())
            }
        },
        Filter::Members { of, parameter } => {
            let from = HashSet::from([of.clone()]);
            sorted(world.references(&from, *parameter)?.into_iter().collect())
        }
        Filter::Guard(guard) if guard.0.is_everything() => Filter::Everything,
        Filter::Guard(guard) if guard.0.classes.is_empty() => Filter::Nothing,
        Filter::Everything
        | Filter::Nothing
        | Filter::Guard(_)
        | Filter::Types(_)
        | Filter::LastUpdated { .. }
        | Filter::Value(..)
        | Filter::Present(_)
        | Filter::NarrativeWords(_)
        | Filter::ContentWords(_) => filter.clone(),
    })
}

fn sorted(mut keys: Vec<Key>) -> Filter {
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() { Filter::Nothing } else { Filter::Keys(keys) }
}
