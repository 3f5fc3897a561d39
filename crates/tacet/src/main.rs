//! The command line and the single binary. Data on stdout, messages on stderr; exit codes in [`exit`].

mod args;
mod backing;
mod commands;
mod config;
mod drilled;
mod error;
mod exit;
mod measuring;
mod open;
mod output;
#[cfg(test)]
mod pages;
mod passphrase;
mod people;

use args::{Cli, Command};
use clap::Parser;
use error::CliError;
use output::Output;
use std::process::ExitCode;

/// Documents are made of very many small pieces that one thread makes and another lets go: with the allocator of the C library that took
/// a fifth of the time of an import.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(say_where));
    let cli = Cli::parse();
    let output = Output::new(cli.global.json);
    // Before anything secret is in memory.
    if let Err(error) = tacet_seal::process::harden() {
        output.note(&format!("warning: core dumps could not be switched off: {error}"));
    }
    measuring::warn(&output);
    match run(cli, &output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.exit_code();
            output.failure(error);
            ExitCode::from(code)
        }
    }
}

/// A panic's own message may quote what was being worked on, a piece of a record for one; its place in the code does not.
fn say_where(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    Output::new(false).note(&format!("tacet failed at {place}: this is a fault of Tacet, please report it"));
}

fn run(cli: Cli, output: &Output) -> Result<u8, CliError> {
    let global = cli.global;
    match cli.command {
        Command::Init(args) => commands::init::run(&global, &args, output),
        Command::Demo(args) => commands::demo::run(&global, &args, output),
        Command::Serve(args) => commands::serve::run(&global, &args, output),
        Command::Import(args) => commands::import::run(&global, &args, output),
        Command::Package(args) => commands::package::run(&global, &args, output),
        Command::Export(args) => commands::export::run(&global, &args, output),
        Command::Backup(args) => commands::backup::run(&global, &args, output),
        Command::Restore(args) => commands::restore::run(&global, &args, output),
        Command::Pack(args) => commands::pack::run(&global, &args, output),
        Command::Check => commands::check::run(&global, output),
        Command::Index(args) => commands::index::run(&global, &args, output),
        Command::Ledger(args) => commands::ledger::run(&global, &args, output),
        Command::Receipt(args) => commands::receipt::run(&global, &args, output),
        Command::Witness(args) => commands::witness::run(&global, &args, output),
        Command::Key(args) => commands::key::run(&global, &args, output),
        Command::Patient(args) => commands::patient::run(&global, &args, output),
        Command::Transfer(args) => commands::transfer::run(&global, &args, output),
        Command::Token(args) => commands::token::run(&global, &args, output),
        Command::Account(args) => commands::account::run(&global, &args, output),
        Command::Approval(args) => commands::approval::run(&global, &args, output),
        Command::BreakGlass(args) => commands::break_glass::run(&global, &args, output),
        Command::Review(args) => commands::review::run(&global, &args, output),
        Command::Lockdown(args) => commands::lockdown::run(&global, &args, output),
        Command::Policy(args) => commands::policy::run(&global, &args, output),
        Command::Drill(args) => commands::drill::run(&global, &args, output),
        Command::Generate(args) => commands::generate::run(&args, output),
        Command::Doctor => commands::doctor::run(&global, output),
        Command::Completions { shell } => {
            commands::completions(shell);
            Ok(exit::OK)
        }
    }
}
