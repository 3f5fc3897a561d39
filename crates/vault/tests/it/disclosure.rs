//! Nothing is shown without its durable entry, and each unwrapped key has one.

use crate::house::*;
use pollster::block_on;
use tacet_ledger::{EventKind, Outcome};
use tacet_seal::{KeeperLimits, KeyKeeper};
use tacet_store::memory::{Effect, Operation};
use tacet_vault::{HistoryQuery, HistoryScope, VaultError};

#[test]
fn a_read_is_written_down_before_it_is_shown() {
    let house = House::new();
    house.put("Observation", "o1", &observation("o1", "p1", "70")).unwrap();
    house.read("Observation", "o1").unwrap();
    let ledger = house.ledger();
    let entry = ledger.last().unwrap();
    assert_eq!((entry.kind, entry.outcome), (EventKind::Read, Outcome::Success));
    assert_eq!(entry.agent.owner, "Dr Test");
    assert_eq!(entry.agent.role, "clinician");
    assert_eq!(entry.patient, Some((kind("Patient"), rid("p1"))));
    assert_eq!(entry.categories, [kind("Observation")]);
    assert_eq!(entry.records.len(), 1);
    assert_eq!(entry.records[0].id, rid("o1"));
}

#[test]
fn what_is_not_there_is_written_down_too() {
    let house = House::new();
    assert!(matches!(house.read("Patient", "ghost"), Err(VaultError::NotFound)));
    assert!(matches!(house.vread("Patient", "ghost", 3), Err(VaultError::NotFound)));
    let ledger = house.ledger();
    let tail: Vec<_> = ledger.iter().rev().take(2).map(|entry| (entry.kind, entry.outcome)).collect();
    assert_eq!(tail, [(EventKind::Vread, Outcome::Failed), (EventKind::Read, Outcome::Failed)]);
}

/// The issue's own words: a read whose ledger write fails returns an error and no data.
#[test]
fn a_read_whose_ledger_write_fails_shows_nothing() {
    for (operation, effect) in
        [(Operation::Write, Effect::Fail), (Operation::Sync, Effect::Fail), (Operation::Write, Effect::Full)]
    {
        let mut house = House::new();
        house.put("Patient", "p1", &patient("p1", "Secret")).unwrap();
        let unwraps = house.keeper.counts().ledger_entries;
        house.faults.inject(operation, 0, effect);
        let error = house.read("Patient", "p1").expect_err("the ledger could not write");
        assert!(matches!(error, VaultError::Unavailable(_)), "{error:?}");
        assert_eq!(house.keeper.counts().ledger_entries, unwraps, "no key was unwrapped");
        // Nothing is shown from here on, whatever is asked.
        for _ in 0..3 {
            assert!(matches!(house.read("Patient", "p1"), Err(VaultError::Unavailable(_))));
            assert!(house.put("Patient", "p2", &patient("p2", "X")).is_err());
            let history = block_on(house.vault.history(&clinician(), &HistoryScope::System, &HistoryQuery::default()));
            assert!(history.is_err());
        }
        assert_eq!(house.vault.health(), tacet_vault::Health::Failed);
        house.reopen();
        assert!(house.read("Patient", "p1").unwrap().contains("Secret"));
        house.assert_sound();
    }
}

#[test]
fn unwrapped_keys_and_disclosing_entries_are_as_many() {
    let house = House::new();
    for patient_number in 0..5 {
        let id = format!("p{patient_number}");
        house.put("Patient", &id, &patient(&id, "X")).unwrap();
        house
            .put("Observation", &format!("o{patient_number}"), &observation(&format!("o{patient_number}"), &id, "1"))
            .unwrap();
    }
    house.read("Patient", "p1").unwrap();
    house.vread("Observation", "o2", 1).unwrap();
    assert!(house.read("Patient", "ghost").is_err());
    block_on(house.vault.everything(&clinician(), &rid("p3"), &Default::default())).unwrap();
    block_on(house.vault.history(&clinician(), &HistoryScope::System, &HistoryQuery::default())).unwrap();
    let disclosing = house
        .ledger()
        .iter()
        .filter(|entry| entry.kind.discloses() && entry.outcome == Outcome::Success && !entry.records.is_empty())
        .count() as u64;
    assert_eq!(house.keeper.counts().ledger_entries, disclosing);
    assert_eq!(disclosing, 1 + 1 + 1 + 5);
}

#[test]
fn the_keepers_rate_bounds_what_can_be_read() {
    let house = House::with(KeeperLimits { burst: 20, per_second: 1 });
    house.put("Patient", "p1", &patient("p1", "X")).unwrap();
    let read = (0..100).take_while(|_| house.read("Patient", "p1").is_ok()).count();
    assert!((1..=20).contains(&read), "{read}");
    assert!(matches!(house.read("Patient", "p1"), Err(VaultError::RateExceeded { .. })));
    house.clock.advance_ms(2_000);
    assert!(house.read("Patient", "p1").is_ok());
}

/// A refused change tells whether a record is there, and once left no trace.
#[test]
fn a_refused_change_is_written_down() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "X")).unwrap();
    let body = patient("p1", "Y");
    let update = |if_match, if_none_match_any| {
        let (caller, kind, id) = (clinician(), kind("Patient"), rid("p1"));
        block_on(house.vault.update(&caller, kind, &id, body.as_bytes(), BASE_URL, if_match, if_none_match_any))
    };
    assert!(matches!(update(None, true), Err(VaultError::PreconditionFailed)));
    assert!(matches!(update(Some(tacet_types::VersionId(7)), false), Err(VaultError::PreconditionFailed)));
    assert_eq!(house.delete("Patient", "ghost").unwrap().record, None);
    let ledger = house.ledger();
    let tail: Vec<_> = ledger.iter().rev().take(3).collect();
    assert!(tail.iter().all(|entry| entry.outcome == Outcome::Failed));
    assert_eq!(
        tail.iter().map(|entry| entry.kind).collect::<Vec<_>>(),
        [EventKind::Delete, EventKind::Update, EventKind::Update]
    );
    assert_eq!(tail[0].records, []);
    assert_eq!(tail[2].records[0].id, rid("p1"), "what was found is named");
    assert_eq!(tail[2].patient, Some((kind("Patient"), rid("p1"))));
}

/// That somebody was there and is deleted is told by the answer, so the entry names them; no key is unwrapped.
#[test]
fn a_deleted_record_is_named_in_the_ledger() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "X")).unwrap();
    house.delete("Patient", "p1").unwrap();
    let unwraps = house.keeper.counts().ledger_entries;
    assert!(matches!(house.read("Patient", "p1"), Err(VaultError::Gone { .. })));
    let last = house.ledger().pop().unwrap();
    assert_eq!(
        (last.kind, last.outcome, last.patient),
        (EventKind::Read, Outcome::Failed, Some((kind("Patient"), rid("p1"))))
    );
    assert_eq!(house.keeper.counts().ledger_entries, unwraps);
    let page = block_on(house.vault.history(
        &clinician(),
        &HistoryScope::System,
        &HistoryQuery { count: 1, ..Default::default() },
    ));
    assert_eq!(page.unwrap().entries.len(), 1);
    let last = house.ledger().pop().unwrap();
    assert_eq!((last.kind, last.outcome, last.records.len()), (EventKind::History, Outcome::Failed, 1));
    assert_eq!(house.keeper.counts().ledger_entries, unwraps);
}

/// An answer without a record still tells that the patient is known here.
#[test]
fn an_empty_answer_about_a_patient_names_them() {
    let house = House::new();
    house.put("Patient", "p1", &patient("p1", "X")).unwrap();
    let query = tacet_vault::EverythingQuery { types: vec![kind("Condition")], ..Default::default() };
    assert!(block_on(house.vault.everything(&clinician(), &rid("p1"), &query)).unwrap().entries.is_empty());
    let last = house.ledger().pop().unwrap();
    assert_eq!((last.outcome, last.patient), (Outcome::Success, Some((kind("Patient"), rid("p1")))));
    assert!(block_on(house.vault.everything(&clinician(), &rid("ghost"), &query)).is_err());
    let last = house.ledger().pop().unwrap();
    assert_eq!((last.outcome, last.patient), (Outcome::Failed, None));
}
