//! Keys of a hospital: one that signs what it sends (Ed25519), one to which others seal (X25519, as age has it).

use crate::TransferError;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Comes before what is signed, so that a signature over it is one of nothing else.
const DOMAIN: &[u8] = b"tacet-transfer-1\n";

/// Bytes of a public key.
const PUBLIC_BYTES: usize = 32;

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// The public key by which a hospital's transfers are verified: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; PUBLIC_BYTES]);

impl PublicKey {
    /// Reads 64 hexadecimal digits, in lower or upper case.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 2 * PUBLIC_BYTES || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; PUBLIC_BYTES];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2)?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }

    pub(crate) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(&[DOMAIN, text].concat(), signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// To whom a transfer is sealed: `age1…`.
#[derive(Clone)]
pub struct Recipient(pub(crate) age::x25519::Recipient);

impl Recipient {
    /// Reads `age1…`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, TransferError> {
        age::x25519::Recipient::from_str(text.trim()).map(Self).map_err(|_| TransferError::Recipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both keys of a hospital. Prints the public ones.
pub struct HospitalKeys {
    pair: Ed25519KeyPair,
    public: PublicKey,
    pub(crate) identity: age::x25519::Identity,
}

impl HospitalKeys {
    /// From two seeds that are derived from the establishment's key for this: nothing is kept of them anywhere.
    #[expect(clippy::expect_used, reason = "fails only for a seed or a key of another length than 32 bytes")]
    pub fn new(signing: &[u8; 32], receiving: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(signing).expect("32 bytes");
        let public = PublicKey(pair.public_key().as_ref().try_into().expect("32 bytes"));
        let identity = age::x25519::Identity::from_str(&secret_text(receiving)).expect("32 bytes in Bech32");
        Self { pair, public, identity }
    }

    /// The key by which what this hospital sends is verified.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The key to which others seal what this hospital may open.
    pub fn recipient(&self) -> Recipient {
        Recipient(self.identity.to_public())
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(&[DOMAIN, text].concat()).as_ref().to_vec()
    }
}

impl fmt::Debug for HospitalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HospitalKeys({}, {})", self.public, self.recipient())
    }
}

/// 32 bytes as age writes a secret key: Bech32 (BIP 173) behind `AGE-SECRET-KEY-`, in upper case. Age has no other way to take a key that was derived.
fn secret_text(bytes: &[u8; 32]) -> Zeroizing<String> {
    const PREFIX: &str = "age-secret-key-";
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const CHECK_LETTERS: usize = 6;
    let mut words: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(64));
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            words.push(((held >> bits) & 31) as u8);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        words.push(((held << (5 - bits)) & 31) as u8);
    }
    let high = PREFIX.bytes().map(|letter| letter >> 5);
    let low = PREFIX.bytes().map(|letter| letter & 31);
    let checked = high.chain([0]).chain(low).chain(words.iter().copied()).chain([0; CHECK_LETTERS]);
    let check = checked.fold(1, remainder) ^ 1;
    let check = (0..CHECK_LETTERS).map(|at| ((check >> (5 * (CHECK_LETTERS - 1 - at))) & 31) as u8);
    let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 1 + words.len() + CHECK_LETTERS));
    text.push_str(&PREFIX.to_ascii_uppercase());
    text.push('1');
    for word in words.iter().copied().chain(check) {
        text.extend(LETTERS.get(usize::from(word)).map(|letter| char::from(letter.to_ascii_uppercase())));
    }
    text
}

/// One step of Bech32's checksum.
fn remainder(sum: u32, word: u8) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let sum = ((sum & 0x01ff_ffff) << 5) ^ u32::from(word);
    let taken = GENERATOR.iter().enumerate().filter(|(at, _)| (top >> at) & 1 == 1);
    taken.fold(sum, |sum, (_, part)| sum ^ part)
}
