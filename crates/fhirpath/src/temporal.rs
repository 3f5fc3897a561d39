//! Dates, dates with times, and times of day, each with the precision it was written in.
//!
//! Comparing follows FHIRPath N1, "Equals" and "Date/Time comparison": component by component; where one of the two
//! ends first, the answer is unknown. Seconds and their fraction are one component.

mod arithmetic;
mod boundary;
mod read;

use std::cmp::Ordering;
use std::fmt;
use tacet_types::{Timestamp, civil_from_days, days_from_civil};

pub(crate) use arithmetic::CalendarUnit;
pub(crate) use boundary::{DATE_DIGITS, DATE_TIME_DIGITS, TIME_DIGITS};
pub(crate) use read::{read_date, read_date_time, read_literal_date, read_time};

/// How much of a moment is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Precision {
    /// `2015`
    Year,
    /// `2015-02`
    Month,
    /// `2015-02-04`
    Day,
    /// `T14`
    Hour,
    /// `T14:34`
    Minute,
    /// `T14:34:28` or with a fraction
    Second,
}

/// A date, a date with a time, or a time of day. What lies past the precision is at its least value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// 1 to 9999; 1 where it is a time of day.
    pub(crate) year: u16,
    /// 1 to 12.
    pub(crate) month: u8,
    /// 1 to 31.
    pub(crate) day: u8,
    /// 0 to 23 (24 is not allowed).
    pub(crate) hour: u8,
    /// 0 to 59.
    pub(crate) minute: u8,
    /// 0 to 60, as FHIR allows leap seconds.
    pub(crate) second: u8,
    /// Billionths of a second.
    pub(crate) nanos: u32,
    /// Digits of the fraction as written, 0 to 9.
    pub(crate) fraction_digits: u8,
    /// Minutes east of UTC.
    pub(crate) offset_minutes: Option<i16>,
    /// What is known.
    pub(crate) precision: Precision,
}

/// Minutes in a day.
const DAY_MINUTES: i64 = 1440;
/// The furthest zones on Earth: a local time lies within these of UTC (minutes; UTC+14 and UTC-12).
const EAST_MAX_MINUTES: i64 = 14 * 60;
const WEST_MAX_MINUTES: i64 = 12 * 60;

impl Moment {
    /// The moment of the least values, known to the year.
    pub(crate) const LEAST: Moment = Moment {
        year: 1,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
        fraction_digits: 0,
        offset_minutes: None,
        precision: Precision::Year,
    };

    /// What is known.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The zone, in minutes east of UTC, where one is given.
    pub fn offset_minutes(&self) -> Option<i16> {
        self.offset_minutes
    }

    /// An instant, in UTC, to the millisecond.
    pub(crate) fn from_timestamp(at: Timestamp) -> Self {
        const DAY_MS: i64 = 86_400_000;
        let ms = at.as_ms();
        let (year, month, day) = civil_from_days(ms.div_euclid(DAY_MS));
        let of_day = ms.rem_euclid(DAY_MS);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        Moment {
            year: u16::try_from(year).unwrap_or(1),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
            hour: part(of_day / 3_600_000),
            minute: part(of_day / 60_000 % 60),
            second: part(of_day / 1000 % 60),
            nanos: u32::try_from(of_day % 1000).unwrap_or(0) * 1_000_000,
            fraction_digits: 3,
            offset_minutes: Some(0),
            precision: Precision::Second,
        }
    }

    /// The same day, without the time.
    pub(crate) fn date(self) -> Self {
        let precision = self.precision.min(Precision::Day);
        Moment { year: self.year, month: self.month, day: self.day, precision, ..Moment::LEAST }
    }

    /// The same time, without the day.
    pub(crate) fn time_of_day(self) -> Self {
        Moment { year: 1, month: 1, day: 1, offset_minutes: None, ..self }
    }

    /// The component of that precision.
    fn component(&self, precision: Precision) -> u64 {
        match precision {
            Precision::Year => u64::from(self.year),
            Precision::Month => u64::from(self.month),
            Precision::Day => u64::from(self.day),
            Precision::Hour => u64::from(self.hour),
            Precision::Minute => u64::from(self.minute),
            Precision::Second => u64::from(self.second) * 1_000_000_000 + u64::from(self.nanos),
        }
    }

    /// Minutes since the epoch, as the clock on the wall says.
    fn wall_minutes(&self) -> i64 {
        let days = days_from_civil(i64::from(self.year), u32::from(self.month), u32::from(self.day));
        days * DAY_MINUTES + i64::from(self.hour) * 60 + i64::from(self.minute)
    }

    /// The same moment with its minutes since the epoch set.
    fn at_wall_minutes(self, minutes: i64) -> Option<Self> {
        let (year, month, day) = civil_from_days(minutes.div_euclid(DAY_MINUTES));
        let of_day = minutes.rem_euclid(DAY_MINUTES);
        Some(Moment {
            year: u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?,
            month: u8::try_from(month).ok()?,
            day: u8::try_from(day).ok()?,
            hour: u8::try_from(of_day / 60).ok()?,
            minute: u8::try_from(of_day % 60).ok()?,
            ..self
        })
    }

    /// The same moment in UTC; unchanged where there is no zone.
    fn in_utc(self) -> Self {
        match self.offset_minutes {
            Some(offset) if offset != 0 => {
                // Within a day of the year 1 or 9999 there is no such moment to name; the wall time has to do.
                let moved = self.at_wall_minutes(self.wall_minutes() - i64::from(offset)).unwrap_or(self);
                Moment { offset_minutes: Some(0), ..moved }
            }
            _ => self,
        }
    }

    /// How the two lie, both dates (with or without a time) or both times of day. `None` where it is not known.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        let timed = |moment: &Moment| moment.precision >= Precision::Hour;
        match (self.offset_minutes, other.offset_minutes) {
            (Some(_), Some(_)) => self.in_utc().compare_parts(&other.in_utc()),
            (Some(_), None) if timed(other) => other.compare_unzoned(self).map(Ordering::reverse),
            (None, Some(_)) if timed(self) => self.compare_unzoned(other),
            _ => self.compare_parts(other),
        }
    }

    /// This one has a time and no zone, the other has both: known only where no zone on Earth would change it.
    fn compare_unzoned(&self, zoned: &Self) -> Option<Ordering> {
        // A moment known to the hour may lie anywhere in it.
        let within = |moment: &Moment| if moment.precision == Precision::Hour { 59 } else { 0 };
        let local = self.wall_minutes();
        let other = zoned.in_utc().wall_minutes();
        if local + WEST_MAX_MINUTES + within(self) < other {
            Some(Ordering::Less)
        } else if local - EAST_MAX_MINUTES > other + within(zoned) {
            Some(Ordering::Greater)
        } else {
            None
        }
    }

    fn compare_parts(&self, other: &Self) -> Option<Ordering> {
        const PARTS: [Precision; 6] =
            [Precision::Year, Precision::Month, Precision::Day, Precision::Hour, Precision::Minute, Precision::Second];
        for part in PARTS {
            if self.precision < part && other.precision < part {
                return Some(Ordering::Equal);
            }
            if self.precision < part || other.precision < part {
                return None;
            }
            match self.component(part).cmp(&other.component(part)) {
                Ordering::Equal => {}
                different => return Some(different),
            }
        }
        Some(Ordering::Equal)
    }

    /// The digits that are known: `precision()` of FHIRPath.
    pub(crate) fn digits(&self, time_only: bool) -> i64 {
        let all = match self.precision {
            Precision::Year => 4,
            Precision::Month => 6,
            Precision::Day => 8,
            Precision::Hour => 10,
            Precision::Minute => 12,
            Precision::Second => 14 + i64::from(self.fraction_digits),
        };
        if time_only { all - 8 } else { all }
    }

    /// The date as text.
    pub(crate) fn write_date(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "{:04}", self.year)?;
        if self.precision >= Precision::Month {
            write!(out, "-{:02}", self.month)?;
        }
        if self.precision >= Precision::Day {
            write!(out, "-{:02}", self.day)?;
        }
        Ok(())
    }

    /// The date and time as text, with the zone where there is one.
    pub(crate) fn write_date_time(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.write_date(out)?;
        if self.precision >= Precision::Hour {
            out.write_char('T')?;
            self.write_time(out)?;
            match self.offset_minutes {
                Some(0) => out.write_char('Z')?,
                Some(offset) => {
                    let sign = if offset < 0 { '-' } else { '+' };
                    let minutes = offset.unsigned_abs();
                    write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The time of day as text.
    pub(crate) fn write_time(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "{:02}", self.hour)?;
        if self.precision >= Precision::Minute {
            write!(out, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(out, ":{:02}", self.second)?;
            if self.fraction_digits > 0 {
                let digits = format!("{:09}", self.nanos);
                write!(out, ".{}", digits.get(..usize::from(self.fraction_digits)).unwrap_or(&digits))?;
            }
        }
        Ok(())
    }
}

/// The days of a month.
pub(crate) fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
