//! The commands about the ledger as a published log.

use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct LedgerVerifyArgs {
    /// Verify the files of a published log in this directory instead of the store; no passphrase is needed
    #[arg(long, value_name = "DIRECTORY", requires = "key")]
    pub(crate) files: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// With `--files`: a file with a checkpoint that was kept elsewhere, which the log must contain; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) known: Vec<PathBuf>,
}

/// What is believed beforehand.
#[derive(Args)]
pub(crate) struct TrustArgs {
    /// Key of the log, as `tacet ledger key` prints it; may be given several times
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Vec<String>,
    /// Key of a witness that counts, as `tacet witness init` prints it; may be given several times
    #[arg(long, value_name = "VKEY")]
    pub(crate) witness: Vec<String>,
    /// How many of these must have cosigned; all of them where it is not given
    #[arg(long, value_name = "NUMBER")]
    pub(crate) quorum: Option<usize>,
    /// How old a cosignature may be to count, such as `90s`, `30m`, `48h` or `7d`; as old as it is where it is not given
    #[arg(long, value_name = "TIME", requires = "witness")]
    pub(crate) max_age: Option<String>,
}

#[derive(Args)]
pub(crate) struct LedgerKeyArgs {
    /// Name of the log, for good, where it has none yet: at best the address of its files without `https://`
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<String>,
    /// Make a further key; checkpoints are signed by the older ones too, so that witnesses can be told one after the other
    #[arg(long)]
    pub(crate) rotate: bool,
}

#[derive(Args)]
pub(crate) struct ReceiptArgs {
    #[command(subcommand)]
    pub(crate) command: ReceiptCommand,
}

#[derive(Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Write the proof that an entry is in the ledger, with what it says, to a file
    Make {
        /// The entry's number
        entry: u64,
        /// The file, which must not exist yet; its name should end in `.tlog-proof`
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Verify a receipt and print what the entry says; needs no store and asks nobody
    Verify {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
    },
}

#[derive(Args)]
pub(crate) struct WitnessArgs {
    #[command(subcommand)]
    pub(crate) command: WitnessCommand,
}

#[derive(Subcommand)]
pub(crate) enum WitnessCommand {
    /// Make a witness: a directory with its key, which is its own and no store's; prints the public half
    Init {
        /// The directory, which must not exist yet
        directory: PathBuf,
        /// The witness's name, such as `witness.example/dpo`: another one for each witness
        #[arg(long)]
        name: String,
    },
    /// Let a witness cosign a log
    Trust {
        /// The witness's directory
        directory: PathBuf,
        /// Key of the log, as `tacet ledger key` prints it
        vkey: String,
    },
    /// Answer logs that ask for cosignatures
    Serve {
        /// The witness's directory
        directory: PathBuf,
        /// Address and port; beyond this machine only with a certificate
        #[arg(long, default_value = "127.0.0.1:8480")]
        listen: SocketAddr,
        /// Certificate, PEM
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_certificate: Option<PathBuf>,
        /// Its key, PEM
        #[arg(long, value_name = "FILE", requires = "tls_certificate")]
        tls_key: Option<PathBuf>,
    },
    /// Print what a witness has cosigned last of each log
    Show {
        /// The witness's directory
        directory: PathBuf,
    },
}
