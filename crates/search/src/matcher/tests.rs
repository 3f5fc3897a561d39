//! How prefixes compare, and what preparing does.

use super::*;
use crate::SearchError;
use crate::document::{Key, Value};
use crate::filter::Test;
use std::collections::HashSet;
use tacet_fhir::search::ParameterId;
use tacet_types::{ResourceId, ResourceType, Timestamp, VersionId};

#[test]
fn prefixes_compare_ranges_as_the_standard_says() {
    use Comparison::*;
    // Value, query, and the prefixes that hold.
    let all = [Equal, NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual, StartsAfter, EndsBefore, Approximately];
    for (value, query, hold) in [
        ((5, 5), (5, 5), vec![Equal, GreaterOrEqual, LessOrEqual, Approximately]),
        ((3, 4), (1, 9), vec![Equal, GreaterOrEqual, LessOrEqual, Approximately]),
        ((1, 9), (3, 4), vec![NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual, Approximately]),
        ((5, 6), (1, 4), vec![NotEqual, Greater, GreaterOrEqual, StartsAfter]),
        ((1, 4), (5, 6), vec![NotEqual, Less, LessOrEqual, EndsBefore]),
        ((4, 6), (1, 4), vec![NotEqual, Greater, GreaterOrEqual, Approximately]),
        ((i64::MIN, 4), (1, 4), vec![NotEqual, Less, LessOrEqual, Approximately]),
    ] {
        for comparison in all {
            assert_eq!(
                compare(comparison, value, query),
                hold.contains(&comparison),
                "{comparison:?} {value:?} {query:?}"
            );
        }
    }
}

fn key(name: &str, id: &str) -> Key {
    Key { resource_type: ResourceType::parse(name).unwrap(), id: ResourceId::parse(id).unwrap() }
}

/// Everything matches two patients; everybody refers to `Patient/b` and `Patient/a`.
struct Two;

impl World for Two {
    fn matching(&self, filter: &Filter) -> Result<HashSet<Key>, SearchError> {
        assert!(!matches!(filter, Filter::Chain { .. } | Filter::Has { .. } | Filter::Members { .. }));
        Ok(HashSet::from([key("Patient", "a"), key("Patient", "b")]))
    }

    fn document(&self, key: &Key) -> Option<Document> {
        let target = |id| Value::Reference { target: super::tests::key("Patient", id), version: None };
        let values = [target("b"), target("a"), target("b")].map(|value| (ParameterId::from_index(1), value)).into();
        let (version, last_updated) = (VersionId::FIRST, Timestamp::from_ms(0));
        let (patients, labels) = ([].into(), tacet_types::Labels::NONE);
        let (contained, narrative, content) = (vec![], vec![], vec![]);
        let key = key.clone();
        Some(Document { key, version, last_updated, patients, labels, values, contained, narrative, content })
    }
}

#[test]
fn preparing_leaves_no_question_about_others() {
    let parameter = ParameterId::from_index(1);
    let chain = |target| Filter::Chain { parameter, target: Box::new(target) };
    let both = Filter::Keys(vec![key("Patient", "a"), key("Patient", "b")]);
    let prepared = prepare(&chain(chain(Filter::Everything)), &Two).unwrap();
    assert!(matches!(prepared, Filter::Value(_, Test::ReferenceAmong(keys)) if keys.len() == 2));
    assert_eq!(prepare(&Filter::Has { parameter, source: Box::new(chain(Filter::Everything)) }, &Two).unwrap(), both);
    assert_eq!(prepare(&Filter::Members { of: key("List", "l"), parameter }, &Two).unwrap(), both);
    let unsorted = Filter::Keys(vec![key("Patient", "b"), key("Patient", "a"), key("Patient", "b")]);
    assert_eq!(prepare(&unsorted, &Two).unwrap(), both);
    assert_eq!(prepare(&chain(Filter::Nothing), &Two).unwrap(), Filter::Nothing);
    assert_eq!(prepare(&Filter::Not(Box::new(Filter::Any(vec![]))), &Two).unwrap(), Filter::Everything);
    assert_eq!(prepare(&Filter::All(vec![Filter::Nothing, chain(Filter::Everything)]), &Two).unwrap(), Filter::Nothing);
}

#[test]
fn a_filter_of_any_depth_ends() {
    let mut filter = Filter::Everything;
    for _ in 0..FILTER_DEPTH_MAX + 2 {
        filter = Filter::Not(Box::new(filter));
    }
    assert!(matches!(prepare(&filter, &Two), Err(SearchError::TooCostly { .. })));
}
