//! The published ledger: files, receipts, and what stops disclosures.

use crate::house::*;
use pollster::block_on;
use std::convert::Infallible;
use std::ops::ControlFlow;
use tacet_ledger::Opening;
use tacet_seal::SecureRng;
use tacet_store::memory::{Disk, MemoryEngine};
use tacet_store::{Durability, Engine, Reader, Write};
use tacet_tlog::cosignature::cosign;
use tacet_tlog::derive::{LogFiles, Trusted, verify_files};
use tacet_tlog::merkle::proof::verify_consistency;
use tacet_tlog::note::SignatureType;
use tacet_tlog::policy::WitnessPolicy;
use tacet_tlog::tile::Resource;
use tacet_tlog::{Receipt, SignerKey};
use tacet_vault::{EventKind, Halt, Health, Outcome, Role, Vault, VaultError};

struct Files<'a>(&'a Vault);

impl LogFiles for Files<'_> {
    type Error = Infallible;

    fn read(&mut self, resource: &Resource, _: usize) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.log_file(resource).ok())
    }
}

fn filled(records: usize) -> House {
    let house = House::new();
    house.put("Patient", "p", &patient("p", "Nom")).unwrap();
    for number in 0..records {
        let id = format!("o{number}");
        house.put("Observation", &id, &observation(&id, "p", "1")).unwrap();
    }
    house
}

#[test]
fn the_published_files_verify_and_grow_consistently() {
    let mut house = filled(300);
    assert!(house.vault.checkpoint().is_err(), "it has no name yet");
    let (origin, keys) = house.vault.name_log(Some("hospital.example/ledger")).unwrap();
    assert_eq!(origin, "hospital.example/ledger");
    assert!(house.vault.name_log(Some("other.example")).is_err());
    assert_eq!(house.vault.name_log(None).unwrap().1, keys);
    let first = house.vault.publish_now().unwrap().unwrap();
    assert_eq!(house.vault.publish_now().unwrap().as_ref(), Some(&first), "nothing moved");
    house.read("Observation", "o1").unwrap();
    house.reopen();
    assert_eq!(house.vault.health(), Health::Ready);
    let second = house.vault.publish_now().unwrap().unwrap();
    let (old, new) = (first.checkpoint(), second.checkpoint());
    assert!(new.size() > old.size());
    let proof = house.vault.log_consistency(old.size(), new.size()).unwrap();
    assert!(verify_consistency(old.size(), &old.root(), new.size(), &new.root(), &proof));
    let trusted = Trusted { log: keys, known: vec![old.clone()], ..Trusted::default() };
    let derived = verify_files(&mut Files(&house.vault), &trusted, &mut |_, _| ()).unwrap();
    assert_eq!(&derived.checkpoint, new);
    let beyond = Resource::parse("tile/entries/900").unwrap();
    assert!(matches!(house.vault.log_file(&beyond), Err(VaultError::NotFound)));
    house.assert_sound();
}

#[test]
fn a_receipt_shows_an_entry_and_is_itself_in_the_ledger() {
    let house = filled(3);
    house.vault.name_log(None).unwrap();
    let auditor = caller(Role::Auditor);
    let receipt = block_on(house.vault.receipt(&auditor, 2)).unwrap();
    let receipt = Receipt::parse(receipt.encode().as_bytes()).unwrap();
    let opening = Opening::parse(receipt.extra.as_deref().unwrap()).unwrap();
    let keys = house.vault.name_log(None).unwrap().1;
    receipt.verify(&opening.leaf(), &keys, &WitnessPolicy::default(), 0).unwrap();
    let ledger = house.ledger();
    assert!(opening.entry().unwrap() == ledger[2]);
    let last = ledger.last().unwrap();
    assert_eq!((last.kind, last.detail.as_deref()), (EventKind::LedgerAccess, Some("receipt for entry 2")));
    assert!(matches!(block_on(house.vault.receipt(&auditor, 1000)), Err(VaultError::NotFound)));
    // One that a witness has seen is taken before a newer one.
    let witness = SignerKey::generate("w.example", SignatureType::CosignatureEd25519, &SecureRng).unwrap();
    let mut signed = house.vault.publish_now().unwrap().unwrap();
    assert!(signed.add(cosign(&witness, &signed, 1000).unwrap()));
    house.vault.keep_cosigned(&signed).unwrap();
    house.read("Observation", "o1").unwrap();
    house.vault.publish_now().unwrap();
    let receipt = block_on(house.vault.receipt(&auditor, 2)).unwrap();
    assert_eq!(receipt.checkpoint, signed);
    let policy = WitnessPolicy { witnesses: vec![witness.verifier()], quorum: 1, age_s_max: None };
    receipt.verify(&opening.leaf(), &keys, &policy, 2000).unwrap();
}

/// What is refused where disclosures are stopped, and what is not.
fn assert_stopped(house: &House) {
    assert_eq!(house.vault.health(), Health::Halted);
    let before = house.ledger().len();
    let refused = house.read("Observation", "o1").unwrap_err();
    assert!(matches!(refused, VaultError::Halted(_)));
    assert!(refused.http_status().starts_with("503"));
    let ledger = house.ledger();
    assert!(ledger.len() > before, "the ledger is kept");
    let last = ledger[before..].iter().find(|entry| entry.kind == EventKind::Read).unwrap();
    assert_eq!(last.outcome, Outcome::Refused);
    assert!(last.records.is_empty());
    block_on(house.vault.note(&caller(Role::Auditor), EventKind::LedgerAccess, Outcome::Success)).unwrap();
    house.put("Observation", "new", &observation("new", "p", "2")).unwrap();
}

fn rows(disk: &Disk, spaces: std::ops::Range<u8>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    MemoryEngine::open(disk, Default::default()).range(&[spaces.start], &[spaces.end], &mut visit).unwrap();
    rows
}

#[test]
fn a_ledger_that_was_set_back_stops_disclosures_at_the_start() {
    let mut house = filled(5);
    house.vault.name_log(None).unwrap();
    let head = rows(&house.disk, 0x11..0x12);
    let entries = rows(&house.disk, 0x10..0x11).len();
    house.put("Observation", "later", &observation("later", "p", "1")).unwrap();
    house.vault.publish_now().unwrap();
    let _ = house.vault.clone().close();
    let later = rows(&house.disk, 0x10..0x11).into_iter().skip(entries).map(|(key, _)| Write::delete(key));
    let writes: Vec<Write> = later.chain(head.into_iter().map(|(key, value)| Write::put(key, value))).collect();
    MemoryEngine::open(&house.disk, Default::default()).write(&writes, Durability::Durable).unwrap();
    house.reopen();
    assert!(matches!(house.vault.halted(), Some(Halt::SetBack { .. })));
    assert_stopped(&house);
    // It grows past what was signed: another history, and no checkpoint is signed over it.
    for number in 0..5 {
        let id = format!("x{number}");
        house.put("Observation", &id, &observation(&id, "p", "1")).unwrap();
    }
    assert!(matches!(house.vault.publish_now(), Err(VaultError::Halted(_))));
    house.reopen();
    assert!(matches!(house.vault.halted(), Some(Halt::Forked { .. })));
    assert_stopped(&house);
}

#[test]
fn what_a_witness_says_stops_disclosures_and_only_silence_heals() {
    let house = filled(3);
    house.read("Observation", "o1").unwrap();
    house.vault.witnessed(0, false);
    assert_eq!(house.vault.halted(), Some(Halt::Unwitnessed));
    assert_stopped(&house);
    house.vault.witnessed(1, true);
    assert_eq!(house.vault.halted(), None);
    house.read("Observation", "o1").unwrap();
    house.vault.witnessed(0, false);
    house.vault.halt(Halt::Ahead { witness: "w.example".into(), seen: 900, size: 10 });
    house.vault.witnessed(1, true);
    assert!(matches!(house.vault.halted(), Some(Halt::Ahead { .. })), "it does not heal");
    house.vault.halt(Halt::Unwitnessed);
    assert!(matches!(house.vault.halted(), Some(Halt::Ahead { .. })), "and is not hidden by what does");
    assert_stopped(&house);
    assert!(house.vault.log_figures().halted);
}
