//! A provider of OpenID Connect on this machine: answers the server's requests, and says what a test makes it say.

use super::key::{Key, sha256_url};
use crate::admin::{ORIGIN, Office};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tacet_server::ForeignRule;
use tacet_smart::foreign::{Provider, ProviderAuth, SubjectClaim};
use tacet_types::{Clock, Redacted};
use tokio::net::TcpListener;

/// Who the server is there.
const CLIENT: &str = "tacet";
const SECRET: &str = "s:cret";
const ACCESS: &str = "access-token";

/// What was asked, and what will be answered.
#[derive(Default)]
struct State {
    /// Logins by their code.
    codes: HashMap<String, Login>,
    /// The paths that were asked for.
    asked: Vec<String>,
    /// The keys of the server, where it proves itself by them.
    keys: Option<Value>,
    /// The ids of assertions that were shown.
    assertions: Vec<String>,
}

struct Login {
    id_token: String,
    challenge: String,
}

/// Form or query as its parameters.
pub(crate) fn params(text: &str) -> BTreeMap<String, String> {
    let text = text.split_once('?').map_or(text, |(_, query)| query);
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

pub(crate) struct Idp {
    pub(crate) issuer: String,
    /// `host:port`
    pub(crate) place: String,
    pub(crate) key: Key,
    state: Arc<Mutex<State>>,
}

impl Idp {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let issuer = format!("http://{place}");
        let key = Key::new();
        let mut jwk = key.jwk();
        (jwk["kid"], jwk["alg"], jwk["use"]) = (json!("k1"), json!("ES256"), json!("sig"));
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, at) = (Arc::clone(&state), issuer.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, issuer, jwk) = (Arc::clone(&shared), at.clone(), jwk.clone());
                let answer =
                    service_fn(move |request| answered(Arc::clone(&state), issuer.clone(), jwk.clone(), request));
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self { issuer, place, key, state }
    }

    /// The server's settings for it. People are known by their login.
    pub(crate) fn settings(&self, acr_values: &[&str], auth: ProviderAuth) -> (Provider, ForeignRule) {
        let provider = Provider {
            id: "house".into(),
            name: "House <login>".into(),
            issuer: self.issuer.clone(),
            client_id: CLIENT.into(),
            auth,
            redirect_uri: String::new(),
            logged_out_uri: String::new(),
            scopes: vec!["profile".into()],
            acr_values: acr_values.iter().map(|acr| (*acr).to_owned()).collect(),
            subject: SubjectClaim::Named("preferred_username".into()),
        };
        (provider, ForeignRule::Login)
    }

    pub(crate) fn secret() -> ProviderAuth {
        ProviderAuth::SecretBasic(Redacted::new(SECRET.to_owned()))
    }

    /// From now on the server must prove itself by one of these keys.
    pub(crate) fn expects_key_of(&self, jwks: Value) {
        self.state.lock().unwrap().keys = Some(jwks);
    }

    /// What a person comes back with who logged in there at this address, `login` being their name. `change`: what the provider does wrong.
    pub(crate) fn logs_in(&self, office: &Office, url: &str, login: &str, change: impl FnOnce(&mut Value)) -> String {
        self.logs_in_by(&self.key, office, url, login, change)
    }

    /// The same, signed with this key.
    pub(crate) fn logs_in_by(
        &self,
        key: &Key,
        office: &Office,
        url: &str,
        login: &str,
        change: impl FnOnce(&mut Value),
    ) -> String {
        assert!(url.starts_with(&format!("{}/auth?", self.issuer)), "{url}");
        let asked = params(url);
        assert_eq!((asked["response_type"].as_str(), asked["code_challenge_method"].as_str()), ("code", "S256"));
        assert_eq!(asked["redirect_uri"], format!("{ORIGIN}/auth/foreign/callback"));
        let now_s = office.clock.now().as_ms() / 1000;
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": format!("f:1:{login}"), "preferred_username": login,
            "nonce": asked["nonce"], "iat": now_s, "exp": now_s + 120, "auth_time": now_s, "acr": "eidas2",
        });
        change(&mut claims);
        let id_token = key.sign(&json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), &claims);
        let mut state = self.state.lock().unwrap();
        let code = format!("code-{}", state.codes.len());
        state.codes.insert(code.clone(), Login { id_token, challenge: asked["code_challenge"].clone() });
        super::form(&[("code", &code), ("state", &asked["state"]), ("iss", &self.issuer)])
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }
}

async fn answered(
    state: Arc<Mutex<State>>,
    issuer: String,
    jwk: Value,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let form = request.into_body().collect().await?.to_bytes();
    let mut state = state.lock().unwrap();
    state.asked.push(path.clone());
    let body = match path.as_str() {
        "/.well-known/openid-configuration" => Some(json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"), "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"), "end_session_endpoint": format!("{issuer}/logout"),
            "authorization_response_iss_parameter_supported": true,
        })),
        "/keys" => Some(json!({ "keys": [jwk] })),
        "/token" => token(&mut state, &issuer, authorization.as_deref(), &params(std::str::from_utf8(&form).unwrap())),
        _ => None,
    };
    let answer = Response::builder().status(if body.is_some() { 200 } else { 400 });
    let body = body.unwrap_or_else(|| json!({ "error": "invalid_request" })).to_string();
    Ok(answer.header("content-type", "application/json").body(Full::new(body.into())).unwrap())
}

fn token(
    state: &mut State,
    issuer: &str,
    authorization: Option<&str>,
    form: &BTreeMap<String, String>,
) -> Option<Value> {
    let proven = match &state.keys {
        None => authorization == Some(&format!("Basic {}", STANDARD.encode(format!("{CLIENT}:s%3Acret")))),
        Some(keys) => {
            let id = assertion(keys, issuer, form.get("client_assertion")?)?;
            let new = !state.assertions.contains(&id);
            state.assertions.push(id);
            new && authorization.is_none() && form["client_assertion_type"].ends_with(":jwt-bearer")
        }
    };
    let login = state.codes.remove(form.get("code")?)?;
    let fits = sha256_url(form.get("code_verifier")?) == login.challenge
        && form.get("redirect_uri")? == &format!("{ORIGIN}/auth/foreign/callback")
        && form.get("grant_type")? == "authorization_code";
    let answer = json!({ "id_token": login.id_token, "access_token": ACCESS, "token_type": "Bearer" });
    (proven && fits).then_some(answer)
}

/// The id of an assertion that the server signed, for this provider.
fn assertion(keys: &Value, issuer: &str, assertion: &str) -> Option<String> {
    let (message, signature) = assertion.rsplit_once('.')?;
    let part = |text: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok() };
    let (header, claims) = message.split_once('.')?;
    let (header, claims) = (part(header)?, part(claims)?);
    let jwk = keys["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?;
    let mut point = vec![4];
    for name in ["x", "y"] {
        point.extend(URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok()?);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &signature).ok()?;
    let ours = claims["iss"] == CLIENT && claims["sub"] == CLIENT && claims["aud"] == issuer;
    let short = claims["exp"].as_i64()? - claims["iat"].as_i64()? <= 60;
    (ours && short && jwk.get("d").is_none()).then(|| claims["jti"].as_str().map(str::to_owned))?
}
