//! Lists that are made up: what is current.

use super::*;

/// A resource whose id says whether it is current.
fn resource(kind: &str, id: &str, rest: &str) -> String {
    format!(r#"{{"resourceType":"{kind}","id":"{id}"{rest}}}"#)
}

fn status(element: &str, code: &str) -> String {
    format!(r#","{element}":{{"coding":[{{"system":"http://s","code":"{code}"}}]}}"#)
}

#[test]
fn what_is_not_said_to_be_over_is_current() {
    let mut texts = Vec::new();
    for (kind, over) in [("Condition", "remission"), ("AllergyIntolerance", "inactive")] {
        let patient = |id: &str| match kind {
            "Condition" => format!(r#","subject":{{"reference":"Patient/{id}"}}"#),
            _ => format!(r#","patient":{{"reference":"Patient/{id}"}}"#),
        };
        texts.extend([
            resource(kind, "current-a", &(patient("p") + &status("clinicalStatus", "active"))),
            resource(kind, "current-unsaid", &patient("p")),
            resource(kind, "over", &(patient("p") + &status("clinicalStatus", over))),
            resource(kind, "wrong", &(patient("p") + &status("verificationStatus", "refuted"))),
            resource(kind, "current-other", &(patient("q") + &status("clinicalStatus", "active"))),
        ]);
    }
    texts.extend([
        resource("MedicationStatement", "current-taken", r#","status":"active""#),
        resource("MedicationStatement", "stopped", r#","status":"stopped""#),
        resource("MedicationRequest", "current-order", r#","status":"on-hold","intent":"order""#),
        resource("MedicationRequest", "proposal", r#","status":"active","intent":"proposal""#),
        resource("MedicationRequest", "done", r#","status":"completed","intent":"order""#),
    ]);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let store = Few::of(&texts);
    for (scope, query, found) in [
        ("Condition", "_list=$current-problems", "current-a current-other current-unsaid"),
        ("Condition", "patient=p&_list=$current-problems", "current-a current-unsaid"),
        ("AllergyIntolerance", "patient=p&_list=$current-allergies", "current-a current-unsaid"),
        ("MedicationStatement", "_list=$current-medications", "current-taken"),
        ("MedicationRequest", "_list=$current-medications", "current-order"),
        ("", "_list=$current-medications", "current-order current-taken"),
        // No observation is a problem.
        ("Observation", "_list=$current-problems", ""),
    ] {
        let found: Vec<_> = found.split_whitespace().collect();
        assert_eq!(store.find(scope, query), found, "{scope}?{query}");
    }
}
