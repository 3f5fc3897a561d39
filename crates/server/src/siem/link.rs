//! The connection to a receiver.

use super::config::{AuditFeedConfig, AuditFeedError, AuditFeedForm, Place};
use super::requests::Requests;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Bytes read at a time of what a receiver says, which is looked at by nobody.
const SAID_BYTES: usize = 1024;

/// Why a connection was not made or did not hold. Nothing of the receiver, for log and ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// No connection.
    Connect,
    /// Not who it must be, or no TLS.
    Tls,
    /// Not in time.
    Timeout,
    /// It was closed.
    Closed,
    /// It answered with another status than 2xx.
    Status(u16),
    /// The store could not be read or written.
    Store,
}

impl Broken {
    pub(super) fn words(self) -> String {
        match self {
            Self::Connect => "the receiver cannot be reached".to_owned(),
            Self::Tls => "the receiver's certificate is not accepted, or it speaks no TLS".to_owned(),
            Self::Timeout => "the receiver does not take anything in time".to_owned(),
            Self::Closed => "the receiver closed the connection".to_owned(),
            Self::Status(status) => format!("the receiver answers with status {status}"),
            Self::Store => "the ledger could not be read, or the place could not be written".to_owned(),
        }
    }
}

/// Whether what was sent was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// The receiver said so.
    Said,
    /// Nobody can say.
    Unknown,
}

/// How a receiver is reached.
pub(super) struct Link {
    place: Place,
    content_type: &'static str,
    tls: Option<TlsConnector>,
    timeout: Duration,
}

/// An open connection.
pub(super) enum Connection {
    /// Of bytes, one way.
    Stream(Stream),
    /// Of requests, each answered.
    Requests(Requests),
}

pub(super) trait Both: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

pub(super) struct Stream {
    reader: ReadHalf<Box<dyn Both>>,
    writer: WriteHalf<Box<dyn Both>>,
    timeout: Duration,
}

impl Link {
    pub(super) fn new(name: &str, config: &AuditFeedConfig) -> Result<Self, AuditFeedError> {
        let place = config.place().ok_or_else(|| AuditFeedError::Address { feed: name.to_owned() })?;
        let timeout = Duration::from_millis(config.timeout_ms);
        let tls = config.roots.as_deref().map(|roots| connector(name, config, roots)).transpose()?;
        Ok(Self { place, content_type: content_type(config.form), tls, timeout })
    }

    pub(super) async fn connect(&self) -> Result<Connection, Broken> {
        timeout(self.timeout, self.open()).await.unwrap_or(Err(Broken::Timeout))
    }

    async fn open(&self) -> Result<Connection, Broken> {
        let stream =
            TcpStream::connect((self.place.host.as_str(), self.place.port)).await.map_err(|_| Broken::Connect)?;
        let _ = stream.set_nodelay(true);
        let both: Box<dyn Both> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(self.place.host.clone()).map_err(|_| Broken::Tls)?;
                Box::new(tls.connect(name, stream).await.map_err(|_| Broken::Tls)?)
            }
        };
        if self.place.path.is_some() {
            return Requests::over(both, &self.place, self.content_type, self.timeout).await.map(Connection::Requests);
        }
        let (reader, writer) = split(both);
        Ok(Connection::Stream(Stream { reader, writer, timeout: self.timeout }))
    }
}

impl Connection {
    /// Gives these bytes to the connection, and says whether they were taken.
    pub(super) async fn send(&mut self, bytes: Vec<u8>) -> Result<Taken, Broken> {
        match self {
            Self::Stream(stream) => stream.send(&bytes).await.map(|()| Taken::Unknown),
            Self::Requests(requests) => requests.send(bytes).await.map(|()| Taken::Said),
        }
    }

    /// Waits until the other side closes.
    pub(super) async fn closed(&mut self) -> Broken {
        match self {
            Self::Stream(stream) => until_closed(&mut stream.reader).await,
            Self::Requests(requests) => requests.closed().await,
        }
    }

    /// Ends it; true: all that was sent was taken.
    pub(super) async fn finish(self) -> bool {
        match self {
            Self::Stream(stream) => stream.finish().await,
            // What was answered was taken, and nothing else counts as sent.
            Self::Requests(_) => true,
        }
    }
}

/// What a body is.
fn content_type(form: AuditFeedForm) -> &'static str {
    match form {
        AuditFeedForm::Fhir => "application/fhir+json",
        AuditFeedForm::Json => "application/x-ndjson",
        AuditFeedForm::Cef | AuditFeedForm::Dicom => "text/plain; charset=utf-8",
    }
}

impl Stream {
    /// Gives these bytes to the connection. That they are given says nothing of whether they were taken.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let Self { reader, writer, timeout: longest } = self;
        let writing = async {
            writer.write_all(bytes).await.map_err(|_| Broken::Closed)?;
            writer.flush().await.map_err(|_| Broken::Closed)
        };
        tokio::select! {
            written = timeout(*longest, writing) => written.unwrap_or(Err(Broken::Timeout)),
            broken = until_closed(reader) => Err(broken),
        }
    }

    /// Says that nothing more comes, and waits for the other side to say so too: true. It has read to the end then. A connection that just
    /// ends proves nothing over TLS: anybody on the way can end it.
    async fn finish(mut self) -> bool {
        let ending = async {
            self.writer.shutdown().await.ok()?;
            let mut said = [0; SAID_BYTES];
            loop {
                match self.reader.read(&mut said).await {
                    Ok(0) => return Some(()),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        };
        timeout(self.timeout.min(Duration::from_secs(2)), ending).await.ok().flatten().is_some()
    }
}

async fn until_closed(reader: &mut ReadHalf<Box<dyn Both>>) -> Broken {
    let mut said = [0; SAID_BYTES];
    loop {
        match reader.read(&mut said).await {
            Ok(0) | Err(_) => return Broken::Closed,
            Ok(_) => {}
        }
    }
}

fn connector(name: &str, config: &AuditFeedConfig, roots: &Path) -> Result<TlsConnector, AuditFeedError> {
    type Source = Option<Box<dyn std::error::Error + Send + Sync>>;
    let failed =
        |path: &Path, source: Source| AuditFeedError::File { feed: name.to_owned(), path: path.to_owned(), source };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, AuditFeedError> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        let read: Vec<CertificateDer<'static>> = read.map_err(|error| failed(path, Some(Box::new(error))))?;
        if read.is_empty() { Err(failed(path, None)) } else { Ok(read) }
    };
    let mut trusted = RootCertStore::empty();
    for certificate in certificates(roots)? {
        trusted.add(certificate).map_err(|error| failed(roots, Some(Box::new(error))))?;
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(roots, Some(Box::new(error))))?
        .with_root_certificates(trusted);
    let tls = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, Some(Box::new(error))))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| failed(key, Some(Box::new(error))))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(tls)))
}
