//! Import: units done once, bad records left out.

use crate::house::*;
use pollster::block_on;
use tacet_store::memory::{Effect, Operation};
use tacet_vault::{ImportOptions, ImportOutcome, ImportUnit};

fn import(house: &House, unit: ImportUnit<'_>, strict: bool, again: bool) -> ImportOutcome {
    block_on(house.vault.import(&clinician(), &unit, ImportOptions { strict, again, base_url: BASE_URL })).unwrap()
}

#[test]
fn a_unit_is_stored_once() {
    let house = House::new();
    let (a, b) = (patient("a", "A"), observation("b", "a", "1"));
    let lines = || ImportUnit::Resources(vec![(1, a.as_bytes()), (2, b.as_bytes())]);
    let first = import(&house, lines(), false, false);
    assert_eq!(first.stored.values().sum::<u64>(), 2);
    assert!(import(&house, lines(), false, false).done_before);
    let third = import(&house, lines(), false, true);
    assert!(!third.done_before);
    assert_eq!(house.assert_sound().versions, 4);
}

#[test]
fn bad_records_are_reported_and_left_out() {
    let house = House::new();
    let a = patient("a", "A");
    let lines = || {
        ImportUnit::Resources(vec![
            (1, a.as_bytes()),
            (2, b"{".as_slice()),
            (3, br#"{"resourceType":"Patient","gender":"x"}"#),
            (4, br#"{"resourceType":"Nobody"}"#),
        ])
    };
    let strict = import(&house, lines(), true, false);
    assert!(strict.stored.is_empty());
    assert_eq!(strict.rejected.len(), 3);
    assert!(house.read("Patient", "a").is_err());
    let outcome = import(&house, lines(), false, false);
    assert_eq!(outcome.rejected.iter().map(|rejected| rejected.position).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(outcome.rejected.iter().all(|rejected| !rejected.issues.is_empty()));
    assert!(house.read("Patient", "a").is_ok());
}

#[test]
fn a_bundle_keeps_its_ids_and_resolves_its_references() {
    let house = House::new();
    let body = br#"{"resourceType":"Bundle","type":"transaction","entry":[
      {"fullUrl":"urn:uuid:aaaaaaaa-1111-4111-8111-111111111111","resource":{"resourceType":"Patient","id":"aaaaaaaa-1111-4111-8111-111111111111"},"request":{"method":"POST","url":"Patient"}},
      {"fullUrl":"urn:uuid:bbbbbbbb-1111-4111-8111-111111111111","resource":{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:aaaaaaaa-1111-4111-8111-111111111111"}},"request":{"method":"POST","url":"Observation"}},
      {"request":{"method":"DELETE","url":"Patient/9"}}]}"#;
    let outcome = import(&house, ImportUnit::Document(body), false, false);
    assert_eq!(outcome.stored.values().sum::<u64>(), 2);
    assert!(house.read("Observation", "o").unwrap().contains("\"Patient/aaaaaaaa-1111-4111-8111-111111111111\""));
    house.assert_sound();
}

#[test]
fn a_single_resource_and_a_document_are_stored_whole() {
    let house = House::new();
    import(&house, ImportUnit::Document(patient("solo", "X").as_bytes()), false, false);
    assert!(house.read("Patient", "solo").is_ok());
    let document = br#"{"resourceType":"Bundle","id":"doc","type":"document","timestamp":"2026-01-01T00:00:00Z","identifier":{"value":"1"},"entry":[{"fullUrl":"http://example.org/Composition/c","resource":{"resourceType":"Composition","id":"c","status":"final","type":{"text":"t"},"date":"2026-01-01","author":[{"display":"a"}],"title":"T"}}]}"#;
    let outcome = import(&house, ImportUnit::Document(document), false, false);
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    assert!(house.read("Bundle", "doc").is_ok());
    assert!(house.read("Composition", "c").is_err());
}

/// A patient who breaks a rule was left out, and what referred to them stayed under the establishment's key, where no
/// erasure would have found it.
#[test]
fn what_belongs_to_a_patient_who_was_left_out_is_still_theirs() {
    let house = House::new();
    let body = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[
        {{"fullUrl":"urn:uuid:22222222-2222-4222-8222-222222222222","resource":{{"resourceType":"Patient","id":"p1","gender":"x"}}}},
        {{"fullUrl":"urn:uuid:33333333-3333-4333-8333-333333333333","resource":{}}}]}}"#,
        observation("o1", "p1", "1").replace("Patient/p1", "urn:uuid:22222222-2222-4222-8222-222222222222")
    );
    let outcome = import(&house, ImportUnit::Document(body.as_bytes()), false, false);
    assert_eq!((outcome.rejected.len(), outcome.stored.values().sum::<u64>()), (1, 1));
    assert!(house.read("Observation", "o1").unwrap().contains("\"Patient/p1\""));
    assert!(house.vault.preview_erase(&rid("p1")).unwrap().is_some_and(|preview| preview.versions == 1));
}

/// An import that was run again said that all was well, because the units with bad records were marked as done.
#[test]
fn what_was_left_out_is_told_again() {
    let house = House::new();
    let (a, gone) = (patient("a", "A"), patient("gone", "B"));
    import(&house, ImportUnit::Resources(vec![(1, gone.as_bytes())]), false, false);
    block_on(house.vault.erase(&caller(tacet_vault::Role::Operator), &rid("gone"))).unwrap();
    let lines = || {
        let bad = br#"{"resourceType":"Patient","gender":"x"}"#.as_slice();
        ImportUnit::Resources(vec![(1, a.as_bytes()), (2, bad), (3, gone.as_bytes())])
    };
    for again in 0..3 {
        let outcome = import(&house, lines(), false, false);
        let left_out: Vec<u64> = outcome.rejected.iter().map(|rejected| rejected.position).collect();
        assert_eq!((left_out, outcome.done_before), (vec![2, 3], again > 0));
    }
    assert_eq!(house.assert_sound().versions, 1);
}

/// A bundle of more patients than one commit has room for in the ledger was refused as a whole.
#[test]
fn a_bundle_of_very_many_patients_is_stored_in_parts() {
    const PATIENTS: usize = 1700;
    let house = House::new();
    let entries: Vec<String> =
        (0..PATIENTS).map(|n| format!(r#"{{"resource":{}}}"#, patient(&format!("p{n}"), "A"))).collect();
    let body = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(","));
    let unit = || ImportUnit::Document(body.as_bytes());
    // Cut off in the middle, it goes on where it stopped.
    house.faults.inject(Operation::Write, 2, Effect::Fail);
    let options = ImportOptions::default();
    assert!(block_on(house.vault.import(&clinician(), &unit(), options)).is_err());
    let mut house = house;
    house.reopen();
    let before = house.assert_sound().versions;
    assert!(before > 0 && before < PATIENTS as u64, "{before}");
    let outcome = import(&house, unit(), false, false);
    assert_eq!(outcome.stored.values().sum::<u64>() + before, PATIENTS as u64);
    assert_eq!(house.assert_sound().versions, PATIENTS as u64);
    assert!(import(&house, unit(), false, false).done_before);
}

/// A line that named its patient by this server's URL was nobody's.
#[test]
fn imported_references_by_this_servers_url_are_the_patients() {
    let house = House::new();
    let absolute = |id: &str| observation(id, "p1", "1").replace("Patient/p1", &format!("{BASE_URL}/Patient/p1"));
    let (line, single) = (absolute("o1"), absolute("o2"));
    let bundle =
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{}}}]}}"#, absolute("o3"));
    import(&house, ImportUnit::Resources(vec![(1, line.as_bytes())]), true, false);
    import(&house, ImportUnit::Document(single.as_bytes()), true, false);
    import(&house, ImportUnit::Document(bundle.as_bytes()), true, false);
    assert!(house.vault.preview_erase(&rid("p1")).unwrap().is_some_and(|preview| preview.versions == 3));
}
