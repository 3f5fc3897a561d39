//! A login at another provider, from its beginning here to its end here.

use super::discovery::body_of;
use super::id_token::SUBJECT_BYTES_MAX;
use super::{FetchRequest, ForeignError, ForeignLogins, LOGIN_MS, LOGINS_MAX, Provider, ProviderAuth, SubjectClaim};
use crate::error::SmartError;
use crate::jwt::Claims;
use crate::params::Params;
use crate::redirect;
use crate::rows;
use crate::secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;
use std::sync::PoisonError;
use tacet_ledger::noted::{Expect, RowsError, Table};
use tacet_types::{Redacted, Timestamp};
use url::form_urlencoded::Serializer;

/// What stands before a `state`.
const STATE: &str = "tacet_fs_";

/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion of this side lives, in seconds.
const ASSERTION_S: i64 = 60;

/// How a login is begun.
#[derive(Clone, Debug, Default)]
pub struct Begin<'a> {
    /// Which provider.
    pub provider: &'a str,
    /// What only this browser has: the secret of its device cookie. Who comes back must have the same.
    pub browser: &'a str,
    /// For a step-up: how long ago the person may have logged in there, in seconds. 0: they log in anew.
    pub max_age_s: Option<u32>,
    /// For a step-up: which kinds of login count, in place of the provider's usual ones.
    pub acr_values: Vec<String>,
    /// For a step-up: who it must be ([`ForeignLogin::subject`]).
    pub subject: Option<&'a str>,
    /// What the caller wants back at the end: where the person was going. At most 2000 bytes.
    pub note: Option<&'a str>,
}

/// A login that was begun.
#[derive(Clone, PartialEq, Eq)]
pub struct Begun {
    /// Where the person is sent.
    pub url: String,
}

/// Somebody who logged in at another provider. Which account that is, and whether it is open, is the caller's to find out.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignLogin {
    /// The provider's short name.
    pub provider: String,
    /// Its issuer.
    pub issuer: String,
    /// Who it is there, by the claim that was configured. Unique within the provider.
    pub subject: String,
    /// `sub`, whatever the claim.
    pub sub: String,
    /// The kind of login.
    pub acr: Option<String>,
    /// When the person logged in, where the provider says.
    pub auth_time: Option<Timestamp>,
    /// What the caller gave when it began.
    pub note: Option<String>,
    /// Whether this was a step-up of somebody known, who it is indeed.
    pub step_up: bool,
    /// Whether kinds of login were demanded and this was one of them. A kind that a provider names without being asked says nothing: some always
    /// name one.
    pub strong: bool,
    /// The id token: by it the provider knows whom to log out.
    pub(super) id_token: Redacted<String>,
}

/// A good login that is not good enough, with what it takes to ask for a better one.
#[derive(Clone, PartialEq, Eq)]
pub struct Weak {
    /// What is missing.
    pub what: &'static str,
    /// The provider's short name.
    pub provider: String,
    /// What the caller gave when it began.
    pub note: Option<String>,
    /// Whether a new login was asked for already ([`Begin::max_age_s`]): then asking again changes nothing.
    pub was_fresh: bool,
}

impl fmt::Debug for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weak({})", self.what)
    }
}

impl LoginRow {
    /// That the login does not do.
    pub(super) fn too_weak<T>(&self, what: &'static str) -> Result<T, ForeignError> {
        let (provider, note) = (self.provider.clone(), self.note.clone());
        Err(ForeignError::TooWeak(Box::new(Weak { what, provider, note, was_fresh: self.max_age_s.is_some() })))
    }
}

impl fmt::Debug for ForeignLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignLogin(at {}, ..)", self.provider)
    }
}

/// A login under way (table `Foreign`, `login:` and the hash of its state).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LoginRow {
    provider: String,
    pub(super) nonce: String,
    verifier: String,
    /// SHA-256 of what only the browser has.
    browser: String,
    pub(super) max_age_s: Option<u32>,
    pub(super) acr_values: Vec<String>,
    subject: Option<String>,
    note: Option<String>,
    pub(super) begun_s: i64,
    pub(crate) expires_ms: i64,
}

/// What is used of a provider's answer to a code.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

impl ForeignLogins {
    /// Begins a login and says where the person is to be sent.
    ///
    /// # Errors
    /// The provider is not configured, or cannot be asked; the rows'.
    pub async fn begin(&self, begin: &Begin<'_>) -> Result<Begun, ForeignError> {
        let provider = self.provider(begin.provider)?;
        if begin.note.is_some_and(|note| note.len() > 2000) {
            return Err(SmartError::Invalid("the note of a login is too long").into());
        }
        self.make_room()?;
        let known = self.known(provider).await?;
        let now = self.clock.now();
        let state = secret::make(self.rng.as_ref(), STATE);
        let acr_values = if begin.acr_values.is_empty() { &provider.acr_values } else { &begin.acr_values };
        let row = LoginRow {
            provider: provider.id.clone(),
            nonce: secret::make(self.rng.as_ref(), ""),
            verifier: secret::make(self.rng.as_ref(), ""),
            browser: secret::sha256_url(begin.browser.as_bytes()),
            max_age_s: begin.max_age_s,
            acr_values: acr_values.clone(),
            subject: begin.subject.map(str::to_owned),
            note: begin.note.map(str::to_owned),
            begun_s: now.as_ms().div_euclid(1000),
            expires_ms: now.plus_ms(LOGIN_MS).as_ms(),
        };
        let write = rows::put(Table::Foreign, rows::by_secret("login", &state), &row, Expect::Absent)?;
        self.rows.commit(vec![write], Vec::new()).await.map_err(SmartError::from)?;
        let mut scopes = vec!["openid"];
        scopes.extend(provider.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        let (scopes, acr) = (scopes.join(" "), acr_values.join(" "));
        let challenge = secret::sha256_url(row.verifier.as_bytes());
        let max_age = begin.max_age_s.map(|max_age_s| max_age_s.to_string());
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", &provider.client_id),
            ("redirect_uri", &provider.redirect_uri),
            ("scope", &scopes),
            ("state", &state),
            ("nonce", &row.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        params.extend((!acr.is_empty()).then_some(("acr_values", acr.as_str())));
        params.extend(max_age.as_deref().map(|max_age| ("max_age", max_age)));
        params.extend((begin.max_age_s == Some(0)).then_some(("prompt", "login")));
        Ok(Begun { url: redirect::with(&known.metadata.authorization_endpoint, &params) })
    }

    /// Takes what a person came back with: the query of the return address. Whatever it is, it is used up.
    ///
    /// # Errors
    /// See [`ForeignError`]. To the person all of them are "the login did not work": the difference is for the log.
    pub async fn finish(&self, query: &str, browser: &str) -> Result<ForeignLogin, ForeignError> {
        let params = Params::parse(query).map_err(|_| ForeignError::NotBegun)?;
        let state =
            params.get("state").filter(|state| secret::is_secret(state, STATE)).ok_or(ForeignError::NotBegun)?;
        let name = rows::by_secret("login", state);
        let (row, revision): (LoginRow, u64) = self.rows.get(Table::Foreign, &name)?.ok_or(ForeignError::NotBegun)?;
        // Somebody who sends their own login to another's browser must not use up anything of that one's: checked first.
        if !secret::same(&row.browser, &secret::sha256_url(browser.as_bytes())) {
            return Err(ForeignError::NotBegun);
        }
        let used = rows::remove(Table::Foreign, name, Expect::Revision(revision));
        match self.rows.commit(vec![used], Vec::new()).await {
            Err(RowsError::Conflict) => return Err(ForeignError::NotBegun),
            other => other.map_err(SmartError::from)?,
        }
        if self.clock.now().as_ms() >= row.expires_ms {
            return Err(ForeignError::NotBegun);
        }
        let provider = self.provider(&row.provider)?;
        let known = self.known(provider).await?;
        // RFC 9207: an answer of another provider than the one that was asked (mix-up). Where it says that it names itself, it must.
        match params.get("iss") {
            Some(iss) if iss != provider.issuer => {
                return Err(ForeignError::Refused("the answer is another provider's"));
            }
            None if known.metadata.authorization_response_iss_parameter_supported => {
                return Err(ForeignError::Refused("the answer does not say whose it is"));
            }
            _ => {}
        }
        let code = params.get("code").filter(|_| params.get("error").is_none()).ok_or(ForeignError::Denied)?;
        let tokens = self.exchange(provider, &known.metadata.token_endpoint, code, &row.verifier).await?;
        let access_token = tokens.access_token.as_deref();
        let claims = self.check_id_token(provider, &row, &tokens.id_token, access_token).await?;
        let sub = claims.text("sub").unwrap_or_default().to_owned();
        let userinfo = known.metadata.userinfo_endpoint.as_deref().zip(access_token);
        let subject = self.subject(provider, &claims, &sub, userinfo).await?;
        if row.subject.as_ref().is_some_and(|expected| *expected != subject) {
            return Err(ForeignError::Refused("somebody else logged in than was to confirm"));
        }
        Ok(ForeignLogin {
            provider: provider.id.clone(),
            issuer: provider.issuer.clone(),
            subject,
            sub,
            acr: claims.text("acr").map(str::to_owned),
            auth_time: claims.time_s("auth_time").map(|at_s| Timestamp::from_ms(at_s.saturating_mul(1000))),
            note: row.note,
            step_up: row.subject.is_some(),
            strong: !row.acr_values.is_empty(),
            id_token: Redacted::new(tokens.id_token),
        })
    }

    /// Counts a login that is begun. Anybody may begin one, and each leaves a row until it ends: there are no more than [`LOGINS_MAX`].
    fn make_room(&self) -> Result<(), ForeignError> {
        let now_ms = self.clock.now().as_ms();
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while begun.front().is_some_and(|begun_ms| now_ms >= begun_ms.saturating_add(LOGIN_MS)) {
            begun.pop_front();
        }
        if begun.len() >= LOGINS_MAX {
            return Err(ForeignError::Busy);
        }
        begun.push_back(now_ms);
        Ok(())
    }

    async fn exchange(
        &self,
        provider: &Provider,
        endpoint: &str,
        code: &str,
        verifier: &str,
    ) -> Result<Tokens, ForeignError> {
        // The form is closed before anything is waited for: it cannot go from thread to thread.
        let request = {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "authorization_code")
                .append_pair("code", code)
                .append_pair("redirect_uri", &provider.redirect_uri)
                .append_pair("code_verifier", verifier)
                .append_pair("client_id", &provider.client_id);
            let mut authorization = None;
            match &provider.auth {
                ProviderAuth::None => {}
                ProviderAuth::SecretPost(secret) => {
                    form.append_pair("client_secret", secret.reveal());
                }
                ProviderAuth::PrivateKeyJwt => {
                    form.append_pair("client_assertion_type", ASSERTION_TYPE)
                        .append_pair("client_assertion", &self.assertion(provider)?);
                }
                ProviderAuth::SecretBasic(secret) => {
                    // RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
                    let encoded =
                        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                    let pair = format!("{}:{}", encoded(&provider.client_id), encoded(secret.reveal()));
                    authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
                }
            }
            FetchRequest { url: endpoint.to_owned(), authorization, form: Some(form.finish()) }
        };
        let body = body_of(self.fetch.as_ref(), request).await?;
        serde_json::from_slice(&body).map_err(|_| ForeignError::Provider("it gives no id token"))
    }

    /// What proves this side to a provider that has its key (OpenID Connect Core 1.0, section 9). For the issuer and nobody else, so that one provider
    /// cannot use at another what it was sent.
    fn assertion(&self, provider: &Provider) -> Result<String, ForeignError> {
        let signer = self.signer.as_ref().ok_or(ForeignError::Provider("there is no key to prove this server with"))?;
        let now_s = self.clock.now().as_ms().div_euclid(1000);
        Ok(signer.sign(&json!({
            "iss": provider.client_id, "sub": provider.client_id, "aud": provider.issuer,
            "jti": secret::make(self.rng.as_ref(), ""), "iat": now_s, "exp": now_s + ASSERTION_S,
        }))?)
    }

    /// Who it is, by the configured claim: from the id token, else from userinfo.
    async fn subject(
        &self,
        provider: &Provider,
        claims: &Claims,
        sub: &str,
        userinfo: Option<(&str, &str)>,
    ) -> Result<String, ForeignError> {
        let names: Vec<&str> = match &provider.subject {
            SubjectClaim::Sub => return Ok(sub.to_owned()),
            SubjectClaim::Named(name) => vec![name],
            SubjectClaim::ProSanteConnect => vec!["SubjectNameID", "preferred_username"],
        };
        let fits = |text: &&str| {
            !text.trim().is_empty() && text.len() <= SUBJECT_BYTES_MAX && !text.chars().any(char::is_control)
        };
        if let Some(found) = names.iter().find_map(|name| claims.text(name).filter(fits)) {
            return Ok(found.to_owned());
        }
        let Some((endpoint, access_token)) = userinfo else {
            return Err(ForeignError::Refused("the claim that says who it is is missing"));
        };
        let body = self.get(endpoint, Some(format!("Bearer {access_token}"))).await?;
        let claims: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&body).map_err(|_| ForeignError::Provider("its userinfo is not JSON"))?;
        let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        // Core, section 5.3.2: userinfo of somebody else must not be used.
        if text("sub") != Some(sub) {
            return Err(ForeignError::Refused("userinfo is about somebody else"));
        }
        let found = names.iter().find_map(|name| text(name).filter(fits));
        found.map(str::to_owned).ok_or(ForeignError::Refused("the claim that says who it is is missing"))
    }
}
