//! The program itself is killed: a server under load, an import, a rotation of the root key, a change of the passphrase.
//!
//! `TACET_PROGRAM_KILLS=100` kills each of the first three so often; `TACET_SEED=n` chooses other moments.

use crate::http::Client;
use crate::place::{Numbers, Place, Ran, Serving, caller, setting};
use crate::workload::{observation, patient};
use pollster::block_on;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::Timestamp;
use tacet_vault::{ImportOptions, ImportUnit, Role};

/// Clients of the server that is killed.
const CLIENTS: u64 = 4;

fn kills() -> u64 {
    setting("TACET_PROGRAM_KILLS", 24)
}

fn numbers(salt: u64) -> Numbers {
    Numbers(setting("TACET_SEED", 1) * 0x9e37_79b9 + salt)
}

/// What the server answered to clients of all lives.
#[derive(Default)]
struct Answered {
    /// Path of a version (`/Patient/a/_history/1`), with its text; none for a deletion.
    written: BTreeMap<String, Option<String>>,
    read: BTreeSet<String>,
}

/// One client: changes and reads until the server is gone. What has no answer, or not all of it, was not acknowledged.
fn press(
    address: &str,
    token: &str,
    name: &str,
    answered: &Mutex<Answered>,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    let mut client = Client::connect(address, token)?;
    let whose = format!("p-{name}");
    for count in 0.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let marker = format!("m-{name}-{count}.");
        let observed = format!("/Observation/o-{name}-{}", count / 4);
        let (method, path, body) = match count % 4 {
            0 => ("PUT", format!("/Patient/{whose}"), patient(&whose, &marker)),
            1 => ("PUT", observed.clone(), observation(observed.strip_prefix("/Observation/"), &whose, &marker)),
            2 => ("GET", observed.clone(), String::new()),
            _ if count % 8 == 7 => ("DELETE", observed.clone(), String::new()),
            _ => ("POST", "/Observation".to_owned(), observation(None, &whose, &marker)),
        };
        let answer = client.send(method, &path, &[], &body)?;
        let version = answer.version();
        let mut answered = answered.lock().unwrap();
        match (answer.status, method) {
            (200 | 201, "PUT") => {
                answered.written.insert(format!("{path}/_history/{}", version.unwrap()), Some(marker));
            }
            (201, "POST") => {
                let location = answer.header("location").unwrap();
                let path = &location[location.find("/Observation/").unwrap()..];
                answered.written.insert(path.to_owned(), Some(marker));
            }
            (204, "DELETE") => {
                answered.written.insert(format!("{path}/_history/{}", version.unwrap()), None);
            }
            (200, "GET") => {
                answered.read.insert(format!("{path}/_history/{}", version.unwrap()));
            }
            // Told to stop, it takes nothing more on.
            (503, _) if ended.load(Ordering::Relaxed) => return Ok(()),
            (status, method) => panic!("{method} {path}: {status} {}", answer.body),
        }
    }
    Ok(())
}

/// Every acknowledged version is there, as it was written.
fn assert_served(serving: &Serving, token: &str, written: &BTreeMap<String, Option<String>>) {
    let mut client = Client::connect(&serving.address, token).unwrap();
    for (path, marker) in written {
        let answer = client.get(path).unwrap();
        match marker {
            Some(marker) => assert!(answer.status == 200 && answer.body.contains(marker.as_str()), "{path} is lost"),
            None => assert_eq!(answer.status, 410, "the deletion {path} is lost"),
        }
    }
}

/// What a search of one type finds, page after page, with versions. Waits while the index is brought up to date.
fn searched(client: &mut Client, kind: &str, found: &mut BTreeMap<String, u64>) {
    let mut path = format!("/{kind}?_count=100");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.get(&path).unwrap();
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some() && Instant::now() < end, "{}", answer.body);
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let bundle = answer.json();
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            let resource = &entry["resource"];
            let version = resource["meta"]["versionId"].as_str().unwrap().parse().unwrap();
            let path = format!("/{kind}/{}", resource["id"].as_str().unwrap());
            assert!(found.insert(path.clone(), version).is_none(), "{path} is found twice");
        }
        let mut links = bundle["link"].as_array().unwrap().iter();
        let Some(next) = links.find(|link| link["relation"] == "next") else { return };
        let url = next["url"].as_str().unwrap();
        let (_, rest) = url.split_once("://").unwrap();
        path = rest[rest.find('/').unwrap()..].to_owned();
    }
}

/// Searches say what reads say: everything that is current in its version, nothing that is deleted. `known` has what earlier lives found,
/// which nobody changes any more.
fn assert_searched(
    serving: &Serving,
    token: &str,
    written: &BTreeMap<String, Option<String>>,
    known: &mut BTreeMap<String, u64>,
) {
    let mut client = Client::connect(&serving.address, token).unwrap();
    let mut found = BTreeMap::new();
    ["Patient", "Observation"].iter().for_each(|kind| searched(&mut client, kind, &mut found));
    let acknowledged = written.keys().map(|path| path.split_once("/_history/").unwrap().0.to_owned());
    let acknowledged: BTreeSet<String> = acknowledged.collect();
    let new: Vec<String> = found.keys().filter(|path| !known.contains_key(*path)).cloned().collect();
    for path in acknowledged.into_iter().chain(new) {
        let answer = client.get(&path).unwrap();
        match answer.status {
            200 => known.insert(path, answer.version().unwrap()),
            410 => known.remove(&path),
            status => panic!("{path}: {status}"),
        };
    }
    assert!(found == *known, "searches find {} records, reads {}", found.len(), known.len());
}

#[test]
fn a_server_under_load() {
    let (place, _) = Place::with_store();
    let token = place.token("Load", "integrator");
    let mut numbers = numbers(11);
    let answered = Mutex::new(Answered::default());
    let mut all = Answered::default();
    let mut known = BTreeMap::new();
    for life in 0..kills() {
        let serving = place.serve();
        assert_searched(&serving, &token, &answered.lock().unwrap().written, &mut known);
        assert_served(&serving, &token, &answered.lock().unwrap().written);
        all.written.append(&mut answered.lock().unwrap().written);
        all.read.append(&mut answered.lock().unwrap().read);
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (address, token) = (serving.address.clone(), &token);
                let (answered, ended) = (&answered, &ended);
                // An error is the server's death.
                scope.spawn(move || press(&address, token, &format!("{life}-{client}"), answered, ended));
            }
            std::thread::sleep(Duration::from_millis(100 + numbers.below(250)));
            let log = serving.kill();
            assert!(!log.contains("panicked"), "{log}");
            ended.store(true, Ordering::Relaxed);
        });
        place.assert_sound(&format!("server, kill {life}"));
    }
    let last = place.serve();
    assert_served(&last, &token, &answered.lock().unwrap().written);
    assert_served(&last, &token, &all.written);
    assert_searched(&last, &token, &answered.lock().unwrap().written, &mut known);
    assert!(known.len() > 50, "there was little to search");
    let (code, log) = last.stop();
    assert_eq!(code, Some(0), "{log}");
    // What was answered stands in the ledger.
    let ledger = place.json(&["ledger", "list", "--count", "10000000"]);
    let noted = |kinds: &[&str]| -> BTreeSet<String> {
        let entries = ledger["entries"].as_array().unwrap().iter();
        let entries = entries.filter(|entry| kinds.contains(&entry["kind"].as_str().unwrap()));
        entries
            .flat_map(|entry| entry["records"].as_array().unwrap())
            .map(|record| format!("/{}", record.as_str().unwrap()))
            .collect()
    };
    let missing: Vec<_> =
        all.written.keys().filter(|path| !noted(&["create", "update", "delete"]).contains(*path)).take(1).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let reads = noted(&["read"]);
    assert!(all.read.iter().all(|path| reads.contains(path)));
    println!("server: {} kills, {} writes and {} reads answered and found", kills(), all.written.len(), all.read.len());
    assert!(all.written.len() as u64 > 10 * kills() && !all.read.is_empty(), "the clients did too little");
}

/// Writes that were answered before a server is told to stop.
const WRITTEN_A_LIFE: usize = 12;

#[test]
fn a_server_that_is_told_to_stop_under_load() {
    let (place, _) = Place::with_store();
    let token = place.token("Load", "integrator");
    let answered = Mutex::new(Answered::default());
    for life in 0..3 {
        let serving = place.serve();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (address, token) = (serving.address.clone(), &token);
                let (answered, ended) = (&answered, &ended);
                scope.spawn(move || press(&address, token, &format!("{life}-{client}"), answered, ended));
            }
            // However slow the machine: told to stop once it is in the middle of something.
            let enough = (life + 1) * WRITTEN_A_LIFE;
            let patience = Instant::now() + Duration::from_secs(60);
            while answered.lock().unwrap().written.len() < enough && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(20));
            }
            ended.store(true, Ordering::Relaxed);
            let (code, log) = serving.stop();
            assert_eq!(code, Some(0), "{log}");
        });
        place.assert_sound(&format!("server, stop {life}"));
    }
    let last = place.serve();
    let answered = answered.into_inner().unwrap();
    assert_served(&last, &token, &answered.written);
    assert!(answered.written.len() >= 3 * WRITTEN_A_LIFE, "the clients did too little");
}

/// The files of an import and what they hold by type.
fn hospital(place: &Place, patients: u64) -> BTreeMap<String, u64> {
    let now = Timestamp::parse("2026-03-01T08:00:00Z").unwrap();
    let hospital = Hospital::new(HospitalOptions { seed: 5, patients, now });
    let mut counts = BTreeMap::new();
    let mut count = |records: &[tacet_testkit::Record]| {
        for record in records {
            *counts.entry(record.resource_type.to_string()).or_default() += 1;
        }
    };
    let foundation = hospital.foundation();
    count(&foundation);
    let lines =
        |records: &[tacet_testkit::Record]| records.iter().map(|record| record.json.clone() + "\n").collect::<String>();
    place.write("files/00.ndjson", lines(&foundation));
    for (n, file) in hospital.patients().enumerate() {
        count(&file.resources);
        // Half as lines, half as bundles.
        match n % 2 {
            0 => place.write(&format!("files/lines/{n:02}.ndjson"), lines(&file.resources)),
            _ => place.write(
                &format!("files/{n:02}.json"),
                hospital.transaction_bundle(n as u64, tacet_testkit::Method::Put),
            ),
        };
    }
    counts
}

/// Starts a command and kills it after a while. True: it had ended by itself before, well.
fn cut_off(place: &Place, arguments: &[&str], after: Duration) -> bool {
    let mut command = place.tacet(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let ended = Ran::from(child.wait_with_output().unwrap());
    assert!(matches!(ended.code, None | Some(0)), "{arguments:?}: {}", ended.err);
    ended.code.is_some()
}

/// The time that a command takes when nobody kills it.
fn duration_of(place: &Place, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    place.run(arguments).ended(0);
    start.elapsed()
}

#[test]
fn an_import() {
    let (first, _) = Place::with_store();
    let expected = hospital(&first, 30);
    let all: u64 = expected.values().sum();
    let arguments = ["import", first.path("files").to_str().unwrap().to_owned().leak()];
    let whole = duration_of(&first, &arguments);
    let mut numbers = numbers(12);
    let (mut killed, mut rounds, mut resumed) = (0, 0, 0);
    while killed < kills() {
        let (place, _) = Place::with_store();
        rounds += 1;
        // Cut into pieces, a few to a store.
        for _ in 0..6 {
            let after = Duration::from_micros(numbers.below(whole.as_micros() as u64 / 2));
            if cut_off(&place, &arguments, after) {
                break;
            }
            killed += 1;
            place.assert_sound(&format!("import, kill {killed}"));
        }
        let last = place.json(&arguments);
        resumed += last["units_done_before"].as_u64().unwrap();
        let checked = place.assert_sound("import, finished");
        assert_eq!(checked["resources"], json!(expected));
        assert_eq!(checked["versions"], all, "something came in twice");
    }
    println!("import: {killed} kills, {rounds} stores, {all} resources each, {resumed} units were not done again");
    assert!(resumed > 0, "no import was resumed");
}

/// A limit on the size of files plays the full disk, from some moment of the import on.
#[test]
fn an_import_that_fills_the_disk() {
    let (first, _) = Place::with_store();
    let expected = hospital(&first, 12);
    let arguments = ["import", first.path("files").to_str().unwrap().to_owned().leak()];
    let whole = duration_of(&first, &arguments);
    let mut numbers = numbers(16);
    let mut filled = 0;
    for _ in 0..12 {
        let (place, _) = Place::with_store();
        // An ignored signal stays ignored in the program that the shell becomes; a write then fails with an error.
        let mut command = place.tacet_after("trap '' XFSZ", &arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(numbers.below(whole.as_micros() as u64)));
        let limit = Rlimit { current: Some(4096), maximum: None };
        // Where it has ended by itself already, there is nobody to limit.
        let _ = prlimit(Some(Pid::from_child(&child)), Resource::Fsize, limit);
        let ran = Ran::from(child.wait_with_output().unwrap());
        if ran.code != Some(0) {
            let ran = ran.ended(1);
            assert!(ran.said().contains("full") && !ran.said().contains("panicked"), "{}", ran.err);
            filled += 1;
        }
        place.assert_sound("import, full disk");
        place.run(&arguments).ended(0);
        let checked = place.assert_sound("import, room again");
        assert_eq!(checked["resources"], json!(expected));
        assert_eq!(checked["versions"], expected.values().sum::<u64>());
        if filled == 3 {
            break;
        }
    }
    assert!(filled > 0, "the disk was never full in the middle");
}

/// A store with more keys than one commit of a rotation takes.
fn many_keys(place: &Place) -> u64 {
    const PATIENTS: u64 = 2400;
    let lines: Vec<String> = (0..PATIENTS).map(|n| patient(&format!("p{n}"), "Name")).collect();
    let vault = place.open_vault();
    for lines in lines.chunks(900) {
        let lines = lines.iter().zip(1..).map(|(line, number)| (number, line.as_bytes()));
        let unit = ImportUnit::Resources(lines.collect());
        block_on(vault.import(&caller(Role::Integrator), &unit, ImportOptions::default())).unwrap();
    }
    vault.close().unwrap();
    PATIENTS
}

fn generation(rotated: &Value) -> u64 {
    rotated["generation"].as_u64().unwrap()
}

#[test]
fn a_rotation_of_the_root_key() {
    let (place, shares) = Place::with_store();
    let patients = many_keys(&place);
    let whole = duration_of(&place, &["key", "rotate"]);
    let mut numbers = numbers(13);
    let mut reached = generation(&place.json(&["key", "rotate"]));
    let (mut killed, mut halfway) = (0, 0);
    while killed < kills() {
        // The first part of its time is the start of the program.
        let after = whole.mul_f64(0.2 + numbers.below(800) as f64 / 1000.0);
        if !cut_off(&place, &["key", "rotate"], after) {
            killed += 1;
        }
        // The passphrase opens it, whatever generation each key is under.
        let checked = place.assert_sound(&format!("rotation, kill {killed}"));
        assert_eq!(checked["resources"]["Patient"], patients);
        if numbers.below(2) == 0 {
            let rotated = place.json(&["key", "rotate"]);
            let both = rotated["current"].as_u64().unwrap() > 0 && rotated["rewrapped"].as_u64().unwrap() > 0;
            halfway += u64::from(both);
            // The establishment's data key, and the ledger's key of this month (of two, where a month ends meanwhile).
            let keys = rotated["current"].as_u64().unwrap() + rotated["rewrapped"].as_u64().unwrap();
            assert!((patients + 2..=patients + 3).contains(&keys), "{keys}");
            assert!(generation(&rotated) >= reached);
            reached = generation(&rotated);
            place.assert_sound("rotation, finished");
        }
    }
    println!("rotation: {killed} kills, {reached} generations, {halfway} finished from halfway");
    place.run(&["key", "rotate"]).ended(0);
    // The shares of the beginning still recover it.
    let file = place.write("shares", shares[1..4].join("\n"));
    let new = place.write("passphrase-2", "another horse, another staple");
    let (file, new) = (file.to_str().unwrap(), new.to_str().unwrap());
    place.run(&["key", "recover", "--shares-file", file, "--new-passphrase-file", new]).ended(0);
    place.run(&["check", "--passphrase-file", new]).ended(0);
}

#[test]
fn a_change_of_the_passphrase() {
    let (place, _) = Place::with_store();
    let files = [place.path("passphrase"), place.write("passphrase-2", "another horse, another staple")];
    let new = files.each_ref().map(|file| file.to_str().unwrap().to_owned());
    let mut numbers = numbers(14);
    let (mut current, mut changed) = (0, 0);
    for kill in 0..8 {
        let next = 1 - current;
        let arguments = ["key", "passphrase", "--passphrase-file", &new[current], "--new-passphrase-file", &new[next]];
        cut_off(&place, &arguments, Duration::from_millis(numbers.below(1500)));
        let opens = new.each_ref().map(|file| place.run(&["check", "--passphrase-file", file]).code == Some(0));
        assert_ne!(opens[0], opens[1], "kill {kill}: exactly one passphrase is good");
        changed += usize::from(opens[next]);
        current = usize::from(opens[1]);
    }
    println!("passphrase: 8 kills, changed {changed} times");
}

/// An `init` that was killed left a directory in which neither `init` nor anything else worked.
#[test]
fn an_init() {
    let mut numbers = numbers(15);
    let whole = duration_of(&Place::empty(), &["init"]);
    let (mut ran_again, mut whole_already) = (0, 0);
    for kill in 0..6 {
        let place = Place::empty();
        // The first third goes into the passphrase; what follows is quick, so most kills come late.
        let late = whole.mul_f64(0.6 + numbers.below(500) as f64 / 1000.0);
        cut_off(&place, &["init"], late);
        match place.run(&["init"]) {
            ran if ran.code == Some(0) => ran_again += 1,
            ran => {
                whole_already += 1;
                assert!(ran.said().contains("tacet key shares"), "init, kill {kill}: {}", ran.err);
            }
        }
        place.assert_sound(&format!("init, kill {kill}"));
        assert!(!place.path("data/init-unfinished").exists() || whole_already > 0);
    }
    println!("init: 6 kills, {ran_again} made again, {whole_already} whole already");
}

/// Each state that a killed `init` can leave, as far as it was moved.
#[test]
fn an_init_at_each_of_its_moves() {
    let made = |name: &str| {
        let (place, _) = Place::with_store();
        let (data, unfinished) = (place.data(), place.path("data/init-unfinished"));
        std::fs::create_dir(&unfinished).unwrap();
        let back = |name: &str| std::fs::rename(data.join(name), unfinished.join(name)).unwrap();
        match name {
            "nothing moved" => ["root.key", "store"].into_iter().for_each(back),
            "store moved" => back("root.key"),
            _ => {}
        }
        place
    };
    for (state, code) in [("nothing moved", 0), ("store moved", 1), ("all moved", 1)] {
        let place = made(state);
        place.run(&["init"]).ended(code);
        place.assert_sound(state);
    }
}
