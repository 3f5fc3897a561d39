//! How fast a large ledger is written and verified. Not a test of anything but its own honesty; run by hand:
//! `cargo test --release -p tacet-ledger --test it speed -- --ignored --nocapture`.

use super::*;
use std::time::Instant;

#[test]
#[ignore = "a measurement, and it takes a minute"]
#[expect(clippy::disallowed_methods, reason = "measuring")]
fn speed_of_a_million_entries() {
    const ENTRIES: u64 = 1_000_000;
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let start = Instant::now();
    let mut tickets = std::collections::VecDeque::new();
    for first in (0..ENTRIES).step_by(100) {
        tickets.push_back(submit(&store, &(first..first + 100).map(entry).collect::<Vec<_>>()));
        if tickets.len() > 50 {
            tickets.pop_front().unwrap().wait().unwrap();
        }
    }
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    store.close().unwrap();
    println!("appended {ENTRIES} entries in {:?}", start.elapsed());
    let start = Instant::now();
    let verification = check(engine.as_ref());
    let seconds = start.elapsed().as_secs_f64();
    println!("verified {ENTRIES} entries in {seconds:.2} s, {:.2} us an entry", seconds * 1e6 / ENTRIES as f64);
    assert!(verification.is_sound() && verification.opened == ENTRIES);
    let start = Instant::now();
    drop(open(&engine).unwrap());
    println!("opened in {:?}", start.elapsed());
}
