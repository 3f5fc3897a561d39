//! Clients: what they say of themselves, and what the establishment lets them be.

use crate::jwk::JwkSet;
use crate::redirect;
use crate::scopes::ScopeSet;
use crate::settings::{JWKS_BYTES_MAX, REDIRECTS_MAX, REGISTRATION_BYTES_MAX};
use crate::{ErrorCode, OAuthError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

/// Longest short text of a registration (names, addresses), in bytes.
const TEXT_BYTES_MAX: usize = 500;

/// Where a client stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientState {
    /// Registered, and of no use until somebody approves it.
    Pending,
    /// In use.
    Active,
    /// Not approved.
    Refused,
    /// No longer in use: nothing that it holds works.
    Revoked,
}

/// How a client proves that it is itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AuthMethod {
    /// Not at all: an app that keeps no key (PKCE binds the code to it).
    #[serde(rename = "none")]
    None,
    /// A signed assertion (RFC 7523; SMART's asymmetric authentication).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
    /// A client certificate whose thumbprint stands with its keys (RFC 8705, section 2.2).
    #[serde(rename = "self_signed_tls_client_auth")]
    Certificate,
}

/// What a client says of itself (RFC 7591, section 2).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// Its name for people.
    #[serde(default)]
    pub client_name: Option<String>,
    /// Where people read about it.
    #[serde(default)]
    pub client_uri: Option<String>,
    /// Its picture.
    #[serde(default)]
    pub logo_uri: Option<String>,
    /// Where it is launched from the record system.
    #[serde(default)]
    pub launch_uri: Option<String>,
    /// Whom to ask.
    #[serde(default)]
    pub contacts: Vec<String>,
    /// Where people may be sent back to.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// How it proves itself.
    #[serde(default)]
    pub token_endpoint_auth_method: Option<AuthMethod>,
    /// How it gets tokens: `authorization_code`, `refresh_token`, `client_credentials`.
    #[serde(default)]
    pub grant_types: Option<Vec<String>>,
    /// `code`.
    #[serde(default)]
    pub response_types: Option<Vec<String>>,
    /// All scopes that it may ever ask for.
    #[serde(default)]
    pub scope: String,
    /// Its keys.
    #[serde(default)]
    pub jwks: Option<JwkSet>,
    /// Where its keys are.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// What software it is.
    #[serde(default)]
    pub software_id: Option<String>,
    /// In which version.
    #[serde(default)]
    pub software_version: Option<String>,
    /// Whether each of its tokens is bound to a key (RFC 9449, section 5.2).
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
    /// Whether each of its tokens is bound to its certificate (RFC 8705, section 3.4).
    #[serde(default)]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// A signed statement about the software: nobody is trusted to make one.
    #[serde(default, skip_serializing)]
    software_statement: Option<serde::de::IgnoredAny>,
}

/// A client.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Client {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Where it stands.
    pub state: ClientState,
    /// What it said of itself. `scope` is what it asked for.
    pub metadata: ClientMetadata,
    /// All that it may have. Never more than it asked for.
    pub scope: String,
    /// Whether a person is spared the consent page: an app of the house.
    pub preapproved: bool,
    /// Whether it may ask about tokens of others (a resource server beside this one).
    pub may_introspect: bool,
    /// Who registered it, where it was a person.
    pub registered_by: Option<String>,
    /// Who approved or refused it.
    pub decided_by: Option<String>,
    /// When it was registered, in milliseconds since 1970.
    pub created_ms: i64,
    /// Nothing given before then works, in milliseconds since 1970.
    pub cut_ms: Option<i64>,
}

/// What somebody approves about a client.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Approval {
    /// Narrower scopes than it asked for.
    pub scope: Option<String>,
    /// Whether a person is spared the consent page.
    pub preapproved: bool,
    /// Whether it may ask about tokens of others.
    pub may_introspect: bool,
}

fn refuse<T>(what: &'static str) -> Result<T, OAuthError> {
    Err(OAuthError::new(ErrorCode::InvalidClientMetadata, what))
}

impl ClientMetadata {
    /// Reads and checks a registration.
    ///
    /// # Errors
    /// `invalid_client_metadata`, `invalid_redirect_uri` or `invalid_software_statement`, with what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, OAuthError> {
        if bytes.len() > REGISTRATION_BYTES_MAX {
            return refuse("the registration is too large");
        }
        match serde_json::from_slice::<Self>(bytes) {
            Ok(metadata) => metadata.checked(),
            Err(_) => refuse(
                "the registration is not JSON of RFC 7591; `token_endpoint_auth_method` is none, private_key_jwt or self_signed_tls_client_auth",
            ),
        }
    }

    fn checked(mut self) -> Result<Self, OAuthError> {
        if self.software_statement.is_some() {
            let what = "software statements are not taken";
            return Err(OAuthError::new(ErrorCode::InvalidSoftwareStatement, what));
        }
        self.check_texts()?;
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return refuse("give `jwks` or `jwks_uri`, not both");
        }
        if let Some(jwks) = &self.jwks
            && jwks.check().is_err()
        {
            return refuse("`jwks` needs public keys: RSA of 2048 bits or more, P-256 or P-384, and no private part");
        }
        let keys = self.jwks.is_some() || self.jwks_uri.is_some();
        let method =
            self.token_endpoint_auth_method.unwrap_or(if keys { AuthMethod::PrivateKeyJwt } else { AuthMethod::None });
        self.token_endpoint_auth_method = Some(method);
        if method != AuthMethod::None && !keys {
            return refuse("a client that proves itself gives `jwks` or `jwks_uri`");
        }
        let grants = self.grant_types.get_or_insert_with(|| vec!["authorization_code".to_owned()]).clone();
        let has = |name: &str| grants.iter().any(|grant| grant == name);
        if !grants.iter().all(|g| matches!(g.as_str(), "authorization_code" | "refresh_token" | "client_credentials")) {
            return refuse("`grant_types` are authorization_code, refresh_token and client_credentials");
        }
        if has("client_credentials") && method == AuthMethod::None {
            return refuse("client_credentials needs a client that proves itself");
        }
        if has("authorization_code") == self.redirect_uris.is_empty() {
            return refuse("`redirect_uris` are given with authorization_code, and only then");
        }
        if self.response_types.as_ref().is_some_and(|types| types.iter().any(|one| one != "code")) {
            return refuse("the only response type is `code`");
        }
        if self.redirect_uris.len() > REDIRECTS_MAX {
            return refuse("too many `redirect_uris`");
        }
        for uri in &self.redirect_uris {
            redirect::check(uri).map_err(|what| OAuthError::new(ErrorCode::InvalidRedirectUri, what))?;
        }
        match ScopeSet::parse(&self.scope) {
            Ok(scopes) if !scopes.is_empty() => self.scope = scopes.to_string(),
            _ => return refuse("`scope` lists what the client may ever ask for, in the grammar of SMART App Launch 2"),
        }
        Ok(self)
    }

    fn check_texts(&self) -> Result<(), OAuthError> {
        let texts = [&self.client_name, &self.software_id, &self.software_version];
        let addresses = [&self.client_uri, &self.logo_uri, &self.launch_uri, &self.jwks_uri];
        let all = texts.into_iter().chain(addresses).flatten().chain(&self.contacts);
        if all.into_iter().any(|text| text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control)) {
            return refuse("a text of the registration is too long or has control characters");
        }
        if self.contacts.len() > 10 {
            return refuse("too many `contacts`");
        }
        for address in addresses.into_iter().flatten() {
            let https = Url::parse(address).is_ok_and(|url| url.scheme() == "https" && url.username().is_empty());
            if !https {
                return refuse("`client_uri`, `logo_uri`, `launch_uri` and `jwks_uri` are https addresses");
            }
        }
        if self.client_name.as_deref().is_none_or(|name| name.trim().is_empty()) {
            return refuse("`client_name` says what people are asked to let in");
        }
        Ok(())
    }
}

impl Client {
    /// How it proves itself.
    pub fn method(&self) -> AuthMethod {
        self.metadata.token_endpoint_auth_method.unwrap_or(AuthMethod::None)
    }

    /// Whether it may get tokens this way.
    pub fn may(&self, grant: &str) -> bool {
        self.metadata.grant_types.iter().flatten().any(|own| own == grant)
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or(&self.id)
    }

    /// Who it is in the ledger.
    pub fn owner(&self) -> String {
        format!("client:{}", self.id)
    }

    /// The scopes that it may have.
    pub(crate) fn scopes(&self) -> ScopeSet {
        ScopeSet::parse(&self.scope).unwrap_or_default()
    }

    /// The answer to its registration (RFC 7591, section 3.2.1), with where it stands.
    pub fn registered(&self) -> Value {
        let mut answer = serde_json::to_value(&self.metadata).unwrap_or_else(|_| json!({}));
        if let Value::Object(members) = &mut answer {
            members.retain(|_, value| !value.is_null());
            members.insert("client_id".to_owned(), json!(self.id));
            members.insert("client_id_issued_at".to_owned(), json!(self.created_ms / 1000));
            // Not of RFC 7591: a client learns that it must wait.
            members.insert("tacet_state".to_owned(), json!(self.state));
        }
        answer
    }
}

const _: () = assert!(JWKS_BYTES_MAX <= REGISTRATION_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<ErrorCode> {
        ClientMetadata::parse(text.as_bytes()).err().map(|error| error.code)
    }

    #[test]
    fn registrations_are_checked() {
        let with = |change: &str| {
            let mut value: Value = json!({
                "client_name": "App", "redirect_uris": ["https://app.example/cb"], "scope": "launch/patient patient/*.rs",
            });
            let change: Value = serde_json::from_str(change).unwrap();
            value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            value.to_string()
        };
        assert_eq!(code(&with("{}")), None);
        assert_eq!(code(&with(r#"{"unknown": [1]}"#)), None);
        assert_eq!(code(&with(r#"{"redirect_uris": ["http://app.example/cb"]}"#)), Some(ErrorCode::InvalidRedirectUri));
        assert_eq!(code(&with(r#"{"software_statement": "x"}"#)), Some(ErrorCode::InvalidSoftwareStatement));
        for bad in [
            r#"{"client_name": null}"#,
            r#"{"client_name": "a\u0000"}"#,
            r#"{"redirect_uris": []}"#,
            r#"{"token_endpoint_auth_method": "client_secret_basic"}"#,
            r#"{"token_endpoint_auth_method": "private_key_jwt"}"#,
            r#"{"grant_types": ["implicit"]}"#,
            r#"{"grant_types": ["authorization_code", "client_credentials"]}"#,
            r#"{"response_types": ["token"]}"#,
            r#"{"scope": ""}"#,
            r#"{"scope": "patient/Observation"}"#,
            r#"{"jwks_uri": "http://app.example/keys"}"#,
            r#"{"jwks": {"keys": []}}"#,
            r#"{"jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}"#,
            r#"{"logo_uri": "javascript:alert(1)"}"#,
        ] {
            assert_eq!(code(&with(bad)), Some(ErrorCode::InvalidClientMetadata), "{bad}");
        }
        assert!(code("[]").is_some() && code(r#"{"client_name":"a","client_name":"b"}"#).is_some());
        assert!(code(&" ".repeat(REGISTRATION_BYTES_MAX + 1)).is_some());
    }
}
