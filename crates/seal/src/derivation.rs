//! HKDF-SHA-256 (RFC 5869): keys for separate uses out of one key.

use crate::key::{KEY_BYTES, Key};
use aws_lc_rs::hkdf;

/// A key prepared for derivations. Every use has a label of its own, listed in `docs/formats/seal.md` and
/// `docs/formats/root-key.md`.
pub(crate) struct Derivation(hkdf::Prk);

struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl Derivation {
    /// Extracts from `key`. The salt is what tells two holders of the same key apart; it is no secret.
    pub(crate) fn new(key: &[u8; KEY_BYTES], salt: &[u8]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key))
    }

    /// The key for the use named by `label`.
    #[expect(clippy::expect_used, reason = "fails only for outputs beyond 255 hashes; this asks for one")]
    pub(crate) fn key(&self, label: &str) -> Key {
        let info = [label.as_bytes()];
        let mut bytes = [0; KEY_BYTES];
        self.0.expand(&info, KeyLength).and_then(|okm| okm.fill(&mut bytes)).expect("one hash of output");
        Key::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salt_key_and_label_each_matter() {
        let base = Derivation::new(&[1; 32], b"salt").key("label");
        assert_eq!(base, Derivation::new(&[1; 32], b"salt").key("label"));
        assert_ne!(base, Derivation::new(&[2; 32], b"salt").key("label"));
        assert_ne!(base, Derivation::new(&[1; 32], b"tlas").key("label"));
        assert_ne!(base, Derivation::new(&[1; 32], b"salt").key("lebal"));
    }
}
