//! Dates and times as ranges of milliseconds.
//!
//! A date means all of it: `2026` is the whole year, `2026-03-01T08:00` the whole minute. A text without a zone is
//! taken as UTC, in resources and in queries alike, so that both agree.

use crate::json::Json;
use tacet_types::days_from_civil;

/// Lower end of a period that has no start: before any date.
pub const OPEN_LOW_MS: i64 = i64::MIN;

/// Upper end of a period that has no end: after any date.
pub const OPEN_HIGH_MS: i64 = i64::MAX;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Largest offset of a time zone, in minutes (R4, datatype `dateTime`: 14 hours).
const ZONE_MINUTES_MAX: i64 = 14 * 60;

/// From the first to the last millisecond, both included, since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DateRange {
    /// The first millisecond that it may be; [`OPEN_LOW_MS`] if there is no start.
    pub low_ms: i64,
    /// The last millisecond that it may be; [`OPEN_HIGH_MS`] if there is no end.
    pub high_ms: i64,
}

impl DateRange {
    /// Reads a `date`, `dateTime` or `instant`, with or without zone, down to the minute, second or fraction.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let year = number(text, 0, 4)?;
        if year == 0 {
            return None;
        }
        if text.len() == 4 {
            return Some(Self::days(days(year, 1, 1), days(year + 1, 1, 1)));
        }
        let month = separated(text, 4, b'-')?;
        if !(1..=12).contains(&month) {
            return None;
        }
        let month_from = days(year, month, 1);
        let month_to = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
        if text.len() == 7 {
            return Some(Self::days(month_from, month_to));
        }
        let day = month_from + separated(text, 7, b'-')? - 1;
        if !(month_from..month_to).contains(&day) {
            return None;
        }
        if text.len() == 10 {
            return Some(Self::days(day, day + 1));
        }
        let (low_ms, span_ms) = time(text.get(10..)?)?;
        let low_ms = day * DAY_MS + low_ms;
        Some(Self { low_ms, high_ms: low_ms + span_ms - 1 })
    }

    /// A `Period`: from the beginning of its start to the end of its end, open where one is missing. None if both are.
    pub(super) fn of_period(period: &Json<'_>) -> Option<Self> {
        let end = |name| period.get_str(name).and_then(Self::parse);
        match (end("start"), end("end")) {
            (None, None) => None,
            (start, end) => Some(Self {
                low_ms: start.map_or(OPEN_LOW_MS, |start| start.low_ms),
                high_ms: end.map_or(OPEN_HIGH_MS, |end| end.high_ms),
            }),
        }
    }

    /// A `Timing`: its outer limits, which R4 asks for instead of each occurrence. None if it names no date.
    pub(super) fn of_timing(timing: &Json<'_>) -> Option<Self> {
        let events = timing.get("event").map(Json::items).unwrap_or_default();
        let bounds = timing.get("repeat").and_then(|repeat| repeat.get("boundsPeriod")).and_then(Self::of_period);
        events
            .iter()
            .filter_map(|event| Self::parse(event.as_str()?))
            .chain(bounds)
            .reduce(|all, next| Self { low_ms: all.low_ms.min(next.low_ms), high_ms: all.high_ms.max(next.high_ms) })
    }

    fn days(from: i64, to: i64) -> Self {
        Self { low_ms: from * DAY_MS, high_ms: to * DAY_MS - 1 }
    }
}

/// Reads `Thh:mm[:ss[.fraction]][zone]`: the milliseconds from midnight UTC, and how many the text leaves open.
fn time(text: &[u8]) -> Option<(i64, i64)> {
    let (hour, minute) = (separated(text, 0, b'T')?, separated(text, 3, b':')?);
    if hour > 23 || minute > 59 {
        return None;
    }
    let mut low_ms = (hour * 60 + minute) * MINUTE_MS;
    let mut span_ms = MINUTE_MS;
    let mut rest = text.get(6..)?;
    if rest.first() == Some(&b':') {
        let second = separated(rest, 0, b':')?;
        // 60 is a leap second; it counts into the next minute, as in `Timestamp`.
        if second > 60 {
            return None;
        }
        low_ms += second * SECOND_MS;
        span_ms = SECOND_MS;
        rest = rest.get(3..)?;
        if let Some(fraction) = rest.strip_prefix(b".") {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 {
                return None;
            }
            span_ms = *[100, 10, 1].get(length.min(3) - 1)?;
            low_ms += number(fraction, 0, length.min(3))? * span_ms;
            rest = fraction.get(length..)?;
        }
    }
    let zone_minutes = match rest {
        [] | [b'Z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(rest, 1, 2)?, number(rest, 4, 2)?);
            let zone = hours * 60 + minutes;
            if zone > ZONE_MINUTES_MAX || minutes > 59 {
                return None;
            }
            if *sign == b'-' { -zone } else { zone }
        }
        _ => return None,
    };
    Some((low_ms - zone_minutes * MINUTE_MS, span_ms))
}

/// Two digits after a separator.
fn separated(text: &[u8], at: usize, separator: u8) -> Option<i64> {
    if text.get(at) == Some(&separator) { number(text, at + 1, 2) } else { None }
}

fn number(text: &[u8], at: usize, length: usize) -> Option<i64> {
    text.get(at..at + length)?
        .iter()
        .try_fold(0i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Days since 1970-01-01 of a date whose month and day were held to the calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    days_from_civil(year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tacet_types::Timestamp;

    fn ms(text: &str) -> i64 {
        Timestamp::parse(text).unwrap().as_ms()
    }

    #[test]
    fn a_text_means_all_of_what_it_leaves_open() {
        for (text, low, high) in [
            ("2026", "2026-01-01T00:00:00Z", "2026-12-31T23:59:59.999Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999Z"),
            ("2025-12", "2025-12-01T00:00:00Z", "2025-12-31T23:59:59.999Z"),
            ("1900-02-28", "1900-02-28T00:00:00Z", "1900-02-28T23:59:59.999Z"),
            ("2026-03-01T08:00+01:00", "2026-03-01T07:00:00Z", "2026-03-01T07:00:59.999Z"),
            ("2026-03-01T08:00:05", "2026-03-01T08:00:05Z", "2026-03-01T08:00:05.999Z"),
            ("2026-03-01T08:00:05.2-05:30", "2026-03-01T13:30:05.2Z", "2026-03-01T13:30:05.299Z"),
            ("2026-03-01T08:00:05.123456Z", "2026-03-01T08:00:05.123Z", "2026-03-01T08:00:05.123Z"),
        ] {
            assert_eq!(DateRange::parse(text), Some(DateRange { low_ms: ms(low), high_ms: ms(high) }), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "202",
            "0000",
            "2026-",
            "2026-13",
            "2026-00",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-01-00",
            "2026-1-1",
            "2026-01-01T",
            "2026-01-01T24:00",
            "2026-01-01T10",
            "2026-01-01T10:60",
            "2026-01-01T10:00:61",
            "2026-01-01T10:00:00.",
            "2026-01-01T10:00:00+15:00",
            "2026-01-01T10:00:00+01",
            "2026-01-01T10:00:00z",
            "2026-01-01 10:00",
            "é026",
        ] {
            assert_eq!(DateRange::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn instants_agree_with_the_clock(at in -62_135_596_800_000i64..253_402_300_799_999) {
            let text = Timestamp::from_ms(at).to_string();
            prop_assert_eq!(DateRange::parse(&text), Some(DateRange { low_ms: at, high_ms: at }));
        }

        #[test]
        fn noise_is_read_or_refused(text in "[0-9TZ:.+-]{0,32}", other in ".{0,20}") {
            for text in [text, other] {
                if let Some(range) = DateRange::parse(&text) {
                    prop_assert!(range.low_ms <= range.high_ms);
                }
            }
        }
    }
}
