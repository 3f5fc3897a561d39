//! How a sample is drawn.

use super::{ReviewItem, named};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

named! {
    /// How many accesses are drawn. Where none of them is wrong, fewer than the named share of all is, with 95 % confidence: `n` is the
    /// least with `(1 - share)^n <= 0.05`. Where there are no more than that, all are looked at.
    SampleRule {
        /// Fewer than one in twenty: 59 accesses.
        FivePercent = "five-percent",
        /// Fewer than one in fifty: 149 accesses.
        TwoPercent = "two-percent",
        /// Fewer than one in a hundred: 299 accesses.
        OnePercent = "one-percent",
    }
}

impl SampleRule {
    /// How many are drawn, at most.
    pub fn size(self) -> usize {
        match self {
            Self::FivePercent => 59,
            Self::TwoPercent => 149,
            Self::OnePercent => 299,
        }
    }
}

/// A sample: of all that is offered, those whose SHA-256 over seed and number in the ledger is least. In whatever order they come, they are the same.
pub(super) struct Draw {
    seed: [u8; 32],
    size: usize,
    drawn: BTreeMap<[u8; 32], ReviewItem>,
    offered: u64,
}

impl Draw {
    pub(super) fn new(seed: [u8; 32], size: usize) -> Self {
        Self { seed, size, drawn: BTreeMap::new(), offered: 0 }
    }

    /// Offers the access in an entry; what is drawn is made by `item`.
    pub(super) fn offer(&mut self, index: u64, item: impl FnOnce() -> ReviewItem) {
        self.offered += 1;
        let place = place(&self.seed, index);
        let greatest = self.drawn.last_key_value().map(|(greatest, _)| *greatest);
        if self.drawn.len() >= self.size && greatest.is_some_and(|greatest| place > greatest) {
            return;
        }
        self.drawn.insert(place, item());
        if self.drawn.len() > self.size {
            self.drawn.pop_last();
        }
    }

    /// How many were offered.
    pub(super) fn offered(&self) -> u64 {
        self.offered
    }

    /// Those that were drawn, in the ledger's order.
    pub(super) fn drawn(self) -> Vec<ReviewItem> {
        let mut drawn: Vec<ReviewItem> = self.drawn.into_values().collect();
        drawn.sort_by_key(|item| item.entry);
        drawn
    }
}

fn place(seed: &[u8; 32], index: u64) -> [u8; 32] {
    let hash = digest(&SHA256, &[seed.as_slice(), &index.to_be_bytes()].concat());
    let mut place = [0; 32];
    place.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    place
}

#[cfg(test)]
mod tests {
    use super::super::Section;
    use super::*;

    fn item(index: u64) -> ReviewItem {
        ReviewItem {
            section: Section::Sample,
            account: None,
            owner: "x".into(),
            role: "nurse".into(),
            patient: None,
            first_ms: 0,
            last_ms: 0,
            entry: Some(index),
            entries: 1,
            ground: None,
            text: String::new(),
            judged: None,
        }
    }

    fn drawn(seed: u8, size: usize, order: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut draw = Draw::new([seed; 32], size);
        order.for_each(|index| draw.offer(index, || item(index)));
        draw.drawn().iter().filter_map(|item| item.entry).collect()
    }

    #[test]
    fn a_sample_follows_from_the_seed_and_nothing_else() {
        let forward = drawn(1, 59, 0..5000);
        assert_eq!(forward.len(), 59);
        assert_eq!(forward, drawn(1, 59, (0..5000).rev()));
        assert_ne!(forward, drawn(2, 59, 0..5000));
        // More are drawn by adding to those, and few are all taken.
        let more = drawn(1, 149, 0..5000);
        assert!(forward.iter().all(|index| more.contains(index)));
        assert_eq!(drawn(1, 59, 0..7), (0..7).collect::<Vec<_>>());
        // Each has the same chance: the mean of what is drawn is near the middle.
        let mean = (1..=20).flat_map(|seed| drawn(seed, 59, 0..5000)).sum::<u64>() / (20 * 59);
        assert!((2300..2700).contains(&mean), "{mean}");
    }

    #[test]
    fn a_size_is_the_least_that_gives_its_confidence() {
        for (rule, share) in
            [(SampleRule::FivePercent, 0.05), (SampleRule::TwoPercent, 0.02), (SampleRule::OnePercent, 0.01)]
        {
            let missed = |size: usize| (1.0_f64 - share).powi(i32::try_from(size).unwrap());
            assert!(missed(rule.size()) <= 0.05 && missed(rule.size() - 1) > 0.05, "{rule:?}");
            assert_eq!(SampleRule::parse(rule.as_str()), Some(rule));
        }
    }
}
