//! Searches and conditional requests over HTTP, on the real vault.

use crate::client::{Answer, Ask};
use crate::vaulted::House;
use serde_json::{Value, json};

async fn patients(house: &House) {
    for (id, family, birth) in
        [("a", "Ménard", "1980-02-29"), ("b", "Menard", "1991-07-01"), ("c", "Roux", "1980-05-05")]
    {
        let body = json!({
            "resourceType": "Patient", "id": id, "birthDate": birth, "name": [{ "family": family }],
            "identifier": [{ "system": "urn:oid:1.2.3", "value": format!("n-{id}") }],
        });
        let stored = house.ask(Ask::new("PUT", &format!("/Patient/{id}")).json(body.to_string())).await;
        assert_eq!(stored.status, 201, "{:?}", stored.body);
    }
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    crate::errors::is_valid(&answer.body);
    let value = answer.value();
    let entries = value["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().filter_map(|entry| entry["resource"]["id"].as_str().map(str::to_owned)).collect()
}

fn link(answer: &Answer, relation: &str) -> Option<String> {
    let value = answer.value();
    let links = value["link"].as_array().cloned().unwrap_or_default();
    let found = links.iter().find(|link| link["relation"] == relation)?;
    found["url"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_by_url_and_by_form() {
    let house = House::open().await;
    patients(&house).await;
    let mut found = ids(&house.ask(Ask::get("/Patient?family=menard")).await);
    found.sort();
    assert_eq!(found, ["a", "b"]);
    assert_eq!(ids(&house.ask(Ask::get("/Patient?birthdate=1980&family:exact=Roux")).await), ["c"]);
    assert_eq!(ids(&house.ask(Ask::get("/Patient?identifier=urn:oid:1.2.3%7Cn-b")).await), ["b"]);
    let sorted = house.ask(Ask::get("/Patient?_sort=-birthdate&_elements=birthDate")).await;
    assert_eq!(ids(&sorted), ["b", "c", "a"]);
    assert!(sorted.value()["entry"][0]["resource"].get("name").is_none());
    let form = Ask::new("POST", "/Patient/_search?birthdate=1980").json("family=roux");
    let form = house.ask(form.header("content-type", "application/x-www-form-urlencoded")).await;
    assert_eq!(ids(&form), ["c"]);
    let all = house.ask(Ask::get("/?_type=Patient&_summary=count")).await;
    assert_eq!(all.value()["total"], 3);
    assert!(all.value().get("entry").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_is_written_down_and_its_link_tells_nothing() {
    let house = House::open().await;
    patients(&house).await;
    let mut page = house.ask(Ask::get("/Patient?identifier=urn:oid:1.2.3%7C&_count=1")).await;
    let mut seen = Vec::new();
    loop {
        let found = ids(&page);
        assert_eq!(found.len(), 1);
        let entries = house.entries(&page);
        assert_eq!(entries.len(), 1, "one patient, one entry");
        assert!(entries[0].records.iter().any(|record| record.id.as_str() == found[0]));
        assert!(entries[0].query.as_deref().unwrap().contains("identifier=urn:oid:1.2.3|"));
        seen.extend(found);
        let Some(next) = link(&page, "next") else { break };
        let path = next.strip_prefix(&house.base_url).unwrap();
        assert!(!next.contains("identifier") && path.starts_with("/Patient?_count=1&_cursor="), "{next}");
        let other = Ask::get(&path.replace("/Patient?", "/Observation?"));
        assert_eq!(house.ask(other).await.status, 400, "a cursor is good for its own search");
        page = house.ask(Ask::get(path)).await;
        assert!(seen.len() <= 3);
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    for path in ["/Patient?family=nobody", "/Patient?_summary=count", "/Observation?code=x"] {
        let empty = house.ask(Ask::get(path)).await;
        assert!(ids(&empty).is_empty());
        assert_eq!(house.entries(&empty).len(), 1, "what was not found and what was counted is written down: {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_parameters_are_refused_unless_asked_otherwise() {
    let house = House::open().await;
    patients(&house).await;
    let strict = house.ask(Ask::get("/Patient?colour=red&family=roux")).await;
    assert_eq!(strict.status, 400);
    assert!(!String::from_utf8_lossy(&strict.body).contains("red"));
    let lenient = house.ask(Ask::get("/Patient?colour=red&family=roux").header("prefer", "handling=lenient")).await;
    let value = lenient.value();
    let modes: Vec<&Value> = value["entry"].as_array().unwrap().iter().map(|entry| &entry["search"]["mode"]).collect();
    assert_eq!(modes, ["match", "outcome"]);
    assert!(!link(&lenient, "self").unwrap().contains("colour"));
    for path in
        ["/Patient?birthdate=yesterday", "/Patient?_sort=colour", "/Patient?family:above=x", "/Patient?_cursor=x"]
    {
        assert_eq!(house.ask(Ask::get(path)).await.status, 400, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_requests_change_the_one_that_fits() {
    let house = House::open().await;
    patients(&house).await;
    let body = r#"{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"n-d"}]}"#;
    let create = |criteria: &str| Ask::new("POST", "/Patient").json(body).header("if-none-exist", criteria);
    let made = house.ask(create("identifier=urn:oid:1.2.3|n-d")).await;
    assert_eq!(made.status, 201);
    let again = house.ask(create("identifier=urn:oid:1.2.3|n-d")).await;
    assert_eq!((again.status, again.header("location")), (200, made.header("location")));
    assert_eq!(house.ask(create("birthdate=1980")).await.status, 412, "two fit");
    let updated = Ask::new("PUT", "/Patient?identifier=urn:oid:1.2.3%7Cn-d");
    let updated = house.ask(updated.json(body.replace("\"identifier\"", "\"active\":true,\"identifier\""))).await;
    assert_eq!((updated.status, updated.value()["active"].as_bool()), (200, Some(true)), "{:?}", updated.body);
    let patch = Ask::new("PATCH", "/Patient?identifier=urn:oid:1.2.3%7Cn-d");
    let patch = patch.json(r#"[{"op":"replace","path":"/active","value":false}]"#);
    let patched = house.ask(patch.header("content-type", "application/json-patch+json")).await;
    assert_eq!((patched.status, patched.value()["active"].as_bool()), (200, Some(false)), "{:?}", patched.body);
    assert_eq!(house.ask(Ask::new("DELETE", "/Patient?identifier=urn:oid:1.2.3%7Cn-d")).await.status, 204);
    assert!(ids(&house.ask(Ask::get("/Patient?identifier=urn:oid:1.2.3%7Cn-d")).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_of_three_kinds_make_new_versions() {
    let house = House::open().await;
    patients(&house).await;
    let fhirpath = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" }, { "name": "path", "valueString": "Patient.birthDate" },
        { "name": "value", "valueDate": "1981-01-01" }] }] });
    for (version, kind, body, birth) in [
        (
            2,
            "application/json-patch+json",
            r#"[{"op":"replace","path":"/birthDate","value":"1982-01-01"}]"#.to_owned(),
            "1982-01-01",
        ),
        (3, "application/fhir+json", fhirpath.to_string(), "1981-01-01"),
        (4, "application/merge-patch+json", r#"{"birthDate":"1983-01-01"}"#.to_owned(), "1983-01-01"),
        (5, "application/json", r#"{"birthDate":"1984-01-01"}"#.to_owned(), "1984-01-01"),
    ] {
        let patched = house.ask(Ask::new("PATCH", "/Patient/a").json(body).header("content-type", kind)).await;
        assert_eq!(patched.status, 200, "{kind}: {:?}", patched.body);
        let value = patched.value();
        assert_eq!(
            (value["birthDate"].as_str(), value["meta"]["versionId"].as_str()),
            (Some(birth), Some(&*version.to_string()))
        );
        assert_eq!(ids(&house.ask(Ask::get(&format!("/Patient?birthdate={birth}"))).await), ["a"], "found at once");
    }
    let refused = Ask::new("PATCH", "/Patient/a").json(r#"[{"op":"remove","path":"/nothing"}]"#);
    let refused = house.ask(refused.header("content-type", "application/json-patch+json")).await;
    assert_eq!(refused.status, 422, "{:?}", refused.body);
    let stale = Ask::new("PATCH", "/Patient/a").json("{}").header("if-match", "W/\"1\"");
    assert_eq!(house.ask(stale).await.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_made_anew_while_it_answers() {
    let house = House::open().await;
    patients(&house).await;
    let operator = house.token_of(tacet_vault::Role::Operator).await;
    let ask = |method: &str, path: &str| Ask::new(method, path).bearer(&operator).send(house.address);
    let status = ask("GET", "/_index").await;
    assert_eq!((status.status, status.value()["state"].as_str()), (200, Some("ready")));
    assert_eq!(status.value()["documents"], 3);
    assert_eq!(ask("POST", "/_index/$rebuild").await.status, 202);
    loop {
        assert_eq!(ids(&house.ask(Ask::get("/Patient?family=roux")).await), ["c"], "it goes on answering");
        if ask("GET", "/_index").await.value()["state"] == "ready" {
            break;
        }
    }
    assert_eq!(ask("GET", "/Patient?family=roux").await.status, 403, "maintaining is not reading");
}
