//! An answer before it takes its form on the wire.

use crate::error::{etag, http_date};
use crate::negotiate::Form;
use crate::pretty;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
    LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use tacet_types::{OperationId, RecordRef, Timestamp, VersionId};
use zeroize::Zeroizing;

/// The operation id, by which the log and the ledger find this request again.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Content,
}

enum Content {
    None,
    Fhir(Bytes),
    Text(HeaderValue, Bytes),
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::with_capacity(12), body: Content::None }
    }

    /// A FHIR resource.
    pub(crate) fn fhir(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { body: Content::Fhir(body.into()), ..Self::empty(status) }
    }

    /// A FHIR resource with personal data: its memory is wiped once it is sent. Not copied.
    pub(crate) fn record(status: StatusCode, body: Zeroizing<Vec<u8>>) -> Self {
        Self::fhir(status, Bytes::from_owner(body))
    }

    /// Something that is not FHIR.
    pub(crate) fn text(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { body: Content::Text(kind, body.into()), ..Self::empty(status) }
    }

    /// Names the version of the record that it is about.
    pub(crate) fn etag(mut self, version: VersionId) -> Self {
        self.headers.insert(ETAG, etag(version));
        self
    }

    /// Names the version, and says when it was stored.
    pub(crate) fn version(mut self, record: &RecordRef, last_updated: Timestamp) -> Self {
        self.headers.insert(LAST_MODIFIED, http_date(last_updated));
        self.etag(record.version)
    }

    /// Says where the version is found that was made: `[base]/[type]/[id]/_history/[version]`.
    pub(crate) fn location(mut self, base_url: &str, record: &RecordRef) -> Self {
        let RecordRef { resource_type, id, version } = record;
        let url = format!("{base_url}/{resource_type}/{}/_history/{version}", id.as_str());
        if let Ok(url) = HeaderValue::try_from(url) {
            self.headers.insert(LOCATION, url);
        }
        self
    }

    /// The answer on the wire.
    pub(crate) fn into_response(self, form: Form, operation: &OperationId) -> Response {
        let Self { status, headers, body } = self;
        let (kind, bytes) = match body {
            Content::None => (None, Bytes::new()),
            Content::Fhir(bytes) => {
                // What is too long for a person to read is sent as it is.
                let lines = if form.pretty { pretty::format(&bytes) } else { None };
                (Some(form.content_type()), lines.unwrap_or(bytes))
            }
            Content::Text(kind, bytes) => (Some(kind), bytes),
        };
        response(status, headers, kind, bytes, operation)
    }
}

/// Puts on what every answer wears: nothing is kept by caches, guessed by browsers or run by them.
pub(crate) fn response(
    status: StatusCode,
    headers: HeaderMap,
    kind: Option<HeaderValue>,
    bytes: Bytes,
    operation: &OperationId,
) -> Response {
    let mut response = Response::new(if bytes.is_empty() { Body::empty() } else { Body::from(bytes) });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let headers = response.headers_mut();
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, kind);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if let Ok(operation) = HeaderValue::try_from(operation.to_string()) {
        headers.insert(REQUEST_ID, operation);
    }
    response
}
