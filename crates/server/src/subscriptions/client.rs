//! One HTTP request at a time to an endpoint, over a connection of its own.

use super::{SubscriptionsConfig, SubscriptionsError};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest head of an answer, in bytes.
const ANSWER_HEAD_BYTES_MAX: usize = 16 << 10;

/// How this program names itself.
const AGENT: &str = "tacet";

/// Where notifications go.
#[derive(Clone)]
pub(super) struct Endpoint {
    uri: Uri,
    host: String,
}

/// Why one was not taken. Nothing of the endpoint, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// No connection.
    Connect,
    /// Not who it must be, or no TLS.
    Tls,
    /// No HTTP.
    Http,
    /// Not in time.
    Timeout,
    /// It said no, or somewhere else.
    Status(u16),
}

impl Failure {
    /// For `Subscription.error`.
    pub(super) fn words(self) -> String {
        match self {
            Self::Connect => "it cannot be reached".to_owned(),
            Self::Tls => "its certificate is not accepted, or it speaks no TLS".to_owned(),
            Self::Http => "it does not answer in HTTP".to_owned(),
            Self::Timeout => "it does not answer in time".to_owned(),
            Self::Status(status) => format!("it answers with status {status}"),
        }
    }
}

impl Endpoint {
    /// Reads a URL; `None` where it is no absolute http or https URL, or holds more than host, port, path and query.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let known = matches!(uri.scheme_str(), Some("https" | "http"));
        // A path that climbs could leave the prefix that is allowed.
        let climbs = uri.path().split('/').any(|part| part.to_ascii_lowercase().replace("%2e", ".") == "..");
        if !known || authority.contains('@') || url.contains('#') || climbs {
            return None;
        }
        let host = uri.host()?.to_owned();
        Some(Self { uri, host }).filter(|endpoint| !endpoint.host.is_empty())
    }

    pub(super) fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Whether it is this machine.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.host.as_str(), "127.0.0.1" | "[::1]" | "localhost")
    }

    /// Path and query, with `below` added to the path.
    fn target(&self, below: &str) -> String {
        let query = self.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        match below {
            "" => format!("{}{query}", self.uri.path()),
            below => format!("{}/{below}{query}", self.uri.path().trim_end_matches('/')),
        }
    }
}

/// One request.
pub(super) struct Message {
    pub(super) method: Method,
    /// What comes after the endpoint's path.
    pub(super) below: String,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Bytes,
}

/// What sends.
pub(super) struct Client {
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(config: &SubscriptionsConfig) -> Result<Self, SubscriptionsError> {
        let timeout = Duration::from_millis(config.timeout_ms);
        let Some(path) = &config.roots else {
            let needed = config.allowed.iter().any(|prefix| prefix.starts_with("https:"));
            return if needed { Err(SubscriptionsError::RootsNeeded) } else { Ok(Self { tls: None, timeout }) };
        };
        let failed = |source| SubscriptionsError::Roots { path: path.clone(), source };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| failed(Some(Box::new(error))))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| failed(Some(Box::new(error))))?;
        }
        if roots.is_empty() {
            return Err(failed(None));
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(Some(Box::new(error))))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Some(TlsConnector::from(Arc::new(tls))), timeout })
    }

    /// Sends; it was taken where the answer's status begins with 2.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        headers: &[(HeaderName, HeaderValue)],
        message: &Message,
    ) -> Result<(), Failure> {
        timeout(self.timeout, self.exchange(endpoint, headers, message)).await.unwrap_or(Err(Failure::Timeout))
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        headers: &[(HeaderName, HeaderValue)],
        message: &Message,
    ) -> Result<(), Failure> {
        let port = endpoint.uri.port_u16().unwrap_or(if endpoint.is_https() { 443 } else { 80 });
        let host = endpoint.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, port)).await.map_err(|_| Failure::Connect)?;
        let _ = stream.set_nodelay(true);
        let request = request(endpoint, headers, message).map_err(|_| Failure::Http)?;
        if !endpoint.is_https() {
            return over(stream, request).await;
        }
        let tls = self.tls.as_ref().ok_or(Failure::Tls)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::Tls)?;
        over(tls.connect(name, stream).await.map_err(|_| Failure::Tls)?, request).await
    }
}

fn request(
    endpoint: &Endpoint,
    headers: &[(HeaderName, HeaderValue)],
    message: &Message,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let authority = endpoint.uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let mut request = Request::builder()
        .method(message.method.clone())
        .uri(endpoint.target(&message.below))
        .header(HOST, authority)
        .header(USER_AGENT, AGENT);
    if let Some(content_type) = message.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::new(message.body.clone()))
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(), Failure> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(ANSWER_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::Http)?;
    let asked = async move { sender.send_request(request).await.map(|answer| answer.status()) };
    let mut connection = std::pin::pin!(connection);
    let mut asked = std::pin::pin!(asked);
    let mut closed = false;
    // The answer's body is not read: with this function the connection ends.
    let status = loop {
        tokio::select! {
            status = &mut asked => break status.map_err(|_| Failure::Http)?,
            _ = &mut connection, if !closed => closed = true,
        }
    };
    if status.is_success() { Ok(()) } else { Err(Failure::Status(status.as_u16())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_held_to_their_shape() {
        for url in [
            "",
            "x",
            "/hook",
            "ftp://h/x",
            "https://user@h/x",
            "https://h/a/../b",
            "https://h/a/%2E%2e/b",
            "https://h/#x",
            "https:///x",
        ] {
            assert!(Endpoint::parse(url).is_none(), "{url}");
        }
        let endpoint = Endpoint::parse("https://h:99/a/?k=1").unwrap();
        assert_eq!((endpoint.target("").as_str(), endpoint.is_https()), ("/a/?k=1", true));
        assert_eq!(endpoint.target("Patient/1"), "/a/Patient/1?k=1");
        assert_eq!(Endpoint::parse("http://127.0.0.1:1").unwrap().target("x"), "/x");
        assert!(Endpoint::parse("http://[::1]:1/").unwrap().is_here());
    }
}
