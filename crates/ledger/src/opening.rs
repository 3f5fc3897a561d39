//! What shows to somebody without keys what an entry says: the entry, and the salt of its row's commitment.
//!
//! ```text
//! row         format  key epoch  commitment  sealed(salt, entry)          leaf of the tree
//! commitment  SHA-256(02 ‖ salt ‖ entry)                                  says nothing without the salt
//! opening     format=1  salt (32)  length of the row (2)  row  entry      goes along with a receipt
//! ```
//!
//! The seal alone would prove to nobody else what is in it: the key that opens it opens every entry. Where the key of an entry was destroyed the
//! salt is gone with it, and the commitment tells nothing to whoever tries entries.

use crate::encoding::{DecodeError, ENTRY_BYTES_MAX};
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::keys::LedgerKeys;
use crate::merkle::{TreeHash, leaf_hash};
use crate::rows::{COMMITMENT_BYTES, entry_key, split_row};
use aws_lc_rs::digest::{Context, SHA256};
use tacet_store::Reader;

/// Bytes of the salt that stands before an entry under its seal.
pub const SALT_BYTES: usize = 32;

/// First byte of what is hashed: leaves of the tree have `00` and nodes `01`.
const COMMITMENT_PREFIX: u8 = 0x02;

/// The format of an opening that is written, and the only one that is read.
const FORMAT: u8 = 1;

/// Longest opening, in bytes.
pub const OPENING_BYTES_MAX: usize = 1 + SALT_BYTES + 2 + u16::MAX as usize + ENTRY_BYTES_MAX;

const _: () = assert!(OPENING_BYTES_MAX <= tacet_tlog::receipt::EXTRA_BYTES_MAX, "an opening fits a receipt");

/// The commitment of an entry's row.
pub(crate) fn commitment(salt: &[u8; SALT_BYTES], encoded: &[u8]) -> [u8; COMMITMENT_BYTES] {
    let mut context = Context::new(&SHA256);
    [&[COMMITMENT_PREFIX], salt.as_slice(), encoded].iter().for_each(|part| context.update(part));
    let mut out = [0; COMMITMENT_BYTES];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Why an opening shows nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// Not shaped as one.
    #[error("this is not what goes along with a receipt of a Tacet ledger")]
    Malformed,
    /// The row is not of a format that is read.
    #[error("the receipt's row has a format that this program does not read: use a newer program")]
    RowFormat,
    /// The entry is not the one that the row was made for.
    #[error("the entry in the receipt is not the one that stands in the ledger")]
    Commitment,
    /// The entry cannot be read.
    #[error("the entry in the receipt cannot be read")]
    Entry(#[source] DecodeError),
}

/// An entry's row, and what it says.
pub struct Opening {
    pub(crate) row: Vec<u8>,
    pub(crate) salt: [u8; SALT_BYTES],
    pub(crate) encoded: Vec<u8>,
}

impl Opening {
    /// The bytes that go along with a receipt. They tell what the entry says: they are for whom it may be shown to.
    pub fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.row.len()).unwrap_or(u16::MAX);
        [&[FORMAT], self.salt.as_slice(), &length.to_be_bytes(), &self.row, &self.encoded].concat()
    }

    /// Reads what goes along with a receipt.
    ///
    /// # Errors
    /// It has not that form, or is too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, OpeningError> {
        if bytes.len() > OPENING_BYTES_MAX {
            return Err(OpeningError::Malformed);
        }
        let Some((&[FORMAT], rest)) = bytes.split_first_chunk::<1>() else { return Err(OpeningError::Malformed) };
        let (salt, rest) = rest.split_first_chunk().ok_or(OpeningError::Malformed)?;
        let (length, rest) = rest.split_first_chunk().ok_or(OpeningError::Malformed)?;
        let (row, encoded) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(OpeningError::Malformed)?;
        Ok(Self { row: row.to_vec(), salt: *salt, encoded: encoded.to_vec() })
    }

    /// The hash of the row, which a receipt proves to be in the tree.
    pub fn leaf(&self) -> TreeHash {
        leaf_hash(&self.row)
    }

    /// What the entry says, shown to be what the row was made for. Whether the row is in the log is for the receipt to prove.
    ///
    /// # Errors
    /// It is not that, or cannot be read.
    pub fn entry(&self) -> Result<Entry, OpeningError> {
        let row = split_row(0, &self.row).map_err(|_| OpeningError::RowFormat)?;
        if commitment(&self.salt, &self.encoded) != *row.commitment {
            return Err(OpeningError::Commitment);
        }
        Entry::decode(&self.encoded).map_err(OpeningError::Entry)
    }
}

/// The opening of entry `index`. Whoever gets it learns what the entry says: whoever gives it writes that down.
///
/// # Errors
/// As [`crate::read`].
pub fn opening(reader: &dyn Reader, keys: &LedgerKeys, index: u64) -> Result<Opening, LedgerError> {
    let row = reader.get(&entry_key(index))?.ok_or(LedgerError::NoEntry { index })?;
    keys.opening(index, &row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::full_entry;
    use crate::keys::tests::test_keys;
    use crate::merkle::HASH_BYTES;
    use crate::{DETAIL_BYTES_MAX, QUERY_BYTES_MAX, RECORDS_MAX};
    use tacet_types::SeededRng;

    #[test]
    fn an_opening_shows_its_entry_and_no_other() {
        let (keys, rng) = (test_keys(), SeededRng::new(3));
        let row = keys.seal_entry(5, &full_entry().encode().unwrap(), &rng).unwrap();
        let opening = keys.opening(5, &row).unwrap();
        let bytes = opening.encode();
        let read = Opening::parse(&bytes).unwrap();
        assert!(read.entry().unwrap() == full_entry());
        assert_eq!(read.leaf(), leaf_hash(&row));
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            // The receipt proves the leaf; the commitment binds the rest to it.
            let taken =
                Opening::parse(&changed).is_ok_and(|read| read.leaf() == leaf_hash(&row) && read.entry().is_ok());
            assert!(!taken, "byte {place}");
            assert!(!Opening::parse(&bytes[..place]).is_ok_and(|read| read.entry().is_ok()), "cut at {place}");
        }
        // The same entry again has another salt, and so another commitment: rows cannot be compared.
        let again = keys.seal_entry(5, &full_entry().encode().unwrap(), &rng).unwrap();
        assert_ne!(row[3..3 + HASH_BYTES], again[3..3 + HASH_BYTES]);
        assert!(Opening::parse(&vec![1; OPENING_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn the_row_of_the_longest_entry_fits_a_bundle() {
        let (keys, rng) = (test_keys(), SeededRng::new(3));
        let mut entry = full_entry();
        let mut record = entry.records[0].clone();
        record.id = tacet_types::ResourceId::parse(&"z9.-".repeat(16)).unwrap();
        record.version = tacet_types::VersionId(u64::MAX);
        entry.records = vec![record; RECORDS_MAX];
        // Text that does not compress.
        let mut noise = vec![0u8; QUERY_BYTES_MAX];
        tacet_types::Rng::fill(&rng, &mut noise);
        let noise: String = noise.iter().map(|byte| char::from(b'!' + byte % 90)).collect();
        entry.query = Some(noise.clone());
        entry.detail = Some(noise[..DETAIL_BYTES_MAX].to_owned());
        let row = keys.seal_entry(0, &entry.encode().unwrap(), &rng).unwrap();
        assert!(row.len() <= tacet_tlog::tile::ENTRY_BYTES_MAX);
        // And nothing that is sealed grows by more than its bounds say.
        let noise: Vec<u8> =
            (0..crate::encoding::ENTRY_BYTES_MAX).map(|_| tacet_types::Rng::next_u64(&rng) as u8).collect();
        let row = keys.seal_entry(0, &noise, &rng).unwrap();
        assert!(row.len() <= tacet_tlog::tile::ENTRY_BYTES_MAX, "{}", row.len());
        assert!(keys.opening(0, &row).unwrap().encode().len() <= OPENING_BYTES_MAX);
    }
}
