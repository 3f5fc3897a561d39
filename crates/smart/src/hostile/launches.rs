//! Launches from the record system.

use super::*;

fn launch(account: &str, client: Option<&str>) -> Launch {
    let context = LaunchContext {
        patient: Some(id("p7")),
        encounter: Some(id("e7")),
        need_patient_banner: Some(false),
        fhir_context: vec![json!({ "reference": "ImagingStudy/i1" })],
        ..LaunchContext::default()
    };
    Launch { account: account.into(), client: client.map(str::to_owned), context }
}

const SCOPE: (&str, &str) = ("scope", "launch openid patient/*.rs");

#[tokio::test]
async fn what_is_open_comes_with_the_token() {
    let world = world().await;
    let app = world.app().await;
    let person = doctor(&world);
    let started = world.server.make_launch(&launch("aubrac", Some(&app.id))).await.unwrap();
    let changes = [SCOPE, ("launch", started.as_str())];
    assert_eq!(world.consent(&app, &person, &changes).await.patient, PatientNeed::Known(id("p7")));
    let code = world.code(&app, &person, &changes).await;
    let body = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap().body();
    assert_eq!((&body["patient"], &body["encounter"]), (&json!("p7"), &json!("e7")));
    assert_eq!(
        (&body["need_patient_banner"], &body["fhirContext"][0]["reference"]),
        (&json!(false), &json!("ImagingStudy/i1"))
    );
    assert_eq!(world.authorize_error(&app, &changes).await, "invalid_request", "used once");
}

#[tokio::test]
async fn launches_are_bound_and_short() {
    let world = world().await;
    let (app, other) = (world.app().await, world.app().await);
    let person = doctor(&world);
    for (account, client) in [("somebody", None), ("aubrac", Some(other.id.as_str()))] {
        let started = world.server.make_launch(&launch(account, client)).await.unwrap();
        assert_eq!(world.authorize_error(&app, &[SCOPE, ("launch", &started)]).await, "invalid_request");
    }
    let started = world.server.make_launch(&launch("aubrac", None)).await.unwrap();
    world.clock.advance_ms(300_000);
    assert_eq!(world.authorize_error(&app, &[SCOPE, ("launch", &started)]).await, "invalid_request");
    assert_eq!(world.authorize_error(&app, &[SCOPE, ("launch", &"0".repeat(64))]).await, "invalid_request");
    // Two pages for one launch: one code.
    let started = world.server.make_launch(&launch("aubrac", None)).await.unwrap();
    let changes = [SCOPE, ("launch", started.as_str())];
    let (a, b) = (world.consent(&app, &person, &changes).await, world.consent(&app, &person, &changes).await);
    let all = ["launch", "patient/*.rs"];
    assert!(matches!(world.approve(&a, &person, &all).await, Authorize::Redirect(_)));
    assert!(matches!(world.approve(&b, &person, &all).await, Authorize::Refuse(_)));
    // The page cannot be used to swap the patient.
    let started = world.server.make_launch(&launch("aubrac", None)).await.unwrap();
    let consent = world.consent(&app, &person, &[SCOPE, ("launch", &started)]).await;
    let decision = Decision::Approve { scopes: consent.scopes, patient: Some(id("p1")), encounter: None };
    let answer = world.server.decide(&consent.ticket, &person, &decision, asked()).await.unwrap();
    assert!(matches!(answer, Authorize::Refuse(_)));
    // A patient's account does not open another's record by a launch.
    let own = patient(&world, &["p1"]);
    let started = world.server.make_launch(&launch(&own.account, None)).await.unwrap();
    let answer = world.authorize(&app, Some(&own), &[SCOPE, ("launch", &started)]).await;
    assert!(matches!(answer, Authorize::Redirect(url) if query_of(&url)["error"] == "access_denied"));
    let mut large = launch("aubrac", None);
    large.context.intent = Some("x".repeat(3000));
    assert!(world.server.make_launch(&large).await.is_err());
}

#[tokio::test]
async fn an_encounter_is_chosen_with_its_patient() {
    let world = world().await;
    let app = world.app().await;
    let person = doctor(&world);
    // It is a patient's, so the page asks for one, whatever else is asked for.
    let changes = [("scope", "launch/encounter user/*.rs")];
    let consent = world.consent(&app, &person, &changes).await;
    assert!(consent.encounter && consent.patient == PatientNeed::Any);
    let decide = |consent: Consent, patient: Option<&'static str>, scopes: Vec<String>| {
        let decision = Decision::Approve { scopes, patient: patient.map(id), encounter: Some(id("e1")) };
        let (server, person) = (&world.server, doctor(&world));
        async move { server.decide(&consent.ticket, &person, &decision, asked()).await.unwrap() }
    };
    let scopes = consent.scopes.clone();
    assert!(matches!(decide(consent, None, scopes.clone()).await, Authorize::Refuse(_)));
    let given = |answer: Authorize| {
        let Authorize::Redirect(url) = answer else { panic!("a code") };
        let code = query_of(&url)["code"].clone();
        let (world, app) = (&world, &app);
        async move { world.exchange(app, &code, &[], ClientProof::default()).await.unwrap().body() }
    };
    let consent = world.consent(&app, &person, &changes).await;
    let body = given(decide(consent, Some("p1"), scopes).await).await;
    assert_eq!((&body["patient"], &body["encounter"]), (&json!("p1"), &json!("e1")));
    // Where the scope was taken away, so is the encounter.
    let consent = world.consent(&app, &person, &changes).await;
    let body = given(decide(consent, Some("p1"), vec!["user/*.rs".into()]).await).await;
    assert_eq!(body.get("encounter"), None);
    // What the record system says is open stays so.
    let started = world.server.make_launch(&launch("aubrac", None)).await.unwrap();
    let launched = [("scope", "launch launch/encounter patient/*.rs"), ("launch", started.as_str())];
    let consent = world.consent(&app, &person, &launched).await;
    assert!(!consent.encounter);
    let scopes = consent.scopes.clone();
    let body = given(decide(consent, Some("p7"), scopes).await).await;
    assert_eq!((&body["patient"], &body["encounter"]), (&json!("p7"), &json!("e7")));
}

#[tokio::test]
async fn an_app_of_the_house_asks_nobody() {
    let world = world().await;
    let metadata =
        json!({ "client_name": "House", "redirect_uris": [CALLBACK], "scope": "launch launch/patient patient/*.rs" });
    let registered = world.server.register(metadata.to_string().as_bytes(), None, asked()).await.unwrap();
    let approval = Approval { preapproved: true, ..Approval::default() };
    let app = world.server.approve_client(&registered.id, "officer", &approval, asked()).await.unwrap();
    let person = doctor(&world);
    let started = world.server.make_launch(&launch("aubrac", None)).await.unwrap();
    let changes = [("scope", "launch patient/*.rs"), ("launch", started.as_str())];
    let Authorize::Redirect(url) = world.authorize(&app, Some(&person), &changes).await else { panic!("a code") };
    assert!(world.exchange(&app, &query_of(&url)["code"], &[], ClientProof::default()).await.is_ok());
    assert!(
        matches!(world.authorize(&app, Some(&person), &[]).await, Authorize::Consent(_)),
        "a patient is to be chosen"
    );
}
