//! Paper packs of wards.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct PackArgs {
    #[command(subcommand)]
    pub(crate) command: PackCommand,
}

#[derive(Subcommand)]
pub(crate) enum PackCommand {
    /// Print the hospital's key for packs, which workstations are given
    Key,
    /// Make a ward's pack now
    Make {
        /// The ward, as `[packs.wards]` calls it
        #[arg(long)]
        ward: String,
        /// Where to put it (default: the folders of the settings)
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// The workstation on a ward
    Workstation(WorkstationArgs),
    /// Open a pack on a workstation, without server and network: look, print, or write the PDF
    Open(PackOpenArgs),
    /// Write what a workstation opened into the ledger
    Account {
        /// The file `opened` of the workstation
        file: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct WorkstationArgs {
    #[command(subcommand)]
    pub(crate) command: WorkstationCommand,
}

#[derive(Subcommand)]
pub(crate) enum WorkstationCommand {
    /// Make the workstation's key and print its public half, for `[packs.wards]`
    Init {
        /// Directory that is made for it
        #[arg(long)]
        directory: PathBuf,
        /// The hospital's key, as `tacet pack key` prints it
        #[arg(long, value_name = "KEY")]
        hospital: String,
        /// Keep the key as it is, protected by the machine's accounts and its disk's encryption alone
        #[arg(long)]
        without_passphrase: bool,
    },
}

#[derive(Args)]
pub(crate) struct PackOpenArgs {
    /// The pack
    pub(crate) file: PathBuf,
    /// The workstation's directory
    #[arg(long)]
    pub(crate) workstation: PathBuf,
    /// Give the PDF to this command's standard input
    #[arg(long, value_name = "COMMAND", num_args = 0..=1, default_missing_value = "lp", conflicts_with = "pdf")]
    pub(crate) print: Option<String>,
    /// Write the PDF to this file, in clear, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    pub(crate) pdf: Option<PathBuf>,
}
