//! Conditional requests and PATCH: alone, at the same time, and in bundles.

use crate::house::*;
use crate::searching::found;
use pollster::block_on;
use tacet_fhir::json::{self, Json};
use tacet_ledger::EventKind;
use tacet_types::VersionId;
use tacet_vault::{ConditionalCreate, Patch, ReturnPreference, Stored, VaultError};

fn numbered(id: &str, number: &str, family: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!(r#""id":"{id}","#) };
    format!(
        r#"{{"resourceType":"Patient",{id}"identifier":[{{"system":"urn:oid:1.2","value":"{number}"}}],"name":[{{"family":"{family}"}}]}}"#
    )
}

fn criteria(text: &str) -> Vec<(String, String)> {
    text.split('&').map(|part| part.split_once('=').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn create(house: &House, number: &str, text: &str) -> Result<ConditionalCreate, VaultError> {
    let body = numbered("", number, "New");
    block_on(house.vault.create_conditional(&clinician(), kind("Patient"), body.as_bytes(), BASE_URL, &criteria(text)))
}

fn update(house: &House, body: &str, text: &str, if_match: Option<VersionId>) -> Result<Stored, VaultError> {
    let criteria = criteria(text);
    block_on(house.vault.update_conditional(
        &clinician(),
        kind("Patient"),
        body.as_bytes(),
        BASE_URL,
        &criteria,
        if_match,
    ))
}

fn delete(house: &House, text: &str) -> Result<usize, VaultError> {
    let done = block_on(house.vault.delete_conditional(&clinician(), kind("Patient"), BASE_URL, &criteria(text)));
    done.map(|deleted| deleted.len())
}

#[test]
fn a_conditional_create_makes_one() {
    let house = House::new();
    let Ok(ConditionalCreate::Created(stored)) = create(&house, "7", "identifier=urn:oid:1.2|7") else { panic!() };
    let before = house.ledger().len();
    let Ok(ConditionalCreate::Exists { record, .. }) = create(&house, "7", "identifier=urn:oid:1.2|7") else {
        panic!()
    };
    assert_eq!(record, stored.record);
    let entries = house.ledger().split_off(before);
    assert_eq!((entries.len(), entries[0].kind, entries[0].records.len()), (1, EventKind::Search, 1));
    assert_eq!(entries[0].query.as_deref(), Some("Patient?identifier=urn:oid:1.2|7"));
    house.put("Patient", "second", &numbered("second", "7", "X")).unwrap();
    assert!(matches!(create(&house, "7", "identifier=7"), Err(VaultError::SeveralMatch)));
    for bad in ["colour=blue", "_sort=nonsense"] {
        assert!(matches!(create(&house, "8", bad), Err(VaultError::Search(_))), "{bad}");
    }
    let none = block_on(house.vault.create_conditional(
        &clinician(),
        kind("Patient"),
        numbered("", "9", "X").as_bytes(),
        BASE_URL,
        &[],
    ));
    assert!(matches!(none, Err(VaultError::Search(_))), "criteria without a condition fit everybody");
    house.assert_sound();
}

#[test]
fn of_many_who_create_at_once_one_does() {
    let house = House::new();
    for round in 0..5 {
        let number = format!("n{round}");
        let text = format!("identifier=urn:oid:1.2|{number}");
        let created = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| create(&house, &number, &text).unwrap())).collect();
            let done = threads.into_iter().map(|thread| thread.join().unwrap());
            done.filter(|done| matches!(done, ConditionalCreate::Created(_))).count()
        });
        assert_eq!(created, 1);
        assert_eq!(found(&house, &format!("Patient?{text}")).len(), 1);
    }
    house.assert_sound();
}

/// The caller that had the turn goes away; the next must still see what it wrote.
#[test]
fn who_goes_away_has_created_all_the_same() {
    let house = House::new();
    for round in 0..20 {
        let (number, caller) = (format!("g{round}"), clinician());
        let (body, criteria) = (numbered("", &number, "Gone"), criteria(&format!("identifier={number}")));
        let mut future =
            Box::pin(house.vault.create_conditional(&caller, kind("Patient"), body.as_bytes(), BASE_URL, &criteria));
        let _ = future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        drop(future);
        assert!(matches!(
            create(&house, &number, &format!("identifier={number}")),
            Ok(ConditionalCreate::Exists { .. })
        ));
    }
}

#[test]
fn a_conditional_update_finds_its_own() {
    let house = House::new();
    let first = update(&house, &numbered("", "1", "A"), "identifier=1", None).unwrap();
    assert!(first.created);
    let second = update(&house, &numbered("", "1", "B"), "identifier=1", None).unwrap();
    assert_eq!((second.record.id.clone(), second.record.version), (first.record.id.clone(), VersionId(2)));
    let named = update(&house, &numbered("chosen", "2", "C"), "identifier=2", None).unwrap();
    assert_eq!(named.record.id, rid("chosen"));
    assert!(matches!(update(&house, &numbered("other", "2", "C"), "identifier=2", None), Err(VaultError::IdMismatch)));
    assert!(matches!(
        update(&house, &numbered("chosen", "3", "C"), "identifier=3", None),
        Err(VaultError::PreconditionFailed)
    ));
    assert!(matches!(
        update(&house, &numbered("", "1", "D"), "identifier=1", Some(VersionId(1))),
        Err(VaultError::PreconditionFailed)
    ));
    assert!(update(&house, &numbered("", "1", "D"), "identifier=1", Some(VersionId(2))).is_ok());
    assert!(matches!(update(&house, &numbered("", "1", "E"), "identifier=1,2", None), Err(VaultError::SeveralMatch)));
    house.assert_sound();
}

#[test]
fn a_conditional_delete_deletes_one() {
    let house = House::new();
    for number in ["1", "2", "3"] {
        house.put("Patient", number, &numbered(number, number, "Z")).unwrap();
    }
    assert_eq!(delete(&house, "identifier=9").unwrap(), 0);
    assert!(matches!(delete(&house, "identifier=1,2"), Err(VaultError::SeveralMatch)));
    assert_eq!(delete(&house, "identifier=1").unwrap(), 1);
    assert_eq!(found(&house, "Patient?family=z"), ["Patient/2", "Patient/3"]);
    house.assert_sound();
}

#[test]
fn a_patch_changes_what_it_names() {
    let house = House::new();
    house.put("Patient", "p", &numbered("p", "1", "Avant")).unwrap();
    let patch = |body: &str, if_match| {
        block_on(house.vault.patch(
            &clinician(),
            kind("Patient"),
            &rid("p"),
            &Patch::Json(body.as_bytes()),
            BASE_URL,
            if_match,
        ))
    };
    let replace = r#"[{"op":"replace","path":"/name/0/family","value":"Apres"}]"#;
    let stored = patch(replace, None).unwrap();
    assert_eq!(stored.record.version, VersionId(2));
    assert_eq!(found(&house, "Patient?family=apres"), ["Patient/p"]);
    assert!(matches!(patch(replace, Some(VersionId(1))), Err(VaultError::PreconditionFailed)));
    assert!(matches!(patch(r#"[{"op":"test","path":"/active","value":true}]"#, None), Err(VaultError::Patch(_))));
    assert!(matches!(patch(r#"[{"op":"add","path":"/gender","value":"x"}]"#, None), Err(VaultError::Invalid(_))));
    assert!(matches!(patch(r#"[{"op":"replace","path":"/id","value":"q"}]"#, None), Err(VaultError::Patch(_))));
    let parameters = r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},
        {"name":"path","valueString":"Patient.name[0].family"},{"name":"value","valueString":"Chemin"}]}]}"#;
    let by = |text: &str| {
        let patch = Patch::FhirPath(parameters.as_bytes());
        block_on(house.vault.patch_conditional(&clinician(), kind("Patient"), &criteria(text), &patch, BASE_URL, None))
    };
    by("identifier=1").unwrap();
    assert_eq!(found(&house, "Patient?family=chemin"), ["Patient/p"]);
    assert!(matches!(by("identifier=2"), Err(VaultError::NotFound)));
    // Patches of the same record at the same time are all applied.
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let house = &house;
            scope.spawn(move || {
                let add = format!(r#"[{{"op":"add","path":"/name/-","value":{{"family":"T{thread}"}}}}]"#);
                let patch = Patch::Json(add.as_bytes());
                block_on(house.vault.patch(&clinician(), kind("Patient"), &rid("p"), &patch, BASE_URL, None)).unwrap();
            });
        }
    });
    assert!((0..6).all(|thread| house.read("Patient", "p").unwrap().contains(&format!("\"T{thread}\""))));
    house.assert_sound();
}

fn post(house: &House, kind: &str, entries: &[String]) -> Result<Vec<(String, String)>, VaultError> {
    let body = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","));
    let answer = block_on(house.vault.bundle(&clinician(), body.as_bytes(), BASE_URL, ReturnPreference::Minimal))?;
    let value = json::parse(&answer, &json::Limits::default()).unwrap();
    assert_eq!(tacet_fhir::validate::validate(&value, &Default::default()), []);
    let text = |entry: &Json<'_>| {
        let status = entry.get("response").unwrap().get_str("status").unwrap()[..3].to_owned();
        (status, String::from_utf8(json::write(entry)).unwrap())
    };
    Ok(value.get("entry").unwrap().items().iter().map(text).collect())
}

fn entry(method: &str, url: &str, resource: &str, more: &str) -> String {
    let resource = if resource.is_empty() { String::new() } else { format!(r#""resource":{resource},"#) };
    format!(r#"{{{resource}"request":{{"method":"{method}","url":"{url}"{more}}}}}"#)
}

#[test]
fn bundles_go_by_criteria_too() {
    for kind in ["batch", "transaction"] {
        let house = House::new();
        for number in ["1", "2", "3", "4"] {
            house.put("Patient", &format!("p{number}"), &numbered(&format!("p{number}"), number, "Avant")).unwrap();
        }
        let by_reference = observation("x", "p1", "1").replace("Patient/p1", "Patient?identifier=urn:oid:1.2|4");
        let json_patch = "W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9uYW1lLzAvZmFtaWx5IiwidmFsdWUiOiJHZWZsaWNrdCJ9XQ==";
        let binary =
            format!(r#"{{"resourceType":"Binary","contentType":"application/json-patch+json","data":"{json_patch}"}}"#);
        let entries = [
            entry("POST", "Patient", &numbered("", "1", "Neu"), r#","ifNoneExist":"identifier=urn:oid:1.2%7C1""#),
            entry("POST", "Patient", &numbered("", "9", "Neu"), r#","ifNoneExist":"identifier=9""#),
            entry("PUT", "Patient?identifier=2", &numbered("", "2", "Neu"), ""),
            entry("DELETE", "Patient?identifier=3", "", ""),
            entry("DELETE", "Patient?identifier=77", "", ""),
            entry("PATCH", "Patient/p4", &binary, ""),
            entry("POST", "Observation", &by_reference, ""),
            entry("GET", "Patient?family=neu", "", ""),
            entry("GET", "Patient/p4/Observation", "", ""),
        ];
        let answer = post(&house, kind, &entries).unwrap();
        let statuses: Vec<_> = answer.iter().map(|(status, _)| status.as_str()).collect();
        assert_eq!(statuses, ["200", "201", "200", "204", "204", "200", "201", "200", "200"], "{kind} {answer:?}");
        assert!(answer[0].1.contains("Patient/p1/_history/1"));
        assert!(
            answer[7].1.contains("\"searchset\"") && answer[7].1.matches("\"match\"").count() == 2,
            "{}",
            answer[7].1
        );
        assert_eq!(answer[8].1.matches("\"match\"").count(), 1);
        assert_eq!(found(&house, "Patient?family=geflickt"), ["Patient/p4"]);
        assert_eq!(found(&house, "Patient?identifier=3"), [] as [&str; 0]);
        assert_eq!(found(&house, "Observation?subject=Patient/p4").len(), 1);
        house.assert_sound();
    }
}

#[test]
fn a_transaction_whose_criteria_do_not_fit_changes_nothing() {
    let house = House::new();
    for number in ["1", "2"] {
        house.put("Patient", number, &numbered(number, number, "Alt")).unwrap();
    }
    let good = entry("PUT", "Patient/new", &numbered("new", "5", "New"), "");
    let reference = |to: &str| observation("x", "p1", "1").replace("Patient/p1", to);
    for bad in [
        entry("POST", "Patient", &numbered("", "1", "X"), r#","ifNoneExist":"identifier=1,2""#),
        entry("PUT", "Patient?identifier=1,2", &numbered("", "1", "X"), ""),
        entry("DELETE", "Patient?family=alt", "", ""),
        entry("POST", "Observation", &reference("Patient?identifier=nobody"), ""),
        entry("POST", "Observation", &reference("Patient?identifier=1,2"), ""),
        entry("PUT", "Patient?identifier=1", &numbered("2", "1", "X"), ""),
        entry("GET", "Patient?colour=blue", "", ""),
        entry("PATCH", "Patient/ghost", r#"{"resourceType":"Parameters"}"#, ""),
    ] {
        assert!(post(&house, "transaction", &[good.clone(), bad.clone()]).is_err(), "{bad}");
        assert_eq!(found(&house, "Patient?family=new"), [] as [&str; 0]);
    }
    assert_eq!(found(&house, "Patient?family=alt").len(), 2);
    house.assert_sound();
}
