//! What has ended is forgotten.

use crate::authorize::TicketRow;
use crate::client::{Client, ClientState};
use crate::error::SmartError;
use crate::grant::{AccessRow, CodeRow, Cut, Family};
use crate::launch::LaunchRow;
use crate::rows;
use crate::server::AuthorizationServer;
use crate::settings::{PENDING_MS, USED_CODE_MS};
use tacet_ledger::noted::{Expect, ROW_WRITES_MAX, RowWrite, RowsError, Table};

/// How many rows one sweep removes at most: the rest waits for the next.
const SWEEP_MAX: usize = ROW_WRITES_MAX;

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Rows that went.
    pub removed: usize,
    /// Whether there are more to remove: sweep again soon.
    pub more: bool,
}

impl AuthorizationServer {
    /// Removes what has ended: codes, tokens, launches, pages, used ids, registrations that nobody approved. Nothing depends on it for being refused in time;
    /// it only gives room back. To be called every few minutes.
    ///
    /// # Errors
    /// The rows'.
    pub async fn sweep(&self) -> Result<Swept, SmartError> {
        let now_ms = self.now().as_ms();
        let mut ended: Vec<RowWrite> = Vec::new();
        let mut go = |table: Table, name: Vec<u8>, revision: u64, gone: bool| {
            if gone && ended.len() <= SWEEP_MAX {
                ended.push(rows::remove(table, name, Expect::Revision(revision)));
            }
        };
        self.rows.each(Table::Codes, "code", |name, row: CodeRow, revision| {
            go(Table::Codes, name, revision, now_ms >= row.expires_ms + if row.used { USED_CODE_MS } else { 0 });
        })?;
        self.rows.each(Table::Codes, "ticket", |name, row: TicketRow, revision| {
            go(Table::Codes, name, revision, now_ms >= row.expires_ms);
        })?;
        self.rows.each(Table::Codes, "launch", |name, row: LaunchRow, revision| {
            go(Table::Codes, name, revision, now_ms >= row.expires_ms);
        })?;
        self.rows.each(Table::AccessTokens, "at", |name, row: AccessRow, revision| {
            go(Table::AccessTokens, name, revision, now_ms >= row.expires_ms);
        })?;
        self.rows.each(Table::Refresh, "family", |name, row: Family, revision| {
            go(Table::Refresh, name, revision, now_ms >= row.expires_ms);
        })?;
        // A line across an account or a session stands for as long as anything given before it could live.
        let longest_ms = self.settings.lifetimes.offline_ms + USED_CODE_MS;
        self.rows.each(Table::Refresh, "cut", |name, row: Cut, revision| {
            go(Table::Refresh, name, revision, now_ms >= row.at_ms + longest_ms);
        })?;
        self.rows.each(Table::Used, "jti", |name, until_s: i64, revision| {
            go(Table::Used, name, revision, now_ms / 1000 > until_s);
        })?;
        self.rows.each(Table::Clients, "client", |name, row: Client, revision| {
            let waited = row.state == ClientState::Pending && now_ms >= row.created_ms + PENDING_MS;
            go(Table::Clients, name, revision, waited);
        })?;
        self.rows.each(Table::Foreign, "login", |name, row: crate::foreign::LoginRow, revision| {
            go(Table::Foreign, name, revision, now_ms >= row.expires_ms);
        })?;
        self.rows.each(Table::Foreign, "logout", |name, row: crate::foreign::HintRow, revision| {
            go(Table::Foreign, name, revision, now_ms >= row.expires_ms);
        })?;
        let more = ended.len() > SWEEP_MAX;
        ended.truncate(SWEEP_MAX);
        let removed = ended.len();
        if removed == 0 {
            return Ok(Swept::default());
        }
        match self.rows.commit(ended, Vec::new()).await {
            // Something was used just now: the next sweep finds the rest.
            Err(RowsError::Conflict) => Ok(Swept { removed: 0, more: true }),
            other => {
                other?;
                Ok(Swept { removed, more })
            }
        }
    }
}
