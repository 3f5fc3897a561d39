//! How a client proves itself: by a signed assertion, by its certificate, or not at all. Shared secrets are not taken.

use crate::client::{AuthMethod, Client, ClientState};
use crate::dpop::JTI_BYTES_MAX;
use crate::error::{ErrorCode, SmartError};
use crate::jwt::{Claims, Unchecked};
use crate::params::Params;
use crate::rows;
use crate::secret;
use crate::server::AuthorizationServer;
use crate::settings::{ASSERTION_AGE_S_MAX, CLOCK_SKEW_S};
use crate::token::family_of;
use tacet_ledger::noted::{Expect, RowsError, Table};

/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What came with a request besides its form.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientProof<'a> {
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The header `DPoP`.
    pub dpop: Option<&'a str>,
    /// SHA-256 of the client certificate's DER, base64url without padding, where TLS checked that the client has its key.
    pub certificate: Option<&'a str>,
}

/// A client that is who it says, as far as its method can show.
pub(crate) struct Authenticated {
    pub(crate) client: Client,
    /// Whether it proved itself: not so for an app that keeps no key.
    pub(crate) proven: bool,
}

fn refuse<T>(description: &'static str) -> Result<T, SmartError> {
    Err(SmartError::refuse(ErrorCode::InvalidClient, description))
}

impl AuthorizationServer {
    /// Finds out which client asks. An assertion is used up by this, whatever becomes of the request.
    pub(crate) async fn authenticate(
        &self,
        params: &Params,
        proof: &ClientProof<'_>,
    ) -> Result<Authenticated, SmartError> {
        if proof.authorization.is_some() || params.get("client_secret").is_some() {
            return refuse("client secrets are not taken: use private_key_jwt");
        }
        match (params.get("client_assertion_type"), params.get("client_assertion")) {
            (Some(ASSERTION_TYPE), Some(assertion)) => self.by_assertion(assertion, params.get("client_id")).await,
            (None, None) => self.by_name(params, proof).await,
            _ => refuse("the client's assertion or its type is missing or of another kind"),
        }
    }

    async fn by_name(&self, params: &Params, proof: &ClientProof<'_>) -> Result<Authenticated, SmartError> {
        let of_token = self.client_of_refresh(params)?;
        let client = self.active(params.get("client_id").or(of_token.as_deref()))?;
        match client.method() {
            AuthMethod::None => Ok(Authenticated { client, proven: false }),
            AuthMethod::PrivateKeyJwt => refuse("this client proves itself by a signed assertion"),
            AuthMethod::Certificate => {
                let Some(shown) = proof.certificate else {
                    return refuse("this client proves itself by its certificate");
                };
                let keys = self.all_keys_of(&client, None).await?.unwrap_or_default();
                let known = keys.keys.iter().filter_map(|key| key.certificate_thumbprint());
                // All are compared, so that the time does not tell which it was.
                if known.fold(false, |found, known| secret::same(&known, shown) | found) {
                    Ok(Authenticated { client, proven: true })
                } else {
                    refuse("the certificate is not one of this client's")
                }
            }
        }
    }

    /// Which client a refresh token was given to. An app that keeps no key need not name itself beside it: RFC 6749, section 6, asks who must prove
    /// something for the proof, and of the others nothing; and such apps send nothing.
    fn client_of_refresh(&self, params: &Params) -> Result<Option<String>, SmartError> {
        if params.get("grant_type") != Some("refresh_token") {
            return Ok(None);
        }
        let family = params.get("refresh_token").and_then(family_of).map(|id| self.family(id)).transpose()?.flatten();
        Ok(family.map(|(family, _)| family.client))
    }

    async fn by_assertion(&self, assertion: &str, client_id: Option<&str>) -> Result<Authenticated, SmartError> {
        let Ok(unchecked) = Unchecked::read(assertion) else { return refuse("the assertion is not a signed token") };
        let Ok(hint) = unchecked.claims() else { return refuse("the assertion is not a signed token") };
        let client = self.active(hint.text("iss"))?;
        if client_id.is_some_and(|given| given != client.id) {
            return refuse("the assertion is another client's than `client_id` says");
        }
        if client.method() != AuthMethod::PrivateKeyJwt {
            return refuse("this client does not prove itself by an assertion");
        }
        let header = &unchecked.header;
        if header.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return refuse("the assertion's type is not JWT");
        }
        // SMART: an address of keys in the header counts only where it is the registered one.
        if header.jku.is_some() && header.jku != client.metadata.jwks_uri {
            return refuse("the assertion names another address of keys than was registered");
        }
        let Some(kid) = header.kid.as_deref() else { return refuse("the assertion does not name its key (`kid`)") };
        let keys = self.keys_of(&client, kid).await?;
        let Some(claims) = keys.iter().find_map(|key| unchecked.check(key).ok()) else {
            return refuse("the assertion is not signed by a key of this client, in an algorithm of that key");
        };
        self.check_assertion(&client, &claims)?;
        self.use_up(&client, &claims).await?;
        Ok(Authenticated { client, proven: true })
    }

    fn check_assertion(&self, client: &Client, claims: &Claims) -> Result<(), SmartError> {
        if claims.text("iss") != Some(&client.id) || claims.text("sub") != Some(&client.id) {
            return refuse("`iss` and `sub` of the assertion are not both the client's id");
        }
        // One audience and no other: an assertion for several servers could be carried from one to the next.
        let own = |aud: &str| aud == self.settings.issuer || aud == self.settings.endpoints.token;
        if !matches!(claims.audiences().as_slice(), [one] if own(one)) {
            return refuse("`aud` of the assertion is not this token endpoint");
        }
        let now_s = self.now_s();
        let Some(exp) = claims.time_s("exp") else { return refuse("the assertion has no `exp`") };
        if exp <= now_s || exp > now_s.saturating_add(ASSERTION_AGE_S_MAX + CLOCK_SKEW_S) {
            return refuse("the assertion has expired, or lives for more than five minutes");
        }
        let latest = now_s.saturating_add(CLOCK_SKEW_S);
        for name in ["nbf", "iat"] {
            if claims.has(name) && claims.time_s(name).is_none_or(|time_s| time_s > latest) {
                return refuse("the assertion is from the future");
            }
        }
        Ok(())
    }

    /// An assertion is used once. Its id is remembered durably before anything is done for it.
    async fn use_up(&self, client: &Client, claims: &Claims) -> Result<(), SmartError> {
        let jti = match claims.text("jti") {
            Some(jti) if !jti.is_empty() && jti.len() <= JTI_BYTES_MAX => jti,
            _ => return refuse("the assertion has no `jti`, or too long a one"),
        };
        let until_s = claims.time_s("exp").unwrap_or_default().saturating_add(CLOCK_SKEW_S);
        let name = rows::by_secret("jti", &format!("{} {jti}", client.id));
        let write = rows::put(Table::Used, name, &until_s, Expect::Absent)?;
        match self.rows.commit(vec![write], Vec::new()).await {
            Err(RowsError::Conflict) => refuse("the assertion was used before"),
            other => Ok(other?),
        }
    }

    /// The client of this id, if it may be used.
    pub(crate) fn active(&self, id: Option<&str>) -> Result<Client, SmartError> {
        match id.map(|id| self.client(id)).transpose()?.flatten() {
            Some(client) if client.state == ClientState::Active => Ok(client),
            Some(client) if client.state == ClientState::Pending => refuse("this client waits for approval"),
            _ => refuse("there is no such client"),
        }
    }
}
