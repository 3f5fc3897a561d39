//! Proofs of possession.

use super::*;

const TOKEN: &str = "https://ehr.example/oauth/token";
const RECORDS: &str = "https://ehr.example/fhir/Observation";

fn header(key: &TestKey) -> Value {
    json!({ "typ": "dpop+jwt", "alg": key.alg, "jwk": key.jwk })
}

fn claims(world: &World, jti: &str, method: &str, url: &str, token: Option<&str>) -> Value {
    let mut claims = json!({ "jti": jti, "htm": method, "htu": url, "iat": world.now_s() });
    if let Some(token) = token {
        claims["ath"] = json!(crate::secret::sha256_url(token.as_bytes()));
    }
    claims
}

fn proof<'a>(dpop: &'a str) -> ClientProof<'a> {
    ClientProof { dpop: Some(dpop), ..ClientProof::default() }
}

fn at<'a>(token: &'a str, dpop: &'a str) -> Shown<'a> {
    Shown { scheme: Scheme::Dpop, dpop: Some(dpop), ..shown(token) }
}

async fn bound(world: &World, app: &Client, key: &TestKey, jti: &str) -> TokenAnswer {
    let code = world.code(app, &doctor(world), &[]).await;
    let dpop = key.sign_with(&header(key), &claims(world, jti, "POST", TOKEN, None));
    world.exchange(app, &code, &[], proof(&dpop)).await.unwrap()
}

#[tokio::test]
async fn a_bound_token_needs_its_key_each_time() {
    let world = world().await;
    let app = world.app().await;
    let (key, thief) = (TestKey::ec("ES256", "k"), TestKey::ec("ES256", "k"));
    let answer = bound(&world, &app, &key, "t1").await;
    assert_eq!(answer.body()["token_type"], "DPoP");
    let token = answer.access_token.as_str();
    let good = |jti: &str| claims(&world, jti, "GET", RECORDS, Some(token));
    let first = key.sign_with(&header(&key), &good("1"));
    assert_eq!(world.server.access(&at(token, &first)).unwrap().jkt, Some(key.thumbprint()));
    assert_eq!(code_of(world.server.access(&at(token, &first))), ErrorCode::InvalidDpopProof, "replayed");
    assert_eq!(code_of(world.server.access(&shown(token))), ErrorCode::InvalidToken, "as a bearer token");
    let none = Shown { dpop: None, ..at(token, "") };
    assert_eq!(code_of(world.server.access(&none)), ErrorCode::InvalidDpopProof);
    let by_thief = thief.sign_with(&header(&thief), &good("2"));
    assert_eq!(code_of(world.server.access(&at(token, &by_thief))), ErrorCode::InvalidToken, "another key");
    let with = |name: &str, value: Value| {
        let mut claims = good("3");
        claims[name] = value;
        key.sign_with(&header(&key), &claims)
    };
    let now_s = world.now_s();
    let mut private = header(&key);
    private["jwk"]["d"] = json!("AA");
    for bad in [
        with("htm", json!("POST")),
        with("htm", json!("get")),
        with("htu", json!("https://ehr.example/fhir/Patient")),
        with("htu", json!("https://evil.example/fhir/Observation")),
        with("htu", json!("http://ehr.example/fhir/Observation")),
        with("htu", json!(null)),
        with("iat", json!(now_s - 61)),
        with("iat", json!(now_s + 61)),
        with("iat", json!(null)),
        with("jti", json!(null)),
        with("jti", json!("x".repeat(300))),
        with("ath", json!(null)),
        with("ath", json!(crate::secret::sha256_url(b"another token"))),
        key.sign_with(&json!({ "typ": "JWT", "alg": "ES256", "jwk": key.jwk }), &good("4")),
        key.sign_with(&json!({ "typ": "dpop+jwt", "alg": "ES256" }), &good("4")),
        key.sign_with(&json!({ "typ": "dpop+jwt", "alg": "ES384", "jwk": key.jwk }), &good("4")),
        key.sign_with(&private, &good("4")),
        forged(&json!({ "typ": "dpop+jwt", "alg": "none", "jwk": key.jwk }), &good("4"), b""),
        forged(&json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": { "kty": "oct", "k": "AA" } }), &good("4"), b"x"),
        thief.sign_with(&header(&key), &good("4")),
        "x".to_owned(),
        "y".repeat(20_000),
    ] {
        assert_eq!(code_of(world.server.access(&at(token, &bad))), ErrorCode::InvalidDpopProof, "{bad}");
    }
    let free = world.tokens(&app).await;
    let dressed = key.sign_with(&header(&key), &claims(&world, "5", "GET", RECORDS, Some(&free.access_token)));
    assert_eq!(code_of(world.server.access(&at(&free.access_token, &dressed))), ErrorCode::InvalidToken);
}

#[tokio::test]
async fn refresh_and_codes_are_bound_too() {
    let world = world().await;
    let app = world.app().await;
    let (key, thief) = (TestKey::rsa("RS384", "k"), TestKey::ec("ES384", "k"));
    let sign = |key: &TestKey, jti: &str| key.sign_with(&header(key), &claims(&world, jti, "POST", TOKEN, None));
    let answer = bound(&world, &app, &key, "1").await;
    let refresh = answer.refresh_token.unwrap();
    let form = format!("grant_type=refresh_token&client_id={}&refresh_token={refresh}", app.id);
    assert_eq!(code_of(world.token(&form, ClientProof::default()).await), ErrorCode::InvalidGrant, "without a proof");
    assert_eq!(code_of(world.token(&form, proof(&sign(&thief, "2"))).await), ErrorCode::InvalidGrant);
    let used = sign(&key, "3");
    assert!(world.token(&form, proof(&used)).await.unwrap().dpop);
    assert_eq!(code_of(world.token(&form, proof(&used)).await), ErrorCode::InvalidDpopProof, "replayed");
    // A code that was announced for a key.
    for (dpop, fits) in [(Some(&key), true), (Some(&thief), false), (None, false)] {
        let code = world.code(&app, &doctor(&world), &[("dpop_jkt", &key.thumbprint())]).await;
        let dpop = dpop.map(|key| sign(key, &format!("{code} {fits}")[60..]));
        let proof = ClientProof { dpop: dpop.as_deref(), ..ClientProof::default() };
        assert_eq!(world.exchange(&app, &code, &[], proof).await.is_ok(), fits);
    }
    let strict = world
        .client(json!({
            "client_name": "App", "redirect_uris": [CALLBACK], "scope": "patient/*.rs", "dpop_bound_access_tokens": true,
        }))
        .await;
    let code = world.code(&strict, &doctor(&world), &[]).await;
    assert_eq!(code_of(world.exchange(&strict, &code, &[], ClientProof::default()).await), ErrorCode::InvalidDpopProof);
}

#[tokio::test]
async fn nonces_are_asked_for_and_end() {
    let world = world_with(|settings| settings.dpop_nonce = true).await;
    let app = world.app().await;
    let key = TestKey::ec("ES256", "k");
    let code = world.code(&app, &doctor(&world), &[]).await;
    let mut claims = claims(&world, "1", "POST", TOKEN, None);
    let bare = key.sign_with(&header(&key), &claims);
    let Err(SmartError::Refused(error)) = world.exchange(&app, &code, &[], proof(&bare)).await else { panic!() };
    assert_eq!((error.code, error.status()), (ErrorCode::UseDpopNonce, 400));
    claims["nonce"] = json!("made up");
    let wrong = key.sign_with(&header(&key), &claims);
    assert_eq!(code_of(world.exchange(&app, &code, &[], proof(&wrong)).await), ErrorCode::UseDpopNonce);
    claims["nonce"] = json!(error.dpop_nonce.unwrap());
    let right = key.sign_with(&header(&key), &claims);
    assert!(world.exchange(&app, &code, &[], proof(&right)).await.is_ok(), "the code was not touched before");
    world.clock.advance_ms(240_000);
    claims["iat"] = json!(world.now_s());
    claims["jti"] = json!("2");
    let old = key.sign_with(&header(&key), &claims);
    assert_eq!(code_of(world.exchange(&app, &code, &[], proof(&old)).await), ErrorCode::UseDpopNonce);
}

#[tokio::test]
async fn a_restart_does_not_forget_proofs() {
    let first = world().await;
    let app = first.app().await;
    let key = TestKey::ec("ES256", "k");
    let answer = bound(&first, &app, &key, "t1").await;
    let token = answer.access_token.as_str();
    let dpop = key.sign_with(&header(&key), &claims(&first, "1", "GET", RECORDS, Some(token)));
    assert!(first.server.access(&at(token, &dpop)).is_ok());
    first.clock.advance_ms(2000);
    let server = AuthorizationServer::open(
        first.rows.clone(),
        first.clock.clone(),
        Arc::new(SeededRng::new(2)),
        Settings::at(ISSUER, BASE),
        first.web.clone(),
    )
    .await
    .unwrap();
    assert_eq!(code_of(server.access(&at(token, &dpop))), ErrorCode::InvalidDpopProof);
    let fresh = key.sign_with(&header(&key), &claims(&first, "2", "GET", RECORDS, Some(token)));
    assert!(server.access(&at(token, &fresh)).is_ok());
    assert_eq!(server.jwks(), first.server.jwks(), "and the signing key stays");
}
