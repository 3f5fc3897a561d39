//! The plain matcher: whether one document is what a filter means. It is the definition; the index is held to it.
//!
//! [`prepare`] resolves what asks about other documents, and [`matches()`] then looks at one document only.

mod guard;
mod near;
mod prepare;
mod test;
#[cfg(test)]
mod tests;

pub(crate) use guard::sees;
pub use near::distance_metres;
pub use prepare::{FILTER_DEPTH_MAX, World, prepare};
pub use test::passes;

use crate::document::Document;
use crate::filter::{Comparison, Filter};

/// Compares two ranges, each with both its ends, as the prefixes of R4 do (<https://hl7.org/fhir/R4/search.html#prefix>).
pub fn compare<T: PartialOrd + Copy>(comparison: Comparison, value: (T, T), query: (T, T)) -> bool {
    let within = query.0 <= value.0 && value.1 <= query.1;
    let something_above = value.1 > query.1;
    let something_below = value.0 < query.0;
    match comparison {
        Comparison::Equal => within,
        Comparison::NotEqual => !within,
        Comparison::Greater => something_above,
        Comparison::Less => something_below,
        Comparison::GreaterOrEqual => something_above || within,
        Comparison::LessOrEqual => something_below || within,
        Comparison::StartsAfter => value.0 > query.1,
        Comparison::EndsBefore => value.1 < query.0,
        Comparison::Approximately => value.0 <= query.1 && query.0 <= value.1,
    }
}

/// Whether the document is what the filter means. The filter went through [`prepare`]: what asks about other documents holds for none
/// here.
pub fn matches(filter: &Filter, document: &Document) -> bool {
    match filter {
        Filter::Everything => true,
        Filter::Nothing | Filter::Chain { .. } | Filter::Has { .. } | Filter::Members { .. } => false,
        Filter::All(all) => all.iter().all(|filter| matches(filter, document)),
        Filter::Any(any) => any.iter().any(|filter| matches(filter, document)),
        Filter::Not(filter) => !matches(filter, document),
        Filter::Types(types) => types.contains(&document.key.resource_type),
        Filter::Keys(keys) => keys.binary_search(&document.key).is_ok(),
        Filter::LastUpdated { comparison, low_ms, high_ms } => {
            let at = document.last_updated.as_ms();
            compare(*comparison, (at, at), (*low_ms, *high_ms))
        }
        Filter::Value(parameter, test) => {
            document.values.iter().any(|(found, value)| found == parameter && passes(test, value))
        }
        Filter::Present(parameter) => document.values.iter().any(|(found, _)| found == parameter),
        Filter::NarrativeWords(words) => words.iter().all(|word| document.narrative.binary_search(word).is_ok()),
        Filter::ContentWords(words) => words.iter().all(|word| document.content.binary_search(word).is_ok()),
        Filter::Contains(filter) => document.contained.iter().any(|contained| matches(filter, contained)),
        Filter::Guard(guard) => guard.sees(document),
    }
}
