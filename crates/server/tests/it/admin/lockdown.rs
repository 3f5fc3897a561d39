//! Lockdown over HTTP: one locks, two lift, and what each level lets through.

use super::{Office, Somebody, Staff, clinician, ward, why};
use crate::client::Ask;
use serde_json::{Value, json};
use tacet_vault::{EventKind, Role};

async fn lock(office: &Office, by: &Somebody, level: &str) -> u16 {
    let body = json!({ "level": level, "reason": "a note asks for money" });
    office.ask(by, "POST", "/_lockdown", Some(body)).await.status
}

/// Waits until the server has ended what there was of sessions.
async fn cut(office: &Office) {
    for _ in 0..200 {
        if office.entries().iter().any(|entry| entry.detail.as_deref() == Some("every session of everybody ended")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    office.clock.advance_ms(10);
}

async fn again(office: &Office, somebody: Somebody) -> Somebody {
    office.logged_in(somebody.key).await.unwrap()
}

/// One asks to lift, another allows it, who asked lifts; the answer to that.
async fn lift(office: &Office, asks: &Somebody, allows: &Somebody) -> (u16, Value) {
    let state = office.ask(asks, "GET", "/_lockdown", None).await.value();
    let wanted = json!({ "kind": "lift-lockdown", "text": state["liftWords"], "why": why() });
    let asked = office.ask(asks, "POST", "/_approvals", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    let body = || Some(json!({ "approval": id }));
    // Not before another has allowed it, and not by the word of who asked.
    assert_eq!(office.ask(asks, "POST", "/_lockdown/lift", body()).await.status, 409);
    assert_eq!(office.decide(asks, &id, true).await.status, 403);
    assert!(office.vault.lockdown_level().is_some(), "one alone lifts nothing");
    assert_eq!(office.decide(allows, &id, true).await.status, 200);
    let used = office.ask(allows, "POST", "/_lockdown/lift", body()).await.status;
    assert!([403, 409].contains(&used) && office.vault.lockdown_level().is_some(), "who allowed it does not use it");
    let lifted = office.ask(asks, "POST", "/_lockdown/lift", body()).await;
    (lifted.status, lifted.value())
}

/// What whoever balances and watches is told, who has no credential.
async fn health(office: &Office) -> (u16, Value) {
    let answer = Ask::get("/health").send(office.address).await;
    (answer.status, answer.value()["status"].clone())
}

async fn open() -> (Office, Staff, Somebody) {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    (office, staff, dr)
}

#[tokio::test]
async fn read_only_refuses_changes_and_reading_goes_on() {
    let (office, staff, dr) = open().await;
    for who in [&dr, &staff.aud] {
        assert_eq!(lock(&office, who, "read-only").await, 403);
    }
    assert_eq!(lock(&office, &staff.sec, "everything").await, 400);
    assert_eq!(lock(&office, &staff.sec, "read-only").await, 200);
    assert_eq!(health(&office).await, (200, json!("ready")), "records are read");
    assert_eq!(office.ask(&dr, "GET", "/Observation/mine", None).await.status, 200);
    let result = json!({
        "resourceType": "Observation", "status": "final", "code": { "text": "Weight" },
        "subject": { "reference": "Patient/mine" }, "valueString": "v",
    });
    let refused = office.ask(&dr, "POST", "/Observation", Some(result.clone())).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("300")));
    assert_eq!(refused.value()["issue"][0]["code"], "transient");
    let emergency =
        json!({ "patient": "other", "reason": "vital-emergency", "text": "found unconscious", "minutes": 60 });
    assert_eq!(office.ask(&dr, "POST", "/_break-glass", Some(emergency)).await.status, 201, "care goes on");
    for who in [&staff.sec, &staff.adm1] {
        assert_eq!(office.notices(who, "locked").await.len(), 1);
    }
    let entry = office.entries().into_iter().rfind(|entry| entry.kind == EventKind::Lockdown).unwrap();
    assert!(entry.agent.owner == "sec" && entry.detail.unwrap().contains("a note asks for money"));

    let (status, lifted) = lift(&office, &staff.adm1, &staff.aud).await;
    assert_eq!((status, lifted["restart"].as_bool()), (200, Some(false)));
    assert_eq!(office.ask(&dr, "POST", "/Observation", Some(result)).await.status, 201);
    assert_eq!(office.ask(&staff.adm1, "GET", "/_lockdown", None).await.value()["lifted"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn cut_ends_sessions_and_lets_in_only_who_can_lift() {
    let (office, staff, dr) = open().await;
    let machine = office.token(Role::Integrator, false).await;
    let keeper = office.token(Role::Operator, false).await;
    let by_machine = |path: &str, token: &str| Ask::get(path).bearer(token);
    assert_eq!(by_machine("/Patient/mine", &machine).send(office.address).await.status, 200);
    assert_eq!(lock(&office, &staff.adm1, "cut").await, 200);
    // At once, before any session has ended in the store.
    assert_eq!(office.ask(&dr, "GET", "/Observation/mine", None).await.status, 503);
    assert_eq!(by_machine("/Patient/mine", &machine).send(office.address).await.status, 503);
    assert_eq!(by_machine("/metrics", &keeper).send(office.address).await.status, 200);
    assert_eq!(Ask::get("/metadata").send(office.address).await.status, 200);
    assert_eq!(health(&office).await, (200, json!("locked")), "who lifts it must get past what balances");
    assert_eq!(Ask::new("POST", "/oauth/token").send(office.address).await.status, 503);
    cut(&office).await;
    for who in [&staff.adm1, &staff.sec, &dr] {
        assert_eq!(office.ask(who, "GET", "/_notices", None).await.status, 401, "sessions have ended");
    }
    let (adm1, sec) = (again(&office, staff.adm1).await, again(&office, staff.sec).await);
    let dr = again(&office, dr).await;
    assert_eq!(office.ask(&dr, "GET", "/Observation/mine", None).await.status, 503, "a new session helps nobody");
    let (status, _) = lift(&office, &sec, &adm1).await;
    assert_eq!(status, 200);
    assert_eq!(health(&office).await, (200, json!("ready")));
    assert_eq!(office.ask(&dr, "GET", "/Observation/mine", None).await.status, 200);
    assert_eq!(by_machine("/Patient/mine", &machine).send(office.address).await.status, 200);
}

#[tokio::test]
async fn sealed_opens_nothing_until_the_next_start() {
    let (office, staff, _) = open().await;
    let machine = office.token(Role::Integrator, false).await;
    assert_eq!(lock(&office, &staff.sec, "sealed").await, 200);
    for (method, path) in [("GET", "/Patient/mine"), ("GET", "/Patient?_count=1"), ("DELETE", "/Patient/mine")] {
        let refused = Ask::new(method, path).bearer(&machine).send(office.address).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("300")), "{method} {path}");
        let outcome = refused.value();
        assert_eq!(
            (&outcome["resourceType"], &outcome["issue"][0]["code"]),
            (&json!("OperationOutcome"), &json!("transient"))
        );
        let text = outcome.to_string();
        assert!(text.contains("no record can be opened") && text.contains("two people"), "{text}");
    }
    // Whoever lifts it gets in, and whoever watches sees that it lives.
    assert_eq!(health(&office).await, (200, json!("locked")));
    assert_eq!(Ask::get("/auth/login").send(office.address).await.status, 200);
    assert_eq!(Ask::get("/metadata").send(office.address).await.status, 200);
    cut(&office).await;
    let (adm2, aud) = (again(&office, staff.adm2).await, again(&office, staff.aud).await);
    let (status, lifted) = lift(&office, &adm2, &aud).await;
    assert_eq!((status, lifted["restart"].as_bool()), (200, Some(true)));
    let machine = office.token(Role::Integrator, false).await;
    let refused = Ask::get("/Patient/mine").bearer(&machine).send(office.address).await;
    assert_eq!(refused.status, 503, "the keys come with the next start");
    assert!(refused.value().to_string().contains("the server is started again"), "{:?}", refused.body);
}
