//! Listening, accepting, and stopping with grace.

use crate::admin::{leavers, rounds};
use crate::app::{App, Environment, Turns};
use crate::body::BodyRoom;
use crate::capability;
use crate::config::ServerConfig;
use crate::connection::{self, Peer, Phase, Protocol, Protocols};
use crate::dispatch;
use crate::feeds::Feeds;
use crate::imports::Imports;
use crate::lockdown;
use crate::lockout::Lockout;
use crate::metrics::Metrics;
use crate::people::People;
use crate::service::RecordService;
use crate::siem::AuditFeeds;
use crate::tls::{self, Identity, TlsError};
use axum::Router;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tacet_report::ReportSettings;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// After an accept that failed (the process has too many files open, say), how long until the next, in milliseconds.
const ACCEPT_PAUSE_MS: u64 = 50;

/// After a stop ran out of patience, how long connections may take to notice, in milliseconds.
const CLOSE_MS: u64 = 1000;

/// How often what is past its time is ended, in milliseconds. What is past its end is shown to nobody even before.
const TIDY_MS: u64 = 30_000;

/// Files of copies that are sent at a time: each holds a few pieces of text in memory.
const DOWNLOADS_MAX: usize = 64;

/// Why the server does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Records would cross a network unprotected.
    #[error("refusing to listen on {address} without TLS: set `tls.certificate` and `tls.key`, or listen on 127.0.0.1")]
    TlsNeeded {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Clients could not be told where they are.
    #[error("listening on {address} says no name under which clients reach it: set `base_url`")]
    BaseUrlNeeded {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The base URL is none.
    #[error("`base_url` must be an http or https URL without a query and without a slash at its end")]
    BaseUrl,
    /// The address cannot be had.
    #[error("cannot listen on {address}: check that no other program does, and that the address is this machine's")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How a server ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// Connections that had to be cut off because they did not end in time. 0 where all went well.
    pub cut_off: usize,
}

/// A server that listens but does not answer yet.
pub struct Server<S> {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App<S>>,
    tls: Option<(Arc<Identity>, TlsAcceptor)>,
}

impl<S: RecordService> Server<S> {
    /// Takes the address and reads the certificate.
    ///
    /// # Errors
    ///
    /// Where the configuration is unsafe or does not serve; see [`ServeError`].
    pub async fn bind(config: ServerConfig, service: S, environment: Environment) -> Result<Self, ServeError> {
        if !config.listen.ip().to_canonical().is_loopback() && config.tls.is_none() {
            return Err(ServeError::TlsNeeded { address: config.listen });
        }
        let tls = match &config.tls {
            Some(files) => {
                let identity = Identity::load(files)?;
                let acceptor = identity.acceptor()?;
                Some((identity, acceptor))
            }
            None => None,
        };
        let failed = |source| ServeError::Bind { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let base_url = base_url(config.base_url, address, tls.is_some())?;
        let app = Arc::new(App {
            capability: capability::statement(&base_url, environment.clock.now(), None).into(),
            base_url,
            clock: environment.clock,
            rng: environment.rng,
            metrics: Arc::new(Metrics::new()),
            lockout: Lockout::default(),
            bodies: BodyRoom::new(config.limits.bodies_bytes_max),
            turns: Turns::new(config.limits.handlers_max, config.limits.waiting_max),
            limits: config.limits,
            service,
            stopping: AtomicBool::new(false),
            imports: Imports::default(),
            people: None,
            feeds: Feeds::new(config.adt),
            log_public: false,
            report: ReportSettings::default(),
            sessions_cut: AtomicBool::new(false),
            downloads: Arc::new(Semaphore::new(DOWNLOADS_MAX)),
        });
        Ok(Self { listener, address, app, tls })
    }

    /// Serves accounts, sessions and apps too. To be called before it runs.
    pub fn with_people(mut self, people: People) -> Self {
        // Nobody else has it before it runs.
        if let Some(app) = Arc::get_mut(&mut self.app) {
            let endpoints = &people.smart.settings().endpoints;
            app.capability = capability::statement(&app.base_url, app.clock.now(), Some(endpoints)).into();
            let people = Arc::new(people);
            if let Some(vault) = &people.vault {
                // They hold the store, which must not hold them.
                let (judges, clock) = (Arc::downgrade(&people), Arc::clone(&app.clock));
                vault.judge_subscribers(move |hangs_on| judges.upgrade()?.stands(hangs_on, clock.now()));
            }
            app.people = Some(people);
        }
        self
    }

    /// Says whether anybody may fetch the files of the published ledger. To be called before it runs.
    pub fn with_public_log(mut self, public: bool) -> Self {
        if let Some(app) = Arc::get_mut(&mut self.app) {
            app.log_public = public;
        }
        self
    }

    /// Says how the patient's own report is made. To be called before it runs.
    pub fn with_report(mut self, settings: ReportSettings) -> Self {
        if let Some(app) = Arc::get_mut(&mut self.app) {
            app.report = settings;
        }
        self
    }

    /// Has the figures of these feeds among its metrics.
    pub fn with_audit_feeds(self, feeds: &AuditFeeds) -> Self {
        self.app.metrics.with_audit_feeds(feeds.figures());
        self
    }

    /// Where it listens; with port 0 in the configuration, the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The FHIR base URL.
    pub fn base_url(&self) -> &str {
        &self.app.base_url
    }

    /// Answers until `shutdown` is done, then finishes what is under way. On SIGHUP the certificate is read again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Stopped {
        let Self { listener, app, tls, .. } = self;
        let connections_max = app.limits.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        let connections = Arc::new(Semaphore::new(connections_max));
        let (phase, phases) = watch::channel(Phase::Serving);
        let identity = tls.as_ref().map(|(identity, _)| Arc::clone(identity));
        let door = Arc::new(Door {
            router: dispatch::router(&app),
            protocols: Protocols::new(&app.limits),
            acceptor: tls.map(|(_, acceptor)| acceptor),
            app: Arc::clone(&app),
        });
        let mut shutdown = pin!(shutdown);
        let mut hangup = pin!(reload_on_hangup(identity));
        let mut tidying = pin!(tidy(&app));
        let mut rounds = pin!(rounds(&app));
        let mut cutting = pin!(lockdown::watch(&app));
        loop {
            let accepted = async {
                let place = Arc::clone(&connections).acquire_owned().await.ok()?;
                Some((listener.accept().await, place))
            };
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                () = &mut hangup => continue,
                () = &mut tidying => continue,
                () = &mut rounds => continue,
                () = &mut cutting => continue,
                accepted = accepted => accepted,
            };
            match accepted {
                Some((Ok((stream, address)), place)) => {
                    tokio::spawn(Arc::clone(&door).open(stream, address, phases.clone(), place));
                }
                Some((Err(error), _)) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be accepted");
                    sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
                None => break,
            }
        }
        app.stopping.store(true, Ordering::Relaxed);
        drop(listener);
        let stopped = drain(&connections, connections_max, &phase, app.limits.drain()).await;
        app.imports.stop().await;
        stopped
    }
}

/// Listens and answers until `shutdown` is done: [`Server::bind`] and [`Server::run`] in one.
///
/// # Errors
///
/// As [`Server::bind`].
pub async fn serve<S: RecordService>(
    config: ServerConfig,
    service: S,
    environment: Environment,
    shutdown: impl Future<Output = ()>,
) -> Result<Stopped, ServeError> {
    Ok(Server::bind(config, service, environment).await?.run(shutdown).await)
}

/// What a connection needs to be served.
struct Door<S> {
    app: Arc<App<S>>,
    router: Router,
    protocols: Protocols,
    acceptor: Option<TlsAcceptor>,
}

impl<S: RecordService> Door<S> {
    async fn open(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        phase: watch::Receiver<Phase>,
        place: OwnedSemaphorePermit,
    ) {
        let _level = self.app.metrics.connection();
        let limits = &self.app.limits;
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let peer = Peer::new(address);
        let router = self.router.clone();
        match &self.acceptor {
            Some(acceptor) => {
                let Ok(Ok(stream)) = timeout(limits.handshake(), acceptor.accept(stream)).await else {
                    tracing::debug!("a TLS handshake failed");
                    return;
                };
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                let certificate = tls::thumbprint(stream.get_ref().1.peer_certificates());
                let peer = Arc::new(peer.with_certificate(certificate));
                connection::serve(stream, protocol, peer, router, &self.protocols, limits, phase).await;
            }
            None => {
                let peer = Arc::new(peer);
                let mut stopping = phase.clone();
                let protocol = tokio::select! {
                    protocol = connection::detect(&stream, limits) => protocol,
                    _ = stopping.changed() => None,
                };
                if let Some(protocol) = protocol {
                    connection::serve(stream, protocol, peer, router, &self.protocols, limits, phase).await;
                }
            }
        }
        drop(place);
    }
}

async fn drain(
    connections: &Semaphore,
    connections_max: usize,
    phase: &watch::Sender<Phase>,
    patience: Duration,
) -> Stopped {
    let all = u32::try_from(connections_max).unwrap_or(u32::MAX);
    phase.send_replace(Phase::Draining);
    if timeout(patience, connections.acquire_many(all)).await.is_ok() {
        return Stopped { cut_off: 0 };
    }
    let cut_off = connections_max.saturating_sub(connections.available_permits());
    tracing::warn!(cut_off, "connections did not end in time and were cut off");
    phase.send_replace(Phase::Closed);
    let _ = timeout(Duration::from_millis(CLOSE_MS), connections.acquire_many(all)).await;
    Stopped { cut_off }
}

/// Ends what is past its time, now and then, also where nobody asks for anything. Never ends.
async fn tidy<S: RecordService>(app: &App<S>) {
    loop {
        sleep(Duration::from_millis(TIDY_MS)).await;
        app.imports.forget_old(app.clock.now());
        if app.service.end_expired_copies().await.is_err() {
            tracing::error!("copies whose time is over could not be ended");
        }
    }
}

/// How long a change may take from its time to its commit, in milliseconds.
const FOLLOW_MARGIN_MS: i64 = 60_000;

/// Looks over the accounts at the start and every hour, and in between at those of whom something was stored. Never ends.
async fn rounds<S: RecordService>(app: &App<S>) {
    let Some(people) = &app.people else { return std::future::pending().await };
    loop {
        rounds::make(people, &*app.rng).await;
        let (mut since, mut seen) = (app.clock.now(), app.service.statistics().last_sequence);
        for _ in 0..rounds::ROUND_MS / leavers::LOOK_MS {
            sleep(Duration::from_millis(leavers::LOOK_MS)).await;
            let (now, last) = (app.clock.now(), app.service.statistics().last_sequence);
            if last != seen {
                // A commit takes its time: what was stored a little before the last look is looked at twice.
                rounds::follow(people, &*app.rng, since.plus_ms(-FOLLOW_MARGIN_MS)).await;
                (since, seen) = (now, last);
            }
        }
    }
}

/// Reads the certificate again at each SIGHUP. Never ends.
async fn reload_on_hangup(identity: Option<Arc<Identity>>) {
    // Without a certificate the signal keeps its ordinary meaning: the terminal is gone, stop.
    let Some(identity) = identity else { return std::future::pending().await };
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return std::future::pending().await };
    while hangup.recv().await.is_some() {
        match identity.reload() {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => tracing::error!(error = %error, "the certificate was not changed"),
        }
    }
    std::future::pending().await
}

fn base_url(configured: Option<String>, address: SocketAddr, tls: bool) -> Result<String, ServeError> {
    let Some(url) = configured else {
        if address.ip().is_unspecified() {
            return Err(ServeError::BaseUrlNeeded { address });
        }
        return Ok(format!("{}://{address}", if tls { "https" } else { "http" }));
    };
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"\\<>".contains(&byte));
    if rest.is_empty() || rest.starts_with('/') || rest.ends_with('/') || !plain {
        return Err(ServeError::BaseUrl);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_held_to_their_shape() {
        let address: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let of = |url: &str| base_url(Some(url.to_owned()), address, true);
        assert_eq!(of("https://tacet.hospital.example/fhir").unwrap(), "https://tacet.hospital.example/fhir");
        for url in
            ["", "tacet.example", "ftp://h", "https://", "https:///x", "https://h/", "https://h?x", "https://h h"]
        {
            assert!(matches!(of(url), Err(ServeError::BaseUrl)), "{url}");
        }
        assert_eq!(base_url(None, address, true).unwrap(), "https://127.0.0.1:8443");
        assert_eq!(base_url(None, "[::1]:80".parse().unwrap(), false).unwrap(), "http://[::1]:80");
        let any: SocketAddr = "0.0.0.0:8443".parse().unwrap();
        assert!(matches!(base_url(None, any, true), Err(ServeError::BaseUrlNeeded { .. })));
    }
}
