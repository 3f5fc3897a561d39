//! Errors in the form of RFC 7644, section 3.12.

use crate::IdentityError;
use serde_json::{Value, json};

/// The schema of an error.
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The detail keyword of a 400 or 409 (RFC 7644, table 9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScimType {
    /// The filter cannot be read.
    InvalidFilter,
    /// The body cannot be read.
    InvalidSyntax,
    /// A path of a patch cannot be read.
    InvalidPath,
    /// A path of a patch finds nothing to change.
    NoTarget,
    /// A value does not fit.
    InvalidValue,
    /// Somebody else has it.
    Uniqueness,
    /// It cannot be changed.
    Mutability,
    /// Too much was asked for.
    TooMany,
}

impl ScimType {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::TooMany => "tooMany",
        }
    }
}

/// An answer that is an error.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// The HTTP status.
    pub status: u16,
    /// The detail keyword.
    pub scim_type: Option<ScimType>,
    /// For people. Holds no personal data.
    pub detail: String,
}

impl ScimError {
    pub(super) fn bad(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { status: 400, scim_type: Some(scim_type), detail: detail.into() }
    }

    pub(super) fn absent() -> Self {
        Self { status: 404, scim_type: None, detail: "there is no such user".into() }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "schemas": [ERROR_SCHEMA],
            // A string, as the RFC has it.
            "status": self.status.to_string(),
            "detail": self.detail,
        });
        if let (Some(scim_type), Some(body)) = (self.scim_type, body.as_object_mut()) {
            body.insert("scimType".into(), json!(scim_type.as_str()));
        }
        body
    }
}

impl From<IdentityError> for ScimError {
    fn from(error: IdentityError) -> Self {
        let (status, scim_type) = match &error {
            IdentityError::Absent(_) => (404, None),
            IdentityError::Invalid { .. } => (400, Some(ScimType::InvalidValue)),
            IdentityError::Taken(_) => (409, Some(ScimType::Uniqueness)),
            IdentityError::State(_) => (400, Some(ScimType::Mutability)),
            IdentityError::Role(_) | IdentityError::StepUp | IdentityError::OwnAct | IdentityError::SamePerson => {
                (403, None)
            }
            IdentityError::Conflict => (409, None),
            _ => (500, None),
        };
        let detail = if status == 500 { "the server could not do it: see its log".into() } else { error.to_string() };
        Self { status, scim_type, detail }
    }
}
