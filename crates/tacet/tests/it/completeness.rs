//! Promises that hold for every command: `--json` is one document, messages hold no personal data, help is there.

use crate::http::Client;
use crate::place::{Place, Ran};
use serde_json::Value;
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::Timestamp;

fn hospital() -> Hospital {
    Hospital::new(HospitalOptions { seed: 9, patients: 3, now: Timestamp::parse("2026-03-01T08:00:00Z").unwrap() })
}

/// What must never stand in a message or a log: the names, numbers and codes of the patients.
fn assert_discreet(text: &str, whence: &str) {
    let hospital = hospital();
    for n in 0..3 {
        for planted in hospital.planted(n) {
            let found = planted.is_distinctive() && text.contains(&planted.text);
            assert!(!found, "{whence} says `{}` ({})", planted.text, planted.kind.as_str());
        }
    }
}

#[test]
fn no_command_says_personal_data_and_each_has_its_json() {
    let (place, _) = Place::with_store();
    let hospital = hospital();
    let foundation: String = hospital.foundation().iter().map(|record| record.json.clone() + "\n").collect();
    place.write("in/0.ndjson", foundation);
    let mut broken = String::new();
    for (n, file) in hospital.patients().enumerate() {
        let lines: String = file.resources.iter().map(|record| record.json.clone() + "\n").collect();
        // The same with a wrong element beside each name, cut short, and with names where they do not belong.
        broken += &lines.replace("\"family\"", "\"familie\"");
        broken += &lines
            .lines()
            .map(|line| line[..line.floor_char_boundary(line.len() * 2 / 3)].to_owned() + "\n")
            .collect::<String>();
        place.write(&format!("in/{}.ndjson", n + 1), lines);
    }
    place.write("broken.ndjson", broken);
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let id = hospital.patient_id(1);
    let commands: [(&[&str], i32); 16] = [
        (&["import", "in"], 0),
        (&["import", "in"], 0),
        (&["import", "broken.ndjson", "--strict"], 1),
        (&["import", "broken.ndjson"], 4),
        (&["check"], 0),
        (&["ledger", "verify"], 0),
        (&["ledger", "list"], 0),
        (&["token", "create", "--owner", "Dr X", "--role", "clinician"], 0),
        (&["token", "list"], 0),
        (&["export", "-o", "out.age", "-r", &recipient, "--purpose", "test"], 0),
        (&["key", "rotate"], 0),
        (&["key", "shares"], 0),
        (&["patient", "erase", &id], 1),
        (&["patient", "erase", &id, "--confirm", &id], 0),
        (&["generate", "--patients", "1", "--output", "new.ndjson"], 0),
        (&["check"], 0),
    ];
    for (arguments, code) in commands {
        let ran = place.run(&[arguments, &["--json"]].concat()).ended(code);
        let document = ran.json();
        let named = document["command"].as_str().map(str::to_owned).or(document["error"].as_str().map(str::to_owned));
        assert!(named.is_some_and(|named| code == 1 || named.starts_with(arguments[0])), "{document}");
        assert_discreet(&ran.err, &format!("{arguments:?} on stderr"));
        // Data on stdout hold ids (the ledger's entries), nothing else of a patient.
        let data = (0..3).fold(ran.out, |out, n| out.replace(&hospital.patient_id(n), ""));
        assert_discreet(&data, &format!("{arguments:?} on stdout"));
    }

    let token = place.token("Dr X", "integrator");
    let serving = place.serve();
    let mut client = Client::connect(&serving.address, &token).unwrap();
    let path = format!("/Patient/{}", hospital.patient_id(0));
    let record = client.get(&path).unwrap();
    assert_eq!(record.status, 200);
    client.get(&format!("{path}/$everything")).unwrap();
    client.get(&format!("/Patient?family={}", hospital.planted(0)[0].text.replace(' ', "%20"))).unwrap();
    client.send("PUT", &path, &[], &record.body.replace("\"family\"", "\"familie\"")).unwrap();
    client.send("PUT", &path, &[], &record.body[..record.body.len() / 2]).unwrap();
    let (_, log) = serving.stop();
    assert_discreet(&log, "the server's log");
}

#[test]
fn the_ledger_lists_who_read_what() {
    let (place, _) = Place::with_store();
    let hospital = hospital();
    let file = &hospital.patient(0).resources[0].json;
    place.run(&["import", place.write("p.json", file).to_str().unwrap()]).ended(0);
    let token = place.token("Dr Curious", "integrator");
    let serving = place.serve();
    let path = format!("Patient/{}", hospital.patient_id(0));
    assert_eq!(Client::connect(&serving.address, &token).unwrap().get(&format!("/{path}")).unwrap().status, 200);
    serving.stop();
    let listed = place.run(&["ledger", "list"]).ended(0);
    let line = listed.out.lines().find(|line| line.contains(" read ")).unwrap();
    assert!(line.contains("by Dr Curious (integrator) for HOPERAT") && line.contains(&path), "{line}");
    let entries = place.json(&["ledger", "list"])["entries"].clone();
    let read: &Value = entries.as_array().unwrap().iter().find(|entry| entry["kind"] == "read").unwrap();
    assert_eq!((read["address"].as_str(), read["channel"].as_str()), (Some("127.0.0.1"), Some("http")));
    assert_eq!(read["records"][0], format!("{path}/_history/1"));
    assert_eq!(entries[0]["kind"], "ledger-access", "who reads the ledger is in it");
}

#[test]
fn the_ledger_answers_questions() {
    let (place, _) = Place::with_store();
    let hospital = hospital();
    let file = &hospital.patient(0).resources[0].json;
    place.run(&["import", place.write("p.json", file).to_str().unwrap()]).ended(0);
    let token = place.token("=Dr Curious", "integrator");
    let id = hospital.patient_id(0);
    let serving = place.serve();
    let path = format!("/Patient/{id}");
    for _ in 0..2 {
        assert_eq!(Client::connect(&serving.address, &token).unwrap().get(&path).unwrap().status, 200);
    }
    serving.stop();
    assert!(place.data().join("ledger-index").is_dir());

    let saw = place.json(&["ledger", "who-saw", &id, "--kind", "read", "--from", "2020-01-01", "--oldest-first"]);
    let reads = saw["entries"].as_array().unwrap();
    assert_eq!((reads.len(), reads[0]["owner"].as_str()), (2, Some("=Dr Curious")));
    let did = place.run(&["ledger", "what-did", "=Dr Curious", "--csv"]).ended(0).out;
    assert!(did.starts_with("index,at,kind,") && did.lines().count() == 3, "{did}");
    assert!(did.contains(",'=Dr Curious,"), "no spreadsheet runs it: {did}");
    let lines = place.run(&["ledger", "list", "--ndjson", "--count", "3", "--address", "127.0.0.1"]).ended(0).out;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    // What narrows a question or carries its answer away is answered whole, and what is cut is said.
    for _ in 0..21 {
        place.run(&["ledger", "list", "--count", "1"]).ended(0);
    }
    let all = place.run(&["ledger", "list", "--kind", "ledger-access"]).ended(0);
    assert!(all.out.lines().count() > 20 && !all.err.contains("cut at"), "{}", all.out);
    assert!(place.run(&["ledger", "list", "--csv"]).ended(0).out.lines().count() > 21);
    let newest = place.run(&["ledger", "list"]).ended(0);
    assert!(newest.out.lines().count() == 20 && newest.err.contains("cut at 20 entries"), "{}", newest.err);
    place.run(&["ledger", "list", "--count", "1", "--pdf", place.path("cut.pdf").to_str().unwrap()]).ended(2);
    assert_eq!(place.json(&["ledger", "list"])["cut"], true);
    assert_eq!(place.json(&["ledger", "list", "--kind", "ledger-access"])["cut"], false);
    place.run(&["ledger", "list", "--count", "0"]).ended(2);
    for (wrong, why) in [
        (["--device", ""], "it has 16 of 0 to 9 and a to f"),
        (["--device", "00D1CE0123456789"], "it has 16 of 0 to 9 and a to f"),
        (["--from", "2026-03-02"], "give `from` before `to`"),
        (["--from", "2026-03-01"], "give `from` before `to`"),
    ] {
        let refused = place.run(&[&["ledger", "list", "--to", "2026-03-01"][..], &wrong].concat()).ended(1);
        assert!(refused.said().contains(why), "{}", refused.said());
    }

    let token_id = reads[0]["token"].as_str().unwrap();
    let extent = place.json(&["ledger", "session", token_id]);
    assert_eq!((extent["patients_touched"].as_u64(), extent["entries"].as_u64()), (Some(1), Some(2)));
    assert!(extent["patients"][0]["name"].is_null());
    let named = place.json(&["ledger", "session", token_id, "--names"]);
    let name = named["patients"][0]["name"].as_str().unwrap();
    assert!(!name.is_empty());
    let csv = place.run(&["ledger", "session", token_id, "--names", "--csv"]).ended(0).out;
    assert!(csv.contains(name) && csv.lines().count() == 2, "{csv}");
    // Each name is a disclosure of its own, for whoever asked.
    let seen = place.json(&["ledger", "who-saw", &id, "--kind", "read"]);
    let people: Vec<_> = seen["entries"].as_array().unwrap().iter().map(|entry| entry["owner"].as_str()).collect();
    assert_eq!((people.len(), people[2], people[0] == people[1]), (4, Some("=Dr Curious"), true), "{people:?}");
    let entries = place.run(&["ledger", "session", token_id, "--entries", "--ndjson"]).ended(0).out;
    assert_eq!(entries.lines().count(), 2);
    assert!(place.run(&["ledger", "session", "nobody"]).ended(0).out.contains("No entry"));

    // Gone or damaged, the index is made again.
    for file in std::fs::read_dir(place.data().join("ledger-index")).unwrap() {
        std::fs::write(file.unwrap().path(), "x").unwrap();
    }
    let again = place.json(&["ledger", "session", token_id]);
    assert_eq!(again["patients"], extent["patients"]);
    // And in words for the patient.
    let pdf = place.path("report.pdf");
    let asked = ["ledger", "report", &id, "--lang", "en", "--name", "--pdf", pdf.to_str().unwrap()];
    let report = place.json(&asked);
    assert_eq!((report["patient"]["id"].as_str(), report["summary"]["emergencies"].as_u64()), (Some(&*id), Some(0)));
    assert!(!report["patient"]["name"].as_str().unwrap().is_empty());
    let curious =
        report["machines"].as_array().unwrap().iter().find(|machine| machine["name"] == "=Dr Curious").unwrap();
    assert_eq!((curious["accesses"].as_u64(), curious["days"][0]["kind"].as_str()), (Some(2), Some("read")));
    let total = report["accesses"]["items"].as_array().unwrap().len() as u64;
    assert_eq!(report["summary"]["accesses"].as_u64(), Some(total));
    assert!(std::fs::read(&pdf).unwrap().starts_with(b"%PDF-1.7"));
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&pdf).unwrap().permissions()) & 0o777, 0o600);
    place.run(&asked).ended(1);
    place.run(&["ledger", "report", &id, "--lang", "xx"]).ended(1);
    place.run(&["ledger", "who-saw", "no/id"]).ended(1);
    place.run(&["ledger", "list", "--from", "soon"]).ended(1);
    place.run(&["ledger", "list", "--kind", "theft"]).ended(1);
}

#[test]
fn the_doctor_says_what_to_mend() {
    let (place, _) = Place::with_store();
    let says = |ran: &Ran, what: &str| {
        let finding = ran.json()["findings"].as_array().unwrap().iter().find(|one| one["what"] == what).cloned();
        finding.unwrap_or_else(|| panic!("nothing on {what}: {}", ran.out))["good"].as_bool().unwrap()
    };
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(&place.data(), 0o755);
    mode(&place.path("passphrase"), 0o644);
    place.write("data/tacet.toml", "[server]\nlisten = \"0.0.0.0:8443\"\n");
    let ran = place.run(&["doctor", "--json"]).ended(3);
    for what in ["data directory", "passphrase file", "configuration"] {
        assert!(!says(&ran, what), "{what}: {}", ran.out);
    }
    assert!(says(&ran, "core dumps") && says(&ran, "root key") && says(&ran, "passphrase place"), "{}", ran.out);
    mode(&place.data(), 0o700);
    mode(&place.path("passphrase"), 0o600);
    std::fs::remove_file(place.path("data/tacet.toml")).unwrap();
    // The rest is the machine's own: its swap, its free room.
    let ran = place.run(&["doctor", "--json"]);
    assert!(!says(&ran, "backup"), "none is set up: {}", ran.out);
    for what in ["data directory", "passphrase file", "configuration"] {
        assert!(says(&ran, what), "{what}: {}", ran.out);
    }
    // On the disk of the data, and both on one.
    let folder = |name: &str| format!("{{ kind = \"folder\", path = \"{}\" }}", place.path(name).display());
    place.write("data/tacet.toml", format!("[backup]\ntarget = {}\nkeys = {}\n", folder("content"), folder("keys")));
    std::fs::create_dir(place.path("content")).unwrap();
    let ran = place.run(&["doctor", "--json"]).ended(3);
    assert!(!says(&ran, "backup") && ran.out.contains("is not there"), "{}", ran.out);
    std::fs::create_dir(place.path("keys")).unwrap();
    place.run(&["backup", "now"]).ended(0);
    let ran = place.run(&["doctor", "--json"]).ended(3);
    assert!(says(&ran, "backup"), "{}", ran.out);
    for what in ["backup target", "backup keys", "backup apart"] {
        assert!(!says(&ran, what), "{what}: {}", ran.out);
    }
}

#[test]
fn help_completions_and_synthetic_records_need_no_store() {
    let place = Place::empty();
    assert!(place.run(&["--help"]).ended(0).out.contains("Exit codes"));
    assert!(place.run(&["--version"]).ended(0).out.starts_with("tacet "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completions", shell]).ended(0).out.contains("tacet"), "{shell}");
    }
    let lines = place.run(&["generate", "--patients", "2", "--seed", "3"]).ended(0).out;
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.iter().filter(|record| record["resourceType"] == "Patient").count(), 2);
    place.run(&["generate", "--patients", "2", "--output", "x.ndjson.gz"]).ended(0);
    place.run(&["generate", "--patients", "2", "--output", "x.ndjson.gz"]).ended(1);
    assert!(!place.data().exists());
}
