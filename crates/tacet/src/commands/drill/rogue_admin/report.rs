//! What the drill says: for people, with the scoreboard's line, or as one JSON document.

use super::grasp::Grasp;
use super::walk::Walked;
use crate::commands::drill::staged::Stage;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use tacet_ledger::Entry;

/// What was not tried, in every run.
const NOT_TRIED: [&str; 3] = [
    "two people who administer and act together: four eyes are two people's",
    "the command line and the disk: who has the passphrase and the machine is another attacker (line 7)",
    "talking a colleague into a decision",
];

/// All that came out.
pub(super) struct Report<'a> {
    pub(super) stage: &'a Stage,
    pub(super) strings: usize,
    /// Strings that an interface saw in one record: the scanner sees.
    pub(super) control: usize,
    pub(super) walked: Walked,
    pub(super) grasp: Grasp,
    /// Entries of the ledger meanwhile.
    pub(super) entries: BTreeMap<String, u64>,
    pub(super) seconds: f64,
}

/// Entries by kind and outcome.
pub(super) fn by_kind(entries: &[Entry]) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for entry in entries {
        *kinds.entry(format!("{} {}", entry.kind.as_str(), entry.outcome.as_str())).or_default() += 1;
    }
    kinds
}

impl Report<'_> {
    /// Answers in which a patient's record could be read.
    fn readable(&self) -> u64 {
        self.walked.leaks.len() as u64 + self.walked.opened.len() as u64 + self.grasp.leaks
    }

    fn gained(&self) -> u64 {
        self.grasp.tries.iter().filter(|tried| tried.gained).count() as u64 + self.grasp.readers
    }

    /// Whether every goal is met.
    pub(super) fn is_met(&self) -> bool {
        self.readable() == 0 && self.gained() == 0 && self.grasp.physician_untouched && !self.entries.is_empty()
    }

    fn scoreboard(&self) -> String {
        format!(
            "6 | a Tacet administrator account | records readable: goal 0, found {} | rights gained without a second person: goal 0, \
             found {} | {}",
            self.readable(),
            self.gained(),
            if self.is_met() { "met" } else { "NOT MET" }
        )
    }

    pub(super) fn json(&self) -> Value {
        let place =
            |(role, method, pattern): &(&str, &str, &str)| json!({ "role": role, "method": method, "route": pattern });
        let mut statuses: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
        for ((role, status), count) in &self.walked.statuses {
            statuses.entry(role).or_default().insert(status.to_string(), *count);
        }
        let tries: Vec<Value> = self
            .grasp
            .tries
            .iter()
            .map(|tried| json!({ "what": tried.what, "status": tried.status, "gained": tried.gained, "asks": tried.asks }))
            .collect();
        json!({
            "scoreboard": {
                "line": 6, "attacker": "a Tacet administrator account", "readable_goal": 0, "readable": self.readable(),
                "rights_goal": 0, "rights_gained": self.gained(), "met": self.is_met(),
            },
            "patients": self.stage.roster.len(), "seed": self.stage.hospital.options().seed, "looked_for": self.strings,
            "control_strings": self.control, "requests": self.walked.requests, "statuses": statuses,
            "leaks": self.walked.leaks.iter().map(place).collect::<Vec<_>>(),
            "opened": self.walked.opened.iter().map(place).collect::<Vec<_>>(), "leaks_of_tries": self.grasp.leaks,
            "tries": tries, "waiting_for_a_second_person": self.grasp.waiting, "readers_gained": self.grasp.readers,
            "physician_untouched": self.grasp.physician_untouched, "notices": self.grasp.notices, "ledger": self.entries,
            "not_tried": NOT_TRIED, "seconds": (self.seconds * 1000.0).round() / 1000.0,
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
            "Two administrators, a security officer, an auditor, an operator and the directory's machine in a hospital of {} patients \
             (seed {}).\n{} requests were made: every route of the table by every method, about one patient.\n",
            self.stage.roster.len(),
            self.stage.hospital.options().seed,
            self.walked.requests
        )?;
        writeln!(
            out,
            "Looked for {} strings of patients in every answer ({} of them stand in one record that an interface read).",
            self.strings, self.control
        )?;
        writeln!(
            out,
            "Records:  {} answers held one, {} routes of records answered",
            self.walked.leaks.len() as u64 + self.grasp.leaks,
            self.walked.opened.len()
        )?;
        let mut roles: BTreeMap<&str, String> = BTreeMap::new();
        for ((role, status), count) in &self.walked.statuses {
            write!(roles.entry(role).or_default(), " {status}: {count}")?;
        }
        for (role, statuses) in roles {
            writeln!(out, "          {role:<18}{statuses}")?;
        }
        writeln!(
            out,
            "Rights:   {} tries, {} gained, {} wait for a second person; accounts that may read now: {} more; the physician's account: {}",
            self.grasp.tries.len(),
            self.gained(),
            self.grasp.waiting,
            self.grasp.readers,
            if self.grasp.physician_untouched { "as it was" } else { "CHANGED" }
        )?;
        for tried in &self.grasp.tries {
            let came = match (tried.gained, tried.asks) {
                (true, _) => "GAINED",
                (false, true) => "waits",
                (false, false) => "nothing",
            };
            let status = if tried.status == 0 { "-".to_owned() } else { tried.status.to_string() };
            writeln!(out, "          {came:<8} {status:>3}  {}", tried.what)?;
        }
        writeln!(out, "Noticed:  in the ledger")?;
        for (kind, count) in &self.entries {
            writeln!(out, "          {count:>6}  {kind}")?;
        }
        for (kind, count) in &self.grasp.notices {
            writeln!(out, "          {count:>6}  notices of {kind}")?;
        }
        for (what, places) in [("a patient's strings", &self.walked.leaks), ("an answer", &self.walked.opened)] {
            for (role, method, pattern) in places {
                writeln!(out, "FOUND: {what} for {role}: {method} {pattern}")?;
            }
        }
        writeln!(out, "\nNot tried:")?;
        for what in NOT_TRIED {
            writeln!(out, "  - {what}")?;
        }
        writeln!(out, "\nThe attackers' scoreboard ({:.1} s)\n{}", self.seconds, self.scoreboard())
    }
}
