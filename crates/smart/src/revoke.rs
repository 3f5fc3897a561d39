//! What was given is taken back, or asked about.

use crate::client_auth::ClientProof;
use crate::error::{ErrorCode, SmartError};
use crate::grant::{Cut, account_cut, family_name, noted, session_cut};
use crate::params::Params;
use crate::person::{Asked, entry};
use crate::rows::{self, TRIES_MAX};
use crate::scopes::{Scope, ScopeSet};
use crate::secret;
use crate::server::AuthorizationServer;
use crate::token::family_of;
use serde_json::{Value, json};
use tacet_ledger::noted::{Expect, RowsError, Table};
use tacet_ledger::{EventKind, Outcome};

impl AuthorizationServer {
    /// A client gives a token back (RFC 7009). Well done also where there is no such token, or it is another client's: nothing is told about it.
    ///
    /// # Errors
    /// The client is not who it says, or names no token; the rows'.
    pub async fn revoke(&self, form: &str, proof: &ClientProof<'_>, asked: Asked) -> Result<(), SmartError> {
        let params = Params::parse(form)?;
        let who = self.authenticate(&params, proof).await?;
        let token = params.need("token", "`token` is missing")?;
        if let Some(id) = family_of(token) {
            let Some((family, _)) = self.family(id)? else { return Ok(()) };
            if family.client == who.client.id {
                // Whichever of the family's tokens it is, the family ends: who gives an old one back means the grant.
                self.end_family(id, "given back by the client", asked).await?;
            }
        } else if secret::is_secret(token, secret::ACCESS)
            && let Some((row, grant)) = self.live(token)?
            && row.client == who.client.id
        {
            let now = self.now();
            let person = (grant.account.as_str(), grant.role.as_str());
            let detail = format!("client {}: an access token, given back", row.client);
            let mut note = entry(now, EventKind::TokenRevoked, person, asked, Outcome::Success, detail);
            note.session = grant.person.as_ref().and_then(|person| person.session.clone());
            note.account = grant.person.map(|person| person.account);
            let write = rows::remove(Table::AccessTokens, rows::by_secret("at", token), Expect::Anything);
            self.rows.commit(vec![write], vec![note]).await?;
        }
        Ok(())
    }

    /// A client asks what a token is (RFC 7662). About its own tokens, or about all where it was approved for that. Else the answer is that of a token that does not stand.
    ///
    /// # Errors
    /// The client is not who it says, or proves nothing; the rows'.
    pub async fn introspect(&self, form: &str, proof: &ClientProof<'_>) -> Result<Value, SmartError> {
        let params = Params::parse(form)?;
        let who = self.authenticate(&params, proof).await?;
        if !who.proven {
            let what = "only a client that proves itself may ask about tokens";
            return Err(SmartError::refuse(ErrorCode::InvalidClient, what));
        }
        let token = params.need("token", "`token` is missing")?;
        let inactive = Ok(json!({ "active": false }));
        if !secret::is_secret(token, secret::ACCESS) {
            return inactive;
        }
        let Some((row, grant)) = self.live(token)? else { return inactive };
        if row.client != who.client.id && !who.client.may_introspect {
            return inactive;
        }
        let mut answer = json!({
            "active": true,
            "iss": self.settings.issuer,
            "aud": self.settings.audiences,
            "client_id": row.client,
            "sub": grant.account,
            "scope": row.scope,
            "iat": row.issued_ms.div_euclid(1000),
            "exp": row.expires_ms.div_euclid(1000),
            "token_type": if row.jkt.is_some() { "DPoP" } else { "Bearer" },
        });
        let mut confirmation = json!({});
        for (name, value) in [("jkt", &row.jkt), ("x5t#S256", &row.x5t)] {
            if let (Some(members), Some(value)) = (confirmation.as_object_mut(), value) {
                members.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(members) = answer.as_object_mut() {
            // Who it is is told to who may know it by the token's own scopes, and to nobody else.
            let scopes = ScopeSet::parse(&row.scope).unwrap_or_default();
            let user = grant.person.as_ref().and_then(|person| person.fhir_user.as_ref());
            let user = user.filter(|_| scopes.has(&Scope::FhirUser));
            let mut put = |name: &str, value: Option<Value>| {
                members.extend(value.map(|value| (name.to_owned(), value)));
            };
            put("cnf", (confirmation != json!({})).then_some(confirmation));
            put("patient", grant.patient.map(|id| json!(id.as_str())));
            put("encounter", grant.encounter.map(|id| json!(id.as_str())));
            put("fhirUser", user.map(|user| json!(self.settings.absolute(user))));
            put("acr", grant.acr.map(|acr| json!(acr)));
            put("auth_time", grant.auth_time.map(|at| json!(at.as_ms().div_euclid(1000))));
        }
        Ok(answer)
    }

    /// Takes back all that an account gave, to whatever client: its role changed, it was closed, its device was stolen.
    ///
    /// # Errors
    /// The rows'.
    pub async fn revoke_account(&self, account: &str, by: &str, asked: Asked) -> Result<(), SmartError> {
        let detail = format!("all that account {account} gave to clients");
        self.cut(account_cut(account), true, by, detail, asked).await
    }

    /// Takes back what was given in a session. `offline`: also what was to outlive it, for a session that was stolen; not so for a person who just leaves.
    ///
    /// # Errors
    /// The rows'.
    pub async fn revoke_session(&self, session: &str, offline: bool, by: &str, asked: Asked) -> Result<(), SmartError> {
        self.cut(session_cut(session), offline, by, "what a session gave to clients".to_owned(), asked).await
    }

    async fn cut(
        &self,
        name: Vec<u8>,
        offline: bool,
        by: &str,
        detail: String,
        asked: Asked,
    ) -> Result<(), SmartError> {
        let now = self.now();
        let detail = crate::consent::shortened(detail);
        for _ in 0..TRIES_MAX {
            let known: Option<(Cut, u64)> = self.rows.get(Table::Refresh, &name)?;
            let expect = known.map_or(Expect::Absent, |(_, revision)| Expect::Revision(revision));
            let offline = offline || known.is_some_and(|(cut, _)| cut.offline);
            let write = rows::put(Table::Refresh, name.clone(), &Cut { at_ms: now.as_ms(), offline }, expect)?;
            let note = entry(now, EventKind::TokenRevoked, (by, "revoker"), asked, Outcome::Success, detail.clone());
            match self.rows.commit(vec![write], vec![note]).await {
                Err(RowsError::Conflict) => {}
                other => return Ok(other?),
            }
        }
        Err(RowsError::Conflict.into())
    }

    /// Ends a family: none of its tokens works from here on.
    pub(crate) async fn end_family(&self, id: &str, why: &str, asked: Asked) -> Result<(), SmartError> {
        let now = self.now();
        for _ in 0..TRIES_MAX {
            let Some((mut family, revision)) = self.family(id)? else { return Ok(()) };
            if family.revoked_ms.is_some() {
                return Ok(());
            }
            family.revoked_ms = Some(now.as_ms());
            family.refresh = None;
            let detail = format!("client {}, grant {}: {why}", family.client, noted(id));
            let note = family.holder.entry(now, EventKind::TokenRevoked, asked, Outcome::Success, detail);
            let write = rows::put(Table::Refresh, family_name(id), &family, Expect::Revision(revision))?;
            match self.rows.commit(vec![write], vec![note]).await {
                Err(RowsError::Conflict) => {}
                other => return Ok(other?),
            }
        }
        Err(RowsError::Conflict.into())
    }
}
