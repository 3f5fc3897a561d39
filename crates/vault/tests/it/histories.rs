//! History at its three levels, with its conditions and pages; `$everything`.

use crate::house::*;
use pollster::block_on;
use tacet_types::Timestamp;
use tacet_vault::{EverythingQuery, HistoryQuery, HistoryScope, Method, VaultError};

fn at(seconds: i64) -> Timestamp {
    Timestamp::parse(START).unwrap().plus_ms(seconds * 1000)
}

/// `Patient/p1`: versions at 0, 10 and 20 s, deleted at 30 s. `Observation/o1` at 5 s, `Organization/g` at 15 s.
fn hospital() -> House {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "V1")).unwrap();
    house.clock.advance_ms(5_000);
    house.put("Observation", "o1", &observation("o1", "p1", "1")).unwrap();
    house.clock.advance_ms(5_000);
    house.put("Patient", "p1", &patient("p1", "V2")).unwrap();
    house.clock.advance_ms(5_000);
    house.put("Organization", "g", r#"{"resourceType":"Organization","id":"g","name":"G"}"#).unwrap();
    house.clock.advance_ms(5_000);
    house.put("Patient", "p1", &patient("p1", "V3")).unwrap();
    house.clock.advance_ms(10_000);
    house.delete("Patient", "p1").unwrap();
    house
}

/// Every page of a history: type, version, method.
fn all(house: &House, scope: &HistoryScope, query: &HistoryQuery) -> Vec<(String, u64, Method)> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = block_on(house.vault.history(&clinician(), scope, &query)).unwrap();
        for entry in &page.entries {
            assert_eq!(entry.body.is_none(), entry.method == Method::Delete);
            if let Some(body) = &entry.body {
                let version = format!("\"versionId\":\"{}\"", entry.record.version);
                assert!(String::from_utf8_lossy(body).contains(&version));
            }
            found.push((entry.record.resource_type.to_string(), entry.record.version.0, entry.method));
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}

fn numbers(found: &[(String, u64, Method)]) -> Vec<u64> {
    found.iter().map(|(_, version, _)| *version).collect()
}

#[test]
fn of_one_resource() {
    let house = hospital();
    let scope = HistoryScope::Instance(kind("Patient"), rid("p1"));
    for count in [0, 1, 2, 3, 100] {
        let query = HistoryQuery { count, ..Default::default() };
        let found = all(&house, &scope, &query);
        assert_eq!(numbers(&found), [4, 3, 2, 1], "count {count}");
        assert_eq!(found[0].2, Method::Delete);
    }
    let page = block_on(house.vault.history(&clinician(), &scope, &Default::default())).unwrap();
    assert_eq!(page.total, Some(4));
    let since = HistoryQuery { since: Some(at(10)), ..Default::default() };
    assert_eq!(numbers(&all(&house, &scope, &since)), [4, 3, 2]);
    for (low, high, expected) in [
        (12, 13, vec![2]),
        (12, 21, vec![3, 2]),
        (0, 1, vec![1]),
        (100, 101, vec![4]),
        (-5, 0, vec![]),
        (10, 11, vec![2]),
    ] {
        let query = HistoryQuery { at: Some((at(low), at(high))), count: 1, ..Default::default() };
        assert_eq!(numbers(&all(&house, &scope, &query)), expected, "at {low}..{high}");
    }
    let ghost = HistoryScope::Instance(kind("Patient"), rid("ghost"));
    assert!(matches!(
        block_on(house.vault.history(&clinician(), &ghost, &Default::default())),
        Err(VaultError::NotFound)
    ));
}

#[test]
fn of_a_type_and_of_everything() {
    let house = hospital();
    for count in [0, 1, 2, 5] {
        let query = HistoryQuery { count, ..Default::default() };
        assert_eq!(numbers(&all(&house, &HistoryScope::Type(kind("Patient")), &query)), [4, 3, 2, 1]);
        let system: Vec<String> = all(&house, &HistoryScope::System, &query)
            .into_iter()
            .map(|(name, version, _)| format!("{name}{version}"))
            .collect();
        assert_eq!(system, ["Patient4", "Patient3", "Organization1", "Patient2", "Observation1", "Patient1"]);
    }
    let query = HistoryQuery { since: Some(at(15)), ..Default::default() };
    assert_eq!(all(&house, &HistoryScope::System, &query).len(), 3);
    let query = HistoryQuery { at: Some((at(12), at(13))), ..Default::default() };
    let current: Vec<String> = all(&house, &HistoryScope::System, &query)
        .into_iter()
        .map(|(name, version, _)| format!("{name}{version}"))
        .collect();
    assert_eq!(current, ["Patient2", "Observation1"]);
    assert!(all(&house, &HistoryScope::Type(kind("Claim")), &Default::default()).is_empty());
}

#[test]
fn a_foreign_cursor_is_refused() {
    let house = hospital();
    for scope in [HistoryScope::System, HistoryScope::Instance(kind("Patient"), rid("p1"))] {
        for cursor in ["", "x", "1.x", "-1", "9.9.9", "99999999999999999999999"] {
            let query = HistoryQuery { cursor: Some(cursor.to_owned()), ..Default::default() };
            assert!(block_on(house.vault.history(&clinician(), &scope, &query)).is_err(), "{cursor}");
        }
    }
}

#[test]
fn everything_of_a_patient_and_what_it_refers_to() {
    let house = House::new();
    house.put("Practitioner", "dr", r#"{"resourceType":"Practitioner","id":"dr"}"#).unwrap();
    house.put("Practitioner", "other", r#"{"resourceType":"Practitioner","id":"other"}"#).unwrap();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    house.put("Patient", "p2", &patient("p2", "Deux")).unwrap();
    let seen = observation("o1", "p1", "1")
        .replace(r#""status""#, r#""performer":[{"reference":"Practitioner/dr"}],"status""#);
    house.put("Observation", "o1", &seen).unwrap();
    house.put("Observation", "o2", &observation("o2", "p2", "1")).unwrap();
    house.put("Observation", "o3", &observation("o3", "p1", "1")).unwrap();
    house.delete("Observation", "o3").unwrap();
    let page = block_on(house.vault.everything(&clinician(), &rid("p1"), &Default::default())).unwrap();
    let mut names: Vec<(String, bool)> = page
        .entries
        .iter()
        .map(|(disclosed, matched)| {
            (format!("{}/{}", disclosed.record.resource_type, disclosed.record.id.as_str()), *matched)
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [("Observation/o1".to_owned(), true), ("Patient/p1".to_owned(), true), ("Practitioner/dr".to_owned(), false)]
    );
    let only = EverythingQuery { types: vec![kind("Observation")], ..Default::default() };
    let page = block_on(house.vault.everything(&clinician(), &rid("p1"), &only)).unwrap();
    assert_eq!(page.entries.len(), 1);
    let ghost = block_on(house.vault.everything(&clinician(), &rid("ghost"), &Default::default()));
    assert!(matches!(ghost, Err(VaultError::NotFound)));
}

/// A page was once bounded in records only: a hundred scans of ten megabytes each, or small rows that open into large
/// records, filled the memory.
#[test]
fn pages_are_bounded_in_bytes_and_nothing_is_lost_between_them() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "X")).unwrap();
    let data = "A".repeat(12 << 20);
    for number in 0..5 {
        let body = format!(
            r#"{{"resourceType":"DocumentReference","id":"o{number}","status":"current","subject":{{"reference":"Patient/p1"}},"content":[{{"attachment":{{"contentType":"application/pdf","data":"{data}"}}}}]}}"#
        );
        house.put("DocumentReference", &format!("o{number}"), &body).unwrap();
    }
    let (mut ids, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let query = EverythingQuery { cursor, ..Default::default() };
        let page = block_on(house.vault.everything(&clinician(), &rid("p1"), &query)).unwrap();
        assert!(page.entries.iter().map(|(disclosed, _)| disclosed.body.len()).sum::<usize>() < 50 << 20);
        ids.extend(page.entries.iter().map(|(disclosed, _)| disclosed.record.id.as_str().to_owned()));
        cursor = page.next;
        pages += 1;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(ids, ["p1", "o0", "o1", "o2", "o3", "o4"]);
    assert!(pages > 1);
    for scope in [HistoryScope::System, HistoryScope::Type(kind("DocumentReference"))] {
        let found = all(&house, &scope, &HistoryQuery::default());
        let documents = found.iter().filter(|(name, _, _)| name == "DocumentReference").count();
        assert_eq!(documents, 5, "{found:?}");
    }
    let mut exported = 0;
    let report = block_on(house.vault.export(&clinician(), &[], "test", &mut |disclosed| {
        exported += disclosed.body.len();
        Ok(())
    }));
    assert_eq!(report.unwrap().exported.values().sum::<u64>(), 6);
    assert!(exported > 60 << 20);
}
