//! What the ledger costs where something is read: durable entries, and the share of a read that is its entry.

use super::entries::{commit, entry};
use crate::{Caller, Limits, Origin, PurposeOfUse, Role, Vault, VaultOptions};
use pollster::block_on;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tacet_ledger::{Channel, LedgerKeys, open_store};
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{InProcessKeeper, KeeperLimits, SecureRng};
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::{Durability, StoreOptions};
use tacet_types::{OperationId, ResourceId, ResourceType, SystemClock};

/// Seconds of each measurement.
const SECONDS: f64 = 2.0;

/// Times that a read and its entry alone are measured, in turns.
const TURNS: u64 = 3;

/// Records that are read.
const RECORDS: u64 = 2000;

const CLIENTS: [u64; 4] = [1, 16, 64, 256];

/// Done by clients that wait for each, in a second.
fn rate(clients: u64, one: &(dyn Fn(u64) + Sync)) -> f64 {
    let start = Instant::now();
    let done: u64 = std::thread::scope(|scope| {
        let work = |client: u64| {
            move || {
                let mut done = 0;
                while start.elapsed().as_secs_f64() < SECONDS {
                    one(client * 1_000_000 + done);
                    done += 1;
                }
                done
            }
        };
        let threads: Vec<_> = (0..clients).map(|client| scope.spawn(work(client))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    done as f64 / start.elapsed().as_secs_f64()
}

/// Entries that become durable, one to a commit.
pub(super) fn durable(directory: &Path, keys: &LedgerKeys) -> Value {
    let engine = Arc::new(FjallEngine::open(&directory.join("durable"), FjallOptions::default()).unwrap());
    let store = open_store(engine, keys.clone(), Arc::new(SecureRng), StoreOptions::default()).unwrap();
    let rates = CLIENTS.map(|clients| {
        let entries_per_s = rate(clients, &|number| drop(store.submit(commit(number, 1)).wait().unwrap()));
        json!({ "clients": clients, "entries_per_s": entries_per_s })
    });
    store.close().unwrap();
    json!(rates)
}

fn caller(role: Role) -> Caller {
    let origin = Origin { address: None, channel: Channel::Http };
    Caller::new("Dr Bench", role, PurposeOfUse::Treatment, origin, OperationId::random(&SecureRng))
}

/// Reads of records, and the same entries without the read: what is between them is looking the record up, unwrapping its key and opening it. Once as the program
/// does it, once with entries that are not waited for on the disk.
pub(super) fn reads(directory: &Path) -> Value {
    let modes = [("durable", Durability::Durable), ("not durable", Durability::Buffered)];
    let measured = modes.map(|(mode, durability)| {
        let path = directory.join(format!("reads-{}", mode.len()));
        std::fs::create_dir_all(&path).unwrap();
        let cost = PassphraseCost::DANGEROUSLY_CHEAP;
        let (root, _) = RootFile::create(&path.join("root.key"), "correct horse", Split::DEFAULT, cost, &SecureRng).unwrap();
        let clock = Arc::new(SystemClock);
        let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
        let keeper = Arc::new(InProcessKeeper::new(root.keys(), clock.clone(), Arc::new(SecureRng), limits));
        let engine = Arc::new(FjallEngine::open(&path.join("store"), FjallOptions::default()).unwrap());
        let options = VaultOptions {
            clock,
            rng: Arc::new(SecureRng),
            limits: Limits::default(),
            store: StoreOptions { durability, ..StoreOptions::default() },
            index: None,
            access: None,
        };
        let vault = block_on(Vault::initialize(engine, keeper, options, &caller(Role::Operator))).unwrap();
        let reader = caller(Role::Clinician);
        let patient = ResourceType::parse("Patient").unwrap();
        let id = |number: u64| ResourceId::parse(&format!("p{}", number % RECORDS)).unwrap();
        for number in 0..RECORDS {
            let body = format!(
                r#"{{"resourceType":"Patient","id":"p{number}","name":[{{"family":"Name {number}","given":["Anna"]}}],"birthDate":"1970-01-01"}}"#
            );
            block_on(vault.update(&reader, patient, &id(number), body.as_bytes(), "", None, false)).unwrap();
        }
        let read = |number: u64| drop(block_on(vault.read(&reader, patient, &id(number))).unwrap());
        let note = |number: u64| drop(block_on(vault.0.record(vec![entry(number)])).unwrap());
        let rates = CLIENTS.map(|clients| {
            let (mut reads, mut notes) = (0.0, 0.0);
            for _ in 0..TURNS {
                reads += rate(clients, &read) / TURNS as f64;
                notes += rate(clients, &note) / TURNS as f64;
            }
            json!({ "clients": clients, "reads_per_s": reads, "entries_alone_per_s": notes, "share_of_a_read": reads / notes })
        });
        vault.close().unwrap();
        json!({ "entries": mode, "rates": rates })
    });
    json!(measured)
}
