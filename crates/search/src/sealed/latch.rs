//! Remembers that a file was refused: from then on nothing of the index is believed.

use crate::sealed::chunk::Refusal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether a file of a generation was refused. It never goes back: the generation must be built anew.
#[derive(Default, Debug)]
pub(crate) struct Latch {
    damaged: AtomicBool,
    refusals: AtomicU64,
}

impl Latch {
    /// Notes a refusal and hands it on.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Refusal {
        self.damaged.store(true, Ordering::SeqCst);
        if self.refusals.fetch_add(1, Ordering::SeqCst) == 0 {
            tracing::error!(%refusal, "the search index is damaged and will be built again");
        }
        refusal
    }

    /// Notes that it cannot be believed for another reason than a file.
    pub(crate) fn close(&self) {
        self.damaged.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::SeqCst)
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::SeqCst)
    }
}
