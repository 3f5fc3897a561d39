//! Which operation of a memory engine fails, and how.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an engine is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// A batch appended to the journal.
    Write,
    /// The journal made durable, as a part of a durable write or on its own.
    Sync,
    /// A get or the begin of a scan, of the engine or of a snapshot.
    Read,
    /// The mark beside the engine recorded.
    WitnessWrite,
}

const OPERATIONS: usize = 4;

/// How an operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// An input/output error; nothing happened, but for a sync whose bytes may or may not have reached the disk.
    Fail,
    /// No space is left; nothing happened.
    Full,
    /// For a write: the first `bytes` of the batch reach the journal, then an error, and nothing works any more.
    Tear {
        /// Bytes of the batch that reach the journal.
        bytes: usize,
    },
}

#[derive(Default)]
struct Plan {
    done: [u64; OPERATIONS],
    planned: Vec<(Operation, u64, Effect)>,
    broken: bool,
}

/// A plan of failures, shared by everyone who holds a clone. Empty to begin with.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

impl Faults {
    /// The `nth` operation of this kind from now (0 is the next) has this effect, once.
    pub fn inject(&self, operation: Operation, nth: u64, effect: Effect) {
        let mut plan = self.lock();
        let at = plan.done.get(operation as usize).copied().unwrap_or_default() + nth;
        plan.planned.push((operation, at, effect));
    }

    /// How many operations of this kind were asked for until now.
    pub fn operations(&self, operation: Operation) -> u64 {
        self.lock().done.get(operation as usize).copied().unwrap_or_default()
    }

    /// Forgets what was planned and mends what a tear broke.
    pub fn clear(&self) {
        let mut plan = self.lock();
        plan.planned.clear();
        plan.broken = false;
    }

    /// Counts an operation and says how it fails, if it does.
    pub(super) fn next(&self, operation: Operation) -> Option<Effect> {
        let mut plan = self.lock();
        let done = plan.done.get_mut(operation as usize)?;
        let at = *done;
        *done += 1;
        if plan.broken {
            return Some(Effect::Fail);
        }
        let found = plan.planned.iter().position(|(kind, nth, _)| *kind == operation && *nth == at)?;
        let (_, _, effect) = plan.planned.swap_remove(found);
        plan.broken = matches!(effect, Effect::Tear { .. });
        Some(effect)
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
