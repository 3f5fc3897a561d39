//! What the authorization server answers when it does not do what was asked.

use serde_json::{Value, json};
use tacet_ledger::noted::RowsError;

/// A code of OAuth and its extensions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorCode {
    /// RFC 6749.
    InvalidRequest,
    /// RFC 6749.
    InvalidClient,
    /// RFC 6749.
    InvalidGrant,
    /// RFC 6749.
    UnauthorizedClient,
    /// RFC 6749.
    UnsupportedGrantType,
    /// RFC 6749.
    UnsupportedResponseType,
    /// RFC 6749.
    InvalidScope,
    /// RFC 6749.
    AccessDenied,
    /// RFC 6749.
    TemporarilyUnavailable,
    /// RFC 8707.
    InvalidTarget,
    /// OpenID Connect Core 1.0.
    LoginRequired,
    /// OpenID Connect Core 1.0.
    InteractionRequired,
    /// OpenID Connect Core 1.0.
    RequestNotSupported,
    /// OpenID Connect Core 1.0.
    RequestUriNotSupported,
    /// RFC 6750: at the resource.
    InvalidToken,
    /// RFC 9449.
    InvalidDpopProof,
    /// RFC 9449.
    UseDpopNonce,
    /// RFC 7009.
    UnsupportedTokenType,
    /// RFC 7591.
    InvalidRedirectUri,
    /// RFC 7591.
    InvalidClientMetadata,
    /// RFC 7591.
    InvalidSoftwareStatement,
}

impl ErrorCode {
    /// The code as it stands in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::InvalidTarget => "invalid_target",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidToken => "invalid_token",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
        }
    }
}

/// An answer that says no, as OAuth has it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct OAuthError {
    /// The code.
    pub code: ErrorCode,
    /// What to do about it. Holds nothing that the caller sent.
    pub description: &'static str,
    /// A nonce for the next proof of possession, where the server asks for one: the header `DPoP-Nonce`.
    pub dpop_nonce: Option<String>,
}

impl OAuthError {
    /// An answer with this code.
    pub fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description, dpop_nonce: None }
    }

    /// The HTTP status at the token endpoint and its neighbours.
    pub fn status(&self) -> u16 {
        match self.code {
            ErrorCode::InvalidClient | ErrorCode::InvalidToken => 401,
            ErrorCode::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }

    /// The body (RFC 6749, section 5.2).
    pub fn body(&self) -> Value {
        json!({ "error": self.code.as_str(), "error_description": self.description })
    }

    /// The header `WWW-Authenticate` at the resource, where any error is a 401 (RFC 6750, section 3; RFC 9449, section 7.1).
    pub fn challenge(&self, dpop: bool) -> String {
        let scheme = if dpop { "DPoP" } else { "Bearer" };
        let algs = if dpop { ", algs=\"ES256 ES384 RS256 RS384 PS256 PS384\"" } else { "" };
        format!("{scheme} error=\"{}\", error_description=\"{}\"{algs}", self.code.as_str(), self.description)
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SmartError {
    /// It may not be: the answer says why.
    #[error(transparent)]
    Refused(#[from] OAuthError),
    /// The rows could not be read or written.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A row is not what this program writes.
    #[error("a row of the authorization server is damaged: check the store (`tacet check`)")]
    Damaged,
    /// A key could not be made or used.
    #[error("the server's signing key cannot be used: see the log and rotate the key")]
    SigningKey,
    /// There is no such client, or it is not in the state that this asks for.
    #[error("there is no such client in that state: list the clients and their states")]
    NoSuchClient,
    /// Who asked for a client may not approve it.
    #[error("who registered a client may not approve it: let another person do it")]
    SamePerson,
    /// Something given is over its bound or not well-formed.
    #[error("{0}")]
    Invalid(&'static str),
}

impl SmartError {
    /// A refusal.
    pub(crate) fn refuse(code: ErrorCode, description: &'static str) -> Self {
        Self::Refused(OAuthError::new(code, description))
    }

    /// The code of the refusal, where it is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            _ => None,
        }
    }
}
