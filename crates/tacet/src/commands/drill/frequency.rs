//! Guessing with statistics: the thief knows how often each name and each code occurs (public lists, the true distribution),
//! runs the same program on a hospital of his own, and has every byte of the disk. What he gets right is held against what
//! guessing the commonest gives without the disk.
//!
//! ```text
//! blocks of the index that stand in two places ──> terms whose frequency shows (none: each stands nowhere twice)
//! length of each sealed row, and the same of a twin hospital in clear ──> best guess of name or code for each length
//! ```
//!
//! The lengths are those that rows have: they are made here by the same seal, so no key of the drilled store is needed to know
//! which row is whose.

use super::dump::Repeats;
use crate::error::CliError;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use tacet_seal::{Associated, Dictionary, Key, Purpose, Sealer, SecureRng, seal};
use tacet_testkit::{Hospital, HospitalOptions, Record};
use tacet_types::EstablishmentId;

/// Patients of the twin, at least: with fewer the thief's own statistics would be poor.
const TWIN_PATIENTS_MIN: u64 = 150;

/// Patients whose records are guessed at, at most.
const TARGET_PATIENTS_MAX: u64 = 500;

/// What a thief guesses at, and how often he is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Guess {
    /// Names or codes guessed at.
    pub(super) asked: u64,
    /// Right by what the disk tells.
    pub(super) right: u64,
    /// Right by always guessing the commonest, which needs no disk.
    pub(super) by_chance: u64,
}

impl Guess {
    /// How many more the disk gives than chance, in thousandths of those asked.
    pub(super) fn gain_permille(self) -> u64 {
        self.right.saturating_sub(self.by_chance) * 1000 / self.asked.max(1)
    }
}

/// What the statistics give.
pub(super) struct Frequency {
    /// Family names of patients, from the lengths of their rows.
    pub(super) names: Guess,
    /// Codes of all records that have one, from the lengths of their rows.
    pub(super) codes: Guess,
    /// Files of the search index.
    pub(super) index_files: u64,
    /// Blocks of the index that were compared.
    pub(super) index_windows: u64,
    /// Blocks that stand in more than one place: at most so many terms show how often they occur.
    pub(super) index_repeated: u64,
}

/// Gain that is no finding, in thousandths: the two hospitals are not exactly alike, so chance moves by so much.
const NOISE_PERMILLE: u64 = 5;

impl Frequency {
    /// Whether the statistics give a thief more than chance.
    pub(super) fn is_finding(&self) -> bool {
        self.index_repeated > 0
            || self.names.gain_permille() > NOISE_PERMILLE
            || self.codes.gain_permille() > NOISE_PERMILLE
    }
}

/// Guesses at the hospital's names and codes, and looks for frequencies in the index.
pub(super) fn guess(hospital: &Hospital, index: &Path) -> Result<Frequency, CliError> {
    let mut repeats = Repeats::sampling(bytes_below(index)?);
    let mut index_files = 0;
    each_file(index, &mut |path| {
        let bytes = std::fs::read(path).map_err(CliError::file(path, "a file of the index cannot be read"))?;
        repeats.add(&bytes);
        index_files += 1;
        Ok(())
    })?;
    let options = hospital.options();
    let twin = Hospital::new(HospitalOptions {
        seed: options.seed.wrapping_add(1),
        patients: options.patients.max(TWIN_PATIENTS_MIN),
        ..options
    });
    let (known, asked) = (Lengths::of(&twin)?, Lengths::of(hospital)?);
    Ok(Frequency {
        names: by_length(&known.names, &asked.names),
        codes: by_length(&known.codes, &asked.codes),
        index_files,
        index_windows: repeats.windows,
        index_repeated: repeats.repeated(),
    })
}

/// Lengths of sealed rows, each with what a thief would like to know of it.
#[derive(Default)]
struct Lengths {
    names: Vec<(usize, String)>,
    codes: Vec<(usize, String)>,
}

impl Lengths {
    fn of(hospital: &Hospital) -> Result<Self, CliError> {
        let sealer = Sealer::gcm(&Key::random(&SecureRng));
        let mut lengths = Self::default();
        for n in 0..hospital.options().patients.min(TARGET_PATIENTS_MAX) {
            for record in hospital.patient(n).resources {
                let value: Value = serde_json::from_str(&record.json)
                    .map_err(|error| CliError::other("a synthetic record is no JSON", error))?;
                let length = sealed_length(&sealer, &record)?;
                if let Some(name) = value.pointer("/name/0/family").and_then(Value::as_str) {
                    lengths.names.push((length, name.to_owned()));
                }
                if let Some(code) = value.pointer("/code/coding/0/code").and_then(Value::as_str) {
                    lengths.codes.push((length, code.to_owned()));
                }
            }
        }
        Ok(lengths)
    }
}

fn sealed_length(sealer: &Sealer, record: &Record) -> Result<usize, CliError> {
    // As the vault stores it, with its version and time.
    let meta = ",\"meta\":{\"versionId\":\"1\",\"lastUpdated\":\"2025-03-01T08:00:00.000Z\"}}";
    let text = format!("{}{meta}", record.json.trim_end().strip_suffix('}').unwrap_or_default());
    let place =
        Associated { establishment: EstablishmentId([0; 16]), purpose: Purpose::Content, row: &[], resource: None };
    let sealed = seal(sealer, &place, text.as_bytes(), Dictionary::Resource(record.resource_type), &SecureRng);
    Ok(sealed.map_err(|error| CliError::other("a record cannot be sealed", error))?.len())
}

/// For each length the commonest of what is `known` to have it, held against what is `asked`.
fn by_length(known: &[(usize, String)], asked: &[(usize, String)]) -> Guess {
    let mut all: HashMap<&str, u64> = HashMap::new();
    let mut at: HashMap<usize, HashMap<&str, u64>> = HashMap::new();
    for (length, what) in known {
        *all.entry(what).or_default() += 1;
        *at.entry(*length).or_default().entry(what).or_default() += 1;
    }
    let common = commonest(&all);
    let best: HashMap<usize, &str> = at.iter().map(|(length, counts)| (*length, commonest(counts))).collect();
    let count = |right: &dyn Fn(&(usize, String)) -> bool| asked.iter().filter(|one| right(one)).count() as u64;
    Guess {
        asked: asked.len() as u64,
        right: count(&|(length, what)| best.get(length).copied().unwrap_or(common) == what),
        by_chance: count(&|(_, what)| common == what),
    }
}

/// The one that occurs most, the first of equals.
fn commonest<'a>(counts: &HashMap<&'a str, u64>) -> &'a str {
    let best = counts.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
    best.map(|(what, _)| *what).unwrap_or_default()
}

fn each_file(folder: &Path, visit: &mut dyn FnMut(&Path) -> Result<(), CliError>) -> Result<(), CliError> {
    let unreadable = || CliError::file(folder, "the index cannot be read");
    for entry in std::fs::read_dir(folder).map_err(unreadable())? {
        let path = entry.map_err(unreadable())?.path();
        if path.is_dir() { each_file(&path, visit)? } else { visit(&path)? }
    }
    Ok(())
}

fn bytes_below(folder: &Path) -> Result<u64, CliError> {
    let mut bytes = 0;
    each_file(folder, &mut |path| {
        bytes += std::fs::metadata(path).map_err(CliError::file(path, "a file of the index cannot be read"))?.len();
        Ok(())
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(usize, &str)]) -> Vec<(usize, String)> {
        list.iter().map(|(length, what)| (*length, (*what).to_owned())).collect()
    }

    #[test]
    fn lengths_that_tell_are_seen_to_tell() {
        let known = pairs(&[(1, "a"), (1, "a"), (2, "b"), (2, "b"), (2, "a")]);
        let asked = pairs(&[(1, "a"), (2, "b"), (2, "b"), (2, "a"), (3, "a")]);
        let guess = by_length(&known, &asked);
        assert_eq!(guess, Guess { asked: 5, right: 4, by_chance: 3 });
        assert_eq!(guess.gain_permille(), 200);
        let alike = by_length(&pairs(&[(1, "a"), (1, "b"), (1, "a")]), &pairs(&[(1, "b"), (1, "a")]));
        assert_eq!((alike.right, alike.by_chance, alike.gain_permille()), (1, 1, 0));
    }

    #[test]
    fn an_index_in_clear_shows_its_terms() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("terms"), "Beaulieu-Grandmaison 7, Beaulieu-Grandmaison 9").unwrap();
        let options = HospitalOptions { seed: 3, patients: 2, now: tacet_types::Timestamp::from_ms(1_740_787_200_000) };
        let seen = guess(&Hospital::new(options), folder.path()).unwrap();
        assert!(seen.index_repeated > 0 && seen.is_finding());
        // Of the patients, and of those who are related to them.
        assert!(seen.index_files == 1 && seen.names.asked >= 2);
        assert!(seen.codes.asked > 10);
    }
}
