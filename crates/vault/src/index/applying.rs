//! Commits on their way into the index.
//!
//! A caller may go away between the moment its commit is handed over and the moment it is durable (a client hangs up, and the server
//! drops what it was doing). The commit happens all the same, so what waits for it must not be lost: a thread takes it over.

use super::Indexing;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll};
use tacet_ledger::Receipt;
use tacet_search::Change;
use tacet_store::{Committed, StoreError, Ticket};

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

/// A commit whose caller has gone away.
pub(crate) enum Rest {
    Commit { ticket: Ticket<Vec<Receipt>>, changes: Vec<Change>, place: Place, number: u64 },
    Stop,
}

impl Rest {
    /// Waits for the commit and takes it in. False: there will be no more.
    pub(super) fn finish(self) -> bool {
        let Self::Commit { ticket, changes, place, number } = self else { return false };
        if let Ok(Committed { sequence: Some(sequence), .. }) = ticket.wait() {
            place.indexing.apply(sequence, changes);
        }
        place.indexing.left.leave(number);
        true
    }
}

/// A commit that was handed over: ready once it is durable and the index has it.
pub(crate) struct Applying {
    ticket: Option<Ticket<Vec<Receipt>>>,
    changes: Vec<Change>,
    place: Option<Place>,
}

impl Applying {
    pub(crate) fn new(ticket: Ticket<Vec<Receipt>>, changes: Vec<Change>, place: Option<Place>) -> Self {
        Self { ticket: Some(ticket), changes, place }
    }
}

impl Future for Applying {
    type Output = Result<Committed<Vec<Receipt>>, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(ticket) = this.ticket.as_mut() else { return Poll::Pending };
        let Poll::Ready(answer) = Pin::new(ticket).poll(context) else { return Poll::Pending };
        this.ticket = None;
        if let (Ok(Committed { sequence: Some(sequence), .. }), Some(place)) = (&answer, &this.place) {
            place.indexing.apply(*sequence, std::mem::take(&mut this.changes));
        }
        this.place = None;
        Poll::Ready(answer)
    }
}

impl Drop for Applying {
    fn drop(&mut self) {
        if let (Some(ticket), Some(place)) = (self.ticket.take(), self.place.take()) {
            let indexing = Arc::clone(&place.indexing);
            let number = indexing.left.enter();
            let rest = Rest::Commit { ticket, changes: std::mem::take(&mut self.changes), place, number };
            if indexing.rest.send(rest).is_err() {
                // The vault is closed: the next start finds the commit in the change feed.
                indexing.left.leave(number);
            }
        }
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
