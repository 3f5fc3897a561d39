//! Machines: assertions, confusion of algorithms, replay, keys by address.

use super::*;

#[tokio::test]
async fn machines_get_tokens_with_each_algorithm() {
    let world = world().await;
    let keys = [
        TestKey::ec("ES384", "a"),
        TestKey::ec("ES256", "b"),
        TestKey::rsa("RS384", "c"),
        TestKey::rsa("RS256", "d"),
        TestKey::rsa("PS384", "e"),
    ];
    let machine = world.machine(&keys.iter().collect::<Vec<_>>()).await;
    for key in &keys {
        let claims = world.assertion_claims(&machine, &format!("jti {}", key.kid));
        let answer =
            world.with_assertion(&key.sign(&claims), &[("scope", "system/*.cruds user/*.rs openid")]).await.unwrap();
        assert_eq!(answer.scope, "system/Observation.rs system/Patient.r");
        assert_eq!((answer.refresh_token, answer.id_token), (None, None));
        let grant = world.access(&answer.access_token).unwrap();
        assert_eq!((grant.account, grant.role), (format!("client:{}", machine.id), Role::Integrator));
        assert_eq!((grant.person, grant.patient), (None, None));
    }
    let mut claims = world.assertion_claims(&machine, "issuer");
    claims["aud"] = json!([ISSUER]);
    assert!(world.with_assertion(&keys[0].sign(&claims), &[]).await.is_ok());
    let claims = world.assertion_claims(&machine, "scopes");
    let wrong = world.with_assertion(&keys[0].sign(&claims), &[("scope", "user/*.rs")]).await;
    assert_eq!(code_of(wrong), ErrorCode::InvalidScope);
    let claims = world.assertion_claims(&machine, "grant");
    let wrong = world.with_assertion(&keys[0].sign(&claims), &[("grant_type", "authorization_code")]).await;
    assert_eq!(code_of(wrong), ErrorCode::UnauthorizedClient);
    assert_eq!(
        code_of(world.with_assertion("x", &[("grant_type", "password")]).await),
        ErrorCode::UnsupportedGrantType
    );
}

#[tokio::test]
async fn algorithms_are_the_keys_and_not_the_tokens() {
    let world = world().await;
    let (ec, rsa, stranger) = (TestKey::ec("ES384", "ec"), TestKey::rsa("RS384", "rsa"), TestKey::ec("ES384", "ec"));
    let machine = world.machine(&[&ec, &rsa]).await;
    let claims = world.assertion_claims(&machine, "1");
    let hmac = |key: &[u8], alg, header: &Value| {
        let text = forged(header, &claims, b"");
        let message = text.trim_end_matches('.');
        let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(alg, key), message.as_bytes());
        forged(header, &claims, tag.as_ref())
    };
    let public = rsa.jwk["n"].as_str().unwrap();
    let hs256 = json!({ "alg": "HS256", "kid": "rsa" });
    let bad = [
        forged(&json!({ "alg": "none", "kid": "ec" }), &claims, b""),
        forged(&json!({ "alg": "None", "kid": "ec" }), &claims, b""),
        forged(&json!({ "alg": "ES384", "kid": "ec" }), &claims, b""),
        forged(&json!({ "alg": "ES384", "kid": "ec" }), &claims, &[0; 96]),
        hmac(public.as_bytes(), aws_lc_rs::hmac::HMAC_SHA256, &hs256),
        hmac(&URL_SAFE_NO_PAD.decode(public).unwrap(), aws_lc_rs::hmac::HMAC_SHA256, &hs256),
        hmac(rsa.jwk.to_string().as_bytes(), aws_lc_rs::hmac::HMAC_SHA384, &json!({ "alg": "HS384", "kid": "rsa" })),
        stranger.sign(&claims),
        ec.sign_with(&json!({ "alg": "RS384", "kid": "rsa" }), &claims),
        ec.sign_with(&json!({ "alg": "ES256", "kid": "ec" }), &claims),
        rsa.sign_with(&json!({ "alg": "RS256", "kid": "rsa" }), &claims),
        rsa.sign_with(&json!({ "alg": "PS384", "kid": "rsa" }), &claims),
        ec.sign_with(&json!({ "alg": "ES384" }), &claims),
        ec.sign_with(&json!({ "alg": "ES384", "kid": "unknown" }), &claims),
        ec.sign_with(&json!({ "alg": "ES384", "kid": "ec", "crit": ["exp"] }), &claims),
        ec.sign_with(&json!({ "alg": "ES384", "kid": "ec", "jku": "https://evil.example/keys" }), &claims),
        ec.sign_with(&json!({ "alg": "ES384", "kid": "ec", "typ": "dpop+jwt" }), &claims),
        stranger.sign_with(&json!({ "alg": "ES384", "kid": "ec", "jwk": stranger.jwk }), &claims),
        format!("{}.x", ec.sign(&claims)),
        ec.sign(&claims).replace('.', ""),
        "x".repeat(20_000),
        String::new(),
    ];
    for assertion in &bad {
        let code = code_of(world.with_assertion(assertion, &[]).await);
        assert!(matches!(code, ErrorCode::InvalidClient | ErrorCode::InvalidRequest), "{assertion}");
    }
    assert!(world.with_assertion(&ec.sign(&claims), &[]).await.is_ok(), "none of these used it up");
}

#[tokio::test]
async fn claims_of_assertions_are_held() {
    let world = world().await;
    let key = TestKey::ec("ES256", "k");
    let (machine, other) = (world.machine(&[&key]).await, world.machine(&[&TestKey::ec("ES256", "k")]).await);
    let now_s = world.now_s();
    for (name, value) in [
        ("iss", json!(other.id)),
        ("iss", json!(null)),
        ("sub", json!(other.id)),
        ("sub", json!(null)),
        ("aud", json!("https://other.example/token")),
        ("aud", json!(BASE)),
        ("aud", json!([ISSUER, "https://other.example"])),
        ("aud", json!([])),
        ("aud", json!(null)),
        ("exp", json!(null)),
        ("exp", json!(now_s)),
        ("exp", json!(now_s + 3600)),
        ("exp", json!("2030-01-01")),
        ("exp", json!(1e300)),
        ("nbf", json!(now_s + 120)),
        ("iat", json!(now_s + 120)),
        ("iat", json!("now")),
        ("jti", json!(null)),
        ("jti", json!("")),
        ("jti", json!("x".repeat(300))),
        ("jti", json!(7)),
    ] {
        let mut claims = world.assertion_claims(&machine, "once");
        claims[name] = value.clone();
        assert_eq!(
            code_of(world.with_assertion(&key.sign(&claims), &[]).await),
            ErrorCode::InvalidClient,
            "{name} {value}"
        );
    }
    let claims = world.assertion_claims(&machine, "once");
    let mismatch = world.with_assertion(&key.sign(&claims), &[("client_id", &other.id)]).await;
    assert_eq!(code_of(mismatch), ErrorCode::InvalidClient);
    for changes in [("client_assertion_type", ""), ("client_assertion_type", "x"), ("client_secret", "x")] {
        assert_eq!(code_of(world.with_assertion(&key.sign(&claims), &[changes]).await), ErrorCode::InvalidClient);
    }
    let proof = ClientProof { authorization: Some("Basic eDp5"), ..ClientProof::default() };
    let basic = world.token("grant_type=client_credentials&scope=system/*.rs", proof).await;
    assert_eq!(code_of(basic), ErrorCode::InvalidClient);
    let bare = format!("grant_type=client_credentials&scope=system/*.rs&client_id={}", machine.id);
    assert_eq!(code_of(world.token(&bare, ClientProof::default()).await), ErrorCode::InvalidClient);
}

#[tokio::test]
async fn an_assertion_is_used_once() {
    let world = world().await;
    let key = TestKey::ec("ES384", "k");
    let machine = world.machine(&[&key]).await;
    let assertion = key.sign(&world.assertion_claims(&machine, "one"));
    let (a, b) = tokio::join!(world.with_assertion(&assertion, &[]), world.with_assertion(&assertion, &[]));
    assert_eq!([&a, &b].into_iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(code_of(world.with_assertion(&assertion, &[]).await), ErrorCode::InvalidClient);
    // One whose request came to nothing is used up too.
    let assertion = key.sign(&world.assertion_claims(&machine, "two"));
    assert_eq!(code_of(world.with_assertion(&assertion, &[("scope", "user/*.rs")]).await), ErrorCode::InvalidScope);
    assert_eq!(code_of(world.with_assertion(&assertion, &[]).await), ErrorCode::InvalidClient);
    let swept = world.server.sweep().await.unwrap();
    assert_eq!(swept.removed, 0);
    world.clock.advance_ms(400_000);
    assert!(world.server.sweep().await.unwrap().removed >= 3);
}

#[tokio::test]
async fn clients_wait_for_approval() {
    let world = world().await;
    let key = TestKey::ec("ES384", "k");
    let metadata = json!({
        "client_name": "Machine", "grant_types": ["client_credentials"], "scope": "system/*.rs", "jwks": { "keys": [key.jwk] },
    });
    let body = metadata.to_string();
    let client = world.server.register(body.as_bytes(), None, asked()).await.unwrap();
    assert_eq!(client.registered()["tacet_state"], "pending");
    let assertion = |jti| key.sign(&world.assertion_claims(&client, jti));
    assert_eq!(code_of(world.with_assertion(&assertion("1"), &[]).await), ErrorCode::InvalidClient);
    world.server.refuse_client(&client.id, "officer", asked()).await.unwrap();
    assert_eq!(code_of(world.with_assertion(&assertion("2"), &[]).await), ErrorCode::InvalidClient);
    let again = world.server.approve_client(&client.id, "officer", &Approval::default(), asked()).await;
    assert!(matches!(again, Err(SmartError::NoSuchClient)));
    for at in 0..settings::PENDING_MAX {
        let by = (at >= settings::PENDING_OF_NOBODY_MAX).then_some("aubrac");
        world.server.register(body.as_bytes(), by, asked()).await.unwrap();
        let nobody = world.server.register(body.as_bytes(), None, asked());
        if at == settings::PENDING_OF_NOBODY_MAX {
            assert_eq!(code_of(nobody.await), ErrorCode::TemporarilyUnavailable, "room is left for who is known");
        }
    }
    let flood = world.server.register(body.as_bytes(), None, asked()).await;
    assert_eq!(code_of(flood), ErrorCode::TemporarilyUnavailable);
    world.clock.advance_ms(settings::PENDING_MS);
    assert_eq!(world.server.sweep().await.unwrap().removed, settings::PENDING_MAX);
}

#[tokio::test]
async fn keys_by_address_are_kept_and_fetched_again_when_one_is_new() {
    let world = world().await;
    let (old, new) = (TestKey::ec("ES384", "old"), TestKey::ec("ES384", "new"));
    let machine = world
        .client(json!({
            "client_name": "Machine", "grant_types": ["client_credentials"], "scope": "system/*.rs",
            "jwks_uri": "https://machine.example/keys",
        }))
        .await;
    let publish = |keys: &[&TestKey]| {
        let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
        world.web.0.lock().unwrap().0 = json!({ "keys": keys }).to_string().into_bytes();
    };
    let fetches = || world.web.0.lock().unwrap().1;
    let try_with = async |key: &TestKey, jti: &str| {
        world.with_assertion(&key.sign(&world.assertion_claims(&machine, jti)), &[]).await
    };
    assert_eq!(code_of(try_with(&old, "0").await), ErrorCode::InvalidClient, "not there");
    publish(&[&old]);
    assert_eq!(code_of(try_with(&old, "1").await), ErrorCode::InvalidClient, "not asked again so soon");
    world.clock.advance_ms(settings::KEY_FETCH_PAUSE_MS);
    assert!(try_with(&old, "2").await.is_ok() && try_with(&old, "3").await.is_ok());
    assert_eq!(fetches(), 2);
    publish(&[&old, &new]);
    for jti in ["4", "5", "6"] {
        assert_eq!(code_of(try_with(&new, jti).await), ErrorCode::InvalidClient);
    }
    assert_eq!(fetches(), 2, "a stranger cannot make us fetch at will");
    world.clock.advance_ms(settings::KEY_FETCH_PAUSE_MS);
    assert!(try_with(&new, "7").await.is_ok());
    // A fetch that fails leaves the known keys for a while, and no longer.
    world.web.0.lock().unwrap().0.clear();
    world.clock.advance_ms(settings::KEY_FETCH_PAUSE_MS);
    assert_eq!(code_of(try_with(&TestKey::ec("ES384", "x"), "8").await), ErrorCode::InvalidClient);
    assert!(try_with(&new, "9").await.is_ok());
    world.clock.advance_ms(settings::KEY_CACHE_MS);
    assert_eq!(code_of(try_with(&new, "10").await), ErrorCode::InvalidClient);
    // Too large, or with a private key in it: not taken.
    world.clock.advance_ms(settings::KEY_FETCH_PAUSE_MS);
    world.web.0.lock().unwrap().0 = vec![b' '; settings::JWKS_BYTES_MAX + 1];
    assert_eq!(code_of(try_with(&new, "11").await), ErrorCode::InvalidClient);
}

#[tokio::test]
async fn certificates_are_proof_and_bind() {
    let world = world().await;
    let key = TestKey::ec("ES384", "k");
    let (print, other) = (crate::secret::sha256_url(b"certificate"), crate::secret::sha256_url(b"another"));
    let mut jwk = key.jwk.clone();
    jwk["x5t#S256"] = json!(print);
    let machine = world
        .client(json!({
            "client_name": "Machine", "grant_types": ["client_credentials"], "scope": "system/*.rs",
            "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": { "keys": [jwk] },
        }))
        .await;
    let form = format!("grant_type=client_credentials&scope=system/*.rs&client_id={}", machine.id);
    for certificate in [None, Some(other.as_str()), Some("")] {
        let proof = ClientProof { certificate, ..ClientProof::default() };
        assert_eq!(code_of(world.token(&form, proof).await), ErrorCode::InvalidClient);
    }
    let proof = ClientProof { certificate: Some(&print), ..ClientProof::default() };
    let answer = world.token(&form, proof).await.unwrap();
    let at = |certificate| world.server.access(&Shown { certificate, ..shown(&answer.access_token) });
    assert_eq!(at(Some(&print)).unwrap().x5t, Some(print.clone()));
    assert_eq!(code_of(at(None)), ErrorCode::InvalidToken);
    assert_eq!(code_of(at(Some(&other))), ErrorCode::InvalidToken);
    let assertion = key.sign(&world.assertion_claims(&machine, "1"));
    assert_eq!(code_of(world.with_assertion(&assertion, &[]).await), ErrorCode::InvalidClient, "not its method");
}
