//! When something is due, by the times that an order names itself and by when it was given last.

use super::codes::WEEK;
use super::{TIMES_MAX, clock};
use crate::read::{DAY_MS, When, each};
use crate::words::Telling;
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

/// How far ahead a next time is looked for, in days.
const AHEAD_DAYS: i64 = 31;

/// When a treatment is to be given next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// At this moment, which lies ahead.
    At(Timestamp),
    /// It was due at this moment, and nobody wrote down that it was given.
    Since(Timestamp),
}

/// How long after its time a dose counts as missed where nobody wrote it down, in milliseconds: an hour.
const LATE_MS: i64 = 3_600_000;

/// When an order is due next, where it says times of day, events, or a number of hours and the last time is known. The earliest of its dosages. None where
/// no time follows from what it says, where it is given as needed, or where it is over.
pub fn next_due(
    order: &Json<'_>,
    name: &str,
    last: Option<Timestamp>,
    telling: &Telling,
    now: Timestamp,
) -> Option<Due> {
    let dosages = each(order, name).iter().take(8);
    let due = dosages.filter_map(|dosage| due_of(dosage, last, telling, now));
    due.min_by_key(|due| match due {
        Due::At(at) | Due::Since(at) => *at,
    })
}

fn due_of(dosage: &Json<'_>, last: Option<Timestamp>, telling: &Telling, now: Timestamp) -> Option<Due> {
    let as_needed = dosage.get("asNeededBoolean").and_then(Json::as_bool) == Some(true)
        || dosage.get("asNeededCodeableConcept").is_some();
    let timing = dosage.get("timing").filter(|_| !as_needed)?;
    let bounds = timing.get("repeat").and_then(|repeat| repeat.get("boundsPeriod"));
    let ends = bounds.and_then(|bounds| bounds.get_str("end")).and_then(When::parse).map(|end| match end {
        When::At(at) => at.as_ms(),
        When::Date(_) => end.as_ms() + DAY_MS,
    });
    let starts = bounds.and_then(|bounds| bounds.get_str("start")).and_then(When::parse).map(|start| start.as_ms());
    let within =
        |at: &Timestamp| starts.is_none_or(|starts| at.as_ms() >= starts) && ends.is_none_or(|ends| at.as_ms() <= ends);
    let mut times: Vec<Timestamp> = each(timing, "event")
        .iter()
        .take(TIMES_MAX)
        .filter_map(|event| match When::parse(event.as_str()?)? {
            When::At(at) => Some(at),
            When::Date(_) => None,
        })
        .collect();
    let repeat = timing.get("repeat");
    if let Some(repeat) = repeat {
        times.extend(of_day(repeat, telling, now));
        if times.is_empty() {
            return by_hours(repeat, last?, now).filter(|due| match due {
                Due::At(at) | Due::Since(at) => within(at),
            });
        }
    }
    times.retain(within);
    times.sort_unstable();
    // The last time that has passed: was it given?
    let passed = times.iter().rev().find(|at| **at <= now && now.as_ms() - at.as_ms() < DAY_MS);
    if let Some(passed) = passed {
        // Given from an hour before it on: nurses go round.
        let given = last.is_some_and(|last| last.as_ms() >= passed.as_ms() - LATE_MS);
        let told = last.is_some();
        if told && !given && now.as_ms() - passed.as_ms() >= LATE_MS {
            return Some(Due::Since(*passed));
        }
        if !given && now.as_ms() - passed.as_ms() < LATE_MS {
            return Some(Due::At(*passed));
        }
    }
    // One that is not yet due and was given before its time is done.
    let ahead = |at: &&Timestamp| **at > now && last.is_none_or(|last| last.as_ms() < at.as_ms() - LATE_MS);
    times.iter().find(ahead).map(|at| Due::At(*at))
}

/// The times of day of a schedule, from yesterday on.
fn of_day(repeat: &Json<'_>, telling: &Telling, now: Timestamp) -> Vec<Timestamp> {
    let clocks = each(repeat, "timeOfDay").iter().filter_map(Json::as_str).filter_map(clock).take(TIMES_MAX);
    let clocks: Vec<i64> = clocks.map(|(ms, _)| ms).collect();
    // Every second day says nothing of which: no time is made up.
    let daily = match (repeat.get("period").and_then(Json::as_number), repeat.get_str("periodUnit")) {
        (Some(period), Some("d")) => period == "1",
        (None, None) => true,
        (Some(period), Some("wk")) => period == "1" && repeat.get("dayOfWeek").is_some(),
        _ => false,
    };
    if clocks.is_empty() || !daily {
        return Vec::new();
    }
    let days: Vec<&str> = each(repeat, "dayOfWeek").iter().filter_map(Json::as_str).collect();
    let today = telling.zone.day(now);
    let mut times = Vec::new();
    for day in today - 1..=today + AHEAD_DAYS {
        // 1970-01-01 was a Thursday, three days after a Monday.
        let of_week = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        let named = WEEK.get(of_week).is_some_and(|(code, ..)| days.contains(code));
        if days.is_empty() || named {
            times.extend(clocks.iter().map(|ms| telling.zone.instant(day * DAY_MS + ms)));
        }
        if times.len() >= 4 * TIMES_MAX {
            break;
        }
    }
    times
}

/// Once in so many hours or minutes after the last time.
fn by_hours(repeat: &Json<'_>, last: Timestamp, now: Timestamp) -> Option<Due> {
    if repeat.get("frequency").and_then(Json::as_i64).is_some_and(|times| times != 1) {
        return None;
    }
    let period: f64 = repeat.get("period")?.as_number()?.parse().ok()?;
    let hour = 3_600_000.0;
    let unit = match repeat.get_str("periodUnit")? {
        "min" => hour / 60.0,
        "h" => hour,
        _ => return None,
    };
    let length = period * unit;
    if !(60_000.0..=72.0 * hour).contains(&length) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "three days of milliseconds at most")]
    let due = last.plus_ms(length as i64);
    Some(if due <= now { Due::Since(due) } else { Due::At(due) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, Zone};
    use tacet_fhir::json::{Limits, parse_str};

    const FRENCH: Telling = Telling { language: Language::French, zone: Zone::Paris };

    fn json(text: &str) -> Json<'_> {
        parse_str(text, &Limits::default()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn when_it_is_due() {
        let due = |repeat: &str, last: Option<&str>, now: &str| {
            let order = format!(r#"{{"dosageInstruction":[{{"timing":{{"repeat":{repeat}}}}}]}}"#);
            next_due(&json(&order), "dosageInstruction", last.map(at), &FRENCH, at(now))
        };
        let daily = r#"{"timeOfDay":["08:00:00","20:00:00"]}"#;
        // Winter: 08:00 in Paris is 07:00 UTC.
        let evening = Some(Due::At(at("2026-11-22T19:00:00Z")));
        assert_eq!(
            due(daily, None, "2026-11-22T12:00:00Z"),
            evening,
            "without any administration nobody can say it was missed"
        );
        assert_eq!(due(daily, Some("2026-11-22T07:10:00Z"), "2026-11-22T12:00:00Z"), evening);
        let missed = Some(Due::Since(at("2026-11-22T07:00:00Z")));
        assert_eq!(due(daily, Some("2026-11-21T19:05:00Z"), "2026-11-22T12:00:00Z"), missed);
        let now_due = Some(Due::At(at("2026-11-22T07:00:00Z")));
        assert_eq!(due(daily, Some("2026-11-21T19:05:00Z"), "2026-11-22T07:20:00Z"), now_due);
        let early = due(daily, Some("2026-11-22T18:30:00Z"), "2026-11-22T18:40:00Z");
        assert_eq!(early, Some(Due::At(at("2026-11-23T07:00:00Z"))), "given a little before its time");
        let hours = r#"{"frequency":1,"period":6,"periodUnit":"h"}"#;
        assert_eq!(
            due(hours, Some("2026-11-22T09:00:00Z"), "2026-11-22T12:00:00Z"),
            Some(Due::At(at("2026-11-22T15:00:00Z")))
        );
        assert_eq!(
            due(hours, Some("2026-11-22T05:00:00Z"), "2026-11-22T12:00:00Z"),
            Some(Due::Since(at("2026-11-22T11:00:00Z")))
        );
        for nothing in [
            r#"{"frequency":2,"period":1,"periodUnit":"d"}"#,
            r#"{"timeOfDay":["08:00:00"],"period":2,"periodUnit":"d"}"#,
            r#"{"timeOfDay":["08:00:00"],"boundsPeriod":{"end":"2026-11-20"}}"#,
            r#"{"period":1e9,"periodUnit":"h"}"#,
        ] {
            assert_eq!(due(nothing, Some("2026-11-22T05:00:00Z"), "2026-11-22T12:00:00Z"), None, "{nothing}");
        }
        // A Sunday: Thursday is next.
        let thursday = due(r#"{"timeOfDay":["08:00:00"],"dayOfWeek":["thu"]}"#, None, "2026-11-22T12:00:00Z");
        assert_eq!(thursday, Some(Due::At(at("2026-11-26T07:00:00Z"))));
    }
}
