//! The checks of an id token (OpenID Connect Core 1.0, section 3.1.3.7).

use super::login::LoginRow;
use super::{ForeignError, ForeignLogins, Provider};
use crate::jwt::{Claims, Unchecked};
use crate::secret;
use crate::settings::CLOCK_SKEW_S;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How old an id token may be when it arrives, in seconds: it comes straight from the provider.
const TOKEN_AGE_S_MAX: i64 = 600;

/// Longest `sub` (OpenID Connect Core 1.0, section 2) and longest other claim that says who somebody is, in bytes.
pub(super) const SUBJECT_BYTES_MAX: usize = 255;

fn refuse<T>(what: &'static str) -> Result<T, ForeignError> {
    Err(ForeignError::Refused(what))
}

impl ForeignLogins {
    /// The claims of an id token that is this provider's, for us, for this login, and new.
    pub(super) async fn check_id_token(
        &self,
        provider: &Provider,
        row: &LoginRow,
        id_token: &str,
        access_token: Option<&str>,
    ) -> Result<Claims, ForeignError> {
        let Ok(unchecked) = Unchecked::read(id_token) else { return refuse("the id token is not a signed token") };
        let keys = self.provider_keys(provider, unchecked.header.kid.as_deref()).await?;
        let Some(claims) = keys.iter().find_map(|key| unchecked.check(key).ok()) else {
            return refuse("the id token is not signed by a key of the provider, in an algorithm of that key");
        };
        if claims.text("iss") != Some(&provider.issuer) {
            return refuse("the id token is another issuer's");
        }
        // Core, 3.1.3.7: no audience besides us that we do not trust, and we trust none.
        if !matches!(claims.audiences().as_slice(), [one] if *one == provider.client_id)
            || claims.has("azp") && claims.text("azp") != Some(&provider.client_id)
        {
            return refuse("the id token is for another client");
        }
        if !claims.text("nonce").is_some_and(|nonce| secret::same(nonce, &row.nonce)) {
            return refuse("the id token belongs to another login");
        }
        let now_s = self.clock.now().as_ms().div_euclid(1000);
        if claims.time_s("exp").is_none_or(|exp| exp <= now_s) {
            return refuse("the id token has expired");
        }
        let made_at = claims.time_s("iat").unwrap_or(i64::MIN);
        if made_at < now_s.saturating_sub(TOKEN_AGE_S_MAX) || made_at > now_s.saturating_add(CLOCK_SKEW_S) {
            return refuse("the id token was not made just now");
        }
        if claims.has("nbf") && claims.time_s("nbf").is_none_or(|nbf| nbf > now_s.saturating_add(CLOCK_SKEW_S)) {
            return refuse("the id token is from the future");
        }
        if claims.has("at_hash") {
            let expected = access_token.and_then(|token| half_hash(&unchecked.header.alg, token));
            let given = claims.text("at_hash");
            if !given.zip(expected.as_deref()).is_some_and(|(given, expected)| secret::same(given, expected)) {
                return refuse("the access token does not belong to the id token");
            }
        }
        if !claims.text("sub").is_some_and(|sub| !sub.is_empty() && sub.len() <= SUBJECT_BYTES_MAX) {
            return refuse("the id token does not say who");
        }
        self.check_strength(row, &claims, now_s)?;
        Ok(claims)
    }

    /// How and when the person logged in there.
    fn check_strength(&self, row: &LoginRow, claims: &Claims, now_s: i64) -> Result<(), ForeignError> {
        if !row.acr_values.is_empty()
            && !claims.text("acr").is_some_and(|acr| row.acr_values.iter().any(|wanted| wanted == acr))
        {
            return row.too_weak("the kind of login (`acr`) is not one that counts here");
        }
        if let Some(max_age_s) = row.max_age_s {
            let Some(auth_time_s) = claims.time_s("auth_time") else {
                return row.too_weak("it does not say when the person logged in (`auth_time`)");
            };
            // A fresh login is one that was made for this: after it was begun here. An older one counts up to its age.
            let oldest_s = (row.begun_s - i64::from(max_age_s)).saturating_sub(CLOCK_SKEW_S);
            if auth_time_s < oldest_s || auth_time_s > now_s.saturating_add(CLOCK_SKEW_S) {
                return row.too_weak("the person logged in too long ago");
            }
        }
        Ok(())
    }
}

/// The left half of the hash that goes with the algorithm of the id token (section 3.1.3.6).
fn half_hash(alg: &str, token: &str) -> Option<String> {
    let algorithm = match alg.get(2..)? {
        "256" => &digest::SHA256,
        "384" => &digest::SHA384,
        _ => return None,
    };
    let hash = digest::digest(algorithm, token.as_bytes());
    let half = hash.as_ref().get(..hash.as_ref().len() / 2)?;
    Some(URL_SAFE_NO_PAD.encode(half))
}
