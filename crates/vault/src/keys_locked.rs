//! The key keeper behind a lock: once locked, the root key is dropped and no data key is had from it any more, until the store is opened anew.
//!
//! What was derived from the establishment's key at the start stays, because the ledger, accounts and approvals are sealed by it, and without
//! them nobody could lift a lockdown. No record opens by it alone.

use std::sync::{Arc, PoisonError, RwLock};
use tacet_seal::{KeeperError, Key, KeyKeeper, OnBehalf, UnwrapCounts, WrappedKey};

/// A keeper that can be locked, for good.
pub(crate) struct LockableKeeper(RwLock<State>);

enum State {
    Open(Arc<dyn KeyKeeper>),
    /// What there was to tell when it was locked.
    Locked(UnwrapCounts, u32),
}

impl LockableKeeper {
    pub(crate) fn new(keeper: Arc<dyn KeyKeeper>) -> Self {
        Self(RwLock::new(State::Open(keeper)))
    }

    /// Drops the keeper. What is under way with it ends first.
    pub(crate) fn lock(&self) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(keeper) = &*state {
            *state = State::Locked(keeper.counts(), keeper.generation());
        }
    }

    /// Whether it was locked.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(*self.0.read().unwrap_or_else(PoisonError::into_inner), State::Locked(..))
    }

    fn with<T>(&self, act: impl FnOnce(&dyn KeyKeeper) -> Result<T, KeeperError>) -> Result<T, KeeperError> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(keeper) => act(keeper.as_ref()),
            State::Locked(..) => Err(KeeperError::Locked),
        }
    }
}

impl KeyKeeper for LockableKeeper {
    fn wrap(&self, key: &Key, context: &[u8]) -> Result<WrappedKey, KeeperError> {
        self.with(|keeper| keeper.wrap(key, context))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &[u8], on_behalf: OnBehalf) -> Result<Key, KeeperError> {
        self.with(|keeper| keeper.unwrap(wrapped, context, on_behalf))
    }

    fn rewrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Option<WrappedKey>, KeeperError> {
        self.with(|keeper| keeper.rewrap(wrapped, context))
    }

    fn counts(&self) -> UnwrapCounts {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(keeper) => keeper.counts(),
            State::Locked(counts, _) => *counts,
        }
    }

    fn generation(&self) -> u32 {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(keeper) => keeper.generation(),
            State::Locked(_, generation) => *generation,
        }
    }
}
