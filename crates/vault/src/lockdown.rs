//! Lockdown: one person, or a tripwire, stops changes, sessions or keys at once; two people lift that.
//!
//! The lock counts in memory before it is written, so that nothing comes in between; the row, the entry and the notices are one commit, and
//! a start goes by the row. Who may lock and lift, and that a lift was allowed by a second person, is the business of whoever calls.

use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::ControlFlow;
use tacet_ledger::noted::{Expect, NotedRow, NotedRows, RowWrite, RowsError, Table};
use tacet_ledger::people::{NoticeKind, NoticeRow, NoticeTo};
use tacet_ledger::{DETAIL_BYTES_MAX, Entry, cut, one_line};
use tacet_types::{ResourceId, Role, Timestamp};

/// Longest reason, in bytes.
pub const LOCK_REASON_BYTES_MAX: usize = 500;

/// How often one account, or one token without an account, may lock the store within [`LOCKS_WINDOW_MS`]. A lockdown is also a way to keep a hospital from writing: whoever does it
/// again and again is stopped, and others still can.
pub const LOCKS_MAX: usize = 3;

/// A day, in milliseconds.
pub const LOCKS_WINDOW_MS: i64 = 86_400_000;

/// Tries of a commit that others were faster at.
const ATTEMPTS_MAX: usize = 16;

/// Format of a row.
const VERSION: u8 = 1;

/// The name of the row of the lockdown in force.
const IN_FORCE: &[u8] = b"in-force";

/// What the names of the others begin with.
const LIFTED: &str = "lifted/";

/// How much is locked; each level holds what those before it hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockdownLevel {
    /// Nothing on record changes, and no copy begins. Reading, logins and declared emergencies go on.
    ReadOnly,
    /// And every session and every app's token ends; only those may log in who can lift it.
    Cut,
    /// And the keys are dropped: no record opens until it is lifted and the store opened anew with its passphrase.
    Sealed,
}

impl LockdownLevel {
    /// Every level, the weakest first.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Cut, Self::Sealed];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Cut => "cut",
            Self::Sealed => "sealed",
        }
    }

    /// The level of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

impl fmt::Display for LockdownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What brought a lockdown about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockdownCause {
    /// Somebody over HTTP.
    Person,
    /// Somebody at the machine.
    Machine,
    /// A tripwire.
    Tripwire,
}

/// A lockdown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockdown {
    version: u8,
    /// Its id.
    pub id: String,
    /// How much is locked.
    pub level: LockdownLevel,
    /// Since when, in milliseconds since 1970. A level that was raised does not change it.
    pub since_ms: i64,
    /// Who locked the store, or raised the level last: the name that the ledger has.
    pub by: String,
    /// Their account, where they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What brought it about.
    pub cause: LockdownCause,
    /// Why, in their words.
    pub reason: String,
    /// When it was lifted, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_ms: Option<i64>,
    /// On whose word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_by: Option<String>,
}

impl Lockdown {
    /// What exactly is asked for by who wants to lift it: an approval holds for this text only, and so not after the level was raised.
    pub fn lift_words(&self) -> String {
        format!("lift lockdown {} of level {}", self.id, self.level)
    }
}

/// What a lift came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockdownLifted {
    /// The lockdown that was lifted.
    pub lockdown: Lockdown,
    /// Whether the store must be opened anew before records open: its keys were dropped.
    pub restart: bool,
}

impl Vault {
    /// The level at which the store is locked now; `None` where it is not.
    pub fn lockdown_level(&self) -> Option<LockdownLevel> {
        self.0.store.mode.lockdown()
    }

    /// Whether the keys were dropped, and records open only once the store is opened anew.
    pub fn keys_are_locked(&self) -> bool {
        self.0.keys_lock.is_locked()
    }

    /// The lockdown in force, as it is written down.
    pub fn lockdown(&self) -> Result<Option<Lockdown>, VaultError> {
        Ok(self.0.lockdown_row()?.map(|(lockdown, _)| lockdown))
    }

    /// Lockdowns that were lifted, the latest first.
    pub fn lifted_lockdowns(&self) -> Result<Vec<Lockdown>, VaultError> {
        let mut lifted = Vec::new();
        let mut damaged = None;
        self.0.scan_noted(Table::Lockdowns, &mut |row| match decode(&row) {
            Ok(lockdown) => {
                lifted.extend((row.name != IN_FORCE).then_some(lockdown));
                ControlFlow::Continue(())
            }
            Err(error) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        })?;
        lifted.sort_by_key(|lockdown: &Lockdown| std::cmp::Reverse(lockdown.since_ms));
        damaged.map_or(Ok(lifted), Err)
    }

    /// Locks the store, or raises the level; a level that is reached already stays as it is. Gives the lockdown in force. What is under way then ends or fails whole.
    ///
    /// # Errors
    /// An account that has done it too often ([`LOCKS_MAX`]), an empty or too long reason: then nothing is locked. The store's: then it is locked
    /// until it is opened again.
    pub async fn lock(
        &self,
        caller: &Caller,
        level: LockdownLevel,
        cause: LockdownCause,
        reason: &str,
    ) -> Result<Lockdown, VaultError> {
        let reason = &one_line(reason);
        if reason.is_empty() || reason.len() > LOCK_REASON_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes in the reason, or none", max: LOCK_REASON_BYTES_MAX });
        }
        self.refuse_often(caller, cause)?;
        // INVARIANT: first in memory. From here on nothing changes, whatever becomes of the row.
        let before = self.lockdown_level();
        self.0.apply_lockdown(Some(level));
        match before.filter(|before| *before >= level) {
            // It was cried out when it came into force; over and over it would hide what is new.
            Some(in_force) => {
                tracing::warn!(%in_force, asked = %level, ?cause, "locked already: the level in force stays");
            }
            None => tracing::error!(%level, ?cause, "THE STORE IS LOCKED: two people lift that (docs/lockdown.md)"),
        }
        for _ in 0..ATTEMPTS_MAX {
            let found = self.0.lockdown_row()?;
            if let Some((lockdown, _)) = found.as_ref().filter(|(lockdown, _)| lockdown.level >= level) {
                return Ok(lockdown.clone());
            }
            let (now, raised) = (self.0.clock.now(), found.is_some());
            let expect = found.as_ref().map_or(Expect::Absent, |(_, row)| Expect::Revision(row.revision));
            let lockdown = Lockdown {
                version: VERSION,
                id: found.as_ref().map_or_else(
                    || ResourceId::random(self.0.rng.as_ref()).as_str().to_owned(),
                    |(lockdown, _)| lockdown.id.clone(),
                ),
                level,
                since_ms: found.as_ref().map_or(now.as_ms(), |(lockdown, _)| lockdown.since_ms),
                by: caller.owner.clone(),
                account: caller.account.clone(),
                cause,
                reason: reason.clone(),
                lifted_ms: None,
                lifted_by: None,
            };
            let word = if raised { "raised to" } else { "at level" };
            let mut entry = caller.entry(now, EventKind::Lockdown, Outcome::Success, None);
            entry.detail =
                Some(cut(&format!("lockdown {} {word} {level}: {reason}", lockdown.id), DETAIL_BYTES_MAX).to_owned());
            let mut writes = vec![row(IN_FORCE.to_vec(), Some(&lockdown), expect)?];
            self.0.tell(
                &mut writes,
                NoticeKind::Locked,
                &lockdown.id,
                &format!("{level}, by {}", caller.owner),
                now,
            )?;
            match self.commit_lockdown(writes, vec![entry]).await {
                Err(VaultError::Conflict) => {}
                other => {
                    // Again: a lift that was under way may have taken it out of memory meanwhile.
                    self.0.apply_lockdown(Some(level));
                    return other.map(|()| lockdown);
                }
            }
        }
        Err(VaultError::Conflict)
    }

    /// Lifts the lockdown in force; `with` uses up in the same commit what a second person allowed, `by` says whose word it is. `None`: there was none.
    ///
    /// # Errors
    /// The store's, and [`VaultError::Conflict`] where the lockdown or the approval was changed meanwhile: nothing is lifted.
    pub async fn lift(
        &self,
        caller: &Caller,
        by: &str,
        with: Option<(RowWrite, Entry)>,
    ) -> Result<Option<LockdownLifted>, VaultError> {
        let Some((mut lockdown, found)) = self.0.lockdown_row()? else { return Ok(None) };
        let now = self.0.clock.now();
        lockdown.lifted_ms = Some(now.as_ms());
        lockdown.lifted_by = Some(by.to_owned());
        let mut entry = caller.entry(now, EventKind::LockdownLifted, Outcome::Success, None);
        entry.detail = Some(
            cut(&format!("lockdown {} of level {} lifted by {by}", lockdown.id, lockdown.level), DETAIL_BYTES_MAX)
                .to_owned(),
        );
        let name = format!("{LIFTED}{}", lockdown.id).into_bytes();
        let mut writes = vec![
            row(IN_FORCE.to_vec(), None, Expect::Revision(found.revision))?,
            row(name, Some(&lockdown), Expect::Absent)?,
        ];
        self.0.tell(&mut writes, NoticeKind::LockdownLifted, &lockdown.id, lockdown.level.as_str(), now)?;
        let mut entries = vec![entry];
        if let Some((write, entry)) = with {
            writes.push(write);
            entries.push(entry);
        }
        self.commit_lockdown(writes, entries).await?;
        // Only now, and only if nobody has locked it again since.
        self.0.apply_lockdown_row()?;
        let restart = self.keys_are_locked();
        tracing::warn!(restart, "the lockdown was lifted");
        Ok(Some(LockdownLifted { lockdown, restart }))
    }

    /// Writes down that something looked like an attack, and tells security officers. `kind` and `detail` hold no personal data.
    ///
    /// # Errors
    /// The store's.
    pub async fn note_tripwire(&self, caller: &Caller, kind: &str, detail: &str) -> Result<(), VaultError> {
        let now = self.0.clock.now();
        let mut entry = caller.entry(now, EventKind::Tripwire, Outcome::Success, None);
        entry.detail = Some(cut(&format!("{kind}: {detail}"), DETAIL_BYTES_MAX).to_owned());
        let mut writes = Vec::new();
        self.0.tell(&mut writes, NoticeKind::Tripwire, kind, detail, now)?;
        self.0.tripwires.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.commit_lockdown(writes, vec![entry]).await
    }

    fn refuse_often(&self, caller: &Caller, cause: LockdownCause) -> Result<(), VaultError> {
        // Whoever has the machine could stop the server instead, and a tripwire is nobody's account.
        if cause != LockdownCause::Person {
            return Ok(());
        }
        let since = self.0.clock.now().as_ms().saturating_sub(LOCKS_WINDOW_MS);
        // A token that belongs to no account is known by its owner's name.
        let is_own = |by: &Lockdown| caller.is(&by.by, by.account.as_deref());
        let own = |lockdown: &&Lockdown| {
            lockdown.cause == LockdownCause::Person && is_own(lockdown) && lockdown.since_ms > since
        };
        if self.lifted_lockdowns()?.iter().filter(own).count() >= LOCKS_MAX {
            return Err(VaultError::NotAllowed(
                "this account has locked the store too often within a day: somebody else can",
            ));
        }
        Ok(())
    }

    async fn commit_lockdown(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Result<(), VaultError> {
        NotedRows::commit(self, writes, entries).await.map_err(|error| match error {
            RowsError::Conflict => VaultError::Conflict,
            RowsError::TooLarge { what, max } => VaultError::TooLarge { what, max },
            error @ RowsError::Store(_) => VaultError::Unavailable(Box::new(error)),
        })
    }
}

impl Inner {
    fn lockdown_row(&self) -> Result<Option<(Lockdown, NotedRow)>, VaultError> {
        let Some((found, _)) = self.noted_row(Table::Lockdowns, IN_FORCE)? else { return Ok(None) };
        Ok(Some((decode(&found)?, found)))
    }

    /// Goes by what is written down: at the start, and after a lift.
    pub(crate) fn apply_lockdown_row(&self) -> Result<(), VaultError> {
        let level = self.lockdown_row()?.map(|(lockdown, _)| lockdown.level);
        self.store.mode.set_lockdown(None);
        self.apply_lockdown(level);
        Ok(())
    }

    /// Raises the level in memory.
    fn apply_lockdown(&self, level: Option<LockdownLevel>) {
        let Some(level) = level else { return };
        self.store.mode.raise_lockdown(level);
        if level >= LockdownLevel::Cut {
            self.give_up_copies();
        }
        if level >= LockdownLevel::Sealed {
            self.keys_lock.lock();
        }
    }

    /// Notices for those who may do something about it.
    pub(crate) fn tell(
        &self,
        writes: &mut Vec<RowWrite>,
        kind: NoticeKind,
        about: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        for role in [Role::SecurityOfficer, Role::Administrator] {
            let to = NoticeTo::Role(role.as_str().to_owned());
            let notice = NoticeRow::new(self.rng.as_ref(), now, to, kind, about, text);
            let value = notice.encode().map_err(|error| VaultError::Internal(Box::new(error)))?;
            let (table, name) = (Table::Notices, notice.id.clone().into_bytes());
            writes.push(RowWrite { table, name, value: Some(value), expect: Expect::Absent });
        }
        Ok(())
    }
}

fn row(name: Vec<u8>, lockdown: Option<&Lockdown>, expect: Expect) -> Result<RowWrite, VaultError> {
    let value = lockdown.map(serde_json::to_vec).transpose();
    let value = value.map_err(|error| VaultError::Internal(Box::new(error)))?;
    Ok(RowWrite { table: Table::Lockdowns, name, value, expect })
}

fn decode(row: &NotedRow) -> Result<Lockdown, VaultError> {
    let lockdown = serde_json::from_slice(&row.value).ok();
    let lockdown = lockdown.filter(|lockdown: &Lockdown| lockdown.version == VERSION);
    lockdown.ok_or(VaultError::Damaged("a row of a lockdown cannot be read"))
}
