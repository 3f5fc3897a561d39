//! What every engine must do, whichever it is. Included by the tests of engines that are elsewhere too.

use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_store::{Durability, Engine, Mark, Reader, Write};

/// Opens the engine; the one opened before is gone.
type Open<'a> = &'a dyn Fn() -> Arc<dyn Engine>;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) fn scan(reader: &dyn Reader, from: &[u8], to: &[u8], max: usize) -> Rows {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() >= max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    reader.range(from, to, visit).unwrap();
    rows
}

pub(crate) fn scan_rev(reader: &dyn Reader, from: &[u8], to: &[u8], max: usize) -> Rows {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() >= max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    reader.range_rev(from, to, visit).unwrap();
    rows
}

/// Holds an engine to all of it. It must be empty at first, as far as the spaces 2 to 8 go.
pub(crate) fn conforms(open: Open<'_>) {
    rows_are_ordered(open().as_ref());
    deletes_and_overwrites(open().as_ref());
    a_snapshot_stands_still(open().as_ref());
    large_values_and_long_keys(open().as_ref());
    what_was_written_is_there_after_reopening(open);
    the_witness_keeps_its_mark(open);
}

pub(crate) fn put(engine: &dyn Engine, key: &[u8], value: &[u8]) {
    engine.write(&[Write::put(key, value)], Durability::Durable).unwrap();
}

fn rows_are_ordered(engine: &dyn Engine) {
    let keys: [&[u8]; 6] = [&[2], &[2, 0], &[2, 0, 0], &[2, 1], &[2, 255], &[3]];
    let writes: Vec<_> = keys.iter().rev().map(|key| Write::put(*key, [key.len() as u8])).collect();
    engine.write(&writes, Durability::Durable).unwrap();
    let keys_of = |rows: Rows| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys_of(scan(engine, &[2], &[4], 99)), keys);
    let reversed: Vec<_> = keys.iter().rev().map(|key| key.to_vec()).collect();
    assert_eq!(keys_of(scan_rev(engine, &[2], &[4], 99)), reversed);
    assert_eq!(keys_of(scan(engine, &[2, 0], &[2, 255], 99)), &keys[1..4], "the end is excluded");
    assert_eq!(keys_of(scan(engine, &[2], &[4], 2)), &keys[..2], "a scan stops when it is told to");
    assert_eq!(keys_of(scan_rev(engine, &[2], &[3], 1)), [keys[4]]);
    for (from, to) in [(&[9u8][..], &[4u8][..]), (&[2], &[2]), (&[4], &[9])] {
        assert!(scan(engine, from, to, 9).is_empty() && scan_rev(engine, from, to, 9).is_empty());
    }
    let asked = [vec![3], vec![7], vec![2, 0]];
    assert_eq!(engine.get_many(&asked).unwrap(), [Some(vec![1]), None, Some(vec![2])]);
}

fn deletes_and_overwrites(engine: &dyn Engine) {
    put(engine, &[5, 1], b"old");
    put(engine, &[5, 2], b"gone");
    let batch = [Write::put([5, 1], *b"new"), Write::delete([5, 2]), Write::delete([5, 3]), Write::put([5, 4], [])];
    engine.write(&batch, Durability::Durable).unwrap();
    assert_eq!(engine.get(&[5, 1]).unwrap(), Some(b"new".to_vec()));
    assert_eq!(engine.get(&[5, 2]).unwrap(), None);
    assert_eq!(engine.get(&[5, 4]).unwrap(), Some(vec![]), "an empty value is a value");
    assert_eq!(scan(engine, &[5], &[6], 99).len(), 2);
    engine.write(&[], Durability::Durable).unwrap();
}

fn a_snapshot_stands_still(engine: &dyn Engine) {
    put(engine, &[6, 1], b"one");
    put(engine, &[6, 2], b"two");
    let snapshot = engine.snapshot().unwrap();
    let batch = [Write::put([6, 1], *b"changed"), Write::delete([6, 2]), Write::put([6, 3], *b"added")];
    engine.write(&batch, Durability::Durable).unwrap();
    let before = vec![(vec![6, 1], b"one".to_vec()), (vec![6, 2], b"two".to_vec())];
    assert_eq!(scan(snapshot.as_ref(), &[6], &[7], 99), before);
    assert_eq!(snapshot.get(&[6, 1]).unwrap(), Some(b"one".to_vec()));
    assert_eq!(snapshot.get(&[6, 3]).unwrap(), None);
    assert_eq!(snapshot.get_many(&[vec![6, 2]]).unwrap(), [Some(b"two".to_vec())]);
    assert_eq!(engine.get(&[6, 2]).unwrap(), None);
}

fn large_values_and_long_keys(engine: &dyn Engine) {
    let value: Vec<u8> = (0..3_000_000u32).map(|byte| byte as u8).collect();
    let key = vec![7; tacet_store::KEY_BYTES_MAX];
    put(engine, &key, &value);
    assert!(engine.get(&key).unwrap().as_deref() == Some(value.as_slice()));
    assert!(engine.statistics().rows_approximate > 0);
    let next = [key.as_slice(), &[0]].concat();
    engine.write(&[Write::delete(key.clone())], Durability::Durable).unwrap();
    assert!(engine.get(&key).unwrap().is_none() && scan(engine, &key, &next, 9).is_empty());
    put(engine, &key, &value);
    assert_eq!(scan_rev(engine, &key, &next, 9).len(), 1);
}

fn what_was_written_is_there_after_reopening(open: Open<'_>) {
    let engine = open();
    let numbers: Vec<_> =
        (0..500u32).map(|number| Write::put([&[8], &number.to_be_bytes()[..]].concat(), [1])).collect();
    engine.write(&numbers, Durability::Buffered).unwrap();
    engine.flush().unwrap();
    drop(engine);
    let engine = open();
    assert_eq!(scan(engine.as_ref(), &[8], &[9], 999).len(), 500);
    assert_eq!(engine.get(&[5, 1]).unwrap(), Some(b"new".to_vec()));
    assert!(engine.statistics().bytes_on_disk > 3_000_000);
}

fn the_witness_keeps_its_mark(open: Open<'_>) {
    let engine = open();
    assert_eq!(engine.witness().read().unwrap(), None);
    for group in 1..4 {
        let mark = Mark { group, commits: 2 * group, digest: [3; 32] };
        engine.witness().record(&mark, group == 3, Durability::Durable).unwrap();
    }
    drop(engine);
    let read = open().witness().read().unwrap();
    assert_eq!(read, Some((Mark { group: 3, commits: 6, digest: [3; 32] }, true)));
}
