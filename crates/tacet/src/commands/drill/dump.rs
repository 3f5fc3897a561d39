//! The rows of the store as the engine gives them: what a database dump holds. The engine is open source and its files are
//! not encrypted by it, so a thief has the rows as surely as the files.

use super::look::Thief;
use super::statistics::Statistics;
use crate::error::CliError;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use tacet_store::Reader;

/// Bytes that are compared between rows: a block of the cipher.
const WINDOW_BYTES: usize = 16;

/// Windows that are remembered, about. Of a larger store a part is taken, the same part of equal contents.
const WINDOWS_REMEMBERED: u64 = 2 << 20;

/// A window of fewer different bytes is a counter or filling. In 16 bytes of chance there are fewer than nine once in
/// many millions.
const DIFFERENT_BYTES_MIN: usize = 9;

/// The store's own rows and the row that describes it: in clear by design (docs/formats/store.md), and without content.
const STORE: u8 = 0x00;
const DESCRIPTION: u8 = 0x08;

/// The first byte of a link of the commit chain, after the space.
const CHAIN: u8 = 0x02;

/// The space of ledger entries, numbered in clear.
const LEDGER: u8 = 0x10;

/// Spaces whose rows can be counted for what they are (docs/formats/vault.md): heads of records, versions, data keys.
pub(super) const HEADS: u8 = 0x02;
pub(super) const VERSIONS: u8 = 0x03;
pub(super) const DATA_KEYS: u8 = 0x04;

/// What the rows of one space tell.
#[derive(Default)]
pub(super) struct Space {
    pub(super) rows: u64,
    pub(super) statistics: Statistics,
    /// The lengths that occur.
    pub(super) lengths: BTreeSet<usize>,
}

/// What a dump tells.
#[derive(Default)]
pub(super) struct Dump {
    pub(super) spaces: BTreeMap<u8, Space>,
    /// Commits since the store was made.
    pub(super) commits: u64,
    /// Entries in the ledger.
    pub(super) ledger_entries: u64,
    pub(super) repeats: Repeats,
}

impl Dump {
    pub(super) fn rows(&self) -> u64 {
        self.spaces.values().map(|space| space.rows).sum()
    }

    pub(super) fn rows_in(&self, space: u8) -> u64 {
        self.spaces.get(&space).map_or(0, |space| space.rows)
    }
}

/// Reads every row, lets the thief look at it, and counts.
pub(super) fn read(rows: &dyn Reader, bytes: u64, thief: &mut Thief<'_>) -> Result<Dump, CliError> {
    let mut dump = Dump { repeats: Repeats::sampling(bytes), ..Dump::default() };
    rows.range(&[0], &[u8::MAX; 2], &mut |key, value| {
        let first = key.first().copied().unwrap_or_default();
        let space = dump.spaces.entry(first).or_default();
        space.rows += 1;
        space.statistics.add(value);
        space.lengths.insert(value.len());
        match key {
            [STORE, CHAIN, ..] => {
                let commits = value.get(8..16).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
                dump.commits = dump.commits.max(commits);
            }
            [LEDGER, index @ ..] => {
                let index = index.try_into().map_or(0, u64::from_be_bytes);
                dump.ledger_entries = dump.ledger_entries.max(index.saturating_add(1));
            }
            _ => {}
        }
        if ![STORE, DESCRIPTION].contains(&first) {
            dump.repeats.add(value);
        }
        thief.look_at(&format!("rows of the store, space {first:02x}"), value);
        thief.look_at(&format!("keys of rows, space {first:02x}"), key);
        ControlFlow::Continue(())
    })?;
    Ok(dump)
}

fn different_bytes(window: u128) -> usize {
    let bytes = window.to_be_bytes();
    let mut seen = [false; 256];
    bytes
        .iter()
        .filter(|byte| seen.get_mut(usize::from(**byte)).is_some_and(|seen| !std::mem::replace(seen, true)))
        .count()
}

/// Equal blocks of 16 bytes in different rows, or in one row twice. Sealed rows have none: of n such windows of chance about
/// n² / 2^129 pairs are equal, which for the largest store is nothing. A cipher that gives equal texts equal forms, or no
/// cipher, gives many, since records are much alike.
#[derive(Default)]
pub(super) struct Repeats {
    seen: HashMap<u128, u32>,
    rows: u32,
    sampled_bits: u32,
    repeated: HashSet<u128>,
    /// Windows that were compared.
    pub(super) windows: u64,
}

impl Repeats {
    /// For about this many bytes of rows.
    pub(super) fn sampling(bytes: u64) -> Self {
        Self {
            sampled_bits: (bytes / WINDOWS_REMEMBERED).checked_ilog2().map_or(0, |bits| bits + 1),
            ..Self::default()
        }
    }

    /// Different windows that stand in more than one place.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated.len() as u64
    }

    /// Compares a row with all before.
    pub(super) fn add(&mut self, row: &[u8]) {
        self.rows = self.rows.saturating_add(1);
        let mut window = 0_u128;
        for (at, byte) in row.iter().enumerate() {
            window = window << 8 | u128::from(*byte);
            if at + 1 < WINDOW_BYTES {
                continue;
            }
            // Which windows are taken depends on their content alone, so equal ones are all taken or all left.
            let mixed = ((window >> 64) as u64 ^ window as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if self.sampled_bits > 0 && mixed >> (64 - self.sampled_bits.min(63)) != 0 {
                continue;
            }
            if different_bytes(window) < DIFFERENT_BYTES_MIN {
                continue;
            }
            self.windows += 1;
            if self.seen.insert(window, self.rows).is_some() {
                self.repeated.insert(window);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_seal::{Associated, Dictionary, Key, Purpose, Sealer, seal};
    use tacet_types::{EstablishmentId, Rng, SeededRng};

    #[test]
    fn equal_texts_repeat_in_clear_and_not_when_sealed() {
        let text =
            br#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org"}]}}"#;
        let rng = SeededRng::new(5);
        let key = Sealer::gcm_siv(&Key::from_bytes([4; 32]));
        let (mut clear, mut sealed) = (Repeats::sampling(0), Repeats::sampling(0));
        for row in 0..200_u8 {
            let place = Associated {
                establishment: EstablishmentId([1; 16]),
                purpose: Purpose::Head,
                row: &[row],
                resource: None,
            };
            clear.add(&[&[row; 5][..], text].concat());
            sealed.add(&seal(&key, &place, text, Dictionary::None, &rng).unwrap());
        }
        assert!(clear.repeated() > 50 && clear.windows > 10_000);
        if tacet_seal::SEALS {
            assert_eq!(sealed.repeated(), 0);
        }
        assert!(sealed.windows > 10_000);
    }

    #[test]
    fn a_sample_of_a_large_store_still_finds_repeats() {
        let mut repeats = Repeats::sampling(WINDOWS_REMEMBERED * 4);
        assert_eq!(repeats.sampled_bits, 3);
        let mut row = vec![0; 20_000];
        SeededRng::new(6).fill(&mut row);
        repeats.add(&row);
        let once = repeats.windows;
        assert!(once > 1500 && once < 3500 && repeats.repeated() == 0, "{once}");
        repeats.add(&row[7..]);
        assert!(repeats.repeated() > 1500);
    }
}
