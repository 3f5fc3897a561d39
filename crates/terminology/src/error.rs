//! Why an operation on terminology gives no answer.
//!
//! A text names addresses of definitions and rules, never a code or a display that somebody sent.

use tacet_fhir::outcome::{Issue, IssueType};

/// What kind of failure it is. Each has one issue type of R4, and one HTTP status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A parameter is missing, of the wrong type, or contradicts another.
    Request,
    /// A code system, value set, concept map or concept is not known here.
    NotFound,
    /// A definition is not valid: a cycle, a filter on a property that does not exist, a malformed expression.
    Invalid,
    /// The answer would be larger, or take longer, than this engine allows.
    TooCostly,
    /// R4 defines it and this engine does not do it.
    NotSupported,
}

impl ErrorKind {
    /// The R4 issue type of it.
    pub fn issue_type(self) -> IssueType {
        match self {
            ErrorKind::Request => IssueType::Required,
            ErrorKind::NotFound => IssueType::NotFound,
            ErrorKind::Invalid => IssueType::Invalid,
            ErrorKind::TooCostly => IssueType::TooCostly,
            ErrorKind::NotSupported => IssueType::NotSupported,
        }
    }

    /// The HTTP status that goes with it.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorKind::Request => 400,
            ErrorKind::NotFound => 404,
            ErrorKind::Invalid | ErrorKind::TooCostly => 422,
            ErrorKind::NotSupported => 501,
        }
    }
}

/// An operation that failed, with what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TerminologyError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The reason, in words for whoever called.
    pub message: String,
}

impl TerminologyError {
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Request, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::NotFound, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }

    pub(crate) fn too_costly(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::TooCostly, message: message.into() }
    }

    pub(crate) fn not_supported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::NotSupported, message: message.into() }
    }

    /// The issue of an OperationOutcome that says it.
    pub fn to_issue(&self) -> Issue {
        Issue::error(self.kind.issue_type(), "", self.message.clone())
    }
}
