//! What following and sending costs those who write: durable writes with a backup and without, in turn. Run it by hand:
//! `cargo test --release -p tacet-backup --lib measure -- --ignored --nocapture`.

use super::hospital::signer;
use super::*;
use crate::targets::Folder;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::{Commit, NoSequencer, Store, StoreOptions, TailedEngine, Write};
use tacet_types::{SystemClock, SystemRng};

/// Who write at once.
const WRITERS: u64 = 8;

/// Bytes of a commit's rows: as of an Observation, with its head, version, facts and entry.
const ROWS: [(u8, usize); 6] = [(0x02, 200), (0x03, 1200), (0x05, 300), (0x0e, 300), (0x10, 700), (0x0d, 300)];

/// Seconds of one round.
const ROUND_S: u64 = 3;

/// Rounds with and without.
const ROUNDS: u64 = 10;

/// Commits a second.
#[expect(clippy::disallowed_methods, reason = "measures")]
fn round(with_backup: bool, round: u64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    // The target is another machine's disk: this one's must not be counted against the writers.
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let places = [folder.path().join("store"), elsewhere.path().join("content"), elsewhere.path().join("keys")];
    places.iter().for_each(|place| std::fs::create_dir(place).unwrap());
    let engine: Arc<dyn Engine> = Arc::new(FjallEngine::open(&places[0], FjallOptions::default()).unwrap());
    let tail = Arc::new(TailBuffer::new(256 << 20));
    let engine: Arc<dyn Engine> =
        if with_backup { Arc::new(TailedEngine::new(engine, tail.clone()).unwrap()) } else { engine };
    let store = Store::open(engine.clone(), NoSequencer, StoreOptions::default()).unwrap();
    let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let target = |at: usize| Arc::new(Folder::open(&places[at], clock.clone(), rng.clone()).unwrap());
    let plan =
        Plan { target: target(1), keys: target(2), base_every_ms: i64::MAX, locked_ms: None, state: StateFile(None) };
    let (done, commits) = (AtomicBool::new(false), AtomicU64::new(0));
    let source = Source {
        engine,
        tail: tail.clone(),
        establishment: EstablishmentId([5; 16]),
        signer: signer(1),
        ledger: Box::new(|_| Ok(None)),
        recovery: Box::new(|| None),
        clock,
        rng: rng.clone(),
    };
    let mut elapsed = 0.0;
    std::thread::scope(|scope| {
        let (done, commits, rng) = (&done, &commits, &rng);
        if with_backup {
            let mut backup = Backup::open(source, plan, false).unwrap();
            scope.spawn(move || {
                while tail.wait(Duration::from_secs(1)) && !done.load(Ordering::SeqCst) {
                    backup.make(Want::Due, &mut |_| true).unwrap();
                }
            });
        }
        let begun = Instant::now();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let store = store.clone();
                scope.spawn(move || {
                    while begun.elapsed().as_secs() < ROUND_S {
                        let writes = ROWS.iter().map(|(space, bytes)| {
                            let (mut key, mut value) = (vec![0; 17], vec![0; *bytes]);
                            rng.fill(&mut key);
                            rng.fill(&mut value);
                            key[0] = *space;
                            Write::put(key, value)
                        });
                        let commit = Commit { writes: writes.collect(), feed: Some(vec![7; 150]), ..Commit::default() };
                        store.submit(commit).wait().unwrap();
                        commits.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        elapsed = begun.elapsed().as_secs_f64();
        done.store(true, Ordering::SeqCst);
    });
    let rate = commits.load(Ordering::SeqCst) as f64 / elapsed;
    tell(&format!("round {round}, backup {with_backup}: {rate:.0} commits/s"));
    rate
}

#[test]
#[ignore = "measures for a minute"]
fn measure_what_a_backup_costs_writers() {
    let mut ratios = Vec::new();
    for number in 0..ROUNDS {
        // In turn, and which comes first in turn.
        let (first, second) = (round(number.is_multiple_of(2), number), round(number % 2 == 1, number));
        let (with, without) = if number.is_multiple_of(2) { (first, second) } else { (second, first) };
        ratios.push(with / without);
    }
    ratios.sort_by(f64::total_cmp);
    tell(&format!("with a backup / without, of {ROUNDS} pairs, sorted: {ratios:.3?}"));
}

/// For whoever runs it by hand.
fn tell(line: &str) {
    std::fs::write("/dev/stdout", format!("{line}\n")).unwrap();
}
