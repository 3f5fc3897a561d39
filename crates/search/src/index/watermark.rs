//! Which commits of the store were applied, when they come in any order.

use std::collections::BTreeMap;
use tacet_types::Sequence;

/// Everything up to a sequence without a gap, and what came beyond it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Watermark {
    contiguous: u64,
    /// Runs beyond the gap: first to last. Few, since only what is on its way at the same time comes out of order.
    beyond: BTreeMap<u64, u64>,
}

impl Watermark {
    pub(crate) fn at(sequence: Sequence) -> Self {
        Self { contiguous: sequence.0, beyond: BTreeMap::new() }
    }

    /// Everything up to here was applied.
    pub(crate) fn contiguous(&self) -> Sequence {
        Sequence(self.contiguous)
    }

    pub(crate) fn contains(&self, sequence: Sequence) -> bool {
        let run = self.beyond.range(..=sequence.0).next_back();
        sequence.0 <= self.contiguous || run.is_some_and(|(_, last)| sequence.0 <= *last)
    }

    pub(crate) fn add(&mut self, sequence: Sequence) {
        if self.contains(sequence) {
            return;
        }
        let (mut first, mut last) = (sequence.0, sequence.0);
        if let Some((before, end)) = self.beyond.range(..first).next_back().map(|(before, end)| (*before, *end))
            && end.checked_add(1) == Some(first)
        {
            self.beyond.remove(&before);
            first = before;
        }
        if let Some(end) = last.checked_add(1).and_then(|next| self.beyond.remove(&next)) {
            last = end;
        }
        self.beyond.insert(first, last);
        self.settle();
    }

    /// Everything up to here was applied in another way.
    pub(crate) fn raise(&mut self, sequence: Sequence) {
        self.contiguous = self.contiguous.max(sequence.0);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some((first, last)) = self.beyond.first_key_value().map(|(first, last)| (*first, *last)) {
            if first > self.contiguous.saturating_add(1) {
                break;
            }
            self.contiguous = self.contiguous.max(last);
            self.beyond.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_what_a_set_of_numbers_says(
            steps in prop::collection::vec((1_u64..40, prop::bool::weighted(0.05)), 0..60),
        ) {
            let (mut watermark, mut set) = (Watermark::default(), BTreeSet::new());
            for (sequence, raise) in steps {
                if raise {
                    watermark.raise(Sequence(sequence));
                    set.extend(1..=sequence);
                } else {
                    watermark.add(Sequence(sequence));
                    set.insert(sequence);
                }
                let contiguous = (1..).take_while(|number| set.contains(number)).last().unwrap_or(0);
                prop_assert_eq!(watermark.contiguous().0, contiguous);
                for number in 1..45 {
                    prop_assert_eq!(watermark.contains(Sequence(number)), set.contains(&number));
                }
            }
        }
    }
}
