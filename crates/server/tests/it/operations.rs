//! Operations on records and on what is known of them, over HTTP before the real vault.

use crate::client::{Answer, Ask};
use crate::errors::is_valid;
use crate::vaulted::House;
use serde_json::{Value, json};
use tacet_ledger::EventKind;

async fn put(house: &House, path: &str, body: &Value) {
    let answer = house.ask(Ask::new("PUT", path).json(body.to_string())).await;
    assert!(matches!(answer.status, 200 | 201), "{path}: {:?}", answer.body);
}

fn meta_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    is_valid(&answer.body);
    assert_eq!(answer.value()["parameter"][0]["name"], "return");
    answer.value()["parameter"][0]["valueMeta"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_told_at_every_level() {
    let house = House::open().await;
    let tagged = |id: &str, code: &str| json!({ "resourceType": "Patient", "id": id, "meta": { "tag": [{ "system": "urn:t", "code": code }] } });
    put(&house, "/Patient/p", &tagged("p", "a")).await;
    put(&house, "/Patient/q", &tagged("q", "b")).await;
    put(&house, "/Location/l", &json!({ "resourceType": "Location", "id": "l", "meta": { "profile": ["urn:p"] } }))
        .await;
    let get = async |path: &str| meta_of(&house.ask(Ask::get(path)).await);
    assert_eq!(get("/Patient/p/$meta").await["tag"][0]["code"], "a");
    let tags = |meta: &Value| {
        let tags = meta["tag"].as_array().cloned().unwrap_or_default();
        let mut codes: Vec<String> = tags.iter().map(|tag| tag["code"].as_str().unwrap().to_owned()).collect();
        codes.sort();
        codes
    };
    let of_patients = get("/Patient/$meta").await;
    assert_eq!((tags(&of_patients), of_patients.get("profile")), (vec!["a".to_owned(), "b".to_owned()], None));
    let of_all = get("/$meta").await;
    assert_eq!((tags(&of_all).len(), &of_all["profile"]), (2, &json!(["urn:p"])));
    let nothing = json!({ "resourceType": "Parameters" }).to_string();
    for path in ["/$meta", "/Patient/$meta", "/Patient/p/$meta", "/Patient/p/_history/1/$meta"] {
        let posted = house.ask(Ask::new("POST", path).json(nothing.clone())).await;
        assert!(tags(&meta_of(&posted)).contains(&"a".to_owned()), "{path}");
        assert!(!house.entries(&posted).is_empty(), "{path}");
        house.ask(Ask::get(&format!("{path}?name=x"))).await.is_refusal(400, "not-supported");
    }

    let add = json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta",
        "valueMeta": { "security": [{ "system": "urn:s", "code": "R" }] } }] });
    let added = house.ask(Ask::new("POST", "/Patient/p/$meta-add").json(add.to_string())).await;
    assert_eq!(meta_of(&added)["versionId"], "2");
    assert!(get("/Patient/p/_history/1/$meta").await.get("security").is_none(), "a version stays as it was written");
    assert_eq!(get("/Patient/p/_history/2/$meta").await["security"][0]["code"], "R");
    for name in ["$meta-add", "$meta-delete"] {
        let path = format!("/Patient/p/_history/1/{name}");
        house.ask(Ask::new("POST", &path).json(add.to_string())).await.is_refusal(501, "not-supported");
    }
    house.ask(Ask::get("/Patient/p/_history/9/$meta")).await.is_refusal(404, "not-found");
    house.ask(Ask::get("/Nonsense/$meta")).await.is_refusal(404, "not-found");
    let removed = house.ask(Ask::new("POST", "/Patient/p/$meta-delete").json(add.to_string())).await;
    assert!(meta_of(&removed).get("security").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stay_is_told_with_all_that_belongs_to_it() {
    let house = House::open().await;
    put(&house, "/Patient/p", &json!({ "resourceType": "Patient", "id": "p" })).await;
    let class = json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" });
    let patient = json!({ "reference": "Patient/p" });
    put(
        &house,
        "/Encounter/e",
        &json!({ "resourceType": "Encounter", "id": "e", "status": "finished", "class": class,
        "subject": patient }),
    )
    .await;
    for id in ["o1", "o2"] {
        put(
            &house,
            &format!("/Observation/{id}"),
            &json!({ "resourceType": "Observation", "id": id, "status": "final",
            "code": { "text": "x" }, "subject": patient, "encounter": { "reference": "Encounter/e" } }),
        )
        .await;
    }
    put(
        &house,
        "/Observation/other",
        &json!({ "resourceType": "Observation", "id": "other", "status": "final",
        "code": { "text": "x" }, "subject": patient }),
    )
    .await;
    let mut next = Some("/Encounter/e/$everything?_count=2".to_owned());
    let (mut found, mut pages) = (Vec::new(), 0);
    while let Some(path) = next {
        let page = house.ask(Ask::get(&path)).await;
        assert_eq!(page.status, 200, "{:?}", page.body);
        is_valid(&page.body);
        let page = page.value();
        for entry in page["entry"].as_array().unwrap() {
            let mode = entry["search"]["mode"].as_str().unwrap();
            found.push(format!("{mode} {}", entry["resource"]["id"].as_str().unwrap()));
        }
        let links = page["link"].as_array().unwrap();
        let url = links.iter().find(|link| link["relation"] == "next").map(|link| link["url"].as_str().unwrap());
        assert!(url.is_none_or(|url| !url.contains("Observation")), "a link tells nothing");
        next = url.map(|url| url.strip_prefix(&house.base_url).unwrap().to_owned());
        pages += 1;
    }
    found.sort();
    found.dedup();
    assert_eq!((found.join(", "), pages), ("include p, match e, match o1, match o2".to_owned(), 2));
    let parameters = json!({ "resourceType": "Parameters", "parameter": [{ "name": "_type", "valueCode": "Observation" },
        { "name": "_since", "valueInstant": "2020-01-01T00:00:00Z" }] });
    let posted = house.ask(Ask::new("POST", "/Encounter/e/$everything").json(parameters.to_string())).await;
    assert_eq!(posted.value()["entry"].as_array().unwrap().len(), 2);
    house.ask(Ask::get("/Encounter/e/$everything?start=2020")).await.is_refusal(400, "not-supported");
    house.ask(Ask::get("/Encounter/none/$everything")).await.is_refusal(404, "not-found");
    let gone = house.ask(Ask::get("/Encounter/none/$everything")).await;
    assert_eq!(house.entries(&gone)[0].kind, EventKind::Everything);
    // The others of a stay go on as before.
    assert_eq!(house.ask(Ask::get("/Encounter/e/$meta")).await.status, 200);
    assert_eq!(house.ask(Ask::get("/Encounter/e/Observation")).await.value()["entry"].as_array().unwrap().len(), 2);
    house.ask(Ask::get("/Observation/o1/$everything")).await.is_refusal(501, "not-supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let house = House::open().await;
    let body = json!({ "resourceType": "Parameters" }).to_string();
    let closure = house.ask(Ask::new("POST", "/$closure").json(body)).await;
    closure.is_refusal(501, "not-supported");
    assert!(String::from_utf8_lossy(&closure.body).contains("$subsumes"), "{:?}", closure.body);
}
