//! The keys that the ledger is sealed under, and how an entry and a head are sealed.
//!
//! Entries are sealed under numbered keys (epochs), so that the details of an old month can be destroyed by
//! destroying one key while the tree over the sealed bytes stays whole. Key 0 is derived with the establishment's
//! other keys and lasts as long as these: it cannot be destroyed alone. Keys that end are those of months ([`LedgerKeys::of_months`]): random, wrapped
//! by the keeper in rows of their own, made by the sequencer in the commit of a month's first entry.
//!
//! The keys change while a store is open. All clones of one [`LedgerKeys`] know of it at once.

use crate::encoding::ENTRY_BYTES_MAX;
use crate::entry::Entry;
use crate::epochs::{Epoch, EpochRow, EpochState, Held, HeldKeys, Maker, chosen};
use crate::error::LedgerError;
use crate::head::{HEAD_BYTES_MAX, TreeHead};
use crate::opening::{Opening, SALT_BYTES, commitment};
use crate::rows::{COMMITMENT_BYTES, ENTRY_KEY_BYTES, HEAD_KEY, ROW_HEADER_BYTES, entry_key, row_header, split_row};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tacet_seal::{Associated, Dictionary, EstablishmentKeys, KeyKeeper, Purpose, Sealer};
use tacet_store::{Precondition, Reader, Write};
use tacet_types::{EstablishmentId, Rng, Timestamp};
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
    /// By number. INVARIANT: never empty. What reads takes the map out and lets go of the lock.
    entries: Arc<RwLock<Arc<HeldKeys>>>,
    /// Makes the keys of months; none: there is the highest number that was given.
    maker: Option<Arc<Maker>>,
}

/// What an entry is to be sealed under.
pub(crate) struct Chosen {
    pub(crate) epoch: Epoch,
    pub(crate) sealer: Sealer,
    /// The row of the key, where it was made for this entry: to be written with it.
    pub(crate) row: Option<Write>,
}

impl LedgerKeys {
    /// The ledger's keys of an establishment without those of months: key 0 for entries, which does not end.
    pub fn new(keys: &EstablishmentKeys) -> Self {
        let held = HeldKeys::from([(Epoch::ESTABLISHMENT.number(), Held::Key(keys.ledger.clone()))]);
        Self {
            establishment: keys.id,
            head: keys.ledger_head.clone(),
            log: keys.sealer(Purpose::State).clone(),
            entries: Arc::new(RwLock::new(Arc::new(held))),
            maker: None,
        }
    }

    /// The ledger's keys with those of months that the store has. New entries are sealed under the key of their month, which gets its row with the first of them.
    /// Keys of the months after `now` are made ahead, in memory: entries are written for a year while the keeper gives no keys.
    ///
    /// # Errors
    /// The store cannot be read, or the keeper gives no key at this moment.
    pub fn of_months(
        keys: &EstablishmentKeys,
        reader: &dyn Reader,
        keeper: Arc<dyn KeyKeeper>,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Self, LedgerError> {
        let (new, maker) = (Self::new(keys), Maker::new(keys, keeper));
        let months = maker.read(reader)?;
        let newest = months.last_key_value().map_or(Epoch::ESTABLISHMENT, |(number, _)| Epoch::from_number(*number));
        maker.fill_stock(Epoch::of(now).max(newest), rng)?;
        new.change(|held| held.extend(months));
        Ok(Self { maker: Some(Arc::new(maker)), ..new })
    }

    /// These keys and one more for entries, apart from the clones that there are. New entries are sealed under the key with the highest number.
    #[must_use]
    pub fn with_entry_key(self, epoch: u16, sealer: Sealer) -> Self {
        let own = Self { entries: Arc::new(RwLock::new(self.held())), ..self };
        own.change(|held| drop(held.insert(epoch, Held::Key(sealer))));
        own
    }

    fn held(&self) -> Arc<HeldKeys> {
        Arc::clone(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut HeldKeys)) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut entries));
    }

    /// The keys of months, the oldest first, and what is known of each.
    pub fn epochs(&self) -> Vec<(Epoch, EpochState)> {
        let months = |(number, held): (&u16, &Held)| (Epoch::from_number(*number), held.state());
        self.held().iter().map(months).filter(|(epoch, _)| *epoch > Epoch::ESTABLISHMENT).collect()
    }

    /// How many keys of months were destroyed. It only grows: what was derived from entries when there were fewer remembers too much.
    pub fn ended(&self) -> u32 {
        let held = self.held();
        let ended = held.values().filter(|held| matches!(held, Held::Destroyed)).count();
        u32::try_from(ended).unwrap_or(u32::MAX)
    }

    /// What destroys the key of a month: to be committed with an entry that says so. [`LedgerKeys::forget`] comes after. Nothing where it is destroyed already.
    ///
    /// # Errors
    /// [`LedgerError::EpochInUse`] for the newest, under which entries are written; the store cannot be read, or has no such key.
    pub fn destroying(&self, reader: &dyn Reader, epoch: Epoch) -> Result<Option<(Precondition, Write)>, LedgerError> {
        let number = epoch.number();
        let maker = self.maker.as_ref().ok_or(LedgerError::NoEpoch { epoch: number })?;
        let held = self.held();
        if held.last_key_value().is_none_or(|(newest, _)| *newest == number) {
            return Err(LedgerError::EpochInUse { epoch: number });
        }
        if !held.contains_key(&number) {
            return Err(LedgerError::NoEpoch { epoch: number });
        }
        let key = maker.row_key(epoch).to_vec();
        let value = reader.get(&key)?.ok_or(LedgerError::NoEpoch { epoch: number })?;
        let destroyed = EpochRow { epoch, wrapped: None }.encode();
        if value == destroyed {
            return Ok(None);
        }
        Ok(Some((Precondition::Unchanged { key: key.clone(), value }, Write::put(key, destroyed))))
    }

    /// Forgets the key of a month whose row says that it was destroyed. From here on no clone of these keys opens the month's entries.
    pub fn forget(&self, epoch: Epoch) {
        self.change(|held| {
            if let Some(gone) = held.get_mut(&epoch.number()) {
                *gone = Held::Destroyed;
            }
        });
        self.maker.iter().for_each(|maker| maker.out_of_stock(epoch));
    }

    /// What an entry of this moment is sealed under. `made` are keys that were made before it in the same commit.
    pub(crate) fn choose(&self, at: Timestamp, made: &[Chosen], rng: &dyn Rng) -> Result<Chosen, LedgerError> {
        let mut held = self.held();
        let Some(maker) = &self.maker else {
            let newest = held.last_key_value();
            let (number, sealer) = newest
                .and_then(|(number, held)| held.sealer().map(|sealer| (*number, sealer)))
                .ok_or(LedgerError::NoEpoch { epoch: 0 })?;
            return Ok(Chosen { epoch: Epoch::from_number(number), sealer: sealer.clone(), row: None });
        };
        if !made.is_empty() {
            let made = made.iter().map(|made| (made.epoch.number(), Held::Key(made.sealer.clone())));
            Arc::make_mut(&mut held).extend(made);
        }
        let (epoch, sealer) = chosen(&held, at).ok_or(LedgerError::NoEpoch { epoch: u16::MAX })?;
        match sealer {
            Some(sealer) => Ok(Chosen { epoch, sealer: sealer.clone(), row: None }),
            None => maker.make(epoch, rng).map(|(epoch, (sealer, row))| Chosen { epoch, sealer, row: Some(row) }),
        }
    }

    /// Takes in the keys that were made for a commit. They are in no row before the commit is durable; where it fails, the store takes no other.
    pub(crate) fn take_in(&self, made: Vec<Chosen>) {
        if !made.is_empty() {
            if let Some(maker) = &self.maker {
                made.iter().for_each(|made| maker.out_of_stock(made.epoch));
            }
            let made = made.into_iter().map(|made| (made.epoch.number(), Held::Key(made.sealer)));
            self.change(|held| held.extend(made));
        }
    }

    /// The key of entry `index`.
    fn sealer(&self, index: u64, epoch: u16) -> Result<Sealer, LedgerError> {
        match self.held().get(&epoch) {
            Some(Held::Key(sealer)) => Ok(sealer.clone()),
            // Without rows of keys nobody can tell a key that ended from one that was not given.
            None if self.maker.is_none() => Err(LedgerError::KeyNotHeld { index, epoch }),
            Some(Held::Destroyed) => Err(LedgerError::KeyNotHeld { index, epoch }),
            Some(Held::Damaged) | None => Err(LedgerError::KeyMissing { index, epoch }),
        }
    }

    /// The establishment that every seal is bound to.
    pub fn establishment(&self) -> EstablishmentId {
        self.establishment
    }

    /// The row of entry `index`, whose encoded bytes these are, under a key that was chosen for it.
    pub(crate) fn seal_under(
        &self,
        (epoch, sealer): (Epoch, &Sealer),
        index: u64,
        encoded: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, LedgerError> {
        let epoch = epoch.number();
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
        let sealer = self.sealer(index, epoch)?;
        let place = entry_place(index, epoch);
        let plain = tacet_seal::open(&sealer, &self.entry_associated(&place), row.sealed, SALT_BYTES + ENTRY_BYTES_MAX)
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
        f.debug_struct("LedgerKeys").field("epochs", &self.held().keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::entry::tests::{full_entry, small_entry};
    use tacet_seal::Key;
    use tacet_types::SeededRng;

    impl LedgerKeys {
        /// The row of entry `index` under the key of the highest number.
        pub(crate) fn seal_entry(&self, index: u64, encoded: &[u8], rng: &dyn Rng) -> Result<Vec<u8>, LedgerError> {
            let chosen = self.choose(Timestamp::from_ms(0), &[], rng)?;
            self.seal_under((chosen.epoch, &chosen.sealer), index, encoded, rng)
        }
    }

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
