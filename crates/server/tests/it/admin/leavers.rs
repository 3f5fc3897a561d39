//! Who leaves by the FHIR data loses the account; nobody gains one, nor a role, by it.

use super::{Office, Somebody, clinician, ward};
use serde_json::{Value, json};
use tacet_seal::SecureRng;

async fn round(office: &Office) -> usize {
    office.people.round(&SecureRng).await.unwrap().closed
}

async fn state(office: &Office, staff: &Somebody, of: &Somebody) -> Value {
    let account = office.ask(staff, "GET", &format!("/_accounts/{}", of.id), None).await.value();
    json!([account["state"], account["role"], account["ends"]])
}

pub(super) fn role(id: &str, practitioner: &str, code: &str, more: Value) -> Value {
    let mut role = json!({ "resourceType": "PractitionerRole", "id": id, "active": true,
        "practitioner": { "reference": format!("Practitioner/{practitioner}") },
        "code": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": code }] }] });
    role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    role
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_longer_active_or_has_no_role_left_loses_the_account() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    office.put(json!({ "resourceType": "Practitioner", "id": "dr-b" })).await;
    let first = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let second = office.employ(&staff, clinician("dr.b", "dr-b")).await;
    office.put(role("r1", "dr-b", "doctor", json!({}))).await;
    office.put(role("r2", "dr-b", "doctor", json!({ "period": { "end": "2027-01-31" } }))).await;
    assert_eq!(round(&office).await, 0);
    assert_eq!(office.ask(&first, "GET", "/Patient/mine", None).await.status, 200);
    office.put(json!({ "resourceType": "Practitioner", "id": "dr-a", "active": false })).await;
    assert_eq!(round(&office).await, 1);
    assert_eq!(state(&office, &staff.adm1, &first).await[0], "closed");
    assert_eq!(office.ask(&first, "GET", "/Patient/mine", None).await.status, 401, "the session ends with it");
    assert_eq!(state(&office, &staff.adm1, &second).await, json!(["active", "clinician", null]));
    // One role is left, with an end: the account has it too.
    office.put(role("r1", "dr-b", "doctor", json!({ "active": false }))).await;
    assert_eq!(round(&office).await, 0);
    assert_eq!(state(&office, &staff.adm1, &second).await[2], "2027-01-31T23:59:59.000Z");
    // A later end, or none, is not for the data to give.
    office.put(role("r1", "dr-b", "doctor", json!({}))).await;
    assert_eq!(round(&office).await, 0);
    assert_eq!(state(&office, &staff.adm1, &second).await[2], "2027-01-31T23:59:59.000Z");
    office.put(role("r1", "dr-b", "doctor", json!({ "active": false }))).await;
    office.put(role("r2", "dr-b", "doctor", json!({ "period": { "end": "2026-02-28" } }))).await;
    assert_eq!(round(&office).await, 1);
    assert_eq!(state(&office, &staff.adm1, &second).await[0], "closed");
    // Back in the data is not back in the account.
    office.put(json!({ "resourceType": "Practitioner", "id": "dr-a", "active": true })).await;
    assert_eq!(round(&office).await, 0);
    assert_eq!(state(&office, &staff.adm1, &first).await[0], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_role_gives_nothing_by_itself() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let mut wanted = clinician("n.a", "dr-a");
    wanted["role"] = json!("nurse");
    let nurse = office.employ(&staff, wanted).await;
    office.put(role("r1", "dr-a", "doctor", json!({}))).await;
    for _ in 0..2 {
        assert_eq!(round(&office).await, 0);
    }
    assert_eq!(state(&office, &staff.adm1, &nurse).await, json!(["active", "nurse", null]));
}

/// A change of profession in French data is noticed, wherever the profession stands: in the role (FR Core), or in the practitioner's qualification
/// (Annuaire Santé), where the role has kinds of activity only.
#[tokio::test(flavor = "multi_thread")]
async fn another_french_profession_is_a_request_for_a_second_person() {
    let professions = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante";
    let concept = |system: &str, code: &str| json!({ "coding": [{ "system": system, "code": code }] });
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    office.put(json!({ "resourceType": "Practitioner", "id": "dr-b" })).await;
    let requests = async || {
        let answer = office.ask(&staff.sec, "GET", "/_approvals?standing=pending", None).await.value();
        let mut roles: Vec<(String, String)> = Vec::new();
        for one in answer["approvals"].as_array().unwrap().iter().filter(|one| one["kind"] == "role-change") {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            roles.push((text(&one["concerns"]["login"]), text(&one["act"]["role"])));
        }
        roles.sort();
        roles
    };
    let follow = async || {
        let since = tacet_types::Timestamp::parse("2026-03-01T00:00:00Z").unwrap();
        office.people.follow_practitioners(&SecureRng, since).await.unwrap().closed
    };
    for (login, practitioner) in [("n.a", "dr-a"), ("n.b", "dr-b")] {
        let mut wanted = clinician(login, practitioner);
        wanted["role"] = json!("nurse");
        office.employ(&staff, wanted).await;
    }
    let mut nurse = role("r1", "dr-a", "60", json!({}));
    nurse["code"] = json!([concept(professions, "60")]);
    office.put(nurse.clone()).await;
    let mode = "https://mos.esante.gouv.fr/NOS/TRE_R23-ModeExercice/FHIR/TRE-R23-ModeExercice";
    let mut salaried = role("r2", "dr-b", "S", json!({}));
    salaried["code"] = json!([concept(mode, "S")]);
    office.put(salaried).await;
    assert_eq!(follow().await, 0);
    assert_eq!(requests().await, []);
    nurse["code"] = json!([concept(professions, "10")]);
    office.put(nurse).await;
    let qualified = json!([{ "code": concept("urn:oid:1.2.250.1.71.1.2.7", "21") }]);
    office.put(json!({ "resourceType": "Practitioner", "id": "dr-b", "qualification": qualified })).await;
    assert_eq!(follow().await, 0);
    let expected = [("n.a", "clinician"), ("n.b", "pharmacist")];
    assert_eq!(requests().await, expected.map(|(login, role)| (login.to_owned(), role.to_owned())));
}
