//! Placeholder.
use crate::SearchError;
use crate::document::{Document, Key, Value};
use crate::filter::{Filter, Test};
use std::collections::HashSet;
/// Other documents.
pub trait World {
    /// Which documents match.
    fn matching(&self, filter: &Filter) -> Result<HashSet<Key>, SearchError>;
    /// A document.
    fn document(&self, key: &Key) -> Option<Document>;
}
/// Resolves.
pub fn prepare(filter: &Filter, _world: &dyn World) -> Result<Filter, SearchError> {
    Ok(filter.clone())
}
/// Matches.
pub fn matches(filter: &Filter, document: &Document) -> bool {
    match filter {
        Filter::Everything => true,
        Filter::All(all) => all.iter().all(|filter| matches(filter, document)),
        Filter::Any(any) => any.iter().any(|filter| matches(filter, document)),
        Filter::Not(not) => !matches(not, document),
        Filter::Types(types) => types.contains(&document.key.resource_type),
        Filter::Keys(keys) => keys.contains(&document.key),
        Filter::Value(parameter, Test::TokenIs { code, .. }) => document.values.iter().any(|(of, value)| {
            of == parameter && matches!(value, Value::Token { code: Some(found), .. } if found == code)
        }),
        _ => false,
    }
}
