//! Requests to others: keys of apps, and what providers of logins say.
//!
//! Only addresses that the operator lists are asked, so nobody can make the server look around in the house. A redirect is an
//! answer that is not taken. Time and size are bounded.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tacet_smart::foreign::{ANSWER_BYTES_MAX, Answering, Fetch, FetchAnswer, FetchRequest};
use tacet_smart::settings::JWKS_BYTES_MAX;
use tacet_smart::{FetchError, FetchJwks, Fetching};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What may be asked for elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutgoingConfig {
    /// Hosts, or `host:port`, whose https addresses may be asked. A host alone is its port 443, and no other. `http` is taken for this machine
    /// alone, where a host alone is its port 80.
    pub hosts: Vec<String>,
    /// PEM file of the certificates that are trusted.
    pub roots: Option<PathBuf>,
    /// Longest time for one request, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for OutgoingConfig {
    fn default() -> Self {
        Self { hosts: Vec::new(), roots: None, timeout_ms: 5000 }
    }
}

/// What asks.
pub(crate) struct Outgoing {
    hosts: Vec<String>,
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Outgoing {
    pub(crate) fn new(config: &OutgoingConfig) -> Result<Self, ()> {
        let tls = config.roots.as_ref().map(connector).transpose()?;
        let hosts = config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(Self { hosts, tls, timeout: Duration::from_millis(config.timeout_ms) })
    }

    /// The address, where it may be asked.
    fn allowed(&self, url: &str) -> Option<(Uri, String, bool)> {
        let uri: Uri = url.parse().ok()?;
        let authority = uri.authority()?.as_str().to_ascii_lowercase();
        let host = uri.host()?.to_ascii_lowercase();
        let here = matches!(host.as_str(), "127.0.0.1" | "[::1]" | "localhost");
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let usual = port == if https { 443 } else { 80 };
        let with_port = format!("{host}:{port}");
        let listed = self.hosts.iter().any(|known| *known == with_port || (usual && *known == host));
        let fits = https || (here && uri.scheme_str() == Some("http"));
        (listed && fits && !authority.contains('@')).then_some((uri, host, https))
    }

    async fn ask(&self, ask: FetchRequest, bytes_max: usize) -> Result<FetchAnswer, FetchError> {
        let Some((uri, host, https)) = self.allowed(&ask.url) else {
            tracing::warn!("an address elsewhere was not asked: its host is not listed under `access.outgoing.hosts`");
            return Err(FetchError);
        };
        let answer = timeout(self.timeout, self.exchange(uri, &host, https, ask, bytes_max)).await;
        answer.ok().flatten().ok_or_else(|| {
            tracing::warn!("an address elsewhere could not be asked, or its answer was too long or too late");
            FetchError
        })
    }

    async fn exchange(
        &self,
        uri: Uri,
        host: &str,
        https: bool,
        ask: FetchRequest,
        bytes_max: usize,
    ) -> Option<FetchAnswer> {
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((name, port)).await.ok()?;
        let request = request(&uri, ask)?;
        if !https {
            return over(stream, request, bytes_max).await;
        }
        let server = ServerName::try_from(name.to_owned()).ok()?;
        over(self.tls.as_ref()?.connect(server, stream).await.ok()?, request, bytes_max).await
    }
}

fn connector(roots: &PathBuf) -> Result<TlsConnector, ()> {
    let mut store = RootCertStore::empty();
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(roots).and_then(Iterator::collect);
    for certificate in certificates.map_err(|_| ())? {
        store.add(certificate).map_err(|_| ())?;
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| ())?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn request(uri: &Uri, ask: FetchRequest) -> Option<Request<Full<Bytes>>> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let method = if ask.form.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, uri.authority()?.as_str())
        .header(USER_AGENT, "tacet")
        .header(ACCEPT, "application/json");
    if let Some(authorization) = &ask.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if ask.form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(Full::new(Bytes::from(ask.form.unwrap_or_default()))).ok()
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Option<FetchAnswer> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .ok()?;
    let asked = async move {
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), bytes_max).collect().await.ok()?.to_bytes().to_vec();
        Some(FetchAnswer { status, body })
    };
    let mut connection = std::pin::pin!(connection);
    let mut asked = std::pin::pin!(asked);
    let mut closed = false;
    loop {
        tokio::select! {
            answer = &mut asked => return answer,
            _ = &mut connection, if !closed => closed = true,
        }
    }
}

impl FetchJwks for Outgoing {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        let ask = FetchRequest { url: url.to_owned(), authorization: None, form: None };
        Box::pin(async move {
            let answer = self.ask(ask, JWKS_BYTES_MAX).await?;
            if answer.status == 200 { Ok(answer.body) } else { Err(FetchError) }
        })
    }
}

impl Fetch for Outgoing {
    fn fetch(&self, request: FetchRequest) -> Answering<'_> {
        Box::pin(self.ask(request, ANSWER_BYTES_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_hosts_are_asked_and_only_over_tls() {
        let config = OutgoingConfig {
            hosts: vec!["Keys.example".into(), "other.example:8443".into(), "127.0.0.1:9".into(), "localhost".into()],
            ..OutgoingConfig::default()
        };
        let outgoing = Outgoing::new(&config).unwrap();
        for url in [
            "https://keys.example/jwks",
            "https://keys.example:443/jwks?x=1",
            "https://other.example:8443/",
            "http://127.0.0.1:9/jwks",
            "http://localhost:80/jwks",
            "http://localhost/jwks",
        ] {
            assert!(outgoing.allowed(url).is_some(), "{url}");
        }
        for url in [
            "",
            "/jwks",
            "http://keys.example/jwks",
            "https://other.example/",
            "https://keys.example@evil.example/",
            "https://keys.example.evil.example/",
            "https://user@keys.example/",
            "ftp://keys.example/",
            "http://127.0.0.1:10/",
            "http://127.0.0.1/",
            "https://keys.example:444/jwks",
            "https://keys.example:80/jwks",
            "http://localhost:443/",
            "http://localhost:9200/",
            "https://169.254.169.254/",
        ] {
            assert!(outgoing.allowed(url).is_none(), "{url}");
        }
    }
}
