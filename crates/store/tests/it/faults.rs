//! Each write, sync and mark fails or tears in turn; whatever was acknowledged is there afterwards, and nothing is half there.

use crate::workload::{Plain, check, commit, next_number};
use std::collections::BTreeMap;
use std::sync::Arc;
use tacet_store::memory::{Crash, Disk, Effect, Faults, MemoryEngine, Operation};
use tacet_store::{NoSequencer, Store, StoreError, StoreOptions};

const WRITERS: u32 = 3;
const COMMITS: u32 = 8;

fn open(disk: &Disk, faults: &Faults) -> Result<Plain, StoreError> {
    // Groups of at most four, so that a run has several even where the queue fills at once.
    let options = StoreOptions { group_commits_max: 4, ..StoreOptions::default() };
    Store::open(Arc::new(MemoryEngine::open(disk, faults.clone())), NoSequencer, options)
}

/// Submits all commits and says how many of each writer were acknowledged.
fn write(store: &Plain) -> BTreeMap<u32, u32> {
    let numbers = (0..COMMITS).flat_map(|number| (0..WRITERS).map(move |writer| (writer, number)));
    let tickets: Vec<_> =
        numbers.map(|(writer, number)| (writer, number, store.submit(commit(writer, number)))).collect();
    let mut acknowledged: BTreeMap<u32, u32> = (0..WRITERS).map(|writer| (writer, 0)).collect();
    for (writer, number, ticket) in tickets {
        if ticket.wait().is_ok() {
            acknowledged.insert(writer, number + 1);
        }
    }
    acknowledged
}

fn check_after(disk: &Disk, acknowledged: &BTreeMap<u32, u32>, what: &str) {
    for crash in [Crash::KeepSynced, Crash::KeepAll, Crash::KeepBytes(1), Crash::KeepBytes(100), Crash::KeepBytes(1000)]
    {
        let found = disk.crash(crash);
        let store = open(&found, &Faults::default()).unwrap_or_else(|error| panic!("{what}, {crash:?}: {error}"));
        check(&store, acknowledged, &BTreeMap::new());
        // And it goes on from there.
        let next = next_number(store.reader(), 0);
        store.submit(commit(0, next)).wait().unwrap();
        drop(store);
        open(&found.crash(Crash::KeepSynced), &Faults::default()).unwrap();
    }
}

#[test]
fn every_operation_fails_in_turn() {
    let mut failures = 0;
    for operation in [Operation::Write, Operation::Sync, Operation::WitnessWrite] {
        let mut effects = vec![Effect::Fail, Effect::Full];
        if operation == Operation::Write {
            effects.extend([0, 1, 39, 41, 200, 700].map(|bytes| Effect::Tear { bytes }));
        }
        for effect in effects {
            for nth in 0.. {
                let (disk, faults) = (Disk::default(), Faults::default());
                faults.inject(operation, nth, effect);
                let what = format!("{operation:?} {nth} {effect:?}");
                let acknowledged = match open(&disk, &faults) {
                    Ok(store) => write(&store),
                    Err(_) => (0..WRITERS).map(|writer| (writer, 0)).collect(),
                };
                check_after(&disk, &acknowledged, &what);
                if acknowledged.values().all(|count| *count == COMMITS) {
                    break;
                }
                failures += 1;
            }
        }
    }
    assert!(failures > 60, "{failures} failures are too few to say anything");
}

#[test]
fn a_read_that_fails_refuses_its_commit_and_no_other() {
    for nth in 0..12 {
        let (disk, faults) = (Disk::default(), Faults::default());
        let store = open(&disk, &faults).unwrap();
        store.submit(commit(0, 0)).wait().unwrap();
        faults.inject(Operation::Read, nth, Effect::Fail);
        // Each commit of another writer, so that none waits for one that was refused.
        let tickets: Vec<_> = (1..9).map(|writer| store.submit(commit(writer, 0))).collect();
        let refused = tickets.into_iter().filter_map(|ticket| ticket.wait().err()).count();
        assert_eq!(refused, 1);
        assert!(!store.has_failed());
        store.submit(commit(0, 1)).wait().unwrap();
        drop(store);
        let store = open(&disk.crash(Crash::KeepSynced), &Faults::default()).unwrap();
        assert_eq!((store.commits(), next_number(store.reader(), 0)), (9, 2));
    }
}

#[test]
fn every_torn_length_and_every_damaged_byte_is_noticed_or_harmless() {
    let disk = Disk::default();
    let store = open(&disk, &Faults::default()).unwrap();
    let acknowledged = write(&store);
    drop(store);
    let length = disk.journal_bytes();
    let (mut refused, mut at) = (0, 0);
    while at < length {
        let damaged = disk.crash(Crash::KeepSynced);
        damaged.damage(at);
        match open(&damaged, &Faults::default()) {
            Ok(_) => panic!("byte {at} of {length} is damaged and nobody noticed"),
            Err(StoreError::Corrupt { missing_commits, .. }) => {
                assert!(missing_commits.is_some_and(|missing| missing > 0), "byte {at}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        at += 61;
    }
    assert!(refused > 100 && acknowledged.values().all(|count| *count == COMMITS));
}
