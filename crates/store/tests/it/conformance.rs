//! The engines of this crate do what every engine must, and rows move between them.

use crate::homes::{FjallHome, Home, MemoryHome, RedbHome};
pub(crate) use crate::suite::{conforms, put, scan, scan_rev};
use std::sync::Arc;
use tacet_store::{Engine, NoSequencer, Store, StoreError, StoreOptions, copy_all};

#[test]
fn the_memory_engine_conforms() {
    let home = MemoryHome::default();
    conforms(&|| home.open().unwrap());
}

#[test]
fn fjall_conforms() {
    let home = FjallHome::default();
    conforms(&|| home.open().unwrap());
}

#[test]
fn redb_conforms() {
    let home = RedbHome::default();
    conforms(&|| home.open().unwrap());
}

#[test]
fn an_engine_is_open_once_at_a_time() {
    for home in [Box::new(FjallHome::default()) as Box<dyn Home>, Box::new(RedbHome::default())] {
        let open = home.open().unwrap();
        assert!(matches!(home.open(), Err(StoreError::Locked { .. })));
        drop(open);
        home.open().unwrap();
    }
}

#[test]
fn a_store_moves_from_fjall_to_redb_and_back() {
    let homes: [Box<dyn Home>; 3] =
        [Box::new(FjallHome::default()), Box::new(RedbHome::default()), Box::new(FjallHome::default())];
    let open = |engine: Arc<dyn Engine>| Store::open(engine, NoSequencer, StoreOptions::default()).unwrap();
    let mut engine = homes[0].open().unwrap();
    let mut rows = Vec::new();
    for next in 1..=homes.len() {
        let store = open(engine.clone());
        let tickets: Vec<_> =
            (0..100u8).map(|number| store.submit(crate::workload::commit(next as u32, number.into()))).collect();
        for ticket in tickets {
            ticket.wait().unwrap();
        }
        store.close().unwrap();
        rows = scan(engine.as_ref(), &[1], &[0xff], 9999);
        let Some(home) = homes.get(next) else { break };
        let target = home.open().unwrap();
        copy_all(engine.as_ref(), target.as_ref(), &mut |_| {}).unwrap();
        assert_eq!(scan(target.as_ref(), &[], &[0xff], 99_999), scan(engine.as_ref(), &[], &[0xff], 99_999));
        engine = target;
    }
    let feed = rows.iter().filter(|(key, _)| key[0] == tacet_store::SPACE_FEED).count();
    assert_eq!(feed, 300);
}

#[test]
fn a_snapshot_keeps_the_directory_locked() {
    let home = FjallHome::default();
    let engine = home.open().unwrap();
    put(engine.as_ref(), &[2], b"row");
    let snapshot = engine.snapshot().unwrap();
    drop(engine);
    assert!(matches!(home.open(), Err(StoreError::Locked { .. })));
    assert_eq!(snapshot.get(&[2]).unwrap(), Some(b"row".to_vec()));
    drop(snapshot);
    home.open().unwrap();
}
