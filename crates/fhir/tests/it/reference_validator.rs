//! What the reference implementation of the validator finds right is not refused here.
//!
//! The other direction does not hold: it checks profiles, terminologies and invariants, which is not structure.

use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::validate::{Options, validate};

/// Cases that it accepts and Tacet refuses, each with the reason.
const REFUSED: [(&str, &str); 4] = [
    ("shc-bundle.json", "starts with a byte order mark, which RFC 8259 does not allow to senders"),
    ("contained-resource.json", "the id of a contained resource has 65 letters; R4 allows 64"),
    ("json-comments-1.json", "has comments, which JSON has not"),
    ("json-comments-2.json", "has comments, which JSON has not"),
];

#[test]
fn what_the_reference_validator_accepts_is_accepted() {
    let Some(folder) = tacet_testdata::folder("validator-r4") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let manifest = read("manifest.json").expect("a manifest");
    let manifest = parse(&manifest, &Limits::default()).expect("JSON");
    let mut accepted = 0;
    let mut wrong = Vec::new();
    let cases = manifest.get("test-cases").map(Json::items).unwrap_or_default();
    for case in cases.iter().filter(|case| case.get_str("version") == Some("4.0")) {
        let Some(name) = case.get_str("file").filter(|name| name.ends_with(".json")) else { continue };
        let (Some(bytes), Some(found)) = (read(name), case.get("java")) else { continue };
        let outcome = match found {
            Json::String(file) => read(&format!("outcomes/{file}")),
            inline => Some(tacet_fhir::json::write(inline)),
        };
        let Some(outcome) = outcome else { continue };
        let outcome = parse(&outcome, &Limits::default()).expect("JSON");
        let issues = outcome.get("outcome").unwrap_or(&outcome).get("issue").map(Json::items).unwrap_or_default();
        if issues.iter().any(|issue| matches!(issue.get_str("severity"), Some("error" | "fatal"))) {
            continue;
        }
        let resource = parse(&bytes, &Limits::default());
        if resource.as_ref().is_ok_and(|resource| resource.get("resourceType").is_none()) {
            continue; // A logical model or another standard's message.
        }
        let is_accepted = resource.is_ok_and(|resource| validate(&resource, &Options::default()).is_empty());
        let is_listed = REFUSED.iter().any(|(listed, _)| *listed == name);
        accepted += usize::from(is_accepted);
        if is_accepted == is_listed {
            wrong.push(name.to_owned());
        }
    }
    assert!(wrong.is_empty(), "wrongly refused, or wrongly listed: {wrong:?}");
    assert!(accepted > 100, "only {accepted} cases");
}
