//! Why something was not done.

use crate::approval::Kind;
use tacet_ledger::EntryError;
use tacet_ledger::noted::RowsError;
use tacet_ledger::people::PeopleRowError;
use tacet_types::{Role, Timestamp};

/// Why something about accounts, approvals, sessions or reviews was not done. Nothing was changed then. Holds no personal data.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is no such thing.
    #[error("there is no such {0}")]
    Absent(&'static str),
    /// A field of the request does not hold.
    #[error("{field} {problem}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// Another open account has it already.
    #[error("another account has this {0} already: each person has one account")]
    Taken(&'static str),
    /// It is there already.
    #[error("there is {0} already")]
    Exists(&'static str),
    /// The review is not in a state for this.
    #[error("the review is {0}")]
    Review(&'static str),
    /// The review cannot be closed yet: so many of its items have no outcome.
    #[error("the review is not judged in all its items: {0} are left")]
    Unjudged(u64),
    /// Somebody else judges this.
    #[error("this is for the reviewer to judge, and you are not")]
    NotReviewer,
    /// The role may not do this.
    #[error("the role {0} may not do this")]
    Role(Role),
    /// A passkey must be shown again first.
    #[error("show your passkey again, then repeat: this needs one that was shown within the last minutes")]
    StepUp,
    /// The act concerns whoever asks for it or decides on it.
    #[error("nobody asks for or decides on what concerns themselves: another person must do it")]
    OwnAct,
    /// The same person asked.
    #[error("a second person must decide: whoever asked cannot")]
    SamePerson,
    /// The account is not in a state for this.
    #[error("the account is {0}: this cannot be done")]
    State(&'static str),
    /// The approval is not in a state for this.
    #[error("the approval {0}")]
    Approval(&'static str),
    /// The approval is of another kind or for another act.
    #[error("the approval is not for this: ask for one of the kind {}", .0.as_str())]
    OtherAct(Kind),
    /// First accounts are there already.
    #[error("there are administrators: make accounts through them")]
    NotFirst,
    /// The code, passkey or ceremony did not hold. Says no more on purpose.
    #[error("this was not accepted: begin again")]
    Refused,
    /// Too many failed tries from there.
    #[error("too many failed tries from there: wait until {0}")]
    TooManyTries(Timestamp),
    /// Somebody else changed this meanwhile.
    #[error("somebody else changed this meanwhile: read it again and repeat")]
    Conflict,
    /// A stored row is damaged, or of a later program.
    #[error("a stored row of {0} cannot be read: run `tacet check`, or use the program that wrote it")]
    Row(&'static str),
    /// The entry for the ledger could not be made.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Rows could not be read or written.
    #[error(transparent)]
    Rows(RowsError),
    /// The settings of passkeys do not hold.
    #[error("the address of this server does not fit passkeys: set an https origin whose host is the id or under it")]
    Settings,
}

impl From<RowsError> for IdentityError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Conflict => Self::Conflict,
            other => Self::Rows(other),
        }
    }
}

impl From<PeopleRowError> for IdentityError {
    fn from(_: PeopleRowError) -> Self {
        Self::Row("break-glass or notices")
    }
}
