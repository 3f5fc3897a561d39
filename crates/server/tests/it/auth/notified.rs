//! Subscriptions of apps: they go on as long as what let the app in stands, and end with it, whatever became of the one token that was shown.

use super::apps::{agree, app, browser_of, exchange, param, request, web_app};
use super::key::Key;
use super::post_form;
use crate::admin::{ORIGIN, Office, clinician, ward};
use crate::client::Ask;
use crate::subscribing::{Endpoint, config};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_seal::SecureRng;
use tacet_server::{Environment, Subscriptions};
use tacet_smart::{Asked, Scheme, Shown};
use tacet_types::{Clock, OperationId, ResourceId, ResourceType};
use tacet_vault::{Caller, Role};

async fn becomes(office: &Office, machine: &str, status: &str) -> Value {
    for _ in 0..3000 {
        let now = Ask::new("GET", "/Subscription/s1").bearer(machine).send(office.address).await.value();
        if now["status"] == status {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not become {status}");
}

async fn weigh(office: &Office, id: &str) {
    let result = json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "Weight" },
        "subject": { "reference": "Patient/mine" }, "valueString": "v" });
    office.put(result).await;
}

fn start(office: &Office, endpoint: &Endpoint) -> Subscriptions {
    let environment = Environment { clock: Arc::clone(&office.clock) as Arc<dyn Clock>, rng: Arc::new(SecureRng) };
    Subscriptions::start(office.vault.clone(), config(&[&endpoint.url], &[]), ORIGIN, environment).unwrap()
}

fn hook(endpoint: &Endpoint) -> Value {
    json!({ "resourceType": "Subscription", "id": "s1", "status": "requested", "reason": "test",
        "criteria": "Observation?status=final", "channel": { "type": "rest-hook", "endpoint": endpoint.url } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_let_in_is_told_as_long_as_that_stands() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let machine = office.token(Role::Integrator, false).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let scopes = ["online_access", "user/Observation.rs"];
    let client = web_app(&office, &scopes.join(" ")).await;
    let mut browser = browser_of(&doctor);
    let page = browser.ask(&office, Ask::new("GET", &request(&client, &scopes.join(" ")))).await;
    let back = agree(&office, &mut browser, &page, &scopes, "").await;
    let tokens = exchange(&office, &client, &param(&back, "code")).await.value();
    let shown = Shown {
        token: tokens["access_token"].as_str().unwrap(),
        scheme: Scheme::Bearer,
        dpop: None,
        method: "PUT",
        url: ORIGIN,
        certificate: None,
    };
    let family = office.people.smart().access(&shown).unwrap().family.unwrap();
    // The built-in rules let no doctor store subscriptions: what it hangs on is looked at here, not who may.
    let origin = Origin { address: None, channel: Channel::Http };
    let app = Caller {
        hangs_on: Some(format!("family {family}")),
        token: Some("00112233".to_owned()),
        ..Caller::new("dr-a", Role::Integrator, PurposeOfUse::Operations, origin, OperationId([4; 16]))
    };
    let endpoint = Endpoint::open(&[200]).await;
    let running = start(&office, &endpoint);
    let (kind, id) = (ResourceType::parse("Subscription").unwrap(), ResourceId::parse("s1").unwrap());
    let body = hook(&endpoint).to_string();
    office.vault.update(&app, kind, &id, body.as_bytes(), ORIGIN, None, false).await.unwrap();
    becomes(&office, &machine, "active").await;
    // A token lives for five minutes.
    office.clock.advance_ms(360_000);
    weigh(&office, "o1").await;
    endpoint.wait_for(1).await;
    browser.post(&office, "/auth/logout", json!({})).await;
    office.clock.advance_ms(5_000);
    weigh(&office, "o2").await;
    let ended = becomes(&office, &machine, "error").await;
    assert!(ended["error"].as_str().unwrap().contains("the session is over"), "{ended}");
    assert_eq!(endpoint.wait_for(1).await.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machines_subscription_goes_on_until_it_is_let_in_no_more() {
    let office = Office::open().await;
    ward(&office).await;
    let endpoint = Endpoint::open(&[200]).await;
    let running = start(&office, &endpoint);
    let key = Key::new();
    let mut jwk = key.jwk();
    (jwk["kid"], jwk["alg"], jwk["use"]) = (json!("k1"), json!("ES256"), json!("sig"));
    let scope = "system/Subscription.cruds system/Observation.rs";
    let metadata = json!({ "client_name": "Registry", "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"], "scope": scope, "jwks": { "keys": [jwk] } });
    let client = app(&office, metadata).await;
    // What was given up to the moment of a change ends with it: what follows comes later.
    office.clock.advance_ms(1);
    let now_s = office.clock.now().as_ms() / 1000;
    let claims = json!({ "iss": client, "sub": client, "aud": format!("{ORIGIN}/oauth/token"), "jti": "a1", "exp": now_s + 200 });
    let assertion = key.sign(&json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), &claims);
    let fields = [
        ("grant_type", "client_credentials"),
        ("scope", scope),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    let answer = post_form("/oauth/token", &fields).send(office.address).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let token = answer.value()["access_token"].as_str().unwrap().to_owned();
    let hook = hook(&endpoint);
    let stored = Ask::new("PUT", "/Subscription/s1").bearer(&token).json(hook.to_string()).send(office.address).await;
    assert_eq!(stored.status, 201, "{:?}", stored.body);
    let machine = office.token(Role::Integrator, false).await;
    becomes(&office, &machine, "active").await;

    // The token is long over.
    office.clock.advance_ms(3_600_000);
    assert_eq!(Ask::new("GET", "/Subscription/s1").bearer(&token).send(office.address).await.status, 401);
    weigh(&office, "o1").await;
    endpoint.wait_for(1).await;
    let told = office.entries();
    let told = told.iter().find(|entry| entry.detail.as_deref() == Some("notification of Subscription/s1")).unwrap();
    assert_eq!(told.agent.owner, format!("client:{client}"));

    let asked = Asked { origin: Origin { address: None, channel: Channel::Http }, operation: OperationId([3; 16]) };
    office.people.smart().revoke_client(&client, "somebody", asked).await.unwrap();
    office.clock.advance_ms(5_000);
    weigh(&office, "o2").await;
    let ended = becomes(&office, &machine, "error").await;
    assert!(ended["error"].as_str().unwrap().contains("what let its app in has ended"), "{ended}");
    assert_eq!(endpoint.wait_for(1).await.len(), 1);
    running.stop().await;
}
