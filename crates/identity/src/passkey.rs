//! A passkey's row, and the passkey of nobody.

use crate::id::AccountId;
use crate::rows::Row;
use crate::secret::Hashed;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tacet_ledger::noted::Table;
use webauthn_rs::prelude::{Passkey, PublicKeyCredential, RegisterPublicKeyCredential};

/// Longest credential id, in bytes (WebAuthn level 3, section 4, "Credential ID").
const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

/// Longest part of an answer (client data, authenticator data, signature), in bytes. Attestations are the longest.
const ANSWER_PART_BYTES_MAX: usize = 16 * 1024;

/// Longest name that a person gives a passkey, in bytes.
pub const LABEL_BYTES_MAX: usize = 60;

/// A passkey, as it is kept under the hash of its credential id.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyRow {
    pub(crate) account: AccountId,
    pub(crate) label: String,
    pub(crate) added_ms: i64,
    pub(crate) used_ms: Option<i64>,
    /// Its counter went back once: it may have been copied, and is accepted no more.
    pub(crate) suspect: bool,
    pub(crate) passkey: Passkey,
}

impl Row for PasskeyRow {
    const TABLE: Table = Table::Passkeys;
    const WHAT: &'static str = "passkeys";
}

/// A passkey, as its owner sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasskeyInfo {
    /// Names it in requests: 64 hexadecimal digits.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: i64,
    /// When it was used last.
    pub used_ms: Option<i64>,
    /// Whether it may have been copied and is accepted no more.
    pub suspect: bool,
}

/// The name of the row of a credential.
pub(crate) fn credential_name(id: &[u8]) -> Hashed {
    Hashed::of(id)
}

/// A passkey that belongs to nobody, with the credential id and flags of the answer, so that verifying the answer against it is the
/// same work as against one that is kept. Its key is the base point of the curve: nothing that it verifies is accepted.
pub(crate) fn of_nobody(answer: &PublicKeyCredential) -> Option<Passkey> {
    /// Bit 3 of an authenticator's flags: the credential may be backed up (WebAuthn level 3, section 6.1).
    const BACKUP_ELIGIBLE: u8 = 0x08;
    /// Where the flags are: after the hash of the relying party's id.
    const FLAGS_AT: usize = 32;
    let flags = answer.response.authenticator_data.get(FLAGS_AT).copied().unwrap_or_default();
    // Made from the bytes that were verified against, and not from the text beside them, which a client may have made up.
    let id = URL_SAFE_NO_PAD.encode(&answer.raw_id);
    let template = json!({ "cred": {
        "cred_id": id,
        "cred": { "type_": "ES256", "key": { "EC_EC2": {
            "curve": "SECP256R1",
            "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
            "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
        } } },
        "counter": 0, "transports": null, "user_verified": true,
        "backup_eligible": flags & BACKUP_ELIGIBLE != 0, "backup_state": false,
        "registration_policy": "required",
        "extensions": {}, "attestation": { "data": "None", "metadata": "None" }, "attestation_format": "none",
    } });
    serde_json::from_value(template).ok()
}

/// Whether an answer is within its bounds and says who it is the way a browser does.
pub(crate) fn login_answer_holds(answer: &PublicKeyCredential) -> bool {
    let response = &answer.response;
    let parts = [&response.authenticator_data, &response.client_data_json, &response.signature];
    !answer.raw_id.is_empty()
        && answer.raw_id.len() <= CREDENTIAL_ID_BYTES_MAX
        && answer.type_ == "public-key"
        && parts.iter().all(|part| part.len() <= ANSWER_PART_BYTES_MAX)
        && same_site(&response.client_data_json)
}

/// Whether the answer to a registration is within its bounds, and does not say that the passkey cannot be found without its id.
pub(crate) fn registration_answer_holds(answer: &RegisterPublicKeyCredential) -> bool {
    let response = &answer.response;
    let parts = [&response.attestation_object, &response.client_data_json];
    let found = answer.extensions.cred_props.as_ref().is_none_or(|props| props.rk != Some(false));
    !answer.raw_id.is_empty()
        && answer.raw_id.len() <= CREDENTIAL_ID_BYTES_MAX
        && answer.type_ == "public-key"
        && parts.iter().all(|part| part.len() <= ANSWER_PART_BYTES_MAX)
        && found
}

/// Refuses answers that were given inside another site's page (WebAuthn level 3, section 7.2, step on `crossOrigin`).
fn same_site(client_data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct ClientData {
        #[serde(rename = "crossOrigin", default)]
        cross_origin: bool,
    }
    serde_json::from_slice::<ClientData>(client_data).is_ok_and(|data| !data.cross_origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use webauthn_rs::prelude::{Url, WebauthnBuilder, WebauthnError};

    /// What is verified against nobody goes as far as the signature, whether the passkey may be backed up or not.
    #[test]
    fn nobody_is_verified_to_the_end() {
        let origin = Url::parse("https://h.example").unwrap();
        let webauthn = WebauthnBuilder::new("h.example", &origin).unwrap().build().unwrap();
        for flags in [0x05, 0x0d] {
            let (options, state) = webauthn.start_discoverable_authentication().unwrap();
            let challenge = URL_SAFE_NO_PAD.encode(&options.public_key.challenge);
            let client_data = json!({ "type": "webauthn.get", "challenge": challenge, "origin": "https://h.example" });
            let mut data = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"h.example").as_ref().to_vec();
            data.extend([flags, 0, 0, 0, 1]);
            let answer: PublicKeyCredential = serde_json::from_value(json!({
                "id": "what a client says", "rawId": "BwcH", "type": "public-key",
                "response": {
                    "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                    "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data.to_string()),
                    // r = 1, s = 1
                    "signature": URL_SAFE_NO_PAD.encode([0x30, 6, 2, 1, 1, 2, 1, 1]),
                    "userHandle": "AAAA",
                },
            }))
            .unwrap();
            assert!(login_answer_holds(&answer));
            let nobody = of_nobody(&answer).unwrap();
            let outcome = webauthn.finish_discoverable_authentication_v2(&answer, state, nobody);
            assert!(matches!(outcome, Err(WebauthnError::AuthenticationFailure)), "{outcome:?}");
        }
    }

    #[test]
    fn answers_from_inside_another_site_are_refused() {
        assert!(same_site(br#"{"crossOrigin":false}"#) && same_site(b"{}"));
        for data in [br#"{"crossOrigin":true}"#.as_slice(), br#"{"crossOrigin":"no"}"#, b"", b"[]x"] {
            assert!(!same_site(data));
        }
    }
}
