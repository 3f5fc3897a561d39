//! Moving a moment by a calendar duration (FHIRPath N1, "Date/Time Arithmetic").

use super::{DAY_MINUTES, Moment, Precision, days_in_month};

/// A unit that a moment can be moved by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CalendarUnit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl CalendarUnit {
    /// The calendar duration of that keyword, singular or plural.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "year" | "years" => Self::Year,
            "month" | "months" => Self::Month,
            "week" | "weeks" => Self::Week,
            "day" | "days" => Self::Day,
            "hour" | "hours" => Self::Hour,
            "minute" | "minutes" => Self::Minute,
            "second" | "seconds" => Self::Second,
            "millisecond" | "milliseconds" => Self::Millisecond,
            _ => return None,
        })
    }

    /// The UCUM unit that moves a moment: definite durations only, as a UCUM year or month is not one of the calendar.
    pub(crate) fn definite(code: &str) -> Option<Self> {
        Some(match code {
            "wk" => Self::Week,
            "d" => Self::Day,
            "h" => Self::Hour,
            "min" => Self::Minute,
            "s" => Self::Second,
            "ms" => Self::Millisecond,
            _ => return None,
        })
    }

    /// The UCUM code that means nearly or exactly the same.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Year => "a",
            Self::Month => "mo",
            Self::Week => "wk",
            Self::Day => "d",
            Self::Hour => "h",
            Self::Minute => "min",
            Self::Second => "s",
            Self::Millisecond => "ms",
        }
    }

    /// Whether the calendar says how long it is: a year and a month differ from one to the next.
    pub(crate) fn is_definite(self) -> bool {
        !matches!(self, Self::Year | Self::Month)
    }

    /// The keyword, singular.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Millisecond => "millisecond",
        }
    }
}

const NANOS_PER_MINUTE: i64 = 60_000_000_000;

impl Moment {
    /// This moment moved by so many units. `None` where that leaves the years 1 to 9999. A unit finer than the
    /// precision counts in whole units of the precision (`@2016 + 365 days` is `@2017`); a time of day goes round.
    pub(crate) fn plus(self, amount: i64, unit: CalendarUnit, time_only: bool) -> Option<Self> {
        if time_only {
            return self.plus_time(amount, unit);
        }
        match self.precision {
            Precision::Year => self.plus_months(12_i64.checked_mul(years_in(amount, unit))?),
            Precision::Month => self.plus_months(months_in(amount, unit)?),
            Precision::Day => match unit {
                CalendarUnit::Year | CalendarUnit::Month => self.plus_months(months_in(amount, unit)?),
                _ => self.plus_minutes((millis_in(amount, unit)? / 86_400_000).checked_mul(DAY_MINUTES)?),
            },
            Precision::Hour => self.plus_fine(amount, unit, 3_600_000),
            Precision::Minute => self.plus_fine(amount, unit, 60_000),
            Precision::Second => self.plus_fine(amount, unit, 1),
        }
    }

    fn plus_time(self, amount: i64, unit: CalendarUnit) -> Option<Self> {
        if matches!(unit, CalendarUnit::Year | CalendarUnit::Month | CalendarUnit::Week | CalendarUnit::Day) {
            return None;
        }
        // Two days from the first year, so that going back stays within the calendar.
        let middle = Moment { day: 3, ..self };
        let within_a_day = amount % (86_400_000 / millis_in(1, unit)?);
        let moved = middle.plus(within_a_day, unit, false)?;
        Some(moved.time_of_day())
    }

    fn plus_fine(self, amount: i64, unit: CalendarUnit, granule_ms: i64) -> Option<Self> {
        if matches!(unit, CalendarUnit::Year | CalendarUnit::Month) {
            return self.plus_months(months_in(amount, unit)?);
        }
        let ms = millis_in(amount, unit)? / granule_ms * granule_ms;
        let nanos = i64::from(self.second) * 1_000_000_000 + i64::from(self.nanos) + ms % 60_000 * 1_000_000;
        let moved = self.plus_minutes((ms / 60_000).checked_add(nanos.div_euclid(NANOS_PER_MINUTE))?)?;
        let nanos = nanos.rem_euclid(NANOS_PER_MINUTE);
        let digits = if unit == CalendarUnit::Millisecond && self.precision == Precision::Second {
            self.fraction_digits.max(3)
        } else {
            self.fraction_digits
        };
        Some(Moment {
            second: u8::try_from(nanos / 1_000_000_000).ok()?,
            nanos: u32::try_from(nanos % 1_000_000_000).ok()?,
            fraction_digits: digits,
            ..moved
        })
    }

    fn plus_minutes(self, minutes: i64) -> Option<Self> {
        self.at_wall_minutes(self.wall_minutes().checked_add(minutes)?)
    }

    /// The day stays, or is the last of its month where the month is shorter.
    fn plus_months(self, months: i64) -> Option<Self> {
        let index = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(months)?;
        let year = u16::try_from(index.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
        let month = u8::try_from(index.rem_euclid(12) + 1).ok()?;
        Some(Moment { year, month, day: self.day.min(days_in_month(year, month)), ..self })
    }
}

/// Whole years: a year has 12 months or 365 days.
fn years_in(amount: i64, unit: CalendarUnit) -> i64 {
    match unit {
        CalendarUnit::Year => amount,
        CalendarUnit::Month => amount / 12,
        _ => millis_in(amount, unit).unwrap_or(i64::MAX) / (365 * 86_400_000),
    }
}

/// Whole months: a month has 30 days.
fn months_in(amount: i64, unit: CalendarUnit) -> Option<i64> {
    match unit {
        CalendarUnit::Year => amount.checked_mul(12),
        CalendarUnit::Month => Some(amount),
        _ => Some(millis_in(amount, unit)? / (30 * 86_400_000)),
    }
}

/// Milliseconds of a definite duration.
fn millis_in(amount: i64, unit: CalendarUnit) -> Option<i64> {
    let one = match unit {
        CalendarUnit::Week => 7 * 86_400_000,
        CalendarUnit::Day => 86_400_000,
        CalendarUnit::Hour => 3_600_000,
        CalendarUnit::Minute => 60_000,
        CalendarUnit::Second => 1000,
        CalendarUnit::Millisecond => 1,
        CalendarUnit::Year | CalendarUnit::Month => return None,
    };
    amount.checked_mul(one)
}
