//! What the drill says: for people, with the scoreboard's line, or as one JSON document. Strings of patients are counted, never shown.

use super::emergency::Emergencies;
use super::pairs::{Difference, GOAL, Timing};
use super::thief::Thief;
use super::truth::{Marks, Truth};
use super::walk::WrongCounts;
use super::written::Written;
use crate::commands::drill::staged::Stage;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use tacet_testkit::apart::{Share, Told};

/// Findings of a kind that are listed one by one.
const LISTED_MAX: usize = 20;

/// Characters of an answer that are shown where two differ.
const ANSWER_CHARACTERS_MAX: usize = 600;

/// What was not tried, in every run.
const NOT_TRIED: [&str; 4] = [
    "what a browser keeps on the stolen device, and what the thief photographs",
    "elements that are cut out of open records: the drill looks at records",
    "statistics over many days, or over several stolen accounts together",
    "timing of other kinds of request than those named, and from nearer than HTTP on this machine",
];

/// All that came out.
pub(super) struct Report<'a> {
    pub(super) stage: &'a Stage,
    pub(super) truth: &'a Truth,
    pub(super) marks: &'a Marks,
    pub(super) thief: &'a Thief<'a>,
    pub(super) strangers: u64,
    /// Patients that the rules open though their chart does not name the account.
    pub(super) opened_by_the_rules: BTreeSet<u64>,
    /// Closed records that were shown without a declared emergency.
    pub(super) leaked: BTreeSet<String>,
    /// Strings of closed patients that came up without one.
    pub(super) strings: BTreeMap<usize, &'static str>,
    pub(super) wrong_counts: WrongCounts,
    pub(super) pairs: u64,
    pub(super) differences: Vec<Difference>,
    pub(super) timing: Vec<Timing>,
    pub(super) emergencies: Emergencies,
    pub(super) written: Written,
    pub(super) seconds: f64,
}

impl Report<'_> {
    /// Patients of whom something was read that is not open, without a declared emergency.
    fn others_readable(&self) -> BTreeSet<u64> {
        let of_strings = self.strings.keys().filter_map(|place| Some(self.marks.strings.get(*place)?.0));
        let of_records = self.leaked.iter().filter_map(|place| {
            self.stage.records.iter().find(|record| record.place() == *place).and_then(|record| record.patient)
        });
        of_strings.chain(of_records).collect()
    }

    /// Ways to learn that something is hidden.
    fn existence(&self) -> u64 {
        (self.differences.len() + self.wrong_counts.len()) as u64
    }

    /// Kinds of request whose time tells hidden from absent.
    fn told_by_time(&self) -> Vec<&Timing> {
        self.timing.iter().filter(|timing| timing.told == Told::Apart).collect()
    }

    pub(super) fn saw_own_patients(&self) -> bool {
        !self.truth.own.is_empty()
            && self.truth.own.iter().all(|n| {
                let place = format!("Patient/{}", self.stage.hospital.patient_id(*n));
                self.thief.shown.iter().any(|(shown, _)| *shown == place)
            })
    }

    /// Whether every goal is met.
    pub(super) fn is_met(&self) -> bool {
        let emergencies = &self.emergencies;
        self.leaked.is_empty()
            && self.strings.is_empty()
            && self.opened_by_the_rules.is_empty()
            && self.existence() == 0
            && self.told_by_time().is_empty()
            && emergencies.opened.len() as u64 <= Emergencies::cap()
            && emergencies.too_much.is_empty()
            && emergencies.after_end == 0
            && emergencies.all_told()
            && self.written.is_exact()
    }

    fn scoreboard(&self) -> String {
        format!(
            "2 | a clinician's live session | own patients: {} | others readable: goal 0, found {} | with break-glass: goal at most {}, \
             found {} | existence learned: goal 0, found {} | told by time: goal 0, found {} | the ledger's list: {} | {}",
            self.truth.own.len(),
            self.others_readable().len(),
            Emergencies::cap(),
            self.emergencies.opened.len(),
            self.existence(),
            self.told_by_time().len(),
            if self.written.is_exact() { "exact" } else { "NOT EXACT" },
            if self.is_met() { "met" } else { "NOT MET" }
        )
    }

    pub(super) fn json(&self) -> Value {
        let Emergencies {
            declared,
            refused,
            capped,
            opened,
            records,
            too_much,
            after_end,
            officers_told,
            patients_told,
        } = &self.emergencies;
        let first = |place: &String| self.thief.first.get(place).copied().unwrap_or("unknown");
        let leaked: Vec<Value> = self
            .leaked
            .iter()
            .take(LISTED_MAX)
            .map(|place| json!({ "type": place.split('/').next(), "way": first(place) }))
            .collect();
        let strings: Vec<Value> = self
            .strings
            .iter()
            .take(LISTED_MAX)
            .map(|(place, way)| json!({ "kind": self.marks.strings.get(*place).map(|mark| mark.1), "way": way }))
            .collect();
        let differences: Vec<Value> = self
            .differences
            .iter()
            .map(|pair| json!({ "what": pair.what, "hidden": short(&pair.hidden), "absent": short(&pair.absent) }))
            .collect();
        let counts: Vec<Value> = self
            .wrong_counts
            .iter()
            .map(|(query, counted, open)| json!({ "what": query, "counted": counted, "open": open }))
            .collect();
        let timing: Vec<Value> = self.timing.iter().map(timing_json).collect();
        let statuses: BTreeMap<String, u64> =
            self.thief.statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        json!({
            "scoreboard": {
                "line": 2, "attacker": "a clinician's live session", "own_patients": self.truth.own.len(),
                "others_readable_goal": 0, "others_readable": self.others_readable().len(),
                "with_break_glass_goal": Emergencies::cap(), "with_break_glass": opened.len(),
                "existence_goal": 0, "existence_learned": self.existence(), "told_by_time_goal": 0,
                "told_by_time": self.told_by_time().len(), "ledger_exact": self.written.is_exact(),
                "met": self.is_met(),
            },
            "patients": self.stage.roster.len(), "seed": self.stage.hospital.options().seed,
            "records": self.stage.records.len(), "records_open": self.truth.open.len(),
            "records_shown": self.thief.shown.len(), "closed_patients": self.truth.closed.len(),
            "strangers": self.strangers, "strangers_opened_by_the_rules": self.opened_by_the_rules.len(),
            "requests": self.thief.asked, "statuses": statuses, "looked_for": self.marks.strings.len(),
            "leaked_total": self.leaked.len(), "leaked": leaked, "strings_total": self.strings.len(), "strings": strings,
            "pairs": self.pairs, "differences": differences, "wrong_counts": counts,
            "timing": timing, "timing_tolerance": GOAL.tolerance,
            "break_glass": {
                "declared": declared, "refused": refused, "capped": capped, "patients": opened.len(), "records": records.len(),
                "too_much": too_much.len(), "after_end": after_end, "officers_told": officers_told,
                "patients_told": patients_told.len(),
            },
            "ledger": {
                "entries": self.written.entries, "versions": self.written.versions, "refused": self.written.refused,
                "patients_asked_for": self.written.patients_asked_for, "not_written": self.written.not_written.len(),
                "not_shown": self.written.not_shown.len(), "grounds": self.written.grounds,
            },
            "not_tried": NOT_TRIED, "seconds": rounded(self.seconds),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "A thief has the session of a physician in a hospital of {} patients (seed {}), of whom {} are in the physician's care now.\n\
             {} requests were made: every record by its id, every type page by page, links, counts, histories, copies, matching,\n\
             batches, subscriptions, another account's cursor, and {} pairs of the same question about what is hidden and what is absent.\n",
            self.stage.roster.len(),
            self.stage.hospital.options().seed,
            self.truth.own.len(),
            self.thief.asked,
            self.pairs
        )?;
        writeln!(
            out,
            "Own patients:  {} patients; {} of {} records are open to the account, {} versions were shown",
            self.truth.own.len(),
            self.truth.open.len(),
            self.stage.records.len(),
            self.thief.shown.len()
        )?;
        writeln!(
            out,
            "Others:        {} patients read of {}, by {} records and {} of {} strings that only they have",
            self.others_readable().len(),
            self.truth.closed.len(),
            self.leaked.len(),
            self.strings.len(),
            self.marks.strings.len()
        )?;
        writeln!(
            out,
            "               {} charts name neither the physician nor the ward; the rules open {} of them",
            self.strangers,
            self.opened_by_the_rules.len()
        )?;
        writeln!(
            out,
            "Existence:     {} pairs told hidden from absent, {} counts told of what is hidden",
            self.differences.len(),
            self.wrong_counts.len()
        )?;
        self.write_timing(out)?;
        let emergencies = &self.emergencies;
        writeln!(
            out,
            "Break-glass:   {} declared, {} refused{}; {} patients and {} records opened (at most {} patients); {} records too many, {} \
             open after the end",
            emergencies.declared,
            emergencies.refused,
            if emergencies.capped { " at the cap" } else { "" },
            emergencies.opened.len(),
            emergencies.records.len(),
            Emergencies::cap(),
            emergencies.too_much.len(),
            emergencies.after_end
        )?;
        writeln!(
            out,
            "               told at once: the security officer {} times, the records of {} patients",
            emergencies.officers_told,
            emergencies.patients_told.len()
        )?;
        let written = &self.written;
        writeln!(
            out,
            "Ledger:        {} entries of the account name {} versions; shown and not written: {}; written and not shown: {};\n\
             \x20              {} refusals name {} patients whose hidden records were asked for",
            written.entries,
            written.versions,
            written.not_written.len(),
            written.not_shown.len(),
            written.refused,
            written.patients_asked_for
        )?;
        for (ground, versions) in &written.grounds {
            writeln!(out, "               {versions:>7}  {ground}")?;
        }
        self.write_findings(out)?;
        writeln!(out, "\nNot tried:")?;
        for what in NOT_TRIED {
            writeln!(out, "  - {what}")?;
        }
        writeln!(out, "\nThe attackers' scoreboard ({:.1} s)\n{}", self.seconds, self.scoreboard())
    }

    fn write_timing(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "Timing:        {} of {} kinds of request tell hidden from absent. Goal: the hidden one takes longer in {:.0} to {:.0} % of pairs (50 tells\n\
             \x20              nothing; within which 99 of 100 measurements lie; then median and 90 % of requests)",
            self.told_by_time().len(),
            self.timing.len(),
            (0.5 - GOAL.tolerance) * 100.0,
            (0.5 + GOAL.tolerance) * 100.0,
        )?;
        for Timing { what, hidden, absent, hidden_longer, told } in &self.timing {
            let (from, to) = hidden_longer.interval();
            writeln!(
                out,
                "               {what:<10} {} of each: longer in {:.1} % ({:.1} to {:.1}), {}; hidden {:.0}, {:.0} us; absent {:.0}, {:.0} us",
                hidden_longer.requests,
                hidden_longer.share * 100.0,
                from * 100.0,
                to * 100.0,
                told_word(*told),
                hidden.median_us,
                hidden.p90_us,
                absent.median_us,
                absent.p90_us
            )?;
        }
        Ok(())
    }

    fn write_findings(&self, out: &mut String) -> std::fmt::Result {
        if self.is_met() {
            return writeln!(out, "\nFound: nothing.");
        }
        writeln!(out, "\nFOUND:")?;
        for place in self.leaked.iter().take(LISTED_MAX) {
            let way = self.thief.first.get(place).copied().unwrap_or("unknown");
            writeln!(out, "  a closed {} was shown by {way}", place.split('/').next().unwrap_or_default())?;
        }
        for (place, way) in self.strings.iter().take(LISTED_MAX) {
            let kind = self.marks.strings.get(*place).map_or("string", |mark| mark.1);
            writeln!(out, "  a closed patient's {kind} was shown by {way}")?;
        }
        for (query, counted, open) in self.wrong_counts.iter().take(LISTED_MAX) {
            let (shape, _) = query.split_once('=').unwrap_or((query, ""));
            writeln!(out, "  a count of {counted} where {open} are open: {shape}")?;
        }
        for pair in self.differences.iter().take(LISTED_MAX) {
            writeln!(out, "  hidden is not absent: {}", pair.what)?;
        }
        for timing in self.told_by_time() {
            let needed = Share::requests_to_tell(timing.hidden_longer.share).unwrap_or(u64::MAX);
            writeln!(
                out,
                "  hidden is not absent: {} by its time, after about {needed} requests of each",
                timing.what
            )?;
        }
        for place in self.emergencies.too_much.iter().take(LISTED_MAX) {
            writeln!(out, "  an emergency opened a {} that it must not", place.split('/').next().unwrap_or_default())?;
        }
        for (what, list) in
            [("shown and not written", &self.written.not_written), ("written and not shown", &self.written.not_shown)]
        {
            for version in list.iter().take(LISTED_MAX) {
                let way = version.split("/_history").next().and_then(|place| self.thief.first.get(place)).copied();
                let kind = version.split('/').next().unwrap_or_default();
                writeln!(out, "  {what}: a {kind}{}", way.map(|way| format!(", by {way}")).unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

fn timing_json(timing: &Timing) -> Value {
    let Timing { what, hidden, absent, hidden_longer, told } = timing;
    let (from, to) = hidden_longer.interval();
    json!({
        "what": what, "requests": hidden_longer.requests, "told": told_word(*told), "hidden_median_us": rounded(hidden.median_us),
        "hidden_p90_us": rounded(hidden.p90_us), "absent_median_us": rounded(absent.median_us), "absent_p90_us": rounded(absent.p90_us),
        "hidden_longer": rounded(hidden_longer.share), "hidden_longer_from": rounded(from), "hidden_longer_to": rounded(to),
    })
}

fn told_word(told: Told) -> &'static str {
    match told {
        Told::Alike => "alike",
        Told::Apart => "APART",
        Told::Unclear => "unclear",
    }
}

fn short(text: &str) -> String {
    text.chars().take(ANSWER_CHARACTERS_MAX).collect()
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
