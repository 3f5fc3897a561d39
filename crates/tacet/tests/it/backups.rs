//! `tacet backup`, from outside: set up, made while the server runs, verified, bent, pruned.

use crate::http::Client;
use crate::place::{Place, files_below};
use crate::workload::patient;
use serde_json::Value;
use std::path::PathBuf;

/// A store with two folders to back up to.
fn place() -> Place {
    let (place, _) = Place::with_store();
    for name in ["content", "keys"] {
        std::fs::create_dir(place.path(name)).unwrap();
    }
    let folder = |name: &str| format!("kind = \"folder\"\npath = \"{}\"\n", place.path(name).display());
    let text = format!(
        "[backup]\ninterval_seconds = 1\n[backup.target]\n{}[backup.keys]\n{}",
        folder("content"),
        folder("keys")
    );
    std::fs::write(place.data().join("tacet.toml"), text).unwrap();
    place
}

fn put(client: &mut Client, ids: std::ops::Range<u32>) {
    for id in ids {
        let id = format!("pat-{id}");
        assert_eq!(client.send("PUT", &format!("/Patient/{id}"), &[], &patient(&id, "Moreau")).unwrap().status, 201);
    }
}

fn kinds(place: &Place) -> Vec<String> {
    let listed = place.json(&["backup", "list", "--count", "1000"]);
    let kind = |snapshot: &Value| snapshot["kind"].as_str().unwrap().to_owned();
    listed["snapshots"].as_array().unwrap().iter().map(kind).collect()
}

fn objects(place: &Place, below: &str) -> Vec<PathBuf> {
    let mut files = files_below(&place.path(below));
    files.sort();
    files
}

/// What people and rights of a folder do not: changes a file that the folder made read-only.
fn overwrite(path: &PathBuf, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_backup_follows_a_server_over_its_starts_and_what_is_bent_is_named() {
    let place = place();
    assert_eq!(place.run(&["backup", "status"]).ended(3).code, Some(3));
    let token = place.token("Dr Smoke", "integrator");
    let made = place.json(&["backup", "now"]);
    assert_eq!((made["snapshot"]["number"].as_u64(), made["snapshot"]["kind"].as_str()), (Some(1), Some("base")));

    let serving = place.serve();
    let mut client = Client::connect(&serving.address, &token).unwrap();
    put(&mut client, 0..20);
    // The server has the store: it is asked.
    let asked = place.json(&["backup", "now"]);
    assert!(asked["snapshot"]["number"].as_u64().unwrap() > 1, "{asked}");
    put(&mut client, 20..25);
    let key = place.json(&["backup", "key"])["key"].as_str().unwrap().to_owned();
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("Moreau") && !log.contains("ERROR"), "{log}");
    let before = kinds(&place).len();
    let serving = place.serve();
    put(&mut Client::connect(&serving.address, &token).unwrap(), 25..30);
    assert_eq!(serving.stop().0, Some(0));
    let kinds = kinds(&place);
    assert!(kinds.len() > before && kinds[before..].iter().all(|kind| kind == "log"), "{kinds:?}");

    let status = place.json(&["backup", "status"]);
    assert_eq!((status["well"].as_bool(), status["status"]["waiting_bytes"].as_u64()), (Some(true), Some(0)));
    // Whoever made it has ended, and that is no silence; one who was killed is.
    let file = place.data().join("backup/status.json");
    let killed = std::fs::read_to_string(&file).unwrap();
    let mut killed: Value = serde_json::from_str(&killed).unwrap();
    assert_eq!(killed["stopped"], true);
    let stopped = killed.clone();
    (killed["stopped"], killed["at"]) = (false.into(), "2020-01-01T00:00:00.000Z".into());
    std::fs::write(&file, killed.to_string()).unwrap();
    let ran = place.run(&["backup", "status", "--json"]).ended(3);
    assert_eq!((ran.json()["stale"].as_bool(), ran.json()["well"].as_bool()), (Some(true), Some(false)));
    std::fs::write(&file, stopped.to_string()).unwrap();
    assert_eq!(place.json(&["backup", "key"])["key"], key.as_str(), "what the running server had noted");
    let sound = place.json(&["backup", "verify", "--key", &key]);
    assert_eq!((sound["sound"].as_bool(), sound["content"]["unnamed"].as_u64()), (Some(true), Some(0)), "{sound}");
    let verified = place.json(&["backup", "verify"]);
    assert!(verified["sound"].as_bool().unwrap() && verified["named_by_ledger"].as_u64().unwrap() >= 1, "{verified}");
    let ledger = place.json(&["ledger", "list", "--count", "200"]);
    let told = |kind: &str| ledger["entries"].as_array().unwrap().iter().any(|entry| entry["kind"] == kind);
    assert!(told("backup") && told("backup-verified"), "{ledger}");

    // Nothing that was planted can be read on a target, and no key is beside the content.
    for file in objects(&place, "content").iter().chain(&objects(&place, "keys")) {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"Moreau"), "{}", file.display());
    }
    let names = objects(&place, "content");
    assert!(!names.iter().any(|path| path.to_string_lossy().contains("key")), "{names:?}");

    // Bent, one after the other.
    let verify_named = |what: &str, path: &PathBuf| {
        let ran = place.run(&["backup", "verify", "--json"]).ended(3);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(ran.out.contains(name), "{what}: {} is not named: {}", path.display(), ran.out);
    };
    let segment = names.iter().find(|path| path.to_string_lossy().contains("/segments/")).unwrap();
    let whole = std::fs::read(segment).unwrap();
    let mut bent = whole.clone();
    bent[whole.len() / 2] ^= 1;
    overwrite(segment, &bent);
    verify_named("a byte of a segment", segment);
    std::fs::remove_file(segment).unwrap();
    verify_named("a segment that is gone", segment);
    overwrite_new(segment, &whole);
    let manifest = names.iter().find(|path| path.to_string_lossy().contains("/000000000001-")).unwrap();
    let whole = std::fs::read(manifest).unwrap();
    std::fs::remove_file(manifest).unwrap();
    verify_named("a snapshot that is gone", manifest);
    // The server notices too, and makes a whole one.
    let serving = place.serve();
    let asked = place.run(&["backup", "now", "--json"]);
    assert_eq!(asked.code, Some(0), "{} {}", asked.out, asked.err);
    let (_, log) = serving.stop();
    assert!(log.contains("MISSING") || log.contains("missing"), "{log}");
    overwrite_new(manifest, &whole);
}

fn overwrite_new(path: &PathBuf, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn targets_that_cannot_be_are_refused_and_pruning_says_what_it_does() {
    let place = place();
    place.run(&["backup", "now"]).ended(0);
    place.token("A", "auditor");
    place.run(&["backup", "now", "--base"]).ended(0);
    let key = place.json(&["backup", "key"])["key"].as_str().unwrap().to_owned();
    let rule = format!(
        "key = \"{key}\"\nall_days = 30\n[target]\nkind = \"folder\"\npath = \"{}\"\n[keys]\nkind = \"folder\"\npath = \"{}\"\n",
        place.path("content").display(),
        place.path("keys").display()
    );
    let rule = place.write("prune.toml", rule);
    let before = objects(&place, "content");
    let planned = place.json(&["backup", "prune", "--rule", rule.to_str().unwrap(), "--dry-run"]);
    assert_eq!(planned["pruned"][0]["snapshots"].as_array().unwrap().len(), 0, "{planned}");
    place.json(&["backup", "prune", "--rule", rule.to_str().unwrap()]);
    assert_eq!(objects(&place, "content"), before, "all of it is younger than the rule's days");
    // What somebody plants keeps nobody from pruning, and is named.
    let planted = "snapshots/000000000099-00000000deadbeef.json";
    std::fs::write(place.path("content").join(planted), "rubbish").unwrap();
    let ran = place.run(&["backup", "prune", "--rule", rule.to_str().unwrap(), "--json"]).ended(3);
    assert_eq!(ran.json()["pruned"][0]["not_ours_count"], 1, "{}", ran.out);
    assert!(ran.out.contains(planted), "{}", ran.out);
    std::fs::remove_file(place.path("content").join(planted)).unwrap();
    // On the machine that has one of the two places, with the public key.
    for (here, there) in [("target", "keys"), ("keys", "target")] {
        let folder = place.path(if here == "target" { "content" } else { "keys" });
        let text = format!("[backup.{here}]\nkind = \"folder\"\npath = \"{}\"\n", folder.display());
        let settings = place.write("one.toml", text);
        let settings = settings.to_str().unwrap();
        let found = place.json(&["--config", settings, "backup", "verify", "--key", &key]);
        let looked = |name: &str| !found[if name == "target" { "content" } else { "keys" }].is_null();
        assert!(found["sound"].as_bool().unwrap() && looked(here) && !looked(there), "{found}");
        let listed = place.run(&["--config", settings, "backup", "list", "--json"]);
        assert_eq!(listed.code, Some(if here == "target" { 0 } else { 1 }), "{}", listed.said());
    }
    let wrong = place.write("wrong.toml", std::fs::read_to_string(&rule).unwrap().replace(&key, &"0".repeat(64)));
    assert!(place.run(&["backup", "prune", "--rule", wrong.to_str().unwrap()]).ended(3).said().contains("not signed"));

    let settings = place.data().join("tacet.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let content = place.path("content").display().to_string();
    std::fs::write(&settings, text.replace(&place.path("keys").display().to_string(), &content)).unwrap();
    assert!(place.run(&["backup", "now"]).ended(1).said().contains("one place"));
    // However it is written.
    std::os::unix::fs::symlink(place.path("content"), place.path("link")).unwrap();
    for other in ["link", "content/", "keys/../content"] {
        std::fs::write(
            &settings,
            text.replace(&place.path("keys").display().to_string(), &place.path(other).display().to_string()),
        )
        .unwrap();
        assert!(place.run(&["backup", "now"]).ended(1).said().contains("one place"), "{other}");
    }
    std::fs::write(&settings, text.split("[backup.keys]").next().unwrap()).unwrap();
    assert!(place.run(&["backup", "now"]).ended(1).said().contains("two places"));
    std::fs::write(&settings, &text).unwrap();

    // A target that is away stops no server.
    std::fs::rename(place.path("content"), place.path("away")).unwrap();
    let serving = place.serve();
    std::fs::rename(place.path("away"), place.path("content")).unwrap();
    place.run(&["backup", "now"]).ended(0);
    assert_eq!(serving.stop().0, Some(0));
}
