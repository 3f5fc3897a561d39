//! Apps that run in a browser, from another site: what their scripts may ask for (CORS).
//!
//! As SMART App Launch 2.2 has it: anybody's script may ask what there is; for tokens and records only those from the sites of apps that were let
//! in. They show a token in a header, which no browser sends by itself, and what goes by the session's cookie is never theirs.

use crate::app::App;
use crate::routes::{Action, Route};
use hyper::Method;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use std::sync::{Mutex, PoisonError};
use tacet_smart::{AuthorizationServer, Sites};
use tacet_types::Timestamp;

use super::AuthAction;

/// How long a browser need not ask again whether it may ask, in seconds.
const ASKED_S: HeaderValue = HeaderValue::from_static("600");

const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, accept, dpop, if-match, if-none-match, if-none-exist, if-modified-since, prefer, \
     x-purpose-of-use",
);

const SHOWN_HEADERS: HeaderValue = HeaderValue::from_static(
    "location, content-location, etag, last-modified, retry-after, x-request-id, dpop-nonce, www-authenticate",
);

/// How long the sites of apps are kept before they are looked up again, in milliseconds. Who asks from a site that was ended meanwhile has no token
/// that works.
const KEPT_MS: i64 = 2_000;

/// The sites of apps in use, as they were a moment ago.
#[derive(Default)]
pub(crate) struct KnownSites(Mutex<Option<(Timestamp, Sites)>>);

impl KnownSites {
    fn has(&self, smart: &AuthorizationServer, origin: &str, now: Timestamp) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |(at, _): &&(Timestamp, Sites)| (0..KEPT_MS).contains(&now.as_ms().saturating_sub(at.as_ms()));
        if known.as_ref().filter(fresh).is_none() {
            match smart.sites() {
                Ok(sites) => *known = Some((now, sites)),
                Err(error) => {
                    tracing::error!(%error, "the sites of apps could not be read");
                    return false;
                }
            }
        }
        known.as_ref().is_some_and(|(_, sites)| sites.has(origin))
    }
}

/// Whose scripts may ask for a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scripts {
    /// Nobody's: the pages, and what people administer.
    None,
    /// Those of apps that were let in.
    OfApps,
    /// Anybody's: what is to be found out first.
    All,
}

fn scripts(action: Action) -> Scripts {
    match action {
        Action::Metadata
        | Action::Auth(
            AuthAction::SmartConfiguration
            | AuthAction::OauthMetadata
            | AuthAction::OpenidConfiguration
            | AuthAction::Jwks,
        ) => Scripts::All,
        Action::Auth(AuthAction::Token | AuthAction::Revoke | AuthAction::Introspect) => Scripts::OfApps,
        Action::Auth(_) | Action::Admin(_) | Action::Metrics | Action::IndexStatus | Action::IndexRebuild => {
            Scripts::None
        }
        _ => Scripts::OfApps,
    }
}

/// What the answer to a request says of scripts: the value of `Access-Control-Allow-Origin`, where there is one.
pub(crate) fn may_ask<S>(app: &App<S>, lines: &[&Route], headers: &HeaderMap) -> Option<HeaderValue> {
    // Apps in browsers are served where apps are.
    let people = app.people.as_ref()?;
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none())?;
    let all = |wanted: Scripts| !lines.is_empty() && lines.iter().all(|line| scripts(line.action) == wanted);
    if all(Scripts::All) {
        return Some(HeaderValue::from_static("*"));
    }
    let known = all(Scripts::OfApps) && people.sites.has(&people.smart, origin.to_str().ok()?, app.clock.now());
    known.then(|| origin.clone())
}

/// Whether a browser asks if a script may ask.
pub(crate) fn is_asked_first(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What an answer to a script says.
pub(crate) fn say(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN_HEADERS);
}

/// What is said where a browser asks first.
pub(crate) fn say_first(headers: &mut HeaderMap, origin: HeaderValue, allow: &HeaderValue) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, ASKED_S);
}
