//! The stolen disk, played with the built program: a normal build leaves nothing to find, and one that does not encrypt is
//! caught.

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
