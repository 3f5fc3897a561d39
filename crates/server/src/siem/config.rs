//! What the operator says of a feed.

use serde::Deserialize;
use std::path::PathBuf;
use thiserror::Error;
use url::Url;

/// Longest name of a feed, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Least time for which something must lie sent before the place passes it, in milliseconds.
const SETTLE_MS_MIN: u64 = 100;

/// In which form entries are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditFeedForm {
    /// DICOM audit messages, as ATNA (IHE ITI-20) wants them by syslog.
    Dicom,
    /// AuditEvents of FHIR R4.
    Fhir,
    /// Flat objects of JSON.
    Json,
    /// Common Event Format.
    Cef,
}

/// What separates messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditFeedFrame {
    /// RFC 5424 in the octet counting of RFC 5425.
    Syslog,
    /// A line each.
    Lines,
}

/// How a receiver is told of patients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditFeedPatients {
    /// By pseudonyms that need the establishment's key.
    #[default]
    Hashed,
    /// As they are.
    Clear,
    /// Not at all.
    None,
}

/// Where a new feed begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditFeedStart {
    /// With the entries written from then on.
    #[default]
    Now,
    /// With the first entry of the ledger.
    Beginning,
}

/// Where a receiver is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query of a URL; none for a plain address.
    pub(super) path: Option<String>,
}

/// One feed.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditFeedConfig {
    /// `host:port` of a receiver over TLS or TCP. This or `url`.
    #[serde(default)]
    pub address: Option<String>,
    /// `https` URL of a receiver that is told by POST, and says by its status that it has taken what it was told.
    #[serde(default)]
    pub url: Option<String>,
    /// In which form.
    pub form: AuditFeedForm,
    /// What separates messages. None: syslog for DICOM, lines for the others.
    #[serde(default)]
    pub frame: Option<AuditFeedFrame>,
    /// PEM file of the authorities that the receiver's certificate is held to. None: no TLS, which only receivers on this machine may have.
    #[serde(default)]
    pub roots: Option<PathBuf>,
    /// PEM file of the certificate that this server shows (ATNA asks both sides for one).
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// How patients are told.
    #[serde(default)]
    pub patients: AuditFeedPatients,
    /// Where a feed of this name begins that never ran.
    #[serde(default)]
    pub start: AuditFeedStart,
    /// Most records that one message names one by one; it says how many there are.
    #[serde(default = "records_max")]
    pub records_max: usize,
    /// For how long something must lie sent on a connection that holds, before it counts as taken, in milliseconds.
    #[serde(default = "settle_ms")]
    pub settle_ms: u64,
    /// Longest time for connecting, and for sending what is ready, in milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Wait after a first connection that failed or broke, in milliseconds; it doubles with each further one.
    #[serde(default = "retry_first_ms")]
    pub retry_first_ms: u64,
    /// Longest such wait, in milliseconds.
    #[serde(default = "retry_wait_ms_max")]
    pub retry_wait_ms_max: u64,
}

fn records_max() -> usize {
    100
}

fn settle_ms() -> u64 {
    30_000
}

fn timeout_ms() -> u64 {
    10_000
}

fn retry_first_ms() -> u64 {
    1_000
}

fn retry_wait_ms_max() -> u64 {
    300_000
}

impl AuditFeedConfig {
    /// A feed to this address in this form, with the usual settings.
    pub fn to(address: &str, form: AuditFeedForm) -> Self {
        Self {
            address: Some(address.to_owned()),
            url: None,
            form,
            frame: None,
            roots: None,
            certificate: None,
            key: None,
            patients: AuditFeedPatients::default(),
            start: AuditFeedStart::default(),
            records_max: records_max(),
            settle_ms: settle_ms(),
            timeout_ms: timeout_ms(),
            retry_first_ms: retry_first_ms(),
            retry_wait_ms_max: retry_wait_ms_max(),
        }
    }

    pub(super) fn frame(&self) -> AuditFeedFrame {
        self.frame.unwrap_or(match self.form {
            AuditFeedForm::Dicom => AuditFeedFrame::Syslog,
            _ => AuditFeedFrame::Lines,
        })
    }

    /// Where the receiver is: host, port, and the path of a URL.
    pub(super) fn place(&self) -> Option<Place> {
        match (&self.address, &self.url) {
            (Some(address), None) => {
                let (host, port) = address.rsplit_once(':')?;
                let host = match host.strip_prefix('[') {
                    Some(v6) => v6.strip_suffix(']')?,
                    None if host.contains(':') => return None,
                    None => host,
                };
                let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
                (!host.is_empty()).then(|| Place { host: host.to_owned(), port, path: None })
            }
            (None, Some(url)) => {
                let url = Url::parse(url).ok()?;
                let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
                let secure = url.scheme() == "https";
                if !plain || !(secure || url.scheme() == "http") || secure != self.roots.is_some() {
                    return None;
                }
                let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
                let path = match url.query() {
                    Some(query) => format!("{}?{query}", url.path()),
                    None => url.path().to_owned(),
                };
                Some(Place { host, port: url.port_or_known_default()?, path: Some(path) })
            }
            _ => None,
        }
    }

    pub(super) fn check(&self, name: &str) -> Result<(), AuditFeedError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(AuditFeedError::Name);
        }
        let name = || name.to_owned();
        let place = self.place().ok_or_else(|| AuditFeedError::Address { feed: name() })?;
        let framed = self.frame == Some(AuditFeedFrame::Syslog) || self.form == AuditFeedForm::Dicom;
        if place.path.is_some() && framed {
            return Err(AuditFeedError::NoSyslog { feed: name() });
        }
        if self.roots.is_none() && !matches!(place.host.as_str(), "localhost" | "127.0.0.1" | "::1") {
            return Err(AuditFeedError::TlsNeeded { feed: name() });
        }
        if self.certificate.is_some() != self.key.is_some() || (self.certificate.is_some() && self.roots.is_none()) {
            return Err(AuditFeedError::HalfCertificate { feed: name() });
        }
        if self.settle_ms < SETTLE_MS_MIN || self.timeout_ms == 0 || self.retry_first_ms == 0 {
            return Err(AuditFeedError::Times { feed: name(), settle_ms_min: SETTLE_MS_MIN });
        }
        Ok(())
    }
}

/// Why feeds cannot be sent as configured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditFeedError {
    /// Too many.
    #[error("`[ledger.feeds]` has more than {} feeds: leave some out", super::AUDIT_FEEDS_MAX)]
    TooMany,
    /// A name that would not do in a label.
    #[error("a feed under `[ledger.feeds]` has a name of other than 1 to 64 lower-case letters, digits and `-`")]
    Name,
    /// No address.
    #[error(
        "`ledger.feeds.{feed}` needs either `address` (`host:port`) or `url` (https with `roots`, or http for this machine without)"
    )]
    Address {
        /// The feed.
        feed: String,
    },
    /// Syslog by POST.
    #[error("`ledger.feeds.{feed}`: a `url` takes `fhir`, `json` and `cef`, and no syslog")]
    NoSyslog {
        /// The feed.
        feed: String,
    },
    /// Entries would cross a network unprotected.
    #[error(
        "`ledger.feeds.{feed}` leads to another machine without TLS: set `roots` to a PEM file of the authorities to trust"
    )]
    TlsNeeded {
        /// The feed.
        feed: String,
    },
    /// A certificate without its key, or without TLS.
    #[error("`ledger.feeds.{feed}` needs `certificate` and `key` together, and `roots` with them")]
    HalfCertificate {
        /// The feed.
        feed: String,
    },
    /// Times that cannot be.
    #[error(
        "`ledger.feeds.{feed}`: `settle_ms` must be at least {settle_ms_min}, `timeout_ms` and `retry_first_ms` more than 0"
    )]
    Times {
        /// The feed.
        feed: String,
        /// The least time to settle, in milliseconds.
        settle_ms_min: u64,
    },
    /// A file that does not serve.
    #[error("`{path}` of `ledger.feeds.{feed}` cannot be read as PEM with what it should hold")]
    File {
        /// The feed.
        feed: String,
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_are_held_to_their_shape() {
        let feed = |address: &str| AuditFeedConfig::to(address, AuditFeedForm::Json);
        assert!(feed("127.0.0.1:6514").check("siem").is_ok() && feed("[::1]:6514").check("siem-2").is_ok());
        for name in ["", "Siem", "a b", "é", &"x".repeat(65)] {
            assert!(matches!(feed("127.0.0.1:1").check(name), Err(AuditFeedError::Name)), "{name}");
        }
        for address in ["", "siem", "siem:", ":1", "siem:x", "siem:0", "siem:65536", "::1:1", "[::1:1"] {
            assert!(matches!(feed(address).check("siem"), Err(AuditFeedError::Address { .. })), "{address}");
        }
        assert!(matches!(feed("siem.example:6514").check("siem"), Err(AuditFeedError::TlsNeeded { .. })));
        let with_tls = AuditFeedConfig { roots: Some("/x".into()), ..feed("siem.example:6514") };
        assert!(with_tls.check("siem").is_ok());
        let half = AuditFeedConfig { key: Some("/x".into()), ..with_tls.clone() };
        assert!(matches!(half.check("siem"), Err(AuditFeedError::HalfCertificate { .. })));
        let hasty = AuditFeedConfig { settle_ms: 1, ..with_tls };
        assert!(matches!(hasty.check("siem"), Err(AuditFeedError::Times { .. })));
        let by_post =
            |url: &str, form| AuditFeedConfig { address: None, url: Some(url.into()), ..AuditFeedConfig::to("", form) };
        let post = AuditFeedConfig {
            roots: Some("/x".into()),
            ..by_post("https://arr.example/fhir?k=1", AuditFeedForm::Fhir)
        };
        assert!(post.check("arr").is_ok());
        let place = post.place().unwrap();
        assert_eq!((place.port, place.path.as_deref()), (443, Some("/fhir?k=1")));
        assert!(by_post("http://127.0.0.1:8080/", AuditFeedForm::Json).check("arr").is_ok());
        for url in ["https://arr.example/", "http://arr.example/", "ftp://127.0.0.1/", "http://a@127.0.0.1/", "x"] {
            assert!(by_post(url, AuditFeedForm::Json).check("arr").is_err(), "{url}");
        }
        let dicom = by_post("http://127.0.0.1/", AuditFeedForm::Dicom);
        assert!(matches!(dicom.check("arr"), Err(AuditFeedError::NoSyslog { .. })));
        let both = AuditFeedConfig {
            address: Some("127.0.0.1:1".into()),
            ..by_post("http://127.0.0.1/", AuditFeedForm::Json)
        };
        assert!(matches!(both.check("arr"), Err(AuditFeedError::Address { .. })));
        assert_eq!(AuditFeedConfig::to("h:1", AuditFeedForm::Dicom).frame(), AuditFeedFrame::Syslog);
        assert_eq!(feed("h:1").frame(), AuditFeedFrame::Lines);
    }
}
