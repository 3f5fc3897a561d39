//! One search over both halves: the files by the engine, the overlay by the plain matcher; and which single resources somebody sees.

use crate::document::{Document, Key};
use crate::engine;
use crate::error::SearchError;
use crate::filter::{Filter, Guard};
use crate::index::SearchIndex;
use crate::index::generation::View;
use crate::index::page::{Hits, PAGE_COUNT_MAX, Page, Position};
use crate::index::plain;
use crate::matcher::{self, World};
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::search::{ParameterId, ParameterType};
use tacet_types::{ResourceType, VersionId};

/// A page of what a filter means.
pub(crate) fn search(view: &View, filter: &Filter, page: &Page) -> Result<Hits, SearchError> {
    let prepared = matcher::prepare(filter, view)?;
    let count = page.count.min(PAGE_COUNT_MAX);
    let bounded = Page { count, ..page.clone() };
    let found = engine::search(&view.searcher, &prepared, &bounded, &view.superseded)?;
    let mut hits = found.hits;
    let mut in_overlay = 0;
    for document in view.overlay.documents().filter(|document| matcher::matches(&prepared, document)) {
        in_overlay += 1;
        let position = plain::position(document, &page.sort, &view.order);
        if page.after.as_ref().is_none_or(|after| position.compare(after, &page.sort).is_gt()) {
            hits.push((position, document.version));
        }
    }
    hits.sort_unstable_by(|(a, _), (b, _)| a.compare(b, &page.sort));
    let more = hits.len() > count;
    hits.truncate(count);
    Ok(to_hits(hits, more, found.total.map(|total| total + in_overlay)))
}

fn to_hits(hits: Vec<(Position, VersionId)>, more: bool, total: Option<u64>) -> Hits {
    let keys = hits.iter().map(|(position, version)| (position.key.clone(), *version)).collect();
    let positions: Vec<Position> = hits.into_iter().map(|(position, _)| position).collect();
    let next = if more { positions.last().cloned() } else { None };
    Hits { keys, positions, next, total }
}

impl SearchIndex {
    /// Those of these resources that are there and that the guard lets see, in their order. Where it lets see everything: all of them,
    /// without looking.
    ///
    /// # Errors
    /// As [`SearchIndex::search`]; [`SearchError::TooCostly`] for more than [`crate::engine::CHAIN_KEYS_MAX`].
    pub fn visible(&self, keys: &[Key], guard: &Arc<Guard>) -> Result<Vec<Key>, SearchError> {
        if keys.is_empty() || guard.0.is_everything() {
            return Ok(keys.to_vec());
        }
        let seen = self.ask(|view| visible(view, keys, guard))?;
        Ok(keys.iter().filter(|key| seen.contains(key)).cloned().collect())
    }
}

fn visible(view: &View, keys: &[Key], guard: &Arc<Guard>) -> Result<HashSet<Key>, SearchError> {
    let mut types: Vec<ResourceType> = keys.iter().map(|key| key.resource_type).collect();
    types.sort_unstable();
    types.dedup();
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    view.matching(&Filter::All(vec![Filter::Types(types), Filter::Keys(keys), Filter::Guard(Arc::clone(guard))]))
}

/// The resources that one refers to.
pub(crate) fn references(view: &View, key: &Key, parameter: Option<ParameterId>) -> Result<Vec<Key>, SearchError> {
    if let Some(entry) = view.overlay.get(key) {
        let mut found = Vec::new();
        for target in entry.document.iter().flat_map(|document| document.references(parameter)) {
            if !found.contains(target) {
                found.push(target.clone());
            }
        }
        return Ok(found);
    }
    let parameters = match parameter {
        Some(parameter) => vec![parameter],
        None => {
            let of_type = view.parameters.of_type(key.resource_type).into_iter();
            of_type.filter(|id| view.parameters.type_of(*id) == ParameterType::Reference).collect()
        }
    };
    Ok(engine::references(&view.searcher, key, &parameters)?.unwrap_or_default())
}

impl World for View {
    fn matching(&self, filter: &Filter) -> Result<HashSet<Key>, SearchError> {
        let mut keys = engine::matching(&self.searcher, filter, &self.superseded)?;
        let in_overlay = self.overlay.documents().filter(|document| matcher::matches(filter, document));
        keys.extend(in_overlay.map(|document| document.key.clone()));
        Ok(keys)
    }

    fn document(&self, key: &Key) -> Option<Document> {
        // What is in the files is not held as a document; `references` is all that is asked of it.
        self.overlay.get(key)?.document.as_deref().cloned()
    }

    fn references(&self, from: &HashSet<Key>, parameter: ParameterId) -> Result<HashSet<Key>, SearchError> {
        let mut found = HashSet::new();
        for key in from {
            found.extend(references(self, key, Some(parameter))?);
        }
        Ok(found)
    }
}
