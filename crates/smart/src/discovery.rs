//! What the server says about itself. Only what it does.

use crate::server::AuthorizationServer;
use serde_json::{Value, json};

/// Ways to sign that are taken from clients, in assertions and in proofs.
const ALGORITHMS: [&str; 6] = ["RS384", "ES384", "ES256", "RS256", "PS256", "PS384"];

/// By a certificate, where TLS asks for one.
const CERTIFICATE: &str = "self_signed_tls_client_auth";

/// How clients prove themselves.
const METHODS: [&str; 3] = ["none", "private_key_jwt", CERTIFICATE];

/// The same where somebody must prove something.
const PROVING_METHODS: [&str; 2] = ["private_key_jwt", CERTIFICATE];

impl AuthorizationServer {
    /// What stands at `.well-known/smart-configuration` below the FHIR base
    /// (<https://hl7.org/fhir/smart-app-launch/conformance.html>).
    pub fn smart_configuration(&self) -> Value {
        let mut answer = self.common();
        if let Some(members) = answer.as_object_mut() {
            members.insert(
                "capabilities".to_owned(),
                json!([
                    "launch-ehr",
                    "launch-standalone",
                    "authorize-post",
                    "client-public",
                    "client-confidential-asymmetric",
                    "sso-openid-connect",
                    "context-banner",
                    "context-style",
                    "context-ehr-patient",
                    "context-ehr-encounter",
                    "context-standalone-patient",
                    "context-standalone-encounter",
                    "permission-offline",
                    "permission-online",
                    "permission-patient",
                    "permission-user",
                    "permission-v1",
                    "permission-v2"
                ]),
            );
        }
        answer
    }

    /// What stands at `/.well-known/oauth-authorization-server` (RFC 8414).
    pub fn oauth_metadata(&self) -> Value {
        self.common()
    }

    /// What stands at `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0).
    pub fn openid_configuration(&self) -> Value {
        let mut answer = self.common();
        if let Some(members) = answer.as_object_mut() {
            members.insert("subject_types_supported".to_owned(), json!(["public"]));
            members.insert("id_token_signing_alg_values_supported".to_owned(), json!(["ES256"]));
            members.insert("request_parameter_supported".to_owned(), json!(false));
            members.insert("request_uri_parameter_supported".to_owned(), json!(false));
            members.insert("claims_parameter_supported".to_owned(), json!(false));
            members.insert(
                "claims_supported".to_owned(),
                json!(["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "at_hash", "fhirUser"]),
            );
        }
        answer
    }

    fn common(&self) -> Value {
        let endpoints = &self.settings.endpoints;
        let certificates = self.settings.client_certificates;
        let offered = |methods: &[&'static str]| -> Vec<&'static str> {
            methods.iter().copied().filter(|method| certificates || *method != CERTIFICATE).collect()
        };
        let (methods, proving_methods) = (offered(&METHODS), offered(&PROVING_METHODS));
        json!({
            "issuer": self.settings.issuer,
            "authorization_endpoint": endpoints.authorize,
            "token_endpoint": endpoints.token,
            "introspection_endpoint": endpoints.introspect,
            "revocation_endpoint": endpoints.revoke,
            "registration_endpoint": endpoints.register,
            "jwks_uri": endpoints.jwks,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": [
                "openid", "fhirUser", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access",
                "patient/*.cruds", "user/*.cruds", "system/*.cruds"
            ],
            "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "introspection_endpoint_auth_methods_supported": proving_methods,
            "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "dpop_signing_alg_values_supported": ALGORITHMS,
            "tls_client_certificate_bound_access_tokens": certificates,
            "authorization_response_iss_parameter_supported": true,
        })
    }
}
