//! What a client asks of a subscription: how it stands, and which events there were.

use crate::client::Ask;
use crate::subscribing::{Endpoint, becomes, config, hook, observe, start, subscribe};
use crate::vaulted::House;
use serde_json::{Value, json};
use std::time::Duration;

fn parameter<'a>(parameters: &'a Value, name: &str) -> &'a Value {
    let all = parameters["parameter"].as_array().unwrap();
    all.iter().find(|parameter| parameter["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_how_it_stands_and_what_it_missed() {
    let house = House::open().await;
    let endpoint = Endpoint::open(&[200]).await;
    let sender = start(&house, config(&[&endpoint.url], &[]));
    let backport = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
    let topic = format!("{}/SubscriptionTopic/Observation", house.base_url);
    let mut by_topic = hook("t", &endpoint.url);
    by_topic["criteria"] = json!(topic);
    by_topic["_criteria"] = json!({ "extension": [
        { "url": format!("{backport}/backport-filter-criteria"), "valueString": "Observation?status=final" }] });
    subscribe(&house, "t", &by_topic).await;
    becomes(&house, "t", "active").await;
    subscribe(&house, "refused", &hook("refused", "https://elsewhere.example/")).await;
    becomes(&house, "refused", "error").await;
    observe(&house, "o1").await;
    observe(&house, "o2").await;
    endpoint.wait_for(3).await; // the handshake, and two events

    let statement = house.ask(Ask::get("/metadata")).await.value();
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let listed = resources.iter().find(|one| one["type"] == "Subscription").unwrap()["extension"].as_array().unwrap();
    assert!(listed.iter().any(|one| one["valueCanonical"] == json!(topic)), "a client finds the topic by itself");

    let mut told = Value::Null;
    for _ in 0..3000 {
        let answer = house.ask(Ask::get("/Subscription/t/$status")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        crate::errors::is_valid(&answer.body);
        told = answer.value()["entry"][0]["resource"].clone();
        if parameter(&told, "events-since-subscription-start")["valueString"] == "2" {
            assert_eq!(house.entries(&answer).len(), 1, "it tells of a subscription, and is written down");
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(parameter(&told, "events-since-subscription-start")["valueString"], "2", "{told}");
    assert_eq!(parameter(&told, "type")["valueCode"], "query-status");
    assert_eq!(parameter(&told, "status")["valueCode"], "active");
    assert_eq!(parameter(&told, "topic")["valueCanonical"], json!(topic));
    let reference = format!("{}/Subscription/t", house.base_url);
    assert_eq!(parameter(&told, "subscription")["valueReference"]["reference"], json!(reference));
    let total = async |path: &str| {
        let answer = house.ask(Ask::get(path)).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        crate::errors::is_valid(&answer.body);
        answer.value()["total"].as_u64().unwrap()
    };
    assert_eq!(total("/Subscription/$status").await, 2);
    assert_eq!(total("/Subscription/$status?status=error").await, 1);
    assert_eq!(total("/Subscription/$status?id=t,refused&status=active").await, 1);
    assert_eq!(total("/Subscription/$status?id=none").await, 0);
    let body = json!({ "resourceType": "Parameters", "parameter": [{ "name": "status", "valueCode": "error" }] });
    let posted = house.ask(Ask::new("POST", "/Subscription/$status").json(body.to_string())).await.value();
    let refused = &posted["entry"][0]["resource"];
    assert!(parameter(refused, "error")["valueCodeableConcept"]["text"].as_str().unwrap().contains("not allowed"));
    assert!(parameter(refused, "topic").is_null(), "one by criteria has no topic");

    let answer = house.ask(Ask::get("/Subscription/t/$events?eventsSinceNumber=2")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    crate::errors::is_valid(&answer.body);
    let bundle = answer.value();
    assert_eq!((bundle["type"].as_str(), bundle["entry"].as_array().unwrap().len()), (Some("history"), 2));
    let state = &bundle["entry"][0]["resource"];
    assert_eq!(parameter(state, "type")["valueCode"], "query-event");
    assert_eq!(parameter(state, "events-since-subscription-start")["valueString"], "2");
    let event = parameter(state, "notification-event")["part"].as_array().unwrap().clone();
    assert_eq!(event[0]["valueString"], "2");
    let address = format!("{}/Observation/o2", house.base_url);
    assert_eq!(
        (&event[2]["valueReference"]["reference"], &bundle["entry"][1]["fullUrl"]),
        (&json!(address), &json!(address))
    );
    assert!(bundle["entry"][1].get("resource").is_none());
    let entries = house.entries(&answer);
    assert!(entries.len() == 1 && entries[0].records[0].id.as_str() == "o2" && entries[0].agent.owner == "Dr Test");
    let full = house.ask(Ask::get("/Subscription/t/$events?eventsUntilNumber=1&content=full-resource")).await.value();
    assert_eq!(full["entry"][1]["resource"]["id"], "o1");
    let empty = house.ask(Ask::get("/Subscription/t/$events?content=empty")).await;
    assert!(!String::from_utf8_lossy(&empty.body).contains("Observation/o"), "{:?}", empty.body);
    for query in ["eventsSinceNumber=x", "content=all", "status=active"] {
        assert_eq!(house.ask(Ask::get(&format!("/Subscription/t/$events?{query}"))).await.status, 400, "{query}");
    }
    for path in ["/Subscription/none/$events", "/Subscription/none/$status"] {
        house.ask(Ask::get(path)).await.is_refusal(404, "not-found");
    }
    sender.stop().await;
}
