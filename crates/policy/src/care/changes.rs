//! What changed lately, and what is going to end: so that who keeps answers makes anew only those that changed, and forgetting looks at
//! nothing that stays.

use crate::facts::Link;
use std::collections::{BTreeSet, VecDeque};
use tacet_types::ResourceId;

/// Changes that are kept. Whoever is further behind begins anew.
pub(super) const CHANGES_KEPT_MAX: usize = if cfg!(test) { 12 } else { 16_384 };

/// The patients of whom something has changed that counts for whoever asks, in order.
#[derive(Default)]
pub(super) struct Changes {
    /// The number of the first that is kept.
    first: u64,
    patients: VecDeque<ResourceId>,
}

impl Changes {
    pub(super) fn note(&mut self, patient: ResourceId) {
        if self.patients.len() >= CHANGES_KEPT_MAX {
            self.patients.pop_front();
            self.first += 1;
        }
        self.patients.push_back(patient);
    }

    /// How far it has come.
    pub(super) fn mark(&self) -> u64 {
        self.first + self.patients.len() as u64
    }

    /// What was noted since a mark; none if that is not kept any more.
    pub(super) fn since(&self, mark: u64) -> Option<impl Iterator<Item = &ResourceId>> {
        let skipped = usize::try_from(mark.checked_sub(self.first)?).ok()?;
        Some(self.patients.iter().skip(skipped))
    }
}

/// Moments, each with the records for which it is one.
#[derive(Default)]
pub(super) struct Calendar(BTreeSet<(i64, Link)>);

impl Calendar {
    pub(super) fn add(&mut self, at: i64, link: &Link) {
        self.0.insert((at, link.clone()));
    }

    pub(super) fn remove(&mut self, at: i64, link: &Link) {
        self.0.remove(&(at, link.clone()));
    }

    /// The first moment after one.
    pub(super) fn after(&self, at: i64) -> Option<i64> {
        self.between(at, i64::MAX).next().map(|(at, _)| *at)
    }

    /// Those after a moment and not after another.
    pub(super) fn between(&self, after: i64, until: i64) -> impl Iterator<Item = &(i64, Link)> {
        let from = after.saturating_add(1);
        let found = (from <= until).then(|| self.0.range((from, Link::least())..));
        found.into_iter().flatten().take_while(move |(at, _)| *at <= until)
    }

    /// Those before a moment, at most so many.
    pub(super) fn before(&self, at: i64, max: usize) -> Vec<Link> {
        self.0.iter().take_while(|(end, _)| *end < at).take(max).map(|(_, link)| link.clone()).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap()
    }

    #[test]
    fn whoever_is_too_far_behind_is_told_so() {
        let mut changes = Changes::default();
        let start = changes.mark();
        for number in 0..CHANGES_KEPT_MAX {
            changes.note(id(&format!("p{number}")));
        }
        assert_eq!(changes.since(start).map(Iterator::count), Some(CHANGES_KEPT_MAX));
        let mark = changes.mark();
        assert_eq!(changes.since(mark).map(Iterator::count), Some(0));
        changes.note(id("more"));
        assert!(changes.since(start).is_none());
        assert_eq!(changes.since(mark).unwrap().collect::<Vec<_>>(), [&id("more")]);
    }
}
