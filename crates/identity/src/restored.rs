//! After a restore: whatever was given before the snapshot and used up or ended after it is valid again, and nobody knows which. So all of it ends.
//!
//! What this cannot do: accounts that were closed and passkeys that were removed after the snapshot are as they were before. Only people know those.

use crate::account::Account;
use crate::approval::Approval;
use crate::invitation::InvitationRow;
use crate::rows::{Row, decode, gone, put};
use crate::session::SessionRow;
use crate::{Actor, Identity, IdentityError};
use std::ops::ControlFlow;
use tacet_ledger::EventKind;
use tacet_ledger::noted::{Expect, NotedRow, ROW_WRITES_MAX, RowWrite, Table};
use tacet_ledger::people::BreakGlassRow;

/// What every invitation's row begins with.
const INVITATIONS: &[u8] = b"invitation/";

/// What came back with a restore and was ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EndedAfterRestore {
    /// Sessions.
    pub sessions: usize,
    /// Invitations that nobody had used at the snapshot.
    pub invitations: usize,
    /// Requests for a second person that waited for a decision, or were allowed and not used up.
    pub approvals: usize,
    /// Declarations of an emergency that had not ended.
    pub break_glass: usize,
    /// Accounts that are open, and stay so: what became of them after the snapshot is not known. One that cannot be read is still to be looked at, and counts.
    pub accounts_open: usize,
    /// Rows of all these that could not be read. An approval among them is taken away, as a later program might read it and find it open; the others let
    /// nobody in and stay for whoever looks into it.
    pub unreadable: usize,
}

impl Identity {
    /// Ends every session, invitation, approval and break-glass that a restore brought back. Whoever is at the machine does it, before anybody is served. Done
    /// again it ends what there is then. A row that cannot be read is passed over and counted: it must not keep a restore from its end.
    ///
    /// Sessions go as rows and not only by the time before which none counts: the clock of the machine that was lost may have been ahead.
    ///
    /// # Errors
    /// An actor who is not the machine itself; the store's.
    pub async fn end_after_restore(&self, actor: &Actor) -> Result<EndedAfterRestore, IdentityError> {
        if actor.account.is_some() {
            return Err(IdentityError::Role(actor.role));
        }
        self.end_all_sessions(actor).await?;
        let now = self.now();
        let (mut ended, mut writes) = (EndedAfterRestore::default(), Vec::new());
        for NotedRow { name, .. } in self.readable(Table::Sessions, &mut ended)? {
            ended.sessions += 1;
            writes.push(gone::<SessionRow>(&name, Expect::Anything));
        }
        for NotedRow { name, .. } in self.readable(InvitationRow::TABLE, &mut ended)? {
            if name.starts_with(INVITATIONS) {
                ended.invitations += 1;
                writes.push(gone::<InvitationRow>(&name, Expect::Anything));
            }
        }
        for NotedRow { name, value, revision } in self.readable(Approval::TABLE, &mut ended)? {
            let Ok(mut row) = decode::<Approval>(&value) else {
                ended.unreadable += 1;
                writes.push(gone::<Approval>(&name, Expect::Revision(revision)));
                continue;
            };
            if matches!(row.standing(now), "pending" | "allowed") {
                ended.approvals += 1;
                row.withdrawn_ms = Some(now.as_ms());
                writes.push(put(&name, &row, Expect::Revision(revision))?);
            }
        }
        for NotedRow { name, value, revision } in self.readable(Table::BreakGlass, &mut ended)? {
            let Ok(mut row) = BreakGlassRow::decode(&value) else {
                ended.unreadable += 1;
                continue;
            };
            if row.ended_ms.is_none() && row.until_ms > now.as_ms() {
                ended.break_glass += 1;
                row.ended_ms = Some(now.as_ms());
                let (value, expect) = (Some(row.encode()?), Expect::Revision(revision));
                writes.push(RowWrite { table: Table::BreakGlass, name, value, expect });
            }
        }
        for NotedRow { value, .. } in self.readable(Account::TABLE, &mut ended)? {
            let account = decode::<Account>(&value);
            ended.unreadable += usize::from(account.is_err());
            ended.accounts_open += usize::from(account.map_or(true, |account| account.usable(now)));
        }
        let EndedAfterRestore { sessions, invitations, approvals, break_glass, unreadable, .. } = ended;
        let mut detail = format!(
            "ended after a restore: {sessions} sessions, {invitations} invitations, {approvals} open approvals, {break_glass} open break-glasses"
        );
        if unreadable > 0 {
            detail += &format!(
                "; {unreadable} rows of these and of accounts could not be read, approvals among them were taken away"
            );
        }
        // The entry last: where it stands, all of it was done.
        for some in writes.chunks(ROW_WRITES_MAX) {
            self.commit(some.to_vec(), Vec::new()).await?;
        }
        self.commit(Vec::new(), vec![actor.entry(now, EventKind::RightsChange, detail)]).await?;
        Ok(ended)
    }

    /// The rows of a table that open; those that do not are counted.
    fn readable(&self, table: Table, ended: &mut EndedAfterRestore) -> Result<Vec<NotedRow>, IdentityError> {
        let mut rows = Vec::new();
        let unreadable = self.rows.scan_readable(table, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        ended.unreadable += usize::try_from(unreadable).unwrap_or(usize::MAX);
        Ok(rows)
    }
}
