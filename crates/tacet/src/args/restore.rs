//! The arguments of `tacet restore`.

use super::ServeArgs;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct RestoreArgs {
    /// Where the backup is: a folder, or a file (.toml) that describes a target as `[backup.target]` does
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: PathBuf,
    /// Where the backup of the keys is: likewise, and another place
    #[arg(long, value_name = "PLACE")]
    pub(crate) keys: PathBuf,
    /// Bring back this snapshot (default: the newest)
    #[arg(long, value_name = "NUMBER", conflicts_with = "at")]
    pub(crate) snapshot: Option<u64>,
    /// Bring back the newest snapshot of this time or before, like `2026-11-22T02:10:00Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// File with recovery shares, one a line; may be given several times (default: asked for on the terminal)
    #[arg(long = "share-file", value_name = "FILE")]
    pub(crate) share_files: Vec<PathBuf>,
    /// File whose first line is the new passphrase (default: asked for on the terminal)
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Serve at once, for reading only, while the rest comes back; then go on in full service
    #[arg(long)]
    pub(crate) read_only_now: bool,
    /// The published ledger goes on under this name, because entries that others may have seen are lost
    #[arg(long, value_name = "NAME", conflicts_with = "same_log")]
    pub(crate) successor_log: Option<String>,
    /// Nothing was acknowledged after the snapshot: the published ledger goes on under its name though witnesses have seen it
    #[arg(long)]
    pub(crate) same_log: bool,
    /// Keep the machine tokens (`tacet token`) of the snapshot: none was revoked since. Everything else that lets somebody in is ended
    #[arg(long)]
    pub(crate) keep_tokens: bool,
    /// Look at the copies of keys from this number downwards only, where others were put above yours
    #[arg(long, value_name = "NUMBER")]
    pub(crate) key_copy: Option<u64>,
    /// Refuse a snapshot whose ledger has fewer entries than a witness, a receiver or a report has seen
    #[arg(long, value_name = "COUNT")]
    pub(crate) expect_entries: Option<u64>,
    /// The ledger's root at that many entries, as the checkpoint has it: what comes back must be that ledger
    #[arg(long, value_name = "ROOT", requires = "expect_entries")]
    pub(crate) expect_root: Option<String>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}
