//! Whose a record is, how it is labelled, and what of it no search finds.

use super::*;
use tacet_types::Labels;

#[test]
fn a_labelled_element_is_found_by_no_search() {
    let store = Few::of(&[r#"{"resourceType":"Observation","id":"o","status":"final",
        "meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},
        "subject":{"reference":"Patient/p"},"performer":[{"reference":"Patient/m"}],
        "code":{"coding":[{"code":"open"}]},
        "note":[{"text":"plain"},{"text":"hidden","extension":[{
            "url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
            "valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}}]}]}"#]);
    for (query, found) in [("code=open", true), ("_content=plain", true), ("_content=hidden", false)] {
        assert_eq!(!store.find("Observation", query).is_empty(), found, "{query}");
    }
    let document = &store.0[0];
    let patients: Vec<&str> = document.patients.iter().map(ResourceId::as_str).collect();
    assert_eq!(patients, ["m", "p"]);
    assert!(document.labels.meets(Labels::RESTRICTED) && document.labels.meets(Labels::INLINE));
    let patient = &Few::of(&[r#"{"resourceType":"Patient","id":"p"}"#]).0[0];
    assert_eq!((patient.patients[0].as_str(), patient.labels), ("p", Labels::NONE));
}
