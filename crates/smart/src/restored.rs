//! After a restore: what was given to apps before the snapshot and taken back after it is valid again, and nobody knows which. So all of it ends.
//!
//! Clients stay registered as they were: one that was revoked after the snapshot is approved again, which only people know.

use crate::client::{Client, ClientState};
use crate::error::SmartError;
use crate::person::{Asked, entry};
use crate::rows;
use std::ops::ControlFlow;
use tacet_ledger::noted::{Expect, NotedRows, ROW_WRITES_MAX, Table};
use tacet_ledger::{EventKind, Outcome};
use tacet_types::Timestamp;

/// What came back with a restore and was ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EndedAfterRestore {
    /// What people had given to apps, with the refresh tokens that go with it.
    pub grants: usize,
    /// Access tokens.
    pub access_tokens: usize,
    /// Codes, launches, questions for consent and logins elsewhere that were under way.
    pub under_way: usize,
    /// Clients that are in use, and stay so: whether one was revoked after the snapshot is not known.
    pub clients_in_use: usize,
}

/// Ends everything that any app was given, and every step towards it. Needs no server: it is done before there is one. The rows go, so that no clock that was
/// ahead saves one.
///
/// # Errors
/// The rows'.
pub async fn end_after_restore(
    rows: &dyn NotedRows,
    now: Timestamp,
    by: &str,
    asked: Asked,
) -> Result<EndedAfterRestore, SmartError> {
    let mut ended = EndedAfterRestore::default();
    let mut writes = Vec::new();
    let mut take = |table: Table, prefix: &[u8], count: &mut usize| {
        let scanned = rows.scan_readable(table, &mut |row| {
            if row.name.starts_with(prefix) {
                *count += 1;
                writes.push(rows::remove(table, row.name, Expect::Anything));
            }
            ControlFlow::Continue(())
        });
        scanned.map(|_| ()).map_err(SmartError::from)
    };
    take(Table::Refresh, b"family:", &mut ended.grants)?;
    take(Table::AccessTokens, b"", &mut ended.access_tokens)?;
    take(Table::Codes, b"", &mut ended.under_way)?;
    take(Table::Foreign, b"login:", &mut ended.under_way)?;
    rows.scan_readable(Table::Clients, &mut |row| {
        if row.name.starts_with(b"client:") {
            // One that cannot be read is of no use to anybody, is still to be looked at, and must not keep a restore from its end.
            let client = serde_json::from_slice::<Client>(&row.value);
            ended.clients_in_use += usize::from(client.map_or(true, |client| client.state == ClientState::Active));
        }
        ControlFlow::Continue(())
    })?;
    for some in writes.chunks(ROW_WRITES_MAX) {
        rows.commit(some.to_vec(), Vec::new()).await?;
    }
    let EndedAfterRestore { grants, access_tokens, under_way, .. } = ended;
    let detail = format!(
        "ended after a restore: {grants} grants to apps, {access_tokens} access tokens, {under_way} codes and launches"
    );
    let note = entry(now, EventKind::TokenRevoked, (by, "operator"), asked, Outcome::Success, detail);
    rows.commit(Vec::new(), vec![note]).await?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientProof;
    use crate::hostile::{asked, doctor, world};
    use crate::launch::Launch;

    #[tokio::test]
    async fn nothing_that_an_app_was_given_is_left_and_it_can_be_given_anew() {
        let world = world().await;
        let app = world.app().await;
        let answer = world.tokens(&app).await;
        let code = world.code(&app, &doctor(&world), &[]).await;
        let launch = Launch { account: "aubrac".to_owned(), client: None, context: crate::LaunchContext::default() };
        world.server.make_launch(&launch).await.unwrap();
        let family = world.access(&answer.access_token).unwrap().family.unwrap();
        // The clock of the machine that was lost was ahead of this one's.
        let now = tacet_types::Clock::now(world.clock.as_ref()).plus_ms(-86_400_000);
        let rows = std::sync::Arc::clone(&world.server.rows.0);
        let ended = end_after_restore(rows.as_ref(), now, "operator", asked()).await.unwrap();
        assert_eq!((ended.grants, ended.access_tokens, ended.clients_in_use), (1, 1, 1));
        assert!(ended.under_way >= 2, "{ended:?}");
        assert!(world.access(&answer.access_token).is_err());
        assert!(world.server.standing(&family).unwrap().is_none());
        assert!(world.exchange(&app, &code, &[], ClientProof::default()).await.is_err());
        let form =
            format!("grant_type=refresh_token&refresh_token={}&client_id={}", answer.refresh_token.unwrap(), app.id);
        let request = crate::TokenRequest { form: &form, proof: ClientProof::default() };
        assert!(world.server.token(&request, asked()).await.is_err());
        let again = end_after_restore(rows.as_ref(), now, "operator", asked()).await.unwrap();
        assert_eq!(again, EndedAfterRestore { clients_in_use: 1, ..EndedAfterRestore::default() });
        assert!(world.access(&world.tokens(&app).await.access_token).is_ok(), "the app is still registered");
    }
}
