//! TLS: when it is needed, and that it works with HTTP/1.1 and HTTP/2.

use crate::client::Ask;
use crate::running::{config, refusal, start_with};
use rustls::pki_types::ServerName;
use std::path::Path;
use std::sync::Arc;
use tacet_server::{ServeError, ServerConfig, TlsConfig, TlsError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Writes a certificate for `localhost` and its key; gives the certificate.
fn certificate(folder: &Path) -> (TlsConfig, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsConfig {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
        client_certificates: false,
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, made.cert.der().clone())
}

fn connector(root: rustls::pki_types::CertificateDer<'static>, protocol: &[u8]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn no_network_without_tls() {
    for address in ["0.0.0.0:0", "192.0.2.1:8443", "[::]:0", "[2001:db8::1]:443"] {
        let config = ServerConfig { listen: address.parse().unwrap(), ..ServerConfig::default() };
        let error = refusal(config).await;
        assert!(matches!(error, ServeError::TlsNeeded { .. }), "{address}: {error}");
        assert!(error.to_string().contains("tls.certificate"), "it says what to do: {error}");
    }
    for address in ["127.0.0.1:0", "127.8.9.10:0"] {
        start_with(ServerConfig { listen: address.parse().unwrap(), ..ServerConfig::default() }).await;
    }
}

#[tokio::test]
async fn with_tls_a_name_is_needed_beyond_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate(folder.path());
    let any = ServerConfig { listen: "0.0.0.0:0".parse().unwrap(), tls: Some(files), ..ServerConfig::default() };
    assert!(matches!(refusal(any.clone()).await, ServeError::BaseUrlNeeded { .. }));
    start_with(ServerConfig { base_url: Some("https://tacet.example".to_owned()), ..any }).await;
}

#[tokio::test]
async fn files_that_do_not_serve_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate(folder.path());
    let other = tempfile::tempdir().unwrap();
    let (strange, _) = certificate(other.path());
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let with = |certificate: &Path, key: &Path| ServerConfig {
        tls: Some(TlsConfig { certificate: certificate.into(), key: key.into(), client_certificates: false }),
        ..config()
    };
    let refused = |error: ServeError| match error {
        ServeError::Tls(error) => error,
        other => panic!("{other}"),
    };
    let missing = refused(refusal(with(&folder.path().join("none.pem"), &files.key)).await);
    assert!(
        matches!(&missing, TlsError::Unreadable { what: "certificate", .. })
            && missing.to_string().contains("none.pem")
    );
    assert!(matches!(refused(refusal(with(&empty, &files.key)).await), TlsError::NoCertificate { .. }));
    let no_key = refused(refusal(with(&files.certificate, &files.certificate)).await);
    assert!(matches!(no_key, TlsError::Unreadable { what: "private key", .. }));
    assert!(matches!(refused(refusal(with(&files.certificate, &strange.key)).await), TlsError::Unusable(_)));
}

#[tokio::test]
async fn records_travel_over_tls_in_both_protocols() {
    let folder = tempfile::tempdir().unwrap();
    let (files, root) = certificate(folder.path());
    let server = start_with(ServerConfig { tls: Some(files), ..config() }).await;
    assert!(server.base_url.starts_with("https://127.0.0.1:"));
    let open = async |protocol: &[u8]| {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        connector(root.clone(), protocol).connect(name, stream).await.unwrap()
    };
    let put = Ask::new("PUT", "/Patient/p1").bearer("clinician").json(r#"{"resourceType":"Patient"}"#);
    let stored = put.send_http2(&server.base_url, open(b"h2").await).await;
    assert_eq!(stored.status, 201);
    let url = format!("{}/Patient/p1/_history/1", server.base_url);
    assert_eq!(stored.header("location"), Some(url.as_str()));
    let read = Ask::get("/Patient/p1").send_over(open(b"http/1.1").await).await;
    assert_eq!((read.status, read.body), (200, stored.body));
    let stream = TcpStream::connect(server.address).await.unwrap();
    let plain = hyper::client::conn::http1::handshake::<_, String>(hyper_util::rt::TokioIo::new(stream)).await;
    let (mut sender, connection) = plain.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::builder().uri("/metadata").body(String::new()).unwrap();
    assert!(sender.send_request(request).await.is_err(), "nothing is said without TLS");
}
