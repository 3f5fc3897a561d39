//! A symmetric key, and the generator that keys and nonces are drawn from.

use std::fmt;
use subtle::ConstantTimeEq;
use tacet_types::Rng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of every symmetric key in Tacet (AES-256, HMAC-SHA-256, HKDF-SHA-256).
pub const KEY_BYTES: usize = 32;

/// A symmetric key of 256 bits. Wiped when dropped, prints redacted, compared in constant time.
///
/// It stays at one place on the heap, so that moving the value leaves no copies behind.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key(Box<[u8; KEY_BYTES]>);

impl Key {
    /// A new random key.
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = Box::new([0; KEY_BYTES]);
        rng.fill(bytes.as_mut());
        Self(bytes)
    }

    /// The key of these bytes; the copy that was passed is wiped.
    pub fn from_bytes(mut bytes: [u8; KEY_BYTES]) -> Self {
        let key = Self(Box::new(bytes));
        bytes.zeroize();
        key
    }

    /// Reads a key from exactly [`KEY_BYTES`] bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut boxed = Box::new([0; KEY_BYTES]);
        (bytes.len() == KEY_BYTES).then(|| {
            boxed.copy_from_slice(bytes);
            Self(boxed)
        })
    }

    /// The key's bytes. Copies made of them are the caller's to wipe.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// A second holder of the same key. Spelled out, so that copying a secret is seen where it happens.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The random numbers of the cryptographic library: fit for keys, and cheap enough for a nonce per row.
#[derive(Clone, Copy, Default, Debug)]
pub struct SecureRng;

impl Rng for SecureRng {
    #[expect(clippy::expect_used, reason = "without randomness no key and no nonce may be made: the process must stop")]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the cryptographic library gives random numbers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    #[test]
    fn a_key_prints_redacted_and_is_compared_by_content() {
        let rng = SeededRng::new(1);
        let (a, b) = (Key::random(&rng), Key::random(&rng));
        assert_ne!(a, b);
        assert_eq!(a, a.duplicate());
        assert_eq!(a, Key::from_bytes(*a.as_bytes()));
        assert_eq!(format!("{a:?}"), "Key(..)");
        assert!(Key::from_slice(&[0; 31]).is_none() && Key::from_slice(&[0; 33]).is_none());
        assert_eq!(Key::from_slice(a.as_bytes()), Some(a));
    }

    #[test]
    fn the_secure_generator_does_not_repeat() {
        let keys: Vec<Key> = (0..8).map(|_| Key::random(&SecureRng)).collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(index + 1).all(|other| other != key));
            assert_ne!(key.as_bytes(), &[0; KEY_BYTES]);
        }
    }
}
