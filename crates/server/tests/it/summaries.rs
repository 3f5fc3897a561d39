//! `$summary` over HTTP before the real vault: what is in it, in which forms, and what the ledger says of it.

use crate::client::Ask;
use crate::vaulted::House;
use crate::ward::{Chart, Ward};
use serde_json::{Value, json};
use tacet_ledger::EventKind;

async fn put(house: &House, body: Value) {
    let path = format!("/{}/{}", body["resourceType"].as_str().unwrap(), body["id"].as_str().unwrap());
    let answer = house.ask(Ask::new("PUT", &path).json(body.to_string())).await;
    assert!(matches!(answer.status, 200 | 201), "{path}: {:?}", answer.body);
}

async fn filled() -> House {
    let house = House::open().await;
    let subject = json!({"reference": "Patient/p"});
    put(&house, json!({"resourceType": "Practitioner", "id": "d", "name": [{"family": "Doctor"}]})).await;
    for (id, value) in [("p", "one"), ("q", "two"), ("r", "two")] {
        put(
            &house,
            json!({"resourceType": "Patient", "id": id, "identifier": [{"system": "urn:ins", "value": value}],
            "name": [{"family": "DUPONT", "given": ["Zoé"]}], "birthDate": "1980-02-01"}),
        )
        .await;
    }
    put(&house, json!({"resourceType": "AllergyIntolerance", "id": "a", "patient": subject, "code": {"text": "<Pénicilline>"},
        "recorder": {"reference": "Practitioner/d"}, "encounter": {"reference": "Encounter/none"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}}))
    .await;
    // Of no use for a summary: it is not even opened.
    put(&house, json!({"resourceType": "Account", "id": "ac", "status": "active", "subject": [subject]})).await;
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_a_document_and_in_the_ledger() {
    let house = filled().await;
    let answer = house.ask(Ask::get("/Patient/p/$summary?_lang=en")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.header("content-language"), Some("en"));
    let bundle = answer.value();
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("document")));
    let types: Vec<&str> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["Composition", "Patient", "Organization", "AllergyIntolerance", "Practitioner"]);
    let sections = bundle["entry"][0]["resource"]["section"].as_array().unwrap();
    let allergies = sections.iter().find(|section| section["code"]["coding"][0]["code"] == "48765-2").unwrap();
    assert_eq!(allergies["entry"][0]["reference"], bundle["entry"][3]["fullUrl"]);
    assert!(allergies["text"]["div"].as_str().unwrap().contains("&lt;Pénicilline&gt;"));

    let entries = house.entries(&answer);
    let named: Vec<String> = entries
        .iter()
        .flat_map(|entry| entry.records.iter().map(|record| format!("{}/{}", record.resource_type, record.id.as_str())))
        .collect();
    assert_eq!(named, ["Patient/p", "AllergyIntolerance/a", "Practitioner/d"]);
    assert!(
        entries.iter().all(|entry| entry.kind == EventKind::Everything && entry.query.as_deref() == Some("$summary"))
    );

    house.ask(Ask::get("/Patient/none/$summary")).await.is_refusal(404, "not-found");
    house.ask(Ask::get("/Patient/p/$summary?profile=urn:x")).await.is_refusal(501, "not-supported");
    house.ask(Ask::get("/Patient/p/$summary?_count=3")).await.is_refusal(400, "not-supported");
    house.ask(Ask::get("/Patient/p/$summary").header("accept", "image/png")).await.is_refusal(406, "not-supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_has_three_forms_and_two_ways() {
    let house = filled().await;
    let pdf = house.ask(Ask::get("/Patient/p/$summary").header("accept", "application/pdf")).await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, Some("application/pdf")));
    assert!(pdf.body.starts_with(b"%PDF-") && !pdf.header("content-disposition").unwrap().contains("DUPONT"));
    assert!(!house.entries(&pdf).is_empty());
    let xml = house.ask(Ask::get("/Patient/p/$summary").header("accept", "application/fhir+xml")).await;
    assert!(xml.status == 200 && String::from_utf8_lossy(&xml.body).contains("<Composition>"));

    let profile = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips|2.0.0";
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "identifier", "valueString": "urn:ins|one"}, {"name": "profile", "valueCanonical": profile}]});
    let found = house.ask(Ask::new("POST", "/Patient/$summary").json(parameters.to_string())).await;
    assert_eq!(found.status, 200, "{:?}", found.body);
    assert_eq!(found.value()["entry"][3]["resource"]["resourceType"], "AllergyIntolerance");
    let posted = Ask::new("POST", "/Patient/p/$summary").json(json!({"resourceType": "Parameters"}).to_string());
    assert_eq!(house.ask(posted).await.status, 200);
    house.ask(Ask::get("/Patient/$summary?identifier=urn:ins|two")).await.is_refusal(412, "multiple-matches");
    house.ask(Ask::get("/Patient/$summary?identifier=urn:ins|three")).await.is_refusal(404, "not-found");
    house.ask(Ask::get("/Patient/$summary")).await.is_refusal(400, "invalid");
}

/// Who sees what is about a patient and not who it is gets no summary, and nothing is written down as shown to them: it is looked at before anything opens.
#[tokio::test(flavor = "multi_thread")]
async fn a_summary_of_a_hidden_patient_opens_nothing() {
    let ward = Ward::open().await;
    let labels = [("http://terminology.hl7.org/CodeSystem/v3-ActCode", "HIV")];
    ward.put_all(&Chart { labels: &labels, ..Chart::of("p-half") }.records()).await;
    assert_eq!(ward.get("nurse", "/Patient/p-half").await.status, 404);
    assert_eq!(ward.get("nurse", "/Observation/o-p-half").await.status, 200, "what is about them is seen");
    let answer = ward.get("nurse", "/Patient/p-half/$summary").await;
    assert_eq!(answer.status, 404);
    let entries = ward.entries(&answer);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].outcome, tacet_ledger::Outcome::Refused);
    assert!(entries[0].records.iter().all(|record| record.id.as_str() == "p-half"), "{entries:?}");
}
