//! What a command says when it cannot: a clear error, what to do next, an exit code, and nothing changed.

use crate::place::{PASSPHRASE, Place, files_below};
use crate::workload::patient;
use std::path::{Path, PathBuf};
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::{Durability, Engine, Reader, Write};

/// Every file of a store with its bytes; the locks, which hold none, aside.
fn bytes_of(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files_below(data).into_iter().map(|file| (file.clone(), std::fs::read(&file).unwrap())).collect()
}

#[test]
fn init_prints_its_shares_once_and_never_makes_a_store_over_another() {
    let place = Place::empty();
    let made = place.run(&["init", "--shares", "4", "--threshold", "2"]).ended(0);
    let shares: Vec<&str> = made.out.lines().map(str::trim).filter(|line| line.starts_with("TACET-SHARE-")).collect();
    assert_eq!(shares.len(), 4, "{}", made.out);
    assert_eq!(made.err, "");
    let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
    assert_eq!(mode(&place.data()) & 0o777, 0o700);
    assert_eq!(mode(&place.data().join("root.key")) & 0o777, 0o600);
    for (file, bytes) in bytes_of(&place.data()) {
        for secret in shares.iter().map(|share| share.as_bytes()).chain([PASSPHRASE.as_bytes()]) {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret lies in {file:?}");
        }
    }
    let before = bytes_of(&place.data());
    let again = place.run(&["init"]).ended(1);
    assert!(again.said().contains("holds a store already"), "{}", again.err);
    assert!(again.out.is_empty() && bytes_of(&place.data()) == before);
    assert_eq!(place.assert_sound("after init")["versions"], 0);
}

#[test]
fn a_wrong_or_missing_passphrase_opens_nothing_and_changes_nothing() {
    let (place, _) = Place::with_store();
    let before = bytes_of(&place.data());
    let wrong = place.write("wrong", "incorrect horse battery staple");
    for arguments in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"], &["key", "rotate"], &["token", "list"]] {
        let file = ["--passphrase-file", wrong.to_str().unwrap()];
        let refused = place.run(&[arguments, &file].concat()).ended(1);
        assert!(refused.said().contains("wrong passphrase"), "{}", refused.err);
        assert!(refused.said().contains("tacet key recover"), "no word on what to do: {}", refused.err);
        assert_eq!(refused.out, "");
    }
    place.write("empty", "");
    let empty = place.run(&["check", "--passphrase-file", place.path("empty").to_str().unwrap()]).ended(1);
    assert!(empty.said().contains("no passphrase"), "{}", empty.err);
    let none = place.tacet(&["check"]).env_remove("TACET_PASSPHRASE_FILE").output().unwrap();
    assert!(String::from_utf8(none.stderr).unwrap().contains("--passphrase-file"));
    assert!(bytes_of(&place.data()) == before, "a refused command changed the store");
    // In JSON the error is a document too.
    let refused = place.run(&["check", "--json", "--passphrase-file", wrong.to_str().unwrap()]).ended(1);
    assert!(refused.json()["help"].as_str().unwrap().contains("recover"));
}

#[test]
fn a_store_is_open_in_one_process_only() {
    let (place, _) = Place::with_store();
    let serving = place.serve();
    for arguments in [&["check"][..], &["key", "rotate"], &["serve", "--listen", "127.0.0.1:0"]] {
        let second = place.run(arguments).ended(1);
        assert!(second.said().contains("in use by another process"), "{}", second.err);
    }
    assert_eq!(serving.stop().0, Some(0));
    place.run(&["key", "rotate"]).ended(0);
    place.assert_sound("after two processes");
}

#[test]
fn no_store_is_said_and_none_is_made() {
    let place = Place::empty();
    for arguments in [&["check"][..], &["serve"], &["import", "."], &["key", "rotate"], &["ledger", "verify"]] {
        let refused = place.run(arguments).ended(1);
        assert!(refused.said().contains("there is no store in") || arguments[0] == "import", "{}", refused.err);
        assert!(!place.data().exists());
    }
}

#[test]
fn a_newer_format_is_left_alone() {
    let (place, _) = Place::with_store();
    // The key of the format row and the shape of its value: docs/formats/store.md.
    let key = [0x00, 0x01];
    let engine = || FjallEngine::open(&place.data().join("store"), FjallOptions::default()).unwrap();
    let ours = engine().get(&key).unwrap().unwrap();
    let newer = [b"tacet-store".as_slice(), &2u32.to_be_bytes()].concat();
    let set = |value: &[u8]| engine().write(&[Write::put(key.to_vec(), value.to_vec())], Durability::Durable).unwrap();
    set(&newer);
    for arguments in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let refused = place.run(arguments).ended(1);
        assert!(refused.said().contains("use a newer program"), "{}", refused.err);
    }
    set(&ours);
    place.assert_sound("with its own format again");

    let file = place.data().join("root.key");
    let ours = std::fs::read(&file).unwrap();
    let mut newer = ours.clone();
    newer[8] += 1; // after the eight bytes of its name: docs/formats/root-key.md
    std::fs::write(&file, &newer).unwrap();
    let refused = place.run(&["check"]).ended(1);
    assert!(refused.said().contains("use a newer tacet"), "{}", refused.err);
    assert_eq!(std::fs::read(&file).unwrap(), newer);
}

#[test]
fn a_damaged_store_is_found_out() {
    let (place, _) = Place::with_store();
    let file = place.write("p.json", patient("p", "Name"));
    place.run(&["import", file.to_str().unwrap()]).ended(0);
    // A row of the versions, from behind the program's back: one bit of it.
    {
        let engine = FjallEngine::open(&place.data().join("store"), FjallOptions::default()).unwrap();
        let mut row = None;
        engine
            .range(&[0x03], &[0x04], &mut |key, value| {
                row = Some((key.to_vec(), value.to_vec()));
                std::ops::ControlFlow::Break(())
            })
            .unwrap();
        let (key, mut value) = row.unwrap();
        *value.last_mut().unwrap() ^= 1;
        engine.write(&[Write::put(key, value)], Durability::Durable).unwrap();
    }
    let found = place.run(&["check"]).ended(3);
    assert!(found.out.contains("WRONG") && found.out.contains("does not open"), "{}", found.out);
    assert!(!found.out.contains("internal fault"), "{}", found.out);
    assert!(place.run(&["check", "--json"]).ended(3).json()["findings_total"].as_u64().unwrap() >= 1);
}

#[test]
fn wrong_words_are_refused_before_anything_is_opened() {
    let place = Place::empty();
    for arguments in [
        &["token", "create", "--owner", "x", "--role", "king"][..],
        &["token", "create", "--owner", "x", "--role", "clinician", "--expires", "900y"],
        &["export", "--output", "x", "--recipient", "age1nonsense", "--purpose", "x"],
        &["export", "--output", "x", "--plaintext-readable-by-anyone", "--type", "Patents", "--purpose", "x"],
    ] {
        let refused = place.run(arguments).ended(1);
        assert!(!refused.said().contains("there is no store"), "{arguments:?}: {}", refused.err);
    }
    // clap's own.
    for arguments in [&["frobnicate"][..], &["export", "--output", "x", "--purpose", "x"], &["import"]] {
        place.run(arguments).ended(2);
    }
}
