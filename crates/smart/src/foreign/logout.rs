//! Logging out at the provider too (OpenID Connect RP-Initiated Logout 1.0): else whoever sits down next at a shared machine is let in by the session that the
//! person still has there.

use super::{ForeignError, ForeignLogin, ForeignLogins};
use crate::error::SmartError;
use crate::redirect;
use crate::rows;
use serde::{Deserialize, Serialize};
use tacet_ledger::noted::{Expect, RowsError, Table};
use tacet_types::Timestamp;

/// By what a provider knows whom to log out (table `Foreign`, `logout:` and the short id of the session here).
#[derive(Serialize, Deserialize)]
pub(crate) struct HintRow {
    provider: String,
    id_token: String,
    pub(crate) expires_ms: i64,
}

impl ForeignLogins {
    /// Keeps by what the person can be logged out at the provider, until the session ends that was begun here by that login.
    ///
    /// # Errors
    /// The rows'.
    pub async fn keep_for_logout(
        &self,
        session: &str,
        login: &ForeignLogin,
        until: Timestamp,
    ) -> Result<(), ForeignError> {
        if self.provider(&login.provider)?.logged_out_uri.is_empty() {
            return Ok(());
        }
        let id_token = login.id_token.reveal().clone();
        let row = HintRow { provider: login.provider.clone(), id_token, expires_ms: until.as_ms() };
        let write = rows::put(Table::Foreign, rows::by_id("logout", session), &row, Expect::Anything)?;
        Ok(self.rows.commit(vec![write], Vec::new()).await.map_err(SmartError::from)?)
    }

    /// Where the person is to be sent to be logged out at the provider, too, where the session was begun there and the provider offers it. Once.
    ///
    /// # Errors
    /// The rows'. A provider that cannot be asked is none: the session here ends all the same.
    pub async fn logout(&self, session: &str) -> Result<Option<String>, ForeignError> {
        let name = rows::by_id("logout", session);
        let Some((row, revision)) = self.rows.get::<HintRow>(Table::Foreign, &name)? else { return Ok(None) };
        let used = rows::remove(Table::Foreign, name, Expect::Revision(revision));
        match self.rows.commit(vec![used], Vec::new()).await {
            Err(RowsError::Conflict) => return Ok(None),
            other => other.map_err(SmartError::from)?,
        }
        let Ok(provider) = self.provider(&row.provider) else { return Ok(None) };
        let Ok(known) = self.known(provider).await else { return Ok(None) };
        let params = [
            ("id_token_hint", row.id_token.as_str()),
            ("client_id", &provider.client_id),
            ("post_logout_redirect_uri", &provider.logged_out_uri),
        ];
        Ok(known.metadata.end_session_endpoint.map(|endpoint| redirect::with(&endpoint, &params)))
    }
}
