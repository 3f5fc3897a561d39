//! Summaries from one hospital's store to another's, by the command line alone.

use crate::people::{approved, staffed};
use crate::place::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use tacet_identity::Kind;
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::{Durability, Engine, Reader, Write};
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::{Clock, SystemClock, Timestamp};

/// Two hospitals that know each other: the one with three patients, the other with the first of them under another id.
struct Two {
    lille: Place,
    lens: Place,
    ids: Vec<String>,
}

fn keys(place: &Place) -> (String, String) {
    let keys = place.json(&["transfer", "key"]);
    let of = |name: &str| keys[name].as_str().unwrap().to_owned();
    (of("recipient"), of("sender"))
}

fn two() -> Two {
    let ((lille, _), (lens, _)) = (Place::with_store(), Place::with_store());
    let hospital =
        Hospital::new(HospitalOptions { seed: 4, patients: 3, now: Timestamp::parse("2026-03-01T08:00:00Z").unwrap() });
    let lines =
        |records: &[tacet_testkit::Record]| records.iter().map(|one| one.json.clone() + "\n").collect::<String>();
    lille.write("in/0.ndjson", lines(&hospital.foundation()));
    let mut ids = Vec::new();
    for (n, file) in hospital.patients().enumerate() {
        lille.write(&format!("in/{}.ndjson", n + 1), lines(&file.resources));
        if n == 0 {
            let mut known: Value = serde_json::from_str(&file.resources[0].json).unwrap();
            known["id"] = json!("known-here");
            for unknown in ["generalPractitioner", "managingOrganization", "link"] {
                known.as_object_mut().unwrap().remove(unknown);
            }
            lens.write("in/known.json", known.to_string());
        }
        ids.push(file.id);
    }
    lille.json(&["import", "in"]);
    lens.json(&["import", "in"]);
    let ((lille_recipient, lille_sender), (lens_recipient, _)) = (keys(&lille), keys(&lens));
    lille.write("data/tacet.toml", format!("[transfer.recipients]\n\"CH Lens\" = \"{lens_recipient}\"\n"));
    lens.write("data/tacet.toml", format!("[transfer.senders]\n\"CHU Lille\" = \"{lille_sender}\"\n"));
    assert_ne!(lille_recipient, lens_recipient);
    Two { lille, lens, ids }
}

impl Two {
    /// A transfer of these patients, as it lies at the receiving hospital.
    fn sent(&self, patients: &[usize], name: &str) -> (Value, Vec<u8>) {
        let mut command =
            vec!["transfer", "make", "--to", "CH Lens", "--reason", "moved\nto Lens", "-o", name, "--language", "en"];
        for patient in patients {
            command.extend(["--patient", self.ids[*patient].as_str()]);
        }
        let made = self.lille.json(&command);
        let file = std::fs::read(self.lille.path(name)).unwrap();
        self.lens.write(name, &file);
        (made, file)
    }
}

/// The entries of a kind in a store's ledger.
fn entries(place: &Place, kind: &str) -> Vec<Value> {
    let listed = place.json(&["ledger", "list", "--kind", kind]);
    listed["entries"].as_array().unwrap().clone()
}

#[test]
fn summaries_go_from_one_hospital_to_another_and_are_taken_once() {
    let two = two();
    let (made, file) = two.sent(&[0, 1], "out.transfer");
    assert_eq!((&made["patients"], &made["to"], &made["emergency"]), (&json!(2), &json!("CH Lens"), &json!(false)));
    let mode = std::fs::metadata(two.lille.path("out.transfer")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!file.windows(8).any(|window| window == b"resource"));
    let told = entries(&two.lille, "transfer-made");
    for id in &two.ids[..2] {
        assert!(told.iter().any(|entry| entry.to_string().contains(id.as_str())), "{told:?}");
    }
    assert!(!told.iter().any(|entry| entry.to_string().contains(two.ids[2].as_str())));
    assert!(told.iter().all(|entry| entry.to_string().contains("CH Lens")));

    // Nobody but Lens opens it, and the sender's own copy is of no use to the sender.
    let refused = two.lille.run(&["transfer", "open", "out.transfer"]).ended(1);
    assert!(refused.err.contains("another hospital's key"), "{}", refused.err);

    let opened = two.lens.json(&["transfer", "open", "out.transfer", "-o", "clear"]);
    assert_eq!((&opened["sender"], &opened["reason"]), (&json!("CHU Lille"), &json!("moved to Lens")));
    let people = opened["patients"].as_array().unwrap();
    assert_eq!(people.len(), 2);
    for person in people {
        let sex = person["sex"].as_str().unwrap();
        assert!(["male", "female"].contains(&sex) && person["birth_place"].is_string(), "{person}");
        let kinds: Vec<&str> =
            person["identifiers"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"hospital"), "{person}");
    }
    let pdf = std::fs::read(two.lens.path("clear/001-summary.pdf")).unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    let document: Value =
        serde_json::from_slice(&std::fs::read(two.lens.path("clear/002-summary.json")).unwrap()).unwrap();
    assert_eq!(document["type"], "document");
    assert_eq!(entries(&two.lens, "transfer-taken").len(), 1);

    // The first is known here, the second is nobody's until a person says so.
    let taken = two.lens.run(&["transfer", "take", "out.transfer", "--json"]).ended(4).json();
    assert_eq!(taken["summaries"][0], json!({ "number": 1, "outcome": "taken", "patient": "known-here" }), "{taken}");
    assert_eq!((&taken["summaries"][1]["outcome"], &taken["left_out"]), (&json!("left out"), &json!(1)));
    let again = two.lens.json(&["transfer", "take", "out.transfer", "--new", "2"]);
    assert_eq!(again["summaries"][0]["outcome"], "taken before");
    let new = again["summaries"][1]["patient"].as_str().unwrap().to_owned();
    let third = two.lens.json(&["transfer", "take", "out.transfer"]);
    assert!(third["summaries"].as_array().unwrap().iter().all(|one| one["outcome"] == "taken before"), "{third}");
    assert_eq!(third["summaries"][0]["patient"], "known-here");
    // Where a stop came between what was stored and its entry, the next run writes one: each does.
    let again = entries(&two.lens, "transfer-taken");
    let before = |id: &str| {
        again
            .iter()
            .filter(|one| one.to_string().contains("in the record already") && one.to_string().contains(id))
            .count()
    };
    assert_eq!((before("known-here"), before(&new)), (2, 1), "{again:?}");
    let told = entries(&two.lens, "transfer-taken");
    for id in ["known-here", new.as_str()] {
        assert!(told.iter().any(|entry| entry.to_string().contains(id)), "{id}: {told:?}");
    }
    let checked = two.lens.assert_sound("after the transfer");
    let counts = &checked["resources"];
    assert_eq!(
        (&counts["Patient"], &counts["DocumentReference"], &counts["Provenance"]),
        (&json!(2), &json!(2), &json!(2))
    );
    // What was on file is as it was: one version each.
    assert_eq!(checked["versions"], 6);
    // The document is the patient's: it goes with the patient.
    two.lens.json(&["patient", "erase", "known-here", "--confirm", "known-here"]);
    assert_eq!(two.lens.assert_sound("after the erasure")["resources"]["DocumentReference"], 1);
}

#[test]
fn what_was_changed_or_comes_from_a_stranger_is_refused() {
    let two = two();
    let (_, file) = two.sent(&[2], "out.transfer");
    let refused = |bytes: &[u8], why: &str| {
        two.lens.write("bad.transfer", bytes);
        for command in [["transfer", "take", "bad.transfer"], ["transfer", "open", "bad.transfer"]] {
            let ran = two.lens.run(&command).ended(1);
            assert!(ran.err.contains(why), "{why}: {}", ran.err);
            assert_eq!(ran.out, "");
        }
    };
    for at in [file.len() / 2, file.len() - 1] {
        let mut changed = file.clone();
        changed[at] ^= 1;
        refused(&changed, "changed or cut off");
    }
    refused(&file[..file.len() - 1], "changed or cut off");
    refused(b"nothing of the kind", "is no transfer");
    two.lens.write("data/tacet.toml", format!("[transfer.senders]\n\"Elsewhere\" = \"{}\"\n", "ab".repeat(32)));
    refused(&file, "none of the known senders");
    assert_eq!(two.lens.assert_sound("after what was refused")["versions"], 1);
    assert_eq!(entries(&two.lens, "transfer-taken").len(), 0);
}

#[test]
fn a_transfer_is_not_made_without_a_reason_a_patient_or_a_receiver() {
    let two = two();
    let id = two.ids[0].as_str();
    let make = |patient: &str, to: &str, reason: &str| {
        two.lille
            .run(&["transfer", "make", "--patient", patient, "--to", to, "--reason", reason, "-o", "no.transfer"])
            .ended(1)
    };
    assert!(make(id, "CH Lens", "short").err.contains("say why"));
    assert!(make(id, "Nowhere", "moved to Nowhere").err.contains("neither listed"));
    assert!(make("nobody", "CH Lens", "moved to Lens").err.contains("there is no Patient"));
    assert!(!two.lille.path("no.transfer").exists());
    let ward = [
        "transfer",
        "make",
        "--ward",
        "Location/none",
        "--to",
        "CH Lens",
        "--reason",
        "moved to Lens",
        "-o",
        "no.transfer",
    ];
    let refused = two.lille.run(&ward).ended(1).err;
    assert!(refused.contains("nobody lies on that ward") && refused.contains("there is no such ward"), "{refused}");
    two.lille.write("empty/ward.json", r#"{"resourceType":"Location","id":"none","status":"active","name":"x"}"#);
    two.lille.json(&["import", "empty"]);
    let refused = two.lille.run(&ward).ended(1).err;
    assert!(refused.contains("nobody lies on that ward now; nothing"), "{refused}");
    // That somebody asked for one who is not there is written down too, and that nothing was shown.
    let tried = entries(&two.lille, "transfer-made");
    assert!(tried.iter().all(|entry| entry["outcome"] == "failed"), "{tried:?}");
    let made = two.lille.json(&[
        "transfer",
        "make",
        "--patient",
        id,
        "--to",
        "CH Lens",
        "--reason",
        "the house is on fire",
        "--emergency",
        "-o",
        "now.transfer",
    ]);
    assert_eq!(made["emergency"], true);
    let told = entries(&two.lille, "transfer-made");
    let done: Vec<_> = told.iter().filter(|entry| entry["outcome"] == "success").collect();
    assert!(!done.is_empty() && done.iter().all(|entry| entry.to_string().contains("without a second person")));
}

#[test]
fn a_ward_goes_at_once() {
    let ((lille, _), (lens, _)) = (Place::with_store(), Place::with_store());
    let hospital = Hospital::new(HospitalOptions { seed: 4, patients: 9, now: SystemClock.now() });
    let lines =
        |records: &[tacet_testkit::Record]| records.iter().map(|one| one.json.clone() + "\n").collect::<String>();
    lille.write("in/0.ndjson", lines(&hospital.foundation()));
    // Five lie on the ward; the sixth is a patient of the hospital and not there.
    let lying: Vec<_> = (0..8).filter_map(|n| hospital.inpatient(n, "Cardiologie", n)).take(5).collect();
    for (n, file) in lying.iter().enumerate() {
        lille.write(&format!("in/{}.ndjson", n + 1), lines(&file.resources));
    }
    let elsewhere = hospital.patient(8);
    lille.write("in/9.ndjson", lines(&elsewhere.resources));
    lille.json(&["import", "in"]);
    let ((_, sender), (recipient, _)) = (keys(&lille), keys(&lens));
    lens.write("data/tacet.toml", format!("[transfer.senders]\n\"CHU Lille\" = \"{sender}\"\n"));
    let ward = format!("Location/{}", hospital.ward("Cardiologie").unwrap());
    let made = lille.json(&[
        "transfer",
        "make",
        "--ward",
        &ward,
        "--to",
        &recipient,
        "--reason",
        "water in the building",
        "-o",
        "ward.transfer",
    ]);
    assert_eq!((&made["patients"], &made["to"]), (&json!(5), &json!("a hospital that is not listed")));
    let told = entries(&lille, "transfer-made").iter().map(ToString::to_string).collect::<String>();
    assert!(lying.iter().all(|file| told.contains(&file.id)) && !told.contains(&elsewhere.id));
    lens.write("ward.transfer", std::fs::read(lille.path("ward.transfer")).unwrap());
    let mut command = vec!["transfer", "take", "ward.transfer"];
    command.extend(["1", "2", "3", "4", "5"].iter().flat_map(|number| ["--new", number]));
    let taken = lens.json(&command);
    assert_eq!((taken["summaries"].as_array().unwrap().len(), &taken["left_out"]), (5, &json!(0)));
    assert_eq!(lens.assert_sound("after the ward came")["resources"]["Patient"], 5);
}

/// The rows of versions (docs/formats/vault.md) of a store that nobody has open.
fn versions(place: &Place) -> (FjallEngine, BTreeMap<Vec<u8>, Vec<u8>>) {
    let engine = FjallEngine::open(&place.data().join("store"), FjallOptions::default()).unwrap();
    let mut rows = BTreeMap::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    };
    engine.range(&[0x03], &[0x04], &mut visit).unwrap();
    (engine, rows)
}

#[test]
fn a_record_that_does_not_open_leaves_one_patient_out_and_nobody_else() {
    let two = two();
    let before = versions(&two.lille).1;
    let allergy = format!(
        r#"{{"resourceType":"AllergyIntolerance","id":"lost","patient":{{"reference":"Patient/{}"}},"clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}}]}},"code":{{"text":"pollen"}}}}"#,
        two.ids[1]
    );
    two.lille.write("more/lost.json", allergy);
    two.lille.json(&["import", "more"]);
    let (engine, after) = versions(&two.lille);
    let (key, mut value) = after.into_iter().find(|(key, _)| !before.contains_key(key)).unwrap();
    *value.last_mut().unwrap() ^= 1;
    engine.write(&[Write::Put { key, value }], Durability::Durable).unwrap();
    drop(engine);
    let make = |patients: &[usize], name: &str| {
        let mut command =
            vec!["transfer", "make", "--to", "CH Lens", "--reason", "moved to Lens", "-o", name, "--json"];
        for patient in patients {
            command.extend(["--patient", two.ids[*patient].as_str()]);
        }
        two.lille.run(&command)
    };
    let made = make(&[0, 1, 2], "out.transfer").ended(4).json();
    assert_eq!((&made["patients"], &made["left_out"][0]["patient"]), (&json!(2), &json!(two.ids[1])), "{made}");
    assert_eq!(made["left_out"].as_array().unwrap().len(), 1);
    let failed = |id: &str| {
        let of = |entry: &&Value| entry["outcome"] == "failed" && entry.to_string().contains(id);
        entries(&two.lille, "transfer-made").iter().filter(of).count()
    };
    assert_eq!((failed(&two.ids[0]), failed(&two.ids[1]), failed(&two.ids[2])), (0, 1, 0));
    two.lens.write("out.transfer", std::fs::read(two.lille.path("out.transfer")).unwrap());
    assert_eq!(two.lens.json(&["transfer", "open", "out.transfer"])["patients"].as_array().unwrap().len(), 2);
    // Nobody else: no file, and nobody is to read that one was sent. So is it where somebody is named who is not there.
    assert!(make(&[1], "none.transfer").ended(1).err.contains("no record of these patients opens"));
    let ghost = ["transfer", "make", "--to", "CH Lens", "--reason", "moved to Lens", "-o", "none.transfer"];
    two.lille.run(&[&ghost[..], &["--patient", &two.ids[0], "--patient", "ghost"]].concat()).ended(1);
    assert!(!two.lille.path("none.transfer").exists());
    assert_eq!((failed(&two.ids[0]), failed(&two.ids[1])), (1, 2));
}

#[test]
fn an_approval_is_not_used_up_where_nothing_can_be_written() {
    let two = two();
    let made = staffed(&two.lille);
    let recipient = keys(&two.lens).0;
    let id = two.ids[0].as_str();
    let approval =
        approved(&two.lille, &made, Kind::BulkExport, &format!("transfer of Patient/{id} to CH Lens ({recipient})"));
    let make = |name: &str| {
        let command = ["transfer", "make", "--to", "CH Lens", "--reason", "moved to Lens", "--patient", id, "-o", name];
        two.lille.run(&[&command[..], &["--approval", &approval]].concat())
    };
    make("no/such/folder.transfer").ended(1);
    two.lille.write("there.transfer", "of somebody else");
    make("there.transfer").ended(1);
    assert_eq!(std::fs::read(two.lille.path("there.transfer")).unwrap(), b"of somebody else");
    make("out.transfer").ended(0);
    assert!(make("again.transfer").ended(1).said().contains("used already"));
    assert!(!two.lille.path("again.transfer").exists());
}

#[test]
fn whose_a_summary_is_is_looked_at_though_somebody_named_it() {
    let two = two();
    // Somebody begins a second record where one is certain to be there.
    two.sent(&[0], "new.transfer");
    let ran = two.lens.run(&["transfer", "take", "new.transfer", "--new", "1", "--json"]).ended(0);
    let warnings = ran.json()["summaries"][0]["warnings"].to_string();
    assert!(warnings.contains("Patient/known-here is certain to be the same person"), "{warnings}");
    assert!(ran.said().contains("a second record was begun"), "{}", ran.err);
    // Somebody names a record that was replaced by another.
    let known: Value = serde_json::from_slice(&std::fs::read(two.lens.path("in/known.json")).unwrap()).unwrap();
    let mut old = known.clone();
    old["id"] = json!("old");
    old["identifier"] = json!([{ "system": "urn:old", "value": "1" }]);
    old["active"] = json!(false);
    old["link"] = json!([{ "other": { "reference": "Patient/known-here" }, "type": "replaced-by" }]);
    two.lens.write("more/old.json", old.to_string());
    two.lens.json(&["import", "more"]);
    two.sent(&[0, 1], "out.transfer");
    let taken = two.lens.json(&["transfer", "take", "out.transfer", "--as", "1=old", "--new", "2"]);
    let one = &taken["summaries"][0];
    assert_eq!(
        (&one["patient"], &one["warnings"]),
        (&json!("known-here"), &json!(["Patient/old was replaced by Patient/known-here"]))
    );
    assert_eq!(taken["summaries"][1].get("warnings"), None, "nobody here is the second");
}

#[test]
fn what_the_sender_wrote_turns_nothing_round_on_a_terminal() {
    let two = two();
    let reason = "moved \u{202e}sneL ot\u{2066} Lens";
    let id = two.ids[0].as_str();
    two.lille.json(&["transfer", "make", "--to", "CH Lens", "--reason", reason, "-o", "out.transfer", "--patient", id]);
    two.lens.write("out.transfer", std::fs::read(two.lille.path("out.transfer")).unwrap());
    let clean = |text: &str| !text.contains(['\u{202e}', '\u{2066}']);
    let ran = two.lens.run(&["transfer", "open", "out.transfer"]).ended(0);
    assert!(clean(&ran.out) && ran.out.contains("moved \u{fffd}sneL ot\u{fffd} Lens"), "{}", ran.out);
    let ran = two.lens.run(&["transfer", "open", "out.transfer", "--json"]).ended(0);
    assert!(clean(&ran.out) && ran.out.contains("\\u202e"), "{}", ran.out);
    assert_eq!(ran.json()["reason"], reason);
    let ran = two.lille.run(&["ledger", "list", "--kind", "transfer-made"]).ended(0);
    assert!(clean(&ran.out), "{}", ran.out);
}
