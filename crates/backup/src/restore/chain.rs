//! Which manifests a state is made of, found on a target, each verified and each named by the one after it.

use crate::catalog::follows;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{Kind, Manifest, ManifestRef, Signed, manifest_number, manifest_prefix};
use crate::signing::PublicKey;
use crate::target::{ObjectName, Target};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tacet_types::Timestamp;

/// Most manifests of a class on one target: a year of one every ten seconds.
const MANIFESTS_MAX: usize = 4_000_000;

/// Readings at a time, where many small objects are read.
pub(super) const READERS: usize = 8;

/// Which state is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The newest.
    Newest,
    /// This snapshot.
    Number(u64),
    /// The newest that was made at this moment or before.
    At(Timestamp),
}

/// A base and the logs after it, up to the snapshot that is wanted.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The base first, then each log.
    pub manifests: Vec<Manifest>,
    /// Names the last of them.
    pub wanted: ManifestRef,
    /// Number of the newest snapshot that the target lists, whether or not it was wanted.
    pub newest: u64,
    /// Its manifest, where it can be read and is signed as it should be.
    pub newest_manifest: Option<Manifest>,
}

impl Chain {
    /// The base.
    pub fn base(&self) -> Option<&Manifest> {
        self.manifests.first()
    }

    /// The snapshot that is wanted.
    pub fn last(&self) -> Option<&Manifest> {
        self.manifests.last()
    }

    /// The logs, in their order.
    pub fn logs(&self) -> &[Manifest] {
        self.manifests.get(1..).unwrap_or_default()
    }

    /// Bytes of everything in it.
    pub fn bytes(&self) -> u64 {
        self.manifests.iter().map(Manifest::bytes).fold(0, u64::saturating_add)
    }
}

/// The manifests of a class on a target, by number. Two under one number are kept both: only one can be right.
#[derive(Debug)]
pub(super) struct Listing {
    class: Class,
    names: BTreeMap<u64, Vec<ObjectName>>,
}

impl Listing {
    pub(super) fn of(target: &dyn Target, class: Class) -> Result<Self, BackupError> {
        let mut names: BTreeMap<u64, Vec<ObjectName>> = BTreeMap::new();
        target.list(&manifest_prefix(class), &mut |listed| {
            if let Some((number, _)) = manifest_number(class, &listed.name) {
                names.entry(number).or_default().push(listed.name);
            }
            if names.len() >= MANIFESTS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if names.len() >= MANIFESTS_MAX {
            return Err(BackupError::Settings("the backup target lists more snapshots than can be handled".to_owned()));
        }
        Ok(Self { class, names })
    }

    pub(super) fn newest(&self) -> Option<u64> {
        self.names.last_key_value().map(|(number, _)| *number)
    }

    fn what(&self) -> &'static str {
        match self.class {
            Class::Key => "key copy",
            Class::Content | Class::Local => "snapshot",
        }
    }

    /// The manifest of a number that `key` signed; whoever signed it where no key is known yet.
    pub(super) fn read(
        &self,
        target: &dyn Target,
        number: u64,
        key: Option<&PublicKey>,
    ) -> Result<Signed, BackupError> {
        let none = || BackupError::NoSnapshot(format!("{number}: the target has no such {}", self.what()));
        let names = self.names.get(&number).ok_or_else(none)?;
        let (mut good, mut wrong) = (Vec::new(), None);
        for name in names {
            let read = Signed::read(name, &target.read(name, None)?);
            let read = read.and_then(|read| match key {
                Some(key) => read.verify(key).map(|_| ()).map(|()| read),
                None => Ok(read),
            });
            match read {
                Ok(signed) => good.push(signed),
                Err(error) => wrong = Some(error),
            }
        }
        // One that somebody else put beside ours does not stop a restore once it is known which is ours.
        match (good.len(), wrong) {
            (1, _) => good.pop().ok_or_else(none),
            (0, Some(error)) => Err(error),
            (0, None) => Err(none()),
            _ => Err(BackupError::Broken(format!(
                "there are two {}s with the number {number}: `{}` and others; find out which is yours and put the others aside",
                self.what(),
                names.first().map_or("", ObjectName::as_str),
            ))),
        }
    }

    /// The number that is wanted.
    fn number(&self, target: &dyn Target, wanted: Wanted, key: &PublicKey) -> Result<u64, BackupError> {
        let nothing = || BackupError::NoSnapshot("at all: the target is empty, or it is not the one".to_owned());
        let newest = self.newest().ok_or_else(nothing)?;
        match wanted {
            Wanted::Newest => Ok(newest),
            Wanted::Number(number) => Ok(number),
            Wanted::At(at) => {
                let numbers: Vec<u64> = self.names.keys().copied().collect();
                // Times grow with numbers, so a handful of manifests tells.
                let (mut from, mut to) = (0, numbers.len());
                while from < to {
                    let middle = from + (to - from) / 2;
                    let number = numbers.get(middle).copied().ok_or_else(nothing)?;
                    let time = self.read(target, number, Some(key))?.unverified().time();
                    if time <= at { from = middle + 1 } else { to = middle }
                }
                let found = from.checked_sub(1).and_then(|place| numbers.get(place).copied());
                found.ok_or_else(|| BackupError::NoSnapshot(format!("of {at} or before")))
            }
        }
    }

    /// The chain up to a number. Without a key nothing is verified but that what belongs together does.
    pub(super) fn chain(
        &self,
        target: &dyn Target,
        number: u64,
        key: Option<&PublicKey>,
    ) -> Result<Chain, BackupError> {
        let last = self.read(target, number, key)?;
        let base = last.unverified().base;
        let numbers: Vec<u64> = self.names.range(base..number).map(|(number, _)| *number).collect();
        let mut read = self.read_all(target, &numbers, key)?;
        read.push(last);
        // From the wanted one back: each names the one before it.
        for pair in read.windows(2) {
            let [before, after] = pair else { continue };
            follows(before, after.unverified()).map_err(|error| match error {
                BackupError::Broken(what) => {
                    BackupError::Broken(format!("{what}; on the target stands `{}`", before.unverified().name()))
                }
                other => other,
            })?;
        }
        let wanted = read.last().map(Signed::reference);
        let manifests: Vec<Manifest> = read.into_iter().map(|signed| signed.unverified().clone()).collect();
        match (manifests.first(), wanted) {
            (Some(first), Some(wanted)) if first.kind == Kind::Base && first.number == base => {
                Ok(Chain { manifests, wanted, newest: self.newest().unwrap_or(number), newest_manifest: None })
            }
            _ => Err(BackupError::Broken(format!(
                "{} {number} goes on from the base {base}, which is not there",
                self.what()
            ))),
        }
    }

    /// The manifests of these numbers, in their order, several read at a time.
    fn read_all(
        &self,
        target: &dyn Target,
        numbers: &[u64],
        key: Option<&PublicKey>,
    ) -> Result<Vec<Signed>, BackupError> {
        in_order(numbers.len(), |place| match numbers.get(place) {
            Some(number) => self.read(target, *number, key),
            None => Err(BackupError::NoSnapshot("of that place".to_owned())),
        })
    }
}

/// The answers to `0..count` in their order, several asked for at a time; the first error in their order.
pub(super) fn in_order<T: Send>(
    count: usize,
    ask: impl Fn(usize) -> Result<T, BackupError> + Sync,
) -> Result<Vec<T>, BackupError> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..READERS.min(count) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return;
                    }
                    let answer = ask(place);
                    let failed = answer.is_err();
                    answers.lock().unwrap_or_else(PoisonError::into_inner).insert(place, answer);
                    if failed {
                        // Places are given out in their order: what is before this one is answered already or is about to be.
                        next.store(count, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    answers.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// The chain of content up to the snapshot that is wanted, every manifest of it signed by `key`.
///
/// # Errors
/// There is no such snapshot; a manifest is missing, damaged, exchanged or signed by another key; the target fails.
pub fn content_chain(target: &dyn Target, wanted: Wanted, key: &PublicKey) -> Result<Chain, BackupError> {
    let listing = Listing::of(target, Class::Content)?;
    let number = listing.number(target, wanted, key)?;
    let mut chain = listing.chain(target, number, Some(key))?;
    // Another one than the one that is wanted need not be sound; what it says of keys counts if it is.
    let newest = listing.read(target, chain.newest, Some(key)).ok();
    chain.newest_manifest = newest.map(|signed| signed.unverified().clone());
    Ok(chain)
}
