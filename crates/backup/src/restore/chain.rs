//! Which manifests a state is made of, found on a target, each verified and each named by the one after it.

use crate::catalog::follows;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{Kind, MANIFEST_BYTES_MAX, Manifest, ManifestRef, Signed, manifest_number, manifest_prefix};
use crate::signing::PublicKey;
use crate::target::{ObjectName, Target, TargetError};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tacet_types::Timestamp;

/// Most manifests of a class on one target: a year of one every ten seconds.
const MANIFESTS_MAX: usize = 4_000_000;

/// Most manifests that are passed over, because they are not ours or damaged, until one is found that is: who may add can put many.
const PASSED_OVER_MAX: usize = 10_000;

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
        let mut good = self.read_under(target, number, key)?;
        // One that somebody else put beside ours does not stop a restore once it is known which is ours.
        match good.len() {
            1 => good.pop().ok_or_else(none),
            0 => Err(none()),
            _ => Err(BackupError::Broken(format!(
                "there are two {}s with the number {number}: `{}` and others; find out which is yours and put the others aside",
                self.what(),
                good.first().map(|signed| signed.unverified().name().to_string()).unwrap_or_default(),
            ))),
        }
    }

    /// The manifests that stand under a number, without those that cannot be ours; at least one.
    fn read_under(
        &self,
        target: &dyn Target,
        number: u64,
        key: Option<&PublicKey>,
    ) -> Result<Vec<Signed>, BackupError> {
        let none = || BackupError::NoSnapshot(format!("{number}: the target has no such {}", self.what()));
        let names = self.names.get(&number).ok_or_else(none)?;
        let (mut good, mut wrong) = (Vec::new(), None);
        for name in names {
            let read = Signed::read(name, &target.read(name, Some(0..MANIFEST_BYTES_MAX as u64 + 1))?);
            let read = read.and_then(|read| match key {
                Some(key) => read.verify(key).map(|_| ()).map(|()| read),
                None => Ok(read),
            });
            match read {
                Ok(signed) => good.push(signed),
                Err(error) => wrong = Some(error),
            }
        }
        match wrong {
            Some(error) if good.is_empty() => Err(error),
            _ if good.is_empty() => Err(none()),
            _ => Ok(good),
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
        self.chain_signed(target, number, key).map(|(chain, _)| chain)
    }

    /// The same, with the manifests as they were signed.
    pub(super) fn chain_signed(
        &self,
        target: &dyn Target,
        number: u64,
        key: Option<&PublicKey>,
    ) -> Result<(Chain, Vec<Signed>), BackupError> {
        let last = self.read(target, number, key)?;
        let base = last.unverified().base;
        let numbers: Vec<u64> = self.names.range(base..number).map(|(number, _)| *number).collect();
        let mut read = vec![last];
        // From the wanted one back: each names the one before it, so that of several under one number it is known which is meant.
        for found in self.read_all(target, &numbers, key)?.into_iter().rev() {
            let Some(after) = read.last() else { break };
            let named = |signed: &Signed| after.unverified().previous.as_ref() == Some(&signed.reference());
            let place = found.iter().position(named).unwrap_or(0);
            let Some(before) = found.into_iter().nth(place) else { continue };
            follows(&before, after.unverified()).map_err(|error| match error {
                BackupError::Broken(what) => {
                    BackupError::Broken(format!("{what}; on the target stands `{}`", before.unverified().name()))
                }
                other => other,
            })?;
            read.push(before);
        }
        read.reverse();
        let wanted = read.last().map(Signed::reference);
        let manifests: Vec<Manifest> = read.iter().map(|signed| signed.unverified().clone()).collect();
        match (manifests.first(), wanted) {
            (Some(first), Some(wanted)) if first.kind == Kind::Base && first.number == base => {
                let newest = self.newest().unwrap_or(number);
                Ok((Chain { manifests, wanted, newest, newest_manifest: None }, read))
            }
            _ => Err(BackupError::Broken(format!(
                "{} {number} goes on from the base {base}, which is not there",
                self.what()
            ))),
        }
    }

    /// The manifests of these numbers, in their order, several read at a time. Several of one number only where more than one can be ours.
    fn read_all(
        &self,
        target: &dyn Target,
        numbers: &[u64],
        key: Option<&PublicKey>,
    ) -> Result<Vec<Vec<Signed>>, BackupError> {
        in_order(numbers.len(), |place| match numbers.get(place) {
            Some(number) => self.read_under(target, *number, key),
            None => Err(BackupError::NoSnapshot("of that place".to_owned())),
        })
    }

    /// The newest that `key` signed and that can be read, and what is the matter with those above it.
    pub(super) fn newest_signed(
        &self,
        target: &dyn Target,
        key: &PublicKey,
    ) -> Result<(Option<Signed>, Vec<String>), BackupError> {
        let mut passed = Vec::new();
        for number in self.names.keys().rev() {
            match self.read(target, *number, Some(key)) {
                Ok(signed) => return Ok((Some(signed), passed)),
                Err(BackupError::Target(error)) if !matches!(error, TargetError::Absent(_)) => return Err(error.into()),
                Err(error) => passed.push(error.to_string()),
            }
            if passed.len() >= PASSED_OVER_MAX {
                let text =
                    format!("the newest {PASSED_OVER_MAX} {}s are not signed by this establishment", self.what());
                return Err(BackupError::Settings(text));
            }
        }
        Ok((None, passed))
    }

    /// The numbers, the newest first.
    pub(super) fn descending(&self) -> impl Iterator<Item = u64> {
        self.names.keys().rev().copied()
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
    // Another one than the one that is wanted need not be sound. What the newest says of keys counts, of those that are ours: one that somebody put
    // above them must not hide it.
    let (newest, _) = listing.newest_signed(target, key)?;
    chain.newest_manifest = newest.map(|signed| signed.unverified().clone());
    Ok(chain)
}
