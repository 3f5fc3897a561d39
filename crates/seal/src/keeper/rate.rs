//! The bound on unwraps: a token bucket turned by a clock.

use tacet_types::Timestamp;

/// How fast keys may be had.
///
/// The default is for a hospital: a busy one opens some ten patients a second, and a ward round or the morning shows as
/// a burst. A thief who holds the server gets no more than this, and every key of it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeeperLimits {
    /// Keys that may be had at once after a quiet time. At least 1.
    pub burst: u32,
    /// Keys a second in the long run. At least 1.
    pub per_second: u32,
}

impl Default for KeeperLimits {
    fn default() -> Self {
        Self { burst: 5_000, per_second: 100 }
    }
}

/// The bucket counts thousandths of a key, so that a slow rate still fills it every millisecond.
const MILLI: u64 = 1000;

/// A bucket that starts full.
#[derive(Debug)]
pub(super) struct Bucket {
    limits: KeeperLimits,
    level_milli: u64,
    turned_at: Timestamp,
}

impl Bucket {
    pub(super) fn new(limits: KeeperLimits, now: Timestamp) -> Self {
        let limits = KeeperLimits { burst: limits.burst.max(1), per_second: limits.per_second.max(1) };
        Self { limits, level_milli: u64::from(limits.burst) * MILLI, turned_at: now }
    }

    /// Takes one key, leaving at least `reserved` in the bucket, or says in how many milliseconds one can be had.
    ///
    /// A clock that goes back gives nothing until it has caught up; one that jumps ahead gives at most a full bucket.
    pub(super) fn take(&mut self, reserved: u32, now: Timestamp) -> Result<(), u64> {
        let capacity = u64::from(self.limits.burst) * MILLI;
        let per_ms = u64::from(self.limits.per_second); // keys a second are thousandths of a key a millisecond
        if let Ok(elapsed_ms) = u64::try_from(now.as_ms().saturating_sub(self.turned_at.as_ms())) {
            self.level_milli = self.level_milli.saturating_add(elapsed_ms.saturating_mul(per_ms)).min(capacity);
            self.turned_at = now;
        }
        let needed = u64::from(reserved.min(self.limits.burst - 1)) * MILLI + MILLI;
        if self.level_milli < needed {
            return Err((needed - self.level_milli).div_ceil(per_ms));
        }
        self.level_milli -= MILLI;
        Ok(())
    }

    /// What work on the whole store leaves to people who wait: half the bucket.
    pub(super) fn reserve_for_people(&self) -> u32 {
        self.limits.burst / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = Bucket::new(KeeperLimits { burst: 3, per_second: 4 }, at(0));
        assert_eq!((0..5).map(|_| bucket.take(0, at(0)).is_ok()).filter(|ok| *ok).count(), 3);
        assert_eq!(bucket.take(0, at(0)), Err(250));
        assert_eq!(bucket.take(0, at(249)), Err(1));
        assert_eq!(bucket.take(0, at(250)), Ok(()));
        assert_eq!(bucket.take(0, at(250)), Err(250));
        let had = (0..10_000).filter(|ms| bucket.take(0, at(250 + ms)).is_ok()).count();
        assert!((39..=40).contains(&had), "ten seconds at four a second, not {had}");
    }

    #[test]
    fn what_is_promised_is_kept() {
        let mut bucket = Bucket::new(KeeperLimits { burst: 1, per_second: 3 }, at(0));
        let mut now = 0;
        for _ in 0..50 {
            match bucket.take(0, at(now)) {
                Ok(()) => {}
                Err(retry_after_ms) => {
                    assert!(retry_after_ms > 0);
                    now += i64::try_from(retry_after_ms).unwrap();
                    assert_eq!(bucket.take(0, at(now)), Ok(()), "{now}");
                }
            }
        }
    }

    #[test]
    fn the_clock_cannot_be_used_to_get_more() {
        let mut bucket = Bucket::new(KeeperLimits { burst: 2, per_second: 1 }, at(1000));
        assert!(bucket.take(0, at(i64::MAX)).is_ok() && bucket.take(0, at(i64::MAX)).is_ok());
        assert!(bucket.take(0, at(i64::MAX)).is_err(), "a jump ahead fills the bucket once");
        assert!(bucket.take(0, at(0)).is_err(), "a jump back gives nothing");
        assert!(bucket.take(0, at(i64::MAX)).is_err());
    }

    #[test]
    fn part_can_be_reserved_and_nothing_is_ever_unreachable() {
        let mut bucket = Bucket::new(KeeperLimits { burst: 10, per_second: 1 }, at(0));
        let reserved = bucket.reserve_for_people();
        assert_eq!((0..10).filter(|_| bucket.take(reserved, at(0)).is_ok()).count(), 5);
        assert_eq!((0..10).filter(|_| bucket.take(0, at(0)).is_ok()).count(), 5);
        let mut tiny = Bucket::new(KeeperLimits { burst: 0, per_second: 0 }, at(0));
        assert_eq!(tiny.take(u32::MAX, at(0)), Ok(()));
        assert_eq!(tiny.take(u32::MAX, at(0)), Err(1000));
    }
}
