//! What may go: whole chains that no rule keeps, and the segments that only they name. From another place, by another account.
//!
//! What the establishment's key did not sign keeps nobody from pruning, unless a snapshot of ours goes on from it: then it is one of ours that is damaged, and
//! it is not known what must stay. There may be many of them: they are read several at a time, and no further than a bound. Snapshots that are made
//! meanwhile may need segments that were to go: they are looked for again and again.

use crate::catalog;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{Kind, Signed};
use crate::restore::{PASSED_OVER_MAX, READERS, in_order};
use crate::signing::PublicKey;
use crate::target::{ObjectName, Prunable, Target, TargetError};
use std::collections::{BTreeMap, BTreeSet};
use tacet_types::{Clock, EstablishmentId, Timestamp};

/// Milliseconds for which a pruning that removes goes by the snapshots that it knows. Whoever makes one looks for its segments after a few times as long.
pub(crate) const LIST_AGAIN_MS: i64 = 300_000;

/// Most objects that are named because they are not ours; more are counted.
const PASSED_NAMED_MAX: usize = 100;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What is kept. The newest chain always is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Days for which every snapshot is kept. At least 1.
    pub all_days: u32,
    /// Weeks beyond these for which one chain a week is kept.
    pub weekly: u32,
}

/// What pruning will do.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PrunePlan {
    /// Snapshots that stay.
    pub kept: u64,
    /// Numbers of the snapshots that go, ascending.
    pub removed: Vec<u64>,
    /// Bytes of segments that go.
    pub bytes: u64,
    /// Manifests that the establishment's key did not sign and that no snapshot of ours goes on from, with what is the matter: somebody planted them, or they
    /// are the damaged end of a chain. They stay. At most a hundred are named.
    pub passed: Vec<String>,
    /// How many there are.
    pub passed_count: u64,
    manifests: Vec<ObjectName>,
    segments: Vec<ObjectName>,
    class: Option<Class>,
    key: Option<PublicKey>,
    /// Manifests that were looked at.
    seen: BTreeSet<ObjectName>,
}

impl PrunePlan {
    /// Objects that go.
    pub fn objects(&self) -> usize {
        self.manifests.len() + self.segments.len()
    }
}

/// What pruning did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Pruned {
    /// Objects that are gone.
    pub removed: u64,
    /// Objects that the target does not let go, yet.
    pub refused: Vec<String>,
    /// Segments that were to go and that a snapshot names which was made meanwhile.
    pub spared: u64,
}

/// Manifests that are read before it is looked whether too many of them are somebody else's.
const READ_TOGETHER: usize = 64 * READERS;

/// Manifests on a target, told apart.
#[derive(Default)]
struct Sorted {
    /// By the number of their base.
    chains: BTreeMap<u64, Vec<Signed>>,
    passed: Passed,
    seen: BTreeSet<ObjectName>,
}

/// Manifests that are not ours, or not any more.
#[derive(Default)]
struct Passed {
    /// What is the matter with the first of them.
    first: Option<BackupError>,
    /// What is said of some.
    named: Vec<String>,
    all: BTreeSet<ObjectName>,
}

impl Passed {
    fn add(&mut self, object: &ObjectName, error: BackupError) {
        if self.named.len() < PASSED_NAMED_MAX {
            self.named.push(format!("{object}: {error}"));
        }
        self.first.get_or_insert(error);
        self.all.insert(object.clone());
    }
}

/// Reads the manifests that are not in `seen`, several at a time.
///
/// # Errors
/// The target fails; one that a snapshot of ours goes on from is not what was written; more than [`PASSED_OVER_MAX`] are somebody else's.
fn sort(
    target: &dyn Target,
    class: Class,
    key: &PublicKey,
    seen: &BTreeSet<ObjectName>,
) -> Result<Sorted, BackupError> {
    let mut sorted = Sorted::default();
    let mut named = BTreeSet::new();
    let mut listed = catalog::list_snapshots(target, class)?;
    listed.retain(|listing| !seen.contains(&listing.object));
    for some in listed.chunks(READ_TOGETHER) {
        let read = in_order(some.len(), |place| {
            let Some(listing) = some.get(place) else { return Ok(None) };
            let read = catalog::load(target, &listing.object);
            match read.and_then(|signed| signed.verify(key).map(|_| ()).map(|()| signed)) {
                Err(BackupError::Target(error)) => Err(error.into()),
                other => Ok(Some(other)),
            }
        })?;
        for (listing, read) in some.iter().zip(read) {
            match read {
                Some(Ok(signed)) => {
                    let before = signed.unverified().previous.as_ref();
                    named.extend(before.map(|before| (before.number, before.id.clone())));
                    sorted.chains.entry(signed.unverified().base).or_default().push(signed);
                }
                Some(Err(error)) => sorted.passed.add(&listing.object, error),
                None => {}
            }
            sorted.seen.insert(listing.object.clone());
        }
        if sorted.passed.all.len() > PASSED_OVER_MAX {
            return Err(BackupError::Settings(format!(
                "more than {PASSED_OVER_MAX} manifests are not signed by this establishment: somebody put them there, `{}` among them. Nothing \
                 goes; find out who may write there, and put them aside",
                sorted.passed.all.first().map_or("", ObjectName::as_str),
            )));
        }
    }
    // One that a snapshot of ours goes on from is ours, whatever it says now.
    let ours =
        |object: &&ObjectName| crate::manifest::manifest_number(class, object).is_some_and(|of| named.contains(&of));
    match sorted.passed.all.iter().find(ours) {
        // Asked again: what was the matter is kept of the first one only.
        Some(object) => {
            let read = catalog::load(target, object).and_then(|signed| signed.verify(key).map(|_| ()));
            Err(read.err().unwrap_or_else(|| BackupError::damaged(object, "it was another one a moment ago")))
        }
        None => Ok(sorted),
    }
}

/// Says what would go.
///
/// # Errors
/// A manifest that another goes on from cannot be read or is not signed by `key`: then it is not known what must stay, and nothing goes. The same where `key`
/// signed none of them, or more than 10,000 are somebody else's.
pub fn plan(
    target: &dyn Target,
    class: Class,
    rule: Rule,
    now: Timestamp,
    key: &PublicKey,
    establishment: Option<EstablishmentId>,
) -> Result<PrunePlan, BackupError> {
    if rule.all_days == 0 {
        return Err(BackupError::Settings("keep every snapshot for one day at least".to_owned()));
    }
    let Sorted { chains, passed, seen } = sort(target, class, key, &BTreeSet::new())?;
    let passed_count = passed.all.len() as u64;
    if let (true, Some(error)) = (chains.is_empty(), passed.first) {
        return Err(error);
    }
    let passed = passed.named;
    for manifest in chains.values().flatten().map(Signed::unverified) {
        if establishment.is_some_and(|id| id != manifest.establishment()) {
            return Err(BackupError::Settings(format!("`{}` is of another establishment", manifest.name())));
        }
    }
    let keep_since = now.plus_ms(-i64::from(rule.all_days).saturating_mul(DAY_MS));
    let weekly_since = keep_since.plus_ms(-i64::from(rule.weekly).saturating_mul(7 * DAY_MS));
    let newest = chains.last_key_value().map(|(base, _)| *base);
    let ends: Vec<(u64, Option<Timestamp>)> = {
        // What a chain holds is the newest there is until the next one begins.
        let begins: Vec<(u64, Timestamp)> =
            chains.iter().filter_map(|(base, chain)| Some((*base, chain.first()?.unverified().time()))).collect();
        begins.iter().enumerate().map(|(at, (base, _))| (*base, begins.get(at + 1).map(|(_, time)| *time))).collect()
    };
    let mut weeks = BTreeSet::new();
    let (class, key) = (Some(class), Some(*key));
    let mut plan = PrunePlan { passed, passed_count, class, key, seen, ..PrunePlan::default() };
    let (mut stay, mut go) = (BTreeSet::new(), BTreeMap::new());
    for (base, end) in ends {
        let Some(chain) = chains.get(&base) else { continue };
        let first = chain.first().map(Signed::unverified);
        let begin = first.map_or(now, crate::Manifest::time);
        let week = begin.as_ms().div_euclid(7 * DAY_MS);
        // A chain without its base restores nothing by itself and is not ours to judge: it stays, and `verify` names it.
        let torn = first.is_none_or(|manifest| manifest.kind != Kind::Base);
        let kept = torn
            || Some(base) == newest
            || end.is_none_or(|end| end >= keep_since)
            || begin >= weekly_since && rule.weekly > 0 && weeks.insert(week);
        for signed in chain {
            let manifest = signed.unverified();
            if kept {
                plan.kept += 1;
                stay.extend(manifest.segments.iter().map(|segment| segment.object.clone()));
            } else {
                plan.removed.push(manifest.number);
                plan.manifests.push(manifest.name());
                go.extend(manifest.segments.iter().map(|segment| (segment.object.clone(), segment.bytes)));
            }
        }
    }
    // The last of a chain goes first: what is left of one is whole at every moment.
    plan.manifests.reverse();
    for (object, bytes) in go {
        if !stay.contains(&object) {
            plan.bytes = plan.bytes.saturating_add(bytes);
            plan.segments.push(object);
        }
    }
    Ok(plan)
}

/// Does it: manifests, and then the segments that nothing names any more. `progress` is told objects done.
///
/// # Errors
/// The target cannot be asked. What it refuses to let go is in the report.
pub fn prune(
    target: &dyn Prunable,
    plan: &PrunePlan,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(u64),
) -> Result<Pruned, BackupError> {
    let mut done = Pruned::default();
    for object in &plan.manifests {
        match target.remove(object) {
            Ok(()) => done.removed += 1,
            // A manifest that stays needs its segments.
            Err(TargetError::Refused(why)) => {
                done.refused.push(format!("{object}: {why}"));
                return Ok(done);
            }
            Err(error) => return Err(error.into()),
        }
        progress(done.removed);
    }
    let (mut needed, mut seen, mut listed_at) = (BTreeSet::new(), plan.seen.clone(), None);
    for object in &plan.segments {
        let now = clock.now();
        let fresh = |at: Timestamp| (0..LIST_AGAIN_MS).contains(&(now.as_ms() - at.as_ms()));
        if !listed_at.is_some_and(fresh) {
            needed.extend(needed_since(target, plan, &mut seen)?);
            listed_at = Some(now);
        }
        if needed.contains(object) {
            done.spared += 1;
            continue;
        }
        match target.remove(object) {
            Ok(()) => done.removed += 1,
            Err(TargetError::Refused(why)) => done.refused.push(format!("{object}: {why}")),
            Err(error) => return Err(error.into()),
        }
        progress(done.removed);
    }
    Ok(done)
}

/// Segments of the snapshots that were made since it was looked.
fn needed_since(
    target: &dyn Target,
    plan: &PrunePlan,
    seen: &mut BTreeSet<ObjectName>,
) -> Result<Vec<ObjectName>, BackupError> {
    let (Some(class), Some(key)) = (plan.class, &plan.key) else { return Ok(Vec::new()) };
    let new = sort(target, class, key, seen)?;
    seen.extend(new.seen);
    let manifests = new.chains.values().flatten().map(Signed::unverified);
    Ok(manifests.flat_map(|manifest| &manifest.segments).map(|segment| segment.object.clone()).collect())
}

#[cfg(test)]
mod tests;
