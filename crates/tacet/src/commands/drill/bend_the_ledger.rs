//! `tacet drill bend-the-ledger`: an intruder with root and every key edits the record of access.
//!
//! ```text
//!  two days (real processes, a witness, a receipt) ──copies──> each attack on a copy of its own, several at a time:
//!      stop ──> rows edited with stolen keys ──> start ──> server? witness? receipt? auditor? verify?
//! ```
//!
//! How to read its result, and what it does not see: `docs/drills.md`.

mod attacks;
mod intruder;
mod outside;
mod play;
mod report;
mod stage;

use crate::error::CliError;
use crate::exit;
use crate::output::Output;
use attacks::ATTACKS;
use play::Outcome;
use report::Report;
use stage::Base;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Attacks played at a time: most of their time is waiting.
const AT_A_TIME: usize = 4;

#[expect(clippy::disallowed_methods, reason = "says how long the drill took")]
pub(super) fn run(patients: u64, seed: u64, scratch: Option<&Path>, output: &Output) -> Result<u8, CliError> {
    if patients == 0 {
        return Err(CliError::Usage("the drill needs at least 1 patient".into()));
    }
    let started = Instant::now();
    let say = |what: &str| output.note(&format!("[{:>6.1} s] {what}", started.elapsed().as_secs_f64()));
    say(&format!("bringing {patients} patients into a hospital with a witness"));
    let base = Base::build(patients, seed, scratch, &say)?;
    say(&format!("bending its ledger in {} ways", ATTACKS.len() - 1));
    let outcomes = play_all(&base)?;
    let report = Report { base: &base, outcomes, seconds: started.elapsed().as_secs_f64() };
    output.result("drill bend-the-ledger", report.json(), &report.text());
    Ok(if report.is_met() { exit::OK } else { exit::FINDINGS })
}

/// Plays every attack; their outcomes in the attacks' order.
fn play_all(base: &Base) -> Result<Vec<Outcome>, CliError> {
    let next = AtomicUsize::new(0);
    let played = Mutex::new(Vec::with_capacity(ATTACKS.len()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((place, attack)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    ATTACKS.get(place).map(|attack| (place, attack))
                } {
                    let outcome = play::play(base, attack);
                    played.lock().unwrap_or_else(PoisonError::into_inner).push((place, outcome));
                }
            });
        }
    });
    let mut played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    played.sort_by_key(|(place, _)| *place);
    played.into_iter().map(|(_, outcome)| outcome).collect()
}
