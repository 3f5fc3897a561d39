//! What one value is in order by, and how columns keep that.
//!
//! Ascending takes the least value of a parameter, descending the greatest; a resource without a value comes last either way
//! (<https://hl7.org/fhir/R4/search.html#sort> leaves both open). Dates go by when they begin, quantities by their amount in base
//! units where they have one, codes by the code, references by type and id. Then the order key decides, then type and id.

use crate::document::{Key, Value};
use crate::error::SearchError;
use crate::index::{SORT_KEYS_MAX, SortValue};
use crate::request::SortKey;
use tacet_types::{ResourceId, ResourceType};

/// Refuses an order of more keys than a position holds.
pub(super) fn check(sort: &[SortKey]) -> Result<(), SearchError> {
    if sort.len() > SORT_KEYS_MAX {
        return Err(SearchError::TooCostly { what: "keys to sort by", max: SORT_KEYS_MAX });
    }
    Ok(())
}

/// What one value is in order by.
pub(crate) fn sort_value(value: &Value) -> SortValue {
    match value {
        Value::Date { low_ms, .. } => SortValue::Integer(*low_ms),
        Value::Number { low, .. } => SortValue::Number(*low),
        Value::Quantity { low, canonical, .. } => {
            SortValue::Number(canonical.as_ref().map_or(*low, |(low, _, _)| *low))
        }
        Value::Token { code, text, .. } => match code.as_deref().or(text.as_deref()) {
            Some(text) => SortValue::text(text),
            None => SortValue::Missing,
        },
        Value::String { folded: text, .. }
        | Value::OfType { value: text, .. }
        | Value::ReferenceIdentifier { value: text, .. }
        | Value::ReferenceUrl(text)
        | Value::Canonical { url: text, .. }
        | Value::Uri(text) => SortValue::text(text),
        Value::Reference { target, .. } => SortValue::text(&reference_text(target)),
        Value::Composite(_) | Value::Position { .. } => SortValue::Missing,
    }
}

/// Type and id of a resource, as they are in order.
pub(super) fn reference_text(key: &Key) -> String {
    format!("{}/{}", key.resource_type, key.id.as_str())
}

/// Reads [`reference_text`].
pub(super) fn reference_of(text: &str) -> Option<Key> {
    let (name, id) = text.split_once('/')?;
    Some(Key { resource_type: ResourceType::parse(name)?, id: ResourceId::parse(id).ok()? })
}
