//! Where a document in memory stands in an order: the same place that the engine gives it in the files.

use crate::document::Document;
use crate::engine;
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
            let values = values.map(|(_, value)| engine::sort_value(value));
            values.min_by(|a, b| a.compare(b, key.descending)).unwrap_or(SortValue::Missing)
        }
    }
}
