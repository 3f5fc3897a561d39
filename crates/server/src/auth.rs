//! Login, sessions, and the authorization server over HTTP.

pub(crate) mod cookies;
pub(crate) mod outgoing;

use crate::access::Who;
use crate::app::App;
use crate::connection::Peer;
use crate::error::ApiError;
use crate::people::People;
use crate::reply::Reply;
use crate::service::RecordService;
use bytes::Bytes;
use hyper::http::request::Parts;
use std::sync::Arc;
use tacet_identity::Connection;
use tacet_types::OperationId;

/// What a route of login or of the authorization server does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthAction {
    /// What apps find out first (SMART App Launch).
    SmartConfiguration,
    /// RFC 8414.
    OauthMetadata,
    /// OpenID Connect Discovery.
    OpenidConfiguration,
    /// The public keys of id tokens.
    Jwks,
    /// A person comes with what an app asks for.
    Authorize,
    /// The person decides.
    Consent,
    /// A code, a refresh token or an assertion becomes a token.
    Token,
    /// What a token is.
    Introspect,
    /// A client gives a token back.
    Revoke,
    /// An app asks to be let in.
    Register,
    /// The page of login.
    LoginPage,
    /// The page of enrolment.
    EnrolPage,
    /// A script or a stylesheet of the pages.
    File,
    /// Begins a login.
    LoginStart,
    /// Finishes one.
    LoginFinish,
    /// Begins an enrolment.
    EnrolStart,
    /// Finishes one.
    EnrolFinish,
    /// Begins to show the passkey again.
    StepUpStart,
    /// Finishes it.
    StepUpFinish,
    /// Ends the session.
    Logout,
    /// Who has the session.
    Session,
    /// Begins a login at another provider.
    ForeignStart,
    /// Comes back from there.
    ForeignCallback,
    /// Makes a launch for an app.
    Launch,
}

/// A request of login or of an app.
pub(crate) struct AuthCall<'a, S> {
    pub(crate) app: &'a Arc<App<S>>,
    pub(crate) people: &'a Arc<People>,
    /// Whoever is known: always where the route asks for a right, perhaps where it is open to visitors.
    pub(crate) who: Option<&'a Who>,
    pub(crate) connection: &'a Connection,
    pub(crate) peer: &'a Peer,
    pub(crate) operation: OperationId,
    pub(crate) parts: &'a Parts,
    pub(crate) body: Bytes,
}

/// Longest body of these requests, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Answers a route of login or of the authorization server.
pub(crate) async fn answer<S: RecordService>(_action: AuthAction, _call: AuthCall<'_, S>) -> Result<Reply, ApiError> {
    Err(ApiError::not_found())
}
