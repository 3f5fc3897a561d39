//! A ward's records for paper, where the key keeper lets through less than is asked for.

use super::{machine, patient_of, put};
use crate::house::*;
use pollster::block_on;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tacet_ledger::EventKind;
use tacet_seal::{KeeperLimits, KeyKeeper};
use tacet_vault::{VaultError, Ward, WardGaps, WardRecords};

const PATIENTS: [&str; 3] = ["p1", "p2", "p3"];

fn ward() -> House {
    let house = House::guarded_with(KeeperLimits { burst: 200, per_second: 2 });
    put(&house, r#"{"resourceType":"Location","id":"w","name":"Cardiologie","status":"active"}"#);
    for patient in PATIENTS {
        put(&house, &patient_of(patient, ""));
        put(
            &house,
            &format!(
                r#"{{"resourceType":"Encounter","id":"stay-{patient}","status":"in-progress","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"}},"subject":{{"reference":"Patient/{patient}"}},"period":{{"start":"2026-02-27T08:00:00Z"}},"location":[{{"location":{{"reference":"Location/w"}}}}]}}"#
            ),
        );
    }
    // Of two patients at once, so it is under another key than what else there is of either.
    put(
        &house,
        r#"{"resourceType":"Appointment","id":"both","status":"booked","start":"2026-03-01T10:00:00Z","end":"2026-03-01T10:30:00Z","participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted"},{"actor":{"reference":"Patient/p2"},"status":"accepted"}]}"#,
    );
    house
}

/// The ward's records, how many keys were unwrapped for them, and how often it was waited for the keeper.
fn gathered(house: &House) -> (WardRecords, u64, u64) {
    let (before, waits) = (house.keeper.counts().ledger_entries, AtomicU64::new(0));
    let wait = |pause: Duration| {
        waits.fetch_add(1, Ordering::Relaxed);
        house.clock.advance_ms(i64::try_from(pause.as_millis()).unwrap());
    };
    let told = |code: &str| format!("sheet {code}");
    let place = Ward::parse("Location/w").unwrap();
    let found = block_on(house.vault.ward_records(&place, "20260301-0800-ABCD", &told, &wait)).unwrap();
    (found, house.keeper.counts().ledger_entries - before, waits.into_inner())
}

#[test]
fn after_a_wait_for_the_keeper_it_goes_on_with_what_is_left() {
    let house = ward();
    let names = |found: &WardRecords| -> Vec<Vec<String>> {
        let of = |patient: &tacet_vault::WardPatient| {
            let mut names: Vec<String> = patient.records.iter().map(|one| one.record.id.as_str().to_owned()).collect();
            names.sort();
            names
        };
        found.patients.iter().map(of).collect()
    };
    let (whole, keys, waits) = gathered(&house);
    assert_eq!((whole.patients.len(), waits), (3, 0));
    assert_eq!(names(&whole), [vec!["both", "p1", "stay-p1"], vec!["both", "p2", "stay-p2"], vec!["p3", "stay-p3"]]);
    // Nothing is let through any more, but for two a second.
    let read = || block_on(house.vault.read(&machine(), kind("Patient"), &rid("p1")));
    while read().is_ok() {}
    assert!(matches!(read(), Err(VaultError::RateExceeded { .. })));
    let size = house.ledger().len();
    let (again, unwrapped, waits) = gathered(&house);
    assert_eq!(names(&again), names(&whole));
    assert!(again.patients.iter().all(|patient| patient.gaps == WardGaps::default()));
    assert_eq!(unwrapped, keys, "nothing is opened twice");
    assert!(waits > 1, "{waits}");
    // An entry for each key, and one more for each wait.
    let entries = house.ledger().split_off(size);
    let printed = entries.iter().filter(|entry| entry.kind == EventKind::Print).count() as u64;
    assert!(printed <= keys + 2 * waits, "{printed} entries, {keys} keys, {waits} waits");
}
