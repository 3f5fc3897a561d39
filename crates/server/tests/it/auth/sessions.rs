//! A browser logs in, works and leaves; and what somebody else does with what they got hold of.

use super::Browser;
use crate::admin::{ORIGIN, Office};
use crate::client::Ask;
use serde_json::{Value, json};
use tacet_identity::{Actor, Draft};
use tacet_testkit::passkey::Passkey;
use tacet_types::OperationId;
use tacet_vault::Role;

/// Enrols over HTTP by both codes of an invitation.
async fn enrolled(office: &Office, browser: &mut Browser) -> Passkey {
    let actor = Actor::command_line("root", OperationId([1; 16]));
    let draft = Draft::new("adm", "Ada", Role::Administrator);
    let invited = office.identity().bootstrap(&actor, draft).await.unwrap();
    let codes = json!({ "first": invited.first.reveal(), "second": invited.second.reveal() });
    let begun = browser.post(office, "/auth/enrol/start", codes).await;
    assert_eq!(begun.status, 200, "{:?}", begun.body);
    let mut key = Passkey::new("adm", ORIGIN).unwrap();
    let answer: Value = key.create(&begun.value()["options"]).unwrap();
    let body = json!({ "ceremony": begun.value()["ceremony"], "answer": answer, "label": "phone" });
    let done = browser.post(office, "/auth/enrol/finish", body).await;
    assert_eq!((done.status, &done.value()["login"]), (200, &json!("adm")));
    key
}

async fn login(office: &Office, browser: &mut Browser, key: &mut Passkey, next: &str) -> Value {
    let begun = browser.post(office, "/auth/login/start", json!({})).await;
    assert_eq!(begun.status, 200, "{:?}", begun.body);
    let answer: Value = key.get(&begun.value()["options"]).unwrap();
    let body = json!({ "ceremony": begun.value()["ceremony"], "answer": answer, "next": next });
    let done = browser.post(office, "/auth/login/finish", body).await;
    assert_eq!(done.status, 200, "{:?}", done.body);
    assert_eq!(done.header("cache-control"), Some("no-store"));
    done.value()
}

#[tokio::test]
async fn a_person_enrols_logs_in_and_leaves() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let mut key = enrolled(&office, &mut browser).await;
    for (asked, next) in [
        ("/oauth/authorize?client_id=x", "/oauth/authorize?client_id=x"),
        ("https://evil.example/", "/auth/login"),
        ("//evil.example/oauth/authorize?", "/auth/login"),
    ] {
        assert_eq!(login(&office, &mut browser, &mut key, asked).await["next"], next);
    }
    let session = browser.ask(&office, Ask::new("GET", "/auth/session")).await;
    assert_eq!((session.status, &session.value()["role"]), (200, &json!("administrator")));
    // Administering is not reading.
    assert_eq!(browser.ask(&office, Ask::new("GET", "/Patient/p1")).await.status, 403);
    // The passkey once more.
    let begun = browser.post(&office, "/auth/step-up/start", json!({})).await;
    let answer: Value = key.get(&begun.value()["options"]).unwrap();
    let body = json!({ "ceremony": begun.value()["ceremony"], "answer": answer });
    assert_eq!(browser.post(&office, "/auth/step-up/finish", body).await.status, 200);
    let kept = browser.session.clone();
    assert_eq!(browser.post(&office, "/auth/logout", json!({})).await.status, 200);
    assert_eq!(browser.session, None, "the browser forgets it");
    browser.session = kept;
    let after = browser.ask(&office, Ask::new("GET", "/auth/session")).await;
    assert_eq!((after.status, &browser.session), (401, &None), "and so does the server");
}

#[tokio::test]
async fn pages_are_kept_by_no_cache_and_run_nothing_of_others() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    for path in [
        "/auth/login",
        "/auth/login?next=https%3A%2F%2Fevil.example%2F%22%3E%3Cscript%3E",
        "/auth/enrol",
        "/oauth/authorize?client_id=%3Cscript%3E",
        "/auth/foreign/callback?state=%3Cscript%3E&again=1",
    ] {
        let page = browser.ask(&office, Ask::new("GET", path).header("accept-language", "fr")).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}: {text}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("content-language"), Some("fr"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
        let policy = page.header("content-security-policy").unwrap();
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!text.contains("evil.example") && !text.contains("<script>"), "{path}: {text}");
        assert!(!text.contains("onclick") && !text.contains("style="), "{text}");
    }
    for (path, kind) in [("pages.js", "text/javascript; charset=utf-8"), ("pages.css", "text/css; charset=utf-8")] {
        let file = browser.ask(&office, Ask::new("GET", &format!("/auth/files/{path}"))).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some(kind)));
    }
    assert_eq!(browser.ask(&office, Ask::new("GET", "/auth/files/secrets")).await.status, 404);
}

#[tokio::test]
async fn another_site_begins_nothing_in_a_persons_browser() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let mut key = enrolled(&office, &mut browser).await;
    login(&office, &mut browser, &mut key, "").await;
    let post = |path: &str| Ask::new("POST", path).json("{}").header("content-type", "application/json");
    for path in ["/auth/logout", "/auth/step-up/start", "/auth/login/start", "/auth/enrol/start", "/Patient"] {
        let bare = browser.dress(post(path)).send(office.address).await;
        assert_eq!(bare.status, 403, "{path} without Origin");
        for origin in
            ["https://evil.example", "null", "http://tacet.hospital.example", "https://tacet.hospital.example:444"]
        {
            let other = browser.dress(post(path)).header("origin", origin).send(office.address).await;
            assert_eq!(other.status, 403, "{path} from {origin}");
        }
    }
    let read = |site: &str| browser.dress(Ask::new("GET", "/auth/session")).header("sec-fetch-site", site);
    assert_eq!(read("cross-site").send(office.address).await.status, 403);
    assert_eq!(read("same-site").send(office.address).await.status, 403);
    assert_eq!(read("same-origin").send(office.address).await.status, 200, "and the session goes on");
}

#[tokio::test]
async fn a_stolen_session_ends_where_it_is_used_elsewhere() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let mut key = enrolled(&office, &mut browser).await;
    login(&office, &mut browser, &mut key, "").await;
    let other_agent =
        Browser { agent: "curl/8".to_owned(), session: browser.session.clone(), device: browser.device.clone() };
    let stolen = other_agent.dress(Ask::new("GET", "/auth/session")).send(office.address).await;
    assert_eq!(stolen.status, 401);
    assert_eq!(browser.ask(&office, Ask::new("GET", "/auth/session")).await.status, 401, "it is over for both");

    login(&office, &mut browser, &mut key, "").await;
    let no_device = Browser { device: None, session: browser.session.clone(), agent: browser.agent.clone() };
    assert_eq!(no_device.dress(Ask::new("GET", "/auth/session")).send(office.address).await.status, 401);
    // As a bearer token a session is nothing.
    login(&office, &mut browser, &mut key, "").await;
    let secret = browser.session.clone().unwrap();
    assert_eq!(Ask::new("GET", "/auth/session").bearer(&secret).send(office.address).await.status, 401);
}

#[tokio::test]
async fn a_session_that_was_there_before_a_login_is_not_gone_on_with() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    let mut key = enrolled(&office, &mut browser).await;
    browser.session = Some(format!("tacet_se_{}", "a".repeat(64)));
    login(&office, &mut browser, &mut key, "").await;
    let first = browser.session.clone().unwrap();
    assert!(!first.ends_with(&"a".repeat(64)), "a planted secret is replaced");
    login(&office, &mut browser, &mut key, "").await;
    let second = browser.session.replace(first);
    assert_eq!(browser.ask(&office, Ask::new("GET", "/auth/session")).await.status, 401, "the one before has ended");
    browser.session = second;
    assert_eq!(browser.ask(&office, Ask::new("GET", "/auth/session")).await.status, 200);
}

#[tokio::test]
async fn failures_of_all_kinds_lock_one_address() {
    let office = Office::open().await;
    let mut browser = Browser::new();
    for n in 0..10 {
        let answer = match n % 3 {
            0 => Ask::new("GET", "/Patient/p1").bearer("tacet_nobody").send(office.address).await,
            1 => Ask::new("GET", "/Patient/p1").bearer(&format!("tacet_at_{n:064}")).send(office.address).await,
            _ => browser.post(&office, "/auth/enrol/start", json!({ "first": "a", "second": "b" })).await,
        };
        assert!([401, 403].contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(browser.post(&office, "/auth/login/start", json!({})).await.status, 429);
    assert_eq!(Ask::new("GET", "/Patient/p1").bearer("tacet_nobody").send(office.address).await.status, 429);
}

#[tokio::test]
async fn people_bring_no_tokens_of_the_command_line() {
    let office = Office::open().await;
    for role in [Role::Clinician, Role::Nurse, Role::Patient, Role::SecurityOfficer, Role::Auditor] {
        let token = office.token(role, false).await;
        let answer = Ask::new("GET", "/Patient").bearer(&token).send(office.address).await;
        assert_eq!(answer.status, 401, "{role}");
        office.clock.advance_ms(3_600_000);
    }
    let machine = office.token(Role::Integrator, false).await;
    assert_eq!(Ask::new("GET", "/Patient").bearer(&machine).send(office.address).await.status, 200);
    assert_eq!(Ask::new("GET", "/auth/session").bearer(&machine).send(office.address).await.status, 403);
}
