//! What may go: whole chains that no rule keeps, and the segments that only they name. From another place, by another account.

use crate::catalog;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{Kind, Signed};
use crate::signing::PublicKey;
use crate::target::{ObjectName, Prunable, Target, TargetError};
use std::collections::{BTreeMap, BTreeSet};
use tacet_types::{EstablishmentId, Timestamp};

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
    manifests: Vec<ObjectName>,
    segments: Vec<ObjectName>,
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
}

/// Says what would go.
///
/// # Errors
/// A manifest cannot be read or is not signed by `key`: then it is not known what must stay, and nothing goes.
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
    let mut chains: BTreeMap<u64, Vec<Signed>> = BTreeMap::new();
    for listing in catalog::list_snapshots(target, class)? {
        let signed = catalog::load(target, &listing.object)?;
        let manifest = signed.verify(key)?;
        if establishment.is_some_and(|id| id != manifest.establishment()) {
            return Err(BackupError::Settings(format!("`{}` is of another establishment", listing.object)));
        }
        chains.entry(manifest.base).or_default().push(signed);
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
    let mut plan = PrunePlan::default();
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
pub fn prune(target: &dyn Prunable, plan: &PrunePlan, progress: &mut dyn FnMut(u64)) -> Result<Pruned, BackupError> {
    let mut done = Pruned::default();
    for object in plan.manifests.iter().chain(&plan.segments) {
        match target.remove(object) {
            Ok(()) => done.removed += 1,
            // A manifest that stays needs its segments.
            Err(TargetError::Refused(why)) if plan.manifests.contains(object) => {
                done.refused.push(format!("{object}: {why}"));
                return Ok(done);
            }
            Err(TargetError::Refused(why)) => done.refused.push(format!("{object}: {why}")),
            Err(error) => return Err(error.into()),
        }
        progress(done.removed);
    }
    Ok(done)
}
