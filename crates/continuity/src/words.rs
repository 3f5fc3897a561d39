//! How words, days and times are told on paper: in one of two languages, by the clock of the place.

use crate::read::{DAY_MS, When};
use tacet_types::{Language, Timestamp, Zone, civil_from_days, month_name};

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
        self.language.of((french, english))
    }

    /// A day and a time: `22/11 08:05`, with the year where it is not this one.
    pub fn moment(&self, at: Timestamp, now: Timestamp) -> String {
        format!("{} {}", self.day(self.zone.day(at), now), self.time(at))
    }

    /// A day, a time and always the year.
    pub fn full(&self, at: Timestamp) -> String {
        self.zone.moment(at, self.language)
    }

    /// Hours and minutes.
    pub fn time(&self, at: Timestamp) -> String {
        self.zone.time(at)
    }

    /// A day with its year.
    pub(crate) fn date(&self, day: i64) -> String {
        self.language.date(day)
    }

    fn day(&self, day: i64, now: Timestamp) -> String {
        let this_year = civil_from_days(self.zone.day(now)).0;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_told_where_it_is_not_this_one() {
        let french = Telling::default();
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        for (instant, local) in [
            ("2026-03-29T01:00:00Z", "29/03 03:00"),
            ("2025-12-31T23:30:00Z", "01/01 00:30"),
            ("2025-11-30T23:30:00Z", "01/12/2025 00:30"),
        ] {
            assert_eq!(french.moment(Timestamp::parse(instant).unwrap(), now), local);
        }
        let english = Telling { language: Language::English, zone: Zone::Fixed(240) };
        assert_eq!(english.full(Timestamp::parse("2026-03-29T22:00:00Z").unwrap()), "30 Mar 2026 02:00");
        assert_eq!(french.when(&When::parse("2026-03").unwrap(), now), "03/2026");
    }
}
