//! `$meta` and its changes, `Patient/$match` and the time of `$everything`, over HTTP, on the real vault.

use crate::client::Ask;
use crate::vaulted::House;
use serde_json::{Value, json};
use tacet_vault::Role;

async fn put(house: &House, path: &str, body: Value) {
    let stored = house.ask(Ask::new("PUT", path).json(body.to_string())).await;
    assert_eq!(stored.status, 201, "{:?}", stored.body);
}

async fn patients(house: &House) {
    for (id, family, given) in [("a", "Ménard", "Zoé"), ("b", "Menuisier", "Paul"), ("c", "Roux", "Anne")] {
        let body = json!({
            "resourceType": "Patient", "id": id, "birthDate": "1980-02-29", "name": [{ "family": family, "given": [given] }],
            "identifier": [{ "system": "urn:oid:1.2.3", "value": format!("n-{id}") }],
        });
        put(house, &format!("/Patient/{id}"), body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_shown_added_and_taken_away() {
    let house = House::open().await;
    patients(&house).await;
    let label = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "meta", "valueMeta": { "security": [{ "system": "urn:s", "code": "R" }] } }] });
    let ask = |method: &str, name: &str| Ask::new(method, &format!("/Patient/a/{name}")).json(label.to_string());
    let added = house.ask(ask("POST", "$meta-add")).await;
    assert_eq!(added.status, 200, "{:?}", added.body);
    let meta = &added.value()["parameter"][0];
    assert_eq!((&meta["name"], &meta["valueMeta"]["versionId"]), (&json!("return"), &json!("2")));
    assert_eq!(meta["valueMeta"]["security"][0]["code"], "R");
    let shown = house.ask(Ask::get("/Patient/a/$meta")).await;
    assert_eq!((shown.status, &shown.body), (200, &added.body));
    assert_eq!(house.entries(&shown).len(), 1, "it is a read");
    let empty = Ask::new("POST", "/Patient/a/$meta").json(r#"{"resourceType":"Parameters"}"#);
    assert_eq!(house.ask(empty).await.body, added.body);
    house.ask(ask("POST", "$meta")).await.is_refusal(400, "invalid");
    house.ask(ask("POST", "$meta-delete").header("if-match", "W/\"1\"")).await.is_refusal(412, "conflict");
    let gone = house.ask(ask("POST", "$meta-delete").header("if-match", "W/\"2\"")).await;
    assert!(gone.value()["parameter"][0]["valueMeta"].get("security").is_none(), "{:?}", gone.body);
    assert_eq!(house.ask(Ask::get("/Patient/nobody/$meta")).await.status, 404);
    let operator = house.token_of(Role::Operator).await;
    assert_eq!(ask("POST", "$meta-add").bearer(&operator).send(house.address).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_are_matched_with_score_and_grade() {
    let house = House::open().await;
    patients(&house).await;
    let patient = json!({ "resourceType": "Patient", "birthDate": "1980-02-29", "name": [{ "family": "Menard" }] });
    let parameters =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "resource", "resource": patient }] });
    let found = house.ask(Ask::new("POST", "/Patient/$match").json(parameters.to_string())).await;
    assert_eq!(found.status, 200, "{:?}", found.body);
    crate::errors::is_valid(&found.body);
    let bundle = found.value();
    assert_eq!((&bundle["type"], &bundle["total"]), (&json!("searchset"), &json!(2)));
    assert!(!bundle["link"].to_string().contains("1980"), "the link tells nothing of who was looked for");
    let entries = bundle["entry"].as_array().unwrap();
    assert_eq!((&entries[0]["resource"]["id"], &entries[1]["resource"]["id"]), (&json!("a"), &json!("b")));
    let search = &entries[0]["search"];
    assert_eq!(search["extension"][0]["url"], "http://hl7.org/fhir/StructureDefinition/match-grade");
    assert_eq!((&search["extension"][0]["valueCode"], &search["mode"]), (&json!("possible"), &json!("match")));
    assert!(search["score"].as_f64().unwrap() > entries[1]["search"]["score"].as_f64().unwrap());
    assert_eq!(house.entries(&found).len(), 2, "one entry for each patient");

    let by_identifier =
        json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2.3", "value": "n-c" }] });
    let ask = Ask::new("POST", "/Patient/$match?onlyCertainMatches=true").json(by_identifier.to_string());
    let certain = house.ask(ask).await.value();
    assert_eq!(certain["entry"][0]["resource"]["id"], "c");
    assert_eq!(certain["entry"][0]["search"]["score"], 1.0);
    let nobody = json!({ "resourceType": "Patient", "birthDate": "1911-11-11" }).to_string();
    let nobody = house.ask(Ask::new("POST", "/Patient/$match").json(nobody)).await;
    assert_eq!((&nobody.value()["total"], house.entries(&nobody).len()), (&json!(0), 1));
    for (refused, query) in
        [(json!({ "name": [{ "family": "Menard" }] }), ""), (patient.clone(), "?colour=blue"), (patient, "?count=x")]
    {
        let mut body = refused;
        body["resourceType"] = json!("Patient");
        let answer = house.ask(Ask::new("POST", &format!("/Patient/$match{query}")).json(body.to_string())).await;
        assert_eq!(answer.status, 400, "{:?}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_takes_a_time_of_care() {
    let house = House::open().await;
    patients(&house).await;
    for year in [2019, 2020, 2021] {
        let body = json!({ "resourceType": "Observation", "id": format!("o{year}"), "status": "final", "code": { "text": "x" },
            "effectiveDateTime": format!("{year}-05-05"), "subject": { "reference": "Patient/a" } });
        put(&house, &format!("/Observation/o{year}"), body).await;
    }
    let ask = |query: &str| Ask::get(&format!("/Patient/a/$everything{query}"));
    let in_time = house.ask(ask("?start=2020&end=2020-05-05")).await;
    let ids: Vec<String> = in_time.value()["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["a", "o2020"]);
    house.ask(ask("?start=soon")).await.is_refusal(400, "invalid");
}
