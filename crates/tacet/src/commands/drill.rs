//! `tacet drill`: attackers played on scratch instances.

mod stolen_disk;

use crate::args::{DrillArgs, DrillCommand, Global};
use crate::error::CliError;
use crate::output::Output;

pub(crate) fn run(global: &Global, args: &DrillArgs, output: &Output) -> Result<u8, CliError> {
    let _ = global;
    match &args.command {
        DrillCommand::StolenDisk { patients, seed, keep, scratch } => {
            stolen_disk::run(*patients, *seed, *keep, scratch.as_deref(), output)
        }
    }
}
