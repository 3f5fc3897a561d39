//! A full disk: a clear error, and nothing lost. A limit on the size of files plays the disk.

use crate::homes::{fjall_options, open_redb};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tacet_store::fjall::FjallEngine;
use tacet_store::{Commit, Engine, NoSequencer, Store, StoreError, StoreOptions, Write};

/// Tells the test binary that it is to write until nothing fits any more.
const CHILD: &str = "TACET_STORE_FULL_CHILD";

/// Length that no file of the child may pass, in the blocks of 512 bytes that `ulimit -f` counts in a POSIX shell: 66 MiB, a
/// little more than fjall gives a journal from the begin.
const LIMIT_BLOCKS: u32 = 66 * 2048;

fn open_engine(engine: &str, path: &Path) -> Result<Arc<dyn Engine>, StoreError> {
    match engine {
        "redb" => open_redb(path),
        // A memtable that is never full, so that it is the journal which meets the limit.
        _ => Ok(Arc::new(FjallEngine::open(path, fjall_options(1 << 30))?)),
    }
}

/// Not a test of its own: the child's part. Writes a megabyte a commit and says how many were acknowledged.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (engine, path) = told.split_once(':').unwrap();
    let engine = open_engine(engine, Path::new(path)).unwrap();
    let store = Store::open(engine, NoSequencer, StoreOptions::default()).unwrap();
    for number in 0..200u32 {
        let writes = vec![Write::put([&[0x30], &number.to_be_bytes()[..]].concat(), vec![number as u8; 1 << 20])];
        match store.submit(Commit { writes, ..Commit::default() }).wait() {
            Ok(_) => {}
            Err(StoreError::Full) => {
                assert!(matches!(store.submit(Commit::default()).wait(), Err(StoreError::Full)));
                println!("\nfull after {number}");
                return;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn fills(engine: &str) {
    let scratch = tempfile::tempdir().unwrap();
    // An ignored signal stays ignored in the program that the shell becomes; a write then fails with an error.
    let script = format!("trap '' XFSZ; ulimit -f {LIMIT_BLOCKS}; exec \"$0\" --exact full::child --nocapture");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, format!("{engine}:{}", scratch.path().display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let acknowledged = said.lines().find_map(|line| line.strip_prefix("full after ")).unwrap_or_else(|| {
        panic!("{engine}: the child met no full disk: {said} {}", String::from_utf8_lossy(&output.stderr))
    });
    let acknowledged: u32 = acknowledged.parse().unwrap();
    assert!(acknowledged > 5, "{engine}: full after {acknowledged}");
    let store =
        Store::open(open_engine(engine, scratch.path()).unwrap(), NoSequencer, StoreOptions::default()).unwrap();
    for number in 0..acknowledged {
        let value = store.reader().get(&[&[0x30], &number.to_be_bytes()[..]].concat()).unwrap().unwrap();
        assert!(value.len() == 1 << 20 && value.iter().all(|byte| *byte == number as u8));
    }
    // There is room again, and work goes on.
    store.submit(crate::workload::commit(0, 0)).wait().unwrap();
    store.close().unwrap();
    let store =
        Store::open(open_engine(engine, scratch.path()).unwrap(), NoSequencer, StoreOptions::default()).unwrap();
    assert!(store.commits() > u64::from(acknowledged));
}

#[test]
fn a_full_disk_under_fjall() {
    fills("fjall");
}

#[test]
fn a_full_disk_under_redb() {
    fills("redb");
}
