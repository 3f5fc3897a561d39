//! Remembers that a file was refused: from then on nothing of the index is believed. What is not the files' fault (no room on the
//! disk, too many open files) is counted apart, since it passes.

use crate::error::SearchError;
use crate::sealed::chunk::Refusal;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether a generation can be believed. Once it cannot, it never can again: it must be opened or built anew.
#[derive(Default, Debug)]
pub(crate) struct Latch {
    closed: AtomicBool,
    /// Closed because it fell behind, not because a file was refused.
    behind: AtomicBool,
    /// Another generation is in its place: its files are being removed, and that they are missing is no news.
    retired: AtomicBool,
    refusals: AtomicU64,
    reads_failed: AtomicU64,
    writes_failed: AtomicU64,
}

impl Latch {
    /// Notes a refusal and hands it on. A file that cannot be read at this moment is not refused.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Refusal {
        if refusal == Refusal::NotNow {
            self.reads_failed.fetch_add(1, Ordering::SeqCst);
            return refusal;
        }
        self.closed.store(true, Ordering::SeqCst);
        if !self.retired.load(Ordering::SeqCst) && self.refusals.fetch_add(1, Ordering::SeqCst) == 0 {
            tracing::error!(%refusal, "the search index is damaged and will be built again");
        }
        refusal
    }

    /// Notes that the disk did not take something, and hands that on.
    pub(crate) fn not_written(&self, error: io::Error) -> io::Error {
        self.writes_failed.fetch_add(1, Ordering::SeqCst);
        error
    }

    /// Notes that it cannot be believed for another reason than a file.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Notes that it does not hold what it was told, though its files are sound.
    pub(crate) fn fall_behind(&self) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            self.behind.store(true, Ordering::SeqCst);
            tracing::error!("the search index could not be written for too long and does not answer any more");
        }
    }

    /// Notes that another generation takes its place.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// Whether it answers no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Why not.
    pub(crate) fn error(&self) -> SearchError {
        if self.behind.load(Ordering::SeqCst) { SearchError::Behind } else { SearchError::Damaged }
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::SeqCst)
    }

    /// How often a file could not be read at the moment.
    pub(crate) fn reads_failed(&self) -> u64 {
        self.reads_failed.load(Ordering::SeqCst)
    }

    /// How often something could not be read or written.
    pub(crate) fn troubles(&self) -> u64 {
        self.reads_failed() + self.writes_failed.load(Ordering::SeqCst)
    }

    /// What is told of a failure that came with troubles.
    pub(crate) fn trouble() -> SearchError {
        SearchError::Io(io::Error::from(Refusal::NotNow))
    }
}
