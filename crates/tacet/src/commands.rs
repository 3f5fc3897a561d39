//! One module a command.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod patient;
pub(crate) mod serve;
pub(crate) mod token;

use crate::args::Cli;
use clap::CommandFactory;

/// Prints completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) {
    let mut command = Cli::command();
    clap_complete::generate(shell, &mut command, "tacet", &mut std::io::stdout());
}
