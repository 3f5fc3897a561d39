//! Apps that run in a browser, from another site: what their scripts may ask for (CORS).
//!
//! SMART App Launch demands it for apps without a server of their own. They show a token in a header, which no browser sends by itself: so any
//! site may ask, and learns what the token opens and nothing more. Never for what goes by the session's cookie.

use crate::routes::{Action, Route};
use hyper::Method;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN,
};

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

/// Whether scripts of other sites may ask for this path: FHIR, discovery, tokens. Not the pages, nor what people administer.
pub(crate) fn may_ask(lines: &[&Route]) -> bool {
    !lines.is_empty()
        && lines.iter().all(|line| match line.action {
            Action::Auth(action) => matches!(
                action,
                AuthAction::SmartConfiguration
                    | AuthAction::OauthMetadata
                    | AuthAction::OpenidConfiguration
                    | AuthAction::Jwks
                    | AuthAction::Token
                    | AuthAction::Revoke
                    | AuthAction::Introspect
                    | AuthAction::Register
            ),
            Action::Admin(_) | Action::Metrics | Action::IndexStatus | Action::IndexRebuild => false,
            _ => true,
        })
}

/// Whether a browser asks if a script may ask.
pub(crate) fn is_asked_first(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What an answer to a script says.
pub(crate) fn say(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN_HEADERS);
}

/// What is said where a browser asks first.
pub(crate) fn say_first(headers: &mut HeaderMap, allow: &HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, ASKED_S);
}
