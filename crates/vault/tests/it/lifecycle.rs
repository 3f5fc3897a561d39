//! Rotation, erasure, tokens, damage.

use crate::house::*;
use pollster::block_on;
use std::sync::Arc;
use tacet_seal::{InProcessKeeper, SecureRng};
use tacet_store::memory::MemoryEngine;
use tacet_store::{Durability, Engine, Reader, Write};
use tacet_vault::{Role, Vault, VaultError};

fn filled() -> House {
    let house = House::new();
    house.put("Organization", "g", r#"{"resourceType":"Organization","id":"g","name":"G"}"#).unwrap();
    for number in 0..20 {
        let id = format!("p{number}");
        house.put("Patient", &id, &patient(&id, "Nom")).unwrap();
        for observed in 0..4 {
            let observed = format!("o{number}-{observed}");
            house.put("Observation", &observed, &observation(&observed, &id, "1.50")).unwrap();
        }
    }
    house
}

fn content_rows(house: &House) -> Vec<(Vec<u8>, Vec<u8>)> {
    let engine = MemoryEngine::open(&house.disk, Default::default());
    let mut rows = Vec::new();
    engine
        .range(&[3], &[4], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

#[test]
fn rotation_wraps_keys_anew_and_writes_no_record() {
    let mut house = filled();
    let before = content_rows(&house);
    house.root.begin_rotation(&SecureRng).unwrap();
    house.keeper =
        Arc::new(InProcessKeeper::new(house.root.keys(), house.clock.clone(), Arc::new(SecureRng), unbounded()));
    house.reopen();
    let report = block_on(house.vault.rewrap(&caller(Role::Operator), &mut |_| {})).unwrap();
    assert_eq!(
        (report.rewrapped, report.current),
        (23, 0),
        "20 patients, the establishment's content, the establishment, a month of the ledger"
    );
    let again = block_on(house.vault.rewrap(&caller(Role::Operator), &mut |_| {})).unwrap();
    assert_eq!((again.rewrapped, again.current), (0, 23));
    house.root.finish_rotation(&SecureRng).unwrap();
    house.keeper =
        Arc::new(InProcessKeeper::new(house.root.keys(), house.clock.clone(), Arc::new(SecureRng), unbounded()));
    house.reopen();
    assert!(house.read("Observation", "o3-1").unwrap().contains("1.50"));
    house.assert_sound();
    assert_eq!(before, content_rows(&house));
}

#[test]
fn an_erased_patient_is_gone_and_the_others_are_not() {
    let mut house = filled();
    house.put("Patient", "p3", &patient("p3", "Deux")).unwrap();
    house.delete("Observation", "o3-1").unwrap();
    // Moved to another patient: the old version was p3's.
    house.put("Observation", "o3-2", &observation("o3-2", "p4", "2")).unwrap();
    let group = r#"{"resourceType":"Group","id":"both","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p3"}},{"entity":{"reference":"Patient/p4"}}]}"#;
    house.put("Group", "both", group).unwrap();

    let preview = house.vault.preview_erase(&rid("p3")).unwrap().unwrap();
    let report = block_on(house.vault.erase(&caller(Role::Operator), &rid("p3"))).unwrap();
    assert_eq!(preview, report.erased);
    let mut shared = report.erased.shared.clone();
    shared.sort();
    assert_eq!(shared, [(kind("Group"), rid("both")), (kind("Observation"), rid("o3-2"))]);
    for _ in 0..2 {
        assert!(matches!(house.read("Patient", "p3"), Err(VaultError::NotFound)));
        assert!(matches!(house.vread("Patient", "p3", 1), Err(VaultError::NotFound)));
        assert!(matches!(house.read("Observation", "o3-0"), Err(VaultError::NotFound)));
        assert!(matches!(house.vread("Observation", "o3-2", 1), Err(VaultError::NotFound)));
        assert!(house.read("Observation", "o3-2").unwrap().contains("Patient/p4"));
        assert!(house.read("Group", "both").is_ok());
        assert!(house.read("Patient", "p4").is_ok());
        house.assert_sound();
        house.reopen();
    }
    // A record cannot come back under the erased key.
    assert!(matches!(house.put("Patient", "p3", &patient("p3", "X")), Err(VaultError::Erased)));
    assert!(matches!(house.put("Observation", "n", &observation("n", "p3", "1")), Err(VaultError::Erased)));
    assert!(matches!(block_on(house.vault.erase(&caller(Role::Operator), &rid("p3"))), Err(VaultError::NotFound)));
    assert!(matches!(block_on(house.vault.erase(&caller(Role::Operator), &rid("never"))), Err(VaultError::NotFound)));
}

#[test]
fn tokens_are_found_by_their_secret_until_they_end() {
    let house = House::new();
    let operator = caller(Role::Operator);
    let expires = tacet_types::Timestamp::parse(START).unwrap().plus_ms(60_000);
    let (token, secret) = block_on(house.vault.create_token(&operator, "Dr Martin", Role::Clinician, expires)).unwrap();
    assert_eq!(house.vault.authenticate(secret.reveal()).unwrap(), Some(token.clone()));
    for wrong in ["", "tacet_", &secret.reveal()[1..], &secret.reveal().replace('a', "b"), &"x".repeat(70)] {
        if wrong != secret.reveal() {
            assert_eq!(house.vault.authenticate(wrong).unwrap(), None);
        }
    }
    house.clock.advance_ms(59_999);
    assert!(house.vault.authenticate(secret.reveal()).unwrap().is_some());
    house.clock.advance_ms(1);
    assert!(house.vault.authenticate(secret.reveal()).unwrap().is_none(), "expired, though it was in the cache");

    let expires = expires.plus_ms(1_000_000);
    let (second, secret) = block_on(house.vault.create_token(&operator, "PACS", Role::Integrator, expires)).unwrap();
    assert!(house.vault.authenticate(secret.reveal()).unwrap().is_some());
    assert_eq!(house.vault.tokens().unwrap(), [token, second.clone()]);
    assert!(block_on(house.vault.revoke_token(&operator, &second.id)).unwrap());
    assert!(!block_on(house.vault.revoke_token(&operator, &second.id)).unwrap());
    assert!(house.vault.authenticate(secret.reveal()).unwrap().is_none());
    for (owner, until) in [("", expires), ("  ", expires), ("a\nb", expires), ("x", tacet_types::Timestamp::from_ms(0))]
    {
        assert!(block_on(house.vault.create_token(&operator, owner, Role::Clinician, until)).is_err());
    }
    house.assert_sound();
}

/// Every row of every space, damaged, removed or put in another's place, is found by the check or refused when opening.
#[test]
fn damage_is_found() {
    let house = filled();
    let _ = house.vault.clone().close();
    let sound = MemoryEngine::open(&house.disk, Default::default());
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    sound
        .range(&[2], &[0xff], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let by_space = |space: u8| rows.iter().filter(move |(key, _)| key[0] == space).take(3).collect::<Vec<_>>();
    let mut tried = 0;
    for space in [2u8, 3, 4, 5, 8, 0x10, 0x11] {
        let of_space = by_space(space);
        assert!(!of_space.is_empty(), "space {space}");
        for (key, value) in &of_space {
            let mut changes = vec![Write::Delete { key: key.clone() }];
            for place in [0, value.len() / 2, value.len() - 1] {
                let mut damaged = value.clone();
                damaged[place] ^= 1;
                changes.push(Write::Put { key: key.clone(), value: damaged });
            }
            changes.push(Write::Put { key: key.clone(), value: value[..value.len() / 2].to_vec() });
            if let Some((_, other)) = of_space.iter().find(|(other, _)| other != key) {
                changes.push(Write::Put { key: key.clone(), value: other.clone() });
            }
            for change in changes {
                let engine = MemoryEngine::new();
                tacet_store::copy_all(&sound, &engine, &mut |_| {}).unwrap();
                engine.write(std::slice::from_ref(&change), Durability::Durable).unwrap();
                let found = match Vault::open(Arc::new(engine), house.keeper.clone(), options(&house.clock)) {
                    Err(_) => true,
                    Ok(vault) => match block_on(vault.check(&caller(Role::Operator), &mut |_| {})) {
                        Ok(report) => report.findings_total > 0,
                        Err(_) => true,
                    },
                };
                assert!(found, "space {space:#x}: not noticed");
                tried += 1;
            }
        }
    }
    assert!(tried > 80, "{tried}");
}

/// Once a record had moved from one patient to another, erasing the second left the first's version behind without a head:
/// nothing could find it or destroy it again, and every later check complained.
#[test]
fn erasing_a_patient_takes_every_version_of_a_record_that_became_theirs() {
    let house = House::new();
    for id in ["a", "b"] {
        house.put("Patient", id, &patient(id, "X")).unwrap();
    }
    house.put("Observation", "moved", &observation("moved", "a", "1")).unwrap();
    house.put("Observation", "moved", &observation("moved", "b", "2")).unwrap();
    let report = block_on(house.vault.erase(&caller(Role::Operator), &rid("b"))).unwrap();
    assert_eq!(report.erased.versions, 3, "the patient, and both versions of the record");
    house.assert_sound();
    for version in [1, 2] {
        assert!(matches!(house.vread("Observation", "moved", version), Err(VaultError::NotFound)));
    }
    block_on(house.vault.erase(&caller(Role::Operator), &rid("a"))).unwrap();
    assert_eq!(house.assert_sound().versions, 0);
}

/// The other way round: the first patient's version goes, the record stays with the second.
#[test]
fn erasing_a_patient_leaves_what_is_no_longer_theirs() {
    let house = House::new();
    for id in ["a", "b"] {
        house.put("Patient", id, &patient(id, "X")).unwrap();
    }
    house.put("Observation", "moved", &observation("moved", "a", "1")).unwrap();
    house.put("Observation", "moved", &observation("moved", "b", "2")).unwrap();
    block_on(house.vault.erase(&caller(Role::Operator), &rid("a"))).unwrap();
    assert!(house.read("Observation", "moved").is_ok());
    assert!(matches!(house.vread("Observation", "moved", 1), Err(VaultError::NotFound)));
    house.assert_sound();
}

/// `tacet init` on a store whose ledger head is missing would give it another establishment key and end all its records.
#[test]
fn a_store_without_its_ledger_is_not_initialised_again() {
    let house = filled();
    let rows = |engine: &MemoryEngine| {
        let mut rows = Vec::new();
        engine
            .range(&[tacet_ledger::SPACE_HEAD], &[tacet_ledger::SPACE_HEAD + 1], &mut |key, _| {
                rows.push(Write::delete(key.to_vec()));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        rows
    };
    house.vault.clone().close().unwrap();
    let engine = MemoryEngine::open(&house.disk, house.faults.clone());
    let taken = rows(&engine);
    assert!(!taken.is_empty());
    engine.write(&taken, Durability::Durable).unwrap();
    let again = block_on(Vault::initialize(
        Arc::new(engine),
        house.keeper.clone(),
        options(&house.clock),
        &caller(Role::Operator),
    ));
    assert!(matches!(again.err(), Some(VaultError::Damaged(_))));
}

/// Rows of the change feed open in each other's places; the ledger tells in which order they were written.
#[test]
fn exchanged_feed_rows_are_found() {
    let house = filled();
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p3"))).unwrap();
    house.assert_sound();
    let _ = house.vault.clone().close();
    let sound = MemoryEngine::open(&house.disk, Default::default());
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    sound
        .range(&[1], &[2], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert!(rows.len() > 50);
    for (a, b) in [(0, 1), (3, 40), (rows.len() - 2, rows.len() - 1)] {
        let engine = MemoryEngine::new();
        tacet_store::copy_all(&sound, &engine, &mut |_| {}).unwrap();
        let put = |to: usize, from: usize| Write::Put { key: rows[to].0.clone(), value: rows[from].1.clone() };
        engine.write(&[put(a, b), put(b, a)], Durability::Durable).unwrap();
        let vault = Vault::open(Arc::new(engine), house.keeper.clone(), options(&house.clock)).unwrap();
        let report = block_on(vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
        let problem = "the ledger has another commit in this place";
        let found = report.findings.iter().filter(|finding| finding.problem == problem).count();
        assert_eq!(found, 1, "rows {a} and {b}: {:?}", report.findings);
    }
}
