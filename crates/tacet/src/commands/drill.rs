//! `tacet drill`: attackers played on scratch instances.

mod bend_the_ledger;
mod child;
mod dump;
mod encodings;
mod frequency;
mod http;
mod look;
mod needles;
mod packed;
mod people;
mod play;
mod proof;
mod ransomware;
mod report;
mod rogue_admin;
mod scanner;
mod scratch;
mod staged;
mod statistics;
mod stolen_disk;
mod stolen_session;
mod traffic;

use crate::args::{DrillArgs, DrillCommand, Global};
use crate::error::CliError;
use crate::output::Output;

pub(crate) fn run(_: &Global, args: &DrillArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        DrillCommand::StolenDisk { patients, seed, keep, scratch } => {
            stolen_disk::run(*patients, *seed, *keep, scratch.as_deref(), output)
        }
        DrillCommand::StolenSession { patients, seed, scratch } => {
            stolen_session::run(*patients, *seed, scratch.as_deref(), output)
        }
        DrillCommand::RogueAdmin { patients, seed, scratch } => {
            rogue_admin::run(*patients, *seed, scratch.as_deref(), output)
        }
        DrillCommand::BendTheLedger { patients, seed, scratch } => {
            bend_the_ledger::run(*patients, *seed, scratch.as_deref(), output)
        }
        DrillCommand::Ransomware(args) => ransomware::run(args, output),
    }
}
