//! Paper packs of a ward: who is in them, what of them, under which entries; and notes on paper that are entered afterwards, as plain FHIR.

use crate::client::Ask;
use crate::ward::{ACT_CODE, Chart, NOW, Ward, refusal};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Arc;
use tacet_continuity::Pack;
use tacet_continuity::container;
use tacet_continuity::print::{is_sheet_code, sheet_code};
use tacet_continuity::sheet::Known;
use tacet_ledger::{Channel, Entry, EventKind, Outcome, PurposeOfUse};
use tacet_seal::SecureRng;
use tacet_server::{Environment, PackMaker, PacksConfig, PacksError, WardConfig};
use tacet_types::{ManualClock, Timestamp};

fn settings(recipient: &str) -> PacksConfig {
    let ward = |place: &str| WardConfig {
        place: place.to_owned(),
        name: "Cardiologie".to_owned(),
        recipients: vec![recipient.to_owned()],
    };
    let wards = [("a".to_owned(), ward("Location/ward-a")), ("b".to_owned(), ward("Location/ward-b"))];
    PacksConfig { wards: wards.into(), ..PacksConfig::default() }
}

fn environment() -> Environment {
    let clock = Arc::new(ManualClock::new(Timestamp::parse(NOW).unwrap()));
    Environment { clock, rng: Arc::new(SecureRng) }
}

fn all_entries(ward: &Ward) -> Vec<Entry> {
    let size = ward.vault.ledger_head().unwrap().map_or(0, |head| head.size());
    (0..size).map(|index| ward.vault.ledger_entry(index).unwrap()).collect()
}

/// What is to be printed, gathered where it may block.
async fn gathered(ward: &Ward, config: PacksConfig, id: &'static str) -> Pack {
    let vault = ward.vault.clone();
    let work = move || PackMaker::new(&config, "Hôpital").unwrap().gather(&vault, id, &environment());
    tokio::task::spawn_blocking(work).await.unwrap().unwrap()
}

/// A Condition of a patient, labelled.
fn condition(id: &str, patient: &str, text: &str, label: Option<&str>) -> Value {
    let mut record = json!({"resourceType": "Condition", "id": id, "subject": {"reference": format!("Patient/{patient}")},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        "code": {"text": text}});
    if let Some(label) = label {
        record["meta"] = json!({"security": [{"system": ACT_CODE, "code": label}]});
    }
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_has_those_who_lie_there_and_what_the_ward_may_see() {
    let ward = Ward::open().await;
    let elsewhere = Chart { ward: "ward-b", ..Chart::of("p-elsewhere") };
    let known = Chart { labels: &[(ACT_CODE, "VIP")], ..Chart::of("p-known") };
    ward.put_all(&elsewhere.records()).await;
    ward.put_all(&known.records()).await;
    ward.put_all(&Chart::of("p-refuses").records()).await;
    ward.put_all(&[
        refusal("p-refuses"),
        condition("hiv", "p-open", "secret", Some("HIV")),
        condition("open", "p-open", "asthme", None),
    ])
    .await;
    let identity = age::x25519::Identity::generate();
    let config = settings(&identity.to_public().to_string());
    let before = all_entries(&ward).len();
    let pack = gathered(&ward, config.clone(), "a").await;

    let patients: Vec<&str> = pack.sheets.iter().map(|(_, sheet)| sheet.patient.as_str()).collect();
    assert_eq!(patients, ["p-known", "p-open"], "who is set apart lies there; who refuses is as if absent");
    let (number, open) = pack.sheets.iter().find(|(_, sheet)| sheet.patient == "p-open").unwrap();
    let Known::Some(problems) = &open.problems else { panic!("{:?}", open.problems) };
    let said: Vec<&str> = problems.items.iter().map(|problem| problem.what.as_str()).collect();
    assert!(said.contains(&"asthme") && !said.contains(&"secret"), "{said:?}");
    assert!(open.gaps.is_empty() && open.identity.name.is_some());
    assert_eq!(open.stay.responsible.as_deref(), Some("DRDROWN"));

    // An entry for each patient, with the sheet's code, before anything opened; none of a patient who is not in it.
    let entries: Vec<Entry> = all_entries(&ward).split_off(before);
    let of = |patient: &str| -> Vec<&Entry> {
        let is = |entry: &&Entry| entry.patient.as_ref().is_some_and(|(_, id)| id.as_str() == patient);
        entries.iter().filter(is).collect()
    };
    let [entry] = of("p-open")[..] else { panic!("{:?}", of("p-open")) };
    assert_eq!(
        (entry.kind, entry.outcome, entry.purpose),
        (EventKind::Print, Outcome::Success, PurposeOfUse::Treatment)
    );
    assert_eq!((entry.agent.owner.as_str(), entry.origin.channel), ("paper packs", Channel::Internal));
    let code = sheet_code(&pack.serial, *number);
    assert!(entry.query.as_deref().unwrap().ends_with(&code) && is_sheet_code(&code), "{:?}", entry.query);
    assert!(entry.records.iter().all(|record| record.id.as_str() != "hiv") && entry.records.len() > 3);
    assert!(entry.basis.as_deref().unwrap().contains("nurse-care"), "{:?}", entry.basis);
    assert_eq!(of("p-known").len(), 1);
    assert!(of("p-elsewhere").is_empty() && of("p-refuses").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_wards_workstation_opens_it_and_it_says_who_made_it() {
    let ward = Ward::open().await;
    let (identity, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let config = settings(&identity.to_public().to_string());
    let folder = tempfile::tempdir().unwrap();
    let config = PacksConfig { folders: vec![folder.path().to_owned(), folder.path().join("absent")], ..config };
    let vault = ward.vault.clone();
    let work = move || {
        let maker = PackMaker::new(&config, "Hôpital").unwrap();
        let pack = maker.make(&vault, "a", &environment()).unwrap();
        // A folder that is away does not keep the others from having it.
        assert_eq!(maker.put("a", &pack).unwrap(), 1);
        assert!(matches!(maker.make(&vault, "c", &environment()), Err(PacksError::NoWard)));
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    let sealed = std::fs::read(folder.path().join("ward-a.tacetpack")).unwrap();
    let unseal = |identity: &age::x25519::Identity| -> Option<Vec<u8>> {
        let identity: &dyn age::Identity = identity;
        let mut opened = age::Decryptor::new(sealed.as_slice()).unwrap().decrypt(std::iter::once(identity)).ok()?;
        let mut bytes = Vec::new();
        opened.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    };
    assert!(unseal(&other).is_none());
    let signed = unseal(&identity).unwrap();
    let opened = container::open(&signed, &[ward.vault.pack_key().unwrap()]).unwrap();
    assert!(opened.pdf.starts_with(b"%PDF-1.7"));
    assert_eq!((opened.about.patients, opened.about.ward.as_str()), (1, "Location/ward-a"));
    let last = all_entries(&ward).pop().unwrap();
    assert_eq!((last.kind, last.patient), (EventKind::Print, None));
    assert!(last.detail.unwrap().contains(&opened.about.serial), "that it was made is written down");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let good = settings(&recipient);
    assert!(PackMaker::new(&good, "H").is_ok());
    let with = |change: &dyn Fn(&mut PacksConfig)| {
        let mut config = good.clone();
        change(&mut config);
        PackMaker::new(&config, "H").err().expect("refused").to_string()
    };
    assert!(with(&|config| config.language = "de".into()).contains("language"));
    assert!(with(&|config| config.zone = "Mars".into()).contains("zone"));
    assert!(with(&|config| config.interval_seconds = 1).contains("interval_seconds"));
    assert!(with(&|config| config.wards.get_mut("a").unwrap().place = "Patient/1".into()).contains("place"));
    assert!(with(&|config| config.wards.get_mut("a").unwrap().recipients = vec!["age1x".into()]).contains("recipient"));
    assert!(with(&|config| config.wards.get_mut("a").unwrap().recipients.clear()).contains("recipient"));
    assert!(with(&|config| drop(config.wards.insert("../x".into(), good.wards["a"].clone()))).contains("../x"));
}

/// A note on paper, entered afterwards by the program that the hospital uses for it: an Observation with its true time, and the Provenance that says from which sheet it is, who
/// wrote it there and who entered it.
fn late(code: &str, true_time: &str) -> Value {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:6f1b1a52-7b07-4a51-9f0a-0f3d7c1f2a10", "request": {"method": "POST", "url": "Observation"},
         "resource": {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p-open"},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}], "text": "Température"},
            "effectiveDateTime": true_time, "valueQuantity": {"value": 38.9, "unit": "°C", "system": "http://unitsofmeasure.org", "code": "Cel"},
            "performer": [{"reference": "Practitioner/dr-ward"}]}},
        {"fullUrl": "urn:uuid:6f1b1a52-7b07-4a51-9f0a-0f3d7c1f2a11", "request": {"method": "POST", "url": "Provenance"},
         "resource": {"resourceType": "Provenance", "target": [{"reference": "urn:uuid:6f1b1a52-7b07-4a51-9f0a-0f3d7c1f2a10"}],
            "occurredDateTime": true_time, "recorded": NOW,
            "activity": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}]},
            "agent": [
                {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author"}]},
                 "who": {"reference": "Practitioner/dr-ward"}},
                {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "enterer"}]},
                 "who": {"reference": "Practitioner/dr-own"}}],
            "entity": [{"role": "source", "what": {"identifier": {"system": "urn:tacet:paper-sheet", "value": code}, "display": "paper pack"}}]}}
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_on_paper_are_entered_with_their_true_time() {
    let ward = Ward::open().await;
    let code = sheet_code("20260302-0800-7K3Q", 1);
    let written = "2026-03-02T08:40:00Z";
    let answer = ward.ask("machine", Ask::new("POST", "/").json(late(&code, written).to_string())).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    // By its true time it stands where it belongs, and by the time of writing where it was entered.
    let found =
        ward.get("machine", "/Observation?patient=p-open&code=8310-5&date=lt2026-03-02T09:00:00Z").await.value();
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    let observation = &found["entry"][0]["resource"];
    assert_eq!(observation["effectiveDateTime"], written);
    assert!(observation["meta"]["lastUpdated"].as_str().unwrap() >= "2026-03-02T10:00:00");
    let id = observation["id"].as_str().unwrap();
    let traces = ward.get("machine", &format!("/Provenance?target=Observation/{id}")).await.value();
    let provenance = &traces["entry"][0]["resource"];
    assert_eq!(provenance["entity"][0]["what"]["identifier"]["value"], code, "{traces}");
    assert_eq!(provenance["agent"][1]["who"]["reference"], "Practitioner/dr-own");

    // A nurse writes what she did, and names the sheet in the record itself.
    let own = |code: &str, time: &str| {
        let mut record = late(code, time)["entry"][0]["resource"].take();
        record["identifier"] = json!([{"system": "urn:tacet:paper-sheet", "value": code}]);
        record.to_string()
    };
    let answer = ward.ask("nurse", Ask::new("POST", "/Observation").json(own(&code, written))).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    // Before the pack, ahead of now, and with a slip of the pen: refused, alone and in a transaction.
    let slip = code.replace("-001", "-010");
    for (code, time) in [(&code, "2026-03-02T07:59:00Z"), (&code, "2026-03-02T10:30:00Z"), (&slip, written)] {
        let alone = ward.ask("nurse", Ask::new("POST", "/Observation").json(own(code, time))).await;
        let together = ward.ask("machine", Ask::new("POST", "/").json(late(code, time).to_string())).await;
        for answer in [alone, together] {
            assert!((400..500).contains(&answer.status), "{time}: {:?}", answer.body);
            assert!(String::from_utf8_lossy(&answer.body).contains("pack") || time > NOW, "{:?}", answer.body);
        }
    }
}
