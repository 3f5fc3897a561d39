//! Draws for the load: repeatable from a seed, cheap, of no use for secrets.

/// A stream of numbers (splitmix64; G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone)]
pub(crate) struct Draw(u64);

/// Odd constant of that generator: the golden ratio in 64 bits.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draw {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, for a part of the work.
    pub(crate) fn split(&self, number: u64) -> Self {
        let mut other = Self(self.0 ^ number.wrapping_add(1).wrapping_mul(GAMMA).rotate_left(17));
        other.next();
        other
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0 when `end` is 0. The bias of the remainder does not matter here.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// One of the items.
    pub(crate) fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(usize::try_from(self.below(items.len() as u64)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let numbers = |mut draw: Draw| (0..8).map(|_| draw.below(1000)).collect::<Vec<_>>();
        assert_eq!(numbers(Draw::new(1)), numbers(Draw::new(1)));
        assert_ne!(numbers(Draw::new(1).split(0)), numbers(Draw::new(1).split(1)));
        assert_eq!(Draw::new(1).choose::<u8>(&[]), None);
        assert_eq!(Draw::new(1).choose(&[7]), Some(&7));
    }
}
