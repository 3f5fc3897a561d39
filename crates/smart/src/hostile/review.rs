//! What a second reader found: who is spared the consent page, what is told about a token, how long what was given lives.

use super::*;

/// At a loopback address any program of the machine may listen: a code is not given there without the person (RFC 8252, section 8.6).
#[tokio::test]
async fn an_app_of_the_house_at_a_loopback_address_asks_all_the_same() {
    let world = world().await;
    for (callback, silent) in [("https://house.example/cb", true), ("http://127.0.0.1/cb", false)] {
        let metadata = json!({ "client_name": "House", "redirect_uris": [callback], "scope": "user/*.rs" });
        let registered = world.server.register(metadata.to_string().as_bytes(), None, asked()).await.unwrap();
        let approval = Approval { preapproved: true, ..Approval::default() };
        let app = world.server.approve_client(&registered.id, "officer", &approval, asked()).await.unwrap();
        let changes = [("scope", "user/*.rs"), ("redirect_uri", callback)];
        let answer = world.authorize(&app, Some(&doctor(&world)), &changes).await;
        assert_eq!(matches!(answer, Authorize::Redirect(_)), silent, "{callback}");
        assert_eq!(matches!(answer, Authorize::Consent(_)), !silent, "{callback}");
    }
}

#[tokio::test]
async fn who_it_is_is_told_by_the_scopes_of_the_token() {
    let world = world().await;
    let key = TestKey::ec("ES384", "k");
    let client = world
        .client(json!({
            "client_name": "App", "redirect_uris": [CALLBACK], "scope": "openid fhirUser user/*.rs", "jwks": { "keys": [key.jwk] },
        }))
        .await;
    for (scope, told) in [("user/*.rs", false), ("openid fhirUser user/*.rs", true)] {
        let code = world.code(&client, &doctor(&world), &[("scope", scope)]).await;
        let assertion = |use_of: &str| key.sign(&world.assertion_claims(&client, &format!("{use_of} {scope}")));
        let proof = [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")];
        let base = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("client_assertion", &assertion("token")),
        ];
        let answer = world.token(&form(&base, &proof), ClientProof::default()).await.unwrap();
        let base = [("client_assertion", assertion("ask")), ("token", answer.access_token)];
        let base = base.each_ref().map(|(name, value)| (*name, value.as_str()));
        let asked = world.server.introspect(&form(&base, &proof), &ClientProof::default()).await.unwrap();
        assert_eq!((&asked["active"], asked.get("fhirUser").is_some()), (&json!(true), told), "{scope}");
    }
}

/// The caller must see to the end of a session that nobody ended: it is told which grants hang on one.
#[tokio::test]
async fn a_grant_says_whether_it_outlives_the_session() {
    let world = world().await;
    let app = world.app().await;
    for (scope, offline) in
        [("user/*.rs online_access", false), ("user/*.rs offline_access", true), ("user/*.rs", false)]
    {
        let code = world.code(&app, &doctor(&world), &[("scope", scope)]).await;
        let answer = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap();
        assert_eq!(world.access(&answer.access_token).unwrap().offline, offline, "{scope}");
    }
}

/// Proofs at the token endpoint need no token: they must not take the room of those that come with one.
#[tokio::test]
async fn proofs_without_a_token_are_counted_apart() {
    let world = world().await;
    let key = TestKey::ec("ES256", "k");
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk });
    let token = "tacet_at_x";
    let claims = json!({
        "jti": "1", "htm": "POST", "htu": "https://ehr.example/oauth/token", "iat": world.now_s(),
        "ath": crate::secret::sha256_url(token.as_bytes()),
    });
    let proof = key.sign_with(&header, &claims);
    let check = |token| world.server.check_proof(&proof, "POST", "https://ehr.example/oauth/token", token);
    assert!(check(Some(token)).is_ok());
    assert!(check(None).is_ok(), "another room");
    assert!(check(Some(token)).is_err() && check(None).is_err(), "each once");
}

/// Who reads the ledger must not be able to end what others gave.
#[tokio::test]
async fn the_ledger_names_no_grant_in_full() {
    let world = world().await;
    let app = world.app().await;
    let answer = world.tokens(&app).await;
    let refresh = answer.refresh_token.unwrap();
    let id = crate::token::family_of(&refresh).unwrap();
    let details: Vec<String> = world.rows.0.entries().into_iter().filter_map(|entry| entry.detail).collect();
    assert!(details.iter().any(|detail| detail.contains(&format!("grant {}", &id[..12]))));
    assert!(!details.iter().any(|detail| detail.contains(id)));
}

#[tokio::test]
async fn certificates_are_offered_where_they_are_asked_for() {
    for certificates in [true, false] {
        let world = world_with(|settings| settings.client_certificates = certificates).await;
        let document = world.server.smart_configuration();
        let told = |name: &str| document[name].to_string().contains("self_signed_tls_client_auth");
        assert_eq!(told("token_endpoint_auth_methods_supported"), certificates);
        assert_eq!(told("introspection_endpoint_auth_methods_supported"), certificates);
        assert_eq!(document["tls_client_certificate_bound_access_tokens"], certificates);
    }
}
