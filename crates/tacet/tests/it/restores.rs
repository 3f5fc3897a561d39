//! `tacet restore`, from outside: on an empty machine with shares, from before an erasure, with what is not right, and served while it fills.

use crate::http::Client;
use crate::place::{Place, Ran, Serving};
use crate::workload::{observation, patient};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// In a test's arguments: tokens are ended too, as they are where nothing else is said.
const ENDING: &str = "ending tokens";

/// A store that is backed up to two folders, and its shares.
struct House {
    place: Place,
    shares: Vec<String>,
    token: String,
}

impl House {
    fn new() -> Self {
        let (place, shares) = Place::with_store();
        for name in ["content", "keys"] {
            std::fs::create_dir(place.path(name)).unwrap();
        }
        let folder = |name: &str| format!("kind = \"folder\"\npath = \"{}\"\n", place.path(name).display());
        let (content, keys) = (folder("content"), folder("keys"));
        let text = format!("[backup]\ninterval_seconds = 1\n[backup.target]\n{content}[backup.keys]\n{keys}");
        std::fs::write(place.data().join("tacet.toml"), text).unwrap();
        place.write("shares", shares[1..4].join("\n"));
        let token = place.token("Dr Smoke", "integrator");
        Self { place, shares, token }
    }

    fn fill(&self, ids: std::ops::Range<u32>) {
        let serving = self.place.serve();
        let mut client = Client::connect(&serving.address, &self.token).unwrap();
        for id in ids {
            let id = format!("pat-{id}");
            let put = client.send("PUT", &format!("/Patient/{id}"), &[], &patient(&id, "Moreau")).unwrap();
            assert_eq!(put.status, 201, "{}", put.body);
            for number in 0..3 {
                let body = observation(None, &id, &format!("Weight{number}"));
                assert_eq!(client.send("POST", "/Observation", &[], &body).unwrap().status, 201);
            }
        }
        assert_eq!(serving.stop().0, Some(0));
    }

    /// Makes a snapshot, and says which.
    fn backup(&self) -> u64 {
        self.place.json(&["backup", "now"]);
        let listed = self.place.json(&["backup", "list", "--count", "1000"]);
        let numbers =
            listed["snapshots"].as_array().unwrap().iter().map(|snapshot| snapshot["number"].as_u64().unwrap());
        numbers.max().unwrap()
    }

    /// A command on another data directory of the same place.
    fn on(&self, data: &str, arguments: &[&str]) -> Command {
        let mut command = self.place.tacet(arguments);
        command.env("TACET_DATA", self.place.path(data));
        command
    }

    fn restore(&self, data: &str, further: &[&str]) -> Command {
        let path = |name: &str| self.place.path(name).to_str().unwrap().to_owned();
        let mut command = self.on(data, &["restore", "--from", &path("content"), "--keys", &path("keys")]);
        command.args(["--new-passphrase-file", &path("passphrase")]);
        // The tests go on with the tokens that they had.
        if !further.contains(&ENDING) {
            command.arg("--keep-tokens");
        }
        command.args(further.iter().filter(|argument| **argument != ENDING));
        command
    }

    fn restored(&self, data: &str, further: &[&str]) -> Ran {
        let shares = self.place.path("shares");
        let further = [further, &["--share-file", shares.to_str().unwrap(), "--json"]].concat();
        Ran::from(self.restore(data, &further).output().unwrap())
    }

    /// What stands on one of the two places, by its names below `folder`.
    fn objects(&self, place: &str, folder: &str) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = std::fs::read_dir(self.place.path(place).join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        all.sort();
        all
    }

    /// Puts a manifest of `from` on our place under this number, as somebody can who may only add: signed by nobody we know.
    fn plant(&self, from: &Self, place: &str, folder: &str, number: u64, with: (&str, &str)) {
        let newest = from.objects(place, folder).pop().unwrap();
        let text = std::fs::read_to_string(&newest).unwrap().replace(with.0, with.1);
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let (old, id) =
            (value["manifest"]["number"].as_u64().unwrap(), value["manifest"]["id"].as_str().unwrap().to_owned());
        let before = (format!("\"number\":{old},\"id\":\"{id}\""), format!("\"base\":{old},"));
        let after = (format!("\"number\":{number},\"id\":\"0123456789abcdef\""), format!("\"base\":{number},"));
        let text = text.replace(&before.0, &after.0).replace(&before.1, &after.1);
        value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["manifest"]["number"].as_u64(), Some(number));
        let name = format!("{folder}/{number:012}-0123456789abcdef.json");
        std::fs::write(self.place.path(place).join(name), text).unwrap();
    }

    fn is_empty(&self, data: &str) -> bool {
        let path: PathBuf = self.place.path(data);
        !path.exists() || std::fs::read_dir(path).unwrap().next().is_none()
    }
}

#[test]
fn an_empty_machine_and_the_shares_give_the_store_back_and_the_erased_stay_erased() {
    let house = House::new();
    house.fill(0..6);
    let before = house.backup();
    house.place.json(&["patient", "erase", "pat-3", "--confirm", "pat-3"]);
    house.fill(6..8);
    let newest = house.backup();
    assert!(newest > before);

    // From before the erasure.
    let number = before.to_string();
    let ran = house.restored("old", &["--snapshot", &number]).ended(0);
    let told = ran.json();
    assert_eq!((told["sound"].as_bool(), told["snapshot"].as_u64()), (Some(true), Some(before)), "{told}");
    assert_eq!((told["erasures_finished"].as_u64(), told["versions_destroyed"].as_u64()), (Some(1), Some(4)), "{told}");
    assert!(ran.err.contains("is lost") && ran.err.contains("later snapshots"), "{}", ran.err);
    let checked = Ran::from(house.on("old", &["check", "--json"]).output().unwrap()).ended(0).json();
    assert_eq!(checked["resources"]["Patient"].as_u64(), Some(5), "{checked}");
    assert_eq!(checked["erased_keys"].as_u64(), Some(1));
    let serving = Serving::start(house.on("old", &["serve", "--listen", "127.0.0.1:0"]));
    let mut client = Client::connect(&serving.address, &house.token).unwrap();
    assert_eq!(client.get("/Patient/pat-1").unwrap().json()["name"][0]["family"], "Moreau");
    for path in ["/Patient/pat-3", "/Patient/pat-3/_history", "/Patient/pat-3/_history/1", "/Patient/pat-3/$everything"]
    {
        let answer = client.get(path).unwrap();
        assert!(matches!(answer.status, 404 | 410) && !answer.body.contains("Moreau"), "{path}: {}", answer.status);
    }
    let mut found = client.get("/Patient?_summary=count").unwrap();
    for _ in 0..100 {
        if found.status != 503 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        found = client.get("/Patient?_summary=count").unwrap();
    }
    assert_eq!((found.status, found.json()["total"].as_u64()), (200, Some(5)), "{}", found.body);
    let observations = client.get("/Observation?subject=Patient/pat-3").unwrap();
    assert!(!observations.body.contains("Weight"), "{}", observations.body);
    assert_eq!(serving.stop().0, Some(0));
    let ledger = Ran::from(house.on("old", &["ledger", "list", "--count", "200", "--json"]).output().unwrap()).ended(0);
    let ledger = ledger.json();
    let entries = ledger["entries"].as_array().unwrap();
    let detail = |kind: &str| {
        let entry = entries.iter().find(|entry| entry["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {ledger}"));
        entry["detail"].as_str().unwrap().to_owned()
    };
    assert!(detail("restore").contains(&format!("snapshot {before} ")));
    assert!(detail("erase").contains("finished after a restore: 4 versions"));

    // The newest, in the words for people.
    let shares = house.place.path("shares");
    let ran = Ran::from(house.restore("new", &["--share-file", shares.to_str().unwrap()]).output().unwrap()).ended(0);
    assert!(ran.out.contains("What came back is what was backed up."), "{}", ran.out);
    let checked = Ran::from(house.on("new", &["check", "--json"]).output().unwrap()).ended(0).json();
    assert_eq!(checked["resources"]["Patient"].as_u64(), Some(7), "{checked}");
}

#[test]
fn a_segment_that_is_missing_is_a_finding() {
    let house = House::new();
    house.fill(0..2);
    house.backup();
    let mut folders = vec![house.place.path("content")];
    let mut segments = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.components().any(|part| part.as_os_str() == "segments") => segments.push(path),
                false => {}
            }
        }
    }
    assert!(!segments.is_empty());
    for segment in segments {
        std::fs::remove_file(segment).unwrap();
    }
    let ran = house.restored("new", &[]).ended(3);
    assert!(ran.err.contains("has no object"), "{}", ran.err);
}

#[test]
fn what_is_not_right_is_refused_and_leaves_the_directory_empty() {
    let house = House::new();
    house.fill(0..2);
    house.backup();
    house.place.write("few", house.shares[..2].join("\n"));
    let (_, foreign) = Place::with_store();
    house.place.write("foreign", foreign.join("\n"));
    let refused = |name: &str, word: &str| {
        let file = house.place.path(name);
        let ran =
            Ran::from(house.restore("empty", &["--share-file", file.to_str().unwrap()]).output().unwrap()).ended(1);
        assert!(ran.said().contains(word), "{name}: {}", ran.err);
        assert!(house.is_empty("empty"), "{name}");
    };
    refused("few", "recovery takes 3 different shares, 2 given");
    refused("foreign", "another root key file");
    let said = house.restored("empty", &["--snapshot", "999"]).ended(1).err;
    assert!(said.contains("snapshot 999") && house.is_empty("empty"), "{said}");
    let said = house.restored("empty", &["--at", "yesterday"]).ended(1).err;
    assert!(said.contains("no instant"), "{said}");
    // A store that is there is not touched.
    let said = house.restored("data", &[]).ended(1).err;
    assert!(said.contains("is not empty"), "{said}");
    house.place.assert_sound("beside a restore that was refused");
    // The targets exchanged.
    let path = |name: &str| house.place.path(name).to_str().unwrap().to_owned();
    let mut swapped = house.on("empty", &["restore", "--from", &path("keys"), "--keys", &path("content")]);
    swapped.args(["--share-file", &path("shares"), "--new-passphrase-file", &path("passphrase")]);
    let ran = Ran::from(swapped.output().unwrap()).ended(1);
    assert!(ran.said().contains("no snapshot of keys") && house.is_empty("empty"), "{}", ran.err);
}

#[test]
fn reading_works_at_once_and_full_service_comes_without_a_restart() {
    let house = House::new();
    house.fill(0..8);
    house.backup();
    let shares = house.place.path("shares");
    std::fs::create_dir(house.place.path("night")).unwrap();
    let further = ["--share-file", shares.to_str().unwrap(), "--read-only-now", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(house.restore("night", &further));
    let mut client = Client::connect(&serving.address, &house.token).unwrap();
    assert_eq!(client.get("/Patient/pat-5").unwrap().json()["name"][0]["family"], "Moreau");
    let everything = client.get("/Patient/pat-5/$everything").unwrap();
    assert_eq!((everything.status, everything.body.matches("Weight").count() >= 3), (200, true), "{}", everything.body);
    let mut full = false;
    for _ in 0..600 {
        let put = client.send("PUT", "/Patient/late", &[], &patient("late", "Petit")).unwrap();
        if put.status == 201 {
            full = true;
            break;
        }
        assert_eq!((put.status, put.json()["resourceType"].as_str()), (503, Some("OperationOutcome")), "{}", put.body);
        assert!(put.header("retry-after").is_some() && put.body.contains("restore is running"), "{}", put.body);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(full, "it never came to full service");
    assert_eq!(client.get("/Patient/late").unwrap().status, 200);
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("full service") && !log.contains("Moreau"), "{log}");
    assert!(!house.place.path("night/restore-unfinished").exists());
    let checked = Ran::from(house.on("night", &["check", "--json"]).output().unwrap()).ended(0).json();
    assert_eq!(checked["resources"]["Patient"].as_u64(), Some(9), "{checked}");
}

#[test]
fn a_restore_that_was_killed_goes_on_and_nothing_else_opens_the_store() {
    let house = House::new();
    house.fill(0..30);
    house.backup();
    let shares = house.place.path("shares");
    let mut kills = 0;
    for wait_ms in (0..40).map(|step| 10 + step * 25) {
        let further = ["--share-file", shares.to_str().unwrap()];
        let mut child = house
            .restore("killed", &further)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        if house.place.path("killed/restore-unfinished").exists() && house.place.path("killed/root.key").exists() {
            let refused = Ran::from(house.on("killed", &["check"]).output().unwrap());
            let said = refused.said();
            assert!(
                refused.code == Some(1) && (said.contains("is not finished") || said.contains("no store")),
                "{said}"
            );
        }
    }
    // On a busy machine none may have come further than its first moment, on a quick one the last may have ended.
    if house.place.path("killed/restore-unfinished").exists() || !house.place.path("killed/root.key").exists() {
        house.restored("killed", &[]).ended(0);
    }
    assert!(kills > 0);
    let checked = Ran::from(house.on("killed", &["check", "--json"]).output().unwrap()).ended(0).json();
    assert_eq!(checked["resources"]["Patient"].as_u64(), Some(30), "{checked}");
}

#[test]
fn what_others_put_on_the_places_neither_stops_a_restore_nor_is_it_taken() {
    let (house, other) = (House::new(), House::new());
    house.fill(0..2);
    let ours = house.backup();
    other.fill(0..1);
    other.backup();
    // Above ours: rubbish, another hospital's whose part our shares do not open, and ours with another number, whose part they open, with rows that are
    // not there any more.
    house.plant(&house, "keys", "keys", 930, ("key-segments/", "key-segments/0"));
    house.plant(&other, "keys", "keys", 940, ("", ""));
    house.plant(&other, "content", "snapshots", 920, ("", ""));
    let rubbish = |place: &str, name: &str| std::fs::write(house.place.path(place).join(name), "{}").unwrap();
    for number in 950..990 {
        rubbish("keys", &format!("keys/{number:012}-0123456789abcdef.json"));
        rubbish("content", &format!("snapshots/{number:012}-0123456789abcdef.json"));
    }
    let now = tacet_types::Clock::now(&tacet_types::SystemClock).to_string();
    for (data, further) in [("newest", &[] as &[&str]), ("time", &["--at", &now])] {
        let ran = house.restored(data, further).ended(0);
        let told = ran.json();
        assert_eq!((told["snapshot"].as_u64(), told["newest"].as_u64()), (Some(ours), Some(ours)), "{told}");
        assert!(
            ran.err.contains("PASSED OVER in the copies of keys") && ran.err.contains("000000000989"),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("PASSED OVER in the backup") && ran.err.contains(" more. Find out"), "{}", ran.err);
        assert_eq!(told["passed_over"].as_array().unwrap().len(), 41, "{told}");
        let checked = Ran::from(house.on(data, &["check", "--json"]).output().unwrap()).ended(0).json();
        assert_eq!(checked["resources"]["Patient"].as_u64(), Some(2), "{checked}");
    }
    // Below a number there is less to look at; below ours there is nothing that opens.
    let ran = house.restored("below", &["--key-copy", "929"]).ended(0);
    assert!(!ran.err.contains("PASSED OVER in the copies of keys"), "{}", ran.err);
    let said = house.restored("none", &["--key-copy", "0"]).ended(1).err;
    assert!(said.contains("no snapshot of keys") && house.is_empty("none"), "{said}");
}

#[test]
fn what_was_valid_at_the_snapshot_is_ended_before_anybody_is_served() {
    let house = House::new();
    house.fill(0..2);
    let ours = house.backup();
    // More is known outside than came back: refused, with what is missing in numbers.
    let more = "1000000";
    let said = house.restored("short", &["--expect-entries", more]).ended(1).out;
    assert!(
        said.contains("fewer than the") && said.contains("newest on the target") && house.is_empty("short"),
        "{said}"
    );
    let wrong = ["--expect-entries", "1", "--expect-root", "what?"];
    assert!(house.restored("short", &wrong).ended(1).out.contains("44 characters"));
    let other = "0".repeat(64);
    let ran = house.restored("bent", &["--expect-entries", "3", "--expect-root", &other]).ended(3);
    assert!(ran.json()["problems"].to_string().contains("first 3 entries"), "{}", ran.out);

    let ran = house.restored("ended", &[ENDING, "--expect-entries", "3"]).ended(0);
    let told = ran.json();
    assert_eq!((told["snapshot"].as_u64(), told["after"]["ended"]["tokens"].as_u64()), (Some(ours), Some(1)), "{told}");
    assert_eq!(told["after"]["left"]["locked"].as_bool(), Some(false), "{told}");
    let serving = Serving::start(house.on("ended", &["serve", "--listen", "127.0.0.1:0"]));
    let mut client = Client::connect(&serving.address, &house.token).unwrap();
    assert_eq!(client.get("/Patient/pat-1").unwrap().status, 401);
    assert_eq!(serving.stop().0, Some(0));
    let ledger =
        Ran::from(house.on("ended", &["ledger", "list", "--count", "20", "--json"]).output().unwrap()).ended(0);
    for words in ["every session of everybody ended", "ended after a restore: ", "revoked, after a restore"] {
        assert!(ledger.out.contains(words), "{words}: {}", ledger.out);
    }

    // The same where it is served at once, and whoever got in since stays in when the restore is run again.
    let shares = house.place.path("shares");
    let shares = shares.to_str().unwrap();
    let further = [ENDING, "--share-file", shares, "--read-only-now", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(house.restore("night", &further));
    let mut client = Client::connect(&serving.address, &house.token).unwrap();
    assert_eq!(client.get("/Patient/pat-1").unwrap().status, 401);
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("1 machine tokens") && log.contains("NO BACKUP is set up"), "{log}");
}

#[test]
fn the_backup_goes_on_with_full_service() {
    let house = House::new();
    house.fill(0..4);
    let before = house.backup();
    std::fs::create_dir(house.place.path("night")).unwrap();
    std::fs::copy(house.place.data().join("tacet.toml"), house.place.path("night/tacet.toml")).unwrap();
    let shares = house.place.path("shares");
    let further = ["--share-file", shares.to_str().unwrap(), "--read-only-now", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(house.restore("night", &further));
    let mut client = Client::connect(&serving.address, &house.token).unwrap();
    let mut full = false;
    for _ in 0..600 {
        full = client.send("PUT", "/Patient/late", &[], &patient("late", "Petit")).unwrap().status == 201;
        if full {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(full, "it never came to full service");
    let newest = || {
        let names = house.objects("content", "snapshots");
        let number = |path: &PathBuf| path.file_name()?.to_str()?.get(..12)?.parse::<u64>().ok();
        names.iter().filter_map(number).max().unwrap()
    };
    for _ in 0..600 {
        if newest() > before {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(newest() > before, "{log}");
    let told = ["no backup is made until everything is back", "full service", "its first snapshot begins now"];
    let places: Vec<usize> =
        told.iter().map(|words| log.find(words).unwrap_or_else(|| panic!("{words}: {log}"))).collect();
    assert!(places.is_sorted(), "{log}");
    // What was written after the restore is in it.
    let checked = house.restored("again", &[]).ended(0).json();
    assert!(checked["snapshot"].as_u64() > Some(before), "{checked}");
    let checked = Ran::from(house.on("again", &["check", "--json"]).output().unwrap()).ended(0).json();
    assert_eq!(checked["resources"]["Patient"].as_u64(), Some(5), "{checked}");
}
