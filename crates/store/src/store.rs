//! The store: commits in, durable and in order, behind one committer.

use crate::chain::{self, Walked};
use crate::committer::{Core, GROUPS_UNACKNOWLEDGED_MAX, Job, Reached, acknowledge, commit_groups};
use crate::engine::{Durability, Engine, Mark, Precondition, Snapshot, Write};
use crate::error::StoreError;
use crate::queue::{Bounds, Lane, Queue};
use crate::rows::{FORMAT_KEY, check_format, check_write, format_value};
use crate::ticket::{Ticket, ticket};
use crate::{feed, rows};
use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tacet_types::Sequence;

/// Runs in the committer thread, once for each commit that was accepted, in their order: may add rows that depend on that
/// order, such as a ledger's. Its outcome goes back to whoever submitted.
pub trait Sequencer: Send + 'static {
    /// What a commit hands to the sequencer.
    type Item: Send + 'static;
    /// What the sequencer hands back.
    type Outcome: Send + 'static;

    /// Adds this commit's rows. An error refuses the commit alone, so it must leave the sequencer as it was.
    fn sequence(&mut self, item: Self::Item, rows: &mut Vec<Write>) -> Result<Self::Outcome, StoreError>;

    /// Adds rows once for each group, after its last commit. An error fails the group and stops the store.
    fn seal_group(&mut self, rows: &mut Vec<Write>) -> Result<(), StoreError>;
}

/// Adds nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoSequencer;

impl Sequencer for NoSequencer {
    type Item = ();
    type Outcome = ();

    fn sequence(&mut self, (): (), _: &mut Vec<Write>) -> Result<(), StoreError> {
        Ok(())
    }

    fn seal_group(&mut self, _: &mut Vec<Write>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Writes that are made together or not at all.
#[derive(Debug, Default)]
pub struct Commit<I> {
    /// What must hold; checked when the commit's turn comes.
    pub preconditions: Vec<Precondition>,
    /// Changes, at most one of which counts for each key: the last.
    pub writes: Vec<Write>,
    /// A row for the change feed, at the next sequence.
    pub feed: Option<Vec<u8>>,
    /// For the sequencer.
    pub item: I,
}

/// What a commit became.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed<O> {
    /// Where its row stands in the change feed, if it had one.
    pub sequence: Option<Sequence>,
    /// What the sequencer handed back.
    pub outcome: O,
}

/// How a store works.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Whether a commit is acknowledged once it is durable, or before (for measuring only).
    pub durability: Durability,
    /// Commits that may wait in each lane; more wait in [`Store::submit`].
    pub queue_commits_max: usize,
    /// Bytes of keys and values that may wait in each lane.
    pub queue_bytes_max: usize,
    /// Commits written as one group.
    pub group_commits_max: usize,
    /// Bytes of keys and values of interactive commits in one group; a larger commit is alone of its kind.
    pub group_bytes_max: usize,
    /// Bytes of keys and values of bulk commits in one group, likewise.
    pub group_bulk_bytes_max: usize,
    /// Opens a store from which acknowledged commits are missing, taking what the engine holds for the truth. For an
    /// operator who has no better copy, once.
    pub accept_loss: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Durable,
            queue_commits_max: 4096,
            queue_bytes_max: 32 << 20,
            // Well above the writers that one machine has, so that a group is what came during the last sync.
            group_commits_max: 1024,
            group_bytes_max: 4 << 20,
            // Interactive commits wait for the group that is being written: on a disk that takes 100 MB/s, 10 ms for this.
            group_bulk_bytes_max: 1 << 20,
            accept_loss: false,
        }
    }
}

/// Joins the threads when the last handle goes.
struct Handle<S: Sequencer> {
    core: Arc<Core<S>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<S: Sequencer> Handle<S> {
    /// Lets the threads finish what is queued.
    fn stop(&self) {
        self.core.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has latched the failure; there is nobody else to tell.
            let _ = thread.join();
        }
    }
}

impl<S: Sequencer> Drop for Handle<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An open store. Clones are handles of the same one.
///
/// What is submitted is checked, ordered and written by one thread; what is read comes from the engine directly and
/// may include commits that are about to be acknowledged. Dropping the last handle writes what is queued, but only
/// [`Store::close`] marks the store clean, which spares the next start a walk over the commit chain.
pub struct Store<S: Sequencer>(Arc<Handle<S>>);

impl<S: Sequencer> Clone for Store<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Sequencer> Store<S> {
    /// Opens the store in an engine, making one where the engine is empty.
    ///
    /// Refuses a newer format, and an engine from which acknowledged commits are missing or whose commits do not chain.
    pub fn open(engine: Arc<dyn Engine>, sequencer: S, options: StoreOptions) -> Result<Self, StoreError> {
        let Recovered { mark, whole } = recover(engine.as_ref(), options.accept_loss)?;
        engine.witness().record(&mark, false, Durability::Durable)?;
        if whole {
            engine.recovered()?;
        }
        let reached = Reached { mark, sequence: feed::last(engine.as_ref())? };
        let queue = Queue::new(Bounds { commits: options.queue_commits_max, bytes: options.queue_bytes_max });
        let group = Bounds { commits: options.group_commits_max.max(1), bytes: options.group_bytes_max };
        let group_bulk = Bounds { bytes: options.group_bulk_bytes_max, ..group };
        let core = Arc::new(Core::new(engine, queue, (group, group_bulk), options.durability, reached));
        let (sender, receiver) = sync_channel(GROUPS_UNACKNOWLEDGED_MAX);
        let acknowledger = Builder::new().name("store-acknowledger".to_owned()).spawn({
            let core = Arc::clone(&core);
            move || acknowledge(&core, &receiver)
        })?;
        let committer = Builder::new().name("store-committer".to_owned()).spawn({
            let core = Arc::clone(&core);
            move || commit_groups(&core, sequencer, &sender)
        })?;
        Ok(Self(Arc::new(Handle { core, threads: Mutex::new(vec![committer, acknowledger]) })))
    }

    /// Hands a commit over; waits only while the queue is full.
    ///
    /// [`StoreError::PreconditionFailed`], [`StoreError::KeyRefused`], [`StoreError::ValueTooLong`],
    /// [`StoreError::Sequencer`] and [`StoreError::Closed`] mean that nothing was written. After any other error it is
    /// not known whether the commit is there until the store is opened again.
    pub fn submit(&self, commit: Commit<S::Item>) -> Ticket<S::Outcome> {
        self.submit_in(Lane::Interactive, commit)
    }

    /// Like [`Store::submit`], for imports: these commits let the others pass, and wait while the engine is behind.
    pub fn submit_bulk(&self, commit: Commit<S::Item>) -> Ticket<S::Outcome> {
        self.submit_in(Lane::Bulk, commit)
    }

    fn submit_in(&self, lane: Lane, commit: Commit<S::Item>) -> Ticket<S::Outcome> {
        let (answerer, ticket) = ticket();
        if let Err(error) = commit.writes.iter().try_for_each(check_write) {
            answerer.answer(Err(error));
        } else if let Some(refusal) = self.core().refusal() {
            answerer.answer(Err(refusal));
        } else {
            let bytes = commit.writes.iter().map(Write::bytes).sum::<usize>()
                + commit.feed.as_ref().map_or(0, Vec::len)
                + commit.preconditions.iter().map(Precondition::bytes).sum::<usize>();
            self.core().queue.push(lane, Job { commit, answerer }, bytes, |job, error| {
                job.answerer.answer(Err(error));
            });
        }
        ticket
    }

    /// The rows, for reading. Writing past the store would break its chain.
    pub fn reader(&self) -> &dyn Engine {
        self.core().engine.as_ref()
    }

    /// The rows as they stand now.
    pub fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.core().engine.snapshot()
    }

    /// Up to `max` rows of the change feed after `after`, ascending.
    pub fn feed(&self, after: Sequence, max: usize) -> Result<Vec<(Sequence, Vec<u8>)>, StoreError> {
        feed::after(self.core().engine.as_ref(), after, max)
    }

    /// Up to `max` rows of the change feed before `before`, descending; `Sequence(u64::MAX)` is the end.
    pub fn feed_rev(&self, before: Sequence, max: usize) -> Result<Vec<(Sequence, Vec<u8>)>, StoreError> {
        feed::before(self.core().engine.as_ref(), before, max)
    }

    /// The sequence of the last acknowledged commit that had a feed row; 0 before the first.
    pub fn last_sequence(&self) -> Sequence {
        self.core().reached().sequence
    }

    /// Commits acknowledged since the store was made.
    pub fn commits(&self) -> u64 {
        self.core().reached().mark.commits
    }

    /// Whether the store stopped accepting writes after a failure.
    pub fn has_failed(&self) -> bool {
        self.core().refusal().is_some()
    }

    /// Waits until [`Store::last_sequence`] is beyond `after`, but no longer than `timeout`, and says what it is.
    pub fn wait_beyond(&self, after: Sequence, timeout: Duration) -> Sequence {
        let reached = self.core().reached();
        let waited = self.core().advanced().wait_timeout_while(reached, timeout, |now| now.sequence <= after);
        waited.map_or_else(|poison| poison.into_inner().0.sequence, |(reached, _)| reached.sequence)
    }

    /// Writes what is queued, makes everything durable and marks the store clean. Other handles answer
    /// [`StoreError::Closed`] from here on.
    pub fn close(self) -> Result<(), StoreError> {
        self.0.stop();
        if let Some(refusal) = self.core().refusal() {
            return Err(refusal);
        }
        let mark = self.core().reached().mark;
        self.core().engine.flush()?;
        self.core().engine.witness().record(&mark, true, Durability::Durable)
    }

    fn core(&self) -> &Core<S> {
        &self.0.core
    }
}

struct Recovered {
    mark: Mark,
    /// Whether every acknowledged commit is there.
    whole: bool,
}

/// Finds out how far the commits in an engine go, and whether all that were acknowledged are there.
fn recover(engine: &dyn Engine, accept_loss: bool) -> Result<Recovered, StoreError> {
    let witnessed = match engine.witness().read() {
        Err(error @ StoreError::Corrupt { .. }) if !accept_loss => return Err(error),
        Err(StoreError::Corrupt { .. }) => None,
        read => read?,
    };
    refuse_unfinished(engine)?;
    let Some(format) = engine.get(&FORMAT_KEY)? else {
        let mark = create(engine, witnessed.map(|(mark, _)| mark), accept_loss)?;
        return Ok(Recovered { mark, whole: witnessed.is_none_or(|(lost, _)| lost.group == 0) });
    };
    check_format(&format)?;
    if let Some((mark, true)) = witnessed
        && mark_at(engine, mark.group)? == Some(mark)
        && chain::link_of(engine, mark.group.saturating_add(1))?.is_none()
    {
        return Ok(Recovered { mark, whole: true });
    }
    let walked = chain::walk(engine, witnessed.map_or(0, |(mark, _)| mark.group))?;
    match judge(&walked, witnessed.map(|(mark, _)| mark)) {
        Ok(()) => Ok(Recovered { mark: walked.head, whole: true }),
        Err(error) if accept_loss => {
            tracing::warn!(%error, "acknowledged commits are given up as asked");
            engine.write(&chain::restart(engine, &walked.head)?, Durability::Durable)?;
            Ok(Recovered { mark: walked.head, whole: false })
        }
        Err(error) => Err(error),
    }
}

/// Refuses an engine that a restore has not filled yet: a row that is not there would be taken for one that is nowhere.
fn refuse_unfinished(engine: &dyn Engine) -> Result<(), StoreError> {
    let mut unfinished = false;
    engine.range(&rows::FILLING, &rows::FILLING_END, &mut |_, _| {
        unfinished = true;
        ControlFlow::Break(())
    })?;
    if unfinished {
        return Err(StoreError::Unfinished);
    }
    Ok(())
}

fn mark_at(engine: &dyn Engine, group: u64) -> Result<Option<Mark>, StoreError> {
    let origin = chain::origin(engine)?;
    if origin.group == group {
        return Ok(Some(origin));
    }
    Ok(chain::link_of(engine, group)?.map(|link| link.mark))
}

fn judge(walked: &Walked, witnessed: Option<Mark>) -> Result<(), StoreError> {
    let lost = |what: &str, missing: u64| {
        let missing_commits = (missing > 0).then_some(missing);
        Err(StoreError::Corrupt { what: what.to_owned(), missing_commits })
    };
    let Some(mark) = witnessed else {
        return lost("the witness beside the engine is missing", walked.missing_commits);
    };
    let behind = mark.commits.saturating_sub(walked.head.commits);
    if walked.head.group < mark.group {
        return lost("the engine ends before the last acknowledged commit", walked.missing_commits + behind);
    }
    if walked.missing_groups > 0 {
        return lost("the engine has lost commits before its last one", walked.missing_commits);
    }
    if !walked.chained || walked.at != Some(mark) {
        return lost("the engine holds another history than the one that was acknowledged", 0);
    }
    Ok(())
}

fn create(engine: &dyn Engine, witnessed: Option<Mark>, accept_loss: bool) -> Result<Mark, StoreError> {
    let lost = witnessed.filter(|mark| mark.group > 0);
    if let Some(mark) = lost
        && !accept_loss
    {
        let what = "the engine is empty although commits were acknowledged".to_owned();
        return Err(StoreError::Corrupt { what, missing_commits: Some(mark.commits) });
    }
    let mut empty = true;
    engine.range(&[rows::SPACE_STORE], &[0xff; 33], &mut |_, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    if !empty {
        return Err(StoreError::corrupt("the engine holds rows, but not the row that says their format"));
    }
    // The witness first: an engine with a format row and no witness is a store that lost its witness.
    engine.witness().record(&Mark::START, false, Durability::Durable)?;
    engine.write(&[Write::put(FORMAT_KEY, format_value())], Durability::Durable)?;
    Ok(Mark::START)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KEY_BYTES_MAX;
    use crate::memory::{Crash, Disk, Effect, Faults, MemoryEngine, Operation};

    fn open(disk: &Disk) -> Result<Store<NoSequencer>, StoreError> {
        open_with(disk, Faults::default(), StoreOptions::default())
    }

    fn open_with(disk: &Disk, faults: Faults, options: StoreOptions) -> Result<Store<NoSequencer>, StoreError> {
        Store::open(Arc::new(MemoryEngine::open(disk, faults)), NoSequencer, options)
    }

    fn put(key: u8, value: u8) -> Commit<()> {
        Commit { writes: vec![Write::put([9, key], [value])], feed: Some(vec![value]), ..Commit::default() }
    }

    #[test]
    fn a_commit_is_read_back_and_stands_in_the_feed() {
        let store = open(&Disk::default()).unwrap();
        for number in 0..10 {
            let committed = store.submit(put(number, number + 100)).wait().unwrap();
            assert_eq!(committed.sequence, Some(Sequence(u64::from(number) + 1)));
        }
        assert_eq!(store.reader().get(&[9, 3]).unwrap(), Some(vec![103]));
        assert_eq!(store.feed(Sequence(2), 2).unwrap(), [(Sequence(3), vec![102]), (Sequence(4), vec![103])]);
        let from_end = store.feed_rev(Sequence(u64::MAX), 2).unwrap();
        assert_eq!(from_end, [(Sequence(10), vec![109]), (Sequence(9), vec![108])]);
        assert_eq!(store.feed_rev(Sequence(2), 9).unwrap(), [(Sequence(1), vec![100])]);
        assert_eq!((store.last_sequence(), store.commits()), (Sequence(10), 10));
        assert!(
            store.feed(Sequence(u64::MAX), 1).unwrap().is_empty() && store.feed(Sequence(0), 0).unwrap().is_empty()
        );
    }

    #[test]
    fn a_failed_precondition_refuses_its_own_commit_only() {
        let store = open(&Disk::default()).unwrap();
        let create = || Commit { preconditions: vec![Precondition::Absent { key: vec![9, 1] }], ..put(1, 1) };
        let tickets: Vec<_> = (0..20).map(|_| store.submit(create())).collect();
        let answers: Vec<_> = tickets.into_iter().map(Ticket::wait).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(
            answers
                .iter()
                .skip(1)
                .all(|answer| matches!(answer, Err(StoreError::PreconditionFailed { index: 0, space: 9 })))
        );
        assert_eq!(store.last_sequence(), Sequence(1), "refused commits take no sequence");
    }

    #[test]
    fn rows_of_the_store_are_not_for_callers() {
        let store = open(&Disk::default()).unwrap();
        for key in [vec![], vec![0, 1], vec![1], vec![2; KEY_BYTES_MAX + 1]] {
            let commit = Commit { writes: vec![Write::put(key, [])], ..Commit::default() };
            assert!(matches!(store.submit(commit).wait(), Err(StoreError::KeyRefused { .. })));
        }
        store
            .submit(Commit { writes: vec![Write::put(vec![2; KEY_BYTES_MAX], [])], ..Commit::default() })
            .wait()
            .unwrap();
    }

    #[test]
    fn waiting_for_the_feed_ends_when_it_moves_or_in_time() {
        let store = open(&Disk::default()).unwrap();
        assert_eq!(store.wait_beyond(Sequence(0), Duration::from_millis(1)), Sequence(0));
        let waiting = std::thread::spawn({
            let store = store.clone();
            move || store.wait_beyond(Sequence(0), Duration::from_secs(60))
        });
        store.submit(put(1, 1)).wait().unwrap();
        assert_eq!(waiting.join().unwrap(), Sequence(1));
    }

    #[test]
    fn closing_writes_what_is_queued_and_refuses_the_rest() {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        let other = store.clone();
        let tickets: Vec<_> = (0..50).map(|number| store.submit(put(number, 1))).collect();
        store.close().unwrap();
        assert!(tickets.into_iter().all(|ticket| ticket.wait().is_ok()));
        assert!(matches!(other.submit(put(1, 1)).wait(), Err(StoreError::Closed)));
        drop(other);
        let again = open(&disk.crash(Crash::KeepSynced)).unwrap();
        assert_eq!((again.commits(), again.last_sequence()), (50, Sequence(50)));
    }

    #[test]
    fn a_failure_latches_until_the_store_is_opened_again() {
        for operation in [Operation::Write, Operation::Sync, Operation::WitnessWrite] {
            for (effect, full) in [(Effect::Full, true), (Effect::Fail, false)] {
                let (disk, faults) = (Disk::default(), Faults::default());
                let store = open_with(&disk, faults.clone(), StoreOptions::default()).unwrap();
                store.submit(put(1, 1)).wait().unwrap();
                faults.inject(operation, 0, effect);
                let failed = store.submit(put(2, 2)).wait().unwrap_err();
                assert_eq!(matches!(failed, StoreError::Full), full, "{operation:?} {failed}");
                let refused = [store.submit(put(3, 3)).wait().map(|_| ()), store.close()];
                let as_the_first =
                    |error| if full { matches!(error, StoreError::Full) } else { matches!(error, StoreError::Failed) };
                assert!(refused.into_iter().all(|refused| as_the_first(refused.unwrap_err())), "{operation:?}");
                let again = open(&disk.crash(Crash::KeepSynced)).unwrap();
                assert_eq!(again.reader().get(&[9, 1]).unwrap(), Some(vec![1]));
                assert_eq!(again.reader().get(&[9, 3]).unwrap(), None);
            }
        }
    }

    #[test]
    fn a_newer_or_foreign_format_is_refused() {
        let disk = Disk::default();
        open(&disk).unwrap().close().unwrap();
        let engine = MemoryEngine::open(&disk, Faults::default());
        engine.write(&[Write::put(FORMAT_KEY, rows::format_value_of(7))], Durability::Durable).unwrap();
        assert!(matches!(open(&disk), Err(StoreError::NewerFormat { found: 7, supported: 1 })));
        engine.write(&[Write::put(FORMAT_KEY, *b"other")], Durability::Durable).unwrap();
        assert!(matches!(open(&disk), Err(StoreError::Corrupt { .. })));
        let foreign = Disk::default();
        MemoryEngine::open(&foreign, Faults::default()).write(&[Write::put([7], [])], Durability::Durable).unwrap();
        assert!(matches!(open(&foreign), Err(StoreError::Corrupt { .. })));
    }

    struct Panics;

    impl Sequencer for Panics {
        type Item = bool;
        type Outcome = ();

        fn sequence(&mut self, item: bool, _: &mut Vec<Write>) -> Result<(), StoreError> {
            assert!(!item, "asked to");
            Ok(())
        }

        fn seal_group(&mut self, _: &mut Vec<Write>) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn a_sequencer_that_panics_fails_the_store_and_leaves_nobody_waiting() {
        let store = Store::open(Arc::new(MemoryEngine::new()), Panics, StoreOptions::default()).unwrap();
        store.submit(Commit { item: false, ..Commit::default() }).wait().unwrap();
        let tickets: Vec<_> = (0..9).map(|_| store.submit(Commit { item: true, ..Commit::default() })).collect();
        assert!(tickets.into_iter().all(|ticket| ticket.wait().is_err()));
        assert!(store.submit(Commit { item: false, ..Commit::default() }).wait().is_err());
    }

    #[test]
    fn lost_commits_are_counted_and_can_be_given_up() {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        let mut ends = Vec::new();
        for number in 0..20 {
            store.submit(put(number, 1)).wait().unwrap();
            ends.push(disk.journal_bytes());
        }
        drop(store);
        // Damage in the group of the sixth commit: five are left of twenty.
        let damaged = disk.crash(Crash::KeepSynced);
        damaged.damage(ends[4] + 1);
        let copy = damaged.crash(Crash::KeepAll);
        let refused = open(&damaged).err().unwrap();
        assert!(matches!(refused, StoreError::Corrupt { missing_commits: Some(15), .. }), "{refused}");
        let accepting = StoreOptions { accept_loss: true, ..StoreOptions::default() };
        let store = open_with(&copy, Faults::default(), accepting).unwrap();
        assert_eq!((store.commits(), store.last_sequence()), (5, Sequence(5)));
        store.submit(put(99, 1)).wait().unwrap();
        drop(store);
        assert_eq!(open(&copy.crash(Crash::KeepSynced)).unwrap().commits(), 6);
    }

    #[test]
    fn a_lost_witness_and_a_lost_engine_are_noticed() {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        store.submit(put(1, 1)).wait().unwrap();
        store.close().unwrap();
        let without_witness = disk.crash(Crash::KeepSynced);
        without_witness.forget_mark();
        assert!(matches!(open(&without_witness), Err(StoreError::Corrupt { .. })));
        disk.damage(0);
        assert!(matches!(open(&disk), Err(StoreError::Corrupt { missing_commits: Some(1), .. })));
    }
}
