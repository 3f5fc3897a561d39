//! Summaries that go to another hospital, and that come from one.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct TransferArgs {
    #[command(subcommand)]
    pub(crate) command: TransferCommand,
}

#[derive(Subcommand)]
pub(crate) enum TransferCommand {
    /// Print this hospital's keys for transfers: to which others seal, and by which they know what it sends
    Key,
    /// Write the summaries of patients to a file that one hospital can open
    Make(TransferMakeArgs),
    /// Look at a transfer that came in, without keeping anything of it
    Open(TransferOpenArgs),
    /// Keep what a transfer holds in the records of its patients
    Take(TransferTakeArgs),
}

#[derive(Args)]
pub(crate) struct TransferMakeArgs {
    /// A patient's id; may be given again
    #[arg(long, value_name = "ID", required_unless_present = "ward", conflicts_with = "ward")]
    pub(crate) patient: Vec<String>,
    /// The ward whose patients go: `Location/[id]` or `Organization/[id]`
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) ward: Option<String>,
    /// The receiving hospital: a name listed under `[transfer.recipients]`, or its key `age1…`
    #[arg(long, value_name = "HOSPITAL")]
    pub(crate) to: String,
    /// Why, in words: it stands in the ledger and in the file
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// File to write; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Days for which it may be taken
    #[arg(long, default_value_t = 7, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=90))]
    pub(crate) expires_days: u32,
    /// Language of titles: fr or en
    #[arg(long, default_value = "fr", value_name = "LANGUAGE")]
    pub(crate) language: String,
    /// The approval of a second person
    #[arg(long, value_name = "ID", conflicts_with = "emergency")]
    pub(crate) approval: Option<String>,
    /// Patients must go now and nobody can be asked: no second person, and the ledger says so
    #[arg(long)]
    pub(crate) emergency: bool,
}

#[derive(Args)]
pub(crate) struct TransferOpenArgs {
    /// The file
    pub(crate) file: PathBuf,
    /// Folder to which the summaries and their PDFs are written, in clear
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TransferTakeArgs {
    /// The file
    pub(crate) file: PathBuf,
    /// Whose record a summary belongs to, where this is not certain: `NUMBER=ID`, the number as `transfer open` gives it; may be given again
    #[arg(long = "as", value_name = "NUMBER=ID")]
    pub(crate) known: Vec<String>,
    /// The number of a summary whose patient is new here, so that a record is begun; may be given again
    #[arg(long, value_name = "NUMBER")]
    pub(crate) new: Vec<usize>,
}
