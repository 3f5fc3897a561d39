//! The key of a generation, and what is derived from it: a key for each file, and the names on disk.

use aws_lc_rs::{hkdf, hmac};
use std::fmt;
use tacet_seal::{KEY_BYTES, Key};
use tacet_types::Rng;

/// HKDF label of a file's key.
const FILE_LABEL: &[u8] = b"tacet/index/file/1";

/// HKDF label of the key that makes names.
const NAME_LABEL: &[u8] = b"tacet/index/name/1";

/// Bytes of the hash in a name.
const NAME_BYTES: usize = 16;

/// A file's own random number. A file that is written again gets another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId(pub [u8; Self::BYTES]);

impl FileId {
    /// Its length.
    pub(crate) const BYTES: usize = 16;

    /// A new one.
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; Self::BYTES];
        rng.fill(&mut bytes);
        Self(bytes)
    }
}

/// The random key of one generation of the index. It stands in the sealed pointer and nowhere else: when the pointer leads to another
/// generation, what is left of this one cannot be opened by anybody.
pub struct GenerationKey {
    key: Key,
    derivation: hkdf::Prk,
    names: hmac::Key,
}

struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl GenerationKey {
    /// A new one.
    pub fn random(rng: &dyn Rng) -> Self {
        Self::from_key(Key::random(rng))
    }

    /// The generation key of these bytes.
    pub(crate) fn from_key(key: Key) -> Self {
        let derivation = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(key.as_bytes());
        let names = derive(&derivation, &[NAME_LABEL]);
        let names = hmac::Key::new(hmac::HMAC_SHA256, names.as_bytes());
        Self { key, derivation, names }
    }

    /// Its bytes, for the pointer.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The key of one file.
    pub(crate) fn file_key(&self, id: FileId, path: &str) -> Key {
        derive(&self.derivation, &[FILE_LABEL, &id.0, path.as_bytes()])
    }

    /// The name on disk of what the library calls `path`.
    pub(crate) fn name(&self, path: &str) -> String {
        let hash = hmac::sign(&self.names, path.as_bytes());
        hex(hash.as_ref().get(..NAME_BYTES).unwrap_or_default())
    }
}

impl fmt::Debug for GenerationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GenerationKey(..)")
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[expect(clippy::expect_used, reason = "fails only for outputs beyond 255 hashes; this asks for one")]
fn derive(derivation: &hkdf::Prk, info: &[&[u8]]) -> Key {
    let mut bytes = [0; KEY_BYTES];
    derivation.expand(info, KeyLength).and_then(|okm| okm.fill(&mut bytes)).expect("one hash of output");
    Key::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    #[test]
    fn each_file_has_a_key_and_a_name_of_its_own() {
        let rng = SeededRng::new(1);
        let (key, other) = (GenerationKey::random(&rng), GenerationKey::random(&rng));
        let (a, b) = (FileId::random(&rng), FileId::random(&rng));
        let first = key.file_key(a, "x.term");
        assert_eq!(first, GenerationKey::from_key(key.key().duplicate()).file_key(a, "x.term"));
        for another in [key.file_key(b, "x.term"), key.file_key(a, "y.term"), other.file_key(a, "x.term")] {
            assert_ne!(first, another);
        }
        assert_ne!(key.name("x.term"), key.name("x.idx"));
        assert_ne!(key.name("x.term"), other.name("x.term"));
        assert_eq!(key.name("x.term").len(), 32);
    }
}
