//! The ledger as a published log: checkpoints, tiles, what a set-back or changed ledger does to them.

use super::*;
use std::collections::BTreeMap;
use std::convert::Infallible;
use tacet_ledger::log::{self, Change, LogIdentity, LogRows};
use tacet_ledger::{Opening, Problem, opening};
use tacet_tlog::cosignature::cosign;
use tacet_tlog::derive::{LogFiles, Trusted, verify_files};
use tacet_tlog::merkle::proof::verify_consistency;
use tacet_tlog::note::SignatureType;
use tacet_tlog::policy::WitnessPolicy;
use tacet_tlog::tile::{Resource, resources};
use tacet_tlog::{SignedCheckpoint, SignerKey};

const ORIGIN: &str = "hospital.example/ledger";

fn commit(store: &LedgerStore, change: Change) {
    let Change { preconditions, writes } = change;
    store.submit(Commit { preconditions, writes, feed: None, item: Vec::new() }).wait().unwrap();
}

fn named(store: &LedgerStore) -> LogIdentity {
    let (identity, change) = log::name(&keys(), ORIGIN, rng().as_ref()).unwrap();
    commit(store, change);
    identity
}

fn publish(store: &LedgerStore, identity: &LogIdentity) -> Option<SignedCheckpoint> {
    let (signed, change) = log::sign_head(store.reader(), &keys(), identity, rng().as_ref()).unwrap()?;
    while let Some(tiles) = log::next_tiles(store.reader(), signed.checkpoint().size()).unwrap() {
        commit(store, tiles);
    }
    commit(store, change);
    Some(signed)
}

fn rows_of(engine: &MemoryEngine, spaces: std::ops::RangeInclusive<u8>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        std::ops::ControlFlow::Continue(())
    };
    engine.range(&[*spaces.start()], &[*spaces.end() + 1], &mut visit).unwrap();
    rows
}

/// Files in memory.
struct Files(BTreeMap<String, Vec<u8>>);

impl LogFiles for Files {
    type Error = Infallible;

    fn read(&mut self, resource: &Resource, _: usize) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(&resource.to_string()).cloned())
    }
}

fn files(store: &LedgerStore, signed: &SignedCheckpoint) -> Files {
    let rows = LogRows(store.reader());
    let all = resources(signed.checkpoint().size());
    let mut files: BTreeMap<String, Vec<u8>> =
        all.map(|resource| (resource.to_string(), rows.file(&resource).unwrap())).collect();
    files.insert("checkpoint".to_owned(), signed.encode().into_bytes());
    Files(files)
}

fn fill(store: &LedgerStore, from: u64, to: u64) {
    let entries: Vec<Entry> = (from..to).map(entry).collect();
    entries.chunks(500).for_each(|part| {
        append(store, part).unwrap();
    });
}

#[test]
fn what_is_published_verifies_at_every_step_and_grows_consistently() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let identity = named(&store);
    let (mut before, mut from) = (None::<SignedCheckpoint>, 0);
    for size in [1, 255, 256, 257, 1000, 20_000, 20_001] {
        fill(&store, from, size);
        from = size;
        let signed = publish(&store, &identity).unwrap();
        assert!(publish(&store, &identity).is_none(), "nothing moved");
        assert_eq!(signed.checkpoint().size(), size);
        let known = before.iter().map(|before: &SignedCheckpoint| before.checkpoint().clone()).collect();
        let trusted = Trusted { log: identity.keys(), known, ..Trusted::default() };
        let derived = verify_files(&mut files(&store, &signed), &trusted, &mut |_, _| ()).unwrap();
        assert_eq!(&derived.checkpoint, signed.checkpoint());
        if let Some(before) = before {
            let (old, new) = (before.checkpoint(), signed.checkpoint());
            let proof = log::extension(store.reader(), old.size(), new.size()).unwrap();
            assert!(verify_consistency(old.size(), &old.root(), new.size(), &new.root(), &proof));
        }
        assert!(check(store.reader()).is_sound());
        before = Some(signed);
    }
}

#[test]
fn a_receipt_proves_what_an_entry_says() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let identity = named(&store);
    fill(&store, 0, 700);
    let signed = publish(&store, &identity).unwrap();
    for index in [0, 255, 256, 699] {
        let opened = opening(store.reader(), &keys(), index).unwrap();
        let receipt = tacet_tlog::Receipt {
            extra: Some(opened.encode()),
            index,
            proof: log::inclusion(store.reader(), index, 700).unwrap(),
            checkpoint: signed.clone(),
        };
        let read = tacet_tlog::Receipt::parse(receipt.encode().as_bytes()).unwrap();
        let opened = Opening::parse(read.extra.as_deref().unwrap()).unwrap();
        assert!(opened.entry().unwrap() == entry(index));
        read.verify(&opened.leaf(), &identity.keys(), &WitnessPolicy::default(), 0).unwrap();
        let other = opening(store.reader(), &keys(), (index + 1) % 700).unwrap();
        assert!(read.verify(&other.leaf(), &identity.keys(), &WitnessPolicy::default(), 0).is_err());
    }
    assert!(log::inclusion(store.reader(), 700, 700).is_err());
}

#[test]
fn a_ledger_that_was_set_back_or_changed_is_not_signed_again() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let identity = named(&store);
    fill(&store, 0, 300);
    let head = rows_of(engine.as_ref(), 0x11..=0x11);
    fill(&store, 300, 600);
    publish(&store, &identity).unwrap();
    store.close().unwrap();
    // Entries and head of the earlier moment; the checkpoint stays.
    let back = copy(&engine);
    let later = rows_of(engine.as_ref(), 0x10..=0x10).into_iter().skip(300).map(|(key, _)| Write::delete(key));
    let writes: Vec<Write> = later.chain(head.into_iter().map(|(key, value)| Write::put(key, value))).collect();
    write(&back, &writes);
    let store = open(&back).unwrap();
    let refused = log::sign_head(store.reader(), &keys(), &identity, rng().as_ref());
    assert!(matches!(refused, Err(LedgerError::LogSetBack { size: 300, signed: 600 })));
    let problems = check(store.reader()).problems;
    assert!(matches!(problems[..], [Problem::SetBack { signed: 600, size: 300 }, ..]), "{problems:?}");
    // And grown again past it: another history.
    fill(&store, 1300, 1700);
    let refused = log::sign_head(store.reader(), &keys(), &identity, rng().as_ref());
    assert!(matches!(refused, Err(LedgerError::LogForked { signed: 600 })));
    let problems = check(store.reader()).problems;
    assert!(problems.iter().any(|problem| matches!(problem, Problem::Checkpoint { size: 600, .. })), "{problems:?}");
}

#[test]
fn a_changed_tile_is_named_and_nothing_is_taken_from_it() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let identity = named(&store);
    fill(&store, 0, 70_000);
    let signed = publish(&store, &identity).unwrap();
    let tiles: Vec<_> = rows_of(engine.as_ref(), 0x12..=0x12).into_iter().filter(|(key, _)| key[1] == 3).collect();
    assert_eq!(
        tiles.iter().map(|(key, value)| (key[2], value.len() / 32)).collect::<Vec<_>>(),
        [(1, 256), (1, 17), (2, 1)]
    );
    for (key, value) in &tiles {
        let mut changed = value.clone();
        changed[value.len() / 2] ^= 1;
        write(&engine, &[Write::put(key.clone(), changed)]);
        let problems = check(store.reader()).problems;
        let level = key[2];
        assert!(matches!(problems[..], [Problem::Tile { level: found, .. }] if found == level), "{problems:?}");
        let trusted = Trusted { log: identity.keys(), ..Trusted::default() };
        assert!(verify_files(&mut files(&store, &signed), &trusted, &mut |_, _| ()).is_err());
        // One of a length that no tile has is named too, and made anew where it is asked for.
        write(&engine, &[Write::put(key.clone(), value[..value.len() - 1].to_vec())]);
        let problems = check(store.reader()).problems;
        assert!(matches!(problems[..], [Problem::Tile { level: found, .. }] if found == level), "{problems:?}");
        verify_files(&mut files(&store, &signed), &trusted, &mut |_, _| ()).unwrap();
        write(&engine, &[Write::put(key.clone(), value.clone())]);
    }
    assert!(check(store.reader()).is_sound());
}

#[test]
fn cosigned_checkpoints_are_kept_and_held_against() {
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    let identity = named(&store);
    let witness = SignerKey::generate("w.example", SignatureType::CosignatureEd25519, rng().as_ref()).unwrap();
    fill(&store, 0, 10);
    let (mut size, mut at_ms) = (10, 0);
    for _ in 0..5 {
        let mut signed = publish(&store, &identity).unwrap();
        assert!(signed.add(cosign(&witness, &signed, 1000).unwrap()));
        let now = Timestamp::from_ms(at_ms);
        commit(&store, log::keep(store.reader(), &keys(), &identity, &signed, now, rng().as_ref()).unwrap());
        let latest = log::latest(store.reader(), &keys(), &identity).unwrap().unwrap();
        let cosigned = log::cosigned(store.reader(), &keys(), &identity).unwrap().unwrap();
        assert_eq!((&latest, &cosigned), (&signed, &signed));
        fill(&store, size, size + 10);
        (size, at_ms) = (size + 10, at_ms + 1_800_000);
    }
    let kept = rows_of(engine.as_ref(), 0x12..=0x12).into_iter().filter(|(key, _)| key[1] == 4);
    assert_eq!(kept.count(), 3, "one an hour");
    assert!(check(store.reader()).is_sound());
    // Another key of the same name: both sign, and older checkpoints stay valid.
    let (rotated, change) = log::rotate(store.reader(), &keys(), rng_again().as_ref()).unwrap();
    commit(&store, change);
    assert_eq!(rotated.keys()[..1], identity.keys()[..]);
    let signed = publish(&store, &rotated).unwrap();
    assert_eq!(signed.note().verify(&rotated.keys()).unwrap().len(), 2);
    signed.verify(&identity.keys()).unwrap();
    assert!(publish(&store, &rotated).is_none());
    let again = log::identity(store.reader(), &keys()).unwrap().unwrap();
    assert_eq!((again.origin(), again.keys()), (ORIGIN, rotated.keys()));
}

fn rng_again() -> Arc<dyn Rng> {
    Arc::new(SeededRng::new(12))
}

#[test]
fn a_name_that_cannot_stand_in_a_checkpoint_is_refused() {
    for bad in ["", "a b", "a+b", "a\nb"] {
        assert!(log::name(&keys(), bad, rng().as_ref()).is_err(), "{bad:?}");
    }
    let engine = Arc::new(MemoryEngine::new());
    let store = open(&engine).unwrap();
    assert!(log::identity(store.reader(), &keys()).unwrap().is_none());
    assert!(matches!(log::rotate(store.reader(), &keys(), rng().as_ref()), Err(LedgerError::LogUnnamed)));
}
