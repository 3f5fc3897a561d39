//! Signed tokens of others (RFC 7515, 7519): taken apart, and their signature checked with a key that the caller chose.
//!
//! The token's header is a hint and nothing more: the algorithm must be one of those that the key itself allows (RFC 8725, section 3.1). Headers that
//! would need something to be understood (`crit`) or bring a key along are not taken here; the proof of possession reads its own key.

use crate::jwk::{self, Jwk};
use crate::settings::JWT_BYTES_MAX;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a token says about itself.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    #[serde(default)]
    pub(crate) typ: Option<String>,
    #[serde(default)]
    pub(crate) kid: Option<String>,
    #[serde(default)]
    pub(crate) jku: Option<String>,
    #[serde(default)]
    pub(crate) jwk: Option<Jwk>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// A token that was taken apart and not checked.
pub(crate) struct Unchecked<'a> {
    pub(crate) header: Header,
    message: &'a str,
    signature: &'a str,
    payload: &'a str,
}

/// Why a token is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JwtError {
    /// Not a signed token within bounds.
    Shape,
    /// The algorithm is not one that the key allows.
    Algorithm,
    /// The signature is not that key's.
    Signature,
}

/// Claims, as they stand in the token.
pub(crate) struct Claims(Map<String, Value>);

impl<'a> Unchecked<'a> {
    /// Takes a token apart.
    pub(crate) fn read(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > JWT_BYTES_MAX {
            return Err(JwtError::Shape);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Shape)?;
        let (header, payload) = message.split_once('.').ok_or(JwtError::Shape)?;
        if payload.contains('.') {
            return Err(JwtError::Shape);
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| JwtError::Shape)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| JwtError::Shape)?;
        if header.crit.is_some() {
            return Err(JwtError::Shape);
        }
        Ok(Self { header, message, signature, payload })
    }

    /// The claims, where the signature is by `key` and in an algorithm that the key allows.
    pub(crate) fn check(&self, key: &Jwk) -> Result<Claims, JwtError> {
        let alg = jwk::algorithm(&self.header.alg).ok_or(JwtError::Algorithm)?;
        if !key.algorithms().contains(&alg) {
            return Err(JwtError::Algorithm);
        }
        let decoding = key.decoding().ok_or(JwtError::Algorithm)?;
        match jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), &decoding, alg) {
            Ok(true) => self.claims(),
            _ => Err(JwtError::Signature),
        }
    }

    /// The claims, unchecked: only to find out whose key is to be looked for.
    pub(crate) fn claims(&self) -> Result<Claims, JwtError> {
        let payload = URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| JwtError::Shape)?;
        serde_json::from_slice(&payload).map(Claims).map_err(|_| JwtError::Shape)
    }
}

impl Claims {
    /// A claim that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a time, in seconds since 1970; fractions are dropped.
    pub(crate) fn time_s(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        // Beyond the range of i64 the cast holds at its ends, which no check takes for a time near now.
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }

    /// Whether there is such a claim.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The audiences: one text, or a list of texts. Empty where it is something else.
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => {
                let texts: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
                if texts.len() == many.len() { texts } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }
}
