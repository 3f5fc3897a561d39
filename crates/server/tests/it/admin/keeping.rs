//! Accounts and clients as people keep them: reading, taking away, letting in.

use super::{Office, clinician, ward, why};
use serde_json::json;
use tacet_identity::{AccountId, State};
use tacet_ledger::{Channel, Origin};
use tacet_smart::Asked;
use tacet_types::OperationId;

#[tokio::test]
async fn an_account_is_made_used_and_taken_away() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    // By the relation to the patient, and no further.
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 200);
    assert_eq!(office.ask(&dr, "GET", "/Patient/other", None).await.status, 404);
    // Somebody with a role of care keeps no accounts.
    for (method, path) in [("GET", "/_accounts"), ("GET", "/_clients"), ("GET", "/_policy"), ("GET", "/_break-glass")] {
        assert_eq!(office.ask(&dr, method, path, None).await.status, 403, "{path}");
    }
    let path = format!("/_accounts/{}", dr.id);
    let seen = office.ask(&staff.adm1, "GET", &path, None).await.value();
    assert_eq!((seen["role"].as_str(), seen["state"].as_str()), (Some("clinician"), Some("active")));
    assert_eq!((seen["sessions"].as_array().unwrap().len(), seen["passkeys"][0]["label"].as_str()), (1, Some("phone")));
    let listed = office.ask(&staff.adm2, "GET", "/_accounts", None).await.value();
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 5);
    // A security officer takes away at once, and gives nothing back.
    let change = |change: &str| Some(json!({ "change": change, "reason": "lost phone" }));
    assert_eq!(office.ask(&staff.aud, "PATCH", &path, change("suspend")).await.status, 403);
    assert_eq!(office.ask(&staff.sec, "PATCH", &path, change("suspend")).await.status, 200);
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 401);
    assert_eq!(office.ask(&staff.sec, "PATCH", &path, Some(json!({ "change": "resume" }))).await.status, 403);
    assert_eq!(office.ask(&staff.adm1, "PATCH", &path, Some(json!({ "change": "resume" }))).await.status, 200);
    assert!(office.noted("all that account") >= 1, "what it gave to apps went with it");
    let dr = office.logged_in(dr.key).await.unwrap();
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 200);
    assert_eq!(office.ask(&staff.sec, "DELETE", &format!("{path}/sessions"), None).await.status, 204);
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 401);
    assert_eq!(office.ask(&staff.adm1, "PATCH", &path, change("close")).await.status, 200);
    assert_eq!(office.ask(&staff.adm1, "PATCH", &path, change("close")).await.status, 409);
    assert!(office.logged_in(dr.key).await.is_err());
    let closed = office.identity().account(&AccountId::parse(&dr.id).unwrap()).unwrap().unwrap();
    assert_eq!(closed.state, State::Closed);
}

#[tokio::test]
async fn requests_are_read_to_the_letter() {
    let (office, staff) = Office::with_staff().await;
    for (method, path, body) in [
        ("POST", "/_accounts", json!({})),
        ("POST", "/_accounts", json!({ "login": "a", "display": "a", "role": "king", "why": why() })),
        ("POST", "/_accounts", json!({ "login": "a", "display": "a", "role": "nurse", "why": why(), "admin": true })),
        ("PATCH", "/_accounts/x", json!({ "change": "promote" })),
        ("PATCH", "/_accounts/x", json!({ "change": "suspend", "reason": "r", "role": "clinician" })),
        ("POST", "/_approvals", json!({ "kind": "everything", "why": why() })),
        ("POST", "/_approvals", json!({ "kind": "bulk-export", "why": why() })),
        ("POST", "/_clients/x/approval", json!([])),
        ("POST", "/_clients/x/approval", json!({ "scopes": "x" })),
    ] {
        let answer = office.ask(&staff.adm1, method, path, Some(body.clone())).await;
        answer.is_refusal(400, "invalid");
    }
    for (method, path) in [
        ("GET", "/_accounts/nobody"),
        ("GET", "/_approvals/none"),
        ("GET", "/_clients/none"),
        ("DELETE", "/_clients/none"),
        ("POST", "/_notices/none"),
    ] {
        office.ask(&staff.adm1, method, path, None).await.is_refusal(404, "not-found");
    }
    assert_eq!(office.ask(&staff.adm1, "GET", "/_accounts?role=nurse", None).await.status, 400);
    assert_eq!(office.ask(&staff.adm1, "GET", "/_approvals?standing=old", None).await.status, 400);
}

#[tokio::test]
async fn an_approval_is_shown_to_who_has_to_do_with_it() {
    let (office, staff) = Office::with_staff().await;
    let export = json!({ "kind": "bulk-export", "text": "/$export", "why": why() });
    let asked = office.ask(&staff.adm1, "POST", "/_approvals", Some(export)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let path = format!("/_approvals/{}", asked.value()["id"].as_str().unwrap());
    for (who, status) in [(&staff.adm1, 200), (&staff.adm2, 404), (&staff.sec, 200), (&staff.aud, 200)] {
        assert_eq!(office.ask(who, "GET", &path, None).await.status, status);
    }
    // To an administrator who neither asked nor may decide it is not there, not even to refuse.
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(office.decide(&staff.adm2, id, false).await.status, 404);
    assert_eq!(office.decide(&staff.aud, id, false).await.value()["standing"], "refused");
    assert_eq!(office.decide(&staff.sec, id, true).await.status, 409);
}

#[tokio::test]
async fn a_client_is_let_in_by_two() {
    let (office, staff) = Office::with_staff().await;
    let origin = Origin { address: None, channel: Channel::Http };
    let asked = Asked { origin, operation: OperationId([3; 16]) };
    let registration = json!({
        "client_name": "Growth chart", "redirect_uris": ["https://app.example/back"], "token_endpoint_auth_method": "none",
        "scope": "launch patient/Observation.rs openid fhirUser",
    });
    let smart = office.people.smart();
    let client = smart.register(registration.to_string().as_bytes(), None, asked).await.unwrap();
    let path = format!("/_clients/{}", client.id);
    assert_eq!(office.ask(&staff.sec, "GET", &path, None).await.status, 403);
    assert_eq!(office.ask(&staff.adm1, "GET", &path, None).await.value()["state"], "pending");
    let narrow = json!({ "scope": "patient/Observation.r openid", "why": why() });
    let asked_for = office.ask(&staff.adm1, "POST", &format!("{path}/approval"), Some(narrow)).await;
    assert_eq!(asked_for.status, 202, "{:?}", asked_for.body);
    let id = asked_for.value()["id"].as_str().unwrap().to_owned();
    let using = |scope: &str| Some(json!({ "scope": scope, "approval": id }));
    let approval = format!("{path}/approval");
    let narrow = "patient/Observation.r openid";
    assert_eq!(office.ask(&staff.adm1, "POST", &approval, using(narrow)).await.status, 409, "not decided yet");
    assert_eq!(office.decide(&staff.adm1, &id, true).await.status, 403);
    assert_eq!(office.decide(&staff.adm2, &id, true).await.status, 200);
    // What was allowed, by who asked, and nothing more.
    assert_eq!(office.ask(&staff.adm1, "POST", &approval, using("patient/Observation.rs")).await.status, 403);
    assert_eq!(office.ask(&staff.adm2, "POST", &approval, using(narrow)).await.status, 409);
    let done = office.ask(&staff.adm1, "POST", &approval, using(narrow)).await;
    assert_eq!((done.status, done.value()["state"].as_str()), (200, Some("active")), "{:?}", done.body);
    assert_eq!(done.value()["decidedBy"].as_str().unwrap(), staff.adm2.id);
    assert!(!done.value()["scope"].as_str().unwrap().contains("Observation.rs"));
    assert_eq!(office.ask(&staff.adm1, "POST", &approval, using(narrow)).await.status, 409, "it waits no more");
    assert_eq!(office.ask(&staff.adm2, "DELETE", &path, None).await.status, 204);
    assert_eq!(office.ask(&staff.adm2, "GET", &path, None).await.value()["state"], "revoked");
}
