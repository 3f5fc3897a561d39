//! The ledger through a store: appending, crashes, tampering, reading. One test binary.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the functions here are called by tests only"
)]

mod appending;
mod crashes;
mod months;
mod published;
mod reading;
mod schema;
mod speed;
mod tampering;

use std::sync::Arc;
use tacet_ledger::{
    Agent, Channel, Entry, EventKind, LedgerError, LedgerKeys, LedgerSequencer, Origin, Prepared, PurposeOfUse,
    Receipt, Verification, open_store, verify,
};
use tacet_seal::{EstablishmentKeys, Key};
use tacet_store::memory::{Disk, Faults, MemoryEngine};
use tacet_store::{Commit, Durability, Engine, Reader, Store, StoreError, StoreOptions, Ticket, Write};
use tacet_types::{
    EstablishmentId, OperationId, RecordRef, ResourceId, ResourceType, Rng, SeededRng, Timestamp, VersionId,
};

type LedgerStore = Store<LedgerSequencer>;

fn keys() -> LedgerKeys {
    keys_of(7)
}

fn keys_of(establishment: u8) -> LedgerKeys {
    let key = Key::from_bytes([42; 32]);
    LedgerKeys::new(&EstablishmentKeys::derive(&key, EstablishmentId([establishment; 16])))
}

fn rng() -> Arc<dyn Rng> {
    Arc::new(SeededRng::new(11))
}

/// The read number `number` of a made-up patient.
fn entry(number: u64) -> Entry {
    let patient = ResourceType::parse("Patient").unwrap();
    let id = ResourceId::parse(&format!("p{}", number % 10)).unwrap();
    let agent = Agent { owner: format!("owner {}", number % 3), role: "clinician".into(), token: Some("t-1".into()) };
    let mut entry = Entry::new(
        Timestamp::from_ms(1_772_352_000_000 + number as i64),
        EventKind::Read,
        agent,
        PurposeOfUse::Treatment,
        operation(number),
    );
    entry.origin = Origin { address: None, channel: Channel::Http };
    entry.patient = Some((patient, id.clone()));
    entry.records = vec![RecordRef { resource_type: patient, id, version: VersionId(number + 1) }];
    entry
}

fn operation(number: u64) -> OperationId {
    OperationId(u128::from(number).to_be_bytes())
}

fn open(engine: &Arc<MemoryEngine>) -> Result<LedgerStore, LedgerError> {
    open_store(Arc::clone(engine) as Arc<dyn Engine>, keys(), rng(), StoreOptions::default())
}

fn submit(store: &LedgerStore, entries: &[Entry]) -> Ticket<Vec<Receipt>> {
    store.submit(Commit { item: Prepared::all(entries).unwrap(), ..Commit::default() })
}

fn append(store: &LedgerStore, entries: &[Entry]) -> Result<Vec<Receipt>, StoreError> {
    submit(store, entries).wait().map(|committed| committed.outcome)
}

fn check(reader: &dyn Reader) -> Verification {
    verify(reader, &keys(), &mut |_, _| ()).unwrap()
}

/// The ledger's rows.
fn rows(reader: &dyn Reader) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    reader
        .range(&[0x10], &[0x12], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

/// An engine on a new disk whose ledger holds these entries, one a commit; closed cleanly.
fn engine_with(entries: u64) -> Arc<MemoryEngine> {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    for number in 0..entries {
        append(&store, &[entry(number)]).unwrap();
    }
    store.close().unwrap();
    engine
}

/// Another engine on a copy of this one's disk, to be spoiled.
fn copy(engine: &MemoryEngine) -> Arc<MemoryEngine> {
    let disk: Disk = engine.disk().crash(tacet_store::memory::Crash::KeepAll);
    Arc::new(MemoryEngine::open(&disk, Faults::default()))
}

fn write(engine: &MemoryEngine, writes: &[Write]) {
    engine.write(writes, Durability::Durable).unwrap();
}
