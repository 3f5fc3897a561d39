//! The keeper that lives in the server's own process.

use super::rate::{Bucket, KeeperLimits};
use super::{KeeperError, KeyKeeper, OnBehalf, UnwrapCounts, WrappedKey};
use crate::derivation::Derivation;
use crate::key::Key;
use crate::root::RootKeys;
use crate::sealer::Sealer;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tacet_types::{Clock, Rng};

/// HKDF label of the key that a root key wraps with. Part of the format.
const WRAP_LABEL: &str = "tacet/keeper/wrap/1";

/// A keeper in the process. It keeps counts and the rate honest against every other part of the program; it cannot
/// against somebody who controls the process's memory (a keeper in a process of its own is for that).
pub struct InProcessKeeper {
    /// Ascending; the last one wraps.
    sealers: Vec<(u32, Sealer)>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    state: Mutex<State>,
}

struct State {
    bucket: Bucket,
    counts: UnwrapCounts,
}

impl InProcessKeeper {
    /// A keeper of these root keys. Nonces are drawn from `rng`, the rate is turned by `clock`.
    pub fn new(root: &RootKeys, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, limits: KeeperLimits) -> Self {
        let sealer = |key: &Key| Sealer::gcm_siv(&Derivation::new(key.as_bytes(), &[]).key(WRAP_LABEL));
        let sealers = root.iter().map(|(generation, key)| (generation, sealer(key))).collect();
        let bucket = Bucket::new(limits, clock.now());
        Self { sealers, clock, rng, state: Mutex::new(State { bucket, counts: UnwrapCounts::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is a few numbers that are never left half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newest(&self) -> Result<&(u32, Sealer), KeeperError> {
        self.sealers.last().ok_or(KeeperError::Unavailable)
    }

    fn open(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Key, KeeperError> {
        let found = wrapped.generation();
        let known = self.sealers.iter().find(|(generation, _)| *generation == found);
        let (_, sealer) = known.ok_or(KeeperError::UnknownGeneration { found })?;
        wrapped.unwrap(sealer, context)
    }
}

impl KeyKeeper for InProcessKeeper {
    fn wrap(&self, key: &Key, context: &[u8]) -> Result<WrappedKey, KeeperError> {
        let (generation, sealer) = self.newest()?;
        WrappedKey::wrap(key, sealer, *generation, context, self.rng.as_ref())
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &[u8], on_behalf: OnBehalf) -> Result<Key, KeeperError> {
        let now = self.clock.now();
        {
            let mut state = self.state();
            let reserved = match on_behalf {
                OnBehalf::LedgerEntry(_) | OnBehalf::Write(_) | OnBehalf::Start => 0,
                OnBehalf::Maintenance(_) => state.bucket.reserve_for_people(),
            };
            // Taken before the key is opened, so that trying out forged keys costs as much as unwrapping true ones.
            if let Err(retry_after_ms) = state.bucket.take(reserved, now) {
                state.counts.refused = state.counts.refused.saturating_add(1);
                return Err(KeeperError::RateExceeded { retry_after_ms });
            }
        }
        let outcome = self.open(wrapped, context);
        let mut state = self.state();
        let counts = &mut state.counts;
        let count = match (&outcome, on_behalf) {
            (Err(_), _) => &mut counts.failed,
            (Ok(_), OnBehalf::LedgerEntry(_)) => &mut counts.ledger_entries,
            (Ok(_), OnBehalf::Write(_)) => &mut counts.writes,
            (Ok(_), OnBehalf::Start) => &mut counts.starts,
            (Ok(_), OnBehalf::Maintenance(_)) => &mut counts.maintenance,
        };
        *count = count.saturating_add(1);
        outcome
    }

    fn rewrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Option<WrappedKey>, KeeperError> {
        // Opened even where nothing is to be done: rotation is a good moment to find a damaged key.
        let key = self.open(wrapped, context)?;
        (wrapped.generation() != self.newest()?.0).then(|| self.wrap(&key, context)).transpose()
    }

    fn counts(&self) -> UnwrapCounts {
        self.state().counts
    }

    fn generation(&self) -> u32 {
        self.sealers.last().map_or(0, |(generation, _)| *generation)
    }
}

impl fmt::Debug for InProcessKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InProcessKeeper(generation {}, {:?})", self.generation(), self.counts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::WRAPPED_KEY_BYTES;
    use tacet_types::{ManualClock, OperationId, SeededRng, Timestamp};

    fn keeper(root: &RootKeys, limits: KeeperLimits) -> (InProcessKeeper, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_ms(0)));
        (InProcessKeeper::new(root, clock.clone(), Arc::new(SeededRng::new(5)), limits), clock)
    }

    fn keys(generations: &[u32]) -> RootKeys {
        RootKeys::for_tests(generations.iter().map(|n| (*n, Key::from_bytes([*n as u8; 32]))).collect())
    }

    #[test]
    fn a_wrapped_key_opens_only_where_it_belongs() {
        let (keeper, _) = keeper(&keys(&[1]), KeeperLimits::default());
        let key = Key::from_bytes([42; 32]);
        let wrapped = keeper.wrap(&key, b"patient 1").unwrap();
        assert_eq!(wrapped.as_bytes().len(), WRAPPED_KEY_BYTES);
        assert_eq!(keeper.unwrap(&wrapped, b"patient 1", OnBehalf::Start).unwrap(), key);
        assert_ne!(keeper.wrap(&key, b"patient 1").unwrap(), wrapped, "a new nonce each time");
        for context in [&b"patient 2"[..], b"patient 1\0", b"patient ", b""] {
            assert_eq!(keeper.unwrap(&wrapped, context, OnBehalf::Start), Err(KeeperError::NotAuthentic));
        }
        assert_eq!(keeper.counts(), UnwrapCounts { starts: 1, failed: 4, ..UnwrapCounts::default() });
        assert_eq!(keeper.counts().unwrapped(), 1);
    }

    #[test]
    fn no_altered_or_cut_wrapped_key_opens() {
        let (keeper, _) = keeper(&keys(&[1]), KeeperLimits::default());
        let wrapped = keeper.wrap(&Key::from_bytes([42; 32]), b"c").unwrap();
        for at in 0..WRAPPED_KEY_BYTES * 8 {
            let mut bytes = wrapped.as_bytes().to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            let outcome = WrappedKey::from_bytes(bytes).and_then(|w| keeper.unwrap(&w, b"c", OnBehalf::Start));
            let expected: fn(&KeeperError) -> bool = match at / 8 {
                0 => |error| matches!(error, KeeperError::Malformed { .. }),
                1..5 => |error| matches!(error, KeeperError::UnknownGeneration { .. }),
                _ => |error| *error == KeeperError::NotAuthentic,
            };
            assert!(outcome.as_ref().is_err_and(expected), "bit {at}: {outcome:?}");
        }
        for length in (0..WRAPPED_KEY_BYTES).chain([WRAPPED_KEY_BYTES + 1]) {
            let mut bytes = wrapped.as_bytes().to_vec();
            bytes.resize(length, 0);
            assert_eq!(WrappedKey::from_bytes(bytes), Err(KeeperError::Malformed { bytes: length }));
        }
    }

    #[test]
    fn rotation_wraps_again_and_keeps_the_key() {
        let (before, _) = keeper(&keys(&[1]), KeeperLimits::default());
        let (during, _) = keeper(&keys(&[1, 2]), KeeperLimits::default());
        let (after, _) = keeper(&keys(&[2]), KeeperLimits::default());
        let key = Key::from_bytes([42; 32]);
        let old = before.wrap(&key, b"c").unwrap();
        assert_eq!(before.rewrap(&old, b"c"), Ok(None));
        assert_eq!(during.generation(), 2);
        assert_eq!(during.unwrap(&old, b"c", OnBehalf::Start).unwrap(), key, "the old one still opens");
        let new = during.rewrap(&old, b"c").unwrap().unwrap();
        assert_eq!((old.generation(), new.generation()), (1, 2));
        assert_eq!(during.rewrap(&new, b"c"), Ok(None));
        assert_eq!(after.unwrap(&new, b"c", OnBehalf::Start).unwrap(), key);
        assert_eq!(after.unwrap(&old, b"c", OnBehalf::Start), Err(KeeperError::UnknownGeneration { found: 1 }));
        assert_eq!(during.rewrap(&old, b"d"), Err(KeeperError::NotAuthentic), "rewrapping keeps the context");
        assert_eq!(during.counts().unwrapped(), 1, "rewrapping lets no key out");
    }

    #[test]
    fn unwraps_are_counted_by_reason_and_bounded() {
        let (keeper, clock) = keeper(&keys(&[1]), KeeperLimits { burst: 4, per_second: 2 });
        let wrapped = keeper.wrap(&Key::from_bytes([42; 32]), b"c").unwrap();
        let take = |on_behalf| keeper.unwrap(&wrapped, b"c", on_behalf).map(|_| ());
        assert_eq!(take(OnBehalf::Maintenance("check")), Ok(()));
        assert_eq!(take(OnBehalf::Maintenance("check")), Ok(()));
        assert_eq!(take(OnBehalf::Maintenance("check")), Err(KeeperError::RateExceeded { retry_after_ms: 500 }));
        assert_eq!(take(OnBehalf::LedgerEntry(7)), Ok(()), "people come before work on the whole store");
        assert_eq!(take(OnBehalf::Write(OperationId([0; 16]))), Ok(()));
        assert_eq!(take(OnBehalf::LedgerEntry(8)), Err(KeeperError::RateExceeded { retry_after_ms: 500 }));
        clock.advance_ms(500);
        assert_eq!(take(OnBehalf::LedgerEntry(8)), Ok(()));
        assert_eq!(
            keeper.counts(),
            UnwrapCounts { ledger_entries: 2, writes: 1, starts: 0, maintenance: 2, refused: 2, failed: 0 }
        );
    }

    #[test]
    fn forged_keys_use_up_the_rate_too() {
        let (keeper, _) = keeper(&keys(&[1]), KeeperLimits { burst: 2, per_second: 1 });
        let wrapped = keeper.wrap(&Key::from_bytes([42; 32]), b"c").unwrap();
        for expected in
            [KeeperError::NotAuthentic, KeeperError::NotAuthentic, KeeperError::RateExceeded { retry_after_ms: 1000 }]
        {
            assert_eq!(keeper.unwrap(&wrapped, b"other", OnBehalf::LedgerEntry(1)), Err(expected));
        }
    }
}
