//! Feeds to receivers outside: a receiver that is killed and comes back has every entry, in order, and learns of no patient.

use crate::client::Ask;
use crate::vaulted::{House, operator};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tacet_seal::SecureRng;
use tacet_server::{AuditFeedConfig, AuditFeedForm, AuditFeedPatients, AuditFeedStart, AuditFeeds, Environment};
use tacet_types::SystemClock;
use tacet_vault::{EventKind, Outcome, Vault};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Longest wait for something that must come, in tenths of a second.
const PATIENCE: usize = 600;

/// What a receiver took: the lines of each connection.
type Taken = Arc<Mutex<Vec<Vec<String>>>>;

struct Receiver {
    task: JoinHandle<()>,
    taken: Taken,
}

struct Identity {
    acceptor: TlsAcceptor,
    roots: PathBuf,
}

fn identity(folder: &Path) -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let roots = folder.join("receiver.pem");
    std::fs::write(&roots, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Identity { acceptor: TlsAcceptor::from(Arc::new(config)), roots }
}

impl Receiver {
    /// Listens here, and takes lines; dies with the connection after `lives` lines of it, if that is said.
    async fn listen(address: SocketAddr, acceptor: TlsAcceptor, lives: Option<usize>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let taken = Taken::default();
        let task = tokio::spawn({
            let taken = Arc::clone(&taken);
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let Ok(stream) = acceptor.accept(stream).await else { continue };
                    taken.lock().unwrap().push(Vec::new());
                    let mut reader = BufReader::with_capacity(512, stream);
                    let mut line = String::new();
                    while reader.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
                        let line = std::mem::take(&mut line);
                        let mut taken = taken.lock().unwrap();
                        let connection = taken.last_mut().unwrap();
                        connection.push(line);
                        if lives.is_some_and(|lives| connection.len() >= lives) {
                            // Killed: what it had not read is gone with it.
                            return;
                        }
                    }
                    // It has read to the end, and says that it has.
                    let _ = reader.get_mut().shutdown().await;
                }
            }
        });
        Self { task, taken }
    }

    fn numbers(&self) -> Vec<Vec<u64>> {
        let taken = self.taken.lock().unwrap();
        let number =
            |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["index"].as_u64().unwrap();
        taken.iter().map(|connection| connection.iter().map(number).collect()).collect()
    }

    async fn has(&self, number: u64) {
        for _ in 0..PATIENCE {
            if self.numbers().iter().flatten().any(|taken| *taken == number) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("entry {number} did not come: {:?}", self.numbers().iter().map(Vec::len).collect::<Vec<_>>());
    }
}

fn feeds(vault: &Vault, config: AuditFeedConfig) -> AuditFeeds {
    let environment = Environment { clock: Arc::new(SystemClock), rng: Arc::new(SecureRng) };
    let feeds = BTreeMap::from([("siem".to_owned(), config)]);
    AuditFeeds::start(vault, &feeds, "https://tacet.example", &environment, &operator()).unwrap()
}

async fn write(vault: &Vault, entries: usize) -> u64 {
    for _ in 0..entries {
        vault.note(&operator(), EventKind::Check, Outcome::Success).await.unwrap();
    }
    size(vault) - 1
}

fn size(vault: &Vault) -> u64 {
    vault.ledger_head().unwrap().unwrap().size()
}

/// What the ledger says of the feed.
fn said(vault: &Vault) -> Vec<String> {
    let entries = (0..size(vault)).map(|index| vault.ledger_entry(index).unwrap());
    let details = entries.filter(|entry| entry.kind == EventKind::LedgerAccess).filter_map(|entry| entry.detail);
    details.filter(|detail| detail.starts_with("audit feed siem")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_killed_has_every_entry_in_order() {
    let house = House::open().await;
    let folder = tempfile::tempdir().unwrap();
    let identity = identity(folder.path());
    let patient = r#"{"resourceType":"Patient","id":"patient-77","name":[{"family":"Amieeplanted"}]}"#;
    assert_eq!(house.ask(Ask::new("PUT", "/Patient/patient-77").json(patient)).await.status, 201);
    assert_eq!(house.ask(Ask::new("GET", "/Patient?family=Amieeplanted")).await.status, 200);
    write(&house.vault, 300).await;
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    drop(first);
    let config = AuditFeedConfig {
        roots: Some(identity.roots.clone()),
        start: AuditFeedStart::Beginning,
        settle_ms: 700,
        retry_first_ms: 50,
        retry_wait_ms_max: 400,
        ..AuditFeedConfig::to(&format!("localhost:{}", address.port()), AuditFeedForm::Json)
    };

    // It reads a part, and is killed with what it has not read.
    let one = Receiver::listen(address, identity.acceptor.clone(), Some(50)).await;
    let running = feeds(&house.vault, config.clone());
    one.has(49).await;
    one.task.abort();
    let of_first = one.numbers();
    // Nobody is there: the ledger goes on, and so does the store.
    write(&house.vault, 200).await;
    for _ in 0..PATIENCE {
        if running.figures()[0].breaks() >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let figures = &running.figures()[0];
    assert!(figures.breaks() >= 3 && !figures.is_connected() && figures.next() < 300, "{figures:?}");

    // It comes back.
    let two = Receiver::listen(address, identity.acceptor.clone(), None).await;
    let last = write(&house.vault, 100).await;
    two.has(last).await;
    let of_second = two.numbers();
    let mut all: BTreeSet<u64> = BTreeSet::new();
    for connection in of_first.iter().chain(&of_second) {
        assert!(connection.windows(2).all(|pair| pair[1] == pair[0] + 1), "in order, without a gap");
        if let Some(begin) = connection.first() {
            assert!(all.contains(begin) || all.len() as u64 == *begin, "nothing is left out between connections");
        }
        all.extend(connection);
    }
    assert!((0..=last).all(|number| all.contains(&number)), "every entry");

    // What it is told of patients.
    let text = two.taken.lock().unwrap().concat().join("\n") + &one.taken.lock().unwrap().concat().join("\n");
    assert!(!text.contains("patient-77") && !text.contains("Amieeplanted"));
    let pseudonym = house.vault.pseudonym("Patient/patient-77");
    assert!(text.contains(&pseudonym), "the same patient has the same name");
    assert_eq!(house.vault.pseudonym("Patient/patient-77"), pseudonym);

    // A stop with a receiver that reads to the end leaves nothing to send again.
    running.stop().await;
    let told = said(&house.vault);
    let begun = told.iter().filter(|text| text.contains("is connected")).count();
    let ended = told.iter().filter(|text| text.contains(" ends, ")).count();
    assert_eq!((begun, ended), (2, 2), "{told:#?}");
    let at_stop = two.numbers().concat().last().copied().unwrap();
    let running = feeds(&house.vault, config);
    let last = write(&house.vault, 5).await;
    two.has(last).await;
    assert_eq!(
        two.numbers().last().unwrap().first(),
        Some(&(at_stop + 1)),
        "nothing is sent twice after an orderly stop"
    );
    running.stop().await;
    two.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn dicom_messages_go_by_octet_counting_and_a_new_feed_begins_now() {
    let house = House::open().await;
    write(&house.vault, 5).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = AuditFeedConfig {
        patients: AuditFeedPatients::None,
        ..AuditFeedConfig::to(&listener.local_addr().unwrap().to_string(), AuditFeedForm::Dicom)
    };
    let before = size(&house.vault);
    let running = feeds(&house.vault, config);
    let (stream, _) = listener.accept().await.unwrap();
    let patient = r#"{"resourceType":"Patient","id":"patient-77"}"#;
    assert_eq!(house.ask(Ask::new("PUT", "/Patient/patient-77").json(patient)).await.status, 201);
    let mut reader = BufReader::new(stream);
    let mut messages = Vec::new();
    while messages.len() < 3 {
        let mut count = Vec::new();
        reader.read_until(b' ', &mut count).await.unwrap();
        let count: usize = std::str::from_utf8(&count).unwrap().trim_end().parse().unwrap();
        let mut message = vec![0; count];
        reader.read_exact(&mut message).await.unwrap();
        messages.push(String::from_utf8(message).unwrap());
    }
    for message in &messages {
        assert!(
            message.starts_with("<85>1 ") && message.contains(" tacet.example tacet - DICOM+RFC3881 - \u{feff}<?xml")
        );
        assert!(message.ends_with("</AuditMessage>") && !message.contains("patient-77"), "{message}");
    }
    // Its own beginning, its connection, and what came after.
    assert!(messages[0].contains(&format!("\"l-{before}\"")));
    assert!(messages.iter().any(|message| message.contains("csd-code=\"create\"")));
    let stopping = tokio::spawn(running.stop());
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest).await;
    drop(reader);
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_another_gets_nothing() {
    let house = House::open().await;
    let folder = tempfile::tempdir().unwrap();
    let (ours, strange) = (identity(folder.path()), tempfile::tempdir().unwrap());
    let other = identity(strange.path());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let receiver = Receiver::listen(free, other.acceptor, None).await;
    let config = AuditFeedConfig {
        roots: Some(ours.roots),
        start: AuditFeedStart::Beginning,
        retry_first_ms: 20,
        retry_wait_ms_max: 50,
        ..AuditFeedConfig::to(&format!("localhost:{}", free.port()), AuditFeedForm::Cef)
    };
    let running = feeds(&house.vault, config);
    for _ in 0..PATIENCE {
        if running.figures()[0].breaks() >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(running.figures()[0].breaks() >= 3 && running.figures()[0].sent() == 0);
    assert!(receiver.taken.lock().unwrap().is_empty());
    // Attempts that came to nothing are not in the ledger: they would fill it.
    assert_eq!(said(&house.vault).len(), 1);
    running.stop().await;
    receiver.task.abort();
}

/// A repository that is told by POST: it refuses some, is away for a while, and says what it has taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_answers_gets_every_event_and_none_twice_after_an_answer() {
    use tokio::io::AsyncReadExt;
    let house = House::open().await;
    write(&house.vault, 600).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/fhir", listener.local_addr().unwrap());
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let refused = Arc::new(Mutex::new(0));
    let repository = tokio::spawn({
        let (taken, refused) = (Arc::clone(&taken), Arc::clone(&refused));
        async move {
            let mut requests = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut reader = BufReader::new(stream);
                // Until the connection ends.
                loop {
                    let (mut length, mut head) = (0, String::new());
                    while reader.read_line(&mut head).await.is_ok_and(|bytes| bytes > 2) {
                        let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                        length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
                    }
                    let mut body = vec![0; length];
                    if length == 0 || reader.read_exact(&mut body).await.is_err() {
                        break;
                    }
                    assert!(
                        head.starts_with("POST /fhir HTTP/1.1") && head.contains("application/fhir+json"),
                        "{head}"
                    );
                    requests += 1;
                    if requests % 2 == 0 {
                        // Every second time it is out of order, and the connection with it.
                        *refused.lock().unwrap() += 1;
                        let _ = reader.get_mut().write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
                        break;
                    }
                    taken.lock().unwrap().push(String::from_utf8(body).unwrap());
                    let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                }
            }
        }
    });
    let config = AuditFeedConfig {
        address: None,
        url: Some(url),
        start: AuditFeedStart::Beginning,
        retry_first_ms: 20,
        retry_wait_ms_max: 50,
        ..AuditFeedConfig::to("", AuditFeedForm::Fhir)
    };
    let running = feeds(&house.vault, config);
    let numbers = || -> Vec<u64> {
        let taken = taken.lock().unwrap();
        let mut numbers = Vec::new();
        for bundle in taken.iter() {
            crate::errors::is_valid(bundle.as_bytes());
            let bundle: serde_json::Value = serde_json::from_str(bundle).unwrap();
            assert_eq!(bundle["type"], "batch");
            for entry in bundle["entry"].as_array().unwrap() {
                assert_eq!(
                    (&entry["request"]["method"], &entry["request"]["url"]),
                    (&"POST".into(), &"AuditEvent".into())
                );
                numbers.push(entry["resource"]["id"].as_str().unwrap().strip_prefix("l-").unwrap().parse().unwrap());
            }
        }
        numbers
    };
    for _ in 0..PATIENCE {
        if numbers().len() > 600 && *refused.lock().unwrap() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    running.stop().await;
    repository.abort();
    let numbers = numbers();
    assert!(numbers.len() > 600 && *refused.lock().unwrap() >= 2, "{}", numbers.len());
    assert_eq!(
        numbers,
        (0..numbers.len() as u64).collect::<Vec<_>>(),
        "each once and in order: what was refused is sent again"
    );
}
