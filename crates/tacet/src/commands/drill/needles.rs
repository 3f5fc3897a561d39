//! What the drill looks for: every string of the played hospital that must not be on the disk.

use super::encodings::{Depth, PATTERN_BYTES_MIN};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use tacet_testkit::{Hospital, PatientFile};
use tacet_types::Timestamp;

/// Patients whose strings are looked for, at most: those of a larger hospital are taken evenly from it.
const PATIENTS_MAX: u64 = 1000;

/// Shortest wording that is looked for. Shorter ones (`Asthme`, `Normal`) are ordinary words.
const WORDING_BYTES_MIN: usize = 12;

/// Letters are looked for by their beginning.
const WORDING_BYTES_MAX: usize = 120;

/// A string that must not be found.
pub(super) struct Needle {
    /// What it is, in plain words.
    pub(super) kind: &'static str,
    /// The patient that it belongs to, by number; none where it is nobody's or everybody's.
    pub(super) patient: Option<u64>,
    /// The string.
    pub(super) text: String,
    /// In how many forms it is looked for.
    pub(super) depth: Depth,
}

/// A list of needles without doubles.
#[derive(Default)]
pub(super) struct Needles {
    all: Vec<Needle>,
    seen: HashSet<String>,
    /// What stands in paths and clocks of this very drill anyway, and would be found for that.
    unusable: Vec<String>,
    scratch: String,
    /// How many were left out as unusable.
    pub(super) left_out: u64,
}

impl Needles {
    /// An empty list for a drill in `scratch` that begins at `now`.
    pub(super) fn new(scratch: &Path, now: Timestamp) -> Self {
        const DAY_MS: i64 = 86_400_000;
        // The days that logs and notes of this drill may name.
        let days = [-1, 0, 1, super::play::EXPORT_DAYS.into(), i64::from(super::play::EXPORT_DAYS) + 1];
        let unusable = days.iter().filter_map(|day| now.plus_ms(day * DAY_MS).to_string().get(..10).map(str::to_owned));
        Self { unusable: unusable.collect(), scratch: scratch.to_string_lossy().to_lowercase(), ..Self::default() }
    }

    /// Leaves out what the settings of the drill must name.
    pub(super) fn leave_out(&mut self, text: &str) {
        self.unusable.push(text.to_owned());
    }

    pub(super) fn all(&self) -> &[Needle] {
        &self.all
    }

    /// How many of each kind.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        self.all.iter().for_each(|needle| *counts.entry(needle.kind).or_default() += 1);
        counts
    }

    pub(super) fn add(&mut self, kind: &'static str, patient: Option<u64>, text: &str, depth: Depth) {
        let text = text.trim();
        if text.len() < PATTERN_BYTES_MIN || !self.seen.insert(text.to_owned()) {
            return;
        }
        let clashes = self.scratch.contains(&text.to_lowercase())
            || self.unusable.iter().any(|day| text.starts_with(day.as_str()));
        if clashes {
            self.left_out += 1;
            return;
        }
        self.all.push(Needle { kind, patient, text: text.to_owned(), depth });
    }

    /// A secret, whole and in halves.
    pub(super) fn add_secret(&mut self, kind: &'static str, secret: &str) {
        self.add(kind, None, secret, Depth::Every);
        let characters: Vec<char> = secret.chars().collect();
        if characters.len() >= 32 {
            let (first, second) = characters.split_at(characters.len() / 2);
            self.add(kind, None, &first.iter().collect::<String>(), Depth::Every);
            self.add(kind, None, &second.iter().collect::<String>(), Depth::Every);
        }
    }

    /// The strings of the hospital's staff and of `patients` patients.
    pub(super) fn add_hospital(&mut self, hospital: &Hospital, patients: u64) {
        for member in [
            "\"resourceType\"",
            "\"birthDate\"",
            "\"valueQuantity\"",
            "\"subject\":{",
            "\"versionId\"",
            "\"identifier\":[",
        ] {
            self.add("JSON of a record", None, member, Depth::Every);
        }
        for name in ["Observation", "MedicationRequest", "DocumentReference", "DiagnosticReport"] {
            self.add("type of a record", None, name, Depth::Common);
        }
        let step = patients.div_ceil(PATIENTS_MAX).max(1);
        for n in (0..patients).step_by(usize::try_from(step).unwrap_or(1)) {
            self.add_patient(hospital, &hospital.patient(n));
        }
        // After the patients: a name that both have is the patient's.
        for record in hospital.foundation() {
            self.add_record(&record.json, None, true);
        }
    }

    /// The strings of one patient.
    pub(super) fn add_patient(&mut self, hospital: &Hospital, file: &PatientFile) {
        for planted in hospital.planted(file.n).iter().filter(|planted| planted.is_distinctive()) {
            self.add(planted.kind.as_str(), Some(file.n), &planted.text, Depth::Every);
        }
        for record in &file.resources {
            self.add_record(&record.json, Some(file.n), false);
        }
    }

    fn add_record(&mut self, json: &str, patient: Option<u64>, staff: bool) {
        if let Ok(record) = serde_json::from_str(json) {
            self.add_value("", &record, patient, staff);
        }
    }

    fn add_value(&mut self, name: &str, value: &Value, patient: Option<u64>, staff: bool) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| self.add_value(name, value, patient, staff))
            }
            Value::Array(items) => items.iter().for_each(|value| self.add_value(name, value, patient, staff)),
            Value::String(text) => self.add_text(name, text, patient, staff),
            _ => {}
        }
    }

    fn add_text(&mut self, name: &str, text: &str, patient: Option<u64>, staff: bool) {
        match name {
            "id" => self.add("record id", patient, text, Depth::Common),
            "system" if text.contains("://") => self.add("code system", None, text, Depth::Every),
            "code" => {
                self.add("code", None, &format!("\"code\":\"{text}\""), Depth::Common);
                // A LOINC code is distinctive by itself: digits, a dash, a digit.
                if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && text.contains('-') {
                    self.add("code", None, text, Depth::Common);
                }
            }
            "family" | "given" if staff => self.add("name of the staff", None, text, Depth::Every),
            "text" if staff && text.contains(' ') => self.add("name of the staff", None, text, Depth::Every),
            "value" if staff && text.len() >= 9 => self.add("number of the staff", None, text, Depth::Every),
            "display" | "text" | "div" if text.len() >= WORDING_BYTES_MIN && text.contains(' ') => {
                let end =
                    text.char_indices().map(|(at, _)| at).find(|at| *at >= WORDING_BYTES_MAX).unwrap_or(text.len());
                self.add("wording", None, text.get(..end).unwrap_or(text), Depth::Common);
            }
            // `2024-03-05T08:30`: a time to the minute.
            _ if text.len() >= 16
                && text.get(10..11) == Some("T")
                && text.starts_with(|first: char| first.is_ascii_digit()) =>
            {
                self.add("date and time", patient, text.get(..16).unwrap_or_default(), Depth::Common);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_testkit::HospitalOptions;

    fn collect(scratch: &str) -> Needles {
        let now = Timestamp::parse("2026-03-01T10:00:00Z").unwrap();
        let mut needles = Needles::new(Path::new(scratch), now);
        let options = HospitalOptions { seed: 1, patients: 3, now: Timestamp::parse("2025-03-01T00:00:00Z").unwrap() };
        needles.add_hospital(&Hospital::new(options), 3);
        needles.add("birth date", None, "2026-03-01", Depth::Every);
        needles
    }

    #[test]
    fn a_hospital_gives_needles_of_every_kind() {
        let needles = collect("/nowhere");
        let counts = needles.counts();
        for kind in [
            "family name",
            "given name",
            "full name",
            "national identity number",
            "hospital number",
            "birth date",
            "record id",
            "code system",
            "code",
            "name of the staff",
            "number of the staff",
            "wording",
            "date and time",
            "JSON of a record",
        ] {
            assert!(counts.get(kind).is_some_and(|count| *count > 0), "{kind}: {counts:?}");
        }
        let patients: HashSet<u64> = needles.all().iter().filter_map(|needle| needle.patient).collect();
        assert_eq!(patients.len(), 3);
        assert_eq!(needles.left_out, 1, "today's date");
    }

    #[test]
    fn what_stands_in_the_path_anyway_is_left_out() {
        let full = collect("/nowhere");
        let name = full.all().iter().find(|needle| needle.kind == "family name").unwrap().text.clone();
        let clashing = collect(&format!("/home/{}/work", name.to_uppercase()));
        assert!(clashing.all().iter().all(|needle| needle.text != name));
        assert!(clashing.left_out > 1);
    }

    #[test]
    fn a_secret_is_looked_for_in_halves_too() {
        let mut needles = Needles::default();
        needles.add_secret("token", &"0123456789abcdef".repeat(4));
        assert_eq!(needles.all().len(), 2, "whole, and both halves, which are equal here");
    }
}
