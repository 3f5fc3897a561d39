//! Sealed rows that change together with an entry: accounts, sessions, clients, approvals. The trait only, and one in memory.
//!
//! Who keeps such rows (identity, the authorization server) needs no store and no key: it is given [`NotedRows`]. A row's name and value are
//! sealed by whoever implements it. A commit holds all its writes and its entries, or nothing.

use crate::Entry;
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// Longest name of a row, in bytes.
pub const ROW_NAME_BYTES_MAX: usize = 512;

/// Longest value of a row, in bytes.
pub const ROW_VALUE_BYTES_MAX: usize = 256 * 1024;

/// Most writes in one commit.
pub const ROW_WRITES_MAX: usize = 1000;

/// Which rows. The number is written into row keys: one may be added, none may move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Table {
    /// Accounts of people and machines.
    Accounts = 1,
    /// Passkeys, by credential id.
    Passkeys = 2,
    /// Sessions of people, by the hash of their secret.
    Sessions = 3,
    /// Ceremonies under way (a login, an enrolment), short-lived.
    Ceremonies = 4,
    /// Requests for a second person, and what became of them.
    Approvals = 5,
    /// Break-glass: declarations and reviews.
    BreakGlass = 6,
    /// Clients of the authorization server.
    Clients = 7,
    /// Authorization codes, by hash.
    Codes = 8,
    /// Access tokens of the authorization server, by hash.
    AccessTokens = 9,
    /// Families of refresh tokens.
    Refresh = 10,
    /// Ids of assertions and proofs that were used (`jti`).
    Used = 11,
    /// Logins at other providers under way.
    Foreign = 12,
    /// The server's own signing keys.
    SigningKeys = 13,
    /// Notices to people: the security officer, a patient's record.
    Notices = 14,
    /// What SCIM and feeds provisioned, by their outside id.
    Provisioned = 15,
    /// The policies in force, and those that are proposed.
    Policies = 16,
    /// Messages of feeds that were taken, by sender and number.
    Feeds = 17,
    /// How far the ledger was sent to each audit record repository and SIEM.
    AuditFeeds = 18,
    /// Periodic reviews of accesses.
    AccessReviews = 19,
    /// What these reviews look at, item by item.
    AccessReviewItems = 20,
    /// The lockdown in force, and those that were lifted.
    Lockdowns = 21,
    /// How long the ledger's entries are kept, and which months' ends were announced.
    LedgerRetention = 22,
    /// Snapshots of the backup that the ledger names.
    Backups = 23,
    /// Drills that were held: when last, and when one passed last.
    Drills = 24,
    /// Why disclosures are stopped, where a start does not find that again by itself.
    Halts = 25,
}

/// A row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotedRow {
    /// Its name, as it was put.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// Changes with every write of it.
    pub revision: u64,
}

/// What must be so for a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// There is no such row.
    Absent,
    /// The row is still at this revision.
    Revision(u64),
}

/// A write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowWrite {
    /// Of which rows.
    pub table: Table,
    /// The row's name.
    pub name: Vec<u8>,
    /// Its new value; none: the row goes.
    pub value: Option<Vec<u8>>,
    /// What must be so.
    pub expect: Expect,
}

/// Why rows could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// Somebody else changed a row meanwhile. Read it again.
    #[error("somebody else changed this meanwhile: read it again and repeat")]
    Conflict,
    /// A name, a value or a commit is over its bound.
    #[error("{what} is larger than its bound of {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The store could not do it. Nothing was written.
    #[error("the store could not do it: see the log")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a commit comes to.
pub type Committing<'a> = Pin<Box<dyn Future<Output = Result<(), RowsError>> + Send + 'a>>;

/// Sealed rows.
pub trait NotedRows: Send + Sync {
    /// The row of this name.
    ///
    /// # Errors
    /// The store's.
    fn get(&self, table: Table, name: &[u8]) -> Result<Option<NotedRow>, RowsError>;

    /// Each row, in no order that means anything, until told to stop.
    ///
    /// # Errors
    /// The store's.
    fn scan(&self, table: Table, each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>) -> Result<(), RowsError>;

    /// The same, passing over rows that do not open: for whoever must not be stopped by one. Says how many these were.
    ///
    /// # Errors
    /// The store's.
    fn scan_readable(&self, table: Table, each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>) -> Result<u64, RowsError> {
        self.scan(table, each).map(|()| 0)
    }

    /// Writes all of this and the entries durably, or nothing. The entries say who did it; they name no record.
    fn commit(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Committing<'_>;
}

/// Rows in memory, for tests of what is built on them.
#[derive(Default)]
pub struct MemoryRows(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    rows: BTreeMap<(Table, Vec<u8>), (Vec<u8>, u64)>,
    entries: Vec<Entry>,
    revision: u64,
}

impl MemoryRows {
    /// The entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entries.clone()
    }
}

impl NotedRows for MemoryRows {
    fn get(&self, table: Table, name: &[u8]) -> Result<Option<NotedRow>, RowsError> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = memory.rows.get(&(table, name.to_vec()));
        Ok(found.map(|(value, revision)| NotedRow { name: name.to_vec(), value: value.clone(), revision: *revision }))
    }

    fn scan(&self, table: Table, each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>) -> Result<(), RowsError> {
        let rows: Vec<NotedRow> = {
            let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut of_table = Vec::new();
            for ((of, name), (value, revision)) in &memory.rows {
                if *of == table {
                    of_table.push(NotedRow { name: name.clone(), value: value.clone(), revision: *revision });
                }
            }
            of_table
        };
        for row in rows {
            if each(row).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Committing<'_> {
        let result = check(&writes).and_then(|()| {
            let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for write in &writes {
                let now = memory.rows.get(&(write.table, write.name.clone())).map(|(_, revision)| *revision);
                let holds = match write.expect {
                    Expect::Anything => true,
                    Expect::Absent => now.is_none(),
                    Expect::Revision(revision) => now == Some(revision),
                };
                if !holds {
                    return Err(RowsError::Conflict);
                }
            }
            for write in writes {
                memory.revision += 1;
                let revision = memory.revision;
                match write.value {
                    Some(value) => memory.rows.insert((write.table, write.name), (value, revision)),
                    None => memory.rows.remove(&(write.table, write.name)),
                };
            }
            memory.entries.extend(entries);
            Ok(())
        });
        Box::pin(std::future::ready(result))
    }
}

/// Checks the bounds of a commit.
///
/// # Errors
/// The first bound that it goes beyond.
pub fn check(writes: &[RowWrite]) -> Result<(), RowsError> {
    if writes.len() > ROW_WRITES_MAX {
        return Err(RowsError::TooLarge { what: "a commit of rows", max: ROW_WRITES_MAX });
    }
    for write in writes {
        if write.name.len() > ROW_NAME_BYTES_MAX {
            return Err(RowsError::TooLarge { what: "a row's name", max: ROW_NAME_BYTES_MAX });
        }
        if write.value.as_ref().is_some_and(|value| value.len() > ROW_VALUE_BYTES_MAX) {
            return Err(RowsError::TooLarge { what: "a row", max: ROW_VALUE_BYTES_MAX });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, value: Option<&str>, expect: Expect) -> RowWrite {
        let value = value.map(|value| value.as_bytes().to_vec());
        RowWrite { table: Table::Accounts, name: name.as_bytes().to_vec(), value, expect }
    }

    fn now<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
        let waker = std::task::Waker::noop();
        match future.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => panic!("memory does not wait"),
        }
    }

    #[test]
    fn a_commit_is_whole_or_nothing() {
        let rows = MemoryRows::default();
        now(rows.commit(vec![write("a", Some("1"), Expect::Absent)], Vec::new())).unwrap();
        let first = rows.get(Table::Accounts, b"a").unwrap().unwrap();
        let both = vec![write("b", Some("2"), Expect::Absent), write("a", Some("3"), Expect::Absent)];
        assert!(matches!(now(rows.commit(both, Vec::new())), Err(RowsError::Conflict)));
        assert_eq!(rows.get(Table::Accounts, b"b").unwrap(), None);
        now(rows.commit(vec![write("a", Some("3"), Expect::Revision(first.revision))], Vec::new())).unwrap();
        let stale = vec![write("a", None, Expect::Revision(first.revision))];
        assert!(matches!(now(rows.commit(stale, Vec::new())), Err(RowsError::Conflict)));
        assert_eq!(rows.get(Table::Sessions, b"a").unwrap(), None, "tables are apart");
        let long = RowWrite { name: vec![0; ROW_NAME_BYTES_MAX + 1], ..write("a", None, Expect::Anything) };
        assert!(matches!(now(rows.commit(vec![long], Vec::new())), Err(RowsError::TooLarge { .. })));
        let mut seen = 0;
        rows.scan(Table::Accounts, &mut |row| {
            assert_eq!((row.name.as_slice(), row.value.as_slice()), (b"a".as_slice(), b"3".as_slice()));
            seen += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen, 1);
    }
}
