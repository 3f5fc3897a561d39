//! The thread that commits: about once an interval, at once when the overlay has grown, and whenever it is asked.

use crate::error::SearchError;
use crate::index::Inner;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Shortest time between two looks, in milliseconds.
const INTERVAL_MS_MIN: u64 = 10;

/// Tells the thread that there is something to do.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct State {
    wanted: bool,
    stopped: bool,
}

impl Signal {
    /// Asks for a commit now.
    pub(crate) fn wake(&self) {
        self.lock().wanted = true;
        self.changed.notify_all();
    }

    /// Asks the thread to end.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a commit is asked for or the interval is over. Gives whether it was asked for; None: end.
    fn wait(&self, interval: Duration) -> Option<bool> {
        let idle = |state: &mut State| !state.wanted && !state.stopped;
        let waited = self.changed.wait_timeout_while(self.lock(), interval, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!state.stopped).then(|| std::mem::take(&mut state.wanted))
    }
}

/// Starts the thread. It ends when the index is closed or nobody holds it any more.
pub(crate) fn start(inner: &Arc<Inner>, signal: Arc<Signal>, interval_ms: u64) -> Result<JoinHandle<()>, SearchError> {
    let interval = Duration::from_millis(interval_ms.max(INTERVAL_MS_MIN));
    let inner = Arc::downgrade(inner);
    Ok(thread::Builder::new().name("search-commit".into()).spawn(move || run(&inner, &signal, interval))?)
}

fn run(inner: &Weak<Inner>, signal: &Signal, interval: Duration) {
    while let Some(asked) = signal.wait(interval) {
        let Some(inner) = inner.upgrade() else { return };
        let (current, building) = inner.generations();
        if current.is_behind() {
            // What went wrong was logged, and is tried again.
            let _ = current.commit();
        }
        // A generation in the making is not searched: it is committed to bound its memory only.
        if let Some(building) = building.filter(|_| asked) {
            let _ = building.generation.commit();
        }
    }
}
