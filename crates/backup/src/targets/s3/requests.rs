//! Requests that `object_store` has no call for: versions, locks, and listings that a stranger's odd name cannot break. They are signed by its signer
//! and go over the same link.

use super::text::{self, Page};
use super::{Access, settings_error};
use crate::target::TargetError;
use crate::targets::frames::cleaned;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpErrorKind, HttpRequest, HttpRequestBody};
use std::time::Duration;
use tacet_types::Timestamp;
use url::Url;

/// How often a request is made at most.
const TRIES: u32 = 4;

/// How long is waited before the second try; each further one waits twice as long.
const WAIT: Duration = Duration::from_millis(250);

/// Objects in a page of a listing.
const PAGE: &str = "1000";

/// Pages through which the first version of one name is looked for. Whoever can write could pile versions on a name; this many make an error.
const VERSION_PAGES_MAX: usize = 200;

/// What the store says of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) bytes: u64,
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) locked_until: Option<Timestamp>,
}

impl Access {
    /// What the store says of an object; none where there is none.
    pub(super) async fn head(&self, key: &str, version: Option<&str>) -> Result<Option<Head>, TargetError> {
        let mut url = self.url(key)?;
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("versionId", version);
        }
        let ask = [(HeaderName::from_static("x-amz-checksum-mode"), HeaderValue::from_static("ENABLED"))];
        let (status, headers, body) = self.ask(Method::HEAD, &url, &ask, Bytes::new()).await?;
        match status {
            StatusCode::OK => Ok(Some(head_of(&headers))),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(refusal(other, &body)),
        }
    }

    /// Lengthens the lock of one version.
    pub(super) async fn retain(&self, key: &str, version: Option<&str>, until: &str) -> Result<(), TargetError> {
        let mut url = self.url(key)?;
        url.query_pairs_mut().append_pair("retention", "");
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("versionId", version);
        }
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        let sum = BASE64_STANDARD.encode(digest(&SHA256, body.as_bytes()));
        let sum = HeaderValue::from_str(&sum).map_err(|_| settings_error("no header can hold a checksum"))?;
        let (status, _, body) = self
            .ask(Method::PUT, &url, &[(HeaderName::from_static("x-amz-checksum-sha256"), sum)], body.into())
            .await?;
        if status.is_success() { Ok(()) } else { Err(refusal(status, &body)) }
    }

    /// One page of the objects whose keys begin with `prefix`.
    pub(super) async fn objects(&self, prefix: &str, after: Option<&str>) -> Result<Page, TargetError> {
        let mut url = self.root()?;
        url.query_pairs_mut().append_pair("list-type", "2").append_pair("max-keys", PAGE).append_pair("prefix", prefix);
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("continuation-token", after);
        }
        self.page(&url).await
    }

    /// One page of the versions of the objects whose keys begin with `prefix`.
    pub(super) async fn versions(&self, prefix: &str, after: Option<(&str, &str)>) -> Result<Page, TargetError> {
        let mut url = self.root()?;
        url.query_pairs_mut().append_pair("versions", "").append_pair("max-keys", PAGE).append_pair("prefix", prefix);
        if let Some((key, version)) = after {
            url.query_pairs_mut().append_pair("key-marker", key);
            if !version.is_empty() {
                url.query_pairs_mut().append_pair("version-id-marker", version);
            }
        }
        self.page(&url).await
    }

    /// Every version of exactly one key, the newest first, delete markers too.
    pub(super) async fn versions_of(&self, key: &str) -> Result<Vec<text::Entry>, TargetError> {
        let mut found = Vec::new();
        let mut after: Option<(String, String)> = None;
        for _ in 0..VERSION_PAGES_MAX {
            let marker = after.as_ref().map(|(key, version)| (key.as_str(), version.as_str()));
            let page = self.versions(key, marker).await?;
            // Keys that only begin with this one come after it.
            let past = page.entries.iter().any(|entry| entry.key != key);
            found.extend(page.entries.into_iter().filter(|entry| entry.key == key));
            match (page.next, past) {
                (Some(next), false) => after = Some(next),
                _ => return Ok(found),
            }
        }
        Err(TargetError::Refused(format!(
            "the object `{}` has too many versions: somebody who can write to the bucket piled them up",
            cleaned(key)
        )))
    }

    /// Removes an object, or one version of it.
    pub(super) async fn remove(&self, key: &str, version: Option<&str>) -> Result<(), TargetError> {
        let mut url = self.url(key)?;
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("versionId", version);
        }
        let (status, _, body) = self.ask(Method::DELETE, &url, &[], Bytes::new()).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => Ok(()),
            other => Err(refusal(other, &body)),
        }
    }

    async fn page(&self, url: &Url) -> Result<Page, TargetError> {
        let (status, _, body) = self.ask(Method::GET, url, &[], Bytes::new()).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        text::page(&body).ok_or_else(|| TargetError::Unavailable("the store's listing cannot be read".to_owned()))
    }

    fn root(&self) -> Result<Url, TargetError> {
        Url::parse(&self.url).map_err(|_| settings_error("the endpoint and the bucket make no URL"))
    }

    fn url(&self, key: &str) -> Result<Url, TargetError> {
        Url::parse(&format!("{}/{key}", self.url)).map_err(|_| settings_error("an object's name makes no URL"))
    }

    /// Signs and sends a request, again where that can help. All of them can be repeated without harm.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), TargetError> {
        let mut wait = WAIT;
        for attempt in 1..=TRIES {
            if attempt > 1 {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            let last = attempt == TRIES;
            match self.once(method.clone(), url, headers, body.clone()).await? {
                Ok((status, _, _))
                    if !last && (status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) => {}
                Ok(answer) => return Ok(answer),
                Err((HttpErrorKind::Decode | HttpErrorKind::Unknown, why)) => {
                    return Err(TargetError::Unavailable(why));
                }
                Err((_, why)) if last => return Err(TargetError::Unavailable(why)),
                Err(_) => {}
            }
        }
        Err(TargetError::Unavailable("the store does not answer".to_owned()))
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Result<(StatusCode, HeaderMap, Bytes), (HttpErrorKind, String)>, TargetError> {
        let wrong = |_| settings_error("a request cannot be made from these settings");
        let length = body.len();
        let mut request: HttpRequest = hyper::Request::builder()
            .method(method)
            .uri(url.as_str())
            .body(HttpRequestBody::from(body))
            .map_err(wrong)?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        if length > 0 {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        AwsAuthorizer::new(&self.credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|_| settings_error("a request cannot be signed with this credential"))?;
        let answer = match self.link.send(request).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err((error.kind(), unreachable(&error)))),
        };
        let (head, body) = answer.into_parts();
        match body.bytes().await {
            Ok(body) => Ok(Ok((head.status, head.headers, body))),
            Err(error) => Ok(Err((error.kind(), unreachable(&error)))),
        }
    }
}

/// Why no answer came.
pub(super) fn unreachable(error: &dyn std::error::Error) -> String {
    format!("the store cannot be reached: {}", cleaned(&error.to_string()))
}

/// What an answer means that is not the one hoped for.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> TargetError {
    let code = text::code(body).unwrap_or_default();
    let said = format!("the store answered {} {}", status.as_u16(), cleaned(&code));
    match (status, code.as_str()) {
        (_, "NoSuchBucket") => settings_error("the store has no such bucket: make it first"),
        (_, "SignatureDoesNotMatch" | "InvalidAccessKeyId") => {
            TargetError::Refused(format!("{said}: the credential is wrong, or of another store"))
        }
        (_, "RequestTimeTooSkewed") => {
            TargetError::Refused(format!("{said}: the clocks of the two differ, set this one"))
        }
        (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => {
            settings_error("the bucket is in another region: set `region`")
        }
        (StatusCode::BAD_REQUEST, "InvalidRequest") => settings_error(
            "the store does not take an object lock: make the bucket with object lock, or set `lock = \"none\"`",
        ),
        (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED, _) => TargetError::Refused(said),
        _ => TargetError::Unavailable(said),
    }
}

fn head_of(headers: &HeaderMap) -> Head {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let sha256 = text("x-amz-checksum-sha256")
        .and_then(|sum| BASE64_STANDARD.decode(sum).ok())
        .and_then(|sum| <[u8; 32]>::try_from(sum).ok());
    let locked_until = text("x-amz-object-lock-retain-until-date")
        .filter(|_| text("x-amz-object-lock-mode") == Some("COMPLIANCE"))
        .and_then(|until| Timestamp::parse(until).ok());
    let bytes = text("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    Head { bytes, sha256, locked_until }
}
