//! The official cases of JSON Patch: those of the RFC's appendix, as HL7 keeps them.

use crate::data;
use tacet_fhir::json::{Json, Limits, parse_str};
use tacet_patch::patch_document;

/// How many cases the file holds; fewer means that something was not read.
const CASES: usize = 16;

#[test]
fn official_cases_hold() {
    let Some(text) = data::patch_tests("json-patch-tests.json") else { return };
    let cases = parse_str(&text, &Limits::default()).expect("JSON");
    assert_eq!(cases.items().len(), CASES);
    for case in cases.items() {
        let name = case.get_str("comment").expect("a name");
        let (document, patch) = (case.get("doc").expect("a document"), case.get("patch").expect("a patch"));
        match (patch_document(document, patch), case.get("expected")) {
            (Ok(outcome), Some(expected)) => assert_eq!(sorted(outcome), sorted(expected.clone()), "{name}"),
            (Err(_), None) => assert!(case.get("error").is_some(), "{name}"),
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
}

/// With the members of objects in the order of their names: an outcome may have them in any.
pub(crate) fn sorted(value: Json<'_>) -> Json<'_> {
    match value {
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        Json::Object(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            Json::Object(members)
        }
        other => other,
    }
}
