//! Somebody with write access to the rows edits, removes, moves, doubles, cuts off or rolls back: it is found, and
//! where.

use super::*;
use tacet_ledger::{Problem, head};

const ENTRIES: u64 = 22;

fn spoiled(engine: &MemoryEngine, writes: &[Write]) -> (Verification, Result<(), LedgerError>) {
    let copy = copy(engine);
    write(&copy, writes);
    let verification = check(copy.as_ref());
    (verification, open(&copy).map(drop))
}

/// The entries that a verification names.
fn named(verification: &Verification) -> Vec<u64> {
    let entries = verification.problems.iter().filter_map(|problem| match problem {
        Problem::Entry { index, .. } => Some(*index),
        _ => None,
    });
    entries.collect()
}

fn has_root_problem(verification: &Verification) -> bool {
    verification.problems.iter().any(|problem| matches!(problem, Problem::Root { .. }))
}

/// Each row as it was, and the copies of the disk as they were after each entry.
fn history() -> (Arc<MemoryEngine>, Vec<Arc<MemoryEngine>>) {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let mut states = vec![copy(&engine)];
    for number in 0..ENTRIES {
        append(&store, &[entry(number)]).unwrap();
        states.push(copy(&engine));
    }
    store.close().unwrap();
    (engine, states)
}

#[test]
fn an_honest_ledger_has_no_problem() {
    let (verification, opened) = spoiled(&engine_with(ENTRIES), &[]);
    assert!(verification.is_sound() && opened.is_ok());
}

#[test]
fn an_edited_row_is_named() {
    let engine = engine_with(ENTRIES);
    let all = rows(engine.as_ref());
    for (index, (key, row)) in all.iter().take(ENTRIES as usize).enumerate() {
        for place in [0, 2, 3, 5, row.len() / 2, row.len() - 1] {
            let mut changed = row.clone();
            changed[place] ^= 0x04;
            let (verification, _) = spoiled(&engine, &[Write::put(key.clone(), changed)]);
            assert!(!verification.is_sound() && has_root_problem(&verification), "{index}, byte {place}");
            // A changed key epoch makes an entry that cannot be opened; the root tells on it.
            let expected = if place == 2 { vec![] } else { vec![index as u64] };
            assert_eq!(named(&verification), expected, "{index}, byte {place}");
        }
    }
}

#[test]
fn an_edited_head_is_refused() {
    let engine = engine_with(ENTRIES);
    let (key, row) = rows(engine.as_ref()).pop().unwrap();
    assert_eq!(key, [0x11]);
    for place in 0..row.len() {
        let mut changed = row.clone();
        changed[place] ^= 0x04;
        let (verification, opened) = spoiled(&engine, &[Write::put(key.clone(), changed)]);
        assert!(matches!(verification.problems[..], [Problem::Head(_)]), "byte {place}");
        assert!(matches!(opened, Err(LedgerError::HeadSealed(_))));
    }
    let (verification, opened) = spoiled(&engine, &[Write::delete(key)]);
    assert!(matches!(verification.problems[..], [Problem::Head(LedgerError::HeadMissing)]));
    assert!(matches!(opened, Err(LedgerError::HeadMissing)));
}

#[test]
fn a_removed_row_is_named() {
    let engine = engine_with(ENTRIES);
    let all = rows(engine.as_ref());
    for index in 0..ENTRIES {
        let (verification, opened) = spoiled(&engine, &[Write::delete(all[index as usize].0.clone())]);
        assert_eq!(verification.problems_total, 1);
        let missing = &verification.problems[0];
        assert!(matches!(missing, Problem::Missing { from, to } if (*from, *to) == (index, index + 1)), "{missing}");
        assert_eq!(verification.opened, ENTRIES - 1);
        if index == ENTRIES - 1 {
            assert!(matches!(opened, Err(LedgerError::EntriesMissing { size: 22, found: 21 })));
        }
    }
    // Removed and closed up, so that no number is missing but the last.
    for index in 0..ENTRIES as usize - 1 {
        let mut writes: Vec<_> =
            (index..ENTRIES as usize - 1).map(|to| Write::put(all[to].0.clone(), all[to + 1].1.clone())).collect();
        writes.push(Write::delete(all[ENTRIES as usize - 1].0.clone()));
        let (verification, opened) = spoiled(&engine, &writes);
        assert_eq!(named(&verification), (index as u64..ENTRIES - 1).collect::<Vec<_>>());
        assert!(opened.is_err());
    }
}

#[test]
fn reordered_and_doubled_rows_are_named() {
    let engine = engine_with(ENTRIES);
    let all = rows(engine.as_ref());
    let put = |key: usize, row: usize| Write::put(all[key].0.clone(), all[row].1.clone());
    for a in 0..ENTRIES as usize {
        for b in (0..ENTRIES as usize).filter(|b| *b != a) {
            let (verification, _) = spoiled(&engine, &[put(a, b)]);
            assert!(has_root_problem(&verification));
            assert_eq!(named(&verification), [a as u64], "{b} over {a}");
        }
        let b = (a + 5) % ENTRIES as usize;
        let (verification, _) = spoiled(&engine, &[put(a, b), put(b, a)]);
        let mut both = vec![a as u64, b as u64];
        both.sort_unstable();
        assert_eq!(named(&verification), both);
    }
}

#[test]
fn rows_beyond_the_head_are_named() {
    let engine = engine_with(ENTRIES);
    let all = rows(engine.as_ref());
    for number in [ENTRIES, ENTRIES + 1, 1 << 40, u64::MAX] {
        let key = [&[0x10][..], &number.to_be_bytes()].concat();
        let (verification, opened) = spoiled(&engine, &[Write::put(key, all[3].1.clone())]);
        let beyond = verification
            .problems
            .iter()
            .any(|problem| matches!(problem, Problem::BeyondHead { from, .. } if *from == number));
        assert!(beyond, "{:?}", verification.problems);
        assert!(
            matches!(opened, Err(LedgerError::EntriesBeyondHead { .. } | LedgerError::EntriesMissing { .. })),
            "{opened:?}"
        );
    }
    for key in [vec![0x10], vec![0x10, 1], vec![0x10; 12]] {
        let (verification, _) = spoiled(&engine, &[Write::put(key, [1])]);
        assert!(verification.problems.iter().any(|problem| matches!(problem, Problem::StrangeRow)));
    }
}

#[test]
fn a_truncated_or_rolled_back_ledger_is_refused() {
    let (engine, states) = history();
    let all = rows(engine.as_ref());
    let head_of = |size: usize| Write::put([0x11], rows(states[size].as_ref()).pop().unwrap().1);
    let cut_to = |size: usize| all[size..ENTRIES as usize].iter().map(|(key, _)| Write::delete(key.clone()));
    for size in 1..ENTRIES as usize {
        // Rows alone.
        let (verification, opened) = spoiled(&engine, &cut_to(size).collect::<Vec<_>>());
        assert!(matches!(verification.problems[..], [Problem::Missing { from, to: ENTRIES }] if from == size as u64));
        assert!(matches!(opened, Err(LedgerError::EntriesMissing { size: ENTRIES, .. })));
        // The head alone.
        let (verification, opened) = spoiled(&engine, &[head_of(size)]);
        assert!(
            matches!(verification.problems[..], [Problem::BeyondHead { from, to: ENTRIES }] if from == size as u64)
        );
        assert!(matches!(opened, Err(LedgerError::EntriesBeyondHead { .. })));
        // Both, to different points.
        for other in (1..ENTRIES as usize).filter(|other| *other != size) {
            let mut writes: Vec<_> = cut_to(size).collect();
            writes.push(head_of(other));
            let (verification, opened) = spoiled(&engine, &writes);
            assert!(!verification.is_sound() && opened.is_err(), "head {other}, rows {size}");
        }
    }
    // Both, to the same point: consistent in itself, as the documentation says. What tells is the store's chain, or a
    // checkpoint.
    let mut writes: Vec<_> = cut_to(5).collect();
    writes.push(head_of(5));
    assert!(spoiled(&engine, &writes).0.is_sound());
}

#[test]
fn a_fork_is_found_when_the_ledger_is_opened() {
    // Two ledgers that go separate ways after entry 9, with their own random numbers.
    let fork = engine_with(10);
    let engine = copy(&fork);
    let other: Arc<dyn Rng> = Arc::new(SeededRng::new(99));
    for (engine, rng) in [(&fork, rng()), (&engine, other)] {
        let store = open_store(engine.clone() as Arc<dyn Engine>, keys(), rng, StoreOptions::default()).unwrap();
        for number in 10..ENTRIES {
            append(&store, &[entry(number)]).unwrap();
        }
        store.close().unwrap();
    }
    // Each row of the fork is authentic in its place, and still not the one that this tree was made of.
    let others = rows(fork.as_ref());
    for (index, (key, row)) in others.iter().enumerate().take(ENTRIES as usize).skip(10) {
        let (verification, opened) = spoiled(&engine, &[Write::put(key.clone(), row.clone())]);
        assert_eq!(verification.problems_total, 1);
        assert!(has_root_problem(&verification) && verification.opened == ENTRIES);
        if index >= 20 {
            assert!(matches!(opened, Err(LedgerError::EntriesAltered { from: 20 })));
        }
    }
    assert_ne!(
        head(fork.as_ref(), &keys()).unwrap().unwrap().root(),
        head(engine.as_ref(), &keys()).unwrap().unwrap().root()
    );
}

#[test]
fn problems_beyond_a_chunk_are_told_in_order() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    for first in (0..5000).step_by(500) {
        append(&store, &(first..first + 500).map(entry).collect::<Vec<_>>()).unwrap();
    }
    store.close().unwrap();
    let mut told = Vec::new();
    let honest = verify(engine.as_ref(), &keys(), &mut |done, size| told.push((done, size))).unwrap();
    assert!(honest.is_sound() && honest.opened == 5000);
    assert_eq!(told, [(1024, 5000), (2048, 5000), (3072, 5000), (4096, 5000), (5000, 5000)]);

    let all = rows(engine.as_ref());
    let (verification, _) = spoiled(&engine, &[Write::put(all[3000].0.clone(), [1, 0, 0])]);
    assert_eq!((named(&verification), has_root_problem(&verification)), (vec![3000], true));

    let mut writes = vec![Write::delete(all[0].0.clone()), Write::delete(all[4999].0.clone())];
    writes.extend((1500..1600).map(|index| Write::delete(all[index].0.clone())));
    writes.extend([1400, 1700, 4000].map(|index| Write::put(all[index].0.clone(), [1, 0, 0])));
    let (verification, _) = spoiled(&engine, &writes);
    let told: Vec<_> = verification
        .problems
        .iter()
        .map(|problem| match problem {
            Problem::Missing { from, to } => (*from, *to),
            Problem::Entry { index, .. } => (*index, 0),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(told, [(0, 1), (1400, 0), (1500, 1600), (1700, 0), (4000, 0), (4999, 5000)]);
    assert_eq!(verification.opened, 5000 - 102 - 3);
}
