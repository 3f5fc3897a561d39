//! The earliest and latest moment that a partial one may mean (`lowBoundary`, `highBoundary`).

use super::{Moment, Precision, days_in_month};

/// Digits of a date with a time to the millisecond.
pub(crate) const DATE_TIME_DIGITS: i64 = 17;
/// Digits of a time to the millisecond.
pub(crate) const TIME_DIGITS: i64 = 9;
/// Digits of a date.
pub(crate) const DATE_DIGITS: i64 = 8;

impl Moment {
    /// The earliest (or latest) value this may stand for, to so many digits. The zone of a moment that has none is
    /// the one that makes it earliest (`+14:00`) or latest (`-12:00`). `None` where there is no such precision.
    pub(crate) fn boundary(self, high: bool, digits: i64, time_only: bool) -> Option<Self> {
        let all_digits = if time_only { digits.checked_add(DATE_DIGITS)? } else { digits };
        let (precision, fraction) = match all_digits {
            4 => (Precision::Year, 0),
            6 => (Precision::Month, 0),
            8 => (Precision::Day, 0),
            10 => (Precision::Hour, 0),
            12 => (Precision::Minute, 0),
            14 => (Precision::Second, 0),
            17 => (Precision::Second, 3),
            _ => return None,
        };
        if time_only && precision < Precision::Hour {
            return None;
        }
        let mut full = self;
        if high {
            if self.precision < Precision::Month {
                full.month = 12;
            }
            if self.precision < Precision::Day {
                full.day = days_in_month(full.year, full.month);
            }
            if self.precision < Precision::Hour {
                full.hour = 23;
            }
            if self.precision < Precision::Minute {
                full.minute = 59;
            }
            if self.precision < Precision::Second {
                full.second = 59;
            }
            if self.precision < Precision::Second || self.fraction_digits == 0 {
                full.nanos = 999_000_000;
            }
        }
        if !time_only && precision >= Precision::Hour && full.offset_minutes.is_none() {
            full.offset_minutes = Some(if high { -12 * 60 } else { 14 * 60 });
        }
        if precision < Precision::Hour {
            full.offset_minutes = None;
        }
        full.precision = precision;
        full.fraction_digits = fraction;
        // Past the precision everything is at its least, as in a moment that was read.
        if precision < Precision::Month {
            full.month = 1;
        }
        if precision < Precision::Day {
            full.day = 1;
        }
        if precision < Precision::Hour {
            full.hour = 0;
        }
        if precision < Precision::Minute {
            full.minute = 0;
        }
        if precision < Precision::Second {
            full.second = 0;
        }
        if fraction == 0 {
            full.nanos = 0;
        } else {
            full.nanos -= full.nanos % 1_000_000;
        }
        Some(full)
    }
}
