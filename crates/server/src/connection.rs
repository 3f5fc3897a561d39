//! One connection: which protocol it speaks, how long it may idle, how it ends.
//!
//! One rule closes the idle, the slow and the stalled alike: a connection on which no request is being worked on, and over
//! which nothing has been sent, for a while. It costs two atomic stores a request, where a timer for each header costs an
//! allocation.

use crate::config::Limits;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::Service;

/// Headers of a request at most.
const HEADERS_MAX: usize = 100;

/// HTTP/1 needs a buffer of this many bytes at least (hyper's own bound).
const BUFFER_BYTES_MIN: usize = 8192;

/// HTTP/2: bytes that a client may send on one stream, and on all, before the server has read them.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Tokens remembered on a connection as having worked.
const TOKENS_MAX: usize = 16;

/// After an idle connection was asked to end (HTTP/2: GOAWAY), how long it may take, in milliseconds.
const FAREWELL_MS: u64 = 1000;

/// The start of every HTTP/2 connection (RFC 9113, section 3.4). No HTTP/1 method that is served starts like it.
const HTTP2_PREFACE: &[u8] = b"PRI";

/// How a server runs: until a stop, then until the requests under way are done, then not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Serving,
    Draining,
    Closed,
}

/// The client's end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    started: Instant,
    /// Requests being worked on.
    active: AtomicU32,
    /// When something last happened, in milliseconds since `started`.
    last_ms: AtomicU64,
    /// Whether a request has been answered.
    served: AtomicBool,
    tokens: Mutex<Vec<Box<str>>>,
    /// SHA-256 of the certificate that the client showed and has the key of, base64url.
    certificate: Option<Box<str>>,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            started: Instant::now(),
            active: AtomicU32::new(0),
            last_ms: AtomicU64::new(0),
            served: AtomicBool::new(false),
            tokens: Mutex::new(Vec::new()),
            certificate: None,
        }
    }

    /// A client that showed a certificate and has its key.
    pub(crate) fn with_certificate(self, thumbprint: Option<String>) -> Self {
        Self { certificate: thumbprint.map(String::into_boxed_str), ..self }
    }

    /// Thumbprint of the client's certificate: SHA-256 of its DER, base64url without padding.
    pub(crate) fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Remembers that a token worked here.
    pub(crate) fn worked(&self, token: &str) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() < TOKENS_MAX {
            tokens.push(token.into());
        }
    }

    /// Whether a token has worked here.
    pub(crate) fn has_worked(&self, token: &str) -> bool {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().any(|known| **known == *token)
    }

    /// Marks a request as being worked on, for as long as what is returned lives.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.active.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    fn touch(&self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// When the connection is over, as things stand: at most a keep-alive time away, so that whoever waits for it looks again
    /// in time. While a request is worked on its own limit holds instead.
    fn ends(&self, limits: &Limits) -> Instant {
        let keep_alive = Duration::from_millis(limits.keep_alive_ms);
        let latest = Instant::now() + keep_alive;
        if self.active.load(Ordering::Relaxed) > 0 {
            return latest;
        }
        if !self.served.load(Ordering::Relaxed) {
            return latest.min(self.started + Duration::from_millis(limits.first_request_ms));
        }
        self.started + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + keep_alive
    }
}

/// A request being worked on.
pub(crate) struct Busy<'a>(&'a Peer);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.touch();
        self.0.served.store(true, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What every connection is served with.
pub(crate) struct Protocols {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Protocols {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .header_read_timeout(None) // `Peer::ends` bounds it
            .max_headers(HEADERS_MAX)
            .max_buf_size(limits.header_bytes_max.max(BUFFER_BYTES_MIN));
        builder
            .http2()
            .max_concurrent_streams(limits.streams_max)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX));
        Self { http1: builder.clone().http1_only(), http2: builder.http2_only() }
    }
}

/// Tells HTTP/2 with prior knowledge from HTTP/1 on a connection without TLS. `None` where nothing came in time.
pub(crate) async fn detect(stream: &TcpStream, limits: &Limits) -> Option<Protocol> {
    let looking = async {
        let mut start = [0; HTTP2_PREFACE.len()];
        loop {
            let seen = stream.peek(&mut start).await.ok()?;
            let seen = start.get(..seen)?;
            if seen.is_empty() {
                return None;
            }
            if !HTTP2_PREFACE.starts_with(seen) {
                return Some(Protocol::Http1);
            }
            if seen.len() == HTTP2_PREFACE.len() {
                return Some(Protocol::Http2);
            }
            sleep(Duration::from_millis(5)).await; // one or two bytes only: the rest is under way
        }
    };
    timeout(Duration::from_millis(limits.first_request_ms), looking).await.ok()?
}

/// Serves a connection to its end.
pub(crate) async fn serve<I>(
    stream: I,
    protocol: Protocol,
    peer: Arc<Peer>,
    router: Router,
    protocols: &Protocols,
    limits: &Limits,
    mut phase: watch::Receiver<Phase>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = {
        let peer = Arc::clone(&peer);
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&peer));
            // The router is always ready: nothing waits in it.
            router.clone().call(request)
        })
    };
    let builder = match protocol {
        Protocol::Http1 => &protocols.http1,
        Protocol::Http2 => &protocols.http2,
    };
    let stream = TokioIo::new(Watched { stream, peer: Arc::clone(&peer) });
    let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
    let mut ending = false;
    let mut wake = peer.ends(limits);
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if result.is_err() {
                    // The reasons are the client's (it went away, or spoke no HTTP), and their texts may quote it.
                    tracing::debug!("a connection broke off");
                }
                return;
            }
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow() == Phase::Closed {
                    return;
                }
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(wake) => {
                let ends = peer.ends(limits);
                if ends > Instant::now() {
                    wake = ends;
                } else if ending {
                    return;
                } else {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                    wake = Instant::now() + Duration::from_millis(FAREWELL_MS);
                }
            }
        }
    }
}

/// A stream that notes when something was sent.
struct Watched<I> {
    stream: I,
    peer: Arc<Peer>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> Watched<I> {
    fn noting(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.peer.touch();
        }
        written
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noting(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noting(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
