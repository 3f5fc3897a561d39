//! Counts failed attempts to log in by the address they come from, and shuts an address out for a while after too many.
//!
//! Tokens are 256 random bits, so nobody guesses one: the lock is there to make trying visible and useless all the same, and
//! to keep what is noted of it bounded. A whole ward may stand behind one address, so tokens that have worked from an address
//! go on working while it is locked: one wrong machine does not shut out its neighbours. Any other token is refused from there
//! with the same answer, right or wrong.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tacet_types::Timestamp;

/// Failed attempts from an address after which it is locked: the eleventh is refused unread.
pub(crate) const FAILURES_MAX: u32 = 10;

/// Time within which failures are counted together, in milliseconds.
const WINDOW_MS: i64 = 10 * 60_000;

/// How long an address stays locked, in milliseconds.
const LOCK_MS: i64 = 5 * 60_000;

/// Addresses remembered at a time; beyond it the one that failed longest ago is forgotten.
const SOURCES_MAX: usize = 4096;

/// Pairs of address and token remembered as having worked; beyond it all are forgotten, to be learnt anew.
const KNOWN_MAX: usize = 65_536;

/// Time within which ledger entries about failures are counted together, in milliseconds.
const NOTE_MS: i64 = 60_000;

/// Failures from one address within [`NOTE_MS`] that get an entry each. Those after them are told as a number, with the one that locks or with the
/// next entry.
const NOTES_OF_SOURCE_MAX: u32 = 3;

/// Tokens remembered as having been refused something; beyond it those are forgotten that are to be noted again anyway, and if that is not enough, all.
const REFUSED_MAX: usize = 65_536;

/// Ledger entries about failures within [`NOTE_MS`], all addresses together.
const NOTES_MAX: u32 = 30;

/// Where an attempt comes from: an IPv4 address, or the /64 network of an IPv6 one, since whoever has one has all of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 => v4,
        })
    }
}

#[derive(Clone, Copy)]
struct Tries {
    failures: u32,
    since: Timestamp,
    last: Timestamp,
    locked_until: Option<Timestamp>,
    /// Since when entries are counted, and how many there are since.
    notes: (Timestamp, u32),
    /// Failures that no entry tells of yet.
    untold: u32,
}

#[derive(Default)]
struct State {
    sources: HashMap<Source, Tries>,
    notes: Option<(Timestamp, u32)>,
    /// Tokens whose role was refused something, with when that was last noted.
    refused: HashMap<u64, Timestamp>,
}

/// What follows from a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Failed {
    /// It was the one that locked the address.
    pub(crate) locks: bool,
    /// It is to be written into the ledger, as one of so many that have no entry yet.
    pub(crate) note: Option<u32>,
}

/// What is known of a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// Somebody there tried, and the ledger is to have it.
    Tried,
    /// The same, and the ledger has it already.
    Noted,
    /// A page of another site made a browser try: whoever sits there knows nothing of it and must not be locked out by it. The ledger is
    /// to have it.
    OfAnotherSite,
}

/// The failed attempts of all addresses.
#[derive(Default)]
pub(crate) struct Lockout {
    state: Mutex<State>,
    /// Addresses in `state`, so that the ordinary request, which meets none, takes no lock.
    tracked: AtomicUsize,
    known: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Lockout {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds until this address is let in again; `None` where it is not locked.
    pub(crate) fn locked_s(&self, source: Source, now: Timestamp) -> Option<u64> {
        if self.tracked.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let until = self.state().sources.get(&source)?.locked_until?;
        let left_ms = until.as_ms() - now.as_ms();
        (left_ms > 0).then(|| left_ms.unsigned_abs().div_ceil(1000))
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, source: Source, failure: Failure, now: Timestamp) -> Failed {
        let mut state = self.state();
        let state = &mut *state;
        if !state.sources.contains_key(&source) {
            make_room(&mut state.sources, now);
        }
        let fresh = Tries { failures: 0, since: now, last: now, locked_until: None, notes: (now, 0), untold: 0 };
        let tries = state.sources.entry(source).or_insert(fresh);
        if is_over(tries, now) {
            *tries = Tries { notes: tries.notes, untold: tries.untold, ..fresh };
        }
        tries.last = now;
        let mut locks = false;
        if failure != Failure::OfAnotherSite {
            tries.failures = tries.failures.saturating_add(1);
            locks = tries.failures == FAILURES_MAX;
        }
        if locks {
            tries.locked_until = Some(now.plus_ms(LOCK_MS));
        }
        let note = if failure == Failure::Noted { None } else { tries.note(locks, &mut state.notes, now) };
        self.tracked.store(state.sources.len(), Ordering::Relaxed);
        Failed { locks, note }
    }

    /// Whether to write into the ledger that a token's role did not allow what it was used for: once in a while for each.
    pub(crate) fn refused(&self, token: &str, now: Timestamp) -> bool {
        let mut state = self.state();
        let token = self.hasher.hash_one(token);
        let is_due = |noted: &Timestamp| noted.plus_ms(NOTE_MS) <= now;
        let due = state.refused.get(&token).is_none_or(is_due);
        if due {
            // Apps get a new token every few minutes.
            if state.refused.len() >= REFUSED_MAX {
                state.refused.retain(|_, noted| !is_due(noted));
            }
            if state.refused.len() >= REFUSED_MAX {
                state.refused.clear();
            }
            state.refused.insert(token, now);
        }
        due
    }

    /// Remembers that a token worked from an address.
    pub(crate) fn worked(&self, source: Source, token: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(self.hasher.hash_one((source, token)));
    }

    /// Whether a token has worked from an address before.
    pub(crate) fn is_known(&self, source: Source, token: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&self.hasher.hash_one((source, token)))
    }
}

impl Tries {
    /// Whether an entry is to be written now, and for how many failures it stands.
    fn note(&mut self, locks: bool, all: &mut Option<(Timestamp, u32)>, now: Timestamp) -> Option<u32> {
        self.untold = self.untold.saturating_add(1);
        if self.notes.0.plus_ms(NOTE_MS) <= now {
            self.notes = (now, 0);
        }
        let due = locks || self.notes.1 < NOTES_OF_SOURCE_MAX;
        (due && take_note(all, now)).then(|| {
            self.notes.1 += 1;
            std::mem::take(&mut self.untold)
        })
    }
}

/// Whether what is remembered of an address has lost its meaning.
fn is_over(tries: &Tries, now: Timestamp) -> bool {
    match tries.locked_until {
        Some(until) => until <= now,
        None => tries.since.plus_ms(WINDOW_MS) <= now,
    }
}

fn make_room(sources: &mut HashMap<Source, Tries>, now: Timestamp) {
    if sources.len() < SOURCES_MAX {
        return;
    }
    sources.retain(|_, tries| !is_over(tries, now));
    if sources.len() >= SOURCES_MAX {
        // Of those not locked first: filling the table with other addresses must not open a lock while it can be helped.
        let oldest = sources.iter().min_by_key(|(_, tries)| (tries.locked_until.is_some(), tries.last));
        if let Some(oldest) = oldest.map(|(source, _)| *source) {
            sources.remove(&oldest);
        }
    }
}

fn take_note(notes: &mut Option<(Timestamp, u32)>, now: Timestamp) -> bool {
    match notes {
        Some((since, count)) if since.plus_ms(NOTE_MS) > now => {
            *count += 1;
            *count <= NOTES_MAX
        }
        _ => {
            *notes = Some((now, 1));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_750_000_000_000;

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn the_eleventh_try_is_refused_until_the_lock_is_over() {
        let (lockout, now) = (Lockout::default(), Timestamp::from_ms(START));
        let here = source("192.0.2.1");
        for failure in 1..=FAILURES_MAX {
            assert_eq!(lockout.locked_s(here, now), None);
            assert_eq!(lockout.failed(here, Failure::Tried, now).locks, failure == FAILURES_MAX);
        }
        assert_eq!(lockout.locked_s(here, now), Some(300));
        assert_eq!(lockout.locked_s(source("192.0.2.2"), now), None);
        assert_eq!(lockout.locked_s(here, now.plus_ms(LOCK_MS)), None);
        assert!(!lockout.failed(here, Failure::Tried, now.plus_ms(LOCK_MS)).locks, "it starts to count anew");
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let (lockout, here) = (Lockout::default(), source("192.0.2.1"));
        let mut now = Timestamp::from_ms(START);
        for _ in 0..50 {
            assert!(!lockout.failed(here, Failure::Tried, now).locks);
            now = now.plus_ms(WINDOW_MS / 5);
        }
    }

    #[test]
    fn a_network_is_one_source() {
        assert!(source("2001:db8:0:1::1") == source("2001:db8:0:1:ffff::2"));
        assert!(source("2001:db8:0:1::1") != source("2001:db8:0:2::1"));
        assert!(source("::ffff:192.0.2.1") == source("192.0.2.1"));
    }

    #[test]
    fn notes_are_bounded_and_leave_none_out() {
        let (lockout, now) = (Lockout::default(), Timestamp::from_ms(START));
        let one = source("192.0.2.1");
        let fail = |source: Source, now: Timestamp| lockout.failed(source, Failure::Tried, now);
        let told: Vec<u32> = (0..FAILURES_MAX).filter_map(|_| fail(one, now).note).collect();
        assert_eq!(told, [1, 1, 1, 7], "the first ones, and the others with the one that locks");
        assert!((0..1000).all(|_| fail(one, now).note.is_none()));
        let many = (0..10_000u32).map(|n| Source::of(IpAddr::V4(n.into())));
        let noted = many.filter(|source| fail(*source, now).note.is_some()).count();
        assert_eq!(noted, NOTES_MAX as usize - told.len(), "and a bound on all");
        assert!(lockout.state().sources.len() <= SOURCES_MAX);
        assert!(lockout.locked_s(one, now).is_some(), "a flood of addresses opens no lock");
        assert_eq!(fail(source("192.0.2.9"), now.plus_ms(NOTE_MS)).note, Some(1));
        assert_eq!(fail(one, now.plus_ms(LOCK_MS)).note, Some(1001), "told later, where somebody fails again");
    }

    #[test]
    fn another_site_locks_nobody_out_and_what_is_noted_is_not_told_again() {
        let (lockout, here, now) = (Lockout::default(), source("192.0.2.1"), Timestamp::from_ms(START));
        for _ in 0..100 {
            assert!(!lockout.failed(here, Failure::OfAnotherSite, now).locks);
        }
        assert_eq!(lockout.locked_s(here, now), None);
        let there = source("192.0.2.2");
        let failed: Vec<Failed> = (0..FAILURES_MAX).map(|_| lockout.failed(there, Failure::Noted, now)).collect();
        assert!(failed.iter().all(|failed| failed.note.is_none()) && lockout.locked_s(there, now).is_some());
    }

    #[test]
    fn refused_tokens_are_noted_once_in_a_while_and_bounded() {
        let (lockout, now) = (Lockout::default(), Timestamp::from_ms(START));
        assert!(lockout.refused("a", now) && !lockout.refused("a", now) && lockout.refused("b", now));
        assert!(lockout.refused("a", now.plus_ms(NOTE_MS)));
        for token in 0..REFUSED_MAX + 10 {
            assert!(lockout.refused(&format!("t{token}"), now));
        }
        assert!(lockout.state().refused.len() <= REFUSED_MAX);
        let later = now.plus_ms(2 * NOTE_MS);
        assert!((0..REFUSED_MAX + 10).all(|token| lockout.refused(&format!("u{token}"), later)));
        let left = lockout.state().refused.len();
        assert!((1..=REFUSED_MAX).contains(&left));
    }

    #[test]
    fn a_token_is_known_where_it_worked() {
        let lockout = Lockout::default();
        lockout.worked(source("192.0.2.1"), "a");
        assert!(lockout.is_known(source("192.0.2.1"), "a"));
        assert!(!lockout.is_known(source("192.0.2.1"), "b"));
        assert!(!lockout.is_known(source("192.0.2.2"), "a"));
    }
}
