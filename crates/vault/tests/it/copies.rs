//! Copies: what they hold, who sees them, and that they end.

mod owned;

use crate::house::*;
use pollster::block_on;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tacet_ledger::{Entry, EventKind};
use tacet_seal::KeeperLimits;
use tacet_types::{Clock, ResourceType};
use tacet_vault::{Caller, CopyRequest, CopyScope, CopyState, CopyStatus, Role, VaultError};

const DAY_MS: i64 = 86_400_000;

/// A name that no file on the disk may show.
const PLANTED: &str = "Amieeplantedname";

type Lines = BTreeMap<ResourceType, BTreeSet<String>>;

pub(crate) fn request(scope: CopyScope) -> CopyRequest {
    CopyRequest {
        approval: None,
        scope,
        types: Vec::new(),
        since: None,
        filters: Vec::new(),
        base_url: BASE_URL.to_owned(),
        note: "a study".to_owned(),
        recipients: vec!["the registry".to_owned()],
        life_ms: DAY_MS,
        request: format!("{BASE_URL}/$export"),
    }
}

fn keep(house: &House, directory: &Path) {
    block_on(house.vault.keep_copies_in(directory, &caller(Role::Operator))).unwrap();
}

fn begin(house: &House, request: CopyRequest) -> String {
    block_on(house.vault.begin_copy(&clinician(), request)).unwrap()
}

/// Waits for the thread that makes a copy.
fn ended(house: &House, id: &str) -> CopyStatus {
    loop {
        let status = house.vault.copy(&clinician(), id).unwrap();
        if status.state != CopyState::Working {
            return status;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn made(house: &House, request: CopyRequest) -> CopyStatus {
    let id = begin(house, request);
    let status = ended(house, &id);
    assert_eq!(status.state, CopyState::Done);
    status
}

fn text(house: &House, id: &str, file: usize) -> Result<String, VaultError> {
    let mut reader = block_on(house.vault.read_copy(&clinician(), id, file))?;
    let mut text = Vec::new();
    while let Some(piece) = reader.piece()? {
        text.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// All that a copy holds; each line once, each of the type that its file says.
fn lines(house: &House, status: &CopyStatus) -> Lines {
    let mut lines = Lines::new();
    for (number, file) in status.files.iter().enumerate() {
        let text = text(house, &status.id, number).unwrap();
        assert_eq!((text.lines().count() as u64, text.len() as u64), (file.count, file.bytes));
        let of_type = lines.entry(file.resource_type).or_default();
        for line in text.lines() {
            assert!(line.starts_with(&format!("{{\"resourceType\":\"{}\"", file.resource_type)), "{line}");
            assert!(of_type.insert(line.to_owned()), "twice: {line}");
        }
    }
    lines
}

/// What the store holds of these.
fn stored(house: &House, records: &[(&str, &str)]) -> Lines {
    let mut lines = Lines::new();
    for (name, id) in records {
        lines.entry(kind(name)).or_default().insert(house.read(name, id).unwrap());
    }
    lines
}

const ALL: [(&str, &str); 9] = [
    ("Organization", "g"),
    ("Patient", "p1"),
    ("Patient", "p2"),
    ("Observation", "o1"),
    ("Observation", "o2"),
    ("Observation", "orphan"),
    ("Appointment", "both"),
    ("Group", "study"),
    ("Observation", "moved"),
];

/// Two patients, what is theirs, what is both's, what is of a patient without a Patient resource, and what moved.
fn filled(house: &House) {
    house.put("Organization", "g", r#"{"resourceType":"Organization","id":"g","name":"G"}"#).unwrap();
    house.put("Patient", "p1", &patient("p1", PLANTED)).unwrap();
    house.put("Patient", "p2", &patient("p2", "Deux")).unwrap();
    house.put("Patient", "gone", &patient("gone", "Trois")).unwrap();
    house.delete("Patient", "gone").unwrap();
    house.put("Observation", "o1", &observation("o1", "p1", "1.50")).unwrap();
    house.put("Observation", "o2", &observation("o2", "p2", "2.50")).unwrap();
    house.put("Observation", "orphan", &observation("orphan", "p9", "9")).unwrap();
    house.put("Observation", "moved", &observation("moved", "p1", "7")).unwrap();
    house.put("Observation", "moved", &observation("moved", "p2", "7")).unwrap();
    let both = r#"{"resourceType":"Appointment","id":"both","status":"proposed","participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted"},{"actor":{"reference":"Patient/p2"},"status":"accepted"}]}"#;
    house.put("Appointment", "both", both).unwrap();
    let group = r#"{"resourceType":"Group","id":"study","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p1"}},{"entity":{"reference":"Patient/p2"}}]}"#;
    house.put("Group", "study", group).unwrap();
}

fn without(dropped: &[(&str, &str)]) -> Vec<(&'static str, &'static str)> {
    ALL.into_iter().filter(|record| !dropped.contains(record)).collect()
}

#[test]
fn a_copy_holds_what_was_asked_for_and_no_more() {
    let (house, directory) = (House::new(), tempfile::tempdir().unwrap());
    keep(&house, directory.path());
    filled(&house);
    let system = made(&house, request(CopyScope::System));
    assert_eq!(lines(&house, &system), stored(&house, &ALL));
    assert_eq!(system.complete_until, system.created.plus_ms(-300_000));

    let patients = made(&house, request(CopyScope::Patients));
    assert_eq!(lines(&house, &patients), stored(&house, &without(&[("Organization", "g")])));

    // Of one patient: what moved to the other has left, what both share has not.
    let of_p1 = made(&house, request(CopyScope::PatientsIn(vec![rid("p1"), rid("nobody")])));
    let expected = [("Patient", "p1"), ("Observation", "o1"), ("Appointment", "both"), ("Group", "study")];
    assert_eq!(lines(&house, &of_p1), stored(&house, &expected));
    let of_both = made(&house, request(CopyScope::PatientsIn(vec![rid("p1"), rid("p2")])));
    let expected = without(&[("Organization", "g"), ("Observation", "orphan")]);
    assert_eq!(lines(&house, &of_both), stored(&house, &expected), "what both share comes once");

    let types = vec![kind("Patient"), kind("Organization")];
    let typed = made(&house, CopyRequest { types, ..request(CopyScope::System) });
    let expected = [("Organization", "g"), ("Patient", "p1"), ("Patient", "p2")];
    assert_eq!(lines(&house, &typed), stored(&house, &expected));

    let filter = |name: &str, value: &str| (kind("Observation"), vec![(name.to_owned(), value.to_owned())]);
    let filters = vec![filter("value-quantity", "1.5"), filter("value-quantity", "9")];
    let filtered =
        made(&house, CopyRequest { filters, types: vec![kind("Observation")], ..request(CopyScope::System) });
    assert_eq!(lines(&house, &filtered), stored(&house, &[("Observation", "o1"), ("Observation", "orphan")]));
    let filters = vec![filter("colour", "red")];
    let refused = block_on(house.vault.begin_copy(&clinician(), CopyRequest { filters, ..request(CopyScope::System) }));
    assert!(matches!(refused, Err(VaultError::Search(_))), "told at once: {refused:?}");

    house.clock.advance_ms(1000);
    let since = Some(house.clock.now());
    house.put("Observation", "o2", &observation("o2", "p2", "3.50")).unwrap();
    let newer = made(&house, CopyRequest { since, ..request(CopyScope::System) });
    assert_eq!(lines(&house, &newer), stored(&house, &[("Observation", "o2")]));
    house.assert_sound();
}

#[test]
fn every_record_is_named_in_the_ledger_before_the_copy_is_there() {
    let (house, directory) = (House::new(), tempfile::tempdir().unwrap());
    keep(&house, directory.path());
    filled(&house);
    let before = house.ledger().len();
    let status = made(&house, request(CopyScope::System));
    let entries: Vec<Entry> = house.ledger().split_off(before);
    let detail = |entry: &Entry| entry.detail.clone().unwrap_or_default();
    assert!(entries.iter().all(|entry| entry.kind == EventKind::Export && entry.agent.owner == "Dr Test"));
    let (begun, ended) = (detail(&entries[0]), detail(entries.last().unwrap()));
    assert!(begun.contains("begun: for a study, to the registry, until 2026-03-02T08:00:00.000Z"), "{begun}");
    assert_eq!(entries[0].query.as_deref(), Some("https://tacet.example/fhir/$export"));
    assert!(ended.contains("made: for a study"), "{ended}");
    let named: BTreeSet<(String, String)> = entries
        .iter()
        .flat_map(|entry| &entry.records)
        .map(|record| (record.resource_type.to_string(), record.id.as_str().to_owned()))
        .collect();
    let expected = ALL.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect();
    assert_eq!(named, expected);
    for entry in entries.iter().filter(|entry| !entry.records.is_empty()) {
        assert!(entry.query.as_deref().unwrap().contains(&status.id), "says for which copy");
    }
    let before = house.ledger().len();
    text(&house, &status.id, 0).unwrap();
    let read = house.ledger().split_off(before);
    assert_eq!((read.len(), read[0].categories.clone()), (1, vec![status.files[0].resource_type]));
    // Without a ledger nothing is read.
    house.faults.inject(tacet_store::memory::Operation::Sync, 0, tacet_store::memory::Effect::Fail);
    assert!(matches!(text(&house, &status.id, 0), Err(VaultError::Unavailable(_))));
}

#[test]
fn nobody_else_sees_a_copy() {
    let (house, directory) = (House::new(), tempfile::tempdir().unwrap());
    filled(&house);
    let asked = block_on(house.vault.begin_copy(&clinician(), request(CopyScope::System)));
    assert!(matches!(asked, Err(VaultError::NotSupported(_))), "without a directory there are none");
    keep(&house, directory.path());
    let id = made(&house, request(CopyScope::System)).id;
    let other = Caller { owner: "Dr Other".to_owned(), ..clinician() };
    for caller in [&other, &caller(Role::Operator), &caller(Role::Auditor)] {
        let refused = |error: VaultError| matches!(error, VaultError::NotFound | VaultError::Forbidden);
        assert!(refused(house.vault.copy(caller, &id).unwrap_err()));
        assert!(refused(block_on(house.vault.read_copy(caller, &id, 0)).err().unwrap()));
        assert!(refused(block_on(house.vault.end_copy(caller, &id)).unwrap_err()));
    }
    assert!(block_on(house.vault.begin_copy(&caller(Role::Operator), request(CopyScope::System))).is_err());
    for id in ["", "..", "../../etc/passwd", &id.to_uppercase(), &id[1..], &"0".repeat(32)] {
        assert!(matches!(house.vault.copy(&clinician(), id), Err(VaultError::NotFound)), "{id}");
    }
    assert!(matches!(text(&house, &id, 99), Err(VaultError::NotFound)));
    let long = CopyRequest { note: "x".repeat(501), ..request(CopyScope::System) };
    assert!(matches!(block_on(house.vault.begin_copy(&clinician(), long)), Err(VaultError::TooLarge { .. })));
}

/// Takes keys until the keeper lets out no more; the manual clock stands still, so whoever needs one waits.
fn use_up(house: &House) {
    while house.read("Patient", "p1").is_ok() {}
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

#[test]
fn its_files_show_nothing_and_a_changed_one_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (house, directory) = (House::new(), tempfile::tempdir().unwrap());
    keep(&house, directory.path());
    filled(&house);
    // More than one piece.
    for number in 0..400 {
        let id = format!("many{number}");
        let body = observation(&id, "p1", "1").replace("Weight", &format!("{PLANTED}{}", "x".repeat(400)));
        house.put("Observation", &id, &body).unwrap();
    }
    let status = made(&house, request(CopyScope::System));
    assert!(lines(&house, &status)[&kind("Observation")].len() > 400);
    let files = files(directory.path());
    assert_eq!(files.len(), status.files.len());
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        for word in [PLANTED, "Observation", "many1", "Patient"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let number = status.files.iter().position(|file| file.resource_type == kind("Observation")).unwrap();
    let path = directory.path().join(&status.id).join(number.to_string());
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        assert!(text(&house, &status.id, number).is_err(), "{what}");
    };
    for place in [0, 1, 3, 4, 20, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        refused(&bad, &format!("flipped at {place}"));
    }
    for length in [0, 3, 4, 100, good.len() - 1] {
        refused(&good[..length], &format!("cut to {length}"));
    }
    // The first piece taken away, so that the second stands in its place.
    let first = 4 + u32::from_be_bytes(good[..4].try_into().unwrap()) as usize;
    assert!(first < good.len(), "there are two pieces");
    refused(&good[first..], "without its first piece");
    let other = std::fs::read(directory.path().join(&status.id).join(if number == 0 { "1" } else { "0" })).unwrap();
    refused(&other, "another file of the copy");
    std::fs::write(&path, &good).unwrap();
    assert!(text(&house, &status.id, number).is_ok());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(text(&house, &status.id, number), Err(VaultError::Damaged(_))));
}

#[test]
fn a_copy_ends_when_it_is_told_to_and_when_its_time_is_over() {
    let (house, directory) = (House::new(), tempfile::tempdir().unwrap());
    keep(&house, directory.path());
    filled(&house);
    let (told, timed) = (made(&house, request(CopyScope::System)), made(&house, request(CopyScope::System)));
    assert_eq!(house.vault.copy(&clinician(), &timed.id).unwrap().expires, timed.created.plus_ms(DAY_MS));
    let mut reader = block_on(house.vault.read_copy(&clinician(), &told.id, 0)).unwrap();
    block_on(house.vault.end_copy(&clinician(), &told.id)).unwrap();
    assert!(reader.piece().is_err(), "a download that is under way ends too");
    assert!(matches!(house.vault.copy(&clinician(), &told.id), Err(VaultError::NotFound)));
    assert!(matches!(block_on(house.vault.end_copy(&clinician(), &told.id)), Err(VaultError::NotFound)));
    assert!(!directory.path().join(&told.id).exists() && directory.path().join(&timed.id).exists());

    let mut reader = block_on(house.vault.read_copy(&clinician(), &timed.id, 0)).unwrap();
    house.clock.advance_ms(DAY_MS - 1);
    block_on(house.vault.end_expired_copies()).unwrap();
    assert!(text(&house, &timed.id, 0).is_ok(), "until its end it stands");
    house.clock.advance_ms(1);
    assert!(reader.piece().is_err(), "its time is over, though nobody has ended it yet");
    assert!(matches!(house.vault.copy(&clinician(), &timed.id), Err(VaultError::NotFound)));
    block_on(house.vault.end_expired_copies()).unwrap();
    assert_eq!(files(directory.path()), [] as [std::path::PathBuf; 0]);
    let last = house.ledger().pop().unwrap();
    assert!(last.detail.unwrap().contains(&format!("copy {} expired", timed.id)));
    assert_eq!(last.agent.role, "operator");
    house.assert_sound();
}

#[test]
fn an_erasure_ends_every_copy_also_one_that_is_being_made() {
    // A key a second: the copy that is being made waits for the keeper.
    let house = House::with(KeeperLimits { burst: 12, per_second: 1 });
    let directory = tempfile::tempdir().unwrap();
    keep(&house, directory.path());
    filled(&house);
    house.clock.advance_ms(3_600_000);
    let done = made(&house, request(CopyScope::PatientsIn(vec![rid("p1")])));
    use_up(&house);
    let under_way = begin(&house, CopyRequest { life_ms: 2 * DAY_MS, ..request(CopyScope::System) });
    let mut reader = block_on(house.vault.read_copy(&clinician(), &done.id, 0)).unwrap();
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p1"))).unwrap();
    for id in [&done.id, &under_way] {
        assert!(matches!(house.vault.copy(&clinician(), id), Err(VaultError::NotFound)));
    }
    assert!(reader.piece().is_err());
    let erased = house.ledger().into_iter().rfind(|entry| entry.kind == EventKind::Erase).unwrap();
    assert!(erased.detail.unwrap().ends_with(", 2 copies ended"));
    // The thread sees it, and what it wrote goes.
    house.vault.clone().close().unwrap();
    assert_eq!(files(directory.path()), [] as [std::path::PathBuf; 0]);
}

/// What was opened before the keeper refused was once handed out twice.
#[test]
fn a_small_rate_of_the_keeper_makes_it_wait_and_not_fail() {
    let house = House::with(KeeperLimits { burst: 30, per_second: 10 });
    let directory = tempfile::tempdir().unwrap();
    keep(&house, directory.path());
    let names: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
    for name in &names {
        house.clock.advance_ms(1000);
        house.put("Patient", name, &patient(name, "A")).unwrap();
    }
    let unwraps = house.vault.statistics().unwraps.refused;
    let id = begin(&house, request(CopyScope::Patients));
    // The manual clock stands still: the keeper lets out no more until it is turned.
    while house.vault.statistics().unwraps.refused == unwraps {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(house.vault.copy(&clinician(), &id).unwrap().state, CopyState::Working);
    while house.vault.copy(&clinician(), &id).unwrap().state == CopyState::Working {
        house.clock.advance_ms(100);
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = ended(&house, &id);
    let mut found = BTreeSet::new();
    let text = text(&house, &status.id, 0).unwrap();
    for line in text.lines() {
        assert!(found.insert(line.to_owned()), "twice: {line}");
    }
    assert_eq!((found.len(), status.state), (40, CopyState::Done));
}

#[test]
fn a_stop_gives_up_what_is_being_made_and_a_start_says_so() {
    let mut house = House::with(KeeperLimits { burst: 12, per_second: 1 });
    let directory = tempfile::tempdir().unwrap();
    keep(&house, directory.path());
    filled(&house);
    house.clock.advance_ms(3_600_000);
    let done = made(&house, CopyRequest { types: vec![kind("Organization")], ..request(CopyScope::System) });
    let waiting = |house: &House| {
        use_up(house);
        let refused = house.vault.statistics().unwraps.refused;
        let ids = [begin(house, request(CopyScope::System)), begin(house, request(CopyScope::System))];
        while house.vault.statistics().unwraps.refused == refused {
            std::thread::sleep(Duration::from_millis(1));
        }
        ids
    };
    let ids = waiting(&house);
    let third = block_on(house.vault.begin_copy(&clinician(), request(CopyScope::System)));
    assert!(matches!(third, Err(VaultError::Busy { .. })));
    house.clock.advance_ms(3_600_000); // opening takes a key; the threads ask again only after a second
    house.reopen();
    keep(&house, directory.path());
    for id in &ids {
        let status = house.vault.copy(&clinician(), id).unwrap();
        assert!(matches!(&status.state, CopyState::Failed(why) if why.contains("ask for it again")), "{status:?}");
        assert!(matches!(text(&house, id, 0), Err(VaultError::NotFound)));
        assert!(!directory.path().join(id).exists());
    }
    assert_eq!(lines(&house, &done).len(), 1, "what was done before is still there");

    // Killed instead: the row says that it is being made, and nobody makes it.
    house.clock.advance_ms(3_600_000);
    let [first, second] = waiting(&house);
    let stranger = directory.path().join("lost+found");
    std::fs::create_dir(&stranger).unwrap();
    std::fs::create_dir(directory.path().join("0".repeat(32))).unwrap();
    let index = tempfile::tempdir().unwrap();
    let killed = house.vault.clone();
    house.clock.advance_ms(3_600_000);
    house.kill(index.path());
    keep(&house, directory.path());
    let left: BTreeSet<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, BTreeSet::from([done.id.clone(), "lost+found".to_owned()]));
    for id in [&first, &second] {
        let status = house.vault.copy(&clinician(), id).unwrap();
        assert!(matches!(status.state, CopyState::Failed(_)), "{status:?}");
        block_on(house.vault.end_copy(&clinician(), id)).unwrap();
    }
    assert_eq!(lines(&house, &done).len(), 1);
    drop(killed.close());
    // At a start, what is past its end goes.
    house.clock.advance_ms(DAY_MS);
    house.reopen();
    keep(&house, directory.path());
    assert!(matches!(house.vault.copy(&clinician(), &done.id), Err(VaultError::NotFound)));
    assert!(!directory.path().join(&done.id).exists());
}

#[test]
fn what_cannot_be_written_fails_and_leaves_nothing() {
    let (house, directory) = (House::new(), tempfile::tempdir().unwrap());
    let inside = directory.path().join("copies");
    keep(&house, &inside);
    filled(&house);
    // A file stands where the folder of copies was: nothing can be made in it.
    std::fs::remove_dir(&inside).unwrap();
    std::fs::write(&inside, b"").unwrap();
    let id = begin(&house, request(CopyScope::System));
    let status = ended(&house, &id);
    assert!(matches!(status.state, CopyState::Failed(_)) && status.files.is_empty());
    std::fs::remove_file(&inside).unwrap();
    std::fs::create_dir(&inside).unwrap();
    assert_eq!(lines(&house, &made(&house, request(CopyScope::System))), stored(&house, &ALL));
}
