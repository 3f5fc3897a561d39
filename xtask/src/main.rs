//! The workshop: what is done to the sources and with the built program, apart from building it.
//!
//! `cargo xtask <command>` runs from anywhere inside the repository. Nothing here ships.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod bench;
mod ci;
mod definitions;
mod dictionaries;
mod instance;
mod process;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What every command of the workshop returns; the error is a sentence for the person at the terminal.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The workshop of Tacet.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check that a change must pass: format, lints, tidiness, tests, documentation, a start of the program
    Ci(ci::Arguments),
    /// Check the shape of the repository: module heads, lengths, arrows between crates, documents, leftovers
    Tidy,
    /// Make the tables of crates/fhir/definitions from the official package
    Definitions(definitions::Arguments),
    /// Train the compression dictionaries of crates/seal/dictionaries on synthetic records
    Dictionaries(dictionaries::Arguments),
    /// Measure the release program on synthetic patients
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Definitions(arguments) => definitions::run(&arguments),
        Command::Dictionaries(arguments) => dictionaries::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
