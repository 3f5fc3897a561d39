//! The key space: which first byte belongs to whom, and the store's own rows (`docs/formats/store.md`).

use crate::engine::{KEY_BYTES_MAX, VALUE_BYTES_MAX, Write};
use crate::error::StoreError;
use tacet_types::Sequence;

/// Rows of the store itself.
pub const SPACE_STORE: u8 = 0x00;
/// The change feed.
pub const SPACE_FEED: u8 = 0x01;
/// First space that callers may write to.
pub const SPACE_CALLERS: u8 = 0x02;

/// The format this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// Key of the format row.
pub(crate) const FORMAT_KEY: [u8; 2] = [SPACE_STORE, 0x01];

/// First and past-the-end key of the rows by which a restore knows what it has not brought yet. Nothing of them is left when it is through.
pub(crate) const FILLING: [u8; 2] = [SPACE_STORE, 0x7e];
pub(crate) const FILLING_END: [u8; 3] = [SPACE_STORE, 0x7e, 0x05];

/// Begins the format row's value, so that rows of another program are not taken for ours.
const FORMAT_MAGIC: &[u8] = b"tacet-store";

/// The format row's value.
pub(crate) fn format_value() -> Vec<u8> {
    format_value_of(FORMAT)
}

/// The format row's value for any format number.
pub(crate) fn format_value_of(format: u32) -> Vec<u8> {
    [FORMAT_MAGIC, &format.to_be_bytes()].concat()
}

/// Reads a format row's value and refuses what this program does not know.
pub(crate) fn check_format(value: &[u8]) -> Result<(), StoreError> {
    let number = value.strip_prefix(FORMAT_MAGIC).and_then(|rest| rest.first_chunk::<4>());
    match number.map(|bytes| u32::from_be_bytes(*bytes)) {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(StoreError::NewerFormat { found, supported: FORMAT }),
        _ => Err(StoreError::corrupt("the format row is not one of this program")),
    }
}

/// Key of the feed row `sequence`.
pub(crate) fn feed_key(sequence: Sequence) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(SPACE_FEED);
    key.extend_from_slice(&sequence.0.to_be_bytes());
    key
}

/// The sequence in a feed row's key.
pub(crate) fn feed_sequence(key: &[u8]) -> Result<Sequence, StoreError> {
    match key {
        [SPACE_FEED, rest @ ..] => rest.try_into().ok().map(|bytes| Sequence(u64::from_be_bytes(bytes))),
        _ => None,
    }
    .ok_or_else(|| StoreError::corrupt("a row of the change feed has a key of the wrong length"))
}

/// Refuses keys and values that callers may not write.
pub(crate) fn check_write(write: &Write) -> Result<(), StoreError> {
    let (key, bytes) = (write.key(), write.value().map_or(0, <[u8]>::len));
    let space = key.first().copied().unwrap_or_default();
    if space < SPACE_CALLERS || key.len() > KEY_BYTES_MAX {
        return Err(StoreError::KeyRefused { space, bytes: key.len() });
    }
    if bytes > VALUE_BYTES_MAX {
        return Err(StoreError::ValueTooLong { bytes });
    }
    Ok(())
}
