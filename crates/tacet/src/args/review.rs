//! The periodic review of accesses.

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct ReviewArgs {
    #[command(subcommand)]
    pub(crate) command: ReviewCommand,
}

#[derive(Subcommand)]
pub(crate) enum ReviewCommand {
    /// Prepare the review of a period: a sample, and all that must be looked at
    Prepare(ReviewPrepareArgs),
    /// List reviews, the newest period first; exit code 3 if one is overdue
    List,
    /// Print a review with its items: who saw whose record, and what was judged
    Show {
        /// Its id
        review: String,
        /// The items as CSV
        #[arg(long)]
        csv: bool,
    },
    /// Say what an item came to, as the reviewer named when it was prepared
    Decide {
        /// The review's id
        review: String,
        /// The item's number
        item: usize,
        /// justified, not-justified or to-be-asked
        outcome: String,
        /// What there is to say about it
        #[arg(long)]
        comment: String,
    },
    /// Close a review, when all its items are judged
    Close {
        /// Its id
        review: String,
        /// What there is to say about the review as a whole
        #[arg(long)]
        text: String,
    },
}

#[derive(Args)]
pub(crate) struct ReviewPrepareArgs {
    /// A month, as `2026-03`
    #[arg(long, value_name = "MONTH", required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    pub(crate) month: Option<String>,
    /// The first day, as `2026-03-01`
    #[arg(long, value_name = "DATE", requires = "to")]
    pub(crate) from: Option<String>,
    /// The day after the last
    #[arg(long, value_name = "DATE", requires = "from")]
    pub(crate) to: Option<String>,
    /// Who judges: the login of a security officer or an auditor; a name, while nobody of these can log in
    #[arg(long)]
    pub(crate) reviewer: String,
    /// In how many days it must be closed
    #[arg(long, default_value_t = 30)]
    pub(crate) due_days: u16,
    /// Only accounts of this role
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Only this person: a name as entries give it, or the id of an account
    #[arg(long)]
    pub(crate) person: Option<String>,
    /// How many accesses are drawn: five-percent (59), two-percent (149) or one-percent (299)
    #[arg(long, default_value = "five-percent")]
    pub(crate) rule: String,
    /// Days without use after which a right is dormant
    #[arg(long, default_value_t = 90)]
    pub(crate) dormant_days: u16,
    /// Failed logins that are passed over
    #[arg(long, default_value_t = 10)]
    pub(crate) failed_logins: u32,
}
