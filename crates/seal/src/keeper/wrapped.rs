//! A wrapped key, written to the byte in `docs/formats/seal.md`.

use super::KeeperError;
use crate::key::{KEY_BYTES, Key};
use crate::sealer::{NONCE_BYTES, Sealer, TAG_BYTES};
use std::fmt;
use tacet_types::Rng;
use zeroize::Zeroizing;

/// Version byte of a wrapped key.
const FORMAT_VERSION: u8 = 1;

/// Bytes of a wrapped key: version, generation, nonce, sealed key, tag.
pub const WRAPPED_KEY_BYTES: usize = 1 + 4 + NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// A key sealed under a root key; safe to store.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    /// Reads a stored wrapped key; only its shape is checked.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, KeeperError> {
        if bytes.len() == WRAPPED_KEY_BYTES && bytes.first() == Some(&FORMAT_VERSION) {
            Ok(Self(bytes))
        } else {
            Err(KeeperError::Malformed { bytes: bytes.len() })
        }
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The generation of the root key that it is wrapped under.
    pub fn generation(&self) -> u32 {
        self.0.get(1..5).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
    }

    pub(super) fn wrap(
        key: &Key,
        root: &Sealer,
        generation: u32,
        context: &[u8],
        rng: &dyn Rng,
    ) -> Result<Self, KeeperError> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        let mut text = Zeroizing::new(*key.as_bytes());
        let tag = root
            .seal_in_place(nonce, &associated(generation, context), text.as_mut_slice())
            .map_err(|_| KeeperError::Unavailable)?;
        let mut bytes = Vec::with_capacity(WRAPPED_KEY_BYTES);
        bytes.push(FORMAT_VERSION);
        bytes.extend(generation.to_be_bytes());
        bytes.extend(nonce);
        bytes.extend_from_slice(text.as_slice());
        bytes.extend_from_slice(tag.as_ref());
        Ok(Self(bytes))
    }

    pub(super) fn unwrap(&self, root: &Sealer, context: &[u8]) -> Result<Key, KeeperError> {
        let malformed = KeeperError::Malformed { bytes: self.0.len() };
        let parts = self.0.get(5..).and_then(|rest| {
            let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
            let (text, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
            Some((nonce, text, tag))
        });
        let Some((nonce, text, tag)) = parts else { return Err(malformed) };
        let mut opened = Zeroizing::new([0; KEY_BYTES]);
        root.open_into(*nonce, &associated(self.generation(), context), text, tag, opened.as_mut_slice())
            .map_err(|_| KeeperError::NotAuthentic)?;
        Ok(Key::from_bytes(*opened))
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey(generation {}, ..)", self.generation())
    }
}

/// Version, generation, then the context, which is last and so needs no length.
fn associated(generation: u32, context: &[u8]) -> Vec<u8> {
    [&[FORMAT_VERSION][..], &generation.to_be_bytes(), context].concat()
}
