//! The arguments of `tacet backup`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    pub(crate) command: BackupCommand,
}

#[derive(Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a snapshot now; where the server is running it is asked to
    Now {
        /// A whole one, whatever there is already
        #[arg(long)]
        base: bool,
        /// Go on after what is on the targets, though this store did not make it: after it was found out why
        #[arg(long)]
        adopt: bool,
        /// Seconds to wait for a running server
        #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
        wait: u64,
    },
    /// Say how the backup stands; needs no passphrase
    Status,
    /// List the snapshots, the newest last; needs no passphrase
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        count: usize,
    },
    /// Read the whole backup, and hold it against its signatures and the ledger
    Verify {
        /// The public key of the backup: then no passphrase is asked for, and the ledger is not
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
        /// Manifests only, and whether each segment is there
        #[arg(long)]
        listed: bool,
        /// Days past which snapshots may have been pruned
        #[arg(long, default_value_t = 30, value_name = "DAYS")]
        kept_days: u32,
    },
    /// Print the public key by which the backup is verified
    Key,
    /// Remove what a rule does not keep; elsewhere, with an account that may
    Prune {
        /// File with the rule, the public key and the target (docs/backup.md)
        #[arg(long, value_name = "FILE")]
        rule: PathBuf,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Take backups from another machine over SSH: the forced command of its key
    Receive(ReceiveArgs),
}

#[derive(Args)]
pub(crate) struct ReceiveArgs {
    /// The folder
    pub(crate) directory: PathBuf,
    /// Nothing is changed or removed, whatever the other side asks for
    #[arg(long, required_unless_present = "prune")]
    pub(crate) append_only: bool,
    /// Objects may be removed: for the key of whoever prunes
    #[arg(long, conflicts_with = "append_only")]
    pub(crate) prune: bool,
    /// Bytes that are left free on the disk
    #[arg(long, default_value_t = 1 << 30, value_name = "BYTES")]
    pub(crate) keep_free: u64,
}
