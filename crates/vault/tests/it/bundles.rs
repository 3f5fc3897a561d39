//! Batch and transaction bundles.

use crate::house::*;
use pollster::block_on;
use tacet_fhir::json::{self, Json};
use tacet_vault::{ReturnPreference, VaultError};

const BASE: &str = "https://records.example.org";

fn post(house: &House, body: &str) -> Result<String, VaultError> {
    post_preferring(house, body, ReturnPreference::Minimal)
}

fn post_preferring(house: &House, body: &str, prefer: ReturnPreference) -> Result<String, VaultError> {
    let answer = block_on(house.vault.bundle(&clinician(), body.as_bytes(), BASE, prefer))?;
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let value = json::parse(text.as_bytes(), &json::Limits::default()).unwrap();
    assert_eq!(tacet_fhir::validate::validate(&value, &Default::default()), [], "{text}");
    Ok(text)
}

fn statuses(answer: &str) -> Vec<String> {
    let value = json::parse(answer.as_bytes(), &json::Limits::default()).unwrap();
    let entries = value.get("entry").map(|entries| entries.items().to_vec()).unwrap_or_default();
    let status = |entry: &Json<'_>| entry.get("response").unwrap().get_str("status").unwrap()[..3].to_owned();
    entries.iter().map(status).collect()
}

#[test]
fn a_transaction_resolves_its_references() {
    let house = House::new();
    let body = r#"{"resourceType":"Bundle","type":"transaction","entry":[
      {"fullUrl":"urn:uuid:11111111-1111-4111-8111-111111111111","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},
        "subject":{"reference":"urn:uuid:22222222-2222-4222-8222-222222222222"},"performer":[{"reference":"https://records.example.org/Practitioner/dr"}]},
       "request":{"method":"POST","url":"Observation"}},
      {"fullUrl":"urn:uuid:22222222-2222-4222-8222-222222222222","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},
      {"fullUrl":"https://records.example.org/Practitioner/dr","resource":{"resourceType":"Practitioner","id":"dr"},"request":{"method":"PUT","url":"Practitioner/dr"}},
      {"request":{"method":"GET","url":"Practitioner/dr"}}]}"#;
    let answer = post_preferring(&house, body, ReturnPreference::Representation).unwrap();
    assert_eq!(statuses(&answer), ["201", "201", "201", "200"]);
    let value = json::parse(answer.as_bytes(), &json::Limits::default()).unwrap();
    let entries = value.get("entry").unwrap().items();
    let resource = |place: usize| entries[place].get("resource").unwrap();
    let patient = format!("Patient/{}", resource(1).get_str("id").unwrap());
    assert_eq!(resource(0).get("subject").unwrap().get_str("reference"), Some(patient.as_str()));
    assert_eq!(resource(0).get("performer").unwrap().items()[0].get_str("reference"), Some("Practitioner/dr"));
    house.assert_sound();
    // One patient, one establishment: two entries of the ledger for the writes, one for the read.
    assert_eq!(house.ledger().iter().filter(|entry| entry.kind.changes()).count(), 2);
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let house = House::new();
    house.put("Patient", "old", &patient("old", "Old")).unwrap();
    let entry = |method: &str, url: &str, resource: &str, more: &str| {
        let resource = if resource.is_empty() { String::new() } else { format!(r#""resource":{resource},"#) };
        format!(r#"{{{resource}"request":{{"method":"{method}","url":"{url}"{more}}}}}"#)
    };
    let transaction = |entries: &[String]| {
        format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
    };
    let good = entry("PUT", "Patient/new", &patient("new", "New"), "");
    let bad = [
        entry("PUT", "Patient/bad", r#"{"resourceType":"Patient","id":"bad","gender":"x"}"#, ""),
        entry("PUT", "Patient/bad", &patient("other", "X"), ""),
        entry("PUT", "Patient/old", &patient("old", "X"), r#","ifMatch":"W/\"9\"""#),
        entry("PUT", "Patient/new", &patient("new", "X"), ""),
        entry("GET", "Patient/ghost/_history", "", ""),
        entry("POST", "Patient", &patient("x", "X"), r#","ifNoneExist":"colour=blue""#),
        entry("PATCH", "Patient/old", &patient("old", "X"), ""),
        entry("PUT", "Patient?identifier=1", &patient("old", "X"), ""),
        entry(
            "POST",
            "Observation",
            &observation("o", "p", "1").replace("Patient/p", "urn:uuid:33333333-3333-4333-8333-333333333333"),
            "",
        ),
        entry("DELETE", "Nobody/1", "", ""),
    ];
    for bad in bad {
        for order in [[good.clone(), bad.clone()], [bad.clone(), good.clone()]] {
            let body = transaction(&order);
            assert!(post(&house, &body).is_err(), "{body}");
            assert!(matches!(house.read("Patient", "new"), Err(VaultError::NotFound)), "{body}");
        }
    }
    assert_eq!(house.assert_sound().versions, 1);

    let answer = post(
        &house,
        &transaction(&[
            entry("PUT", "Patient/new", &patient("new", "New"), ""),
            entry("DELETE", "Patient/old", "", ""),
            entry("DELETE", "Patient/ghost", "", ""),
            entry("PUT", "Patient/there", &patient("there", "T"), r#","ifNoneMatch":"*""#),
        ]),
    )
    .unwrap();
    assert_eq!(statuses(&answer), ["201", "204", "204", "201"]);
    assert!(matches!(house.read("Patient", "old"), Err(VaultError::Gone { .. })));
    house.assert_sound();
}

#[test]
fn a_batch_is_each_for_itself() {
    let house = House::new();
    let body = r#"{"resourceType":"Bundle","type":"batch","entry":[
      {"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a"}},
      {"resource":{"resourceType":"Patient","id":"b","gender":"x"},"request":{"method":"PUT","url":"Patient/b"}},
      {"request":{"method":"GET","url":"Patient/a"}},
      {"request":{"method":"GET","url":"Patient/ghost"}},
      {"request":{"method":"DELETE","url":"Patient/a"}},
      {"request":{"method":"GET","url":"Patient?name=x"}},
      {"request":{"method":"GET","url":"Patient/a/_history/1"}},
      {"nothing":true}]}"#;
    let answer = post(&house, body).unwrap();
    assert_eq!(statuses(&answer), ["201", "422", "200", "404", "204", "200", "200", "422"]);
    house.assert_sound();
}

#[test]
fn what_is_no_batch_or_transaction_is_refused() {
    let house = House::new();
    for body in ["[]", "{}", r#"{"resourceType":"Patient"}"#, r#"{"resourceType":"Bundle","type":"history"}"#] {
        assert!(matches!(post(&house, body), Err(VaultError::Invalid(_))), "{body}");
    }
    let empty = post(&house, r#"{"resourceType":"Bundle","type":"transaction"}"#).unwrap();
    assert!(empty.contains("transaction-response"));
}

/// A read that failed once failed the transaction after its changes were committed.
#[test]
fn a_transaction_whose_read_fails_changes_nothing() {
    let house = House::new();
    house.put("Patient", "gone", &patient("gone", "X")).unwrap();
    house.delete("Patient", "gone").unwrap();
    for url in ["Patient/ghost", "Patient/gone", "Patient/gone/_history/9"] {
        let body = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"fullUrl":"https://records.example.org/Patient/new","resource":{},"request":{{"method":"PUT","url":"Patient/new"}}}},
            {{"request":{{"method":"GET","url":"{url}"}}}}]}}"#,
            patient("new", "N")
        );
        assert!(matches!(post(&house, &body), Err(VaultError::NotFound | VaultError::Gone { .. })), "{url}");
        assert!(matches!(house.read("Patient", "new"), Err(VaultError::NotFound)), "{url}");
    }
    // What the transaction itself writes is read as it leaves it.
    house.put("Patient", "old", &patient("old", "Before")).unwrap();
    let body = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
        {{"request":{{"method":"GET","url":"Patient/old"}}}},
        {{"fullUrl":"https://records.example.org/Patient/old","resource":{},"request":{{"method":"PUT","url":"Patient/old"}}}}]}}"#,
        patient("old", "After")
    );
    let answer = post(&house, &body).unwrap();
    assert_eq!(statuses(&answer), ["200", "200"]);
    assert!(answer.contains("After"));
    assert!(!answer.contains("Before"));
}

/// References that are not seen for what they are would seal a record under the wrong key.
#[test]
fn a_batch_knows_references_to_this_server_and_refuses_those_to_other_entries() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "X")).unwrap();
    let entry = |id: &str, reference: &str| {
        let resource = observation(id, "p1", "1").replace("Patient/p1", reference);
        format!(r#"{{"resource":{resource},"request":{{"method":"PUT","url":"Observation/{id}"}}}}"#)
    };
    let body = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{},{},{}]}}"#,
        entry("o1", "https://records.example.org/Patient/p1"),
        entry("o2", "urn:uuid:22222222-2222-4222-8222-222222222222"),
        entry("o3", "Patient?identifier=x")
    );
    let answer = post(&house, &body).unwrap();
    assert_eq!(statuses(&answer), ["201", "422", "412"]);
    let entry = house.ledger().into_iter().rfind(|entry| entry.records.iter().any(|record| record.id == rid("o1")));
    assert_eq!(entry.unwrap().patient, Some((kind("Patient"), rid("p1"))));
}

/// Ten thousand reads of a large record in one batch once made an answer of a hundred gigabytes.
#[test]
fn what_one_bundle_reads_is_bounded() {
    let house = House::new();
    let data = "A".repeat(12 << 20);
    let body = format!(r#"{{"resourceType":"Binary","id":"b","contentType":"application/pdf","data":"{data}"}}"#);
    house.put("Binary", "b", &body).unwrap();
    let read = r#"{"request":{"method":"GET","url":"Binary/b"}}"#;
    let reads = [read; 5].join(",");
    let bundle = |kind: &str| format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{reads}]}}"#);
    let answer =
        block_on(house.vault.bundle(&clinician(), bundle("batch").as_bytes(), BASE, ReturnPreference::Minimal))
            .unwrap();
    assert!(answer.len() < 40 << 20);
    assert_eq!(String::from_utf8(answer.to_vec()).unwrap().matches("413 Content Too Large").count(), 2);
    assert!(matches!(post(&house, &bundle("transaction")), Err(VaultError::TooLarge { .. })));
}
