//! Launches from the record system: what is open there, behind an id that says nothing.

use crate::error::SmartError;
use crate::grant::{ContextRow, LaunchContext};
use crate::rows;
use crate::secret;
use crate::server::AuthorizationServer;
use serde::{Deserialize, Serialize};
use tacet_ledger::noted::{Expect, Table};

/// Longest text in a launch context, in bytes.
const TEXT_BYTES_MAX: usize = 2000;

/// Most other records in a launch context.
const CONTEXT_MAX: usize = 20;

/// A launch that a person starts.
#[derive(Clone, PartialEq, Debug)]
pub struct Launch {
    /// The account of who starts it: nobody else can use it.
    pub account: String,
    /// The client that is started, where only that one may use it.
    pub client: Option<String>,
    /// What is open. That the person may see these records is the caller's to check.
    pub context: LaunchContext,
}

/// A launch as its row has it (table `Codes`, `launch:` and its hash).
#[derive(Serialize, Deserialize)]
pub(crate) struct LaunchRow {
    pub(crate) account: String,
    pub(crate) client: Option<String>,
    pub(crate) context: ContextRow,
    pub(crate) expires_ms: i64,
}

/// The name of a launch's row.
pub(crate) fn launch_name(launch: &str) -> Vec<u8> {
    rows::by_secret("launch", launch)
}

impl AuthorizationServer {
    /// Makes the value of `launch` for an app that is started from the record system: short-lived, for one account, used once.
    ///
    /// # Errors
    /// A text of the context is too long; the rows'.
    pub async fn make_launch(&self, launch: &Launch) -> Result<String, SmartError> {
        let context = &launch.context;
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES_MAX);
        let others = serde_json::to_vec(&context.fhir_context).map_err(|_| SmartError::Damaged)?;
        if long(&context.intent)
            || long(&context.smart_style_url)
            || context.fhir_context.len() > CONTEXT_MAX
            || others.len() > CONTEXT_MAX * TEXT_BYTES_MAX
        {
            return Err(SmartError::Invalid(
                "the launch context is too large: name fewer records or shorten the texts",
            ));
        }
        let id = secret::make(self.rng.as_ref(), secret::LAUNCH);
        let row = LaunchRow {
            account: launch.account.clone(),
            client: launch.client.clone(),
            context: context.into(),
            expires_ms: self.now().plus_ms(self.settings.lifetimes.launch_ms).as_ms(),
        };
        let write = rows::put(Table::Codes, launch_name(&id), &row, Expect::Absent)?;
        self.rows.commit(vec![write], Vec::new()).await?;
        Ok(id)
    }

    /// The launch of this id, where this account and client may use it.
    pub(crate) fn launch(&self, id: &str, account: &str, client: &str) -> Result<Option<(LaunchRow, u64)>, SmartError> {
        if !secret::is_secret(id, secret::LAUNCH) {
            return Ok(None);
        }
        let found: Option<(LaunchRow, u64)> = self.rows.get(Table::Codes, &launch_name(id))?;
        let now_ms = self.now().as_ms();
        Ok(found.filter(|(row, _)| {
            now_ms < row.expires_ms && row.account == account && row.client.as_deref().is_none_or(|only| only == client)
        }))
    }
}
