//! Login of people at another provider by OpenID Connect: Pro Santé Connect, Keycloak, any that keeps to the standard.
//!
//! ```text
//!   begin(provider, browser) ─► address of the provider      (row: nonce, verifier, who may come back)
//!   person logs in there, comes back with code, state, iss
//!   finish(query, browser) ─► code against id token ─► checked ─► ForeignLogin { subject, acr, auth_time }
//! ```
//!
//! It says who somebody is there, not which account that is here: accounts are kept elsewhere. It opens no connection: the caller gives [`Fetch`].
//! Signatures are checked with this crate's own code over aws-lc-rs, by which every key says what it is for; no second stack of cryptography comes in.
//!
//! Sources: OpenID Connect Core 1.0 and Discovery 1.0, RFC 7636, RFC 9207, RFC 9700, and the pages of Pro Santé Connect
//! (<https://industriels.esante.gouv.fr/produits-et-services/pro-sante-connect>).

mod discovery;
mod id_token;
mod login;
mod logout;
#[cfg(test)]
mod tests;

pub(crate) use login::LoginRow;
pub use login::{Begin, Begun, ForeignLogin, Weak};
pub(crate) use logout::HintRow;

use crate::error::SmartError;
use crate::keys::Signer;
use crate::rows::Rows;
use discovery::Known;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tacet_ledger::noted::NotedRows;
use tacet_types::{Clock, Redacted, Rng};

/// Largest answer of a provider that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// How long a person may take to log in there, in milliseconds.
pub const LOGIN_MS: i64 = 10 * 60_000;

/// Most logins that are under way at a time: beyond, none is begun.
pub const LOGINS_MAX: usize = 5000;

/// A request to a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The absolute address.
    pub url: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The form, for a POST; none for a GET.
    pub form: Option<String>,
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets and codes are in the form and in the header.
        write!(f, "FetchRequest(post: {})", self.form.is_some())
    }
}

/// An answer of a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, of at most [`ANSWER_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

/// What a request comes to.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<FetchAnswer, crate::FetchError>> + Send + 'a>>;

/// Asks providers. Whoever implements it answers for the network: checked certificates, no redirects, bounds of time and size, and the header
/// `Accept: application/json`.
pub trait Fetch: Send + Sync {
    /// The answer to a request.
    fn fetch(&self, request: FetchRequest) -> Answering<'_>;
}

/// How this side proves itself to a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProviderAuth {
    /// Not at all (PKCE binds the code).
    None,
    /// By a secret in the header.
    SecretBasic(Redacted<String>),
    /// By a secret in the form.
    SecretPost(Redacted<String>),
    /// By an assertion signed with this server's key (`private_key_jwt`, RFC 7523): the provider is given the address of the server's keys.
    PrivateKeyJwt,
}

/// Which claim says who somebody is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubjectClaim {
    /// `sub`.
    Sub,
    /// A claim of this name, in the id token or at the provider's userinfo. It must be one that people cannot set themselves.
    Named(String),
    /// Pro Santé Connect: `SubjectNameID`, else `preferred_username`: the national id of the professional (RPPS).
    ProSanteConnect,
}

/// A provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provider {
    /// Its short name here: `psc`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its issuer, to the letter.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// How we prove it.
    pub auth: ProviderAuth,
    /// Where people come back to.
    pub redirect_uri: String,
    /// Where people come back to once they logged out there; empty: that is not offered.
    pub logged_out_uri: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// Which kinds of login count, best first. Empty: any. Where there are some, the answer must name one of them.
    pub acr_values: Vec<String>,
    /// Which claim says who somebody is.
    pub subject: SubjectClaim,
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// No provider of this name is configured.
    #[error("no such provider is configured")]
    NoSuchProvider,
    /// The provider could not be asked, or answered in a way that is not the standard's.
    #[error("the provider cannot be asked: {0}")]
    Provider(&'static str),
    /// What came back was not begun here, was used before, or took too long.
    #[error("this login was not begun here, was used before, or took too long: begin again")]
    NotBegun,
    /// The person or the provider ended it.
    #[error("the provider did not let the person in: begin again")]
    Denied,
    /// What the provider says is not acceptable.
    #[error("the provider's answer was refused: {0}")]
    Refused(&'static str),
    /// The login is weaker or older than what was asked for.
    #[error("the login at the provider is weaker or older than what is asked for: {}", .0.what)]
    TooWeak(Box<Weak>),
    /// Too many logins are under way.
    #[error("too many logins at other providers are under way: wait a few minutes")]
    Busy,
    /// The rows.
    #[error(transparent)]
    Rows(#[from] SmartError),
}

/// Logins at other providers.
pub struct ForeignLogins {
    rows: Rows,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    fetch: Arc<dyn Fetch>,
    providers: Vec<Provider>,
    signer: Option<Signer>,
    known: Mutex<HashMap<String, Known>>,
    /// When a provider did not answer last, in milliseconds since 1970.
    failed: Mutex<HashMap<String, i64>>,
    /// When the logins under way were begun, in milliseconds since 1970, oldest first.
    begun: Mutex<VecDeque<i64>>,
}

impl ForeignLogins {
    /// Logins at these providers.
    ///
    /// # Errors
    /// An issuer or a return address is neither https nor http at a loopback address.
    pub fn new(
        rows: Arc<dyn NotedRows>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        fetch: Arc<dyn Fetch>,
        providers: Vec<Provider>,
    ) -> Result<Self, ForeignError> {
        for provider in &providers {
            if crate::redirect::check(&provider.issuer).is_err()
                || crate::redirect::check(&provider.redirect_uri).is_err()
            {
                return Err(ForeignError::Provider(
                    "issuer and return address are https, or http at 127.0.0.1 or [::1]",
                ));
            }
        }
        Ok(Self {
            rows: Rows(rows),
            clock,
            rng,
            fetch,
            providers,
            signer: None,
            known: Mutex::default(),
            failed: Mutex::default(),
            begun: Mutex::default(),
        })
    }

    /// Proves this side by this key to the providers of [`ProviderAuth::PrivateKeyJwt`]. Without one, nobody logs in there.
    #[must_use]
    pub fn with_signer(self, signer: Signer) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// The providers, for the login page.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    fn provider(&self, id: &str) -> Result<&Provider, ForeignError> {
        self.providers.iter().find(|provider| provider.id == id).ok_or(ForeignError::NoSuchProvider)
    }
}

impl fmt::Debug for ForeignLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignLogins({})", self.providers.len())
    }
}
