//! What the drill says: for people, or as one JSON document.

use super::attacks::Watcher;
use super::play::Outcome;
use super::stage::{AGE_S, Base, PUBLISH_S};
use serde_json::{Value, json};
use std::fmt::Write;

/// What was not tried, in every run.
const NOT_TRIED: [&str; 4] = [
    "a changed program: whoever is root can let the server and `verify` say what they like; what counts then is who is outside (witness, receipts, auditors)",
    "rows under the feet of a running server, and its memory",
    "an entry that was never written, because the program was changed before: nobody can find what was not recorded",
    "a witness that works together with the intruder: have several, at places that fail apart",
];

/// All that came out.
pub(super) struct Report<'a> {
    pub(super) base: &'a Base,
    /// In the order of the attacks.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) seconds: f64,
}

impl Report<'_> {
    /// Whether everybody noticed who has to.
    pub(super) fn is_met(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_met)
    }

    fn unnoticed(&self) -> usize {
        let silent = |outcome: &&Outcome| outcome.noticed.is_empty() && outcome.attack.id != "nothing";
        self.outcomes.iter().filter(silent).count()
    }

    fn missed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !outcome.is_met()).count()
    }

    pub(super) fn json(&self) -> Value {
        let attacks: Vec<Value> = self.outcomes.iter().map(attack_json).collect();
        json!({
            "scoreboard": {
                "attacker": "root on the server, with every key", "attacks": self.outcomes.len() - 1, "missed_goal": 0,
                "missed": self.missed(), "noticed_by_nobody": self.unnoticed(), "met": self.is_met(),
            },
            "patients": self.base.patients, "seed": self.base.seed, "entries": self.base.entries,
            "publish_seconds": PUBLISH_S, "witness_age_seconds": AGE_S, "attacks": attacks, "not_tried": NOT_TRIED,
            "seconds": round(self.seconds),
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
            "A hospital of {} patients (seed {}) with {} entries in its ledger, published every {PUBLISH_S} s and cosigned by one witness, \
             whose word may be {AGE_S} s old.\nThe intruder has the data directory, the passphrase and every key; not the witness's machine, \
             the patient's receipt and the auditor's checkpoint.\n",
            self.base.patients, self.base.seed, self.base.entries
        )?;
        writeln!(
            out,
            "Seconds after the bent store was put to use. `!` must notice and did not, `-` does not notice.\n"
        )?;
        write!(out, "{:<20}", "attack")?;
        for watcher in Watcher::ALL {
            write!(out, "{:>9}", watcher.name())?;
        }
        writeln!(out, "   records")?;
        for outcome in &self.outcomes {
            write!(out, "{:<20}", outcome.attack.id)?;
            for watcher in Watcher::ALL {
                let cell = match outcome.noticed.get(&watcher) {
                    Some(notice) => format!("{:.1} s", notice.after_s),
                    None if outcome.attack.expected.contains(&watcher) => "!".to_owned(),
                    None => "-".to_owned(),
                };
                write!(out, "{cell:>9}")?;
            }
            let shown = match (outcome.stopped_s, outcome.attack.stops) {
                (Some(after_s), _) => format!("stop after {after_s:.1} s"),
                (None, false) => "shown".to_owned(),
                (None, true) => "SHOWN".to_owned(),
            };
            writeln!(out, "   {shown}{}", if outcome.is_met() { "" } else { "   NOT MET" })?;
        }
        writeln!(out)?;
        for outcome in &self.outcomes {
            writeln!(out, "{}: {}", outcome.attack.id, outcome.attack.what)?;
            for (watcher, notice) in &outcome.noticed {
                writeln!(out, "    {:<8} {}", watcher.name(), notice.what)?;
            }
            if outcome.noticed.is_empty() {
                let nobody = if outcome.attack.id == "nothing" { "" } else { "NOTICED BY NOBODY: " };
                writeln!(out, "    {nobody}{}", outcome.attack.remark)?;
            }
        }
        writeln!(
            out,
            "\nThe server looks at its start, before it shows anything, and at each publication; the witness is asked then. With the settings as \
             they are delivered that is every 10 s, and a witness's silence counts after 3,600 s where witnesses are required. Those \
             outside notice when they look; `verify` when it is run.\n"
        )?;
        writeln!(out, "Not tried:")?;
        for what in NOT_TRIED {
            writeln!(out, "  - {what}")?;
        }
        writeln!(
            out,
            "\n{} attacks in {:.1} s, noticed by nobody: {} (as documented) | not noticed by who must: goal 0, found {} | {}",
            self.outcomes.len() - 1,
            self.seconds,
            self.unnoticed(),
            self.missed(),
            if self.is_met() { "met" } else { "NOT MET" }
        )
    }
}

fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn attack_json(outcome: &Outcome) -> Value {
    let noticed: serde_json::Map<String, Value> = outcome
        .noticed
        .iter()
        .map(|(watcher, notice)| {
            (watcher.name().to_owned(), json!({ "after_seconds": round(notice.after_s), "what": notice.what }))
        })
        .collect();
    let expected: Vec<&str> = outcome.attack.expected.iter().map(|watcher| watcher.name()).collect();
    json!({
        "attack": outcome.attack.id, "what": outcome.attack.what, "must_notice": expected, "noticed": noticed,
        "must_stop": outcome.attack.stops, "stopped_after_seconds": outcome.stopped_s.map(round),
        "server_started": outcome.served, "remark": outcome.attack.remark, "met": outcome.is_met(),
    })
}
