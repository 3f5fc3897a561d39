//! When which key is announced, waits and is destroyed; without a store.

use super::plan::{NOTICE_MS, check_years, steps};
use super::*;

const DAY_MS: i64 = 24 * 3_600_000;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn months(from: &str, number: u16, gone: usize) -> Vec<(Epoch, EpochState)> {
    let first = Epoch::of(at(from)).number();
    let state = |place: usize| if place < gone { EpochState::Destroyed } else { EpochState::Held };
    (0..number).map(|place| (Epoch::from_number(first + place), state(place.into()))).collect()
}

fn words(months: &[MonthKey]) -> Vec<&'static str> {
    months.iter().map(|month| month.step.as_str()).collect()
}

#[test]
fn a_month_is_announced_thirty_days_before_its_time_and_destroyed_at_it() {
    let epochs = months("2026-01-01T00:00:00Z", 4, 0);
    let january = epochs[0].0;
    let mut rule = Rule::of(3, &[]);
    let mut seen = Vec::new();
    let mut day = at("2029-01-01T06:00:00Z");
    while day < at("2029-03-01T00:00:00Z") {
        let found = steps(day, &rule, &epochs, 3);
        if seen.last().is_none_or(|(_, step)| *step != found[0].step) {
            seen.push((day.to_string()[..10].to_owned(), found[0].step));
        }
        if found[0].step == MonthStep::Announce {
            rule = Rule::of(3, &[(january, day)]);
        }
        day = day.plus_ms(DAY_MS);
    }
    // February 1st is the end of the third year after the month; thirty days before that is January 2nd.
    let expected = [
        ("2029-01-01", MonthStep::Kept),
        ("2029-01-02", MonthStep::Announce),
        ("2029-01-03", MonthStep::Waits),
        ("2029-02-01", MonthStep::Destroy),
    ];
    assert_eq!(seen, expected.map(|(day, step)| (day.to_owned(), step)));
}

#[test]
fn a_shorter_setting_destroys_nothing_for_thirty_days() {
    let epochs = months("2020-01-01T00:00:00Z", 60, 0);
    let now = at("2026-01-10T00:00:00Z");
    let before = steps(now, &Rule::of(6, &[]), &epochs, 6);
    assert_eq!(words(&before)[..2], ["announced now", "kept"]);
    let found = steps(now, &Rule::of(6, &[]), &epochs, 3);
    let announced: Vec<&MonthKey> = found.iter().filter(|month| month.step == MonthStep::Announce).collect();
    assert_eq!(announced.len(), 37, "2020-01 to 2023-01, and none is destroyed");
    assert!(found.iter().all(|month| month.step != MonthStep::Destroy));
    assert!(announced.iter().all(|month| month.until >= now.plus_ms(NOTICE_MS)));
    let rule = Rule::of(3, &announced.iter().map(|month| (month.epoch, now)).collect::<Vec<_>>());
    let later = steps(now.plus_ms(NOTICE_MS - 1), &rule, &epochs, 3);
    assert!(later.iter().all(|month| month.step != MonthStep::Destroy));
    let due = steps(now.plus_ms(NOTICE_MS), &rule, &epochs, 3);
    assert_eq!(due.iter().filter(|month| month.step == MonthStep::Destroy).count(), 37);
    // Set back to six years in time, all but the first are kept.
    let back = steps(now.plus_ms(NOTICE_MS), &rule, &epochs, 6);
    assert_eq!(words(&back)[..3], ["destroyed now", "announced", "kept"]);
}

#[test]
fn a_clock_that_was_ahead_destroys_nothing() {
    let epochs = months("2026-01-01T00:00:00Z", 3, 0);
    let ahead = at("2040-01-01T00:00:00Z");
    let found = steps(ahead, &Rule::of(3, &[]), &epochs, 3);
    // Two are announced; the newest is never destroyed, whatever the clock says.
    assert_eq!(words(&found), ["announced now", "announced now", "kept"]);
    let rule = Rule::of(3, &[(epochs[0].0, ahead), (epochs[1].0, ahead)]);
    let right = steps(at("2026-03-05T00:00:00Z"), &rule, &epochs, 3);
    assert_eq!(words(&right), ["kept", "kept", "kept"]);
    // And what was announced in the future counts for nothing when the time has come.
    let due = steps(at("2029-02-05T00:00:00Z"), &rule, &epochs, 3);
    assert_eq!(words(&due), ["announced now", "announced now", "kept"]);
}

#[test]
fn months_end_in_their_order() {
    let epochs = months("2020-01-01T00:00:00Z", 5, 1);
    let now = at("2026-01-01T00:00:00Z");
    let old = now.plus_ms(-2 * NOTICE_MS);
    let rule = Rule::of(3, &[(epochs[1].0, now.plus_ms(-DAY_MS)), (epochs[2].0, old), (epochs[3].0, old)]);
    assert_eq!(words(&steps(now, &rule, &epochs, 3)), ["destroyed", "announced", "announced", "announced", "kept"]);
}

#[test]
fn years_out_of_bounds_are_refused() {
    for (years, allowed) in [(0, false), (2, false), (3, true), (6, true), (20, true), (21, false), (u16::MAX, false)] {
        assert_eq!(check_years(years).is_ok(), allowed, "{years}");
    }
}
