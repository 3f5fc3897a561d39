//! Why a part of a search was not compiled. Texts name parameters and never their values.

use crate::SearchError;
use tacet_fhir::outcome::{Issue, IssueType, Severity};

/// Longest name of a parameter that is repeated in an issue, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Why a part of a search was not compiled.
#[derive(Debug)]
pub(super) enum Fault {
    /// The parameter, its modifier or its path is not known: lenient handling passes it over.
    Unknown(Issue),
    /// The search is refused, however it is handled.
    Error(SearchError),
}

pub(super) type Outcome<T> = Result<T, Fault>;

impl From<SearchError> for Fault {
    fn from(error: SearchError) -> Self {
        Self::Error(error)
    }
}

impl Fault {
    /// Something that this server does not know.
    pub(super) fn unknown(message: String) -> Self {
        Self::Unknown(Issue {
            severity: Severity::Warning,
            code: IssueType::NotSupported,
            location: String::new(),
            message,
        })
    }

    /// A parameter that does not apply to the types that are searched.
    pub(super) fn unknown_parameter(name: &str) -> Self {
        Self::unknown(format!("the search parameter {} is not known for what is searched", named(name)))
    }

    /// A modifier that the parameter does not take.
    pub(super) fn unknown_modifier(name: &str, modifier: &str) -> Self {
        Self::unknown(format!("the search parameter {} does not take the modifier {}", named(name), named(modifier)))
    }

    /// A value that is not of the form that its parameter asks for.
    pub(super) fn invalid(name: &str, expected: &str) -> Self {
        refused(
            IssueType::Value,
            format!("the value of the search parameter {} is not valid: expected {expected}", named(name)),
        )
    }

    /// Something known that this server does not do, and that must not be passed over.
    pub(super) fn unsupported(message: String) -> Self {
        refused(IssueType::NotSupported, message)
    }

    /// A bound of the limits.
    pub(super) fn too_many(what: &'static str, max: usize) -> Self {
        Self::Error(SearchError::TooCostly { what, max })
    }

    /// As an error, for strict handling.
    pub(super) fn into_error(self) -> SearchError {
        match self {
            Self::Unknown(issue) => SearchError::Refused(Box::new(Issue { severity: Severity::Error, ..issue })),
            Self::Error(error) => error,
        }
    }
}

fn refused(code: IssueType, message: String) -> Fault {
    Fault::Error(SearchError::Refused(Box::new(Issue::error(code, "", message))))
}

/// The name in quotes, if it looks like one: what stands before the `=` may be anything, a person's name too.
pub(crate) fn named(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.' | b'[' | b']');
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) {
        format!("`{name}`")
    } else {
        "(whose name is not shown)".to_owned()
    }
}
