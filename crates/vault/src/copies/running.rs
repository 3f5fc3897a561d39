//! The copies that are being made in this process: how far each is, and how it is told to give up.

use crate::error::VaultError;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When to come again where as many are made as may be, in milliseconds.
const BUSY_RETRY_MS: u64 = 60_000;

/// How far a copy is, and whether it was given up.
#[derive(Default)]
pub(super) struct Progress {
    percent: AtomicU32,
    given_up: Mutex<bool>,
    woken: Condvar,
}

impl Progress {
    pub(super) fn reached(&self, percent: u32) {
        self.percent.store(percent.min(99), Ordering::Relaxed);
    }

    pub(super) fn percent(&self) -> u32 {
        self.percent.load(Ordering::Relaxed)
    }

    pub(super) fn give_up(&self) {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.woken.notify_all();
    }

    pub(super) fn is_given_up(&self) -> bool {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until it is given up.
    pub(super) fn wait(&self, time: Duration) {
        let given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.woken.wait_timeout_while(given_up, time, |given_up| !*given_up));
    }
}

/// The copies that are being made.
#[derive(Default)]
pub(super) struct Running {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Default)]
struct Jobs {
    made: HashMap<String, Arc<Progress>>,
    /// The store is closing: no further one begins.
    closed: bool,
}

/// A place among the copies that are being made, given back also where the making ended in a panic.
pub(super) struct Place {
    running: Arc<Running>,
    id: String,
    pub(super) progress: Arc<Progress>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.jobs().made.remove(&self.id);
        self.running.changed.notify_all();
    }
}

impl Running {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, if fewer than `max` are taken.
    pub(super) fn take(self: &Arc<Self>, id: &str, max: usize) -> Result<Place, VaultError> {
        let mut jobs = self.jobs();
        if jobs.closed || jobs.made.len() >= max {
            return Err(VaultError::Busy { what: "exports that are made", retry_after_ms: BUSY_RETRY_MS });
        }
        let progress = Arc::new(Progress::default());
        jobs.made.insert(id.to_owned(), Arc::clone(&progress));
        Ok(Place { running: Arc::clone(self), id: id.to_owned(), progress })
    }

    /// Gives up every copy that is being made.
    pub(super) fn give_up_all(&self) {
        self.jobs().made.values().for_each(|progress| progress.give_up());
    }

    /// How far a copy is. None: it is not being made.
    pub(super) fn progress(&self, id: &str) -> Option<Arc<Progress>> {
        self.jobs().made.get(id).cloned()
    }

    pub(super) fn give_up(&self, id: &str) {
        if let Some(progress) = self.progress(id) {
            progress.give_up();
        }
    }

    /// Gives up all, lets none begin, and waits for the threads to end, but no longer than `patience`.
    pub(super) fn stop(&self, patience: Duration) {
        let mut jobs = self.jobs();
        jobs.closed = true;
        jobs.made.values().for_each(|progress| progress.give_up());
        drop(self.changed.wait_timeout_while(jobs, patience, |jobs| !jobs.made.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let running = Arc::new(Running::default());
        let (first, second) = (running.take("a", 2).unwrap(), running.take("b", 2).unwrap());
        assert!(matches!(running.take("c", 2), Err(VaultError::Busy { .. })));
        drop(first);
        assert!(running.progress("a").is_none());
        let third = running.take("c", 2).unwrap();
        running.give_up("c");
        assert!(third.progress.is_given_up() && !second.progress.is_given_up());
        third.progress.wait(Duration::from_secs(3600)); // does not wait: it is given up
        drop(third);
        let waiting = std::thread::spawn({
            let running = Arc::clone(&running);
            move || running.stop(Duration::from_secs(3600))
        });
        second.progress.wait(Duration::from_secs(3600));
        drop(second);
        waiting.join().unwrap();
        assert!(running.take("d", 2).is_err(), "closed");
    }
}
