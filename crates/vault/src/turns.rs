//! Turns of writers who want to change the same rows.
//!
//! A commit is first tried without one. Who loses lines up for the rows that were contended, so that of many writers for
//! one patient each plans a few times, not once for everybody who was faster. Turns are about fairness and wasted work
//! only: that no writer overwrites another is the business of a commit's preconditions.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tacet_store::{Commit, Precondition};

/// Lines to stand in. Rows are spread over them by their keys, which are keyed hashes; two rows that share a line cost a wait,
/// never a wrong result. Takes about 64 KiB.
const LINES: usize = 1024;

/// Most lines that one commit stands in. One that changes more (an import over what is there) stays out of them: it would
/// hold up everybody.
const LINES_EACH_MAX: usize = 64;

/// The lines of a store.
pub(crate) struct Turns(Box<[Mutex<Line>]>);

#[derive(Default)]
struct Line {
    taken: bool,
    waiting: VecDeque<Arc<Mutex<Waiter>>>,
}

/// Somebody who waits, and who is woken when it is their turn.
#[derive(Default)]
struct Waiter {
    called: bool,
    waker: Option<Waker>,
}

/// The lines in which a commit would stand, in the order in which they are entered. Everybody keeps to that order, so
/// that no two wait for each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    /// The lines of the rows that stand already and that this commit changes.
    pub(crate) fn of<I>(commit: &Commit<I>) -> Self {
        let looked_at: std::collections::HashSet<&[u8]> = commit
            .preconditions
            .iter()
            .filter_map(|precondition| match precondition {
                Precondition::Unchanged { key, .. } => Some(key.as_slice()),
                Precondition::Absent { .. } => None,
            })
            .collect();
        let changed = commit.writes.iter().map(|write| write.key()).filter(|key| looked_at.contains(key));
        let mut lines: Vec<usize> = changed.map(line_of).collect();
        lines.sort_unstable();
        lines.dedup();
        if lines.len() > LINES_EACH_MAX {
            lines.clear();
        }
        Self(lines)
    }
}

impl Lines {
    /// The lines of these names, however many.
    pub(crate) fn of_names<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut lines: Vec<usize> = names.map(line_of).collect();
        lines.sort_unstable();
        lines.dedup();
        Self(lines)
    }
}

/// A row's line, by the last bytes of its key.
fn line_of(key: &[u8]) -> usize {
    key.iter().rev().take(4).fold(0usize, |number, byte| (number << 8) | usize::from(*byte)) % LINES
}

impl Default for Turns {
    fn default() -> Self {
        Self((0..LINES).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    /// Whether anybody has a turn in one of these lines.
    pub(crate) fn taken(&self, lines: &Lines) -> bool {
        lines.0.iter().filter_map(|line| self.0.get(*line)).any(|line| lock(line).taken)
    }

    /// Lines up, and has the turn in all these lines until what it gives is dropped.
    pub(crate) async fn take(&self, lines: &Lines) -> Vec<Turn<'_>> {
        let mut turns = Vec::with_capacity(lines.0.len());
        for line in lines.0.iter().filter_map(|line| self.0.get(*line)) {
            turns.push(Waiting { line, waiter: None, done: false }.await);
        }
        turns
    }
}

/// A turn in one line; dropping it calls the next.
pub(crate) struct Turn<'a>(&'a Mutex<Line>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        call_next(self.0);
    }
}

/// Gives the turn to who has waited longest, or to nobody.
fn call_next(line: &Mutex<Line>) {
    let waker = {
        let mut line = lock(line);
        match line.waiting.pop_front() {
            None => {
                line.taken = false;
                None
            }
            Some(waiter) => {
                let mut waiter = lock(&waiter);
                waiter.called = true;
                waiter.waker.take()
            }
        }
    };
    // Outside of the lock: waking may run what it wakes.
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Somebody in a line, or on the way into it.
struct Waiting<'a> {
    line: &'a Mutex<Line>,
    waiter: Option<Arc<Mutex<Waiter>>>,
    done: bool,
}

impl<'a> Future for Waiting<'a> {
    type Output = Turn<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn<'a>> {
        if let Some(waiter) = &self.waiter {
            let mut waiter = lock(waiter);
            if !waiter.called {
                waiter.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
        } else {
            let mut line = lock(self.line);
            if line.taken {
                let waker = Some(context.waker().clone());
                let waiter = Arc::new(Mutex::new(Waiter { called: false, waker }));
                line.waiting.push_back(Arc::clone(&waiter));
                drop(line);
                self.waiter = Some(waiter);
                return Poll::Pending;
            }
            line.taken = true;
        }
        self.done = true;
        Poll::Ready(Turn(self.line))
    }
}

impl Drop for Waiting<'_> {
    /// Who leaves the line is not called any more; who was called already passes the turn on.
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take().filter(|_| !self.done) else { return };
        let called = {
            let mut line = lock(self.line);
            line.waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
            lock(&waiter).called
        };
        if called {
            call_next(self.line);
        }
    }
}

/// Nothing is left by halves where a thread panics with one of these locks, so its poison says nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pollster::block_on;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tacet_store::Write;

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn turns_come_in_the_order_of_the_line() {
        let (turns, lines) = (Turns::default(), Lines(vec![3, 7]));
        let first = block_on(turns.take(&lines));
        assert!(turns.taken(&Lines(vec![7])) && !turns.taken(&Lines(vec![4])));
        let (mut second, mut third) = (pin!(turns.take(&lines)), pin!(turns.take(&lines)));
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        drop(first);
        assert!(poll(third.as_mut()).is_pending(), "it came later");
        let Poll::Ready(turn) = poll(second.as_mut()) else { panic!("it is its turn") };
        assert!(poll(third.as_mut()).is_pending());
        drop(turn);
        assert!(poll(third.as_mut()).is_ready());
        assert!(!turns.taken(&lines));
    }

    #[test]
    fn who_leaves_holds_up_nobody() {
        let (turns, lines) = (Turns::default(), Lines(vec![0]));
        let first = block_on(turns.take(&lines));
        let (mut left, mut called, mut last) =
            (Box::pin(turns.take(&lines)), Box::pin(turns.take(&lines)), pin!(turns.take(&lines)));
        assert!(
            poll(left.as_mut()).is_pending() && poll(called.as_mut()).is_pending() && poll(last.as_mut()).is_pending()
        );
        drop(left);
        drop(first);
        drop(called); // it had the turn, and did not know yet
        assert!(poll(last.as_mut()).is_ready());
        assert!(!turns.taken(&lines));
    }

    #[test]
    fn one_at_a_time_and_all_in_the_end() {
        let (turns, inside, done) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8usize {
                let (turns, inside, done) = (&turns, &inside, &done);
                scope.spawn(move || {
                    for round in 0..200 {
                        let mut lines = vec![1, 2 + (thread + round) % 3, 9];
                        lines.sort_unstable();
                        let held = block_on(turns.take(&Lines(lines)));
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 1600);
        assert!(!turns.taken(&Lines((0..LINES).collect())));
    }

    #[test]
    fn only_rows_that_stand_and_change_are_lined_up_for() {
        let row = |key: u8| vec![key];
        let unchanged = |key: u8| Precondition::Unchanged { key: row(key), value: vec![1] };
        let put = |key: u8| Write::Put { key: row(key), value: vec![2] };
        let commit = |preconditions, writes| Commit { preconditions, writes, feed: None, item: () };
        let mixed = commit(
            vec![unchanged(5), unchanged(6), Precondition::Absent { key: row(7) }, unchanged(4)],
            vec![put(7), put(6), put(4), put(8)],
        );
        assert_eq!(Lines::of(&mixed), Lines(vec![4, 6]));
        let many = commit((0..65).map(unchanged).collect(), (0..65).map(put).collect());
        assert_eq!(Lines::of(&many), Lines::default());
    }
}
