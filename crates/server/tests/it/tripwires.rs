//! The watcher over a data directory on the disk, and programs that destroy it in the ways in which such programs do.

use crate::vaulted::House;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tacet_ledger::EventKind;
use tacet_seal::SecureRng;
use tacet_server::{Environment, LOCK_ORDER_FILE, LockOrder, TripwireLock, Tripwires, TripwiresConfig};
use tacet_types::{Rng, SystemClock};
use tacet_vault::{BackupFigures, LockdownLevel};

/// Tables of the engine that are made up.
const TABLES: usize = 60;

fn environment() -> Environment {
    Environment { clock: Arc::new(SystemClock), rng: Arc::new(SecureRng) }
}

fn config() -> TripwiresConfig {
    TripwiresConfig { interval_ms: 250, ..TripwiresConfig::default() }
}

/// A data directory as the program leaves one, with contents as random as sealed ones.
fn data() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let put = |path: &str, head: &[u8], bytes: usize| {
        let mut content = vec![0; bytes];
        SecureRng.fill(&mut content);
        let path = data.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, [head, &content].concat()).unwrap();
    };
    put("root.key", b"TACETKEY", 280);
    put("store/WITNESS", b"TACETWIT", 8184);
    put("store/LOCK", b"", 0);
    put("store/fjall/lock", b"", 0);
    put("store/fjall/version", b"FJL\x03", 0);
    put("store/fjall/0.jnl", &[1, 1, 0, 0, 0, 9, 0, 0], 50_000);
    put("store/fjall/keyspaces/1/current", b"", 25);
    for table in 0..TABLES {
        put(&format!("store/fjall/keyspaces/1/tables/{table}"), b"LSM\x03", 100_000);
    }
    for segment in 0..20 {
        put(&format!("index/540963539beaaab952181123c0884eb4/{segment:032x}"), &[1], 40_000);
    }
    std::fs::write(data.path().join("tacet.toml"), "[store]\nengine = \"fjall\"\n").unwrap();
    data
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    all
}

fn garble(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
}

type Way = fn(&Path);

fn in_place(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    garble(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn new_and_delete(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    garble(&mut bytes);
    std::fs::write(format!("{}.x7f", path.display()), bytes).unwrap();
    std::fs::remove_file(path).unwrap();
}

fn renamed(path: &Path) {
    in_place(path);
    std::fs::rename(path, format!("{}.locked", path.display())).unwrap();
}

/// Each other 16 KiB after the first, so that the head stays: the quick way.
fn in_part(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.chunks_mut(16_384).skip(1).step_by(2).for_each(garble);
    std::fs::write(path, bytes).unwrap();
}

async fn until(patience_ms: u64, mut is: impl FnMut() -> bool) -> bool {
    for _ in 0..patience_ms / 10 {
        if is() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn whoever_encrypts_the_directory_is_noticed_and_the_store_is_locked() {
    let ways: [(&str, Way); 4] =
        [("in place", in_place), ("new and delete", new_and_delete), ("rename", renamed), ("in part", in_part)];
    for (name, way) in ways {
        for backwards in [false, true] {
            let (house, data) = (House::open().await, data());
            let tripwires = Tripwires::start(&house.vault, data.path(), &config(), &environment()).await.unwrap();
            // Some looks, in which it learns what the files are.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(house.vault.lockdown_level(), None, "{name}: a quiet directory");
            let mut all = files(data.path());
            if backwards {
                all.reverse();
            }
            let mut hit = 0;
            for path in &all {
                way(path);
                hit += 1;
                // A hundred files a second.
                tokio::time::sleep(Duration::from_millis(10)).await;
                if house.vault.lockdown_level().is_some() {
                    break;
                }
            }
            let locked = until(5_000, || house.vault.lockdown_level() == Some(LockdownLevel::ReadOnly)).await;
            eprintln!("{name}, backwards {backwards}: {hit} of {} files before the lock", all.len());
            assert!(locked, "{name}");
            // It counts first, and is written down then.
            let told = until(5_000, || {
                let size = house.vault.ledger_head().unwrap().map_or(0, |head| head.size());
                let kinds: Vec<EventKind> = (0..size).map(|at| house.vault.ledger_entry(at).unwrap().kind).collect();
                kinds.contains(&EventKind::Tripwire) && kinds.contains(&EventKind::Lockdown)
            });
            assert!(told.await, "{name}");
            tripwires.stop().await;
        }
    }
}

#[tokio::test]
async fn decoys_alone_are_enough_and_are_looked_at_at_the_start() {
    let (house, data) = (House::open().await, data());
    let off = TripwiresConfig { lock: TripwireLock::Off, ..config() };
    let start = |config: TripwiresConfig| {
        let (vault, data) = (house.vault.clone(), data.path().to_owned());
        async move { Tripwires::start(&vault, &data, &config, &environment()).await.unwrap() }
    };
    start(off.clone()).await.stop().await;
    let decoy = data.path().join("000-accounts.docx");
    assert_eq!(std::fs::metadata(&decoy).unwrap().len(), 96 * 1024);
    // Whole, they are no sign at the next start; touched neither.
    std::fs::write(&decoy, std::fs::read(&decoy).unwrap()).unwrap();
    start(config()).await.stop().await;
    assert_eq!((house.vault.lockdown_level(), house.vault.statistics().tripwires), (None, 0));
    // Encrypted while nothing ran.
    in_place(&decoy);
    start(off).await.stop().await;
    assert_eq!((house.vault.lockdown_level(), house.vault.statistics().tripwires), (None, 1), "an alarm, and no lock");
    start(config()).await.stop().await;
    assert_eq!(house.vault.lockdown_level(), Some(LockdownLevel::ReadOnly));
    // Not wanted any more: those that are whole go.
    start(TripwiresConfig { decoys: false, ..config() }).await.stop().await;
    assert!(decoy.exists() && !data.path().join("archive/0-database.sql").exists());
}

#[tokio::test]
async fn an_order_in_a_file_locks_within_a_second_whatever_is_in_it() {
    let read = |level, text: &str| (level, Some(text.to_owned()));
    for (level, text) in [
        (LockdownLevel::Cut, None),
        read(LockdownLevel::ReadOnly, ""),
        read(LockdownLevel::ReadOnly, "\u{1}garbage"),
        read(LockdownLevel::ReadOnly, r#"{"level":"sealed","reason":"","by":"x"}"#),
    ] {
        let (house, data) = (House::open().await, data());
        let tripwires = Tripwires::start(&house.vault, data.path(), &config(), &environment()).await.unwrap();
        match text {
            None => drop(LockOrder { level, reason: "because".into(), by: "root".into() }.write(data.path()).unwrap()),
            Some(text) => std::fs::write(data.path().join(LOCK_ORDER_FILE), text).unwrap(),
        }
        assert!(until(5_000, || house.vault.lockdown_level() == Some(level)).await);
        assert!(until(5_000, || !data.path().join(LOCK_ORDER_FILE).exists()).await, "it was taken");
        tripwires.stop().await;
    }
    // One that waits is taken before anything is served.
    let (house, data) = (House::open().await, data());
    std::fs::write(data.path().join(LOCK_ORDER_FILE), "").unwrap();
    let tripwires = Tripwires::start(&house.vault, data.path(), &config(), &environment()).await.unwrap();
    assert_eq!(house.vault.lockdown_level(), Some(LockdownLevel::ReadOnly));
    tripwires.stop().await;
}

#[tokio::test]
async fn an_order_that_cannot_be_taken_away_counts_once() {
    let (house, data) = (House::open().await, data());
    // A folder that is not empty is an order, and no file of it goes.
    let order = data.path().join(LOCK_ORDER_FILE);
    std::fs::create_dir(&order).unwrap();
    std::fs::write(order.join("x"), "").unwrap();
    let quiet = TripwiresConfig { on: false, ..config() };
    let tripwires = Tripwires::start(&house.vault, data.path(), &quiet, &environment()).await.unwrap();
    let caller = tacet_vault::Caller::new(
        "officer",
        tacet_vault::Role::SecurityOfficer,
        tacet_ledger::PurposeOfUse::SystemAdministration,
        tacet_ledger::Origin { address: None, channel: tacet_ledger::Channel::CommandLine },
        tacet_types::OperationId::random(&SecureRng),
    );
    assert!(house.vault.lift(&caller, "two people", None).await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(house.vault.lockdown_level(), None, "the lift lasts");
    assert!(order.exists());
    // Somebody orders it again.
    std::fs::write(order.join("y"), "").unwrap();
    assert!(until(5_000, || house.vault.lockdown_level() == Some(LockdownLevel::ReadOnly)).await);
    assert!(house.vault.lift(&caller, "two people", None).await.unwrap().is_some());
    tripwires.stop().await;
    // And what is there at a start counts.
    Tripwires::start(&house.vault, data.path(), &quiet, &environment()).await.unwrap().stop().await;
    assert_eq!(house.vault.lockdown_level(), Some(LockdownLevel::ReadOnly));
}

#[tokio::test]
async fn alarms_of_others_are_written_down_once_a_minute() {
    let (house, data) = (House::open().await, data());
    let tripwires = Tripwires::start(&house.vault, data.path(), &config(), &environment()).await.unwrap();
    for _ in 0..500 {
        tripwires.alarms().backup_shrunk("snapshot 12 is gone");
    }
    assert!(until(5_000, || house.vault.statistics().tripwires == 1).await);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!((house.vault.statistics().tripwires, house.vault.lockdown_level()), (1, None));
    tripwires.stop().await;
}

#[tokio::test]
async fn backups_that_are_missing_or_shrank_are_told_once_each_time() {
    let (house, data) = (House::open().await, data());
    let tripwires = Tripwires::start(&house.vault, data.path(), &config(), &environment()).await.unwrap();
    house.vault.set_backup_figures(BackupFigures { snapshot: 12, ..BackupFigures::default() });
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(house.vault.statistics().tripwires, 0);
    house.vault.set_backup_figures(BackupFigures { snapshot: 13, missing: 2, ..BackupFigures::default() });
    assert!(until(5_000, || house.vault.statistics().tripwires == 1).await);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!((house.vault.statistics().tripwires, house.vault.lockdown_level()), (1, None), "once, and softly");
    tripwires.stop().await;
}

#[tokio::test]
async fn what_the_settings_name_is_not_foreign_and_pipes_stop_nothing() {
    let (house, data) = (House::open().await, data());
    let kept = TripwiresConfig { kept: vec!["ward packs".into(), "store".into()], ..config() };
    let tripwires = Tripwires::start(&house.vault, data.path(), &kept, &environment()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    std::fs::create_dir_all(data.path().join("ward packs/a")).unwrap();
    for number in 0..10 {
        std::fs::write(data.path().join(format!("ward packs/a/{number}.tacetpack")), "x").unwrap();
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(house.vault.statistics().tripwires, 0);
    // Whoever waits for a pipe waits for ever: neither the settings nor an order stop the watcher.
    let pipe = |name: &str| {
        let path = data.path().join(name);
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    pipe("tacet.toml");
    tokio::time::sleep(Duration::from_millis(600)).await;
    pipe(LOCK_ORDER_FILE);
    assert!(until(5_000, || house.vault.lockdown_level() == Some(LockdownLevel::ReadOnly)).await);
    // And a place of the settings hides nothing of ours.
    in_place(&data.path().join("store/fjall/keyspaces/1/tables/3"));
    assert!(until(5_000, || house.vault.statistics().tripwires > 1).await);
    assert!(until(5_000, || !data.path().join(LOCK_ORDER_FILE).exists()).await);
    tripwires.stop().await;
}
