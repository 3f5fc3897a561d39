//! Every engine against an ordered map: the same operations, the same answers, whatever their order.

use crate::conformance::{scan, scan_rev};
use crate::homes::{FjallHome, Home, MemoryHome, RedbHome};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tacet_store::{Durability, Reader, Snapshot, Write};

#[derive(Clone, Debug)]
enum Step {
    Write(BTreeMap<Vec<u8>, Option<Vec<u8>>>),
    TakeSnapshot,
    DropSnapshots,
    Reopen,
    Range(Vec<u8>, Vec<u8>, usize),
    GetMany(Vec<Vec<u8>>),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    // Few bytes, so that keys meet and are prefixes of each other.
    vec(prop_oneof![Just(2u8), Just(3), Just(255)], 1..5)
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![1 => Just(None), 3 => vec(any::<u8>(), 0..300).prop_map(Some)];
    prop_oneof![
        6 => proptest::collection::btree_map(key(), value, 0..12).prop_map(Step::Write),
        2 => Just(Step::TakeSnapshot),
        1 => Just(Step::DropSnapshots),
        1 => Just(Step::Reopen),
        4 => (key(), key(), 1..9usize).prop_map(|(from, to, max)| Step::Range(from, to, max)),
        2 => vec(key(), 0..6).prop_map(Step::GetMany),
    ]
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn agree(reader: &dyn Reader, model: &Map, from: &[u8], to: &[u8], max: usize) {
    let expected = || model.iter().filter(|(key, _)| key.as_slice() >= from && key.as_slice() < to);
    let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
    assert_eq!(scan(reader, from, to, max), expected().take(max).map(owned).collect::<Vec<_>>());
    assert_eq!(scan_rev(reader, from, to, max), expected().rev().take(max).map(owned).collect::<Vec<_>>());
}

fn run(home: &dyn Home, steps: Vec<Step>) {
    let mut engine = home.open().unwrap();
    let mut model = Map::new();
    let mut snapshots: Vec<(Box<dyn Snapshot>, Map)> = Vec::new();
    for step in steps {
        match step {
            Step::Write(changes) => {
                let writes: Vec<_> = changes
                    .iter()
                    .map(|(key, value)| match value {
                        Some(value) => Write::put(key.clone(), value.clone()),
                        None => Write::delete(key.clone()),
                    })
                    .collect();
                engine.write(&writes, Durability::Durable).unwrap();
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(model.insert(key, value)),
                        None => drop(model.remove(&key)),
                    }
                }
            }
            Step::TakeSnapshot => snapshots.push((engine.snapshot().unwrap(), model.clone())),
            Step::DropSnapshots => snapshots.clear(),
            Step::Reopen => {
                snapshots.clear();
                drop(engine);
                engine = home.open().unwrap();
            }
            Step::Range(from, to, max) => {
                agree(engine.as_ref(), &model, &from, &to, max);
                snapshots.iter().for_each(|(snapshot, model)| agree(snapshot.as_ref(), model, &from, &to, max));
            }
            Step::GetMany(keys) => {
                let expected: Vec<_> = keys.iter().map(|key| model.get(key).cloned()).collect();
                assert_eq!(engine.get_many(&keys).unwrap(), expected);
                for (snapshot, model) in &snapshots {
                    let expected: Vec<_> = keys.iter().map(|key| model.get(key).cloned()).collect();
                    assert_eq!(snapshot.get_many(&keys).unwrap(), expected);
                }
            }
        }
    }
    agree(engine.as_ref(), &model, &[0], &[255; 9], usize::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_memory_engine_is_an_ordered_map(steps in vec(step(), 1..60)) {
        run(&MemoryHome::default(), steps);
    }
}

proptest! {
    // Fewer, as each opens files and syncs.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fjall_is_an_ordered_map(steps in vec(step(), 1..60)) {
        run(&FjallHome::default(), steps);
    }

    #[test]
    fn redb_is_an_ordered_map(steps in vec(step(), 1..60)) {
        run(&RedbHome::default(), steps);
    }
}
