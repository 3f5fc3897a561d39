//! `tacet drill`: attackers played on scratch instances, and the restore of the real backup rehearsed.

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
mod recording;
mod rehearsal;
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
use recording::Recorder;
use tacet_vault::Drill;

pub(crate) fn run(global: &Global, args: &DrillArgs, output: &Output) -> Result<u8, CliError> {
    let drill = match &args.command {
        // On the store itself: it always leaves its entry.
        DrillCommand::Restore(args) => return rehearsal::run(global, args, output),
        DrillCommand::StolenDisk { .. } => Drill::StolenDisk,
        DrillCommand::StolenSession { .. } => Drill::StolenSession,
        DrillCommand::RogueAdmin { .. } => Drill::RogueAdmin,
        DrillCommand::BendTheLedger { .. } => Drill::BendTheLedger,
        DrillCommand::Ransomware(_) => Drill::Ransomware,
    };
    // Before anything is played: what cannot be written down is not worth the time.
    let recorder = args.record.then(|| Recorder::prepare(global)).transpose()?;
    let played = play_one(&args.command, output);
    match recorder {
        Some(recorder) => recorder.after(drill, played, output),
        None => played,
    }
}

/// Plays a drill on a scratch hospital.
fn play_one(command: &DrillCommand, output: &Output) -> Result<u8, CliError> {
    match command {
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
        DrillCommand::Restore(_) => Err(CliError::Usage("the restore is rehearsed on no scratch hospital".to_owned())),
    }
}
