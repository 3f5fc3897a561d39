//! A passkey in software, for the people of a stage: it makes a key, and signs what it is asked (WebAuthn Level 3). No attestation.

use crate::error::CliError;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tacet_identity::{PublicKeyCredential, RegisterPublicKeyCredential};

/// Flags of authenticator data: somebody is there, was verified, and a key comes along.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// Bytes of a coordinate of P-256.
const COORDINATE_BYTES: usize = 32;

/// A key on somebody's device.
pub(super) struct Passkey {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    handle: Vec<u8>,
    counter: u32,
    origin: String,
}

impl Passkey {
    /// Makes one for the pages of this origin.
    pub(super) fn new(origin: &str) -> Result<Self, CliError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|error| CliError::other("the drill could not make a passkey", error))?;
        let id = digest(&SHA256, key.public_key().as_ref()).as_ref().to_vec();
        Ok(Self { key, id, handle: Vec::new(), counter: 0, origin: origin.to_owned() })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = options.pointer("/publicKey/challenge");
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn data(&self, host: &str, more: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, host.as_bytes()).as_ref().to_vec();
        data.push(PRESENT | VERIFIED | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// Answers an enrolment.
    pub(super) fn create(&mut self, host: &str, options: &Value) -> Result<RegisterPublicKeyCredential, CliError> {
        let handle = options.pointer("/publicKey/user/id").and_then(Value::as_str).unwrap_or_default();
        self.handle = URL_SAFE_NO_PAD.decode(handle).unwrap_or_default();
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.data(host, ATTESTED);
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
        let id = URL_SAFE_NO_PAD.encode(&self.id);
        let answer = json!({
            "id": id, "rawId": id, "type": "public-key",
            "response": {
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            },
            "clientExtensionResults": { "credProps": { "rk": true } },
        });
        serde_json::from_value(answer).map_err(|error| CliError::other("the drill's passkey is none", error))
    }

    /// Answers a login.
    pub(super) fn get(&mut self, host: &str, options: &Value) -> Result<PublicKeyCredential, CliError> {
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(host, 0);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self
            .key
            .sign(&SystemRandom::new(), &signed)
            .map_err(|error| CliError::other("the drill's passkey does not sign", error))?;
        let id = URL_SAFE_NO_PAD.encode(&self.id);
        let answer = json!({
            "id": id, "rawId": id, "type": "public-key",
            "response": {
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
                "userHandle": URL_SAFE_NO_PAD.encode(&self.handle),
            },
            "clientExtensionResults": {},
        });
        serde_json::from_value(answer).map_err(|error| CliError::other("the drill's passkey is none", error))
    }
}
