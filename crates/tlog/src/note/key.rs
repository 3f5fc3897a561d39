//! Keys of signed notes, and their text forms.
//!
//! ```text
//! vkey   <name>+<key id, 8 hexadecimal digits>+<base64(type ‖ public key)>
//! skey   PRIVATE+KEY+<name>+<key id>+<base64(type ‖ seed)>
//! ```

use super::Signature;
use crate::text;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;
use tacet_types::Rng;
use zeroize::Zeroizing;

/// Longest name of a key, in bytes. The specification has no bound; ML-DSA cosignatures carry names of 255 bytes at most.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// Longest public key that is held, in bytes: one of ML-DSA-87 has 2,592.
const PUBLIC_KEY_BYTES_MAX: usize = 4096;

/// Bytes of an Ed25519 public key, and of a seed.
const ED25519_BYTES: usize = 32;

/// How a private key's text begins.
const PRIVATE_START: &str = "PRIVATE+KEY+";

/// First bytes of the hash of a key with its name and type. An identifier, no safeguard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Types of signatures, by the byte that the specification assigns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignatureType {
    /// `01`: Ed25519 over the note's text. What a log signs with.
    Ed25519,
    /// `04`: Ed25519 with a time, by a witness ([`crate::cosignature`]).
    CosignatureEd25519,
    /// `06`: ML-DSA-44 with a time. Its keys are held; this program does not verify them yet.
    CosignatureMlDsa44,
    /// Any other: kept, not verified.
    Other(u8),
}

impl SignatureType {
    /// The assigned byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureEd25519 => 0x04,
            Self::CosignatureMlDsa44 => 0x06,
            Self::Other(byte) => byte,
        }
    }

    /// The type that has this byte.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0x01 => Self::Ed25519,
            0x04 => Self::CosignatureEd25519,
            0x06 => Self::CosignatureMlDsa44,
            other => Self::Other(other),
        }
    }

    fn is_ed25519(self) -> bool {
        matches!(self, Self::Ed25519 | Self::CosignatureEd25519)
    }
}

/// Why a key's text or parts are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, too long, or has a space, a `+` or a control character.
    #[error("a key's name has 1 to {KEY_NAME_BYTES_MAX} bytes, without spaces, `+` and control characters")]
    Name,
    /// Not a text of a key.
    #[error("not a key: it has the form NAME+ID+BASE64, as `tacet witness init` and `tacet ledger key` print it")]
    Malformed,
    /// The id in the text is not the key's.
    #[error("the key's id does not fit its name and bytes: it was copied wrongly, or changed")]
    Id,
    /// The key has not the length that its type asks for.
    #[error("the key has not the length of its type")]
    Length,
    /// A private key of a type that this program does not sign with.
    #[error("this program does not sign with keys of type {0:#04x}")]
    CannotSign(u8),
}

/// Whether a key may have this name.
pub(super) fn name_fits(name: &str) -> bool {
    let length = (1..=KEY_NAME_BYTES_MAX).contains(&name.len());
    length && !name.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '+')
}

fn key_id(name: &str, kind: SignatureType, public: &[u8]) -> KeyId {
    let hash = digest(&SHA256, &[name.as_bytes(), b"\n", &[kind.byte()], public].concat());
    KeyId(hash.as_ref().first_chunk().copied().unwrap_or_default())
}

/// The public half of a key, with its name.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: SignatureType,
    public: Vec<u8>,
    id: KeyId,
}

impl VerifierKey {
    /// A key of its parts. `public` is encoded as its type says.
    ///
    /// # Errors
    /// The name or the length does not fit.
    pub fn from_parts(name: &str, kind: SignatureType, public: &[u8]) -> Result<Self, KeyError> {
        if !name_fits(name) {
            return Err(KeyError::Name);
        }
        let fits = if kind.is_ed25519() { public.len() == ED25519_BYTES } else { public.len() <= PUBLIC_KEY_BYTES_MAX };
        if !fits || public.is_empty() {
            return Err(KeyError::Length);
        }
        Ok(Self { name: name.to_owned(), kind, public: public.to_vec(), id: key_id(name, kind, public) })
    }

    /// Reads a vkey.
    ///
    /// # Errors
    /// It is not one, or its id does not fit.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let (name, id, kind, public) = parse_parts(vkey)?;
        let key = Self::from_parts(name, kind, &public)?;
        if key.id.to_string() == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// The name: for a log's key its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it verifies.
    pub fn kind(&self) -> SignatureType {
        self.kind
    }

    /// The id that stands before its signatures.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether this program can verify its signatures.
    pub fn is_supported(&self) -> bool {
        self.kind.is_ed25519()
    }

    /// Whether a signature carries this key's name and id. It may be forged all the same.
    pub fn made(&self, signature: &Signature) -> bool {
        self.name == signature.name() && self.id == signature.key_id()
    }

    /// Whether this key made `signature` over a note's text. False for types that are not supported.
    #[must_use]
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            SignatureType::Ed25519 => self.verify_plain(text, signature),
            SignatureType::CosignatureEd25519 => crate::cosignature::verify(self, text, signature).is_some(),
            SignatureType::CosignatureMlDsa44 | SignatureType::Other(_) => false,
        }
    }

    /// Ed25519 over these very bytes.
    pub(crate) fn verify_plain(&self, message: &[u8], signature: &[u8]) -> bool {
        self.kind.is_ed25519() && UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    /// The vkey.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = text::to_base64(&[&[self.kind.byte()], self.public.as_slice()].concat());
        write!(f, "{}+{}+{encoded}", self.name, self.id)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_parts(text: &str) -> Result<(&str, &str, SignatureType, Vec<u8>), KeyError> {
    if text.len() > KEY_NAME_BYTES_MAX + 2 * PUBLIC_KEY_BYTES_MAX {
        return Err(KeyError::Malformed);
    }
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Malformed);
    };
    let decoded = text::base64(encoded).ok_or(KeyError::Malformed)?;
    let (kind, bytes) = decoded.split_first().ok_or(KeyError::Malformed)?;
    Ok((name, id, SignatureType::from_byte(*kind), bytes.to_vec()))
}

/// A private key with its name. It prints without its secret; [`SignerKey::to_skey`] tells it.
pub struct SignerKey {
    verifier: VerifierKey,
    seed: Zeroizing<[u8; ED25519_BYTES]>,
    pair: Ed25519KeyPair,
}

impl SignerKey {
    /// A new key. `rng` must be fit for keys.
    ///
    /// # Errors
    /// The name does not fit, or the type is not one that this program signs with.
    pub fn generate(name: &str, kind: SignatureType, rng: &dyn Rng) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; ED25519_BYTES]);
        rng.fill(seed.as_mut());
        Self::from_seed(name, kind, seed)
    }

    /// The key of a seed.
    ///
    /// # Errors
    /// The name does not fit, or the type is not one that this program signs with.
    pub fn from_seed(name: &str, kind: SignatureType, seed: Zeroizing<[u8; ED25519_BYTES]>) -> Result<Self, KeyError> {
        if !kind.is_ed25519() {
            return Err(KeyError::CannotSign(kind.byte()));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| KeyError::Length)?;
        let verifier = VerifierKey::from_parts(name, kind, pair.public_key().as_ref())?;
        Ok(Self { verifier, seed, pair })
    }

    /// Reads an skey.
    ///
    /// # Errors
    /// It is not one, or its id does not fit.
    pub fn parse(skey: &str) -> Result<Self, KeyError> {
        let (name, id, kind, seed) = parse_parts(skey.strip_prefix(PRIVATE_START).ok_or(KeyError::Malformed)?)?;
        let seed = Zeroizing::new(seed);
        let seed: [u8; ED25519_BYTES] = seed.as_slice().try_into().map_err(|_| KeyError::Length)?;
        let key = Self::from_seed(name, kind, Zeroizing::new(seed))?;
        if key.verifier.id.to_string() == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// The public half.
    pub fn verifier(&self) -> VerifierKey {
        self.verifier.clone()
    }

    /// The seed, to be stored under a seal.
    pub fn seed(&self) -> &[u8; ED25519_BYTES] {
        &self.seed
    }

    /// The secret as text, to be stored in a file that only its owner reads.
    pub fn to_skey(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([&[self.verifier.kind.byte()], self.seed.as_slice()].concat());
        let encoded = Zeroizing::new(text::to_base64(&bytes));
        Zeroizing::new(format!("{PRIVATE_START}{}+{}+{}", self.name(), self.verifier.id, encoded.as_str()))
    }

    /// Signs a note's text with a key of type [`SignatureType::Ed25519`].
    ///
    /// # Errors
    /// The key is a witness's, which signs with a time ([`crate::cosignature::cosign`]), or the library fails.
    pub fn sign(&self, text: &[u8]) -> Result<Signature, KeyError> {
        match self.verifier.kind {
            SignatureType::Ed25519 => self.signature(self.sign_plain(text)?),
            other => Err(KeyError::CannotSign(other.byte())),
        }
    }

    pub(crate) fn sign_plain(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.try_sign(message).map_err(|_| KeyError::CannotSign(self.verifier.kind.byte()))?;
        Ok(signature.as_ref().to_vec())
    }

    pub(crate) fn signature(&self, bytes: Vec<u8>) -> Result<Signature, KeyError> {
        Signature::new(self.name(), self.verifier.id, bytes).ok_or(KeyError::Name)
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    #[test]
    fn keys_go_round_as_text_and_changed_ones_are_refused() {
        let rng = SeededRng::new(3);
        for kind in [SignatureType::Ed25519, SignatureType::CosignatureEd25519] {
            let key = SignerKey::generate("hospital.example/ledger", kind, &rng).unwrap();
            let again = SignerKey::parse(&key.to_skey()).unwrap();
            assert_eq!(again.verifier(), key.verifier());
            assert_eq!(again.seed(), key.seed());
            assert!(!format!("{key:?}").contains("PRIVATE"));
            let vkey = key.verifier().to_string();
            assert_eq!(VerifierKey::parse(&vkey).unwrap(), key.verifier());
            for place in 0..vkey.len() {
                let mut changed = vkey.clone().into_bytes();
                changed[place] ^= 1;
                let taken = String::from_utf8(changed).is_ok_and(|text| VerifierKey::parse(&text).is_ok());
                assert!(!taken, "character {place} of {vkey}");
            }
        }
    }

    /// The key pair of the tests of Go's package `note`, published there.
    #[test]
    fn the_published_private_key_gives_the_published_public_one() {
        let skey = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = SignerKey::parse(skey).unwrap();
        assert_eq!(key.verifier().to_string(), vkey);
        assert_eq!(key.to_skey().as_str(), skey);
    }

    #[test]
    fn names_types_and_lengths_are_held_to() {
        let rng = SeededRng::new(3);
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", "a\u{7f}", &"x".repeat(KEY_NAME_BYTES_MAX + 1)] {
            assert_eq!(SignerKey::generate(name, SignatureType::Ed25519, &rng).unwrap_err(), KeyError::Name);
        }
        let later = SignatureType::CosignatureMlDsa44;
        assert_eq!(SignerKey::generate("a", later, &rng).unwrap_err(), KeyError::CannotSign(6));
        assert!(VerifierKey::from_parts("a", later, &[1; 1312]).is_ok_and(|key| !key.is_supported()));
        assert_eq!(VerifierKey::from_parts("a", SignatureType::Ed25519, &[1; 31]).unwrap_err(), KeyError::Length);
        for bad in ["", "a", "a+b", "a+00000000+", "a+00000000+!!", "a+00000000+AAAA"] {
            assert!(VerifierKey::parse(bad).is_err(), "{bad:?}");
        }
        for byte in 0..=u8::MAX {
            assert_eq!(SignatureType::from_byte(byte).byte(), byte);
        }
    }
}
