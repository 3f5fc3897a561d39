//! A child process writes numbered commits until it is killed, again and again. After each kill the store opens, its chain
//! holds, and every acknowledged commit is there and whole.
//!
//! `TACET_KILLS=5000` kills so often; `TACET_SEED=n` chooses other moments.

use crate::homes::{Numbers, open_fjall, open_redb};
use crate::workload::{Plain, check, commit, next_number};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tacet_store::{Engine, NoSequencer, Store, StoreError, StoreOptions};

/// Tells the test binary that it is to write and be killed.
const CHILD: &str = "TACET_STORE_CHILD";

/// Writers of a child.
pub(crate) const WRITERS: u32 = 4;

fn open_engine(engine: &str, path: &Path) -> Result<std::sync::Arc<dyn Engine>, StoreError> {
    match engine {
        // So small that tables are written and compacted all the time.
        "fjall" => open_fjall(path, 48 << 10),
        // As it is used: everything stays in the journal.
        "fjall-journal" => open_fjall(path, 64 << 20),
        "redb" => open_redb(path),
        other => panic!("{other} is no engine"),
    }
}

fn open(engine: &str, path: &Path) -> Plain {
    let opened = open_engine(engine, path).and_then(|opened| Store::open(opened, NoSequencer, StoreOptions::default()));
    opened.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

/// Not a test of its own: the child's part.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (engine, path) = told.split_once(':').unwrap();
    let store = open(engine, Path::new(path));
    println!("\nready");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, ended) = (&store, &ended);
            scope.spawn(move || {
                let mut number = next_number(store.reader(), writer);
                while !ended.load(Ordering::Relaxed) {
                    if store.submit(commit(writer, number)).wait().is_err() {
                        println!("failed");
                        ended.store(true, Ordering::Relaxed);
                        return;
                    }
                    number += 1;
                    // One write, so that a line is whole or not there. A parent that is gone ends the child.
                    let line = format!("ack {writer} {number}\n");
                    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
                        ended.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// Starts a child that writes until it is killed.
pub(crate) fn start(engine: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{engine}:{}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what a child said, raising what was acknowledged. Says whether it had opened its store.
pub(crate) fn listen(line: &str, acknowledged: &mut BTreeMap<u32, u32>) {
    if let Some((writer, count)) = line.strip_prefix("ack ").and_then(|rest| rest.split_once(' ')) {
        acknowledged.insert(writer.parse().unwrap(), count.parse().unwrap());
    }
}

fn kill_again_and_again(engine: &str, kills: u32, seed: u64) {
    /// Kills of one directory before the next begins: long enough for tables to pile up, short enough to check quickly.
    const KILLS_OF_ONE: u32 = 25;
    let mut numbers = Numbers(seed);
    let mut scratch = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut checked) = (BTreeMap::new(), BTreeMap::new());
    let mut total = 0;
    let mut while_opening = 0;
    for kill in 0..kills {
        if kill % KILLS_OF_ONE == 0 {
            scratch = tempfile::tempdir().unwrap();
            acknowledged = (0..WRITERS).map(|writer| (writer, 0)).collect();
            checked = BTreeMap::new();
        }
        let mut child = start(engine, scratch.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Most are killed while they write, some while they open.
        let opening = numbers.below(6) == 0;
        if opening {
            std::thread::sleep(Duration::from_micros(numbers.below(60_000)));
        } else {
            assert!(lines.any(|line| line.unwrap() == "ready"), "kill {kill}: the child did not open its store");
            std::thread::sleep(Duration::from_micros(numbers.below(60_000)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut ready = !opening;
        for line in lines {
            let line = line.unwrap();
            ready |= line == "ready";
            assert_ne!(line, "failed", "kill {kill}: the child's store failed by itself");
            listen(&line, &mut acknowledged);
        }
        while_opening += u32::from(!ready);
        let store = open(engine, scratch.path());
        let found = check(&store, &acknowledged, &checked);
        total += found.values().sum::<u32>() - checked.values().sum::<u32>();
        checked = found;
        match numbers.below(3) {
            0 => store.close().unwrap(),
            _ => drop(store),
        }
    }
    println!("{engine}: {kills} kills ({while_opening} while opening), {total} commits, all there (seed {seed})");
    assert!(total > kills, "the children wrote too little to say anything");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn killed_while_writing_tables() {
    kill_again_and_again("fjall", setting("TACET_KILLS", 150) as u32, setting("TACET_SEED", 1));
}

#[test]
fn killed_while_writing_the_journal() {
    kill_again_and_again("fjall-journal", setting("TACET_KILLS", 150) as u32, setting("TACET_SEED", 2));
}

#[test]
fn killed_while_writing_redb() {
    kill_again_and_again("redb", setting("TACET_KILLS", 150) as u32 / 2, setting("TACET_SEED", 3));
}
