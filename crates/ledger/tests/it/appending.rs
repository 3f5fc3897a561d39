//! Appending through a store, alone and from many threads.

use super::*;
use std::collections::BTreeMap;
use tacet_ledger::{ENTRIES_MAX, head, read};
use tacet_store::Precondition;
use tacet_store::fjall::{FjallEngine, FjallOptions};

#[test]
fn entries_are_numbered_in_order_and_read_back() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    assert!(head(engine.as_ref(), &keys()).unwrap().is_none());
    let first = append(&store, &[entry(0), entry(1), entry(2)]).unwrap();
    assert!(append(&store, &[]).unwrap().is_empty());
    let second = append(&store, &[entry(3)]).unwrap();
    for (number, receipt) in first.iter().chain(&second).enumerate() {
        let number = number as u64;
        assert_eq!((receipt.index(), receipt.operation()), (number, operation(number)));
        assert_eq!(receipt.establishment(), EstablishmentId([7; 16]));
        assert!(receipt.covers(&entry(number).records[0]));
        assert!(!receipt.covers(&entry(number + 10).records[0]));
        assert!(read(engine.as_ref(), &keys(), number).unwrap() == entry(number));
    }
    assert_eq!(head(engine.as_ref(), &keys()).unwrap().unwrap().size(), 4);
    let verification = check(engine.as_ref());
    assert!(verification.is_sound() && verification.opened == 4);
    assert_eq!(verification.derived_root, verification.head.map(|head| head.root()));
}

#[test]
fn many_threads_append_and_the_ledger_verifies() {
    let engine = Arc::new(MemoryEngine::new());
    let mut size = 0;
    // Twice, so that the second round continues a ledger that was opened again.
    for round in 0..2u64 {
        let store = open(&engine).unwrap();
        let threads: Vec<_> = (0..8u64)
            .map(|thread| {
                let store = store.clone();
                std::thread::spawn(move || {
                    let mut receipts = Vec::new();
                    for step in 0..60u64 {
                        let first = ((round * 8 + thread) * 60 + step) * 4;
                        let entries: Vec<_> = (first..first + step % 4).map(entry).collect();
                        let got = append(&store, &entries).unwrap();
                        assert_eq!(got.len(), entries.len());
                        receipts.extend(got);
                    }
                    receipts
                })
            })
            .collect();
        let receipts: BTreeMap<u64, Receipt> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .map(|receipt| (receipt.index(), receipt))
            .collect();
        store.close().unwrap();
        assert_eq!(receipts.len(), 8 * 60 / 4 * 6);
        assert_eq!(receipts.first_key_value().map(|(index, _)| *index), Some(size));
        size += receipts.len() as u64;
        assert_eq!(receipts.last_key_value().map(|(index, _)| *index), Some(size - 1), "numbers without gaps");
        for (index, receipt) in receipts {
            assert_eq!(read(engine.as_ref(), &keys(), index).unwrap().operation, receipt.operation());
        }
        let verification = check(engine.as_ref());
        assert!(verification.is_sound(), "{:?}", verification.problems);
        assert_eq!(verification.opened, size);
    }
}

#[test]
fn an_entry_and_its_change_are_one_commit() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let create = |number| Commit {
        preconditions: vec![Precondition::Absent { key: vec![0x20, 1] }],
        writes: vec![Write::put([0x20, 1], [1])],
        feed: None,
        item: Prepared::all(&[entry(number)]).unwrap(),
    };
    assert_eq!(store.submit(create(0)).wait().unwrap().outcome.len(), 1);
    let refused = store.submit(create(1)).wait();
    assert!(matches!(refused, Err(StoreError::PreconditionFailed { .. })));
    // What was refused left neither entry nor gap.
    assert_eq!(append(&store, &[entry(2)]).unwrap()[0].index(), 1);
    assert!(check(engine.as_ref()).is_sound());
}

#[test]
fn too_many_entries_are_refused_alone() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let many: Vec<_> = (0..=ENTRIES_MAX as u64).map(entry).collect();
    assert!(matches!(append(&store, &many), Err(StoreError::Sequencer(_))));
    assert_eq!(append(&store, &many[1..]).unwrap().len(), ENTRIES_MAX);
    let verification = check(engine.as_ref());
    assert!(verification.is_sound() && verification.opened == ENTRIES_MAX as u64);
}

#[test]
fn nothing_of_an_entry_is_readable_in_its_rows() {
    let engine = engine_with(3);
    let found =
        |text: &[u8]| rows(engine.as_ref()).iter().any(|(_, row)| row.windows(text.len()).any(|part| part == text));
    assert!(!found(b"owner") && !found(b"clinician") && !found(&operation(1).0));
    let encoded = entry(1).encode().unwrap();
    assert!(encoded.windows(5).any(|part| part == b"owner"), "what is looked for is there before sealing");
}

#[test]
fn a_ledger_of_another_establishment_or_key_is_refused() {
    let engine = engine_with(3);
    let other = open_store(engine.clone() as Arc<dyn Engine>, keys_of(8), rng(), StoreOptions::default());
    assert!(matches!(other.map(|_| ()), Err(LedgerError::HeadSealed(_))));
    assert!(open(&engine).is_ok());
}

#[test]
fn where_the_store_refuses_its_word_is_given() {
    let engine = engine_with(3);
    write(&engine, &[Write::put([0x11], [])]);
    assert!(matches!(open(&engine).map(|_| ()), Err(LedgerError::HeadSealed(_))));
    engine.disk().forget_mark();
    assert!(matches!(open(&engine).map(|_| ()), Err(LedgerError::Store(StoreError::Corrupt { .. }))));
}

#[test]
fn a_ledger_on_disk_goes_on_after_each_start() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3u64 {
        let engine = Arc::new(FjallEngine::open(directory.path(), FjallOptions::default()).unwrap());
        let store = open_store(engine.clone() as Arc<dyn Engine>, keys(), rng(), StoreOptions::default()).unwrap();
        let tickets: Vec<_> = (0..40).map(|step| submit(&store, &[entry(round * 80 + step), entry(step)])).collect();
        for (step, ticket) in tickets.into_iter().enumerate() {
            let receipts = ticket.wait().unwrap().outcome;
            assert_eq!(receipts[1].index(), round * 80 + 2 * step as u64 + 1);
        }
        // While the store is open a snapshot is what is verified.
        let verification = check(store.snapshot().unwrap().as_ref());
        assert!(verification.is_sound(), "{:?}", verification.problems);
        assert_eq!(verification.opened, (round + 1) * 80);
        store.close().unwrap();
    }
}
