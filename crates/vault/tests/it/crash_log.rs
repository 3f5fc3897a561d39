//! The process dies, or the power fails, at each write and each sync in turn while the ledger is published and indexed: nothing was shown without an
//! entry, no entry is lost, and no checkpoint that anybody got covers what is lost.

use crate::house::*;
use pollster::block_on;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tacet_ledger::index::Question;
use tacet_ledger::merkle::proof::verify_consistency;
use tacet_seal::SecureRng;
use tacet_store::memory::{Crash, Disk, Effect, Faults, MemoryEngine, Operation};
use tacet_store::{Durability, Engine, EngineStatistics, Reader, Snapshot, StoreError, Value, Visit, Write};
use tacet_tlog::cosignature::cosign;
use tacet_tlog::note::SignatureType;
use tacet_tlog::tile::Resource;
use tacet_tlog::{SignedCheckpoint, SignerKey};
use tacet_types::OperationId;
use tacet_vault::{Caller, EventKind, Halt, LedgerLine, LedgerOrder, Outcome, Role, Vault};

/// Entries before the first fault: the first tile of 256 is completed while things fail.
const ENTRIES_BEFORE: usize = 250;

/// Rounds of reading, changing and publishing.
const ROUNDS: usize = 4;

/// What was told to somebody.
#[derive(Default)]
struct Told {
    /// Operations that were answered: shown or changed.
    answered: Vec<OperationId>,
    /// Checkpoints that were given away.
    published: Vec<SignedCheckpoint>,
    whole: bool,
}

impl Told {
    /// Takes what anybody could fetch now.
    fn fetch(&mut self, vault: &Vault) {
        // A store that has failed may say nothing at all.
        self.published.extend(vault.checkpoint().ok().flatten());
        let file = vault.log_file(&Resource::Checkpoint);
        self.published.extend(file.ok().map(|text| SignedCheckpoint::parse(&text).unwrap()));
    }
}

fn witness() -> SignerKey {
    SignerKey::generate("w.example", SignatureType::CosignatureEd25519, &SecureRng).unwrap()
}

/// Reads, changes, publishes and has cosigned until something fails, and then tries to publish all the same, as the server does.
fn work(vault: &Vault, witness: &SignerKey) -> Told {
    let mut told = Told::default();
    told.whole = rounds(vault, witness, &mut told).is_some();
    told.fetch(vault);
    for _ in 0..2 {
        told.published.extend(vault.publish_now().ok().flatten());
        told.fetch(vault);
    }
    told
}

fn rounds(vault: &Vault, witness: &SignerKey, told: &mut Told) -> Option<()> {
    for round in 0..ROUNDS {
        let reader = clinician();
        block_on(vault.read(&reader, kind("Patient"), &rid("p"))).ok()?;
        told.answered.push(reader.operation);
        let writer = clinician();
        let body = patient("p", &format!("Nom{round}"));
        block_on(vault.update(&writer, kind("Patient"), &rid("p"), body.as_bytes(), BASE_URL, None, false)).ok()?;
        told.answered.push(writer.operation);
        told.fetch(vault);
        let mut signed = vault.publish_now().ok()??;
        told.published.push(signed.clone());
        assert!(signed.add(cosign(witness, &signed, 1000).unwrap()));
        vault.keep_cosigned(&signed).ok()?;
        told.fetch(vault);
    }
    Some(())
}

struct Before {
    house: House,
    index: tempfile::TempDir,
}

impl Before {
    fn new() -> Self {
        let house = House::new();
        house.put("Patient", "p", &patient("p", "Nom")).unwrap();
        house.vault.name_log(None).unwrap();
        while house.vault.ledger_head().unwrap().unwrap().size() < ENTRIES_BEFORE as u64 {
            block_on(house.vault.note(&caller(Role::Operator), EventKind::Check, Outcome::Success)).unwrap();
        }
        let index = tempfile::tempdir().unwrap();
        house.vault.publish_now().unwrap();
        house.vault.keep_ledger_index_in(index.path(), false).unwrap();
        house.vault.bring_up_ledger_index(&mut |_, _| ()).unwrap();
        house.vault.clone().close().unwrap();
        Self { house, index }
    }

    fn open(&self, disk: &Disk, faults: &Faults) -> Vault {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(disk, faults.clone()));
        // Without a search index, whose own rows would be written at any time.
        let options = tacet_vault::VaultOptions { index: None, ..options(&self.house.clock) };
        Vault::open(engine, self.house.keeper.clone(), options).unwrap()
    }

    /// The disk as it was, and the directory of the ledger's index.
    fn copy(&self) -> (Disk, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.index.path()).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        (self.house.disk.crash(Crash::KeepAll), directory)
    }
}

/// What is found after a crash is what was told, and the tree, the tiles and the index are right.
fn assert_kept(vault: &Vault, told: &Told, index: &Path, when: &str) {
    assert_eq!(vault.halted(), None::<Halt>, "{when}: a crash is no forgery");
    let verification = vault.verify_ledger(&mut |_, _| ()).unwrap();
    assert!(verification.is_sound(), "{when}: {:?}", verification.problems);
    let head = vault.ledger_head().unwrap().unwrap();
    for signed in &told.published {
        let checkpoint = signed.checkpoint();
        assert!(checkpoint.size() <= head.size(), "{when}: a checkpoint of {} was given away", checkpoint.size());
        let proof = vault.log_consistency(checkpoint.size(), head.size()).unwrap();
        let goes_on = verify_consistency(checkpoint.size(), &checkpoint.root(), head.size(), &head.root(), &proof);
        assert!(goes_on, "{when}: another history than the checkpoint of {}", checkpoint.size());
    }
    let entries: Vec<_> = (0..head.size()).map(|number| vault.ledger_entry(number).unwrap()).collect();
    for operation in &told.answered {
        let noted = entries.iter().any(|entry| entry.operation == *operation && !entry.records.is_empty());
        assert!(noted, "{when}: {operation} was answered and is not in the ledger");
    }
    // It goes on from there.
    let next = vault.publish_now().unwrap().unwrap();
    assert!(next.checkpoint().size() >= head.size(), "{when}");
    let verification = vault.verify_ledger(&mut |_, _| ()).unwrap();
    assert!(verification.is_sound(), "{when}, published: {:?}", verification.problems);
    assert_answers(vault, index, when);
}

/// The index of the ledger answers as a scan does.
fn assert_answers(vault: &Vault, index: &Path, when: &str) {
    vault.keep_ledger_index_in(index, false).unwrap();
    vault.bring_up_ledger_index(&mut |_, _| ()).unwrap();
    let auditor = Caller { owner: "Eve Auditor".into(), ..caller(Role::Auditor) };
    for kind in [EventKind::Read, EventKind::Update, EventKind::Check] {
        let question = Question { kinds: vec![kind], ..Question::default() };
        let mut reading = block_on(vault.read_ledger(&auditor, &question, LedgerOrder::OldestFirst, None)).unwrap();
        let mut found = Vec::new();
        while !reading.is_done() {
            found.extend(reading.next(100).unwrap().into_iter().map(|line| match line {
                LedgerLine::Entry { index, .. } => index,
                other => panic!("{when}: {other:?}"),
            }));
        }
        let size = vault.ledger_head().unwrap().unwrap().size();
        let scanned: Vec<u64> = (0..size).filter(|number| vault.ledger_entry(*number).unwrap().kind == kind).collect();
        assert_eq!(found, scanned, "{when}: {kind}");
    }
}

#[test]
fn at_each_write_and_each_sync_of_a_published_ledger() {
    let before = Before::new();
    let witness = witness();
    let faults = Faults::default();
    let (disk, index) = before.copy();
    let vault = before.open(&disk, &faults);
    let counts = |faults: &Faults| [Operation::Write, Operation::Sync].map(|operation| faults.operations(operation));
    let opening = counts(&faults);
    let told = work(&vault, &witness);
    assert!(told.whole && told.published.len() > ROUNDS);
    let done = counts(&faults);
    assert_kept(&vault, &told, index.path(), "whole");
    drop(vault);

    let mut interrupted = 0;
    for (operation, effects) in
        [(Operation::Write, &[Effect::Fail, Effect::Tear { bytes: 7 }][..]), (Operation::Sync, &[Effect::Fail][..])]
    {
        let place = usize::from(operation == Operation::Sync);
        for nth in 0..done[place] - opening[place] {
            for effect in effects {
                for crash in [Crash::KeepSynced, Crash::KeepAll, Crash::KeepBytes(40)] {
                    let when = format!("{operation:?} {nth} {effect:?} {crash:?}");
                    let (faults, (disk, index)) = (Faults::default(), before.copy());
                    let vault = before.open(&disk, &faults);
                    faults.inject(operation, nth, *effect);
                    let told = work(&vault, &witness);
                    interrupted += usize::from(!told.whole);
                    let found = disk.crash(crash);
                    drop(vault);
                    let vault = before.open(&found, &Faults::default());
                    assert_kept(&vault, &told, index.path(), &when);
                }
            }
        }
    }
    println!("{interrupted} interrupted");
    assert!(interrupted > 30, "{interrupted}");
}

/// An engine that shows rows before they are synced, as those on disks do, and whose sync can be made to fail.
struct Early {
    inner: MemoryEngine,
    fails: Arc<AtomicBool>,
}

impl Reader for Early {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.inner.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.range(from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.range_rev(from, to, visit)
    }
}

impl Engine for Early {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.inner.snapshot()
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        if !self.fails.load(Ordering::Relaxed) {
            return self.inner.write(writes, durability);
        }
        self.inner.write(writes, Durability::Buffered)?;
        Err(StoreError::Closed)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    fn statistics(&self) -> EngineStatistics {
        self.inner.statistics()
    }

    fn witness(&self) -> &dyn tacet_store::Witness {
        self.inner.witness()
    }
}

/// The row of a checkpoint can be read and is not durable; or an entry is so that a checkpoint would cover.
#[test]
fn a_checkpoint_that_is_not_durable_is_given_to_nobody() {
    for entry_too in [false, true] {
        let before = Before::new();
        let (disk, index) = before.copy();
        let fails = Arc::new(AtomicBool::new(false));
        let engine = Arc::new(Early { inner: MemoryEngine::open(&disk, Faults::default()), fails: Arc::clone(&fails) });
        let options = tacet_vault::VaultOptions { index: None, ..options(&before.house.clock) };
        let vault = Vault::open(engine, before.house.keeper.clone(), options).unwrap();
        let first = vault.publish_now().unwrap().unwrap();
        block_on(vault.read(&clinician(), kind("Patient"), &rid("p"))).unwrap();
        let durable = vault.ledger_head().unwrap().unwrap().size();
        fails.store(true, Ordering::Relaxed);
        if entry_too {
            let shown = block_on(vault.read(&clinician(), kind("Patient"), &rid("p")));
            assert!(shown.is_err(), "its entry is not durable");
            assert!(vault.ledger_head().unwrap().unwrap().size() > durable, "its entry can be read");
        }
        let mut told = Told::default();
        for _ in 0..3 {
            told.published.extend(vault.publish_now().ok().flatten());
            told.fetch(&vault);
        }
        assert!(!told.published.is_empty() && told.published.iter().all(|signed| *signed == first));
        let found = disk.crash(Crash::KeepSynced);
        drop(vault);
        let vault = before.open(&found, &Faults::default());
        assert_eq!(vault.ledger_head().unwrap().unwrap().size(), durable);
        assert_kept(&vault, &told, index.path(), "the sync failed");
    }
}
