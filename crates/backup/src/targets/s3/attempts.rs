//! What somebody may ask a store for who has the server's credential and means harm: requests that a target never makes, for drills which hold that
//! they are refused.

use super::{Bucket, S3, settings_error};
use crate::target::{ObjectName, TargetError};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use tacet_types::Timestamp;
use url::Url;

/// A request that would take something away, or make it possible to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// The object is removed, whatever versions of it there are.
    Remove,
    /// The first version of the object, the one that counts, is removed.
    RemoveFirst,
    /// The object is removed by the request that names many.
    RemoveMany,
    /// Other bytes are put under its name without a condition.
    WriteOver(Vec<u8>),
    /// Its lock ends at this instant, which is sooner than it did.
    CutLock(Timestamp),
    /// Its lock, until this instant, becomes one that those with a right to can lift.
    LoosenLock(Timestamp),
    /// Its lock is taken away.
    DropLock,
    /// The bucket keeps no versions any more.
    SuspendVersions,
    /// The bucket removes what is older than a day by itself.
    Expire,
    /// What is put from now on is not locked.
    UnlockBucket,
    /// Everybody may do everything with the bucket.
    OpenBucket,
    /// The bucket is removed.
    RemoveBucket,
}

/// Lets objects expire after a day, older versions too.
const EXPIRE: &str = "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ID>r</ID><Filter><Prefix></Prefix></Filter>\
     <Status>Enabled</Status><Expiration><Days>1</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
     </NoncurrentVersionExpiration></Rule></LifecycleConfiguration>";

/// Suspends the keeping of versions.
const SUSPEND: &str = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Suspended</Status></VersioningConfiguration>";

/// A bucket that locks nothing by itself.
const UNLOCK: &str =
    "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></ObjectLockConfiguration>";

impl S3 {
    /// Tries this on an object, or on the bucket, and says whether the store did it.
    ///
    /// # Errors
    /// The store cannot be reached, or did not say.
    pub fn attempt(&self, name: &ObjectName, attempt: &Attempt) -> Result<bool, TargetError> {
        let (name, attempt) = (name.clone(), attempt.clone());
        self.run(0, |bucket| async move { bucket.attempt(&name, attempt).await })
    }
}

impl Bucket {
    async fn attempt(&self, name: &ObjectName, attempt: Attempt) -> Result<bool, TargetError> {
        let key = self.key(name);
        let object = || at(&format!("{}/{key}", self.access.url), &[]);
        let bucket = |part: &str| at(&self.access.url, &[(part, "")]);
        let first = self.access.versions_of(&key).await?.into_iter().rfind(|entry| !entry.marker);
        let first = first.map(|entry| entry.version).unwrap_or_default();
        let version = |parts: &[(&str, &str)]| {
            let parts: Vec<_> = parts.iter().copied().chain([("versionId", first.as_str())]).collect();
            at(&format!("{}/{key}", self.access.url), &parts)
        };
        let retention = |mode: &str, until: &str| {
            format!(
                "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
            )
        };
        let second = |until: Timestamp| super::whole_second(until).to_string().replace(".000Z", "Z");
        let (method, url, body) = match attempt {
            Attempt::Remove => (Method::DELETE, object()?, Vec::new()),
            Attempt::RemoveFirst => (Method::DELETE, version(&[])?, Vec::new()),
            Attempt::RemoveMany => {
                let body = format!("<Delete><Object><Key>{key}</Key><VersionId>{first}</VersionId></Object></Delete>");
                (Method::POST, bucket("delete")?, body.into_bytes())
            }
            Attempt::WriteOver(bytes) => (Method::PUT, object()?, bytes),
            Attempt::CutLock(until) => {
                (Method::PUT, version(&[("retention", "")])?, retention("COMPLIANCE", &second(until)).into_bytes())
            }
            Attempt::LoosenLock(until) => {
                (Method::PUT, version(&[("retention", "")])?, retention("GOVERNANCE", &second(until)).into_bytes())
            }
            Attempt::DropLock => {
                let none = b"<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></Retention>".to_vec();
                (Method::PUT, version(&[("retention", "")])?, none)
            }
            Attempt::SuspendVersions => (Method::PUT, bucket("versioning")?, SUSPEND.into()),
            Attempt::Expire => (Method::PUT, bucket("lifecycle")?, EXPIRE.into()),
            Attempt::UnlockBucket => (Method::PUT, bucket("object-lock")?, UNLOCK.into()),
            Attempt::OpenBucket => {
                let name = &self.access.name;
                let policy = format!(
                    r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::{name}","arn:aws:s3:::{name}/*"]}}]}}"#
                );
                (Method::PUT, bucket("policy")?, policy.into_bytes())
            }
            Attempt::RemoveBucket => (Method::DELETE, at(&self.access.url, &[])?, Vec::new()),
        };
        let removes_many = url.query().is_some_and(|query| query.starts_with("delete"));
        let sum = BASE64_STANDARD.encode(digest(&SHA256, &body));
        let sum = HeaderValue::from_str(&sum).map_err(|_| settings_error("no header can hold a checksum"))?;
        // A lock that can be lifted is lifted by whoever may, if this stands there.
        let bypass = HeaderName::from_static("x-amz-bypass-governance-retention");
        let headers =
            [(HeaderName::from_static("x-amz-checksum-sha256"), sum), (bypass, HeaderValue::from_static("true"))];
        let (status, _, answer) = self.access.ask(method, &url, &headers, Bytes::from(body)).await?;
        if status.is_server_error() {
            return Err(super::requests::refusal(status, &answer));
        }
        // The request that names many is answered well, with an error for each that stays.
        let told = String::from_utf8_lossy(&answer);
        Ok(status.is_success() && (!removes_many || told.contains("<Deleted>")))
    }
}

fn at(url: &str, parts: &[(&str, &str)]) -> Result<Url, TargetError> {
    let mut url = Url::parse(url).map_err(|_| settings_error("an object's name makes no URL"))?;
    if !parts.is_empty() {
        url.query_pairs_mut().extend_pairs(parts);
    }
    Ok(url)
}
