//! How many tries are left: for each source in memory, and for tries of an account that are under way.
//!
//! A try is counted before its outcome is known and given back when it was good, so that a burst of tries at the same time gets no
//! more of them. Sources are forgotten with the process; failed tries of an account are in its row.

use crate::id::AccountId;
use crate::secret::Hashed;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tacet_types::Timestamp;

/// Most sources that are remembered: beyond, the one whose first try is oldest is forgotten.
pub(crate) const SOURCES_MAX: usize = 20_000;

/// Most devices that are remembered to have logged in.
pub(crate) const DEVICES_MAX: usize = 50_000;

/// From where a try comes. Whoever shares an address with an attacker keeps a device of their own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Source {
    /// An address: of IPv6 the network of 64 bits, which is what one subscriber has.
    Address(IpAddr),
    /// A device that logged in before.
    Device(Hashed),
    /// No address is known.
    Unknown,
}

impl Source {
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) & (u128::MAX << 64);
                Self::Address(IpAddr::V6(Ipv6Addr::from(network)))
            }
            Some(address) => Self::Address(address),
        }
    }
}

#[derive(Clone, Copy)]
struct Tries {
    count: u32,
    first: Timestamp,
    locked_until: Option<Timestamp>,
}

/// The tries of sources.
pub(crate) struct Sources {
    tries: Mutex<HashMap<Source, Tries>>,
    devices: Mutex<HashMap<Hashed, Timestamp>>,
    tries_max: u32,
    lock_ms: i64,
}

impl Sources {
    pub(crate) fn new(tries_max: u32, lock_ms: i64) -> Self {
        Self { tries: Mutex::default(), devices: Mutex::default(), tries_max, lock_ms }
    }

    /// The source that a try counts for: the device, if it logged in before, else the address.
    pub(crate) fn source(&self, address: Option<IpAddr>, device: Option<&Hashed>) -> Source {
        match device {
            Some(device) if lock(&self.devices).contains_key(device) => Source::Device(device.clone()),
            _ => Source::of(address),
        }
    }

    /// Counts a try, or says until when none is accepted.
    pub(crate) fn enter(&self, source: &Source, now: Timestamp) -> Result<(), Timestamp> {
        let mut tries = lock(&self.tries);
        if tries.len() >= SOURCES_MAX && !tries.contains_key(source) {
            tries.retain(|_, tries| now < tries.locked_until.unwrap_or(tries.first.plus_ms(self.lock_ms)));
            if tries.len() >= SOURCES_MAX {
                let oldest = tries.iter().min_by_key(|(_, tries)| tries.first).map(|(source, _)| source.clone());
                oldest.map(|source| tries.remove(&source));
            }
        }
        let of = tries.entry(source.clone()).or_insert(Tries { count: 0, first: now, locked_until: None });
        let over = now >= of.locked_until.unwrap_or_else(|| of.first.plus_ms(self.lock_ms));
        if over {
            *of = Tries { count: 0, first: now, locked_until: None };
        }
        if of.count >= self.tries_max {
            return Err(*of.locked_until.get_or_insert_with(|| now.plus_ms(self.lock_ms)));
        }
        of.count += 1;
        Ok(())
    }

    /// Gives a try back: it was good.
    pub(crate) fn good(&self, source: &Source) {
        let mut tries = lock(&self.tries);
        if let Entry::Occupied(mut of) = tries.entry(source.clone()) {
            of.get_mut().count = of.get().count.saturating_sub(1);
            if of.get().count == 0 {
                of.remove();
            }
        }
    }

    /// Remembers a device that logged in.
    pub(crate) fn remember(&self, device: &Hashed, now: Timestamp) {
        let mut devices = lock(&self.devices);
        if devices.len() >= DEVICES_MAX && !devices.contains_key(device) {
            let oldest = devices.iter().min_by_key(|(_, at)| **at).map(|(device, _)| device.clone());
            oldest.map(|device| devices.remove(&device));
        }
        devices.insert(device.clone(), now);
    }
}

/// Tries of accounts that are under way.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<HashMap<AccountId, u32>>);

/// One try under way: ends when dropped.
pub(crate) struct Try<'a> {
    of: &'a UnderWay,
    account: AccountId,
    /// How many are under way, with this one.
    pub(crate) place: u32,
}

impl UnderWay {
    pub(crate) fn enter(&self, account: &AccountId) -> Try<'_> {
        let mut under_way = lock(&self.0);
        let count = under_way.entry(account.clone()).or_default();
        *count += 1;
        Try { of: self, account: account.clone(), place: *count }
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.of.0);
        if let Entry::Occupied(mut count) = under_way.entry(self.account.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK_MS: i64 = 900_000;

    fn source(n: u32) -> Source {
        Source::of(Some(IpAddr::V4(n.into())))
    }

    #[test]
    fn the_eleventh_try_is_refused_until_a_named_time() {
        let sources = Sources::new(10, LOCK_MS);
        let now = Timestamp::from_ms(0);
        for _ in 0..10 {
            sources.enter(&source(1), now).unwrap();
        }
        let until = sources.enter(&source(1), now).unwrap_err();
        assert_eq!(until, now.plus_ms(LOCK_MS));
        assert_eq!(sources.enter(&source(1), now.plus_ms(LOCK_MS - 1)), Err(until), "a lock is not made longer");
        sources.enter(&source(2), now).unwrap();
        sources.enter(&source(1), until).unwrap();
    }

    #[test]
    fn good_tries_do_not_count() {
        let sources = Sources::new(2, LOCK_MS);
        let now = Timestamp::from_ms(0);
        for _ in 0..100 {
            sources.enter(&source(1), now).unwrap();
            sources.good(&source(1));
        }
        sources.enter(&source(1), now).unwrap();
        sources.enter(&source(1), now).unwrap();
        assert!(sources.enter(&source(1), now).is_err());
    }

    #[test]
    fn a_network_is_one_source_and_a_known_device_is_its_own() {
        let of = |text: &str| Source::of(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        let sources = Sources::new(1, LOCK_MS);
        let (device, address) = (Hashed::of(b"d"), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(sources.source(address, Some(&device)), Source::of(address));
        sources.remember(&device, Timestamp::from_ms(0));
        assert_eq!(sources.source(address, Some(&device)), Source::Device(device));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let sources = Sources::new(10, LOCK_MS);
        for n in 0..SOURCES_MAX as u32 + 50 {
            sources.enter(&source(n), Timestamp::from_ms(i64::from(n))).unwrap();
        }
        assert_eq!(lock(&sources.tries).len(), SOURCES_MAX);
        let way = UnderWay::default();
        let id = AccountId::parse("a").unwrap();
        let first = way.enter(&id);
        assert_eq!((first.place, way.enter(&id).place), (1, 2));
        drop(first);
        assert!(lock(&way.0).is_empty());
    }
}
