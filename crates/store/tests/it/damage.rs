//! Journals of fjall torn, cut and damaged at many places, and disks as a power loss leaves them: noticed, or harmless.

use crate::homes::{Numbers, copy_directory, journals, open_fjall, read_before_hole};
use crate::kills::{WRITERS, listen, start};
use crate::workload::{Plain, check, commit};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use tacet_store::{NoSequencer, Store, StoreError, StoreOptions};
use tempfile::TempDir;

/// Ends each batch of a fjall journal (its `MAGIC_BYTES`, format 3). Our rows' values never hold it.
const BATCH_END: &[u8] = b"FJL\x03";

fn open(path: &Path) -> Result<Plain, StoreError> {
    let options = StoreOptions { group_commits_max: 2, ..StoreOptions::default() };
    Store::open(open_fjall(path, 64 << 20)?, NoSequencer, options)
}

/// Where each batch of a journal ends.
fn batch_ends(journal: &[u8]) -> Vec<usize> {
    let ends = journal.windows(BATCH_END.len()).enumerate().filter(|(_, window)| *window == BATCH_END);
    ends.map(|(at, _)| at + BATCH_END.len()).collect()
}

/// A store of two writers that ended without being closed, everything in its one journal.
fn unclean_store(commits: u32) -> (TempDir, BTreeMap<u32, u32>) {
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path()).unwrap();
    let tickets: Vec<_> =
        (0..commits).flat_map(|number| [0, 1].map(|writer| store.submit(commit(writer, number)))).collect();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    drop(store);
    assert_eq!(journals(scratch.path()).len(), 1);
    (scratch, BTreeMap::from([(0, commits), (1, commits)]))
}

#[derive(Default, Debug)]
struct Outcomes {
    whole: u32,
    missing_counted: u32,
    refused: u32,
}

/// Opens a damaged copy: either everything acknowledged is there, or the store refuses to open.
fn judge(path: &Path, acknowledged: &BTreeMap<u32, u32>, outcomes: &mut Outcomes, what: &str) {
    match open(path) {
        Ok(store) => {
            check(&store, acknowledged, &BTreeMap::new());
            outcomes.whole += 1;
        }
        Err(StoreError::Corrupt { missing_commits: Some(missing), .. }) => {
            assert!(missing > 0, "{what}");
            assert!(path.join("rescue").exists(), "{what}: the journals are kept");
            outcomes.missing_counted += 1;
        }
        Err(StoreError::Corrupt { .. }) => outcomes.refused += 1,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

#[test]
fn a_journal_cut_anywhere_is_noticed() {
    let (scratch, acknowledged) = unclean_store(60);
    let journal = read_before_hole(&journals(scratch.path())[0]);
    let ends = batch_ends(&journal);
    let used = *ends.last().unwrap();
    assert!(ends.len() > 50);
    let cuts =
        ends.iter().step_by(6).flat_map(|end| [end - 1, *end, end + 1]).chain([0, 1, 13, used - 9, used, used + 5]);
    for zeroed in [false, true] {
        let mut outcomes = Outcomes::default();
        for cut in cuts.clone() {
            let copy = tempfile::tempdir().unwrap();
            copy_directory(scratch.path(), copy.path());
            let file = std::fs::OpenOptions::new().write(true).open(&journals(copy.path())[0]).unwrap();
            file.set_len(cut as u64).unwrap();
            if zeroed {
                file.set_len(64 << 20).unwrap();
            }
            let before = outcomes.whole;
            judge(copy.path(), &acknowledged, &mut outcomes, &format!("cut at {cut} of {used}"));
            assert_eq!(outcomes.whole > before, cut >= used, "cut at {cut} of {used}");
        }
        println!("cut (zeroed: {zeroed}): {outcomes:?}");
        assert!(outcomes.missing_counted > 20 && outcomes.whole >= 2);
    }
}

#[test]
fn damaged_bytes_of_a_journal_are_noticed() {
    let (scratch, acknowledged) = unclean_store(40);
    let journal = read_before_hole(&journals(scratch.path())[0]);
    let used = *batch_ends(&journal).last().unwrap();
    let mut numbers = Numbers(7);
    let mut outcomes = Outcomes::default();
    for round in 0..90 {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(scratch.path(), copy.path());
        let at = numbers.below(used as u64) as usize;
        let mut damaged = journal.clone();
        match round % 3 {
            0 => damaged[at] ^= 1 << numbers.below(8),
            1 => damaged[at..used.min(at + 512)].fill(0),
            _ => damaged[at..used.min(at + 64)].iter_mut().for_each(|byte| *byte = numbers.below(256) as u8),
        }
        std::fs::write(&journals(copy.path())[0], &damaged).unwrap();
        judge(copy.path(), &acknowledged, &mut outcomes, &format!("round {round}: damage at {at} of {used}"));
    }
    println!("damaged bytes: {outcomes:?}");
    // A few bytes of a journal say nothing: fjall keeps a value's length twice.
    assert!(outcomes.whole < 10 && outcomes.missing_counted > 20);
}

/// The case in which the newest commits are there and older ones are not: fjall replays the next journal after a torn one.
#[test]
fn a_hole_before_the_newest_journal_is_noticed() {
    let (scratch, acknowledged) = unclean_store(60);
    let path = journals(scratch.path()).remove(0);
    let journal = read_before_hole(&path);
    let ends = batch_ends(&journal);
    let (middle, used) = (ends[ends.len() / 2], *ends.last().unwrap());
    let split = |first: &[u8]| {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(scratch.path(), copy.path());
        std::fs::write(&journals(copy.path())[0], first).unwrap();
        std::fs::write(path_of_next(copy.path()), &journal[middle..used]).unwrap();
        copy
    };
    let mut outcomes = Outcomes::default();
    judge(split(&journal[..middle]).path(), &acknowledged, &mut outcomes, "two whole journals");
    assert_eq!(outcomes.whole, 1);
    for end in ends.iter().take(ends.len() / 2).skip(1).step_by(5) {
        judge(split(&journal[..*end]).path(), &acknowledged, &mut outcomes, "the first journal ends early");
        judge(split(&journal[..*end + 7]).path(), &acknowledged, &mut outcomes, "the first journal is torn");
    }
    println!("holes: {outcomes:?}");
    assert_eq!(outcomes.whole, 1, "no hole went unnoticed");
    assert!(outcomes.missing_counted > 8);
}

fn path_of_next(directory: &Path) -> std::path::PathBuf {
    directory.join("fjall").join("1.jnl")
}

/// A disk as power loss leaves it: what was synced is there, of what was not any part may be.
#[test]
fn a_power_loss_takes_only_what_was_not_acknowledged() {
    let mut numbers = Numbers(11);
    for round in 0..12 {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = start("fjall-journal", scratch.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: BTreeMap<u32, u32> = (0..WRITERS).map(|writer| (writer, 0)).collect();
        let wanted = 40 + numbers.below(400);
        for line in lines.by_ref().map(Result::unwrap).filter(|line| line.starts_with("ack ")).take(wanted as usize) {
            listen(&line, &mut acknowledged);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(|line| listen(&line.unwrap(), &mut acknowledged));
        // The witness says up to which group the journal was synced; batch 0 of the journal is the format row.
        let witnessed = witnessed_group(scratch.path());
        let path = journals(scratch.path()).remove(0);
        let journal = read_before_hole(&path);
        let ends = batch_ends(&journal);
        let (synced, used) = (ends[witnessed as usize], journal.iter().rposition(|byte| *byte != 0).unwrap() + 1);
        for _ in 0..4 {
            let copy = tempfile::tempdir().unwrap();
            copy_directory(scratch.path(), copy.path());
            let kept = synced + numbers.below((used - synced) as u64 + 1) as usize;
            std::fs::write(&journals(copy.path())[0], &journal[..kept]).unwrap();
            let store = open(copy.path()).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
            check(&store, &acknowledged, &BTreeMap::new());
        }
    }
}

/// Reads the group from the newer slot of the witness file, by the bytes that `docs/formats/store.md` gives.
fn witnessed_group(directory: &Path) -> u64 {
    let bytes = std::fs::read(directory.join("WITNESS")).unwrap();
    let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    let newer = if number(16) > number(4096 + 16) { 0 } else { 4096 };
    number(newer + 24)
}

#[test]
fn an_engine_whose_making_was_cut_off_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let engine = folder.path().join("fjall");
    for format in [None, Some(&b""[..])] {
        std::fs::create_dir_all(engine.join("keyspaces")).unwrap();
        std::fs::File::create_new(engine.join("0.jnl")).unwrap().set_len(64 << 20).unwrap();
        if let Some(format) = format {
            std::fs::write(engine.join("version"), format).unwrap();
        }
        drop(crate::homes::open_fjall(folder.path(), 1 << 20).unwrap());
        std::fs::remove_dir_all(&engine).unwrap();
    }
    // One that holds anything is not touched.
    std::fs::create_dir_all(&engine).unwrap();
    std::fs::write(engine.join("0.jnl"), b"something").unwrap();
    assert!(crate::homes::open_fjall(folder.path(), 1 << 20).is_err());
    assert_eq!(std::fs::read(engine.join("0.jnl")).unwrap(), b"something");
}
