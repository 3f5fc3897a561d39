//! The keys that the ledger is sealed under, and how an entry and a head are sealed.
//!
//! Entries are sealed under numbered keys (epochs), so that the details of an old month can be destroyed by
//! destroying one key while the tree over the sealed bytes stays whole. Key 0 is derived with the establishment's
//! other keys and lasts as long as these: it cannot be destroyed alone. A key that has to end must be random, wrapped
//! by the keeper in a row of its own, and given to [`LedgerKeys::with_entry_key`].

use crate::encoding::ENTRY_BYTES_MAX;
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::head::{HEAD_BYTES_MAX, TreeHead};
use crate::opening::{Opening, SALT_BYTES, commitment};
use crate::rows::{COMMITMENT_BYTES, ENTRY_KEY_BYTES, HEAD_KEY, ROW_HEADER_BYTES, entry_key, row_header, split_row};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tacet_seal::{Associated, Dictionary, EstablishmentKeys, Purpose, Sealer};
use tacet_types::{EstablishmentId, Rng};
use zeroize::Zeroizing;

/// Longest sealed row of the published log, opened, in bytes: a checkpoint with all its signatures.
const LOG_ROW_BYTES_MAX: usize = 1 << 20;

/// Shortest entry that is compressed, in bytes: those of one read are mostly ids and do not become a step shorter, at tens of microseconds in
/// the committer. So an entry's row is as long as the entry, and a refusal may be made as long as a failure.
const COMPRESSED_BYTES_MIN: usize = 1000;

/// What is needed to write, read and verify a ledger. Cheap to clone.
#[derive(Clone)]
pub struct LedgerKeys {
    establishment: EstablishmentId,
    head: Sealer,
    log: Sealer,
    /// By number. INVARIANT: never empty.
    entries: Arc<BTreeMap<u16, Sealer>>,
    newest: u16,
}

impl LedgerKeys {
    /// The ledger's keys of an establishment: key 0 for entries.
    pub fn new(keys: &EstablishmentKeys) -> Self {
        Self {
            establishment: keys.id,
            head: keys.ledger_head.clone(),
            log: keys.sealer(Purpose::State).clone(),
            entries: Arc::new(BTreeMap::from([(0, keys.ledger.clone())])),
            newest: 0,
        }
    }

    /// These keys and one more for entries. New entries are sealed under the key with the highest number.
    #[must_use]
    pub fn with_entry_key(mut self, epoch: u16, sealer: Sealer) -> Self {
        let mut entries = BTreeMap::clone(&self.entries);
        entries.insert(epoch, sealer);
        self.newest = self.newest.max(epoch);
        self.entries = Arc::new(entries);
        self
    }

    /// The establishment that every seal is bound to.
    pub fn establishment(&self) -> EstablishmentId {
        self.establishment
    }

    /// The row of entry `index`, whose encoded bytes these are.
    pub(crate) fn seal_entry(&self, index: u64, encoded: &[u8], rng: &dyn Rng) -> Result<Vec<u8>, LedgerError> {
        let epoch = self.newest;
        let sealer = self.entries.get(&epoch).ok_or(LedgerError::KeyNotHeld { index, epoch })?;
        let place = entry_place(index, epoch);
        let mut salt = [0; SALT_BYTES];
        rng.fill(&mut salt);
        let plain = Zeroizing::new([salt.as_slice(), encoded].concat());
        let hint = if plain.len() < COMPRESSED_BYTES_MIN { Dictionary::Stored } else { Dictionary::None };
        let sealed = tacet_seal::seal(sealer, &self.entry_associated(&place), &plain, hint, rng)
            .map_err(LedgerError::Sealing)?;
        let mut row = Vec::with_capacity(ROW_HEADER_BYTES + COMMITMENT_BYTES + sealed.len());
        row.extend(row_header(epoch));
        row.extend(commitment(&salt, encoded));
        row.extend(sealed);
        Ok(row)
    }

    /// The entry in the row of `index`.
    pub(crate) fn open_entry(&self, index: u64, row: &[u8]) -> Result<Entry, LedgerError> {
        let plain = self.open_row(index, row)?;
        let encoded = plain.get(SALT_BYTES..).unwrap_or_default();
        Entry::decode(encoded).map_err(|source| LedgerError::EntryFormat { index, source })
    }

    /// What proves to somebody without keys what the entry in the row of `index` says.
    pub(crate) fn opening(&self, index: u64, row: &[u8]) -> Result<Opening, LedgerError> {
        let plain = self.open_row(index, row)?;
        let (salt, encoded) = plain.split_first_chunk().ok_or(LedgerError::EntryCommitment { index })?;
        Ok(Opening { row: row.to_vec(), salt: *salt, encoded: encoded.to_vec() })
    }

    /// Salt and encoded entry, held against the row's commitment.
    fn open_row(&self, index: u64, row: &[u8]) -> Result<Zeroizing<Vec<u8>>, LedgerError> {
        let row = split_row(index, row)?;
        let epoch = row.epoch;
        let sealer = self.entries.get(&epoch).ok_or(LedgerError::KeyNotHeld { index, epoch })?;
        let place = entry_place(index, epoch);
        let plain = tacet_seal::open(sealer, &self.entry_associated(&place), row.sealed, SALT_BYTES + ENTRY_BYTES_MAX)
            .map_err(|source| LedgerError::EntrySealed { index, source })?;
        let (salt, encoded) = plain.split_first_chunk().ok_or(LedgerError::EntryCommitment { index })?;
        if commitment(salt, encoded) != *row.commitment {
            return Err(LedgerError::EntryCommitment { index });
        }
        Ok(plain)
    }

    /// A row of the published log, sealed.
    pub(crate) fn seal_log(&self, row: &[u8], plain: &[u8], rng: &dyn Rng) -> Result<Vec<u8>, LedgerError> {
        tacet_seal::seal(&self.log, &self.log_associated(row), plain, Dictionary::None, rng)
            .map_err(LedgerError::Sealing)
    }

    /// What stands in a sealed row of the published log.
    pub(crate) fn open_log(&self, row: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, LedgerError> {
        tacet_seal::open(&self.log, &self.log_associated(row), sealed, LOG_ROW_BYTES_MAX)
            .map_err(LedgerError::LogSealed)
    }

    /// The head's row.
    pub(crate) fn seal_head(&self, head: &TreeHead, rng: &dyn Rng) -> Result<Vec<u8>, LedgerError> {
        tacet_seal::seal(&self.head, &self.head_associated(), &head.encode(), Dictionary::None, rng)
            .map_err(LedgerError::Sealing)
    }

    /// The head in its row.
    pub(crate) fn open_head(&self, row: &[u8]) -> Result<TreeHead, LedgerError> {
        let encoded = tacet_seal::open(&self.head, &self.head_associated(), row, HEAD_BYTES_MAX)
            .map_err(LedgerError::HeadSealed)?;
        TreeHead::decode(&encoded)
    }

    fn entry_associated<'a>(&self, place: &'a [u8]) -> Associated<'a> {
        Associated { establishment: self.establishment, purpose: Purpose::Ledger, row: place, resource: None }
    }

    fn log_associated<'a>(&self, row: &'a [u8]) -> Associated<'a> {
        Associated { establishment: self.establishment, purpose: Purpose::State, row, resource: None }
    }

    fn head_associated(&self) -> Associated<'static> {
        let row: &'static [u8] = &HEAD_KEY;
        Associated { establishment: self.establishment, purpose: Purpose::LedgerHead, row, resource: None }
    }
}

/// What an entry's seal is bound to besides the establishment: its row's key, its row format and the number of its key.
fn entry_place(index: u64, epoch: u16) -> [u8; ENTRY_KEY_BYTES + ROW_HEADER_BYTES] {
    let mut place = [0; ENTRY_KEY_BYTES + ROW_HEADER_BYTES];
    place.iter_mut().zip(entry_key(index).into_iter().chain(row_header(epoch))).for_each(|(to, from)| *to = from);
    place
}

impl fmt::Debug for LedgerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerKeys").field("newest", &self.newest).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::entry::tests::{full_entry, small_entry};
    use tacet_seal::Key;
    use tacet_types::SeededRng;

    pub(crate) fn test_keys() -> LedgerKeys {
        keys_of([7; 16])
    }

    fn keys_of(id: [u8; 16]) -> LedgerKeys {
        LedgerKeys::new(&EstablishmentKeys::derive(&Key::from_bytes([42; 32]), EstablishmentId(id)))
    }

    pub(crate) fn epoch_key(number: u8) -> Sealer {
        Sealer::gcm_siv(&Key::from_bytes([number; 32]))
    }

    #[test]
    fn an_entry_opens_in_its_place_only() {
        let (keys, rng) = (test_keys(), SeededRng::new(1));
        let row = keys.seal_entry(5, &full_entry().encode().unwrap(), &rng).unwrap();
        assert!(keys.open_entry(5, &row).unwrap() == full_entry());
        assert!(matches!(keys.open_entry(6, &row), Err(LedgerError::EntrySealed { index: 6, .. })));
        assert!(matches!(keys_of([8; 16]).open_entry(5, &row), Err(LedgerError::EntrySealed { .. })));
        for place in 0..row.len() {
            let mut changed = row.clone();
            changed[place] ^= 1;
            assert!(keys.open_entry(5, &changed).is_err(), "byte {place}");
            assert!(keys.open_entry(5, &row[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn small_entries_have_one_length_on_disk() {
        let (keys, rng) = (test_keys(), SeededRng::new(1));
        let lengths: std::collections::BTreeSet<_> = (0..50)
            .map(|number| keys.seal_entry(number, &small_entry(number).encode().unwrap(), &rng).unwrap().len())
            .collect();
        assert_eq!(lengths.len(), 1, "{lengths:?}");
    }

    #[test]
    fn a_destroyed_key_closes_its_entries_and_no_others() {
        let rng = SeededRng::new(1);
        let old = test_keys().with_entry_key(1, epoch_key(1));
        let both = old.clone().with_entry_key(2, epoch_key(2));
        let encoded = full_entry().encode().unwrap();
        let rows = [
            test_keys().seal_entry(0, &encoded, &rng).unwrap(),
            old.seal_entry(1, &encoded, &rng).unwrap(),
            both.seal_entry(2, &encoded, &rng).unwrap(),
        ];
        for (index, row) in rows.iter().enumerate() {
            assert!(both.open_entry(index as u64, row).is_ok());
        }
        let left = test_keys().with_entry_key(2, epoch_key(2));
        assert!(left.open_entry(0, &rows[0]).is_ok() && left.open_entry(2, &rows[2]).is_ok());
        assert!(matches!(left.open_entry(1, &rows[1]), Err(LedgerError::KeyNotHeld { index: 1, epoch: 1 })));
        // The number is bound: an entry cannot be passed off as one whose key was destroyed.
        let mut renumbered = rows[2].clone();
        renumbered[2] = 0;
        assert!(matches!(left.open_entry(2, &renumbered), Err(LedgerError::EntrySealed { .. })));
    }
}
