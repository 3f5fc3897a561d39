//! Searches: what was written is found at once and after any start, each page is in the ledger before it is shown, cursors are one's own.

use crate::house::*;
use pollster::block_on;
use std::sync::atomic::{AtomicBool, Ordering};
use tacet_ledger::{EventKind, Outcome};
use tacet_seal::{KeeperLimits, KeyKeeper};
use tacet_vault::{Caller, Handling, IndexState, Role, Scope, SearchCall, SearchMode, SearchPage, VaultError};

pub(crate) fn call(path: &str) -> SearchCall {
    let (scope, query) = path.split_once('?').unwrap_or((path, ""));
    let scope = match scope.split('/').collect::<Vec<_>>().as_slice() {
        [""] => Scope::System,
        [name] => Scope::Type(kind(name)),
        [name, id, types] => Scope::Compartment {
            compartment: tacet_fhir::compartment::Compartment::of(kind(name)).unwrap(),
            id: rid(id),
            types: (*types != "*").then(|| kind(types)),
        },
        _ => panic!("{path}"),
    };
    let parameters = query.split('&').filter(|part| !part.is_empty());
    let parameters = parameters.map(|part| part.split_once('=').unwrap_or((part, "")));
    SearchCall {
        scope,
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        handling: Handling::Strict,
        base_url: BASE_URL.to_owned(),
        cursor: None,
    }
}

pub(crate) fn search(house: &House, path: &str) -> Result<SearchPage, VaultError> {
    block_on(house.vault.search(&clinician(), &call(path)))
}

fn named(page: &SearchPage, mode: SearchMode) -> Vec<String> {
    let entries = page.entries.iter().filter(|entry| entry.mode == mode);
    let mut named: Vec<String> = entries
        .map(|entry| format!("{}/{}", entry.disclosed.record.resource_type, entry.disclosed.record.id.as_str()))
        .collect();
    named.sort();
    named
}

/// What a search finds, sorted.
pub(crate) fn found(house: &House, path: &str) -> Vec<String> {
    match search(house, path) {
        Ok(page) => named(&page, SearchMode::Match),
        Err(error) => panic!("{path}: {error:?}"),
    }
}

fn settled(house: &House) {
    assert_eq!(house.vault.wait_for_index(&mut |_| {}), Some(IndexState::Ready));
}

/// Everything that is current is found, in its version, and nothing else.
pub(crate) fn assert_index_is_the_heads(house: &House) {
    settled(house);
    let report = house.assert_sound();
    let mut count = 0;
    let mut page = search(house, "?_count=500").unwrap();
    loop {
        for entry in &page.entries {
            let record = &entry.disclosed.record;
            let current = block_on(house.vault.read(&clinician(), record.resource_type, &record.id)).unwrap();
            assert_eq!((current.record.version, &current.body), (record.version, &entry.disclosed.body));
            count += 1;
        }
        let Some(cursor) = page.next else { break };
        page = block_on(house.vault.search(&clinician(), &SearchCall { cursor: Some(cursor), ..call("") })).unwrap();
    }
    assert_eq!(count, report.resources.values().sum::<u64>());
}

fn filled() -> House {
    let house = House::new();
    house.put("Organization", "g", r#"{"resourceType":"Organization","id":"g","name":"Clinique"}"#).unwrap();
    for number in 0..6 {
        let id = format!("p{number}");
        let patient = format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"urn:oid:1.2","value":"n{number}"}}],
            "name":[{{"family":"Müller{number}","given":["Zoé"]}}],"birthDate":"198{number}-02-03","managingOrganization":{{"reference":"Organization/g"}}}}"#
        );
        house.put("Patient", &id, &patient).unwrap();
        for observed in 0..3 {
            let observed = format!("o{number}-{observed}");
            house.put("Observation", &observed, &observation(&observed, &id, "1.50")).unwrap();
        }
    }
    house
}

#[test]
fn what_is_written_is_found_at_once() {
    let house = filled();
    assert_eq!(found(&house, "Patient?family=muller3"), ["Patient/p3"]);
    assert_eq!(found(&house, "Patient?identifier=urn:oid:1.2|n4"), ["Patient/p4"]);
    assert_eq!(found(&house, "Observation?subject=Patient/p1").len(), 3);
    assert_eq!(found(&house, "Patient/p1/Observation").len(), 3);
    assert_eq!(found(&house, "Observation?subject:Patient.family=muller2").len(), 3);
    house.put("Patient", "p3", &patient("p3", "Durand")).unwrap();
    assert_eq!(found(&house, "Patient?family=muller3"), [] as [&str; 0]);
    assert_eq!(found(&house, "Patient?family=durand"), ["Patient/p3"]);
    house.delete("Patient", "p3").unwrap();
    assert_eq!(found(&house, "Patient?family=durand"), [] as [&str; 0]);
    assert!(matches!(search(&house, "Patient?colour=blue"), Err(VaultError::Search(_))));
    assert_index_is_the_heads(&house);
}

#[test]
fn writers_find_their_own_while_others_write() {
    let house = House::new();
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let house = &house;
            scope.spawn(move || {
                for round in 0..15 {
                    let (id, family) = (format!("w{writer}-{}", round % 4), format!("F{writer}x{round}"));
                    house.put("Patient", &id, &patient(&id, &family)).unwrap();
                    assert_eq!(found(house, &format!("Patient?family:exact={family}")), [format!("Patient/{id}")]);
                    if round % 5 == 4 {
                        house.delete("Patient", &id).unwrap();
                        assert_eq!(found(house, &format!("Patient?family:exact={family}")), [] as [&str; 0]);
                    }
                }
            });
        }
    });
    assert_index_is_the_heads(&house);
}

/// A caller that goes away before it is answered has written all the same.
#[test]
fn what_a_caller_left_behind_is_found() {
    let house = House::new();
    for number in 0..20 {
        let id = format!("left{number}");
        let (caller, body, resource_id) = (clinician(), patient(&id, "Left"), rid(&id));
        let mut future = Box::pin(house.vault.update(
            &caller,
            kind("Patient"),
            &resource_id,
            body.as_bytes(),
            BASE_URL,
            None,
            false,
        ));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = future.as_mut().poll(&mut context);
        drop(future);
    }
    for _ in 0..500 {
        if found(&house, "Patient?family=left").len() == 20 {
            return assert_index_is_the_heads(&house);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} of 20", found(&house, "Patient?family=left").len());
}

#[test]
fn each_page_is_in_the_ledger_before_it_is_shown() {
    let house = filled();
    let before = house.ledger().len();
    assert_eq!(found(&house, "Observation?subject=Patient/p1,Patient/p2").len(), 6);
    let entries = house.ledger().split_off(before);
    assert_eq!(entries.len(), 2, "one for each patient");
    for entry in &entries {
        assert_eq!((entry.kind, entry.outcome, entry.records.len()), (EventKind::Search, Outcome::Success, 3));
        assert_eq!(entry.query.as_deref(), Some("Observation?subject=Patient/p1,Patient/p2"));
        assert!(entry.patient.is_some());
    }
    // Finding nothing tells something, and so does a number.
    for path in ["Patient?family=nobody", "Patient?family=muller&_summary=count", "Patient?family=muller&_count=0"] {
        let before = house.ledger().len();
        let page = search(&house, path).unwrap();
        assert!(page.entries.is_empty() && page.next.is_none());
        if path.contains('_') {
            assert_eq!(page.total, Some(6), "{path}");
        }
        let entries = house.ledger().split_off(before);
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].kind, entries[0].query.as_deref()), (EventKind::Search, Some(path)));
    }
    let unwraps = house.keeper.counts().ledger_entries;
    search(&house, "Patient?family=nobody").unwrap();
    assert_eq!(house.keeper.counts().ledger_entries, unwraps);
    assert_eq!(search(&house, "Patient?family=muller&_total=accurate&_count=2").unwrap().total, Some(6));
    for role in [Role::Auditor, Role::Operator] {
        let refused = block_on(house.vault.search(&caller(role), &call("Patient?family=muller1")));
        assert!(matches!(refused, Err(VaultError::Forbidden)));
    }
}

#[test]
fn a_search_whose_entry_cannot_be_written_shows_nothing() {
    let house = filled();
    house.faults.inject(tacet_store::memory::Operation::Write, 0, tacet_store::memory::Effect::Fail);
    let unwraps = house.keeper.counts().ledger_entries;
    assert!(matches!(search(&house, "Patient?family=muller1"), Err(VaultError::Unavailable(_))));
    assert!(matches!(search(&house, "Patient?_summary=count"), Err(VaultError::Unavailable(_))));
    assert_eq!(house.keeper.counts().ledger_entries, unwraps);
}

fn with_cursor(path: &str, cursor: &str) -> SearchCall {
    SearchCall { cursor: Some(cursor.to_owned()), parameters: Vec::new(), ..call(path) }
}

#[test]
fn pages_follow_one_another_while_data_change() {
    let house = filled();
    let caller = clinician();
    let mut seen = Vec::new();
    let mut page = block_on(house.vault.search(&caller, &call("Observation?status=final&_count=4"))).unwrap();
    for round in 0.. {
        seen.extend(named(&page, SearchMode::Match));
        assert!(page.entries.len() <= 4);
        let Some(cursor) = page.next else { break };
        house.put("Observation", &format!("new{round}"), &observation(&format!("new{round}"), "p1", "1")).unwrap();
        page = block_on(house.vault.search(&caller, &with_cursor("Observation", &cursor))).unwrap();
    }
    let old: Vec<_> = seen.iter().filter(|name| name.contains("/o")).collect();
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!((old.len(), distinct.len()), (18, seen.len()), "none twice, none left out: {seen:?}");
}

#[test]
fn a_cursor_is_good_for_its_holder_its_search_and_an_hour() {
    let house = filled();
    let holder = Caller { token: Some("abc".to_owned()), ..clinician() };
    let page = block_on(house.vault.search(&holder, &call("Observation?status=final&_count=2"))).unwrap();
    let cursor = page.next.unwrap();
    let follow =
        |caller: &Caller, call: &SearchCall| block_on(house.vault.search(caller, call)).map(|page| page.entries.len());
    assert_eq!(follow(&holder, &with_cursor("Observation", &cursor)).unwrap(), 2);
    let same = SearchCall { cursor: Some(cursor.clone()), ..call("Observation?status=final&_count=2") };
    assert_eq!(follow(&holder, &same).unwrap(), 2);
    let other_search = SearchCall { cursor: Some(cursor.clone()), ..call("Observation?status=final") };
    let others = [
        (Caller { owner: "Dr Other".to_owned(), ..holder.clone() }, with_cursor("Observation", &cursor)),
        (Caller { token: Some("abd".to_owned()), ..holder.clone() }, with_cursor("Observation", &cursor)),
        (Caller { role: Role::Integrator, ..holder.clone() }, with_cursor("Observation", &cursor)),
        (holder.clone(), with_cursor("Patient", &cursor)),
        (holder.clone(), with_cursor("", &cursor)),
        (holder.clone(), other_search),
        (holder.clone(), with_cursor("Observation", "")),
        (holder.clone(), with_cursor("Observation", "12")),
        (holder.clone(), with_cursor("Observation", &cursor[1..])),
        (holder.clone(), with_cursor("Observation", &cursor.replacen(&cursor[40..44], "AbCd", 1))),
    ];
    for (caller, call) in others {
        assert!(matches!(follow(&caller, &call), Err(VaultError::CursorRefused)), "{call:?}");
    }
    // Searches of different length have links of one length.
    let longer =
        block_on(house.vault.search(&holder, &call("Observation?status=final,amended,corrected&_count=2"))).unwrap();
    assert_eq!(longer.next.unwrap().len(), cursor.len());
    house.clock.advance_ms(tacet_vault::CURSOR_LIFE_MS - 1);
    assert!(follow(&holder, &with_cursor("Observation", &cursor)).is_ok());
    house.clock.advance_ms(1);
    assert!(matches!(follow(&holder, &with_cursor("Observation", &cursor)), Err(VaultError::CursorExpired)));
}

#[test]
fn what_comes_along_is_found_without_opening_and_written_down() {
    let house = filled();
    let before = house.ledger().len();
    let page =
        search(&house, "Observation?_id=o1-0,o1-1&_include=Observation:subject&_include:iterate=Patient:organization")
            .unwrap();
    assert_eq!(named(&page, SearchMode::Match), ["Observation/o1-0", "Observation/o1-1"]);
    assert_eq!(named(&page, SearchMode::Include), ["Organization/g", "Patient/p1"]);
    let entries = house.ledger().split_off(before);
    let named_records: usize = entries.iter().map(|entry| entry.records.len()).sum();
    assert_eq!((entries.len(), named_records), (2, 4), "the patient's, and the establishment's");
    let page = search(&house, "Patient?_id=p2&_revinclude=Observation:subject").unwrap();
    assert_eq!(named(&page, SearchMode::Include), ["Observation/o2-0", "Observation/o2-1", "Observation/o2-2"]);
    // Without `:iterate` only matches bring something along.
    let page =
        search(&house, "Observation?_id=o1-0&_include=Observation:subject&_include=Patient:organization").unwrap();
    assert_eq!(named(&page, SearchMode::Include), ["Patient/p1"]);
    // A circle ends.
    for (id, next) in [("a", "b"), ("b", "c"), ("c", "a")] {
        let body = format!(
            r#"{{"resourceType":"Organization","id":"{id}","name":"N","partOf":{{"reference":"Organization/{next}"}}}}"#
        );
        house.put("Organization", id, &body).unwrap();
    }
    let page = search(&house, "Organization?_id=a&_include:iterate=Organization:partof").unwrap();
    assert_eq!(named(&page, SearchMode::Include), ["Organization/b", "Organization/c"]);
}

#[test]
fn parts_of_records_are_marked_as_parts() {
    let house = filled();
    let body = |path: &str| {
        let page = search(&house, path).unwrap();
        String::from_utf8(page.entries[0].disclosed.body.to_vec()).unwrap()
    };
    let elements = body("Patient?_id=p1&_elements=birthDate");
    assert!(
        elements.contains("1981-02-03") && !elements.contains("Müller") && elements.contains("SUBSETTED"),
        "{elements}"
    );
    let summary = body("Observation?_id=o1-1&_summary=true");
    assert!(summary.contains("valueQuantity") && summary.contains("SUBSETTED"));
    let text = body("Observation?_id=o1-1&_summary=text");
    assert!(!text.contains("valueQuantity") && text.contains("\"status\""));
    assert!(!body("Patient?_id=p1").contains("SUBSETTED"));
}

#[test]
fn after_a_start_the_index_is_made_again_and_written_down() {
    let mut house = filled();
    house.delete("Observation", "o1-1").unwrap();
    house.reopen();
    settled(&house);
    let work: Vec<_> = house.ledger().into_iter().filter(|entry| entry.agent.owner == "tacet").collect();
    assert_eq!(work.len(), 1, "records were opened for it");
    assert!(house.keeper.counts().maintenance > 0);
    assert_index_is_the_heads(&house);
    assert_eq!(found(&house, "Patient?family=muller3"), ["Patient/p3"]);
    assert_eq!(found(&house, "Observation?subject=Patient/p1").len(), 2);
    // While it is rebuilt it goes on answering, and what is written meanwhile is there.
    house.vault.rebuild_index().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..30 {
                let id = format!("r{number}");
                house.put("Patient", &id, &patient(&id, "Rebuilt")).unwrap();
                assert_eq!(found(&house, &format!("Patient?_id={id}")).len(), 1);
                if number % 3 == 0 {
                    house.delete("Patient", &id).unwrap();
                }
            }
        });
    });
    settled(&house);
    assert_eq!(found(&house, "Patient?family=rebuilt").len(), 20);
    assert_index_is_the_heads(&house);
}

/// The keeper's rate holds a rebuild up and does not break it.
#[test]
fn a_rebuild_waits_for_the_keeper() {
    let mut house = House::with(KeeperLimits { burst: 60, per_second: 1000 });
    for number in 0..40 {
        let id = format!("p{number}");
        house.put("Patient", &id, &patient(&id, "X")).unwrap();
        house.clock.advance_ms(100);
    }
    house.clock.advance_ms(10_000);
    house.keeper = std::sync::Arc::new(tacet_seal::InProcessKeeper::new(
        house.root.keys(),
        house.clock.clone(),
        std::sync::Arc::new(tacet_seal::SecureRng),
        KeeperLimits { burst: 15, per_second: 1000 },
    ));
    house.reopen();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(20));
                house.clock.advance_ms(20);
            }
        });
        settled(&house);
        done.store(true, Ordering::SeqCst);
    });
    assert!(house.keeper.counts().refused > 0, "it had to wait");
    house.clock.advance_ms(10_000);
    assert_eq!(found(&house, "Patient?_count=1").len(), 1);
}

#[test]
fn an_erased_patient_is_found_by_no_search() {
    let house = filled();
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p3"))).unwrap();
    for path in ["Patient?family=muller3", "Observation?subject=Patient/p3", "?_id=p3", "Patient/p3/*"] {
        assert_eq!(found(&house, path), [] as [&str; 0], "{path}");
    }
    assert_eq!(found(&house, "Patient?family=muller").len(), 5);
    // The id of a record may begin anew; that of the patient may not.
    house.put("Observation", "o3-0", &observation("o3-0", "p4", "2")).unwrap();
    assert_eq!(found(&house, "Observation?subject=Patient/p4").len(), 4);
    assert_index_is_the_heads(&house);
}

#[test]
fn patients_can_be_made_findable_by_identifier_alone() {
    let mut house = filled();
    house.patients_only_by_match = true;
    house.reopen();
    settled(&house);
    for allowed in [
        "Patient?_id=p1",
        "Patient?identifier=urn:oid:1.2|n1",
        "Patient?identifier=n1&family=muller1&_id=p1",
        "Observation?subject=Patient/p1",
        "Observation?subject:Patient.identifier=n1",
        "Observation?status=final",
        "Patient/p1/Observation",
        "Organization?name=clinique",
    ] {
        let answer = search(&house, allowed);
        match allowed.contains("family") {
            true => {
                assert!(matches!(answer, Err(VaultError::OnlyByMatch)), "{allowed}: demographics beside an identifier")
            }
            false => assert!(!answer.unwrap().entries.is_empty(), "{allowed}"),
        }
    }
    for refused in [
        "Patient",
        "Patient?family=muller1",
        "Patient?birthdate=1981-02-03",
        "Patient?_lastUpdated=gt2020",
        "Patient?identifier=n1&_sort=family&gender:not=male",
        "Patient?_content=muller1",
        "Patient?_has:Observation:subject:status=final",
        "Patient?identifier:missing=false",
        "Patient?_summary=count",
        "",
        "?_type=Patient,Observation",
        "Person?name=x",
        "Observation?subject:Patient.family=muller1",
        "Observation?subject:Patient.birthdate=1981-02-03",
        "Practitioner/d/Patient",
    ] {
        let answer = search(&house, refused);
        assert!(
            matches!(answer, Err(VaultError::OnlyByMatch)),
            "{refused}: {:?}",
            answer.map(|page| page.entries.len())
        );
    }
    assert_eq!(found(&house, "?_type=Observation").len(), 18);
}
