//! `cargo xtask bench ledger`: how fast entries become durable, are verified, go into the index and are found again, on this machine's disk.
//!
//! The work is done by a measurement inside `tacet-vault`, which has the ledger's and the index's real code and no server before it; here it is
//! built, run and put into a table. Figures of one run are compared with each other and not with another machine's.

use super::machine::Machine;
use crate::{Outcome, workspace};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// Name of the measurement.
const MEASUREMENT: &str = "speed_of_the_ledger_and_its_index";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Synthetic entries at which questions are asked, ascending: one ledger grows from size to size. Ten million take some minutes, a hundred about an hour
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    entries: Vec<u64>,
    /// Entries whose rows all stay on the disk, about 800 bytes each. Of those beyond, only rows near an answer stay: each is written, sealed and hashed, the index reads it, then
    /// it goes
    #[arg(long, default_value_t = 10_000_000)]
    whole: u64,
    /// Where the ledger is made: a directory on the disk that is measured
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let directory = workspace::target().join("bench");
    std::fs::create_dir_all(&directory)?;
    if arguments.entries.is_empty() || !arguments.entries.is_sorted() {
        return Err("give the numbers of entries in ascending order".into());
    }
    let sizes: Vec<String> = arguments.entries.iter().map(u64::to_string).collect();
    let report = directory.join("ledger.json");
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(workspace::root())
        .args(["test", "--release", "--package", "tacet-vault", "--lib", "--", "--ignored", "--exact"])
        .arg(format!("ledger_index::measure::{MEASUREMENT}"))
        .env("TACET_BENCH_ENTRIES", sizes.join(","))
        .env("TACET_BENCH_WHOLE", arguments.whole.to_string())
        .env("TACET_BENCH_DIR", arguments.directory.as_ref().unwrap_or(&directory))
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

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A figure of one size, where it was measured there.
fn figure(size: &Value, name: &str, what: &str, unit: &str) {
    if size.get(name).is_some() {
        println!("{what:<26} {:>12.1} {unit}", number(size, name));
    }
}

fn print(measured: &Value) {
    println!("clients    durable entries/s");
    for row in list(measured, "durable") {
        println!("{:>7.0} {:>20.0}", number(row, "clients"), number(row, "entries_per_s"));
    }
    println!("\nWhat the ledger is of a read: reads against the same entries written alone, in turns\n");
    println!("entries       clients      reads/s   alone/s   share of a read");
    for mode in list(measured, "reads") {
        for row in list(mode, "rates") {
            let share = number(row, "share_of_a_read") * 100.0;
            let (reads, alone) = (number(row, "reads_per_s"), number(row, "entries_alone_per_s"));
            println!(
                "{:<12} {:>8.0} {reads:>12.0} {alone:>9.0} {share:>15.0} %",
                text(mode, "entries"),
                number(row, "clients")
            );
        }
    }
    for size in list(measured, "sizes") {
        sized(size);
    }
}

fn sized(size: &Value) {
    let whole = size.get("all_rows_in_the_store").and_then(Value::as_bool).unwrap_or_default();
    let rows = number(size, "rows_in_the_store");
    println!(
        "\n{:.0} entries{}",
        number(size, "entries"),
        if whole { String::new() } else { format!(", the rows of {rows:.0} in the store") }
    );
    figure(size, "filled_entries_per_s", "written in bulk", "entries/s");
    figure(size, "indexed_entries_per_s", "into the index", "entries/s");
    figure(size, "filled_and_indexed_entries_per_s", "written and into the index", "entries/s");
    figure(size, "verified_entries_per_s", "verified", "entries/s");
    figure(size, "index_bytes_an_entry", "index on the disk", "bytes an entry");
    if whole {
        let bytes = number(size, "store_bytes") / number(size, "entries").max(1.0);
        println!("{:<26} {bytes:>12.1} bytes an entry", "ledger on the disk");
    }
    println!("\nin milliseconds                     in memory                         from the disk");
    println!("question                  entries   found  answered  one by one     found  answered");
    for question in list(size, "questions") {
        let of = |name| number(question, name);
        println!(
            "{:<24} {:>8.0} {:>7.1} {:>9.1} {:>9.1} x {:>9.1} {:>9.1}",
            text(question, "question"),
            of("entries"),
            of("found_ms"),
            of("answered_ms"),
            of("times_faster_than_one_by_one"),
            of("cold_found_ms"),
            of("cold_answered_ms")
        );
    }
    println!("(one by one: as many times as long opening would take)");
}
