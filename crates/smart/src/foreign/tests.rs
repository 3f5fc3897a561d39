//! A provider in the test, honest and hostile.

use super::*;
use crate::hostile::{NOW, SlowRows, TestKey, forged, query_of};
use serde_json::{Value, json};
use tacet_types::{ManualClock, SeededRng, Timestamp};

const ISSUER: &str = "https://login.example/realms/x";
const BROWSER: &str = "device cookie";
const ACCESS: &str = "access-token";

/// What the provider does, to be changed by each test.
struct Idp {
    metadata: Value,
    keys: Value,
    id_token: String,
    userinfo: Value,
    requests: Vec<FetchRequest>,
}

struct Net(Mutex<Idp>);

impl Fetch for Net {
    fn fetch(&self, request: FetchRequest) -> Answering<'_> {
        let mut idp = self.0.lock().unwrap();
        idp.requests.push(request.clone());
        let body = match request.url.as_str() {
            "https://login.example/realms/x/.well-known/openid-configuration" => Some(idp.metadata.to_string()),
            "https://login.example/keys" => Some(idp.keys.to_string()),
            "https://login.example/token" => {
                Some(json!({ "id_token": idp.id_token, "access_token": ACCESS, "token_type": "Bearer" }).to_string())
            }
            "https://login.example/userinfo" => Some(idp.userinfo.to_string()),
            _ => None,
        };
        let status = if body.is_some() { 200 } else { 404 };
        let answer = FetchAnswer { status, body: body.unwrap_or_default().into_bytes() };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

struct Bench {
    logins: ForeignLogins,
    net: Arc<Net>,
    clock: Arc<ManualClock>,
    key: TestKey,
}

fn bench(subject: SubjectClaim, acr_values: &[&str]) -> Bench {
    let key = TestKey::rsa("RS256", "k1");
    let metadata = json!({
        "issuer": ISSUER, "authorization_endpoint": "https://login.example/auth?tenant=1",
        "token_endpoint": "https://login.example/token", "jwks_uri": "https://login.example/keys",
        "userinfo_endpoint": "https://login.example/userinfo", "authorization_response_iss_parameter_supported": true,
    });
    let keys = json!({ "keys": [key.jwk] });
    let idp = Idp { metadata, keys, id_token: String::new(), userinfo: json!({}), requests: Vec::new() };
    let net = Arc::new(Net(Mutex::new(idp)));
    let clock = Arc::new(ManualClock::new(Timestamp::parse(NOW).unwrap()));
    let provider = Provider {
        id: "psc".into(),
        name: "Pro Santé Connect".into(),
        issuer: ISSUER.into(),
        client_id: "tacet".into(),
        auth: ProviderAuth::SecretBasic(Redacted::new("s:cret".into())),
        redirect_uri: "https://ehr.example/login/psc".into(),
        logged_out_uri: "https://ehr.example/login".into(),
        scopes: vec!["scope_all".into()],
        acr_values: acr_values.iter().map(|acr| (*acr).to_owned()).collect(),
        subject,
    };
    let rows = Arc::new(SlowRows::default());
    let logins =
        ForeignLogins::new(rows, clock.clone(), Arc::new(SeededRng::new(3)), net.clone(), vec![provider]).unwrap();
    Bench { logins, net, clock, key }
}

impl Bench {
    async fn begin(&self, begin: Begin<'_>) -> std::collections::BTreeMap<String, String> {
        let begun = self.logins.begin(&Begin { provider: "psc", browser: BROWSER, ..begin }).await.unwrap();
        assert!(begun.url.starts_with("https://login.example/auth?tenant=1&"));
        query_of(&begun.url)
    }

    fn now_s(&self) -> i64 {
        self.clock.now().as_ms() / 1000
    }

    fn claims(&self, asked: &std::collections::BTreeMap<String, String>) -> Value {
        json!({
            "iss": ISSUER, "aud": "tacet", "sub": "f:1:899", "nonce": asked["nonce"], "iat": self.now_s(),
            "exp": self.now_s() + 120, "auth_time": self.now_s(), "acr": "eidas1",
            "at_hash": URL64.encode(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, ACCESS.as_bytes()).as_ref()[..16]),
        })
    }

    fn answer_with(&self, token: String) {
        self.net.0.lock().unwrap().id_token = token;
    }

    async fn finish(&self, asked: &std::collections::BTreeMap<String, String>) -> Result<ForeignLogin, ForeignError> {
        let query = format!("code=c1&state={}&iss={ISSUER}", asked["state"]);
        self.logins.finish(&query, BROWSER).await
    }

    /// What comes of a login whose id token is changed.
    async fn changed(&self, begin: Begin<'_>, changes: &[(&str, Value)]) -> Result<ForeignLogin, ForeignError> {
        let asked = self.begin(begin).await;
        let mut claims = self.claims(&asked);
        for (name, value) in changes {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(*name);
            } else {
                claims[*name] = value.clone();
            }
        }
        self.answer_with(self.key.sign(&claims));
        self.finish(&asked).await
    }
}

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as URL64;
use tacet_types::Clock;

#[tokio::test]
async fn somebody_logs_in() {
    let bench = bench(SubjectClaim::Sub, &["eidas1", "eidas2"]);
    let asked = bench.begin(Begin { note: Some("/ward"), ..Begin::default() }).await;
    assert_eq!((asked["scope"].as_str(), asked["acr_values"].as_str()), ("openid scope_all", "eidas1 eidas2"));
    assert_eq!(asked["code_challenge_method"], "S256");
    bench.answer_with(bench.key.sign(&bench.claims(&asked)));
    let login = bench.finish(&asked).await.unwrap();
    assert_eq!(
        (login.subject.as_str(), login.acr.as_deref(), login.note.as_deref()),
        ("f:1:899", Some("eidas1"), Some("/ward"))
    );
    assert!(!login.step_up && login.auth_time == Some(bench.clock.now()));
    let requests = bench.net.0.lock().unwrap().requests.clone();
    let token = requests.iter().find(|request| request.form.is_some()).unwrap();
    assert_eq!(token.authorization.as_deref(), Some("Basic dGFjZXQ6cyUzQWNyZXQ="), "form-encoded, then base64");
    let verifier = query_of(&format!("https://x/?{}", token.form.as_deref().unwrap()))["code_verifier"].clone();
    assert_eq!(crate::secret::sha256_url(verifier.as_bytes()), asked["code_challenge"]);
    assert!(matches!(bench.finish(&asked).await, Err(ForeignError::NotBegun)), "used once");
}

/// Some providers always name a kind of login, a password's too: that makes none a strong one.
#[tokio::test]
async fn only_a_kind_of_login_that_was_demanded_is_strong() {
    let any = bench(SubjectClaim::Sub, &[]);
    let login = any.changed(Begin::default(), &[("acr", json!("1"))]).await.unwrap();
    assert_eq!((login.acr.as_deref(), login.strong), (Some("1"), false));
    let demanding = bench(SubjectClaim::Sub, &["eidas1"]);
    assert!(demanding.changed(Begin::default(), &[]).await.unwrap().strong);
    let weaker = demanding.changed(Begin::default(), &[("acr", json!("1"))]).await;
    assert!(matches!(weaker, Err(ForeignError::TooWeak(_))));
}

/// Anybody may begin a login: neither rows nor requests to a provider grow with that.
#[tokio::test]
async fn logins_that_anybody_begins_are_bounded() {
    let bench = bench(SubjectClaim::Sub, &[]);
    for _ in 0..LOGINS_MAX {
        bench.begin(Begin::default()).await;
    }
    let begin = Begin { provider: "psc", browser: BROWSER, ..Begin::default() };
    assert!(matches!(bench.logins.begin(&begin).await, Err(ForeignError::Busy)));
    bench.clock.advance_ms(LOGIN_MS);
    bench.begin(Begin::default()).await;

    bench.clock.advance_ms(3_600_000);
    let metadata = std::mem::take(&mut bench.net.0.lock().unwrap().metadata);
    let before = bench.net.0.lock().unwrap().requests.len();
    for _ in 0..5 {
        assert!(matches!(bench.logins.begin(&begin).await, Err(ForeignError::Provider(_))));
    }
    assert_eq!(bench.net.0.lock().unwrap().requests.len(), before + 1, "one that fails is not asked again at once");
    bench.net.0.lock().unwrap().metadata = metadata;
    bench.clock.advance_ms(2000);
    bench.begin(Begin::default()).await;
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let bench = bench(SubjectClaim::Sub, &[]);
    let now_s = bench.now_s();
    for change in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(null)),
        ("aud", json!("another")),
        ("aud", json!(["tacet", "another"])),
        ("aud", json!(null)),
        ("azp", json!("another")),
        ("nonce", json!("another")),
        ("nonce", json!(null)),
        ("exp", json!(now_s)),
        ("exp", json!(null)),
        ("iat", json!(now_s - 3600)),
        ("iat", json!(now_s + 3600)),
        ("iat", json!(null)),
        ("nbf", json!(now_s + 3600)),
        ("at_hash", json!("AAAA")),
        ("sub", json!("")),
        ("sub", json!("x".repeat(300))),
        ("sub", json!(null)),
    ] {
        let answer = bench.changed(Begin::default(), std::slice::from_ref(&change)).await;
        assert!(matches!(answer, Err(ForeignError::Refused(_))), "{change:?} {answer:?}");
    }
    assert!(bench.changed(Begin::default(), &[("at_hash", json!(null)), ("azp", json!("tacet"))]).await.is_ok());
    let stranger = TestKey::rsa("RS256", "k1");
    let asked = bench.begin(Begin::default()).await;
    let claims = bench.claims(&asked);
    let public = bench.key.jwk["n"].as_str().unwrap().as_bytes();
    let header = json!({ "alg": "HS256", "kid": "k1" });
    let message = forged(&header, &claims, b"");
    let tag = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public),
        message.trim_end_matches('.').as_bytes(),
    );
    for token in [
        forged(&json!({ "alg": "none", "kid": "k1" }), &claims, b""),
        forged(&header, &claims, tag.as_ref()),
        stranger.sign(&claims),
        stranger.sign_with(&json!({ "alg": "RS256", "kid": "k1", "jwk": stranger.jwk }), &claims),
        bench.key.sign_with(&json!({ "alg": "RS256", "kid": "unknown" }), &claims),
        "x".into(),
    ] {
        let asked = bench.begin(Begin::default()).await;
        bench.answer_with(token);
        assert!(matches!(bench.finish(&asked).await, Err(ForeignError::Refused(_))));
    }
    // A token of one login in another: its nonce is that one's.
    bench.answer_with(bench.key.sign(&claims));
    let other = bench.begin(Begin::default()).await;
    assert!(matches!(bench.finish(&other).await, Err(ForeignError::Refused(_))));
}

#[tokio::test]
async fn what_comes_back_must_be_what_was_begun() {
    let bench = bench(SubjectClaim::Sub, &[]);
    let start = async || {
        let asked = bench.begin(Begin::default()).await;
        bench.answer_with(bench.key.sign(&bench.claims(&asked)));
        asked["state"].clone()
    };
    let state = start().await;
    let other = bench.logins.finish(&format!("code=c&state={state}&iss={ISSUER}"), "another browser").await;
    assert!(matches!(other, Err(ForeignError::NotBegun)));
    assert!(
        bench.logins.finish(&format!("code=c&state={state}&iss={ISSUER}"), BROWSER).await.is_ok(),
        "not used up by that"
    );
    for (query, refused) in [
        ("&code=c&iss=https://evil.example", true),
        ("&code=c", true),
        ("&error=access_denied&iss=https://login.example/realms/x", false),
        ("&iss=https://login.example/realms/x", false),
    ] {
        let answer = bench.logins.finish(&format!("state={}{query}", start().await), BROWSER).await;
        let is = if refused {
            matches!(answer, Err(ForeignError::Refused(_)))
        } else {
            matches!(answer, Err(ForeignError::Denied))
        };
        assert!(is, "{query} {answer:?}");
    }
    for query in ["", "code=c", "code=c&state=x", "state=a&state=b", &"x".repeat(100_000)] {
        assert!(matches!(bench.logins.finish(query, BROWSER).await, Err(ForeignError::NotBegun)));
    }
    let state = start().await;
    bench.clock.advance_ms(LOGIN_MS);
    let late = bench.logins.finish(&format!("code=c&state={state}&iss={ISSUER}"), BROWSER).await;
    assert!(matches!(late, Err(ForeignError::NotBegun)));
    let state = start().await;
    let query = format!("code=c&state={state}&iss={ISSUER}");
    let (a, b) = tokio::join!(bench.logins.finish(&query, BROWSER), bench.logins.finish(&query, BROWSER));
    assert_eq!([&a, &b].into_iter().filter(|login| login.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_weaker_or_older_login_does_not_do() {
    let bench = bench(SubjectClaim::Sub, &["eidas2"]);
    let now_s = bench.now_s();
    for acr in [json!("eidas1"), json!(null), json!("eidas2 eidas1"), json!(["eidas2"])] {
        let answer = bench.changed(Begin::default(), &[("acr", acr)]).await;
        assert!(matches!(answer, Err(ForeignError::TooWeak(_))));
    }
    let strong = ("acr", json!("eidas2"));
    assert!(bench.changed(Begin::default(), std::slice::from_ref(&strong)).await.is_ok());
    let step = |subject| Begin { max_age_s: Some(0), subject: Some(subject), ..Begin::default() };
    let asked = bench.begin(step("f:1:899")).await;
    assert_eq!((asked["max_age"].as_str(), asked["prompt"].as_str()), ("0", "login"));
    assert!(bench.changed(step("f:1:899"), std::slice::from_ref(&strong)).await.unwrap().step_up);
    for time in [json!(now_s - 600), json!(null), json!(now_s + 600)] {
        let answer = bench.changed(step("f:1:899"), &[strong.clone(), ("auth_time", time)]).await;
        assert!(matches!(answer, Err(ForeignError::TooWeak(_))));
    }
    let other = bench.changed(step("somebody"), &[strong]).await;
    assert!(matches!(other, Err(ForeignError::Refused(_))), "somebody else confirms");
    let own = Begin { acr_values: vec!["eidas3".into()], ..Begin::default() };
    assert!(matches!(bench.changed(own, &[("acr", json!("eidas2"))]).await, Err(ForeignError::TooWeak(_))));
}

/// A login that is too weak brings what it takes to ask for a better one, and says where that was done already.
#[tokio::test]
async fn a_weak_login_can_be_asked_for_again() {
    let bench = bench(SubjectClaim::Sub, &["eidas2"]);
    for max_age_s in [None, Some(0)] {
        let begin = Begin { note: Some("/ward"), max_age_s, ..Begin::default() };
        let Err(ForeignError::TooWeak(weak)) = bench.changed(begin, &[]).await else { panic!("eidas1 does not do") };
        assert_eq!((weak.provider.as_str(), weak.note.as_deref()), ("psc", Some("/ward")));
        assert_eq!(weak.was_fresh, max_age_s.is_some());
    }
}

#[tokio::test]
async fn whoever_logs_out_here_is_logged_out_there_once() {
    let bench = bench(SubjectClaim::Sub, &[]);
    let end = "https://login.example/logout?tenant=1";
    let until = bench.clock.now().plus_ms(3_600_000);
    // A provider that offers none: nobody is sent anywhere.
    let login = bench.changed(Begin::default(), &[]).await.unwrap();
    bench.logins.keep_for_logout("s1", &login, until).await.unwrap();
    assert_eq!(bench.logins.logout("s1").await.unwrap(), None);
    bench.net.0.lock().unwrap().metadata["end_session_endpoint"] = json!(end);
    bench.clock.advance_ms(3_600_000);
    let login = bench.changed(Begin::default(), &[]).await.unwrap();
    bench.logins.keep_for_logout("s2", &login, until).await.unwrap();
    assert_eq!(bench.logins.logout("s3").await.unwrap(), None, "another session's");
    let url = bench.logins.logout("s2").await.unwrap().unwrap();
    assert!(url.starts_with(end), "{url}");
    let asked = query_of(&url);
    assert_eq!((asked["client_id"].as_str(), asked["tenant"].as_str()), ("tacet", "1"));
    assert_eq!(asked["post_logout_redirect_uri"], "https://ehr.example/login");
    assert_eq!(asked["id_token_hint"], bench.net.0.lock().unwrap().id_token);
    assert_eq!(bench.logins.logout("s2").await.unwrap(), None, "once");
    bench.logins.keep_for_logout("s4", &login, until).await.unwrap();
    let (a, b) = tokio::join!(bench.logins.logout("s4"), bench.logins.logout("s4"));
    assert_eq!([a, b].into_iter().filter(|url| url.as_ref().unwrap().is_some()).count(), 1);
}

#[tokio::test]
async fn the_professional_is_known_by_the_national_id() {
    let bench = bench(SubjectClaim::ProSanteConnect, &[]);
    let direct = bench.changed(Begin::default(), &[("SubjectNameID", json!("899700000001"))]).await.unwrap();
    assert_eq!((direct.subject.as_str(), direct.sub.as_str()), ("899700000001", "f:1:899"));
    let named = bench.changed(Begin::default(), &[("preferred_username", json!("899700000002"))]).await.unwrap();
    assert_eq!(named.subject, "899700000002");
    for (userinfo, fits) in [
        (json!({ "sub": "f:1:899", "SubjectNameID": "899700000003" }), true),
        (json!({ "sub": "somebody", "SubjectNameID": "899700000003" }), false),
        (json!({ "SubjectNameID": "899700000003" }), false),
        (json!({ "sub": "f:1:899" }), false),
        (json!({ "sub": "f:1:899", "SubjectNameID": "a\u{0}" }), false),
        (json!([]), false),
    ] {
        bench.net.0.lock().unwrap().userinfo = userinfo;
        let answer = bench.changed(Begin::default(), &[]).await;
        assert_eq!(answer.ok().map(|login| login.subject), fits.then(|| "899700000003".to_owned()));
    }
}

#[tokio::test]
async fn a_provider_speaks_for_itself_only() {
    for (name, value) in [
        ("issuer", json!("https://evil.example")),
        ("issuer", json!("https://login.example/realms/x/")),
        ("token_endpoint", json!("http://login.example/token")),
        ("userinfo_endpoint", json!("file:///etc/passwd")),
        ("jwks_uri", json!("https://login.example/none")),
        ("authorization_endpoint", json!(7)),
    ] {
        let bench = bench(SubjectClaim::Sub, &[]);
        bench.net.0.lock().unwrap().metadata[name] = value;
        let begun = bench.logins.begin(&Begin { provider: "psc", browser: BROWSER, ..Begin::default() }).await;
        assert!(matches!(begun, Err(ForeignError::Provider(_))), "{name}");
    }
    let bench = bench(SubjectClaim::Sub, &[]);
    let unknown = bench.logins.begin(&Begin { provider: "x", browser: BROWSER, ..Begin::default() }).await;
    assert!(matches!(unknown, Err(ForeignError::NoSuchProvider)));
    // The provider changes its key: found when it is first met, and not asked for at will.
    let new = TestKey::ec("ES256", "k2");
    let asked = bench.begin(Begin::default()).await;
    bench.clock.advance_ms(crate::settings::KEY_FETCH_PAUSE_MS);
    bench.net.0.lock().unwrap().keys = json!({ "keys": [new.jwk] });
    bench.answer_with(new.sign(&bench.claims(&asked)));
    assert!(bench.finish(&asked).await.is_ok());
}
