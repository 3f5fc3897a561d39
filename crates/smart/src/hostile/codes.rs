//! Codes: the whole flow, downgrades of PKCE, replay, mix-up, redirects.

use super::*;

#[tokio::test]
async fn a_standalone_launch_goes_through() {
    let world = world().await;
    let app = world.app().await;
    assert!(matches!(world.authorize(&app, None, &[]).await, Authorize::Login(LoginAsk { fresh: false, .. })));
    let person = doctor(&world);
    let consent = world.consent(&app, &person, &[]).await;
    assert_eq!((consent.client_name.as_str(), consent.redirect_host.as_str()), ("App", "app.example"));
    assert_eq!(consent.patient, PatientNeed::Any);
    assert_eq!(consent.scopes, ["openid", "fhirUser", "launch/patient", "offline_access", "patient/*.rs"]);
    let answer = world.tokens(&app).await;
    let body = answer.body();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 300);
    assert_eq!(body["patient"], "p1");
    assert_eq!(body["scope"], "openid fhirUser launch/patient offline_access patient/*.rs");

    let grant = world.access(&answer.access_token).unwrap();
    assert_eq!((grant.account.as_str(), grant.role), ("aubrac", Role::Clinician));
    assert_eq!((grant.patient, grant.acr.as_deref()), (Some(id("p1")), Some("passkey")));
    assert_eq!(grant.person, Some(person));

    // The id token is signed by the published key.
    let keys: JwkSet = serde_json::from_value(world.server.jwks()).unwrap();
    let token = answer.id_token.unwrap();
    let claims = crate::jwt::Unchecked::read(&token).unwrap().check(&keys.keys[0]).ok().unwrap();
    assert_eq!(claims.text("iss"), Some(ISSUER));
    assert_eq!(claims.text("nonce"), Some("nonce-1"));
    assert_eq!(claims.text("fhirUser"), Some("https://ehr.example/fhir/Practitioner/aubrac"));
    assert_eq!((claims.audiences(), claims.time_s("auth_time")), (vec![app.id.as_str()], Some(world.now_s())));

    // Nothing that was given stands in a row as it was given.
    let secrets = [answer.access_token.as_str(), answer.refresh_token.as_deref().unwrap(), &consent.ticket];
    for table in [Table::Codes, Table::AccessTokens, Table::Refresh, Table::Clients] {
        world
            .rows
            .scan(table, &mut |row| {
                for secret in secrets {
                    let part = &secret.as_bytes()[secret.len() - 40..];
                    assert!(!row.value.windows(40).any(|window| window == part));
                    assert!(!row.name.windows(40).any(|window| window == part));
                }
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    assert!(world.rows.0.entries().iter().any(|entry| entry.kind == tacet_ledger::EventKind::TokenCreated));
}

#[tokio::test]
async fn pkce_is_not_downgraded() {
    let world = world().await;
    let app = world.app().await;
    for changes in [
        &[("code_challenge", "")][..],
        &[("code_challenge_method", "")],
        &[("code_challenge_method", "plain"), ("code_challenge", VERIFIER)],
        &[("code_challenge_method", "s256")],
        &[("code_challenge", "short")],
    ] {
        assert_eq!(world.authorize_error(&app, changes).await, "invalid_request", "{changes:?}");
    }
    let other = "x".repeat(43);
    for verifier in ["", CHALLENGE, other.as_str(), "short", &"y".repeat(129)] {
        let code = world.code(&app, &doctor(&world), &[]).await;
        let changed = world.exchange(&app, &code, &[("code_verifier", verifier)], ClientProof::default()).await;
        assert_eq!(code_of(changed), ErrorCode::InvalidGrant, "{verifier}");
        let right = world.exchange(&app, &code, &[], ClientProof::default()).await;
        assert_eq!(code_of(right), ErrorCode::InvalidGrant, "used up by the wrong try");
    }
}

#[tokio::test]
async fn a_code_is_used_once_and_its_replay_takes_back_what_it_gave() {
    let world = world().await;
    let app = world.app().await;
    let code = world.code(&app, &doctor(&world), &[]).await;
    let answer = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap();
    assert!(world.works(&answer.access_token));
    assert_eq!(code_of(world.exchange(&app, &code, &[], ClientProof::default()).await), ErrorCode::InvalidGrant);
    assert!(!world.works(&answer.access_token), "the first one's token has ended");
    let refreshed = world.refresh(&app, &answer.refresh_token.unwrap(), &[]).await;
    assert_eq!(code_of(refreshed), ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn of_two_uses_of_a_code_at_once_one_wins() {
    let world = world().await;
    let app = world.app().await;
    let code = world.code(&app, &doctor(&world), &[]).await;
    let (a, b, c) = tokio::join!(
        world.exchange(&app, &code, &[], ClientProof::default()),
        world.exchange(&app, &code, &[], ClientProof::default()),
        world.exchange(&app, &code, &[], ClientProof::default()),
    );
    let given: Vec<TokenAnswer> = [a, b, c].into_iter().filter_map(Result::ok).collect();
    assert_eq!(given.len(), 1);
    assert!(!world.works(&given[0].access_token), "and the replay took it back");
}

#[tokio::test]
async fn codes_end_and_are_of_no_use_to_others() {
    let world = world().await;
    let (app, other) = (world.app().await, world.app().await);
    let code = world.code(&app, &doctor(&world), &[]).await;
    world.clock.advance_ms(60_000);
    assert_eq!(code_of(world.exchange(&app, &code, &[], ClientProof::default()).await), ErrorCode::InvalidGrant);
    // Mix-up and injection: a code of one app at the other.
    let code = world.code(&app, &doctor(&world), &[]).await;
    assert_eq!(code_of(world.exchange(&other, &code, &[], ClientProof::default()).await), ErrorCode::InvalidGrant);
    for uri in ["", "https://app.example/other", "https://app.example/cb/"] {
        let code = world.code(&app, &doctor(&world), &[]).await;
        let answer = world.exchange(&app, &code, &[("redirect_uri", uri)], ClientProof::default()).await;
        assert_eq!(code_of(answer), ErrorCode::InvalidGrant, "{uri}");
    }
    for code in ["x", "tacet_ac_", &format!("tacet_ac_{}", "0".repeat(64)), &"z".repeat(8000)] {
        assert_eq!(code_of(world.exchange(&app, code, &[], ClientProof::default()).await), ErrorCode::InvalidGrant);
    }
}

#[tokio::test]
async fn nobody_is_redirected_to_where_was_not_registered() {
    let world = world().await;
    let app = world.app().await;
    for uri in [
        "",
        "https://evil.example/cb",
        "https://app.example/cb/../evil",
        "https://app.example/cb?x=1",
        "https://app.example.evil.example/cb",
        "https://app.example@evil.example/cb",
        "javascript:alert(1)",
        "http://127.0.0.1/cb",
    ] {
        // With a mistake besides, which would go to the app if the address were believed.
        for mistake in [("aud", BASE), ("aud", "https://other.example"), ("scope", "\u{e9}")] {
            let answer = world.authorize(&app, Some(&doctor(&world)), &[("redirect_uri", uri), mistake]).await;
            assert!(matches!(answer, Authorize::Refuse(_)), "{uri}: {answer:?}");
        }
    }
    for client_id in ["", "x", &"0".repeat(32), &"f".repeat(600)] {
        let answer = world.authorize(&app, Some(&doctor(&world)), &[("client_id", client_id)]).await;
        assert!(matches!(answer, Authorize::Refuse(_)));
    }
    let twice = format!("client_id={}&client_id={}&redirect_uri={CALLBACK}", app.id, app.id);
    assert!(matches!(world.server.authorize(&twice, None, asked()).await.unwrap(), Authorize::Refuse(_)));
    let huge = "x".repeat(100_000);
    assert!(matches!(world.server.authorize(&huge, None, asked()).await.unwrap(), Authorize::Refuse(_)));
}

#[tokio::test]
async fn mistakes_go_to_the_app() {
    let world = world().await;
    let app = world.app().await;
    for (change, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code id_token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("request", "x"), "request_not_supported"),
        (("request_uri", "https://x.example"), "request_uri_not_supported"),
        (("state", ""), "invalid_request"),
        (("aud", ""), "invalid_request"),
        (("aud", "https://evil.example/fhir"), "invalid_target"),
        (("scope", ""), "invalid_scope"),
        (("scope", "patient/Observation.sr"), "invalid_scope"),
        (("scope", "launch patient/*.rs"), "invalid_request"),
        (("launch", "x"), "invalid_request"),
        (("max_age", "x"), "invalid_request"),
        (("dpop_jkt", "x"), "invalid_request"),
        (("prompt", "none"), "interaction_required"),
    ] {
        assert_eq!(world.authorize_error(&app, &[change]).await, error, "{change:?}");
    }
    let silent = world.authorize(&app, None, &[("prompt", "none")]).await;
    assert!(matches!(silent, Authorize::Redirect(url) if query_of(&url)["error"] == "login_required"));
    // A login that is too old is asked for anew; one made just now counts.
    let old = Person { auth_time: world.clock.now().plus_ms(-600_000), ..doctor(&world) };
    for change in [("prompt", "login"), ("max_age", "60"), ("max_age", "0")] {
        let answer = world.authorize(&app, Some(&old), &[change]).await;
        assert!(matches!(answer, Authorize::Login(LoginAsk { fresh: true, .. })), "{answer:?}");
        assert!(matches!(world.authorize(&app, Some(&doctor(&world)), &[change]).await, Authorize::Consent(_)));
    }
    for role in [Role::Administrator, Role::Auditor, Role::Operator, Role::SecurityOfficer] {
        let person = Person { role, ..doctor(&world) };
        let answer = world.authorize(&app, Some(&person), &[]).await;
        assert!(matches!(answer, Authorize::Redirect(url) if query_of(&url)["error"] == "access_denied"));
    }
}

#[tokio::test]
async fn a_native_app_listens_on_any_port() {
    let world = world().await;
    let app = world
        .client(json!({ "client_name": "Native", "redirect_uris": ["http://127.0.0.1/cb"], "scope": "patient/*.rs" }))
        .await;
    let changes = [("redirect_uri", "http://127.0.0.1:49152/cb")];
    let code = world.code(&app, &doctor(&world), &changes).await;
    let other = [("redirect_uri", "http://127.0.0.1:49153/cb")];
    assert_eq!(code_of(world.exchange(&app, &code, &other, ClientProof::default()).await), ErrorCode::InvalidGrant);
    let code = world.code(&app, &doctor(&world), &changes).await;
    let answer = world.exchange(&app, &code, &changes, ClientProof::default()).await.unwrap();
    assert_eq!(answer.refresh_token, None);
}
