//! Durable commits a second. Measures, and asserts nothing of time: run with
//! `cargo test --release -p tacet-store --test it speed -- --ignored --nocapture`.

use crate::workload::{commit, next_number};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::redb::{RedbEngine, RedbOptions};
use tacet_store::{Commit, Durability, Engine, NoSequencer, Store, StoreOptions, Write};

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// The directory named by `TACET_BENCH_DIR`, so that a disk can be chosen, or a temporary one.
fn scratch() -> tempfile::TempDir {
    match std::env::var("TACET_BENCH_DIR").map(PathBuf::from) {
        Ok(directory) => tempfile::tempdir_in(directory).unwrap(),
        Err(_) => tempfile::tempdir().unwrap(),
    }
}

#[expect(clippy::disallowed_methods, reason = "measures")]
fn commits_a_second(engine: Arc<dyn Engine>, writers: u32, durability: Durability, name: &str) {
    let store = Store::open(engine, NoSequencer, StoreOptions { durability, ..StoreOptions::default() }).unwrap();
    let (ended, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                let (store, ended, done) = (&store, &ended, &done);
                scope.spawn(move || {
                    let mut number = next_number(store.reader(), writer);
                    let mut latencies = Vec::new();
                    while !ended.load(Ordering::Relaxed) {
                        let begin = Instant::now();
                        store.submit(commit(writer, number)).wait().unwrap();
                        latencies.push(begin.elapsed());
                        number += 1;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    latencies
                })
            })
            .collect();
        std::thread::sleep(MEASURED);
        ended.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    latencies.sort_unstable();
    let at = |part: usize| latencies[latencies.len() * part / 1000];
    let rate = f64::from(done.load(Ordering::Relaxed)) / MEASURED.as_secs_f64();
    println!(
        "{name}, {writers:2} writers, {durability:?}: {rate:6.0} commits/s, p50 {:?}, p99 {:?}, p99.9 {:?}",
        at(500),
        at(990),
        at(999)
    );
    store.close().unwrap();
}

#[test]
#[ignore = "measures for a minute"]
fn durable_commits_a_second() {
    for writers in [1, 16, 64] {
        for durability in [Durability::Durable, Durability::Buffered] {
            let scratch = scratch();
            let engine = FjallEngine::open(scratch.path(), FjallOptions::default()).unwrap();
            commits_a_second(Arc::new(engine), writers, durability, "fjall");
        }
        let scratch = scratch();
        let engine = RedbEngine::open(scratch.path(), RedbOptions::default()).unwrap();
        commits_a_second(Arc::new(engine), writers, Durability::Durable, "redb ");
    }
}

/// An import beside interactive commits: bulk commits of 500 rows of 1 kB from two threads, one interactive writer.
#[test]
#[ignore = "measures for seconds"]
#[expect(clippy::disallowed_methods, reason = "measures")]
fn bulk_rows_a_second() {
    const ROWS: u32 = 500;
    let scratch = scratch();
    let engine = Arc::new(FjallEngine::open(scratch.path(), FjallOptions::default()).unwrap());
    let store = Store::open(engine.clone(), NoSequencer, StoreOptions::default()).unwrap();
    let (ended, bulk) = (AtomicBool::new(false), AtomicU32::new(0));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..2u32 {
            let (store, ended, bulk) = (&store, &ended, &bulk);
            scope.spawn(move || {
                let mut waiting = std::collections::VecDeque::new();
                for number in 0.. {
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    let row = |row: u32| {
                        // Scattered keys, as keyed hashes are.
                        let scattered = u64::from(number * ROWS + row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        Write::put([&[0x40, thread as u8], &scattered.to_be_bytes()[..]].concat(), vec![7; 1000])
                    };
                    waiting.push_back(
                        store.submit_bulk(Commit { writes: (0..ROWS).map(row).collect(), ..Commit::default() }),
                    );
                    if waiting.len() > 8 {
                        waiting.pop_front().unwrap().wait().unwrap();
                        bulk.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut latencies = Vec::new();
        let mut number = 0;
        while begin.elapsed() < 4 * MEASURED {
            let start = Instant::now();
            store.submit(commit(0, number)).wait().unwrap();
            latencies.push(start.elapsed());
            number += 1;
        }
        ended.store(true, Ordering::Relaxed);
        latencies.sort_unstable();
        let at = |part: usize| latencies[latencies.len() * part / 1000];
        let rows = f64::from(bulk.load(Ordering::Relaxed) * ROWS) / begin.elapsed().as_secs_f64();
        println!(
            "bulk: {rows:.0} rows/s of 1 kB; interactive beside it: p50 {:?}, p99 {:?}, most {:?}",
            at(500),
            at(990),
            at(999)
        );
    });
    store.close().unwrap();
    println!("statistics: {:?}", engine.statistics());
}
