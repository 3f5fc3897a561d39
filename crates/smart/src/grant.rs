//! What somebody gave to a client: one family of codes and tokens, that stands and falls together.

use crate::client::{Client, ClientState};
use crate::error::SmartError;
use crate::person::Holder;
use crate::rows;
use crate::server::AuthorizationServer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tacet_ledger::noted::Table;
use tacet_types::ResourceId;

/// What is open where an app is launched (SMART App Launch 2.2, "Scopes and Launch Context").
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LaunchContext {
    /// The patient.
    pub patient: Option<ResourceId>,
    /// The encounter.
    pub encounter: Option<ResourceId>,
    /// What the app is to do.
    pub intent: Option<String>,
    /// Whether the app must show whose record it is.
    pub need_patient_banner: Option<bool>,
    /// Where the look of the record system is described.
    pub smart_style_url: Option<String>,
    /// Other records that are open, as `fhirContext` has them: references and roles. At most 20.
    pub fhir_context: Vec<Value>,
}

/// [`LaunchContext`] as it is written into rows.
#[derive(Clone, Serialize, Deserialize, Default)]
pub(crate) struct ContextRow {
    patient: Option<String>,
    encounter: Option<String>,
    intent: Option<String>,
    need_patient_banner: Option<bool>,
    smart_style_url: Option<String>,
    #[serde(default)]
    fhir_context: Vec<Value>,
}

impl From<&LaunchContext> for ContextRow {
    fn from(context: &LaunchContext) -> Self {
        let text = |id: &ResourceId| id.as_str().to_owned();
        Self {
            patient: context.patient.as_ref().map(text),
            encounter: context.encounter.as_ref().map(text),
            intent: context.intent.clone(),
            need_patient_banner: context.need_patient_banner,
            smart_style_url: context.smart_style_url.clone(),
            fhir_context: context.fhir_context.clone(),
        }
    }
}

impl ContextRow {
    pub(crate) fn context(&self) -> Result<LaunchContext, SmartError> {
        let id = |text: &Option<String>| match text {
            Some(text) => ResourceId::parse(text).map(Some).map_err(|_| SmartError::Damaged),
            None => Ok(None),
        };
        Ok(LaunchContext {
            patient: id(&self.patient)?,
            encounter: id(&self.encounter)?,
            intent: self.intent.clone(),
            need_patient_banner: self.need_patient_banner,
            smart_style_url: self.smart_style_url.clone(),
            fhir_context: self.fhir_context.clone(),
        })
    }
}

/// The family (table `Refresh`, `family:` and its id).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Family {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) holder: Holder,
    pub(crate) granted_ms: i64,
    pub(crate) expires_ms: i64,
    pub(crate) revoked_ms: Option<i64>,
    /// All that was approved.
    pub(crate) scope: String,
    /// Whether it outlives the session.
    pub(crate) offline: bool,
    pub(crate) context: ContextRow,
    pub(crate) nonce: Option<String>,
    /// Thumbprint of the key that its tokens are bound to.
    pub(crate) jkt: Option<String>,
    /// Thumbprint of the certificate that its tokens are bound to.
    pub(crate) x5t: Option<String>,
    /// SHA-256 of the one refresh token that works now, hexadecimal.
    pub(crate) refresh: Option<String>,
}

/// A code (table `Codes`, `code:` and its hash).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CodeRow {
    pub(crate) family: Family,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    /// The key that the client said it would prove (RFC 9449, section 10).
    pub(crate) dpop_jkt: Option<String>,
    pub(crate) expires_ms: i64,
    pub(crate) used: bool,
}

/// An access token (table `AccessTokens`, `at:` and its hash).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccessRow {
    pub(crate) client: String,
    /// None: the client's own.
    pub(crate) family: Option<String>,
    pub(crate) issued_ms: i64,
    pub(crate) expires_ms: i64,
    pub(crate) scope: String,
    pub(crate) jkt: Option<String>,
    pub(crate) x5t: Option<String>,
}

/// A line that says: nothing given before then works (table `Refresh`, `cut:` and what it is about).
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub(crate) at_ms: i64,
    /// Whether it concerns what outlives a session too.
    pub(crate) offline: bool,
}

/// The part of a family's id that entries name. Not the whole: who has that can make something that looks like an old refresh token of the
/// family, and end it.
pub(crate) fn noted(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The name of a family's row.
pub(crate) fn family_name(id: &str) -> Vec<u8> {
    rows::by_id("family", id)
}

/// The name of an account's line.
pub(crate) fn account_cut(account: &str) -> Vec<u8> {
    rows::by_secret("cut:account", account)
}

/// The name of a session's line.
pub(crate) fn session_cut(session: &str) -> Vec<u8> {
    rows::by_secret("cut:session", session)
}

impl AuthorizationServer {
    /// The family of this id, and its revision.
    pub(crate) fn family(&self, id: &str) -> Result<Option<(Family, u64)>, SmartError> {
        self.rows.get(Table::Refresh, &family_name(id))
    }

    /// Whether what was given then to this client stands.
    pub(crate) fn client_stands(client: &Client, given_ms: i64) -> bool {
        client.state == ClientState::Active && client.cut_ms.is_none_or(|cut_ms| given_ms > cut_ms)
    }

    /// Whether a family stands: not ended, not revoked, and nothing it hangs on was.
    pub(crate) fn stands(&self, family: &Family, client: &Client) -> Result<bool, SmartError> {
        if family.revoked_ms.is_some()
            || self.now().as_ms() >= family.expires_ms
            || !Self::client_stands(client, family.granted_ms)
        {
            return Ok(false);
        }
        let cut = |name: Vec<u8>| self.rows.get::<Cut>(Table::Refresh, &name);
        if cut(account_cut(&family.holder.account))?.is_some_and(|(cut, _)| family.granted_ms <= cut.at_ms) {
            return Ok(false);
        }
        // A session that was ended gives nothing any more, whenever it was given.
        let of_session = family.holder.session.as_deref().map(session_cut).map(cut).transpose()?.flatten();
        Ok(of_session.is_none_or(|(cut, _)| family.offline && !cut.offline))
    }
}
