//! The slow derivation of the ledger's tree while the server runs: an old entry that was changed in place is noticed, within about a day and without
//! anybody asking.
//!
//! One pass after the other, each from the first entry to the newest, at a rate that one pass takes the time that is set. What differs stops disclosures
//! ([`Halt::Altered`]), also after a start. The place is kept in memory: a start begins anew.

use crate::error::VaultError;
use crate::transparency::Halt;
use crate::vault::{Inner, Vault};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tacet_ledger::log::{Walk, Walked};

/// Entries that are derived in a second at least: a ledger of a few million is through within the hour after each start. One core does fifty times as many.
pub const DERIVED_A_SECOND_MIN: u64 = 1_000;

/// Entries that are derived in a second at most, however short the time that is set.
pub const DERIVED_A_SECOND_MAX: u64 = 50_000;

/// Between two steps, in milliseconds.
const STEP_MS: u64 = 1_000;

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DerivationFigures {
    /// Entries of the latest pass that was whole: all of them are those that were signed.
    pub derived: u64,
    /// When that ended, in seconds since 1970.
    pub derived_at_s: u64,
}

/// The thread that derives.
#[derive(Default)]
pub(crate) struct Deriving {
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) figures: Mutex<DerivationFigures>,
}

/// A pass under way, or the rest before the next.
#[derive(Default)]
struct Passes {
    walk: Option<Walk>,
    /// When the pass began, in milliseconds since 1970.
    began_ms: i64,
    failing: bool,
}

/// What is next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// Another step, after a pause.
    Step,
    /// Nothing before this time, in milliseconds since 1970.
    Rest(i64),
    /// Nothing any more: disclosures are stopped.
    End,
}

impl Passes {
    /// One step. `period_s`: how long a pass may take, in seconds.
    fn step(&mut self, inner: &Inner, period_s: u64) -> Result<Next, VaultError> {
        let now_ms = inner.clock.now().as_ms();
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => {
                self.began_ms = now_ms;
                let walk = Walk::begin(inner.store.snapshot()?.as_ref(), &inner.ledger_keys)?;
                if !walk.holds_tiles() && inner.is_published() {
                    tracing::warn!(
                        "the kept tiles of the ledger are not those of a checkpoint that was signed: run `tacet ledger tiles` if `tacet ledger verify` \
                         finds the entries sound"
                    );
                }
                walk
            }
        };
        let a_second = walk.all().div_ceil(period_s.max(1)).clamp(DERIVED_A_SECOND_MIN, DERIVED_A_SECOND_MAX);
        let step = usize::try_from(a_second * STEP_MS / 1000).unwrap_or(usize::MAX);
        match walk.step(inner.store.reader(), step)? {
            Walked::On => {
                self.walk = Some(walk);
                Ok(Next::Step)
            }
            Walked::Whole => {
                let now_s = u64::try_from(inner.clock.now().as_ms() / 1000).unwrap_or_default();
                *inner.deriving.figures.lock().unwrap_or_else(PoisonError::into_inner) =
                    DerivationFigures { derived: walk.all(), derived_at_s: now_s };
                tracing::info!(
                    entries = walk.all(),
                    "the ledger was derived again: its entries are those that were signed"
                );
                let period_ms = i64::try_from(period_s.saturating_mul(1000)).unwrap_or(i64::MAX);
                Ok(Next::Rest(self.began_ms.saturating_add(period_ms)))
            }
            Walked::Altered { from, to } => {
                // What could not be written down is found again by another pass.
                let kept = inner.halt(&Halt::Altered { from, to });
                Ok(if kept { Next::End } else { Next::Rest(now_ms) })
            }
        }
    }
}

impl Vault {
    /// Derives the ledger again, slowly, from now on: all of it once in so many seconds, or at [`DERIVED_A_SECOND_MIN`] where that is faster and
    /// [`DERIVED_A_SECOND_MAX`] where that is slower. What differs stops disclosures. Once; ends with the vault.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn derive_ledger_every(&self, period_s: u64) -> Result<(), VaultError> {
        let (inner, stop) = (Arc::downgrade(&self.0), Arc::clone(&self.0.deriving.stop));
        let mut thread = self.0.deriving.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let started = std::thread::Builder::new()
                .name("ledger-derive".to_owned())
                .spawn(move || derive(&inner, &stop, period_s));
            *thread = Some(started.map_err(|error| VaultError::Unavailable(Box::new(error)))?);
        }
        Ok(())
    }

    /// Derives the ledger's tree again from its entries and says what is wrong. `progress` is told entries done and all.
    pub fn verify_ledger(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<tacet_ledger::Verification, VaultError> {
        let snapshot = self.0.store.snapshot()?;
        Ok(tacet_ledger::verify(snapshot.as_ref(), &self.0.ledger_keys, progress)?)
    }

    /// What the slow derivation has come to.
    pub fn derivation_figures(&self) -> DerivationFigures {
        *self.0.deriving.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Stops the thread.
    pub(crate) fn stop_deriving(&self) {
        self.deriving.stop.store(true, Ordering::Relaxed);
        let thread = self.deriving.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that derives the ledger ended early");
            }
        }
    }
}

/// Goes on until it is told to stop, the vault is gone, or something differs.
fn derive(inner: &Weak<Inner>, stop: &AtomicBool, period_s: u64) {
    let mut passes = Passes::default();
    let mut rest_until_ms = i64::MIN;
    while !stop.load(Ordering::Relaxed) {
        let Some(inner) = inner.upgrade() else { return };
        // A clock that was set back must not make the rest longer than a period.
        let resting = (passes.began_ms..rest_until_ms).contains(&inner.clock.now().as_ms());
        if !resting {
            match passes.step(&inner, period_s) {
                Ok(Next::Step) => passes.failing = false,
                Ok(Next::Rest(until_ms)) => (rest_until_ms, passes.failing) = (until_ms, false),
                Ok(Next::End) => return,
                Err(error) => {
                    if !passes.failing {
                        tracing::error!(%error, "the ledger could not be derived again: it is tried again");
                    }
                    passes = Passes { failing: true, ..Passes::default() };
                }
            }
        }
        drop(inner);
        std::thread::park_timeout(Duration::from_millis(STEP_MS));
    }
}

#[cfg(test)]
mod tests;
