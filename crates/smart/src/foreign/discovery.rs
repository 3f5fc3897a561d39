//! What a provider says about itself, and its keys: fetched, checked, kept for a while.

use super::{ANSWER_BYTES_MAX, Fetch, FetchRequest, ForeignError, ForeignLogins, Provider};
use crate::jwk::{Jwk, JwkSet};
use crate::redirect;
use crate::settings::KEY_FETCH_PAUSE_MS;
use serde::Deserialize;
use std::sync::PoisonError;

/// How long what a provider said is used, in milliseconds.
const KNOWN_MS: i64 = 3_600_000;

/// How long a provider that did not answer is left alone, in milliseconds: anybody can begin a login.
const TRY_PAUSE_MS: i64 = 2000;

/// What is used of a provider's metadata (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    #[serde(default)]
    pub(super) userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub(super) end_session_endpoint: Option<String>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// A provider as it is known now.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) metadata: Metadata,
    keys: JwkSet,
    at_ms: i64,
    keys_tried_ms: i64,
}

impl ForeignLogins {
    /// The body of a good answer.
    pub(super) async fn get(&self, url: &str, authorization: Option<String>) -> Result<Vec<u8>, ForeignError> {
        let request = FetchRequest { url: url.to_owned(), authorization, form: None };
        body_of(self.fetch.as_ref(), request).await
    }

    /// What is known of a provider, fetched where it is not known yet or too old.
    pub(super) async fn known(&self, provider: &Provider) -> Result<Known, ForeignError> {
        let now_ms = self.clock.now().as_ms();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&provider.id).cloned();
        if let Some(known) = known.filter(|known| now_ms - known.at_ms < KNOWN_MS) {
            return Ok(known);
        }
        let lately = |at_ms: &i64| (0..TRY_PAUSE_MS).contains(&now_ms.saturating_sub(*at_ms));
        if self.failed.lock().unwrap_or_else(PoisonError::into_inner).get(&provider.id).is_some_and(lately) {
            return Err(ForeignError::Provider("it did not answer a moment ago"));
        }
        let fetched = self.fetch_known(provider, now_ms).await;
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match &fetched {
            Ok(_) => failed.remove(&provider.id),
            Err(_) => failed.insert(provider.id.clone(), now_ms),
        };
        fetched
    }

    async fn fetch_known(&self, provider: &Provider, now_ms: i64) -> Result<Known, ForeignError> {
        let issuer = provider.issuer.trim_end_matches('/');
        let body = self.get(&format!("{issuer}/.well-known/openid-configuration"), None).await?;
        let metadata: Metadata =
            serde_json::from_slice(&body).map_err(|_| ForeignError::Provider("its metadata is not the standard's"))?;
        // Discovery 1.0, section 4.3: to the letter. Else one provider could speak for another.
        if metadata.issuer != provider.issuer {
            return Err(ForeignError::Provider("its metadata is another issuer's"));
        }
        let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        if endpoints
            .into_iter()
            .chain(&metadata.userinfo_endpoint)
            .chain(&metadata.end_session_endpoint)
            .any(|url| redirect::check(url).is_err())
        {
            return Err(ForeignError::Provider("an address of its metadata is not https"));
        }
        let keys = self.fetch_keys(&metadata).await?;
        let known = Known { metadata, keys, at_ms: now_ms, keys_tried_ms: now_ms };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(provider.id.clone(), known.clone());
        Ok(known)
    }

    async fn fetch_keys(&self, metadata: &Metadata) -> Result<JwkSet, ForeignError> {
        let body = self.get(&metadata.jwks_uri, None).await?;
        JwkSet::parse(&body).map_err(|_| ForeignError::Provider("its keys are not usable"))
    }

    /// The provider's keys of this id. One that is not known is looked for again, but not in quick succession.
    pub(super) async fn provider_keys(&self, provider: &Provider, kid: Option<&str>) -> Result<Vec<Jwk>, ForeignError> {
        let now_ms = self.clock.now().as_ms();
        let mut known = self.known(provider).await?;
        let named = |known: &Known| -> Vec<Jwk> {
            let fits = |key: &&Jwk| kid.is_none() || key.kid.as_deref() == kid;
            known.keys.keys.iter().filter(fits).cloned().collect()
        };
        let found = named(&known);
        if !found.is_empty() || now_ms - known.keys_tried_ms < KEY_FETCH_PAUSE_MS {
            return Ok(found);
        }
        known.keys = self.fetch_keys(&known.metadata).await?;
        known.keys_tried_ms = now_ms;
        let found = named(&known);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(provider.id.clone(), known);
        Ok(found)
    }
}

/// The body of a good answer.
pub(super) async fn body_of(fetch: &dyn Fetch, request: FetchRequest) -> Result<Vec<u8>, ForeignError> {
    let answer = fetch.fetch(request).await.map_err(|_| ForeignError::Provider("it does not answer"))?;
    if answer.status != 200 {
        return Err(ForeignError::Provider("it answers with an error"));
    }
    if answer.body.len() > ANSWER_BYTES_MAX {
        return Err(ForeignError::Provider("its answer is too large"));
    }
    Ok(answer.body)
}
