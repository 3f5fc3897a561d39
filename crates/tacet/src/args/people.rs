//! The commands about people and the rules on who may see what.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

#[derive(Subcommand)]
pub(crate) enum AccountCommand {
    /// Make the first accounts, and print the two codes of each, once
    Bootstrap {
        /// An administrator: login, or login and name as `anna=Anna Arnaud`; may be given several times
        #[arg(long, value_name = "LOGIN[=NAME]")]
        administrator: Vec<String>,
        /// A security officer
        #[arg(long, value_name = "LOGIN[=NAME]")]
        security_officer: Vec<String>,
        /// An auditor
        #[arg(long, value_name = "LOGIN[=NAME]")]
        auditor: Vec<String>,
    },
    /// List accounts
    List,
    /// Close the accounts that are due: who left, who never came, who was not here for long
    CloseDue,
    /// End every session of everybody, with the next start of the server
    EndSessions,
}

#[derive(Args)]
pub(crate) struct ApprovalArgs {
    #[command(subcommand)]
    pub(crate) command: ApprovalCommand,
}

#[derive(Subcommand)]
pub(crate) enum ApprovalCommand {
    /// List what a second person was asked for, newest first; people ask and decide in their browser
    List {
        /// Only what waits for a decision
        #[arg(long)]
        pending: bool,
    },
}

#[derive(Args)]
pub(crate) struct BreakGlassArgs {
    #[command(subcommand)]
    pub(crate) command: BreakGlassCommand,
}

#[derive(Subcommand)]
pub(crate) enum BreakGlassCommand {
    /// List the emergencies that wait for a review, oldest first, without their patients
    List,
}

#[derive(Args)]
pub(crate) struct PolicyArgs {
    /// Folder of policies (`*.cedar`), in place of those that are configured or come with the program
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// List the policies with their reasons
    Show,
    /// Hold the policies to a file of cases (TOML), or to those that come with the program
    Test {
        /// The cases
        file: Option<PathBuf>,
    },
    /// Say what other policies would give and take
    Simulate {
        /// Folder of the other policies
        directory: PathBuf,
    },
    /// Print folder's policies as the body of a request for another person's word (POST /_policy)
    Propose {
        /// Folder of the policies
        directory: PathBuf,
        /// The ticket that it belongs to
        #[arg(long)]
        ticket: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Put policies in force that two people agreed on, while no server runs
    Apply {
        /// Folder of the policies; without it, those that come with the program
        directory: Option<PathBuf>,
        /// The approval: needed as soon as one person may ask for it and another decide
        #[arg(long)]
        approval: Option<String>,
    },
    /// Say why somebody may see or change a record, or may not
    Explain {
        /// The login of an account, a role, or a role and its Practitioner as `nurse:p1`
        who: String,
        /// The record, as `Observation/o1`
        what: String,
        /// What they want to do: read, write, relabel, export or break-glass
        #[arg(long, default_value = "read")]
        act: String,
    },
}

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "It locks at once, and two people lift it. To look only: `tacet lockdown status`"
)]
pub(crate) struct LockdownArgs {
    /// How much: `read-only` (no changes), `cut` (no sessions either), `sealed` (no keys either)
    #[arg(long, required = true, value_name = "read-only|cut|sealed", value_parser = ["read-only", "cut", "sealed"])]
    pub(crate) level: Option<String>,
    /// Why, for the ledger
    #[arg(long, default_value = "locked at the machine", value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(subcommand)]
    pub(crate) command: Option<LockdownCommand>,
}

#[derive(Subcommand)]
pub(crate) enum LockdownCommand {
    /// Say whether the store is locked, and what was lifted before
    Status,
    /// Lift the lockdown, on what a second person allowed
    Lift {
        /// The approval
        #[arg(long, value_name = "ID")]
        approval: Option<String>,
    },
}
