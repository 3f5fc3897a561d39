//! The moment for which something is asked, and the first later one at which the answer may be another.

use crate::facts::Span;
use tacet_types::Timestamp;

/// A moment, and the next boundary of everything that was held against it.
pub(crate) struct Moments {
    now: i64,
    next: i64,
}

impl Moments {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { now: now.as_ms(), next: i64::MAX }
    }

    /// Milliseconds since 1970 UTC.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now
    }

    /// Whether the moment is within a span, both ends included. Notes when that changes.
    pub(crate) fn within(&mut self, span: Span) -> bool {
        if self.now < span.0 {
            // An empty span never begins.
            if span.0 <= span.1 {
                self.note(span.0);
            }
            false
        } else if self.now <= span.1 {
            self.note(span.1.saturating_add(1));
            true
        } else {
            false
        }
    }

    /// Notes a moment at which the answer may change.
    pub(crate) fn note(&mut self, at: i64) {
        if at > self.now {
            self.next = self.next.min(at);
        }
    }

    /// The first noted moment that is later; none if there is none.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        (self.next != i64::MAX).then(|| Timestamp::from_ms(self.next))
    }
}
