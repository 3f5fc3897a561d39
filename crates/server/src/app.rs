//! What all requests share.

use crate::body::BodyRoom;
use crate::config::Limits;
use crate::error::ApiError;
use crate::feeds::Feeds;
use crate::imports::Imports;
use crate::lockout::Lockout;
use crate::metrics::Metrics;
use crate::people::People;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tacet_report::ReportSettings;
use tacet_types::{Clock, Rng};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time and randomness, as the binary or a test gives them.
#[derive(Clone)]
pub struct Environment {
    /// For expiries and locks.
    pub clock: Arc<dyn Clock>,
    /// For operation ids.
    pub rng: Arc<dyn Rng>,
}

pub(crate) struct App<S> {
    pub(crate) service: S,
    pub(crate) base_url: String,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lockout: Lockout,
    pub(crate) bodies: BodyRoom,
    pub(crate) turns: Turns,
    pub(crate) capability: Bytes,
    pub(crate) stopping: AtomicBool,
    pub(crate) imports: Imports,
    /// Accounts, sessions and apps of people. None: there are tokens of machines and nothing else.
    pub(crate) people: Option<Arc<People>>,
    /// Whether anybody may fetch the files of the published ledger.
    pub(crate) log_public: bool,
    /// How the patient's own report is made.
    pub(crate) report: ReportSettings,
    /// Messages of feeds.
    pub(crate) feeds: Feeds,
    /// Whether the sessions that there were before the lockdown in force have ended.
    pub(crate) sessions_cut: AtomicBool,
    /// Files of copies that are sent at a time.
    pub(crate) downloads: Arc<Semaphore>,
}

/// The queue before the handlers: so many at work, so many waiting, the rest told to come again.
pub(crate) struct Turns {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Turns {
    pub(crate) fn new(handlers_max: usize, waiting_max: usize) -> Self {
        let handlers_max = handlers_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { running: Arc::new(Semaphore::new(handlers_max)), waiting: AtomicUsize::new(0), waiting_max }
    }

    /// Waits for a turn. It lasts as long as what is returned.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if let Ok(turn) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(turn);
        }
        let _place = Place::take(self)?;
        Arc::clone(&self.running).acquire_owned().await.map_err(|_| ApiError::busy())
    }
}

/// A place in the queue, given back also where the client goes away while it waits.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(turns: &'a Turns) -> Result<Self, ApiError> {
        let before = turns.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(&turns.waiting);
        if before < turns.waiting_max { Ok(place) } else { Err(ApiError::busy()) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_queue_is_bounded_and_its_places_come_back() {
        let turns = Arc::new(Turns::new(1, 1));
        let running = turns.take().await.unwrap();
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take().await.is_ok() }
        });
        while turns.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(turns.take().await.is_err(), "the queue is full");
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 1, "the refused one left no trace");
        drop(running);
        assert!(waiting.await.unwrap());
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
        assert!(turns.take().await.is_ok());
    }
}
