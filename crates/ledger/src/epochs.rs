//! The keys of months: one random key for the entries of each calendar month, held wrapped in a row of its own, so that what a month's entries say can
//! end while their rows, and with them the tree, stay whole.
//!
//! ```text
//! 0x13 keyed hash of the epoch  ->  format=1  epoch (2)  wrapped key           the month's entries open
//!                                   format=1  epoch (2)  `erased`              they do not, and never will
//! ```
//!
//! What it is not: it does not decide when a month is over its time. Whoever does (`tacet_vault`) writes the row of
//! [`LedgerKeys::destroying`](crate::LedgerKeys::destroying) in one commit with an entry that says so.

use crate::error::LedgerError;
use crate::rows::{entry_key, split_row};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tacet_seal::{
    EstablishmentKeys, KeeperError, Key, KeyKeeper, OnBehalf, ROW_KEY_BYTES, RowKeys, Sealer, WrappedKey,
};
use tacet_store::{Reader, Write};
use tacet_types::{Rng, Timestamp, civil_from_days, days_from_civil};

/// First byte of the keys of the rows that hold wrapped keys of months.
pub const SPACE_EPOCH_KEYS: u8 = 0x13;

/// The domain of the keyed hash in these rows' keys.
const ROW_DOMAIN: u8 = 1;

/// The format of these rows that is written, and the only one that is read.
const ROW_FORMAT: u8 = 1;

/// What stands in the place of a key that was destroyed: as in the rows of data keys.
const DESTROYED: &[u8] = b"erased";

/// Months of a year.
const MONTHS: i64 = 12;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// Months for which keys are made ahead at each start: so long the ledger goes on where the keeper is closed or out of reach.
const STOCK_MONTHS: usize = 13;

/// How often a key is asked for again at the start, where the keeper's rate is used up, and how long it is waited each time at most, in milliseconds.
const UNWRAP_ATTEMPTS_MAX: usize = 60;
const UNWRAP_WAIT_MS_MAX: u64 = 1000;

/// The number of a key of the ledger: 12 times the year and the month from 0, in UTC. Number 0 is the establishment's own key, which does not end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(u16);

impl Epoch {
    /// The key that is derived with the establishment's others.
    pub const ESTABLISHMENT: Self = Self(0);

    /// The month of a moment. Those before the year 1 and after 5461 count to the first and the last month that there is.
    pub fn of(at: Timestamp) -> Self {
        let (year, month, _) = civil_from_days(at.as_ms().div_euclid(DAY_MS));
        let number = year.saturating_mul(MONTHS).saturating_add(i64::from(month) - 1);
        Self(u16::try_from(number.clamp(MONTHS, i64::from(u16::MAX))).unwrap_or(u16::MAX))
    }

    /// The key of this number.
    pub fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// Its number, as it stands in the rows of entries.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The first moment of the month.
    pub fn begins(self) -> Timestamp {
        begin_of(i64::from(self.0))
    }

    /// The first moment after the month.
    pub fn ends(self) -> Timestamp {
        self.over_for(0)
    }

    /// The moment at which the month has been over for so many years.
    pub fn over_for(self, years: u16) -> Timestamp {
        begin_of(i64::from(self.0) + 1 + i64::from(years) * MONTHS)
    }

    fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// The first moment of month `number`.
fn begin_of(number: i64) -> Timestamp {
    let month = u32::try_from(number.rem_euclid(MONTHS) + 1).unwrap_or(1);
    Timestamp::from_ms(days_from_civil(number.div_euclid(MONTHS), month, 1).saturating_mul(DAY_MS))
}

/// The month, as `2026-03`; `0` for the establishment's own key.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::from(self.0) {
            0 => f.write_str("0"),
            number => write!(f, "{:04}-{:02}", number.div_euclid(MONTHS), number.rem_euclid(MONTHS) + 1),
        }
    }
}

/// What is known of the key of a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EpochState {
    /// It opens the month's entries.
    Held,
    /// It was destroyed when its time was over.
    Destroyed,
    /// Its row does not open: altered, or of another store.
    Damaged,
}

/// What stands in the row of a month's key.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// Which month.
    pub epoch: Epoch,
    /// The key, wrapped with the row's key as context; none: it was destroyed.
    pub wrapped: Option<WrappedKey>,
}

impl EpochRow {
    /// Where the row stands.
    pub fn key(&self, row_keys: &RowKeys) -> [u8; ROW_KEY_BYTES] {
        row_key(row_keys, self.epoch)
    }

    /// The row's value.
    pub fn encode(&self) -> Vec<u8> {
        let held = self.wrapped.as_ref().map_or(DESTROYED, WrappedKey::as_bytes);
        [&[ROW_FORMAT], self.epoch.0.to_be_bytes().as_slice(), held].concat()
    }

    /// Reads a row's value; none for one that is not written so.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let [ROW_FORMAT, high, low, held @ ..] = value else { return None };
        let epoch = Epoch(u16::from_be_bytes([*high, *low]));
        let wrapped = match held {
            DESTROYED => None,
            held => Some(WrappedKey::from_bytes(held.to_vec()).ok()?),
        };
        (epoch > Epoch::ESTABLISHMENT).then_some(Self { epoch, wrapped })
    }
}

/// A row's key says nothing to whoever has not the establishment's key, as those of other rows; its value names the month, as do the rows of entries.
fn row_key(row_keys: &RowKeys, epoch: Epoch) -> [u8; ROW_KEY_BYTES] {
    row_keys.key(SPACE_EPOCH_KEYS, ROW_DOMAIN, &[&epoch.0.to_be_bytes()])
}

/// A key of a month in memory.
#[derive(Clone)]
pub(crate) enum Held {
    /// It opens and seals.
    Key(Sealer),
    /// It was destroyed.
    Destroyed,
    /// Its row does not open.
    Damaged,
}

impl Held {
    pub(crate) fn sealer(&self) -> Option<&Sealer> {
        match self {
            Self::Key(sealer) => Some(sealer),
            Self::Destroyed | Self::Damaged => None,
        }
    }

    pub(crate) fn state(&self) -> EpochState {
        match self {
            Self::Key(_) => EpochState::Held,
            Self::Destroyed => EpochState::Destroyed,
            Self::Damaged => EpochState::Damaged,
        }
    }
}

/// The keys of the ledger, by number.
pub(crate) type HeldKeys = BTreeMap<u16, Held>;

/// A new key, and the row that it is held in.
type Made = (Sealer, Write);

/// Makes and reads the keys of months.
pub(crate) struct Maker {
    keeper: Arc<dyn KeyKeeper>,
    row_keys: RowKeys,
    /// Keys of months that are still to come, by number: with them entries are written while the keeper gives none.
    stock: Mutex<BTreeMap<u16, Made>>,
}

impl Maker {
    pub(crate) fn new(keys: &EstablishmentKeys, keeper: Arc<dyn KeyKeeper>) -> Self {
        Self { keeper, row_keys: keys.row_keys.clone(), stock: Mutex::new(BTreeMap::new()) }
    }

    fn stock(&self) -> MutexGuard<'_, BTreeMap<u16, Made>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes keys of [`STOCK_MONTHS`] months from this one on, in memory. A row has each of them when it is used.
    pub(crate) fn fill_stock(&self, from: Epoch, rng: &dyn Rng) -> Result<(), LedgerError> {
        let made =
            (from.0..=u16::MAX).take(STOCK_MONTHS).map(|number| Ok((number, self.make_now(Epoch(number), rng)?)));
        *self.stock() = made.collect::<Result<_, LedgerError>>()?;
        Ok(())
    }

    /// The key is used, and so a row has it; or it was destroyed.
    pub(crate) fn out_of_stock(&self, epoch: Epoch) {
        self.stock().remove(&epoch.0);
    }

    pub(crate) fn row_key(&self, epoch: Epoch) -> [u8; ROW_KEY_BYTES] {
        row_key(&self.row_keys, epoch)
    }

    /// A new key and its row: to be written in the commit of the first entry under it. That of a later month, which is kept longer, where the keeper gives
    /// none and there is none in stock for this one.
    pub(crate) fn make(&self, epoch: Epoch, rng: &dyn Rng) -> Result<(Epoch, Made), LedgerError> {
        if let Some(made) = self.stock().get(&epoch.0) {
            return Ok((epoch, made.clone()));
        }
        match self.make_now(epoch, rng) {
            Ok(made) => Ok((epoch, made)),
            Err(error) => {
                let stock = self.stock();
                let later = stock.range(epoch.0..).next();
                later.map(|(number, made)| (Epoch(*number), made.clone())).ok_or(error)
            }
        }
    }

    fn make_now(&self, epoch: Epoch, rng: &dyn Rng) -> Result<Made, LedgerError> {
        let row_key = self.row_key(epoch);
        let key = Key::random(rng);
        let wrapped = self.keeper.wrap(&key, &row_key).map_err(LedgerError::Keeper)?;
        let row = EpochRow { epoch, wrapped: Some(wrapped) };
        Ok((sealer(&key), Write::put(row_key, row.encode())))
    }

    /// What the rows hold. A row that does not open is known to be damaged; one that names no month is passed over, and found by the check of the store.
    pub(crate) fn read(&self, reader: &dyn Reader) -> Result<HeldKeys, LedgerError> {
        let mut rows = Vec::new();
        reader.range(&[SPACE_EPOCH_KEYS], &[SPACE_EPOCH_KEYS + 1], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        let mut held = HeldKeys::new();
        for (key, value) in rows {
            let Some(row) = EpochRow::parse(&value) else { continue };
            if row.key(&self.row_keys).as_slice() == key {
                held.insert(row.epoch.0, self.open(&key, row)?);
            }
        }
        Ok(held)
    }

    fn open(&self, row_key: &[u8], row: EpochRow) -> Result<Held, LedgerError> {
        let Some(wrapped) = row.wrapped else { return Ok(Held::Destroyed) };
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.keeper.unwrap(&wrapped, row_key, OnBehalf::Start) {
                Ok(key) => return Ok(Held::Key(sealer(&key))),
                // A store has some dozens of them, and a keeper may be set to give few at once.
                Err(KeeperError::RateExceeded { retry_after_ms }) if attempts < UNWRAP_ATTEMPTS_MAX => {
                    std::thread::sleep(Duration::from_millis(retry_after_ms.clamp(1, UNWRAP_WAIT_MS_MAX)));
                }
                Err(error @ (KeeperError::RateExceeded { .. } | KeeperError::Unavailable)) => {
                    return Err(LedgerError::Keeper(error));
                }
                Err(_) => return Ok(Held::Damaged),
            }
        }
    }
}

/// The number of the first of the `size` entries that is under a later key than this one; `size` where there is none. Numbers of keys never go down from one
/// entry to the next, so this is found by halving.
///
/// # Errors
/// The store cannot be read, or an entry on the way is missing.
pub fn first_after(reader: &dyn Reader, size: u64, epoch: Epoch) -> Result<u64, LedgerError> {
    let (mut from, mut to) = (0, size);
    while from < to {
        let index = from + (to - from) / 2;
        let row = reader.get(&entry_key(index))?.ok_or(LedgerError::NoEntry { index })?;
        if split_row(index, &row)?.epoch > epoch.0 {
            to = index;
        } else {
            from = index + 1;
        }
    }
    Ok(from)
}

/// Entries of a month are sealed for as long as the house restores and clones its machines: a nonce may come twice.
fn sealer(key: &Key) -> Sealer {
    Sealer::gcm_siv(key)
}

/// What an entry of the moment `at` is sealed under, of these keys: the month's, or the newest that there is where that is later, so that a clock that
/// was set back makes no entry end before its time. None in the second place: there is no such key yet.
pub(crate) fn chosen(held: &HeldKeys, at: Timestamp) -> Option<(Epoch, Option<&Sealer>)> {
    let newest = held.last_key_value().map_or(Epoch::ESTABLISHMENT, |(number, _)| Epoch(*number));
    let epoch = Epoch::of(at).max(newest);
    match held.get(&epoch.0) {
        None => Some((epoch, None)),
        Some(Held::Key(sealer)) => Some((epoch, Some(sealer))),
        // Nothing is ever sealed under a key that does not open again. It is the newest: the next month has none.
        Some(Held::Destroyed | Held::Damaged) => epoch.next().map(|next| (next, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_month_has_one_number() {
        for (moment, number, month) in [
            ("2026-11-01T00:00:00Z", 24_322, "2026-11"),
            ("2026-11-30T23:59:59.999Z", 24_322, "2026-11"),
            ("2026-12-01T00:00:00Z", 24_323, "2026-12"),
            ("2027-01-01T00:00:00Z", 24_324, "2027-01"),
            ("1969-12-31T23:59:59.999Z", 23_639, "1969-12"),
            ("2024-02-29T12:00:00Z", 24_289, "2024-02"),
            ("0001-01-01T00:00:00Z", 12, "0001-01"),
            ("9999-12-31T00:00:00Z", u16::MAX, "5461-04"),
        ] {
            let epoch = Epoch::of(at(moment));
            assert_eq!((epoch.number(), epoch.to_string().as_str()), (number, month), "{moment}");
            assert!(epoch.number() == u16::MAX || (epoch.begins() <= at(moment) && at(moment) < epoch.ends()));
        }
        let february = Epoch::of(at("2024-02-29T12:00:00Z"));
        assert_eq!(february.over_for(3), at("2027-03-01T00:00:00Z"));
        assert_eq!(Epoch::of(at("2024-12-31T00:00:00Z")).over_for(6), at("2031-01-01T00:00:00Z"));
        assert_eq!(Epoch::ESTABLISHMENT.to_string(), "0");
    }

    #[test]
    fn a_row_is_read_as_it_was_written_and_nothing_else_is() {
        let wrapped = WrappedKey::from_bytes([&[1], [7; 64].as_slice()].concat()).unwrap();
        for wrapped in [Some(wrapped), None] {
            let row = EpochRow { epoch: Epoch(24_322), wrapped };
            let value = row.encode();
            assert!(EpochRow::parse(&value).unwrap() == row);
            for cut in 0..value.len() {
                assert!(EpochRow::parse(&value[..cut]).is_none(), "cut at {cut}");
            }
            assert!(EpochRow::parse(&[value.as_slice(), b"x"].concat()).is_none());
            assert!(EpochRow::parse(&[&[2], &value[1..]].concat()).is_none());
        }
        assert!(EpochRow::parse(b"\x01\x00\x00erased").is_none(), "the establishment's own key has no row");
    }

    #[test]
    fn a_clock_that_goes_back_makes_nothing_end_early() {
        let key = || Held::Key(sealer(&Key::from_bytes([1; 32])));
        let number = |text: &str| Epoch::of(at(text)).number();
        let chosen = |held: &HeldKeys, text: &str| {
            chosen(held, at(text)).map(|(epoch, sealer)| (epoch.to_string(), sealer.is_some()))
        };
        let mut held = HeldKeys::new();
        assert_eq!(chosen(&held, "2026-11-05T00:00:00Z"), Some(("2026-11".into(), false)));
        held.insert(number("2026-11-05T00:00:00Z"), key());
        for set_back in ["2026-11-30T00:00:00Z", "2026-10-31T23:59:59Z", "2021-01-01T00:00:00Z", "1970-01-01T00:00:00Z"]
        {
            assert_eq!(chosen(&held, set_back), Some(("2026-11".into(), true)), "{set_back}");
        }
        assert_eq!(chosen(&held, "2026-12-01T00:00:00Z"), Some(("2026-12".into(), false)));
        // What cannot be opened again is never sealed under.
        for gone in [Held::Destroyed, Held::Damaged] {
            held.insert(number("2026-11-05T00:00:00Z"), gone);
            assert_eq!(chosen(&held, "2026-11-30T00:00:00Z"), Some(("2026-12".into(), false)));
        }
        held.insert(u16::MAX, Held::Destroyed);
        assert_eq!(chosen(&held, "2026-11-30T00:00:00Z"), None);
    }
}
