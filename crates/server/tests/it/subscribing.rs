//! Notifications over real sockets: sent once they are in the ledger, again until they are taken, to nobody who is not allowed, and
//! with nothing of a patient unless the operator says so.

use crate::client::Ask;
use crate::vaulted::House;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tacet_ledger::EventKind;
use tacet_server::{Environment, Subscriptions, SubscriptionsConfig};
use tacet_types::{SystemClock, SystemRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A request that an endpoint got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    /// Method and target.
    line: String,
    /// The whole head, in lower case.
    head: String,
    body: String,
}

/// An endpoint that answers with these statuses in turn, and the last one from then on. 0: it says nothing.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Endpoint {
    pub(crate) async fn open(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let got = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers) = (Arc::clone(&got), answers.to_vec());
        tokio::spawn(async move {
            let mut silent = Vec::new();
            for turn in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let (head, body) = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let head = head.to_owned();
                        let length = head.to_lowercase();
                        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
                        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                            break (head, body.to_owned());
                        }
                    }
                    if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                        return;
                    }
                };
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                seen.lock().unwrap().push(Got { line, head: head.to_lowercase(), body });
                match answers[turn.min(answers.len() - 1)] {
                    0 => silent.push(stream),
                    status => {
                        let answer = format!(
                            "HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 4\r\n\r\nbody"
                        );
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                }
            }
        });
        Self { url, got }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Got> {
        until(|| self.got().len() >= count).await;
        self.got()
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come");
}

pub(crate) fn config(allowed: &[&str], payload: &[&str]) -> SubscriptionsConfig {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    SubscriptionsConfig {
        allowed: texts(allowed),
        payload_allowed: texts(payload),
        timeout_ms: 5_000,
        retry_first_ms: 2,
        retry_wait_ms_max: 10,
        attempts_max: 5,
        ..Default::default()
    }
}

pub(crate) fn start(house: &House, config: SubscriptionsConfig) -> Subscriptions {
    let environment = Environment { clock: Arc::new(SystemClock), rng: Arc::new(SystemRng) };
    Subscriptions::start(house.vault.clone(), config, &house.base_url, environment).unwrap()
}

pub(crate) fn hook(id: &str, endpoint: &str) -> Value {
    json!({"resourceType": "Subscription", "id": id, "status": "requested", "reason": "test", "criteria": "Observation?status=final",
        "channel": {"type": "rest-hook", "endpoint": endpoint, "header": ["X-Secret: s3cret"]}})
}

pub(crate) async fn subscribe(house: &House, id: &str, resource: &Value) {
    let put = Ask::new("PUT", &format!("/Subscription/{id}")).json(resource.to_string());
    let stored = house.ask(put).await;
    assert!(matches!(stored.status, 200 | 201), "{:?}", stored.body);
}

async fn status(house: &House, id: &str) -> Value {
    house.ask(Ask::new("GET", &format!("/Subscription/{id}"))).await.value()
}

/// Waits until a subscription has this status.
pub(crate) async fn becomes(house: &House, id: &str, wanted: &str) -> Value {
    for _ in 0..3000 {
        let now = status(house, id).await;
        if now["status"] == wanted {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not become {wanted}: {}", status(house, id).await);
}

pub(crate) async fn observe(house: &House, id: &str) {
    let body = json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "Kardiomyopathie"},
        "subject": {"reference": "Patient/255069938801226"}});
    assert_eq!(house.ask(Ask::new("PUT", &format!("/Observation/{id}")).json(body.to_string())).await.status, 201);
}

fn ledger(house: &House) -> Vec<tacet_ledger::Entry> {
    let size = house.vault.ledger_head().unwrap().map_or(0, |head| head.size());
    (0..size).map(|index| house.vault.ledger_entry(index).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_notification_tells_nothing_and_is_in_the_ledger() {
    let house = House::open().await;
    let endpoint = Endpoint::open(&[200]).await;
    let running = start(&house, config(&[&endpoint.url], &[]));
    subscribe(&house, "s1", &hook("s1", &format!("{}/hook?k=1", endpoint.url))).await;
    becomes(&house, "s1", "active").await;
    for id in ["o1", "o2"] {
        observe(&house, id).await;
    }
    let got = endpoint.wait_for(2).await;
    for got in &got {
        assert_eq!((got.line.as_str(), got.body.as_str()), ("POST /hook?k=1", ""));
        assert!(got.head.contains("x-secret: s3cret"), "{}", got.head);
        assert!(!got.head.contains("o1") && !got.head.contains("255069938801226"), "{}", got.head);
    }
    let told: Vec<_> = ledger(&house)
        .into_iter()
        .filter(|entry| entry.detail.as_deref() == Some("notification of Subscription/s1"))
        .collect();
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].kind, told[0].agent.owner.as_str()), (EventKind::Search, "Dr Test"));
    assert_eq!(told[0].records[0].id.as_str(), "o1");
    running.stop().await;
    // What comes while nothing runs is sent after the next start.
    observe(&house, "o3").await;
    let running = start(&house, config(&[&endpoint.url], &[]));
    endpoint.wait_for(3).await;
    running.stop().await;
    assert_eq!(endpoint.got().len(), 3, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_sent_again_and_given_up_in_the_end() {
    let house = House::open().await;
    let (flaky, gone, moved) =
        (Endpoint::open(&[500, 503, 200]).await, Endpoint::open(&[500]).await, Endpoint::open(&[302]).await);
    let running = start(&house, config(&[&flaky.url, &gone.url, &moved.url], &[]));
    for (id, endpoint) in [("flaky", &flaky), ("gone", &gone), ("moved", &moved)] {
        subscribe(&house, id, &hook(id, &endpoint.url)).await;
        becomes(&house, id, "active").await;
    }
    observe(&house, "o1").await;
    flaky.wait_for(3).await;
    for (id, status) in [("gone", "500"), ("moved", "302")] {
        let ended = becomes(&house, id, "error").await;
        let text = ended["error"].as_str().unwrap();
        assert!(text.contains("in 5 attempts") && text.contains(status) && !text.contains("127.0.0.1"), "{text}");
    }
    assert_eq!((gone.got().len(), moved.got().len()), (5, 5), "a redirect is not followed");
    let attempts = ledger(&house)
        .into_iter()
        .filter(|entry| entry.detail.as_deref() == Some("notification of Subscription/flaky"))
        .count();
    assert_eq!(attempts, 3, "each attempt is in the ledger");
    observe(&house, "o2").await;
    flaky.wait_for(4).await;
    assert_eq!(status(&house, "flaky").await["status"], "active");
    running.stop().await;
    assert_eq!((flaky.got().len(), gone.got().len()), (4, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_endpoint_delays_nobody_else() {
    let house = House::open().await;
    let (silent, quick) = (Endpoint::open(&[0]).await, Endpoint::open(&[204]).await);
    let patient = SubscriptionsConfig { timeout_ms: 3_600_000, ..config(&[&silent.url, &quick.url], &[]) };
    let running = start(&house, patient);
    for (id, endpoint) in [("silent", &silent), ("quick", &quick)] {
        subscribe(&house, id, &hook(id, &endpoint.url)).await;
        becomes(&house, id, "active").await;
    }
    for id in ["o1", "o2", "o3"] {
        observe(&house, id).await;
    }
    quick.wait_for(3).await;
    assert_eq!(silent.wait_for(1).await.len(), 1, "in order: the second waits for the first");
    running.stop().await;
    // One that does not answer in time is tried again.
    let impatient = SubscriptionsConfig { timeout_ms: 20, ..config(&[&silent.url, &quick.url], &[]) };
    let running = start(&house, impatient);
    let ended = becomes(&house, "silent", "error").await;
    assert!(ended["error"].as_str().unwrap().contains("in time"), "{ended}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_ends_in_an_error_that_says_what_to_set() {
    let house = House::open().await;
    let endpoint = Endpoint::open(&[200]).await;
    let running = start(&house, config(&[&format!("{}/hooks", endpoint.url)], &[]));
    let mut payload = hook("payload", &format!("{}/hooks", endpoint.url));
    payload["channel"]["payload"] = "application/fhir+json".into();
    let mut chained = hook("chained", &format!("{}/hooks", endpoint.url));
    chained["criteria"] = "Observation?subject:Patient.name=x".into();
    let mut ended = hook("ended", &format!("{}/hooks", endpoint.url));
    ended["end"] = "2020-01-01T00:00:00Z".into();
    for (id, resource, words) in [
        ("elsewhere", &hook("elsewhere", &format!("{}/other", endpoint.url)), "`allowed`"),
        ("payload", &payload, "`payload_allowed`"),
        ("chained", &chained, "chains"),
    ] {
        subscribe(&house, id, resource).await;
        let refused = becomes(&house, id, "error").await;
        assert!(refused["error"].as_str().unwrap().contains(words), "{refused}");
        assert_eq!(refused["meta"]["versionId"], "2");
    }
    subscribe(&house, "ended", &ended).await;
    becomes(&house, "ended", "off").await;
    observe(&house, "o1").await;
    running.stop().await;
    // Nothing is allowed where the operator says nothing.
    let running = start(&house, SubscriptionsConfig::default());
    subscribe(&house, "none", &hook("none", &endpoint.url)).await;
    assert!(becomes(&house, "none", "error").await["error"].as_str().unwrap().contains("`allowed`"));
    running.stop().await;
    assert!(endpoint.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_a_disclosure() {
    let house = House::open().await;
    let endpoint = Endpoint::open(&[201]).await;
    let running = start(&house, config(&[&endpoint.url], &[&endpoint.url]));
    let mut resource = hook("s1", &format!("{}/in", endpoint.url));
    resource["channel"]["payload"] = "application/fhir+json".into();
    subscribe(&house, "s1", &resource).await;
    becomes(&house, "s1", "active").await;
    observe(&house, "o1").await;
    let got = endpoint.wait_for(1).await.remove(0);
    assert_eq!(got.line, "PUT /in/Observation/o1");
    assert!(got.head.contains("content-type: application/fhir+json"), "{}", got.head);
    let sent: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((&sent["id"], &sent["meta"]["versionId"]), (&json!("o1"), &json!("1")));
    let entry = ledger(&house).into_iter().rfind(|entry| entry.kind == EventKind::Vread).unwrap();
    assert_eq!((entry.agent.owner.as_str(), entry.records[0].id.as_str()), ("Dr Test", "o1"));
    assert_eq!(entry.query.as_deref(), Some("Observation?status=final"));
    assert_eq!(entry.patient.unwrap().1.as_str(), "255069938801226");
    running.stop().await;
}

const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

fn topic(house: &House, id: &str, endpoint: &str, content: &str) -> Value {
    let mut resource = hook(id, endpoint);
    resource["criteria"] = format!("{}/SubscriptionTopic/Observation", house.base_url).into();
    resource["_criteria"] = json!({"extension": [{"url": format!("{BACKPORT}backport-filter-criteria"), "valueString": "Observation?status=final"}]});
    resource["channel"]["payload"] = "application/fhir+json".into();
    resource["channel"]["_payload"] =
        json!({"extension": [{"url": format!("{BACKPORT}backport-payload-content"), "valueCode": content}]});
    resource["channel"]["extension"] =
        json!([{"url": format!("{BACKPORT}backport-heartbeat-period"), "valueUnsignedInt": 1}]);
    resource
}

/// A part of the status in a notification.
fn said<'a>(bundle: &'a Value, name: &str) -> &'a Value {
    let parameters = bundle["entry"][0]["resource"]["parameter"].as_array().unwrap();
    parameters.iter().find(|parameter| parameter["name"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_the_backport() {
    for (content, entries) in [("empty", 1), ("id-only", 2), ("full-resource", 2)] {
        let house = House::open().await;
        let endpoint = Endpoint::open(&[200]).await;
        let running = start(&house, config(&[&endpoint.url], &[&endpoint.url]));
        subscribe(&house, "s1", &topic(&house, "s1", &endpoint.url, content)).await;
        becomes(&house, "s1", "active").await;
        observe(&house, "o1").await;
        observe(&house, "o2").await;
        let kind = |got: &Got| {
            let bundle: Value = serde_json::from_str(&got.body).unwrap();
            assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("history")));
            crate::errors::is_valid(got.body.as_bytes());
            said(&bundle, "type")["valueCode"].as_str().unwrap().to_owned()
        };
        let all = || endpoint.got().iter().map(kind).collect::<Vec<_>>();
        until(|| all().iter().filter(|kind| *kind == "event-notification").count() == 2).await;
        until(|| all().last().is_some_and(|kind| kind == "heartbeat")).await;
        running.stop().await;
        let got = endpoint.got();
        assert_eq!(all()[0], "handshake");
        let bundles: Vec<Value> = got.iter().map(|got| serde_json::from_str(&got.body).unwrap()).collect();
        assert_eq!(said(&bundles[0], "status")["valueCode"], "requested");
        assert_eq!(said(bundles.last().unwrap(), "events-since-subscription-start")["valueString"], "2");
        let events: Vec<&Value> =
            bundles.iter().filter(|bundle| said(bundle, "type")["valueCode"] == "event-notification").collect();
        for (bundle, number) in events.iter().zip(1..) {
            assert_eq!(bundle["entry"].as_array().unwrap().len(), entries, "{content}");
            assert_eq!(said(bundle, "notification-event")["part"][0]["valueString"], number.to_string());
            assert_eq!(
                said(bundle, "subscription")["valueReference"]["reference"],
                format!("{}/Subscription/s1", house.base_url)
            );
            let text = bundle.to_string();
            assert_eq!(text.contains(&format!("Observation/o{number}")), content != "empty", "{text}");
            assert_eq!(text.contains("Kardiomyopathie"), content == "full-resource", "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_need_the_operator_too() {
    let house = House::open().await;
    let endpoint = Endpoint::open(&[200]).await;
    let running = start(&house, config(&[&endpoint.url], &[]));
    subscribe(&house, "s1", &topic(&house, "s1", &endpoint.url, "id-only")).await;
    assert!(becomes(&house, "s1", "error").await["error"].as_str().unwrap().contains("`payload_allowed`"));
    running.stop().await;
    assert!(endpoint.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_records_and_endpoints_is_logged() {
    crate::logs::capture();
    let house = House::open().await;
    let endpoint = Endpoint::open(&[500]).await;
    let running = start(&house, config(&[&endpoint.url], &[&endpoint.url]));
    let mut resource = hook("secret-subscription", &format!("{}/Kranke?who=Beaumont", endpoint.url));
    resource["channel"]["payload"] = "application/fhir+json".into();
    subscribe(&house, "secret-subscription", &resource).await;
    becomes(&house, "secret-subscription", "active").await;
    observe(&house, "secret-observation").await;
    becomes(&house, "secret-subscription", "error").await;
    running.stop().await;
    let lines = crate::logs::lines();
    assert!(lines.contains("a notification was not taken") && lines.contains("a subscription has ended"));
    for line in lines.lines().filter(|line| line.contains("tacet") || !line.starts_with("TRACE")) {
        for word in ["secret-", "s3cret", "Kranke", "Beaumont", "Kardiomyopathie", "255069938801226"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_endpoints_are_held_to_the_operators_authorities() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, made.cert.pem()).unwrap();
    let mut urls = Vec::new();
    let got = Arc::new(Mutex::new(0));
    for signed in [&made, &other] {
        let key = rustls_pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![signed.cert.der().clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        urls.push(format!("https://localhost:{}/hook", listener.local_addr().unwrap().port()));
        let got = Arc::clone(&got);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut bytes = vec![0; 4096];
                let length = stream.read(&mut bytes).await.unwrap();
                assert!(bytes[..length].starts_with(b"POST /hook HTTP/1.1\r\n"));
                *got.lock().unwrap() += 1;
                let _ = stream.write_all(b"HTTP/1.1 204 X\r\n\r\n").await;
                let _ = stream.flush().await;
            }
        });
    }
    let allowed: Vec<&str> = urls.iter().map(String::as_str).collect();
    let house = House::open().await;
    let environment = Environment { clock: Arc::new(SystemClock), rng: Arc::new(SystemRng) };
    let without = Subscriptions::start(house.vault.clone(), config(&allowed, &[]), &house.base_url, environment);
    assert!(without.err().unwrap().to_string().contains("`roots`"));
    let running = start(&house, SubscriptionsConfig { roots: Some(roots), ..config(&allowed, &[]) });
    for (id, url) in ["known", "unknown"].into_iter().zip(&urls) {
        subscribe(&house, id, &hook(id, url)).await;
        becomes(&house, id, "active").await;
    }
    observe(&house, "o1").await;
    until(|| *got.lock().unwrap() == 1).await;
    assert!(becomes(&house, "unknown", "error").await["error"].as_str().unwrap().contains("certificate"));
    assert_eq!(*got.lock().unwrap(), 1, "who is not known gets nothing");
    running.stop().await;
}
