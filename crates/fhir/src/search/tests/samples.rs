//! What extraction finds in resources written for this test, and what damage does to it: nothing.

use super::{data, show};
use crate::compartment::compartments;
use crate::json::{Json, Limits, parse_str};
use crate::reference::{for_each_reference, rewrite_references};
use crate::search::{extracted, parameters};
use proptest::prelude::*;
use std::fmt::Write as _;

/// One resource a line.
const SAMPLES: &str = include_str!("samples.ndjson");

/// What is found in them.
const EXPECTED: &str = include_str!("samples.expected.txt");

fn samples() -> Vec<Json<'static>> {
    SAMPLES.lines().map(|line| parse_str(line, &Limits::default()).unwrap()).collect()
}

/// Set `UPDATE_SNAPSHOTS=1` to write the file anew, and read the difference.
#[test]
fn samples_have_the_values_that_were_reviewed() {
    let mut found = String::new();
    for sample in samples() {
        writeln!(found, "# {} {}", sample.get_str("resourceType").unwrap(), sample.get_str("id").unwrap()).unwrap();
        for (id, value) in extracted(&sample) {
            writeln!(found, "{}: {}", id.parameter().code, show(&value)).unwrap();
        }
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/search/tests/samples.expected.txt"), &found).unwrap();
    }
    for (found, expected) in found.lines().zip(EXPECTED.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), EXPECTED.lines().count());
}

#[test]
fn samples_are_read_alike_by_the_oracle() {
    for sample in samples() {
        assert!(data::check(&sample).len() >= 3);
    }
}

/// Everything that reads a resource without asking whether it is valid.
fn exercise(resource: &Json<'_>) {
    data::check(resource);
    compartments(resource);
    for_each_reference(resource, &mut |text| assert!(text.len() < 1_000_000));
    let mut copy = resource.clone();
    rewrite_references(&mut copy, &mut |text| (text.len() % 2 == 0).then(|| "x".to_owned()));
}

/// Any JSON, its members called as those of resources are.
fn any_json() -> impl Strategy<Value = Json<'static>> {
    let words: Vec<&'static str> =
        SAMPLES.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let texts: Vec<&'static str> = SAMPLES.split('"').collect();
    let word = proptest::sample::select(words);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?([eE]-?[0-9]{1,3})?".prop_map(|text| Json::Number(text.into())),
        ".{0,12}".prop_map(|text| Json::String(text.into())),
        proptest::sample::select(texts).prop_map(|text| Json::String(text.into())),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::vec((word.clone(), inner), 0..6).prop_map(|members| {
                let mut object = Json::Object(Vec::new());
                // No type has both `value` and a `value[x]`, and the oracle, which knows no types, cannot tell which is meant.
                let choice =
                    members.iter().any(|(name, _)| name.strip_prefix("value").is_some_and(|rest| !rest.is_empty()));
                for (name, value) in members.into_iter().filter(|(name, _)| !(choice && *name == "value")) {
                    object.set(name, value);
                }
                object
            }),
        ]
    })
}

/// How many values a resource has in all.
fn size(json: &Json<'_>) -> usize {
    1 + json.items().iter().map(size).sum::<usize>()
        + json.members().iter().map(|(_, value)| size(value)).sum::<usize>()
}

/// Puts `new` in the place of the value at this place, counted from the root in document order.
fn replace(json: &mut Json<'static>, place: &mut usize, new: &Json<'static>) {
    if *place == 0 {
        *json = new.clone();
        *place = usize::MAX;
        return;
    }
    *place -= 1;
    let children: Vec<&mut Json<'static>> = match json {
        Json::Array(items) => items.iter_mut().collect(),
        Json::Object(members) => members.iter_mut().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    };
    for child in children {
        if *place < usize::MAX / 2 {
            replace(child, place, new);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_samples_are_read(sample in 0usize..16, place in any::<proptest::sample::Index>(), new in any_json()) {
        let samples = samples();
        let mut damaged = samples[sample % samples.len()].clone();
        let mut place = place.index(size(&damaged));
        replace(&mut damaged, &mut place, &new);
        exercise(&damaged);
    }

    #[test]
    fn any_json_is_read(json in any_json(), type_name in proptest::sample::select(vec!["Patient", "Observation", "Bundle", "Location"])) {
        exercise(&json);
        let mut resource = json;
        resource.set("resourceType", Json::String(type_name.into()));
        exercise(&resource);
    }
}

#[test]
fn a_crowd_of_values_does_not_multiply_without_bound() {
    let codings = r#"{"system":"s","code":"c"},"#.repeat(200);
    let codings = codings.trim_end_matches(',');
    let text = format!(
        r#"{{"resourceType":"Observation","code":{{"coding":[{codings}]}},"valueCodeableConcept":{{"coding":[{codings}]}}}}"#
    );
    let json = parse_str(&text, &Limits::default()).unwrap();
    let found = extracted(&json);
    let composites = |code: &str| found.iter().filter(|(id, _)| id.parameter().code == code).count();
    assert_eq!(composites("code-value-concept"), 1024);
    assert_eq!(composites("code"), 200);
    assert!(parameters().len() > found.len() / 10);
}
