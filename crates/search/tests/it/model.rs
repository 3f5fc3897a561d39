//! The plainest possible index: all documents in a list, each looked at by the plain matcher.

use std::collections::{BTreeMap, HashSet};
use tacet_search::SearchError;
use tacet_search::document::{Document, Key, Value};
use tacet_search::filter::Filter;
use tacet_search::index::{Order, Position, SortValue};
use tacet_search::matcher::{World, matches};
use tacet_search::request::{SortBy, SortKey};

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) documents: BTreeMap<Key, Document>,
}

impl World for Model {
    fn matching(&self, filter: &Filter) -> Result<HashSet<Key>, SearchError> {
        Ok(self.documents.values().filter(|document| matches(filter, document)).map(|d| d.key.clone()).collect())
    }

    fn document(&self, key: &Key) -> Option<Document> {
        self.documents.get(key).cloned()
    }
}

impl Model {
    /// All that a prepared filter means, in order.
    pub(crate) fn search(&self, prepared: &Filter, sort: &[SortKey], order: &Order) -> Vec<Position> {
        let found = self.documents.values().filter(|document| matches(prepared, document));
        let mut positions: Vec<Position> = found.map(|document| position(document, sort, order)).collect();
        positions.sort_by(|a, b| a.compare(b, sort));
        positions
    }
}

/// Where a document stands.
pub(crate) fn position(document: &Document, sort: &[SortKey], order: &Order) -> Position {
    let values = sort.iter().map(|key| {
        let mut all: Vec<SortValue> = match &key.parameter {
            SortBy::LastUpdated => vec![SortValue::Integer(document.last_updated.as_ms())],
            SortBy::Id => vec![SortValue::text(document.key.id.as_str())],
            SortBy::Parameter(parameters) => {
                let values = document.values.iter().filter(|(found, _)| parameters.contains(found));
                values.map(|(_, value)| sort_value(value)).collect()
            }
        };
        all.sort_by(|a, b| a.compare(b, key.descending));
        all.into_iter().next().unwrap_or(SortValue::Missing)
    });
    Position { values: values.collect(), order: order.of(&document.key), key: document.key.clone() }
}

fn sort_value(value: &Value) -> SortValue {
    match value {
        Value::Date { low_ms, .. } => SortValue::Integer(*low_ms),
        Value::Number { low, .. } => SortValue::Number(*low),
        Value::Quantity { canonical: Some((low, ..)), .. } | Value::Quantity { low, .. } => SortValue::Number(*low),
        Value::Token { code: Some(text), .. }
        | Value::Token { code: None, text: Some(text), .. }
        | Value::OfType { value: text, .. }
        | Value::String { folded: text, .. }
        | Value::ReferenceUrl(text)
        | Value::ReferenceIdentifier { value: text, .. }
        | Value::Canonical { url: text, .. }
        | Value::Uri(text) => SortValue::text(text),
        Value::Reference { target, .. } => {
            SortValue::text(&format!("{}/{}", target.resource_type.as_str(), target.id.as_str()))
        }
        Value::Token { code: None, text: None, .. } | Value::Composite(_) | Value::Position { .. } => {
            SortValue::Missing
        }
    }
}
