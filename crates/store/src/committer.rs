//! The two threads behind a store.
//!
//! ```text
//! submit -> queue -> committer: check, put in order, one durable batch -> acknowledger: mark durable -> tickets
//! ```
//!
//! The committer takes whatever was queued while it wrote the group before; it never waits for company. While the
//! acknowledger makes the mark of one group durable, the committer already writes the next, so that the two syncs of a
//! group cost latency and not throughput. The mark is recorded after the group is durable and before anybody is told:
//! it is never ahead of the engine, and never behind what was acknowledged.

use crate::chain::Link;
use crate::engine::{Durability, Engine, Mark, Pressure, Write};
use crate::error::StoreError;
use crate::group::Group;
use crate::queue::{Bounds, Queue};
use crate::rows::{check_write, feed_key};
use crate::store::{Commit, Committed, Sequencer};
use crate::ticket::Answerer;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use tacet_types::Sequence;

/// Groups that may be durable in the engine while their mark is not yet. Two would do; a few more even out hiccups.
pub(crate) const GROUPS_UNACKNOWLEDGED_MAX: usize = 4;

/// One submitted commit.
pub(crate) struct Job<S: Sequencer> {
    pub(crate) commit: Commit<S::Item>,
    pub(crate) answerer: Answerer<S::Outcome>,
}

/// A group that is durable in the engine.
pub(crate) struct WrittenGroup<O> {
    reached: Reached,
    answers: Vec<(Answerer<O>, Committed<O>)>,
}

/// Why a store that failed refuses: somebody can make room at once, and has to look for the cause of the rest.
#[derive(Clone, Copy)]
enum Refusal {
    Full,
    Failed,
}

/// How far the acknowledged commits go.
#[derive(Clone, Copy)]
pub(crate) struct Reached {
    pub(crate) mark: Mark,
    pub(crate) sequence: Sequence,
}

/// What the threads and the store's handles share.
pub(crate) struct Core<S: Sequencer> {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) queue: Queue<Job<S>>,
    pub(crate) group: Bounds,
    pub(crate) group_bulk: Bounds,
    pub(crate) durability: Durability,
    reached: Mutex<Reached>,
    advanced: Condvar,
    /// The first failure, as those hear of it who come after.
    failed: OnceLock<Refusal>,
}

impl<S: Sequencer> Core<S> {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        queue: Queue<Job<S>>,
        (group, group_bulk): (Bounds, Bounds),
        durability: Durability,
        reached: Reached,
    ) -> Self {
        let (reached, advanced, failed) = (Mutex::new(reached), Condvar::new(), OnceLock::new());
        Self { engine, queue, group, group_bulk, durability, reached, advanced, failed }
    }

    pub(crate) fn reached(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn advanced(&self) -> &Condvar {
        &self.advanced
    }

    /// How a commit is refused since an earlier one failed; none as long as none did.
    pub(crate) fn refusal(&self) -> Option<StoreError> {
        self.failed.get().map(|refusal| match refusal {
            Refusal::Full => StoreError::Full,
            Refusal::Failed => StoreError::Failed,
        })
    }

    fn fail(&self, error: &StoreError) {
        tracing::error!(%error, cause = ?std::error::Error::source(error), "the store stops accepting writes");
        let refusal = if matches!(error, StoreError::Full) { Refusal::Full } else { Refusal::Failed };
        // The first is the cause; what fails after it is its consequence.
        let _ = self.failed.set(refusal);
    }
}

/// Latches the failure when a thread ends by a panic, and refuses what is still queued.
struct Watch<'a, S: Sequencer>(&'a Core<S>);

impl<S: Sequencer> Drop for Watch<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&StoreError::Failed);
            self.0.queue.close();
            while self.0.queue.take(self.0.group, self.0.group_bulk, || false).is_some() {}
        }
    }
}

/// Runs until the queue is closed and empty.
pub(crate) fn commit_groups<S: Sequencer>(
    core: &Core<S>,
    mut sequencer: S,
    written: &SyncSender<WrittenGroup<S::Outcome>>,
) {
    let _watch = Watch(core);
    let mut reached = *core.reached();
    while let Some(jobs) = core.queue.take(core.group, core.group_bulk, || core.engine.pressure() == Pressure::Busy) {
        if let Some(refusal) = core.refusal() {
            jobs.into_iter().for_each(|job| job.answerer.answer(Err(refusal.again())));
            continue;
        }
        if let Some(group) = write_group(core, &mut sequencer, jobs, &mut reached) {
            // The other end is gone only after a failure; dropping the answers tells it.
            let _ = written.send(group);
        }
    }
}

fn write_group<S: Sequencer>(
    core: &Core<S>,
    sequencer: &mut S,
    jobs: Vec<Job<S>>,
    reached: &mut Reached,
) -> Option<WrittenGroup<S::Outcome>> {
    let mut group = Group::new();
    let mut answers = Vec::with_capacity(jobs.len());
    let mut sequence = reached.sequence;
    for Job { commit, answerer } in jobs {
        match accept(core, sequencer, &mut group, commit, &mut sequence) {
            Ok(committed) => answers.push((answerer, committed)),
            Err(error) => answerer.answer(Err(error)),
        }
    }
    if answers.is_empty() {
        return None;
    }
    let link = match seal_and_write(core, sequencer, &mut group, answers.len(), &reached.mark) {
        Ok(link) => link,
        Err(error) => {
            core.fail(&error);
            answers.into_iter().for_each(|(answerer, _)| answerer.answer(Err(error.again())));
            return None;
        }
    };
    *reached = Reached { mark: link.mark, sequence };
    Some(WrittenGroup { reached: *reached, answers })
}

/// Puts one commit into the group, or none of it.
fn accept<S: Sequencer>(
    core: &Core<S>,
    sequencer: &mut S,
    group: &mut Group,
    commit: Commit<S::Item>,
    last: &mut Sequence,
) -> Result<Committed<S::Outcome>, StoreError> {
    group.check(&commit.preconditions, core.engine.as_ref())?;
    let mut rows = Vec::new();
    let outcome = sequencer.sequence(commit.item, &mut rows)?;
    group.extend(commit.writes);
    group.extend(rows);
    let sequence = commit.feed.map(|value| {
        *last = Sequence(last.0.saturating_add(1));
        group.extend([Write::Put { key: feed_key(*last), value }]);
        *last
    });
    Ok(Committed { sequence, outcome })
}

fn seal_and_write<S: Sequencer>(
    core: &Core<S>,
    sequencer: &mut S,
    group: &mut Group,
    commits: usize,
    previous: &Mark,
) -> Result<Link, StoreError> {
    let mut rows = Vec::new();
    sequencer.seal_group(&mut rows)?;
    rows.iter().try_for_each(check_write)?;
    group.extend(rows);
    let size = u32::try_from(commits).unwrap_or(u32::MAX);
    let link = Link::after(previous, size, group.rows());
    group.extend([link.row()]);
    core.engine.write(group.rows(), core.durability)?;
    Ok(link)
}

/// Records marks and answers tickets until the committer is gone.
pub(crate) fn acknowledge<S: Sequencer>(core: &Core<S>, written: &Receiver<WrittenGroup<S::Outcome>>) {
    let _watch = Watch(core);
    while let Ok(group) = written.recv() {
        // One mark serves all groups that are waiting for theirs.
        let mut groups = vec![group];
        groups.extend(written.try_iter());
        let Some(reached) = groups.last().map(|group| group.reached) else { continue };
        let recorded = match core.refusal() {
            Some(refusal) => Err(refusal),
            None => core.engine.witness().record(&reached.mark, false, core.durability),
        };
        if let Err(error) = &recorded {
            core.fail(error);
        } else {
            *core.reached() = reached;
            core.advanced.notify_all();
        }
        for (answerer, committed) in groups.into_iter().flat_map(|group| group.answers) {
            answerer.answer(recorded.as_ref().map(|()| committed).map_err(StoreError::again));
        }
    }
}
