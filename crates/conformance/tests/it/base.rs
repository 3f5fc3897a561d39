//! The invariants of R4, on the official examples and on planted faults.

use crate::data;
use std::collections::BTreeMap;
use tacet_conformance::{Level, NoCodes, Packages, ValidationContext, validate};
use tacet_fhir::json::{Limits, parse_str};

fn broken(text: &str) -> Vec<String> {
    let resource = parse_str(text, &Limits::default()).expect("well-formed");
    let mut context = ValidationContext::new(&NoCodes, data::now());
    context.level = Level::Invariants;
    let issues = validate(&resource, &[], &Packages::standard(), &context);
    issues.into_iter().map(|issue| format!("{}: {}", issue.location, issue.message)).collect()
}

#[track_caller]
fn assert_broken(key: &str, place: &str, text: &str) {
    let issues = broken(text);
    assert!(
        issues.iter().any(|issue| issue.starts_with(&format!("{place}: ")) && issue.ends_with(&format!("({key})"))),
        "{key}: {issues:?}"
    );
}

#[test]
fn planted_faults_break_their_invariant() {
    let observation = |rest: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"1-8"}}]}},{rest}}}"#
        )
    };
    assert_broken("obs-6", "Observation", &observation(r#""valueString":"x","dataAbsentReason":{"text":"y"}"#));
    assert_broken(
        "obs-7",
        "Observation",
        &observation(
            r#""valueString":"x","component":[{"code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"valueString":"y"}]"#,
        ),
    );
    assert_broken(
        "obs-3",
        "Observation.referenceRange[0]",
        &observation(r#""referenceRange":[{"appliesTo":[{"text":"x"}]}]"#),
    );
    assert_broken("qty-3", "Observation.value", &observation(r#""valueQuantity":{"value":1,"code":"mg"}"#));
    assert_broken(
        "sqty-1",
        "Observation.referenceRange[0].low",
        &observation(r#""referenceRange":[{"low":{"value":1,"comparator":"<"}}]"#),
    );
    assert_broken(
        "per-1",
        "Observation.effective",
        &observation(r#""effectivePeriod":{"start":"2020-02-01","end":"2020-01-01"}"#),
    );
    assert_broken("pat-1", "Patient.contact[0]", r#"{"resourceType":"Patient","contact":[{"gender":"male"}]}"#);
    assert_broken("cpt-2", "Patient.telecom[0]", r#"{"resourceType":"Patient","telecom":[{"value":"1"}]}"#);
    assert_broken("bdl-1", "Bundle", r#"{"resourceType":"Bundle","type":"collection","total":1}"#);
    assert_broken(
        "dom-3",
        "Patient.contained[0]",
        r#"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"a","name":"x"}]}"#,
    );
    assert_eq!(
        broken(&observation(r#""valueString":"x","effectivePeriod":{"start":"2020-01-01","end":"2020-01-01"}"#)),
        [""; 0]
    );
    assert_eq!(
        broken(
            r##"{"resourceType":"Patient","managingOrganization":{"reference":"#a"},
            "contained":[{"resourceType":"Organization","id":"a","name":"x"}]}"##
        ),
        [""; 0]
    );
}

#[test]
fn official_examples_break_few_invariants() {
    let Some(folder) = tacet_testdata::folder("r4-examples") else { return };
    let packages = Packages::standard();
    let mut context = ValidationContext::new(&NoCodes, data::now());
    context.level = Level::Invariants;
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for (name, bytes) in tacet_testdata::files(&folder, ".json") {
        let resource = data::read(&name, &bytes).expect("JSON");
        let structure = tacet_fhir::validate::validate(&resource, &tacet_fhir::validate::Options::default()).len();
        for issue in validate(&resource, &[], &packages, &context).into_iter().skip(structure) {
            by_key.entry(issue.message).or_default().push(name.clone());
        }
        count += 1;
    }
    assert!(count > 600, "only {count} examples");
    let found: Vec<String> = by_key.iter().map(|(key, names)| format!("{key}: {names:?}")).collect();
    assert_eq!(found, KNOWN, "{}", found.join("\n"));
}

/// What the official examples break, rightly.
const KNOWN: [&str; 0] = [];
