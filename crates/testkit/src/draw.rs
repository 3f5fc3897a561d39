//! Draws of one stream of chance. A stream is named by what it is for, so that any patient can be drawn without the others.

/// What a stream is drawn for. The numbers are part of what a seed means: a new one is added at the end.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Person = 1,
    Chart = 2,
    Identifier = 3,
    Staff = 4,
    Load = 5,
    Foreign = 6,
    Standing = 7,
    Rota = 8,
}

/// A repeatable sequence of numbers (SplitMix64, G. Steele and others 2014). For synthetic data, never for keys.
pub(crate) struct Draw(u64);

/// The finaliser of SplitMix64: spreads each bit of `z` over the whole word.
fn spread(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The odd constant of SplitMix64: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draw {
    /// The stream for subject number `n` of the hospital that `seed` names.
    pub(crate) fn new(seed: u64, stream: Stream, n: u64) -> Self {
        let start = spread(seed.wrapping_add(STEP));
        let start = spread(start ^ (stream as u64).wrapping_mul(STEP));
        Self(spread(start ^ n.wrapping_mul(0xd605_1ba8_6a3a_9b4d)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        spread(self.0)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` where they are the wrong way round.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1).max(0) as u64) as i64)
    }

    /// True in `percent` of 100 draws.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number that gathers around the middle of `low` to `high` (the mean of three draws).
    pub(crate) fn around(&mut self, low: i64, high: i64) -> i64 {
        (self.between(low, high) + self.between(low, high) + self.between(low, high)) / 3
    }

    /// One of the items.
    #[expect(clippy::indexing_slicing, reason = "every list drawn from is a constant with something in it, tested")]
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, items: &'a [&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }

    /// One of the items, as a place in memory.
    #[expect(clippy::indexing_slicing, reason = "every list drawn from is a constant with something in it, tested")]
    pub(crate) fn pick_from<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed, stream, n| Draw::new(seed, stream, n).next();
        assert_eq!(first(1, Stream::Person, 1), first(1, Stream::Person, 1));
        let mut seen: Vec<u64> = (0..1000).map(|n| first(1, Stream::Person, n)).collect();
        seen.extend((0..1000).map(|n| first(1, Stream::Chart, n)));
        seen.extend((0..1000).map(|n| first(2, Stream::Person, n)));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 3000);
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut draw = Draw::new(3, Stream::Load, 0);
        let mut seen = [0u32; 5];
        for _ in 0..1000 {
            let value = draw.between(-2, 2);
            assert!((-2..=2).contains(&value));
            seen[(value + 2) as usize] += 1;
            assert!((10..=20).contains(&draw.around(10, 20)));
        }
        assert!(seen.iter().all(|count| *count > 100));
        assert_eq!(draw.between(5, 4), 5);
        assert_eq!(draw.below(0), 0);
    }
}
