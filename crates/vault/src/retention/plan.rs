//! What comes next for the key of each month. Decisions and words, nothing else.

use super::LedgerRetention;
use super::row::Rule;
use crate::error::VaultError;
use tacet_ledger::{Epoch, EpochState};
use tacet_types::Timestamp;

/// Fewest years for which entries are kept: patients are told of accesses for at least three years (Regulation (EU) 2025/327, article 9).
pub const KEEP_YEARS_MIN: u16 = 3;

/// Years where the configuration says nothing: what the strictest of the rule packs asks for (45 CFR 164.316(b)(2)(i), six years), and as long as a crime can be
/// prosecuted in France (Code de procédure pénale, article 8).
pub const KEEP_YEARS_DEFAULT: u16 = 6;

/// Most years: the time for which a hospital keeps the record itself in France (Code de la santé publique, R1112-7). Traces that outlive it serve nobody.
pub const KEEP_YEARS_MAX: u16 = 20;

/// Days between the entry that announces that a key will be destroyed, and the destruction.
pub const NOTICE_DAYS: i64 = 30;

/// Milliseconds of them.
pub(super) const NOTICE_MS: i64 = NOTICE_DAYS * 24 * 3_600_000;

/// What comes next for the key of a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MonthStep {
    /// It is kept, until its time is nearly over.
    Kept,
    /// It is announced now that it will be destroyed.
    Announce,
    /// That was announced, and it is waited.
    Waits,
    /// It is destroyed now.
    Destroy,
    /// It was destroyed before.
    Gone,
}

impl MonthStep {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Announce => "announced now",
            Self::Waits => "announced",
            Self::Destroy => "destroyed now",
            Self::Gone => "destroyed",
        }
    }
}

/// The key of a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MonthKey {
    /// The month.
    pub epoch: Epoch,
    /// What is known of its key.
    pub state: EpochState,
    /// When its end was announced, where it was.
    pub announced: Option<Timestamp>,
    /// It is not destroyed before this moment.
    pub until: Timestamp,
    /// What comes next.
    pub step: MonthStep,
}

/// Whether entries may be kept for so many years.
pub(super) fn check_years(keep_years: u16) -> Result<(), VaultError> {
    if (KEEP_YEARS_MIN..=KEEP_YEARS_MAX).contains(&keep_years) {
        return Ok(());
    }
    Err(VaultError::NotSupported("`keep_years` under `[ledger]` is at least 3 and at most 20"))
}

/// What comes next for each of these keys, the oldest first.
pub(super) fn steps(now: Timestamp, rule: &Rule, epochs: &[(Epoch, EpochState)], keep_years: u16) -> Vec<MonthKey> {
    let newest = epochs.last().map(|(epoch, _)| *epoch);
    // Months end in their order: what is kept is one time without gaps.
    let mut all_before_end = true;
    let mut step_of = |(epoch, state): &(Epoch, EpochState)| {
        let over = epoch.over_for(keep_years);
        // An announcement from the future was made by a clock that was wrong.
        let announced = rule.announced(*epoch).filter(|at| *at <= now);
        let near = over.plus_ms(-NOTICE_MS) <= now && newest != Some(*epoch);
        let until = match announced.filter(|_| near).or(near.then_some(now)) {
            Some(at) => over.max(at.plus_ms(NOTICE_MS)),
            None => over,
        };
        let step = match (state, near, announced) {
            (EpochState::Destroyed, ..) => MonthStep::Gone,
            (_, false, _) => MonthStep::Kept,
            (_, true, None) => MonthStep::Announce,
            (_, true, Some(_)) if until <= now && all_before_end => MonthStep::Destroy,
            (_, true, Some(_)) => MonthStep::Waits,
        };
        all_before_end &= matches!(step, MonthStep::Gone | MonthStep::Destroy);
        let announced = if step == MonthStep::Announce { Some(now) } else { announced };
        MonthKey { epoch: *epoch, state: *state, announced, until, step }
    };
    epochs.iter().map(&mut step_of).collect()
}

/// Months in words, however many: the first, the last, and their number.
fn months(epochs: &[Epoch]) -> Option<String> {
    match epochs {
        [] => None,
        [one] => Some(format!("{one}")),
        [first, .., last] => Some(format!("{first} to {last} ({} keys)", epochs.len())),
    }
}

pub(super) fn announced_words(found: &LedgerRetention) -> Option<String> {
    let announced: Vec<Epoch> = found.of(MonthStep::Announce).map(|month| month.epoch).collect();
    let from = found.of(MonthStep::Announce).map(|month| month.until).min()?;
    let words = months(&announced)?;
    Some(format!(
        "ledger keys of {words} will be destroyed, from {from} on: entries are kept for {} years",
        found.keep_years
    ))
}

pub(super) fn withdrawn_words(withdrawn: &[Epoch]) -> Option<String> {
    months(withdrawn).map(|words| format!("ledger keys of {words} will not be destroyed yet, as was announced"))
}

pub(super) fn destroyed_words(epoch: Epoch, keep_years: u16) -> String {
    format!("{}: entries are kept for {keep_years} years", key_words(epoch))
}

/// Whether an entry of a destroyed key says this of the key of this month.
pub(crate) fn says_destroyed(detail: &str, epoch: Epoch) -> bool {
    detail.starts_with(&key_words(epoch))
}

fn key_words(epoch: Epoch) -> String {
    format!("ledger key of {epoch} (epoch {})", epoch.number())
}

pub(super) fn first_words(keep_years: u16) -> String {
    format!("ledger.keep_years is {keep_years}")
}

pub(super) fn changed_words(before: u16, keep_years: u16) -> String {
    let shorter = if keep_years < before {
        format!("; no key that this ends earlier is destroyed within {NOTICE_DAYS} days")
    } else {
        String::new()
    };
    format!("ledger.keep_years is {keep_years}, and was {before}{shorter}")
}
