//! A bucket of an S3-compatible object store as a target, by `object_store` for what it can do and by signed requests of our own for what it cannot: locks,
//! versions, and listings that hold names which it refuses to read (docs/adr/0020-object-store.md).
//!
//! Objects are put with `If-None-Match: *`, so that none is written over. With [`Lock::Compliance`] each is locked until it need not be kept any more, and
//! the bucket keeps versions: reading and listing then go by the **first** version of a name, the one that we wrote. A later one on top of it, or a
//! marker that says that it was deleted, is what somebody else with the credential could do, and changes nothing.

mod attempts;
mod credentials;
mod link;
mod requests;
mod text;

use super::OBJECT_BYTES_MAX;
use super::frames::cleaned;
use super::settings::{Lock, S3Settings};
use crate::target::{Listed, ObjectName, Prunable, Put, Target, TargetError};
pub use attempts::Attempt;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use link::Link;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential, Checksum, S3ConditionalPut};
use object_store::path::Path as StorePath;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectStore, PutMode, PutOptions, PutPayload, RetryConfig,
    StaticCredentialProvider,
};
use std::collections::HashMap;
use std::future::Future;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tacet_types::Timestamp;
use tokio::runtime::Runtime;
use url::Url;

/// How often `object_store` tries again.
const RETRIES: usize = 3;

/// How long it goes on trying.
const RETRY: Duration = Duration::from_secs(120);

/// How long one call may take in all, beside its bytes.
const CALL: Duration = Duration::from_secs(600);

/// First versions that are remembered, so that ranged reads of one object ask once.
const VERSIONS_MAX: usize = 100_000;

/// Longest prefix in bytes. A key of S3 has up to 1,024, a name of ours 200.
const PREFIX_BYTES_MAX: usize = 500;

/// A bucket. Its connections live on a thread of its own.
pub struct S3 {
    bucket: Arc<Bucket>,
    /// None only while it is being dropped.
    runtime: Option<Runtime>,
}

/// How requests come to the bucket.
struct Access {
    /// Where the bucket is: endpoint and bucket, without a slash at the end.
    url: String,
    name: String,
    region: String,
    credential: AwsCredential,
    link: Link,
}

/// What answers calls.
struct Bucket {
    access: Access,
    /// Empty, or with a slash at its end.
    prefix: String,
    lock: Lock,
    plain: AmazonS3,
    /// Whether the store has said of an object of ours that it is locked.
    lock_seen: AtomicBool,
    first_versions: Mutex<HashMap<String, String>>,
}

/// An object that is there.
struct There {
    version: Option<String>,
    head: requests::Head,
}

impl S3 {
    /// The bucket of these settings. It is not asked for anything yet.
    ///
    /// # Errors
    /// [`TargetError::Settings`] where they cannot be right, or a file that they name cannot be read.
    pub fn new(settings: &S3Settings) -> Result<Self, TargetError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("backup-s3")
            .enable_all()
            .build()
            .map_err(|error| TargetError::Unavailable(format!("no thread for the object store: {error}")))?;
        Ok(Self { bucket: Arc::new(Bucket::new(settings)?), runtime: Some(runtime) })
    }

    /// Runs something on the bucket's thread and waits for it, whatever thread this is.
    fn run<T, F>(&self, bytes: u64, act: impl FnOnce(Arc<Bucket>) -> F) -> Result<T, TargetError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, TargetError>> + Send + 'static,
    {
        let gone = || TargetError::Unavailable("the thread of the object store has ended".to_owned());
        let act = act(Arc::clone(&self.bucket));
        let (tell, told) = mpsc::sync_channel(1);
        let most = CALL + Duration::from_secs(bytes / (64 * 1024));
        self.runtime.as_ref().ok_or_else(gone)?.spawn(async move {
            let done = tokio::time::timeout(most, act).await;
            let late = || Err(TargetError::Unavailable("the store took too long".to_owned()));
            let _ = tell.send(done.unwrap_or_else(|_| late()));
        });
        told.recv().map_err(|_| gone())?
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // Waiting for its threads would be refused on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Target for S3 {
    fn put_new(&self, name: &ObjectName, bytes: &[u8], keep_until: Option<Timestamp>) -> Result<Put, TargetError> {
        let length = bytes.len() as u64;
        if length > OBJECT_BYTES_MAX {
            return Err(super::too_large(length));
        }
        let (name, bytes) = (name.clone(), Bytes::copy_from_slice(bytes));
        self.run(length, |bucket| async move { bucket.put_new(&name, bytes, keep_until).await })
    }

    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Vec<u8>, TargetError> {
        let name = name.clone();
        let most = range.as_ref().map_or(OBJECT_BYTES_MAX, |range| range.end.saturating_sub(range.start));
        self.run(most.min(OBJECT_BYTES_MAX), |bucket| async move { bucket.read(&name, range).await })
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<(), TargetError> {
        if !super::frames::is_prefix(prefix) {
            return Ok(());
        }
        let mut after: Option<(String, String)> = None;
        let mut last: Option<ObjectName> = None;
        // With versions the first one of a name comes last of its name: it is shown once the next name begins.
        let mut pending: Option<Listed> = None;
        loop {
            let (wanted, from) = (prefix.to_owned(), after.clone());
            let page = self.run(0, |bucket| async move { bucket.page(&wanted, from).await })?;
            for entry in page.entries {
                let name = entry.key.strip_prefix(&self.bucket.prefix).and_then(ObjectName::parse);
                // Names that none of ours can have are passed over: they must not keep a restore from working.
                let Some(name) = name.filter(|name| name.as_str().starts_with(prefix)) else { continue };
                if pending.as_ref().is_some_and(|pending| pending.name != name)
                    && let Some(complete) = pending.take()
                    && show(complete, &mut last, visit)?.is_break()
                {
                    return Ok(());
                }
                if !entry.marker {
                    pending = Some(Listed { name, bytes: entry.bytes });
                }
            }
            match page.next {
                Some(next) if after.as_ref() == Some(&next) => {
                    return Err(TargetError::Unavailable("the store's listing does not get on".to_owned()));
                }
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if let Some(complete) = pending {
            let _ = show(complete, &mut last, visit)?;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let lock = match self.bucket.lock {
            Lock::None => "",
            Lock::Compliance => ", objects locked",
        };
        format!("S3 {}/{}{lock}", self.bucket.access.url, self.bucket.prefix)
    }
}

impl Prunable for S3 {
    fn remove(&self, name: &ObjectName) -> Result<(), TargetError> {
        let name = name.clone();
        self.run(0, |bucket| async move { bucket.remove_all(&name).await })
    }
}

/// Shows an object, if it comes after the last one that was shown.
fn show(
    listed: Listed,
    last: &mut Option<ObjectName>,
    visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, TargetError> {
    if last.as_ref().is_some_and(|last| *last >= listed.name) {
        return Err(TargetError::Unavailable("the store's listing is out of order".to_owned()));
    }
    *last = Some(listed.name.clone());
    Ok(visit(listed))
}

impl Access {
    /// A client of `object_store`; with an instant, one whose objects are locked until then. Headers are all that it lets be said about locks, and those of
    /// a client are signed with each request.
    fn store(&self, locked_until: Option<&str>) -> Result<AmazonS3, TargetError> {
        let mut headers = HeaderMap::new();
        if let Some(until) = locked_until {
            let until = HeaderValue::from_str(until).map_err(|_| settings_error("no header can hold the instant"))?;
            headers.insert(HeaderName::from_static("x-amz-object-lock-mode"), HeaderValue::from_static("COMPLIANCE"));
            headers.insert(HeaderName::from_static("x-amz-object-lock-retain-until-date"), until);
            // Locks ask for a checksum, and some stores for it to be announced.
            headers.insert(HeaderName::from_static("x-amz-sdk-checksum-algorithm"), HeaderValue::from_static("SHA256"));
        }
        // Whether the bucket stands in the host makes no difference to it: it is given the whole URL of the bucket.
        AmazonS3Builder::new()
            .with_virtual_hosted_style_request(true)
            .with_endpoint(&self.url)
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_credentials(Arc::new(StaticCredentialProvider::new(AwsCredential {
                key_id: self.credential.key_id.clone(),
                secret_key: self.credential.secret_key.clone(),
                token: self.credential.token.clone(),
            })))
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_client_options(ClientOptions::new().with_allow_http(true).with_default_headers(headers))
            .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: RETRY, ..RetryConfig::default() })
            .with_http_connector(self.link.clone())
            .build()
            .map_err(|error| settings_error(&cleaned(&error.to_string())))
    }
}

impl Bucket {
    fn new(settings: &S3Settings) -> Result<Self, TargetError> {
        let endpoint = Url::parse(&settings.endpoint)
            .ok()
            .filter(|url| url.host_str().is_some() && url.username().is_empty() && url.password().is_none())
            .filter(|url| matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none())
            .ok_or_else(|| {
                settings_error("`endpoint` is a URL such as https://s3.example.org, with nothing behind the host")
            })?;
        let name = &settings.bucket;
        let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        if !(3..=63).contains(&name.len()) || !name.bytes().all(good) || name.starts_with('.') {
            return Err(settings_error("`bucket` has 3 to 63 letters of a-z, 0-9, `-` and `.`"));
        }
        let prefix = match settings.prefix.as_str() {
            "" => String::new(),
            prefix if prefix.len() <= PREFIX_BYTES_MAX && ObjectName::parse(prefix).is_some() => format!("{prefix}/"),
            _ => return Err(settings_error("`prefix` has parts of a-z, 0-9, `-` and `.` joined by `/`")),
        };
        let mut base = endpoint;
        if settings.path_style {
            base.set_path(name);
        } else {
            let host = format!("{name}.{}", base.host_str().unwrap_or_default());
            base.set_host(Some(&host)).map_err(|_| settings_error("`bucket` and the endpoint's host make no name"))?;
        }
        let url = base.as_str().trim_end_matches('/').to_owned();
        let link = Link::new(&base, settings.roots.as_deref())?;
        let credential = credentials::read(&settings.credentials)?;
        let access = Access { url, name: name.clone(), region: settings.region.clone(), credential, link };
        let plain = access.store(None)?;
        let (lock_seen, first_versions) = (AtomicBool::new(false), Mutex::default());
        Ok(Self { access, prefix, lock: settings.lock, plain, lock_seen, first_versions })
    }

    fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn put_new(
        &self,
        name: &ObjectName,
        bytes: Bytes,
        keep_until: Option<Timestamp>,
    ) -> Result<Put, TargetError> {
        let key = self.key(name);
        let until = keep_until.filter(|_| self.lock == Lock::Compliance).map(whole_second);
        let until_text = until.map(|until| until.to_string().replace(".000Z", "Z"));
        if let Some(there) = self.find(&key).await? {
            return self.compare(name, &key, &there, &bytes, until.zip(until_text.as_deref())).await;
        }
        let store = match &until_text {
            Some(until) => self.access.store(Some(until))?,
            None => self.plain.clone(),
        };
        let path = StorePath::parse(&key).map_err(|_| settings_error("an object's name makes no path"))?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options).await {
            Ok(_) => {
                if until.is_some() {
                    self.see_lock(&key).await?;
                }
                Ok(Put::Written)
            }
            // Another try of ours that was thought lost, or somebody else.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                match self.find(&key).await? {
                    Some(there) => self.compare(name, &key, &there, &bytes, until.zip(until_text.as_deref())).await,
                    None => {
                        Err(TargetError::Unavailable("the store says that an object is there, and has none".to_owned()))
                    }
                }
            }
            Err(error) => Err(told(name, &error)),
        }
    }

    /// The object of a key: with versions the first one.
    async fn find(&self, key: &str) -> Result<Option<There>, TargetError> {
        let version = match self.lock {
            Lock::None => None,
            Lock::Compliance => match self.first_version(key).await? {
                Some(version) => Some(version),
                None => return Ok(None),
            },
        };
        Ok(self.access.head(key, version.as_deref()).await?.map(|head| There { version, head }))
    }

    async fn first_version(&self, key: &str) -> Result<Option<String>, TargetError> {
        let known = self.first_versions.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let first =
            self.access.versions_of(key).await?.into_iter().rfind(|entry| !entry.marker).map(|entry| entry.version);
        if let Some(first) = &first {
            let mut known = self.first_versions.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= VERSIONS_MAX {
                known.clear();
            }
            known.insert(key.to_owned(), first.clone());
        }
        Ok(first)
    }

    async fn compare(
        &self,
        name: &ObjectName,
        key: &str,
        there: &There,
        bytes: &Bytes,
        until: Option<(Timestamp, &str)>,
    ) -> Result<Put, TargetError> {
        let same = there.head.bytes == bytes.len() as u64
            && match there.head.sha256 {
                Some(sum) => sum == digest(&SHA256, bytes).as_ref(),
                None => self.read(name, None).await? == *bytes,
            };
        if !same {
            return Err(TargetError::Different(name.clone()));
        }
        if let Some((until, text)) = until
            && there.head.locked_until.is_none_or(|locked| locked < until)
        {
            self.access.retain(key, there.version.as_deref(), text).await?;
        }
        Ok(Put::Same)
    }

    /// Once: a store that takes the words about a lock and does not lock is found out before anybody relies on it.
    async fn see_lock(&self, key: &str) -> Result<(), TargetError> {
        if self.lock_seen.load(Ordering::SeqCst) {
            return Ok(());
        }
        let there = self.find(key).await?;
        if there.is_none_or(|there| there.head.locked_until.is_none()) {
            return Err(settings_error(
                "the store took an object and does not say that it is locked: make the bucket with object lock and give the credential \
                 the right s3:GetObjectRetention, or set `lock = \"none\"`",
            ));
        }
        self.lock_seen.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Vec<u8>, TargetError> {
        let key = self.key(name);
        let absent = || TargetError::Absent(name.clone());
        let version = match self.lock {
            Lock::None => None,
            Lock::Compliance => Some(self.first_version(&key).await?.ok_or_else(absent)?),
        };
        if range.as_ref().is_some_and(|range| range.start >= range.end) {
            return self.access.head(&key, version.as_deref()).await?.map(|_| Vec::new()).ok_or_else(absent);
        }
        let wanted = range.as_ref().map_or(OBJECT_BYTES_MAX, |range| range.end - range.start);
        let path = StorePath::parse(&key).map_err(|_| settings_error("an object's name makes no path"))?;
        let options = GetOptions { range: range.map(GetRange::Bounded), version, ..GetOptions::default() };
        let found = match self.plain.get_opts(&path, options).await {
            Ok(found) => found,
            // Past the end there is nothing: for a store that is an error.
            Err(error) if error.to_string().contains("<Code>InvalidRange</Code>") => return Ok(Vec::new()),
            Err(error) => return Err(told(name, &error)),
        };
        let bytes = found.bytes().await.map_err(|error| told(name, &error))?;
        if bytes.len() as u64 > wanted {
            return Err(TargetError::Unavailable("the store gave more than was asked for".to_owned()));
        }
        Ok(bytes.into())
    }

    async fn page(&self, prefix: &str, after: Option<(String, String)>) -> Result<text::Page, TargetError> {
        let prefix = format!("{}{prefix}", self.prefix);
        match self.lock {
            Lock::None => self.access.objects(&prefix, after.as_ref().map(|(token, _)| token.as_str())).await,
            Lock::Compliance => {
                let after = after.as_ref().map(|(key, version)| (key.as_str(), version.as_str()));
                self.access.versions(&prefix, after).await
            }
        }
    }

    async fn remove_all(&self, name: &ObjectName) -> Result<(), TargetError> {
        let key = self.key(name);
        if self.lock == Lock::None {
            return self.access.remove(&key, None).await;
        }
        // The first version last: as long as it is there, so is the object.
        for entry in self.access.versions_of(&key).await? {
            self.access.remove(&key, Some(&entry.version)).await.map_err(|error| match error {
                TargetError::Refused(said) => {
                    TargetError::Refused(format!("{said}: `{name}` is locked still, or the account may not remove"))
                }
                other => other,
            })?;
        }
        self.first_versions.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        Ok(())
    }
}

/// The next whole second: stores keep no parts of one, and a lock must not end too early.
fn whole_second(instant: Timestamp) -> Timestamp {
    Timestamp::from_ms(instant.as_ms().div_euclid(1000).saturating_add(i64::from(instant.as_ms() % 1000 != 0)) * 1000)
}

/// What an error of `object_store` means here.
fn told(name: &ObjectName, error: &object_store::Error) -> TargetError {
    let text = error.to_string();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let body = code.map(|code| format!("<Error><Code>{code}</Code></Error>")).unwrap_or_default();
    let status = match error {
        object_store::Error::NotFound { .. } if code != Some("NoSuchBucket") => {
            return TargetError::Absent(name.clone());
        }
        object_store::Error::NotFound { .. } => hyper::StatusCode::NOT_FOUND,
        object_store::Error::PermissionDenied { .. } => hyper::StatusCode::FORBIDDEN,
        object_store::Error::Unauthenticated { .. } => hyper::StatusCode::UNAUTHORIZED,
        _ if code.is_some() => hyper::StatusCode::BAD_REQUEST,
        _ => return TargetError::Unavailable(requests::unreachable(error)),
    };
    requests::refusal(status, body.as_bytes())
}

fn settings_error(what: &str) -> TargetError {
    TargetError::Settings(format!("S3: {what}"))
}

#[cfg(test)]
mod store;
#[cfg(test)]
mod tests;
