//! Paper packs of a ward: who is in them, what of them, under which entries; and notes on paper that are entered afterwards, as plain FHIR.

use crate::client::Ask;
use crate::ward::{ACT_CODE, Chart, NOW, Ward, refusal};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tacet_continuity::Pack;
use tacet_continuity::code::{SheetCode, sheet_code};
use tacet_continuity::container;
use tacet_continuity::sheet::{Gap, Known, Section};
use tacet_ledger::{Channel, Entry, EventKind, Outcome, PurposeOfUse};
use tacet_seal::SecureRng;
use tacet_server::{Environment, PackMaker, Packs, PacksConfig, PacksError, WardConfig};
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
    let (code, open) = pack.sheets.iter().find(|(_, sheet)| sheet.patient == "p-open").unwrap();
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
    assert!(entry.query.as_deref().unwrap().ends_with(code.as_str()), "{:?}", entry.query);
    assert!(code.starts_with(&pack.serial) && SheetCode::parse(code).is_some(), "{code}");
    assert!(entry.records.iter().all(|record| record.id.as_str() != "hiv") && entry.records.len() > 3);
    assert!(entry.basis.as_deref().unwrap().contains("nurse-care"), "{:?}", entry.basis);
    assert_eq!(of("p-known").len(), 1);
    assert!(of("p-elsewhere").is_empty() && of("p-refuses").is_empty());
}

/// What a disk does to the records that are stored by this.
async fn damaged(ward: &Ward, records: &[Value]) {
    let before = ward.versions();
    ward.put_all(records).await;
    for (key, mut value) in ward.versions().into_iter().filter(|(key, _)| !before.contains_key(key)) {
        *value.last_mut().unwrap() ^= 1;
        ward.overwrite(key, value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_does_not_open_is_missing_alone_and_the_sheet_says_of_what_kind() {
    let ward = Ward::open().await;
    let config = settings(&age::x25519::Identity::generate().to_public().to_string());
    let whole = gathered(&ward, config.clone(), "a").await;
    let of = |pack: &Pack| pack.sheets.iter().find(|(_, sheet)| sheet.patient == "p-open").unwrap().1.clone();
    assert!(of(&whole).missing.is_empty() && of(&whole).gaps.is_empty());
    let allergy = json!({"resourceType": "AllergyIntolerance", "id": "lost", "patient": {"reference": "Patient/p-open"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
        "code": {"text": "pénicilline"}});
    let doctor = json!({"resourceType": "Practitioner", "id": "dr-own", "name": [{"family": "DrDrown"}]});
    damaged(&ward, &[allergy, doctor]).await;
    let before = all_entries(&ward).len();
    let pack = gathered(&ward, config, "a").await;
    let sheet = of(&pack);
    assert_eq!(sheet.missing.iter().copied().collect::<Vec<_>>(), [Section::Allergies, Section::Names]);
    assert_eq!((sheet.gaps.as_slice(), sheet.stay.responsible.as_deref()), (&[Gap::Unreadable][..], None));
    // All else of the patient is there.
    assert!(sheet.identity.name.is_some() && sheet.problems == of(&whole).problems);
    let Known::Some(allergies) = &sheet.allergies else { panic!("{:?}", sheet.allergies) };
    assert_eq!(allergies.items.len(), 1);
    // And it costs no entry more: one for the patient, one for what is shared.
    let entries: Vec<Entry> = all_entries(&ward).split_off(before);
    assert_eq!(entries.iter().filter(|entry| entry.patient.is_some()).count(), 1, "{entries:?}");
    assert!(entries.len() <= 4, "{entries:?}");
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
        assert!(
            matches!(maker.make(&vault, "c", &environment()), Err(PacksError::NoWard { known }) if known == "a, b")
        );
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

/// What the nurse's own program sends: the record alone, which names the sheet itself.
fn noted(code: &str, true_time: &str) -> Value {
    let mut record = late(code, true_time)["entry"][0]["resource"].take();
    record["identifier"] = json!([{"system": "urn:tacet:paper-sheet", "value": code}]);
    record
}

/// The codes of the sheets of two patients, in a pack that was made two hours ago.
async fn printed(ward: &Ward) -> (String, String) {
    ward.put_all(&Chart::of("p-other").records()).await;
    let config = settings(&age::x25519::Identity::generate().to_public().to_string());
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-03-02T08:00:00Z").unwrap()));
    let (vault, then) = (ward.vault.clone(), Environment { clock, rng: Arc::new(SecureRng) });
    let work = move || PackMaker::new(&config, "Hôpital").unwrap().gather(&vault, "a", &then).unwrap();
    let pack = tokio::task::spawn_blocking(work).await.unwrap();
    let of = |patient: &str| pack.sheets.iter().find(|(_, sheet)| sheet.patient == patient).unwrap().0.clone();
    (of("p-open"), of("p-other"))
}

const WRITTEN: &str = "2026-03-02T08:40:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn the_record_program_enters_notes_with_their_true_time() {
    let ward = Ward::open().await;
    let (code, other) = printed(&ward).await;
    let answer = ward.ask("machine", Ask::new("POST", "/").json(late(&code, WRITTEN).to_string())).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    // By its true time it stands where it belongs, and by the time of writing where it was entered.
    let found =
        ward.get("machine", "/Observation?patient=p-open&code=8310-5&date=lt2026-03-02T09:00:00Z").await.value();
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    let observation = &found["entry"][0]["resource"];
    assert_eq!(observation["effectiveDateTime"], WRITTEN);
    assert!(observation["meta"]["lastUpdated"].as_str().unwrap() >= "2026-03-02T10:00:00");
    let id = observation["id"].as_str().unwrap();
    let traces = ward.get("machine", &format!("/Provenance?target=Observation/{id}")).await.value();
    let provenance = &traces["entry"][0]["resource"];
    assert_eq!(provenance["entity"][0]["what"]["identifier"]["value"], code, "{traces}");
    assert_eq!(provenance["agent"][1]["who"]["reference"], "Practitioner/dr-own");
    // The sheet is held to the patient of what the Provenance is about.
    let answer = ward.ask("machine", Ask::new("POST", "/").json(late(&other, WRITTEN).to_string())).await;
    assert!(String::from_utf8_lossy(&answer.body).contains("no sheet of this patient"), "{:?}", answer.body);
    assert_eq!(answer.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_enter_notes_from_paper_and_the_ledger_says_so() {
    let ward = Ward::open().await;
    let (code, other) = printed(&ward).await;
    for (who, code) in [("nurse", code.clone()), ("ward-doctor", code.clone())] {
        let before = all_entries(&ward).len();
        let answer = ward.ask(who, Ask::new("POST", "/Observation").json(noted(&code, WRITTEN).to_string())).await;
        assert_eq!(answer.status, 201, "{who}: {:?}", answer.body);
        let stored = answer.value();
        assert_eq!(stored["effectiveDateTime"], WRITTEN, "the true time is the record's own");
        assert!(stored["meta"]["lastUpdated"].as_str().unwrap() >= "2026-03-02T10:00:00", "entered now");
        let entries = all_entries(&ward).split_off(before);
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((entry.kind, entry.agent.owner.as_str()), (EventKind::Create, who));
        let said = format!("late entry, from paper: {code}");
        assert_eq!(entry.detail.as_deref(), Some(said.as_str()));
        assert_eq!(entry.patient.as_ref().map(|(_, id)| id.as_str()), Some("p-open"));
    }
    // It is found by its true time, and by its sheet.
    let found = ward.get("nurse", "/Observation?patient=p-open&date=lt2026-03-02T09:00:00Z&code=8310-5").await.value();
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(2), "{found}");
    let by_sheet = format!("/Observation?identifier=urn:tacet:paper-sheet|{code}");
    assert_eq!(ward.get("nurse", &by_sheet).await.value()["entry"].as_array().map(Vec::len), Some(2));
    // What was not on paper says nothing of it.
    let mut plain = noted(&code, WRITTEN);
    plain.as_object_mut().unwrap().remove("identifier");
    assert_eq!(ward.ask("nurse", Ask::new("POST", "/Observation").json(plain.to_string())).await.status, 201);
    assert_eq!(all_entries(&ward).pop().unwrap().detail, None);

    let body = String::from_utf8(code.clone().into_bytes()).unwrap();
    let slip = body.replace("-0800-", "-0801-");
    let made_up = sheet_code("20260302-0800-ABCD-001", [1, 2, 3, 4]);
    for (code, time, said) in [
        (&code, "2026-03-02T07:59:00Z", "before the paper pack was made"),
        (&code, "2026-03-02T10:30:00Z", "lies ahead"),
        (&slip, WRITTEN, "is no code of a sheet"),
        // It would not be found by its sheet.
        (&code.to_lowercase(), WRITTEN, "write it in capitals"),
        (&made_up, WRITTEN, "no sheet of this patient"),
        (&other, WRITTEN, "no sheet of this patient"),
    ] {
        let before = all_entries(&ward);
        let alone = ward.ask("nurse", Ask::new("POST", "/Observation").json(noted(code, time).to_string())).await;
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"request": {"method": "POST", "url": "Observation"}, "resource": noted(code, time)}]});
        let together = ward.ask("nurse", Ask::new("POST", "/").json(bundle.to_string())).await;
        for answer in [alone, together] {
            assert_eq!(answer.status, 422, "{said}: {:?}", answer.body);
            assert!(String::from_utf8_lossy(&answer.body).contains(said), "{said}: {:?}", answer.body);
        }
        let stored = |entry: &&Entry| entry.kind == EventKind::Create && entry.outcome == Outcome::Success;
        let all = all_entries(&ward);
        assert_eq!(all.iter().filter(stored).count(), before.iter().filter(stored).count(), "nothing was stored");
    }
    // Who may not write of the patient learns nothing of the code.
    let of = async |code: &str| {
        let answer = ward.ask("patient", Ask::new("POST", "/Observation").json(noted(code, WRITTEN).to_string())).await;
        (answer.status, String::from_utf8_lossy(&answer.body).contains("sheet"))
    };
    assert_eq!((of(&code).await, of(&other).await), ((403, false), (403, false)));
}

/// The latest pack of ward A in a folder, opened; none where there is none yet.
fn latest(ward: &Ward, folder: &std::path::Path, identity: &age::x25519::Identity) -> Option<container::About> {
    let sealed = std::fs::read(folder.join("ward-a.tacetpack")).ok()?;
    let identity: &dyn age::Identity = identity;
    let mut bytes = Vec::new();
    let decryptor = age::Decryptor::new(sealed.as_slice()).expect("never half there");
    decryptor.decrypt(std::iter::once(identity)).unwrap().read_to_end(&mut bytes).expect("never half there");
    Some(container::open(&bytes, &[ward.vault.pack_key().unwrap()]).expect("never half there").about)
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_of_a_running_server_replace_each_other_and_a_damaged_record_does_not_keep_the_ward_from_its_own() {
    let ward = Ward::open().await;
    // The records of one patient that came last do not open any more.
    let before = ward.versions();
    ward.put_all(&Chart::of("p-damaged").records()).await;
    let damaged: Vec<_> = ward.versions().into_iter().filter(|(key, _)| !before.contains_key(key)).collect();
    assert!(damaged.len() > 1);
    for (key, mut value) in damaged {
        *value.last_mut().unwrap() ^= 1;
        ward.overwrite(key, value);
    }
    let identity = age::x25519::Identity::generate();
    let folder = tempfile::tempdir().unwrap();
    let config = PacksConfig {
        folders: vec![folder.path().to_owned()],
        keep: 2,
        interval_seconds: 600,
        ..settings(&identity.to_public().to_string())
    };
    let clock = Arc::new(ManualClock::new(Timestamp::parse(NOW).unwrap()));
    let environment = Environment { clock: clock.clone(), rng: Arc::new(SecureRng) };
    let mut serials: Vec<String> = Vec::new();
    for _ in 0..4 {
        let packs = Packs::start(ward.vault.clone(), &config, "Hôpital", &environment).unwrap();
        // It begins at once. The one before is there until the new one is.
        let about = loop {
            let about = latest(&ward, folder.path(), &identity);
            assert!(about.is_some() || serials.is_empty(), "there is always one");
            match about.filter(|about| !serials.contains(&about.serial)) {
                Some(about) => break about,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        assert_eq!((about.patients, about.ward.as_str()), (2, "Location/ward-a"));
        serials.push(about.serial);
        // What was begun is ended first.
        packs.stop().await;
        clock.advance_ms(600_000);
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.starts_with("ward-a"));
    names.sort();
    let kept = |serial: &String| format!("ward-a-{serial}.tacetpack");
    assert_eq!(names, [kept(&serials[2]), kept(&serials[3]), "ward-a.tacetpack".to_owned()]);
}
