//! Signs that are no files: the clock, the disk, and how much one caller changes.

use crate::{Alarm, Grade, Wire};
use std::collections::HashMap;

/// How far the clock may go astray between two looks, in milliseconds. Synchronised clocks are held to far less.
const CLOCK_ASTRAY_MS_MAX: i64 = 120_000;

/// Room below which the disk counts as nearly full: a twentieth of it, or so many bytes.
const DISK_SHARE: u64 = 20;
const DISK_BYTES_MIN: u64 = 1 << 30;

/// How long it is silent about the disk after it said so, in milliseconds: an hour.
const DISK_SILENCE_MS: i64 = 3_600_000;

/// How long it is silent about one caller after it said so, in milliseconds: ten minutes, as long as they are counted for.
const REWRITE_WINDOW_MS: i64 = 600_000;

/// Callers that are counted at most. Beyond, who has changed least is forgotten.
const CALLERS_MAX: usize = 1_000;

/// Holds the clock against one that nobody sets.
#[derive(Debug, Default)]
pub struct ClockGauge(Option<(i64, i64)>);

impl ClockGauge {
    /// `wall_ms`: the time of the clock; `steady_ms`: that of a clock that only goes forward.
    pub fn look(&mut self, wall_ms: i64, steady_ms: i64) -> Option<Alarm> {
        let (wall, steady) = self.0.replace((wall_ms, steady_ms))?;
        let astray = wall_ms.saturating_sub(wall).saturating_sub(steady_ms.saturating_sub(steady));
        if astray.unsigned_abs() <= CLOCK_ASTRAY_MS_MAX.unsigned_abs() {
            return None;
        }
        let way = if astray < 0 { "back" } else { "forward" };
        let detail = format!("the clock was set {way} by {} s", astray.unsigned_abs() / 1000);
        Some(Alarm { wire: Wire::Clock, grade: Grade::Soft, count: 1, detail })
    }
}

/// Says when the disk is nearly full.
#[derive(Debug, Default)]
pub struct DiskGauge(Option<i64>);

impl DiskGauge {
    /// `free` and `all`, in bytes.
    pub fn look(&mut self, now_ms: i64, free: u64, all: u64) -> Option<Alarm> {
        if free >= (all / DISK_SHARE).min(DISK_BYTES_MIN.saturating_mul(10)).max(DISK_BYTES_MIN.min(all / 10)) {
            self.0 = None;
            return None;
        }
        if self.0.is_some_and(|said| now_ms.saturating_sub(said) < DISK_SILENCE_MS) {
            return None;
        }
        self.0 = Some(now_ms);
        let detail = format!("{} MiB are left on the disk of the data directory", free >> 20);
        Some(Alarm { wire: Wire::DiskLow, grade: Grade::Soft, count: 1, detail })
    }
}

/// Counts what each caller changes and deletes of what was there before.
#[derive(Debug)]
pub struct RewriteGauge {
    callers: HashMap<String, Counted>,
    max: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    since_ms: i64,
    changes: u64,
    said: bool,
}

impl RewriteGauge {
    /// One that speaks beyond `max` changes of one caller within ten minutes; 0: never.
    pub fn new(max: u64) -> Self {
        Self { callers: HashMap::new(), max }
    }

    /// A commit that changed or deleted so many records. `caller`: an id that says nothing to others.
    pub fn changed(&mut self, now_ms: i64, caller: &str, changes: u64) -> Option<Alarm> {
        if self.max == 0 || changes == 0 {
            return None;
        }
        if !self.callers.contains_key(caller) && self.callers.len() >= CALLERS_MAX {
            self.callers.retain(|_, counted| now_ms.saturating_sub(counted.since_ms) < REWRITE_WINDOW_MS);
            if self.callers.len() >= CALLERS_MAX {
                let least =
                    self.callers.iter().min_by_key(|(_, counted)| counted.changes).map(|(name, _)| name.clone());
                least.and_then(|name| self.callers.remove(&name));
            }
        }
        let counted =
            self.callers.entry(caller.to_owned()).or_insert(Counted { since_ms: now_ms, ..Counted::default() });
        if now_ms.saturating_sub(counted.since_ms) >= REWRITE_WINDOW_MS {
            *counted = Counted { since_ms: now_ms, ..Counted::default() };
        }
        counted.changes = counted.changes.saturating_add(changes);
        if counted.changes <= self.max || counted.said {
            return None;
        }
        counted.said = true;
        let detail = format!("{caller} changed or deleted {} records within ten minutes", counted.changes);
        Some(Alarm { wire: Wire::MassRewriting, grade: Grade::Soft, count: counted.changes, detail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_goes() {
        let mut gauge = ClockGauge::default();
        assert_eq!(gauge.look(1_000_000, 0), None);
        assert_eq!(gauge.look(1_000_000 + 3_600_000, 3_600_000 - 500), None, "an hour went by");
        assert!(gauge.look(1_000_000, 3_602_000).unwrap().detail.contains("back by 3602 s"));
        assert_eq!(gauge.look(1_002_000, 3_604_000), None, "said once");
    }

    #[test]
    fn the_disk_is_told_of_once_an_hour() {
        let mut gauge = DiskGauge::default();
        let all = 100 << 30;
        assert_eq!(gauge.look(0, 50 << 30, all), None);
        assert!(gauge.look(0, 1 << 30, all).is_some());
        assert_eq!(gauge.look(1_000, 1 << 30, all), None);
        assert!(gauge.look(DISK_SILENCE_MS, 1 << 30, all).is_some());
        assert_eq!(gauge.look(DISK_SILENCE_MS, 50 << 30, all), None);
        assert!(gauge.look(DISK_SILENCE_MS, 1 << 20, all).is_some(), "low again");
        assert_eq!(gauge.look(DISK_SILENCE_MS, 600 << 20, 4 << 30), None, "a small disk is not always full");
    }

    #[test]
    fn one_caller_who_rewrites_is_told_once_in_ten_minutes() {
        let mut gauge = RewriteGauge::new(100);
        for commit in 0..100 {
            assert_eq!(gauge.changed(commit, "a", 1), None);
            assert_eq!(gauge.changed(commit, &format!("b{commit}"), 90), None);
        }
        assert_eq!(gauge.changed(200, "a", 1).unwrap().count, 101);
        assert_eq!(gauge.changed(201, "a", 500), None);
        assert_eq!(gauge.changed(REWRITE_WINDOW_MS, "a", 50), None, "counted anew");
        assert!(gauge.changed(REWRITE_WINDOW_MS + 1, "a", 51).is_some());
        for caller in 0..CALLERS_MAX as u64 * 2 {
            gauge.changed(REWRITE_WINDOW_MS + 2, &caller.to_string(), 1);
        }
        assert!(gauge.callers.len() <= CALLERS_MAX);
        assert_eq!(RewriteGauge::new(0).changed(0, "a", 1_000_000), None);
    }
}
