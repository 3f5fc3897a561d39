//! What the vault does at present: everything, or only what changes no record. The one place in which writes are refused for that.
//!
//! Every commit goes through [`Writes`], which looks at its rows and not at who sends it: so no way to change records (requests, bundles,
//! imports, feeds, patches, erasures, the store's own work) needs to know of modes, and none can forget. Entries of the ledger, accounts,
//! sessions, tokens, approvals and declared emergencies go on in every mode, because reading must go on and be written down. What brought a mode
//! about is the business of those who set it.

use crate::error::VaultError;
use crate::layout;
use crate::lockdown::LockdownLevel;
use crate::vault::Vault;
use std::fmt;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock};
use tacet_ledger::{LedgerSequencer, Prepared, Receipt};
use tacet_store::{Commit, Store, StoreError, Ticket, Write};

/// When a client tries again while a restore is running, in seconds: its share moves about as fast.
const RESTORING_RETRY_S: u64 = 30;

/// When a client tries again under a lockdown, in seconds: people lift it, two of them.
const LOCKDOWN_RETRY_S: u64 = 300;

/// Why no record is changed at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReadOnly {
    /// Somebody, or a tripwire, locked the store; two people lift that.
    Lockdown,
    /// The store is being brought back from a backup; it ends by itself.
    Restoring {
        /// How much of it is back, in hundredths.
        percent: u8,
    },
}

impl ReadOnly {
    /// When it is worth to try again, in seconds.
    pub fn retry_after_s(self) -> u64 {
        match self {
            Self::Lockdown => LOCKDOWN_RETRY_S,
            Self::Restoring { .. } => RESTORING_RETRY_S,
        }
    }
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lockdown => f.write_str("the store is locked, until two people lift that"),
            Self::Restoring { percent } => write!(f, "a restore is running, {percent} %"),
        }
    }
}

impl std::error::Error for ReadOnly {}

/// The spaces that begin with the ledger's.
const LEDGERS_FROM: u8 = 0x10;
const LEDGERS_TO: u8 = 0x1f;

/// What holds at present. Several may at once: a restored store may be locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Holds {
    lockdown: Option<LockdownLevel>,
    restoring: Option<u8>,
}

/// The mode of a vault, in memory.
#[derive(Default)]
pub(crate) struct Mode(RwLock<Holds>);

impl Mode {
    /// Why no record is changed; `None` in full service. A lockdown is named first: it does not end by itself.
    pub(crate) fn read_only(&self) -> Option<ReadOnly> {
        let holds = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        if holds.lockdown.is_some() {
            return Some(ReadOnly::Lockdown);
        }
        holds.restoring.map(|percent| ReadOnly::Restoring { percent })
    }

    /// Refuses what would change records, for those who find out earlier than at their commit.
    pub(crate) fn require_full(&self) -> Result<(), VaultError> {
        self.read_only().map_or(Ok(()), |why| Err(VaultError::ReadOnly(why)))
    }

    /// The level of the lockdown in force.
    pub(crate) fn lockdown(&self) -> Option<LockdownLevel> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).lockdown
    }

    /// Raises the level; one that is higher already stays.
    pub(crate) fn raise_lockdown(&self, level: LockdownLevel) {
        let mut holds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        holds.lockdown = holds.lockdown.max(Some(level));
    }

    pub(crate) fn set_lockdown(&self, lockdown: Option<LockdownLevel>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).lockdown = lockdown;
    }

    fn set_restoring(&self, restoring: Option<u8>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).restoring = restoring;
    }
}

/// The store, as the vault writes to it. Reads go straight to the store.
pub(crate) struct Writes {
    store: Store<LedgerSequencer>,
    pub(crate) mode: Mode,
}

impl Deref for Writes {
    type Target = Store<LedgerSequencer>;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

impl Writes {
    pub(crate) fn new(store: Store<LedgerSequencer>) -> Self {
        Self { store, mode: Mode::default() }
    }

    /// Hands a commit over, unless the mode refuses it: then its ticket says so, and nothing was written.
    pub(crate) fn submit(&self, commit: Commit<Vec<Prepared>>) -> Ticket<Vec<Receipt>> {
        match self.refused(&commit) {
            Some(why) => Ticket::refused(StoreError::Refused(Box::new(why))),
            None => self.store.submit(commit),
        }
    }

    /// The same, giving way to others.
    pub(crate) fn submit_bulk(&self, commit: Commit<Vec<Prepared>>) -> Ticket<Vec<Receipt>> {
        match self.refused(&commit) {
            Some(why) => Ticket::refused(StoreError::Refused(Box::new(why))),
            None => self.store.submit_bulk(commit),
        }
    }

    /// Hands a commit over in every mode. Only for what changes no record though it touches such rows: keys wrapped anew, and what a restore
    /// must finish before it is one.
    pub(crate) fn submit_in_any_mode(&self, commit: Commit<Vec<Prepared>>) -> Ticket<Vec<Receipt>> {
        self.store.submit_bulk(commit)
    }

    fn refused(&self, commit: &Commit<Vec<Prepared>>) -> Option<ReadOnly> {
        let why = self.mode.read_only()?;
        changes_records(commit).then_some(why)
    }
}

/// Whether a commit changes what is on record: it stands in the change feed, or one of its rows holds something of a record.
fn changes_records<I>(commit: &Commit<I>) -> bool {
    commit.feed.is_some() || commit.writes.iter().any(of_records)
}

/// Whether a row holds something of a record. A row of a space that is not listed does: who adds a space decides here.
fn of_records(write: &Write) -> bool {
    match write.key().first() {
        // Accounts, sessions, approvals, emergencies, notices and the like; how far the index and subscriptions have come; the ledger's
        // own rows; the state of a lockdown. Copies that were begun may end, and whoever has no row of a copy begins none: see `copies`.
        Some(&(layout::TOKENS | layout::INDEX | layout::COPIES | layout::SUBSCRIPTIONS | layout::NOTED)) => false,
        Some(&(LEDGERS_FROM..=LEDGERS_TO)) => false,
        _ => true,
    }
}

impl Vault {
    /// Why no record is changed at present; `None` in full service.
    pub fn read_only(&self) -> Option<ReadOnly> {
        self.0.store.mode.read_only()
    }

    /// Says that the store is being brought back and how much of it is there, in hundredths; `None` once all of it is. Changes are refused
    /// meanwhile.
    pub fn set_restoring(&self, percent: Option<u8>) {
        self.0.store.mode.set_restoring(percent.map(|percent| percent.min(100)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(space: u8, feed: bool) -> Commit<()> {
        Commit {
            preconditions: Vec::new(),
            writes: vec![Write::Put { key: vec![space, 1], value: Vec::new() }],
            feed: feed.then(Vec::new),
            item: (),
        }
    }

    #[test]
    fn what_changes_records_is_known_by_its_rows() {
        let of_records = [
            layout::HEADS,
            layout::VERSIONS,
            layout::DATA_KEYS,
            layout::MEMBERS,
            layout::IMPORT_MARKS,
            layout::DESCRIPTION,
            layout::FACTS,
        ];
        for space in 0x01..=0x2f_u8 {
            let others = [layout::TOKENS, layout::INDEX, layout::COPIES, layout::SUBSCRIPTIONS, layout::NOTED];
            let free = others.contains(&space) || (LEDGERS_FROM..=LEDGERS_TO).contains(&space);
            assert_eq!(changes_records(&commit(space, false)), !free, "space {space:#04x}");
            assert!(changes_records(&commit(space, true)), "whatever stands in the feed");
            assert!(!(free && of_records.contains(&space)));
        }
        assert!(!changes_records(&Commit { writes: Vec::new(), ..commit(0, false) }), "entries alone");
    }

    #[test]
    fn a_lockdown_is_named_before_a_restore() {
        let mode = Mode::default();
        assert_eq!(mode.read_only(), None);
        mode.set_restoring(Some(12));
        assert_eq!(mode.read_only().unwrap().to_string(), "a restore is running, 12 %");
        mode.raise_lockdown(LockdownLevel::Cut);
        mode.raise_lockdown(LockdownLevel::ReadOnly);
        assert_eq!(mode.lockdown(), Some(LockdownLevel::Cut), "a level is raised, never lowered");
        assert_eq!(mode.read_only(), Some(ReadOnly::Lockdown));
        mode.set_restoring(None);
        assert!(matches!(mode.require_full(), Err(VaultError::ReadOnly(ReadOnly::Lockdown))));
        mode.set_lockdown(None);
        assert!(mode.require_full().is_ok());
    }
}
