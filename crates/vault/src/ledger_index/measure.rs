//! How fast the ledger and its index are, on the disk and through the real code. Figures for people: `cargo xtask bench ledger`.
//!
//! One ledger grows, and is asked at each of some sizes. Up to `TACET_BENCH_WHOLE` entries the store has all rows; beyond, see [`thin`].

mod costs;
mod entries;
mod thin;

use super::*;
use crate::ledger_questions::BATCH_ENTRIES_MAX;
use entries::{Asked, commit};
use rustix::fs::{Advice, fadvise};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tacet_ledger::index::Question;
use tacet_ledger::{LedgerSequencer, open_store};
use tacet_seal::{Key, SecureRng};
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::{Engine, Store, StoreOptions};
use tacet_types::EstablishmentId;
use thin::Thin;

/// Entries of one commit while the ledger is filled.
const COMMIT_ENTRIES: u64 = 500;

/// Commits that wait at a time.
const COMMITS: usize = 16;

/// Entries that may wait for the index where rows go after it.
const BEHIND: u64 = 400_000;

/// Entries of an answer that are opened one by one, for the comparison.
const ONE_BY_ONE: usize = 20_000;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

struct Bench {
    engine: Arc<Thin>,
    store: Store<LedgerSequencer>,
    index: LedgerIndex,
    keys: LedgerKeys,
    whole: u64,
    filled: u64,
    directory: PathBuf,
}

impl Bench {
    /// Adds entries up to so many, in large commits.
    fn fill(&self, to: u64, wait: &dyn Fn(u64)) {
        let mut waiting = VecDeque::new();
        for first in (self.filled..to).step_by(COMMIT_ENTRIES as usize) {
            wait(first);
            waiting.push_back(self.store.submit_bulk(commit(first, COMMIT_ENTRIES.min(to - first))));
            if waiting.len() > COMMITS {
                waiting.pop_front().unwrap().wait().unwrap();
            }
        }
        waiting.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    }

    fn bring_up(&self) -> u64 {
        self.index.bring_up(&|| self.store.snapshot(), &mut |_, _| {}, &|| false).unwrap();
        let statistics = self.index.statistics();
        statistics.entries_in_files + statistics.entries_in_memory
    }

    /// Grows the ledger and brings its index up; all rows stay.
    fn grow(&mut self, to: u64) -> Value {
        let (added, start) = ((to - self.filled) as f64, Instant::now());
        self.fill(to, &|_| {});
        let filled_s = start.elapsed().as_secs_f64();
        let start = Instant::now();
        self.bring_up();
        self.filled = to;
        json!({ "filled_entries_per_s": added / filled_s, "indexed_entries_per_s": added / start.elapsed().as_secs_f64() })
    }

    /// Grows the ledger while its index is brought up behind it; rows that the index has read go.
    fn grow_thin(&mut self, to: u64) -> Value {
        let (added, start) = ((to - self.filled) as f64, Instant::now());
        let (done, reached) = (AtomicBool::new(false), AtomicU64::new(self.filled));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                loop {
                    let last = done.load(Ordering::Acquire);
                    let up_to = self.bring_up();
                    self.engine.read_up_to(up_to);
                    reached.store(up_to, Ordering::Release);
                    if last {
                        break;
                    }
                }
            });
            self.fill(to, &|first| {
                if first.is_multiple_of(1_000_000) {
                    std::fs::write(self.directory.with_extension("progress"), first.to_string()).unwrap();
                }
                while first > reached.load(Ordering::Acquire) + BEHIND {
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            done.store(true, Ordering::Release);
        });
        self.filled = to;
        json!({ "filled_and_indexed_entries_per_s": added / start.elapsed().as_secs_f64() })
    }

    /// The entries that the index finds for a question, and the time.
    fn find(&self, question: &Question) -> (Vec<u64>, f64) {
        let start = Instant::now();
        let groups = question.keys(&self.index.facet_keys);
        let view = self.index.view(&groups, 0, 0).unwrap().unwrap();
        let mut search = Search::new(view, question, groups.clone(), true, u64::MAX, None);
        let mut found = Vec::new();
        while let Some(index) = search.advance().unwrap() {
            found.push(index);
        }
        (found, start.elapsed().as_secs_f64())
    }

    fn open(&self, question: &Question, found: &[u64]) -> (u64, f64) {
        let start = Instant::now();
        let mut matching = 0;
        for some in found.chunks(BATCH_ENTRIES_MAX) {
            for (_, entry) in tacet_ledger::read_each(self.store.reader(), &self.keys, some).unwrap() {
                matching += u64::from(question.matches(&entry.unwrap()));
            }
        }
        (matching, start.elapsed().as_secs_f64())
    }

    /// Opens some of the entries one after the other, evenly; seconds for each.
    fn open_one_by_one(&self, question: &Question, found: &[u64], most: usize) -> f64 {
        let some: Vec<u64> = found.iter().copied().step_by(found.len().div_ceil(most).max(1)).collect();
        let start = Instant::now();
        // Times are found by the second or so: some at the edges are none.
        let open = |index: &u64| tacet_ledger::read(self.store.reader(), &self.keys, *index).unwrap();
        let fitting = some.iter().map(open).filter(|entry| question.matches(entry)).count();
        assert!(fitting > 0 || some.is_empty());
        start.elapsed().as_secs_f64() / some.len().max(1) as f64
    }

    /// Asks twice: as after a start, with nothing of the store's and the index's files in the operating system's memory (the engine may have cached some
    /// blocks); and again. Each time in batches, as the program does it; then, of what lies in memory by now, some of it one by one.
    fn ask(&self, what: &str, question: &Question) -> Value {
        self.forget_files();
        let (found, cold_found_s) = self.find(question);
        let (matching, cold_opened_s) = self.open(question, &found);
        let (_, found_s) = self.find(question);
        let (_, opened_s) = self.open(question, &found);
        let one_s = self.open_one_by_one(question, &found, ONE_BY_ONE);
        let each = |seconds: f64| seconds / found.len().max(1) as f64;
        json!({
            "question": what,
            "entries": matching,
            "found_ms": found_s * 1e3,
            "answered_ms": (found_s + opened_s) * 1e3,
            "opened_us_an_entry": each(opened_s) * 1e6,
            "times_faster_than_one_by_one": one_s / each(opened_s),
            "cold_found_ms": cold_found_s * 1e3,
            "cold_answered_ms": (cold_found_s + cold_opened_s) * 1e3,
            "cold_opened_us_an_entry": each(cold_opened_s) * 1e6,
        })
    }

    /// Tells the operating system to drop what it holds of the files.
    fn forget_files(&self) {
        let mut directories = vec![self.directory.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if let Ok(file) = std::fs::File::open(&path) {
                    let _ = file.sync_data();
                    let _ = fadvise(&file, 0, None, Advice::DontNeed);
                }
            }
        }
    }

    /// Grows the ledger to so many entries and asks.
    fn at(&mut self, entries: u64) -> Value {
        let mut report = if entries <= self.whole { self.grow(entries) } else { self.grow_thin(entries) };
        let questions = Asked::of(entries).questions();
        let answers: Vec<Value> = questions.iter().map(|(what, question)| self.ask(what, question)).collect();
        let statistics = self.index.statistics();
        let store = self.store.reader().statistics();
        let more = json!({
            "entries": entries,
            "rows_in_the_store": store.rows_approximate,
            "all_rows_in_the_store": entries <= self.whole,
            "store_bytes": store.bytes_on_disk,
            "index_bytes_an_entry": statistics.bytes_on_disk as f64 / statistics.entries_in_files.max(1) as f64,
            "index_segments": statistics.segments,
            "questions": answers,
        });
        let into = report.as_object_mut().unwrap();
        into.extend(more.as_object().unwrap().clone());
        if entries <= self.whole {
            // The whole tree, and every entry opened.
            let start = Instant::now();
            let verification = tacet_ledger::verify(self.store.reader(), &self.keys, &mut |_, _| {}).unwrap();
            assert!(verification.is_sound() && verification.opened == entries);
            into.insert("verified_entries_per_s".into(), json!(entries as f64 / start.elapsed().as_secs_f64()));
        }
        report
    }
}

#[test]
#[ignore = "figures for people"]
fn speed_of_the_ledger_and_its_index() {
    let sizes: String = setting("TACET_BENCH_ENTRIES").unwrap_or_else(|| "1000000".into());
    let sizes: Vec<u64> = sizes.split(',').map(|size| size.parse().unwrap()).collect();
    let whole = setting("TACET_BENCH_WHOLE").unwrap_or(10_000_000);
    let directory = tempfile::tempdir_in(setting("TACET_BENCH_DIR").unwrap_or_else(|| ".".to_owned())).unwrap();
    let path = directory.path().to_owned();
    let keys = EstablishmentKeys::derive(&Key::from_bytes([9; 32]), EstablishmentId([3; 16]));
    let ledger_keys = LedgerKeys::new(&keys);
    let durable = costs::durable(&path, &ledger_keys);
    let reads = costs::reads(&path);

    let kept = FjallEngine::open(&path.join("store"), FjallOptions::default()).unwrap();
    let engine = Arc::new(Thin::new(kept, whole, sizes.iter().map(|size| Asked::of(*size)).collect()));
    let shared: Arc<dyn Engine> = engine.clone();
    let store = open_store(shared, ledger_keys.clone(), Arc::new(SecureRng), StoreOptions::default()).unwrap();
    let index = LedgerIndex::open(&path.join("ledger-index"), &keys, ledger_keys.clone(), Arc::new(SecureRng)).unwrap();
    let mut bench = Bench { engine, store, index, keys: ledger_keys, whole, filled: 0, directory: path };
    let mut measured = Vec::new();
    for entries in sizes {
        measured.push(bench.at(entries));
        // What is known so far: the next size may take an hour.
        let report = json!({ "durable": durable, "reads": reads, "sizes": measured });
        let to = setting("TACET_BENCH_REPORT").unwrap_or_else(|| "/dev/stdout".to_owned());
        std::fs::write(to, report.to_string()).unwrap();
    }
    bench.index.close();
    bench.store.close().unwrap();
}
