//! What the operator may set, with its defaults. Every bound has a name here.

use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where the server listens by default: this machine only, so that no certificate is needed to try it.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// How the server listens and what it bears.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one. Beyond loopback, `tls` is required.
    pub listen: SocketAddr,
    /// The FHIR base URL under which clients reach the server, without a slash at its end. Stands in `Location`, in links and
    /// in `fullUrl`. Where it is absent it is made from the listening address: never from the client's `Host`, which
    /// anybody may choose.
    pub base_url: Option<String>,
    /// Certificate and key.
    pub tls: Option<TlsConfig>,
    /// Bounds.
    pub limits: Limits,
    /// What messages of feeds mean here.
    pub adt: tacet_hl7v2::Settings,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: LISTEN_DEFAULT,
            base_url: None,
            tls: None,
            limits: Limits::default(),
            adt: tacet_hl7v2::Settings::default(),
        }
    }
}

/// Certificate chain and private key, PEM files. Read again on SIGHUP.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate first, then those that lead to its root.
    pub certificate: PathBuf,
    /// The private key of the first certificate (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
    /// Whether clients are asked for a certificate, to which tokens of apps can be bound (RFC 8705). Any is taken: which one a client must
    /// show stands in its registration. Browsers ask their people which one to send, so this is for machines' addresses.
    #[serde(default)]
    pub client_certificates: bool,
}

/// What one client, and all of them together, may ask for.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest body of one resource.
    pub body_bytes_max: usize,
    /// Longest body of a batch or transaction.
    pub bundle_bytes_max: usize,
    /// All request bodies held in memory at a time. Further ones are told to come again (503).
    pub bodies_bytes_max: usize,
    /// Request line and headers together. At least 8,192.
    pub header_bytes_max: usize,
    /// Longest time from a request's headers to its answer, the reading of its body included.
    pub request_ms: u64,
    /// Requests worked on at a time.
    pub handlers_max: usize,
    /// Requests that wait for their turn; further ones are told to come again (503).
    pub waiting_max: usize,
    /// Connections open at a time; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Longest time from a connection's start to its first complete request.
    pub first_request_ms: u64,
    /// Longest time between requests, in which nothing is sent either: an idle client, a slow one and one that stopped
    /// reading are closed alike.
    pub keep_alive_ms: u64,
    /// Longest TLS handshake.
    pub handshake_ms: u64,
    /// On a stop, how long the requests under way may take to finish.
    pub drain_ms: u64,
    /// HTTP/2: requests at a time on one connection.
    pub streams_max: u32,
    /// Entries on a page where `_count` is not given.
    pub page_count_default: usize,
    /// Entries on a page at most; a greater `_count` is brought down to it.
    pub page_count_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            body_bytes_max: 16 * MIB,
            bundle_bytes_max: 64 * MIB,
            bodies_bytes_max: 512 * MIB,
            header_bytes_max: 32 * 1024,
            request_ms: 30_000,
            handlers_max: 512,
            waiting_max: 1024,
            connections_max: 2048,
            first_request_ms: 10_000,
            keep_alive_ms: 60_000,
            handshake_ms: 10_000,
            drain_ms: 15_000,
            streams_max: 128,
            page_count_default: 100,
            page_count_max: 1000,
        }
    }
}

impl Limits {
    pub(crate) fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }

    pub(crate) fn handshake(&self) -> Duration {
        Duration::from_millis(self.handshake_ms)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}
