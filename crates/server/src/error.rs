//! The one error of the HTTP edge. It has two faces: what the client is told (status, headers, issues: an OperationOutcome)
//! and what the log is told. Both carry the operation id, so that a person who reports the one leads to the other.

use hyper::StatusCode;
use hyper::header::{ALLOW, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER, WWW_AUTHENTICATE};
use std::borrow::Cow;
use std::error::Error;
use tacet_fhir::outcome::{Issue, IssueType, operation_outcome_bytes};
use tacet_identity::IdentityError;
use tacet_ledger::LedgerError;
use tacet_seal::{KeeperError, SealError};
use tacet_smart::SmartError;
use tacet_store::StoreError;
use tacet_types::{OperationId, Timestamp, VersionId};
use tacet_vault::{ReadOnly, VaultError};

/// What a client without a good token is told to bring. Always the same, whatever was wrong.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"tacet\"");

/// When to come again after the server had too much to do, in seconds.
const BUSY_RETRY_S: u64 = 1;

/// A refusal or a fault. One pointer wide, since every handler's result carries it.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Faces>);

#[derive(Debug)]
struct Faces {
    status: StatusCode,
    issues: Vec<Issue>,
    headers: HeaderMap,
    internal: Option<String>,
}

impl ApiError {
    /// A refusal with one issue. `message` never holds what the client sent.
    pub(crate) fn new(status: StatusCode, code: IssueType, message: impl Into<Cow<'static, str>>) -> Self {
        let message: Cow<'static, str> = message.into();
        Self::with_issues(status, vec![Issue::error(code, "", message.into_owned())])
    }

    fn with_issues(status: StatusCode, issues: Vec<Issue>) -> Self {
        Self(Box::new(Faces { status, issues, headers: HeaderMap::new(), internal: None }))
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    pub(crate) fn retry_after_s(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// 400: the request is not one.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, IssueType::Invalid, message)
    }

    /// 404, for what is not there, what nobody may know of, and what never could be.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, IssueType::NotFound, "there is nothing here")
    }

    /// 501: FHIR has it, this server has not.
    pub(crate) fn not_supported(what: &str) -> Self {
        let message = format!("{what} is not supported by this server: see /metadata for what is");
        Self::new(StatusCode::NOT_IMPLEMENTED, IssueType::NotSupported, message)
    }

    /// 401, the same for a missing, a malformed, an unknown and an expired token.
    pub(crate) fn unauthorized() -> Self {
        let message = "a valid token is needed: send `Authorization: Bearer` and a token made by `tacet token create`";
        Self::new(StatusCode::UNAUTHORIZED, IssueType::Login, message).header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// 403: the token is good, its role has not this right.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, IssueType::Forbidden, "the role of this token does not allow this")
    }

    /// 403: a browser sent its session along with what another site's page asked for.
    pub(crate) fn other_site() -> Self {
        let message = "this came from a page of another site: a session is used from this server's own pages only";
        Self::new(StatusCode::FORBIDDEN, IssueType::Forbidden, message)
    }

    /// 429: too many requests of a kind that anybody may make.
    pub(crate) fn too_often(retry_after_s: u64) -> Self {
        let message = "too many requests from this address: wait, then try again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, IssueType::Throttled, message).retry_after_s(retry_after_s)
    }

    /// 429: too many wrong tokens came from this address.
    pub(crate) fn locked(retry_after_s: u64) -> Self {
        let message = "too many failed attempts from this address: wait, then try again with a valid token";
        Self::new(StatusCode::TOO_MANY_REQUESTS, IssueType::Throttled, message).retry_after_s(retry_after_s)
    }

    /// 405, with the methods that there are.
    pub(crate) fn method_not_allowed(allowed: HeaderValue) -> Self {
        let message = "this method is not allowed here: see the `Allow` header";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, IssueType::NotSupported, message).header(ALLOW, allowed)
    }

    /// 413.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let message = format!("the body is too long: at most {bytes_max} bytes are taken here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, IssueType::TooLong, message)
    }

    /// 503: full; nothing was done.
    pub(crate) fn busy() -> Self {
        let message = "the server has too much to do: nothing was done, try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, IssueType::Throttled, message).retry_after_s(BUSY_RETRY_S)
    }

    /// 503: the answer took too long, and whether a change was made is not known.
    pub(crate) fn timeout() -> Self {
        let message = "the request took too long and was given up: if it was a change, read before repeating it";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, IssueType::Timeout, message).retry_after_s(BUSY_RETRY_S)
    }

    /// 408: the body did not come.
    pub(crate) fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, IssueType::Timeout, "the body did not arrive in time")
    }

    /// 500. `internal` goes to the log only and holds no personal data.
    pub(crate) fn internal(internal: impl Into<String>) -> Self {
        let message = "something went wrong inside the server: its log has more under this operation id";
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, IssueType::Exception, message);
        error.0.internal = Some(internal.into());
        error
    }

    /// 500, where what is wrong may be said.
    pub(crate) fn internal_said(message: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, IssueType::Exception, message)
    }

    fn logged(mut self, internal: String) -> Self {
        self.0.internal = Some(internal);
        self
    }

    /// What the log is told, beside the status; `None` where the fault is the client's.
    pub(crate) fn internal_face(&self) -> Option<&str> {
        self.0.internal.as_deref()
    }

    /// What the client is told; the body is an OperationOutcome in JSON.
    pub(crate) fn public_face(self, operation: &OperationId) -> (StatusCode, HeaderMap, Vec<u8>) {
        let Faces { status, issues, headers, .. } = *self.0;
        (status, headers, operation_outcome_bytes(&issues, Some(operation)))
    }
}

/// `W/"n"`, the version of a record as an entity tag.
pub(crate) fn etag(version: VersionId) -> HeaderValue {
    HeaderValue::try_from(format!("W/\"{version}\"")).unwrap_or(HeaderValue::from_static("W/\"0\""))
}

/// An instant as a header.
pub(crate) fn http_date(at: Timestamp) -> HeaderValue {
    HeaderValue::try_from(at.http_date()).unwrap_or(HeaderValue::from_static(""))
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        let message = error.to_string();
        match error {
            IdentityError::Absent(_) => Self::not_found(),
            IdentityError::Invalid { .. } | IdentityError::Taken(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, IssueType::BusinessRule, message)
            }
            IdentityError::Role(_)
            | IdentityError::OwnAct
            | IdentityError::SamePerson
            | IdentityError::NotReviewer
            | IdentityError::OtherAct(_) => Self::new(StatusCode::FORBIDDEN, IssueType::Forbidden, message),
            IdentityError::StepUp => Self::new(StatusCode::FORBIDDEN, IssueType::Login, message),
            IdentityError::State(_)
            | IdentityError::Review(_)
            | IdentityError::Unjudged(_)
            | IdentityError::Exists(_)
            | IdentityError::Approval(_)
            | IdentityError::NotFirst
            | IdentityError::Conflict => Self::new(StatusCode::CONFLICT, IssueType::Conflict, message),
            IdentityError::Refused => Self::new(StatusCode::FORBIDDEN, IssueType::Security, message),
            IdentityError::TooManyTries(_) => Self::new(StatusCode::TOO_MANY_REQUESTS, IssueType::Throttled, message),
            IdentityError::Row(_) | IdentityError::Entry(_) | IdentityError::Rows(_) | IdentityError::Settings => {
                Self::internal(message)
            }
        }
    }
}

impl From<SmartError> for ApiError {
    fn from(error: SmartError) -> Self {
        let message = error.to_string();
        match error {
            SmartError::Refused(_) | SmartError::Invalid(_) => Self::invalid(message),
            SmartError::NoSuchClient => Self::not_found(),
            SmartError::SamePerson => Self::new(StatusCode::FORBIDDEN, IssueType::Forbidden, message),
            SmartError::Rows(_) | SmartError::Damaged | SmartError::SigningKey => Self::internal(message),
        }
    }
}

impl From<VaultError> for ApiError {
    /// Status and issues are the vault's own, so that an entry of a batch and a request by itself are told the same.
    fn from(error: VaultError) -> Self {
        let status = error.http_status().split(' ').next().and_then(|code| code.parse().ok());
        let refused = Self::with_issues(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.issues());
        match error {
            VaultError::Gone { record, last_updated } => {
                refused.header(ETAG, etag(record.version)).header(LAST_MODIFIED, http_date(last_updated))
            }
            VaultError::RateExceeded { retry_after_ms } | VaultError::Busy { retry_after_ms, .. } => {
                refused.retry_after_s(retry_after_ms.div_ceil(1000))
            }
            VaultError::ReadOnly(why) => refused.retry_after_s(why.retry_after_s()),
            VaultError::Sealed => refused.retry_after_s(ReadOnly::Lockdown.retry_after_s()),
            VaultError::Unavailable(_) => refused.retry_after_s(BUSY_RETRY_S).logged(describe(&error)),
            VaultError::Damaged(_) | VaultError::Internal(_) => refused.logged(describe(&error)),
            _ => refused,
        }
    }
}

/// A fault's text for the log. Only our own errors may speak, since we know that they name no patient; of a library's error
/// the text is withheld (a parser's message quotes what it could not parse), and of the system's only the kind is said.
fn describe(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        texts.push(if let Some(system) = error.downcast_ref::<std::io::Error>() {
            format!("{:?}", system.kind())
        } else if is_ours(error) {
            error.to_string()
        } else {
            "(a library's error, its text withheld)".to_owned()
        });
        next = error.source();
    }
    texts.join(": ")
}

fn is_ours(error: &(dyn Error + 'static)) -> bool {
    error.is::<VaultError>()
        || error.is::<StoreError>()
        || error.is::<LedgerError>()
        || error.is::<SealError>()
        || error.is::<KeeperError>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_librarys_text_stays_out_of_the_log() {
        let quoting = serde_json::from_str::<u32>("\"Amiee221\"").unwrap_err();
        assert!(quoting.to_string().contains("Amiee221"), "the test needs an error that quotes");
        let error = ApiError::from(VaultError::Internal(Box::new(quoting)));
        assert!(!error.internal_face().unwrap().contains("Amiee"));
        let system = std::io::Error::other("/data/Amiee221");
        let error = ApiError::from(VaultError::Unavailable(Box::new(system)));
        assert!(error.internal_face().unwrap().contains("Other"));
        assert!(!error.internal_face().unwrap().contains("Amiee"));
    }

    #[test]
    fn forbidden_looks_like_not_there() {
        let operation = OperationId([7; 16]);
        let forbidden = ApiError::from(VaultError::Forbidden).public_face(&operation);
        assert_eq!(forbidden, ApiError::from(VaultError::NotFound).public_face(&operation));
        assert_eq!(forbidden.0, StatusCode::NOT_FOUND);
    }
}
