//! Public keys of others (RFC 7517): read strictly, with the algorithms that each may be used with.
//!
//! A key says what it is for; a token never does. Only RSA from 2048 bits and the curves P-256 and P-384 are taken: no shared secrets, no `none`.

use crate::secret;
use crate::settings::{JWKS_BYTES_MAX, KEYS_MAX};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};

/// Shortest RSA modulus, in bytes (2048 bits).
const RSA_BYTES_MIN: usize = 256;

/// Longest RSA modulus, in bytes (8192 bits).
const RSA_BYTES_MAX: usize = 1024;

/// Longest id of a key, in bytes.
const KID_BYTES_MAX: usize = 256;

/// A public key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA` or `EC`.
    pub kty: String,
    /// The key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub key_use: Option<String>,
    /// What it may be used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// EC: the curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// EC: the first coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// EC: the second coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA: the modulus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA: the exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The certificate of the key and those above it, DER in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5c: Option<Vec<String>>,
    /// SHA-256 of the certificate, base64url.
    #[serde(default, rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<String>,
    /// The private part. A set that holds one is refused: it was published by mistake.
    #[serde(default, skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
    /// A shared secret: refused as well.
    #[serde(default, skip_serializing)]
    k: Option<serde::de::IgnoredAny>,
}

/// Keys of a client or provider.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// Why a key or a set is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JwkError {
    /// Not JSON of that shape.
    #[error("the keys are not a JSON Web Key Set")]
    Shape,
    /// Too large.
    #[error("the keys are more than {KEYS_MAX}, or larger than {JWKS_BYTES_MAX} bytes")]
    TooLarge,
    /// A private or a shared key.
    #[error("the keys hold a private or shared one: make new keys and publish their public part only")]
    Private,
    /// No key that may sign.
    #[error("there is no key to check signatures with: give RSA of 2048 bits or more, P-256 or P-384")]
    None,
}

fn decoded(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

impl Jwk {
    /// The key of an elliptic curve, by coordinates.
    pub(crate) fn ec(kid: &str, crv: &str, alg: &str, x: String, y: String) -> Self {
        Self {
            kty: "EC".to_owned(),
            kid: Some(kid.to_owned()),
            alg: Some(alg.to_owned()),
            key_use: Some("sig".to_owned()),
            key_ops: None,
            crv: Some(crv.to_owned()),
            x: Some(x),
            y: Some(y),
            n: None,
            e: None,
            x5c: None,
            x5t_s256: None,
            d: None,
            k: None,
        }
    }

    /// Whether it holds a private or shared part.
    pub fn is_private(&self) -> bool {
        self.d.is_some() || self.k.is_some() || self.kty == "oct"
    }

    /// The algorithms that a signature by this key may have. None where the key may not sign, or is not one that is taken.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let signs = self.key_use.as_deref().is_none_or(|key_use| key_use == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify" || op == "sign"));
        let short_id = self.kid.as_ref().is_none_or(|kid| kid.len() <= KID_BYTES_MAX);
        if !signs || !short_id || self.is_private() {
            return Vec::new();
        }
        let coordinates =
            |bytes| [&self.x, &self.y].iter().all(|c| decoded(c.as_deref()).is_some_and(|c| c.len() == bytes));
        let possible = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) if coordinates(32) => vec![Algorithm::ES256],
            ("EC", Some("P-384")) if coordinates(48) => vec![Algorithm::ES384],
            ("RSA", _) if self.rsa_fits() => {
                vec![Algorithm::RS256, Algorithm::RS384, Algorithm::PS256, Algorithm::PS384]
            }
            _ => Vec::new(),
        };
        possible.into_iter().filter(|alg| self.alg.as_deref().is_none_or(|own| own == name_of(*alg))).collect()
    }

    fn rsa_fits(&self) -> bool {
        let modulus = decoded(self.n.as_deref());
        let exponent = decoded(self.e.as_deref());
        modulus.is_some_and(|n| {
            let n = n.iter().skip_while(|byte| **byte == 0).count();
            (RSA_BYTES_MIN..=RSA_BYTES_MAX).contains(&n)
        }) && exponent.is_some_and(|e| e.len() <= 8 && e.last().is_some_and(|last| last % 2 == 1) && e != [1])
    }

    /// The key as the signature check takes it.
    pub(crate) fn decoding(&self) -> Option<DecodingKey> {
        match self.kty.as_str() {
            "EC" => DecodingKey::from_ec_components(self.x.as_deref()?, self.y.as_deref()?).ok(),
            "RSA" => DecodingKey::from_rsa_components(self.n.as_deref()?, self.e.as_deref()?).ok(),
            _ => None,
        }
    }

    /// The thumbprint of RFC 7638, base64url of SHA-256.
    pub fn thumbprint(&self) -> Option<String> {
        // The members that make the key, in the order of their names, without blanks. Their values are base64url and need no escapes.
        let text = match self.kty.as_str() {
            "EC" => {
                let (crv, x, y) = (self.crv.as_deref()?, self.x.as_deref()?, self.y.as_deref()?);
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, self.e.as_deref()?, self.n.as_deref()?),
            _ => return None,
        };
        Some(secret::sha256_url(text.as_bytes()))
    }

    /// The thumbprint of the certificate that stands with the key: given, or of the first of `x5c`.
    pub fn certificate_thumbprint(&self) -> Option<String> {
        if let Some(given) = &self.x5t_s256 {
            return Some(given.clone());
        }
        let first = self.x5c.as_ref()?.first()?;
        Some(secret::sha256_url(&STANDARD.decode(first).ok()?))
    }
}

impl JwkSet {
    /// Reads a set: keys of kinds that are not taken may be in it, private ones may not, and one at least must be of use.
    ///
    /// # Errors
    /// See [`JwkError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, JwkError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwkError::TooLarge);
        }
        let set: Self = serde_json::from_slice(bytes).map_err(|_| JwkError::Shape)?;
        set.check()?;
        Ok(set)
    }

    /// Checks a set.
    pub(crate) fn check(&self) -> Result<(), JwkError> {
        if self.keys.len() > KEYS_MAX {
            return Err(JwkError::TooLarge);
        }
        if self.keys.iter().any(Jwk::is_private) {
            return Err(JwkError::Private);
        }
        if self.keys.iter().all(|key| key.algorithms().is_empty()) {
            return Err(JwkError::None);
        }
        Ok(())
    }
}

/// An algorithm's name.
pub(crate) fn name_of(alg: Algorithm) -> &'static str {
    match alg {
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        _ => "",
    }
}

/// The algorithm of this name, of those that are taken.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    [Algorithm::ES256, Algorithm::ES384, Algorithm::RS256, Algorithm::RS384, Algorithm::PS256, Algorithm::PS384]
        .into_iter()
        .find(|alg| name_of(*alg) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_those_of_rfc_7638() {
        // RFC 7638, section 3.1.
        let key = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        let set = JwkSet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap();
        assert_eq!(set.keys[0].thumbprint().unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(set.keys[0].algorithms(), [Algorithm::RS256], "the one that it is for");
    }

    #[test]
    fn sets_that_are_not_taken() {
        let set = |keys: &str| JwkSet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes()).map(|_| ());
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let ec = |more: &str| format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"{more}}}"#);
        assert_eq!(set(&ec("")), Ok(()));
        assert_eq!(set(&ec(r#","use":"enc""#)), Err(JwkError::None));
        assert_eq!(set(&ec(r#","alg":"RS256""#)), Err(JwkError::None));
        assert_eq!(set(&ec(r#","key_ops":["encrypt"]"#)), Err(JwkError::None));
        assert_eq!(set(&ec(r#","d":"AA""#)), Err(JwkError::Private));
        assert_eq!(set(r#"{"kty":"oct","k":"AA"}"#), Err(JwkError::Private));
        assert_eq!(set(r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#), Err(JwkError::None), "short");
        assert_eq!(set(""), Err(JwkError::None));
        assert_eq!(JwkSet::parse(b"[]"), Err(JwkError::Shape));
        assert_eq!(set(&vec![ec(""); KEYS_MAX + 1].join(",")), Err(JwkError::TooLarge));
        assert_eq!(JwkSet::parse(&vec![b' '; JWKS_BYTES_MAX + 1]), Err(JwkError::TooLarge));
    }
}
