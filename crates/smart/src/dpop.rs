//! Proofs of possession (RFC 9449): a signed token for one request, by the key that an access token is bound to.
//!
//! Which proofs were used is remembered in memory, since one lives for a minute. What was made before this process started is refused, because it may have been
//! used then; where nonces are asked for, they see to that by themselves.

use crate::error::{ErrorCode, OAuthError};
use crate::jwt::Unchecked;
use crate::secret;
use crate::server::AuthorizationServer;
use crate::settings::{CLOCK_SKEW_S, PROOF_AGE_S_MAX, PROOFS_MAX};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashSet;
use std::sync::PoisonError;
use url::Url;

/// Longest id of a proof or an assertion, in bytes.
pub(crate) const JTI_BYTES_MAX: usize = 256;

/// How long a nonce is given out, in seconds; it is taken for twice as long.
const NONCE_S: i64 = 120;

/// How long a proof could be used, in seconds.
const WINDOW_S: i64 = PROOF_AGE_S_MAX + CLOCK_SKEW_S;

/// The proofs that were used: of this window of time and of the one before.
#[derive(Default)]
pub(crate) struct Proofs {
    since_s: i64,
    now: HashSet<[u8; 32]>,
    before: HashSet<[u8; 32]>,
}

impl Proofs {
    /// Takes down a proof. False where it was used already, none where there is no room.
    fn take(&mut self, proof: [u8; 32], now_s: i64) -> Option<bool> {
        let age_s = now_s.saturating_sub(self.since_s);
        if age_s > WINDOW_S {
            let last = std::mem::take(&mut self.now);
            self.before = if age_s > 2 * WINDOW_S { HashSet::new() } else { last };
            self.since_s = now_s;
        }
        if self.before.contains(&proof) {
            return Some(false);
        }
        if self.now.len() >= PROOFS_MAX {
            return None;
        }
        Some(self.now.insert(proof))
    }
}

fn refuse<T>(description: &'static str) -> Result<T, OAuthError> {
    Err(OAuthError::new(ErrorCode::InvalidDpopProof, description))
}

/// Scheme, host, port and path of an address: query and fragment do not count (RFC 9449, section 4.3).
fn place(url: &str) -> Option<(String, String, Option<u16>, String)> {
    let url = Url::parse(url).ok().filter(|url| url.username().is_empty() && url.password().is_none())?;
    Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default(), url.path().to_owned()))
}

impl AuthorizationServer {
    /// Checks a proof for one request, uses it up, and gives the thumbprint of its key.
    pub(crate) fn check_proof(
        &self,
        proof: &str,
        method: &str,
        url: &str,
        access_token: Option<&str>,
    ) -> Result<String, OAuthError> {
        let Ok(unchecked) = Unchecked::read(proof) else { return refuse("the proof is not a signed token") };
        if unchecked.header.typ.as_deref() != Some("dpop+jwt") {
            return refuse("the proof's type is not dpop+jwt");
        }
        let Some(key) = unchecked.header.jwk.as_ref().filter(|key| !key.is_private()) else {
            return refuse("the proof holds no public key");
        };
        let Ok(claims) = unchecked.check(key) else {
            return refuse("the proof's signature or algorithm is not that of its key");
        };
        let jti = match claims.text("jti") {
            Some(jti) if !jti.is_empty() && jti.len() <= JTI_BYTES_MAX => jti,
            _ => return refuse("the proof has no id, or too long a one"),
        };
        if claims.text("htm") != Some(method) {
            return refuse("the proof is for another method");
        }
        if claims.text("htu").and_then(place).is_none_or(|place_of| Some(place_of) != place(url)) {
            return refuse("the proof is for another address");
        }
        let now_s = self.now_s();
        let made_s = claims.time_s("iat").unwrap_or(i64::MIN);
        if made_s < now_s.saturating_sub(PROOF_AGE_S_MAX) || made_s > now_s.saturating_add(CLOCK_SKEW_S) {
            return refuse("the proof was not made just now");
        }
        if self.settings.dpop_nonce {
            if !claims.text("nonce").is_some_and(|nonce| self.is_nonce(nonce, now_s)) {
                let description = "the proof needs the nonce of the header DPoP-Nonce";
                let mut error = OAuthError::new(ErrorCode::UseDpopNonce, description);
                error.dpop_nonce = Some(self.nonce(now_s));
                return Err(error);
            }
        } else if made_s < self.started.as_ms().div_euclid(1000) {
            return refuse("the proof was made before this server was started: make a new one");
        }
        match (access_token, claims.text("ath")) {
            (Some(token), Some(ath)) if secret::same(ath, &secret::sha256_url(token.as_bytes())) => {}
            (None, _) => {}
            _ => return refuse("the proof is for another access token"),
        }
        let Some(thumbprint) = key.thumbprint() else { return refuse("the proof holds no public key") };
        let used = secret::sha256(format!("{thumbprint} {jti}").as_bytes());
        let [of_tokens, of_clients] = &self.proofs;
        let proofs = if access_token.is_some() { of_tokens } else { of_clients };
        match proofs.lock().unwrap_or_else(PoisonError::into_inner).take(used, now_s) {
            Some(true) => Ok(thumbprint),
            Some(false) => refuse("the proof was used before"),
            None => Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many requests: wait a minute")),
        }
    }

    /// The nonce for proofs of possession that is given out now.
    pub fn dpop_nonce(&self) -> Option<String> {
        self.settings.dpop_nonce.then(|| self.nonce(self.now_s()))
    }

    fn nonce(&self, at_s: i64) -> String {
        let window = at_s.div_euclid(NONCE_S).to_be_bytes();
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.nonce_key, &window).as_ref())
    }

    fn is_nonce(&self, nonce: &str, now_s: i64) -> bool {
        let last = secret::same(nonce, &self.nonce(now_s.saturating_sub(NONCE_S)));
        secret::same(nonce, &self.nonce(now_s)) || last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_remembered_for_as_long_as_it_could_be_used() {
        let mut proofs = Proofs::default();
        for start_s in [1000, 1000 + WINDOW_S, 5000] {
            let mark = secret::sha256(&start_s.to_be_bytes());
            assert_eq!(proofs.take(mark, start_s), Some(true));
            for later_s in [0, 1, WINDOW_S / 2, WINDOW_S] {
                assert_eq!(proofs.take(mark, start_s + later_s), Some(false), "{later_s}");
            }
        }
        assert!(proofs.now.len() + proofs.before.len() <= 2, "old ones go");
    }

    #[test]
    fn addresses_are_compared_without_their_query() {
        assert_eq!(place("https://a.example/x?y#z"), place("https://a.example:443/x"));
        assert_ne!(place("https://a.example/x"), place("https://a.example/X"));
        assert_ne!(place("https://a.example/x"), place("http://a.example/x"));
        assert_eq!(place("https://a@a.example/x"), None);
    }
}
