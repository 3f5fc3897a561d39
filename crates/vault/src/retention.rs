//! How long the ledger's entries say what they say: by whole months, and what is past its time loses its key.
//!
//! ```text
//! month over ──keep_years──> due            entry: its key will be destroyed        (NOTICE_DAYS before)
//!                             └──> the key's row: `erased`, and an entry that says so, in one commit
//!                                  └──> keys in memory, the ledger's index: forgotten
//! ```
//!
//! No key is destroyed that was not announced in the ledger [`NOTICE_DAYS`] before. So a setting that somebody shortened, and a clock that somebody or
//! something set ahead, are seen before they do harm: what is announced and no longer due is taken back. A rule of the house needs no second person; the
//! notice stands for one.
//!
//! What it is not: it opens no entry, and removes none. Rows, tree, tiles and receipts stay as they are.

mod plan;
mod row;
#[cfg(test)]
mod tests;

pub(crate) use plan::says_destroyed;
pub use plan::{KEEP_YEARS_DEFAULT, KEEP_YEARS_MAX, KEEP_YEARS_MIN, MonthKey, MonthStep, NOTICE_DAYS};

use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use row::Rule;
use std::time::Duration;
use tacet_ledger::{Entry, Epoch, EpochState, Prepared};
use tacet_store::{Commit, StoreError};
use tacet_types::Timestamp;

/// From when on entries can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerKept {
    /// Every entry of this moment and later is kept. None of before: what it said is gone.
    pub since: Timestamp,
    /// The number of the first entry that is kept: how many are past their time.
    pub first_entry: u64,
}

/// What the rule finds, and what was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerRetention {
    /// Years for which entries are kept after their month.
    pub keep_years: u16,
    /// The years of the rule's last run, where they were others.
    pub changed_from: Option<u16>,
    /// The keys of months, the oldest first, with what comes next for each.
    pub months: Vec<MonthKey>,
    /// The month under whose key entries are written because the clock once said so, where that is later than now.
    pub ahead: Option<Epoch>,
    /// From when on entries can be read; none: all can.
    pub kept: Option<LedgerKept>,
}

impl LedgerRetention {
    /// The months for which this comes next, or was done.
    pub fn of(&self, step: MonthStep) -> impl Iterator<Item = &MonthKey> {
        self.months.iter().filter(move |month| month.step == step)
    }
}

impl Vault {
    /// From when on the ledger's entries can be read; none: from the first on.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn ledger_kept(&self) -> Result<Option<LedgerKept>, VaultError> {
        self.0.ledger_kept()
    }

    /// What a run of the rule would do now. Changes nothing, and shows nothing of any entry.
    ///
    /// # Errors
    /// Years that are not allowed, or the ledger cannot be read.
    pub fn plan_retention(&self, keep_years: u16) -> Result<LedgerRetention, VaultError> {
        self.0.planned(keep_years).map(|(found, _)| found)
    }

    /// Runs the rule: announces what will be due, takes back what is not due any more, and destroys the keys of months that are past their time
    /// and were announced long enough. Each act has its entry. To be done each day.
    ///
    /// # Errors
    /// Years that are not allowed; [`VaultError::ReadOnly`] where nothing is to be changed; the store cannot be written. What was done before stays done,
    /// and the next run goes on.
    pub async fn retain_ledger(&self, caller: &Caller, keep_years: u16) -> Result<LedgerRetention, VaultError> {
        let inner = &self.0;
        inner.store.mode.require_full()?;
        let (mut found, rule) = inner.planned(keep_years)?;
        let mut entries = Vec::new();
        let mut note = |kind: EventKind, detail: String| {
            let mut entry = caller.entry(inner.clock.now(), kind, Outcome::Success, None);
            entry.detail = Some(detail);
            entries.push(entry);
        };
        let next = rule.after(&found);
        match rule.keep_years() {
            Some(before) if before == keep_years => {}
            Some(before) => note(EventKind::ConfigurationChange, plan::changed_words(before, keep_years)),
            None => note(EventKind::ConfigurationChange, plan::first_words(keep_years)),
        }
        if let Some(words) = plan::announced_words(&found) {
            tracing::warn!("{words}");
            note(EventKind::KeyEvent, words);
        }
        if let Some(words) = plan::withdrawn_words(&rule.withdrawn(&found)) {
            tracing::warn!("{words}");
            note(EventKind::KeyEvent, words);
        }
        if next != rule {
            inner.commit_rule(&next, entries, Vec::new()).await?;
        }
        let due: Vec<Epoch> = found.of(MonthStep::Destroy).map(|month| month.epoch).collect();
        for epoch in &due {
            // Locked meanwhile: keys of the ledger are rows that its own entries need in every mode, so nothing else stops this.
            inner.store.mode.require_full()?;
            inner.destroy_epoch(caller, *epoch, keep_years).await?;
        }
        if !due.is_empty() {
            self.forget_what_ended();
            found.kept = inner.ledger_kept()?;
        }
        Ok(found)
    }

    /// What was derived from entries forgets them. Where it is not kept in this process it is found out when it is opened: it says how many keys had
    /// ended when it was made.
    fn forget_what_ended(&self) {
        if self.0.ledger_index.get().is_none() {
            return;
        }
        if let Err(error) = self.forget_ended_entries() {
            tracing::error!(%error, "the ledger's index could not be written without what has ended: it is tried again");
        }
    }
}

impl Inner {
    pub(crate) fn ledger_kept(&self) -> Result<Option<LedgerKept>, VaultError> {
        let months = self.ledger_keys.epochs();
        let gone = months.iter().take_while(|(_, state)| *state == EpochState::Destroyed).last();
        let Some((last, _)) = gone else { return Ok(None) };
        let reader = self.store.reader();
        let size = tacet_ledger::head(reader, &self.ledger_keys)?.map_or(0, |head| head.size());
        // The establishment's own key does not end; entries of a store that began without keys of months are under it.
        let lasting = tacet_ledger::first_after(reader, size, Epoch::ESTABLISHMENT)? > 0;
        let first_entry = if lasting { 0 } else { tacet_ledger::first_after(reader, size, *last)? };
        Ok(Some(LedgerKept { since: last.ends(), first_entry }))
    }

    fn planned(&self, keep_years: u16) -> Result<(LedgerRetention, Rule), VaultError> {
        plan::check_years(keep_years)?;
        let rule = self.kept_rule()?;
        let (now, epochs) = (self.clock.now(), self.ledger_keys.epochs());
        let months = plan::steps(now, &rule, &epochs, keep_years);
        let newest = epochs.last().map(|(epoch, _)| *epoch);
        let found = LedgerRetention {
            keep_years,
            changed_from: rule.keep_years().filter(|before| *before != keep_years),
            months,
            ahead: newest.filter(|newest| *newest > Epoch::of(now)),
            kept: self.ledger_kept()?,
        };
        Ok((found, rule))
    }

    /// One key, with its entry and without its announcement, in one commit; then the keys in memory.
    async fn destroy_epoch(&self, caller: &Caller, epoch: Epoch, keep_years: u16) -> Result<(), VaultError> {
        let Some(change) = self.ledger_keys.destroying(self.store.reader(), epoch)? else {
            self.ledger_keys.forget(epoch);
            return Ok(());
        };
        let mut entry = caller.entry(self.clock.now(), EventKind::LedgerKeyDestroyed, Outcome::Success, None);
        entry.detail = Some(plan::destroyed_words(epoch, keep_years));
        let rule = self.kept_rule()?.without(epoch);
        self.commit_rule(&rule, vec![entry], vec![change]).await?;
        // INVARIANT: only what the disk has destroyed is forgotten, and at once: from here on nobody opens an entry of that month.
        self.ledger_keys.forget(epoch);
        tracing::warn!(month = %epoch, "the key of a month of the ledger was destroyed: its time was over");
        Ok(())
    }

    async fn commit_rule(
        &self,
        rule: &Rule,
        entries: Vec<Entry>,
        changes: Vec<(tacet_store::Precondition, tacet_store::Write)>,
    ) -> Result<(), VaultError> {
        let (precondition, write) = self.noted_write(&rule.write()?)?.ok_or(VaultError::Conflict)?;
        let (mut preconditions, mut writes): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        preconditions.extend(precondition);
        writes.push(write);
        let commit = Commit { preconditions, writes, feed: None, item: Prepared::all(&entries)? };
        match self.store.submit(commit).await {
            Ok(_) => Ok(()),
            Err(StoreError::PreconditionFailed { .. }) => Err(VaultError::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

/// How often a server runs the rule.
pub const RETENTION_EVERY: Duration = Duration::from_secs(24 * 3600);
