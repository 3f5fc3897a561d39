//! An answer before it takes its form on the wire.

use crate::content::{self, GZIP_BYTES_MIN};
use crate::error::{ApiError, etag, http_date};
use crate::negotiate::Form;
use crate::pretty;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    LAST_MODIFIED, LOCATION, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use std::pin::Pin;
use std::task::{Context, Poll};
use tacet_types::{OperationId, RecordRef, Timestamp, VersionId};
use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

/// Longest resource that is put into its form where connections are served too, in bytes.
const INLINE_BYTES_MAX: usize = 64 * 1024;

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
    Stream(HeaderValue, Receiver<std::io::Result<Bytes>>),
}

/// Pieces that are sent as they come.
struct Pieces(Receiver<std::io::Result<Bytes>>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
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

    /// A refusal, with an OperationOutcome in JSON.
    pub(crate) fn refusal((status, headers, outcome): (StatusCode, HeaderMap, Vec<u8>)) -> Self {
        Self { status, headers, body: Content::Fhir(outcome.into()) }
    }

    /// Something that is not FHIR.
    pub(crate) fn text(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { body: Content::Text(kind, body.into()), ..Self::empty(status) }
    }

    /// What comes piece by piece. A piece that is an error breaks the answer off, which the client sees.
    pub(crate) fn stream(status: StatusCode, kind: HeaderValue, pieces: Receiver<std::io::Result<Bytes>>) -> Self {
        Self { body: Content::Stream(kind, pieces), ..Self::empty(status) }
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

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds a header where there is none of its name.
    pub(crate) fn header_unless(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.entry(name).or_insert(value);
        self
    }

    /// Sets a cookie, beside others.
    pub(crate) fn cookie(mut self, value: HeaderValue) -> Self {
        self.headers.append(SET_COOKIE, value);
        self
    }

    /// The answer on the wire. What is long is put into its form on a thread that may block.
    pub(crate) async fn into_response(self, form: Form, operation: &OperationId) -> Response {
        let Self { status, mut headers, body } = self;
        let shaped = match body {
            Content::None => Ok((None, Bytes::new(), false)),
            Content::Fhir(bytes) if bytes.len() <= INLINE_BYTES_MAX => fhir(bytes, form),
            Content::Fhir(bytes) => spawn_blocking(move || fhir(bytes, form))
                .await
                .unwrap_or_else(|_| Err(ApiError::internal("writing an answer ended in a panic"))),
            Content::Text(kind, bytes) => Ok((Some(kind), bytes, false)),
            Content::Stream(kind, pieces) => {
                headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
                let mut answer = response(status, headers, Some(kind), Bytes::new(), operation);
                *answer.body_mut() = Body::new(Pieces(pieces));
                return answer;
            }
        };
        let (kind, bytes, packed) = match shaped {
            Ok(shaped) => shaped,
            Err(error) => {
                if let Some(internal) = error.internal_face() {
                    tracing::error!(operation = %operation, error = internal, "an answer could not be written");
                }
                let (status, headers, body) = error.public_face(operation);
                let kind = Some(Form::DEFAULT.content_type());
                return response(status, headers, kind, body.into(), operation);
            }
        };
        if packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        response(status, headers, kind, bytes, operation)
    }
}

/// A resource in the form that was asked for, and whether it is packed.
fn fhir(bytes: Bytes, form: Form) -> Result<(Option<HeaderValue>, Bytes, bool), ApiError> {
    let written = if form.is_xml() {
        content::to_xml(&bytes)?
    } else if form.pretty {
        // What is too long for a person to read is sent as it is.
        pretty::format(&bytes).unwrap_or(bytes)
    } else {
        bytes
    };
    let packed = form.gzip && written.len() >= GZIP_BYTES_MIN;
    let written = if packed { content::packed(&written) } else { written };
    Ok((Some(form.content_type()), written, packed))
}

/// Puts on what every answer wears: nothing is kept by caches unless the answer says otherwise, guessed by browsers or run by them.
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
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    if let Ok(operation) = HeaderValue::try_from(operation.to_string()) {
        headers.insert(REQUEST_ID, operation);
    }
    response
}
