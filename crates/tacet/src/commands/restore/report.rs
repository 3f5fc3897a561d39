//! What a restore tells: what it brought back, what is lost, and how far it is.

use super::ending::Ended;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::PoisonError;
use tacet_backup::Manifest;
use tacet_backup::restore::{Chain, Counted, Filled};
use tacet_types::Timestamp;
use tacet_vault::{CheckReport, FinishedErasures};

/// All that is known at the end.
#[derive(Default)]
pub(in crate::commands) struct Outcome {
    pub(in crate::commands) counted: Vec<Counted>,
    pub(in crate::commands) ledger_entries: u64,
    pub(in crate::commands) ledger_problems: Vec<String>,
    pub(in crate::commands) finished: FinishedErasures,
    pub(in crate::commands) check: Option<CheckReport>,
    pub(in crate::commands) successor: Option<String>,
    /// What somebody outside knows of the ledger.
    pub(super) expected: Option<Expected>,
    /// What was ended, where this run did it.
    pub(super) ended: Option<Ended>,
}

/// What somebody outside knows of the ledger: so many entries, and the root over them.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    pub(super) entries: u64,
    pub(super) root: Option<[u8; 32]>,
}

impl Outcome {
    /// Whether what came back is what was backed up, to the last row.
    pub(in crate::commands) fn is_sound(&self) -> bool {
        self.counted.iter().all(Counted::agrees)
            && self.ledger_problems.is_empty()
            && self.check.as_ref().is_none_or(|check| check.findings_total == 0)
    }

    /// What is wrong, in lines.
    pub(in crate::commands) fn problems(&self) -> Vec<String> {
        let counts = self.counted.iter().filter(|counted| !counted.agrees()).map(|counted| {
            let expected = counted.expected.unwrap_or(0);
            format!("space 0x{:02x} has {} rows and the manifest says {expected}", counted.space, counted.found)
        });
        let ledger = self.ledger_problems.iter().map(|problem| format!("ledger: {problem}"));
        let checked = self.check.iter().flat_map(|check| &check.findings);
        let checked = checked.map(|found| format!("{}: {}", found.place, found.problem));
        counts.chain(ledger).chain(checked).collect()
    }
}

/// What is lost, in words: everything after the snapshot.
pub(super) fn lost(snapshot: &Manifest, chain: &Chain, now: Timestamp) -> String {
    let age_s = now.as_ms().saturating_sub(snapshot.time().as_ms()).max(0) / 1000;
    let mut text = format!(
        "Snapshot {} of {} ({} before now): up to commit {}, ledger entry {}.\n\
         What was acknowledged after that is not in it, and is lost unless a later snapshot has it.",
        snapshot.number,
        snapshot.time(),
        duration(age_s),
        snapshot.to.commits,
        snapshot.ledger.map_or_else(|| "unknown".to_owned(), |ledger| ledger.entries.to_string()),
    );
    if chain.newest > snapshot.number {
        let _ = write!(text, "\nThe backup has later snapshots, up to {}, which were not asked for.", chain.newest);
    }
    text
}

/// A time in words.
fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The result as JSON.
pub(super) fn value(snapshot: &Manifest, chain: &Chain, outcome: &Outcome) -> Value {
    let counted: Vec<Value> = outcome
        .counted
        .iter()
        .map(|counted| {
            let space = format!("{:02x}", counted.space);
            json!({ "space": space, "rows": counted.found, "expected": counted.expected })
        })
        .collect();
    json!({
        "snapshot": snapshot.number, "id": snapshot.id, "time": snapshot.time().to_string(), "newest": chain.newest,
        "commits": snapshot.to.commits, "group": snapshot.to.group, "bytes": chain.bytes(),
        "ledger_entries_backed_up": snapshot.ledger.map(|ledger| ledger.entries),
        "ledger_entries": outcome.ledger_entries, "rows": counted,
        "erasures_finished": outcome.finished.patients, "versions_destroyed": outcome.finished.versions,
        "passed_over": chain.passed, "after": outcome.ended.as_ref().map(Ended::value),
        "successor_log": outcome.successor, "sound": outcome.is_sound(), "problems": outcome.problems(),
    })
}

/// The result for people.
pub(super) fn text(snapshot: &Manifest, chain: &Chain, outcome: &Outcome, now: Timestamp) -> String {
    let mut text = lost(snapshot, chain, now);
    let rows: u64 = outcome.counted.iter().map(|counted| counted.found).sum();
    let _ = write!(text, "\n{rows} rows, {} ledger entries.", outcome.ledger_entries);
    if let Some(check) = &outcome.check {
        let resources: u64 = check.resources.values().sum();
        let _ = write!(text, " {resources} resources in {} versions, every seal opened.", check.versions);
    }
    if outcome.finished.patients > 0 {
        let _ = write!(
            text,
            "\n{} patients were erased after the snapshot: {} versions of theirs were destroyed again.",
            outcome.finished.patients, outcome.finished.versions
        );
    }
    if let Some(name) = &outcome.successor {
        let _ = write!(text, "\nThe published ledger goes on as {name}: tell the witnesses (`tacet ledger key`).");
    }
    if !chain.passed.is_empty() {
        let count = chain.passed.len();
        let _ = write!(
            text,
            "\n{count} objects on the target are not ours, or not what was written, and were passed over: find out who put them there."
        );
    }
    if let Some(ended) = &outcome.ended {
        let _ = write!(text, "\n\n{}\n", ended.text(snapshot));
    }
    for problem in outcome.problems() {
        let _ = write!(text, "\nWRONG {problem}");
    }
    text += match outcome.is_sound() {
        true => "\nWhat came back is what was backed up.\n\nNext: `tacet serve`.",
        false => {
            "\nWhat came back is NOT what was backed up. Keep this directory as it is, and restore another snapshot into another one."
        }
    };
    text
}

/// How far it is, for whoever looks on: a bar with the time that is left, or a line now and then.
pub(in crate::commands) struct Progress {
    bar: ProgressBar,
    told: Mutex<u8>,
    quiet: bool,
}

impl Progress {
    pub(in crate::commands) fn new(interactive: bool, quiet: bool) -> Self {
        let bar = if interactive { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) =
            ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left")
        {
            bar.set_style(style);
        }
        Self { bar, told: Mutex::new(0), quiet }
    }

    pub(super) fn filled(&self, filled: Filled) {
        self.bar.set_length(filled.bytes_all);
        self.bar.set_position(filled.bytes);
        self.bar.set_message("records");
        let percent = filled.percent();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bar.is_hidden() && !self.quiet && percent >= told.saturating_add(10) {
            *told = percent;
            tell(&format!(
                "{percent} % of the backup is here ({} of {} MiB)",
                filled.bytes >> 20,
                filled.bytes_all >> 20
            ));
        }
    }

    pub(super) fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if self.bar.is_hidden() && !self.quiet {
            tell(what);
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn tell(text: &str) {
    crate::output::Output::new(false).note(text);
}
