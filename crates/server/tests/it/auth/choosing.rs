//! On the page of consent: whose record, and which stay.

use super::apps::{browser_of, exchange, hidden, param, request, web_app};
use super::{Browser, post_form};
use crate::admin::{Office, clinician, ward};
use crate::client::{Answer, Ask};
use serde_json::{Value, json};

const SCOPES: [&str; 3] = ["launch/patient", "launch/encounter", "patient/Encounter.r"];

async fn page(office: &Office, browser: &mut Browser, client: &str) -> Answer {
    let page = browser.ask(office, Ask::new("GET", &request(client, &SCOPES.join(" ")))).await;
    assert_eq!(page.status, 200);
    page
}

async fn choose(office: &Office, browser: &mut Browser, client: &str, patient: &str, encounter: &str) -> Answer {
    let page = page(office, browser, client).await;
    let ticket = hidden(&page, "ticket");
    let mut fields =
        vec![("ticket", ticket.as_str()), ("decision", "allow"), ("patient", patient), ("encounter", encounter)];
    fields.extend(["scope0", "scope1", "scope2"].into_iter().zip(SCOPES));
    browser.ask(office, post_form("/oauth/consent", &fields)).await
}

/// A stay of a patient with this doctor.
fn stay(id: &str, patient: &str, doctor: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": id, "status": "in-progress",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
        "subject": { "reference": format!("Patient/{patient}") }, "period": { "start": "2026-03-01T07:00:00Z" },
        "participant": [{ "individual": { "reference": format!("Practitioner/{doctor}") } }],
    })
}

#[tokio::test]
async fn a_stay_is_given_with_its_patient_and_to_who_may_see_it() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    for patient in ["second", "third"] {
        office.put(json!({ "resourceType": "Patient", "id": patient, "name": [{ "family": "Amiee221" }] })).await;
    }
    office.put(json!({ "resourceType": "Practitioner", "id": "dr-b", "active": true })).await;
    office.put(stay("of-second", "second", "dr-a")).await;
    office.put(stay("of-third", "third", "dr-b")).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let client = web_app(&office, &SCOPES.join(" ")).await;
    let mut browser = browser_of(&doctor);

    let shown = page(&office, &mut browser, &client).await;
    let text = String::from_utf8(shown.body.to_vec()).unwrap();
    for part in ["id=\"search\"", "id=\"born\"", "id=\"encounters\"", "/auth/files/consent.js"] {
        assert!(text.contains(part), "{part}");
    }
    let script = Ask::new("GET", "/auth/files/consent.js").send(office.address).await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));

    // Another patient's, one that is not there, one that the doctor may not see, and one beside nobody: all alike.
    let mut refusals = Vec::new();
    for (patient, encounter) in [("mine", "of-second"), ("mine", "nothing"), ("mine", "of-third"), ("", "stay")] {
        let answer = choose(&office, &mut browser, &client, patient, encounter).await;
        assert_eq!(answer.status, 400, "{patient} {encounter}");
        refusals.push(answer.body);
    }
    assert!(refusals.iter().all(|body| *body == refusals[0]));
    let unseen = choose(&office, &mut browser, &client, "third", "of-third").await;
    assert_eq!(unseen.status, 400);

    let back = choose(&office, &mut browser, &client, "mine", "stay").await;
    let tokens = exchange(&office, &client, &param(&back, "code")).await.value();
    assert_eq!((&tokens["patient"], &tokens["encounter"]), (&json!("mine"), &json!("stay")));
    // What was looked at for the choice is in the ledger, in the doctor's name.
    let looked = office.entries();
    let looked = looked.iter().filter(|entry| entry.agent.owner == "dr-a");
    assert!(looked.flat_map(|entry| &entry.records).any(|record| record.id.as_str() == "stay"));
    let back = choose(&office, &mut browser, &client, "second", "").await;
    let tokens = exchange(&office, &client, &param(&back, "code")).await.value();
    assert_eq!((&tokens["patient"], tokens.get("encounter")), (&json!("second"), None));
}
