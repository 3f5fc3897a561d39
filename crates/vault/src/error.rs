//! Why the vault did not do what it was asked. No variant carries personal data in what it prints.

use tacet_fhir::json::ParseError;
use tacet_fhir::outcome::{Issue, IssueType};
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
    /// The key keeper's rate is used up.
    #[error("more records are asked for than the key keeper lets through: try again in {retry_after_ms} ms")]
    RateExceeded {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The caller's role does not allow it.
    #[error("the caller's role does not allow this")]
    Forbidden,
    /// The store holds something that it should not: run `tacet check`.
    #[error("the store is damaged ({0}): run `tacet check`")]
    Damaged(&'static str),
    /// A fault inside Tacet.
    #[error("internal fault")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl VaultError {
    /// The status of HTTP that FHIR gives this outcome, with its reason phrase, as in a bundle's response.
    pub fn http_status(&self) -> &'static str {
        match self {
            Self::NotFound | Self::Forbidden => "404 Not Found",
            Self::Gone { .. } | Self::Erased => "410 Gone",
            Self::Invalid(_) => "422 Unprocessable Entity",
            Self::Malformed(_) | Self::IdMismatch => "400 Bad Request",
            Self::PreconditionFailed => "412 Precondition Failed",
            Self::Conflict => "409 Conflict",
            Self::NotSupported(_) => "501 Not Implemented",
            Self::TooLarge { .. } => "413 Content Too Large",
            Self::Unavailable(_) => "503 Service Unavailable",
            Self::RateExceeded { .. } => "429 Too Many Requests",
            Self::Damaged(_) | Self::Internal(_) => "500 Internal Server Error",
        }
    }

    /// The outcome as issues, fit to be shown: nothing of what lies under an internal fault.
    pub fn issues(&self) -> Vec<Issue> {
        let code = match self {
            Self::Invalid(issues) => return issues.clone(),
            Self::NotFound | Self::Forbidden => IssueType::NotFound,
            Self::Gone { .. } | Self::Erased => IssueType::Deleted,
            Self::Malformed(_) => IssueType::Structure,
            Self::IdMismatch => IssueType::Invalid,
            Self::PreconditionFailed | Self::Conflict => IssueType::Conflict,
            Self::NotSupported(_) => IssueType::NotSupported,
            Self::TooLarge { .. } => IssueType::TooLong,
            Self::Unavailable(_) => IssueType::Transient,
            Self::RateExceeded { .. } => IssueType::Throttled,
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
