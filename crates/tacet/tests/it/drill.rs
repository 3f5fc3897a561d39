//! The drills, played small with the built program: a normal build leaves nothing to find, and one that does not encrypt is
//! caught; a stolen session reads its own patients, who administers reads nobody, and who edits the ledger is noticed.

use serde_json::Value;
use std::process::Command;

#[test]
fn a_stolen_disk_tells_nothing_unless_nothing_is_sealed() {
    let parent = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tacet"))
        .args(["drill", "stolen-disk", "--patients", "3", "--json", "--scratch"])
        .arg(parent.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let count = |pointer: &str| {
        report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {report}"))
    };

    // It looked for much, at much, and with eyes open.
    assert!(count("/looked_for_total") > 1000 && count("/looked_for/full name") >= 3);
    assert!(count("/plants_proved") >= 50 && count("/control_strings") > 300);
    assert!(count("/rows") > 500 && count("/bytes") > 100_000 && count("/repeats/windows") > 10_000);
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "it tidies up");

    let found = report["found"].as_array().unwrap();
    if cfg!(feature = "bench-unsealed") {
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(!found.is_empty() && count("/scoreboard/records_readable") >= 3);
        assert!(count("/records_unpacked") > 0 && count("/repeats/repeated") > 0);
        assert!(said.contains("DOES NOT ENCRYPT"));
    } else {
        assert_eq!(output.status.code(), Some(0), "{found:?} {said}");
        assert!(found.is_empty() && count("/scoreboard/records_readable") == 0 && count("/repeats/repeated") == 0);
    }
}

#[test]
fn a_drill_without_patients_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tacet")).args(["drill", "stolen-disk", "--patients", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("at least 2 patients"));
}

fn played(drill: &str, patients: &str) -> (Value, Option<i32>, String) {
    let parent = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tacet"))
        .args(["drill", drill, "--patients", patients, "--json", "--scratch"])
        .arg(parent.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "it tidies up");
    (report, output.status.code(), said)
}

#[test]
fn a_stolen_session_reads_its_own_patients_and_no_more() {
    let (report, code, said) = played("stolen-session", "20");
    let count = |pointer: &str| {
        report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {report}"))
    };
    // It had something to read, something to miss, and looked for it.
    assert!(count("/scoreboard/own_patients") >= 1 && count("/closed_patients") >= 5 && count("/strangers") >= 1);
    assert!(count("/requests") > 1000 && count("/pairs") > 200 && count("/looked_for") > 50);
    assert!(count("/break_glass/declared") >= 1 && count("/ledger/refused") > 0);
    assert_eq!((code, &report["scoreboard"]["met"]), (Some(0), &Value::Bool(true)), "{report}\n{said}");
}

#[test]
fn who_administers_reads_nobody_and_gains_nothing_alone() {
    let (report, code, said) = played("rogue-admin", "3");
    let count = |pointer: &str| {
        report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {report}"))
    };
    assert!(count("/control_strings") > 0 && count("/requests") > 1000 && count("/waiting_for_a_second_person") > 0);
    assert_eq!((code, &report["scoreboard"]["met"]), (Some(0), &Value::Bool(true)), "{report}\n{said}");
}

#[test]
fn who_edits_the_ledger_is_noticed_by_who_must() {
    let (report, code, said) = played("bend-the-ledger", "1");
    let attacks = report["attacks"].as_array().unwrap();
    let of =
        |id: &str| attacks.iter().find(|attack| attack["attack"] == id).unwrap_or_else(|| panic!("{id}: {report}"));
    // The control is quiet; a fork is seen by the witness and by nobody on the machine; what nobody can see is said.
    assert!(of("nothing")["noticed"].as_object().unwrap().is_empty(), "{report}");
    let fork = of("fork");
    assert!(fork["noticed"]["witness"].is_object() && fork["noticed"]["verify"].is_null(), "{fork}");
    assert!(of("between")["noticed"].as_object().unwrap().is_empty() && report["scoreboard"]["noticed_by_nobody"] == 3);
    assert!(attacks.len() > 15 && report["entries"].as_u64().unwrap() > 256);
    assert_eq!((code, &report["scoreboard"]["met"]), (Some(0), &Value::Bool(true)), "{report}\n{said}");
}
