//! Time as a parameter: a [`Clock`] gives it, a [`Timestamp`] holds it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds in one day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// First instant that has a four-digit year: `0001-01-01T00:00:00.000Z`.
const MIN_MS: i64 = -62_135_596_800_000;

/// Last instant that has a four-digit year: `9999-12-31T23:59:59.999Z`.
const MAX_MS: i64 = 253_402_300_799_999;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z. The precision of a FHIR `instant` as Tacet writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

/// Why a text is not an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampError;

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an instant: expected `YYYY-MM-DDThh:mm:ss(.fraction)` and `Z` or an offset such as `+01:00`")
    }
}

impl std::error::Error for TimestampError {}

impl Timestamp {
    /// The instant `ms` milliseconds after the epoch, held within the years 1 to 9999.
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(MIN_MS, MAX_MS))
    }

    /// Milliseconds since the epoch.
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// This instant moved by `ms` milliseconds, held within the years 1 to 9999.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(ms))
    }

    /// Reads an RFC 3339 instant such as `2026-03-01T08:00:00.000+01:00`. Digits past the millisecond are dropped.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        parse_instant(text.as_bytes()).ok_or(TimestampError)
    }

    /// The HTTP date (RFC 9110, section 5.6.7) of this instant, whole seconds.
    pub fn http_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        let days = self.0.div_euclid(DAY_MS);
        let (year, month, day) = civil_from_days(days);
        let second = self.0.rem_euclid(DAY_MS) / 1000;
        let weekday = DAYS.get(days.rem_euclid(7) as usize).copied().unwrap_or_default();
        let month = month_name(month);
        format!(
            "{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }

    /// Reads an HTTP date in the preferred form (`Sun, 06 Nov 1994 08:49:37 GMT`).
    pub fn parse_http_date(text: &str) -> Result<Self, TimestampError> {
        parse_http_date(text).ok_or(TimestampError)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-03-01T07:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (second, ms) = (ms / 1000, ms % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// Year, month and day of a count of days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a proleptic Gregorian date; the inverse of [`civil_from_days`].
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The short English name of a month, 1 to 12; nothing for any other number.
pub fn month_name(month: u32) -> &'static str {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (month as usize).checked_sub(1).and_then(|index| names.get(index)).copied().unwrap_or_default()
}

/// Days of a month, 1 to 12, of the Gregorian calendar.
pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn instant_ms(year: i64, month: i64, day: i64, time_ms: i64) -> Option<i64> {
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let valid = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    valid.then(|| days_from_civil(year, month, day) * DAY_MS + time_ms)
}

fn clock_ms(hour: i64, minute: i64, second: i64) -> Option<i64> {
    // A leap second (60) is kept as the last millisecond of its minute would be: counted into the next one.
    (hour < 24 && minute < 60 && second <= 60).then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

fn parse_instant(text: &[u8]) -> Option<Timestamp> {
    let at = |from: usize, to: usize| text.get(from..to).and_then(digits);
    let is = |index: usize, byte: u8| text.get(index) == Some(&byte);
    if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
        return None;
    }
    let mut time_ms = clock_ms(at(11, 13)?, at(14, 16)?, at(17, 19)?)?;
    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let kept = digits(fraction.get(..length.min(3))?)?;
        time_ms += kept * [100, 10, 1].get(length.min(3) - 1)?;
        rest = fraction.get(length..)?;
    }
    let offset_ms = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hour, minute) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let offset = (hour <= 14 && minute < 60).then_some((hour * 60 + minute) * 60_000)?;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let ms = instant_ms(at(0, 4)?, at(5, 7)?, at(8, 10)?, time_ms)? - offset_ms;
    (MIN_MS..=MAX_MS).contains(&ms).then_some(Timestamp(ms))
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = digits(parts.next()?.as_bytes())?;
    let name = parts.next()?;
    let month = (1..=12u32).find(|month| month_name(*month) == name)?;
    let year = digits(parts.next()?.as_bytes())?;
    let mut clock = parts.next()?.split(':').map(|part| digits(part.as_bytes()));
    let time_ms = clock_ms(clock.next()??, clock.next()??, clock.next()??)?;
    if parts.next() != Some("GMT") || parts.next().is_some() {
        return None;
    }
    instant_ms(year, i64::from(month), day, time_ms).map(Timestamp)
}

/// Where the present moment comes from.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let ms = match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(MAX_MS),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(MAX_MS),
        };
        Timestamp::from_ms(ms)
    }
}

/// A clock that stands still until a test or a simulation turns it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Turns the clock by `ms` milliseconds.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_and_written() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T01:00:00.5+01:00", 500),
            ("2024-02-29T23:59:59.999-05:00", 1_709_269_199_999),
            ("0001-01-01T00:00:00Z", MIN_MS),
            ("9999-12-31T23:59:59.999Z", MAX_MS),
        ] {
            let read = Timestamp::parse(text).unwrap();
            assert_eq!(read.as_ms(), ms, "{text}");
            assert_eq!(Timestamp::parse(&read.to_string()), Ok(read));
            if read.as_ms() % 1000 == 0 {
                assert_eq!(Timestamp::parse_http_date(&read.http_date()), Ok(read), "{text}");
            }
        }
        assert_eq!(Timestamp::parse("1994-11-06T08:49:37Z").unwrap().http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2024",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+1:00",
            "2024-01-01T00:00:00+15:00",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "2024-01-01T00:00:00ZZ",
            "2024-01-01 00:00:00Z",
            "é024-01-01T00:00:00Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
        for text in ["", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 anF 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT"] {
            assert!(Timestamp::parse_http_date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_goes_round() {
        for days in -146_097..146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
