//! Login at another provider, from the button on the page to the session, over HTTP; and what a thief, a weak login or a second provider would try.

use super::key::Key;
use super::provider::{Idp, params};
use super::{Browser, post_form};
use crate::admin::{ORIGIN, Office, Staff, clinician, ward};
use crate::client::{Answer, Ask};
use crate::running::config;
use serde_json::{Value, json};
use tacet_ledger::{Entry, EventKind, Outcome};
use tacet_server::{OutgoingConfig, PeopleSettings};
use tacet_smart::foreign::ProviderAuth;
use tacet_vault::Role;

const CALLBACK: &str = "/auth/foreign/callback";
const NEXT: &str = "/oauth/authorize?client_id=x";

/// A hospital whose people may log in at this provider. Dr A is known there by the login here.
async fn house(idp: &Idp, acr_values: &[&str], auth: ProviderAuth) -> (Office, Staff) {
    let settings = PeopleSettings {
        outgoing: OutgoingConfig { hosts: vec![idp.place.clone()], ..OutgoingConfig::default() },
        providers: vec![idp.settings(acr_values, auth)],
        ..PeopleSettings::default()
    };
    let (office, staff) = Office::staffed(Office::open_with(&settings, config()).await).await;
    ward(&office).await;
    (office, staff)
}

/// Where a page leads.
fn onward(page: &Answer) -> String {
    let to = page.header("refresh").unwrap_or_else(|| panic!("{} {:?}", page.status, page.body));
    to.strip_prefix("0;url=").unwrap().to_owned()
}

/// Presses the button; gives where the provider is.
async fn begin(office: &Office, browser: &mut Browser) -> String {
    let page = browser.ask(office, post_form("/auth/foreign/start", &[("provider", "house"), ("next", NEXT)])).await;
    assert_eq!(page.header("cache-control"), Some("no-store"));
    onward(&page)
}

async fn come_back(office: &Office, browser: &mut Browser, query: &str) -> Answer {
    browser.ask(office, Ask::new("GET", &format!("{CALLBACK}?{query}"))).await
}

async fn whoever(office: &Office, browser: &mut Browser) -> Answer {
    browser.ask(office, Ask::new("GET", "/auth/session")).await
}

fn failures(office: &Office) -> Vec<Entry> {
    office.entries().into_iter().filter(|entry| entry.kind == EventKind::LoginFailed).collect()
}

#[tokio::test]
async fn a_person_logs_in_elsewhere_works_and_is_logged_out_there_too() {
    let idp = Idp::start().await;
    let (office, staff) = house(&idp, &["eidas2"], Idp::secret()).await;
    office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let mut browser = Browser::new();
    let page = browser.ask(&office, Ask::new("GET", "/auth/login")).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("value=\"house\"") && text.contains("House &lt;login&gt;"), "{text}");

    let url = begin(&office, &mut browser).await;
    let asked = params(&url);
    assert_eq!((asked["scope"].as_str(), asked["acr_values"].as_str()), ("openid profile", "eidas2"));
    let query = idp.logs_in(&office, &url, "dr-a", |_| {});
    // From the provider's page the browser brings no cookie (`SameSite=Strict`): it is sent to the same address once more, from here.
    let bare = Ask::new("GET", &format!("{CALLBACK}?{query}")).header("user-agent", "Browser 1");
    let bare = bare.send(office.address).await;
    assert_eq!((onward(&bare), bare.header("set-cookie")), (format!("{CALLBACK}?{query}&again=1"), None));
    let back = come_back(&office, &mut browser, &format!("{query}&again=1")).await;
    assert_eq!(onward(&back), NEXT);
    let session = whoever(&office, &mut browser).await;
    assert_eq!((session.status, &session.value()["login"]), (200, &json!("dr-a")));
    assert_eq!(browser.ask(&office, Ask::new("GET", "/Patient/mine")).await.status, 200, "a strong login");
    assert_eq!(browser.ask(&office, Ask::new("GET", "/Patient/other")).await.status, 404);
    assert_eq!(office.noted("at the provider house"), 1);

    // What came back once is of no use again, in this browser or in another.
    let session = browser.session.clone();
    assert_eq!(come_back(&office, &mut browser, &query).await.status, 403);
    assert_eq!(come_back(&office, &mut Browser::new(), &format!("{query}&again=1")).await.status, 403);
    assert_eq!(browser.session, session, "and the session goes on");
    // What needs a passkey needs one that was shown here.
    let refused = browser.post(&office, "/auth/enrol/start", json!({})).await;
    assert_eq!(refused.status, 403, "{:?}", refused.body);

    let left = browser.post(&office, "/auth/logout", json!({})).await.value();
    let logout = left["next"].as_str().unwrap();
    assert!(logout.starts_with(&format!("{}/logout?", idp.issuer)), "{logout}");
    let asked = params(logout);
    assert_eq!(asked["client_id"], "tacet");
    assert_eq!(asked["post_logout_redirect_uri"], format!("{ORIGIN}/auth/login"));
    assert_eq!(asked["id_token_hint"].split('.').count(), 3);
    assert_eq!(browser.session, None);
    browser.session = session;
    assert_eq!(whoever(&office, &mut browser).await.status, 401);
}

#[tokio::test]
async fn a_login_that_nobody_demanded_to_be_strong_opens_records_with_a_passkey_only() {
    let idp = Idp::start().await;
    let (office, staff) = house(&idp, &[], Idp::secret()).await;
    let mut doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let mut browser = Browser::new();
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in(&office, &url, "dr-a", |_| {});
    come_back(&office, &mut browser, &query).await;
    assert_eq!(whoever(&office, &mut browser).await.status, 200);
    assert_eq!(
        browser.ask(&office, Ask::new("GET", "/Patient/mine")).await.status,
        404,
        "a name of a kind is no demand"
    );
    let begun = browser.post(&office, "/auth/step-up/start", json!({})).await;
    let answer: Value = doctor.key.get(&begun.value()["options"]).unwrap();
    let body = json!({ "ceremony": begun.value()["ceremony"], "answer": answer });
    assert_eq!(browser.post(&office, "/auth/step-up/finish", body).await.status, 200);
    assert_eq!(browser.ask(&office, Ask::new("GET", "/Patient/mine")).await.status, 200);
}

#[tokio::test]
async fn what_the_provider_says_wrong_lets_nobody_in_and_is_written_down() {
    let idp = Idp::start().await;
    let (office, staff) = house(&idp, &["eidas2"], Idp::secret()).await;
    office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let stranger = Key::new();
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 6] = [
        ("another login's nonce", |claims| claims["nonce"] = json!("another")),
        ("another issuer", |claims| claims["iss"] = json!("https://evil.example")),
        ("for another client", |claims| claims["aud"] = json!(["tacet", "another"])),
        ("old", |claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() - 3600)),
        ("somebody who is not known here", |claims| claims["preferred_username"] = json!("nobody")),
        ("nobody", |claims| claims["preferred_username"] = json!("")),
    ];
    let before = failures(&office).len();
    let mut pages = Vec::new();
    for (what, change) in changes {
        let mut browser = Browser::new();
        let url = begin(&office, &mut browser).await;
        let query = idp.logs_in(&office, &url, "dr-a", change);
        let page = come_back(&office, &mut browser, &query).await;
        assert_eq!((page.status, &browser.session), (403, &None), "{what}");
        pages.push(page.body);
        office.clock.advance_ms(61_000);
    }
    let mut browser = Browser::new();
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in_by(&stranger, &office, &url, "dr-a", |_| {});
    let page = come_back(&office, &mut browser, &query).await;
    assert_eq!((page.status, &browser.session), (403, &None), "signed by somebody else");
    pages.push(page.body);
    assert!(pages.iter().all(|page| *page == pages[0]), "to whoever sits there all is one");
    let written = failures(&office).split_off(before);
    assert_eq!(written.len(), 7);
    assert!(written.iter().all(|entry| entry.outcome == Outcome::Refused && entry.origin.address.is_some()));

    // Each with a code of its own. In another's browser it is nobody's, and is not used up by that.
    let mut browser = Browser::new();
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in(&office, &url, "dr-a", |_| {});
    let mut other = Browser::new();
    begin(&office, &mut other).await;
    assert_eq!(come_back(&office, &mut other, &query).await.status, 403);
    assert_eq!(other.session, None);
    assert_eq!(onward(&come_back(&office, &mut browser, &query).await), NEXT);
}

#[tokio::test]
async fn a_login_that_is_too_weak_is_asked_for_again_once() {
    let idp = Idp::start().await;
    let (office, staff) = house(&idp, &["eidas2"], Idp::secret()).await;
    office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let weak = |claims: &mut Value| claims["acr"] = json!("eidas1");
    for (second, lets_in) in [("eidas2", true), ("eidas1", false)] {
        let mut browser = Browser::new();
        let url = begin(&office, &mut browser).await;
        let query = idp.logs_in(&office, &url, "dr-a", weak);
        let again = onward(&come_back(&office, &mut browser, &query).await);
        assert_eq!(browser.session, None);
        let asked = params(&again);
        assert_eq!(
            (asked["prompt"].as_str(), asked["max_age"].as_str(), asked["acr_values"].as_str()),
            ("login", "0", "eidas2")
        );
        // A session that was there before does not do then.
        office.clock.advance_ms(120_000);
        let query = idp.logs_in(&office, &again, "dr-a", |claims| claims["acr"] = json!(second));
        let page = come_back(&office, &mut browser, &query).await;
        assert_eq!(browser.session.is_some(), lets_in, "{second}");
        if lets_in {
            assert_eq!(onward(&page), NEXT, "and goes where they were going");
        } else {
            assert_eq!(page.status, 403, "not a third time");
        }
    }
    let mut browser = Browser::new();
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in(&office, &url, "dr-a", weak);
    let again = onward(&come_back(&office, &mut browser, &query).await);
    let old = |claims: &mut Value| claims["auth_time"] = json!(claims["auth_time"].as_i64().unwrap() - 600);
    let query = idp.logs_in(&office, &again, "dr-a", old);
    assert_eq!(come_back(&office, &mut browser, &query).await.status, 403, "strong, but not made for this");
}

/// RFC 9207, RFC 9700 section 4.4: a second provider gets hold of neither the code nor the login of the first.
#[tokio::test]
async fn an_answer_of_another_provider_is_refused() {
    let (idp, evil) = (Idp::start().await, Idp::start().await);
    let (office, staff) = house(&idp, &["eidas2"], Idp::secret()).await;
    office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let mut browser = Browser::new();
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in(&office, &url, "dr-a", |_| {});
    let encoded = |issuer: &str| super::form(&[("iss", issuer)]);
    let mixed = query.replace(&encoded(&idp.issuer), &encoded(&evil.issuer));
    assert_ne!(mixed, query);
    assert_eq!(come_back(&office, &mut browser, &mixed).await.status, 403);
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in(&office, &url, "dr-a", |_| {});
    let nameless = query.replace(&format!("&{}", encoded(&idp.issuer)), "");
    assert_eq!(come_back(&office, &mut browser, &nameless).await.status, 403, "it says that it names itself");
    assert_eq!(
        (idp.asked("/token"), evil.asked("/token"), &browser.session),
        (0, 0, &None),
        "no code was shown to anybody"
    );
}

#[tokio::test]
async fn an_account_that_is_locked_or_suspended_stays_so() {
    let idp = Idp::start().await;
    let (office, staff) = house(&idp, &["eidas2"], Idp::secret()).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let try_it = async || {
        let mut browser = Browser::new();
        let url = begin(&office, &mut browser).await;
        let query = idp.logs_in(&office, &url, "dr-a", |_| {});
        let page = come_back(&office, &mut browser, &query).await;
        (page, browser.session)
    };
    let mut spoilt = doctor.key.copy().unwrap();
    spoilt.verifies = false;
    for _ in 0..10 {
        let mut key = spoilt.copy().unwrap();
        (key.verifies, key.counter) = (false, 100);
        assert!(office.logged_in(key).await.is_err());
    }
    let (locked, session) = try_it().await;
    assert_eq!((locked.status, session), (403, None), "{:?}", locked.body);
    office.clock.advance_ms(16 * 60_000);
    assert!(try_it().await.1.is_some(), "the lock is over");

    let sec = office.logged_in(staff.sec.key).await.unwrap();
    let change = json!({ "change": "suspend", "reason": "odd" });
    let path = format!("/_accounts/{}", doctor.id);
    let suspended = office.ask(&sec, "PATCH", &path, Some(change)).await;
    assert_eq!(suspended.status, 200, "{:?}", suspended.body);
    let (refused, session) = try_it().await;
    assert_eq!((refused.status, session, refused.body), (403, None, locked.body), "nothing tells the two apart");
    let named = failures(&office).into_iter().filter(|entry| entry.agent.owner == "dr-a");
    assert_eq!(named.filter(|entry| entry.detail.as_deref().unwrap().starts_with("at the provider house")).count(), 2);
}

#[tokio::test]
async fn who_failed_too_often_is_not_sent_elsewhere_either() {
    let idp = Idp::start().await;
    let (office, _) = house(&idp, &["eidas2"], Idp::secret()).await;
    let mut browser = Browser::new();
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in(&office, &url, "dr-a", |_| {});
    for n in 0..10 {
        Ask::new("GET", "/Patient/p1").bearer(&format!("tacet_{n}")).send(office.address).await;
    }
    let asked = idp.asked("/token");
    let start = browser.ask(&office, post_form("/auth/foreign/start", &[("provider", "house")])).await;
    assert_eq!(start.status, 429);
    assert_eq!(come_back(&office, &mut browser, &query).await.status, 429);
    assert_eq!(idp.asked("/token"), asked);
    office.clock.advance_ms(5 * 60_000);
    begin(&office, &mut browser).await;
}

#[tokio::test]
async fn a_malformed_device_is_replaced_and_does_not_lock_a_browser_out() {
    let idp = Idp::start().await;
    let (office, staff) = house(&idp, &["eidas2"], Idp::secret()).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    for broken in ["tacet_de_", "tacet_se_0000", "x", &format!("tacet_de_{}", "a".repeat(63))] {
        let mut browser = Browser { device: Some(broken.to_owned()), ..Browser::new() };
        let begun = browser.post(&office, "/auth/login/start", json!({})).await;
        assert_ne!(browser.device.as_deref(), Some(broken));
        let mut key = doctor.key.copy().unwrap();
        key.counter = doctor.key.counter + 100;
        let answer: Value = key.get(&begun.value()["options"]).unwrap();
        let body = json!({ "ceremony": begun.value()["ceremony"], "answer": answer });
        let done = browser.post(&office, "/auth/login/finish", body).await;
        // A ceremony belongs to the device that began it, if the server holds to that: then the second try works.
        assert!([200, 403].contains(&done.status), "{broken} {:?}", done.body);
        let mut browser = Browser { device: Some(broken.to_owned()), ..Browser::new() };
        let url = begin(&office, &mut browser).await;
        assert_ne!(browser.device.as_deref(), Some(broken));
        let query = idp.logs_in(&office, &url, "dr-a", |_| {});
        assert_eq!(onward(&come_back(&office, &mut browser, &query).await), NEXT, "{broken}");
        office.clock.advance_ms(61_000);
    }
}

#[tokio::test]
async fn the_server_proves_itself_by_its_key_where_it_has_no_secret() {
    let idp = Idp::start().await;
    let (office, staff) = house(&idp, &["eidas2"], ProviderAuth::PrivateKeyJwt).await;
    office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let keys = Ask::new("GET", "/oauth/jwks").send(office.address).await.value();
    idp.expects_key_of(keys);
    for _ in 0..2 {
        let mut browser = Browser::new();
        let url = begin(&office, &mut browser).await;
        let query = idp.logs_in(&office, &url, "dr-a", |_| {});
        assert_eq!(onward(&come_back(&office, &mut browser, &query).await), NEXT);
    }
    idp.expects_key_of(json!({ "keys": [] }));
    let mut browser = Browser::new();
    let url = begin(&office, &mut browser).await;
    let query = idp.logs_in(&office, &url, "dr-a", |_| {});
    assert_eq!(come_back(&office, &mut browser, &query).await.status, 403);
    let machine = office.token(Role::Integrator, false).await;
    assert_eq!(Ask::new("GET", "/Patient/mine").bearer(&machine).send(office.address).await.status, 200);
}
