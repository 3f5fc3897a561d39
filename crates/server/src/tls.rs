//! TLS 1.2 and 1.3 with the certificate and key of two PEM files, which may be exchanged while the server runs.

use crate::config::TlsConfig;
use ::aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// Protocols offered (ALPN), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file could not be read as PEM.
    #[error("cannot read `{path}` as a PEM file: check its path, its rights and that it holds a {what}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// The reason.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate file holds none.
    #[error("`{path}` holds no certificate: it must have the server's first, then those that lead to its root")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate do not fit together, or are of a kind that is not supported.
    #[error("the certificate and the key cannot be used together: check that they were made for each other")]
    Unusable(#[source] rustls::Error),
}

/// The certificate and key in use.
#[derive(Debug)]
pub(crate) struct Identity {
    config: TlsConfig,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Identity {
    /// Reads the files.
    pub(crate) fn load(config: &TlsConfig) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Arc::new(read(config)?));
        Ok(Arc::new(Self { config: config.clone(), current }))
    }

    /// Reads the files again. Where they do not serve, what was in use stays.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(read(&self.config)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// What accepts TLS connections in this name.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?;
        let builder = match self.config.client_certificates {
            true => {
                builder.with_client_cert_verifier(Arc::new(AnyCertificate(provider.signature_verification_algorithms)))
            }
            false => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Thumbprint of the certificate that a client showed: SHA-256 of its DER, base64url (RFC 8705, section 3.1).
pub(crate) fn thumbprint(certificates: Option<&[CertificateDer<'_>]>) -> Option<String> {
    let certificate = certificates?.first()?;
    let digest = digest(&SHA256, certificate.as_ref());
    Some(URL_SAFE_NO_PAD.encode(digest.as_ref()))
}

/// Takes any certificate, and none: that the client has its key is checked, whose it is says the registration of the client.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn read(config: &TlsConfig) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &PathBuf, what| {
        let path = path.clone();
        move |source| TlsError::Unreadable { path, what, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable(&config.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: config.certificate.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(unreadable(&config.key, "private key"))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(TlsError::Unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn write(config: &TlsConfig) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&config.certificate, made.cert.pem()).unwrap();
        std::fs::write(&config.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }

    fn in_use(identity: &Identity) -> CertificateDer<'static> {
        identity.current.read().unwrap().cert[0].clone()
    }

    #[test]
    fn a_certificate_is_exchanged_only_for_one_that_serves() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| Path::new(folder.path()).join(name);
        let config =
            TlsConfig { certificate: file("certificate.pem"), key: file("key.pem"), client_certificates: false };
        let first = write(&config);
        let identity = Identity::load(&config).unwrap();
        assert_eq!(in_use(&identity), first);

        let second = write(&config);
        assert_eq!(in_use(&identity), first, "not before it is told");
        identity.reload().unwrap();
        assert_eq!(in_use(&identity), second);

        std::fs::write(&config.key, "").unwrap();
        assert!(identity.reload().is_err());
        assert_eq!(in_use(&identity), second);
    }
}
