//! What comes back against what was there, and against everything that can happen to a backup in between.

mod planted;

use super::*;
use crate::error::BackupError;
use crate::manifest::Manifest;
use crate::memory::MemoryTarget;
use crate::signing::{BackupSigner, PublicKey};
use crate::target::{Listed, ObjectName, Put, Target, TargetError};
use crate::{Backup, LedgerState, Plan, Source, StateFile, TailBuffer, Want};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tacet_seal::Key;
use tacet_seal::root::{PassphraseCost, RecoveryPart, RootFile, Split};
use tacet_store::memory::MemoryEngine;
use tacet_store::{Commit, Engine, NoSequencer, Reader, Store, StoreOptions, TailedEngine, Write};
use tacet_types::{EstablishmentId, ManualClock, Rng, SeededRng, Timestamp};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A target with a name of its own, which counts reads and can end after some.
struct Named {
    target: MemoryTarget,
    name: &'static str,
    reads_left: AtomicUsize,
}

impl Named {
    fn new(target: &MemoryTarget, name: &'static str) -> Arc<Self> {
        Arc::new(Self { target: target.clone(), name, reads_left: AtomicUsize::new(usize::MAX) })
    }
}

impl Target for Named {
    fn put_new(&self, name: &ObjectName, bytes: &[u8], until: Option<Timestamp>) -> Result<Put, TargetError> {
        self.target.put_new(name, bytes, until)
    }

    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Vec<u8>, TargetError> {
        if self.reads_left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.reads_left.store(0, Ordering::SeqCst);
            return Err(TargetError::Absent(name.clone()));
        }
        self.target.read(name, range)
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<(), TargetError> {
        self.target.list(prefix, visit)
    }

    fn describe(&self) -> String {
        self.name.to_owned()
    }
}

/// A store with its backups, and what its rows were at each snapshot.
struct Hospital {
    content: MemoryTarget,
    keys: MemoryTarget,
    states: Vec<(u64, Timestamp, Rows)>,
    commits: Vec<u64>,
}

const FIRST_MS: i64 = 1_790_000_000_000;

fn signer(seed: u8) -> BackupSigner {
    BackupSigner::new(&Key::from_bytes([seed; 32]))
}

fn public() -> PublicKey {
    signer(1).public()
}

fn recovery() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.key");
    let cost = PassphraseCost::new(8, 1, 1).unwrap();
    RootFile::create(&path, "correct horse battery", Split::DEFAULT, cost, &SeededRng::new(3)).unwrap();
    RecoveryPart::read(&path).unwrap().as_bytes().to_vec()
}

fn dump(engine: &dyn Reader) -> Rows {
    let mut rows = Rows::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    };
    engine.range(&[1], &[0xff; 33], visit).unwrap();
    rows
}

fn is_key(key: &[u8]) -> bool {
    matches!(key[0], 0x04 | 0x08 | 0x13)
}

impl Hospital {
    /// Makes a base and `logs` logs after some writing each; in the middle a key is destroyed and rows go.
    fn new(seed: u64, logs: usize) -> Self {
        let rng = SeededRng::new(seed);
        let number = |bound: u64| rng.next_u64() % bound;
        let (content, keys) = (MemoryTarget::new(), MemoryTarget::new());
        let clock = Arc::new(ManualClock::new(Timestamp::from_ms(FIRST_MS)));
        let tail = Arc::new(TailBuffer::new(64 << 20));
        let engine = Arc::new(TailedEngine::new(Arc::new(MemoryEngine::new()), tail.clone()).unwrap());
        let store = Store::open(engine.clone(), NoSequencer, StoreOptions::default()).unwrap();
        let part = recovery();
        let source = Source {
            engine: engine.clone(),
            tail,
            establishment: EstablishmentId([5; 16]),
            signer: signer(1),
            ledger: Box::new(|_| Ok(Some(LedgerState { entries: 0, root: [0; 32] }))),
            recovery: Box::new(move || Some(part.clone())),
            clock: clock.clone(),
            rng: Arc::new(SeededRng::new(seed + 1)),
        };
        let plan = Plan {
            target: Named::new(&content, "content"),
            keys: Named::new(&keys, "keys"),
            base_every_ms: i64::MAX,
            locked_ms: None,
            state: StateFile(None),
        };
        let mut backup = Backup::open(source, plan, false).unwrap();
        let mut hospital = Self { content, keys, states: Vec::new(), commits: Vec::new() };
        store.submit(Commit { writes: vec![Write::put([8], *b"description")], ..Commit::default() }).wait().unwrap();
        for round in 0..=logs {
            for _ in 0..if round == 0 { 1200 } else { 60 } {
                let mut writes = Rows::new();
                let mut removed = Vec::new();
                for _ in 0..1 + number(4) {
                    let space = [2, 3, 5, 0x0d, 0x0e][number(5) as usize];
                    let key = [&[space][..], &number(900).to_be_bytes()[6..], &[7; 14]].concat();
                    let mut value = vec![0; number(900) as usize];
                    rng.fill(&mut value);
                    writes.insert(key, value);
                }
                for _ in 0..number(3) {
                    let key = [&[2 + number(2) as u8][..], &number(900).to_be_bytes()[6..], &[7; 14]].concat();
                    if !writes.contains_key(&key) {
                        removed.push(key);
                    }
                }
                if number(6) == 0 {
                    let key = [&[4][..], &number(40).to_be_bytes()[6..], &[1; 14]].concat();
                    let word: &[u8] = if round > 0 && number(3) == 0 { b"erased" } else { b"wrapped key" };
                    writes.insert(key, word.to_vec());
                }
                let mut all: Vec<Write> = writes.into_iter().map(|(key, value)| Write::put(key, value)).collect();
                all.extend(removed.into_iter().map(Write::delete));
                store.submit(Commit { writes: all, feed: Some(vec![1; 40]), ..Commit::default() }).wait().unwrap();
            }
            clock.advance_ms(10_000);
            let made = backup.make(if round == 0 { Want::Base } else { Want::Due }, &mut |_| true).unwrap();
            let last = made.last().unwrap();
            hospital.states.push((last.reference.number, last.time, dump(engine.as_ref())));
            hospital.commits.push(last.to.commits);
        }
        hospital
    }

    fn copy(&self) -> Result<KeyCopy, BackupError> {
        let copy = KeyCopy::newest(&self.keys)?;
        copy.verify(&public())?;
        Ok(copy)
    }

    fn begin(&self, local: Arc<dyn Engine>, target: Arc<dyn Target>, wanted: Wanted) -> Result<Restoring, BackupError> {
        let copy = self.copy()?;
        let chain = content_chain(target.as_ref(), wanted, &public())?;
        for names in chain.last().into_iter().chain(chain.newest_manifest.as_ref()) {
            copy.is_not_older_than(names)?;
        }
        Restoring::begin(local, target, chain, &copy)
    }

    /// Everything that a restore of this snapshot does to the rows.
    fn restore(&self, wanted: Wanted) -> Result<Rows, BackupError> {
        let local = Arc::new(MemoryEngine::new());
        let restoring = self.begin(local.clone(), Arc::new(self.content.clone()), wanted)?;
        restoring.take_logs(&mut |_| ())?;
        assert!(restoring.fill(&AtomicBool::new(false), &|_| ())?);
        assert!(restoring.count()?.iter().all(Counted::agrees));
        drop(restoring);
        Store::open(local.clone(), NoSequencer, StoreOptions::default()).unwrap();
        Ok(dump(local.as_ref()))
    }

    /// The rows of a snapshot, with the keys as they are now.
    fn expected(&self, place: usize) -> Rows {
        let newest = &self.states.last().unwrap().2;
        let content = self.states[place].2.iter().filter(|(key, _)| !is_key(key));
        let keys = newest.iter().filter(|(key, _)| is_key(key));
        content.chain(keys).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

#[test]
fn each_snapshot_comes_back_as_it_was_with_the_keys_as_they_are() {
    let hospital = Hospital::new(1, 6);
    assert!(hospital.expected(0).values().any(|value| value == b"erased"), "what was erased since stays so");
    for (place, (number, time, _)) in hospital.states.iter().enumerate() {
        let expected = hospital.expected(place);
        assert!(hospital.restore(Wanted::Number(*number)).unwrap() == expected, "snapshot {number}");
        assert!(hospital.restore(Wanted::At(*time)).unwrap() == expected, "snapshot {number} by its time");
        assert!(hospital.restore(Wanted::At(time.plus_ms(9_999))).unwrap() == expected);
    }
    assert!(hospital.restore(Wanted::Newest).unwrap() == hospital.expected(6));
    assert!(matches!(hospital.restore(Wanted::At(Timestamp::from_ms(FIRST_MS))), Err(BackupError::NoSnapshot(_))));
    assert!(matches!(hospital.restore(Wanted::Number(99)), Err(BackupError::NoSnapshot(_))));
}

#[test]
fn it_is_read_from_before_it_is_there_and_goes_on_where_it_was_killed() {
    let hospital = Hospital::new(2, 4);
    let expected = hospital.expected(4);
    let local = Arc::new(MemoryEngine::new());
    let begin = || hospital.begin(local.clone(), Arc::new(hospital.content.clone()), Wanted::Newest);
    let restoring = begin().unwrap();
    restoring.take_logs(&mut |_| ()).unwrap();
    assert!(restoring.pieces() > 0 && !restoring.engine().is_full());
    assert!(dump(restoring.engine()) == expected, "all of it is read through, none of it is there");
    for (key, value) in expected.iter().step_by(50) {
        assert_eq!(restoring.engine().get(key).unwrap().as_ref(), Some(value));
    }
    assert!(Store::open(local.clone(), NoSequencer, StoreOptions::default()).is_err(), "it is no store yet");
    // Served from while it fills: what is written then is not undone.
    let store = Store::open(Arc::new(restoring.engine().clone()), NoSequencer, StoreOptions::default()).unwrap();
    assert_eq!(store.commits(), *hospital.commits.last().unwrap(), "its commits go on from the snapshot's");
    let written = vec![Write::put([0x0d, 1, 2], *b"a session"), Write::put([0x10, 9], *b"an entry")];
    store.submit(Commit { writes: written, ..Commit::default() }).wait().unwrap();
    restoring.fill_spaces(&[0x0d, 0x0e], &|_| ()).unwrap();
    drop((store, restoring));
    // Killed, and begun again: the keys are those of now, and what was written stays.
    let again = begin().unwrap();
    again.take_logs(&mut |_| ()).unwrap();
    assert!(again.fill(&AtomicBool::new(false), &|_| ()).unwrap());
    assert!(again.count().unwrap().iter().all(Counted::agrees));
    let mut with_written = expected;
    with_written.insert(vec![0x0d, 1, 2], b"a session".to_vec());
    with_written.insert(vec![0x10, 9], b"an entry".to_vec());
    assert!(dump(local.as_ref()) == with_written);
    let store = Store::open(local.clone(), NoSequencer, StoreOptions::default()).unwrap();
    assert_eq!(store.commits(), hospital.commits.last().unwrap() + 1);
    drop(store);
    // Once more: it knows that it is through.
    let full = begin().unwrap();
    full.take_logs(&mut |_| ()).unwrap();
    assert!(full.engine().is_full() && full.fill(&AtomicBool::new(false), &|_| ()).unwrap());
    assert!(dump(local.as_ref()) == with_written);
}

#[test]
fn a_restore_that_ends_at_any_read_goes_on() {
    let hospital = Hospital::new(3, 3);
    let expected = hospital.expected(3);
    let local = Arc::new(MemoryEngine::new());
    let mut ended = 0;
    for reads in 3..400 {
        let target = Named::new(&hospital.content, "content");
        target.reads_left.store(reads, Ordering::SeqCst);
        let through = hospital.begin(local.clone(), target, Wanted::Newest).and_then(|restoring| {
            restoring.take_logs(&mut |_| ())?;
            restoring.fill(&AtomicBool::new(false), &|_| ())
        });
        match through {
            Ok(whole) => {
                assert!(whole && ended > 3, "{ended}");
                assert!(dump(local.as_ref()) == expected);
                return;
            }
            Err(_) => ended += 1,
        }
    }
    panic!("it never came to its end");
}

#[test]
fn an_engine_with_something_else_in_it_is_refused() {
    let hospital = Hospital::new(4, 2);
    let used = Arc::new(MemoryEngine::new());
    used.write(&[Write::put([9, 9], [1])], tacet_store::Durability::Durable).unwrap();
    let begin = |local: &Arc<MemoryEngine>, wanted| {
        hospital.begin(local.clone(), Arc::new(hospital.content.clone()), wanted).map(|_| ())
    };
    assert!(matches!(begin(&used, Wanted::Newest), Err(BackupError::Settings(_))));
    let begun = Arc::new(MemoryEngine::new());
    begin(&begun, Wanted::Number(2)).unwrap();
    assert!(begin(&begun, Wanted::Number(3)).is_err(), "it was begun with another snapshot");
    begin(&begun, Wanted::Number(2)).unwrap();
}

/// Whatever becomes of one object, the restore either says so, naming what it found, or gives the very rows.
#[test]
fn nothing_wrong_is_restored_whatever_becomes_of_an_object() {
    let hospital = Hospital::new(5, 2);
    let expected = hospital.expected(2);
    let wanted = Wanted::Number(hospital.states[2].0);
    let mut refused = 0;
    for target in [&hospital.content, &hospital.keys] {
        let objects: Vec<(ObjectName, Vec<u8>)> =
            target.objects().iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        for (place, (name, good)) in objects.iter().enumerate() {
            let mut changes: Vec<(String, Option<Vec<u8>>)> = vec![
                ("removed".to_owned(), None),
                ("cut".to_owned(), Some(good[..good.len() - 1].to_vec())),
                ("halved".to_owned(), Some(good[..good.len() / 2].to_vec())),
                ("emptied".to_owned(), Some(Vec::new())),
                ("grown".to_owned(), Some([&good[..], b"\n"].concat())),
                ("exchanged".to_owned(), Some(objects[(place + 1) % objects.len()].1.clone())),
            ];
            for at in [0, 9, 17, good.len() / 3, good.len() / 2, good.len() - 60, good.len() - 1] {
                let mut bytes = good.clone();
                bytes[at.min(good.len() - 1)] ^= 4;
                changes.push((format!("byte {at}"), Some(bytes)));
            }
            for (what, bytes) in changes {
                match bytes {
                    Some(bytes) => drop(target.objects().insert(name.clone(), bytes)),
                    None => drop(target.objects().remove(name)),
                }
                match hospital.restore(wanted) {
                    Ok(rows) => assert!(rows == expected, "{name} was {what}: other rows came back"),
                    Err(error) => {
                        refused += 1;
                        let mut text = error.to_string();
                        let mut source = std::error::Error::source(&error);
                        while let Some(inner) = source {
                            text += &inner.to_string();
                            source = inner.source();
                        }
                        let number = name.as_str().split(['/', '-']).nth(1).and_then(|text| text.parse::<u64>().ok());
                        let named = text.contains(name.as_str())
                            || number.is_some_and(|number| text.contains(&format!(" {number}")));
                        // A manifest of keys is read before it can be verified: what it leads to does not fit then.
                        let led_astray = name.as_str().starts_with("keys/") && text.contains("key-segments/");
                        assert!(named || led_astray || what == "removed", "{name} was {what}: {text}");
                    }
                }
                target.objects().insert(name.clone(), good.clone());
            }
        }
    }
    assert!(hospital.restore(wanted).unwrap() == expected);
    // What nobody asks for by its number can be missing without a trace in the backup: the restore says which snapshot it took.
    let newest = crate::list_snapshots(&hospital.content, crate::Class::Content).unwrap().last().unwrap().clone();
    let manifest = hospital.content.objects().remove(&newest.object).unwrap();
    let chain = content_chain(&hospital.content, Wanted::Newest, &public()).unwrap();
    assert_eq!((chain.newest, chain.wanted.number), (newest.number - 1, newest.number - 1));
    assert!(hospital.restore(Wanted::Newest).unwrap() == hospital.expected(1));
    hospital.content.objects().insert(newest.object, manifest);
    let objects = hospital.content.objects().len() + hospital.keys.objects().len();
    // The newest snapshot needs every object but the keys' manifests' own copies of older parts: nearly each change is noticed.
    assert!(refused > objects * 10, "{refused} of {objects} objects");
}

#[test]
fn keys_that_were_set_back_are_refused_and_so_is_another_establishments_backup() {
    let hospital = Hospital::new(6, 3);
    let newest = crate::list_snapshots(&hospital.keys, crate::Class::Key).unwrap().last().unwrap().clone();
    assert!(newest.number > 1);
    let removed = hospital.keys.objects().remove(&newest.object).unwrap();
    let error = hospital.restore(Wanted::Newest).unwrap_err();
    assert!(matches!(&error, BackupError::Broken(what) if what.contains("set back")), "{error}");
    // Of an older snapshot too: the newest one tells how new the keys must be.
    assert!(matches!(hospital.restore(Wanted::Number(1)), Err(BackupError::Broken(_))));
    hospital.keys.objects().insert(newest.object, removed);
    assert!(hospital.restore(Wanted::Number(1)).is_ok());
    let copy = KeyCopy::newest(&hospital.keys).unwrap();
    assert!(matches!(copy.verify(&signer(2).public()), Err(BackupError::Signature(_))));
    let other = content_chain(&hospital.content, Wanted::Newest, &signer(2).public());
    assert!(matches!(&other, Err(BackupError::NoSnapshot(what)) if what.contains("not signed by this establishment")));
    assert!(matches!(KeyCopy::newest(&hospital.content), Err(BackupError::NoSnapshot(_))), "targets were swapped");
}

#[test]
fn a_manifest_that_somebody_planted_beside_ours_does_not_stop_a_restore() {
    let hospital = Hospital::new(7, 2);
    let newest = crate::list_snapshots(&hospital.content, crate::Class::Content).unwrap().last().unwrap().clone();
    let planted = ObjectName::parse(&format!("snapshots/{:012}-0123456789abcdef.json", newest.number)).unwrap();
    hospital.content.put_new(&planted, b"{}", None).unwrap();
    assert!(hospital.restore(Wanted::Newest).unwrap() == hospital.expected(2));
    // Later ones, and one signed by somebody else, are passed over and named, whichever way the snapshot is asked for.
    let last = &hospital.states[2];
    let mut above = vec![planted];
    for offset in 1..=3 * 8 + 1 {
        let later =
            ObjectName::parse(&format!("snapshots/{:012}-0123456789abcdef.json", newest.number + offset)).unwrap();
        hospital.content.put_new(&later, b"{}", None).unwrap();
        above.push(later);
    }
    let identity = crate::Identity {
        class: crate::Class::Content,
        establishment: EstablishmentId([5; 16]),
        number: newest.number + 500,
        time: last.1,
    };
    let (theirs, bytes) =
        crate::manifest::Signed::sign(Manifest::new(identity, [7; 8], tacet_store::Mark::START), &signer(2)).unwrap();
    hospital.content.put_new(&theirs.unverified().name(), &bytes, None).unwrap();
    above.push(theirs.unverified().name());
    let asked =
        [Wanted::Newest, Wanted::At(last.1), Wanted::At(Timestamp::from_ms(i64::MAX / 4)), Wanted::Number(last.0)];
    for wanted in asked {
        let chain = content_chain(&hospital.content, wanted, &public()).unwrap();
        assert_eq!((chain.wanted.number, chain.newest), (newest.number, newest.number), "{wanted:?}");
        for name in &above {
            assert!(chain.passed.iter().any(|passed| passed.contains(name.as_str())), "{name} {wanted:?}");
        }
        assert_eq!(chain.passed.len(), above.len(), "each is named once");
        assert!(hospital.restore(wanted).unwrap() == hospital.expected(2));
    }
    assert!(hospital.restore(Wanted::At(hospital.states[1].1)).unwrap() == hospital.expected(1));
    let none = content_chain(&hospital.content, Wanted::Number(theirs.unverified().number), &public()).unwrap_err();
    assert!(none.to_string().contains(theirs.unverified().name().as_str()), "{none}");
    // The same for whoever asks the catalogue, and for who verifies: one that does not verify is no second writer.
    let at = crate::chain(&hospital.content, crate::Class::Content, crate::At::Number(newest.number), Some(&public()));
    assert_eq!(at.unwrap().last().unwrap().unverified().id, newest.id);
    let verified = verification(&hospital.content).run(&mut |_, _| ()).unwrap();
    assert_eq!(verified.problem_count, above.len() as u64, "{:?}", verified.problems);
    assert!(verified.problems.iter().all(|problem| !problem.what.contains("two servers")), "{:?}", verified.problems);
    // Two that both verify are.
    let mut second = crate::load(&hospital.content, &newest.object).unwrap().unverified().clone();
    second.id = "00000000000000aa".to_owned();
    let (second, bytes) = crate::manifest::Signed::sign(second, &signer(1)).unwrap();
    hospital.content.put_new(&second.unverified().name(), &bytes, None).unwrap();
    assert!(matches!(hospital.restore(Wanted::Newest), Err(BackupError::Broken(what)) if what.contains("two")));
    let verified = verification(&hospital.content).run(&mut |_, _| ()).unwrap();
    assert!(verified.problems.iter().any(|problem| problem.what.contains("two servers")), "{:?}", verified.problems);
}

fn verification(target: &MemoryTarget) -> crate::Verification<'_> {
    crate::Verification {
        target,
        class: crate::Class::Content,
        key: public(),
        establishment: None,
        expected: &[],
        pruned_before: Timestamp::from_ms(0),
        depth: crate::Depth::Listed,
    }
}

/// Bases of these times, numbered from 1.
fn of_times(times: &[i64]) -> MemoryTarget {
    let target = MemoryTarget::new();
    for (number, time) in (1..).zip(times) {
        let identity = crate::Identity {
            class: crate::Class::Content,
            establishment: EstablishmentId([5; 16]),
            number,
            time: Timestamp::from_ms(*time),
        };
        let manifest = Manifest::new(identity, [1; 8], tacet_store::Mark::START);
        let (signed, bytes) = crate::manifest::Signed::sign(manifest, &signer(1)).unwrap();
        target.put_new(&signed.unverified().name(), &bytes, None).unwrap();
    }
    target
}

#[test]
fn a_time_means_one_snapshot_or_the_operator_is_asked() {
    let at = |target: &MemoryTarget, ms: i64| {
        content_chain(target, Wanted::At(Timestamp::from_ms(ms)), &public()).map(|chain| chain.wanted.number)
    };
    // More than are looked at together, every ten seconds.
    let times: Vec<i64> = (1..=1500).map(|number| number * 10_000).collect();
    let even = of_times(&times);
    for number in [1, 2, 511, 512, 513, 700, 1024, 1499, 1500] {
        assert_eq!(at(&even, number * 10_000).unwrap(), number as u64);
        assert_eq!(at(&even, number * 10_000 + 9_999).unwrap(), number as u64);
    }
    assert!(matches!(at(&even, 9_999), Err(BackupError::NoSnapshot(_))));
    // The clock went back by an hour after number 1000: what was then is there twice.
    let mut back = times.clone();
    back.iter_mut().skip(1000).for_each(|time| *time -= 3_600_000);
    let back = of_times(&back);
    assert_eq!(at(&back, 10_000 * 500).unwrap(), 500, "before both");
    assert_eq!(at(&back, 10_000 * 1_200).unwrap(), 1500, "after both, the last there is");
    for ms in [10_000 * 900, 10_000 * 700 + 1] {
        let error = at(&back, ms).unwrap_err().to_string();
        let first = ms / 10_000;
        assert!(error.contains(&format!(" {first} (")) && error.contains(&format!(" {} (", first + 360)), "{error}");
    }
    // One snapshot with the clock of a machine without a battery.
    let once = of_times(&[10, 20, 30, 0, 50, 60]);
    assert_eq!(at(&once, 60).unwrap(), 6);
    assert!(at(&once, 20).unwrap_err().to_string().contains(" 4 ("));
    // Back and forth without end: said, and bounded.
    let wild: Vec<i64> = (0..200).map(|number| if number % 2 == 0 { 5 } else { 50 }).collect();
    assert!(matches!(at(&of_times(&wild), 20), Err(BackupError::Settings(_))));
}
