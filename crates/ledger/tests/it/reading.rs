//! Reading, listing, proofs from rows, and keys that end.

use super::*;
use tacet_ledger::merkle::{leaf_hash, proof, proof::HashSource};
use tacet_ledger::{LIST_MAX, RowHashes, head, list, list_newest, read};
use tacet_seal::Sealer;

fn numbers(listed: Vec<(u64, Entry)>) -> Vec<u64> {
    assert!(listed.iter().all(|(index, listed)| *listed == entry(*index)));
    listed.into_iter().map(|(index, _)| index).collect()
}

#[test]
fn listings_go_up_and_down() {
    let engine = engine_with(30);
    let (reader, keys) = (engine.as_ref(), keys());
    assert_eq!(numbers(list(reader, &keys, 0, 3).unwrap()), [0, 1, 2]);
    assert_eq!(numbers(list(reader, &keys, 28, 9).unwrap()), [28, 29]);
    assert!(numbers(list(reader, &keys, 30, 9).unwrap()).is_empty());
    assert_eq!(numbers(list_newest(reader, &keys, u64::MAX, 3).unwrap()), [29, 28, 27]);
    assert_eq!(numbers(list_newest(reader, &keys, 2, 9).unwrap()), [1, 0]);
    assert!(numbers(list_newest(reader, &keys, 0, 9).unwrap()).is_empty());
    assert!(list(reader, &keys, 0, 0).unwrap().is_empty());
    assert!(matches!(read(reader, &keys, 30), Err(LedgerError::NoEntry { index: 30 })));
}

#[test]
fn a_listing_is_bounded() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    for first in (0..LIST_MAX as u64 + 100).step_by(100) {
        append(&store, &(first..first + 100).map(entry).collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(list(engine.as_ref(), &keys(), 0, usize::MAX).unwrap().len(), LIST_MAX);
    assert_eq!(list_newest(engine.as_ref(), &keys(), u64::MAX, usize::MAX).unwrap().len(), LIST_MAX);
}

#[test]
fn an_entry_that_does_not_open_stops_a_listing() {
    let engine = engine_with(5);
    let changed = rows(engine.as_ref())[3].clone();
    write(&engine, &[Write::put(changed.0, [&changed.1[..], b"x"].concat())]);
    assert_eq!(numbers(list(engine.as_ref(), &keys(), 0, 3).unwrap()), [0, 1, 2]);
    assert!(matches!(list(engine.as_ref(), &keys(), 0, 9), Err(LedgerError::EntrySealed { index: 3, .. })));
    assert!(matches!(list_newest(engine.as_ref(), &keys(), 9, 9), Err(LedgerError::EntrySealed { index: 3, .. })));
}

#[test]
fn proofs_come_from_the_rows_and_need_no_key() {
    let (old, engine) = (engine_with(13), engine_with(21));
    // The same entries sealed with the same random numbers: the older ledger is the beginning of the newer one.
    let (old_root, root) =
        (head(old.as_ref(), &keys()).unwrap().unwrap().root(), head(engine.as_ref(), &keys()).unwrap().unwrap().root());
    let source = RowHashes(engine.as_ref());
    for (index, (_, row)) in rows(engine.as_ref()).iter().take(21).enumerate() {
        let path = proof::inclusion(&source, index as u64, 21).unwrap();
        assert!(proof::verify_inclusion(&leaf_hash(row), index as u64, 21, &path, &root));
        assert!(!proof::verify_inclusion(&leaf_hash(&row[1..]), index as u64, 21, &path, &root));
    }
    assert!(proof::inclusion(&source, 0, 22).is_err());
    let extension = proof::consistency(&source, 13, 21).unwrap();
    assert!(proof::verify_consistency(13, &old_root, 21, &root, &extension));
    assert!(!proof::verify_consistency(12, &old_root, 21, &root, &extension));
    for (level, index) in [(0, u64::MAX), (63, 2), (64, 0), (5, 0), (0, 21)] {
        assert!(source.subtree(level, index).is_err(), "{level} {index}");
    }
}

#[test]
fn entries_whose_key_ended_keep_their_place_in_the_tree() {
    let monthly = |number: u8| Sealer::gcm_siv(&Key::from_bytes([number; 32]));
    let engine = Arc::new(MemoryEngine::new());
    let both = keys().with_entry_key(1, monthly(1));
    let newest = both.clone().with_entry_key(2, monthly(2));
    for (round, keys) in [keys(), both, newest.clone()].into_iter().enumerate() {
        let store = open_store(engine.clone() as Arc<dyn Engine>, keys, rng(), StoreOptions::default()).unwrap();
        for step in 0..3 {
            append(&store, &[entry(round as u64 * 3 + step)]).unwrap();
        }
        store.close().unwrap();
    }
    let all = verify(engine.as_ref(), &newest, &mut |_, _| ()).unwrap();
    assert!(all.is_sound() && (all.opened, all.without_key) == (9, 0));
    // The key of the middle month is destroyed.
    let left = keys().with_entry_key(2, monthly(2));
    let verification = verify(engine.as_ref(), &left, &mut |_, _| ()).unwrap();
    assert!(verification.is_sound() && (verification.opened, verification.without_key) == (6, 3));
    assert!(matches!(read(engine.as_ref(), &left, 4), Err(LedgerError::KeyNotHeld { index: 4, epoch: 1 })));
    assert!(read(engine.as_ref(), &left, 7).unwrap() == entry(7));
    // A change of what cannot be opened any more is seen all the same.
    let mut row = rows(engine.as_ref())[4].clone();
    row.1[20] ^= 1;
    write(&engine, &[Write::put(row.0, row.1)]);
    assert!(!verify(engine.as_ref(), &left, &mut |_, _| ()).unwrap().is_sound());
}
