//! The authorization server as a whole: what must work, and hostile requests that must not (RFC 9700).

mod assertions;
mod codes;
mod launches;
mod proofs;
mod refresh;
mod review;
mod scopes;
mod takeback;

use crate::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use tacet_ledger::noted::{Committing, MemoryRows, NotedRow, NotedRows, RowWrite, RowsError, Table};
use tacet_ledger::{Channel, Entry, Origin};
use tacet_types::{Clock, ManualClock, OperationId, ResourceId, Role, SeededRng, Timestamp};

pub(crate) const ISSUER: &str = "https://ehr.example";
pub(crate) const BASE: &str = "https://ehr.example/fhir";
pub(crate) const CALLBACK: &str = "https://app.example/cb";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const NOW: &str = "2026-11-22T08:00:00Z";

/// Rows whose commits let others in between, so that two requests really read the same before either writes.
#[derive(Default)]
pub(crate) struct SlowRows(pub(crate) MemoryRows);

impl NotedRows for SlowRows {
    fn get(&self, table: Table, name: &[u8]) -> Result<Option<NotedRow>, RowsError> {
        self.0.get(table, name)
    }

    fn scan(&self, table: Table, each: &mut dyn FnMut(NotedRow) -> ControlFlow<()>) -> Result<(), RowsError> {
        self.0.scan(table, each)
    }

    fn commit(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Committing<'_> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.commit(writes, entries).await
        })
    }
}

/// What stands at the clients' addresses, and how often it was fetched.
#[derive(Default)]
pub(crate) struct Web(pub(crate) Mutex<(Vec<u8>, usize)>);

impl FetchJwks for Web {
    fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
        let mut web = self.0.lock().unwrap();
        web.1 += 1;
        let body = if web.0.is_empty() { Err(FetchError) } else { Ok(web.0.clone()) };
        Box::pin(std::future::ready(body))
    }
}

pub(crate) struct World {
    pub(crate) server: AuthorizationServer,
    pub(crate) rows: Arc<SlowRows>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) web: Arc<Web>,
}

pub(crate) fn asked() -> Asked {
    Asked { origin: Origin { address: None, channel: Channel::Http }, operation: OperationId([7; 16]) }
}

pub(crate) fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

pub(crate) async fn world_with(change: impl FnOnce(&mut Settings)) -> World {
    let rows = Arc::new(SlowRows::default());
    let clock = Arc::new(ManualClock::new(Timestamp::parse(NOW).unwrap()));
    let web = Arc::new(Web::default());
    let mut settings = Settings::at(ISSUER, BASE);
    change(&mut settings);
    let rng = Arc::new(SeededRng::new(1));
    let server = AuthorizationServer::open(rows.clone(), clock.clone(), rng, settings, web.clone()).await.unwrap();
    World { server, rows, clock, web }
}

pub(crate) async fn world() -> World {
    world_with(|_| ()).await
}

pub(crate) fn doctor(world: &World) -> Person {
    Person {
        account: "aubrac".into(),
        session: Some("session-1".into()),
        role: Role::Clinician,
        fhir_user: Some("Practitioner/aubrac".into()),
        practitioner: Some(id("aubrac")),
        patients: Vec::new(),
        auth_time: world.clock.now(),
        acr: "passkey".into(),
        strong: true,
        supplier: false,
    }
}

pub(crate) fn patient(world: &World, own: &[&str]) -> Person {
    Person {
        account: "patient-account".into(),
        role: Role::Patient,
        fhir_user: Some("Patient/p1".into()),
        practitioner: None,
        patients: own.iter().map(|own| id(own)).collect(),
        ..doctor(world)
    }
}

/// The whole of a query, but for `changes`: a parameter that is named there has that value, or goes where it is empty.
pub(crate) fn form(base: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let changed = |name: &str| changes.iter().any(|(other, _)| *other == name);
    let kept = base.iter().filter(|(name, _)| !changed(name));
    let added = changes.iter().filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept.chain(added)).finish()
}

pub(crate) fn query_of(url: &str) -> std::collections::BTreeMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

impl World {
    pub(crate) async fn client(&self, metadata: Value) -> Client {
        let client = self.server.register(metadata.to_string().as_bytes(), None, asked()).await.unwrap();
        self.server.approve_client(&client.id, "officer", &Approval::default(), asked()).await.unwrap()
    }

    /// An app without a key.
    pub(crate) async fn app(&self) -> Client {
        self.client(json!({
            "client_name": "App", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid fhirUser launch launch/patient launch/encounter offline_access online_access patient/*.rs user/*.rs system/*.rs",
        }))
        .await
    }

    /// A machine with a key.
    pub(crate) async fn machine(&self, keys: &[&TestKey]) -> Client {
        let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
        self.client(json!({
            "client_name": "Machine", "grant_types": ["client_credentials"], "scope": "system/Observation.rs system/Patient.r",
            "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": keys },
        }))
        .await
    }

    pub(crate) async fn authorize(&self, client: &Client, who: Option<&Person>, changes: &[(&str, &str)]) -> Authorize {
        let base = [
            ("response_type", "code"),
            ("client_id", client.id.as_str()),
            ("redirect_uri", CALLBACK),
            ("scope", "openid fhirUser launch/patient offline_access patient/*.rs"),
            ("state", "state-1"),
            ("aud", BASE),
            ("nonce", "nonce-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        self.server.authorize(&form(&base, changes), who, asked()).await.unwrap()
    }

    /// The error that goes to the app.
    pub(crate) async fn authorize_error(&self, client: &Client, changes: &[(&str, &str)]) -> String {
        match self.authorize(client, Some(&doctor(self)), changes).await {
            Authorize::Redirect(url) => {
                assert!(url.starts_with(CALLBACK), "{url}");
                let query = query_of(&url);
                assert_eq!(query["iss"], ISSUER);
                query["error"].clone()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn consent(&self, client: &Client, person: &Person, changes: &[(&str, &str)]) -> Consent {
        match self.authorize(client, Some(person), changes).await {
            Authorize::Consent(consent) => *consent,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn approve(&self, consent: &Consent, person: &Person, scopes: &[&str]) -> Authorize {
        let patient = matches!(consent.patient, PatientNeed::Any).then(|| id("p1"));
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let decision = Decision::Approve { scopes, patient, encounter: None };
        self.server.decide(&consent.ticket, person, &decision, asked()).await.unwrap()
    }

    /// A code, with all that was asked for approved.
    pub(crate) async fn code(&self, client: &Client, person: &Person, changes: &[(&str, &str)]) -> String {
        let consent = self.consent(client, person, changes).await;
        let scopes: Vec<&str> = consent.scopes.iter().map(String::as_str).collect();
        match self.approve(&consent, person, &scopes).await {
            Authorize::Redirect(url) => {
                let query = query_of(&url);
                assert_eq!((query["state"].as_str(), query["iss"].as_str()), ("state-1", ISSUER));
                query["code"].clone()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn exchange(
        &self,
        client: &Client,
        code: &str,
        changes: &[(&str, &str)],
        proof: ClientProof<'_>,
    ) -> Result<TokenAnswer, SmartError> {
        let base = [
            ("grant_type", "authorization_code"),
            ("client_id", client.id.as_str()),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&form(&base, changes), proof).await
    }

    pub(crate) async fn refresh(
        &self,
        client: &Client,
        token: &str,
        changes: &[(&str, &str)],
    ) -> Result<TokenAnswer, SmartError> {
        let base = [("grant_type", "refresh_token"), ("client_id", client.id.as_str()), ("refresh_token", token)];
        self.token(&form(&base, changes), ClientProof::default()).await
    }

    pub(crate) async fn token(&self, form: &str, proof: ClientProof<'_>) -> Result<TokenAnswer, SmartError> {
        self.server.token(&TokenRequest { form, proof }, asked()).await
    }

    /// Tokens for all that the app asks for.
    pub(crate) async fn tokens(&self, client: &Client) -> TokenAnswer {
        let person = doctor(self);
        let code = self.code(client, &person, &[]).await;
        self.exchange(client, &code, &[], ClientProof::default()).await.unwrap()
    }

    pub(crate) fn access(&self, token: &str) -> Result<AccessGrant, SmartError> {
        self.server.access(&shown(token))
    }

    pub(crate) fn works(&self, token: &str) -> bool {
        match self.access(token) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::InvalidToken), "{error}");
                false
            }
        }
    }

    pub(crate) fn now_s(&self) -> i64 {
        self.clock.now().as_ms() / 1000
    }

    /// The claims of a good assertion of a machine.
    pub(crate) fn assertion_claims(&self, client: &Client, jti: &str) -> Value {
        json!({
            "iss": client.id, "sub": client.id, "aud": self.server.settings().endpoints.token,
            "exp": self.now_s() + 240, "iat": self.now_s(), "jti": jti,
        })
    }

    pub(crate) async fn with_assertion(
        &self,
        assertion: &str,
        changes: &[(&str, &str)],
    ) -> Result<TokenAnswer, SmartError> {
        let base = [
            ("grant_type", "client_credentials"),
            ("scope", "system/Observation.rs"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        self.token(&form(&base, changes), ClientProof::default()).await
    }
}

pub(crate) fn shown(token: &str) -> Shown<'_> {
    Shown {
        token,
        scheme: Scheme::Bearer,
        dpop: None,
        method: "GET",
        url: "https://ehr.example/fhir/Observation?code=x",
        certificate: None,
    }
}

/// Which error it is.
pub(crate) fn code_of<T>(result: Result<T, SmartError>) -> ErrorCode {
    match result {
        Ok(_) => panic!("it was done"),
        Err(error) => error.code().unwrap_or_else(|| panic!("{error}")),
    }
}

type Signs = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

/// A key of somebody else's.
pub(crate) struct TestKey {
    pub(crate) alg: &'static str,
    pub(crate) kid: String,
    pub(crate) jwk: Value,
    signs: Box<Signs>,
}

fn url64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl TestKey {
    pub(crate) fn ec(alg: &'static str, kid: &str) -> Self {
        let (algorithm, crv, bytes) = match alg {
            "ES256" => (&sig::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32),
            _ => (&sig::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48),
        };
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(bytes);
        let jwk = json!({ "kty": "EC", "crv": crv, "x": url64(x), "y": url64(y), "kid": kid });
        let signs = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
        Self { alg, kid: kid.to_owned(), jwk, signs: Box::new(signs) }
    }

    pub(crate) fn rsa(alg: &'static str, kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let n = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let e = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
        let jwk = json!({ "kty": "RSA", "n": url64(&n), "e": url64(&e), "kid": kid });
        let encoding: &'static dyn sig::RsaEncoding = match alg {
            "RS256" => &sig::RSA_PKCS1_SHA256,
            "RS384" => &sig::RSA_PKCS1_SHA384,
            _ => &sig::RSA_PSS_SHA384,
        };
        let signs = move |message: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        Self { alg, kid: kid.to_owned(), jwk, signs: Box::new(signs) }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({ "alg": self.alg, "kid": self.kid, "typ": "JWT" }), claims)
    }

    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", url64(header.to_string().as_bytes()), url64(claims.to_string().as_bytes()));
        let signature = url64(&(self.signs)(message.as_bytes()));
        format!("{message}.{signature}")
    }

    pub(crate) fn thumbprint(&self) -> String {
        serde_json::from_value::<Jwk>(self.jwk.clone()).unwrap().thumbprint().unwrap()
    }
}

/// A token with this signature, whatever it is.
pub(crate) fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| url64(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), url64(signature))
}
