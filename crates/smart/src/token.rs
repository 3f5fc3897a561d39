//! The token endpoint: a code, a refresh token or a client's own proof becomes an access token.

use crate::client_auth::{Authenticated, ClientProof};
use crate::consent::shortened;
use crate::error::{ErrorCode, OAuthError, SmartError};
use crate::grant::{AccessRow, CodeRow, Family, LaunchContext, family_name, noted};
use crate::params::Params;
use crate::person::{Asked, entry};
use crate::rows::{self, TRIES_MAX};
use crate::scopes::{Level, Scope, ScopeSet};
use crate::secret;
use crate::server::AuthorizationServer;
use serde_json::{Value, json};
use std::fmt;
use tacet_ledger::noted::{Expect, RowWrite, RowsError, Table};
use tacet_ledger::{Entry, EventKind, Outcome};

/// Length of the id of a family in a refresh token.
const FAMILY_ID_BYTES: usize = 32;

/// A request to the token endpoint.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequest<'a> {
    /// The form.
    pub form: &'a str,
    /// What came with it.
    pub proof: ClientProof<'a>,
}

/// What the token endpoint gives. Never to be kept by a cache: `Cache-Control: no-store`.
#[derive(Clone, PartialEq)]
pub struct TokenAnswer {
    /// The access token.
    pub access_token: String,
    /// Whether it is bound to a key (`DPoP`), else `Bearer`.
    pub dpop: bool,
    /// How long it lives, in seconds.
    pub expires_in_s: i64,
    /// What it allows.
    pub scope: String,
    /// The next refresh token.
    pub refresh_token: Option<String>,
    /// Who the person is, signed.
    pub id_token: Option<String>,
    /// What is open.
    pub context: LaunchContext,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenAnswer(expires in {} s)", self.expires_in_s)
    }
}

impl TokenAnswer {
    /// The body (RFC 6749, section 5.1; SMART App Launch 2.2, "Response").
    pub fn body(&self) -> Value {
        let mut body = json!({
            "access_token": self.access_token,
            "token_type": if self.dpop { "DPoP" } else { "Bearer" },
            "expires_in": self.expires_in_s,
            "scope": self.scope,
        });
        let mut put = |name: &str, value: Option<Value>| {
            if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
                members.insert(name.to_owned(), value);
            }
        };
        put("refresh_token", self.refresh_token.as_ref().map(|token| json!(token)));
        put("id_token", self.id_token.as_ref().map(|token| json!(token)));
        put("patient", self.context.patient.as_ref().map(|id| json!(id.as_str())));
        put("encounter", self.context.encounter.as_ref().map(|id| json!(id.as_str())));
        put("intent", self.context.intent.as_ref().map(|intent| json!(intent)));
        put("need_patient_banner", self.context.need_patient_banner.map(|need| json!(need)));
        put("smart_style_url", self.context.smart_style_url.as_ref().map(|url| json!(url)));
        put("fhirContext", Some(json!(self.context.fhir_context)).filter(|_| !self.context.fhir_context.is_empty()));
        body
    }
}

fn refuse<T>(code: ErrorCode, what: &'static str) -> Result<T, SmartError> {
    Err(SmartError::refuse(code, what))
}

/// A commit that either was made, or met somebody else's.
enum Tried<T> {
    Done(T),
    Again,
}

/// What the tokens of one answer are bound to.
struct Binding<'a> {
    jkt: Option<String>,
    certificate: Option<&'a str>,
}

impl AuthorizationServer {
    /// Gives tokens.
    ///
    /// # Errors
    /// [`SmartError::Refused`] with what RFC 6749 and its extensions say; the rows'.
    pub async fn token(&self, request: &TokenRequest<'_>, asked: Asked) -> Result<TokenAnswer, SmartError> {
        let params = Params::parse(request.form)?;
        let grant = params.need("grant_type", "`grant_type` is missing")?;
        if !matches!(grant, "authorization_code" | "refresh_token" | "client_credentials") {
            return refuse(ErrorCode::UnsupportedGrantType, "this way to a token is not offered");
        }
        let who = self.authenticate(&params, &request.proof).await?;
        if !who.client.may(grant) {
            return refuse(ErrorCode::UnauthorizedClient, "this client may not get tokens this way");
        }
        if params.get("resource").is_some_and(|resource| !self.settings.is_audience(resource)) {
            return refuse(ErrorCode::InvalidTarget, "`resource` is not a FHIR base address of this server");
        }
        let binding = self.binding(&who, &request.proof)?;
        for _ in 0..TRIES_MAX {
            let tried = match grant {
                "authorization_code" => self.by_code(&params, &who, &binding, asked).await?,
                "refresh_token" => self.by_refresh(&params, &who, &binding, asked).await?,
                _ => self.by_itself(&params, &who, &binding, asked).await?,
            };
            if let Tried::Done(answer) = tried {
                return Ok(answer);
            }
        }
        refuse(ErrorCode::TemporarilyUnavailable, "too many requests at once: try again")
    }

    /// What the tokens will be bound to, as far as the client must or can prove something.
    fn binding<'a>(&self, who: &Authenticated, proof: &ClientProof<'a>) -> Result<Binding<'a>, SmartError> {
        let metadata = &who.client.metadata;
        let jkt = match proof.dpop {
            Some(dpop) => Some(self.check_proof(dpop, "POST", &self.settings.endpoints.token, None)?),
            None if metadata.dpop_bound_access_tokens => {
                return refuse(ErrorCode::InvalidDpopProof, "this client's tokens are bound to a key: send a proof");
            }
            None => None,
        };
        let bound = metadata.tls_client_certificate_bound_access_tokens
            || who.client.method() == crate::client::AuthMethod::Certificate;
        if bound && proof.certificate.is_none() {
            return refuse(ErrorCode::InvalidClient, "this client's tokens are bound to its certificate: show it");
        }
        Ok(Binding { jkt, certificate: proof.certificate.filter(|_| bound) })
    }

    async fn by_code(
        &self,
        params: &Params,
        who: &Authenticated,
        binding: &Binding<'_>,
        asked: Asked,
    ) -> Result<Tried<TokenAnswer>, SmartError> {
        const WRONG: &str = "the code is not valid: ask the person again";
        let code = params.need("code", "`code` is missing")?;
        if !secret::is_secret(code, secret::CODE) {
            return refuse(ErrorCode::InvalidGrant, WRONG);
        }
        let name = rows::by_secret("code", code);
        let found: Option<(CodeRow, u64)> = self.rows.get(Table::Codes, &name)?;
        let Some((mut row, revision)) = found else { return refuse(ErrorCode::InvalidGrant, WRONG) };
        if row.used {
            // RFC 9700, section 4.5: whoever came second, what the code gave may be in the wrong hands.
            self.end_family(&row.family.id, "its code was used twice", asked).await?;
            return refuse(ErrorCode::InvalidGrant, WRONG);
        }
        let now = self.now();
        row.used = true;
        let verifier = params.get("code_verifier").unwrap_or_default();
        let fits = row.family.client == who.client.id
            && params.get("redirect_uri") == Some(&row.redirect_uri)
            && is_verifier(verifier)
            && secret::same(&secret::sha256_url(verifier.as_bytes()), &row.challenge)
            && row.dpop_jkt.is_none_or_same(binding.jkt.as_deref());
        let stands = now.as_ms() < row.expires_ms && self.stands(&row.family, &who.client)?;
        if !fits || !stands {
            // A code that somebody shows who does not fit has leaked: it is used up.
            let write = rows::put(Table::Codes, name, &row, Expect::Revision(revision))?;
            let detail = format!("client {}: a code that does not fit", who.client.id);
            let note = row.family.holder.entry(now, EventKind::TokenRevoked, asked, Outcome::Refused, detail);
            return match self.rows.commit(vec![write], vec![note]).await {
                Err(RowsError::Conflict) => Ok(Tried::Again),
                other => {
                    other?;
                    refuse(ErrorCode::InvalidGrant, WRONG)
                }
            };
        }
        row.family.jkt = binding.jkt.clone();
        row.family.x5t = binding.certificate.map(str::to_owned);
        let scopes = ScopeSet::parse(&row.family.scope).map_err(|_| SmartError::Damaged)?;
        let mut family = row.family.clone();
        let used = rows::put(Table::Codes, name, &row, Expect::Revision(revision))?;
        self.give(&mut family, &scopes, Expect::Absent, vec![used], asked).await
    }

    async fn by_refresh(
        &self,
        params: &Params,
        who: &Authenticated,
        binding: &Binding<'_>,
        asked: Asked,
    ) -> Result<Tried<TokenAnswer>, SmartError> {
        const WRONG: &str = "the refresh token is not valid: ask the person again";
        let token = params.need("refresh_token", "`refresh_token` is missing")?;
        let Some(id) = family_of(token) else { return refuse(ErrorCode::InvalidGrant, WRONG) };
        let Some((mut family, revision)) = self.family(id)? else { return refuse(ErrorCode::InvalidGrant, WRONG) };
        if family.client != who.client.id || !self.stands(&family, &who.client)? {
            return refuse(ErrorCode::InvalidGrant, WRONG);
        }
        let shown = secret::hex(&secret::sha256(token.as_bytes()));
        if !family.refresh.as_deref().is_some_and(|current| secret::same(current, &shown)) {
            // Only who had one of this family knows its id: an older token came again. RFC 9700, section 4.14.2.
            self.end_family(id, "a refresh token was used twice", asked).await?;
            return refuse(ErrorCode::InvalidGrant, WRONG);
        }
        if family.jkt != binding.jkt || family.x5t.as_deref() != binding.certificate {
            return refuse(ErrorCode::InvalidGrant, "the refresh token is bound to another key or certificate");
        }
        let approved = ScopeSet::parse(&family.scope).map_err(|_| SmartError::Damaged)?;
        let mut scopes = approved.clone();
        if let Some(text) = params.get("scope") {
            let wanted = ScopeSet::parse(text)
                .map_err(|_| OAuthError::new(ErrorCode::InvalidScope, "a scope is not well-formed"))?;
            if wanted.is_empty() || !approved.covers(&wanted) {
                return refuse(ErrorCode::InvalidScope, "a refresh gives no more than the person approved");
            }
            scopes = wanted;
        }
        // What the client may have may have been narrowed since.
        scopes = scopes.meet(&who.client.scopes());
        self.give(&mut family, &scopes, Expect::Revision(revision), Vec::new(), asked).await
    }

    /// Writes the family with its next refresh token and a new access token, together with `writes`.
    async fn give(
        &self,
        family: &mut Family,
        scopes: &ScopeSet,
        expect: Expect,
        mut writes: Vec<RowWrite>,
        asked: Asked,
    ) -> Result<Tried<TokenAnswer>, SmartError> {
        let now = self.now();
        // By what was approved, not by what this one access token was narrowed to.
        let approved = ScopeSet::parse(&family.scope).map_err(|_| SmartError::Damaged)?;
        let refreshable = approved.has(&Scope::OfflineAccess) || approved.has(&Scope::OnlineAccess);
        let refresh =
            refreshable.then(|| secret::make(self.rng.as_ref(), &format!("{}{}_", secret::REFRESH, family.id)));
        family.refresh = refresh.as_ref().map(|token| secret::hex(&secret::sha256(token.as_bytes())));
        let expires_ms = now.plus_ms(self.settings.lifetimes.access_ms).as_ms().min(family.expires_ms);
        let row = AccessRow {
            client: family.client.clone(),
            family: Some(family.id.clone()),
            issued_ms: now.as_ms(),
            expires_ms,
            scope: scopes.to_string(),
            jkt: family.jkt.clone(),
            x5t: family.x5t.clone(),
        };
        let access_token = secret::make(self.rng.as_ref(), secret::ACCESS);
        let id_token = scopes.has(&Scope::OpenId).then(|| self.id_token(family, scopes, &access_token)).transpose()?;
        // The nonce belongs to the first id token only (OpenID Connect Core 1.0, section 12.2).
        family.nonce = None;
        writes.push(rows::put(Table::Refresh, family_name(&family.id), family, expect)?);
        let detail = shortened(format!("client {}, grant {}, scopes {scopes}", family.client, noted(&family.id)));
        let note = family.holder.entry(now, EventKind::TokenCreated, asked, Outcome::Success, detail);
        let context = family.context.context()?;
        let Tried::Done(given) = self.hand_out(access_token, row, writes, note).await? else { return Ok(Tried::Again) };
        Ok(Tried::Done(TokenAnswer { refresh_token: refresh, id_token, context, ..given }))
    }

    /// Writes an access token down, together with `writes` and the entry, and gives it.
    async fn hand_out(
        &self,
        access_token: String,
        row: AccessRow,
        mut writes: Vec<RowWrite>,
        note: Entry,
    ) -> Result<Tried<TokenAnswer>, SmartError> {
        writes.push(rows::put(Table::AccessTokens, rows::by_secret("at", &access_token), &row, Expect::Absent)?);
        match self.rows.commit(writes, vec![note]).await {
            Err(RowsError::Conflict) => return Ok(Tried::Again),
            other => other?,
        }
        Ok(Tried::Done(TokenAnswer {
            access_token,
            dpop: row.jkt.is_some(),
            expires_in_s: (row.expires_ms - row.issued_ms) / 1000,
            scope: row.scope,
            refresh_token: None,
            id_token: None,
            context: LaunchContext::default(),
        }))
    }

    async fn by_itself(
        &self,
        params: &Params,
        who: &Authenticated,
        binding: &Binding<'_>,
        asked: Asked,
    ) -> Result<Tried<TokenAnswer>, SmartError> {
        if !who.proven {
            return refuse(ErrorCode::InvalidClient, "only a client that proves itself gets tokens of its own");
        }
        let Ok(wanted) = ScopeSet::parse(params.need("scope", "`scope` is missing")?) else {
            return refuse(ErrorCode::InvalidScope, "a scope is not well-formed");
        };
        let scopes = wanted.meet(&who.client.scopes()).only_level(Level::System);
        if scopes.is_empty() {
            return refuse(ErrorCode::InvalidScope, "none of these scopes may be given to this client by itself");
        }
        let now = self.now();
        let row = AccessRow {
            client: who.client.id.clone(),
            family: None,
            issued_ms: now.as_ms(),
            expires_ms: now.plus_ms(self.settings.lifetimes.access_ms).as_ms(),
            scope: scopes.to_string(),
            jkt: binding.jkt.clone(),
            x5t: binding.certificate.map(str::to_owned),
        };
        let access_token = secret::make(self.rng.as_ref(), secret::ACCESS);
        let owner = who.client.owner();
        let detail = shortened(format!("client {} itself, scopes {scopes}", who.client.id));
        let note = entry(now, EventKind::TokenCreated, (&owner, "integrator"), asked, Outcome::Success, detail);
        self.hand_out(access_token, row, Vec::new(), note).await
    }

    /// Who the person is (OpenID Connect Core 1.0, section 2; SMART: `fhirUser`).
    fn id_token(&self, family: &Family, scopes: &ScopeSet, access_token: &str) -> Result<String, SmartError> {
        let now_s = self.now_s();
        let holder = &family.holder;
        let half = |hash: [u8; 32]| {
            use base64::Engine;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or_default())
        };
        let mut claims = json!({
            "iss": self.settings.issuer,
            "sub": holder.account,
            "aud": family.client,
            "iat": now_s,
            "exp": now_s + self.settings.lifetimes.access_ms / 1000,
            "auth_time": holder.auth_time_ms.div_euclid(1000),
            "acr": holder.acr,
            "at_hash": half(secret::sha256(access_token.as_bytes())),
        });
        let user = holder.fhir_user.as_ref().filter(|_| scopes.has(&Scope::FhirUser));
        if let Some(members) = claims.as_object_mut() {
            members.extend(family.nonce.as_ref().map(|nonce| ("nonce".to_owned(), json!(nonce))));
            members.extend(user.map(|user| ("fhirUser".to_owned(), json!(self.settings.absolute(user)))));
        }
        self.sign(&claims)
    }
}

/// The family's id in a refresh token: the prefix, 32 digits, `_`, 64 digits.
pub(crate) fn family_of(token: &str) -> Option<&str> {
    let rest = token.strip_prefix(secret::REFRESH)?;
    let (id, secret_part) = rest.split_once('_')?;
    let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (id.len() == FAMILY_ID_BYTES && secret_part.len() == 64 && digits(id) && digits(secret_part)).then_some(id)
}

/// Whether a text may be a verifier (RFC 7636, section 4.1).
fn is_verifier(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(fits)
}

/// A binding that was announced must be kept.
trait NoneOrSame {
    fn is_none_or_same(&self, shown: Option<&str>) -> bool;
}

impl NoneOrSame for Option<String> {
    fn is_none_or_same(&self, shown: Option<&str>) -> bool {
        self.as_deref().is_none_or(|own| shown.is_some_and(|shown| secret::same(own, shown)))
    }
}
