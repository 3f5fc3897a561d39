//! `tacet serve`, from outside: the door, the ordinary requests, the stop, and what it refuses to be.

use crate::http::Client;
use crate::place::{Place, Serving};
use crate::workload::{observation, patient};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn records_are_created_changed_and_read_with_a_token_only() {
    let (place, _) = Place::with_store();
    let token = place.token("Dr Smoke", "integrator");
    let operator = place.token("Night operator", "operator");
    let serving = place.serve();
    let mut nobody = Client::connect(&serving.address, "").unwrap();
    assert_eq!(nobody.get("/health").unwrap().status, 200);
    assert_eq!(nobody.get("/metadata").unwrap().json()["resourceType"], "CapabilityStatement");

    let mut client = Client::connect(&serving.address, &token).unwrap();
    let body = patient("pat-17", "Moreau");
    let made = client.send("PUT", "/Patient/pat-17", &[("Prefer", "return=representation")], &body).unwrap();
    assert_eq!((made.status, made.version()), (201, Some(1)), "{}", made.body);
    let changed =
        client.send("PUT", "/Patient/pat-17", &[("If-Match", "W/\"1\"")], &patient("pat-17", "Petit")).unwrap();
    assert_eq!((changed.status, changed.version()), (200, Some(2)));
    let stale = client.send("PUT", "/Patient/pat-17", &[("If-Match", "W/\"1\"")], &body).unwrap();
    assert_eq!(stale.status, 412);
    let posted = client.send("POST", "/Observation", &[], &observation(None, "pat-17", "Weight")).unwrap();
    assert_eq!(posted.status, 201);
    let read = client.get("/Patient/pat-17").unwrap();
    assert_eq!(read.json()["name"][0]["family"], "Petit");
    assert_eq!(client.get("/Patient/pat-17/_history/1").unwrap().json()["name"][0]["family"], "Moreau");
    let refused = client.send("POST", "/Patient", &[], r#"{"resourceType":"Patient","gender":"Petit"}"#).unwrap();
    assert_eq!((refused.status, refused.json()["resourceType"].as_str()), (422, Some("OperationOutcome")));

    // Nobody, somebody whose token is made up, and a role that administers.
    assert_eq!(nobody.get("/Patient/pat-17").unwrap().status, 401);
    let forged = format!("tacet_{}", "0".repeat(64));
    let mut forger = Client::connect(&serving.address, &forged).unwrap();
    assert_eq!(forger.get("/Patient/pat-17").unwrap().status, 401);
    let mut operator = Client::connect(&serving.address, &operator).unwrap();
    let hidden = operator.get("/Patient/pat-17").unwrap();
    assert!(matches!(hidden.status, 403 | 404) && !hidden.body.contains("Petit"), "{}", hidden.status);
    assert_eq!(operator.get("/metrics").unwrap().status, 200);

    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    for personal in ["Moreau", "Petit", "pat-17", &token, "Weight"] {
        assert!(!log.contains(personal), "the log says `{personal}`: {log}");
    }
    let ledger = place.json(&["ledger", "list", "--count", "100"]);
    let entry = |kind: &str, record: &str| {
        let entries = ledger["entries"].as_array().unwrap();
        entries
            .iter()
            .any(|entry| entry["kind"] == kind && entry["owner"] == "Dr Smoke" && entry["records"][0] == record)
    };
    assert!(entry("create", "Patient/pat-17/_history/1"), "{ledger}");
    assert!(entry("update", "Patient/pat-17/_history/2"), "{ledger}");
    assert!(entry("read", "Patient/pat-17/_history/2"), "{ledger}");
    let kinds: Vec<&str> =
        ledger["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"start") && kinds.contains(&"stop"), "{kinds:?}");
    place.assert_sound("after the stop");
}

#[test]
fn a_stop_marks_the_store_clean_and_a_kill_does_not() {
    let (place, _) = Place::with_store();
    let clean = |place: &Place| {
        let engine = tacet_store::fjall::FjallEngine::open(&place.data().join("store"), Default::default()).unwrap();
        tacet_store::Engine::witness(&engine).read().unwrap().unwrap().1
    };
    let serving = place.serve();
    assert_eq!(serving.stop().0, Some(0));
    assert!(clean(&place));
    place.serve().kill();
    assert!(!clean(&place));
    place.assert_sound("after the kill");
    assert!(clean(&place));
}

#[test]
fn a_revoked_token_opens_nothing() {
    let (place, _) = Place::with_store();
    let token = place.token("Dr Gone", "integrator");
    let id = place.json(&["token", "list"])["tokens"][0]["id"].as_str().unwrap().to_owned();
    let get = |serving: &Serving| Client::connect(&serving.address, &token).unwrap().get("/Patient/x").unwrap().status;
    let serving = place.serve();
    assert_eq!(get(&serving), 404);
    serving.stop();
    place.run(&["token", "revoke", &id]).ended(0);
    assert_eq!(place.json(&["token", "list"])["tokens"], serde_json::json!([]));
    let serving = place.serve();
    assert_eq!(get(&serving), 401);
    serving.stop();
}

#[test]
fn beyond_loopback_only_with_tls() {
    let (place, _) = Place::with_store();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = place.run(&["serve", "--listen", address, "--base-url", "http://tacet.example"]).ended(1);
        assert!(refused.said().to_lowercase().contains("tls"), "{}", refused.err);
    }
    place.assert_sound("after the refusal");
}

/// A limit on the size of files plays the full disk.
#[test]
fn a_full_disk_stops_the_server_and_loses_nothing() {
    let (place, _) = Place::with_store();
    let token = place.token("Dr Full", "integrator");
    // An ignored signal stays ignored in the program that the shell becomes; a write then fails with an error.
    let serving = Serving::start(place.tacet_after("trap '' XFSZ", &["serve", "--listen", "127.0.0.1:0"]));
    let mut client = Client::connect(&serving.address, &token).unwrap();
    let put = |client: &mut Client, n: usize| {
        let id = format!("p{n}");
        client.send("PUT", &format!("/Patient/{id}"), &[], &patient(&id, "Name")).unwrap()
    };
    for n in 0..20 {
        assert_eq!(put(&mut client, n).status, 201);
    }
    // No file may grow, or be written, beyond its first 4 KiB.
    let limit = rustix::process::Rlimit { current: Some(4096), maximum: None };
    rustix::process::prlimit(Some(serving.pid()), rustix::process::Resource::Fsize, limit).unwrap();
    let refused = put(&mut client, 20);
    assert_eq!(refused.status, 503, "{}", refused.body);
    // A read cannot be written down, so nothing is shown.
    let unread = client.get("/Patient/p0").unwrap();
    assert!(unread.status == 503 && !unread.body.contains("Name"), "{}", unread.body);
    assert_eq!(client.get("/health").unwrap().status, 503);
    // Room again does not help before a new start: what is on the disk is uncertain.
    let limit = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::prlimit(Some(serving.pid()), rustix::process::Resource::Fsize, limit).unwrap();
    assert_eq!(put(&mut client, 21).status, 503);
    let (code, log) = serving.stop();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("full"), "the log does not say why: {log}");

    place.assert_sound("after the full disk");
    let serving = place.serve();
    let mut client = Client::connect(&serving.address, &token).unwrap();
    for n in 0..20 {
        assert_eq!(client.get(&format!("/Patient/p{n}")).unwrap().status, 200);
    }
    assert_eq!(put(&mut client, 22).status, 201);
    serving.stop();
}

/// `tacet demo`, killed at once the first time, then serving, then serving again from what is there.
#[test]
fn the_demo_serves_and_starts_again() {
    let place = Place::empty();
    let start = || {
        let mut command = place.tacet(&["demo", "--patients", "2", "--listen", "127.0.0.1:0", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut first = start();
    std::thread::sleep(Duration::from_millis(150));
    first.kill().unwrap();
    first.wait().unwrap();
    for _ in 0..2 {
        let mut demo = start();
        let mut line = String::new();
        BufReader::new(demo.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = shown["base_url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let mut client = Client::connect(address, shown["tokens"]["clinician"].as_str().unwrap()).unwrap();
        let read = client.get(&format!("/Patient/{}/$everything", shown["patients"][0].as_str().unwrap())).unwrap();
        assert!(read.status == 200 && read.json()["entry"].as_array().unwrap().len() > 3, "{}", read.status);
        kill_process(Pid::from_child(&demo), Signal::TERM).unwrap();
        assert_eq!(demo.wait().unwrap().code(), Some(0));
    }
    let passphrase = place.path("data/passphrase");
    let passphrase = ["--passphrase-file", passphrase.to_str().unwrap()];
    let checked = place.json(&[&["check"][..], &passphrase].concat());
    assert_eq!(checked["resources"]["Patient"], 2, "the second start stored everything anew: {checked}");
    assert_eq!(place.json(&[&["token", "list"][..], &passphrase].concat())["tokens"].as_array().unwrap().len(), 3);
}
