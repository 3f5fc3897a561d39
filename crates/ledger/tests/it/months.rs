//! Keys of months through a store: made with a month's first entry, durable with it, destroyed, missing.

use super::*;
use std::sync::OnceLock;
use tacet_ledger::{Epoch, EpochRow, EpochState, Problem, SPACE_EPOCH_KEYS, first_after, head, read};
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{
    InProcessKeeper, KeeperError, KeeperLimits, KeyKeeper, OnBehalf, SecureRng, UnwrapCounts, WrappedKey,
};
use tacet_store::memory::{Crash, Effect, Operation};
use tacet_types::SystemClock;

const DAY_MS: i64 = 24 * 3_600_000;

fn keeper() -> Arc<dyn KeyKeeper> {
    static KEEPER: OnceLock<Arc<InProcessKeeper>> = OnceLock::new();
    let made = KEEPER.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let (path, cost) = (directory.path().join("root.key"), PassphraseCost::DANGEROUSLY_CHEAP);
        let (root, _) = RootFile::create(&path, "a passphrase", Split::DEFAULT, cost, &SecureRng).unwrap();
        let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
        Arc::new(InProcessKeeper::new(root.keys(), Arc::new(SystemClock), Arc::new(SecureRng), limits))
    });
    Arc::clone(made) as Arc<dyn KeyKeeper>
}

fn monthly(engine: &MemoryEngine) -> LedgerKeys {
    let keys = EstablishmentKeys::derive(&Key::from_bytes([42; 32]), EstablishmentId([7; 16]));
    LedgerKeys::of_months(&keys, engine, keeper(), at("2026-01-01T00:00:00Z"), rng().as_ref()).unwrap()
}

fn open_monthly(engine: &Arc<MemoryEngine>) -> (LedgerStore, LedgerKeys) {
    let keys = monthly(engine);
    let engine = Arc::clone(engine) as Arc<dyn Engine>;
    (open_store(engine, keys.clone(), rng(), StoreOptions::default()).unwrap(), keys)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn entry_at(number: u64, at: Timestamp) -> Entry {
    Entry { at, ..entry(number) }
}

/// The epoch of each entry's row, as whoever has the disk sees it.
fn epochs_of(engine: &MemoryEngine) -> Vec<u16> {
    let entries = rows(engine).into_iter().filter(|(key, _)| key.len() == 9);
    entries.map(|(_, value)| u16::from_be_bytes([value[1], value[2]])).collect()
}

fn key_rows(engine: &MemoryEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut keep = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        std::ops::ControlFlow::Continue(())
    };
    engine.range(&[SPACE_EPOCH_KEYS], &[SPACE_EPOCH_KEYS + 1], &mut keep).unwrap();
    rows
}

fn destroy(store: &LedgerStore, keys: &LedgerKeys, engine: &MemoryEngine, epoch: Epoch) {
    let (precondition, write) = keys.destroying(engine, epoch).unwrap().unwrap();
    let commit = Commit { preconditions: vec![precondition], writes: vec![write], ..Commit::default() };
    store.submit(commit).wait().unwrap();
    keys.forget(epoch);
}

#[test]
fn four_years_have_a_key_a_month_and_the_tree_stays_whole_as_they_end() {
    let engine = Arc::new(MemoryEngine::new());
    let (store, keys) = open_monthly(&engine);
    let begin = at("2022-12-31T23:00:00Z");
    let days = 4 * 365;
    for day in 0..days {
        append(&store, &[entry_at(day as u64, begin.plus_ms(day * DAY_MS))]).unwrap();
    }
    let months = keys.epochs();
    assert_eq!(months.len(), 49);
    assert_eq!((months[0].0.to_string(), months[48].0.to_string()), ("2022-12".into(), "2026-12".into()));
    assert!(months.iter().all(|(_, state)| *state == EpochState::Held));
    assert_eq!(key_rows(&engine).len(), 49);
    for (index, epoch) in epochs_of(&engine).into_iter().enumerate() {
        assert_eq!(epoch, Epoch::of(begin.plus_ms(index as i64 * DAY_MS)).number(), "entry {index}");
    }
    let root = head(engine.as_ref(), &keys).unwrap().unwrap().root();

    // What is destroyed while the store is open ends for every clone of the keys, and for whoever opens it later.
    let (reader, old) = (keys.clone(), months[1].0);
    assert!(read(engine.as_ref(), &reader, 5).is_ok());
    destroy(&store, &keys, &engine, old);
    let gone =
        |keys: &LedgerKeys, index| matches!(read(engine.as_ref(), keys, index), Err(LedgerError::KeyNotHeld { .. }));
    assert!(gone(&reader, 1) && gone(&reader, 31) && !gone(&reader, 0) && !gone(&reader, 32));
    assert!(keys.destroying(engine.as_ref(), old).unwrap().is_none(), "there is nothing left to destroy");
    let newest = months[48].0;
    assert!(matches!(keys.destroying(engine.as_ref(), newest), Err(LedgerError::EpochInUse { .. })));
    store.close().unwrap();

    let (store, keys) = open_monthly(&engine);
    assert!(gone(&keys, 1) && gone(&keys, 31) && !gone(&keys, 0) && !gone(&keys, 32));
    assert_eq!(keys.epochs()[1], (old, EpochState::Destroyed));
    let verification = verify(engine.as_ref(), &keys, &mut |_, _| ()).unwrap();
    assert!(verification.is_sound(), "{:?}", verification.problems);
    assert_eq!((verification.opened, verification.without_key), (days as u64 - 31, 31));
    assert_eq!(verification.derived_root, Some(root), "the tree is what it was");
    // The entry of a month that has ended is written under a later key, whatever the clock says.
    append(&store, &[entry_at(9000, at("2023-01-05T00:00:00Z"))]).unwrap();
    assert_eq!(epochs_of(&engine).last(), Some(&newest.number()));
    assert!(read(engine.as_ref(), &keys, days as u64).is_ok());
}

#[test]
fn one_commit_over_the_turn_of_a_month_makes_one_key() {
    let engine = Arc::new(MemoryEngine::new());
    let (store, keys) = open_monthly(&engine);
    let turn = at("2026-12-01T00:00:00Z");
    let entries: Vec<Entry> = (0..6).map(|number| entry_at(number, turn.plus_ms(number as i64 - 3))).collect();
    append(&store, &entries).unwrap();
    assert_eq!(keys.epochs().len(), 2);
    assert_eq!(epochs_of(&engine), [24_322, 24_322, 24_322, 24_323, 24_323, 24_323]);
    for (index, entry) in entries.iter().enumerate() {
        assert!(read(engine.as_ref(), &monthly(&engine), index as u64).unwrap() == *entry);
    }
    // Commits that wait while the month turns come late, and stand under the newer key.
    append(&store, &[entry_at(6, turn.plus_ms(-1))]).unwrap();
    assert_eq!(epochs_of(&engine)[6], 24_323);
}

#[test]
fn a_crash_around_the_first_entry_of_a_month_loses_no_key() {
    let mut hit = 0;
    let effects = [Effect::Fail, Effect::Tear { bytes: 0 }, Effect::Tear { bytes: 60 }, Effect::Tear { bytes: 400 }];
    for (operation, effect) in effects
        .map(|effect| (Operation::Write, effect))
        .into_iter()
        .chain([(Operation::Sync, Effect::Fail), (Operation::WitnessWrite, Effect::Fail)])
    {
        for nth in 0..6 {
            let (disk, faults) = (Disk::default(), Faults::default());
            let engine = Arc::new(MemoryEngine::open(&disk, faults.clone()));
            let (store, _) = open_monthly(&engine);
            faults.inject(operation, nth, effect);
            // Every entry is the first of its month.
            let mut given = Vec::new();
            for month in 0..6u64 {
                match append(&store, &[entry_at(month, at("2026-01-15T00:00:00Z").plus_ms(month as i64 * 31 * DAY_MS))])
                {
                    Ok(receipts) => given.extend(receipts),
                    Err(_) => break,
                }
            }
            hit += usize::from(store.has_failed());
            drop(store);
            for crash in [Crash::KeepSynced, Crash::KeepAll, Crash::KeepBytes(90)] {
                let what = format!("{operation:?} {nth} {effect:?}, {crash:?}");
                let engine = Arc::new(MemoryEngine::open(&disk.crash(crash), Faults::default()));
                let (store, keys) = open_monthly(&engine);
                let verification = verify(engine.as_ref(), &keys, &mut |_, _| ()).unwrap();
                assert!(
                    verification.is_sound() && verification.without_key == 0,
                    "{what}: {:?}",
                    verification.problems
                );
                for receipt in &given {
                    let entry = read(engine.as_ref(), &keys, receipt.index()).unwrap();
                    assert_eq!(entry.operation, receipt.operation(), "{what}");
                }
                let next = append(&store, &[entry_at(50, at("2026-09-01T00:00:00Z"))]).unwrap();
                assert!(read(engine.as_ref(), &monthly(&engine), next[0].index()).is_ok(), "{what}");
            }
        }
    }
    assert!(hit >= 30, "{hit}");
}

#[test]
fn a_key_that_is_taken_away_is_no_key_that_ended() {
    let engine = Arc::new(MemoryEngine::new());
    let (store, _) = open_monthly(&engine);
    for month in 1..=3 {
        append(&store, &[entry_at(month, at(&format!("2026-0{month}-10T00:00:00Z")))]).unwrap();
    }
    store.close().unwrap();
    let spoil = |write: &dyn Fn(&[u8], &[u8]) -> Write| {
        let engine = copy(&engine);
        let february = key_rows(&engine).into_iter().find(|(_, value)| value[1..3] == 24_313u16.to_be_bytes()).unwrap();
        super::write(&engine, &[write(&february.0, &february.1)]);
        engine
    };
    let mut flipped = 0;
    for place in (0..68).step_by(3) {
        let engine = spoil(&|key, value| {
            let mut value = value.to_vec();
            value[place] ^= 1;
            Write::put(key, value)
        });
        let keys = monthly(&engine);
        assert!(
            matches!(read(engine.as_ref(), &keys, 1), Err(LedgerError::KeyMissing { epoch: 24_313, .. })),
            "{place}"
        );
        flipped += 1;
    }
    assert_eq!(flipped, 23);
    let engine = spoil(&|key, _| Write::delete(key));
    let (store, keys) = open_monthly(&engine);
    let verification = verify(engine.as_ref(), &keys, &mut |_, _| ()).unwrap();
    let named =
        |problem: &Problem| matches!(problem, Problem::Entry { index: 1, error: LedgerError::KeyMissing { .. } });
    assert!(verification.problems.len() == 1 && named(&verification.problems[0]), "{:?}", verification.problems);
    // The store takes entries all the same.
    append(&store, &[entry_at(9, at("2026-03-11T00:00:00Z"))]).unwrap();
    // Where it was the newest, nothing is sealed under what does not open again.
    let engine = copy(&engine);
    let march = key_rows(&engine).into_iter().find(|(_, value)| value[1..3] == 24_314u16.to_be_bytes()).unwrap();
    let mut spoiled = march.1;
    spoiled[40] ^= 1;
    super::write(&engine, &[Write::put(march.0, spoiled)]);
    let (store, keys) = open_monthly(&engine);
    let receipts = append(&store, &[entry_at(9, at("2026-03-12T00:00:00Z"))]).unwrap();
    assert_eq!(epochs_of(&engine).last(), Some(&24_315));
    assert!(read(engine.as_ref(), &keys, receipts[0].index()).is_ok());
}

#[test]
fn a_key_of_one_month_does_not_pass_for_another() {
    let engine = Arc::new(MemoryEngine::new());
    let (store, _) = open_monthly(&engine);
    for month in 1..=2 {
        append(&store, &[entry_at(month, at(&format!("2026-0{month}-10T00:00:00Z")))]).unwrap();
    }
    store.close().unwrap();
    let rows = key_rows(&engine);
    super::write(&engine, &[Write::put(rows[0].0.clone(), rows[1].1.clone())]);
    let keys = monthly(&engine);
    let first = EpochRow::parse(&rows[0].1).unwrap().epoch;
    let opened: Vec<bool> = (0..2).map(|index| read(engine.as_ref(), &keys, index).is_ok()).collect();
    assert_eq!(opened.iter().filter(|opened| **opened).count(), 1, "{first} does not open");
}

/// A keeper that can be closed.
struct Closing(Arc<dyn KeyKeeper>, std::sync::atomic::AtomicBool);

impl Closing {
    fn open(&self) -> Result<&dyn KeyKeeper, KeeperError> {
        let closed = self.1.load(std::sync::atomic::Ordering::SeqCst);
        if closed { Err(KeeperError::Unavailable) } else { Ok(self.0.as_ref()) }
    }
}

impl KeyKeeper for Closing {
    fn wrap(&self, key: &Key, context: &[u8]) -> Result<WrappedKey, KeeperError> {
        self.open()?.wrap(key, context)
    }
    fn unwrap(&self, wrapped: &WrappedKey, context: &[u8], on_behalf: OnBehalf) -> Result<Key, KeeperError> {
        self.open()?.unwrap(wrapped, context, on_behalf)
    }
    fn rewrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Option<WrappedKey>, KeeperError> {
        self.open()?.rewrap(wrapped, context)
    }
    fn counts(&self) -> UnwrapCounts {
        self.0.counts()
    }
    fn generation(&self) -> u32 {
        self.0.generation()
    }
}

#[test]
fn months_turn_while_the_keeper_is_closed() {
    let engine = Arc::new(MemoryEngine::new());
    let closing = Arc::new(Closing(keeper(), false.into()));
    let (establishment, now) = (EstablishmentId([7; 16]), at("2026-01-20T00:00:00Z"));
    let keys = EstablishmentKeys::derive(&Key::from_bytes([42; 32]), establishment);
    let opened = Arc::clone(&closing) as Arc<dyn KeyKeeper>;
    let keys = LedgerKeys::of_months(&keys, engine.as_ref(), opened, now, rng().as_ref()).unwrap();
    let shared = Arc::clone(&engine) as Arc<dyn Engine>;
    let store = open_store(shared, keys.clone(), rng(), StoreOptions::default()).unwrap();
    closing.1.store(true, std::sync::atomic::Ordering::SeqCst);
    for month in 0..13 {
        append(&store, &[entry_at(month, now.plus_ms(month as i64 * 30 * DAY_MS))]).unwrap();
    }
    assert_eq!(epochs_of(&engine), (24_312..=24_324).collect::<Vec<u16>>());
    // When all are used up nothing is written under a key that nobody could open again.
    assert!(append(&store, &[entry_at(99, at("2027-02-10T00:00:00Z"))]).is_err());
    closing.1.store(false, std::sync::atomic::Ordering::SeqCst);
    append(&store, &[entry_at(99, at("2027-02-10T00:00:00Z"))]).unwrap();
    store.close().unwrap();
    let verification = verify(engine.as_ref(), &monthly(&engine), &mut |_, _| ()).unwrap();
    assert!(verification.is_sound() && verification.opened == 14, "{:?}", verification.problems);
    // Where each key's entries begin.
    let size = 14;
    let begins: Vec<u64> = (24_311..24_327)
        .map(|number| first_after(engine.as_ref(), size, Epoch::from_number(number)).unwrap())
        .collect();
    assert_eq!(begins, (0..14).chain([14, 14]).collect::<Vec<u64>>());
}
