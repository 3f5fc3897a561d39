//! The engine fails or tears each write, sync and mark in turn, and the machine crashes: the ledger verifies, and every
//! receipt that was given has its entry.

use super::*;
use tacet_ledger::{head, read};
use tacet_store::memory::{Crash, Effect, Operation};

/// Appends until the store fails; gives the receipts that were handed out, and how many entries were tried.
fn append_until_failure(store: &LedgerStore) -> (Vec<Receipt>, u64) {
    let (mut receipts, mut number) = (Vec::new(), 0);
    for step in 0..12u64 {
        let entries: Vec<_> = (number..number + 1 + step % 3).map(entry).collect();
        number += entries.len() as u64;
        match append(store, &entries) {
            Ok(got) => receipts.extend(got),
            Err(_) => break,
        }
    }
    (receipts, number)
}

fn assert_holds(disk: &Disk, receipts: &[Receipt], tried: u64, what: &str) {
    let engine = Arc::new(MemoryEngine::open(disk, Faults::default()));
    let store = open(&engine).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let verification = check(engine.as_ref());
    assert!(verification.is_sound(), "{what}: {:?}", verification.problems);
    let size = head(engine.as_ref(), &keys()).unwrap().map_or(0, |head| head.size());
    assert!((receipts.len() as u64..=tried).contains(&size), "{what}");
    for receipt in receipts {
        let entry = read(engine.as_ref(), &keys(), receipt.index()).unwrap();
        assert_eq!(entry.operation, receipt.operation(), "{what}");
    }
    // And it goes on where it stopped.
    let next = append(&store, &[entry(1000)]).unwrap();
    assert_eq!(next[0].index(), size, "{what}");
    assert!(check(engine.as_ref()).is_sound(), "{what}");
}

fn crash_everywhere(operation: Operation, effects: &[Effect]) -> usize {
    let mut failed = 0;
    for effect in effects {
        for nth in 0..14 {
            let (disk, faults) = (Disk::default(), Faults::default());
            let engine = Arc::new(MemoryEngine::open(&disk, faults.clone()));
            let Ok(store) = open(&engine) else { panic!("an empty engine opens") };
            faults.inject(operation, nth, *effect);
            let (receipts, tried) = append_until_failure(&store);
            failed += usize::from(store.has_failed());
            drop(store);
            for crash in [Crash::KeepSynced, Crash::KeepAll, Crash::KeepBytes(100)] {
                let what = format!("{operation:?} {nth} {effect:?}, {crash:?}");
                assert_holds(&disk.crash(crash), &receipts, tried, &what);
            }
        }
    }
    failed
}

#[test]
fn a_write_that_fails_or_tears() {
    let effects = [
        Effect::Fail,
        Effect::Full,
        Effect::Tear { bytes: 0 },
        Effect::Tear { bytes: 50 },
        Effect::Tear { bytes: 700 },
    ];
    assert_eq!(crash_everywhere(Operation::Write, &effects), 12 * effects.len(), "each of the twelve writes was hit");
}

#[test]
fn a_sync_that_fails() {
    assert_eq!(crash_everywhere(Operation::Sync, &[Effect::Fail]), 12);
}

#[test]
fn a_mark_that_fails() {
    assert!(crash_everywhere(Operation::WitnessWrite, &[Effect::Fail]) >= 10);
}

#[test]
fn without_a_durable_entry_there_is_no_receipt() {
    for (operation, effect) in
        [(Operation::Write, Effect::Fail), (Operation::Sync, Effect::Fail), (Operation::WitnessWrite, Effect::Fail)]
    {
        let engine = engine_with(3);
        let store = open(&engine).unwrap();
        engine.faults().inject(operation, 0, effect);
        assert!(append(&store, &[entry(3)]).is_err(), "{operation:?}");
        assert!(matches!(append(&store, &[entry(4)]), Err(StoreError::Failed)), "latched");
    }
}
