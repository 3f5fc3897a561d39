//! The server's parts in one place.

use crate::dpop::Proofs;
use crate::error::SmartError;
use crate::keys::{FetchJwks, KeyCache, Signer, SigningKeys};
use crate::rows::Rows;
use crate::settings::Settings;
use aws_lc_rs::hmac;
use std::fmt;
use std::sync::{Arc, Mutex, RwLock};
use tacet_ledger::noted::NotedRows;
use tacet_types::{Clock, Rng, Timestamp};

/// An authorization server. Shared by all requests: every method takes `&self`.
pub struct AuthorizationServer {
    pub(crate) rows: Rows,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) settings: Settings,
    pub(crate) fetch: Arc<dyn FetchJwks>,
    pub(crate) signing: Signer,
    /// Proofs that came with a live token, and those of the token endpoint: who needs no token for theirs cannot fill up the room of the others.
    pub(crate) proofs: [Mutex<Proofs>; 2],
    pub(crate) fetched: Mutex<KeyCache>,
    pub(crate) nonce_key: hmac::Key,
    pub(crate) started: Timestamp,
}

impl AuthorizationServer {
    /// Opens a server over its rows; the first time it makes a signing key.
    ///
    /// # Errors
    /// The rows', or that a key cannot be made or read.
    pub async fn open(
        rows: Arc<dyn NotedRows>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        settings: Settings,
        fetch: Arc<dyn FetchJwks>,
    ) -> Result<Self, SmartError> {
        let mut nonce_key = [0; 32];
        rng.fill(&mut nonce_key);
        let rows = Rows(rows);
        let started = clock.now();
        let signing = SigningKeys::load(&rows, rng.as_ref(), started).await?;
        Ok(Self {
            rows,
            clock,
            rng,
            settings,
            fetch,
            signing: Signer(Arc::new(RwLock::new(signing))),
            proofs: Default::default(),
            fetched: Mutex::new(KeyCache::default()),
            nonce_key: hmac::Key::new(hmac::HMAC_SHA256, &nonce_key),
            started,
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, in whole seconds since 1970, as signed tokens have it.
    pub(crate) fn now_s(&self) -> i64 {
        self.now().as_ms().div_euclid(1000)
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizationServer({})", self.settings.issuer)
    }
}
