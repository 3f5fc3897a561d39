//! Which entries a search of the ledger looks at: those that the ledger's index gives, where it is kept and the search asks for something that
//! the index knows, and otherwise all of them.
//!
//! What is given here may be too much and is never too little: each entry is held against the search afterwards.

use crate::error::VaultError;
use crate::ledger_index::Search;
use crate::vault::Inner;
use tacet_audit::kinds_told;
use tacet_ledger::index::Question;
use tacet_ledger::{Entry, EventKind, LIST_MAX, LedgerError, Opened};
use tacet_types::{ResourceId, ResourceType, Timestamp};

/// Entries read at once.
const BATCH_ENTRIES: usize = 256;

/// By how much the times of a search are widened, in milliseconds: a date without a zone is one of any zone.
const ZONES_MS: i64 = 36 * 3_600_000;

/// Length of a day, in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// How credentials are named in `AuditEvent.agent.policy`.
const CREDENTIAL: &str = "urn:tacet:credential:";

/// What came of opening an entry.
#[expect(clippy::large_enum_variant, reason = "nearly all are entries, and they live in a list for a moment")]
pub(super) enum Looked {
    /// It opened.
    Opened(Entry),
    /// Its time was over.
    Past,
    /// It does not open: somebody altered it or took its key away, or the disk did.
    Damaged,
}

impl Looked {
    fn of((index, entry): Opened) -> Result<(u64, Self), VaultError> {
        match entry {
            Ok(entry) => Ok((index, Self::Opened(entry))),
            Err(LedgerError::KeyNotHeld { .. }) => Ok((index, Self::Past)),
            Err(LedgerError::Store(error)) => Err(LedgerError::Store(error).into()),
            Err(error) => {
                // One such entry must not close all others to who looks for what happened.
                tracing::error!(index, %error, "an entry of the ledger does not open: run `tacet ledger verify`");
                Ok((index, Self::Damaged))
            }
        }
    }
}

/// The entries that a page looks at, newest first.
pub(super) struct Candidates {
    source: Source,
    /// Nothing of before this moment is asked for.
    from: Option<Timestamp>,
    /// Only of these patients.
    patients: Option<Vec<ResourceId>>,
}

enum Source {
    /// All entries before this one, down to the first that is kept.
    All { before: u64, first: u64 },
    /// Those that the index gives, one search for each patient, each with the next that it has.
    Index(Vec<(Search, Option<u64>)>),
}

impl Candidates {
    /// Whether what happened at this moment is asked for, as far as the parameters say.
    pub(super) fn asks_for(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from < at)
    }

    /// Whether it can be meant at all.
    pub(super) fn may_be(&self, entry: &Entry) -> bool {
        let of = |patients: &Vec<ResourceId>| entry.patient.as_ref().is_some_and(|(_, id)| patients.contains(id));
        self.patients.as_ref().is_none_or(of)
    }
}

impl Inner {
    /// The entries before `before` that a search by these parameters, about these patients, has to look at.
    pub(super) fn audit_candidates(
        &self,
        patients: &Option<Vec<ResourceId>>,
        parameters: &[(String, String)],
        before: u64,
    ) -> Result<Candidates, VaultError> {
        let asked = question(parameters);
        let from = asked.from;
        let all = || -> Result<Source, VaultError> {
            let first = self.ledger_kept()?.map_or(0, |kept| kept.first_entry);
            Ok(Source::All { before, first })
        };
        let of_type = ResourceType::parse("Patient");
        let questions: Vec<Question> = match patients {
            Some(patients) => {
                let of = |id: &ResourceId| Question { patient: of_type.map(|of| (of, id.clone())), ..asked.clone() };
                patients.iter().map(of).collect()
            }
            None if asked == Question::default() => {
                return Ok(Candidates { source: all()?, from, patients: None });
            }
            None => vec![asked],
        };
        let mut searches = Vec::with_capacity(questions.len());
        for question in &questions {
            let Some(mut search) = self.may_answer(question, before)? else {
                return Ok(Candidates { source: all()?, from, patients: patients.clone() });
            };
            let first = self.next_of(&mut search)?;
            searches.push((search, first));
        }
        Ok(Candidates { source: Source::Index(searches), from, patients: patients.clone() })
    }

    /// The next of them; none: there are no more.
    pub(super) fn next_audit_candidates(&self, candidates: &mut Candidates) -> Result<Vec<(u64, Looked)>, VaultError> {
        let searches = match &mut candidates.source {
            Source::All { before, first } => {
                let listed = self.ledger_before(*before, *first)?;
                *before = listed.last().map_or(0, |(index, _)| *index);
                return Ok(listed);
            }
            Source::Index(searches) => searches,
        };
        let mut numbers: Vec<u64> = Vec::with_capacity(BATCH_ENTRIES);
        while numbers.len() < BATCH_ENTRIES {
            let Some(newest) = searches.iter().filter_map(|(_, next)| *next).max() else { break };
            numbers.push(newest);
            for (search, next) in searches.iter_mut().filter(|(_, next)| *next == Some(newest)) {
                *next = self.next_of(search)?;
            }
        }
        let read = tacet_ledger::read_each(self.store.reader(), &self.ledger_keys, &numbers)?;
        read.into_iter().map(Looked::of).collect()
    }

    /// Entries before this one and not before `first`, newest first, as many as are read at once.
    fn ledger_before(&self, before: u64, first: u64) -> Result<Vec<(u64, Looked)>, VaultError> {
        let size = tacet_ledger::head(self.store.reader(), &self.ledger_keys)?.map_or(0, |head| head.size());
        let newest = before.min(size);
        let oldest = newest.saturating_sub(LIST_MAX as u64).max(first);
        let numbers: Vec<u64> = (oldest..newest).rev().collect();
        let read = tacet_ledger::read_each(self.store.reader(), &self.ledger_keys, &numbers)?;
        read.into_iter().map(Looked::of).collect()
    }
}

/// What the index can find of a search: never less than the search means, so what is not plain is left out.
fn question(parameters: &[(String, String)]) -> Question {
    let mut question = Question::default();
    for (name, value) in parameters {
        if name == "date" {
            let (from, to) = times(value);
            question.from = question.from.max(from);
            question.to = match (question.to, to) {
                (Some(before), Some(to)) => Some(before.min(to)),
                (before, to) => before.or(to),
            };
        } else if name == "policy" {
            let plain =
                |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            question.session = value.strip_prefix(CREDENTIAL).filter(plain).map(str::to_owned).or(question.session);
        } else if let Some(kinds) = kinds_told(name, value).filter(|kinds| !kinds.is_empty()) {
            let both = |kind: &EventKind| question.kinds.is_empty() || question.kinds.contains(kind);
            let kinds: Vec<EventKind> = kinds.into_iter().filter(both).collect();
            // Nothing fits both: the search itself will say so.
            if !kinds.is_empty() {
                question.kinds = kinds;
            }
        }
    }
    // A question that could not be asked is no help.
    match question.check() {
        Ok(()) => question,
        Err(_) => Question::default(),
    }
}

/// The times that a value of `date` can mean, wide enough for any zone; nothing for one that is not at least a day.
fn times(value: &str) -> (Option<Timestamp>, Option<Timestamp>) {
    let (prefix, date) = match value.get(..2) {
        Some(prefix @ ("eq" | "ge" | "gt" | "sa" | "le" | "lt" | "eb")) => (prefix, value.get(2..).unwrap_or_default()),
        _ => ("eq", value),
    };
    let day = date.get(..10).and_then(|day| Timestamp::parse(&format!("{day}T00:00:00Z")).ok());
    let Some(day) = day.filter(|_| !date.contains(',')) else { return (None, None) };
    let (from, to) = (Some(day.plus_ms(-ZONES_MS)), Some(day.plus_ms(DAY_MS + ZONES_MS)));
    match prefix {
        "eq" => (from, to),
        "ge" | "gt" | "sa" => (from, None),
        _ => (None, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Question {
        question(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>())
    }

    fn at(text: &str) -> Option<Timestamp> {
        Some(Timestamp::parse(text).unwrap())
    }

    #[test]
    fn the_index_is_asked_for_no_less_than_is_meant() {
        assert_eq!(
            of(&[("date", "ge2026-03-10"), ("date", "lt2026-03-12T08:00:00Z")]),
            Question { from: at("2026-03-08T12:00:00Z"), to: at("2026-03-14T12:00:00Z"), ..Question::default() }
        );
        let day = of(&[("date", "2026-03-10")]);
        assert_eq!((day.from, day.to), (at("2026-03-08T12:00:00Z"), at("2026-03-12T12:00:00Z")));
        assert_eq!(of(&[("policy", "urn:tacet:credential:t-1")]).session.as_deref(), Some("t-1"));
        assert_eq!(of(&[("action", "D"), ("type", "rest")]).kinds, [EventKind::Delete]);
        for pairs in [
            [("date", "2026")],
            [("date", "ne2026-03-10")],
            [("date", "ap2026-03-10")],
            [("date", "2026-03-10,2026-03-20")],
            [("date", "x")],
            [("policy", "urn:tacet:credential:a%20b")],
            [("policy", "urn:other:x")],
            [("policy:below", "urn:tacet:credential:x")],
            [("type:not", "rest")],
            [("type", "rest,110114")],
            [("agent-name", "Dr")],
        ] {
            assert_eq!(of(&pairs), Question::default(), "{pairs:?}");
        }
    }
}
