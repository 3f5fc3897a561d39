//! Keys: the server's own, which sign id tokens, and those of clients that are fetched from an address.

use crate::client::Client;
use crate::error::SmartError;
use crate::jwk::{Jwk, JwkSet};
use crate::rows::{self, Rows};
use crate::secret;
use crate::server::AuthorizationServer;
use crate::settings::{KEY_CACHE_MAX, KEY_CACHE_MS, KEY_FETCH_PAUSE_MS};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use tacet_ledger::noted::{Expect, Table};
use tacet_types::{Rng, Timestamp};

/// How long a key that signs no more is still published, in milliseconds: longer than an id token lives.
const RETIRED_MS: i64 = 24 * 3_600_000;

/// Why keys could not be fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the keys could not be fetched: see the log")]
pub struct FetchError;

/// What a fetch comes to.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send + 'a>>;

/// Fetches the keys of clients. Whoever implements it answers for the network: https with a checked certificate, no redirects, a bound of time, a body of
/// at most [`crate::settings::JWKS_BYTES_MAX`] bytes, and no addresses inside the house that the operator did not list.
pub trait FetchJwks: Send + Sync {
    /// The body at this https address.
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

/// A signing key as its row has it. The row is sealed.
#[derive(Serialize, Deserialize)]
struct KeyRow {
    kid: String,
    pkcs8: String,
    x: String,
    y: String,
    created_ms: i64,
    retired_ms: Option<i64>,
}

/// The server's own keys.
pub(crate) struct SigningKeys {
    current: (String, EncodingKey),
    public: Vec<(Jwk, Option<i64>)>,
}

/// Signs with the server's own key, whose public half is published: what proves this server to others.
#[derive(Clone)]
pub struct Signer(pub(crate) Arc<RwLock<SigningKeys>>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Claims as a signed token (ES256), by the current key.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, SmartError> {
        let signing = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (kid, key) = &signing.current;
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.clone());
        jsonwebtoken::encode(&header, claims, key).map_err(|_| SmartError::SigningKey)
    }
}

fn key_row(rng: &dyn Rng, now: Timestamp) -> Result<KeyRow, SmartError> {
    // The key itself is made by the cryptography's own source of randomness, never by one that a test can turn.
    let failed = |_| SmartError::SigningKey;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())
        .map_err(|_| SmartError::SigningKey)?;
    let point = pair.public_key().as_ref();
    let part =
        |from: usize| point.get(from..from + 32).map(|c| URL_SAFE_NO_PAD.encode(c)).ok_or(SmartError::SigningKey);
    Ok(KeyRow {
        kid: secret::id(rng),
        pkcs8: STANDARD.encode(pkcs8.as_ref()),
        x: part(1)?,
        y: part(33)?,
        created_ms: now.as_ms(),
        retired_ms: None,
    })
}

impl SigningKeys {
    /// Reads the keys, and makes the first.
    pub(crate) async fn load(rows: &Rows, rng: &dyn Rng, now: Timestamp) -> Result<Self, SmartError> {
        if let Some(keys) = Self::read(rows, now)? {
            return Ok(keys);
        }
        let row = key_row(rng, now)?;
        let write = rows::put(Table::SigningKeys, rows::by_id("key", &row.kid), &row, Expect::Absent)?;
        rows.commit(vec![write], Vec::new()).await?;
        Self::read(rows, now)?.ok_or(SmartError::SigningKey)
    }

    fn read(rows: &Rows, now: Timestamp) -> Result<Option<Self>, SmartError> {
        let mut found: Vec<KeyRow> = Vec::new();
        rows.each(Table::SigningKeys, "key", |_, row, _| found.push(row))?;
        let newest = found.iter().filter(|row| row.retired_ms.is_none()).max_by_key(|row| row.created_ms);
        let Some(newest) = newest else { return Ok(None) };
        let der = STANDARD.decode(&newest.pkcs8).map_err(|_| SmartError::SigningKey)?;
        let current = (newest.kid.clone(), EncodingKey::from_ec_der(&der));
        let live = |row: &&KeyRow| row.retired_ms.is_none_or(|at| now.as_ms() < at + RETIRED_MS);
        let public = |row: &KeyRow| (Jwk::ec(&row.kid, "P-256", "ES256", row.x.clone(), row.y.clone()), row.retired_ms);
        let public = found.iter().filter(live).map(public).collect();
        Ok(Some(Self { current, public }))
    }
}

impl AuthorizationServer {
    /// The public keys of this server: what stands at `jwks_uri`.
    pub fn jwks(&self) -> Value {
        let now = self.now().as_ms();
        let signing = self.signing.0.read().unwrap_or_else(PoisonError::into_inner);
        let live = signing.public.iter().filter(|(_, retired)| retired.is_none_or(|at| now < at + RETIRED_MS));
        json!({ "keys": live.map(|(key, _)| key).collect::<Vec<_>>() })
    }

    /// Makes a new signing key. The old ones sign no more; they stay published until what they signed has ended.
    ///
    /// # Errors
    /// The rows', or that a key cannot be made.
    pub async fn rotate_signing_key(&self) -> Result<(), SmartError> {
        let now = self.now();
        let row = key_row(self.rng.as_ref(), now)?;
        let mut writes = vec![rows::put(Table::SigningKeys, rows::by_id("key", &row.kid), &row, Expect::Absent)?];
        let mut old: Vec<(Vec<u8>, KeyRow, u64)> = Vec::new();
        self.rows.each(Table::SigningKeys, "key", |name, row, revision| old.push((name, row, revision)))?;
        for (name, mut row, revision) in old {
            match row.retired_ms {
                None => {
                    row.retired_ms = Some(now.as_ms());
                    writes.push(rows::put(Table::SigningKeys, name, &row, Expect::Revision(revision))?);
                }
                Some(at) if now.as_ms() >= at + RETIRED_MS => {
                    writes.push(rows::remove(Table::SigningKeys, name, Expect::Revision(revision)));
                }
                Some(_) => {}
            }
        }
        self.rows.commit(writes, Vec::new()).await?;
        let keys = SigningKeys::read(&self.rows, now)?.ok_or(SmartError::SigningKey)?;
        *self.signing.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Signs claims with the current key.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, SmartError> {
        self.signing.sign(claims)
    }

    /// What signs with this server's key, for logins at providers that know it by that key.
    pub fn signer(&self) -> Signer {
        self.signing.clone()
    }

    /// The keys of a client that go by `kid`. Empty where there is none, or none can be had.
    pub(crate) async fn keys_of(&self, client: &Client, kid: &str) -> Result<Vec<Jwk>, SmartError> {
        let named = |set: &JwkSet| -> Vec<Jwk> {
            set.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).cloned().collect()
        };
        match &client.metadata.jwks {
            Some(set) => Ok(named(set)),
            None => Ok(self.all_keys_of(client, Some(kid)).await?.as_ref().map(named).unwrap_or_default()),
        }
    }

    /// All keys of a client. Where they are fetched, and `kid` is none of those known, they are fetched again, but not in quick succession.
    pub(crate) async fn all_keys_of(&self, client: &Client, kid: Option<&str>) -> Result<Option<JwkSet>, SmartError> {
        if let Some(set) = &client.metadata.jwks {
            return Ok(Some(set.clone()));
        }
        let Some(url) = &client.metadata.jwks_uri else { return Ok(None) };
        let now_ms = self.now().as_ms();
        {
            let mut cache = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = cache.use_or_claim(&client.id, kid, now_ms) {
                return Ok(known);
            }
        }
        let set = self.fetch.fetch(url).await.ok().and_then(|body| JwkSet::parse(&body).ok());
        let mut cache = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(cache.fetched(&client.id, set, now_ms))
    }
}

/// Keys of clients that were fetched, and when.
#[derive(Default)]
pub(crate) struct KeyCache(HashMap<String, Fetched>);

struct Fetched {
    set: Option<JwkSet>,
    /// When the set was fetched.
    at_ms: i64,
    /// When it was last tried.
    tried_ms: i64,
}

impl KeyCache {
    /// What is known and may be used; none where the caller is to fetch. Asking marks the time, so that others do not fetch meanwhile.
    fn use_or_claim(&mut self, client: &str, kid: Option<&str>, now_ms: i64) -> Option<Option<JwkSet>> {
        if let Some(known) = self.0.get_mut(client) {
            let fresh = now_ms - known.at_ms < KEY_CACHE_MS;
            let has = known
                .set
                .as_ref()
                .is_some_and(|set| kid.is_none_or(|kid| set.keys.iter().any(|key| key.kid.as_deref() == Some(kid))));
            if (fresh && has) || now_ms - known.tried_ms < KEY_FETCH_PAUSE_MS {
                return Some(known.set.clone().filter(|_| fresh));
            }
            known.tried_ms = now_ms;
            return None;
        }
        if self.0.len() >= KEY_CACHE_MAX {
            // The oldest goes: a walk over a few hundred, once for each client that is new here.
            let oldest = self.0.iter().min_by_key(|(_, known)| known.tried_ms).map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(client.to_owned(), Fetched { set: None, at_ms: i64::MIN / 2, tried_ms: now_ms });
        None
    }

    /// Keeps what was fetched, and gives what may be used. A fetch that failed leaves what was known until that is too old: else anybody who names an
    /// unknown key in a bad moment could keep a client out.
    fn fetched(&mut self, client: &str, set: Option<JwkSet>, now_ms: i64) -> Option<JwkSet> {
        if let Some(set) = set {
            self.0.insert(client.to_owned(), Fetched { set: Some(set.clone()), at_ms: now_ms, tried_ms: now_ms });
            return Some(set);
        }
        let known = self.0.get(client)?;
        known.set.clone().filter(|_| now_ms - known.at_ms < KEY_CACHE_MS)
    }

    /// Forgets a client's keys.
    pub(crate) fn forget(&mut self, client: &str) {
        self.0.remove(client);
    }
}
