//! Working hours: whether somebody works at a moment, by the clock of the place.

use super::moments::Moments;
use crate::facts::{Hours, Span};
use tacet_types::{Timestamp, Zone};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// The day of the week of 1970-01-01, Monday being 0.
const EPOCH_WEEKDAY: i64 = 3;

/// Whether these hours and absences let somebody work now; no hours are all hours. `margin_minutes` before and after the hours count, for
/// handing over.
pub(super) fn works(hours: &[Hours], away: &[Span], zone: Zone, margin_minutes: u32, moments: &mut Moments) -> bool {
    let is_away = away.iter().any(|span| moments.within(*span));
    if hours.is_empty() {
        return !is_away;
    }
    let now = moments.now_ms();
    // Hours of FHIR are without a zone: when the clock of the place turns, they do.
    let at = Timestamp::from_ms(now);
    for turn in zone.summer_ms(at).into_iter().flat_map(<[i64; 2]>::from) {
        moments.note(turn);
    }
    let local = zone.local_ms(at);
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
        assert!(!works(&[], &away, Zone::Paris, 0, &mut moments));
        assert_eq!(moments.next().unwrap().to_string(), "2026-03-03T00:00:00.000Z");
        assert!(works(&[], &away, Zone::Paris, 0, &mut at("2026-03-03T00:00:00Z")));
    }

    #[test]
    fn summer_time_is_kept() {
        let morning = [Hours { days: 0x7F, from_minutes: 8 * 60, to_minutes: 9 * 60 }];
        for (moment, works_then) in [
            ("2026-03-28T07:00:00Z", true),
            ("2026-03-28T08:00:00Z", false),
            ("2026-03-29T06:00:00Z", true),
            ("2026-03-29T07:00:00Z", false),
            ("2026-10-25T07:00:00Z", true),
        ] {
            assert_eq!(works(&morning, &[], Zone::Paris, 0, &mut at(moment)), works_then, "{moment}");
        }
        // The turn of the clock ends an answer: at eight by the winter's clock it is nine by the summer's.
        let night = [Hours { days: 0x7F, from_minutes: 60, to_minutes: 7 * 60 }];
        let mut moments = at("2026-03-29T00:30:00Z");
        assert!(works(&night, &[], Zone::Paris, 0, &mut moments));
        assert_eq!(moments.next().unwrap().to_string(), "2026-03-29T01:00:00.000Z");
    }
}
