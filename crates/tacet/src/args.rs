//! The shape of the command line.

mod backup;
mod drill;
mod ledger;
mod log;
mod pack;
mod people;
mod restore;
mod review;
mod transfer;

pub(crate) use backup::{BackupArgs, BackupCommand, ReceiveArgs};
pub(crate) use drill::{DrillArgs, DrillCommand, RansomwareArgs, RehearsalArgs};
pub(crate) use ledger::{
    LedgerFilterArgs, LedgerFormArgs, LedgerListArgs, LedgerPaperArgs, LedgerReportArgs, LedgerSessionArgs,
    LedgerWhatDidArgs, LedgerWhoSawArgs,
};
pub(crate) use log::{
    LedgerKeyArgs, LedgerVerifyArgs, ReceiptArgs, ReceiptCommand, TrustArgs, WitnessArgs, WitnessCommand,
};
pub(crate) use pack::{PackArgs, PackCommand, PackOpenArgs, WorkstationCommand};
pub(crate) use people::{
    AccountArgs, AccountCommand, ApprovalArgs, ApprovalCommand, BreakGlassArgs, BreakGlassCommand, LockdownArgs,
    LockdownCommand, PolicyArgs, PolicyCommand,
};
pub(crate) use restore::RestoreArgs;
pub(crate) use review::{ReviewArgs, ReviewCommand, ReviewPrepareArgs};
pub(crate) use transfer::{TransferArgs, TransferCommand, TransferMakeArgs, TransferOpenArgs, TransferTakeArgs};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A health record store in which theft is contained by design.
#[derive(Parser)]
#[command(
    name = "tacet",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong command line, 3 done and something is wrong with the data, \
                  4 some records were left out of an import."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// Data directory
    #[arg(long, global = true, env = "TACET_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file (default: `tacet.toml` in the data directory, where there is one)
    #[arg(long, global = true, env = "TACET_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File whose first line is the passphrase of the root key (default: asked for on the terminal)
    #[arg(long, global = true, env = "TACET_PASSPHRASE_FILE", value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Who runs this command, as the ledger will name them (default: the login name)
    #[arg(long, global = true, env = "TACET_OPERATOR", value_name = "NAME")]
    pub(crate) operator: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a new store and print its recovery shares, once
    Init(InitArgs),
    /// Start a synthetic hospital to try things on
    Demo(DemoArgs),
    /// Serve FHIR over HTTP
    Serve(ServeArgs),
    /// Load records from bundles and NDJSON files
    Import(ImportArgs),
    /// Packages of definitions: profiles, value sets, code systems
    Package(PackageArgs),
    /// Write all records to NDJSON, sealed to a recipient
    Export(ExportArgs),
    /// Backups: make one, see how they stand, verify and prune them
    Backup(BackupArgs),
    /// Make a store again on an empty machine, from a backup and recovery shares
    Restore(RestoreArgs),
    /// Paper packs of wards, for when there is no server
    Pack(PackArgs),
    /// Check every row, seal and link
    Check,
    /// The search index
    Index(IndexArgs),
    /// The record of access
    Ledger(LedgerArgs),
    /// Proofs that an entry is in the ledger, to be carried away
    Receipt(ReceiptArgs),
    /// Cosigning the ledgers of other sites
    Witness(WitnessArgs),
    /// The root key
    Key(KeyArgs),
    /// A patient's record as a whole
    Patient(PatientArgs),
    /// Summaries of patients to another hospital, and from one
    Transfer(TransferArgs),
    /// Bearer tokens
    Token(TokenArgs),
    /// Accounts of people
    Account(AccountArgs),
    /// What a second person was asked for
    Approval(ApprovalArgs),
    /// Emergencies that were declared
    BreakGlass(BreakGlassArgs),
    /// The periodic review of who saw what, and of rights that nobody uses
    Review(ReviewArgs),
    /// The rules on who may see what
    Policy(PolicyArgs),
    /// Stop changes, sessions or keys at once; two people lift that
    Lockdown(LockdownArgs),
    /// Play an attacker on a scratch instance and print what leaks
    Drill(DrillArgs),
    /// Write synthetic records as NDJSON
    Generate(GenerateArgs),
    /// Look at this machine and this store, and say what to mend
    Doctor,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(crate) struct InitArgs {
    /// Recovery shares to make
    #[arg(long, default_value_t = 5)]
    pub(crate) shares: u8,
    /// Shares needed to recover
    #[arg(long, default_value_t = 3)]
    pub(crate) threshold: u8,
    /// Storage engine (default: the one that the configuration file names, or else fjall)
    #[arg(long, value_enum)]
    pub(crate) engine: Option<EngineKind>,
}

impl EngineKind {
    /// Its name in the configuration file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Redb => "redb",
        }
    }
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The embedded storage engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EngineKind {
    /// Log-structured; made for many small durable writes
    #[default]
    Fjall,
    /// One file, copy-on-write tree
    Redb,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Patients in the synthetic hospital
    #[arg(long, default_value_t = 100)]
    pub(crate) patients: u64,
    /// Seed of the synthetic hospital
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; beyond loopback only with TLS
    #[arg(long, env = "TACET_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Base URL under which clients reach this server
    #[arg(long, env = "TACET_BASE_URL")]
    pub(crate) base_url: Option<String>,
    /// TLS certificate chain, PEM
    #[arg(long, requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// TLS private key, PEM
    #[arg(long, requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// Bundles (.json), resources (.json), lines of resources (.ndjson), any of them .gz, or folders of them
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Stop at the first bad record, and store nothing of its unit
    #[arg(long)]
    pub(crate) strict: bool,
    /// Store what was stored by an earlier import again, as new versions
    #[arg(long)]
    pub(crate) again: bool,
    /// Threads that parse, validate and seal (default: one more than there are processors)
    #[arg(long)]
    pub(crate) threads: Option<usize>,
}

#[derive(Args)]
pub(crate) struct PackageArgs {
    #[command(subcommand)]
    pub(crate) command: PackageCommand,
}

#[derive(Subcommand)]
pub(crate) enum PackageCommand {
    /// Store the definitions of FHIR packages
    Add {
        /// Packages as the FHIR registry has them (.tgz)
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Store what was stored before again, as new versions
        #[arg(long)]
        again: bool,
    },
    /// Say which definitions are used, by package
    List,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// File to write; must not exist
    #[arg(long, short)]
    pub(crate) output: PathBuf,
    /// age recipient (`age1…`) to seal the export to; may be given several times
    #[arg(long, short, required_unless_present = "plaintext_readable_by_anyone", value_name = "AGE_RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Write records in clear
    #[arg(long, conflicts_with = "recipient")]
    pub(crate) plaintext_readable_by_anyone: bool,
    /// Days until the copy must be destroyed, noted beside it and in the ledger
    #[arg(long, default_value_t = 30)]
    pub(crate) expires_days: u16,
    /// What the copy is for, noted in the ledger
    #[arg(long)]
    pub(crate) purpose: String,
    /// Only these types; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// The approval of a second person, needed as soon as two people who may ask and decide can log in
    #[arg(long, value_name = "APPROVAL")]
    pub(crate) approval: Option<String>,
}

#[derive(Args)]
pub(crate) struct IndexArgs {
    #[command(subcommand)]
    pub(crate) command: IndexCommand,
}

#[derive(Subcommand)]
pub(crate) enum IndexCommand {
    /// Make it anew from every record
    Rebuild,
    /// Say what it holds and whether it is up to date
    Status,
}

#[derive(Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

#[derive(Subcommand)]
pub(crate) enum LedgerCommand {
    /// Derive the tree again from its entries, open each, and compare
    Verify(LedgerVerifyArgs),
    /// Print entries, newest first: all of them, or those of an address, a device, a time
    List(LedgerListArgs),
    /// Who saw or changed the record of a patient
    WhoSaw(LedgerWhoSawArgs),
    /// What somebody saw or changed: from where, when and why
    WhatDid(LedgerWhatDidArgs),
    /// Everything that one session touched: the patients, what of theirs, from where
    Session(LedgerSessionArgs),
    /// Who reached a patient's record, in plain words, to be handed to the patient
    Report(LedgerReportArgs),
    /// Print the name and the keys of the ledger as a published log, for witnesses and for whoever verifies
    Key(LedgerKeyArgs),
    /// Write the ledger as plain files (C2SP tlog-tiles): hashes, sealed entries and the signed checkpoint
    ExportLog {
        /// The directory, which must not exist yet
        directory: PathBuf,
        /// As of the latest checkpoint that a witness cosigned, and not of the newest entry
        #[arg(long)]
        cosigned: bool,
    },
    /// Make the kept hashes of the published log again from the entries
    Tiles,
    /// Let the published log go on under another name, after a restore that lost entries which others may have seen
    Succeed {
        /// The name of the log from here on
        #[arg(long)]
        name: String,
        /// What was lost, in words without personal data, for the ledger
        #[arg(long)]
        lost: String,
    },
    /// Let disclosures go on that a witness or the slow derivation stopped, after somebody looked into it; verifies the ledger first
    Resume {
        /// What was found and done, in words without personal data, for the ledger
        #[arg(long)]
        because: String,
    },
    /// Run the rule by which entries end: announce and destroy keys of months past their time (a server does it each day)
    Retain {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new root key and wrap every data key under it; goes on where it was interrupted
    Rotate,
    /// Change the passphrase
    Passphrase {
        /// File whose first line is the new passphrase (default: asked for on the terminal)
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Make new recovery shares; the old ones end
    Shares {
        /// Recovery shares to make
        #[arg(long, default_value_t = 5)]
        shares: u8,
        /// Shares needed to recover
        #[arg(long, default_value_t = 3)]
        threshold: u8,
    },
    /// Set a new passphrase with recovery shares
    Recover {
        /// File with one share a line
        #[arg(long, value_name = "FILE")]
        shares_file: PathBuf,
        /// File whose first line is the new passphrase (default: asked for on the terminal)
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct PatientArgs {
    #[command(subcommand)]
    pub(crate) command: PatientCommand,
}

#[derive(Subcommand)]
pub(crate) enum PatientCommand {
    /// Destroy a patient's key and records; cannot be undone
    Erase {
        /// Logical id of the Patient
        id: String,
        /// The id once more, instead of typing it when asked
        #[arg(long, value_name = "ID")]
        confirm: Option<String>,
        /// The approval of a second person, needed as soon as two people who may ask and decide can log in
        #[arg(long, value_name = "APPROVAL")]
        approval: Option<String>,
    },
}

#[derive(Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, once
    Create {
        /// The person or machine that answers for it
        #[arg(long)]
        owner: String,
        /// clinician, nurse, pharmacist, laboratory, reception, patient, integrator, auditor, security-officer, administrator or operator
        #[arg(long)]
        role: String,
        /// How long it is good: `8h`, `30d`
        #[arg(long, default_value = "30d")]
        expires: String,
        /// The id of the Practitioner for whom it stands: relations to patients count for it
        #[arg(long)]
        practitioner: Option<String>,
        /// The id of a Patient for whom it stands: its own record, or a child's
        #[arg(long)]
        patient: Vec<String>,
        /// Lets a machine copy out many records without an approval each time
        #[arg(long)]
        may_export: bool,
        /// Makes it a supplier's: until when it is good, at most twelve hours ahead, like `2026-11-22T18:00:00Z`
        #[arg(long, value_name = "TIME")]
        supplier_until: Option<String>,
        /// The approval of a second person, needed as soon as two people who may ask and decide can log in
        #[arg(long, value_name = "APPROVAL")]
        approval: Option<String>,
    },
    /// List tokens, without their secrets
    List,
    /// End a token
    Revoke {
        /// Its id, as `list` shows it
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct GenerateArgs {
    /// Patients
    #[arg(long, default_value_t = 100)]
    pub(crate) patients: u64,
    /// Seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// File to write (NDJSON; `.gz` compresses); stdout where it is absent
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
}
