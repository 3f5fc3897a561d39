//! `cargo xtask bench`: the release program, measured from outside on synthetic patients.
//!
//! What it measures is what a hospital would feel: its command line and its port, on a fresh data directory, all
//! promises on. Machines and days differ, so what is compared (builds, servers) is compared within one run, in turns.
//!
//! ```text
//!   programs ──► instance ──► import ──► load (closed loop, 1/16/64 connections) ──► start again ──► report
//!      │                                  ▲
//!      └ tacet, without seal, ledger      └ the same work in turns on every target, a peer's included
//!        buffered (for the prices)
//! ```
//!
//! It is not a profiler, and its figures are not a hospital's.

mod access;
mod backup;
mod draw;
mod growing;
mod hospital;
mod ledger;
mod load;
mod machine;
mod measure;
mod programs;
mod report;
mod search;
mod work;

use crate::Outcome;
use std::path::PathBuf;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum What {
    /// Measure searches, on hospitals of several sizes
    Search(search::Arguments),
    /// Measure what deciding who may see what costs
    Access(access::Arguments),
    /// Measure the ledger: durable entries, verification, the index and questions
    Ledger(ledger::Arguments),
    /// Measure what a continuous backup costs those who write
    Backup(backup::Arguments),
}

/// What to measure; by default imports, reads and writes.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// How many synthetic patients to import first
    #[arg(long, default_value_t = 1_000)]
    patients: u32,
    /// Seed of the synthetic hospital
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Import this folder too, on a store of its own (bundles or NDJSON, may be .gz)
    #[arg(long)]
    data: Option<PathBuf>,
    /// Connections at a time, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    connections: Vec<usize>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rounds: what is compared takes its turn in each
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Base URL of another FHIR server (plain HTTP) that does the same work in turns
    #[arg(long)]
    peer: Option<String>,
    /// Value of the Authorization header for the peer
    #[arg(long, requires = "peer")]
    peer_authorization: Option<String>,
    /// Process id of the peer on this machine, for its processor time and memory
    #[arg(long, requires = "peer")]
    peer_pid: Option<u32>,
    /// Also measure what each promise costs: a build without seals and one whose ledger does not wait for the disk
    #[arg(long)]
    prices: bool,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Leave target/bench behind, to look at it
    #[arg(long)]
    keep: bool,
}

/// Measures, prints, cleans up.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        Some(What::Search(arguments)) => return search::run(arguments),
        Some(What::Access(arguments)) => return access::run(arguments),
        Some(What::Ledger(arguments)) => return ledger::run(arguments),
        Some(What::Backup(arguments)) => return backup::run(arguments),
        None => {}
    }
    if arguments.rounds == 0 || arguments.connections.contains(&0) || !(0.1..=3_600.0).contains(&arguments.seconds) {
        return Err("rounds and connections are 1 at least, seconds from 0.1 to 3600".into());
    }
    let report = measure::all(arguments)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report::print(&report);
    }
    match report.errors() {
        0 => Ok(()),
        errors => Err(format!("{errors} requests failed: these figures are not to be used").into()),
    }
}

/// Says what goes on, beside the report on stdout.
#[expect(clippy::print_stderr, reason = "a command of a person at work")]
fn say(what: &str) {
    eprintln!("bench: {what}");
}
