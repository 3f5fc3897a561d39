//! The hospital's clock: patients read times as their watch showed them.

use crate::words::Language;
use tacet_types::{Timestamp, civil_from_days, days_from_civil};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How times are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Zone {
    /// The clock of Paris: one hour before universal time, two from the last Sunday of March to the last of October, both at 01:00 universal time
    /// (Directive 2000/84/EC).
    #[default]
    Paris,
    /// So many minutes before universal time, the whole year: overseas.
    Fixed(i32),
}

impl Zone {
    /// The zone of a name: `Europe/Paris`, `UTC`, or a distance such as `+04:00`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Europe/Paris" => return Some(Self::Paris),
            "UTC" | "Z" => return Some(Self::Fixed(0)),
            _ => {}
        }
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str, max: i32| {
            let number: i32 =
                (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())??;
            (number <= max).then_some(number)
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
                format!("UTC{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }

    fn local_ms(self, at: Timestamp) -> i64 {
        let ms = at.as_ms();
        ms.saturating_add(match self {
            Self::Fixed(minutes) => i64::from(minutes) * 60_000,
            Self::Paris => {
                let (year, ..) = civil_from_days(ms.div_euclid(DAY_MS));
                let turn = |month| last_sunday(year, month) * DAY_MS + HOUR_MS;
                if (turn(3)..turn(10)).contains(&ms) { 2 * HOUR_MS } else { HOUR_MS }
            }
        })
    }

    /// The day, in days since 1970.
    pub fn day(self, at: Timestamp) -> i64 {
        self.local_ms(at).div_euclid(DAY_MS)
    }

    /// Hours and minutes.
    pub fn time(self, at: Timestamp) -> String {
        let minutes = self.local_ms(at).rem_euclid(DAY_MS) / 60_000;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// The day and the time.
    pub fn moment(self, at: Timestamp, language: Language) -> String {
        format!("{} {}", date(self.day(at), language), self.time(at))
    }

    /// The day and the time, to the second.
    pub fn second(self, at: Timestamp, language: Language) -> String {
        let second = self.local_ms(at).rem_euclid(60_000) / 1000;
        format!("{}:{second:02}", self.moment(at, language))
    }
}

/// A day as people write it.
pub(crate) fn date(day: i64, language: Language) -> String {
    let (year, month, day) = civil_from_days(day);
    match language {
        Language::French => format!("{day:02}/{month:02}/{year}"),
        Language::English => {
            let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let name = names.get((month as usize).saturating_sub(1)).copied().unwrap_or_default();
            format!("{day} {name} {year}")
        }
    }
}

/// A day as programs write it.
pub(crate) fn iso(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The last Sunday of a month of 31 days, in days since 1970.
fn last_sunday(year: i64, month: u32) -> i64 {
    let last = days_from_civil(year, month, 31);
    // 1970-01-01 was a Thursday, the fourth day after a Sunday.
    last - (last + 4).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_turn_when_they_do() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let told = |zone: Zone, text: &str| zone.moment(at(text), Language::French);
        for (instant, local) in [
            ("2026-03-29T00:59:00Z", "29/03/2026 01:59"),
            ("2026-03-29T01:00:00Z", "29/03/2026 03:00"),
            ("2026-10-25T00:59:00Z", "25/10/2026 02:59"),
            ("2026-10-25T01:00:00Z", "25/10/2026 02:00"),
            ("2025-12-31T23:30:00Z", "01/01/2026 00:30"),
            ("2024-03-31T01:00:00Z", "31/03/2024 03:00"),
        ] {
            assert_eq!(told(Zone::Paris, instant), local);
        }
        assert_eq!(told(Zone::parse("+04:00").unwrap(), "2026-03-29T22:00:00Z"), "30/03/2026 02:00");
        assert_eq!(told(Zone::parse("UTC").unwrap(), "2026-03-29T22:00:00Z"), "29/03/2026 22:00");
        assert_eq!(Zone::parse("-03:30").map(Zone::name).as_deref(), Some("UTC-03:30"));
        for wrong in ["", "Paris", "+4", "+04:60", "+15:00", "é04:00", "+é4:00"] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
        assert_eq!(date(0, Language::English), "1 Jan 1970");
        assert_eq!(iso(0), "1970-01-01");
    }
}
