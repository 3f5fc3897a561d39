//! Commits that wait for the committer: two lanes, bounded in number and bytes. Not a general queue: one consumer.

use crate::error::StoreError;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting bulk commit asks again whether the engine has caught up.
const BULK_RETRY: Duration = Duration::from_millis(2);

/// Which lane a commit waits in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    /// Somebody waits for the answer.
    Interactive,
    /// An import; held back while the engine is busy.
    Bulk,
}

/// Bounds of a queue, or of what is taken from it at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) commits: usize,
    pub(crate) bytes: usize,
}

struct Lanes<T> {
    interactive: VecDeque<(T, usize)>,
    bulk: VecDeque<(T, usize)>,
    interactive_bytes: usize,
    bulk_bytes: usize,
    closed: bool,
}

pub(crate) struct Queue<T> {
    lanes: Mutex<Lanes<T>>,
    bounds: Bounds,
    filled: Condvar,
    emptied: Condvar,
}

impl<T> Queue<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let lanes = Lanes {
            interactive: VecDeque::new(),
            bulk: VecDeque::new(),
            interactive_bytes: 0,
            bulk_bytes: 0,
            closed: false,
        };
        Self { lanes: Mutex::new(lanes), bounds, filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// Adds an item of `bytes`, waiting while its lane is full; one that is larger than the lane waits for it to be empty.
    /// A closed queue hands it to `refuse`.
    pub(crate) fn push(&self, lane: Lane, item: T, bytes: usize, refuse: impl FnOnce(T, StoreError)) {
        let mut lanes = self.lock();
        loop {
            if lanes.closed {
                drop(lanes);
                return refuse(item, StoreError::Closed);
            }
            let (items, used) = match lane {
                Lane::Interactive => (lanes.interactive.len(), lanes.interactive_bytes),
                Lane::Bulk => (lanes.bulk.len(), lanes.bulk_bytes),
            };
            if items == 0 || (items < self.bounds.commits && used.saturating_add(bytes) <= self.bounds.bytes) {
                break;
            }
            lanes = self.emptied.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
        match lane {
            Lane::Interactive => {
                lanes.interactive.push_back((item, bytes));
                lanes.interactive_bytes += bytes;
            }
            Lane::Bulk => {
                lanes.bulk.push_back((item, bytes));
                lanes.bulk_bytes += bytes;
            }
        }
        drop(lanes);
        self.filled.notify_one();
    }

    /// Takes what is there: interactive items within `group`, and bulk ones within `bulk` unless `busy` says otherwise; at
    /// least one of each lane, so that neither starves. Waits until there is something; `None` when the queue is closed and empty.
    pub(crate) fn take(&self, group: Bounds, bulk: Bounds, busy: impl Fn() -> bool) -> Option<Vec<T>> {
        let mut lanes = self.lock();
        loop {
            let mut taken = Vec::new();
            let bulk_waits = !lanes.bulk.is_empty() && !lanes.closed && busy();
            let lanes_now = &mut *lanes;
            drain(&mut lanes_now.interactive, &mut lanes_now.interactive_bytes, group, &mut taken);
            if !bulk_waits {
                drain(&mut lanes_now.bulk, &mut lanes_now.bulk_bytes, bulk, &mut taken);
            }
            if !taken.is_empty() {
                drop(lanes);
                self.emptied.notify_all();
                return Some(taken);
            }
            if lanes.closed && lanes.bulk.is_empty() {
                return None;
            }
            lanes = if bulk_waits {
                self.filled.wait_timeout(lanes, BULK_RETRY).map_or_else(|poison| poison.into_inner().0, |woken| woken.0)
            } else {
                self.filled.wait(lanes).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Refuses further items; what waits is still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves items from a lane within `bounds`; the first always fits.
fn drain<T>(lane: &mut VecDeque<(T, usize)>, lane_bytes: &mut usize, bounds: Bounds, taken: &mut Vec<T>) {
    let (mut items, mut total) = (0, 0);
    while items == 0 || items < bounds.commits {
        let fits = lane.front().is_some_and(|(_, bytes)| items == 0 || total + bytes <= bounds.bytes);
        let Some((item, bytes)) = fits.then(|| lane.pop_front()).flatten() else { return };
        *lane_bytes = lane_bytes.saturating_sub(bytes);
        total += bytes;
        items += 1;
        taken.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const GROUP: Bounds = Bounds { commits: 3, bytes: 10 };

    fn refuse(_: u32, error: StoreError) {
        panic!("refused: {error}");
    }

    #[test]
    fn what_is_taken_is_bounded_and_in_order() {
        let queue = Queue::new(Bounds { commits: 10, bytes: 1000 });
        for (item, bytes) in [(1, 2), (2, 2), (3, 2), (4, 9), (5, 2), (6, 50)] {
            queue.push(Lane::Interactive, item, bytes, refuse);
        }
        queue.close();
        for expected in [vec![1, 2, 3], vec![4], vec![5], vec![6]] {
            assert_eq!(queue.take(GROUP, GROUP, || false), Some(expected));
        }
        assert_eq!(queue.take(GROUP, GROUP, || false), None);
        let mut refused = None;
        queue.push(Lane::Interactive, 7, 1, |item, error| refused = Some((item, error)));
        assert!(matches!(refused, Some((7, StoreError::Closed))));
    }

    #[test]
    fn bulk_waits_behind_the_interactive_and_while_the_engine_is_busy() {
        let queue = Queue::new(Bounds { commits: 10, bytes: 1000 });
        queue.push(Lane::Bulk, 1, 1, refuse);
        queue.push(Lane::Interactive, 2, 1, refuse);
        assert_eq!(queue.take(GROUP, GROUP, || true), Some(vec![2]));
        queue.push(Lane::Interactive, 3, 1, refuse);
        assert_eq!(queue.take(GROUP, GROUP, || false), Some(vec![3, 1]));
    }

    #[test]
    fn a_large_bulk_item_does_not_wait_for_a_quiet_moment() {
        let queue = Queue::new(Bounds { commits: 10, bytes: 1000 });
        for (lane, item, bytes) in [(Lane::Bulk, 1, 500), (Lane::Bulk, 2, 1), (Lane::Interactive, 3, 9)] {
            queue.push(lane, item, bytes, refuse);
        }
        assert_eq!(queue.take(GROUP, GROUP, || false), Some(vec![3, 1]));
        assert_eq!(queue.take(GROUP, GROUP, || false), Some(vec![2]));
    }

    #[test]
    fn a_full_lane_makes_the_next_wait() {
        let queue = Arc::new(Queue::new(Bounds { commits: 2, bytes: 100 }));
        queue.push(Lane::Interactive, 1, 1, refuse);
        queue.push(Lane::Interactive, 2, 1, refuse);
        let pushing = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(Lane::Interactive, 3, 1, refuse)
        });
        // The third is not there before room is made, whenever the thread runs.
        assert_eq!(queue.take(GROUP, GROUP, || false), Some(vec![1, 2]));
        pushing.join().unwrap();
        assert_eq!(queue.take(GROUP, GROUP, || false), Some(vec![3]));
    }
}
