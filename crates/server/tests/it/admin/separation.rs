//! Administering is not reading: no way leads from keeping accounts to a record without another person, and whatever is tried is written down.

use super::{DAY_MS, MINUTE_MS, Office, Somebody, clinician, ward, why};
use crate::client::Ask;
use serde_json::{Value, json};
use tacet_server::{Access, Capability, ROUTES};
use tacet_vault::{EventKind, Role};

fn path_of(pattern: &str) -> String {
    let mut path = pattern.to_owned();
    for (name, value) in [
        ("{type}", "Patient"),
        ("{id}", "mine"),
        ("{version}", "1"),
        ("{operation}", "Observation"),
        ("{copy}", "c1"),
        ("{file}", "0"),
        ("{import}", "i1"),
    ] {
        path = path.replace(name, value);
    }
    path
}

#[tokio::test]
async fn no_route_to_a_record_is_open_to_who_administers() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let mut tried = 0;
    for route in ROUTES {
        let Access::Bearer(Capability::RecordsRead | Capability::RecordsWrite) = route.access else { continue };
        for method in route.methods {
            for who in [&staff.adm1, &staff.sec, &staff.aud] {
                let body = json!({ "resourceType": "Patient" });
                let answer = office.ask(who, method.as_str(), &path_of(route.pattern), Some(body)).await;
                assert_eq!(answer.status, 403, "{method} {}", route.pattern);
                assert!(!String::from_utf8_lossy(&answer.body).contains("Amiee"));
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
    // Nor to a machine's token that keeps accounts.
    let token = office.token(Role::Administrator, true).await;
    for path in ["/Patient/mine", "/Patient", "/$export", "/_history"] {
        let answer = Ask::new("GET", path).bearer(&token).header("prefer", "respond-async").send(office.address).await;
        assert_eq!(answer.status, 403, "{path}");
    }
}

async fn refused(office: &Office, who: &Somebody, method: &str, path: &str, body: Value) {
    let answer = office.ask(who, method, path, Some(body.clone())).await;
    assert!(
        [403, 404, 405, 409, 422].contains(&answer.status),
        "{method} {path} {body}: {} {:?}",
        answer.status,
        answer.body
    );
}

#[tokio::test]
async fn an_administrator_gives_no_right_to_themselves() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let (adm, own) = (&staff.adm1, format!("/_accounts/{}", staff.adm1.id));
    let to_clinician = json!({ "change": "role", "role": "clinician", "practitioner": "dr-a", "why": why() });
    // Their own role, by either way of asking; their own window, recovery, invitation.
    refused(&office, adm, "PATCH", &own, to_clinician.clone()).await;
    let by_approval = json!({
        "kind": "role-change", "account": adm.id, "role": "clinician", "practitioner": "dr-a", "why": why(),
    });
    refused(&office, adm, "POST", "/_approvals", by_approval).await;
    let window =
        json!({ "change": "window", "from": "2026-03-01T08:00:00Z", "until": "2026-03-01T10:00:00Z", "why": why() });
    refused(&office, adm, "PATCH", &own, window).await;
    refused(&office, adm, "POST", &format!("{own}/recovery"), why()).await;
    refused(&office, adm, "POST", &format!("{own}/invitation"), why()).await;
    // A role that no person has, and administering with a link to care.
    let integrator = json!({ "login": "x", "display": "x", "role": "integrator", "why": why() });
    refused(&office, adm, "POST", "/_accounts", integrator).await;
    let both = json!({ "login": "x", "display": "x", "role": "administrator", "practitioner": "dr-a", "why": why() });
    refused(&office, adm, "POST", "/_accounts", both).await;
    // Emergencies, launches, explanations, reviews: other roles'.
    let emergency =
        json!({ "patient": "mine", "reason": "vital-emergency", "text": "found unconscious", "minutes": 60 });
    refused(&office, adm, "POST", "/_break-glass", emergency).await;
    refused(&office, adm, "POST", "/_launches", json!({ "patient": "mine" })).await;
    refused(&office, adm, "POST", "/_policy/explain", json!({ "account": adm.id, "record": "Patient/mine" })).await;
    // Other rules are proposed, and nobody puts in force alone what they proposed. No route changes them otherwise, and none makes tokens.
    for method in ["PUT", "PATCH", "DELETE"] {
        refused(&office, adm, method, "/_policy", json!({})).await;
        refused(&office, &staff.sec, method, "/_policy", json!({})).await;
    }
    for who in [adm, &staff.sec] {
        let asked = office.ask(who, "POST", "/_policy", Some(json!({ "builtIn": true, "why": why() }))).await;
        assert_eq!(asked.status, 202, "{:?}", asked.body);
        let id = asked.value()["id"].as_str().unwrap().to_owned();
        assert_eq!(office.decide(who, &id, true).await.status, 403);
        refused(&office, who, "POST", &format!("/_policy/changes/{id}"), json!({})).await;
    }
    for path in ["/_tokens", "/tokens", "/_accounts/../Patient/mine", "/_policies"] {
        refused(&office, adm, "POST", path, json!({ "role": "integrator" })).await;
    }
    // The directory's door is for machines.
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "me", "roles": [{ "value": "clinician" }],
    });
    refused(&office, adm, "POST", "/scim/v2/Users", user).await;
    assert_eq!(office.identity().accounts().unwrap().len(), 4, "no account was made");
}

#[tokio::test]
async fn a_right_takes_two_others_and_ends_the_former_life() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    // adm2 asks for adm1: neither of them decides.
    let to_clinician = json!({ "change": "role", "role": "clinician", "practitioner": "dr-a", "why": why() });
    let path = format!("/_accounts/{}", staff.adm1.id);
    let asked = office.ask(&staff.adm2, "PATCH", &path, Some(to_clinician)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let approval = asked.value()["id"].as_str().unwrap().to_owned();
    assert_eq!(asked.header("location").unwrap().rsplit('/').next().unwrap(), approval);
    for who in [&staff.adm1, &staff.adm2] {
        assert_eq!(office.decide(who, &approval, true).await.status, 403);
    }
    assert_eq!(office.ask(&staff.adm1, "GET", "/_accounts", None).await.status, 200);
    // A third person allows it: the administrator is none any more, and the session is over.
    assert_eq!(office.decide(&staff.sec, &approval, true).await.status, 200);
    assert_eq!(office.ask(&staff.adm1, "GET", "/_accounts", None).await.status, 401);
    assert_eq!(office.noted("role clinician for account"), 3, "asked, decided, done");
    assert_eq!(office.notices(&staff.sec, "approval-asked").await.len(), 1);
    assert_eq!(office.decide(&staff.sec, &approval, true).await.status, 409, "once");
}

#[tokio::test]
async fn an_account_for_oneself_needs_a_person_at_each_end() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let mut wanted = clinician("shadow", "dr-a");
    wanted["why"] = why();
    let asked = office.ask(&staff.adm1, "POST", "/_accounts", Some(wanted)).await;
    let approval = asked.value()["id"].as_str().unwrap().to_owned();
    assert_eq!(office.decide(&staff.adm1, &approval, true).await.status, 403, "not by who asked");
    // Nothing is there to enrol for yet.
    assert!(office.identity().account_by_login("shadow").unwrap().is_none());
    let decided = office.decide(&staff.adm2, &approval, true).await.value();
    let (account, second) = (decided["account"].as_str().unwrap(), decided["secondCode"].as_str().unwrap());
    let invitation = format!("/_accounts/{account}/invitation");
    let of = json!({ "approval": approval });
    // Who decided has one code and does not get the other; nobody else gets any.
    for who in [&staff.adm2, &staff.sec, &staff.aud] {
        refused(&office, who, "POST", &invitation, of.clone()).await;
    }
    let first = office.ask(&staff.adm1, "POST", &invitation, Some(of)).await.value();
    let first = first["code"].as_str().unwrap();
    let seen = office.ask(&staff.adm1, "GET", &format!("/_approvals/{approval}"), None).await;
    assert!(!String::from_utf8_lossy(&seen.body).contains(second), "a code is shown once, to one");
    // Each alone opens nothing.
    let connection = office.connection(&staff.adm1.device);
    for (first, second) in [(first, "ABCD-EFGH-JKLM"), (first, ""), ("", second), (first, first), (second, second)] {
        assert!(office.identity().begin_enrolment(first, second, &connection).await.is_err());
    }
    // The ledger has who asked, who decided and who was given a code; and the security officer was told.
    for text in ["new account of role clinician", "was given out"] {
        assert!(office.noted(text) >= 1, "{text}");
    }
    assert!(!office.notices(&staff.sec, "approval-asked").await.is_empty());
    // A practitioner has one account: another for the same person is refused, also when asked by another.
    let mut again = clinician("shadow2", "dr-a");
    again["why"] = why();
    refused(&office, &staff.adm2, "POST", "/_accounts", again).await;
}

#[tokio::test]
async fn the_directorys_key_is_no_way_in() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let token = office.token(Role::Administrator, false).await;
    let send = |method: &'static str, path: String, body: Value| {
        let ask = Ask::new(method, &path).bearer(&token).json(body.to_string());
        let address = office.address;
        async move { ask.send(address).await }
    };
    // Not to the routes of people.
    for (method, path) in [
        ("GET", "/_accounts"),
        ("POST", "/_accounts"),
        ("GET", "/_approvals"),
        ("POST", "/_approvals"),
        ("GET", "/_clients"),
        ("GET", "/_notices"),
        ("GET", "/_policy"),
        ("GET", "/_break-glass"),
    ] {
        assert_eq!(send(method, path.into(), json!({})).await.status, 403, "{method} {path}");
    }
    let user = |name: &str, role: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "externalId": name,
            "roles": [{ "value": role }],
        })
    };
    for role in ["administrator", "security-officer", "auditor", "integrator", "operator", "patient", "root"] {
        let answer = send("POST", "/scim/v2/Users".into(), user("me", role)).await;
        assert_eq!(answer.status, 400, "{role}");
        assert_eq!(answer.value()["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    }
    // A new user waits: no login, no invitation.
    let made = send("POST", "/scim/v2/Users".into(), user("nurse.b", "nurse")).await;
    assert_eq!((made.status, made.header("content-type")), (201, Some("application/scim+json")));
    assert!(made.header("location").unwrap().contains("/scim/v2/Users/"));
    assert_eq!(office.identity().account_by_login("nurse.b").unwrap().unwrap().state.as_str(), "pending");
    // Administrators are not there for it; a role in use is asked for and not given.
    let path = |id: &str| format!("/scim/v2/Users/{id}");
    for method in ["GET", "DELETE"] {
        assert_eq!(send(method, path(&staff.adm1.id), json!({})).await.status, 404);
    }
    let other = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "roles", "value": [{ "value": "pharmacist" }] }],
    });
    assert_eq!(send("PATCH", path(&dr.id), other).await.status, 200);
    let account = office.identity().account_by_login("dr.a").unwrap().unwrap();
    assert_eq!(account.role, Role::Clinician);
    let pending = office.ask(&staff.adm1, "GET", "/_approvals?standing=pending", None).await.value();
    assert_eq!(pending["approvals"][0]["kind"], "role-change");
    // What it takes away is gone with the answer.
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 200);
    assert_eq!(send("DELETE", path(&dr.id), json!({})).await.status, 204);
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 401);
}

#[tokio::test]
async fn what_gives_something_needs_a_passkey_shown_just_now() {
    let (office, staff) = Office::with_staff().await;
    office.clock.advance_ms(6 * MINUTE_MS);
    let mut wanted = clinician("late", "dr-a");
    wanted["why"] = why();
    let asked = office.ask(&staff.adm1, "POST", "/_accounts", Some(wanted)).await;
    asked.is_refusal(403, "login");
    // Nor is a session good from another device, browser or site.
    let stolen = Somebody { device: office.identity().new_device().into_inner(), ..staff.adm2 };
    assert_eq!(office.ask(&stolen, "GET", "/_accounts", None).await.status, 401);
    let elsewhere = Ask::new("DELETE", &format!("/_accounts/{}/sessions", staff.adm1.id));
    let cookies = format!("__Host-tacet-session={}; __Host-tacet-device={}", staff.sec.secret, staff.sec.device);
    let elsewhere = elsewhere.header("cookie", &cookies).header("user-agent", super::AGENT);
    assert_eq!(elsewhere.header("origin", "https://evil.example").send(office.address).await.status, 403);
    assert_eq!(office.ask(&staff.adm1, "GET", "/_accounts", None).await.status, 200, "adm1 has the session still");
}

#[tokio::test]
async fn a_supplier_comes_when_two_people_say_so() {
    let (office, staff) = Office::with_staff().await;
    let wanted = json!({ "login": "vendor", "display": "Vendor", "role": "operator", "supplier": true, "why": why() });
    let asked = office.ask(&staff.adm1, "POST", "/_accounts", Some(wanted)).await.value();
    let decided = office.decide(&staff.sec, asked["id"].as_str().unwrap(), true).await.value();
    let account = decided["account"].as_str().unwrap().to_owned();
    let path = format!("/_accounts/{account}");
    let first = office
        .ask(&staff.adm1, "POST", &format!("{path}/invitation"), Some(json!({ "approval": asked["id"] })))
        .await
        .value();
    let device = office.identity().new_device().into_inner();
    let connection = office.connection(&device);
    let codes = (first["code"].as_str().unwrap(), decided["secondCode"].as_str().unwrap());
    let offer = office.identity().begin_enrolment(codes.0, codes.1, &connection).await.unwrap();
    let mut key = tacet_testkit::passkey::Passkey::new("vendor", super::ORIGIN).unwrap();
    let answer = key.create(&offer.options).unwrap();
    office.identity().finish_enrolment(&offer.ceremony, &answer, "key", None, &connection).await.unwrap();
    assert!(office.logged_in(key).await.is_err(), "not before a window");
    // A window of a week is cut to half a day.
    let window = json!({
        "change": "window", "from": "2026-03-01T08:00:00Z", "until": "2026-03-08T08:00:00Z",
        "why": { "ticket": "T-2", "reason": "update", "end": "2026-03-09T08:00:00Z" },
    });
    let asked = office.ask(&staff.adm1, "PATCH", &path, Some(window)).await.value();
    assert_eq!(office.decide(&staff.adm1, asked["id"].as_str().unwrap(), true).await.status, 403);
    assert_eq!(office.decide(&staff.adm2, asked["id"].as_str().unwrap(), true).await.status, 200);
    let seen = office.ask(&staff.adm1, "GET", &path, None).await.value();
    assert_eq!(seen["window"]["until"].as_str().unwrap(), "2026-03-01T20:00:00.000Z");
    office.clock.advance_ms(DAY_MS);
    let seen = office.identity().account_by_login("vendor").unwrap().unwrap();
    assert!(!seen.usable(tacet_types::Clock::now(office.clock.as_ref())));
    assert!(office.entries().iter().any(|entry| entry.kind == EventKind::RightsChange));
}
