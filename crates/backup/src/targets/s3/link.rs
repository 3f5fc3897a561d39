//! Requests to one store and to nowhere else: HTTP/1.1 over the TLS that the program has already, in the place of the client that `object_store` would
//! bring. No redirect is followed, no proxy asked, nothing resolved but the host of the settings.

use super::settings_error;
use crate::target::TargetError;
use crate::targets::OBJECT_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(15);

/// How long the store may take to answer a request without a body, and between two pieces of an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Slowest line that is waited for, in bytes a second: a body has this much more time.
const LINE_BYTES_PER_S: u64 = 64 * 1024;

/// Largest answer in bytes: an object, or a listing.
const ANSWER_BYTES_MAX: usize = OBJECT_BYTES_MAX as usize + (1 << 20);

/// Largest head of an answer in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Connections that are kept for the next request.
const IDLE_MAX: usize = 4;

/// The way to one store. Cheap to clone.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    host: String,
    port: u16,
    authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<SendRequest<HttpRequestBody>>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.0.authority).finish()
    }
}

impl Link {
    /// The way to the host of `url`, held to the authorities in `roots`.
    pub(super) fn new(url: &Url, roots: Option<&Path>) -> Result<Self, TargetError> {
        let host = url.host_str().ok_or_else(|| settings_error("the endpoint has no host"))?;
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let tls = match url.scheme() {
            "https" => {
                let roots = roots.ok_or_else(|| {
                    settings_error(
                        "`roots` is needed for https: a PEM file, such as /etc/ssl/certs/ca-certificates.crt",
                    )
                })?;
                let server = ServerName::try_from(name.clone())
                    .map_err(|_| settings_error("the endpoint's host is none that a certificate can have"))?;
                Some((connector(roots)?, server))
            }
            "http" if is_this_machine(&name) => None,
            _ => return Err(settings_error("the endpoint must begin with https (http is for this machine only)")),
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self(Arc::new(Inner { host: name, port, authority, tls, idle: Mutex::new(Vec::new()) })))
    }

    /// Sends a request over a connection that was kept, or a new one.
    pub(super) async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let wrong = |what: &str| HttpError::new(HttpErrorKind::Unknown, io::Error::other(what.to_owned()));
        if request.uri().authority().map(|authority| authority.as_str()) != Some(self.0.authority.as_str()) {
            return Err(wrong("a request to another host than the store's"));
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        *request.uri_mut() = target.parse().map_err(|_| wrong("a request without a path"))?;
        let host = HeaderValue::from_str(&self.0.authority).map_err(|_| wrong("a host that no header can have"))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("tacet"));
        let body_s = request.body().content_length() as u64 / LINE_BYTES_PER_S;
        let mut sender = self.sender().await?;
        let answer = timeout(ANSWER + Duration::from_secs(body_s), sender.send_request(request)).await;
        let answer = answer.map_err(|_| late())?.map_err(|error| {
            // A connection that was kept may have been closed meanwhile: nothing was sent then.
            let unsent = error.is_closed() || error.is_canceled();
            HttpError::new(if unsent { HttpErrorKind::Request } else { HttpErrorKind::Interrupted }, error)
        })?;
        let (head, body) = answer.into_parts();
        let body = gather(body).await?;
        if sender.ready().await.is_ok() {
            let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(sender);
            }
        }
        Ok(HttpResponse::from_parts(head, body.into()))
    }

    async fn sender(&self) -> Result<SendRequest<HttpRequestBody>, HttpError> {
        loop {
            let kept = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match kept {
                Some(sender) if sender.is_closed() => {}
                Some(sender) => return Ok(sender),
                None => break,
            }
        }
        let connecting = async {
            let stream = TcpStream::connect((self.0.host.as_str(), self.0.port)).await.map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            match &self.0.tls {
                None => over(stream).await,
                Some((tls, server)) => over(tls.connect(server.clone(), stream).await.map_err(unreachable)?).await,
            }
        };
        timeout(CONNECT, connecting).await.map_err(|_| late())?
    }
}

impl HttpService for Link {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.send(request))
    }
}

impl HttpConnector for Link {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<HttpRequestBody>, HttpError> {
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
    tokio::spawn(async move {
        // Its errors reach whoever waits for an answer.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn gather(mut body: Incoming) -> Result<Bytes, HttpError> {
    let mut gathered = BytesMut::new();
    while let Some(frame) = timeout(ANSWER, body.frame()).await.map_err(|_| late())? {
        let frame = frame.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?;
        let Some(piece) = frame.data_ref() else { continue };
        if gathered.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(HttpError::new(HttpErrorKind::Decode, io::Error::other("an answer that is too long")));
        }
        gathered.extend_from_slice(piece);
    }
    Ok(gathered.freeze())
}

fn late() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, io::Error::from(io::ErrorKind::TimedOut))
}

fn unreachable(error: io::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Connect, error)
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn connector(roots: &Path) -> Result<TlsConnector, TargetError> {
    let unreadable = |why: &dyn fmt::Display| settings_error(&format!("`roots` ({}): {why}", roots.display()));
    let mut store = RootCertStore::empty();
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(roots).and_then(Iterator::collect);
    for certificate in certificates.map_err(|error| unreadable(&error))? {
        store.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if store.is_empty() {
        return Err(unreadable(&"there is no certificate in it"));
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unreadable(&error))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_in_clear_and_https_needs_authorities() {
        let link = |url: &str| Link::new(&Url::parse(url).unwrap(), None).err().map(|error| error.to_string());
        assert_eq!(link("http://127.0.0.1:9000"), None);
        assert_eq!(link("http://[::1]:9000"), None);
        assert!(link("http://s3.example").unwrap().contains("https"));
        assert!(link("ftp://127.0.0.1").unwrap().contains("https"));
        assert!(link("https://s3.example").unwrap().contains("roots"));
    }
}
