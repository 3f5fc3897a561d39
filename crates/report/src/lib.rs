//! The patient's own report: who reached their record, when, how, to what, why, in plain French or English; people apart from machines, and what
//! nobody can tell said as such.
//!
//! ```text
//! entries of the ledger about one patient, oldest first ──> Builder ──> AccessReport ──┬─> page data (JSON)
//!                                                                                      └─> Paper ──> PDF
//! ```
//!
//! No I/O, no keys, no clock. Who may ask, and that it is written down that they asked, is not decided here. Every word of the ledger (kinds of
//! events, outcomes, purposes, roles, kinds of records, grounds) has a match without a rest, so that a new one cannot be forgotten.
//!
//! Beside it, [`Inquiry`]: what the ledger answered to those who look after accesses, and what one session touched, as papers.
//!
//! Never in a patient's report: ids of records, criteria of searches, addresses, devices, sessions and credentials. They tell of others, or of what is
//! withheld from the patient.

mod build;
mod grounds;
mod inquiry;
mod page;
mod paper;
mod settings;
mod texts;
mod words;

pub use build::{ACCESSES_MAX, Builder, ReportError};
pub use grounds::ground_words;
pub use inquiry::{Asked, Extent, ExtentPatient, INQUIRY_LINES_MAX, Inquiry, extent_to_paper};
pub use page::page;
pub use paper::{ANNEX_MAX, to_paper};
pub use settings::{Names, Network, ReportSettings};
pub use tacet_paper::{Paper, PaperError};
pub use tacet_types::{Language, Zone};

use std::collections::BTreeSet;
use tacet_ledger::{EventKind, Outcome, PurposeOfUse};
use tacet_policy::Category;
use tacet_types::{ResourceId, Timestamp};

/// Days that a report goes back where nothing else is asked for: three years, whichever of them was a leap year.
pub const DAYS_DEFAULT: i64 = 3 * 365 + 1;

/// What a Patient resource calls the patient: the official name, or the first.
pub fn name_in(patient: &[u8]) -> Option<String> {
    let record: serde_json::Value = serde_json::from_slice(patient).ok()?;
    let names = record.get("name")?.as_array()?;
    let official = names.iter().find(|name| name.get("use").and_then(serde_json::Value::as_str) == Some("official"));
    let name = official.or(names.first())?;
    let texts = |part: &str| {
        let texts = name.get(part).and_then(serde_json::Value::as_array).into_iter().flatten();
        texts.filter_map(serde_json::Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let said = |part: &str| name.get(part).and_then(serde_json::Value::as_str).map(str::to_owned);
    let parts: Vec<String> = texts("given").into_iter().chain(said("family")).collect();
    let name = if parts.is_empty() { said("text")? } else { parts.join(" ") };
    (!name.trim().is_empty()).then_some(name)
}

/// What a report is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// The number of the record.
    pub patient: ResourceId,
    /// The patient's name, where who asks may see it.
    pub name: Option<String>,
    /// From when on, this moment too.
    pub from: Timestamp,
    /// Until when, this moment not.
    pub to: Timestamp,
}

/// Who reached the record.
#[derive(Clone, PartialEq, Eq)]
pub struct Actor {
    /// As what.
    pub standing: Standing,
    /// The name; none where the hospital tells roles alone.
    pub name: Option<String>,
    /// The role then, as the ledger has it.
    pub role: String,
    /// The machine that said for whom it asked.
    pub said_by: Option<String>,
}

/// What somebody is for a report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// A person of the hospital.
    Person,
    /// The patient, or who acts for them.
    Own,
    /// A machine, or a job of the hospital's own.
    Machine,
    /// Somebody who was not known.
    Unknown,
}

impl Standing {
    /// Whether it goes among the people.
    pub fn is_human(self) -> bool {
        matches!(self, Self::Person | Self::Own | Self::Unknown)
    }
}

/// From where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// From the hospital's network.
    Hospital,
    /// From elsewhere.
    Elsewhere,
    /// On the machine itself that holds the records.
    Server,
}

/// What is the same in all accesses of one line.
#[derive(Clone, PartialEq, Eq)]
pub struct What {
    /// What was done.
    pub kind: EventKind,
    /// How it ended.
    pub outcome: Outcome,
    /// What for.
    pub purpose: PurposeOfUse,
    /// The ground on which it was allowed, as the ledger has it.
    pub ground: Option<String>,
    /// From where, where it is known.
    pub place: Option<Place>,
    /// Through which app.
    pub app: Option<String>,
    /// The reason of a break-glass, in the words of who gave it.
    pub reason: Option<String>,
}

impl What {
    /// Whether it was past the ordinary rights, and showed or changed something; a declaration is one, its end is none.
    pub fn is_emergency(&self) -> bool {
        let by = self.ground.as_deref().is_some_and(|ground| ground.starts_with("break-glass "));
        let so = match self.kind {
            EventKind::BreakGlass => self.reason.is_some(),
            _ => by || self.purpose == PurposeOfUse::BreakTheGlass,
        };
        self.outcome == Outcome::Success && so
    }

    fn is_export(&self) -> bool {
        self.outcome == Outcome::Success
            && matches!(self.kind, EventKind::Export | EventKind::Print | EventKind::TransferMade)
    }
}

/// One access.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The number of its entry in the ledger.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// By whom: a place among the actors.
    pub actor: usize,
    /// What.
    pub what: What,
    /// Which kinds of records.
    pub categories: BTreeSet<Category>,
    /// How many records.
    pub records: usize,
}

/// Accesses of one actor on one day that are alike.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose: a place among the actors.
    pub actor: usize,
    /// The day, in days since 1970, by the hospital's clock.
    pub day: i64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// What.
    pub what: What,
    /// Of which kinds of records.
    pub categories: BTreeSet<Category>,
    /// How many accesses.
    pub accesses: usize,
    /// How many records; one that was reached twice counts twice.
    pub records: usize,
}

/// How many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Persons who reached the record or tried; not the patient.
    pub persons: usize,
    /// All accesses and tries.
    pub accesses: usize,
    /// Of these, by persons.
    pub by_persons: usize,
    /// Of these, by the patient or who acts for them.
    pub by_patient: usize,
    /// Of these, by machines.
    pub by_machines: usize,
    /// Of these, past the ordinary rights.
    pub emergencies: usize,
    /// Of these, records that were printed or copied out.
    pub exports: usize,
    /// Of these, refused: nothing was shown.
    pub refused: usize,
}

/// What the ledger cannot tell of this patient.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gaps {
    /// When the ledger begins; none where that can no longer be read.
    pub began: Option<Timestamp>,
    /// From when on accesses can be read; none: from the first on.
    pub kept_since: Option<Timestamp>,
    /// Accesses past their retention: that they were is known, not by whom.
    pub expired: u64,
    /// Accesses that do not open: altered, or a broken disk.
    pub damaged: u64,
    /// Entries of the whole ledger of which nobody can say whether they are about this patient.
    pub unread: u64,
}

/// The report.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessReport {
    /// What it is about.
    pub subject: Subject,
    /// Who reached the record, in the order of their first access.
    pub actors: Vec<Actor>,
    /// Every access, the oldest first.
    pub accesses: Vec<Access>,
    /// The same, with those that are alike together: by actor, then by day.
    pub lines: Vec<Line>,
    /// How many.
    pub summary: Summary,
    /// What cannot be told.
    pub gaps: Gaps,
}

impl AccessReport {
    /// The actors that are people, or those that are not, with their lines.
    pub fn actors_of(&self, human: bool) -> impl Iterator<Item = (usize, &Actor, &[Line])> {
        self.actors.iter().enumerate().filter(move |(_, actor)| actor.standing.is_human() == human).map(
            |(place, actor)| {
                let from = self.lines.partition_point(|line| line.actor < place);
                let to = self.lines.partition_point(|line| line.actor <= place);
                (place, actor, self.lines.get(from..to).unwrap_or_default())
            },
        )
    }
}

impl std::fmt::Debug for AccessReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessReport").field("summary", &self.summary).field("gaps", &self.gaps).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
