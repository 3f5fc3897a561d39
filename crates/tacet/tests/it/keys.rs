//! `tacet key` and `tacet token`: what opens the store, and who may ask.

use crate::place::Place;
use serde_json::json;
use std::path::Path;

const OTHER: &str = "another horse, another staple";

fn opens(place: &Place, passphrase: &Path) -> bool {
    place.run(&["check", "--passphrase-file", passphrase.to_str().unwrap()]).code == Some(0)
}

#[test]
fn the_passphrase_is_changed() {
    let (place, _) = Place::with_store();
    let (old, new) = (place.path("passphrase"), place.write("new", OTHER));
    let short = place.write("short", "horse");
    let change = |to: &Path| place.run(&["key", "passphrase", "--new-passphrase-file", to.to_str().unwrap()]);
    assert!(change(&short).ended(1).said().contains("characters"));
    assert!(opens(&place, &old));
    change(&new).ended(0);
    assert!(opens(&place, &new) && !opens(&place, &old));
}

#[test]
fn shares_recover_and_new_ones_end_the_old() {
    let (place, old) = Place::with_store();
    let new_passphrase = place.write("new", OTHER);
    let recover = |name: &str, shares: &[String]| {
        let file = place.write(name, shares.join("\n"));
        let new = new_passphrase.to_str().unwrap();
        place.run(&["key", "recover", "--shares-file", file.to_str().unwrap(), "--new-passphrase-file", new])
    };
    assert!(recover("two", &old[..2]).ended(1).said().contains("recovery takes 3 different shares, 2 given"));
    assert!(!opens(&place, &new_passphrase));
    let made = place.json(&["key", "shares", "--shares", "3", "--threshold", "2"]);
    let shares: Vec<String> =
        made["shares"].as_array().unwrap().iter().map(|share| share.as_str().unwrap().to_owned()).collect();
    assert_eq!(shares.len(), 3);
    assert!(recover("replaced", &old[..3]).ended(1).said().contains("replaced"));
    let mistyped = [shares[0].replace('-', "").to_lowercase(), shares[1][..40].to_owned()];
    recover("mistyped", &mistyped).ended(1);
    assert!(!opens(&place, &new_passphrase));
    recover("right", &shares[1..]).ended(0);
    assert!(opens(&place, &new_passphrase) && !opens(&place, &place.path("passphrase")));
}

#[test]
fn key_events_are_in_the_ledger() {
    let (place, _) = Place::with_store();
    let rotated = place.json(&["key", "rotate"]);
    assert_eq!(rotated["generation"], 2);
    place.json(&["key", "shares"]);
    let ledger = place.json(&["ledger", "list", "--count", "10"]);
    let kinds: Vec<&str> =
        ledger["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"key-rotation") && kinds.contains(&"key-event"), "{kinds:?}");
    assert!(ledger["entries"].as_array().unwrap().iter().skip(1).all(|entry| entry["owner"] != "unnamed operator"));
}

#[test]
fn tokens_are_made_listed_and_ended() {
    let (place, _) = Place::with_store();
    let made =
        place.run(&["token", "create", "--owner", "Dr Token", "--role", "clinician", "--expires", "8h"]).ended(0);
    let secret = made.out.trim();
    assert!(secret.starts_with("tacet_") && made.out.lines().count() == 1, "{}", made.out);
    assert!(!made.err.contains(secret), "the secret belongs on stdout alone");
    let listed = place.run(&["token", "list"]).ended(0);
    assert!(listed.out.contains("clinician Dr Token") && !listed.out.contains(secret), "{}", listed.out);
    let tokens = place.json(&["token", "list"])["tokens"].clone();
    let (id, created, expires) = (&tokens[0]["id"], &tokens[0]["created"], &tokens[0]["expires"]);
    assert_eq!(&created.as_str().unwrap()[..4], &expires.as_str().unwrap()[..4]);
    assert!(created.as_str() < expires.as_str());
    place.run(&["token", "revoke", "no-such-id"]).ended(1);
    assert_eq!(place.json(&["token", "revoke", id.as_str().unwrap()])["id"], *id);
    assert_eq!(place.json(&["token", "list"])["tokens"], json!([]));
}

/// With a server running, the change was made, could not be written into the ledger, and was reported as a failure; new
/// shares were lost that way, and the old ones with them.
#[test]
fn no_key_is_changed_beside_a_running_server() {
    let (place, shares) = Place::with_store();
    let new = place.write("new", OTHER);
    let (new, file) = (new.to_str().unwrap(), place.write("shares", shares[..3].join("\n")));
    let before = std::fs::read(place.path("data/root.key")).unwrap();
    let serving = place.serve();
    for arguments in [
        &["key", "passphrase", "--new-passphrase-file", new][..],
        &["key", "shares"],
        &["key", "recover", "--shares-file", file.to_str().unwrap(), "--new-passphrase-file", new],
        &["key", "rotate"],
    ] {
        let refused = place.run(arguments).ended(1);
        assert!(refused.said().contains("in use by another process"), "{}", refused.err);
        assert_eq!(refused.out, "");
    }
    assert_eq!(std::fs::read(place.path("data/root.key")).unwrap(), before);
    serving.stop();
    place.assert_sound("after the refusals");
}
