//! Example consents of IHE's Privacy Consent on FHIR in a real store: what they say holds over HTTP from the answer to the Consent on,
//! and no longer than the Consent does. What each of them means stands in the tests of `tacet-policy`.

use crate::client::Ask;
use crate::ward::{ACT_CODE, Ward};
use serde_json::{Value, json};
use tacet_vault::Role;

/// Observations: of alcohol (2022, restricted, substance use), pressure (2004), sugar (2020), weight-2 (2016), weight (2004).
const RECORDS: [&str; 5] = ["alcoholUse", "bloodPressure", "bloodSugar", "weight-2", "weight"];

/// The consent, what the practitioner in charge sees of the records, and what one sees who has nothing to do with the patient.
const TABLE: &[(&str, &str, &str)] = &[
    // Without consent, relations decide: alcohol is for who is in charge.
    ("", "+++++", "-----"),
    // It names nobody, so it opens nothing to who does not treat.
    ("consent-basic-treat", "+++++", "-----"),
    ("consent-basic-reject", "-----", "-----"),
    ("consent-basic-research", "+++++", "-----"),
    ("consent-expired-treat", "+++++", "-----"),
    ("consent-intermediate-timeframe", "+----", "-----"),
    ("consent-intermediate-not-timeframe", "-++++", "-----"),
    ("consent-intermediate-not-authoredby", "+++++", "-----"),
    ("consent-intermediate-authoredby", "-----", "-----"),
    ("consent-intermediate-not-data", "-++++", "-----"),
    ("consent-intermediate-not-encounter", "-----", "-----"),
    ("consent-advanced-normal", "-++++", "-----"),
    ("consent-advanced-normal-not-restricted", "-++++", "-----"),
    ("consent-advanced-normal-restricted", "+++++", "-----"),
    ("dissent-intermediate-break-glass", "-----", "-----"),
];

fn resource(folder: &std::path::Path, name: &str) -> Value {
    let mut value: Value = serde_json::from_slice(&tacet_testdata::read(&folder.join(format!("{name}.json")))).unwrap();
    if let Some(members) = value.as_object_mut() {
        members.remove("text");
    }
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_hold_as_their_text_says() {
    let Some(folder) = tacet_testdata::folder("ihe-pcf") else { return };
    let ward = Ward::open().await;
    let names = [
        "Organization-ex-organization",
        "Patient-ex-patient",
        "Practitioner-ex-practitioner",
        "Practitioner-ex-author",
    ];
    let mut records: Vec<Value> = names.iter().map(|name| resource(&folder, name)).collect();
    records.push(resource(&folder, "Practitioner-ex-clerk"));
    records.push(resource(&folder, "Encounter-ex-encounter"));
    records.extend(RECORDS.iter().map(|name| resource(&folder, &format!("Observation-ex-{name}"))));
    records.push(resource(&folder, "Group-ex-privilegedUsers"));
    // The guide gives no relations.
    records.push(json!({"resourceType": "Encounter", "id": "in-charge", "status": "in-progress", "class": {"system": ACT_CODE, "code": "AMB"},
        "subject": {"reference": "Patient/ex-patient"}, "period": {"start": "2026-03-01"},
        "participant": [{"individual": {"reference": "Practitioner/ex-practitioner"}}]}));
    ward.put_all(&records).await;
    let in_charge = ward.token(Role::Clinician, Some("ex-practitioner"), &[]).await;
    let another = ward.token(Role::Clinician, Some("dr-other"), &[]).await;
    let mut wrong = Vec::new();
    for (consent, seen_in_charge, seen_by_another) in TABLE {
        if !consent.is_empty() {
            ward.put_all(&[resource(&folder, &format!("Consent-ex-{consent}"))]).await;
        }
        for (who, secret, expected) in
            [("in charge", &in_charge, seen_in_charge), ("another", &another, seen_by_another)]
        {
            let mut seen = String::new();
            for name in RECORDS {
                let id = format!("ex-{name}");
                let read = ward.ask_with(secret, Ask::new("GET", &format!("/Observation/{id}"))).await;
                let found =
                    ward.ask_with(secret, Ask::new("GET", &format!("/Observation?_id={id}&_summary=count"))).await;
                assert_eq!(
                    found.value()["total"].as_u64(),
                    Some(u64::from(read.status == 200)),
                    "{consent} {who} {id}"
                );
                seen.push(if read.status == 200 { '+' } else { '-' });
            }
            if seen != **expected {
                wrong.push(format!("{consent:?} {who}: {seen}, not {expected}"));
            }
        }
        if !consent.is_empty() {
            let gone = ward.ask("machine", Ask::new("DELETE", &format!("/Consent/ex-{consent}"))).await;
            assert_eq!(gone.status, 204);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_opens_what_a_consent_leaves_to_it() {
    let Some(folder) = tacet_testdata::folder("ihe-pcf") else { return };
    let ward = Ward::open().await;
    let names = [
        "Organization-ex-organization",
        "Patient-ex-patient",
        "Practitioner-ex-practitioner",
        "Practitioner-ex-author",
        "Encounter-ex-encounter",
        "Observation-ex-weight",
        "Group-ex-privilegedUsers",
    ];
    let records: Vec<Value> = names.iter().map(|name| resource(&folder, name)).collect();
    ward.put_all(&records).await;
    let privileged = ward.token(Role::Clinician, Some("ex-practitioner"), &[]).await;
    for consent in ["dissent-intermediate-break-glass", "consent-basic-reject"] {
        ward.put_all(&[resource(&folder, &format!("Consent-ex-{consent}"))]).await;
        assert_eq!(ward.ask_with(&privileged, Ask::new("GET", "/Observation/ex-weight")).await.status, 404);
    }
    ward.emergency(&privileged, "ex-patient").await;
    let read = ward.ask_with(&privileged, Ask::new("GET", "/Observation/ex-weight")).await;
    assert_eq!(read.status, 200, "an emergency is stronger than a refusal");
    let entries = ward.entries(&read);
    assert!(entries[0].basis.as_deref().unwrap().starts_with("break-glass by "), "{:?}", entries[0].basis);
    ward.clock.advance_ms(61 * 60_000);
    let after = ward.ask_with(&privileged, Ask::new("GET", "/Observation/ex-weight")).await;
    assert_eq!(after.status, 404, "it ends by itself");
}
