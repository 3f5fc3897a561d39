//! What a rehearsal tells: what came back, in which time, and what is wrong.

use crate::commands::restore::Outcome;
use serde_json::{Value, json};
use std::fmt::Write;
use tacet_backup::Manifest;
use tacet_backup::restore::Chain;
use tacet_types::Timestamp;
use tacet_vault::{LedgerBack, Sample};

/// Problems told in an entry of the ledger; a terminal shows all.
const ENTERED_MAX: usize = 5;

/// Problems told at all.
const TOLD_MAX: usize = 100;

/// All that is known at the end; what is not known was not come to.
#[derive(Default)]
pub(super) struct Rehearsed {
    snapshot: Option<Snapshot>,
    pub(super) sample: Sample,
    rows: u64,
    rows_counted: u64,
    resources: u64,
    versions: u64,
    erasures: u64,
    entries: u64,
    /// Milliseconds after the begin.
    pub(super) first_read_ms: Option<i64>,
    pub(super) rows_back_ms: Option<i64>,
    pub(super) checked_ms: Option<i64>,
    pub(super) all_ms: i64,
    /// What is held against the ledger that goes on.
    pub(super) ledger: Option<LedgerBack>,
    /// Entries that it has beyond those.
    pub(super) behind: Option<u64>,
    pub(super) problems: Vec<String>,
    /// What others put on the targets, in words: it holds no restore up.
    pub(super) passed_over: Vec<String>,
}

struct Snapshot {
    number: u64,
    id: String,
    time: Timestamp,
    age_s: i64,
    bytes: u64,
}

fn seconds(ms: Option<i64>) -> Option<f64> {
    ms.map(|ms| ms as f64 / 1000.0)
}

fn after(ms: Option<i64>) -> String {
    seconds(ms).map_or_else(|| "never".to_owned(), |seconds| format!("after {seconds:.1} s"))
}

impl Rehearsed {
    pub(super) fn begin(&mut self, snapshot: &Manifest, chain: &Chain, now: Timestamp) {
        self.snapshot = Some(Snapshot {
            number: snapshot.number,
            id: snapshot.id.clone(),
            time: snapshot.time(),
            age_s: now.as_ms().saturating_sub(snapshot.time().as_ms()).max(0) / 1000,
            bytes: chain.bytes(),
        });
    }

    /// Takes over what the checks found, and judges it.
    pub(super) fn settle(&mut self, settled: &Outcome, max_seconds: Option<u64>) {
        self.rows = settled.counted.iter().map(|counted| counted.found).sum();
        self.rows_counted =
            settled.counted.iter().filter(|counted| counted.expected.is_some()).map(|counted| counted.found).sum();
        self.entries = settled.ledger_entries;
        self.erasures = settled.finished.patients;
        if let Some(check) = &settled.check {
            (self.resources, self.versions) = (check.resources.values().sum(), check.versions);
        }
        self.problems.extend(settled.problems().into_iter().take(TOLD_MAX));
        if !settled.is_sound() && self.problems.is_empty() {
            self.problems.push("what came back is not what was backed up".to_owned());
        }
        if self.sample.opened != self.sample.tried {
            let broken = self.sample.tried - self.sample.opened;
            self.problems.push(format!("{broken} of {} sampled records do not open", self.sample.tried));
        }
        if self.sample.tried == 0 && self.resources > 0 {
            self.problems.push("no record could be sampled".to_owned());
        }
        let late = |max: &u64| seconds(self.checked_ms).is_some_and(|took| took > *max as f64);
        if let Some(max) = max_seconds.filter(late) {
            self.problems.push(format!("it came back {}, and {max} s are allowed", after(self.checked_ms)));
        }
    }

    /// A line for the ledger.
    pub(super) fn figures(&self) -> String {
        let mut text = match &self.snapshot {
            Some(Snapshot { number, id, time, age_s, bytes }) => {
                format!("snapshot {number} ({id}) of {time}, {age_s} s old, {bytes} bytes")
            }
            None => "no snapshot was come to".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "; {} rows, {} resources in {} versions, {} ledger entries; {} of {} sampled records open; first read {}, rows back {}, checked {}",
            self.rows,
            self.resources,
            self.versions,
            self.entries,
            self.sample.opened,
            self.sample.tried,
            after(self.first_read_ms),
            after(self.rows_back_ms),
            after(self.checked_ms),
        );
        if !self.passed_over.is_empty() {
            let _ = write!(text, "; {} objects of others passed over", self.passed_over.len());
        }
        for problem in self.problems.iter().take(ENTERED_MAX) {
            let _ = write!(text, "; WRONG: {problem}");
        }
        if let Some(more) = self.problems.len().checked_sub(ENTERED_MAX).filter(|more| *more > 0) {
            let _ = write!(text, "; and {more} more");
        }
        text
    }

    pub(super) fn value(&self, entered: bool) -> Value {
        let snapshot = self.snapshot.as_ref().map(|snapshot| {
            json!({
                "number": snapshot.number, "id": snapshot.id, "time": snapshot.time.to_string(), "age_seconds": snapshot.age_s,
                "bytes": snapshot.bytes,
            })
        });
        json!({
            "passed": self.problems.is_empty(), "problems": self.problems, "passed_over": self.passed_over, "snapshot": snapshot,
            "rows": self.rows, "rows_counted_by_manifest": self.rows_counted, "resources": self.resources, "versions": self.versions,
            "ledger_entries": self.entries, "ledger_entries_since": self.behind, "erasures_finished": self.erasures,
            "sample": { "tried": self.sample.tried, "opened": self.sample.opened },
            "seconds": {
                "first_read": seconds(self.first_read_ms), "rows_back": seconds(self.rows_back_ms),
                "checked": seconds(self.checked_ms), "all": seconds(Some(self.all_ms)),
            },
            "in_ledger": entered,
        })
    }

    pub(super) fn text(&self, entered: bool) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, entered);
        text
    }

    fn write(&self, out: &mut String, entered: bool) -> std::fmt::Result {
        match &self.snapshot {
            Some(Snapshot { number, id, time, age_s, bytes }) => writeln!(
                out,
                "Snapshot {number} ({id}) of {time}, {age_s} s old when this began, {bytes} bytes with its chain."
            )?,
            None => writeln!(out, "It did not come as far as a snapshot.")?,
        }
        writeln!(
            out,
            "Came back: {} rows, of them {} in spaces that the manifests count; {} resources in {} versions, every seal opened; {} ledger \
             entries; {} erasures finished. Sampled read-only: {} of {} records open.",
            self.rows,
            self.rows_counted,
            self.resources,
            self.versions,
            self.entries,
            self.erasures,
            self.sample.opened,
            self.sample.tried
        )?;
        if let (Some(ledger), Some(behind)) = (self.ledger, self.behind) {
            writeln!(
                out,
                "Its {} ledger entries are the first of the ledger here, by their root; {behind} came after.",
                ledger.entries
            )?;
        }
        writeln!(
            out,
            "First read {}, all rows back {}, all checked {}. Everything was taken away again.\n",
            after(self.first_read_ms),
            after(self.rows_back_ms),
            after(self.checked_ms)
        )?;
        for what in self.passed_over.iter().take(TOLD_MAX) {
            writeln!(out, "Passed over, as this establishment did not make it: {what}")?;
        }
        for problem in &self.problems {
            writeln!(out, "WRONG {problem}")?;
        }
        let passed = if self.problems.is_empty() { "passed" } else { "NOT PASSED" };
        let where_to = if entered { "written down in the ledger" } else { "not in the ledger" };
        writeln!(out, "rehearsed restore | {:.1} s in all | {where_to} | {passed}", self.all_ms as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_backup::restore::Counted;

    fn settled() -> Outcome {
        let mut settled = Outcome::default();
        settled.counted = vec![Counted { space: 2, expected: Some(3), found: 3 }];
        settled.ledger_entries = 9;
        settled
    }

    #[test]
    fn what_is_wrong_is_not_passed_and_says_why() {
        let sample = Sample { tried: 4, opened: 4 };
        let judged = |settled: &Outcome, sample, checked_ms, max| {
            let mut found = Rehearsed { sample, checked_ms: Some(checked_ms), ..Rehearsed::default() };
            found.settle(settled, max);
            (found.problems.is_empty(), found.figures() + &found.text(true))
        };
        let (passed, said) = judged(&settled(), sample, 9_000, Some(9));
        assert!(passed && said.contains("| passed") && said.contains("9 ledger entries"), "{said}");
        let mut fewer = settled();
        fewer.counted[0].found = 2;
        let mut bent = settled();
        bent.ledger_problems.push("bent".to_owned());
        let closed = Sample { tried: 4, opened: 3 };
        for (settled, sample, checked_ms, word) in [
            (&fewer, sample, 9_000, "space 0x02 has 2 rows"),
            (&bent, sample, 9_000, "ledger: bent"),
            (&settled(), closed, 9_000, "1 of 4 sampled records do not open"),
            (&settled(), sample, 9_001, "9 s are allowed"),
        ] {
            let (passed, said) = judged(settled, sample, checked_ms, Some(9));
            assert!(!passed && said.contains(word) && said.contains("NOT PASSED"), "{word}: {said}");
        }
    }
}
