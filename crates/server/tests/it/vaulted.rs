//! The server before the real vault, on an engine in memory: what a client sends comes back as it was, each answer has its
//! entry in the ledger, and where the ledger cannot write nothing is shown.

use crate::client::{Answer, Ask};
use crate::running::config;
use std::net::SocketAddr;
use std::sync::Arc;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{InProcessKeeper, KeeperLimits, SecureRng};
use tacet_server::{Environment, Server};
use tacet_store::StoreOptions;
use tacet_store::memory::{Disk, Effect, Faults, MemoryEngine, Operation};
use tacet_types::{Clock, OperationId, SystemClock};
use tacet_vault::{Caller, Limits, Role, Vault, VaultOptions};

pub(crate) struct House {
    pub(crate) vault: Vault,
    faults: Faults,
    pub(crate) address: SocketAddr,
    pub(crate) base_url: String,
    /// Of a clinician.
    token: String,
    _folder: tempfile::TempDir,
}

/// Who keeps the machine.
pub(crate) fn operator() -> Caller {
    let origin = Origin { address: None, channel: Channel::CommandLine };
    Caller::new("operator", Role::Operator, PurposeOfUse::SystemAdministration, origin, OperationId::random(&SecureRng))
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_at(Arc::new(SystemClock)).await
    }

    /// A server whose time is a test's. Tokens are good for longer than a copy is kept.
    pub(crate) async fn open_at(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, cost) = (folder.path().join("root.key"), PassphraseCost::DANGEROUSLY_CHEAP);
        let (root, _) =
            RootFile::create(&path, "correct horse battery staple", Split::DEFAULT, cost, &SecureRng).unwrap();
        let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
        let keeper = InProcessKeeper::new(root.keys(), Arc::clone(&clock), Arc::new(SecureRng), limits);
        let faults = Faults::default();
        let engine = Arc::new(MemoryEngine::open(&Disk::default(), faults.clone()));
        let options = VaultOptions {
            clock: Arc::clone(&clock),
            rng: Arc::new(SecureRng),
            limits: Limits::default(),
            store: StoreOptions::default(),
            index: Some(tacet_vault::IndexSettings::default()),
            access: None,
        };
        let operator = operator();
        let vault = Vault::initialize(engine, Arc::new(keeper), options, &operator).await.unwrap();
        let until = clock.now().plus_ms(40 * 86_400_000);
        let (_, secret) = vault.create_token(&operator, "Dr Test", Role::Clinician, until).await.unwrap();
        let token = secret.reveal().to_owned();
        let environment = Environment { clock, rng: Arc::new(SecureRng) };
        let server = Server::bind(config(), vault.clone(), environment).await.unwrap();
        let (address, base_url) = (server.local_addr(), server.base_url().to_owned());
        tokio::spawn(server.run(std::future::pending()));
        Self { vault, faults, address, base_url, token, _folder: folder }
    }

    /// A token of another role.
    pub(crate) async fn token_of(&self, role: Role) -> String {
        let operator = operator();
        let until = SystemClock.now().plus_ms(3_600_000);
        self.vault.create_token(&operator, "another", role, until).await.unwrap().1.reveal().to_owned()
    }

    /// Lets the vault keep copies here.
    pub(crate) async fn keep_copies_in(&self, directory: &std::path::Path) {
        let keeper = operator();
        self.vault.keep_copies_in(directory, &keeper).await.unwrap();
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        ask.bearer(&self.token).send(self.address).await
    }

    pub(crate) fn entries(&self, answer: &Answer) -> Vec<tacet_ledger::Entry> {
        let operation = answer.header("x-request-id").unwrap();
        let size = self.vault.ledger_head().unwrap().map_or(0, |head| head.size());
        let entries = (0..size).map(|index| self.vault.ledger_entry(index).unwrap());
        entries.filter(|entry| entry.operation.to_string() == operation).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_comes_back_and_is_written_down() {
    let house = House::open().await;
    let sent = r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"Körpergewicht"},"valueQuantity":{"value":71.50,"unit":"kg"}}"#;
    let stored = house.ask(Ask::new("PUT", "/Observation/o1").json(sent)).await;
    assert_eq!(stored.status, 201, "{:?}", stored.body);
    let read = house.ask(Ask::new("GET", "/Observation/o1")).await;
    assert_eq!((read.status, &read.body), (200, &stored.body));
    let text = std::str::from_utf8(&read.body).unwrap();
    assert!(text.contains(r#""value":71.50,"#) && text.contains("Körpergewicht"), "{text}");
    crate::errors::is_valid(&read.body);
    for answer in [&stored, &read] {
        let entries = house.entries(answer);
        assert_eq!(entries.len(), 1, "one entry for each answer");
        assert_eq!(entries[0].agent.owner, "Dr Test");
    }

    let unchanged = house.ask(Ask::new("GET", "/Observation/o1").header("if-none-match", "W/\"1\"")).await;
    assert_eq!((unchanged.status, house.entries(&unchanged).len()), (304, 1), "saying `unchanged` discloses too");
    let stale = house.ask(Ask::new("PUT", "/Observation/o1").header("if-match", "W/\"9\"").json(sent)).await;
    stale.is_refusal(412, "conflict");
    let wrong = house.ask(Ask::new("PUT", "/Observation/o1").json(sent.replace("final", "nonsense"))).await;
    assert_eq!(wrong.status, 422, "{:?}", wrong.body);
    crate::errors::is_valid(&wrong.body);
    house.ask(Ask::new("PUT", "/Observation/o1").json("{")).await.is_refusal(400, "structure");
    house
        .ask(Ask::new("PUT", "/Observation/o2").json(&br#"{"resourceType":"Patient","id":"o2"}"#[..]))
        .await
        .is_refusal(400, "invalid");

    assert_eq!(house.ask(Ask::new("DELETE", "/Observation/o1")).await.status, 204);
    house.ask(Ask::new("GET", "/Observation/o1")).await.is_refusal(410, "deleted");
    let history = house.ask(Ask::new("GET", "/Observation/o1/_history")).await;
    crate::errors::is_valid(&history.body);
    let methods: Vec<_> =
        history.value()["entry"].as_array().unwrap().iter().map(|e| e["request"]["method"].clone()).collect();
    assert_eq!(methods, ["DELETE", "PUT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_makes_a_patient_whole() {
    let house = House::open().await;
    let bundle = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a","resource":{"resourceType":"Patient","active":true},
         "request":{"method":"POST","url":"Patient"}},
        {"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},
          "subject":{"reference":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}},
         "request":{"method":"POST","url":"Observation"}}]}"#;
    let answer = house.ask(Ask::new("POST", "/").json(bundle)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    crate::errors::is_valid(&answer.body);
    let location = answer.value()["entry"][0]["response"]["location"].as_str().unwrap().to_owned();
    let path = location.strip_prefix(&house.base_url).unwrap_or(&location).trim_start_matches('/').to_owned();
    let patient = path.split('/').nth(1).unwrap();

    let mut next = Some(format!("/Patient/{patient}/$everything?_count=1"));
    let mut types = Vec::new();
    while let Some(path) = next {
        let page = house.ask(Ask::new("GET", &path)).await;
        assert_eq!(page.status, 200, "{:?}", page.body);
        crate::errors::is_valid(&page.body);
        let page = page.value();
        for entry in page["entry"].as_array().into_iter().flatten() {
            types.push(entry["resource"]["resourceType"].as_str().unwrap().to_owned());
        }
        assert!(types.len() <= 2, "{types:?}");
        let link = page["link"].get(1).map(|link| link["url"].as_str().unwrap());
        next = link.map(|url| url.strip_prefix(&house.base_url).unwrap().to_owned());
    }
    types.sort();
    assert_eq!(types, ["Observation", "Patient"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_nothing_is_shown() {
    let house = House::open().await;
    let sent = r#"{"resourceType":"Patient","id":"p1","name":[{"family":"Amieeplanted"}]}"#;
    assert_eq!(house.ask(Ask::new("PUT", "/Patient/p1").json(sent)).await.status, 201);
    assert_eq!(house.ask(Ask::new("GET", "/Patient/p1")).await.status, 200);
    house.faults.inject(Operation::Sync, 0, Effect::Fail);
    for _ in 0..2 {
        let refused = house.ask(Ask::new("GET", "/Patient/p1")).await;
        refused.is_refusal(503, "transient");
        assert!(!String::from_utf8_lossy(&refused.body).contains("Amiee"));
    }
    let health = Ask::new("GET", "/health").send(house.address).await;
    assert_eq!(health.status, 503, "and health says so");
}

/// A client that names the patient by the server's own URL once put the record out of the patient's reach.
#[tokio::test(flavor = "multi_thread")]
async fn references_by_the_servers_own_url_are_the_patients() {
    let house = House::open().await;
    let patient = house.ask(Ask::new("PUT", "/Patient/p1").json(r#"{"resourceType":"Patient","id":"p1"}"#)).await;
    assert_eq!(patient.status, 201);
    let body = format!(
        r#"{{"resourceType":"Observation","id":"o1","status":"final","code":{{"text":"x"}},"subject":{{"reference":"{}/Patient/p1"}}}}"#,
        house.base_url
    );
    assert_eq!(house.ask(Ask::new("PUT", "/Observation/o1").json(body.clone())).await.status, 201);
    assert_eq!(house.ask(Ask::new("POST", "/Observation").json(body)).await.status, 201);
    let page = house.ask(Ask::new("GET", "/Patient/p1/$everything")).await;
    assert_eq!(page.value()["entry"].as_array().unwrap().len(), 3, "{:?}", page.body);
}
