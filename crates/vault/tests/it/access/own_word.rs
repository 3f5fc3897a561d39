//! Whoever has little writes themselves into a record: they see no more for it.

use super::{labels, observation_of, person, put, sees, ward};
use crate::house::*;
use pollster::block_on;
use tacet_vault::{Caller, Role, VaultError};

/// What a ward does not see.
const CLOSED: [&str; 4] = ["hiv", "psychiatry", "very-restricted", "transport"];

/// A ward with who works there and has nothing but that to do with the patient who lies in it.
fn of_the_unit() -> House {
    let house = ward();
    put(&house, r#"{"resourceType":"Location","id":"unit","status":"active","name":"Unit"}"#);
    for name in ["nurse", "dr-c"] {
        put(&house, &format!(r#"{{"resourceType":"Practitioner","id":"{name}","active":true}}"#));
        put(
            &house,
            &format!(
                r#"{{"resourceType":"PractitionerRole","id":"of-{name}","active":true,"practitioner":{{"reference":"Practitioner/{name}"}},"location":[{{"reference":"Location/unit"}}]}}"#
            ),
        );
    }
    put(
        &house,
        r#"{"resourceType":"Encounter","id":"stay-mine","status":"in-progress","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},"subject":{"reference":"Patient/mine"},"period":{"start":"2026-02-01T08:00:00Z"},"participant":[{"individual":{"reference":"Practitioner/dr-a"}}],"location":[{"location":{"reference":"Location/unit"}}]}"#,
    );
    let transport =
        r#""meta":{"security":[{"system":"https://tacet.invalid/CodeSystem/confidentiality","code":"transport"}]},"#;
    for (id, security) in [
        ("hiv", labels(&[("v3-ActCode", "HIV")])),
        ("psychiatry", labels(&[("v3-ActCode", "PSY")])),
        ("very-restricted", labels(&[("v3-Confidentiality", "V")])),
        ("transport", transport.to_owned()),
    ] {
        put(&house, &observation_of(id, "mine", &security));
    }
    house
}

fn closed(house: &House, who: &Caller) -> Vec<&'static str> {
    CLOSED.into_iter().filter(|id| !sees(house, who, "Observation", id)).collect()
}

/// Records that name somebody, each with what it opens if others wrote it.
fn naming(who: &str) -> [(&'static str, String, &'static [&'static str]); 3] {
    let who = format!(r#"{{"reference":"Practitioner/{who}"}}"#);
    let of = r#""subject":{"reference":"Patient/mine"}"#;
    [
        (
            "ServiceRequest",
            format!(
                r#"{{"resourceType":"ServiceRequest","status":"active","intent":"order",{of},"authoredOn":"2026-02-10","requester":{who}}}"#
            ),
            &CLOSED,
        ),
        (
            "Encounter",
            format!(
                r#"{{"resourceType":"Encounter","status":"in-progress","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},{of},"period":{{"start":"2026-02-10"}},"participant":[{{"individual":{who}}}]}}"#
            ),
            &[],
        ),
        (
            "CareTeam",
            format!(r#"{{"resourceType":"CareTeam","status":"active",{of},"participant":[{{"member":{who}}}]}}"#),
            &[],
        ),
    ]
}

fn with_id(text: &str, id: &str) -> String {
    text.replacen("{", &format!(r#"{{"id":"{id}","#), 1)
}

#[test]
fn whoever_names_themselves_sees_what_the_ward_sees() {
    for (role, name) in [(Role::Nurse, "nurse"), (Role::Clinician, "dr-c")] {
        for (kind_name, text, left) in naming(name) {
            let mut house = of_the_unit();
            let who = person(role, name);
            let update = |house: &House, by: &Caller, id: &str| {
                let text = with_id(&text, id);
                block_on(house.vault.update(by, kind(kind_name), &rid(id), text.as_bytes(), BASE_URL, None, false))
                    .unwrap_or_else(|error| panic!("{kind_name}: {error}"));
            };
            assert!(sees(&house, &who, "Observation", "mine"), "by the ward");
            assert_eq!(closed(&house, &who), CLOSED);
            let stored = block_on(house.vault.create(&who, kind(kind_name), text.as_bytes(), BASE_URL))
                .unwrap_or_else(|error| panic!("{kind_name}: {error}"));
            let id = stored.record.id.as_str().to_owned();
            assert_eq!(closed(&house, &who), CLOSED, "{kind_name} by {role}");
            // Again, and after a restart: still nobody else has said so.
            update(&house, &who, &id);
            house.reopen();
            assert_eq!(closed(&house, &who), CLOSED, "{kind_name} by {role}");
            // Nor is a label taken away.
            let lowered = observation_of("mine", "mine", &labels(&[("v3-ActCode", "SDV")]));
            put(&house, &lowered);
            let bare = observation_of("mine", "mine", "");
            let lowered = block_on(house.vault.update(
                &who,
                kind("Observation"),
                &rid("mine"),
                bare.as_bytes(),
                BASE_URL,
                None,
                false,
            ));
            assert!(matches!(lowered, Err(VaultError::NotAllowed(_) | VaultError::NotFound)));
            // A colleague, or a machine, says so: as if they had been named from the first.
            update(&house, &caller(Role::Integrator), &id);
            assert_eq!(closed(&house, &who), left, "{kind_name} by a machine");
            update(&house, &who, &id);
            assert_eq!(closed(&house, &who), left, "{kind_name}: somebody else had said so");
            house.reopen();
            assert_eq!(closed(&house, &who), left, "{kind_name}: somebody else had said so");
            house.assert_sound();
        }
    }
}

#[test]
fn what_is_made_ahead_is_what_would_be_made() {
    let house = ward();
    house.vault.warm().unwrap();
    assert!(sees(&house, &super::dr_a(), "Observation", "mine"));
    assert!(!sees(&house, &super::dr_a(), "Observation", "other"));
}

#[test]
fn a_colleague_opens_what_a_colleague_may_open() {
    for (kind_name, text, left) in naming("nurse") {
        let house = of_the_unit();
        let nurse = person(Role::Nurse, "nurse");
        block_on(house.vault.create(&super::dr_a(), kind(kind_name), text.as_bytes(), BASE_URL))
            .unwrap_or_else(|error| panic!("{kind_name}: {error}"));
        assert_eq!(closed(&house, &nurse), left, "{kind_name}");
    }
}
