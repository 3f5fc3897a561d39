//! What a restore asks of a vault: who is in care, whether the ledger is the one that was known, a log that goes on under another name, tokens ended.

use crate::access::put;
use crate::house::*;
use pollster::block_on;
use tacet_seal::SecureRng;
use tacet_tlog::SignerKey;
use tacet_tlog::cosignature::cosign;
use tacet_tlog::note::SignatureType;
use tacet_vault::{EventKind, Halt, Health, Role, Urgency, VaultError};

fn stay(id: &str, patient: &str, class: &str, status: &str, period: &str) -> String {
    format!(
        r#"{{"resourceType":"Encounter","id":"{id}","status":"{status}","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"{class}"}},"subject":{{"reference":"Patient/{patient}"}},"period":{period}}}"#
    )
}

#[test]
fn who_is_in_care_is_brought_near_first() {
    let mut house = House::guarded();
    for id in ["emergency", "ward", "ward-later", "today", "gone", "nowhere"] {
        put(&house, &patient(id, "Nom"));
    }
    put(&house, r#"{"resourceType":"Practitioner","id":"d","name":[{"family":"Petit"}]}"#);
    put(&house, &stay("e1", "emergency", "EMER", "in-progress", r#"{"start":"2026-03-01T07:00:00Z"}"#));
    put(&house, &stay("e2", "ward", "IMP", "in-progress", r#"{"start":"2026-02-25T08:00:00Z"}"#));
    put(&house, &stay("e3", "ward-later", "IMP", "in-progress", r#"{"start":"2026-02-27T08:00:00Z"}"#));
    let over = r#"{"start":"2026-02-20T08:00:00Z","end":"2026-02-21T08:00:00Z"}"#;
    put(&house, &stay("e4", "gone", "IMP", "finished", over));
    put(
        &house,
        r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-03-01T10:00:00Z","end":"2026-03-01T10:30:00Z","participant":[{"actor":{"reference":"Patient/today"},"status":"accepted"},{"actor":{"reference":"Practitioner/d"},"status":"accepted"}]}"#,
    );
    put(&house, &observation("o1", "ward", "70"));
    put(&house, &observation("o2", "ward", "71"));
    let expected = [
        (Urgency::Ward, rid("emergency")),
        (Urgency::Ward, rid("ward-later")),
        (Urgency::Ward, rid("ward")),
        (Urgency::Today, rid("today")),
    ];
    assert_eq!(house.vault.patients_in_care(), expected);
    house.reopen();
    assert_eq!(house.vault.patients_in_care(), expected, "it is known at a start");
    let entries = house.ledger().len();
    // The patient, two weights, and the stay.
    assert_eq!(house.vault.bring_near(&rid("ward")).unwrap(), 4);
    assert_eq!(house.vault.bring_near(&rid("unknown")).unwrap(), 0);
    // The index says that it is made anew after the start; nothing is shown, so nothing else is written down.
    assert!(house.ledger()[entries..].iter().all(|entry| entry.records.is_empty()));
    house.clock.advance_ms(30 * 86_400_000);
    assert_eq!(house.vault.patients_in_care().len(), 3, "the appointment is over; who is here stays here");
    assert!(House::new().vault.patients_in_care().is_empty(), "where nothing is known of care");
}

#[test]
fn the_ledger_is_held_against_what_was_known_before() {
    let house = House::new();
    house.put("Patient", "p", &patient("p", "Nom")).unwrap();
    house.vault.name_log(Some("hospital.example/ledger")).unwrap();
    let known = house.vault.publish_now().unwrap().unwrap();
    let (size, root) = (known.checkpoint().size(), known.checkpoint().root().0);
    for number in 0..20 {
        let id = format!("o{number}");
        house.put("Observation", &id, &observation(&id, "p", "1")).unwrap();
    }
    let later = house.vault.publish_now().unwrap().unwrap();
    let (more, root_of_more) = (later.checkpoint().size(), later.checkpoint().root().0);
    let held = |known: &[(u64, [u8; 32])]| house.vault.hold_ledger_at(known, &mut |_, _| {}).unwrap().problems;
    assert!(held(&[(size, root), (more, root_of_more)]).is_empty());
    assert!(house.vault.hold_ledger(size, root, &mut |_, _| {}).unwrap().problems.is_empty());
    assert_eq!(
        held(&[(size, root), (more, root)]),
        [format!("the first {more} entries are not those that were known before")]
    );
    assert_eq!(held(&[(size + 1, root)]).len(), 1, "another size");
    let beyond = held(&[(1_000_000, root)]);
    assert!(beyond.len() == 1 && beyond[0].contains("1000000 were known before"), "{beyond:?}");
}

#[test]
fn a_log_goes_on_under_another_name_and_says_so_in_the_same_commit() {
    let mut house = House::new();
    house.put("Patient", "p", &patient("p", "Nom")).unwrap();
    let operator = caller(Role::Operator);
    assert!(house.vault.succeed_log(&operator, "new.example/ledger", "x").is_err(), "it has no name yet");
    let (old, keys) = house.vault.name_log(Some("old.example/ledger")).unwrap();
    let mut signed = house.vault.publish_now().unwrap().unwrap();
    assert!(!house.vault.log_was_cosigned().unwrap());
    let witness = SignerKey::generate("w.example", SignatureType::CosignatureEd25519, &SecureRng).unwrap();
    assert!(signed.add(cosign(&witness, &signed, 1000).unwrap()));
    house.vault.keep_cosigned(&signed).unwrap();
    assert!(house.vault.log_was_cosigned().unwrap());
    // A witness that saw more stops every disclosure.
    house.vault.halt(&Halt::Ahead { witness: "w.example+aa+BA1".into(), seen: 9000, size: 10 });
    assert_eq!(house.vault.health(), Health::Halted);
    assert!(matches!(house.read("Patient", "p"), Err(VaultError::Halted(_))));

    assert!(house.vault.succeed_log(&operator, "old.example/ledger", "the same").is_err());
    assert!(house.vault.succeed_log(&operator, "no name\n", "x").is_err());
    let before = house.ledger().len();
    let why = "é".repeat(5000);
    let succeeded = house.vault.succeed_log(&operator, "new.example/ledger", &why).unwrap();
    assert_eq!((succeeded.before.as_str(), succeeded.origin.as_str()), (old.as_str(), "new.example/ledger"));
    assert_ne!(succeeded.keys, keys);
    let entry = &house.ledger()[succeeded.entry as usize];
    assert_eq!((entry.kind, succeeded.entry as usize), (EventKind::ConfigurationChange, before));
    let detail = entry.detail.as_deref().unwrap();
    let (size, root) = (signed.checkpoint().size(), signed.checkpoint().root());
    assert!(
        detail.contains("old.example/ledger") && detail.contains(&format!("{size} entries, root {root}")),
        "{detail}"
    );
    assert_eq!(house.vault.health(), Health::Ready, "what stopped disclosures was about the log of before");
    house.read("Patient", "p").unwrap();
    house.reopen();
    assert_eq!(house.vault.health(), Health::Ready);
    assert_eq!(house.vault.name_log(None).unwrap(), (succeeded.origin, succeeded.keys));
    let next = house.vault.publish_now().unwrap().unwrap();
    assert!(next.checkpoint().size() > size, "all entries are in the new log");
    house.assert_sound();
}

#[test]
fn every_token_is_ended_with_its_entry() {
    let house = House::new();
    let operator = caller(Role::Operator);
    let expires = tacet_types::Clock::now(house.clock.as_ref()).plus_ms(86_400_000);
    let made: Vec<_> = (0..250)
        .map(|number| {
            let owner = format!("machine {number}");
            block_on(house.vault.create_token(&operator, &owner, Role::Integrator, expires)).unwrap()
        })
        .collect();
    let alive = |place: usize| house.vault.authenticate(made[place].1.reveal()).unwrap().is_some();
    assert!(alive(0) && alive(249));
    let before = house.ledger().len();
    assert_eq!(block_on(house.vault.revoke_all_tokens(&operator, "after a restore")).unwrap(), 250);
    assert!(!(alive(0) || alive(249)), "those that were known a moment ago too");
    assert!(house.vault.tokens().unwrap().is_empty());
    let entries = house.ledger().split_off(before);
    let ended = |id: &str| {
        entries.iter().any(|entry| {
            entry.kind == EventKind::TokenRevoked
                && entry
                    .detail
                    .as_deref()
                    .is_some_and(|detail| detail.contains(id) && detail.contains("after a restore"))
        })
    };
    assert!(entries.len() == 250 && made.iter().all(|(token, _)| ended(&token.id)));
    assert_eq!(block_on(house.vault.revoke_all_tokens(&operator, "again")).unwrap(), 0);
    house.assert_sound();
}

/// Puts a row on the disk that nothing here has written.
fn plant(house: &mut House, key: Vec<u8>) {
    let _ = house.vault.clone().close();
    let engine = tacet_store::memory::MemoryEngine::open(&house.disk, tacet_store::memory::Faults::default());
    let write = tacet_store::Write::put(key, b"nonsense".to_vec());
    tacet_store::Engine::write(&engine, &[write], tacet_store::Durability::Durable).unwrap();
    drop(engine);
    house.reopen();
}

#[test]
fn rows_that_do_not_open_keep_no_token_and_no_table_from_being_ended() {
    use tacet_ledger::noted::{Expect, NotedRows, RowWrite, Table};
    const TOKENS: u8 = 0x06;
    let mut house = House::new();
    let operator = caller(Role::Operator);
    let expires = tacet_types::Clock::now(house.clock.as_ref()).plus_ms(86_400_000);
    let (_, secret) = block_on(house.vault.create_token(&operator, "machine", Role::Integrator, expires)).unwrap();
    let write = |house: &House, name: &[u8]| {
        let (name, value) = (name.to_vec(), Some(b"{}".to_vec()));
        let write = RowWrite { table: Table::Sessions, name, value, expect: Expect::Absent };
        block_on(house.vault.commit(vec![write], Vec::new())).unwrap();
    };
    write(&house, b"one");
    let mut token = vec![0x55; 17];
    token[0] = TOKENS;
    plant(&mut house, token);
    assert!(house.vault.tokens().is_err());
    assert_eq!(house.vault.tokens_in_force().unwrap(), 1);
    assert_eq!(block_on(house.vault.revoke_all_tokens(&operator, "after a restore")).unwrap(), 2);
    assert!(house.vault.authenticate(secret.reveal()).unwrap().is_none());
    assert!(house.vault.tokens().unwrap().is_empty() && house.disk_rows(TOKENS) == 0);
    let unreadable = |entry: &tacet_ledger::Entry| {
        entry.detail.as_deref() == Some("a token that cannot be read revoked, after a restore")
    };
    assert_eq!(house.ledger().iter().filter(|entry| unreadable(entry)).count(), 1);
    house.assert_sound();
}
