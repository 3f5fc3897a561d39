//! The questions to the ledger.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use std::path::PathBuf;

/// Which entries, besides those of whom the command is about.
#[derive(Args)]
pub(crate) struct LedgerFilterArgs {
    /// From this moment on: an instant such as `2026-03-01T08:00:00Z`, or a date
    #[arg(long, value_name = "MOMENT")]
    pub(crate) from: Option<String>,
    /// Before this moment
    #[arg(long, value_name = "MOMENT")]
    pub(crate) to: Option<String>,
    /// Only entries of this kind, such as `read` or `break-glass`; may be given several times
    #[arg(long)]
    pub(crate) kind: Vec<String>,
    /// Only entries with this outcome: `success`, `refused` or `failed`
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Only entries from this network address
    #[arg(long)]
    pub(crate) address: Option<std::net::IpAddr>,
    /// Only entries from the device with this short id: 16 hexadecimal digits, as entries give it
    #[arg(long)]
    pub(crate) device: Option<String>,
}

/// In which order and form.
#[derive(Args)]
pub(crate) struct LedgerFormArgs {
    /// The oldest first
    #[arg(long)]
    pub(crate) oldest_first: bool,
    /// As CSV, a line for each entry
    #[arg(long, conflicts_with = "ndjson")]
    pub(crate) csv: bool,
    /// As NDJSON, a line for each entry
    #[arg(long)]
    pub(crate) ndjson: bool,
    #[command(flatten)]
    pub(crate) paper: LedgerPaperArgs,
}

/// An answer as a paper.
#[derive(Args, Clone)]
pub(crate) struct LedgerPaperArgs {
    /// Write it as a PDF to this file, which must not exist yet
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "ndjson"])]
    pub(crate) pdf: Option<PathBuf>,
    /// The language of the PDF: `fr` or `en`
    #[arg(long, default_value = "fr")]
    pub(crate) lang: String,
    /// Open each patient's record for the name: written into the ledger, each. For the PDF, and for what a session touched
    #[arg(long)]
    pub(crate) names: bool,
}

#[derive(Args)]
pub(crate) struct LedgerListArgs {
    /// At most so many; where it is not given, 20, and all where something narrows the question or a file is made of the answer
    #[arg(long, conflicts_with = "pdf", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) count: Option<usize>,
    #[command(flatten)]
    pub(crate) filter: LedgerFilterArgs,
    #[command(flatten)]
    pub(crate) form: LedgerFormArgs,
}

/// Which entries about somebody, and how they are printed.
#[derive(Args)]
pub(crate) struct LedgerWantedArgs {
    /// At most so many; all where it is not given
    #[arg(long, conflicts_with = "pdf", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) count: Option<usize>,
    #[command(flatten)]
    pub(crate) filter: LedgerFilterArgs,
    #[command(flatten)]
    pub(crate) form: LedgerFormArgs,
}

#[derive(Args)]
pub(crate) struct LedgerWhoSawArgs {
    /// The logical id of the Patient
    pub(crate) patient: String,
    #[command(flatten)]
    pub(crate) wanted: LedgerWantedArgs,
}

#[derive(Args)]
pub(crate) struct LedgerWhatDidArgs {
    /// A name as entries give it, or the id of an account
    pub(crate) person: String,
    #[command(flatten)]
    pub(crate) wanted: LedgerWantedArgs,
}

#[derive(Args)]
pub(crate) struct LedgerReportArgs {
    /// The logical id of the Patient
    pub(crate) patient: String,
    /// Its language: `fr` or `en`
    #[arg(long, default_value = "fr")]
    pub(crate) lang: String,
    /// Write it as a PDF to this file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    pub(crate) pdf: Option<PathBuf>,
    /// From this moment on: an instant, or a date; three years before its end where it is not given
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Before this moment; now where it is not given
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Open the patient's record for the name: written into the ledger
    #[arg(long)]
    pub(crate) name: bool,
}

#[derive(Args)]
pub(crate) struct LedgerSessionArgs {
    /// The short id of a session or of a token, as entries give it
    pub(crate) session: String,
    #[command(flatten)]
    pub(crate) paper: LedgerPaperArgs,
    /// The patients as CSV
    #[arg(long, conflicts_with_all = ["ndjson", "entries"])]
    pub(crate) csv: bool,
    /// Its entries as NDJSON, oldest first, instead of what they come to
    #[arg(long, requires = "entries")]
    pub(crate) ndjson: bool,
    /// Its entries, oldest first, instead of what they come to
    #[arg(long)]
    pub(crate) entries: bool,
}
