//! Terminology and `$validate` over HTTP, before the real vault.

use crate::client::{Answer, Ask};
use crate::errors::is_valid;
use crate::vaulted::House;
use serde_json::{Value, json};
use tacet_ledger::EventKind;

async fn put(house: &House, path: &str, body: &Value) {
    let answer = house.ask(Ask::new("PUT", path).json(body.to_string())).await;
    assert_eq!(answer.status, 201, "{path}: {:?}", answer.body);
}

fn code_system() -> Value {
    json!({ "resourceType": "CodeSystem", "id": "c", "url": "http://c.example", "status": "active", "content": "complete",
        "concept": [{ "code": "a", "display": "Amboise", "concept": [{ "code": "b", "display": "Blois" }] }] })
}

async fn definitions() -> House {
    let house = House::open().await;
    put(&house, "/CodeSystem/c", &code_system()).await;
    let include = json!([{ "system": "http://c.example" }]);
    let set = json!({ "resourceType": "ValueSet", "id": "v", "url": "http://v.example", "status": "active",
        "compose": { "include": include } });
    put(&house, "/ValueSet/v", &set).await;
    let element = json!([{ "code": "a", "target": [{ "code": "1", "equivalence": "equal" }] }]);
    let map = json!({ "resourceType": "ConceptMap", "id": "m", "url": "http://m.example", "status": "active",
        "group": [{ "source": "http://c.example", "target": "http://t.example", "element": element }] });
    put(&house, "/ConceptMap/m", &map).await;
    house
}

fn parameter<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["parameter"].as_array().unwrap().iter().find(|parameter| parameter["name"] == name).unwrap()
}

fn expanded(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    is_valid(&answer.body);
    let contains = answer.value()["expansion"]["contains"].clone();
    contains.as_array().unwrap().iter().map(|code| code["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn terminology_answers_on_types_and_on_resources() {
    let house = definitions().await;
    let get = async |path: &str| house.ask(Ask::get(path)).await;
    assert_eq!(expanded(&get("/ValueSet/$expand?url=http://v.example").await), ["a", "b"]);
    assert_eq!(expanded(&get("/ValueSet/$expand?url=http://v.example&filter=blo&_pretty=true").await), ["b"]);
    assert_eq!(expanded(&get("/ValueSet/v/$expand?count=1").await), ["a"]);
    let inline = json!({ "resourceType": "ValueSet", "status": "draft",
        "compose": { "include": [{ "system": "http://c.example", "concept": [{ "code": "b" }] }] } });
    let posted = house.ask(Ask::new("POST", "/ValueSet/$expand").json(inline.to_string())).await;
    assert_eq!(expanded(&posted), ["b"]);

    for (path, name, member, expected) in [
        ("/CodeSystem/$lookup?system=http://c.example&code=b", "display", "valueString", json!("Blois")),
        ("/CodeSystem/$validate-code?url=http://c.example&code=b", "result", "valueBoolean", json!(true)),
        ("/CodeSystem/c/$validate-code?code=x", "result", "valueBoolean", json!(false)),
        ("/CodeSystem/$subsumes?system=http://c.example&codeA=a&codeB=b", "outcome", "valueCode", json!("subsumes")),
        ("/CodeSystem/c/$subsumes?codeA=b&codeB=a", "outcome", "valueCode", json!("subsumed-by")),
        (
            "/ValueSet/$validate-code?url=http://v.example&system=http://c.example&code=b",
            "result",
            "valueBoolean",
            json!(true),
        ),
        ("/ValueSet/v/$validate-code?system=http://c.example&code=x", "result", "valueBoolean", json!(false)),
        (
            "/ConceptMap/$translate?url=http://m.example&system=http://c.example&code=a",
            "result",
            "valueBoolean",
            json!(true),
        ),
        ("/ConceptMap/m/$translate?system=http://c.example&code=b", "result", "valueBoolean", json!(false)),
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        is_valid(&answer.body);
        assert_eq!(parameter(&answer.value(), name)[member], expected, "{path}");
        let entries = house.entries(&answer);
        assert_eq!(entries.len(), 1, "{path}");
        let on_one = path.split('?').next().unwrap().split('/').count() == 4;
        assert_eq!(entries[0].kind, if on_one { EventKind::Read } else { EventKind::Search }, "{path}");
        assert_eq!(entries[0].query.is_some(), !on_one, "{path}");
    }
    get("/ValueSet/$expand?url=http://nobody.example").await.is_refusal(404, "not-found");
    get("/ValueSet/nobody/$expand").await.is_refusal(404, "not-found");
    get("/ValueSet/$expand").await.is_refusal(400, "required");
    get("/CodeSystem/$lookup?code=a").await.is_refusal(400, "required");
    get("/ValueSet/v/$lookup?code=a").await.is_refusal(501, "not-supported");
    let both = Ask::new("POST", "/ValueSet/$expand?url=http://v.example").json(inline.to_string());
    house.ask(both).await.is_refusal(400, "not-supported");
    house.ask(Ask::new("POST", "/ValueSet/$expand").json("{")).await.is_refusal(400, "structure");
    let found = get("/Condition?code:in=http://v.example").await;
    assert_eq!(found.status, 200, "{:?}", found.body);
}

fn errors(answer: &Answer) -> usize {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    is_valid(&answer.body);
    let outcome = answer.value();
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    outcome["issue"].as_array().unwrap().iter().filter(|issue| issue["severity"] == "error").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_answers_with_an_outcome() {
    let house = House::open().await;
    let good = json!({ "resourceType": "Patient", "id": "p", "active": true });
    let bad = json!({ "resourceType": "Patient", "id": "p", "contact": [{ "gender": "female" }] });
    let post = async |path: &str, body: &Value| house.ask(Ask::new("POST", path).json(body.to_string())).await;
    assert_eq!(errors(&post("/Patient/$validate", &good).await), 0);
    let answer = post("/Patient/$validate?mode=create", &bad).await;
    assert_eq!(errors(&answer), 1);
    assert_eq!(answer.value()["issue"][0]["expression"][0], "Patient.contact[0]");
    let wrapped = json!({ "resourceType": "Parameters", "parameter": [{ "name": "resource", "resource": bad },
        { "name": "mode", "valueCode": "update" }] });
    assert_eq!(errors(&post("/Patient/q/$validate", &wrapped).await), 2, "and another id");
    assert_eq!(errors(&post("/Patient/$validate?profile=http://nobody.example", &good).await), 1);
    let xml = "<Patient xmlns=\"http://hl7.org/fhir\"><active value=\"true\"/></Patient>";
    let xml = Ask::new("POST", "/Patient/$validate").json(xml).header("content-type", "application/fhir+xml");
    assert_eq!(errors(&house.ask(xml).await), 0);

    house.ask(Ask::get("/Patient/p/$validate")).await.is_refusal(404, "not-found");
    put(&house, "/Patient/p", &good).await;
    let stored = house.ask(Ask::get("/Patient/p/$validate?mode=profile")).await;
    assert_eq!(errors(&stored), 0);
    assert_eq!(house.entries(&stored)[0].kind, EventKind::Read);
    assert_eq!(errors(&house.ask(Ask::get("/Patient/p/$validate?mode=delete")).await), 0);
    assert_eq!(house.ask(Ask::get("/Patient/p")).await.status, 200, "nothing was deleted");
    post("/Patient/$validate?mode=destroy", &good).await.is_refusal(400, "required");
    post("/Patient/$validate?name=x", &good).await.is_refusal(400, "not-supported");
    let refused = house.ask(Ask::new("PUT", "/Patient/p").json(bad.to_string())).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.value()["issue"][0]["expression"][0], "Patient.contact[0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_summary_is_validated_over_http() {
    let Some(root) = tacet_testdata::folder("ips-2.0.0") else { return };
    let listing = std::fs::read_dir(root.join("definitions")).unwrap();
    let house = House::open().await;
    for file in listing {
        let definition: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        let kind = definition["resourceType"].as_str().unwrap_or_default().to_owned();
        if ["StructureDefinition", "ValueSet", "CodeSystem"].contains(&kind.as_str()) {
            let path = format!("/{kind}/{}", definition["id"].as_str().unwrap());
            let answer = house.ask(Ask::new("PUT", &path).json(definition.to_string())).await;
            assert_eq!(answer.status, 201, "{path}: {:?}", answer.body);
        }
    }
    let example = std::fs::read(root.join("examples/Bundle-bundle-minimal.json")).unwrap();
    let path = "/Bundle/$validate?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips";
    assert_eq!(errors(&house.ask(Ask::new("POST", path).json(example.clone())).await), 0);
    let mut broken: Value = serde_json::from_slice(&example).unwrap();
    broken["entry"].as_array_mut().unwrap().remove(0);
    assert!(errors(&house.ask(Ask::new("POST", path).json(broken.to_string())).await) > 0);
}
