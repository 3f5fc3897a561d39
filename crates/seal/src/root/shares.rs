//! Recovery shares: the recovery secret split so that any `threshold` of them give it back and fewer tell nothing.
//!
//! The splitting is `vsss-rs` (why that crate: `docs/formats/root-key.md`); this module is how a share looks on paper.

use super::RootError;
use super::format::take;
use crate::key::{KEY_BYTES, Key};
use aws_lc_rs::digest::{SHA256, digest};
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use std::fmt;
use tacet_types::Rng;
use vsss_rs::Gf256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a root key file's random id.
pub(super) const FILE_ID_BYTES: usize = 8;

/// Bytes of a share set's random id: new shares have a new one.
pub(super) const SHARE_SET_BYTES: usize = 4;

/// Version byte of a share.
const SHARE_VERSION: u8 = 1;

/// Every share begins with this when written. Not part of what the checksum covers.
const PREFIX: &str = "TACET-SHARE";

/// Bytes of the checksum at the end: one mistyped share in 16 million gets past it, and then does not open the file.
const CHECKSUM_BYTES: usize = 3;

/// Bytes of a share; 50 bytes are 80 letters and digits, in 16 groups of five.
const SHARE_BYTES: usize = 1 + FILE_ID_BYTES + SHARE_SET_BYTES + 1 + 1 + KEY_BYTES + CHECKSUM_BYTES;

const GROUP_CHARACTERS: usize = 5;

/// Crockford's base 32: no I, L, O and U, so that handwriting is read back right.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const _: () = assert!(SHARE_BYTES == 50);

/// How many shares there are and how many of them recover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split {
    threshold: u8,
    shares: u8,
}

impl Split {
    /// Three of five.
    pub const DEFAULT: Self = Self { threshold: 3, shares: 5 };

    /// `threshold` of `shares`: at least 2 of 2. (One of many would be a copy of the secret, not a share of it.)
    pub fn new(threshold: u8, shares: u8) -> Result<Self, RootError> {
        let sound = threshold >= 2 && threshold <= shares;
        sound.then_some(Self { threshold, shares }).ok_or(RootError::ImpossibleSplit { threshold, shares })
    }

    /// Shares that recovery takes.
    pub fn threshold(self) -> u8 {
        self.threshold
    }

    /// Shares that are made.
    pub fn shares(self) -> u8 {
        self.shares
    }
}

impl Default for Split {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One recovery share. Wiped when dropped, prints redacted; [`RecoveryShare::to_text`] shows it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryShare {
    file_id: [u8; FILE_ID_BYTES],
    share_set: [u8; SHARE_SET_BYTES],
    threshold: u8,
    index: u8,
    value: Box<[u8; KEY_BYTES]>,
}

impl RecoveryShare {
    /// The share's number, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// How many shares recovery takes.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The share as it is printed: `TACET-SHARE-` and 16 groups of five letters and digits.
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = self.encode();
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + SHARE_BYTES * 2));
        text.push_str(PREFIX);
        let (mut held, mut bits, mut written) = (0_u32, 0_u32, 0_usize);
        for byte in bytes.iter() {
            held = held << 8 | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                if written % GROUP_CHARACTERS == 0 {
                    text.push('-');
                }
                written += 1;
                let digit = (held >> bits & 31) as usize;
                text.push(ALPHABET.get(digit).copied().map_or('0', char::from));
            }
            held &= (1 << bits) - 1;
        }
        text
    }

    /// Reads a share as somebody typed it: small or capital letters, with or without spaces, dashes and the prefix, `O`
    /// for `0`, `I` or `L` for `1`.
    pub fn parse(text: &str) -> Result<Self, RootError> {
        let mut digits = Zeroizing::new(Vec::with_capacity(SHARE_BYTES * 8 / 5));
        for (at, character) in without_prefix(text) {
            if character == '-' || character.is_whitespace() {
                continue;
            }
            if digits.len() == SHARE_BYTES * 8 / 5 {
                return Err(RootError::MistypedShare { place: None });
            }
            digits.push(digit(character).ok_or(RootError::MistypedShare { place: Some(at + 1) })?);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(SHARE_BYTES));
        let (mut held, mut bits) = (0_u32, 0_u32);
        for digit in digits.iter() {
            held = held << 5 | u32::from(*digit);
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push((held >> bits) as u8);
                held &= (1 << bits) - 1;
            }
        }
        Self::decode(&bytes)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(SHARE_BYTES));
        out.push(SHARE_VERSION);
        out.extend(self.file_id);
        out.extend(self.share_set);
        out.extend([self.threshold, self.index]);
        out.extend(self.value.iter());
        let checksum = checksum(&out);
        out.extend(checksum);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, RootError> {
        let mistyped = RootError::MistypedShare { place: None };
        let Some((covered, found)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else { return Err(mistyped) };
        if bytes.len() != SHARE_BYTES || checksum(covered) != *found {
            return Err(mistyped);
        }
        let mut rest = covered;
        let mut fields = || -> Option<_> {
            let ([version], file_id, share_set) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
            let ([threshold, index], value) = (take(&mut rest)?, Box::new(take(&mut rest)?));
            Some((version, Self { file_id, share_set, threshold, index, value }))
        };
        match fields() {
            Some((SHARE_VERSION, share)) if share.index > 0 && share.threshold >= 2 => Ok(share),
            Some((found, _)) if found != SHARE_VERSION => Err(RootError::NewerShare { found }),
            _ => Err(mistyped),
        }
    }
}

impl fmt::Debug for RecoveryShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryShare({}, ..)", self.index)
    }
}

/// The characters after the prefix (where it is there), each with its place in the text.
fn without_prefix(text: &str) -> impl Iterator<Item = (usize, char)> {
    let blank = text.chars().take_while(|character| character.is_whitespace()).count();
    let written: String = text.chars().skip(blank).take(PREFIX.len()).collect();
    let prefix = if written.eq_ignore_ascii_case(PREFIX) { PREFIX.len() } else { 0 };
    text.chars().enumerate().skip(blank + prefix)
}

fn digit(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|digit| char::from(*digit) == upper).and_then(|at| u8::try_from(at).ok())
}

fn checksum(covered: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = digest(&SHA256, covered);
    let mut out = [0; CHECKSUM_BYTES];
    out.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Splits the recovery secret of a file into shares.
pub(super) fn split(
    secret: &Key,
    split: Split,
    file_id: [u8; FILE_ID_BYTES],
    share_set: [u8; SHARE_SET_BYTES],
    rng: &dyn Rng,
) -> Result<Vec<RecoveryShare>, RootError> {
    let impossible = RootError::ImpossibleSplit { threshold: split.threshold, shares: split.shares };
    let (threshold, shares) = (usize::from(split.threshold), usize::from(split.shares));
    let Ok(parts) = Gf256::split_bytes(threshold, shares, secret.as_bytes(), SharingRng(rng)) else {
        return Err(impossible);
    };
    let shares: Option<Vec<RecoveryShare>> = parts
        .into_iter()
        .map(|part| {
            let part = Zeroizing::new(part);
            let mut rest = part.as_slice();
            let ([index], value) = (take(&mut rest)?, Box::new(take(&mut rest)?));
            Some(RecoveryShare { file_id, share_set, threshold: split.threshold, index, value })
        })
        .collect();
    shares.ok_or(impossible)
}

/// The recovery secret from shares of this file and set. Shares given twice count once.
pub(super) fn combine(
    shares: &[RecoveryShare],
    file_id: [u8; FILE_ID_BYTES],
    share_set: [u8; SHARE_SET_BYTES],
    split: Split,
) -> Result<Key, RootError> {
    let mut chosen: Vec<&RecoveryShare> = Vec::with_capacity(shares.len());
    for share in shares {
        if share.file_id != file_id {
            return Err(RootError::ForeignShare { index: share.index });
        }
        if share.share_set != share_set {
            return Err(RootError::ReplacedShare { index: share.index });
        }
        if chosen.iter().all(|other| other.index != share.index) {
            chosen.push(share);
        }
    }
    if chosen.len() < usize::from(split.threshold) {
        return Err(RootError::TooFewShares { needed: split.threshold, given: chosen.len() });
    }
    let mut parts: Vec<Vec<u8>> =
        chosen.iter().map(|share| [&[share.index][..], share.value.as_slice()].concat()).collect();
    let combined = Gf256::combine_bytes(&parts).map(Zeroizing::new);
    parts.zeroize();
    combined.ok().and_then(|bytes| Key::from_slice(&bytes)).ok_or(RootError::WrongShares)
}

/// Our randomness in the shape that the sharing crate takes.
struct SharingRng<'a>(&'a dyn Rng);

impl TryRng for SharingRng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

/// The caller of this crate answers for its randomness; `SecureRng` and `SystemRng` are fit for keys.
impl TryCryptoRng for SharingRng<'_> {}

#[cfg(test)]
mod tests;
