//! Fixed values, patterns, lengths and ranges.

use super::Check;
use super::profile_walk::compare;
use crate::instance::Instance;
use crate::place::Place;
use crate::profile::Node;
use std::cmp::Ordering;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::IssueType;
use tacet_fhir::search::DateRange;

impl<'v> Check<'v> {
    /// What a node says about the value itself.
    pub(super) fn values(&mut self, node: &Node, instance: Instance<'v>, place: &Place<'_>) {
        if let Some(fixed) = &node.fixed
            && !instance.value.is_some_and(|value| is_same(value, fixed, 0))
        {
            self.error(IssueType::Value, place, || "is not the value that the profile fixes");
        }
        if let Some(pattern) = &node.pattern
            && !instance.value.is_some_and(|value| fits(value, pattern, 0))
        {
            self.error(IssueType::Value, place, || "does not have what the pattern of the profile asks for");
        }
        if instance.value.is_none() {
            self.value_is_missing(node, instance, place);
        }
        if let Some(value) = instance.value.filter(|value| value.is_object()) {
            self.quantity_bounds(node, value, place);
        }
        let Some(text) = instance.text() else { return };
        if let Some(max) = node.length_max
            && text.chars().nth(max).is_some()
        {
            self.error(IssueType::TooLong, place, || format!("longer than the {max} letters that the profile allows"));
        }
        if node.length_min.is_some_and(|min| text.chars().take(min).count() < min) {
            self.error(IssueType::Value, place, || "shorter than the profile allows");
        }
        self.relative_bounds(node, text, place);
        let is_number = matches!(instance.value, Some(Json::Number(_)));
        let beyond = |bound: &Option<Json<'static>>, wrong: Ordering| {
            let bound = bound.as_ref().and_then(|bound| bound.as_str().or_else(|| bound.as_number()));
            bound.and_then(|bound| compare(text, bound, is_number)) == Some(wrong)
        };
        if beyond(&node.value_min, Ordering::Less) {
            self.error(IssueType::Value, place, || "less than the profile allows");
        }
        if beyond(&node.value_max, Ordering::Greater) {
            self.error(IssueType::Value, place, || "more than the profile allows");
        }
    }
}

impl<'v> Check<'v> {
    /// Only extensions stand for the value.
    fn value_is_missing(&mut self, node: &Node, instance: Instance<'v>, place: &Place<'_>) {
        let extensions = instance.twin.and_then(|twin| twin.get("extension")).map(Json::items).unwrap_or_default();
        let is_known = |url: &str| node.value_alternatives.iter().any(|known| known == url);
        let stands_for = || extensions.iter().filter_map(|extension| extension.get_str("url")).any(is_known);
        if node.is_value_needed || !node.value_alternatives.is_empty() && !stands_for() {
            self.error(IssueType::Required, place, || "the profile does not let an extension stand for the value");
        }
    }

    /// Bounds of a date or time that are durations, reckoned from now: the least value is that long ago, the greatest that
    /// far ahead (<https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.minValue_x_>).
    fn relative_bounds(&mut self, node: &Node, text: &str, place: &Place<'_>) {
        let distance = |bound: &Option<Json<'static>>| bound.as_ref().and_then(crate::quantity::milliseconds);
        let (before, after) = (distance(&node.value_min), distance(&node.value_max));
        if before.is_none() && after.is_none() {
            return;
        }
        let Some(range) = DateRange::parse(text) else { return };
        let now = self.context.now.as_ms();
        if before.is_some_and(|before| range.high_ms < now.saturating_sub(before)) {
            self.error(IssueType::Value, place, || "longer ago than the profile allows");
        }
        if after.is_some_and(|after| range.low_ms > now.saturating_add(after)) {
            self.error(IssueType::Value, place, || "further ahead than the profile allows");
        }
    }

    /// The bounds of a quantity, where the units can be compared.
    fn quantity_bounds(&mut self, node: &Node, value: &Json<'_>, place: &Place<'_>) {
        let beyond = |bound: &Option<Json<'static>>, wrong: Ordering| {
            bound.as_ref().and_then(|bound| crate::quantity::compare(value, bound)) == Some(wrong)
        };
        if beyond(&node.value_min, Ordering::Less) {
            self.error(IssueType::Value, place, || "less than the profile allows");
        }
        if beyond(&node.value_max, Ordering::Greater) {
            self.error(IssueType::Value, place, || "more than the profile allows");
        }
    }

    /// The stated size of an attachment is that of its data.
    pub(super) fn attachment(&mut self, value: &Json<'_>, place: &Place<'_>) {
        if let (Some(size), Some(data)) = (value.get("size").and_then(Json::as_i64), value.get_str("data"))
            && usize::try_from(size) != Ok(decoded_bytes(data))
        {
            let here = place.child("size", None);
            self.error(IssueType::Value, &here, || "is not the number of bytes of the data");
        }
    }
}

/// How many bytes a text in base64 stands for.
pub(super) fn decoded_bytes(text: &str) -> usize {
    let letters = text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
    letters * 3 / 4
}

/// Deepest nesting of a fixed value or pattern.
const DEPTH_MAX: usize = 64;

/// Whether two values are the same; the order of members does not count.
pub(super) fn is_same(value: &Json<'_>, fixed: &Json<'_>, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match (value, fixed) {
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len()
                && right.iter().all(|(name, wanted)| value.get(name).is_some_and(|is| is_same(is, wanted, depth + 1)))
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(is, wanted)| is_same(is, wanted, depth + 1))
        }
        (Json::Number(left), Json::Number(right)) => {
            left == right
                || matches!((left.parse::<f64>(), right.parse::<f64>()), (Ok(left), Ok(right)) if left == right)
        }
        (left, right) => left == right,
    }
}

/// Whether a value has everything that a pattern has: each member, and for each item of an array one that fits
/// (<https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_>).
pub(super) fn fits(value: &Json<'_>, pattern: &Json<'_>, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match (value, pattern) {
        (Json::Object(_), Json::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| value.get(name).is_some_and(|is| fits(is, wanted, depth + 1)))
        }
        (Json::Array(items), Json::Array(wanted)) => {
            wanted.iter().all(|wanted| items.iter().any(|is| fits(is, wanted, depth + 1)))
        }
        _ => is_same(value, pattern, depth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    fn read(text: &str) -> Json<'_> {
        parse_str(text, &Limits::default()).expect("well-formed")
    }

    #[test]
    fn a_pattern_asks_for_its_members_only() {
        let concept =
            read(r#"{"coding":[{"system":"a","code":"1"},{"code":"2","system":"b","display":"x"}],"text":"t"}"#);
        assert!(fits(&concept, &read(r#"{"coding":[{"system":"b","code":"2"}]}"#), 0));
        assert!(!fits(&concept, &read(r#"{"coding":[{"system":"a","code":"2"}]}"#), 0));
        assert!(!fits(&concept, &read(r#"{"id":"x"}"#), 0));
    }

    #[test]
    fn a_fixed_value_is_the_whole_value() {
        let value = read(r#"{"system":"a","code":"1"}"#);
        assert!(is_same(&value, &read(r#"{"code":"1","system":"a"}"#), 0));
        assert!(!is_same(&value, &read(r#"{"code":"1"}"#), 0));
        assert!(is_same(&read("1.0"), &read("1.00"), 0));
        assert!(!is_same(&read("[1,2]"), &read("[2,1]"), 0));
    }
}
