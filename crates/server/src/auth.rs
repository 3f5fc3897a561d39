//! Login, sessions, and the authorization server over HTTP.

mod apps;
pub(crate) mod browsers;
pub(crate) mod cookies;
mod elsewhere;
mod login;
pub(crate) mod outgoing;
mod pages;
pub(crate) mod rates;
mod words;

use self::rates::Kind;
use self::words::Words;
use crate::access::{self, Who};
use crate::app::App;
use crate::connection::Peer;
use crate::error::ApiError;
use crate::lockout::Source;
use crate::people::People;
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use tacet_identity::Connection;
use tacet_smart::Asked;
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
pub(crate) async fn answer<S: RecordService>(action: AuthAction, call: AuthCall<'_, S>) -> Result<Reply, ApiError> {
    call.within_rate(action)?;
    if comes_from_a_page(action) && !access::is_from_here(call.people, call.parts) {
        return Err(ApiError::other_site());
    }
    let smart = &call.people.smart;
    let reply = match action {
        AuthAction::SmartConfiguration => call.discovery(&smart.smart_configuration()),
        AuthAction::OauthMetadata => call.discovery(&smart.oauth_metadata()),
        AuthAction::OpenidConfiguration => call.discovery(&smart.openid_configuration()),
        AuthAction::Jwks => call.discovery(&smart.jwks()),
        AuthAction::Authorize => call.authorize().await?,
        AuthAction::Consent => call.consent().await?,
        AuthAction::Token => call.token().await?,
        AuthAction::Introspect => call.introspect().await?,
        AuthAction::Revoke => call.revoke().await?,
        AuthAction::Register => call.register().await?,
        AuthAction::LoginPage => call.login_page()?,
        AuthAction::EnrolPage => pages::enrol(Words::of(&call.parts.headers), &call.people.prefix),
        AuthAction::File => file(call.parts.uri.path())?,
        AuthAction::LoginStart => call.login_start()?,
        AuthAction::LoginFinish => call.login_finish().await?,
        AuthAction::EnrolStart => call.enrol_start().await?,
        AuthAction::EnrolFinish => call.enrol_finish().await?,
        AuthAction::StepUpStart => call.step_up_start()?,
        AuthAction::StepUpFinish => call.step_up_finish().await?,
        AuthAction::Logout => call.logout().await?,
        AuthAction::Session => call.who_am_i()?,
        AuthAction::ForeignStart => call.foreign_start().await?,
        AuthAction::ForeignCallback => call.foreign_callback().await?,
        AuthAction::Launch => call.launch().await?,
    };
    // Pages have said theirs; nothing else names where it comes from.
    Ok(reply.header_unless(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
}

/// What only our own pages ask for, whether or not somebody is logged in: another site must begin nothing in a person's browser.
fn comes_from_a_page(action: AuthAction) -> bool {
    matches!(
        action,
        AuthAction::LoginStart
            | AuthAction::LoginFinish
            | AuthAction::EnrolStart
            | AuthAction::EnrolFinish
            | AuthAction::ForeignStart
    )
}

impl<S: RecordService> AuthCall<'_, S> {
    fn within_rate(&self, action: AuthAction) -> Result<(), ApiError> {
        let kind = match action {
            AuthAction::Register => Kind::Registration,
            AuthAction::ForeignStart => Kind::Elsewhere,
            _ => Kind::Visit,
        };
        let source = Source::of(self.peer.address().ip());
        match self.people.rates.over_s(source, kind, self.app.clock.now()) {
            Some(left_s) => Err(ApiError::too_often(left_s)),
            None => Ok(()),
        }
    }

    fn asked(&self) -> Asked {
        Asked { origin: access::origin(self.peer), operation: self.operation }
    }

    fn query(&self) -> Result<Query, ApiError> {
        Query::parse(self.parts.uri.query())
    }

    /// The body as JSON. What is wrong with it is not repeated: it may hold codes.
    fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let kind = self.parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(ApiError::invalid("the body must be JSON (`Content-Type: application/json`)"));
        }
        serde_json::from_slice(&self.body).map_err(|_| ApiError::invalid("the body is not the JSON that this asks for"))
    }
}

/// JSON that is no resource.
pub(crate) fn json(status: StatusCode, value: &Value) -> Reply {
    Reply::text(status, HeaderValue::from_static("application/json"), value.to_string())
}

/// Sends the browser elsewhere, with a GET whatever this was.
fn see_other(url: &str) -> Result<Reply, ApiError> {
    let url = HeaderValue::try_from(url).map_err(|_| ApiError::internal("an address could not be written"))?;
    Ok(Reply::empty(StatusCode::SEE_OTHER).header(LOCATION, url))
}

fn file(path: &str) -> Result<Reply, ApiError> {
    let (kind, text) = match path.rsplit('/').next() {
        Some("pages.js") => ("text/javascript; charset=utf-8", pages::SCRIPT),
        Some("consent.js") => ("text/javascript; charset=utf-8", pages::CONSENT_SCRIPT),
        Some("pages.css") => ("text/css; charset=utf-8", pages::STYLE),
        _ => return Err(ApiError::not_found()),
    };
    Ok(Reply::text(StatusCode::OK, HeaderValue::from_static(kind), text))
}
