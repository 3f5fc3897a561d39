//! Lengths in steps, so that the size of a row on disk says little about what is in it.

/// The length, in bytes, that `length` bytes are padded to: the next multiple of a step, which is `step_bytes_min` for
/// short texts and an eighth of the power of two below `length` for long ones. So there are at most eight lengths to a
/// doubling, and padding adds at most an eighth (an average of 4 % where lengths spread evenly) to what is long.
pub fn padded_length(length: usize, step_bytes_min: usize) -> usize {
    let power = 1_usize << length.max(1).ilog2();
    let step = step_bytes_min.max(power / 8).max(1);
    length.max(1).div_ceil(step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn steps_are_as_documented() {
        for (length, padded) in [
            (0, 256),
            (1, 256),
            (256, 256),
            (257, 512),
            (2048, 2048),
            (2049, 2304),
            (4095, 4096),
            (4096, 4096),
            (4097, 4608),
            (8193, 9216),
            (1_000_000, 1_048_576),
            (1_048_577, 1_179_648),
        ] {
            assert_eq!(padded_length(length, 256), padded, "{length}");
        }
        assert_eq!(padded_length(65, 64), 128);
        assert_eq!(padded_length(600, 64), 640);
    }

    #[test]
    fn a_doubling_shows_at_most_eight_lengths() {
        for power in 8..18 {
            let lengths: BTreeSet<usize> = ((1 << power) + 1..=2 << power).map(|n| padded_length(n, 64)).collect();
            assert!(lengths.len() <= 8, "{power}: {lengths:?}");
        }
    }

    proptest! {
        #[test]
        fn padding_never_shortens_never_reorders_and_stays_small(
            length in 0_usize..5_000_000, more in 0_usize..5000, step in prop::sample::select(vec![64_usize, 256]),
        ) {
            let padded = padded_length(length, step);
            prop_assert!(padded >= length && padded >= step);
            prop_assert!(padded <= padded_length(length + more, step));
            prop_assert!(padded - length < step || (padded - length) * 8 <= length);
            prop_assert_eq!(padded_length(padded, step), padded, "a padded length is a step");
        }
    }
}
