//! Where a document in memory stands in an order: the same place that the engine gives it in the files.

use crate::document::{Document, Value};
use crate::index::key::Order;
use crate::index::page::{Position, SortValue};
use crate::request::{SortBy, SortKey};

/// Where a document stands under a sort.
pub(crate) fn position(document: &Document, sort: &[SortKey], order: &Order) -> Position {
    let values = sort.iter().map(|key| sort_value(document, key)).collect();
    Position { values, order: order.of(&document.key), key: document.key.clone() }
}

/// The least value of the parameter going up, the greatest going down.
fn sort_value(document: &Document, key: &SortKey) -> SortValue {
    match &key.parameter {
        SortBy::LastUpdated => SortValue::Integer(document.last_updated.as_ms()),
        SortBy::Id => SortValue::text(document.key.id.as_str()),
        SortBy::Parameter(parameters) => {
            let values = document.values.iter().filter(|(parameter, _)| parameters.contains(parameter));
            let values = values.map(|(_, value)| comparable(value));
            values.min_by(|a, b| a.compare(b, key.descending)).unwrap_or(SortValue::Missing)
        }
    }
}

/// What one value is in order by: codes by the code, references by type and id, amounts in base units where they have one.
fn comparable(value: &Value) -> SortValue {
    match value {
        Value::Token { code: Some(text), .. }
        | Value::Token { text: Some(text), .. }
        | Value::OfType { value: text, .. }
        | Value::String { folded: text, .. }
        | Value::ReferenceUrl(text)
        | Value::ReferenceIdentifier { value: text, .. }
        | Value::Canonical { url: text, .. }
        | Value::Uri(text) => SortValue::text(text),
        Value::Date { low_ms, .. } => SortValue::Integer(*low_ms),
        Value::Number { low, .. } => SortValue::Number(*low),
        Value::Quantity { canonical: Some((low, ..)), .. } | Value::Quantity { low, .. } => SortValue::Number(*low),
        Value::Reference { target, .. } => SortValue::text(&format!("{}/{}", target.resource_type, target.id.as_str())),
        Value::Token { .. } | Value::Composite(_) | Value::Position { .. } => SortValue::Missing,
    }
}
