//! Apps: registered, allowed by a person, held to their scopes and their patient, and cut off.

use super::key::{Key, sha256_url};
use super::{Browser, form, post_form};
use crate::admin::{ORIGIN, Office, Somebody, clinician, ward};
use crate::client::{Answer, Ask};
use serde_json::{Value, json};
use tacet_ledger::{Channel, Origin};
use tacet_smart::{Approval, Asked};
use tacet_types::{Clock, OperationId};
use tacet_vault::Role;

pub(super) const CALLBACK: &str = "https://app.example/callback";
pub(super) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-letters-0123";

/// Registers an app over HTTP and lets it in. Gives its id.
pub(super) async fn app(office: &Office, metadata: Value) -> String {
    let ask = Ask::new("POST", "/oauth/register").json(metadata.to_string()).header("content-type", "application/json");
    let answer = ask.send(office.address).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let id = answer.value()["client_id"].as_str().unwrap().to_owned();
    let asked = Asked { origin: Origin { address: None, channel: Channel::Http }, operation: OperationId([3; 16]) };
    let approval = Approval { scope: None, preapproved: false, may_introspect: false };
    office.people.smart().approve_client(&id, "somebody", &approval, asked).await.unwrap();
    id
}

pub(super) async fn web_app(office: &Office, scope: &str) -> String {
    let metadata = json!({
        "client_name": "Growth charts <b>", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "scope": scope,
    });
    app(office, metadata).await
}

pub(super) fn browser_of(somebody: &Somebody) -> Browser {
    Browser {
        session: Some(somebody.secret.clone()),
        device: Some(somebody.device.clone()),
        agent: "Browser 1".to_owned(),
    }
}

pub(super) fn request(client: &str, scope: &str) -> String {
    let challenge = sha256_url(VERIFIER);
    let query = form(&[
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("scope", scope),
        ("state", "a-state"),
        ("aud", ORIGIN),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    format!("/oauth/authorize?{query}")
}

/// The value of a hidden field of a page.
pub(super) fn hidden(page: &Answer, name: &str) -> String {
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Agrees, and gives the answer that leads back to the app.
pub(super) async fn agree(
    office: &Office,
    browser: &mut Browser,
    page: &Answer,
    scopes: &[&str],
    patient: &str,
) -> Answer {
    let ticket = hidden(page, "ticket");
    let names: Vec<String> = (0..scopes.len()).map(|n| format!("scope{n}")).collect();
    let mut fields = vec![("ticket", ticket.as_str()), ("decision", "allow"), ("patient", patient)];
    fields.extend(names.iter().map(String::as_str).zip(scopes.iter().copied()));
    browser.ask(office, post_form("/oauth/consent", &fields)).await
}

pub(super) fn param(answer: &Answer, name: &str) -> String {
    let to = answer.header("refresh").unwrap_or_else(|| panic!("{:?}", answer.body));
    let url = url::Url::parse(to.strip_prefix("0;url=").unwrap()).unwrap();
    assert!(url.as_str().starts_with(CALLBACK), "{url}");
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap()
}

pub(super) async fn exchange(office: &Office, client: &str, code: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("client_id", client),
        ("code_verifier", VERIFIER),
    ];
    post_form("/oauth/token", &fields).send(office.address).await
}

pub(super) async fn get(office: &Office, token: &str, path: &str) -> Answer {
    Ask::new("GET", path).bearer(token).send(office.address).await
}

#[tokio::test]
async fn an_app_is_allowed_and_sees_what_it_was_allowed() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let scopes = ["launch/patient", "online_access", "patient/Patient.r", "patient/Observation.rs"];
    let client = web_app(&office, &scopes.join(" ")).await;
    let path = request(&client, &scopes.join(" "));

    // Nobody is logged in: by way of the page of login, which comes back here.
    let nobody = Browser::new().ask(&office, Ask::new("GET", &path)).await;
    assert_eq!(nobody.status, 303);
    let to = nobody.header("location").unwrap();
    assert!(to.starts_with("/auth/login?next=%2Foauth%2Fauthorize%3F"), "{to}");

    let mut browser = browser_of(&doctor);
    let page = browser.ask(&office, Ask::new("GET", &path)).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.status == 200 && text.contains("Growth charts &lt;b&gt;") && text.contains("app.example"), "{text}");
    assert_eq!(page.header("cache-control"), Some("no-store"));

    // A patient whom the doctor may not see cannot be chosen, and looks like none.
    let wrong = agree(&office, &mut browser, &page, &scopes, "other").await;
    let absent = agree(&office, &mut browser, &page, &scopes, "nobody").await;
    assert_eq!((wrong.status, absent.status), (400, 400));
    assert_eq!(wrong.body, absent.body);

    // From another site nobody agrees, and nobody else does in their place.
    let fields = [("ticket", hidden(&page, "ticket")), ("decision", "allow".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let other = browser.dress(post_form("/oauth/consent", &fields)).header("origin", "https://evil.example");
    assert_eq!(other.send(office.address).await.status, 403);
    let thief = agree(&office, &mut browser_of(&staff.adm1), &page, &scopes, "").await;
    assert_eq!(thief.status, 400);

    let back = agree(&office, &mut browser, &page, &scopes, "mine").await;
    assert_eq!((param(&back, "state"), param(&back, "iss")), ("a-state".to_owned(), ORIGIN.to_owned()));
    let code = param(&back, "code");
    let tokens = exchange(&office, &client, &code).await;
    assert_eq!((tokens.status, &tokens.value()["patient"]), (200, &json!("mine")), "{:?}", tokens.body);
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    let tokens = tokens.value();
    let token = tokens["access_token"].as_str().unwrap();

    assert_eq!(get(&office, token, "/Patient/mine").await.status, 200);
    assert_eq!(get(&office, token, "/Observation/mine").await.status, 200);
    assert_eq!(get(&office, token, "/Observation?patient=mine&_total=accurate").await.value()["total"], 1);
    // Neither the other patient, nor another type, nor a change.
    for path in ["/Patient/other", "/Observation/other", "/Encounter/stay"] {
        assert_eq!(get(&office, token, path).await.status, 404, "{path}");
    }
    let observation = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/mine" } });
    let create =
        Ask::new("POST", "/Observation").bearer(token).json(observation.to_string()).send(office.address).await;
    assert!([403, 404].contains(&create.status), "{}", create.status);
    for path in ["/auth/session", "/_accounts", "/_launches"] {
        assert!([403, 405].contains(&get(&office, token, path).await.status), "{path}");
    }

    // A code that comes twice ends what it gave.
    assert_eq!(exchange(&office, &client, &code).await.value()["error"], "invalid_grant");
    assert_eq!(get(&office, token, "/Patient/mine").await.status, 401);
}

#[tokio::test]
async fn what_hangs_on_a_session_ends_with_it() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let scopes = ["online_access", "user/Patient.rs"];
    let client = web_app(&office, &scopes.join(" ")).await;
    let mut browser = browser_of(&doctor);
    let page = browser.ask(&office, Ask::new("GET", &request(&client, &scopes.join(" ")))).await;
    let back = agree(&office, &mut browser, &page, &scopes, "").await;
    let tokens = exchange(&office, &client, &param(&back, "code")).await.value();
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(get(&office, token, "/Patient/mine").await.status, 200);
    assert_eq!(get(&office, token, "/Patient/other").await.status, 404, "no more than the doctor");
    browser.post(&office, "/auth/logout", json!({})).await;
    assert_eq!(get(&office, token, "/Patient/mine").await.status, 401);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", client.as_str())];
    assert_eq!(post_form("/oauth/token", &fields).send(office.address).await.value()["error"], "invalid_grant");
}

#[tokio::test]
async fn criteria_that_cannot_be_held_to_are_refused() {
    let office = Office::open().await;
    let metadata = json!({ "client_name": "x", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
        "scope": "patient/Observation.rs?subject.name=x" });
    let ask = Ask::new("POST", "/oauth/register").json(metadata.to_string()).header("content-type", "application/json");
    assert_eq!(ask.send(office.address).await.status, 400);
    let client = web_app(&office, "patient/Observation.rs").await;
    let path = request(&client, "patient/Observation.rs?_has:Group:member:code=1");
    assert_eq!(Browser::new().ask(&office, Ask::new("GET", &path)).await.status, 400);
}

#[tokio::test]
async fn a_machine_proves_itself_and_a_bound_token_is_of_no_use_to_others() {
    let office = Office::open().await;
    ward(&office).await;
    let key = Key::new();
    let mut jwk = key.jwk();
    (jwk["kid"], jwk["alg"], jwk["use"]) = (json!("k1"), json!("ES256"), json!("sig"));
    let metadata = json!({ "client_name": "Registry", "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"], "scope": "system/Patient.rs", "jwks": { "keys": [jwk] } });
    let client = app(&office, metadata).await;
    // What proofs say of time before the server started is not believed.
    office.clock.advance_ms(120_000);
    let assertion = |id: &str| {
        let now_s = office.clock.now().as_ms() / 1000;
        let claims = json!({ "iss": client, "sub": client, "aud": format!("{ORIGIN}/oauth/token"), "jti": id, "iat": now_s, "exp": now_s + 200 });
        key.sign(&json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), &claims)
    };
    let ask = |assertion: &str| {
        post_form(
            "/oauth/token",
            &[
                ("grant_type", "client_credentials"),
                ("scope", "system/Patient.rs"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ],
        )
    };
    let once = assertion("a1");
    let answer = ask(&once).send(office.address).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let token = answer.value()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get(&office, &token, "/Patient/other").await.status, 200);
    assert_eq!(get(&office, &token, "/Observation/other").await.status, 404, "outside of its scopes");
    assert_eq!(ask(&once).send(office.address).await.status, 401, "an assertion counts once");
    let forged = Key::new().sign(&json!({ "alg": "ES256", "kid": "k1" }), &json!({ "iss": client, "sub": client }));
    assert_eq!(ask(&forged).send(office.address).await.value()["error"], "invalid_client");

    // Bound to a key.
    let possession = Key::new();
    let proof = possession.proof(&office, "POST", "/oauth/token", "p1", None);
    let answer = ask(&assertion("a2")).header("dpop", &proof).send(office.address).await;
    assert_eq!((answer.status, &answer.value()["token_type"]), (200, &json!("DPoP")), "{:?}", answer.body);
    let token = answer.value()["access_token"].as_str().unwrap().to_owned();
    let path = "/Patient/other";
    let with =
        |proof: &str| Ask::new("GET", path).header("authorization", &format!("DPoP {token}")).header("dpop", proof);
    let good = possession.proof(&office, "GET", path, "p2", Some(&token));
    assert_eq!(with(&good).send(office.address).await.status, 200);
    let refusals = [
        Ask::new("GET", path).bearer(&token),
        Ask::new("GET", path).header("authorization", &format!("DPoP {token}")),
        with(&good),
        with(&Key::new().proof(&office, "GET", path, "p3", Some(&token))),
        with(&possession.proof(&office, "POST", path, "p4", Some(&token))),
        with(&possession.proof(&office, "GET", "/Patient/mine", "p5", Some(&token))),
        with(&possession.proof(&office, "GET", path, "p6", Some("another"))),
    ];
    for ask in refusals {
        assert_eq!(ask.send(office.address).await.status, 401);
    }
}

#[tokio::test]
async fn a_launch_is_the_record_systems_to_make() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let machine = office.token(Role::Integrator, false).await;
    let body = json!({ "login": "dr-a", "patient": "mine" });
    let launch = |token: &str, body: &Value| {
        Ask::new("POST", "/_launches").bearer(token).json(body.to_string()).header("content-type", "application/json")
    };
    let made = launch(&machine, &body).send(office.address).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let nobody = json!({ "login": "nobody", "patient": "mine" });
    assert_eq!(launch(&machine, &nobody).send(office.address).await.status, 422);
    let by_person = office.ask(&doctor, "POST", "/_launches", Some(body)).await;
    assert_eq!(by_person.status, 403);

    let scopes = ["launch", "patient/Patient.r"];
    let client = web_app(&office, &scopes.join(" ")).await;
    let launch = made.value()["launch"].as_str().unwrap().to_owned();
    let path = format!("{}&{}", request(&client, &scopes.join(" ")), form(&[("launch", &launch)]));
    let mut browser = browser_of(&doctor);
    let page = browser.ask(&office, Ask::new("GET", &path)).await;
    let back = agree(&office, &mut browser, &page, &scopes, "").await;
    let tokens = exchange(&office, &client, &param(&back, "code")).await.value();
    assert_eq!(tokens["patient"], "mine");
    assert_eq!(get(&office, tokens["access_token"].as_str().unwrap(), "/Patient/mine").await.status, 200);
}

#[tokio::test]
async fn scripts_may_ask_where_their_app_was_let_in_and_never_by_a_cookie() {
    let office = Office::open().await;
    let first = |path: &str, origin: &str| {
        let ask = Ask::new("OPTIONS", path).header("origin", origin);
        ask.header("access-control-request-method", "GET").header("access-control-request-headers", "authorization")
    };
    const SITE: &str = "https://app.example";
    let open = ["/.well-known/smart-configuration", "/.well-known/openid-configuration", "/oauth/jwks", "/metadata"];
    let of_apps = ["/Patient/p1", "/Observation", "/", "/oauth/token", "/oauth/revoke"];
    for path in open {
        let answer = first(path, "https://anybody.example").send(office.address).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("*")), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    // Nobody was let in yet.
    for path in of_apps {
        let answer = first(path, SITE).send(office.address).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let client = web_app(&office, "patient/Patient.r").await;
    office.clock.advance_ms(2_000);
    for path in of_apps {
        let answer = first(path, SITE).send(office.address).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(SITE)), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.headers.get_all("vary").iter().any(|names| names == "Origin"));
        for other in ["https://evil.example", "null", "http://app.example", "https://app.example.evil.example"] {
            let answer = first(path, other).send(office.address).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path} {other}");
        }
    }
    for path in [
        "/auth/session",
        "/auth/login/start",
        "/_accounts",
        "/oauth/authorize",
        "/oauth/consent",
        "/oauth/register",
        "/metrics",
    ] {
        let answer = first(path, SITE).send(office.address).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let found = Ask::new("GET", "/.well-known/smart-configuration").header("origin", "https://anybody.example");
    let found = found.send(office.address).await;
    assert_eq!((found.status, found.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(found.value()["authorization_endpoint"], format!("{ORIGIN}/oauth/authorize"));
    assert_eq!(found.value()["code_challenge_methods_supported"], json!(["S256"]));
    let refused = || Ask::new("GET", "/Patient/p1").header("origin", SITE);
    let answer = refused().send(office.address).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, Some(SITE)));
    // Once the app is ended its scripts are strangers'.
    let asked = Asked { origin: Origin { address: None, channel: Channel::Http }, operation: OperationId([3; 16]) };
    office.people.smart().revoke_client(&client, "somebody", asked).await.unwrap();
    office.clock.advance_ms(2_000);
    let answer = refused().send(office.address).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, None));
}
