//! Buckets of dates: a document is found by the day that one of its dates begins, by 32 days and by 1,024.
//!
//! How long a date lasts is told by a class, so that a search for what ends after a moment need not look at everything that began
//! before it: what lasts a day at most began a day before at the earliest.

use super::terms;
use crate::filter::Comparison;

const DAY_MS: i64 = 86_400_000;

/// Days of a bucket at each level, as a power of two.
const LEVEL_DAY_BITS: [u32; 3] = [0, 5, 10];

/// How many levels there are; the last is the widest.
pub(super) const LEVELS: u8 = LEVEL_DAY_BITS.len() as u8;

/// Longest duration of each class but the last, in milliseconds; the last holds the others.
const CLASS_WIDTH_MS: [i64; 2] = [DAY_MS, 32 * DAY_MS];

/// How many classes there are.
pub(super) const CLASSES: u8 = CLASS_WIDTH_MS.len() as u8 + 1;

/// Days are counted from here, so that they sort as unsigned numbers; 5.8 million years before 1970. Dates beyond are in the bucket at the
/// end.
const DAY_ZERO: i64 = 1 << 31;

/// The day of a moment, as it is written.
pub(super) fn day(ms: i64) -> u32 {
    u32::try_from((ms.div_euclid(DAY_MS) + DAY_ZERO).clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

/// The class of a date by how long it lasts.
pub(super) fn class(low_ms: i64, high_ms: i64) -> u8 {
    let last = CLASSES - 1;
    match high_ms.checked_sub(low_ms) {
        Some(width_ms) if width_ms >= 0 => {
            CLASS_WIDTH_MS.iter().position(|&max| width_ms <= max).map_or(last, |place| place as u8)
        }
        _ => last,
    }
}

/// The bucket of a day at a level.
pub(super) fn at_level(day: u32, level: u8) -> u32 {
    day >> LEVEL_DAY_BITS.get(usize::from(level)).copied().unwrap_or(0)
}

/// First and last bucket of the next finer level that lie in this one.
pub(super) fn finer(level: u8, number: u32) -> (u32, u32) {
    let bits = |level: u8| LEVEL_DAY_BITS.get(usize::from(level)).copied().unwrap_or(0);
    let shift = bits(level) - bits(level.saturating_sub(1));
    let first = number << shift;
    (first, first | ((1 << shift) - 1))
}

/// The first day of a bucket.
pub(super) fn first_day(level: u8, number: u32) -> u32 {
    number << LEVEL_DAY_BITS.get(usize::from(level)).copied().unwrap_or(0)
}

/// The last day of a bucket.
pub(super) fn last_day(level: u8, number: u32) -> u32 {
    let bits = LEVEL_DAY_BITS.get(usize::from(level)).copied().unwrap_or(0);
    (number << bits) | ((1 << bits) - 1)
}

/// The term of a bucket.
pub(super) fn term(parameter: u16, level: u8, class: u8, number: u32) -> Vec<u8> {
    let mut term = terms::plain(parameter, terms::kind::BUCKET, &[level, class]);
    term.extend_from_slice(&number.to_be_bytes());
    term
}

/// The number of a bucket from its term.
pub(super) fn number_of(term: &[u8]) -> Option<u32> {
    // Level and class stand before it.
    Some(u32::from_be_bytes(*term.get(terms::HEAD_BYTES + 2..)?.first_chunk()?))
}

/// The terms of a date.
pub(super) fn terms_of(parameter: u16, low_ms: i64, high_ms: i64) -> impl Iterator<Item = Vec<u8>> {
    let (day, class) = (day(low_ms), class(low_ms, high_ms));
    (0..LEVELS).map(move |level| term(parameter, level, class, at_level(day, level)))
}

/// First and last day on which a date of the class begins that may pass. More may begin there.
pub(super) fn days(class: u8, comparison: Comparison, low_ms: i64, high_ms: i64) -> (u32, u32) {
    let width_ms = CLASS_WIDTH_MS.get(usize::from(class)).copied();
    // A date of the last class may begin any time before it ends.
    let earlier = |ms: i64| width_ms.map_or(i64::MIN, |width_ms| ms.saturating_sub(width_ms));
    // Only in the last class are there dates that end before they begin.
    let until = |ms: i64| if width_ms.is_some() { ms } else { i64::MAX };
    let (from, to) = match comparison {
        Comparison::Equal => (low_ms, until(high_ms)),
        Comparison::NotEqual => (i64::MIN, i64::MAX),
        Comparison::Greater => (earlier(high_ms), i64::MAX),
        Comparison::GreaterOrEqual => (low_ms.min(earlier(high_ms)), i64::MAX),
        Comparison::Less => (i64::MIN, low_ms),
        Comparison::LessOrEqual => (i64::MIN, until(high_ms.max(low_ms))),
        Comparison::StartsAfter => (high_ms, i64::MAX),
        Comparison::EndsBefore => (i64::MIN, until(low_ms)),
        Comparison::Approximately => (earlier(low_ms), until(high_ms)),
    };
    (day(from), day(to))
}

/// The ranges of buckets that cover these days: level, first and last number; as few as the levels allow.
pub(super) fn cover(first: u32, last: u32) -> Vec<(u8, u32, u32)> {
    let mut ranges = Vec::new();
    cover_at(LEVELS - 1, first, last, &mut ranges);
    ranges
}

fn cover_at(level: u8, first: u32, last: u32, ranges: &mut Vec<(u8, u32, u32)>) {
    if first > last {
        return;
    }
    if level == 0 {
        ranges.push((0, first, last));
        return;
    }
    let size = 1u64 << LEVEL_DAY_BITS.get(usize::from(level)).copied().unwrap_or(0);
    let inner_from = u64::from(first).div_ceil(size);
    let inner_to = (u64::from(last) + 1) / size; // without it
    if inner_from >= inner_to {
        return cover_at(level - 1, first, last, ranges);
    }
    ranges.push((level, inner_from as u32, (inner_to - 1) as u32));
    if let Some(before) = (inner_from * size).checked_sub(1).filter(|&before| before >= u64::from(first)) {
        cover_at(level - 1, first, before as u32, ranges);
    }
    let after = inner_to * size;
    if after <= u64::from(last) {
        cover_at(level - 1, after as u32, last, ranges);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cover_holds_each_day_once() {
        for (first, last) in [(0, 0), (5, 4), (0, 5000), (31, 33), (1023, 1024), (1024, 2047), (7, 4099), (3000, 3001)]
        {
            let ranges = cover(first, last);
            for day in 0..6000 {
                let holds =
                    ranges.iter().filter(|(level, from, to)| (*from..=*to).contains(&at_level(day, *level))).count();
                assert_eq!(holds, usize::from((first..=last).contains(&day)), "{first} {last} {day}");
            }
        }
        assert_eq!(cover(0, u32::MAX), [(2, 0, u32::MAX >> 10)]);
    }

    #[test]
    fn days_reach_to_the_ends() {
        assert!(day(i64::MIN) == 0 && day(i64::MAX) == u32::MAX);
        assert_eq!(day(0), 1 << 31);
        assert_eq!(day(-1), (1 << 31) - 1);
        assert_eq!(class(0, DAY_MS), 0);
        assert_eq!(class(0, DAY_MS + 1), 1);
        assert_eq!(class(i64::MIN, i64::MAX), 2);
        assert_eq!(class(1, 0), 2);
        assert_eq!(finer(1, 3), (96, 127));
    }
}
