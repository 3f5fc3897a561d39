//! Refresh tokens: rotation, reuse, narrowing, ends.

use super::*;

#[tokio::test]
async fn each_refresh_token_works_once_and_reuse_ends_the_family() {
    let world = world().await;
    let app = world.app().await;
    let first = world.tokens(&app).await;
    let one = first.refresh_token.clone().unwrap();
    let second = world.refresh(&app, &one, &[]).await.unwrap();
    let two = second.refresh_token.clone().unwrap();
    assert_ne!(one, two);
    assert_eq!(second.scope, first.scope);
    assert!(second.id_token.is_some());
    let third = world.refresh(&app, &two, &[]).await.unwrap();
    assert!(world.works(&first.access_token) && world.works(&third.access_token));
    // The thief's turn.
    assert_eq!(code_of(world.refresh(&app, &one, &[]).await), ErrorCode::InvalidGrant);
    for answer in [&first, &second, &third] {
        assert!(!world.works(&answer.access_token));
    }
    let last = third.refresh_token.unwrap();
    assert_eq!(code_of(world.refresh(&app, &last, &[]).await), ErrorCode::InvalidGrant);
    let noted = world.rows.0.entries();
    assert!(noted.iter().any(|entry| entry.detail.as_deref().is_some_and(|text| text.contains("used twice"))));
}

#[tokio::test]
async fn of_two_uses_at_once_one_wins() {
    let world = world().await;
    let app = world.app().await;
    let token = world.tokens(&app).await.refresh_token.unwrap();
    let (a, b, c) = tokio::join!(
        world.refresh(&app, &token, &[]),
        world.refresh(&app, &token, &[]),
        world.refresh(&app, &token, &[])
    );
    let given: Vec<TokenAnswer> = [a, b, c].into_iter().filter_map(Result::ok).collect();
    assert_eq!(given.len(), 1);
    assert!(!world.works(&given[0].access_token));
}

#[tokio::test]
async fn a_refresh_narrows_and_never_widens() {
    let world = world().await;
    let app = world.app().await;
    let person = doctor(&world);
    let consent = world.consent(&app, &person, &[]).await;
    let Authorize::Redirect(url) =
        world.approve(&consent, &person, &["offline_access", "patient/Observation.rs"]).await
    else {
        panic!("a code")
    };
    let code = query_of(&url)["code"].clone();
    let answer = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap();
    assert_eq!(answer.scope, "offline_access patient/Observation.rs");
    let mut token = answer.refresh_token.unwrap();
    for wider in ["patient/*.rs", "patient/Observation.cruds", "user/Observation.rs", "openid", "patient/Patient.r"] {
        assert_eq!(code_of(world.refresh(&app, &token, &[("scope", wider)]).await), ErrorCode::InvalidScope);
    }
    let narrow = world.refresh(&app, &token, &[("scope", "patient/Observation.r?category=laboratory")]).await.unwrap();
    assert_eq!(narrow.scope, "patient/Observation.r?category=laboratory");
    token = narrow.refresh_token.unwrap();
    assert_eq!(world.refresh(&app, &token, &[]).await.unwrap().scope, "offline_access patient/Observation.rs");
}

#[tokio::test]
async fn families_end() {
    let world = world().await;
    let (app, other) = (world.app().await, world.app().await);
    let answer = world.tokens(&app).await;
    let token = answer.refresh_token.unwrap();
    assert_eq!(code_of(world.refresh(&other, &token, &[]).await), ErrorCode::InvalidGrant, "another client's");
    for wrong in ["x", "tacet_rt_", &token[..token.len() - 1], &answer.access_token, &"0".repeat(8000)] {
        assert_eq!(code_of(world.refresh(&app, wrong, &[]).await), ErrorCode::InvalidGrant);
    }
    let token = world.refresh(&app, &token, &[]).await.unwrap().refresh_token.unwrap();
    world.clock.advance_ms(299_000);
    assert!(world.works(&world.refresh(&app, &token, &[]).await.unwrap().access_token));
    world.clock.advance_ms(90 * 24 * 3_600_000);
    let code = world.code(&app, &doctor(&world), &[("scope", "online_access patient/*.rs")]).await;
    let answer = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap();
    world.clock.advance_ms(300_000);
    assert!(!world.works(&answer.access_token), "access tokens live five minutes");
    world.clock.advance_ms(8 * 3_600_000);
    assert_eq!(code_of(world.refresh(&app, &answer.refresh_token.unwrap(), &[]).await), ErrorCode::InvalidGrant);
    let swept = world.server.sweep().await.unwrap();
    assert!(swept.removed > 5 && !swept.more);
    assert_eq!(world.server.clients().unwrap().len(), 2);
}

#[tokio::test]
async fn an_app_without_a_key_need_not_name_itself_beside_its_refresh_token() {
    let world = world().await;
    let app = world.app().await;
    let token = world.tokens(&app).await.refresh_token.unwrap();
    let bare = |token: &str| format!("grant_type=refresh_token&refresh_token={token}");
    let second = world.token(&bare(&token), ClientProof::default()).await.unwrap();
    assert!(world.works(&second.access_token));
    // It is the same as with the name: an older one ends all.
    assert_eq!(code_of(world.token(&bare(&token), ClientProof::default()).await), ErrorCode::InvalidGrant);
    assert!(!world.works(&second.access_token));
    // What is no refresh token names nobody, and neither does one beside another way to a token.
    for form in [
        bare("x"),
        bare(&format!("tacet_rt_{}_{}", "0".repeat(32), "0".repeat(64))),
        "grant_type=refresh_token".to_owned(),
    ] {
        assert_eq!(code_of(world.token(&form, ClientProof::default()).await), ErrorCode::InvalidClient, "{form}");
    }
    let code = format!("grant_type=authorization_code&code=x&refresh_token={token}");
    assert_eq!(code_of(world.token(&code, ClientProof::default()).await), ErrorCode::InvalidClient);
}
