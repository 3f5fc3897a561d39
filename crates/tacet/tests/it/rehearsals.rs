//! `tacet drill restore` and `--record`, from outside: a backup that is whole passes beside the running server, one that is not does not, and both stand in
//! the ledger.

use crate::http::Client;
use crate::place::{Place, Ran, files_below};
use crate::workload::{observation, patient};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A store with two folders to back up to, and some records.
struct House {
    place: Place,
    token: String,
    operator: String,
}

impl House {
    fn new() -> Self {
        let (place, _) = Place::with_store();
        for name in ["content", "keys", "scratch"] {
            std::fs::create_dir(place.path(name)).unwrap();
        }
        let folder = |name: &str| format!("kind = \"folder\"\npath = \"{}\"\n", place.path(name).display());
        let (content, keys) = (folder("content"), folder("keys"));
        let text = format!("[backup]\ninterval_seconds = 1\n[backup.target]\n{content}[backup.keys]\n{keys}");
        std::fs::write(place.data().join("tacet.toml"), text).unwrap();
        let token = place.token("Dr Smoke", "integrator");
        let operator = place.token("Supervision", "operator");
        Self { place, token, operator }
    }

    fn fill(&self, address: &str) {
        let mut client = Client::connect(address, &self.token).unwrap();
        for id in 0..5 {
            let id = format!("pat-{id}");
            assert_eq!(
                client.send("PUT", &format!("/Patient/{id}"), &[], &patient(&id, "Moreau")).unwrap().status,
                201
            );
            let body = observation(None, &id, "Weight");
            assert_eq!(client.send("POST", "/Observation", &[], &body).unwrap().status, 201);
        }
    }

    fn rehearse(&self, scratch: &Path, further: &[&str]) -> Ran {
        let scratch = scratch.to_str().unwrap();
        let arguments = [&["drill", "restore", "--scratch", scratch, "--json"], further].concat();
        self.place.run(&arguments)
    }

    fn scratch(&self) -> PathBuf {
        self.place.path("scratch")
    }

    /// The outcomes and words of what the ledger says of drills, the oldest first.
    fn held(&self) -> Vec<(String, String)> {
        let ledger = self.place.json(&["ledger", "list", "--count", "500"]);
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        let entries = ledger["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "drill-held");
        let mut held: Vec<_> = entries
            .map(|entry| (entry["index"].as_u64().unwrap(), text(entry, "outcome"), text(entry, "detail")))
            .collect();
        held.sort();
        held.into_iter().map(|(_, outcome, detail)| (outcome, detail)).collect()
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_whole_backup_passes_beside_the_server_and_stands_in_its_ledger() {
    let house = House::new();
    let doctor = |word: &str| {
        let findings = house.place.run(&["doctor", "--json"]).json()["findings"].clone();
        let of = |finding: &&Value| finding["what"] == "rehearsed restore";
        let found = findings.as_array().unwrap().iter().find(of).unwrap_or_else(|| panic!("{findings}")).clone();
        assert!(found["says"].as_str().unwrap().contains(word), "{found}");
        found["good"].as_bool().unwrap()
    };
    assert!(!doctor("never"));
    let serving = house.place.serve();
    house.fill(&serving.address);
    house.place.json(&["backup", "now"]);
    // Notes that can never be taken: whichever stands first keeps no other waiting.
    for name in 0..12 {
        std::fs::create_dir_all(house.place.data().join(format!("drills/{name}.note"))).unwrap();
    }
    let told = house.rehearse(&house.scratch(), &["--max-seconds", "600"]).ended(0).json();
    for name in 0..12 {
        std::fs::remove_dir(house.place.data().join(format!("drills/{name}.note"))).unwrap();
    }
    assert_eq!((told["passed"].as_bool(), told["in_ledger"].as_bool()), (Some(true), Some(true)), "{told}");
    assert_eq!((told["resources"].as_u64(), told["sample"]["opened"].as_u64()), (Some(10), Some(1000)), "{told}");
    assert!(told["ledger_entries_since"].as_u64().is_some() && told["seconds"]["first_read"].is_f64(), "{told}");
    assert!(is_empty(&house.scratch()), "it tidies up");

    // Its instant is among the figures of the server, and where nobody has a key.
    let metrics = Client::connect(&serving.address, &house.operator).unwrap().get("/metrics").unwrap().body;
    assert!(metrics.contains("tacet_drill_passed_seconds{drill=\"restore\"} 1"), "{metrics}");
    assert!(doctor("brought back in rehearsal"));
    let status = house.place.json(&["backup", "status"]);
    assert_eq!(status["rehearsal"]["good"].as_bool(), Some(true), "{status}");

    // A directory that is made goes again; one in use, in the store or not empty is refused, and leaves nothing.
    let made = house.place.path("made");
    house.rehearse(&made, &["--sample", "1"]).ended(0);
    assert!(!made.exists());
    let full = house.place.path("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("thesis.txt"), "precious").unwrap();
    for (scratch, word) in [
        (full.clone(), "is not empty"),
        (house.place.data().join("scratch"), "a directory of its own"),
        (house.place.path("content").join("scratch"), "a directory of its own"),
    ] {
        let ran = house.rehearse(&scratch, &[]).ended(1);
        assert!(ran.out.contains(word), "{}", ran.out);
    }
    assert_eq!(std::fs::read(full.join("thesis.txt")).unwrap(), b"precious");
    assert!(!house.place.data().join("scratch").exists());

    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    let untaken = "a note of a drill that was not held with this store's root key is thrown away";
    let is_clean = |line: &str| !line.contains("Moreau") && (!line.contains("ERROR") || line.contains(untaken));
    assert!(log.lines().all(is_clean), "{log}");
    let held = house.held();
    assert_eq!(held.len(), 2, "what was refused was not held: {held:?}");
    assert!(
        held.iter().all(|(outcome, detail)| outcome == "success" && detail.starts_with("restore passed")),
        "{held:?}"
    );
    assert!(held[0].1.contains("ledger entries are the first here"), "{held:?}");
    house.place.assert_sound("after rehearsals");

    // With the store free it is written down directly.
    let told = house.rehearse(&house.scratch(), &["--sample", "3"]).ended(0).json();
    assert_eq!(told["in_ledger"].as_bool(), Some(true), "{told}");
    assert_eq!(house.held().len(), 3);
}

#[test]
fn a_backup_with_a_damaged_segment_does_not_pass_and_that_is_written_down() {
    let house = House::new();
    let serving = house.place.serve();
    house.fill(&serving.address);
    house.place.json(&["backup", "now", "--base"]);
    let mut segments = files_below(&house.place.path("content").join("segments"));
    segments.sort();
    assert!(!segments.is_empty());
    for segment in &segments {
        let mut bytes = std::fs::read(segment).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(segment).unwrap();
        std::fs::write(segment, bytes).unwrap();
    }
    let told = house.rehearse(&house.scratch(), &[]).ended(3).json();
    assert_eq!((told["passed"].as_bool(), told["in_ledger"].as_bool()), (Some(false), Some(true)), "{told}");
    assert!(told["problems"][0].as_str().unwrap().contains("is not what was written"), "{told}");
    assert!(is_empty(&house.scratch()), "it tidies up");
    let status = house.place.run(&["backup", "status", "--json"]).json();
    assert!(status["rehearsal"]["says"].as_str().unwrap().contains("DID NOT PASS"), "{status}");

    // No snapshot at all.
    for file in files_below(&house.place.path("content").join("snapshots")) {
        std::fs::remove_file(file).unwrap();
    }
    house.rehearse(&house.scratch(), &[]).ended(3);
    assert_eq!(serving.stop().0, Some(0));
    let held = house.held();
    assert_eq!(held.len(), 2, "{held:?}");
    for (outcome, detail) in &held {
        assert!(
            outcome == "failed" && detail.starts_with("restore NOT PASSED") && detail.contains("WRONG"),
            "{held:?}"
        );
    }
    assert!(held[0].1.contains("is not what was written"), "{held:?}");
}

#[test]
fn a_drill_on_a_scratch_hospital_is_recorded_where_that_is_asked() {
    let house = House::new();
    let scratch = house.scratch();
    let drill = ["drill", "rogue-admin", "--patients", "3", "--scratch", scratch.to_str().unwrap()];
    let serving = house.place.serve();
    let ran = house.place.run(&[&drill[..], &["--record"]].concat()).ended(0);
    let score = ran.out.trim_end().lines().next_back().unwrap().to_owned();
    assert!(ran.err.contains("in the ledger: rogue-admin passed"), "{}", ran.err);
    // What cannot be played fails, and that is written down too.
    let ran = house.place.run(&["drill", "stolen-disk", "--patients", "1", "--record"]).ended(1);
    assert!(ran.err.contains("in the ledger: stolen-disk NOT PASSED"), "{}", ran.err);
    // A note of nobody's is thrown away.
    let note = house.place.data().join("drills/0011223344556677.note");
    std::fs::write(&note, "TACETDR").unwrap();
    for _ in 0..200 {
        if !note.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let (code, log) = serving.stop();
    assert!(code == Some(0) && log.contains("is thrown away") && !note.exists(), "{log}");
    let held = house.held();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held[0].0 == "success" && held[0].1.ends_with(&score), "{held:?} {score}");
    assert!(held[1].0 == "failed" && held[1].1.contains("it could not be played"), "{held:?}");
}
