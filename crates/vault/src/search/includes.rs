//! What comes along with the matches of a page: `_include` and `_revinclude`, found in the index before anything is opened
//! (<https://hl7.org/fhir/R4/search.html#include>).

use crate::access::Sights;
use crate::error::VaultError;
use crate::index::Indexing;
use crate::vault::Inner;
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_fhir::search::{ParameterType, parameters_of};
use tacet_search::Page;
use tacet_search::document::Key;
use tacet_search::filter::{Filter, Test};
use tacet_search::request::{Include, SearchRequest, Total};
use tacet_types::ResourceType;

/// Most records that come along with the matches of one page.
pub const INCLUDES_MAX: usize = 500;

/// Most rounds of `:iterate`. What goes in a circle ends by itself, as each record comes along once.
const ROUNDS_MAX: usize = 32;

impl Inner {
    /// The resources that come along with these matches, each once, in the order in which they were found.
    pub(super) fn included(
        &self,
        indexing: &Indexing,
        sights: Option<&Arc<Sights>>,
        request: &SearchRequest,
        matches: Vec<Key>,
    ) -> Result<Vec<Key>, VaultError> {
        let mut seen: HashSet<Key> = matches.iter().cloned().collect();
        let (mut included, mut frontier) = (Vec::new(), matches);
        for round in 0..ROUNDS_MAX {
            let mut found = Vec::new();
            for include in request.includes.iter().filter(|include| round == 0 || include.iterate) {
                let keys = if include.reverse {
                    referring(indexing, sights, include, &frontier)?
                } else {
                    self.seen_keys(sights, referred_to(indexing, include, &frontier)?)?
                };
                for key in keys {
                    if seen.insert(key.clone()) {
                        found.push(key);
                    }
                }
                if included.len() + found.len() > INCLUDES_MAX {
                    return Err(too_many());
                }
            }
            if found.is_empty() {
                return Ok(included);
            }
            included.extend(found.iter().cloned());
            frontier = found;
        }
        Ok(included)
    }
}

/// What these refer to.
fn referred_to(indexing: &Indexing, include: &Include, from: &[Key]) -> Result<Vec<Key>, VaultError> {
    let mut found = Vec::new();
    for key in from.iter().filter(|key| include.source.is_none_or(|source| source == key.resource_type)) {
        let targets = indexing.index.references(key, include.parameter)?;
        found.extend(targets.into_iter().filter(|target| include.target.is_none_or(|of| of == target.resource_type)));
    }
    Ok(found)
}

/// What refers to these.
fn referring(
    indexing: &Indexing,
    sights: Option<&Arc<Sights>>,
    include: &Include,
    to: &[Key],
) -> Result<Vec<Key>, VaultError> {
    let Some(source) = include.source else {
        let message = "`_revinclude` must name the type that holds the reference, such as `Observation:subject`";
        return Err(VaultError::Search(vec![Issue::error(IssueType::NotSupported, "_revinclude", message)]));
    };
    let to: Vec<&Key> = to.iter().filter(|key| include.target.is_none_or(|of| of == key.resource_type)).collect();
    if to.is_empty() {
        return Ok(Vec::new());
    }
    let parameters = match include.parameter {
        Some(parameter) => vec![parameter],
        None => reference_parameters(source),
    };
    let refers = parameters
        .into_iter()
        .flat_map(|parameter| to.iter().map(move |key| Filter::Value(parameter, Test::ReferenceIs((*key).clone()))));
    let filter = Filter::All(vec![Filter::Types(vec![source]), Filter::Any(refers.collect())]);
    let filter = match sights {
        Some(sights) => sights.guarded(filter),
        None => filter,
    };
    let page = Page { sort: Vec::new(), count: INCLUDES_MAX + SEARCHED_MORE, after: None, total: Total::None };
    let hits = indexing.index.search(&filter, &page)?;
    if hits.next.is_some() {
        return Err(too_many());
    }
    Ok(hits.keys.into_iter().map(|(key, _)| key).collect())
}

/// Matches of the page may refer to each other, so more may be found than come along.
const SEARCHED_MORE: usize = super::SEARCH_PAGE_MAX;

fn reference_parameters(source: ResourceType) -> Vec<tacet_fhir::search::ParameterId> {
    let all = parameters_of(source).iter().copied();
    all.filter(|parameter| parameter.parameter().parameter_type == ParameterType::Reference).collect()
}

fn too_many() -> VaultError {
    VaultError::TooCostly {
        what: "records that come along with this page (ask for fewer with `_count`)",
        max: INCLUDES_MAX,
    }
}
