//! Lockdown of a served store by the program alone: keys locked, lifted on two people's word, and reading again.

use crate::http::Client;
use crate::people::{approved, staffed};
use crate::place::{Place, Serving};
use serde_json::json;
use tacet_identity::Kind;

#[test]
fn without_a_level_nothing_is_locked() {
    let (place, _) = Place::with_store();
    let refused = place.run(&["lockdown"]).ended(2);
    assert!(refused.err.contains("--level") && refused.err.contains("read-only"), "{}", refused.err);
    place.run(&["lockdown", "--level", "everything"]).ended(2);
    assert!(!place.data().join("lockdown").exists());
    assert_eq!(place.json(&["lockdown", "status"])["in_force"], json!(null));
}

#[test]
fn sealed_keys_open_nothing_until_two_have_lifted_it_and_the_server_was_started_again() {
    let (place, _) = Place::with_store();
    let file = place.write("p1.json", r#"{"resourceType":"Patient","id":"p1","active":true}"#);
    place.run(&["import", file.to_str().unwrap()]).ended(0);
    let token = place.token("a machine", "integrator");
    let made = staffed(&place);
    let ask = |serving: &Serving, method: &str, path: &str, token: &str| {
        Client::connect(&serving.address, token).unwrap().send(method, path, &[], "").unwrap()
    };
    let serving = place.serve();
    assert_eq!(ask(&serving, "GET", "/Patient/p1", &token).status, 200);
    let locked = place.json(&["lockdown", "--level", "sealed", "--reason", "ransom note"]);
    assert_eq!((&locked["level"], &locked["locked"]), (&json!("sealed"), &json!(true)));
    let refused_by = |serving: &Serving| {
        for (method, path) in [("GET", "/Patient/p1"), ("GET", "/Patient"), ("DELETE", "/Patient/p1")] {
            let refused = ask(serving, method, path, &token);
            assert_eq!((refused.status, refused.header("retry-after")), (503, Some("300")), "{method} {path}");
            let outcome = refused.json();
            assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
            assert!(outcome.to_string().contains("two people lift that"), "{outcome}");
        }
        assert_eq!(ask(serving, "GET", "/auth/login", "").status, 200, "whoever lifts it gets to the login");
        assert_eq!(ask(serving, "GET", "/metadata", "").status, 200);
    };
    refused_by(&serving);
    // What is in force is said, not what was asked for, and it is not cried out again.
    let again = place.run(&["lockdown", "--level", "read-only", "--reason", "a second note"]).ended(0);
    assert!(again.out.contains("locked: sealed, as it was before"), "{}", again.out);
    let again = place.json(&["lockdown", "--level", "cut", "--reason", "a third note"]);
    assert_eq!((&again["level"], &again["in_force"]), (&json!("cut"), &json!("sealed")));
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches("THE STORE IS LOCKED").count(), 1, "{log}");
    assert_eq!(log.matches("the level in force stays").count(), 2, "{log}");
    // A start with the passphrase lifts nothing.
    let serving = place.serve();
    refused_by(&serving);
    serving.stop();

    let status = place.json(&["lockdown", "status"]);
    let words = status["lift_words"].as_str().unwrap().to_owned();
    assert!(place.run(&["lockdown", "lift"]).ended(1).said().contains("this needs a second person"));
    let lower = approved(&place, &made, Kind::LiftLockdown, &words.replace("sealed", "read-only"));
    place.run(&["lockdown", "lift", "--approval", &lower]).ended(1);
    let approval = approved(&place, &made, Kind::LiftLockdown, &words);
    let lifted = place.json(&["lockdown", "lift", "--approval", &approval]);
    assert!(lifted["lifted"]["lifted_by"].as_str().unwrap().contains(&approval), "{lifted}");
    // Used up with it, and the one for the lower level is not.
    let listed = place.json(&["approval", "list"]);
    let standing = |id: &str| {
        let all = listed["approvals"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap()["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!((standing(&approval).as_str(), standing(&lower).as_str()), ("used", "allowed"));
    assert!(place.run(&["lockdown", "lift", "--approval", &approval]).ended(1).said().contains("not locked"));

    let serving = place.serve();
    assert_eq!(ask(&serving, "GET", "/Patient/p1", &token).status, 200);
    serving.stop();
    place.assert_sound("after the lockdown");
}
