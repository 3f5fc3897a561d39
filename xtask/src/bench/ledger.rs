//! `cargo xtask bench ledger`: how fast entries become durable, are verified, go into the index and are found again, on this machine's disk.
//!
//! The work is done by a measurement inside `tacet-vault`, which has the ledger's and the index's real code and no server before it; here it is
//! built, run and put into a table. Figures of one run are compared with each other and not with another machine's.

use super::machine::Machine;
use crate::{Outcome, workspace};
use serde_json::{Value, json};
use std::process::Command;

/// Name of the measurement.
const MEASUREMENT: &str = "speed_of_the_ledger_and_its_index";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Synthetic entries. Ten million take some minutes and about ten gigabytes of disk
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let directory = workspace::target().join("bench");
    std::fs::create_dir_all(&directory)?;
    let report = directory.join("ledger.json");
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(workspace::root())
        .args(["test", "--release", "--package", "tacet-vault", "--lib", "--", "--ignored", "--exact"])
        .arg(format!("ledger_index::measure::{MEASUREMENT}"))
        .env("TACET_BENCH_ENTRIES", arguments.entries.to_string())
        .env("TACET_BENCH_DIR", &directory)
        .env("TACET_BENCH_REPORT", &report);
    if !command.status()?.success() {
        return Err("the measurement failed: its output is above".into());
    }
    let measured: Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    if arguments.json {
        println!("{}", json!({ "format": 1, "machine": Machine::here(), "ledger": measured }));
    } else {
        print(&measured);
    }
    Ok(())
}

fn number(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or_default()
}

fn print(measured: &Value) {
    println!("{:.0} entries", number(measured, "entries"));
    println!("written in bulk          {:>12.0} entries/s", number(measured, "filled_entries_per_s"));
    println!("verified                 {:>12.0} entries/s", number(measured, "verified_entries_per_s"));
    println!("into the index           {:>12.0} entries/s", number(measured, "indexed_entries_per_s"));
    println!("index on the disk        {:>12.1} bytes an entry", number(measured, "index_bytes_an_entry"));
    println!("ledger on the disk       {:>12.1} bytes an entry", number(measured, "store_bytes_an_entry"));
    println!("\nquestion                    entries     found ms   and opened ms");
    for question in measured.get("questions").and_then(Value::as_array).into_iter().flatten() {
        let what = question.get("question").and_then(Value::as_str).unwrap_or_default();
        let (found, opened) = (number(question, "found_ms"), number(question, "found_and_opened_ms"));
        println!("{what:<25} {:>9.0} {found:>12.2} {opened:>15.2}", number(question, "entries"));
    }
    println!("\nclients    durable entries/s");
    for row in measured.get("durable").and_then(Value::as_array).into_iter().flatten() {
        println!("{:>7.0} {:>20.0}", number(row, "clients"), number(row, "entries_per_s"));
    }
}
