//! The clock of the place: what a watch in the hospital shows.

use crate::clock::{DAY_MS, Timestamp, civil_from_days, days_from_civil};
use crate::language::Language;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The day of the week of 1970-01-01, a Thursday, with Sunday as 0.
const EPOCH_WEEKDAY: i64 = 4;

/// By which clock times are told, and written where they name no distance from universal time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Zone {
    /// The clock of Paris, Central European Time: one hour before universal time, two from the last Sunday of March to the last of October, both
    /// at 01:00 universal time (Directive 2000/84/EC).
    #[default]
    Paris,
    /// So many minutes east of Greenwich, the whole year: overseas.
    Fixed(i16),
}

impl Zone {
    /// The zone of a name: `Europe/Paris`, `UTC` (or `Z`), or a distance such as `+04:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, rest) = match text {
            "Europe/Paris" => return Some(Self::Paris),
            "UTC" | "Z" => return Some(Self::Fixed(0)),
            _ => (if text.starts_with('-') { -1 } else { 1 }, text.strip_prefix(['+', '-'])?),
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str, max: i16| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i16>().ok().filter(|number| digits && *number <= max)
        };
        Some(Self::Fixed(sign * (number(hours, 14)? * 60 + number(minutes, 59)?)))
    }

    /// What it is called.
    pub fn name(self) -> String {
        match self {
            Self::Paris => "Europe/Paris".to_owned(),
            Self::Fixed(0) => "UTC".to_owned(),
            Self::Fixed(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("UTC{sign}{:02}:{:02}", minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60)
            }
        }
    }

    /// When summer time begins and ends in the year of this moment (by universal time), in milliseconds since 1970; none where there is none.
    pub fn summer_ms(self, at: Timestamp) -> Option<(i64, i64)> {
        let (year, ..) = civil_from_days(at.as_ms().div_euclid(DAY_MS));
        let turn = |month| last_sunday(year, month) * DAY_MS + HOUR_MS;
        (self == Self::Paris).then(|| (turn(3), turn(10)))
    }

    /// How far its clock is ahead of universal time at a moment, in milliseconds.
    pub fn ahead_ms(self, at: Timestamp) -> i64 {
        match (self, self.summer_ms(at)) {
            (Self::Fixed(minutes), _) => i64::from(minutes) * MINUTE_MS,
            (Self::Paris, Some((from, until))) if (from..until).contains(&at.as_ms()) => 2 * HOUR_MS,
            (Self::Paris, _) => HOUR_MS,
        }
    }

    /// Milliseconds since 1970 on the clock of the place.
    pub fn local_ms(self, at: Timestamp) -> i64 {
        at.as_ms().saturating_add(self.ahead_ms(at))
    }

    /// The moment at which the clock of the place shows this many milliseconds since 1970; where it shows them twice, the first; where it leaps
    /// over them, as if it had not leapt.
    pub fn instant(self, local_ms: i64) -> Timestamp {
        let ahead = |hours: i64| Timestamp::from_ms(local_ms.saturating_sub(hours * HOUR_MS));
        match self {
            Self::Fixed(minutes) => Timestamp::from_ms(local_ms.saturating_sub(i64::from(minutes) * MINUTE_MS)),
            Self::Paris if self.local_ms(ahead(2)) == local_ms => ahead(2),
            Self::Paris => ahead(1),
        }
    }

    /// The day, in days since 1970.
    pub fn day(self, at: Timestamp) -> i64 {
        self.local_ms(at).div_euclid(DAY_MS)
    }

    /// Hours and minutes.
    pub fn time(self, at: Timestamp) -> String {
        let minutes = self.local_ms(at).rem_euclid(DAY_MS) / MINUTE_MS;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// The day and the time.
    pub fn moment(self, at: Timestamp, language: Language) -> String {
        format!("{} {}", language.date(self.day(at)), self.time(at))
    }

    /// The day and the time, to the second.
    pub fn second(self, at: Timestamp, language: Language) -> String {
        let second = self.local_ms(at).rem_euclid(MINUTE_MS) / 1000;
        format!("{}:{second:02}", self.moment(at, language))
    }
}

/// The last Sunday of a month of 31 days, in days since 1970.
fn last_sunday(year: i64, month: u32) -> i64 {
    let last = days_from_civil(year, month, 31);
    last - (last + EPOCH_WEEKDAY).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn clocks_turn_when_they_do_and_back() {
        let told = |zone: Zone, text: &str| zone.moment(at(text), Language::French);
        for (instant, local, ahead_minutes) in [
            ("2026-03-29T00:59:00Z", "29/03/2026 01:59", 60),
            ("2026-03-29T01:00:00Z", "29/03/2026 03:00", 120),
            ("2026-10-25T00:59:00Z", "25/10/2026 02:59", 120),
            ("2026-10-25T01:00:00Z", "25/10/2026 02:00", 60),
            ("2025-12-31T23:30:00Z", "01/01/2026 00:30", 60),
            ("2025-11-30T23:30:00Z", "01/12/2025 00:30", 60),
            ("2024-03-31T01:00:00Z", "31/03/2024 03:00", 120),
            ("2027-03-28T01:00:00Z", "28/03/2027 03:00", 120),
        ] {
            assert_eq!(told(Zone::Paris, instant), local);
            assert_eq!(Zone::Paris.ahead_ms(at(instant)), ahead_minutes * MINUTE_MS, "{instant}");
            let shown = Zone::Paris.local_ms(at(instant));
            let back = Zone::Paris.instant(shown);
            assert!(back <= at(instant) && Zone::Paris.local_ms(back) == shown, "{instant}");
        }
        assert_eq!(told(Zone::Fixed(240), "2026-03-29T22:00:00Z"), "30/03/2026 02:00");
        assert_eq!(told(Zone::Fixed(0), "2026-03-29T22:00:00Z"), "29/03/2026 22:00");
        assert_eq!(Zone::Fixed(-210).second(at("2026-03-29T22:00:07Z"), Language::English), "29 Mar 2026 18:30:07");
        assert_eq!(Zone::Fixed(240).summer_ms(at("2026-03-29T22:00:00Z")), None);
    }

    #[test]
    fn an_hour_that_comes_twice_is_the_first_and_one_that_never_comes_is_told_on() {
        let local = |text: &str| at(text).as_ms();
        assert_eq!(Zone::Paris.instant(local("2026-10-25T02:30:00Z")), at("2026-10-25T00:30:00Z"));
        assert_eq!(Zone::Paris.instant(local("2026-03-29T02:30:00Z")), at("2026-03-29T01:30:00Z"));
        assert_eq!(Zone::Fixed(-210).instant(local("2026-03-29T02:30:00Z")), at("2026-03-29T06:00:00Z"));
        // Past the years that there are, the first and the last moment.
        for zone in [Zone::Paris, Zone::Fixed(-210), Zone::Fixed(240)] {
            assert!(
                zone.instant(i64::MIN) < at("0001-01-02T00:00:00Z")
                    && zone.instant(i64::MAX) > at("9999-12-31T00:00:00Z")
            );
        }
    }

    #[test]
    fn summer_is_between_two_sundays() {
        for (year, march, october) in [(2024, 31, 27), (2025, 30, 26), (2026, 29, 25), (2000, 26, 29), (2100, 28, 31)] {
            let days = [(3, march), (10, october)].map(|(month, day)| days_from_civil(year, month, day));
            assert_eq!([last_sunday(year, 3), last_sunday(year, 10)], days, "{year}");
        }
    }

    #[test]
    fn names_are_read_and_others_refused() {
        for (name, zone) in [
            ("Europe/Paris", Zone::Paris),
            ("UTC", Zone::Fixed(0)),
            ("Z", Zone::Fixed(0)),
            ("+14:59", Zone::Fixed(899)),
        ] {
            assert_eq!(Zone::parse(name), Some(zone), "{name}");
        }
        assert_eq!(Zone::parse("-03:30").map(Zone::name).as_deref(), Some("UTC-03:30"));
        assert_eq!(Zone::Fixed(i16::MIN).name(), "UTC-546:08");
        for wrong in ["", "Paris", "+4", "+04:60", "+15:00", "é04:00", "+é4:00", "04:00", "++4:00", "+04:0x"] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
    }
}
