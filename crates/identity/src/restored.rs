//! After a restore: whatever was given before the snapshot and used up or ended after it is valid again, and nobody knows which. So all of it ends.
//!
//! What this cannot do: accounts that were closed and passkeys that were removed after the snapshot are as they were before. Only people know those.

use crate::approval::Approval;
use crate::invitation::InvitationRow;
use crate::rows::{Kept, Row, each, gone, put};
use crate::session::SessionRow;
use crate::{Actor, Identity, IdentityError};
use std::ops::ControlFlow;
use tacet_ledger::EventKind;
use tacet_ledger::noted::{Expect, ROW_WRITES_MAX, RowWrite, Table};

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
}

impl Identity {
    /// Ends every session, invitation, approval and break-glass that a restore brought back. Whoever is at the machine does it, before anybody is served. Done
    /// again it ends what there is then.
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
        for name in self.names_in(Table::Sessions)? {
            ended.sessions += 1;
            writes.push(gone::<SessionRow>(&name, Expect::Anything));
        }
        for name in self.names_in(InvitationRow::TABLE)? {
            if name.starts_with(INVITATIONS) {
                ended.invitations += 1;
                writes.push(gone::<InvitationRow>(&name, Expect::Anything));
            }
        }
        let mut open: Vec<Kept<Approval>> = Vec::new();
        each(self.rows.as_ref(), &mut |_, kept: Kept<Approval>| {
            if matches!(kept.row.standing(now), "pending" | "allowed") {
                open.push(kept);
            }
        })?;
        for Kept { mut row, revision } in open {
            ended.approvals += 1;
            row.withdrawn_ms = Some(now.as_ms());
            writes.push(put(row.id.as_str().as_bytes(), &row, Expect::Revision(revision))?);
        }
        let mut declared = Vec::new();
        self.each_break_glass(&mut |row, revision| {
            if row.ended_ms.is_none() && row.until_ms > now.as_ms() {
                declared.push((row, revision));
            }
        })?;
        for (mut row, revision) in declared {
            ended.break_glass += 1;
            row.ended_ms = Some(now.as_ms());
            writes.push(RowWrite {
                table: Table::BreakGlass,
                name: row.id.clone().into_bytes(),
                value: Some(row.encode()?),
                expect: Expect::Revision(revision),
            });
        }
        let EndedAfterRestore { sessions, invitations, approvals, break_glass } = ended;
        let detail = format!(
            "ended after a restore: {sessions} sessions, {invitations} invitations, {approvals} open approvals, {break_glass} open break-glasses"
        );
        // The entry last: where it stands, all of it was done.
        for some in writes.chunks(ROW_WRITES_MAX) {
            self.commit(some.to_vec(), Vec::new()).await?;
        }
        self.commit(Vec::new(), vec![actor.entry(now, EventKind::RightsChange, detail)]).await?;
        Ok(ended)
    }

    fn names_in(&self, table: Table) -> Result<Vec<Vec<u8>>, IdentityError> {
        let mut names = Vec::new();
        self.rows.scan(table, &mut |row| {
            names.push(row.name);
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }
}
