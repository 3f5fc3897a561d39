//! An expanded key with its algorithm: the primitive under the envelope.

use crate::envelope::SealError;
use crate::key::Key;
use aws_lc_rs::aead;
use std::fmt;
use std::sync::Arc;

/// Bytes of a nonce, for both algorithms.
pub(crate) const NONCE_BYTES: usize = 12;

/// Bytes of an authentication tag, for both algorithms.
pub(crate) const TAG_BYTES: usize = 16;

/// How a row is sealed. The number is the byte in the envelope and is never given another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Algorithm {
    /// AES-256-GCM (NIST SP 800-38D): for keys that seal few rows, such as a patient's data key.
    /// With random nonces a key may seal 2^32 rows; a patient has thousands.
    Aes256Gcm = 1,
    /// AES-256-GCM-SIV (RFC 8452): for keys that live long and seal many rows, where a nonce could come twice (a great
    /// many rows, or a machine restored from a snapshot). A repeated nonce then shows no more than that two rows are equal.
    Aes256GcmSiv = 2,
}

impl Algorithm {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Aes256Gcm, Self::Aes256GcmSiv].into_iter().find(|algorithm| *algorithm as u8 == byte)
    }
}

/// A key ready for sealing and opening. Cheap to clone (shared); setting one up costs about 0.1 us.
#[derive(Clone)]
pub struct Sealer(Arc<Inner>);

struct Inner {
    key: aead::LessSafeKey,
    algorithm: Algorithm,
}

impl Sealer {
    /// AES-256-GCM, for the content under a patient's data key.
    pub fn gcm(key: &Key) -> Self {
        Self::new(Algorithm::Aes256Gcm, key)
    }

    /// AES-256-GCM-SIV, for structural rows under keys that live long.
    pub fn gcm_siv(key: &Key) -> Self {
        Self::new(Algorithm::Aes256GcmSiv, key)
    }

    /// A sealer of the given algorithm.
    #[expect(clippy::expect_used, reason = "fails only for a key of another length, which the type excludes")]
    pub fn new(algorithm: Algorithm, key: &Key) -> Self {
        let cipher = match algorithm {
            Algorithm::Aes256Gcm => &aead::AES_256_GCM,
            Algorithm::Aes256GcmSiv => &aead::AES_256_GCM_SIV,
        };
        let key = aead::UnboundKey::new(cipher, key.as_bytes()).expect("a key of 32 bytes");
        Self(Arc::new(Inner { key: aead::LessSafeKey::new(key), algorithm }))
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Encrypts `text` where it stands and gives the tag. The caller answers for the nonce.
    pub(crate) fn seal_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        text: &mut [u8],
    ) -> Result<aead::Tag, SealError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let associated = aead::Aad::from(associated);
        self.0.key.seal_in_place_separate_tag(nonce, associated, text).map_err(|_| SealError::Cipher)
    }

    /// Checks `ciphertext` and decrypts it into `text`, which has the same length.
    pub(crate) fn open_into(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_BYTES],
        text: &mut [u8],
    ) -> Result<(), SealError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let associated = aead::Aad::from(associated);
        self.0.key.open_separate_gather(nonce, associated, ciphertext, tag, text).map_err(|_| SealError::NotAuthentic)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({:?}, ..)", self.0.algorithm)
    }
}
