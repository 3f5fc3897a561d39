//! A child process with the real vault on a real engine is killed at any moment, again and again. After each kill the store
//! opens, `check` finds nothing, and every acknowledged write, read and erasure is there, in the records and in the ledger. The ledger is published
//! all the while: it goes on from every checkpoint that was given away, and its index answers as a scan does.
//!
//! `TACET_KILLS=3000` kills so often, over all three stores together; `TACET_SEED=n` chooses other moments. The program
//! itself is killed in `program_kills`.

use crate::acknowledged::{Acknowledged, assert_answers};
use crate::place::{Numbers, PASSPHRASE, caller, keeper, options, setting};
use crate::workload;
use pollster::block_on;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tacet_seal::SecureRng;
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_store::Engine;
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::redb::{RedbEngine, RedbOptions};
use tacet_types::{ResourceId, ResourceType};
use tacet_vault::{IndexSettings, Limits, Role, Vault, VaultOptions};

/// Tells the test binary that it is to write and be killed: `engine:life:directory`.
const CHILD: &str = "TACET_VAULT_CHILD";

/// What it says beside what it was acknowledged, for who looks at a failure.
const CHILD_SAID: &str = "said";

/// Kills in a run where nothing else is asked for.
const KILLS_DEFAULT: u64 = 1000;

/// Kills of one store before the next begins: it grows, and the check of all of it with it.
const KILLS_OF_ONE: u64 = 12;

/// Longest life of a child after it opened its store, in microseconds: some hundred commits.
const LIFE_US_MAX: u64 = 60_000;

/// Longest life of a child that is to die while it opens its store, from its start, in microseconds.
const OPENING_US_MAX: u64 = 25_000;

/// The directory of the ledger's index.
const LEDGER_INDEX: &str = "ledger-index";

/// How often a child publishes its ledger: so that most kills come after some, and many in the middle of one.
const PUBLISH_EVERY: Duration = Duration::from_millis(5);

fn engine(name: &str, directory: &Path) -> Arc<dyn Engine> {
    let path = directory.join("store");
    std::fs::create_dir_all(&path).unwrap();
    match name {
        // So small that tables are written and compacted all the time.
        "tables" => Arc::new(
            FjallEngine::open(&path, FjallOptions { memtable_bytes: 64 << 10, ..FjallOptions::default() }).unwrap(),
        ),
        // As the program has it.
        "journal" => Arc::new(FjallEngine::open(&path, FjallOptions::default()).unwrap()),
        "redb" => Arc::new(RedbEngine::open(&path, RedbOptions::default()).unwrap()),
        other => panic!("{other} is no engine"),
    }
}

/// Every third child has no index: the next one finds in the feed what it was not told.
fn indexes(life: u64) -> bool {
    life % 3 != 2
}

fn root(directory: &Path) -> RootFile {
    RootFile::unlock(&directory.join("root.key"), PASSPHRASE).unwrap()
}

fn open(name: &str, directory: &Path, with_index: bool) -> Vault {
    // Committed all the time, so that kills come while its files are written.
    let settings =
        IndexSettings { directory: Some(directory.join("index")), commit_interval_ms: 10, ..Default::default() };
    let index = with_index.then_some(settings);
    // Without validation: to load the definitions takes an unoptimised child longer than it lives.
    let options = VaultOptions { limits: Limits { validate: false, ..Limits::default() }, index, ..options() };
    Vault::open(engine(name, directory), keeper(&root(directory)), options)
        .unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

fn make(name: &str, directory: &Path) {
    let cost = PassphraseCost::DANGEROUSLY_CHEAP;
    let (root, _) =
        RootFile::create(&directory.join("root.key"), PASSPHRASE, Split::DEFAULT, cost, &SecureRng).unwrap();
    let operator = caller(Role::Operator);
    let made = Vault::initialize(engine(name, directory), keeper(&root), options(), &operator);
    block_on(made).unwrap().close().unwrap();
}

/// Not a test of its own: the child's part.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let mut told = told.splitn(3, ':');
    let (name, life, directory) = (told.next().unwrap(), told.next().unwrap(), told.next().unwrap());
    let life: u64 = life.parse().unwrap();
    let vault = open(name, Path::new(directory), indexes(life));
    println!("\nready");
    publish(&vault, Path::new(directory));
    workload::run(&vault, life);
}

/// Publishes all the time, and says what it gave away; the ledger's index is kept.
fn publish(vault: &Vault, directory: &Path) {
    vault.keep_ledger_index_in(&directory.join(LEDGER_INDEX), true).unwrap();
    let vault = vault.clone();
    std::thread::spawn(move || {
        // A store that has failed refuses all this, and its writers have said so.
        while vault.name_log(None).is_ok() {
            if let Ok(Some(signed)) = vault.publish_now() {
                let checkpoint = signed.checkpoint();
                let root: String = checkpoint.root().0.iter().map(|byte| format!("{byte:02x}")).collect();
                workload::say(&format!("published {} {root}\n", checkpoint.size()));
            }
            std::thread::sleep(PUBLISH_EVERY);
        }
    });
}

fn start(name: &str, life: u64, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{name}:{life}:{}", directory.display()))
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(directory.join(CHILD_SAID)).unwrap())
        .spawn()
        .unwrap()
}

fn kill_again_and_again(name: &str, share_percent: u64, seed: u64) {
    let kills = (setting("TACET_KILLS", KILLS_DEFAULT) * share_percent).div_ceil(100);
    let seed = setting("TACET_SEED", seed);
    let start_of_all = Instant::now();
    let mut numbers = Numbers(seed * 0x9e37_79b9 + 1);
    let mut scratch = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut while_opening = 0;
    for kill in 0..kills {
        let when = format!("{name}, kill {kill}, seed {seed}");
        if kill % KILLS_OF_ONE == 0 {
            add(&mut counts, &acknowledged);
            acknowledged = Acknowledged::default();
            scratch = tempfile::tempdir().unwrap();
            make(name, scratch.path());
        }
        let mut child = start(name, kill, scratch.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Most are killed while they write, some before their first write, some while they open.
        let moment = numbers.below(8);
        let opening = moment == 0;
        if !opening {
            let ready = lines.any(|line| line.unwrap() == "ready");
            let said = || std::fs::read_to_string(scratch.path().join(CHILD_SAID)).unwrap();
            assert!(ready, "{when}: the child did not open its store: {}", said());
        }
        if moment > 1 {
            acknowledged.hear(&lines.next().unwrap().unwrap());
        }
        std::thread::sleep(Duration::from_micros(numbers.below(if opening { OPENING_US_MAX } else { LIFE_US_MAX })));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut ready = !opening;
        for line in lines {
            let line = line.unwrap();
            ready |= line == "ready";
            acknowledged.hear(&line);
        }
        while_opening += u64::from(!ready);

        let vault = open(name, scratch.path(), true);
        acknowledged.verify(&vault, &when);
        assert_answers(&vault, &scratch.path().join(LEDGER_INDEX), &when);
        match numbers.below(3) {
            0 => vault.close().unwrap(),
            _ => drop(vault),
        }
    }
    add(&mut counts, &acknowledged);
    println!(
        "{name}: {kills} kills ({while_opening} while opening) in {} s; acknowledged and found: {counts:?}",
        start_of_all.elapsed().as_secs()
    );
    for what in ["put", "delete", "transaction", "import", "read", "erase", "token", "published"] {
        // A run of a few kills is somebody's look at something else.
        assert!(kills < 50 || counts.contains_key(what), "no {what} was acknowledged: this says nothing");
    }
}

fn add(counts: &mut BTreeMap<String, u64>, acknowledged: &Acknowledged) {
    for (what, count) in &acknowledged.counts {
        *counts.entry(what.clone()).or_default() += count;
    }
}

#[test]
fn killed_while_tables_are_written() {
    kill_again_and_again("tables", 40, 1);
}

#[test]
fn killed_with_the_journal() {
    kill_again_and_again("journal", 40, 2);
}

#[test]
fn killed_with_redb() {
    kill_again_and_again("redb", 20, 3);
}

/// What these tests look with can see: each kind of loss, made up, is found.
#[test]
fn losses_are_seen() {
    let scratch = tempfile::tempdir().unwrap();
    make("journal", scratch.path());
    let vault = open("journal", scratch.path(), true);
    let told = "ack 00000000000000000000000000000000";
    let found = |lines: &[&str]| {
        let mut acknowledged = Acknowledged::default();
        lines.iter().for_each(|line| acknowledged.hear(line));
        let verified = catch_unwind(AssertUnwindSafe(|| acknowledged.verify(&vault, "made up")));
        verified.err().map(|message| *message.downcast::<String>().unwrap()).unwrap_or_default()
    };
    let put = |id: &str, marker: &str| {
        let body = workload::patient(id, marker);
        let clinician = caller(Role::Clinician);
        let (kind, id) = (ResourceType::parse("Patient").unwrap(), ResourceId::parse(id).unwrap());
        block_on(vault.update(&clinician, kind, &id, body.as_bytes(), "", None, false)).unwrap();
        clinician.operation
    };
    let operation = put("a", "m1-x1.");
    assert_eq!(found(&[&format!("ack {operation} put Patient a 1 m1-x1. a")]), "");
    assert!(found(&[&format!("{told} put Patient b 1 m1-x1. b")]).contains("is lost"));
    assert!(found(&[&format!("{told} put Patient a 1 m2-x1. a")]).contains("is another record"));
    assert!(found(&[&format!("{told} delete Patient a 1 - a")]).contains("is another record"));
    assert!(found(&[&format!("{told} put Patient a 1 m1-x1. a")]).contains("is not in the ledger"));
    assert!(found(&[&format!("ack {operation} read Patient a 2 m1-x1. a")]).contains("names other records"));
    assert!(found(&["erasing a", "erased 0 a"]).contains("was erased"));
    assert!(found(&["token 0 abc"]).contains("a token is lost"));
    let root = "00".repeat(32);
    assert!(found(&[&format!("published 9999 {root}")]).contains("there are fewer"));
    assert!(found(&[&format!("published 1 {root}")]).contains("another history"));
    put("c", "m3-x3.");
    assert!(found(&[]).contains("by halves"));
}
