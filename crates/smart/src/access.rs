//! At the resource: what an access token stands for, now.

use crate::client::Client;
use crate::error::{ErrorCode, OAuthError, SmartError};
use crate::grant::AccessRow;
use crate::person::Person;
use crate::rows;
use crate::secret;
use crate::server::AuthorizationServer;
use std::fmt;
use tacet_ledger::noted::Table;
use tacet_types::{ResourceId, Role, Timestamp};

/// How the token was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// `Authorization: Bearer`
    Bearer,
    /// `Authorization: DPoP`
    Dpop,
}

/// A token as it was shown with a request.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The token.
    pub token: &'a str,
    /// The scheme of the header.
    pub scheme: Scheme,
    /// The header `DPoP`.
    pub dpop: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The absolute address, as the client wrote it. The query does not count.
    pub url: &'a str,
    /// SHA-256 of the client certificate's DER, base64url without padding, where TLS checked it.
    pub certificate: Option<&'a str>,
}

/// What a token gives.
#[derive(Clone, PartialEq)]
pub struct AccessGrant {
    /// The client's id.
    pub client: String,
    /// Its name, for the ledger's `on behalf of`.
    pub client_name: String,
    /// The account: a person's, or `client:` and the id where the client acts for itself.
    pub account: String,
    /// The role: the person's as it was when they gave this, or integrator.
    pub role: Role,
    /// The person. None where the client acts for itself.
    pub person: Option<Person>,
    /// The patient in context: what `patient/` scopes are about.
    pub patient: Option<ResourceId>,
    /// The encounter in context.
    pub encounter: Option<ResourceId>,
    /// What is allowed, for `tacet_policy::scope`.
    pub scopes: String,
    /// Whether what the person gave outlives their session. Where not, the caller sees to it that the session stands: here only ends are known that
    /// were told by [`AuthorizationServer::revoke_session`].
    pub offline: bool,
    /// When the person gave it; when the token was made, where the client acts for itself.
    pub granted: Timestamp,
    /// What it hangs on, for [`AuthorizationServer::standing`]: refreshed, it is the same. None where the client acts for itself. Not for the ledger: who
    /// knows it can end it.
    pub family: Option<String>,
    /// When the person logged in. None where the client acts for itself.
    pub auth_time: Option<Timestamp>,
    /// How the person logged in.
    pub acr: Option<String>,
    /// Thumbprint of the key that the token is bound to (`cnf.jkt`).
    pub jkt: Option<String>,
    /// Thumbprint of the certificate that the token is bound to (`cnf.x5t#S256`).
    pub x5t: Option<String>,
    /// When it ends.
    pub expires: Timestamp,
    /// A short id of the token for the ledger: not the token, and of no use to who has it.
    pub token_id: String,
}

impl fmt::Debug for AccessGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessGrant({}, token {}, ..)", self.role, self.token_id)
    }
}

fn refuse<T>(what: &'static str) -> Result<T, SmartError> {
    Err(SmartError::refuse(ErrorCode::InvalidToken, what))
}

impl AuthorizationServer {
    /// What a token allows at this moment. Everything that was revoked until now is known here.
    ///
    /// # Errors
    /// `invalid_token`, `invalid_dpop_proof` or `use_dpop_nonce`, each a 401 with [`OAuthError::challenge`]; the rows'.
    pub fn access(&self, shown: &Shown<'_>) -> Result<AccessGrant, SmartError> {
        const WRONG: &str = "the access token is not valid or has ended";
        if !secret::is_secret(shown.token, secret::ACCESS) {
            return refuse(WRONG);
        }
        let Some((row, grant)) = self.live(shown.token)? else { return refuse(WRONG) };
        match (&row.jkt, shown.scheme) {
            (None, Scheme::Bearer) => {}
            // A bound token without proof, or a bearer token dressed as bound one: RFC 9449, section 7.1 and 7.2.
            (Some(_), Scheme::Bearer) => return refuse("this token is bound to a key: use the scheme DPoP"),
            (None, Scheme::Dpop) => return refuse("this token is not bound to a key"),
            (Some(jkt), Scheme::Dpop) => {
                let Some(proof) = shown.dpop else {
                    return Err(OAuthError::new(ErrorCode::InvalidDpopProof, "the header DPoP is missing").into());
                };
                let key = self.check_proof(proof, shown.method, shown.url, Some(shown.token))?;
                if !secret::same(&key, jkt) {
                    return refuse("this token is bound to another key");
                }
            }
        }
        if let Some(x5t) = &row.x5t
            && !shown.certificate.is_some_and(|certificate| secret::same(certificate, x5t))
        {
            return refuse("this token is bound to another certificate");
        }
        Ok(grant)
    }

    /// What a token stands for, if it stands, without a look at what it is bound to.
    pub(crate) fn live(&self, token: &str) -> Result<Option<(AccessRow, AccessGrant)>, SmartError> {
        let found: Option<(AccessRow, u64)> = self.rows.get(Table::AccessTokens, &rows::by_secret("at", token))?;
        let now_ms = self.now().as_ms();
        let Some((row, _)) = found.filter(|(row, _)| now_ms < row.expires_ms) else { return Ok(None) };
        let Some(client) = self.client(&row.client)? else { return Ok(None) };
        if !Self::client_stands(&client, row.issued_ms) {
            return Ok(None);
        }
        let grant = self.grant(&row, &client, token)?;
        Ok(grant.map(|grant| (row, grant)))
    }

    fn grant(&self, row: &AccessRow, client: &Client, token: &str) -> Result<Option<AccessGrant>, SmartError> {
        let mut grant = AccessGrant {
            client: client.id.clone(),
            client_name: client.name().to_owned(),
            account: client.owner(),
            role: Role::Integrator,
            person: None,
            patient: None,
            encounter: None,
            scopes: row.scope.clone(),
            offline: false,
            granted: Timestamp::from_ms(row.issued_ms),
            family: row.family.clone(),
            auth_time: None,
            acr: None,
            jkt: row.jkt.clone(),
            x5t: row.x5t.clone(),
            expires: Timestamp::from_ms(row.expires_ms),
            token_id: secret::hex(secret::sha256(token.as_bytes()).get(..4).unwrap_or_default()),
        };
        let Some(id) = &row.family else { return Ok(Some(grant)) };
        let Some((family, _)) = self.family(id)? else { return Ok(None) };
        if !self.stands(&family, client)? {
            return Ok(None);
        }
        let person = family.holder.person().ok_or(SmartError::Damaged)?;
        let context = family.context.context()?;
        grant.account.clone_from(&person.account);
        grant.role = person.role;
        (grant.offline, grant.granted) = (family.offline, Timestamp::from_ms(family.granted_ms));
        grant.auth_time = Some(person.auth_time);
        grant.acr = Some(person.acr.clone());
        grant.person = Some(person);
        grant.patient = context.patient;
        grant.encounter = context.encounter;
        Ok(Some(grant))
    }
}
