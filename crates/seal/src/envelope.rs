//! The envelope: what a sealed row looks like. Written to the byte in `docs/formats/seal.md`.
//!
//! ```text
//! clear:   version 1 | algorithm 1 | nonce 12
//! sealed:  coding 2 | body length 4 | body | zeros up to the step
//! clear:   tag 16
//! ```
//! The clear part holds nothing that links two rows or tells what a row is.

use crate::associated::Associated;
use crate::compression::{Dictionary, STORED, compress, decompress};
use crate::dictionaries::{DICTIONARIES, Dictionaries};
use crate::padding::padded_length;
use crate::sealer::{Algorithm, NONCE_BYTES, Sealer, TAG_BYTES};
use tacet_types::Rng;
use zeroize::Zeroizing;

/// The version of the envelope that is written, and the only one there is.
pub const FORMAT_VERSION: u8 = 1;

/// Bytes that an envelope has around its padded text: version, algorithm, nonce and tag.
pub const ENVELOPE_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// Longest text that can be sealed in one envelope: 1 GiB. Callers have smaller bounds of their own.
pub const PLAINTEXT_BYTES_MAX: usize = 1 << 30;

/// Whether this build encrypts. Only one with the feature `dangerous-unsealed`, made for measuring, does not: its rows have the
/// shape of sealed ones (compression, padding, room for nonce and tag) and stand in clear.
pub const SEALS: bool = !cfg!(feature = "dangerous-unsealed");

/// In the place of the algorithm, in rows of a build that does not encrypt. No other build reads or writes it.
const UNSEALED: u8 = 0xFF;

const HEADER_BYTES: usize = 2 + NONCE_BYTES;

/// Coding (2) and length of the body (4).
const INNER_BYTES: usize = 6;

/// Why a text was not sealed, or a row does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Shorter than the shortest envelope.
    #[error("sealed row is cut short: {bytes} bytes; restore it from a backup")]
    Truncated {
        /// Bytes found.
        bytes: usize,
    },
    /// Written in an envelope that this version does not know.
    #[error(
        "sealed row has format {found}, this version reads {FORMAT_VERSION}; use a newer tacet, or run `tacet check`"
    )]
    UnknownFormat {
        /// The version byte found.
        found: u8,
    },
    /// The algorithm byte is not the one that rows under this key have.
    #[error("sealed row names algorithm {found}, rows of this kind have {expected:?}; run `tacet check`")]
    WrongAlgorithm {
        /// The byte found.
        found: u8,
        /// What the key is used with.
        expected: Algorithm,
    },
    /// Written in clear by a build that does not encrypt, and refused by this one.
    #[error("row is not sealed: a build made for measuring wrote it; make a new store, this one holds nothing real")]
    Unsealed,
    /// Sealed, and this build is one that does not encrypt.
    #[error("this build was made for measuring and opens no sealed row; use a normal build of tacet")]
    MeasuringBuild,
    /// The tag does not fit: another key, another place, or altered bytes. These cannot be told apart.
    #[error("sealed row does not open: it was altered or moved, or the key is another; run `tacet check`")]
    NotAuthentic,
    /// Authentic, but not shaped as the format says.
    #[error("sealed row opens to a malformed text; this is a fault of the program that wrote it")]
    Malformed,
    /// Compressed with a dictionary that this version does not carry.
    #[error(
        "sealed row needs compression dictionary {id}, which this version lacks; use the tacet that wrote it or newer"
    )]
    UnknownDictionary {
        /// Id of the dictionary.
        id: u16,
    },
    /// A dictionary that this version carries cannot be loaded.
    #[error("compression dictionary {id} cannot be loaded; this is a fault of the build, reinstall tacet")]
    BrokenDictionary {
        /// Id of the dictionary.
        id: u16,
    },
    /// More bytes than allowed, to seal or when opened.
    #[error("text of {bytes} bytes is beyond the bound of {bytes_max}")]
    TooLarge {
        /// Bytes found or declared.
        bytes: u64,
        /// The bound.
        bytes_max: usize,
    },
    /// The row key is too long to be bound.
    #[error("row key of {bytes} bytes is too long to seal under")]
    RowTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The compression library failed.
    #[error("compression failed; try again with more memory")]
    Compression(#[source] std::io::Error),
    /// The cipher refused to seal.
    #[error("the cipher failed; the cryptographic library is unusable")]
    Cipher,
}

/// Seals `plaintext` for the place `associated`, compressed and padded. The nonce is drawn from `rng`.
pub fn seal(
    key: &Sealer,
    associated: &Associated<'_>,
    plaintext: &[u8],
    hint: Dictionary,
    rng: &dyn Rng,
) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::new();
    seal_into(key, associated, plaintext, hint, rng, &mut out)?;
    Ok(out)
}

/// As [`seal`], into a buffer that is overwritten and may be used again. On an error the buffer is empty.
pub fn seal_into(
    key: &Sealer,
    associated: &Associated<'_>,
    plaintext: &[u8],
    hint: Dictionary,
    rng: &dyn Rng,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    out.clear();
    let outcome = write_envelope(&DICTIONARIES, key, associated, plaintext, hint, rng, out);
    if outcome.is_err() {
        zeroize::Zeroize::zeroize(out);
    }
    outcome
}

fn write_envelope(
    dictionaries: &'static Dictionaries,
    key: &Sealer,
    associated: &Associated<'_>,
    plaintext: &[u8],
    hint: Dictionary,
    rng: &dyn Rng,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(SealError::TooLarge { bytes: plaintext.len() as u64, bytes_max: PLAINTEXT_BYTES_MAX });
    }
    let step = associated.purpose.padding_step_bytes();
    let stored_length = padded_length(INNER_BYTES + plaintext.len(), step);
    // Compression that saves no step saves nothing.
    let compressed = stored_length > step
        && hint != Dictionary::Stored
        && compress(dictionaries, hint, plaintext, |coding, body| {
            let length = padded_length(INNER_BYTES + body.len(), step);
            let smaller = length < stored_length;
            if smaller {
                write_sealed_part(out, coding, body, length);
            }
            smaller
        })?;
    if !compressed {
        write_sealed_part(out, STORED, plaintext, stored_length);
    }
    let mut nonce = [0; NONCE_BYTES];
    rng.fill(&mut nonce);
    let algorithm = key.algorithm();
    if let Some((header, text)) = out.split_first_chunk_mut::<HEADER_BYTES>() {
        let algorithm_byte = if SEALS { algorithm as u8 } else { UNSEALED };
        let clear = [FORMAT_VERSION, algorithm_byte].into_iter().chain(nonce);
        header.iter_mut().zip(clear).for_each(|(to, from)| *to = from);
        if SEALS {
            let tag = key.seal_in_place(nonce, &associated.encode(algorithm)?, text)?;
            out.extend_from_slice(tag.as_ref());
        } else {
            out.extend_from_slice(&[0; TAG_BYTES]);
        }
    }
    Ok(())
}

/// Lays out header and text in clear, with room for the tag, so that the buffer is never moved while it holds plaintext.
fn write_sealed_part(out: &mut Vec<u8>, coding: u16, body: &[u8], length: usize) {
    out.reserve_exact(HEADER_BYTES + length + TAG_BYTES);
    out.resize(HEADER_BYTES, 0);
    out.extend_from_slice(&coding.to_be_bytes());
    // INVARIANT: a body has at most PLAINTEXT_BYTES_MAX bytes, which fits 32 bits.
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out.resize(HEADER_BYTES + length, 0);
}

/// Opens a sealed row of the place `associated`. The text has at most `bytes_max` bytes, or is refused.
pub fn open(
    key: &Sealer,
    associated: &Associated<'_>,
    sealed: &[u8],
    bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    read_envelope(&DICTIONARIES, key, associated, sealed, bytes_max)
}

fn read_envelope(
    dictionaries: &'static Dictionaries,
    key: &Sealer,
    associated: &Associated<'_>,
    sealed: &[u8],
    bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let truncated = SealError::Truncated { bytes: sealed.len() };
    let Some(([version, algorithm, nonce @ ..], rest)) = sealed.split_first_chunk::<HEADER_BYTES>() else {
        return Err(truncated);
    };
    if *version != FORMAT_VERSION {
        return Err(SealError::UnknownFormat { found: *version });
    }
    if SEALS == (*algorithm == UNSEALED) {
        return Err(if SEALS { SealError::Unsealed } else { SealError::MeasuringBuild });
    }
    if SEALS && Algorithm::from_byte(*algorithm) != Some(key.algorithm()) {
        return Err(SealError::WrongAlgorithm { found: *algorithm, expected: key.algorithm() });
    }
    let Some((ciphertext, tag)) = rest.split_last_chunk::<TAG_BYTES>().filter(|(text, _)| text.len() >= INNER_BYTES)
    else {
        return Err(truncated);
    };
    let mut text = Zeroizing::new(vec![0; ciphertext.len()]);
    if SEALS {
        key.open_into(*nonce, &associated.encode(key.algorithm())?, ciphertext, tag, &mut text)?;
    } else {
        text.copy_from_slice(ciphertext);
    }

    let Some(([c0, c1, l0, l1, l2, l3], body)) = text.split_first_chunk::<INNER_BYTES>() else {
        return Err(SealError::Malformed);
    };
    let coding = u16::from_be_bytes([*c0, *c1]);
    let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
    let (body, padding) = body.split_at_checked(length).ok_or(SealError::Malformed)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(SealError::Malformed);
    }
    if coding != STORED {
        return decompress(dictionaries, coding, body, bytes_max);
    }
    if length > bytes_max {
        return Err(SealError::TooLarge { bytes: length as u64, bytes_max });
    }
    text.copy_within(INNER_BYTES..INNER_BYTES + length, 0);
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests;
