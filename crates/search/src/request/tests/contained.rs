//! Resources within others.

use super::*;

#[test]
fn what_holds_a_match_is_found() {
    let store = Few::of(&[
        r##"{"resourceType":"MedicationRequest","id":"holds","status":"active","intent":"order","medicationReference":{"reference":"#m"},
            "contained":[{"resourceType":"Medication","id":"m","code":{"coding":[{"system":"http://s","code":"a"}]},"status":"inactive",
                "manufacturer":{"reference":"Organization/maker"}},
                {"resourceType":"Medication","id":"n","code":{"coding":[{"system":"http://s","code":"b"}]},"status":"active"}]}"##,
        r#"{"resourceType":"Medication","id":"alone","code":{"coding":[{"system":"http://s","code":"a"}]},"status":"active"}"#,
        r#"{"resourceType":"Organization","id":"maker","name":"Maker"}"#,
    ]);
    for (scope, query, found) in [
        ("Medication", "code=a", "alone"),
        ("Medication", "code=a&_contained=false", "alone"),
        ("Medication", "code=a&_contained=true", "holds"),
        ("Medication", "code=a&_contained=true&_containedType=container", "holds"),
        ("Medication", "code=a&_contained=both", "alone holds"),
        ("Medication", "_contained=true&_id=m", "holds"),
        ("Medication", "_contained=both&_lastUpdated=2026-02-03&_sort=-_lastUpdated", "alone holds"),
        ("Medication", "_contained=true&manufacturer.name=mak", "holds"),
        // One and the same resource must be all that is asked for.
        ("Medication", "code=a&status=active&_contained=true", ""),
        ("Medication", "code=b&status=active&_contained=true", "holds"),
        ("Medication", "code:not=a&_contained=true", "holds"),
        ("MedicationRequest", "_contained=true", ""),
        ("MedicationRequest", "status=active&_contained=both", "holds"),
        ("", "_contained=true", "holds"),
    ] {
        let found: Vec<_> = found.split_whitespace().collect();
        assert_eq!(store.find(scope, query), found, "{scope}?{query}");
    }
}
