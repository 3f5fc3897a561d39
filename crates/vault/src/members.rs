//! What is in a patient's compartment: a list that only grows, cut into chunks under unlinkable row keys.
//!
//! Rows that shared a prefix would show how many records each (nameless) patient has, which is enough to pick out the
//! chronically ill. Chunks have one size and stand under keyed hashes of (patient, chunk number); the count is sealed.

use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::vault::Inner;
use tacet_seal::Purpose;
use tacet_types::ResourceId;

/// Members in one chunk.
pub(crate) const CHUNK_MEMBERS: usize = 56;

/// Bytes of one member: a head row's key.
const MEMBER_BYTES: usize = 17;

/// How many members a compartment has, and in which rows they stand.
pub(crate) fn decode_count(plain: &[u8]) -> Result<u64, VaultError> {
    plain.try_into().map(u64::from_be_bytes).map_err(|_| VaultError::Damaged("a member count cannot be read"))
}

/// A chunk's plaintext, filled up to its one size.
pub(crate) fn encode_chunk(members: &[RowKey]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.resize(CHUNK_MEMBERS * MEMBER_BYTES, 0);
    bytes
}

/// The members in a chunk's plaintext.
pub(crate) fn decode_chunk(plain: &[u8]) -> Result<Vec<RowKey>, VaultError> {
    let (members, rest) = plain.as_chunks::<MEMBER_BYTES>();
    if plain.len() != CHUNK_MEMBERS * MEMBER_BYTES || !rest.is_empty() {
        return Err(VaultError::Damaged("a chunk of members cannot be read"));
    }
    Ok(members.iter().take_while(|member| **member != [0; MEMBER_BYTES]).copied().collect())
}

impl Inner {
    /// How many members a patient's compartment has; some may be repeated, deleted or gone.
    pub(crate) fn member_count(&self, patient: &ResourceId) -> Result<u64, VaultError> {
        let row = layout::members_head(&self.keys.row_keys, patient);
        match self.store.reader().get(&row)? {
            Some(value) => decode_count(&self.open_structure(Purpose::Members, &row, &value)?),
            None => Ok(0),
        }
    }

    /// The members in one chunk of a patient's compartment.
    pub(crate) fn members_in_chunk(&self, patient: &ResourceId, chunk: u64) -> Result<Vec<RowKey>, VaultError> {
        let row = layout::members_chunk(&self.keys.row_keys, patient, chunk);
        match self.store.reader().get(&row)? {
            Some(value) => decode_chunk(&self.open_structure(Purpose::Members, &row, &value)?),
            None => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_go_round_at_one_size() {
        for count in [0, 1, CHUNK_MEMBERS] {
            let members = vec![[7; MEMBER_BYTES]; count];
            let chunk = encode_chunk(&members);
            assert_eq!(chunk.len(), CHUNK_MEMBERS * MEMBER_BYTES);
            assert_eq!(decode_chunk(&chunk).unwrap(), members);
        }
        assert!(decode_chunk(&[0; 16]).is_err());
        assert!(decode_count(&[0; 7]).is_err());
    }
}
