//! Records in and out by the command line: import, export, erasure, and what each of them says.

use crate::place::Place;
use crate::workload::{observation, patient};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};

fn gz(content: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(content.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn bundle(resources: &[String]) -> String {
    let entries: Vec<String> = resources
        .iter()
        .map(|resource| format!(r#"{{"resource":{resource},"request":{{"method":"POST","url":"x"}}}}"#))
        .collect();
    format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
}

/// Six patients with an observation each, in every shape of file.
fn folder(place: &Place) -> Vec<String> {
    let records = |n: u32| {
        let id = format!("p{n}");
        [patient(&id, "Name"), observation(Some(&format!("o{n}")), &id, "1.50")]
    };
    let lines = |n| records(n).join("\n");
    place.write("in/a.json", bundle(&records(0)));
    place.write("in/deep/b.json.gz", gz(&bundle(&records(1))));
    place.write("in/deep/c.ndjson", lines(2) + "\n\n");
    place.write("in/d.ndjson.gz", gz(&lines(3)));
    place.write("in/e.json", &records(4)[0]);
    place.write("in/f.JSONL", &records(4)[1]);
    place.write("in/readme.txt", "not a record");
    (0..5).flat_map(records).collect()
}

#[test]
fn a_folder_of_every_kind_of_file_is_imported_once() {
    let (place, _) = Place::with_store();
    folder(&place);
    let first = place.json(&["import", "in"]);
    assert_eq!(first["stored"], json!({ "Observation": 5, "Patient": 5 }), "{first}");
    assert_eq!((&first["files"], &first["rejected_total"]), (&json!(6), &json!(0)));
    let second = place.json(&["import", "in"]);
    assert_eq!((&second["stored_total"], &second["units_done_before"]), (&json!(0), &json!(6)));
    // Moved and packed, the lines are the same unit.
    let moved =
        place.write("elsewhere/c.ndjson.gz", gz(&std::fs::read_to_string(place.path("in/deep/c.ndjson")).unwrap()));
    assert_eq!(place.json(&["import", moved.to_str().unwrap()])["units_done_before"], 1);
    let again = place.json(&["import", "in", "--again"]);
    assert_eq!(again["stored_total"], 10);
    let checked = place.assert_sound("after the imports");
    assert_eq!((&checked["versions"], &checked["resources"]["Patient"]), (&json!(20), &json!(5)));
}

#[test]
fn bad_records_are_told_with_their_place_and_the_rest_is_stored() {
    let (place, _) = Place::with_store();
    let lines = [
        patient("good", "Duchemin"),
        r#"{"resourceType":"Patient","id":"bad","gender":"Duchemin-Lefranc"}"#.to_owned(),
        r#"{"resourceType":"Patient","id":"cut","name":[{"family":"Duchemin-Lefr"#.to_owned(),
        String::new(),
        observation(Some("fine"), "good", "x"),
    ];
    place.write("in/lines.ndjson", lines.join("\n"));
    let wrong = r#"{"resourceType":"Observation","id":"wrong","status":"Duchemin-Lefranc"}"#.to_owned();
    place.write("in/bundle.json", bundle(&[patient("other", "Name"), wrong]));
    place.write("in/broken.json", r#"{"resourceType":"Patient","name":[{"family":"Duchemin-Lefranc"}"#);

    let ran = place.run(&["import", "in", "--json"]).ended(4);
    let report = ran.json();
    assert_eq!(report["stored"], json!({ "Observation": 1, "Patient": 2 }));
    assert_eq!(report["rejected_total"], 4);
    for (file, position) in [("lines.ndjson line", 2), ("lines.ndjson line", 3), ("bundle.json entry", 1)] {
        assert!(ran.err.contains(&format!("{file} {position}:")), "{file} {position}: {}", ran.err);
    }
    assert!(ran.err.contains("broken.json"), "{}", ran.err);
    assert!(ran.err.contains("Patient.gender"), "no location: {}", ran.err);
    assert!(!ran.err.contains("Duchemin") && !ran.out.contains("Duchemin"), "personal data: {}", ran.err);
    // The same again: what is bad is told again, what is good is not stored twice.
    let again = place.run(&["import", "in", "--json"]).ended(4).json();
    assert_eq!((&again["rejected_total"], &again["stored_total"]), (&json!(4), &json!(0)));
    assert_eq!(place.assert_sound("after the bad records")["versions"], 3);

    let (strict, _) = Place::with_store();
    let folder = place.path("in");
    let stopped = strict.run(&["import", folder.to_str().unwrap(), "--strict", "--threads", "1"]).ended(1);
    assert!(stopped.err.contains("--strict"), "{}", stopped.err);
    assert_eq!(strict.assert_sound("after --strict")["versions"], 0);
}

#[test]
fn a_file_that_cannot_be_unpacked_is_told_and_the_rest_is_stored() {
    let (place, _) = Place::with_store();
    place.write("in/a.json", patient("a", "Name"));
    let whole = gz(&patient("b", "Name"));
    place.write("in/b.json.gz", &whole[..whole.len() / 2]);
    place.write("in/c.json", patient("c", "Name"));
    let told = place.run(&["import", "in"]).ended(4);
    assert!(told.said().contains("b.json.gz"), "{}", told.err);
    assert_eq!(place.assert_sound("without the file")["resources"]["Patient"], 2);
    place.write("in/b.json.gz", &whole);
    place.run(&["import", "in"]).ended(0);
    assert_eq!(place.assert_sound("after the mended file")["resources"]["Patient"], 3);
}

/// Resources by type and id, without `meta`.
fn by_id(lines: &str) -> BTreeMap<String, Value> {
    let each = lines.lines().filter(|line| !line.is_empty()).map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("meta");
        (format!("{}/{}", value["resourceType"].as_str().unwrap(), value["id"].as_str().unwrap()), value)
    });
    each.collect()
}

#[test]
fn an_export_is_sealed_to_its_recipient_and_holds_everything() {
    let (place, _) = Place::with_store();
    let records = folder(&place);
    place.run(&["import", "in"]).ended(0);
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let arguments = ["export", "--output", "out.age", "--recipient", &recipient, "--purpose", "move to the new house"];
    let report = place.json(&arguments);
    assert_eq!((&report["exported_total"], &report["sealed"]), (&json!(10), &json!(true)));

    let sealed = std::fs::read(place.path("out.age")).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("resourceType"));
    let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
    let mut text = String::new();
    decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(by_id(&text), by_id(&records.join("\n")));
    let other = age::x25519::Identity::generate();
    let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
    assert!(decryptor.decrypt(std::iter::once(&other as &dyn age::Identity)).is_err());

    // The copy says whose it is and when it ends, and the ledger knows of it.
    let note: Value = serde_json::from_slice(&std::fs::read(place.path("out.age.copy.json")).unwrap()).unwrap();
    assert_eq!((&note["owner"], &note["purpose"]), (&json!("Test operator"), &json!("move to the new house")));
    assert!(note["expires"].as_str().unwrap() > note["made"].as_str().unwrap());
    let ledger = place.json(&["ledger", "list", "--count", "50"]);
    let exports: Vec<&Value> =
        ledger["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "export").collect();
    let named: usize = exports.iter().map(|entry| entry["records"].as_array().unwrap().len()).sum();
    assert_eq!(named, 10, "{ledger}");
    assert!(exports.iter().all(|entry| entry["query"].as_str().unwrap().contains(&recipient)), "{ledger}");

    // Nothing is written over, and only some types on demand.
    place.run(&arguments).ended(1);
    assert_eq!(std::fs::read(place.path("out.age")).unwrap(), sealed);
    let some = ["export", "-o", "some.age", "-r", &recipient, "--purpose", "x", "--type", "Patient"];
    assert_eq!(place.json(&some)["exported"], json!({ "Patient": 5 }));
}

#[test]
fn an_export_in_clear_only_with_the_flag_that_says_so() {
    let (place, _) = Place::with_store();
    let records = folder(&place);
    place.run(&["import", "in"]).ended(0);
    place.run(&["export", "--output", "out.ndjson", "--purpose", "x"]).ended(2);
    assert!(!place.path("out.ndjson").exists());
    let flag = "--plaintext-readable-by-anyone";
    let ran = place.run(&["export", "--output", "out.ndjson", "--purpose", "x", flag]).ended(0);
    assert!(ran.out.contains("IN CLEAR"), "{}", ran.out);
    assert_eq!(by_id(&std::fs::read_to_string(place.path("out.ndjson")).unwrap()), by_id(&records.join("\n")));
    // What went out can come in elsewhere.
    let (other, _) = Place::with_store();
    let file = place.path("out.ndjson");
    assert_eq!(other.json(&["import", file.to_str().unwrap()])["stored_total"], 10);
}

#[test]
fn a_patient_is_erased_when_confirmed_and_never_comes_back() {
    let (place, _) = Place::with_store();
    folder(&place);
    place.run(&["import", "in"]).ended(0);
    for confirm in [&[][..], &["--confirm", "p2"]] {
        let refused = place.run(&[&["patient", "erase", "p1"][..], confirm].concat()).ended(1);
        assert!(refused.said().contains("confirm"), "{}", refused.err);
    }
    assert_eq!(place.assert_sound("before the erasure")["resources"]["Patient"], 5);
    let erased = place.json(&["patient", "erase", "p1", "--confirm", "p1"]);
    assert_eq!((&erased["resources"], &erased["versions"]), (&json!(2), &json!(2)));
    let checked = place.assert_sound("after the erasure");
    assert_eq!((&checked["resources"]["Patient"], &checked["erased_keys"]), (&json!(4), &json!(1)));
    place.run(&["patient", "erase", "p1", "--confirm", "p1"]).ended(1);
    // Their records are refused from now on, and told.
    let back = place.run(&["import", "in/deep/b.json.gz", "--again"]).ended(4);
    assert!(back.err.contains("erased"), "{}", back.err);
    let flag = "--plaintext-readable-by-anyone";
    place.run(&["export", "--output", "out.ndjson", "--purpose", "x", flag]).ended(0);
    assert!(!std::fs::read_to_string(place.path("out.ndjson")).unwrap().contains("Patient/p1\""));
    place.run(&["key", "rotate"]).ended(0);
    place.run(&["ledger", "verify"]).ended(0);
}

#[test]
fn the_second_engine_does_the_same() {
    let place = Place::empty();
    place.run(&["init", "--engine", "redb"]).ended(0);
    folder(&place);
    assert_eq!(place.json(&["import", "in"])["stored_total"], 10);
    assert!(place.path("data/store/rows.redb").exists());
    assert_eq!(place.assert_sound("on redb")["versions"], 10);
}

/// The configured URL of the server is known to an import: what names a patient by it is that patient's.
#[test]
fn references_by_the_configured_url_are_imported_as_this_stores() {
    let (place, _) = Place::with_store();
    place.write("data/tacet.toml", "[server]\nbase_url = \"https://records.example.org\"\n");
    let by_url = observation(Some("o1"), "p1", "1.50").replace("Patient/p1", "https://records.example.org/Patient/p1");
    assert!(by_url.contains("records.example.org"));
    place.write("in/a.ndjson", by_url);
    assert_eq!(place.json(&["import", "in"])["stored_total"], 1);
    let patient = tacet_types::ResourceId::parse("p1").unwrap();
    assert!(place.open_vault().preview_erase(&patient).unwrap().is_some_and(|preview| preview.versions == 1));
}
