//! `tacet drill stolen-disk`: a thief has every byte that a working hospital left on its disk.
//!
//! ```text
//!  play (real processes, HTTP, a crash) ──> scratch directory ──> proof that the scanner sees
//!                                                                      │
//!            report, exit code <── rows as a dump has them <── every byte of every file
//! ```
//!
//! How to read its result, and what it does not see: `docs/drills.md`.

mod given;

pub(super) use given::{Given, Receivers};

use super::look::Thief;
use super::needles::Needles;
use super::report::Report;
use super::scanner::Scanner;
use super::scratch::{Area, Scratch};
use super::{dump, frequency, play, proof};
use crate::config::Config;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, Paths};
use crate::output::Output;
use std::path::Path;
use std::time::Instant;
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::Timestamp;

/// The present of the played hospital, so that a seed gives the same hospital for ever: 1 March 2025, midnight UTC.
const HOSPITAL_NOW_MS: i64 = 1_740_787_200_000;

/// One patient is erased and others are seen.
const PATIENTS_MIN: u64 = 2;

#[expect(clippy::disallowed_methods, reason = "says how long the drill took")]
pub(super) fn run(
    patients: u64,
    seed: u64,
    keep: bool,
    scratch: Option<&Path>,
    output: &Output,
) -> Result<u8, CliError> {
    if patients < PATIENTS_MIN {
        return Err(CliError::Usage(format!("the drill needs at least {PATIENTS_MIN} patients")));
    }
    let started = Instant::now();
    let say = |what: &str| output.note(&format!("[{:>6.1} s] {what}", started.elapsed().as_secs_f64()));
    let scratch = Scratch::create(scratch, keep)?;
    if keep {
        output.note(&format!("everything is in `{}` and stays there", scratch.root().display()));
    }
    let now = Timestamp::from_ms(HOSPITAL_NOW_MS);
    let hospital = Hospital::new(HospitalOptions { seed, patients, now });
    let mut needles = Needles::new(scratch.root(), open::clock().now());
    let receivers = Receivers::new(&hospital, patients + play::ADMITTED, open::clock().now())?;
    needles.leave_out(receivers.place());
    needles.add_hospital(&hospital, patients + play::ADMITTED);
    let played = play::play(&scratch, &hospital, &mut needles, &receivers, &say)?;

    say(&format!("making the scanner for {} strings", needles.all().len()));
    let scanner = Scanner::new(needles.all())?;
    say("proving that it sees");
    let proved = proof::prove(&scratch, &scanner, needles.all())?;
    let mut control = Thief::new(&scanner, needles.all());
    control.look_at("the opened export", &played.opened_export);
    if control.patients.len() as u64 + 1 < patients.min(2) {
        return Err(CliError::Usage("the drill is blind: the opened export has no names in it".into()));
    }
    let mut transferred = Thief::new(&scanner, needles.all());
    transferred.look_at("the opened transfer", &played.given.opened_transfer);
    if transferred.patients.is_empty() {
        return Err(CliError::Usage("the drill is blind: the opened transfer has no names in it".into()));
    }
    say("reading every byte");
    let mut thief = Thief::new(&scanner, needles.all());
    let files = thief.look_at_tree(scratch.root())?;
    say("reading every row");
    let store = Paths::of(&scratch.area(Area::Data)).store;
    let engine = open::engine(&store, &Config::default())?;
    let bytes = engine.statistics().bytes_on_disk;
    let dump = dump::read(engine.as_ref(), bytes, &mut thief)?;
    drop(engine);

    say("guessing with statistics");
    let frequency = frequency::guess(&hospital, &Paths::of(&scratch.area(Area::Data)).index)?;

    let core_pattern =
        std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_else(|_| "unknown".to_owned());
    let report = Report {
        patients,
        seed,
        needles: &needles,
        patterns: scanner.patterns(),
        proved,
        played: &played,
        control_strings: (control.strings.len() + transferred.strings.len()) as u64,
        thief: &thief,
        files: &files,
        dump: &dump,
        frequency: &frequency,
        core_pattern: core_pattern.trim().to_owned(),
        seconds: started.elapsed().as_secs_f64(),
    };
    output.result("drill stolen-disk", report.json(), &report.text());
    Ok(if report.has_findings() { exit::FINDINGS } else { exit::OK })
}
