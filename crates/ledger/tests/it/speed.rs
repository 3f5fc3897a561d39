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
    let (start, cpu_s) = (Instant::now(), cpu_seconds());
    let verification = check(engine.as_ref());
    let (seconds, cpu_s) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu_s);
    println!(
        "verified {ENTRIES} entries in {seconds:.2} s, with {:.2} us of CPU an entry",
        cpu_s * 1e6 / ENTRIES as f64
    );
    assert!(verification.is_sound() && verification.opened == ENTRIES);
    let start = Instant::now();
    drop(open(&engine).unwrap());
    println!("opened in {:?}", start.elapsed());
}

/// User and system time of this process so far (Linux; 0 elsewhere).
fn cpu_seconds() -> f64 {
    // proc(5): the 14th and 15th field, in hundredths of a second; the second is a name in parentheses.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
