//! What a detained patient's own account does not learn.

use super::{labels, patient_of, person, put, sees, ward};
use crate::house::*;
use tacet_vault::{Caller, Role};

fn encounter(id: &str, rest: &str) -> String {
    format!(
        r#"{{"resourceType":"Encounter","id":"{id}","identifier":[{{"system":"urn:ward","value":"{id}"}}],"class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"}},"subject":{{"reference":"Patient/held"}},{rest}}}"#
    )
}

#[test]
fn what_is_planned_without_a_date_is_not_shown_to_a_detained_patient() {
    let mut house = ward();
    let at = r#""location":[{"location":{"reference":"Location/court"}"#;
    put(&house, r#"{"resourceType":"Location","id":"court","status":"active","name":"Court"}"#);
    put(&house, &patient_of("held", ""));
    let over = r#""status":"finished","period":{"start":"2026-01-01","end":"2026-01-02"}"#;
    for (id, rest) in [
        ("over", over.to_owned()),
        ("planned", r#""status":"planned""#.to_owned()),
        ("unknown", r#""status":"unknown""#.to_owned()),
        (
            "reserved",
            format!(
                r#""status":"arrived","period":{{"start":"2026-01-01","end":"2026-01-03"}},{at},"status":"reserved"}}]"#
            ),
        ),
        (
            "moved",
            format!(
                r#""status":"arrived","period":{{"start":"2026-01-01","end":"2026-01-03"}},{at},"period":{{"start":"2027-01-01"}}}}]"#
            ),
        ),
    ] {
        put(&house, &encounter(id, &rest));
    }
    let of = r#""subject":{"reference":"Patient/held"}"#;
    put(
        &house,
        &format!(
            r#"{{"resourceType":"Communication","id":"told","identifier":[{{"system":"urn:ward","value":"told"}}],"status":"completed",{of}}}"#
        ),
    );
    put(
        &house,
        &format!(
            r#"{{"resourceType":"DocumentReference","id":"letter","identifier":[{{"system":"urn:ward","value":"letter"}}],"status":"current",{of},"content":[{{"attachment":{{"contentType":"text/plain","data":"eA=="}}}}]}}"#
        ),
    );
    let own = Caller { practitioner: None, patients: vec![rid("held")], ..person(Role::Patient, "nobody") };
    let seen = |house: &House| {
        let encounters = ["over", "planned", "unknown", "reserved", "moved"].map(|id| ("Encounter", id));
        let all = encounters.into_iter().chain([("Communication", "told"), ("DocumentReference", "letter")]);
        all.filter(|(name, id)| sees(house, &own, name, id)).map(|(_, id)| id).collect::<Vec<_>>()
    };
    assert_eq!(seen(&house), ["over", "planned", "unknown", "reserved", "moved", "told", "letter"], "while free");
    let detained = labels(&[])
        .replace("[]", r#"[{"system":"https://tacet.invalid/CodeSystem/confidentiality","code":"detained"}]"#);
    put(&house, &patient_of("held", &detained));
    assert_eq!(seen(&house), ["over"]);
    house.reopen();
    // Of encounters the content decides, which the index knows.
    house.vault.wait_for_index(&mut |_| {});
    assert_eq!(seen(&house), ["over"]);
    // What was planned and is over is no plan any more, at once.
    put(&house, &encounter("planned", over));
    assert_eq!(seen(&house), ["over", "planned"]);
    put(&house, &encounter("planned", r#""status":"planned""#));
    assert_eq!(seen(&house), ["over"]);
}
