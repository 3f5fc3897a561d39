//! Create, read, update, delete, versions and their conditions.

use crate::house::*;
use pollster::block_on;
use tacet_types::VersionId;
use tacet_vault::{Role, VaultError};

#[test]
fn what_is_stored_comes_back_with_its_digits_and_order() {
    let house = House::new();
    let body = r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"Poids \u00e9lev\u00e9"},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":70.00,"unit":"kg"},"extension":[{"url":"http://example.org/x","valueDecimal":1E-22}]}"#;
    let stored = house.put("Observation", "o1", body).unwrap();
    assert!(stored.created);
    assert_eq!(stored.record.version, VersionId(1));
    let read = house.read("Observation", "o1").unwrap();
    assert_eq!(
        read,
        r#"{"resourceType":"Observation","id":"o1","meta":{"versionId":"1","lastUpdated":"2026-03-01T08:00:00.000Z"},"status":"final","code":{"text":"Poids élevé"},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":70.00,"unit":"kg"},"extension":[{"url":"http://example.org/x","valueDecimal":1E-22}]}"#
    );
    house.assert_sound();
}

#[test]
fn versions_follow_one_another_and_stay_readable() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    house.clock.advance_ms(1000);
    let second = house.put("Patient", "p1", &patient("p1", "Deux")).unwrap();
    assert_eq!((second.record.version, second.created), (VersionId(2), false));
    assert!(house.read("Patient", "p1").unwrap().contains("Deux"));
    assert!(house.vread("Patient", "p1", 1).unwrap().contains("Un"));

    assert_eq!(house.delete("Patient", "p1").unwrap().record.unwrap().version, VersionId(3));
    assert!(house.delete("Patient", "p1").unwrap().record.is_none(), "deleting twice does nothing");
    assert!(matches!(house.read("Patient", "p1"), Err(VaultError::Gone { .. })));
    assert!(matches!(house.vread("Patient", "p1", 3), Err(VaultError::Gone { .. })));
    assert!(house.vread("Patient", "p1", 2).unwrap().contains("Deux"));
    assert!(matches!(house.vread("Patient", "p1", 4), Err(VaultError::NotFound)));

    let back = house.put("Patient", "p1", &patient("p1", "Trois")).unwrap();
    assert_eq!((back.record.version, back.created), (VersionId(4), true));
    assert_eq!(house.assert_sound().versions, 4);
}

#[test]
fn conditions_are_held() {
    let house = House::new();
    let update = |version: Option<u64>, none: bool| {
        let body = patient("p1", "X");
        block_on(house.vault.update(
            &clinician(),
            kind("Patient"),
            &rid("p1"),
            body.as_bytes(),
            BASE_URL,
            version.map(VersionId),
            none,
        ))
    };
    assert!(matches!(update(Some(1), false), Err(VaultError::PreconditionFailed)));
    update(None, true).unwrap();
    assert!(matches!(update(None, true), Err(VaultError::PreconditionFailed)));
    update(Some(1), false).unwrap();
    assert!(matches!(update(Some(1), false), Err(VaultError::PreconditionFailed)));
    let delete = |version| block_on(house.vault.delete(&clinician(), kind("Patient"), &rid("p1"), version));
    assert!(matches!(delete(Some(VersionId(1))), Err(VaultError::PreconditionFailed)));
    assert!(delete(Some(VersionId(2))).unwrap().record.is_some());
}

#[test]
fn bad_bodies_are_refused_and_leave_nothing() {
    let house = House::new();
    let before = house.assert_sound();
    let refused = |id: &str, body: &str| house.put("Patient", id, body).err().unwrap();
    assert!(matches!(refused("p1", "{"), VaultError::Malformed(_)));
    assert!(matches!(refused("p1", r#"{"resourceType":"Patient","id":"p1","id":"p1"}"#), VaultError::Malformed(_)));
    assert!(matches!(refused("p1", &patient("p2", "X")), VaultError::IdMismatch));
    assert!(matches!(refused("p1", r#"{"resourceType":"Patient"}"#), VaultError::IdMismatch));
    assert!(matches!(refused("p1", &observation("p1", "x", "1")), VaultError::IdMismatch));
    match refused("p1", r#"{"resourceType":"Patient","id":"p1","nom":"secret"}"#) {
        VaultError::Invalid(issues) => {
            assert!(issues.iter().any(|issue| issue.location == "Patient.nom"), "{issues:?}");
            assert!(!format!("{issues:?}").contains("secret"));
        }
        other => panic!("{other:?}"),
    }
    let after = house.assert_sound();
    assert_eq!((before.versions, before.data_keys), (after.versions, after.data_keys));
}

#[test]
fn a_new_resource_gets_a_new_id() {
    let house = House::new();
    let create = || {
        let body = patient("mine", "X");
        block_on(house.vault.create(&clinician(), kind("Patient"), body.as_bytes(), BASE_URL)).unwrap()
    };
    let (a, b) = (create(), create());
    assert_ne!(a.record.id, b.record.id);
    assert_ne!(a.record.id.as_str(), "mine");
    assert!(house.read("Patient", a.record.id.as_str()).is_ok());
}

#[test]
fn roles_without_the_right_get_nothing() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    for role in [Role::Operator, Role::Auditor] {
        let caller = caller(role);
        let read = block_on(house.vault.read(&caller, kind("Patient"), &rid("p1")));
        assert!(matches!(read, Err(VaultError::Forbidden)));
        let write = block_on(house.vault.create(&caller, kind("Patient"), patient("x", "X").as_bytes(), BASE_URL));
        assert!(matches!(write, Err(VaultError::Forbidden)));
        assert!(matches!(
            block_on(house.vault.delete(&caller, kind("Patient"), &rid("p1"), None)),
            Err(VaultError::Forbidden)
        ));
    }
}

#[test]
fn many_writers_of_one_patient_all_succeed() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let house = &house;
            scope.spawn(move || {
                for number in 0..25 {
                    let id = format!("o-{writer}-{number}");
                    house.put("Observation", &id, &observation(&id, "p1", "1")).unwrap();
                }
            });
        }
    });
    let report = house.assert_sound();
    assert_eq!(report.resources[&kind("Observation")], 200);
    let mut seen = std::collections::HashSet::new();
    let mut query = tacet_vault::EverythingQuery { count: 30, ..Default::default() };
    loop {
        let page = block_on(house.vault.everything(&clinician(), &rid("p1"), &query)).unwrap();
        seen.extend(page.entries.into_iter().map(|(disclosed, _)| disclosed.record));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 201);
}

/// One of them succeeded in each round, all planned anew, and who had lost 64 times was told of a conflict.
#[test]
fn two_hundred_writers_of_one_patient_plan_few_times() {
    const WRITERS: u64 = 200;
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    let before = house.vault.statistics();
    let start = std::sync::Barrier::new(WRITERS as usize);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let body = observation("any", "p1", "1");
                start.wait();
                block_on(house.vault.create(&clinician(), kind("Observation"), body.as_bytes(), BASE_URL)).unwrap();
            });
        }
    });
    let after = house.vault.statistics();
    let plans = after.plans - before.plans;
    assert!((WRITERS..=WRITERS * 5).contains(&plans), "{plans} plans");
    // Each asks the keeper once, however often it plans.
    assert!(plans > WRITERS, "nobody lost, so this shows nothing");
    assert_eq!(after.unwraps.writes - before.unwraps.writes, WRITERS);
    assert_eq!(house.assert_sound().resources[&kind("Observation")], WRITERS);
}

/// A record that names its patient by this server's URL went under the establishment's key, out of the patient's reach.
#[test]
fn a_reference_by_this_servers_url_is_the_patients() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    let absolute = |id: &str| observation(id, "p1", "1").replace("Patient/p1", &format!("{BASE_URL}/Patient/p1"));
    house.put("Observation", "o1", &absolute("o1")).unwrap();
    let body = absolute("any");
    let stored = block_on(house.vault.create(&clinician(), kind("Observation"), body.as_bytes(), BASE_URL)).unwrap();
    for id in ["o1", stored.record.id.as_str()] {
        assert!(house.read("Observation", id).unwrap().contains(r#""reference":"Patient/p1""#));
    }
    let query = tacet_vault::EverythingQuery { count: 30, ..Default::default() };
    let page = block_on(house.vault.everything(&clinician(), &rid("p1"), &query)).unwrap();
    assert_eq!(page.entries.len(), 3);
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p1"))).unwrap();
    for id in ["o1", stored.record.id.as_str()] {
        assert!(house.read("Observation", id).is_err(), "it outlived its patient");
    }
    house.assert_sound();
}

/// Whose they are is not known before they are resolved, and nothing resolves them in a single change.
#[test]
fn references_that_only_a_bundle_resolves_are_refused() {
    let house = House::new();
    for target in ["urn:uuid:aaaaaaaa-1111-4111-8111-111111111111", "Patient?identifier=http://example.org|1"] {
        let body = observation("o1", "p1", "1").replace("Patient/p1", target);
        let create = || block_on(house.vault.create(&clinician(), kind("Observation"), body.as_bytes(), BASE_URL));
        for refused in [house.put("Observation", "o1", &body).err(), create().err()] {
            assert!(matches!(refused, Some(VaultError::Invalid(_))), "{refused:?}");
        }
    }
    // Among the entries of a document they hold.
    let document = r#"{"resourceType":"Bundle","id":"doc","type":"document","timestamp":"2026-01-01T00:00:00Z","identifier":{"system":"urn:oid:1.2.3","value":"1"},"entry":[{"fullUrl":"urn:uuid:aaaaaaaa-1111-4111-8111-111111111111","resource":{"resourceType":"Composition","status":"final","type":{"text":"t"},"date":"2026-01-01","author":[{"reference":"urn:uuid:bbbbbbbb-1111-4111-8111-111111111111"}],"title":"T"}},{"fullUrl":"urn:uuid:bbbbbbbb-1111-4111-8111-111111111111","resource":{"resourceType":"Practitioner"}}]}"#;
    house.put("Bundle", "doc", document).unwrap();
    assert!(house.read("Bundle", "doc").unwrap().contains("\"reference\":\"urn:uuid:bbbb"));
}

/// It could be stored by ways other than its path, which there is none of, and never be read again.
#[test]
fn parameters_are_not_stored() {
    let house = House::new();
    let body = r#"{"resourceType":"Parameters","id":"x","parameter":[{"name":"a","valueString":"b"}]}"#;
    let told = |issues: &[tacet_fhir::outcome::Issue]| issues.iter().any(|issue| issue.message.contains("no endpoint"));
    let create = block_on(house.vault.create(&clinician(), kind("Parameters"), body.as_bytes(), BASE_URL));
    for refused in [house.put("Parameters", "x", body).err(), create.err()] {
        assert!(matches!(refused, Some(VaultError::Invalid(issues)) if told(&issues)));
    }
    let bundle = |kind: &str| {
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{{"resource":{body},"request":{{"method":"PUT","url":"Parameters/x"}}}}]}}"#
        );
        let caller = clinician();
        let done = house.vault.bundle(&caller, text.as_bytes(), BASE_URL, Default::default());
        block_on(done).map(|answer| String::from_utf8(answer.to_vec()).unwrap())
    };
    assert!(matches!(bundle("transaction"), Err(VaultError::Invalid(issues)) if told(&issues)));
    assert!(bundle("batch").unwrap().contains("no endpoint"));
    let unit = tacet_vault::ImportUnit::Resources(vec![(1, body.as_bytes())]);
    let outcome = block_on(house.vault.import(&clinician(), &unit, Default::default())).unwrap();
    assert!(outcome.stored.is_empty() && told(&outcome.rejected[0].issues));
    assert_eq!(house.assert_sound().versions, 0);
}
