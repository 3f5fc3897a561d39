//! The two languages of paper, and the clock of the place.

use crate::read::{DAY_MS, When};
use tacet_types::{Timestamp, civil_from_days, days_from_civil};

const HOUR_MS: i64 = 3_600_000;

/// The language of a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// French.
    #[default]
    French,
    /// English.
    English,
}

impl Language {
    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// The language of a tag: `fr` or `en`, whatever comes after.
    pub fn parse(tag: &str) -> Option<Self> {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        [Self::French, Self::English].into_iter().find(|known| known.tag().eq_ignore_ascii_case(language))
    }

    /// Of French and English words, those of this language.
    pub(crate) fn of<'t>(self, french: &'t str, english: &'t str) -> &'t str {
        match self {
            Self::French => french,
            Self::English => english,
        }
    }

    /// Whether decimals have a comma.
    pub(crate) fn comma(self) -> bool {
        self == Self::French
    }
}

/// The clock of the place: paper is read beside a watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Zone {
    /// One hour before universal time, two from the last Sunday of March to the last of October, both at 01:00 universal time
    /// (Directive 2000/84/EC).
    #[default]
    Paris,
    /// So many minutes before universal time, the whole year: overseas.
    Fixed(i32),
}

impl Zone {
    /// The zone of a name: `Europe/Paris`, `UTC`, or a distance such as `+04:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, rest) = match text {
            "Europe/Paris" => return Some(Self::Paris),
            "UTC" => return Some(Self::Fixed(0)),
            _ => (if text.starts_with('-') { -1 } else { 1 }, text.strip_prefix(['+', '-'])?),
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str, max: i32| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|number| digits && *number <= max)
        };
        Some(Self::Fixed(sign * (number(hours, 14)? * 60 + number(minutes, 59)?)))
    }

    /// Milliseconds since 1970 on the clock of the place.
    pub(crate) fn local_ms(self, at: Timestamp) -> i64 {
        let ms = at.as_ms();
        let ahead = match self {
            Self::Fixed(minutes) => i64::from(minutes) * 60_000,
            Self::Paris => {
                let (year, ..) = civil_from_days(ms.div_euclid(DAY_MS));
                // 1970-01-01 was a Thursday, the fourth day after a Sunday.
                let last_sunday = |month| {
                    let last = days_from_civil(year, month, 31);
                    last - (last + 4).rem_euclid(7)
                };
                let turn = |month| last_sunday(month) * DAY_MS + HOUR_MS;
                if (turn(3)..turn(10)).contains(&ms) { 2 * HOUR_MS } else { HOUR_MS }
            }
        };
        ms.saturating_add(ahead)
    }

    /// The moment at which the clock of the place shows this; where it shows it twice, the first.
    pub(crate) fn instant(self, local_ms: i64) -> Timestamp {
        let hours: &[i64] = match self {
            Self::Fixed(_) => &[],
            Self::Paris => &[2, 1],
        };
        let fixed = match self {
            Self::Fixed(minutes) => i64::from(minutes) * 60_000,
            Self::Paris => HOUR_MS,
        };
        let tried = hours.iter().map(|hours| Timestamp::from_ms(local_ms - hours * HOUR_MS));
        let shows = |at: &Timestamp| self.local_ms(*at) == local_ms;
        tried.into_iter().find(shows).unwrap_or(Timestamp::from_ms(local_ms - fixed))
    }
}

/// How times are told: in which language, by which clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Telling {
    /// The language.
    pub language: Language,
    /// The clock.
    pub zone: Zone,
}

impl Telling {
    /// French or English words.
    pub(crate) fn of<'t>(&self, french: &'t str, english: &'t str) -> &'t str {
        self.language.of(french, english)
    }

    /// A day and a time: `22/11 08:05`, with the year where it is not this one.
    pub fn moment(&self, at: Timestamp, now: Timestamp) -> String {
        let local = self.zone.local_ms(at);
        format!("{} {}", self.day(local.div_euclid(DAY_MS), now), self.time(at))
    }

    /// A day, a time and always the year.
    pub fn full(&self, at: Timestamp) -> String {
        let local = self.zone.local_ms(at);
        format!("{} {}", self.date(local.div_euclid(DAY_MS)), self.time(at))
    }

    /// Hours and minutes.
    pub fn time(&self, at: Timestamp) -> String {
        let minutes = self.zone.local_ms(at).rem_euclid(DAY_MS) / 60_000;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// A day with its year.
    pub(crate) fn date(&self, day: i64) -> String {
        let (year, month, day) = civil_from_days(day);
        match self.language {
            Language::French => format!("{day:02}/{month:02}/{year}"),
            Language::English => format!("{day} {} {year}", month_name(month)),
        }
    }

    fn day(&self, day: i64, now: Timestamp) -> String {
        let this_year = civil_from_days(self.zone.local_ms(now).div_euclid(DAY_MS)).0;
        let (year, month, of_month) = civil_from_days(day);
        match self.language {
            _ if year != this_year => self.date(day),
            Language::French => format!("{of_month:02}/{month:02}"),
            Language::English => format!("{of_month} {}", month_name(month)),
        }
    }

    /// A moment as precise as it was told.
    pub fn when(&self, when: &When, now: Timestamp) -> String {
        match when {
            When::At(at) => self.moment(*at, now),
            When::Date(text) => match text.len() {
                10 => self.date(when.as_ms().div_euclid(DAY_MS)),
                7 => {
                    let (year, month, _) = civil_from_days(when.as_ms().div_euclid(DAY_MS));
                    match self.language {
                        Language::French => format!("{month:02}/{year}"),
                        Language::English => format!("{} {year}", month_name(month)),
                    }
                }
                _ => text.clone(),
            },
        }
    }
}

fn month_name(month: u32) -> &'static str {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    names.get((month as usize).saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_turn_when_they_do_and_back() {
        let french = Telling::default();
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        for (instant, local) in [
            ("2026-03-29T00:59:00Z", "29/03 01:59"),
            ("2026-03-29T01:00:00Z", "29/03 03:00"),
            ("2026-10-25T01:00:00Z", "25/10 02:00"),
            ("2025-12-31T23:30:00Z", "01/01 00:30"),
            ("2025-11-30T23:30:00Z", "01/12/2025 00:30"),
        ] {
            let at = Timestamp::parse(instant).unwrap();
            assert_eq!(french.moment(at, now), local);
            let back = Zone::Paris.instant(Zone::Paris.local_ms(at));
            assert_eq!(Zone::Paris.local_ms(back), Zone::Paris.local_ms(at));
        }
        let english = Telling { language: Language::English, zone: Zone::parse("+04:00").unwrap() };
        assert_eq!(english.full(Timestamp::parse("2026-03-29T22:00:00Z").unwrap()), "30 Mar 2026 02:00");
        assert_eq!(french.when(&When::parse("2026-03").unwrap(), now), "03/2026");
        for wrong in ["", "Paris", "+4", "+04:60", "é04:00"] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
    }
}
