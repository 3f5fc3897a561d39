//! Commits on their way into the index.
//!
//! A caller may go away between the moment its commit is handed over and the moment it is durable (a client hangs up, and the server
//! drops what it was doing). The commit happens all the same, so what waits for it must not be lost: a thread takes it over.

use super::Indexing;
use crate::access::CareNews;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tacet_ledger::Receipt;
use tacet_search::Change;
use tacet_store::{Committed, StoreError, Ticket};
use tacet_types::Sequence;

/// Things under way, numbered as they came.
#[derive(Default)]
pub(crate) struct Inflight {
    numbers: Mutex<(u64, BTreeSet<u64>)>,
    left: Condvar,
}

impl Inflight {
    fn enter(&self) -> u64 {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.0;
        numbers.0 += 1;
        numbers.1.insert(number);
        number
    }

    fn leave(&self, number: u64) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
        self.left.notify_all();
    }

    /// Waits for everything that is under way now, not for what comes meanwhile.
    pub(super) fn wait_for_all(&self) {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let until = numbers.0;
        let waited = self.left.wait_while(numbers, |(_, open)| open.first().is_some_and(|first| *first < until));
        drop(waited);
    }
}

/// A commit's place among those under way.
pub(crate) struct Place {
    indexing: Arc<Indexing>,
    number: u64,
}

impl Place {
    pub(super) fn new(indexing: Arc<Indexing>) -> Self {
        let number = indexing.inflight.enter();
        Self { indexing, number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.indexing.inflight.leave(self.number);
    }
}

/// What the thread beside the index does for others.
pub(crate) enum Rest {
    /// Waits for a commit whose caller has gone away, and takes it in.
    Commit {
        /// Answers once it is durable.
        ticket: Ticket<Vec<Receipt>>,
        /// What the index is told.
        changes: Vec<Change>,
        /// What decisions go by from then on.
        news: Option<CareNews>,
        /// Among the commits under way.
        place: Place,
        /// Among those that were left.
        number: u64,
    },
    /// Takes in a commit for which there is no room yet, so that no thread that carries other requests waits for it.
    Apply { sequence: Sequence, changes: Vec<Change>, place: Place, handed: Arc<Handed> },
    /// Waits until there is room in the index.
    Room { indexing: Arc<Indexing>, handed: Arc<Handed> },
    /// Ends.
    Stop,
}

/// A commit that was handed to the thread, as its caller sees it.
#[derive(Default)]
pub(crate) struct Handed(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    done: bool,
    waker: Option<Waker>,
    /// The place among those whose callers went away.
    left: Option<u64>,
}

impl Handed {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut progress = self.progress();
        if progress.done {
            return Poll::Ready(());
        }
        progress.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn finish(&self, indexing: &Indexing) {
        let Progress { waker, left, .. } = std::mem::replace(&mut *self.progress(), Progress::done());
        if let Some(number) = left {
            indexing.left.leave(number);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Progress {
    fn done() -> Self {
        Self { done: true, waker: None, left: None }
    }
}

impl Rest {
    /// Waits for the commit and takes it in. False: there will be no more.
    pub(super) fn finish(self) -> bool {
        match self {
            Self::Commit { ticket, changes, news, place, number } => {
                if let Ok(Committed { sequence: Some(sequence), .. }) = ticket.wait() {
                    news.into_iter().for_each(CareNews::take_in);
                    place.indexing.apply(sequence, changes);
                }
                place.indexing.left.leave(number);
                true
            }
            Self::Apply { sequence, changes, place, handed } => {
                place.indexing.apply(sequence, changes);
                handed.finish(&place.indexing);
                true
            }
            Self::Room { indexing, handed } => {
                indexing.index.wait_for_room();
                handed.finish(&indexing);
                true
            }
            Self::Stop => false,
        }
    }
}

/// A commit that was handed over: ready once it is durable and the index has it.
pub(crate) struct Applying {
    ticket: Option<Ticket<Vec<Receipt>>>,
    changes: Vec<Change>,
    news: Option<CareNews>,
    place: Option<Place>,
    /// Durable, and on its way into the index by the thread.
    waiting: Option<Waiting>,
}

struct Waiting {
    committed: Committed<Vec<Receipt>>,
    handed: Arc<Handed>,
    indexing: Arc<Indexing>,
}

impl Applying {
    pub(crate) fn new(
        ticket: Ticket<Vec<Receipt>>,
        changes: Vec<Change>,
        news: Option<CareNews>,
        place: Option<Place>,
    ) -> Self {
        Self { ticket: Some(ticket), changes, news, place, waiting: None }
    }
}

impl Future for Applying {
    type Output = Result<Committed<Vec<Receipt>>, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(waiting) = this.waiting.take() {
            if waiting.handed.poll(context).is_ready() {
                return Poll::Ready(Ok(waiting.committed));
            }
            this.waiting = Some(waiting);
            return Poll::Pending;
        }
        let Some(ticket) = this.ticket.as_mut() else { return Poll::Pending };
        let Poll::Ready(answer) = Pin::new(ticket).poll(context) else { return Poll::Pending };
        this.ticket = None;
        let place = this.place.take();
        let committed = match answer {
            Ok(committed) => committed,
            Err(error) => return Poll::Ready(Err(error)),
        };
        // Before anything waits for the index: what is durable is decided by.
        this.news.take().into_iter().for_each(CareNews::take_in);
        let (Some(sequence), Some(place)) = (committed.sequence, place) else { return Poll::Ready(Ok(committed)) };
        let Err(changes) = place.indexing.try_apply(sequence, std::mem::take(&mut this.changes)) else {
            return Poll::Ready(Ok(committed));
        };
        let (handed, indexing) = (Arc::<Handed>::default(), Arc::clone(&place.indexing));
        handed.progress().waker = Some(context.waker().clone());
        let rest = Rest::Apply { sequence, changes, place, handed: Arc::clone(&handed) };
        if indexing.rest.send(rest).is_err() {
            // The vault is closed: the next start finds the commit in the change feed.
            return Poll::Ready(Ok(committed));
        }
        this.waiting = Some(Waiting { committed, handed, indexing });
        Poll::Pending
    }
}

impl Drop for Applying {
    fn drop(&mut self) {
        let news = self.news.take();
        let Some(ticket) = self.ticket.take() else { return self.leave_waiting() };
        if let Some(place) = self.place.take() {
            let indexing = Arc::clone(&place.indexing);
            let number = indexing.left.enter();
            let rest = Rest::Commit { ticket, changes: std::mem::take(&mut self.changes), news, place, number };
            if indexing.rest.send(rest).is_err() {
                // The vault is closed: the next start finds the commit in the change feed.
                indexing.left.leave(number);
            }
        } else if let Some(news) = news {
            news.leave(ticket);
        }
    }
}

impl Applying {
    /// What is durable already and waits for room in the index goes on without its caller.
    fn leave_waiting(&mut self) {
        if let Some(Waiting { handed, indexing, .. }) = self.waiting.take() {
            let mut progress = handed.progress();
            if !progress.done {
                progress.waker = None;
                progress.left = Some(indexing.left.enter());
            }
        }
    }
}

/// Ready once the index has room for more.
pub(crate) struct Room {
    indexing: Arc<Indexing>,
    handed: Option<Arc<Handed>>,
}

impl Room {
    pub(super) fn new(indexing: Arc<Indexing>) -> Self {
        Self { indexing, handed: None }
    }
}

impl Future for Room {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(handed) = &self.handed {
            return handed.poll(context);
        }
        if !self.indexing.index.would_wait() {
            return Poll::Ready(());
        }
        let handed = Arc::<Handed>::default();
        handed.progress().waker = Some(context.waker().clone());
        let rest = Rest::Room { indexing: Arc::clone(&self.indexing), handed: Arc::clone(&handed) };
        if self.indexing.rest.send(rest).is_err() {
            // The vault is closed, and says so to who goes on.
            return Poll::Ready(());
        }
        self.handed = Some(handed);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_waits_for_those_before_only() {
        let inflight = Arc::new(Inflight::default());
        let first = inflight.enter();
        let waiting = std::thread::spawn({
            let inflight = Arc::clone(&inflight);
            move || inflight.wait_for_all()
        });
        while Arc::strong_count(&inflight) < 2 {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        let later = inflight.enter();
        assert!(!waiting.is_finished());
        inflight.leave(first);
        waiting.join().unwrap();
        inflight.leave(later);
        inflight.wait_for_all();
    }
}
