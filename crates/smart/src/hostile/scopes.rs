//! Scopes are never wider than what the client may have and the person gave.

use super::*;

#[tokio::test]
async fn nothing_is_given_beyond_what_was_approved_for_the_client() {
    let world = world().await;
    let metadata = json!({ "client_name": "App", "redirect_uris": [CALLBACK], "scope": "patient/*.rs openid" });
    let registered = world.server.register(metadata.to_string().as_bytes(), Some("dev"), asked()).await.unwrap();
    let narrow = Approval {
        scope: Some("patient/Observation.rs patient/Patient.cruds user/*.rs".into()),
        ..Approval::default()
    };
    let same = world.server.approve_client(&registered.id, "dev", &narrow, asked()).await;
    assert!(matches!(same, Err(SmartError::SamePerson)));
    let app = world.server.approve_client(&registered.id, "officer", &narrow, asked()).await.unwrap();
    assert_eq!(app.scope, "patient/Observation.rs patient/Patient.rs", "an approval narrows and never widens");
    let wide = [("scope", "openid offline_access patient/*.cruds user/*.* system/*.rs")];
    let consent = world.consent(&app, &doctor(&world), &wide).await;
    assert_eq!(consent.scopes, ["patient/Observation.rs", "patient/Patient.rs"]);
    let code = world.code(&app, &doctor(&world), &wide).await;
    let answer = world.exchange(&app, &code, &[("scope", "patient/*.cruds")], ClientProof::default()).await.unwrap();
    assert_eq!(answer.scope, "patient/Observation.rs patient/Patient.rs");
    assert_eq!((answer.refresh_token, answer.id_token), (None, None));
    assert_eq!(world.authorize_error(&app, &[("scope", "user/*.rs")]).await, "invalid_scope");
    assert_eq!(world.authorize_error(&app, &[("scope", "system/*.rs")]).await, "invalid_scope");
}

#[tokio::test]
async fn the_person_takes_away_and_cannot_be_made_to_add() {
    let world = world().await;
    let app = world.app().await;
    let person = doctor(&world);
    let asked_for = [("scope", "patient/Observation.rs patient/Condition.rs")];
    let consent = world.consent(&app, &person, &asked_for).await;
    let approved = ["patient/Observation.cruds", "patient/*.r", "user/*.rs", "offline_access", "system/*.rs"];
    let Authorize::Redirect(url) = world.approve(&consent, &person, &approved).await else { panic!("a code") };
    let code = query_of(&url)["code"].clone();
    let answer = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap();
    assert_eq!(answer.scope, "patient/Observation.rs patient/Condition.r");
    assert_eq!(answer.refresh_token, None);
    for nothing in [&[][..], &["user/*.rs"]] {
        let consent = world.consent(&app, &person, &asked_for).await;
        assert!(matches!(world.approve(&consent, &person, nothing).await, Authorize::Refuse(_)));
    }
}

#[tokio::test]
async fn the_consent_page_is_bound_to_who_saw_it() {
    let world = world().await;
    let app = world.app().await;
    let person = doctor(&world);
    let all = ["patient/*.rs"];
    let consent = world.consent(&app, &person, &[]).await;
    let others = [
        Person { account: "somebody".into(), ..person.clone() },
        Person { session: Some("session-2".into()), ..person.clone() },
        Person { session: None, ..person.clone() },
    ];
    for other in &others {
        assert!(matches!(world.approve(&consent, other, &all).await, Authorize::Refuse(_)));
    }
    let (a, b) = tokio::join!(world.approve(&consent, &person, &all), world.approve(&consent, &person, &all));
    let codes = [&a, &b].into_iter().filter(|answer| matches!(answer, Authorize::Redirect(_))).count();
    assert_eq!(codes, 1, "used once: {a:?} {b:?}");
    let consent = world.consent(&app, &person, &[]).await;
    let denied = world.server.decide(&consent.ticket, &person, &Decision::Deny, asked()).await.unwrap();
    assert!(matches!(denied, Authorize::Redirect(url) if query_of(&url)["error"] == "access_denied"));
    assert!(matches!(world.approve(&consent, &person, &all).await, Authorize::Refuse(_)), "decided already");
    let late = world.consent(&app, &person, &[]).await;
    world.clock.advance_ms(600_000);
    assert!(matches!(world.approve(&late, &person, &all).await, Authorize::Refuse(_)));
    for ticket in ["", "x", &"0".repeat(5000)] {
        let answer = world.server.decide(ticket, &person, &Decision::Deny, asked()).await.unwrap();
        assert!(matches!(answer, Authorize::Refuse(_)));
    }
}

#[tokio::test]
async fn patients_give_their_own_records_only() {
    let world = world().await;
    let app = world.app().await;
    let one = patient(&world, &["p1"]);
    assert_eq!(world.consent(&app, &one, &[]).await.patient, PatientNeed::Known(id("p1")));
    let parent = patient(&world, &["p1", "child"]);
    let choose = async |chosen: Option<&str>| {
        let consent = world.consent(&app, &parent, &[]).await;
        assert_eq!(consent.patient, PatientNeed::OneOf(vec![id("p1"), id("child")]));
        let decision = Decision::Approve { scopes: consent.scopes, patient: chosen.map(id), encounter: None };
        world.server.decide(&consent.ticket, &parent, &decision, asked()).await.unwrap()
    };
    assert!(matches!(choose(Some("child")).await, Authorize::Redirect(_)));
    assert!(matches!(choose(Some("stranger")).await, Authorize::Refuse(_)));
    assert!(matches!(choose(None).await, Authorize::Refuse(_)));
    let nobody = patient(&world, &[]);
    let answer = world.authorize(&app, Some(&nobody), &[]).await;
    assert!(matches!(answer, Authorize::Redirect(url) if query_of(&url)["error"] == "access_denied"));
}
