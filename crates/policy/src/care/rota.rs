//! Working hours: whether somebody works at a moment, by the clock of the place.

use super::moments::Moments;
use crate::facts::{Hours, Span};
use tacet_types::{civil_from_days, days_from_civil};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// The day of the week of 1970-01-01, Monday being 0.
const EPOCH_WEEKDAY: i64 = 3;

/// By which clock working hours are written: FHIR gives them without a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zone {
    /// So many minutes east of Greenwich, all year.
    Fixed(i16),
    /// Central European Time, with the summer time of the European Union (Directive 2000/84/EC): from the last Sunday of March to the last
    /// one of October, each at 01:00 UTC.
    CentralEurope,
}

impl Zone {
    /// How far its clock is ahead of UTC, in milliseconds. Notes when that changes.
    fn ahead_ms(self, moments: &mut Moments) -> i64 {
        match self {
            Self::Fixed(minutes) => i64::from(minutes) * MINUTE_MS,
            Self::CentralEurope => {
                let now = moments.now_ms();
                let (year, ..) = civil_from_days(now.div_euclid(DAY_MS));
                let change = |month: u32| {
                    let last = days_from_civil(year, month, 31);
                    let sunday = last - (last + EPOCH_WEEKDAY + 1).rem_euclid(7);
                    sunday * DAY_MS + 60 * MINUTE_MS
                };
                let (spring, autumn) = (change(3), change(10));
                moments.note(spring);
                moments.note(autumn);
                if (spring..autumn).contains(&now) { 120 * MINUTE_MS } else { 60 * MINUTE_MS }
            }
        }
    }
}

/// Whether these hours and absences let somebody work now; no hours are all hours. `margin_minutes` before and after the hours count, for
/// handing over.
pub(super) fn works(hours: &[Hours], away: &[Span], zone: Zone, margin_minutes: u32, moments: &mut Moments) -> bool {
    let is_away = away.iter().any(|span| moments.within(*span));
    if hours.is_empty() {
        return !is_away;
    }
    let now = moments.now_ms();
    let local = now.saturating_add(zone.ahead_ms(moments));
    let of_week = (local.div_euclid(DAY_MS) + EPOCH_WEEKDAY).rem_euclid(7) * DAY_MS + local.rem_euclid(DAY_MS);
    let margin = i64::from(margin_minutes).min(24 * 60) * MINUTE_MS;
    let mut at_work = false;
    for span in hours {
        let (from, to) = (i64::from(span.from_minutes) * MINUTE_MS, i64::from(span.to_minutes) * MINUTE_MS);
        // An end before the start is on the next day.
        let length = (if to > from { to - from } else { to - from + DAY_MS }) + 2 * margin;
        for day in (0..7).filter(|day| span.days & (1 << day) != 0) {
            let start = day * DAY_MS + from - margin;
            let since = (of_week - start).rem_euclid(WEEK_MS);
            at_work |= since < length;
            moments.note(now.saturating_add(WEEK_MS - since));
            if since < length {
                moments.note(now.saturating_add(length - since));
            }
        }
    }
    at_work && !is_away
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::Timestamp;

    fn at(text: &str) -> Moments {
        Moments::at(Timestamp::parse(text).unwrap())
    }

    #[test]
    fn hours_are_of_the_place_and_nights_go_past_midnight() {
        let hours = |days, from_minutes, to_minutes| Hours { days, from_minutes, to_minutes };
        let utc = Zone::Fixed(0);
        // 2026-03-02 is a Monday.
        let monday_night = [hours(1, 21 * 60, 7 * 60)];
        for (moment, works_then, next) in [
            ("2026-03-02T20:59:59.999Z", false, "2026-03-02T21:00:00.000Z"),
            ("2026-03-02T21:00:00.000Z", true, "2026-03-03T07:00:00.000Z"),
            ("2026-03-03T06:59:59.000Z", true, "2026-03-03T07:00:00.000Z"),
            ("2026-03-03T07:00:00.000Z", false, "2026-03-09T21:00:00.000Z"),
            ("2026-03-03T22:00:00.000Z", false, "2026-03-09T21:00:00.000Z"),
        ] {
            let mut moments = at(moment);
            assert_eq!(works(&monday_night, &[], utc, 0, &mut moments), works_then, "{moment}");
            assert_eq!(moments.next().unwrap().to_string(), next, "{moment}");
        }
        let sunday_night = [hours(1 << 6, 21 * 60, 7 * 60)];
        assert!(works(&sunday_night, &[], utc, 0, &mut at("2026-03-02T06:00:00Z")), "over the end of the week");
        let day = [hours(0x7F, 8 * 60, 16 * 60)];
        assert!(!works(&day, &[], utc, 0, &mut at("2026-03-02T16:15:00Z")));
        assert!(
            works(&day, &[], utc, 30, &mut at("2026-03-02T16:15:00Z"))
                && works(&[], &[], utc, 0, &mut at("2026-03-02T03:00:00Z"))
        );
        let all_day = [hours(0x7F, 0, 24 * 60)];
        assert!(works(&all_day, &[], utc, 0, &mut at("2026-03-02T23:59:59.999Z")));
        assert!(
            !works(&[hours(0, 0, 0)], &[], utc, 0, &mut at("2026-03-02T03:00:00Z")),
            "hours that could not be read"
        );
    }

    #[test]
    fn absences_end_the_hours() {
        let span =
            |from: &str, to: &str| Span(Timestamp::parse(from).unwrap().as_ms(), Timestamp::parse(to).unwrap().as_ms());
        let away = [span("2026-03-02T00:00:00Z", "2026-03-02T23:59:59.999Z")];
        let mut moments = at("2026-03-02T10:00:00Z");
        assert!(!works(&[], &away, Zone::CentralEurope, 0, &mut moments));
        assert_eq!(moments.next().unwrap().to_string(), "2026-03-03T00:00:00.000Z");
        assert!(works(&[], &away, Zone::CentralEurope, 0, &mut at("2026-03-03T00:00:00Z")));
    }

    #[test]
    fn summer_time_is_kept() {
        for (moment, minutes) in [
            ("2026-03-29T00:59:59Z", 60),
            ("2026-03-29T01:00:00Z", 120),
            ("2026-10-25T00:59:59Z", 120),
            ("2026-10-25T01:00:00Z", 60),
            ("2027-03-28T01:00:00Z", 120),
            ("2026-01-01T00:00:00Z", 60),
        ] {
            assert_eq!(Zone::CentralEurope.ahead_ms(&mut at(moment)), minutes * MINUTE_MS, "{moment}");
        }
    }
}
