//! The ledger as AuditEvents over HTTP: who may read what, what searches find, and that reading is written down.

use crate::client::{Answer, Ask};
use crate::vaulted::{House, operator};
use serde_json::Value;
use tacet_ledger::EventKind;
use tacet_types::{Clock, ResourceId, SystemClock};
use tacet_vault::Role;

struct Audited {
    house: House,
    auditor: String,
    /// Of the patient p1.
    patient: String,
    /// Of the patients p1 and p2.
    parent: String,
}

impl Audited {
    async fn open() -> Self {
        let house = House::open().await;
        for patient in ["p1", "p2"] {
            let body = format!(r#"{{"resourceType":"Patient","id":"{patient}","name":[{{"family":"Amieeplanted"}}]}}"#);
            assert_eq!(house.ask(Ask::new("PUT", &format!("/Patient/{patient}")).json(body)).await.status, 201);
            let body = format!(
                r#"{{"resourceType":"Observation","id":"o-{patient}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
            );
            let path = format!("/Observation/o-{patient}");
            assert_eq!(house.ask(Ask::new("PUT", &path).json(body)).await.status, 201);
            assert_eq!(house.ask(Ask::new("GET", &path)).await.status, 200);
            assert_eq!(house.ask(Ask::new("GET", &format!("/Observation?patient={patient}"))).await.status, 200);
        }
        assert_eq!(house.ask(Ask::new("DELETE", "/Observation/o-p2")).await.status, 204);
        let auditor = house.token_of(Role::Auditor).await;
        let token = async |patients: &[&str]| {
            let patients: Vec<ResourceId> = patients.iter().map(|id| ResourceId::parse(id).unwrap()).collect();
            let until = SystemClock.now().plus_ms(3_600_000);
            let keeper = operator();
            let made = house.vault.create_token_for(&keeper, "a patient", Role::Patient, until, None, &patients);
            made.await.unwrap().1.reveal().to_owned()
        };
        let (patient, parent) = (token(&["p1"]).await, token(&["p1", "p2"]).await);
        Self { auditor, patient, parent, house }
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        Ask::new("GET", path).bearer(token).send(self.house.address).await
    }

    /// All pages of a search.
    async fn events(&self, token: &str, path: &str) -> Vec<Value> {
        let (mut next, mut events) = (Some(path.to_owned()), Vec::new());
        while let Some(path) = next {
            let page = self.get(token, &path).await;
            assert_eq!(page.status, 200, "{path}: {:?}", page.body);
            crate::errors::is_valid(&page.body);
            let page = page.value();
            let entries = page["entry"].as_array().cloned().unwrap_or_default();
            events.extend(entries.into_iter().map(|entry| entry["resource"].clone()));
            let link = page["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next");
            next =
                link.map(|link| link["url"].as_str().unwrap().strip_prefix(&self.house.base_url).unwrap().to_owned());
        }
        events
    }
}

/// The ledger's own names of what happened.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["subtype"].as_array().unwrap().last().unwrap()["code"].as_str().unwrap()).collect()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["id"].as_str().unwrap().strip_prefix("l-").unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_reads_all_of_it_newest_first() {
    let audited = Audited::open().await;
    let size = audited.house.vault.ledger_head().unwrap().unwrap().size();
    let all = audited.events(&audited.auditor, "/AuditEvent").await;
    assert_eq!(numbers(&all), (0..size).rev().collect::<Vec<_>>());
    // In pages there is the same, though each page is written down.
    let size = audited.house.vault.ledger_head().unwrap().unwrap().size();
    let paged = audited.events(&audited.auditor, "/AuditEvent?_count=3").await;
    assert_eq!(numbers(&paged), (0..size).rev().collect::<Vec<_>>());

    let one = audited.get(&audited.auditor, &format!("/AuditEvent/{}", all[3]["id"].as_str().unwrap())).await;
    assert_eq!((one.status, one.value()), (200, all[3].clone()));
    assert_eq!(one.header("etag"), Some("W/\"1\""));
    for path in ["/AuditEvent/l-99999999", "/AuditEvent/other", "/AuditEvent/l-01"] {
        audited.get(&audited.auditor, path).await.is_refusal(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_mean_what_r4_says() {
    let audited = Audited::open().await;
    let token = audited.auditor.clone();
    let clinician = audited.events(&token, "/AuditEvent?agent-name=Dr%20Test&action=C").await;
    let credential = clinician[0]["agent"][2]["policy"][0].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("patient=p1", vec!["search", "read", "create", "create"]),
        ("patient=Patient/p1&subtype=read", vec!["read"]),
        ("patient=p1&subtype:not=create&type=rest", vec!["search", "read"]),
        ("patient=p1,p2&action=C", vec!["create", "create", "create", "create"]),
        ("entity=Observation/o-p2&action=D", vec!["delete"]),
        ("type=rest&action=R&outcome=0&agent-name=Dr", vec!["read", "read"]),
        ("subtype=https://tacet.invalid/fhir/CodeSystem/ledger-event|delete", vec!["delete"]),
        ("date=gt2199-01-01", vec![]),
        ("date=lt2199-01-01&action=D", vec!["delete"]),
        ("_profile=https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientDelete", vec!["delete"]),
        ("agent-role=auditor&outcome=4", vec![]),
        ("address=127.0.0.1&patient=p1&action=R&type=rest", vec!["read"]),
        (&format!("policy={credential}&action=D"), vec!["delete"]),
        ("_id=l-0", vec!["start"]),
        ("_sort=-date&action=D", vec!["delete"]),
    ] {
        let found = audited.events(&token, &format!("/AuditEvent?{query}")).await;
        assert_eq!(kinds(&found), expected, "{query}\n{found:#?}");
    }
    // By POST too.
    let mut ask = Ask::new("POST", "/AuditEvent/_search").bearer(&token).json("action=D");
    ask = ask.header("content-type", "application/x-www-form-urlencoded");
    let page = ask.send(audited.house.address).await;
    assert_eq!(page.value()["entry"].as_array().unwrap().len(), 1, "{:?}", page.body);
    for query in [
        "patient.name=x",
        "_has:Observation:patient:code=x",
        "_sort=date",
        "_sort=entity",
        "_total=accurate",
        "_summary=count",
        "_include=AuditEvent:patient",
        "nonsense=1",
        "_count=0",
    ] {
        let refused = audited.get(&token, &format!("/AuditEvent?{query}")).await;
        assert!((400..=501).contains(&refused.status), "{query}: {} {:?}", refused.status, refused.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_it_is_in_it() {
    let audited = Audited::open().await;
    let page = audited.get(&audited.auditor, "/AuditEvent?patient=p1&action=R").await;
    let entries = audited.house.entries(&page);
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].kind, entries[0].agent.owner.as_str()), (EventKind::LedgerAccess, "another"));
    assert_eq!(entries[0].query.as_deref(), Some("AuditEvent?patient=p1&action=R"));
    assert_eq!(entries[0].patient.as_ref().map(|(_, id)| id.as_str()), Some("p1"));
    for (path, status) in [("/AuditEvent/l-1", 200), ("/AuditEvent/l-99999999", 404)] {
        let read = audited.get(&audited.auditor, path).await;
        let entries = audited.house.entries(&read);
        assert_eq!((read.status, entries.len()), (status, 1));
        assert_eq!((entries[0].kind, entries[0].query.as_deref()), (EventKind::LedgerAccess, Some(&path[1..])));
    }
    // And the patient reads there that somebody has looked.
    let own = audited.events(&audited.patient, "/AuditEvent?subtype=ledger-access").await;
    assert!(!own.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_reads_of_their_own_record_and_of_no_other() {
    let audited = Audited::open().await;
    let all = audited.events(&audited.auditor, "/AuditEvent").await;
    let about = |id: &str| -> Vec<u64> {
        let reference = format!("Patient/{id}");
        let of = |event: &&Value| {
            event["entity"]
                .as_array()
                .unwrap()
                .iter()
                .any(|e| e["what"]["reference"] == reference && e["role"]["code"] == "1")
        };
        numbers(&all.iter().filter(of).cloned().collect::<Vec<_>>())
    };
    let (of_one, of_other) = (about("p1"), about("p2"));
    assert!(of_one.len() >= 4 && of_other.len() >= 4);
    let own = audited.events(&audited.patient, "/AuditEvent").await;
    assert_eq!(numbers(&own), of_one);
    let text = serde_json::to_string(&own).unwrap();
    for withheld in ["o-p1", "p2", "\"address\":\"127.0.0.1\"", "urn:tacet:credential", "Observation?"] {
        assert!(!text.contains(withheld), "{withheld}");
    }
    for told in ["Dr Test", "Observation", "TREAT", "masked"] {
        assert!(text.contains(told), "{told}");
    }
    assert!(audited.events(&audited.patient, "/AuditEvent?patient=p2").await.is_empty());
    let mut both = [of_one.clone(), of_other.clone()].concat();
    both.sort_unstable_by(|a, b| b.cmp(a));
    let of_parent: Vec<u64> = numbers(&audited.events(&audited.parent, "/AuditEvent").await);
    assert_eq!(of_parent.iter().filter(|number| both.contains(number)).count(), both.len());

    assert_eq!(audited.get(&audited.patient, &format!("/AuditEvent/l-{}", of_one[0])).await.status, 200);
    let face = |answer: &Answer| {
        let id = answer.header("x-request-id").unwrap().to_owned();
        (answer.status, String::from_utf8_lossy(&answer.body).replace(&id, "-"))
    };
    let hidden = face(&audited.get(&audited.patient, &format!("/AuditEvent/l-{}", of_other[0])).await);
    let absent = face(&audited.get(&audited.patient, "/AuditEvent/l-99999999").await);
    assert_eq!((hidden.0, &hidden), (404, &absent));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_other_systems_are_records_like_any() {
    let audited = Audited::open().await;
    let body = |id: &str| {
        format!(
            r#"{{"resourceType":"AuditEvent","id":"{id}","type":{{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"110100"}},"recorded":"2026-03-01T08:00:00Z","agent":[{{"requestor":true}}],"source":{{"observer":{{"display":"scanner"}}}}}}"#
        )
    };
    assert_eq!(audited.house.ask(Ask::new("PUT", "/AuditEvent/scanner-1").json(body("scanner-1"))).await.status, 201);
    assert_eq!(audited.house.ask(Ask::new("POST", "/AuditEvent").json(body("x"))).await.status, 201);
    assert_eq!(audited.house.ask(Ask::new("GET", "/AuditEvent/scanner-1")).await.status, 200);
    assert_eq!(audited.house.ask(Ask::new("GET", "/AuditEvent/scanner-1/_history")).await.status, 200);
    assert_eq!(audited.house.ask(Ask::new("GET", "/AuditEvent/_history")).await.status, 200);
    let stored = audited.house.ask(Ask::new("GET", "/AuditEvent?type=110100")).await;
    assert_eq!(stored.value()["entry"].as_array().unwrap().len(), 2, "{:?}", stored.body);
    // Nobody stores one that looks as if the ledger had written it, and who reads no ledger reads none of it.
    for path in ["/AuditEvent/l-1", "/AuditEvent/l-99999999"] {
        let refused = audited.house.ask(Ask::new("PUT", path).json(body(&path[12..]))).await;
        assert!(refused.status >= 400, "{path}: {}", refused.status);
        audited.house.ask(Ask::new("GET", path)).await.is_refusal(404, "not-found");
    }
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{},"request":{{"method":"PUT","url":"AuditEvent/l-2"}}}}]}}"#,
        body("l-2")
    );
    assert!(audited.house.ask(Ask::new("POST", "/").json(bundle)).await.status >= 400);
    // To who reads the ledger they are not there.
    assert_eq!(audited.get(&audited.auditor, "/AuditEvent/scanner-1").await.status, 404);
    for role in [Role::Operator, Role::Administrator, Role::SecurityOfficer] {
        let token = audited.house.token_of(role).await;
        for path in ["/AuditEvent", "/AuditEvent/l-1", "/AuditEvent/scanner-1"] {
            assert_eq!(audited.get(&token, path).await.status, 403, "{role} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_ledgers_index_it_finds_the_same() {
    let audited = Audited::open().await;
    let credential = {
        let events = audited.events(&audited.auditor, "/AuditEvent?agent-name=Dr%20Test&_count=1").await;
        events[0]["agent"][2]["policy"][0].as_str().unwrap().to_owned()
    };
    let today = &SystemClock.now().to_string()[..10];
    let before = audited.house.vault.ledger_head().unwrap().unwrap().size();
    let queries = [
        "/AuditEvent".to_owned(),
        "/AuditEvent?patient=p1".to_owned(),
        "/AuditEvent?patient=Patient/p2&action=C&_count=1".to_owned(),
        "/AuditEvent?patient=p1,p2".to_owned(),
        "/AuditEvent?patient=nobody".to_owned(),
        format!("/AuditEvent?policy={credential}&_count=2"),
        format!("/AuditEvent?date={today}&type=rest"),
        format!("/AuditEvent?date=gt{today}T00:00:00Z&action=D"),
        "/AuditEvent?date=lt2020-01-01".to_owned(),
        "/AuditEvent?type=rest&subtype=read&_count=1".to_owned(),
        "/AuditEvent?action=C,D&outcome=0".to_owned(),
    ];
    let ask = async || {
        let mut all = Vec::new();
        for token in [&audited.auditor, &audited.patient, &audited.parent] {
            for query in &queries {
                let found = numbers(&audited.events(token, query).await);
                // What was asked meanwhile is in the ledger too.
                all.push(found.into_iter().filter(|number| *number < before).collect::<Vec<_>>());
            }
        }
        all
    };
    let scanned = ask().await;
    assert!(scanned.iter().filter(|found| !found.is_empty()).count() > 20, "{scanned:?}");
    let folder = tempfile::tempdir().unwrap();
    audited.house.vault.keep_ledger_index_in(folder.path(), false).unwrap();
    assert_eq!(ask().await, scanned);
    audited.house.vault.bring_up_ledger_index(&mut |_, _| ()).unwrap();
    assert_eq!(ask().await, scanned);
    assert!(audited.house.vault.ledger_index_statistics().is_some());
}
