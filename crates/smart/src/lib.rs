//! The authorization server of SMART App Launch 2, without HTTP: typed requests in, typed answers, addresses and errors out.
//!
//! ```text
//!   app ── authorize(query, person?) ─► Login | Consent{ticket} | Redirect | Refuse
//!   person ── decide(ticket, approved) ─► redirect with a code (S256, 60 s, once)
//!   app ── token(form, proof, certificate) ─► access token (5 min), refresh token (rotated), id token
//!   app ── FHIR request ─► access(token, proof, method, url) ─► AccessGrant
//! ```
//!
//! Everything is kept in [`tacet_ledger::noted::NotedRows`], each change in one commit with its ledger entry. Secrets are kept as SHA-256 only.
//! Only one of two uses of a code or of a refresh token at the same time wins, because the commit asks for the revision that was read.
//!
//! It is not: a web server (the pages of login and consent, headers, limits of rate are the caller's), the keeper of accounts (who is logged in
//! is given as [`Person`]), or what decides about records (a scope's meaning is `tacet_policy`'s).
//!
//! [`foreign`] is the other side: login of people at another provider.
//!
//! Sources: <https://hl7.org/fhir/smart-app-launch/>, RFC 6749, 7009, 7517, 7519, 7523, 7591, 7636, 7662, 8252, 8414, 8705, 8725, 9207, 9449, 9700,
//! OpenID Connect Core 1.0.

mod access;
mod authorize;
mod client;
mod client_auth;
mod clients;
mod consent;
mod discovery;
mod dpop;
mod error;
pub mod foreign;
mod grant;
mod jwk;
mod jwt;
mod keys;
mod launch;
mod params;
mod person;
mod redirect;
mod restored;
mod revoke;
mod rows;
pub mod scopes;
mod secret;
mod server;
pub mod settings;
mod sites;
mod standing;
mod sweep;
mod token;

#[cfg(test)]
mod hostile;

pub use access::{AccessGrant, Scheme, Shown};
pub use authorize::{Authorize, Consent, LoginAsk, PageError, PatientNeed};
pub use client::{Approval, AuthMethod, Client, ClientMetadata, ClientState};
pub use client_auth::ClientProof;
pub use consent::Decision;
pub use error::{ErrorCode, OAuthError, SmartError};
pub use grant::LaunchContext;
pub use jwk::{Jwk, JwkError, JwkSet};
pub use keys::{FetchError, FetchJwks, Fetching, Signer};
pub use launch::Launch;
pub use params::Params;
pub use person::{Asked, Person};
pub use redirect::{REDIRECT_BYTES_MAX, check as check_redirect, matches as redirect_matches};
pub use restored::{EndedAfterRestore, end_after_restore};
pub use server::AuthorizationServer;
pub use settings::{Endpoints, Lifetimes, Settings};
pub use sites::Sites;
pub use standing::Standing;
pub use sweep::Swept;
pub use token::{TokenAnswer, TokenRequest};
