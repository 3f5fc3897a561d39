//! What the drill says: for people, with the scoreboard's line, or as one JSON document.

use super::dump::{self, Dump};
use super::frequency::{Frequency, Guess};
use super::look::{Looked, Thief};
use super::needles::Needles;
use super::play::Played;
use super::scratch::Area;
use super::statistics::Statistics;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Findings that are listed one by one.
const LISTED_MAX: usize = 40;

/// What was not looked at, in every run.
const NOT_LOOKED_AT: [&str; 5] = [
    "swap and the memory of running processes (Tacet's do not dump core; encrypted swap is the operator's part)",
    "blocks of the disk that the file system has freed, and its journal",
    "what the terminal or a caller does with what commands print on stdout (recovery shares, tokens, counts)",
    "other encodings and packings than those named (raw deflate, other compressors, other ciphers than none)",
    "guessing beyond the statistics above: by the times of rows, or with records that the thief planted himself",
];

/// All that came out.
pub(super) struct Report<'a> {
    pub(super) patients: u64,
    pub(super) seed: u64,
    pub(super) needles: &'a Needles,
    pub(super) patterns: usize,
    pub(super) proved: u64,
    pub(super) played: &'a Played,
    pub(super) thief: &'a Thief<'a>,
    /// Strings that the scanner found in the opened export: it can find what is there.
    pub(super) control_strings: u64,
    pub(super) files: &'a [Looked],
    pub(super) dump: &'a Dump,
    pub(super) frequency: &'a Frequency,
    pub(super) core_pattern: String,
    pub(super) seconds: f64,
}

impl Report<'_> {
    /// Whether a thief learns anything that must not be learnt.
    pub(super) fn has_findings(&self) -> bool {
        !self.thief.found.is_empty()
            || self.thief.records_unpacked > 0
            || self.dump.repeats.repeated() > 0
            || self.frequency.is_finding()
            || self.played.core_dumped
            || self.thief.gave_up_unpacking()
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.statistics.bytes).sum()
    }

    fn areas(&self) -> Vec<(&'static str, u64, Statistics)> {
        Area::ALL
            .into_iter()
            .map(|area| {
                let mut statistics = Statistics::default();
                let within = self.files.iter().filter(|file| file.path.starts_with(&format!("{}/", area.name())));
                let files = within.inspect(|file| statistics.merge(&file.statistics)).count();
                (area.name(), files as u64, statistics)
            })
            .collect()
    }

    /// The scoreboard's line, in the columns of the table: number, attacker, goal, result, and the rest.
    fn scoreboard(&self) -> String {
        let readable = self.thief.patients.len();
        let strings = self.thief.strings.len();
        format!(
            "1 | disks, backups, database dump, swap, logs | records readable: goal 0, found {readable} | names, terms, dates, \
             secrets: goal 0, found {strings} of {} | {}",
            self.needles.all().len(),
            if self.has_findings() { "NOT MET" } else { "met" }
        )
    }

    pub(super) fn json(&self) -> Value {
        let found: Vec<Value> = self
            .thief
            .found
            .iter()
            .take(1000)
            .map(|(found, times)| {
                json!({
                    "place": found.place, "what": found.kind, "form": found.encoding.name(),
                    "packing": found.packing.map(|packing| packing.name()), "count": times.count, "first_at": times.first_at,
                })
            })
            .collect();
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|file| {
                let statistics = &file.statistics;
                json!({
                    "path": file.path, "bytes": statistics.bytes, "empty_bytes": statistics.empty_bytes,
                    "entropy_bits": rounded(statistics.entropy_bits()), "longest_text_bytes": statistics.longest_text_bytes,
                })
            })
            .collect();
        let spaces: BTreeMap<String, Value> = self
            .dump
            .spaces
            .iter()
            .map(|(space, seen)| {
                let value = json!({
                    "rows": seen.rows, "bytes": seen.statistics.bytes, "lengths": seen.lengths.len(),
                    "entropy_bits": rounded(seen.statistics.entropy_bits()),
                });
                (format!("{space:02x}"), value)
            })
            .collect();
        json!({
            "scoreboard": {
                "line": 1, "attacker": "disks, backups, database dump, swap, logs", "readable_goal": 0,
                "records_readable": self.thief.patients.len(), "strings_found": self.thief.strings.len(),
                "met": !self.has_findings(),
            },
            "seals": tacet_seal::SEALS, "patients": self.patients, "seed": self.seed, "requests": self.played.requests,
            "looked_for": self.needles.counts(), "looked_for_total": self.needles.all().len(), "patterns": self.patterns,
            "left_out": self.needles.left_out, "plants_proved": self.proved, "control_strings": self.control_strings,
            "bytes": self.bytes(), "files": files, "found": found,
            "records_unpacked": self.thief.records_unpacked, "texts_unpacked": self.thief.texts_unpacked,
            "gave_up_unpacking": self.thief.gave_up_unpacking(),
            "core_dumped": self.played.core_dumped, "core_pattern": self.core_pattern,
            "rows": self.dump.rows(), "spaces": spaces,
            "repeats": { "windows": self.dump.repeats.windows, "repeated": self.dump.repeats.repeated() },
            "thief_learns": {
                "bytes": self.bytes(), "rows": self.dump.rows(), "commits": self.dump.commits,
                "ledger_entries": self.dump.ledger_entries, "records": self.dump.rows_in(dump::HEADS),
                "versions": self.dump.rows_in(dump::VERSIONS), "patients_about": self.dump.rows_in(dump::DATA_KEYS),
            },
            "frequency": {
                "names": guess(self.frequency.names), "codes": guess(self.frequency.codes),
                "index_files": self.frequency.index_files, "index_windows": self.frequency.index_windows,
                "index_repeated": self.frequency.index_repeated,
            },
            "given": {
                "packs": self.played.given.packs, "pack_patients": self.played.given.pack_patients,
                "transferred": self.played.given.transferred, "snapshots": self.played.given.snapshots,
                "key_objects": self.played.given.key_objects, "backup_bytes": self.played.given.backup_bytes,
            },
            "check": self.played.check, "not_looked_at": NOT_LOOKED_AT, "seconds": rounded(self.seconds),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        writeln!(
            out,
            "A hospital of {} patients (seed {}) was founded, filled, used ({} requests), crashed, started again, its root key\n\
             rotated, a patient erased, a sealed copy made and everything checked. Then every byte of it was read.\n",
            self.patients, self.seed, self.played.requests
        )?;
        let given = &self.played.given;
        writeln!(
            out,
            "Given out of its hands, and read too: {} packs for a ward ({} patients in the last), a transfer of {} patients, a backup of\n\
             {} snapshots and its keys in {} objects elsewhere, {:.1} MB.\n",
            given.packs,
            given.pack_patients,
            given.transferred,
            given.snapshots,
            given.key_objects,
            megabytes(given.backup_bytes)
        )?;
        writeln!(out, "Looked for: {} strings in {} forms", self.needles.all().len(), self.patterns)?;
        for (kind, count) in self.needles.counts() {
            writeln!(out, "  {count:>7}  {kind}")?;
        }
        if self.needles.left_out > 0 {
            writeln!(
                out,
                "  {:>7}  left out, as this drill's own path, dates or settings hold them",
                self.needles.left_out
            )?;
        }
        writeln!(
            out,
            "The scanner found all {} plants of its own (each form, each packing), and {} of the strings in the copy and\n\
             the transfer that their recipients opened.\n",
            self.proved, self.control_strings
        )?;
        writeln!(out, "Looked at: {} files, {:.1} MB", self.files.len(), megabytes(self.bytes()))?;
        for (name, files, statistics) in self.areas() {
            writeln!(
                out,
                "  {name:<7} {files:>3} files {:>9.1} MB, {:>8.1} MB empty, {:.3} bits a byte in the rest, longest text {}",
                megabytes(statistics.bytes),
                megabytes(statistics.empty_bytes),
                statistics.entropy_bits(),
                statistics.longest_text_bytes
            )?;
        }
        writeln!(out, "  rows of the store, as a dump has them (space, rows, bytes, bits a byte, different lengths):")?;
        for (space, seen) in &self.dump.spaces {
            writeln!(
                out,
                "    {space:02x} {:>8} {:>11} {:.3} {:>4}",
                seen.rows,
                seen.statistics.bytes,
                seen.statistics.entropy_bits(),
                seen.lengths.len()
            )?;
        }
        let dumped = if self.played.core_dumped { "A CORE WAS DUMPED" } else { "no core" };
        writeln!(out, "  crash by SIGABRT: {dumped} (core_pattern: {})\n", self.core_pattern)?;
        self.write_findings(out)?;
        self.write_frequency(out)?;
        writeln!(
            out,
            "\nWhat a thief learns all the same: {:.1} MB are in use; the store has {} rows, of which how many in each space, so that\n\
             it holds about {} records in {} versions, of about {} patients; {} commits and {} ledger entries were made; each\n\
             row's size to a step; the times of the files; the format, the establishment's random id, settings; and from the\n\
             note beside the copy who made it, for what, until when.",
            megabytes(self.bytes()),
            self.dump.rows(),
            self.dump.rows_in(dump::HEADS),
            self.dump.rows_in(dump::VERSIONS),
            self.dump.rows_in(dump::DATA_KEYS),
            self.dump.commits,
            self.dump.ledger_entries
        )?;
        writeln!(out, "Not looked at:")?;
        for what in NOT_LOOKED_AT {
            writeln!(out, "  - {what}")?;
        }
        writeln!(out, "\nThe attackers' scoreboard ({:.1} s)\n{}", self.seconds, self.scoreboard())
    }

    fn write_frequency(&self, out: &mut String) -> std::fmt::Result {
        let Frequency { names, codes, index_files, index_windows, index_repeated } = self.frequency;
        writeln!(
            out,
            "Guessing with the true statistics of names and codes, and a twin hospital run on the same program:\n\
             \x20 names from lengths of rows: {} of {} right, {} by always saying the commonest\n\
             \x20 codes from lengths of rows: {} of {} right, {} by always saying the commonest\n\
             \x20 terms whose frequency shows in the {index_files} files of the search index: {index_repeated} \
             ({index_windows} blocks compared)",
            names.right, names.asked, names.by_chance, codes.right, codes.asked, codes.by_chance
        )
    }

    fn write_findings(&self, out: &mut String) -> std::fmt::Result {
        if !self.has_findings() {
            return writeln!(
                out,
                "Found: nothing. Equal blocks of 16 bytes in the rows: 0 in {} compared.",
                self.dump.repeats.windows
            );
        }
        writeln!(out, "FOUND:")?;
        for (found, times) in self.thief.found.iter().take(LISTED_MAX) {
            let packing = found.packing.map_or(String::new(), |packing| format!(", unpacked from {}", packing.name()));
            writeln!(
                out,
                "  {}: {} ({}{packing}), {} times, first at byte {}",
                found.place,
                found.kind,
                found.encoding.name(),
                times.count,
                times.first_at
            )?;
        }
        let more = self.thief.found.len().saturating_sub(LISTED_MAX);
        if more > 0 {
            writeln!(out, "  … and {more} more kinds and places")?;
        }
        if self.thief.records_unpacked > 0 {
            writeln!(out, "  {} compressed records that are not sealed", self.thief.records_unpacked)?;
        }
        let repeats = &self.dump.repeats;
        if repeats.repeated() > 0 {
            writeln!(
                out,
                "  {} blocks of 16 bytes stand in several rows ({} compared)",
                repeats.repeated(),
                repeats.windows
            )?;
        }
        if self.played.core_dumped {
            writeln!(out, "  the crash dumped a core")?;
        }
        if self.thief.gave_up_unpacking() {
            writeln!(out, "  more compressed text than the drill opens: it did not see everything")?;
        }
        Ok(())
    }
}

fn guess(guess: Guess) -> Value {
    json!({ "asked": guess.asked, "right": guess.right, "by_chance": guess.by_chance, "gain_permille": guess.gain_permille() })
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
