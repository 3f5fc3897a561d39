//! Dates as FHIR and French letters write them, and the hour in Paris. Not a general calendar.

pub(crate) use tacet_types::{civil_from_days, days_from_civil};

/// Milliseconds in one day.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Milliseconds in one hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Milliseconds in one minute.
pub(crate) const MINUTE_MS: i64 = 60_000;
/// Days in a mean Gregorian year, times four.
const DAYS_IN_FOUR_YEARS: i64 = 1461;

/// Whole years from one day to another, near enough to choose what befalls a patient.
pub(crate) fn years_between(from_days: i64, to_days: i64) -> i64 {
    (to_days - from_days) * 4 / DAYS_IN_FOUR_YEARS
}

/// The first moment of the last Sunday of a month of 31 days, at 01:00 UTC, when summer time starts or ends in Europe.
fn last_sunday_ms(year: i64, month: u32) -> i64 {
    let last = days_from_civil(year, month, 31);
    let weekday = (last + 4).rem_euclid(7); // 1970-01-01 was a Thursday; Sunday is 0
    (last - weekday) * DAY_MS + HOUR_MS
}

/// Hours that Paris is ahead of UTC (directive 2000/84/EC; before 1996 the rule is applied all the same).
fn paris_offset_hours(ms: i64) -> i64 {
    let (year, _, _) = civil_from_days(ms.div_euclid(DAY_MS));
    if (last_sunday_ms(year, 3)..last_sunday_ms(year, 10)).contains(&ms) { 2 } else { 1 }
}

fn push_two(out: &mut String, value: i64) {
    out.push(char::from(b'0' + (value / 10 % 10) as u8));
    out.push(char::from(b'0' + (value % 10) as u8));
}

/// `2026-03-01`
pub(crate) fn push_date(out: &mut String, days: i64) {
    let (year, month, day) = civil_from_days(days);
    push_two(out, year / 100);
    push_two(out, year);
    out.push('-');
    push_two(out, i64::from(month));
    out.push('-');
    push_two(out, i64::from(day));
}

/// `01/03/2026`, as French letters write it.
pub(crate) fn french_date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{day:02}/{month:02}/{year:04}")
}

/// `08h05` in Paris, as French letters write it.
pub(crate) fn french_hour(ms: i64) -> String {
    let minutes = (ms + paris_offset_hours(ms) * HOUR_MS).rem_euclid(DAY_MS) / MINUTE_MS;
    format!("{:02}h{:02}", minutes / 60, minutes % 60)
}

/// `2026-03-01T08:00:00+01:00`, the hour of Paris, whole seconds.
pub(crate) fn push_instant(out: &mut String, ms: i64) {
    let offset = paris_offset_hours(ms);
    let local = ms + offset * HOUR_MS;
    push_date(out, local.div_euclid(DAY_MS));
    let second = local.rem_euclid(DAY_MS) / 1000;
    out.push('T');
    push_two(out, second / 3600);
    out.push(':');
    push_two(out, second / 60 % 60);
    out.push(':');
    push_two(out, second % 60);
    out.push_str(if offset == 2 { "+02:00" } else { "+01:00" });
}

/// The day on which a moment falls in Paris, in days since 1970-01-01.
pub(crate) fn day_of(ms: i64) -> i64 {
    (ms + paris_offset_hours(ms) * HOUR_MS).div_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::Timestamp;

    #[test]
    fn instants_name_the_same_moment_with_the_hour_of_paris() {
        for (text, paris) in [
            ("2024-01-31T23:30:00Z", "2024-02-01T00:30:00+01:00"),
            ("2024-07-01T12:00:00Z", "2024-07-01T14:00:00+02:00"),
            ("2024-03-31T00:59:59Z", "2024-03-31T01:59:59+01:00"),
            ("2024-03-31T01:00:00Z", "2024-03-31T03:00:00+02:00"),
            ("2024-10-27T00:59:59Z", "2024-10-27T02:59:59+02:00"),
            ("2024-10-27T01:00:00Z", "2024-10-27T02:00:00+01:00"),
        ] {
            let ms = Timestamp::parse(text).unwrap().as_ms();
            let mut written = String::new();
            push_instant(&mut written, ms);
            assert_eq!(written, paris);
            assert_eq!(Timestamp::parse(&written).unwrap().as_ms(), ms);
        }
    }

    #[test]
    fn days_go_round() {
        for days in -50_000..50_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(french_date(0), "01/01/1970");
        assert_eq!(french_hour(0), "01h00");
    }
}
