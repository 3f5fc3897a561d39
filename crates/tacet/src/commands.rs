//! One module a command.

pub(crate) mod account;
pub(crate) mod approval;
pub(crate) mod backup;
pub(crate) mod break_glass;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod ledger_log;
pub(crate) mod ledger_paper;
pub(crate) mod ledger_report;
pub(crate) mod ledger_resume;
pub(crate) mod ledger_retain;
pub(crate) mod ledger_succeed;
pub(crate) mod lockdown;
pub(crate) mod pack;
pub(crate) mod package;
pub(crate) mod patient;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod restore;
pub(crate) mod review;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod transfer;
pub(crate) mod witness;

use crate::args::Cli;
use clap::CommandFactory;
use std::io::Write;

/// Prints completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "tacet", &mut script);
    // A reader that went away is not an error of the command.
    let _ = std::io::stdout().write_all(&script);
}
