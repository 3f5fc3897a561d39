//! Data keys for work on the whole store, taken from the keeper so that those who give care still get theirs.

use crate::disclose::content_sealer;
use crate::error::VaultError;
use crate::layout::{self, ERASED};
use crate::owner::Owner;
use crate::vault::Inner;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tacet_seal::{KeeperError, OnBehalf, Sealer, WrappedKey};

/// Keys held at once.
const KEYS_MAX: usize = 10_000;

/// How long the work rests once the keeper has refused, in milliseconds. In this time keys gather for others.
const REST_MS: u64 = 1000;

/// How often a rest looks whether the vault is closed, in milliseconds.
const REST_STEP_MS: u64 = 50;

/// Name of this work where the keeper counts what it unwraps.
const WORK: &str = "search index";

/// The keys of one run.
pub(crate) struct Keys<'a> {
    inner: &'a Inner,
    stop: &'a AtomicBool,
    known: HashMap<Owner, Option<Sealer>>,
    /// Keys that may be had until the next rest: half of what the keeper gave before it refused. None: it never has.
    allowance: Option<u64>,
    since_rest: u64,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(inner: &'a Inner, stop: &'a AtomicBool) -> Self {
        Self { inner, stop, known: HashMap::new(), allowance: None, since_rest: 0 }
    }

    /// The sealer of an owner's key. None: there is none, or it was destroyed.
    pub(crate) fn of(&mut self, owner: &Owner) -> Result<Option<Sealer>, VaultError> {
        // A run that began before does not go on with what it holds.
        if self.inner.keys_lock.is_locked() {
            self.known.clear();
            return Err(KeeperError::Locked.into());
        }
        if let Some(known) = self.known.get(owner) {
            return Ok(known.clone());
        }
        let row = layout::data_key(&self.inner.keys.row_keys, &owner.label());
        let sealer = match self.inner.store.reader().get(&row)? {
            Some(value) if value != ERASED => {
                let key = self.unwrap(&WrappedKey::from_bytes(value)?, &row)?;
                Some(content_sealer(owner, &key))
            }
            _ => None,
        };
        if self.known.len() >= KEYS_MAX {
            self.known.clear();
        }
        self.known.insert(owner.clone(), sealer.clone());
        Ok(sealer)
    }

    fn unwrap(&mut self, wrapped: &WrappedKey, context: &[u8]) -> Result<tacet_seal::Key, VaultError> {
        if self.allowance.is_some_and(|allowance| self.since_rest >= allowance) {
            self.rest()?;
        }
        loop {
            match self.inner.keeper.unwrap(wrapped, context, OnBehalf::Maintenance(WORK)) {
                Err(KeeperError::RateExceeded { .. }) => {
                    self.allowance = Some((self.since_rest / 2).max(1));
                    self.rest()?;
                }
                other => {
                    self.since_rest += 1;
                    return Ok(other?);
                }
            }
        }
    }

    fn rest(&mut self) -> Result<(), VaultError> {
        self.since_rest = 0;
        for _ in 0..REST_MS.div_ceil(REST_STEP_MS) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(VaultError::Index("the store is being closed"));
            }
            std::thread::sleep(Duration::from_millis(REST_STEP_MS));
        }
        Ok(())
    }
}
