//! Holds the change feed against the ledger: both were written in one order, and the ledger's cannot be bent.
//!
//! A feed row is sealed before its number is known, so two rows could be exchanged and still open. Their commits' entries
//! in the ledger name the same versions in the order in which they were written; this walks both side by side. It opens
//! no record and needs memory for one commit.
//!
//! Of commits whose entries are past their time the ledger says nothing any more, and so does this.

use crate::EventKind;
use crate::change::ChangeSet;
use crate::error::VaultError;
use crate::layout::RowKey;
use crate::vault::Inner;
use std::collections::{HashSet, VecDeque};
use tacet_ledger::{LIST_MAX, Outcome};
use tacet_types::{OperationId, Timestamp, VersionId};

/// What one entry names.
struct Named {
    operation: OperationId,
    /// The versions; none for an erasure.
    versions: Vec<(RowKey, VersionId)>,
}

/// A walk along the ledger's entries that changed records, as far as it has come.
pub(crate) struct FeedOrder<'a> {
    inner: &'a Inner,
    /// The ledger entry to fetch next.
    next: u64,
    /// What fetched entries name.
    fetched: VecDeque<Named>,
    /// From when on entries can be read.
    kept_since: Option<Timestamp>,
    /// Nothing more can be said: the two went apart, or an entry does not open. Both are told once.
    over: bool,
}

impl<'a> FeedOrder<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        // Where this cannot be read, nor can the first entry, and that is told.
        let kept = inner.ledger_kept().ok().flatten();
        let (next, kept_since) = (kept.map_or(0, |kept| kept.first_entry), kept.map(|kept| kept.since));
        Self { inner, next, fetched: VecDeque::new(), kept_since, over: false }
    }

    /// Takes the next commit of the feed. False, once: the ledger says that another commit came here.
    pub(crate) fn follows(&mut self, set: &ChangeSet) -> Result<bool, VaultError> {
        let mut open: HashSet<(RowKey, VersionId)> =
            set.changes.iter().map(|change| (change.head, change.version)).collect();
        // A commit that made no version is an erasure, and has one entry.
        let mut erasure = set.changes.is_empty();
        if self.kept_since.is_some_and(|since| set.at < since) {
            self.pass_over(set, &open)?;
            return Ok(true);
        }
        while (!open.is_empty() || erasure) && !self.over {
            // Set until this entry is found to be the right one.
            self.over = true;
            let Some(Named { versions: named, .. }) = self.next_entry()? else { return Ok(false) };
            if named.is_empty() != erasure || !named.iter().all(|version| open.remove(version)) {
                return Ok(false);
            }
            erasure = false;
            self.over = false;
        }
        Ok(true)
    }

    /// A commit of a time that is over. Its entries may be kept all the same: they waited over the turn of a month, or the clock was set back.
    fn pass_over(&mut self, set: &ChangeSet, all: &HashSet<(RowKey, VersionId)>) -> Result<(), VaultError> {
        while !self.over {
            self.over = true;
            let Some(named) = self.next_entry()? else {
                self.over = false;
                return Ok(());
            };
            let of_set = named.operation == set.operation
                && named.versions.is_empty() == set.changes.is_empty()
                && named.versions.iter().all(|version| all.contains(version));
            self.over = false;
            if !of_set {
                self.fetched.push_front(named);
                return Ok(());
            }
        }
        Ok(())
    }

    /// What the next entry of a change names; none at the end of the ledger.
    fn next_entry(&mut self) -> Result<Option<Named>, VaultError> {
        while self.fetched.is_empty() {
            let entries = tacet_ledger::list(self.inner.store.reader(), &self.inner.ledger_keys, self.next, LIST_MAX)?;
            let Some((last, _)) = entries.last() else { return Ok(None) };
            self.next = last + 1;
            for (_, entry) in &entries {
                let erasure = entry.kind == EventKind::Erase;
                if entry.kind.changes() && entry.outcome == Outcome::Success && (erasure || !entry.records.is_empty()) {
                    let row = |record: &tacet_types::RecordRef| {
                        (self.inner.head_row(record.resource_type, &record.id), record.version)
                    };
                    let versions = entry.records.iter().map(row).collect();
                    self.fetched.push_back(Named { operation: entry.operation, versions });
                }
            }
        }
        Ok(self.fetched.pop_front())
    }
}
