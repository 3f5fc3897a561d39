//! The shape of the drills' commands.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct DrillArgs {
    /// Leave an entry in the ledger of the store of `--data`: which drill, whether it passed, its figures
    #[arg(long, global = true)]
    pub(crate) record: bool,
    #[command(subcommand)]
    pub(crate) command: DrillCommand,
}

#[derive(Subcommand)]
pub(crate) enum DrillCommand {
    /// A thief has every byte that a running hospital left: disk, logs, temporary files, core files, an export
    StolenDisk {
        /// Patients in the scratch hospital
        #[arg(long, default_value_t = 200)]
        patients: u64,
        /// Seed of the scratch hospital
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Keep the scratch directory for a look of one's own
        #[arg(long)]
        keep: bool,
        /// Where to put the scratch directory (default: the working directory)
        #[arg(long, value_name = "DIR")]
        scratch: Option<PathBuf>,
    },
    /// A thief has a physician's live session and walks everything that it can ask for
    StolenSession {
        /// Ordinary patients in the scratch hospital, beside some who are set apart
        #[arg(long, default_value_t = 120)]
        patients: u64,
        /// Seed of the scratch hospital
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where to put the scratch directory (default: the working directory)
        #[arg(long, value_name = "DIR")]
        scratch: Option<PathBuf>,
    },
    /// Who administers goes for a patient's record, and for a right to read
    RogueAdmin {
        /// Ordinary patients in the scratch hospital, beside some who are set apart
        #[arg(long, default_value_t = 20)]
        patients: u64,
        /// Seed of the scratch hospital
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where to put the scratch directory (default: the working directory)
        #[arg(long, value_name = "DIR")]
        scratch: Option<PathBuf>,
    },
    /// An intruder with root and all keys edits the record of access: who notices, after how long
    BendTheLedger {
        /// Patients in the scratch hospital
        #[arg(long, default_value_t = 10)]
        patients: u64,
        /// Seed of the scratch hospital
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where to put the scratch directory (default: the working directory)
        #[arg(long, value_name = "DIR")]
        scratch: Option<PathBuf>,
    },
    /// The backup of the store of `--data` is brought back into a scratch directory, checked, and thrown away
    Restore(RehearsalArgs),
    /// A running hospital's machine is encrypted and killed in mid-write: what is lost, how soon is it back
    Ransomware(RansomwareArgs),
}

#[derive(Args)]
pub(crate) struct RansomwareArgs {
    /// Patients in the scratch hospital, beside some who lie on a ward
    #[arg(long, default_value_t = 100)]
    pub(crate) patients: u64,
    /// Seed of the scratch hospital
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Seconds between two snapshots of the hospital's backup
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(crate) backup_seconds: u64,
    /// Seconds of reading and writing before the attack, at least
    #[arg(long, default_value_t = 45, value_name = "SECONDS")]
    pub(crate) load_seconds: u64,
    /// How long the attacker takes to encrypt what a small scratch hospital has
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    pub(crate) attack_seconds: u64,
    /// The attacker kills the server first and encrypts then: no tripwire has a chance
    #[arg(long)]
    pub(crate) kill_first: bool,
    /// Where the backup's content goes, as `tacet restore --from` takes it: an empty place of the drill's own, `ssh` or `s3` (default: receivers in the scratch directory)
    #[arg(long, value_name = "FILE", requires = "keys_target")]
    pub(crate) target: Option<PathBuf>,
    /// Where the backup's keys go: another empty place
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) keys_target: Option<PathBuf>,
    /// Where to put the scratch directory (default: the working directory)
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RehearsalArgs {
    /// An empty directory, outside of the data directory, with room for the store; it is empty again afterwards
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: PathBuf,
    /// How long it may take until everything is back and checked; longer is not passed
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_seconds: Option<u64>,
    /// Records that are opened, one by one and from anywhere, besides the check of every seal
    #[arg(long, default_value_t = 1000, value_name = "RECORDS")]
    pub(crate) sample: usize,
}
