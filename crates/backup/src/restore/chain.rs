//! Which manifests a state is made of, found on a target, each verified and each named by the one after it.

use crate::catalog::follows;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{
    Kind, MANIFEST_BYTES_MAX, Manifest, ManifestRef, Signed, manifest_name, manifest_number, manifest_prefix,
};
use crate::signing::PublicKey;
use crate::target::{ObjectName, Target, TargetError};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tacet_types::Timestamp;

/// Most manifests of a class on one target: a year of one every ten seconds.
const MANIFESTS_MAX: usize = 4_000_000;

/// Most manifests that are passed over, because they are not ours or damaged, until one is found that is: who may add can put many.
pub(crate) const PASSED_OVER_MAX: usize = 10_000;

/// Manifests looked at together to find one by its time.
const SAMPLES: usize = 512;

/// Most places at which the times of manifests cross one moment.
const CROSSINGS_MAX: usize = 16;

/// Readings at a time, where many small objects are read.
pub(crate) const READERS: usize = 8;

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
    /// Number of the newest snapshot of ours that the target lists, whether or not it was wanted.
    pub newest: u64,
    /// Its manifest.
    pub newest_manifest: Option<Manifest>,
    /// What stands on the target and is not ours or not what was written, as far as it was come across; in words.
    pub passed: Vec<String>,
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

/// The manifests of a class on a target, by number. Several under one number are kept all: whoever may add can put some beside ours.
#[derive(Debug)]
pub(crate) struct Listing {
    class: Class,
    names: BTreeMap<u64, Vec<ObjectName>>,
}

/// What is ours under one number, and what is the matter with the rest.
#[derive(Default)]
struct Found {
    signed: Option<Signed>,
    passed: Vec<String>,
}

/// A place in the order of numbers, and the time of the manifest there.
type Placed = (usize, Timestamp);

impl Listing {
    /// Those up to a number, where one is given.
    pub(crate) fn of(target: &dyn Target, class: Class, up_to: Option<u64>) -> Result<Self, BackupError> {
        let mut names: BTreeMap<u64, Vec<ObjectName>> = BTreeMap::new();
        let mut count = 0;
        target.list(&manifest_prefix(class), &mut |listed| {
            if let Some((number, _)) = manifest_number(class, &listed.name)
                && up_to.is_none_or(|up_to| number <= up_to)
            {
                names.entry(number).or_default().push(listed.name);
                count += 1;
            }
            if count >= MANIFESTS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if count >= MANIFESTS_MAX {
            return Err(BackupError::Settings("the backup target lists more snapshots than can be handled".to_owned()));
        }
        Ok(Self { class, names })
    }

    fn what(&self) -> &'static str {
        match self.class {
            Class::Key => "key copy",
            Class::Content | Class::Local => "snapshot",
        }
    }

    /// The objects, those of the highest number first.
    pub(super) fn descending(&self) -> impl Iterator<Item = &ObjectName> {
        self.names.values().rev().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What `key` signed under a number; whoever signed it where no key is known yet. What is not ours is passed over, and named.
    ///
    /// # Errors
    /// The target fails; or there are two that are ours.
    fn under(&self, target: &dyn Target, number: u64, key: Option<&PublicKey>) -> Result<Found, BackupError> {
        let mut found = Found::default();
        let Some(names) = self.names.get(&number) else { return Ok(found) };
        let one = |place: usize| match names.get(place) {
            Some(name) => match read(target, name, key) {
                Err(error) if is_of_target(&error) => Err(error),
                other => Ok(Some((name, other))),
            },
            None => Ok(None),
        };
        let looked = if names.len() == 1 { vec![one(0)?] } else { in_order(names.len(), one)? };
        for (name, looked) in looked.into_iter().flatten() {
            match looked {
                Err(error) => found.passed.push(passed_over(name, &error)),
                Ok(other) if found.signed.is_some() => {
                    return Err(BackupError::Broken(format!(
                        "there are two {}s with the number {number}: `{}` and another; find out which is yours and put the others aside",
                        self.what(),
                        other.unverified().name(),
                    )));
                }
                Ok(signed) => found.signed = Some(signed),
            }
        }
        Ok(found)
    }

    /// The manifest of a number.
    fn numbered(&self, target: &dyn Target, number: u64, key: Option<&PublicKey>) -> Result<Found, BackupError> {
        let mut found = self.under(target, number, key)?;
        if found.signed.is_none() {
            let why = found.passed.pop().unwrap_or_else(|| format!("the target has no such {}", self.what()));
            return Err(BackupError::NoSnapshot(format!("{number}: {why}")));
        }
        Ok(found)
    }

    /// The newest that `key` signed and that can be read, and what is the matter with those above it.
    pub(super) fn newest_signed(
        &self,
        target: &dyn Target,
        key: &PublicKey,
    ) -> Result<(Option<Signed>, Vec<String>), BackupError> {
        let numbers: Vec<u64> = self.names.keys().rev().copied().collect();
        let mut passed = Vec::new();
        for some in numbers.chunks(READERS) {
            let found = in_order(some.len(), |place| match some.get(place) {
                Some(number) => self.under(target, *number, Some(key)),
                None => Ok(Found::default()),
            })?;
            for found in found {
                passed.extend(found.passed);
                if found.signed.is_some() {
                    return Ok((found.signed, passed));
                }
            }
            if passed.len() >= PASSED_OVER_MAX {
                return Err(self.too_many_passed());
            }
        }
        Ok((None, passed))
    }

    fn too_many_passed(&self) -> BackupError {
        let what = self.what();
        BackupError::Settings(format!(
            "{PASSED_OVER_MAX} {what}s are not signed by this establishment: somebody put them there. Name the {what} that is wanted by its number"
        ))
    }

    /// What is wanted, and what was passed over on the way.
    fn wanted(
        &self,
        target: &dyn Target,
        wanted: Wanted,
        key: Option<&PublicKey>,
    ) -> Result<(Signed, Vec<String>), BackupError> {
        let mut passed = Vec::new();
        if self.is_empty() {
            return Err(BackupError::NoSnapshot("at all: the target is empty, or it is not the one".to_owned()));
        }
        let found = match (wanted, key) {
            (Wanted::Number(number), _) => self.numbered(target, number, key)?,
            (Wanted::At(at), _) => self.numbered(target, self.by_time(target, at, key, &mut passed)?, key)?,
            (Wanted::Newest, Some(key)) => {
                let (signed, passed) = self.newest_signed(target, key)?;
                Found { signed, passed }
            }
            (Wanted::Newest, None) => {
                let newest = self.names.last_key_value().map_or(0, |(number, _)| *number);
                self.numbered(target, newest, None)?
            }
        };
        passed.extend(found.passed);
        let none = || {
            let why = passed.first().map(|why| format!(" ({why})")).unwrap_or_default();
            BackupError::NoSnapshot(format!("that this establishment signed{why}"))
        };
        Ok((found.signed.ok_or_else(none)?, passed))
    }

    /// The number of the newest manifest of a moment or before.
    ///
    /// Times grow with numbers but where the clock was set back. So many are looked at, evenly spread: where the moment lies between more than
    /// one pair of neighbours, nobody but the operator knows which is meant, and is asked.
    fn by_time(
        &self,
        target: &dyn Target,
        at: Timestamp,
        key: Option<&PublicKey>,
        passed: &mut Vec<String>,
    ) -> Result<u64, BackupError> {
        let numbers: Vec<u64> = self.names.keys().copied().collect();
        let often = || {
            let text = "the clock was set so often while snapshots were made that a time tells nothing: name one by its number";
            BackupError::Settings(text.to_owned())
        };
        // Places between the last that is known to be of before the moment, and the first after it that is known not to be.
        let mut between: Vec<(Option<Placed>, Range<usize>)> = vec![(None, 0..numbers.len())];
        let (mut found, mut oldest): (Vec<Option<Placed>>, Option<Placed>) = (Vec::new(), None);
        while let Some((mut last, range)) = between.pop() {
            // Ever more of ours would be looked for among what others put there, a few at a time.
            if passed.len() >= PASSED_OVER_MAX {
                return Err(self.too_many_passed());
            }
            if range.is_empty() {
                found.push(last);
                continue;
            }
            if found.len() + between.len() >= CROSSINGS_MAX {
                return Err(often());
            }
            let look = |places: &[usize]| {
                in_order(places.len(), |place| {
                    let number = places.get(place).and_then(|place| numbers.get(*place));
                    number.map_or_else(|| Ok(Found::default()), |number| self.under(target, *number, key))
                })
            };
            let mut places = spread(range.clone());
            let mut looked = look(&places)?;
            // None of those is ours: the same ones again would tell nothing more, so all between them are looked at.
            if places.len() < range.len() && looked.iter().all(|found| found.signed.is_none()) {
                if passed.len() + range.len() > PASSED_OVER_MAX {
                    return Err(self.too_many_passed());
                }
                places = range.clone().collect();
                looked = look(&places)?;
            }
            let whole = places.len() == range.len();
            let mut note = |last: Option<Placed>, range: Range<usize>| match whole {
                true => found.push(last),
                false => between.push((last, range)),
            };
            let (mut from, mut before) = (range.start, true);
            for (place, looked) in places.into_iter().zip(looked) {
                passed.extend(looked.passed);
                let Some(time) = looked.signed.map(|signed| signed.unverified().time()) else { continue };
                oldest = oldest.filter(|(known, _)| *known <= place).or(Some((place, time)));
                if time <= at {
                    (last, from, before) = (Some((place, time)), place + 1, true);
                } else if before {
                    note(last, from..place);
                    before = false;
                }
            }
            if before {
                note(last, from..range.end);
            }
        }
        if found.len() > CROSSINGS_MAX {
            return Err(often());
        }
        let named = |(place, time): &Placed| numbers.get(*place).map(|number| (*number, *time));
        match found.as_slice() {
            [one] => one.as_ref().and_then(named).map(|(number, _)| number).ok_or_else(|| {
                let oldest = oldest.map(|(_, time)| format!("; the oldest is of {time}")).unwrap_or_default();
                BackupError::NoSnapshot(format!("of {at} or before{oldest}"))
            }),
            several => {
                let mut candidates: Vec<(u64, Timestamp)> = several.iter().flatten().filter_map(named).collect();
                candidates.sort_unstable_by_key(|(number, _)| *number);
                let text: Vec<String> =
                    candidates.iter().map(|(number, time)| format!("{number} (its clock said {time})")).collect();
                Err(BackupError::Settings(format!(
                    "the clock was set back or ahead while snapshots were made, so that {at} may mean each of these: {}. Name one by its number",
                    text.join(", ")
                )))
            }
        }
    }

    /// The chain that ends with a manifest, with the manifests as they were signed, the base first. Each names the one before it, so whatever somebody
    /// put beside them is not even looked at.
    pub(super) fn chain_to(
        &self,
        target: &dyn Target,
        last: Signed,
        key: Option<&PublicKey>,
    ) -> Result<(Chain, Vec<Signed>), BackupError> {
        let (base, number) = (last.unverified().base, last.unverified().number);
        // Read ahead, several at a time, where it is plain which object is meant.
        let alone: Vec<&ObjectName> = self
            .names
            .range(base..number)
            .filter_map(|(_, names)| if let [name] = names.as_slice() { Some(name) } else { None })
            .collect();
        let ahead = in_order(alone.len(), |place| match alone.get(place).map(|name| read(target, name, key)) {
            Some(Err(error)) if is_of_target(&error) => Err(error),
            Some(Ok(signed)) => Ok(Some(signed)),
            // Said where it is needed.
            Some(Err(_)) | None => Ok(None),
        })?;
        let mut ahead: BTreeMap<u64, Signed> =
            ahead.into_iter().flatten().map(|signed| (signed.unverified().number, signed)).collect();
        let mut chain = vec![last];
        while let Some(after) = chain.last().map(Signed::unverified).filter(|after| after.kind == Kind::Log) {
            let missing = |what: &str| {
                BackupError::Broken(format!("{what}, and {} {} goes on from it", self.what(), after.number))
            };
            let named = after.previous.as_ref().ok_or_else(|| missing("a manifest names none before it"))?;
            let before = match ahead.remove(&named.number).filter(|signed| signed.unverified().id == named.id) {
                Some(before) => before,
                None => {
                    let object = manifest_name(self.class, named.number, &named.id);
                    match read(target, &object, key) {
                        Err(BackupError::Target(TargetError::Absent(_))) => {
                            return Err(missing(&format!("`{object}` is missing")));
                        }
                        other => other?,
                    }
                }
            };
            follows(&before, after).map_err(|error| match error {
                BackupError::Broken(what) => {
                    BackupError::Broken(format!("{what}; on the target stands `{}`", before.unverified().name()))
                }
                other => other,
            })?;
            chain.push(before);
        }
        chain.reverse();
        let wanted = chain.last().map(Signed::reference);
        let manifests: Vec<Manifest> = chain.iter().map(|signed| signed.unverified().clone()).collect();
        match (manifests.first(), wanted) {
            (Some(first), Some(wanted)) if first.kind == Kind::Base && first.number == base => {
                let (newest, newest_manifest, passed) = (number, None, Vec::new());
                Ok((Chain { manifests, wanted, newest, newest_manifest, passed }, chain))
            }
            _ => Err(BackupError::Broken(format!(
                "{} {number} goes on from the base {base}, which is not there",
                self.what()
            ))),
        }
    }
}

/// Reads one manifest, and holds it against a key where there is one.
pub(super) fn read(target: &dyn Target, name: &ObjectName, key: Option<&PublicKey>) -> Result<Signed, BackupError> {
    let signed = Signed::read(name, &target.read(name, Some(0..MANIFEST_BYTES_MAX as u64 + 1))?)?;
    if let Some(key) = key {
        signed.verify(key)?;
    }
    Ok(signed)
}

/// Whether the target failed: then nothing is known of the object.
fn is_of_target(error: &BackupError) -> bool {
    matches!(error, BackupError::Target(error) if !matches!(error, TargetError::Absent(_)))
}

/// What is said of an object that is not ours or not what was written.
fn passed_over(name: &ObjectName, error: &BackupError) -> String {
    match error {
        BackupError::Signature(_) => format!("`{name}` is not signed by this establishment"),
        BackupError::Damaged { what, .. } => format!("`{name}` is not what was written: {what}"),
        other => format!("`{name}`: {other}"),
    }
}

/// At most [`SAMPLES`] places of a range, evenly spread, the first and the last among them.
fn spread(range: Range<usize>) -> Vec<usize> {
    let length = range.len();
    if length <= SAMPLES {
        return range.collect();
    }
    let last = SAMPLES.saturating_sub(1).max(1);
    // Below 2^22 places, and as many samples as 2^9: no overflow.
    (0..SAMPLES).map(|sample| range.start + sample * (length - 1) / last).collect()
}

/// The answers to `0..count` in their order, several asked for at a time; the first error in their order.
pub(crate) fn in_order<T: Send>(
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

/// The chain of content up to the snapshot that is wanted, every manifest of it signed by `key`. What others put there is passed over, and named.
///
/// # Errors
/// There is no such snapshot; a manifest of the chain is missing, damaged or exchanged; the target fails; a time means several snapshots.
pub fn content_chain(target: &dyn Target, wanted: Wanted, key: &PublicKey) -> Result<Chain, BackupError> {
    let listing = Listing::of(target, Class::Content, None)?;
    let (last, passed) = listing.wanted(target, wanted, Some(key))?;
    let (mut chain, signed) = listing.chain_to(target, last, Some(key))?;
    chain.passed = passed;
    // Another one than the one that is wanted need not be sound. What the newest of ours says of keys counts: one that somebody put above it must not
    // hide it.
    let newest = match wanted {
        Wanted::Newest => signed.into_iter().next_back(),
        Wanted::Number(_) | Wanted::At(_) => {
            let (newest, passed) = listing.newest_signed(target, key)?;
            chain.passed.extend(passed);
            newest
        }
    };
    chain.newest_manifest = newest.map(|signed| signed.unverified().clone());
    chain.newest = chain.newest_manifest.as_ref().map_or(chain.newest, |newest| newest.number);
    chain.passed.sort_unstable();
    chain.passed.dedup();
    Ok(chain)
}

/// The manifests from a base to the one that is wanted, the base first. Without a key whoever signed them.
pub(crate) fn signed_chain(
    target: &dyn Target,
    class: Class,
    wanted: Wanted,
    key: Option<&PublicKey>,
) -> Result<Vec<Signed>, BackupError> {
    let listing = Listing::of(target, class, None)?;
    let (last, _) = listing.wanted(target, wanted, key)?;
    listing.chain_to(target, last, key).map(|(_, signed)| signed)
}
