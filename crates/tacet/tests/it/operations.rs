//! Operations of FHIR on the real program: codes, labels, search parameters of one's own, imports, subscriptions, before and after a
//! stop.

use crate::http::{Answer, Client};
use crate::place::{Place, Serving};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How often something is asked for that comes a moment later, and how long lies between.
const TRIES: usize = 3000;
const PAUSE: Duration = Duration::from_millis(10);

fn client(serving: &Serving, token: &str) -> Client {
    Client::connect(&serving.address, token).unwrap()
}

fn put(client: &mut Client, path: &str, body: &Value) -> Answer {
    let stored = client.send("PUT", path, &[], &body.to_string()).unwrap();
    assert!(matches!(stored.status, 200 | 201), "{path}: {}", stored.body);
    stored
}

/// The answer of a GET, once it is as wanted.
fn wait(client: &mut Client, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    for _ in 0..TRIES {
        let answer = client.get(path).unwrap();
        if wanted(&answer) {
            return answer;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("{path}: {}", client.get(path).unwrap().body);
}

fn parameter(answer: &Value, name: &str) -> Value {
    let all = answer["parameter"].as_array().unwrap_or_else(|| panic!("no parameters: {answer}"));
    all.iter().find(|parameter| parameter["name"] == name).cloned().unwrap_or(Value::Null)
}

#[test]
fn codes_are_looked_up_compared_and_translated() {
    let (place, _) = Place::with_store();
    let token = place.token("Dr Codes", "integrator");
    let mut serving = place.serve();
    let mut asked = client(&serving, &token);
    put(
        &mut asked,
        "/CodeSystem/c",
        &json!({ "resourceType": "CodeSystem", "id": "c", "url": "http://c.example", "status": "active",
        "content": "complete", "concept": [{ "code": "a", "display": "Amboise", "concept": [{ "code": "b", "display": "Blois" }] }] }),
    );
    let element = json!([{ "code": "a", "target": [{ "code": "1", "equivalence": "equal" }] }]);
    put(
        &mut asked,
        "/ConceptMap/m",
        &json!({ "resourceType": "ConceptMap", "id": "m", "url": "http://m.example", "status": "active",
        "group": [{ "source": "http://c.example", "target": "http://t.example", "element": element }] }),
    );
    for restarted in [false, true] {
        if restarted {
            serving.stop();
            serving = place.serve();
            asked = client(&serving, &token);
        }
        for (path, name, member, expected) in [
            ("/CodeSystem/$lookup?system=http://c.example&code=b", "display", "valueString", json!("Blois")),
            (
                "/CodeSystem/$subsumes?system=http://c.example&codeA=a&codeB=b",
                "outcome",
                "valueCode",
                json!("subsumes"),
            ),
            (
                "/ConceptMap/$translate?url=http://m.example&system=http://c.example&code=a",
                "result",
                "valueBoolean",
                json!(true),
            ),
        ] {
            let answer = wait(&mut asked, path, |answer| answer.status != 503);
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(parameter(&answer.json(), name)[member], expected, "{path}, restarted: {restarted}");
        }
    }
    let closure = asked.send("POST", "/$closure", &[], r#"{"resourceType":"Parameters"}"#).unwrap();
    assert_eq!(closure.status, 501);
    serving.stop();
    place.assert_sound("after the stop");
}

#[test]
fn labels_are_added_told_and_taken_away() {
    let (place, _) = Place::with_store();
    let token = place.token("Dr Labels", "integrator");
    let serving = place.serve();
    let mut asked = client(&serving, &token);
    put(&mut asked, "/Patient/p", &json!({ "resourceType": "Patient", "id": "p" }));
    let label = json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta",
        "valueMeta": { "tag": [{ "system": "urn:t", "code": "research" }] } }] });
    let added = asked.send("POST", "/Patient/p/$meta-add", &[], &label.to_string()).unwrap();
    assert_eq!((added.status, added.json()["parameter"][0]["valueMeta"]["versionId"].as_str()), (200, Some("2")));
    for path in ["/Patient/p/$meta", "/Patient/p/_history/2/$meta", "/Patient/$meta", "/$meta"] {
        let told = asked.get(path).unwrap();
        assert_eq!(told.status, 200, "{path}: {}", told.body);
        assert_eq!(told.json()["parameter"][0]["valueMeta"]["tag"][0]["code"], "research", "{path}");
    }
    assert_eq!(asked.get("/Patient?_tag=urn:t|research").unwrap().json()["entry"].as_array().unwrap().len(), 1);
    let removed = asked.send("POST", "/Patient/p/$meta-delete", &[], &label.to_string()).unwrap();
    assert!(removed.status == 200 && !removed.body.contains("research"), "{}", removed.body);
    assert!(!asked.get("/$meta").unwrap().body.contains("research"));
    serving.stop();
}

#[test]
fn a_search_parameter_of_ones_own_is_known_after_the_index_was_made_anew() {
    let (place, _) = Place::with_store();
    let token = place.token("Dr Search", "integrator");
    let mut serving = place.serve();
    let mut asked = client(&serving, &token);
    for (id, eye) in [("p", "blue"), ("q", "brown")] {
        let extension = json!([{ "url": "http://e/eye", "valueCode": eye }]);
        put(
            &mut asked,
            &format!("/Patient/{id}"),
            &json!({ "resourceType": "Patient", "id": id, "extension": extension }),
        );
    }
    assert_eq!(asked.get("/Patient?eyes=blue").unwrap().status, 400, "not known yet");
    put(
        &mut asked,
        "/SearchParameter/eyes",
        &json!({ "resourceType": "SearchParameter", "id": "eyes", "url": "http://e/sp/eyes",
        "name": "Eyes", "description": "Colour of the eyes", "status": "active", "code": "eyes", "type": "token", "base": ["Patient"],
        "expression": "Patient.extension('http://e/eye').value" }),
    );
    for restarted in [false, true] {
        if restarted {
            serving.stop();
            serving = place.serve();
            asked = client(&serving, &token);
        }
        let found = wait(&mut asked, "/Patient?eyes=blue", |answer| answer.status == 200);
        let ids: Vec<Value> =
            found.json()["entry"].as_array().unwrap().iter().map(|one| one["resource"]["id"].clone()).collect();
        assert_eq!(ids, ["p"], "restarted: {restarted}");
    }
    serving.stop();
    place.assert_sound("after the stop");
}

#[test]
fn an_import_in_the_background_is_followed_and_goes_on_after_a_stop() {
    let (place, _) = Place::with_store();
    let token = place.token("Interface", "integrator");
    let mut serving = place.serve();
    let mut asked = client(&serving, &token);
    let lines: Vec<String> =
        (0..600).map(|n| json!({ "resourceType": "Patient", "id": format!("p{n}") }).to_string()).collect();
    let lines = lines.join("\n");
    let ndjson = ("Content-Type", "application/fhir+ndjson");
    let taken = asked.send("POST", "/$import", &[ndjson, ("Prefer", "respond-async")], &lines).unwrap();
    assert_eq!(taken.status, 202, "{}", taken.body);
    let place_of = taken.header("content-location").unwrap();
    let path = place_of.split_once("/_imports/").map(|(_, id)| format!("/_imports/{id}")).unwrap();
    let outcome = wait(&mut asked, &path, |answer| answer.status != 202);
    assert_eq!(outcome.status, 200, "{}", outcome.body);
    let stored = parameter(&outcome.json(), "stored");
    assert_eq!(stored["part"][1]["valueInteger"], 600, "{stored}");
    serving.stop();

    // What is known of an import ends with the process; the lines sent again say the same.
    serving = place.serve();
    asked = client(&serving, &token);
    assert_eq!(asked.get(&path).unwrap().status, 404);
    let again = asked.send("POST", "/$import", &[ndjson], &lines).unwrap();
    assert_eq!(parameter(&again.json(), "storedBefore")["valueInteger"], 600, "{}", again.body);
    serving.stop();
    assert_eq!(place.assert_sound("after the stop")["resources"]["Patient"], 600);
}

/// An endpoint that takes everything: gives what was posted to it.
fn endpoint() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let (sender, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let head = head.to_lowercase();
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                        let _ = sender.send(body.to_owned());
                        break;
                    }
                }
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => bytes.extend_from_slice(&piece[..read]),
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (url, got)
}

#[test]
fn a_subscriber_is_told_and_may_ask_again_after_a_stop() {
    let (place, _) = Place::with_store();
    let token = place.token("Interface", "integrator");
    let (url, got) = endpoint();
    place.write("data/tacet.toml", format!("[subscriptions]\nallowed = [\"{url}\"]\n"));
    let mut serving = place.serve();
    let mut asked = client(&serving, &token);
    let statement = asked.get("/metadata").unwrap().json();
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let topics = resources.iter().find(|one| one["type"] == "Subscription").unwrap()["extension"].as_array().unwrap();
    let topic = topics.iter().find(|one| one["valueCanonical"].as_str().unwrap().ends_with("/Observation")).unwrap();
    put(
        &mut asked,
        "/Subscription/s",
        &json!({ "resourceType": "Subscription", "id": "s", "status": "requested", "reason": "test",
        "criteria": topic["valueCanonical"], "channel": { "type": "rest-hook", "endpoint": format!("{url}hook") } }),
    );
    wait(&mut asked, "/Subscription/s", |answer| answer.json()["status"] == "active");
    assert!(got.recv_timeout(Duration::from_secs(60)).unwrap().contains("handshake"));
    put(
        &mut asked,
        "/Observation/o",
        &json!({ "resourceType": "Observation", "id": "o", "status": "final",
        "code": { "text": "Kreatinin" } }),
    );
    let told = got.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(
        told.contains("event-notification") && !told.contains("Kreatinin") && !told.contains("Observation/o"),
        "{told}"
    );

    for restarted in [false, true] {
        if restarted {
            serving.stop();
            serving = place.serve();
            asked = client(&serving, &token);
        }
        let one = |answer: &Answer| {
            let status = answer.json()["entry"][0]["resource"].clone();
            parameter(&status, "events-since-subscription-start")["valueString"] == "1"
        };
        wait(&mut asked, "/Subscription/s/$status", one);
        let events = asked.get("/Subscription/s/$events?content=full-resource").unwrap();
        assert_eq!(events.status, 200, "{}", events.body);
        assert_eq!(events.json()["entry"][1]["resource"]["id"], "o", "restarted: {restarted}");
    }
    serving.stop();
    place.assert_sound("after the stop");
}
