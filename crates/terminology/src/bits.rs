//! A set of concepts of one table: a bit for each.

/// Which concepts of a table are meant.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    /// How many concepts there are.
    size: usize,
}

impl Bits {
    /// None of `size` concepts.
    pub(crate) fn none(size: usize) -> Self {
        Self { words: vec![0; size.div_ceil(64)], size }
    }

    /// All of `size` concepts.
    pub(crate) fn all(size: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; size.div_ceil(64)], size };
        if let (Some(last), rest @ 1..) = (bits.words.last_mut(), size % 64) {
            *last = (1 << rest) - 1;
        }
        bits
    }

    /// Puts a concept in; says whether it was not there before.
    pub(crate) fn insert(&mut self, at: u32) -> bool {
        let Some(word) = self.words.get_mut(at as usize / 64) else { return false };
        let new = *word & (1 << (at % 64)) == 0;
        *word |= 1 << (at % 64);
        new
    }

    pub(crate) fn remove(&mut self, at: u32) {
        if let Some(word) = self.words.get_mut(at as usize / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    pub(crate) fn contains(&self, at: u32) -> bool {
        self.words.get(at as usize / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// Keeps what is in both.
    pub(crate) fn intersect(&mut self, other: &Bits) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(at).copied().unwrap_or(0);
        }
    }

    /// Everything that is not in it.
    pub(crate) fn inverted(&self) -> Bits {
        let mut bits = Bits::all(self.size);
        for (word, mine) in bits.words.iter_mut().zip(&self.words) {
            *word &= !mine;
        }
        bits
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The concepts, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_do_what_sets_do() {
        let mut bits = Bits::none(130);
        assert!(bits.insert(3) && bits.insert(129) && !bits.insert(3) && !bits.insert(400));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 129]);
        assert_eq!(bits.inverted().count(), 128);
        assert_eq!(Bits::all(128).count(), 128);
        let mut all = Bits::all(130);
        all.intersect(&bits);
        all.remove(3);
        assert!(all.contains(129) && !all.contains(3));
    }
}
