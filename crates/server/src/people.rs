//! People and apps: accounts, sessions, the authorization server and logins elsewhere, over the sealed rows of the store.
//!
//! It joins the parts and holds what they leave to whoever calls them. What an account, a session or a scope is stands in
//! `tacet_identity` and `tacet_smart`.

use crate::app::Environment;
use crate::auth::browsers::KnownSites;
use crate::auth::outgoing::{Outgoing, OutgoingConfig};
use crate::auth::rates::Rates;
use std::sync::Arc;
use tacet_identity::{Identity, IdentityError, Url};
use tacet_ledger::noted::NotedRows;
use tacet_smart::foreign::{ForeignError, ForeignLogins, Provider};
use tacet_smart::{AuthorizationServer, Lifetimes, SmartError};
use tacet_types::{ResourceId, Role};
use tacet_vault::Vault;
use thiserror::Error;

/// Why accounts and apps cannot be served.
#[derive(Debug, Error)]
pub enum PeopleError {
    /// The base URL has no host that passkeys can be bound to.
    #[error(
        "`server.base_url` names no host for passkeys: set it to the https address under which people reach the server"
    )]
    Address,
    /// Accounts.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Apps.
    #[error(transparent)]
    Smart(#[from] SmartError),
    /// Logins elsewhere.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// What the records say of practitioners.
    #[error(transparent)]
    Records(#[from] tacet_vault::VaultError),
    /// For whose staff accounts shall be proposed.
    #[error("`access.propose_accounts` must name organizations, 20 at most, each like `Organization/7`")]
    Proposing,
    /// What may be fetched from elsewhere.
    #[error("`access.roots` cannot be read as PEM certificates: check the path")]
    Roots,
}

/// Most organizations for whose staff accounts are proposed.
pub const PROPOSING_MAX: usize = 20;

/// What may be set.
#[derive(Clone, Debug)]
pub struct PeopleSettings {
    /// The hospital's name, which people read when their device asks for the passkey.
    pub name: String,
    /// Whether tokens made at the command line are taken where their role is one of people. A passkey is what people show.
    pub tokens_for_people: bool,
    /// A session ends when it was not used this long, in milliseconds.
    pub session_idle_ms: i64,
    /// A session ends this long after its login, in milliseconds.
    pub session_ms_max: i64,
    /// What needs a fresh passkey needs one that was shown within this time, in milliseconds.
    pub step_up_ms: i64,
    /// For whose staff accounts are proposed: `Organization/ID`, as PractitionerRoles name them, [`PROPOSING_MAX`] at most. Empty: nobody's.
    pub propose_accounts: Vec<String>,
    /// How long what apps are given lives.
    pub lifetimes: Lifetimes,
    /// Whether TLS asks clients for a certificate ([`crate::TlsConfig::client_certificates`]): where not, no app can prove itself by one.
    pub client_certificates: bool,
    /// What may be fetched from elsewhere: keys of apps, and what providers say.
    pub outgoing: OutgoingConfig,
    /// Providers at which people may log in, with how their people are found here. The return addresses are set by the server.
    pub providers: Vec<(Provider, ForeignRule)>,
}

impl Default for PeopleSettings {
    fn default() -> Self {
        const MINUTE_MS: i64 = 60_000;
        Self {
            name: "Tacet".to_owned(),
            tokens_for_people: false,
            session_idle_ms: 15 * MINUTE_MS,
            session_ms_max: 600 * MINUTE_MS,
            step_up_ms: 5 * MINUTE_MS,
            propose_accounts: Vec::new(),
            lifetimes: Lifetimes::default(),
            client_certificates: false,
            outgoing: OutgoingConfig::default(),
            providers: Vec::new(),
        }
    }
}

/// Whose account it is that a provider's person has here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForeignRule {
    /// The account whose id in the hospital's directory is the provider's subject.
    ExternalId,
    /// The account whose login is the provider's subject.
    Login,
}

/// Accounts, sessions and apps of one server.
pub struct People {
    pub(crate) identity: Arc<Identity>,
    pub(crate) smart: AuthorizationServer,
    pub(crate) foreign: ForeignLogins,
    pub(crate) rules: Vec<(String, ForeignRule)>,
    /// Where break-glass and rules are asked; none in tests without a vault.
    pub(crate) vault: Option<Vault>,
    /// `scheme://host[:port]`: what `Origin` of a page of ours may be.
    pub(crate) origins: Vec<String>,
    /// The path of the base URL, without a stroke at its end: what stands before every path of ours in a browser.
    pub(crate) prefix: String,
    pub(crate) rates: Rates,
    /// Where apps in browsers are.
    pub(crate) sites: KnownSites,
    pub(crate) tokens_for_people: bool,
    /// For whose staff accounts are proposed.
    pub(crate) propose_accounts: Vec<String>,
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "People({:?})", self.origins)
    }
}

impl People {
    /// Opens accounts and apps for a server that clients reach at `base_url`.
    ///
    /// # Errors
    /// An address that does not fit passkeys; settings of providers; the store's.
    pub async fn open(
        rows: Arc<dyn NotedRows>,
        vault: Option<Vault>,
        environment: &Environment,
        settings: &PeopleSettings,
        base_url: &str,
    ) -> Result<Self, PeopleError> {
        let (host, origins, prefix) = places(base_url).ok_or(PeopleError::Address)?;
        let of_passkeys = origins.last().and_then(|origin| Url::parse(origin).ok()).ok_or(PeopleError::Address)?;
        let (clock, rng) = (Arc::clone(&environment.clock), Arc::clone(&environment.rng));
        let identity = Identity::open(
            Arc::clone(&rows),
            Arc::clone(&clock),
            Arc::clone(&rng),
            tacet_identity::Settings {
                session_idle_ms: settings.session_idle_ms,
                session_ms_max: settings.session_ms_max,
                step_up_ms: settings.step_up_ms,
                // Who is found by login may not be renamed by a directory: the name is who they are.
                logins_fixed: settings.providers.iter().any(|(_, rule)| *rule == ForeignRule::Login),
                ..tacet_identity::Settings::new(&host, of_passkeys, &settings.name)
            },
        )?;
        let outgoing = Arc::new(Outgoing::new(&settings.outgoing).map_err(|()| PeopleError::Roots)?);
        let smart_settings = tacet_smart::Settings {
            lifetimes: settings.lifetimes,
            client_certificates: settings.client_certificates,
            ..tacet_smart::Settings::at(base_url, base_url)
        };
        let fetch = Arc::clone(&outgoing) as Arc<dyn tacet_smart::FetchJwks>;
        let smart =
            AuthorizationServer::open(Arc::clone(&rows), Arc::clone(&clock), Arc::clone(&rng), smart_settings, fetch)
                .await?;
        let callback = format!("{base_url}/auth/foreign/callback");
        let logged_out = format!("{base_url}/auth/login");
        let providers = settings.providers.iter().map(|(provider, _)| Provider {
            redirect_uri: callback.clone(),
            logged_out_uri: logged_out.clone(),
            ..provider.clone()
        });
        let foreign = ForeignLogins::new(rows, clock, rng, outgoing, providers.collect())?.with_signer(smart.signer());
        let rules = settings.providers.iter().map(|(provider, rule)| (provider.id.clone(), *rule)).collect();
        let propose_accounts = proposing(&settings.propose_accounts).ok_or(PeopleError::Proposing)?;
        let tokens_for_people = settings.tokens_for_people;
        Ok(Self {
            identity: Arc::new(identity),
            smart,
            foreign,
            rules,
            vault,
            origins,
            prefix,
            rates: Rates::default(),
            sites: KnownSites::default(),
            tokens_for_people,
            propose_accounts,
        })
    }

    /// Accounts, passkeys, sessions and approvals.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The authorization server.
    pub fn smart(&self) -> &AuthorizationServer {
        &self.smart
    }
}

/// The organizations for whose staff accounts are proposed; none if one is not named as it must be.
fn proposing(named: &[String]) -> Option<Vec<String>> {
    let is_one = |name: &&String| name.strip_prefix("Organization/").is_some_and(|id| ResourceId::parse(id).is_ok());
    (named.len() <= PROPOSING_MAX && named.iter().all(|name| is_one(&name))).then(|| named.to_vec())
}

/// The host that passkeys are bound to, and the origins of our pages, that of passkeys last. Passkeys know no addresses, only names: on this
/// machine its name stands for its address.
fn places(base_url: &str) -> Option<(String, Vec<String>, String)> {
    let mut url = Url::parse(base_url).ok()?;
    let mut origins = vec![url.origin().ascii_serialization()];
    if matches!(url.host_str()?, "127.0.0.1" | "[::1]") {
        url.set_host(Some("localhost")).ok()?;
        origins.push(url.origin().ascii_serialization());
    }
    let prefix = url.path().trim_end_matches('/').to_owned();
    Some((url.host_str()?.to_owned(), origins, prefix))
}

/// Whether a role is one of people, who show a passkey: a token made at the command line is not theirs to use.
pub(crate) fn is_of_people(role: Role) -> bool {
    !role.is_of_machines() && !matches!(role, Role::Operator | Role::Administrator)
}
