//! Why the vault did not do what it was asked. No variant carries personal data in what it prints.

use crate::index::IndexState;
use crate::mode::ReadOnly;
use tacet_fhir::json::ParseError;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_ledger::{EntryError, LedgerError};
use tacet_seal::{KeeperError, SealError};
use tacet_search::SearchError;
use tacet_store::StoreError;
use tacet_terminology::{ErrorKind, TerminologyError};
use tacet_types::{RecordRef, Timestamp};
use thiserror::Error;

/// Why the vault did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no such resource or version, or the caller may not know of it.
    #[error("there is no such resource")]
    NotFound,
    /// The resource was deleted.
    #[error("the resource was deleted")]
    Gone {
        /// The version that deleted it.
        record: RecordRef,
        /// When it was deleted.
        last_updated: Timestamp,
    },
    /// An entry of the ledger whose time is over: it has its place in the tree, and nobody can read it.
    #[error("this entry is in the ledger and what it said is gone: its time was over")]
    PastItsTime,
    /// The resource breaks rules of FHIR.
    #[error("the resource breaks {} rules of FHIR", .0.len())]
    Invalid(Vec<Issue>),
    /// The body is not JSON as FHIR wants it.
    #[error("the body is not JSON: {0}")]
    Malformed(#[from] ParseError),
    /// The body's type or id is not the one of the URL.
    #[error("the resource's type and id must be those of the URL")]
    IdMismatch,
    /// `If-Match` names another version than the current one.
    #[error("the resource has changed since the version named in `If-Match`: read it again and repeat the change")]
    PreconditionFailed,
    /// Too many writers changed the same records at the same time.
    #[error("the same records are being changed by too many others: try again")]
    Conflict,
    /// Tacet does not do this yet.
    #[error("not supported: {0}")]
    NotSupported(&'static str),
    /// A bound was exceeded.
    #[error("too many {what}: at most {max}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The patient's key was destroyed: nothing can be stored under this id any more.
    #[error("this patient was erased: their id cannot be used again")]
    Erased,
    /// The ledger or the store cannot write, so nothing is disclosed and nothing changed.
    #[error("the store cannot write, so nothing is shown or changed")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The published log has no name, or another one.
    #[error(transparent)]
    Log(LedgerError),
    /// The ledger is not what was signed, or not witnessed, so nothing is disclosed.
    #[error(
        "nothing is shown, because the ledger of accesses cannot be relied on ({0}); the operator must run `tacet ledger verify`"
    )]
    Halted(crate::transparency::Halt),
    /// No record is changed at present.
    #[error("nothing can be changed at present, because {0}: what is on record can be read")]
    ReadOnly(ReadOnly),
    /// The keys are locked: no record opens.
    #[error(
        "no record can be opened, because the keys are locked: two people lift that, then the server is started again"
    )]
    Sealed,
    /// The key keeper's rate is used up.
    #[error("more records are asked for than the key keeper lets through: try again in {retry_after_ms} ms")]
    RateExceeded {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// As much of this is being done as may be at a time.
    #[error("too many {what} at the moment: try again in {retry_after_ms} ms")]
    Busy {
        /// What there is too much of.
        what: &'static str,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The caller's role does not allow it.
    #[error("the caller's role does not allow this")]
    Forbidden,
    /// The caller may see what this is about, and may not do this.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// The store holds something that it should not: run `tacet check`.
    #[error("the store is damaged ({0}): run `tacet check`")]
    Damaged(&'static str),
    /// The search index is not up to date yet.
    #[error(
        "the search index is being brought up to date: searches and conditional requests must wait; try again later"
    )]
    Indexing(IndexState),
    /// The search index cannot be used.
    #[error("the search index cannot be used ({0}): rebuild it with `tacet index rebuild`")]
    Index(&'static str),
    /// The ledger's index cannot answer at this moment.
    #[error("the ledger's index cannot answer now ({0}): ask again in a while")]
    LedgerIndex(&'static str),
    /// A search that cannot be understood, is not supported or not allowed; the issues say why.
    #[error("the search is refused")]
    Search(Vec<Issue>),
    /// A search that asks for too much.
    #[error("the search asks for too many {what}: at most {max}; narrow it")]
    TooCostly {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// Patients may only be looked for by `$match` here.
    #[error("patients are looked for by `Patient/$match` here, or by their id or a whole identifier")]
    OnlyByMatch,
    /// The criteria of a conditional request fit more than one resource.
    #[error("the criteria fit more than one resource: give criteria that only one can fit")]
    SeveralMatch,
    /// A link to a page that was given long ago.
    #[error("this link to a page has expired: repeat the search")]
    CursorExpired,
    /// A link to a page that was not given to this caller for this search, or was changed.
    #[error("this link to a page was not given to this account, or it was changed: repeat the search")]
    CursorRefused,
    /// A patch that cannot be applied.
    #[error("the patch cannot be applied")]
    Patch(Vec<Issue>),
    /// The definitions of the store (value sets, profiles) are not known yet, or cannot be read.
    #[error("the definitions of this store are being read: try again later")]
    Definitions,
    /// Texts of policies that are not taken.
    #[error("these policies are not taken: {0}")]
    Rules(#[source] Box<crate::rules::RulesError>),
    /// An operation on terminology, or `$validate`, that cannot be carried out.
    #[error("the operation is refused: {0}")]
    Operation(#[source] TerminologyError),
    /// A fault inside Tacet.
    #[error("internal fault")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl VaultError {
    /// The status of HTTP that FHIR gives this outcome, with its reason phrase, as in a bundle's response.
    pub fn http_status(&self) -> &'static str {
        match self {
            Self::NotFound | Self::Forbidden => "404 Not Found",
            Self::Gone { .. } | Self::PastItsTime | Self::Erased | Self::CursorExpired => "410 Gone",
            Self::Invalid(_) | Self::Patch(_) | Self::Rules(_) => "422 Unprocessable Entity",
            Self::Malformed(_) | Self::IdMismatch | Self::Search(_) | Self::TooCostly { .. } | Self::CursorRefused => {
                "400 Bad Request"
            }
            Self::OnlyByMatch | Self::NotAllowed(_) => "403 Forbidden",
            Self::PreconditionFailed | Self::SeveralMatch => "412 Precondition Failed",
            Self::Conflict => "409 Conflict",
            Self::NotSupported(_) => "501 Not Implemented",
            Self::TooLarge { .. } => "413 Content Too Large",
            Self::Unavailable(_)
            | Self::Log(_)
            | Self::Halted(_)
            | Self::ReadOnly(_)
            | Self::Sealed
            | Self::Indexing(_)
            | Self::Index(_)
            | Self::LedgerIndex(_)
            | Self::Definitions => "503 Service Unavailable",
            Self::Operation(error) => match error.kind {
                ErrorKind::NotFound => "404 Not Found",
                ErrorKind::Invalid | ErrorKind::TooCostly => "422 Unprocessable Entity",
                ErrorKind::NotSupported => "501 Not Implemented",
                _ => "400 Bad Request",
            },
            Self::RateExceeded { .. } | Self::Busy { .. } => "429 Too Many Requests",
            Self::Damaged(_) | Self::Internal(_) => "500 Internal Server Error",
        }
    }

    /// The outcome as issues, fit to be shown: nothing of what lies under an internal fault.
    pub fn issues(&self) -> Vec<Issue> {
        let code = match self {
            Self::Invalid(issues) | Self::Search(issues) | Self::Patch(issues) => return issues.clone(),
            Self::NotFound | Self::Forbidden => IssueType::NotFound,
            Self::Gone { .. } | Self::PastItsTime | Self::Erased => IssueType::Deleted,
            Self::Malformed(_) => IssueType::Structure,
            Self::IdMismatch => IssueType::Invalid,
            Self::PreconditionFailed | Self::Conflict => IssueType::Conflict,
            Self::NotSupported(_) => IssueType::NotSupported,
            Self::TooLarge { .. } => IssueType::TooLong,
            Self::Unavailable(_)
            | Self::Log(_)
            | Self::Halted(_)
            | Self::ReadOnly(_)
            | Self::Sealed
            | Self::Indexing(_)
            | Self::Index(_)
            | Self::LedgerIndex(_)
            | Self::Definitions => IssueType::Transient,
            Self::Operation(error) => return vec![error.to_issue()],
            Self::TooCostly { .. } => IssueType::TooCostly,
            Self::OnlyByMatch | Self::Rules(_) => IssueType::BusinessRule,
            Self::NotAllowed(_) => IssueType::Forbidden,
            Self::SeveralMatch => IssueType::MultipleMatches,
            Self::CursorExpired => IssueType::Expired,
            Self::CursorRefused => IssueType::Invalid,
            Self::RateExceeded { .. } | Self::Busy { .. } => IssueType::Throttled,
            Self::Damaged(_) | Self::Internal(_) => IssueType::Exception,
        };
        let message = match self {
            // To whom it is forbidden, it is not there.
            Self::Forbidden => Self::NotFound.to_string(),
            Self::Damaged(_) => "the store is damaged: the operator must run `tacet check`".to_owned(),
            Self::Unavailable(_) => format!("{self}: the operator finds the reason in the server's log"),
            other => other.to_string(),
        };
        vec![Issue::error(code, "", message)]
    }
}

impl From<SearchError> for VaultError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Refused(issue) => Self::Search(vec![*issue]),
            SearchError::TooCostly { what, max } => Self::TooCostly { what, max },
            SearchError::Terminology(_) => Self::Search(vec![Issue::error(IssueType::NotFound, "", error.to_string())]),
            SearchError::NotReady { at, last } => Self::Indexing(IndexState::CatchingUp { done: at, all: last }),
            SearchError::Damaged => Self::Index("a file of it is damaged"),
            SearchError::Behind => Self::Index("its disk took nothing for too long"),
            SearchError::Io(_) => Self::Index("its disk cannot be read or written at this moment"),
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PreconditionFailed { .. } => Self::Conflict,
            StoreError::Refused(why) => match why.downcast::<ReadOnly>() {
                Ok(why) => Self::ReadOnly(*why),
                Err(other) => Self::Internal(other),
            },
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

impl From<SealError> for VaultError {
    fn from(error: SealError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<KeeperError> for VaultError {
    fn from(error: KeeperError) -> Self {
        match error {
            KeeperError::RateExceeded { retry_after_ms } => Self::RateExceeded { retry_after_ms },
            KeeperError::Locked => Self::Sealed,
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<LedgerError> for VaultError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::LogNamed { .. } | LedgerError::LogUnnamed => Self::Log(error),
            error => Self::Unavailable(Box::new(error)),
        }
    }
}

impl From<EntryError> for VaultError {
    fn from(error: EntryError) -> Self {
        Self::Internal(Box::new(error))
    }
}
