//! The key that signs manifests: Ed25519 (RFC 8032), from a seed that is derived from the establishment's key. So whoever can restore can verify,
//! and so can whoever noted the public key.

use crate::hex;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;
use tacet_seal::Key;

/// Comes before the signed text, so that the key signs nothing that is read as something else.
const DOMAIN: &[u8] = b"tacet-backup-manifest-1\n";

/// Bytes of a public key.
const PUBLIC_BYTES: usize = 32;

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// Public key of an establishment's backups.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; PUBLIC_BYTES]);

impl PublicKey {
    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode_array(text).map(Self)
    }

    /// Whether `signature` is one of `text` under this key.
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(&[DOMAIN, text].concat(), signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Signs manifests.
pub struct BackupSigner {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl BackupSigner {
    /// From the seed that the seal derives for backups.
    #[expect(clippy::expect_used, reason = "fails only for a seed or a key of another length than 32 bytes")]
    pub fn new(seed: &Key) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_bytes()).expect("32 bytes");
        let public = PublicKey(pair.public_key().as_ref().try_into().expect("32 bytes"));
        Self { pair, public }
    }

    /// The key by which its signatures are verified.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(&[DOMAIN, text].concat()).as_ref().to_vec()
    }
}

impl fmt::Debug for BackupSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupSigner({})", self.public)
    }
}
