//! The ledger as a published log, from outside: exported and verified by two programs, cosigned by a witness that another process is, carried away as
//! receipts, and a store that was set back.

use crate::http::Client;
use crate::place::{Place, Serving, caller};
use crate::workload::patient;
use pollster::block_on;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tacet_vault::{EventKind, Outcome, Role};

/// Names the program of the verifier in another language; without it only ours is asked.
const FOREIGN: &str = "TACET_FOREIGN_VERIFIER";

/// Entries that fill a tile and begin another.
const ENTRIES: usize = 300;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Whether both verifications take the files in a directory; they must agree.
fn verify(place: &Place, directory: &Path, key: &str, known: &Path) -> bool {
    let (files, checkpoint) = (directory.to_str().unwrap(), known.to_str().unwrap());
    let ours = place.run(&["ledger", "verify", "--files", files, "--key", key, "--known", checkpoint]);
    assert!(matches!(ours.code, Some(0 | 3)), "{} {}", ours.out, ours.err);
    let right = ours.code == Some(0);
    if let Some(program) = std::env::var_os(FOREIGN) {
        let args = ["-log", files, "-key", key, "-known", checkpoint];
        let theirs = Command::new(program).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&theirs.stdout).into_owned();
        assert_eq!(theirs.status.success(), right, "ours: {}; theirs: {said}", ours.out);
    } else {
        println!("{FOREIGN} is not set: the verifier in another language is not asked");
    }
    right
}

fn key_of(place: &Place) -> String {
    place.json(&["ledger", "key"])["keys"][0].as_str().unwrap().to_owned()
}

#[test]
fn an_exported_ledger_verifies_and_no_file_of_it_can_be_changed() {
    let (place, _) = Place::with_store();
    let vault = place.open_vault();
    for _ in 0..ENTRIES {
        block_on(vault.note(&caller(Role::Operator), EventKind::Check, Outcome::Success)).unwrap();
    }
    vault.close().unwrap();
    let key = key_of(&place);
    let directory = place.path("log");
    let exported = place.json(&["ledger", "export-log", directory.to_str().unwrap()]);
    assert!(exported["size"].as_u64().unwrap() > ENTRIES as u64);
    let known = place.path("known");
    std::fs::copy(directory.join("checkpoint"), &known).unwrap();
    assert!(verify(&place, &directory, &key, &known));
    // Each file: changed at its beginning, in its middle and at its end, cut, made longer, dropped.
    let files: Vec<PathBuf> = crate::place::files_below(&directory);
    assert_eq!(files.len(), 6, "two bundles, two tiles of level 0, one of level 1, the checkpoint: {files:?}");
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        let mut all: Vec<Option<Vec<u8>>> =
            vec![None, Some(bytes[..bytes.len() - 1].to_vec()), Some([&bytes[..], b"x"].concat())];
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            all.push(Some(changed));
        }
        for changed in all {
            match changed {
                Some(changed) => std::fs::write(file, changed).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
            assert!(!verify(&place, &directory, &key, &known), "{}", file.display());
        }
        std::fs::write(file, bytes).unwrap();
    }
    assert!(verify(&place, &directory, &key, &known));
    // A later export goes on from it; the earlier one is not the later.
    let later = place.path("later");
    place.json(&["ledger", "export-log", later.to_str().unwrap()]);
    assert!(verify(&place, &later, &key, &known));
    std::fs::copy(later.join("checkpoint"), &known).unwrap();
    assert!(!verify(&place, &directory, &key, &known), "set back");
    place.run(&["ledger", "tiles"]).ended(0);
    place.run(&["ledger", "verify"]).ended(0);
}

/// A witness under way.
struct Witness {
    child: Child,
    address: String,
    key: String,
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Witness {
    fn of(place: &Place, log: &str) -> Self {
        let directory = place.path("witness");
        let directory = directory.to_str().unwrap();
        let key = place.json(&["witness", "init", directory, "--name", "dpo.example/witness"]);
        let key = key["key"].as_str().unwrap().to_owned();
        place.json(&["witness", "trust", directory, log]);
        let mut command = place.tacet(&["witness", "serve", directory, "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once(" answers at http://")?.1.to_owned())).unwrap();
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, key }
    }

    /// Configures the place's server to ask this witness.
    fn configure(&self, place: &Place) {
        let (address, key) = (&self.address, &self.key);
        let text = format!(
            "[ledger]\npublish_seconds = 1\nwitnesses = [{{ url = \"http://{address}\", key = \"{key}\" }}]\n\
             [access]\ntokens_for_people = true\n[access.outgoing]\nhosts = [\"{address}\"]\n"
        );
        std::fs::write(place.data().join("tacet.toml"), text).unwrap();
    }
}

fn seen(place: &Place) -> u64 {
    let shown: Value = place.json(&["witness", "show", place.path("witness").to_str().unwrap()]);
    shown["logs"][0]["size"].as_u64().unwrap()
}

#[test]
fn a_witness_keeps_a_store_that_was_set_back_from_showing_records() {
    let (place, _) = Place::with_store();
    let token = place.token("Dr Smoke", "integrator");
    let key = key_of(&place);
    let witness = Witness::of(&place, &key);
    witness.configure(&place);

    let serving = place.serve();
    let mut client = Client::connect(&serving.address, &token).unwrap();
    assert_eq!(client.send("PUT", "/Patient/p", &[], &patient("p", "Moreau")).unwrap().status, 201);
    assert_eq!(client.get("/Patient/p").unwrap().status, 200);
    assert_eq!(serving.stop().0, Some(0));
    let before = place.path("before");
    copy(&place.data(), &before);

    // A receipt that the witness has seen, verified without the store.
    let receipt = place.path("entry.tlog-proof");
    let receipt = receipt.to_str().unwrap();
    place.run(&["receipt", "make", "1", "--to", receipt]).ended(0);
    let verified = place.json(&["receipt", "verify", receipt, "--key", &key, "--witness", &witness.key]);
    assert_eq!((&verified["valid"], &verified["entry"]["index"]), (&Value::Bool(true), &Value::from(1)), "{verified}");
    let text = std::fs::read_to_string(receipt).unwrap();
    let forged = place.write("forged.tlog-proof", text.replacen("index 1\n", "index 2\n", 1));
    place.run(&["receipt", "verify", forged.to_str().unwrap(), "--key", &key]).ended(3);
    place.run(&["receipt", "verify", receipt, "--key", &witness.key]).ended(1);
    place.run(&["receipt", "verify", receipt]).ended(1);

    // The store goes on, and the witness with it.
    let serving = place.serve();
    let mut client = Client::connect(&serving.address, &token).unwrap();
    for _ in 0..5 {
        assert_eq!(client.get("/Patient/p").unwrap().status, 200);
    }
    assert_eq!(serving.stop().0, Some(0));
    let serving = place.serve();
    assert_eq!(serving.stop().0, Some(0));
    let size = seen(&place);

    // Set back whole, with every checkpoint on the disk: only the witness can tell.
    std::fs::remove_dir_all(place.data()).unwrap();
    copy(&before, &place.data());
    let serving = Serving::start(place.tacet(&["serve", "--listen", "127.0.0.1:0"]));
    let mut client = Client::connect(&serving.address, &token).unwrap();
    let refused = client.get("/Patient/p").unwrap();
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("dpo.example/witness") && !refused.body.contains("Moreau"), "{}", refused.body);
    assert_eq!(client.get("/health").unwrap().status, 503);
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("DISCLOSURES ARE STOPPED"), "{log}");
    assert_eq!(seen(&place), size, "the witness has not moved");
}
