//! The rules of the French health identity, on published patients and on planted faults.

use crate::data;
use tacet_conformance::{Packages, ins};
use tacet_fhir::json::{Json, Limits, parse_str};

fn packages() -> Packages {
    let mut packages = Packages::standard();
    packages.add_french_identity().expect("room");
    assert!(packages.has_profile(ins::PATIENT) && packages.has_profile(ins::IDENTIFIER));
    packages
}

/// A patient with all traits; the number is invented, for tests, and its key is right.
fn patient(system: &str, value: &str, place: &str, rest: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
            "valueAddress":{{"district":"{place}"}}}}],
            "identifier":[{{"system":"urn:oid:1.2.250.1.71.4.2.2.1","value":"x"}},{{"system":"{system}","value":"{value}"}}],
            {rest}}}"#
    )
}

const TRAITS: &str =
    r#""name":[{"use":"official","family":"ESSAI","given":["LÉA"]}],"gender":"female","birthDate":"1999-05-01""#;
const NIR: &str = "urn:oid:1.2.250.1.213.1.4.8";
const TEST: &str = "urn:oid:1.2.250.1.213.1.4.10";

fn keys(text: &str) -> Vec<String> {
    let resource = parse_str(text, &Limits::default()).expect("well-formed");
    let mut keys: Vec<String> = data::errors(&resource, &[ins::PATIENT], &packages())
        .iter()
        .map(|issue| match issue.message.rsplit_once('(') {
            Some((_, key)) if key.starts_with("fr-ins") => key.trim_end_matches(')').to_owned(),
            _ => issue.location.clone(),
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// 97 less the remainder by 97, computed apart from the rule.
fn with_key(number: &str) -> String {
    let digits = number.replace("2A", "19").replace("2B", "18");
    let key = 97 - digits.parse::<u64>().expect("digits") % 97;
    format!("{number}{key:02}")
}

#[test]
fn numbers_with_their_key_are_right() {
    for number in ["2990575116001", "299052A004001", "299052B033001", "1850199352123"] {
        assert_eq!(keys(&patient(NIR, &with_key(number), "75116", TRAITS)), Vec::<String>::new(), "{number}");
    }
    // The example of the reference test data.
    assert_eq!(keys(&patient(TEST, "162126587913677", "65217", TRAITS)), Vec::<String>::new());
}

#[test]
fn each_fault_has_its_rule() {
    let right = with_key("2990575116001");
    let wrong_key = format!("{}{:02}", &right[..13], (right[13..].parse::<u32>().unwrap() + 1) % 97);
    assert_eq!(keys(&patient(NIR, &wrong_key, "75116", TRAITS)), ["fr-ins-2"]);
    assert_eq!(keys(&patient(NIR, &right[..13], "75116", TRAITS)), ["fr-ins-1"]);
    assert_eq!(keys(&patient(NIR, "29905XX11600112", "75116", TRAITS)).first().map(String::as_str), Some("fr-ins-1"));
    assert_eq!(keys(&patient(NIR, &right, "751", TRAITS)), ["fr-ins-5"]);
    assert_eq!(keys(&patient("urn:oid:1.2.3", &right, "75116", TRAITS)), ["fr-ins-6"]);
    let without_given = TRAITS.replace(r#","given":["LÉA"]"#, "");
    assert_eq!(keys(&patient(NIR, &right, "75116", &without_given)), ["fr-ins-4"]);
    let without_sex = TRAITS.replace(r#""gender":"female","#, "");
    assert_eq!(keys(&patient(NIR, &right, "75116", &without_sex)), ["Patient.gender"]);
    let without_birth = TRAITS.replace(r#","birthDate":"1999-05-01""#, "");
    assert_eq!(keys(&patient(NIR, &right, "75116", &without_birth)), ["Patient.birthDate"]);
}

#[test]
fn published_patients_are_told_right_from_wrong() {
    let Some(folder) = tacet_testdata::folder("fr/patients") else { return };
    let mut found = Vec::new();
    for (name, bytes) in tacet_testdata::files(&folder, ".json") {
        let resource = data::read(&name, &bytes).expect("JSON");
        let errors = data::errors(&resource, &[ins::PATIENT], &packages());
        let keys: Vec<bool> = ["fr-ins-2", "fr-ins-6"]
            .iter()
            .map(|key| errors.iter().any(|issue| issue.message.ends_with(&format!("({key})"))))
            .collect();
        found.push((name, errors.is_empty(), keys));
        assert!(resource.get("resourceType").and_then(Json::as_str) == Some("Patient"));
    }
    let expected = [
        // No INS at all.
        ("1292.json", false, vec![false, true]),
        ("6106172.json", true, vec![false, false]),
        // The key of its number is wrong, as published.
        ("f32ace62-4040-44df-9281-4c6844902777.json", false, vec![true, false]),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(name, right, keys)| (name.to_owned(), right, keys)).collect();
    assert_eq!(found, expected);
}
