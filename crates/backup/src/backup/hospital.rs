//! A store with targets in memory, for tests: started, written to, dumped, brought back.

use super::*;
use crate::catalog::{At, chain};
use crate::manifest::{Signed, sha256};
use crate::memory::MemoryTarget;
use crate::segment::SegmentIndex;
use crate::signing::PublicKey;
use crate::target::{ObjectName, TargetError};
use crate::verify::{Depth, Expected, Verification, Verified};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use tacet_seal::Key;
use tacet_store::memory::MemoryEngine;
use tacet_store::{Commit, Sequencer, Store, StoreOptions, TailedEngine, Write};
use tacet_types::{ManualClock, SeededRng};

pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Adds rows as a ledger does: one for each commit, and a head for each group.
pub(crate) struct Numbers(pub(crate) u64);

impl Sequencer for Numbers {
    type Item = ();
    type Outcome = ();

    fn sequence(&mut self, (): (), rows: &mut Vec<Write>) -> Result<(), StoreError> {
        self.0 += 1;
        rows.push(Write::put([&[0x10][..], &self.0.to_be_bytes()].concat(), self.0.to_be_bytes()));
        Ok(())
    }

    fn seal_group(&mut self, rows: &mut Vec<Write>) -> Result<(), StoreError> {
        rows.push(Write::put([0x11], self.0.to_be_bytes()));
        Ok(())
    }
}

pub(crate) struct Hospital {
    pub(crate) inner: Arc<MemoryEngine>,
    pub(crate) content: MemoryTarget,
    pub(crate) keys: MemoryTarget,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) state: StateFile,
    pub(crate) tail_bytes: usize,
    /// Whether the root key's file cannot be read any more.
    pub(crate) root_gone: Arc<AtomicBool>,
    /// Whether the targets refuse to list segments.
    pub(crate) unlisted: Arc<AtomicBool>,
    pub(crate) _folder: tempfile::TempDir,
}

pub(crate) fn signer(seed: u8) -> BackupSigner {
    BackupSigner::new(&Key::from_bytes([seed; 32]))
}

pub(crate) fn public() -> PublicKey {
    signer(1).public()
}

/// Two targets in memory are told apart by their names.
pub(crate) struct Named(MemoryTarget, &'static str, Arc<AtomicBool>);

impl Target for Named {
    fn put_new(&self, name: &ObjectName, bytes: &[u8], until: Option<Timestamp>) -> Result<crate::Put, TargetError> {
        self.0.put_new(name, bytes, until)
    }

    fn read(&self, name: &ObjectName, range: Option<std::ops::Range<u64>>) -> Result<Vec<u8>, TargetError> {
        self.0.read(name, range)
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(crate::Listed) -> ControlFlow<()>) -> Result<(), TargetError> {
        if prefix.contains("segments/") && self.2.load(Ordering::SeqCst) {
            return Err(TargetError::Refused("this account may not list".to_owned()));
        }
        self.0.list(prefix, visit)
    }

    fn describe(&self) -> String {
        self.1.to_owned()
    }

    fn compares(&self) -> bool {
        self.0.compares()
    }
}

impl Hospital {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            inner: Arc::new(MemoryEngine::new()),
            content: MemoryTarget::new(),
            keys: MemoryTarget::new(),
            clock: Arc::new(ManualClock::new(Timestamp::from_ms(1_790_000_000_000))),
            state: StateFile(Some(folder.path().join("backup.json"))),
            tail_bytes: 64 << 20,
            root_gone: Arc::default(),
            unlisted: Arc::default(),
            _folder: folder,
        }
    }

    /// The machine starts.
    pub(crate) fn start(&self) -> (Store<Numbers>, Backup) {
        self.start_with(false).unwrap()
    }

    pub(crate) fn start_with(&self, adopt: bool) -> Result<(Store<Numbers>, Backup), BackupError> {
        let tail = Arc::new(TailBuffer::new(self.tail_bytes));
        let engine = Arc::new(TailedEngine::new(self.inner.clone(), tail.clone()).unwrap());
        let entries = self.inner.get(&[0x11]).unwrap().map_or(0, |head| u64::from_be_bytes(head.try_into().unwrap()));
        let store = Store::open(engine.clone(), Numbers(entries), StoreOptions::default()).unwrap();
        let source = Source {
            engine,
            tail,
            establishment: EstablishmentId([5; 16]),
            signer: signer(1),
            ledger: Box::new(|reader| {
                let head = reader.get(&[0x11])?;
                Ok(head.map(|head| LedgerState {
                    entries: u64::from_be_bytes(head.as_slice().try_into().unwrap()),
                    root: sha256(&head),
                }))
            }),
            recovery: {
                let gone = Arc::clone(&self.root_gone);
                Box::new(move || (!gone.load(Ordering::SeqCst)).then(|| b"sealed".to_vec()))
            },
            clock: self.clock.clone(),
            rng: Arc::new(SeededRng::new(self.content.written_bytes() + 77)),
        };
        let plan = Plan {
            target: Arc::new(Named(self.content.clone(), "content", Arc::clone(&self.unlisted))),
            keys: Arc::new(Named(self.keys.clone(), "keys", Arc::clone(&self.unlisted))),
            base_every_ms: 7 * 86_400_000,
            locked_ms: None,
            state: self.state.clone(),
        };
        Ok((store, Backup::open(source, plan, adopt)?))
    }

    pub(crate) fn dump(&self) -> Rows {
        let mut rows = Rows::new();
        let mut take = |key: &[u8], value: &[u8]| {
            rows.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        };
        self.inner.range(&[1], &[0xff; 33], &mut take).unwrap();
        rows
    }

    pub(crate) fn restored(&self, at: At) -> (Rows, Signed) {
        let content = chain(&self.content, Class::Content, at, Some(&public())).unwrap();
        let keys = chain(&self.keys, Class::Key, At::Newest, Some(&public())).unwrap();
        let mut rows = Rows::new();
        apply(&self.content, &content, &mut rows);
        apply(&self.keys, &keys, &mut rows);
        (rows, content.last().unwrap().clone())
    }

    pub(crate) fn verify(&self, class: Class, expected: &[Expected]) -> Verified {
        let target = if class == Class::Key { &self.keys } else { &self.content };
        let verification = Verification {
            target,
            class,
            key: public(),
            establishment: Some(EstablishmentId([5; 16])),
            depth: Depth::Everything,
            expected,
            pruned_before: Timestamp::from_ms(0),
        };
        verification.run(&mut |_, _| {}).unwrap()
    }
}

pub(crate) fn apply(target: &MemoryTarget, chain: &[Signed], rows: &mut Rows) {
    for segment in chain.iter().flat_map(|signed| &signed.unverified().segments) {
        let bytes = target.read(&segment.object, None).unwrap();
        let index = SegmentIndex::of(&segment.sha256, &bytes).unwrap();
        let mut take = |row: crate::Row| {
            match row.value {
                Some(value) => rows.insert(row.key, value),
                None => rows.remove(&row.key),
            };
        };
        index.rows(&bytes, &mut take).unwrap();
    }
}

/// A commit of which every row says the same number, and a key row now and then.
pub(crate) fn commit(n: u64) -> Commit<()> {
    let slot = (n * 31 % 97) as u8;
    let value = [&n.to_be_bytes()[..], &vec![slot; (n % 400) as usize]].concat();
    let mut writes = vec![Write::put([2, slot], value.clone()), Write::put([3, slot], value)];
    if n.is_multiple_of(7) {
        writes.extend([Write::put([4, slot], n.to_be_bytes()), Write::put([0x0d, 1, slot], n.to_be_bytes())]);
    }
    if n.is_multiple_of(5) {
        writes.extend([Write::delete([2, slot / 2]), Write::delete([3, slot / 2]), Write::put([0x0b, slot], b"local")]);
    }
    Commit { writes, feed: Some(n.to_be_bytes().to_vec()), ..Commit::default() }
}

pub(crate) fn write(store: &Store<Numbers>, numbers: std::ops::Range<u64>) {
    for n in numbers {
        store.submit(commit(n)).wait().unwrap();
    }
}

pub(crate) fn make(backup: &mut Backup, want: Want) -> Vec<Made> {
    backup.make(want, &mut |_| true).unwrap()
}

pub(crate) fn without_local(mut rows: Rows) -> Rows {
    rows.retain(|key, _| class_of(key[0]) != Some(Class::Local));
    rows
}
