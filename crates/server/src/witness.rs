//! A witness for other logs over HTTP (<https://c2sp.org/tlog-witness>): one address, `POST /add-checkpoint`. It has nothing to do with a store of
//! records; what it remembers is in the hands of whoever gives the [`WitnessBook`].

use crate::config::TlsConfig;
use crate::tls::{Identity, TlsError};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tacet_tlog::witness::{REQUEST_BYTES_MAX, Refusal, SIZE_CONTENT_TYPE};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Connections at a time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;

/// Longest time for a connection from its start to its end. Logs ask once in some seconds; a new connection is cheap for them.
const CONNECTION: Duration = Duration::from_secs(120);

/// Longest time for a handshake, and for the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// What a witness decides and remembers.
pub trait WitnessBook: Send + Sync + 'static {
    /// Decides about the body of a request. What is returned are signature lines, and the new state is durable by then. May block.
    ///
    /// # Errors
    /// Why it does not cosign. `None`: it cannot keep its state.
    fn add_checkpoint(&self, body: &[u8]) -> Result<String, Option<Refusal>>;
}

/// Why a witness does not listen.
#[derive(Debug, Error)]
pub enum WitnessError {
    /// Cosignatures would cross a network unprotected.
    #[error("a witness that listens on {address} needs a certificate: name one, or listen on 127.0.0.1")]
    TlsNeeded {
        /// Where it was to listen.
        address: SocketAddr,
    },
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

/// A witness that listens.
pub struct WitnessServer {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    book: Arc<dyn WitnessBook>,
}

impl WitnessServer {
    /// Takes the address.
    ///
    /// # Errors
    /// It cannot be had, or would serve beyond this machine without TLS.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<&TlsConfig>,
        book: Arc<dyn WitnessBook>,
    ) -> Result<Self, WitnessError> {
        if !address.ip().to_canonical().is_loopback() && tls.is_none() {
            return Err(WitnessError::TlsNeeded { address });
        }
        let tls = tls.map(|files| Identity::load(files)?.acceptor()).transpose()?;
        let listener = TcpListener::bind(address).await.map_err(|source| WitnessError::Bind { address, source })?;
        Ok(Self { listener, tls, book })
    }

    /// Where it listens; with port 0, the port that it got.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` resolves.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((self.listener.accept().await, place))
            };
            let (stream, place) = tokio::select! {
                () = &mut stop => return,
                accepted = accepted => match accepted {
                    Some((Ok((stream, _)), place)) => (stream, place),
                    // The machine is out of something: not to be asked again at once.
                    Some((Err(_), _)) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                    None => return,
                },
            };
            let (book, tls) = (Arc::clone(&self.book), self.tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, book, place).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await {
                            serve(stream, book, place).await;
                        }
                    }
                }
            });
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    book: Arc<dyn WitnessBook>,
    _place: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request| {
        let book = Arc::clone(&book);
        async move { Ok::<_, Infallible>(answer(request, book).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    // What it ends with says nothing that could be acted on.
    let _ = timeout(CONNECTION, connection).await;
}

async fn answer(request: Request<Incoming>, book: Arc<dyn WitnessBook>) -> Response<Full<Bytes>> {
    let asked = request.uri().path().ends_with("/add-checkpoint");
    if !asked {
        return text(StatusCode::NOT_FOUND, "text/plain", "a witness answers POST /add-checkpoint\n".to_owned());
    }
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "POST it\n".to_owned());
    }
    let reading = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect();
    let Ok(Ok(body)) = timeout(HEAD, reading).await else {
        return text(StatusCode::BAD_REQUEST, "text/plain", "the request is too long or too slow\n".to_owned());
    };
    let body = body.to_bytes();
    let decided = spawn_blocking(move || book.add_checkpoint(&body)).await.unwrap_or(Err(None));
    match decided {
        Ok(lines) => text(StatusCode::OK, "text/plain; charset=utf-8", lines),
        Err(Some(refusal)) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let kind = if status == StatusCode::CONFLICT { SIZE_CONTENT_TYPE } else { "text/plain; charset=utf-8" };
            text(status, kind, refusal.body())
        }
        Err(None) => text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "the state cannot be kept\n".to_owned()),
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
