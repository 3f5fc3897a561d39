//! A passkey in software, for people who are in no real hospital: it makes a key, and signs what it is asked (WebAuthn Level 3). No attestation.
//!
//! Tests and drills log in with it, and spoil one thing at a time to see it refused. It is nobody's key: it keeps itself in memory, asks no one for
//! a gesture, and signs for any site that its owner names.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

/// Flags of authenticator data: somebody is there, was verified, and a key comes along.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// Bytes of a coordinate of P-256.
const COORDINATE_BYTES: usize = 32;

/// Why a passkey does not answer.
#[derive(Debug, Error)]
pub enum PasskeyError {
    /// The cryptography failed.
    #[error("the passkey in software cannot make its key or sign")]
    Key,
    /// The options ask for what no passkey of this kind gives.
    #[error("these options are not for a passkey that is found by itself and verifies its user")]
    Options,
    /// The answer is not of the kind that was wanted.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// A key on somebody's device, for one account at one site. What is public may be spoilt.
pub struct Passkey {
    key: EcdsaKeyPair,
    /// The credential's id: SHA-256 of a name.
    pub id: Vec<u8>,
    handle: Vec<u8>,
    /// How often it signed.
    pub counter: u32,
    /// The page that asks it, as it says.
    pub origin: String,
    /// Whether it says that it verified its user.
    pub verifies: bool,
    /// Whether it says that the page stands within another site's.
    pub cross_origin: bool,
    /// For which site it signs, in the place of the one that is asked for.
    pub rp_id: Option<String>,
    /// What it signs, in the place of what it is asked to.
    pub challenge: Option<Vec<u8>>,
    /// Whose it says that it is, in the place of whom it was made for.
    pub handle_shown: Option<Vec<u8>>,
}

impl std::fmt::Debug for Passkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passkey").field("origin", &self.origin).field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Passkey {
    /// Makes one for the pages of this origin. Two of one name have one id, and each a key of its own.
    ///
    /// # Errors
    /// The cryptography's.
    pub fn new(name: &str, origin: &str) -> Result<Self, PasskeyError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| PasskeyError::Key)?;
        Ok(Self {
            key,
            id: digest(&SHA256, name.as_bytes()).as_ref().to_vec(),
            handle: Vec::new(),
            counter: 0,
            origin: origin.to_owned(),
            verifies: true,
            cross_origin: false,
            rp_id: None,
            challenge: None,
            handle_shown: None,
        })
    }

    /// The same passkey on a second device, nothing spoilt: what a passkey must not be.
    ///
    /// # Errors
    /// The cryptography's.
    pub fn copy(&self) -> Result<Self, PasskeyError> {
        let bytes = self.key.to_pkcs8v1().map_err(|_| PasskeyError::Key)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, bytes.as_ref());
        let key = key.map_err(|_| PasskeyError::Key)?;
        Ok(Self { key, id: self.id.clone(), handle: self.handle.clone(), ..Self::new("", &self.origin)? })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let given = options.pointer("/publicKey/challenge").cloned();
        let challenge = self.challenge.as_ref().map(|own| json!(URL_SAFE_NO_PAD.encode(own))).or(given);
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin })
            .to_string()
            .into_bytes()
    }

    fn data(&self, site: &str, more: u8) -> Vec<u8> {
        let site = self.rp_id.as_deref().unwrap_or(site);
        let mut data = digest(&SHA256, site.as_bytes()).as_ref().to_vec();
        data.push(PRESENT | more | if self.verifies { VERIFIED } else { 0 });
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// What `navigator.credentials.create` gives for these options, as JSON or what is read from it.
    ///
    /// # Errors
    /// Options that do not ask for a passkey which is found by itself and verifies its user.
    pub fn create<T: DeserializeOwned>(&mut self, options: &Value) -> Result<T, PasskeyError> {
        let text = |path: &str| options.pointer(path).and_then(Value::as_str);
        let wants = |what: &str| text(&format!("/publicKey/authenticatorSelection/{what}")) == Some("required");
        let (Some(handle), Some(site)) = (text("/publicKey/user/id"), text("/publicKey/rp/id")) else {
            return Err(PasskeyError::Options);
        };
        if !wants("residentKey") || !wants("userVerification") {
            return Err(PasskeyError::Options);
        }
        self.handle = URL_SAFE_NO_PAD.decode(handle).map_err(|_| PasskeyError::Options)?;
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.data(site, ATTESTED);
        data.extend([0; 16]);
        data.extend((self.id.len() as u16).to_be_bytes());
        data.extend(&self.id);
        // An uncompressed point: a byte that says so, x, y.
        let mut point = self.key.public_key().as_ref().iter().copied().skip(1);
        // COSE key in CBOR: EC2, ES256, P-256, x, y.
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(point.by_ref().take(COORDINATE_BYTES));
        data.extend([0x22, 0x58, 0x20]);
        data.extend(point.take(COORDINATE_BYTES));
        // CBOR: { "fmt": "none", "attStmt": {}, "authData": data }
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt\x64none\x67attStmt");
        object.extend([0xa0, 0x68]);
        object.extend(b"authData\x59");
        object.extend((data.len() as u16).to_be_bytes());
        object.extend(&data);
        let response = json!({
            "attestationObject": URL_SAFE_NO_PAD.encode(object),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
        });
        self.answer(&response, &json!({ "credProps": { "rk": true } }))
    }

    /// What `navigator.credentials.get` gives for these options, as JSON or what is read from it.
    ///
    /// # Errors
    /// Options that name passkeys, or do not ask for one that verifies its user.
    pub fn get<T: DeserializeOwned>(&mut self, options: &Value) -> Result<T, PasskeyError> {
        let text = |path: &str| options.pointer(path).and_then(Value::as_str);
        let verified = text("/publicKey/userVerification") == Some("required");
        let unnamed =
            options.pointer("/publicKey/allowCredentials").and_then(Value::as_array).is_none_or(Vec::is_empty);
        let Some(site) = text("/publicKey/rpId").filter(|_| verified && unnamed) else {
            return Err(PasskeyError::Options);
        };
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(site, 0);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).map_err(|_| PasskeyError::Key)?;
        let response = json!({
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
            "userHandle": URL_SAFE_NO_PAD.encode(self.handle_shown.as_ref().unwrap_or(&self.handle)),
        });
        self.answer(&response, &json!({}))
    }

    fn answer<T: DeserializeOwned>(&self, response: &Value, extensions: &Value) -> Result<T, PasskeyError> {
        let id = URL_SAFE_NO_PAD.encode(&self.id);
        let answer = json!({
            "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": extensions,
        });
        Ok(serde_json::from_value(answer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_for_the_site_that_asks_and_for_no_weaker_options() {
        let mut key = Passkey::new("a", "https://tacet.example").unwrap();
        let selection = json!({ "residentKey": "required", "userVerification": "required" });
        let create = json!({ "publicKey": {
            "challenge": "AAAA", "user": { "id": "BBBB" }, "rp": { "id": "tacet.example" }, "authenticatorSelection": selection } });
        let made: Value = key.create(&create).unwrap();
        assert_eq!(made["id"], URL_SAFE_NO_PAD.encode(&key.id));
        let mut get = json!({ "publicKey": {
            "challenge": "AAAA", "rpId": "tacet.example", "allowCredentials": [], "userVerification": "required" } });
        let shown: Value = key.get(&get).unwrap();
        let data = URL_SAFE_NO_PAD.decode(shown["response"]["authenticatorData"].as_str().unwrap()).unwrap();
        assert_eq!(data[..32], *digest(&SHA256, b"tacet.example").as_ref());
        assert_eq!((data[32], &data[33..]), (PRESENT | VERIFIED, &[0, 0, 0, 1][..]));
        assert_eq!(shown["response"]["userHandle"], "BBBB");
        get["publicKey"]["allowCredentials"] = json!([{ "id": "AAAA" }]);
        assert!(matches!(key.get::<Value>(&get), Err(PasskeyError::Options)), "a login names no passkey");
        let copy = key.copy().unwrap();
        assert_eq!((copy.id, copy.counter), (key.id, 0));
    }
}
