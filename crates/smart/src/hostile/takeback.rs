//! What was given is taken back at once; tokens of other kinds are none; what may be asked about a token.

use super::*;

#[tokio::test]
async fn tokens_of_other_kinds_open_nothing() {
    let world = world().await;
    let app = world.app().await;
    let answer = world.tokens(&app).await;
    let own = answer.access_token.clone();
    for token in [
        answer.id_token.unwrap(),
        answer.refresh_token.unwrap(),
        own.to_uppercase(),
        own[..own.len() - 1].to_owned(),
        format!("{own} "),
        format!("tacet_at_{}", "0".repeat(64)),
        String::new(),
        "x".repeat(100_000),
    ] {
        assert!(!world.works(&token));
    }
    assert!(world.works(&own));
    let challenge = world.access("x").unwrap_err();
    let SmartError::Refused(error) = challenge else { panic!() };
    assert_eq!(error.status(), 401);
    assert!(error.challenge(false).starts_with("Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn what_a_person_gave_an_app_is_found_by_the_session_in_which_they_did() {
    let world = world().await;
    let app = world.app().await;
    let answer = world.tokens(&app).await;
    let refreshed = world.refresh(&app, answer.refresh_token.as_deref().unwrap(), &[]).await.unwrap();
    let id = refreshed.refresh_token.as_deref().and_then(crate::token::family_of).unwrap();
    world.server.end_family(id, "test", asked()).await.unwrap();
    let entries = world.rows.0.entries();
    let given: Vec<_> = entries.iter().filter(|entry| entry.agent.owner == "aubrac").collect();
    use tacet_ledger::EventKind as K;
    for kind in [K::RightsChange, K::TokenCreated, K::TokenRevoked] {
        assert!(given.iter().any(|entry| entry.kind == kind), "{kind}");
    }
    for entry in given {
        assert_eq!(entry.session.as_deref(), Some("session-1"), "{}", entry.kind);
        assert_eq!(entry.account.as_deref(), Some("aubrac"), "{}", entry.kind);
    }
}

#[tokio::test]
async fn everything_is_taken_back_by_account_session_and_client() {
    let world = world().await;
    let app = world.app().await;
    let given = async || {
        world.clock.advance_ms(1);
        world.tokens(&app).await
    };
    let refused = async |answer: &TokenAnswer| {
        assert!(!world.works(&answer.access_token));
        let refresh = answer.refresh_token.as_deref().unwrap();
        assert_eq!(code_of(world.refresh(&app, refresh, &[]).await), ErrorCode::InvalidGrant);
    };
    let answer = given().await;
    let pending = world.code(&app, &doctor(&world), &[]).await;
    world.server.revoke_account("aubrac", "officer", asked()).await.unwrap();
    refused(&answer).await;
    assert_eq!(code_of(world.exchange(&app, &pending, &[], ClientProof::default()).await), ErrorCode::InvalidGrant);
    let answer = given().await;
    assert!(world.works(&answer.access_token), "the account may give anew");
    world.server.revoke_client_grants(&app.id, "officer", asked()).await.unwrap();
    refused(&answer).await;
    let answer = given().await;
    assert!(world.works(&answer.access_token));
    // Leaving ends what hangs on the session, not what was to outlive it; a stolen session ends both.
    let online = world.code(&app, &doctor(&world), &[("scope", "online_access patient/*.rs")]).await;
    let online = world.exchange(&app, &online, &[], ClientProof::default()).await.unwrap();
    world.server.revoke_session("session-1", false, "aubrac", asked()).await.unwrap();
    refused(&online).await;
    assert!(world.works(&answer.access_token));
    world.server.revoke_session("session-1", true, "officer", asked()).await.unwrap();
    refused(&answer).await;
    world.server.revoke_session("session-1", false, "aubrac", asked()).await.unwrap();
    assert!(!world.works(&answer.access_token), "and it stays so");
    let other = Person { session: Some("session-2".into()), ..doctor(&world) };
    let code = world.code(&app, &other, &[]).await;
    let answer = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap();
    world.server.revoke_client(&app.id, "officer", asked()).await.unwrap();
    assert!(!world.works(&answer.access_token));
    assert!(matches!(world.authorize(&app, Some(&other), &[]).await, Authorize::Refuse(_)));
}

#[tokio::test]
async fn clients_give_back_their_own_tokens_only() {
    let world = world().await;
    let (app, other) = (world.app().await, world.app().await);
    let give_back = async |client: &Client, token: &str| {
        let form = format!("client_id={}&token={token}", client.id);
        world.server.revoke(&form, &ClientProof::default(), asked()).await
    };
    let answer = world.tokens(&app).await;
    let refresh = answer.refresh_token.clone().unwrap();
    give_back(&other, &answer.access_token).await.unwrap();
    give_back(&other, &refresh).await.unwrap();
    give_back(&app, "unknown").await.unwrap();
    assert!(world.works(&answer.access_token));
    give_back(&app, &answer.access_token).await.unwrap();
    assert!(!world.works(&answer.access_token));
    let next = world.refresh(&app, &refresh, &[]).await.unwrap();
    assert!(world.works(&next.access_token));
    give_back(&app, &next.refresh_token.unwrap()).await.unwrap();
    assert!(!world.works(&next.access_token));
    let nobody = world.server.revoke("token=x", &ClientProof::default(), asked()).await;
    assert_eq!(code_of(nobody), ErrorCode::InvalidClient);
}

#[tokio::test]
async fn who_may_ask_about_a_token() {
    let world = world().await;
    let app = world.app().await;
    let (key, own) = (TestKey::ec("ES384", "k"), TestKey::ec("ES384", "o"));
    let machine = world.machine(&[&key]).await;
    let metadata = json!({
        "client_name": "Resource server", "grant_types": ["client_credentials"], "scope": "system/*.rs", "jwks": { "keys": [own.jwk] },
    });
    let registered = world.server.register(metadata.to_string().as_bytes(), None, asked()).await.unwrap();
    let approval = Approval { may_introspect: true, ..Approval::default() };
    let resource = world.server.approve_client(&registered.id, "officer", &approval, asked()).await.unwrap();
    let ask = async |client: &Client, key: &TestKey, jti: &str, token: &str| {
        let base = [
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &key.sign(&world.assertion_claims(client, jti))),
            ("token", token),
        ];
        world.server.introspect(&form(&base, &[]), &ClientProof::default()).await.unwrap()
    };
    let answer = world.tokens(&app).await;
    let told = ask(&resource, &own, "1", &answer.access_token).await;
    assert_eq!((&told["active"], &told["client_id"], &told["patient"]), (&json!(true), &json!(app.id), &json!("p1")));
    assert_eq!((&told["sub"], &told["scope"]), (&json!("aubrac"), &json!(answer.scope)));
    assert_eq!(told["exp"], json!(world.now_s() + 300));
    let inactive = json!({ "active": false });
    assert_eq!(ask(&machine, &key, "2", &answer.access_token).await, inactive, "another's");
    assert_eq!(ask(&resource, &own, "3", &answer.refresh_token.unwrap()).await, inactive);
    let of_machine = world.with_assertion(&key.sign(&world.assertion_claims(&machine, "4")), &[]).await.unwrap();
    assert_eq!(ask(&machine, &key, "5", &of_machine.access_token).await["active"], true);
    world.server.revoke_account("aubrac", "officer", asked()).await.unwrap();
    assert_eq!(ask(&resource, &own, "6", &answer.access_token).await, inactive);
    let public = format!("client_id={}&token={}", app.id, of_machine.access_token);
    let refused = world.server.introspect(&public, &ClientProof::default()).await;
    assert_eq!(code_of(refused), ErrorCode::InvalidClient);
}

#[tokio::test]
async fn a_new_signing_key_leaves_the_old_one_published_for_a_day() {
    let world = world().await;
    let app = world.app().await;
    let old = world.tokens(&app).await.id_token.unwrap();
    world.server.rotate_signing_key().await.unwrap();
    let new = world.tokens(&app).await.id_token.unwrap();
    let keys: JwkSet = serde_json::from_value(world.server.jwks()).unwrap();
    assert_eq!(keys.keys.len(), 2);
    let kid = |token: &str| crate::jwt::Unchecked::read(token).ok().unwrap().header.kid.unwrap();
    assert_ne!(kid(&old), kid(&new));
    for token in [&old, &new] {
        assert!(keys.keys.iter().any(|key| crate::jwt::Unchecked::read(token).unwrap().check(key).is_ok()));
    }
    world.clock.advance_ms(25 * 3_600_000);
    assert_eq!(world.server.jwks()["keys"].as_array().unwrap().len(), 1);
    assert!(!world.server.jwks().to_string().contains("\"d\""));
}

#[tokio::test]
async fn the_documents_say_what_is_done() {
    let world = world().await;
    for document in
        [world.server.smart_configuration(), world.server.oauth_metadata(), world.server.openid_configuration()]
    {
        assert_eq!(
            (&document["issuer"], &document["code_challenge_methods_supported"]),
            (&json!(ISSUER), &json!(["S256"]))
        );
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert!(!document.to_string().contains("implicit") && !document.to_string().contains("none\",\"HS"));
        for name in
            ["authorization_endpoint", "token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint"]
        {
            assert!(document[name].as_str().unwrap().starts_with("https://ehr.example/oauth/"));
        }
    }
}
