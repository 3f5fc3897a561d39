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
    house.vault.halt(&Halt::Ahead { witness: "w.example+aa+BA".into(), seen: 900, size: 10 });
    house.vault.witnessed(1, true);
    assert!(matches!(house.vault.halted(), Some(Halt::Ahead { .. })), "it does not heal");
    house.vault.halt(&Halt::Unwitnessed);
    assert!(matches!(house.vault.halted(), Some(Halt::Ahead { .. })), "and is not hidden by what does");
    assert_stopped(&house);
    assert!(house.vault.log_figures().halted);
}

fn ahead(witness: &str) -> Halt {
    Halt::Ahead { witness: witness.into(), seen: 900, size: 10 }
}

const W1: &str = "w1.example+aa+BA1";
const W2: &str = "w2.example+bb+BA2";

fn sound(house: &House) -> tacet_ledger::Verification {
    let verification = house.vault.verify_ledger(&mut |_, _| ()).unwrap();
    assert!(verification.is_sound(), "{:?}", verification.problems);
    verification
}

#[test]
fn what_was_found_once_stops_disclosures_after_every_start() {
    let mut house = filled(3);
    let before = house.ledger().len();
    for halt in [ahead(W1), Halt::Disputed { witness: W2.into() }, Halt::Altered { from: 256, to: 512 }] {
        house.vault.halt(&halt);
        house.vault.halt(&halt);
    }
    // Of one witness what was found first stays.
    house.vault.halt(&Halt::Disputed { witness: W1.into() });
    let words = ["the witness w1.example has seen 900", "the witness w2.example has seen another", "from 256 to 511"];
    let ledger = house.ledger();
    let said: Vec<_> = ledger[before..].iter().filter(|entry| entry.kind == EventKind::Tripwire).collect();
    assert_eq!(said.len(), words.len(), "one entry for each, however often it is found");
    for (entry, words) in said.iter().zip(words) {
        assert!(entry.detail.as_deref().unwrap().contains(words), "{:?}", entry.detail);
    }
    for _ in 0..2 {
        house.reopen();
        let mut kept = house.vault.halts();
        kept.sort_by_key(ToString::to_string);
        assert_eq!(kept.len(), 3, "{kept:?}");
        assert!(kept.contains(&ahead(W1)));
        assert_stopped(&house);
        house.vault.halt(&ahead(W1));
        assert_eq!(house.vault.halts().len(), 3);
    }
    let entries = house.ledger();
    assert_eq!(entries.iter().filter(|entry| entry.kind == EventKind::Tripwire).count(), words.len());

    // Only the same witness takes it back: not another, nor one of its name with another key.
    house.vault.witness_agrees("w1.example+aa+BA9", 40).unwrap();
    house.vault.witness_agrees("w3.example+cc+BA3", 40).unwrap();
    house.vault.witnessed(2, true);
    assert_eq!(house.vault.halts().len(), 3);
    house.vault.witness_agrees(W1, 40).unwrap();
    assert_eq!(house.vault.halts().len(), 2);
    let last = house.ledger().pop().unwrap();
    assert_eq!(last.kind, EventKind::ConfigurationChange);
    let detail = last.detail.unwrap();
    assert!(detail.contains("w1.example has cosigned the ledger of 40 entries") && detail.contains("900"), "{detail}");
    house.reopen();
    assert_eq!(house.vault.halts().len(), 2, "the others stay");
    assert_stopped(&house);

    // Somebody who looked into it lets them go on, with an entry, and only with a reason.
    let verification = sound(&house);
    let operator = caller(Role::Operator);
    for reason in ["", " \n", &"x".repeat(501)] {
        assert!(house.vault.resume_disclosures(&operator, reason, &verification).is_err());
    }
    let before = house.ledger().len();
    let lifted = house.vault.resume_disclosures(&operator, "the disk was\nrestored, case 7", &verification).unwrap();
    assert_eq!(lifted.len(), 2);
    assert_eq!(house.vault.resume_disclosures(&operator, "again", &verification).unwrap(), []);
    let ledger = house.ledger();
    assert_eq!(ledger.len(), before + 1);
    let last = ledger.last().unwrap();
    let detail = last.detail.as_deref().unwrap();
    assert!(
        detail.contains("was restored, case 7") && detail.contains("w2.example") && detail.contains("from 256"),
        "{detail}"
    );
    assert_eq!(last.agent.owner, operator.owner);
    for _ in 0..2 {
        assert_eq!((house.vault.halts(), house.vault.health()), (Vec::new(), Health::Ready));
        house.read("Observation", "o1").unwrap();
        house.reopen();
    }
    house.assert_sound();
}

#[test]
fn nobody_resumes_over_a_ledger_that_was_altered() {
    // More than a start looks at: tiles that are kept stand for the first entries.
    let mut house = filled(600);
    house.vault.name_log(None).unwrap();
    house.vault.publish_now().unwrap();
    house.vault.halt(&Halt::Altered { from: 0, to: 256 });
    let operator = caller(Role::Operator);
    let sound = sound(&house);
    let _ = house.vault.clone().close();
    let entry = rows(&house.disk, 0x10..0x11).swap_remove(1);
    let mut changed = entry.1.clone();
    *changed.last_mut().unwrap() ^= 1;
    let write = |house: &House, key: &[u8], value: &[u8]| {
        let engine = MemoryEngine::open(&house.disk, Default::default());
        engine.write(&[Write::put(key, value)], Durability::Durable).unwrap();
    };
    write(&house, &entry.0, &changed);
    house.reopen();
    let altered = house.vault.verify_ledger(&mut |_, _| ()).unwrap();
    assert!(!altered.is_sound());
    assert!(house.vault.resume_disclosures(&operator, "it will do", &altered).is_err());
    assert_eq!(house.vault.health(), Health::Halted);
    let _ = house.vault.clone().close();
    write(&house, &entry.0, &entry.1);
    house.reopen();
    assert_eq!(house.vault.health(), Health::Halted, "put back, and still to be looked into");
    house.vault.resume_disclosures(&operator, "put back", &sound).unwrap();
    assert_eq!(house.vault.health(), Health::Ready);
}

#[test]
fn the_process_dies_at_each_write_while_disclosures_are_stopped_and_let_go_on() {
    let house = filled(3);
    let (mut stopped, mut interrupted) = (0, 0);
    for nth in 0..12 {
        for (operation, effect) in [
            (tacet_store::memory::Operation::Write, tacet_store::memory::Effect::Fail),
            (tacet_store::memory::Operation::Write, tacet_store::memory::Effect::Tear { bytes: 40 }),
            (tacet_store::memory::Operation::Sync, tacet_store::memory::Effect::Fail),
        ] {
            for crash in [tacet_store::memory::Crash::KeepSynced, tacet_store::memory::Crash::KeepAll] {
                let when = format!("{operation:?} {nth} {effect:?} {crash:?}");
                let open = |disk: &Disk, faults: &tacet_store::memory::Faults| {
                    let engine: std::sync::Arc<dyn Engine> =
                        std::sync::Arc::new(MemoryEngine::open(disk, faults.clone()));
                    let options = tacet_vault::VaultOptions { index: None, ..options(&house.clock) };
                    Vault::open(engine, house.keeper.clone(), options).unwrap()
                };
                let disk = house.disk.crash(tacet_store::memory::Crash::KeepAll);
                let faults = tacet_store::memory::Faults::default();
                let vault = open(&disk, &faults);
                faults.inject(operation, nth, effect);
                // Whatever becomes of the rows, from here on nothing is shown.
                vault.halt(&ahead(W1));
                assert_eq!(vault.halted(), Some(ahead(W1)), "{when}");
                let noted = block_on(vault.note(&caller(Role::Operator), EventKind::Check, Outcome::Success)).is_ok();
                let agreed = vault.witness_agrees(W1, 40).is_ok();
                assert_eq!(vault.halted().is_none(), agreed, "{when}");
                let found = disk.crash(crash);
                drop(vault);
                let vault = open(&found, &Default::default());
                let verification = vault.verify_ledger(&mut |_, _| ()).unwrap();
                assert!(verification.is_sound(), "{when}: {:?}", verification.problems);
                interrupted += usize::from(!agreed);
                match (noted, agreed) {
                    // What the disk took before something failed is what a start goes by.
                    (true, false) => {
                        stopped += usize::from(vault.halted().is_some());
                        let size = vault.ledger_head().unwrap().unwrap().size();
                        let entries: Vec<_> = (0..size).map(|index| vault.ledger_entry(index).unwrap()).collect();
                        let lifted = entries.iter().any(|entry| entry.kind == EventKind::ConfigurationChange);
                        assert_eq!(vault.halted().is_none(), lifted, "{when}: it goes with its entry or not at all");
                    }
                    (_, true) => assert_eq!(vault.halted(), None, "{when}"),
                    (false, false) => {}
                }
                let known = vault.halted().is_some();
                let size = vault.ledger_head().unwrap().unwrap().size();
                let mut entries = (0..size).map(|index| vault.ledger_entry(index).unwrap());
                assert!(
                    !known || entries.any(|entry| entry.kind == EventKind::Tripwire),
                    "{when}: a row has its entry"
                );
            }
        }
    }
    println!("{interrupted} interrupted, {stopped} of them stopped after the start");
    assert!(interrupted > 6 && stopped > 0, "{interrupted} {stopped}");
}

#[test]
fn a_reason_that_cannot_be_read_stops_disclosures_and_not_the_start() {
    use tacet_ledger::noted::{Expect, NotedRows, RowWrite, Table};
    let mut house = filled(3);
    let value = br#"{"version":2,"since_ms":1,"halt":{"kind":"of-a-later-program"}}"#.to_vec();
    let write = RowWrite { table: Table::Halts, name: b"later".to_vec(), value: Some(value), expect: Expect::Absent };
    block_on(house.vault.commit(vec![write], Vec::new())).unwrap();
    for _ in 0..2 {
        house.reopen();
        assert_eq!((house.vault.halted(), house.vault.health()), (Some(Halt::Unreadable), Health::Halted));
        assert!(house.read("Observation", "o1").is_err());
    }
    let verification = house.vault.verify_ledger(&mut |_, _| ()).unwrap();
    let operator = caller(Role::Operator);
    let lifted = house.vault.resume_disclosures(&operator, "the newer program was asked", &verification).unwrap();
    assert_eq!(lifted, [Halt::Unreadable]);
    house.reopen();
    assert_eq!((house.vault.halted(), house.vault.health()), (None, Health::Ready));
    house.read("Observation", "o1").unwrap();
    house.assert_sound();
}
