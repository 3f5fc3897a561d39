//! Messages of admissions over HTTP: wards' people see and stop seeing patients by them, and the sender sees nothing.

use crate::client::{Answer, Ask};
use crate::running::config;
use crate::ward::{BASE_URL, Ward};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tacet_ledger::{Entry, EventKind};
use tacet_seal::SecureRng;
use tacet_server::{Environment, Server, ServerConfig};
use tacet_vault::Role;

const DAY_MS: i64 = 86_400_000;

/// A ward whose places have codes, and a second server over it that takes messages.
struct Fed {
    ward: Ward,
    address: SocketAddr,
    feed: String,
}

fn message(event: &str, control: &str, at: &str, place: &str) -> String {
    format!(
        "MSH|^~\\&|GAM|CHU|TACET|CHU|{at}+0000||ADT^{event}|{control}|P|2.5.1\rEVN||{at}+0000\r\
         PID|1||7001^^^CHU^PI||PLANTED^Amiee||19790328|F\rPV1|1|I|{place}^12||||||||||||||||S9^^^CHUV\r"
    )
}

impl Fed {
    async fn open() -> Self {
        let ward = Ward::open().await;
        for (place, code) in [("ward-a", "A"), ("ward-b", "B")] {
            let location = json!({ "resourceType": "Location", "id": place, "name": place, "status": "active",
                "identifier": [{ "system": "urn:chu:ward", "value": code }] });
            ward.put_all(&[location]).await;
        }
        let systems = [("CHU", "urn:chu:patient"), ("CHUV", "urn:chu:visit")];
        let adt = tacet_hl7v2::Settings {
            systems: systems.map(|(name, system)| (name.to_owned(), system.to_owned())).into(),
            ward_system: Some("urn:chu:ward".to_owned()),
            ..tacet_hl7v2::Settings::default()
        };
        let config = ServerConfig { base_url: Some(BASE_URL.to_owned()), adt, ..config() };
        let environment = Environment { clock: ward.clock.clone(), rng: Arc::new(SecureRng) };
        let server = Server::bind(config, ward.vault.clone(), environment).await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.run(std::future::pending()));
        let feed = ward.token(Role::Feed, None, &[]).await;
        Self { ward, address, feed }
    }

    async fn send(&self, text: &str) -> Answer {
        let ask = Ask::new("POST", "/_feeds/adt").json(text.to_owned());
        let ask = ask.header("content-type", "application/hl7-v2; charset=utf-8");
        ask.bearer(&self.feed).send(self.address).await
    }

    /// Sends one message: the line of its answer that says what became of it.
    async fn told(&self, event: &str, control: &str, at: &str, place: &str) -> String {
        let answer = self.send(&message(event, control, at, place)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/hl7-v2")));
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let msa = text.split('\r').find(|line| line.starts_with("MSA|")).unwrap().to_owned();
        assert_eq!(msa.split('|').nth(2), Some(control));
        assert!(!text.contains("PLANTED") && !text.contains("7001"), "{text}");
        msa
    }

    /// Whether the nurse of ward A finds the patient.
    async fn nurse_sees(&self) -> bool {
        let found = self.ward.get("nurse", "/Patient?identifier=urn:chu:patient%7C7001").await;
        assert_eq!(found.status, 200);
        found.value()["entry"].as_array().is_some_and(|entries| !entries.is_empty())
    }

    fn entries(&self) -> Vec<Entry> {
        let size = self.ward.vault.ledger_head().unwrap().map_or(0, |head| head.size());
        (0..size).map(|index| self.ward.vault.ledger_entry(index).unwrap()).collect()
    }

    fn noted(&self, text: &str) -> usize {
        self.entries()
            .iter()
            .filter(|entry| entry.detail.as_deref().is_some_and(|detail| detail.contains(text)))
            .count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_opens_the_patient_to_the_ward_and_a_discharge_closes() {
    let fed = Fed::open().await;
    assert_eq!(fed.told("A01", "1", "20260302090000", "B").await, "MSA|AA|1");
    assert!(!fed.nurse_sees().await, "another ward's");
    assert_eq!(fed.told("A02", "2", "20260302093000", "A").await, "MSA|AA|2");
    assert!(fed.nurse_sees().await, "at once");
    assert_eq!(fed.told("A12", "3", "20260302094000", "B").await, "MSA|AA|3");
    assert!(!fed.nurse_sees().await, "was not moved after all");
    assert_eq!(fed.told("A02", "4", "20260302095000", "A").await, "MSA|AA|4");
    assert!(fed.nurse_sees().await);
    assert_eq!(fed.told("A03", "5", "20260302100000", "A").await, "MSA|AA|5");
    assert!(fed.nurse_sees().await, "what is left to write is written in the days after");
    fed.ward.clock.advance_ms(4 * DAY_MS);
    assert!(!fed.nurse_sees().await, "some days after");
    for (control, event) in [("1", "A01"), ("2", "A02"), ("3", "A12"), ("4", "A02"), ("5", "A03")] {
        assert_eq!(fed.noted(&format!("feed message ADT^{event} {control} from GAM at CHU: AA")), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_counts_once_and_names_its_sender() {
    let fed = Fed::open().await;
    assert_eq!(fed.told("A01", "1", "20260302090000", "A").await, "MSA|AA|1");
    let stay = || async {
        let found = fed.ward.get("machine", "/Encounter?identifier=urn:chu:visit%7CS9").await.value();
        assert_eq!(found["entry"].as_array().unwrap().len(), 1, "{found}");
        let stay = found["entry"][0]["resource"].clone();
        let last = stay["location"].as_array().unwrap().last().unwrap()["location"]["display"].clone();
        format!("{} {}", stay["meta"]["versionId"].as_str().unwrap(), last.as_str().unwrap())
    };
    assert_eq!(fed.told("A02", "2", "20260302093000", "B").await, "MSA|AA|2");
    assert_eq!(stay().await, "2 B");
    // The admission once more, late: it was taken, and moves nobody back.
    assert_eq!(fed.told("A01", "1", "20260302090000", "A").await, "MSA|AA|1");
    assert_eq!(stay().await, "2 B");
    let other = fed.told("A02", "1", "20260302093000", "A").await;
    assert!(other.starts_with("MSA|AE|1|MSH-10"), "{other}");
    // Both, one after the other, in a batch: what is wrong in one is not held against the next.
    let (merge, move_back) = (message("A40", "8", "20260302100000", "A"), message("A02", "9", "20260302100000", "A"));
    let answer = fed.send(&format!("BHS|^~\\&|GAM\r{merge}{move_back}BTS|2\r")).await;
    let answer = String::from_utf8(answer.body.to_vec()).unwrap();
    for part in ["MSA|AR|8|merges", "ERR|||201^", "MSA|AA|9\r"] {
        assert!(answer.contains(part), "{answer}");
    }
    assert_eq!(stay().await, "3 A");
    let made = fed.entries().into_iter().find(|entry| entry.kind == EventKind::Create && entry.agent.owner == "feed");
    assert!(made.is_some(), "what was changed has the sender's name");
}

/// A sender that waits too short a time sends again while the first is under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_twice_at_once_counts_once() {
    let fed = Fed::open().await;
    for (event, control, at, place) in
        [("A01", "1", "0900", "A"), ("A02", "2", "0910", "B"), ("A02", "3", "0920", "A"), ("A02", "4", "0930", "B")]
    {
        let told = fed.told(event, control, &format!("20260302{at}00"), place).await;
        assert_eq!(told, format!("MSA|AA|{control}"));
    }
    // It names no ward, so that nothing but its number tells that it was carried out.
    let taken_back = || fed.told("A12", "5", "20260302094000", "");
    let told = tokio::join!(taken_back(), taken_back(), taken_back(), taken_back());
    assert_eq!([told.0, told.1, told.2, told.3], ["MSA|AA|5"; 4]);
    let stay = fed.ward.get("machine", "/Encounter?identifier=urn:chu:visit%7CS9").await.value();
    let stay = &stay["entry"][0]["resource"];
    assert_eq!((&stay["meta"]["versionId"], stay["location"].as_array().map(Vec::len)), (&json!("5"), Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_said_and_changes_nothing() {
    let fed = Fed::open().await;
    let unknown = fed.told("A01", "1", "20260302090000", "NOWHERE").await;
    assert!(unknown.starts_with("MSA|AE|1|no Location") && !unknown.contains("NOWHERE"), "{unknown}");
    let found = fed.ward.get("machine", "/Patient?identifier=urn:chu:patient%7C7001&_summary=count").await;
    assert_eq!(found.value()["total"], 0, "all of it or nothing");
    assert!(fed.told("A03", "2", "20260302090000", "A").await.starts_with("MSA|AE|2|there is no stay"));
    // What failed may be sent again once it is mended, under the same number.
    assert_eq!(fed.told("A01", "1", "20260302090000", "A").await, "MSA|AA|1");
    for (body, reason) in [("hello", "MSA|AR||"), ("MSH|^~\\&|\rpid|1\r", "MSA|AR||segment 2")] {
        let answer = String::from_utf8(fed.send(body).await.body.to_vec()).unwrap();
        assert!(answer.contains(reason), "{answer}");
    }
    let wrong = Ask::new("POST", "/_feeds/adt").json("{}").bearer(&fed.feed).send(fed.address).await;
    wrong.is_refusal(415, "not-supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_sees_nothing_and_nobody_else_feeds() {
    let fed = Fed::open().await;
    fed.told("A01", "1", "20260302090000", "A").await;
    for (method, path) in
        [("GET", "/Patient"), ("GET", "/Location/ward-a"), ("POST", "/"), ("GET", "/_history"), ("POST", "/Patient")]
    {
        let answer = Ask::new(method, path).json("{}").bearer(&fed.feed).send(fed.address).await;
        assert!([403, 404].contains(&answer.status), "{method} {path}: {}", answer.status);
    }
    for name in ["machine", "nurse", "operator", "administrator"] {
        let ask = Ask::new("POST", "/_feeds/adt").json(message("A03", "2", "20260302090000", "A"));
        let answer = fed.ward.by(name, ask.header("content-type", "application/hl7-v2")).send(fed.address).await;
        assert_eq!(answer.status, 403, "{name}");
    }
}
