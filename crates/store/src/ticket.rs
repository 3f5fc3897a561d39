//! A place in the queue: waited for by a thread, or awaited by any executor. Not a general channel: one value, once.

use crate::error::StoreError;
use crate::store::Committed;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

type Answer<O> = Result<Committed<O>, StoreError>;

struct Slot<O> {
    answer: Option<Answer<O>>,
    waker: Option<Waker>,
    answered: bool,
}

struct Shared<O> {
    slot: Mutex<Slot<O>>,
    changed: Condvar,
}

impl<O> Shared<O> {
    fn lock(&self) -> MutexGuard<'_, Slot<O>> {
        // Nothing panics while it holds this lock, and the slot is whole at any time.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a commit, when it comes. Dropping it does not take the commit back.
#[must_use = "a commit is durable only once its ticket says so"]
pub struct Ticket<O>(Arc<Shared<O>>);

/// The committer's end of a ticket. Dropped unanswered, it answers [`StoreError::Failed`].
pub(crate) struct Answerer<O>(Arc<Shared<O>>);

/// A ticket and its answerer.
pub(crate) fn ticket<O>() -> (Answerer<O>, Ticket<O>) {
    let slot = Mutex::new(Slot { answer: None, waker: None, answered: false });
    let shared = Arc::new(Shared { slot, changed: Condvar::new() });
    (Answerer(Arc::clone(&shared)), Ticket(shared))
}

impl<O> Ticket<O> {
    /// A ticket whose answer is there: of somebody who decides before the store whether a commit is taken.
    pub fn refused(error: StoreError) -> Self {
        let (answerer, ticket) = ticket();
        answerer.answer(Err(error));
        ticket
    }

    /// Blocks until the commit is durable, or refused.
    pub fn wait(self) -> Answer<O> {
        let mut slot = self.0.lock();
        loop {
            if let Some(answer) = slot.answer.take() {
                return answer;
            }
            slot = self.0.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<O> Future for Ticket<O> {
    type Output = Answer<O>;

    /// Ready once; polled after that, it stays pending for ever.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock();
        match slot.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<O> Answerer<O> {
    pub(crate) fn answer(self, answer: Answer<O>) {
        self.set(answer);
    }

    fn set(&self, answer: Answer<O>) {
        let mut slot = self.0.lock();
        if slot.answered {
            return;
        }
        slot.answered = true;
        slot.answer = Some(answer);
        let waker = slot.waker.take();
        drop(slot);
        self.0.changed.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<O> Drop for Answerer<O> {
    fn drop(&mut self) {
        self.set(Err(StoreError::Failed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use tacet_types::Sequence;

    struct CountedWake(AtomicUsize);

    impl Wake for CountedWake {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_future_is_woken_once_and_then_ready() {
        let (answerer, mut ticket) = ticket::<u8>();
        let count = Arc::new(CountedWake(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut ticket).poll(&mut context).is_pending());
        answerer.answer(Ok(Committed { sequence: Some(Sequence(7)), outcome: 9 }));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(Ok(committed)) = Pin::new(&mut ticket).poll(&mut context) else { panic!("not ready") };
        assert_eq!((committed.sequence, committed.outcome), (Some(Sequence(7)), 9));
    }

    #[test]
    fn an_answerer_that_is_dropped_fails_the_ticket() {
        let (answerer, ticket) = ticket::<()>();
        let waiting = std::thread::spawn(move || ticket.wait());
        drop(answerer);
        assert!(matches!(waiting.join().unwrap(), Err(StoreError::Failed)));
    }
}
