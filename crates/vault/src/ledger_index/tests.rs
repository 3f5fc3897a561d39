//! The index against a plain look at every entry, over restarts, damage and stops.

use super::disk::Disk;
use super::*;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use tacet_ledger::index::Question;
use tacet_ledger::{
    Agent, Channel, Entry, EventKind, LedgerError, LedgerSequencer, Origin, Outcome, Prepared, PurposeOfUse, open_store,
};
use tacet_seal::{Key, Sealer, SecureRng};
use tacet_store::memory::{Disk as MemoryDisk, Faults, MemoryEngine};
use tacet_store::{Commit, Durability, Engine, Store, StoreOptions, Write};
use tacet_types::{
    EstablishmentId, OperationId, RecordRef, ResourceId, ResourceType, Rng, SeededRng, Timestamp, VersionId,
};

/// Entries of a segment in these tests.
const TAIL: u64 = 64;

/// Bytes of a chunk on the disk.
const SEALED: usize = 16_414;

struct World {
    directory: tempfile::TempDir,
    memory: MemoryDisk,
    store: Option<Store<LedgerSequencer>>,
    index: Option<LedgerIndex>,
    rng: SeededRng,
    left: Option<Arc<AtomicI64>>,
    known: Mutex<Vec<Entry>>,
}

fn keys() -> EstablishmentKeys {
    EstablishmentKeys::derive(&Key::from_bytes([9; 32]), EstablishmentId([3; 16]))
}

fn ledger_keys() -> LedgerKeys {
    LedgerKeys::new(&keys())
}

/// One entry of a small world: few patients, people and sessions, so that lists meet.
fn entry(rng: &SeededRng, number: u64) -> Entry {
    let kinds = [EventKind::Read, EventKind::Search, EventKind::Update, EventKind::Login, EventKind::LedgerAccess];
    let kind = kinds[rng.below(5) as usize];
    let agent = Agent {
        owner: format!("dr {}", rng.below(5)),
        role: "clinician".into(),
        token: (rng.below(2) == 0).then(|| format!("t-{}", rng.below(9))),
    };
    // Times run forward, but not strictly.
    let at = Timestamp::from_ms(1_772_352_000_000 + 1000 * number as i64 + rng.below(5000) as i64);
    let operation = OperationId(u128::from(number).to_be_bytes());
    let mut entry = Entry::new(at, kind, agent, PurposeOfUse::Treatment, operation);
    let patient = ResourceType::parse("Patient").unwrap();
    let id = |number| ResourceId::parse(&format!("p{number}")).unwrap();
    if kind != EventKind::Login {
        entry.patient = Some((patient, id(rng.below(20))));
        let resource_type = if rng.below(3) == 0 { patient } else { ResourceType::parse("Observation").unwrap() };
        entry.records = vec![RecordRef { resource_type, id: id(rng.below(20)), version: VersionId(1) }];
    }
    entry.account = (rng.below(3) > 0).then(|| format!("a-{}", rng.below(5)));
    entry.session = (rng.below(3) > 0).then(|| format!("s-{}", rng.below(12)));
    entry.device = (rng.below(3) > 0).then(|| device(rng.below(4)));
    let address = format!("10.0.0.{}", rng.below(6)).parse().unwrap();
    entry.origin = Origin { address: Some(address), channel: Channel::Http };
    entry.outcome = if rng.below(9) == 0 { Outcome::Refused } else { Outcome::Success };
    entry
}

fn device(number: u64) -> String {
    format!("{number:016x}")
}

fn question(rng: &SeededRng, entries: u64) -> Question {
    let maybe = |one_in: u64| rng.below(one_in) == 0;
    let at = |number: u64| Timestamp::from_ms(1_772_352_000_000 + 1000 * number as i64);
    let mut question = Question::default();
    if maybe(2) {
        let id = ResourceId::parse(&format!("p{}", rng.below(22))).unwrap();
        question.patient = Some((ResourceType::parse("Patient").unwrap(), id));
    }
    if maybe(4) {
        question.person = Some(if maybe(2) { format!("dr {}", rng.below(6)) } else { format!("a-{}", rng.below(6)) });
    }
    if maybe(4) {
        question.session = Some(if maybe(2) { format!("s-{}", rng.below(13)) } else { format!("t-{}", rng.below(10)) });
    }
    if maybe(6) {
        question.device = Some(device(rng.below(5)));
    }
    if maybe(6) {
        question.address = Some(format!("10.0.0.{}", rng.below(7)).parse().unwrap());
    }
    if maybe(3) {
        let from = rng.below(entries + 10);
        question.from = Some(at(from));
        question.to = maybe(2).then(|| at(from + rng.below(entries)));
    }
    if maybe(4) {
        question.kinds = vec![EventKind::Read, EventKind::Login];
    }
    question
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryDisk::default();
        let mut world = Self {
            directory,
            memory,
            store: None,
            index: None,
            rng: SeededRng::new(seed),
            left: None,
            known: Mutex::default(),
        };
        world.restart();
        world
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ledger-index")
    }

    /// The process is gone without a word, and the next one opens what there is.
    fn restart(&mut self) {
        self.index = None;
        self.store = None;
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(&self.memory, Faults::default()));
        self.store = Some(open_store(engine, ledger_keys(), Arc::new(SecureRng), StoreOptions::default()).unwrap());
        self.open_index(ledger_keys());
    }

    fn open_index(&mut self, ledger_keys: LedgerKeys) {
        self.index = None;
        let mut disk = Disk::new(&self.path(), keys().id, keys().index.clone(), Arc::new(SecureRng)).unwrap();
        disk.left = self.left.clone();
        self.index = Some(LedgerIndex::on(disk, &keys(), ledger_keys, TAIL));
    }

    fn index(&self) -> &LedgerIndex {
        self.index.as_ref().unwrap()
    }

    fn reader(&self) -> &dyn Engine {
        self.store.as_ref().unwrap().reader()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.as_ref().unwrap().snapshot()
    }

    fn size(&self) -> u64 {
        tacet_ledger::head(self.reader(), &ledger_keys()).unwrap().map_or(0, |head| head.size())
    }

    fn write(&self, entries: u64) {
        let mut left = entries;
        while left > 0 {
            let some = left.min(100);
            let first = self.size();
            let item = (first..first + some).map(|number| Prepared::new(&entry(&self.rng, number)).unwrap()).collect();
            self.store.as_ref().unwrap().submit(Commit { item, ..Commit::default() }).wait().unwrap();
            left -= some;
        }
    }

    fn bring_up(&self) -> Result<(), VaultError> {
        self.index().bring_up(&|| self.snapshot(), &mut |_, _| {}, &|| false)
    }

    /// Each entry is opened once.
    fn entries(&self) -> Vec<Entry> {
        let mut known = self.known.lock().unwrap();
        for index in known.len() as u64..self.size() {
            known.push(tacet_ledger::read(self.reader(), &ledger_keys(), index).unwrap());
        }
        known.clone()
    }

    /// What the index finds and an entry confirms.
    fn ask(&self, question: &Question, newest_first: bool) -> Result<Vec<u64>, Refused> {
        let groups = question.keys(&self.index().facet_keys);
        let view = self.index().view(&groups, 0, 1000)?.unwrap();
        let mut search = Search::new(view, question, groups, newest_first, u64::MAX, None);
        let (mut found, mut examined, entries) = (Vec::new(), 0, self.entries());
        while let Some(index) = search.advance()? {
            examined += 1;
            if question.matches(&entries[index as usize]) {
                found.push(index);
            }
        }
        // What is looked at in vain lies in the blocks at the edges of a time.
        let spare = if question.times().is_some() { self.size() as usize } else { 0 };
        assert!(examined <= found.len() + spare, "{examined} examined for {}", found.len());
        Ok(found)
    }

    fn scan(&self, question: &Question) -> Vec<u64> {
        let entries = self.entries();
        (0..).zip(&entries).filter(|(_, entry)| question.matches(entry)).map(|(index, _)| index).collect()
    }

    fn assert_answers(&self, questions: usize) {
        self.index().catch_up(&|| self.snapshot(), u64::MAX).unwrap();
        for _ in 0..questions {
            let question = question(&self.rng, self.size());
            let expected = self.scan(&question);
            assert_eq!(self.ask(&question, false).unwrap(), expected, "{}", question.criteria());
            let mut back = self.ask(&question, true).unwrap();
            back.reverse();
            assert_eq!(back, expected, "{}", question.criteria());
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn segment_files(&self) -> Vec<PathBuf> {
        self.files().into_iter().filter(|path| path.file_name().unwrap().len() == 32).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_a_look_at_every_entry(
        seed in any::<u64>(),
        steps in proptest::collection::vec((0u8..5, 1u64..200), 1..12),
    ) {
        let mut world = World::new(seed);
        for (step, entries) in steps {
            world.write(entries);
            match step {
                0 => world.restart(),
                1 => world.bring_up().unwrap(),
                2 => {
                    world.bring_up().unwrap();
                    world.index().close();
                    world.restart();
                }
                3 => world.assert_answers(3),
                _ => {}
            }
        }
        world.assert_answers(30);
    }
}

#[test]
fn segments_are_merged_and_few_and_a_thief_sees_chunks_of_one_length() {
    let mut world = World::new(1);
    world.write(TAIL * 70 + 5);
    world.bring_up().unwrap();
    let statistics = world.index().statistics();
    assert_eq!((statistics.entries_in_files, statistics.entries_in_memory), (TAIL * 70, 5));
    assert!(statistics.segments < 16, "{statistics:?}");
    assert_eq!(world.segment_files().len(), statistics.segments, "nothing is left over");
    world.assert_answers(20);
    world.restart();
    assert_eq!(world.index().statistics().entries_in_files, TAIL * 70);
    world.assert_answers(20);
    let mut distinct = std::collections::BTreeSet::new();
    for file in world.segment_files() {
        let bytes = std::fs::read(file).unwrap();
        assert_eq!(bytes.len() % SEALED, 0, "an envelope of 16 KiB");
        for chunk in bytes.chunks(SEALED) {
            assert!(distinct.insert(chunk.to_vec()), "no two chunks are alike");
        }
        for plain in ["dr 1", "s-1", "10.0.0", "p1"] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()) || plain.len() < 4);
        }
    }
}

#[test]
fn whatever_is_changed_on_the_disk_is_noticed_and_made_again() {
    let whole = World::new(2);
    whole.write(TAIL * 5 + 7);
    whole.bring_up().unwrap();
    whole.index().close();
    let files = whole.files();
    assert!(files.len() >= 4, "{files:?}");
    let mut refused = 0;
    for (number, victim) in files.iter().enumerate() {
        for what in 0..6 {
            let mut world = World::new(2);
            world.memory = whole.memory.crash(tacet_store::memory::Crash::KeepAll);
            for file in &files {
                std::fs::copy(file, world.path().join(file.file_name().unwrap())).unwrap();
            }
            let path = world.path().join(victim.file_name().unwrap());
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            match what {
                0 => bytes[middle] ^= 1,
                1 => bytes.truncate(middle),
                2 => bytes.extend([0; SEALED]),
                3 => {
                    // Two chunks change places; a manifest has none and loses a byte at the front.
                    if bytes.len() >= 2 * SEALED {
                        let (first, second) = bytes.split_at_mut(SEALED);
                        first.swap_with_slice(&mut second[..SEALED]);
                    } else {
                        bytes.remove(0);
                    }
                }
                4 => bytes.clear(),
                _ => bytes = std::fs::read(&files[(number + 1) % files.len()]).unwrap(),
            }
            if what == 4 {
                std::fs::remove_file(&path).unwrap();
            } else {
                std::fs::write(&path, bytes).unwrap();
            }
            world.restart();
            // A chunk of postings is looked at when somebody asks for it.
            world.index().catch_up(&|| world.snapshot(), u64::MAX).unwrap();
            let found = (0..40).try_for_each(|_| {
                let question = question(&world.rng, world.size());
                world.ask(&question, false).map(|answer| assert_eq!(answer, world.scan(&question)))
            });
            if found.is_err() {
                refused += 1;
                world.index().start_over();
            } else if world.index().statistics().entries_in_files == 0 {
                refused += 1;
            }
            world.bring_up().unwrap();
            world.assert_answers(10);
            assert!(world.index().statistics().entries_in_files > 0, "it is made again");
        }
    }
    assert_eq!(refused, files.len() * 6, "each of them is noticed");
}

#[test]
fn an_index_that_was_set_back_catches_up_and_one_of_another_ledger_is_made_again() {
    let mut world = World::new(3);
    world.write(TAIL * 3);
    world.bring_up().unwrap();
    let saved = tempfile::tempdir().unwrap();
    for file in world.files() {
        std::fs::copy(&file, saved.path().join(file.file_name().unwrap())).unwrap();
    }
    world.write(TAIL * 2);
    world.bring_up().unwrap();
    let restore = |world: &World| {
        world.files().into_iter().for_each(|file| std::fs::remove_file(file).unwrap());
        for file in std::fs::read_dir(saved.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), world.path().join(file.file_name())).unwrap();
        }
    };
    restore(&world);
    world.restart();
    assert_eq!(world.index().statistics().entries_in_files, TAIL * 3);
    world.assert_answers(20);

    // Another ledger of the same establishment: as many entries, other ones; and one that is shorter.
    for entries in [TAIL * 4, TAIL] {
        let mut other = World::new(4);
        other.write(entries);
        restore(&other);
        other.restart();
        assert_eq!(other.index().statistics().entries_in_files, TAIL * 3);
        other.assert_answers(20);
        other.bring_up().unwrap();
        assert_eq!(other.index().statistics().entries_in_files, entries);
    }
}

#[test]
fn a_ledger_whose_rows_are_not_those_of_its_head_is_not_answered_from() {
    let world = World::new(5);
    world.write(TAIL * 2);
    // Somebody with the disk puts an entry's row in the place of another: each seal is whole, the tree is not.
    let key = |index: u64| [&[tacet_ledger::SPACE_ENTRY][..], &index.to_be_bytes()].concat();
    let other = world.reader().get(&key(8)).unwrap().unwrap();
    world.reader().write(&[Write::put(key(7), other)], Durability::Durable).unwrap();
    for _ in 0..2 {
        let refused = world.index().catch_up(&|| world.snapshot(), u64::MAX);
        assert!(matches!(refused, Err(VaultError::Damaged(_))), "{refused:?}");
    }
}

#[test]
fn entries_that_do_not_open_are_known_to_be_there() {
    let mut world = World::new(6);
    let lasting = ledger_keys();
    let ends = lasting.clone().with_entry_key(1, Sealer::gcm_siv(&Key::from_bytes([1; 32])));
    let reopen = |world: &mut World, keys: LedgerKeys| {
        world.store = None;
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(&world.memory, Faults::default()));
        world.store = Some(open_store(engine, keys, Arc::new(SecureRng), StoreOptions::default()).unwrap());
    };
    reopen(&mut world, ends.clone());
    world.write(TAIL);
    reopen(&mut world, lasting.clone());
    world.write(TAIL);

    // While the key is there, they are found; once it is gone, the index still says where they were.
    world.open_index(ends);
    world.bring_up().unwrap();
    let question = Question { person: Some("dr 1".into()), ..Question::default() };
    let groups = question.keys(&world.index().facet_keys);
    let all = |world: &World| {
        let view = world.index().view(&groups, 0, 1000).unwrap().unwrap();
        let mut search = Search::new(view, &question, groups.clone(), false, u64::MAX, None);
        let found: Vec<u64> = std::iter::from_fn(|| search.advance().unwrap()).collect();
        (found, search.unread())
    };
    let (before, unread) = all(&world);
    assert!(unread == 0 && before.iter().any(|index| *index < TAIL));
    world.open_index(lasting.clone());
    world.index().catch_up(&|| world.snapshot(), u64::MAX).unwrap();
    assert_eq!(all(&world), (before.clone(), 0));
    let gone = tacet_ledger::read(world.reader(), &lasting, before[0]);
    assert!(matches!(gone, Err(LedgerError::KeyNotHeld { .. })));

    // Made again, it knows nothing of them.
    world.index().start_over();
    world.bring_up().unwrap();
    let later: Vec<u64> = before.into_iter().filter(|index| *index >= TAIL).collect();
    assert_eq!(all(&world), (later, 0));
}

#[test]
fn a_stop_at_any_operation_leaves_an_index_that_answers() {
    let mut stopped = 0;
    for operations in 0..400 {
        let mut world = World::new(7);
        world.write(TAIL * 9);
        let left = Arc::new(AtomicI64::new(operations));
        world.left = Some(Arc::clone(&left));
        world.restart();
        world.bring_up().unwrap();
        world.write(20);
        world.index().close();
        let failed = left.load(Ordering::SeqCst) < 0;
        stopped += usize::from(failed);
        // Where its files could not be written, memory answers.
        world.assert_answers(3);
        world.left = None;
        world.restart();
        world.assert_answers(3);
        world.bring_up().unwrap();
        world.index().close();
        assert_eq!(world.segment_files().len(), world.index().statistics().segments);
        if !failed {
            break;
        }
    }
    assert!((20..400).contains(&stopped), "{stopped}");
}

#[test]
fn an_answer_goes_on_where_it_was_left() {
    let world = World::new(8);
    world.write(TAIL * 3 + 9);
    world.bring_up().unwrap();
    let question = Question { device: Some(device(1)), ..Question::default() };
    let groups = question.keys(&world.index().facet_keys);
    assert!(world.index().view(&groups, world.size(), 0).unwrap().is_some());
    assert!(world.index().view(&groups, world.size() + 1, 0).unwrap().is_none(), "less than all is no answer");
    for newest_first in [false, true] {
        let whole = world.ask(&question, newest_first).unwrap();
        let (mut found, mut next) = (Vec::<u64>::new(), None);
        let size = world.size();
        loop {
            let view = world.index().view(&groups, 0, 0).unwrap().unwrap();
            let mut search = Search::new(view, &question, groups.clone(), newest_first, size, next);
            let part: Vec<u64> = std::iter::from_fn(|| search.advance().unwrap()).take(7).collect();
            found.extend(&part);
            next = search.position();
            if next.is_none() || part.is_empty() {
                break;
            }
            // What is written meanwhile is not in it.
            world.write(3);
            world.index().catch_up(&|| world.snapshot(), u64::MAX).unwrap();
        }
        assert_eq!(found, whole);
    }
}

mod forgetting;
