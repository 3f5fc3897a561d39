//! How often an address may ask for what anybody may ask for: a bound on noise, not on guessing (see `lockout`).

use crate::lockout::Source;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tacet_types::Timestamp;

/// Time within which requests are counted together, in milliseconds.
const WINDOW_MS: i64 = 60_000;

/// Addresses remembered at a time; beyond it all are forgotten.
const SOURCES_MAX: usize = 10_000;

/// What is counted apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// Registrations of apps: each leaves a row.
    Registration,
    /// Logins at other providers: each leaves a row, and may ask the provider.
    Elsewhere,
    /// Pages, logins and requests of apps.
    Visit,
}

impl Kind {
    /// Requests from one address within [`WINDOW_MS`]. A whole hospital may stand behind one.
    fn most(self) -> u32 {
        match self {
            Self::Registration => 10,
            Self::Elsewhere => 60,
            Self::Visit => 1200,
        }
    }
}

/// The counts.
#[derive(Default)]
pub(crate) struct Rates(Mutex<HashMap<(Source, Kind), (Timestamp, u32)>>);

impl Rates {
    /// Counts a request. `None`: it may be answered; else after how many seconds the next one may.
    pub(crate) fn over_s(&self, source: Source, kind: Kind, now: Timestamp) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= SOURCES_MAX && !counts.contains_key(&(source, kind)) {
            counts.clear();
        }
        let (since, count) = counts.entry((source, kind)).or_insert((now, 0));
        if now >= since.plus_ms(WINDOW_MS) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        let left_ms = since.plus_ms(WINDOW_MS).as_ms() - now.as_ms();
        (*count > kind.most()).then(|| left_ms.unsigned_abs().div_ceil(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_heard_so_often_in_a_minute() {
        let rates = Rates::default();
        let (here, now) = (Source::of("192.0.2.1".parse().unwrap()), Timestamp::from_ms(0));
        for _ in 0..10 {
            assert_eq!(rates.over_s(here, Kind::Registration, now), None);
        }
        assert_eq!(rates.over_s(here, Kind::Registration, now), Some(60));
        assert_eq!(rates.over_s(here, Kind::Visit, now), None);
        assert_eq!(rates.over_s(Source::of("192.0.2.2".parse().unwrap()), Kind::Registration, now), None);
        assert_eq!(rates.over_s(here, Kind::Registration, now.plus_ms(WINDOW_MS)), None);
    }
}
