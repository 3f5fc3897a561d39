//! The published ledger over HTTP: its files, a witness that is asked, and what a witness says that stops disclosures.

use crate::client::Ask;
use crate::running::config;
use crate::vaulted::House;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tacet_seal::SecureRng;
use tacet_server::{
    Environment, LedgerConfig, OutgoingConfig, Publisher, Server, WitnessBook, WitnessConfig, WitnessServer,
};
use tacet_tlog::cosignature::{cosign, cosignatures};
use tacet_tlog::derive::{LogFiles, Trusted, verify_files};
use tacet_tlog::merkle::leaf_hash;
use tacet_tlog::note::SignatureType;
use tacet_tlog::tile::{Resource, resources};
use tacet_tlog::witness::{AddCheckpoint, Refusal, Seen};
use tacet_tlog::{SignerKey, VerifierKey};
use tacet_types::{Clock, SystemClock};
use tacet_vault::{Halt, Role};

/// A witness that forgets when the test ends.
struct Book {
    key: SignerKey,
    logs: Vec<VerifierKey>,
    seen: Mutex<Option<Seen>>,
    /// How far its clock is ahead, in seconds.
    ahead_s: AtomicU64,
}

impl WitnessBook for Book {
    fn add_checkpoint(&self, body: &[u8]) -> Result<String, Option<Refusal>> {
        let request = AddCheckpoint::parse(body).map_err(Some)?;
        let mut seen = self.seen.lock().unwrap();
        let now = request.decide(&self.logs, seen.as_ref()).map_err(Some)?;
        *seen = Some(now);
        let now_s = SystemClock.now().as_ms() as u64 / 1000 + self.ahead_s.load(Ordering::Relaxed);
        Ok(format!("{}\n", cosign(&self.key, &request.checkpoint, now_s).unwrap()))
    }
}

struct Witnessed {
    house: House,
    book: Arc<Book>,
    address: SocketAddr,
}

impl Witnessed {
    async fn open() -> Self {
        let house = House::open().await;
        let logs = house.vault.name_log(Some("hospital.example/_ledger/log")).unwrap().1;
        let key = SignerKey::generate("w.example", SignatureType::CosignatureEd25519, &SecureRng).unwrap();
        let book = Arc::new(Book { key, logs, seen: Mutex::new(None), ahead_s: AtomicU64::new(0) });
        let shared = Arc::clone(&book) as Arc<dyn WitnessBook>;
        let witness = WitnessServer::bind("127.0.0.1:0".parse().unwrap(), None, shared).await.unwrap();
        let address = witness.local_addr().unwrap();
        tokio::spawn(witness.run(std::future::pending()));
        Self { house, book, address }
    }

    fn config(&self) -> (LedgerConfig, OutgoingConfig) {
        let key = self.book.key.verifier().to_string();
        let witnesses = vec![WitnessConfig { url: format!("http://{}", self.address), key }];
        // Rounds after the first would come in the way of what is looked at.
        let ledger = LedgerConfig { witnesses, publish_seconds: 3600, ..LedgerConfig::default() };
        (ledger, OutgoingConfig { hosts: vec![self.address.to_string()], ..OutgoingConfig::default() })
    }

    /// One round of publishing and asking.
    async fn round(&self) {
        let (ledger, outgoing) = self.config();
        self.round_with(&ledger, &outgoing).await;
    }

    async fn round_with(&self, ledger: &LedgerConfig, outgoing: &OutgoingConfig) {
        let environment = Environment { clock: Arc::new(SystemClock), rng: Arc::new(SecureRng) };
        let publisher = Publisher::start(self.house.vault.clone(), ledger, outgoing, &environment).await.unwrap();
        publisher.stop().await;
    }
}

/// Files that were fetched.
struct Fetched(std::collections::BTreeMap<String, Vec<u8>>);

impl LogFiles for Fetched {
    type Error = std::convert::Infallible;

    fn read(&mut self, resource: &Resource, _: usize) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.0.get(&resource.to_string()).cloned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_cosigned_fetched_and_verified() {
    let site = Witnessed::open().await;
    for number in 0..300 {
        let body = format!(r#"{{"resourceType":"Basic","id":"b{number}","code":{{"text":"x"}}}}"#);
        let stored = site.house.ask(Ask::new("PUT", &format!("/Basic/b{number}")).json(body)).await;
        assert_eq!(stored.status, 201, "{:?}", stored.body);
    }
    site.round().await;
    let signed = site.house.vault.checkpoint().unwrap().unwrap();
    let keys = [site.book.key.verifier()];
    assert_eq!(cosignatures(&signed, &keys).unwrap().len(), 1);
    assert_eq!(site.house.vault.log_figures().witnesses, 1);
    assert_eq!(site.house.vault.cosigned_checkpoint().unwrap().as_ref(), Some(&signed));

    let environment = Environment { clock: Arc::new(SystemClock), rng: Arc::new(SecureRng) };
    let public = Server::bind(config(), site.house.vault.clone(), environment).await.unwrap().with_public_log(true);
    let open = public.local_addr();
    tokio::spawn(public.run(std::future::pending()));
    let (auditor, path) = (site.house.token_of(Role::Auditor).await, "/_ledger/log/checkpoint");
    assert_eq!(Ask::get(path).send(site.house.address).await.status, 401);
    assert_eq!(site.house.ask(Ask::get(path)).await.status, 403, "who reads records does not read the ledger");
    let answer = Ask::get(path).bearer(&auditor).send(site.house.address).await;
    assert_eq!((answer.status, &answer.body[..]), (200, signed.encode().as_bytes()));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));

    let mut fetched = Fetched(Default::default());
    let all = std::iter::once(Resource::Checkpoint).chain(resources(signed.checkpoint().size()));
    for resource in all {
        let answer = Ask::get(&format!("/_ledger/log/{resource}")).send(open).await;
        assert_eq!(answer.status, 200, "{resource}");
        if resource != Resource::Checkpoint {
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        }
        fetched.0.insert(resource.to_string(), answer.body.to_vec());
    }
    let trusted =
        Trusted { log: site.book.logs.clone(), witnesses: keys.to_vec(), cosignatures_min: 1, ..Trusted::default() };
    let derived = verify_files(&mut fetched, &trusted, &mut |_, _| ()).unwrap();
    assert_eq!(derived.checkpoint.size(), signed.checkpoint().size());
    for absent in ["tile/0/009", "tile/0/1", "tile/entries/000.p/300", "tile/../checkpoint"] {
        assert_eq!(Ask::get(&format!("/_ledger/log/{absent}")).send(open).await.status, 404, "{absent}");
    }
    assert_eq!(Ask::new("POST", path).send(open).await.status, 405);
    assert_eq!(Ask::get("/Basic/b1").send(open).await.status, 401, "nothing else is open");
    let nobody = Ask::get("/nothing").send(site.address).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_has_seen_more_or_otherwise_stops_disclosures() {
    for (seen_otherwise, size) in [(false, 1_000_000), (true, 1)] {
        let site = Witnessed::open().await;
        let stored = r#"{"resourceType":"Basic","id":"b","code":{"text":"x"}}"#;
        assert_eq!(site.house.ask(Ask::new("PUT", "/Basic/b").json(stored)).await.status, 201);
        site.round().await;
        assert_eq!(site.house.ask(Ask::get("/Basic/b")).await.status, 200);
        *site.book.seen.lock().unwrap() = Some(Seen { size, root: leaf_hash(b"another history") });
        site.round().await;
        let halt = site.house.vault.halted();
        match seen_otherwise {
            false => assert!(matches!(halt, Some(Halt::Ahead { seen: 1_000_000, .. })), "{halt:?}"),
            true => assert!(matches!(halt, Some(Halt::Disputed { .. })), "{halt:?}"),
        }
        let refused = site.house.ask(Ask::get("/Basic/b")).await;
        assert_eq!(refused.status, 503);
        let text = String::from_utf8(refused.body.to_vec()).unwrap();
        assert!(text.contains("w.example") && text.contains("ledger"), "{text}");
        assert_eq!(site.house.entries(&refused).len(), 1, "the attempt is written down");
        assert_eq!(Ask::get("/health").send(site.house.address).await.status, 503);
        assert_eq!(site.house.ask(Ask::new("PUT", "/Basic/b").json(stored)).await.status, 200, "changes are taken");
        // It is not taken back by silence, nor by a witness of the same name: only by who said it, once it was told what happened.
        site.round_with(&LedgerConfig { publish_seconds: 3600, ..LedgerConfig::default() }, &Default::default()).await;
        assert_eq!(site.house.ask(Ask::get("/Basic/b")).await.status, 503);
        *site.book.seen.lock().unwrap() = None;
        site.round().await;
        assert_eq!(site.house.vault.halted(), None);
        assert_eq!(site.house.ask(Ask::get("/Basic/b")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_that_are_silent_stop_disclosures_only_where_that_is_asked() {
    let site = Witnessed::open().await;
    let stored = r#"{"resourceType":"Basic","id":"b","code":{"text":"x"}}"#;
    assert_eq!(site.house.ask(Ask::new("PUT", "/Basic/b").json(stored)).await.status, 201);
    let (ledger, outgoing) = site.config();
    // A host that is not listed is not asked.
    let nowhere = OutgoingConfig::default();
    site.round_with(&ledger, &nowhere).await;
    assert_eq!(site.house.ask(Ask::get("/Basic/b")).await.status, 200);
    let strict = LedgerConfig { require_witnesses: true, ..ledger };
    site.round_with(&strict, &nowhere).await;
    assert_eq!(site.house.vault.halted(), Some(Halt::Unwitnessed));
    assert_eq!(site.house.ask(Ask::get("/Basic/b")).await.status, 503);
    // A clock that is ahead would have the witness count long after it fell silent.
    site.book.ahead_s.store(86_400, Ordering::Relaxed);
    site.round_with(&strict, &outgoing).await;
    assert_eq!(site.house.vault.halted(), Some(Halt::Unwitnessed));
    site.book.ahead_s.store(0, Ordering::Relaxed);
    site.round_with(&strict, &outgoing).await;
    assert_eq!(site.house.vault.halted(), None);
    assert_eq!(site.house.ask(Ask::get("/Basic/b")).await.status, 200);
    // What cannot be kept is refused at the start.
    let environment = Environment { clock: Arc::new(SystemClock), rng: Arc::new(SecureRng) };
    for quorum in [0, 2] {
        let wrong = LedgerConfig { quorum, ..strict.clone() };
        assert!(Publisher::start(site.house.vault.clone(), &wrong, &outgoing, &environment).await.is_err());
    }
    let renamed = LedgerConfig { origin: Some("other.example".to_owned()), ..strict };
    assert!(Publisher::start(site.house.vault.clone(), &renamed, &outgoing, &environment).await.is_err());
}
