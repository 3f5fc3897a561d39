//! What a store wrote since the last snapshot, in memory and bounded. Where it cannot be kept whole it says so, and the next snapshot is a base.
//!
//! The committer of the store waits for what is done here with its writes, so that is one copy of them into one piece of memory for a group. Putting them
//! in order is the work of whoever takes them.

mod writes;

pub(crate) use writes::Writes;

use crate::classes::{Class, class_of};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tacet_store::{Mark, Tail, Write};
use writes::Rows;

/// What was written from one mark to another.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Where it begins.
    pub from: Mark,
    /// Where it ends.
    pub to: Mark,
    /// The last write of each key.
    pub writes: Writes,
    bytes: usize,
}

/// What `TailBuffer::take` gives.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nothing was written.
    Nothing,
    /// This was.
    Batch(Batch),
    /// Something was, and is not here.
    Broken(&'static str),
}

struct Group {
    from: Mark,
    to: Mark,
    rows: Rows,
}

impl Group {
    /// Bytes that it costs in memory. One without rows costs something too: the next one goes on from its mark, so it is kept.
    fn cost_bytes(&self) -> usize {
        size_of::<Self>() + self.rows.cost_bytes()
    }
}

#[derive(Default)]
struct State {
    groups: Vec<Group>,
    /// Of the groups here.
    bytes: usize,
    /// Of what was taken and not released yet.
    taken_bytes: usize,
    broken: Option<&'static str>,
    /// Groups up to this one are in a base already.
    in_base: u64,
    /// Last group that was shown, or that was there when the following began.
    last_group: u64,
    stop: bool,
    hurry: bool,
}

/// Follows a store ([`tacet_store::TailedEngine`]).
pub struct TailBuffer {
    state: Mutex<State>,
    changed: Condvar,
    bytes_max: usize,
}

impl TailBuffer {
    /// One that holds at most this many bytes of rows.
    pub fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), bytes_max }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so much is here that it should be taken before its time.
    pub fn is_filling(&self) -> bool {
        let state = self.state();
        state.broken.is_none() && state.bytes + state.taken_bytes > self.bytes_max / 4
    }

    /// Bytes that it holds, what was taken and not released included.
    pub fn bytes(&self) -> usize {
        let state = self.state();
        state.bytes + state.taken_bytes
    }

    /// Why it is not whole; none where it is.
    pub fn broken(&self) -> Option<&'static str> {
        self.state().broken
    }

    /// Whether anything was written that was not taken.
    pub fn has_some(&self) -> bool {
        let state = self.state();
        state.broken.is_some() || !state.groups.is_empty()
    }

    /// Where the groups begin that are here; none where there are none.
    pub(crate) fn first(&self) -> Option<Mark> {
        self.state().groups.first().map(|group| group.from)
    }

    /// Last group that is known to be durable.
    pub fn last_group(&self) -> u64 {
        self.state().last_group
    }

    /// Waits until it is filling, somebody is in a hurry, it was told to stop, or the time is over. Says whether to go on.
    pub fn wait(&self, timeout: Duration) -> bool {
        let filling = |state: &State| state.broken.is_none() && state.bytes > self.bytes_max / 4;
        let waited = self
            .changed
            .wait_timeout_while(self.state(), timeout, |state| !state.stop && !state.hurry && !filling(state));
        let mut state = waited.map_or_else(|poison| poison.into_inner().0, |(state, _)| state);
        state.hurry = false;
        !state.stop
    }

    /// Waits for the stop alone. Says whether to go on.
    pub fn pause(&self, timeout: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), timeout, |state| !state.stop);
        !waited.map_or_else(|poison| poison.into_inner().0, |(state, _)| state).stop
    }

    /// Ends [`TailBuffer::wait`] once.
    pub fn hurry(&self) {
        self.state().hurry = true;
        self.changed.notify_all();
    }

    /// Ends every wait.
    pub fn stop(&self) {
        self.state().stop = true;
        self.changed.notify_all();
    }

    /// Begins anew: what was here is forgotten, and a base is made after this.
    pub(crate) fn begin(&self) {
        let mut state = self.state();
        state.groups.clear();
        (state.bytes, state.taken_bytes, state.broken) = (0, 0, None);
    }

    /// Says that a base holds everything up to `mark`.
    pub(crate) fn in_base(&self, mark: &Mark) {
        let mut state = self.state();
        state.in_base = mark.group;
        state.groups.retain(|group| group.to.group > mark.group);
        state.bytes = state.groups.iter().map(Group::cost_bytes).sum();
    }

    /// Takes what is here. It counts as held until `release`.
    pub(crate) fn take(&self) -> Taken {
        let mut state = self.state();
        if let Some(why) = state.broken {
            return Taken::Broken(why);
        }
        let groups = std::mem::take(&mut state.groups);
        let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return Taken::Nothing };
        let (from, to) = (first.from, last.to);
        let bytes = std::mem::take(&mut state.bytes);
        state.taken_bytes += bytes;
        // Whoever writes does not wait for the rest.
        drop(state);
        if groups.iter().zip(groups.iter().skip(1)).any(|(one, next)| one.to != next.from) {
            let why = "its groups do not follow each other";
            self.state().broken.get_or_insert(why);
            return Taken::Broken(why);
        }
        let writes = Writes::of(groups.into_iter().map(|group| group.rows).collect());
        Taken::Batch(Batch { from, to, writes, bytes })
    }

    /// Says that what was taken is on its target, or given up.
    pub(crate) fn release(&self, batch: &Batch) {
        let mut state = self.state();
        state.taken_bytes = state.taken_bytes.saturating_sub(batch.bytes);
    }
}

impl Tail for TailBuffer {
    fn begins(&self, at: Mark) {
        self.state().last_group = at.group;
    }

    fn wrote(&self, from: Mark, to: Mark, writes: &[Write]) {
        let wanted = {
            let mut state = self.state();
            state.last_group = to.group;
            state.broken.is_none() && to.group > state.in_base
        };
        if !wanted {
            return;
        }
        // Not under the lock. Rows that stay at home need not wait; ones of a space that nobody knows go along and are refused where they would be sent.
        let sent = |write: &&Write| write.key().first().and_then(|space| class_of(*space)) != Some(Class::Local);
        let rows = Rows::of(writes.iter().filter(sent));
        let mut state = self.state();
        if state.broken.is_some() || to.group <= state.in_base {
            return;
        }
        let group = Group { from, to, rows };
        let bytes = group.cost_bytes();
        if state.bytes + state.taken_bytes + bytes > self.bytes_max {
            state.broken = Some("more was written than may wait in memory");
            state.groups = Vec::new();
            state.bytes = 0;
            tracing::warn!("more was written than may wait for the backup: the next snapshot is a whole one");
            return;
        }
        state.bytes += bytes;
        state.groups.push(group);
        let wake = state.bytes > self.bytes_max / 4;
        drop(state);
        if wake {
            self.changed.notify_all();
        }
    }

    fn lost(&self) {
        let mut state = self.state();
        state.broken = Some("something was written past the commits, or a write failed");
        state.groups = Vec::new();
        state.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(group: u64) -> Mark {
        Mark { group, commits: group, digest: [group as u8; 32] }
    }

    fn write(tail: &TailBuffer, group: u64, key: u8, value: &[u8]) {
        tail.wrote(mark(group - 1), mark(group), &[Write::put([5, key], value)]);
    }

    #[test]
    fn the_last_write_of_a_key_counts_and_marks_go_along() {
        let tail = TailBuffer::new(10_000);
        assert!(matches!(tail.take(), Taken::Nothing));
        write(&tail, 3, 1, b"a");
        write(&tail, 4, 1, b"b");
        tail.wrote(mark(4), mark(5), &[Write::delete([5, 2]), Write::put([0, 2], [9])]);
        let Taken::Batch(batch) = tail.take() else { panic!() };
        assert_eq!((batch.from, batch.to), (mark(2), mark(5)));
        let rows: Vec<(&[u8], Option<&[u8]>)> = batch.writes.iter().collect();
        assert_eq!(rows, [(&[5, 1][..], Some(&b"b"[..])), (&[5, 2], None)], "what is the store's own stays at home");
        assert!(tail.bytes() > 0);
        tail.release(&batch);
        assert_eq!(tail.bytes(), 0);
    }

    #[test]
    fn what_does_not_fit_breaks_it_until_it_begins_anew() {
        let tail = TailBuffer::new(1000);
        write(&tail, 1, 1, &[0; 400]);
        let Taken::Batch(batch) = tail.take() else { panic!() };
        write(&tail, 2, 1, &[0; 700]);
        assert!(matches!(tail.take(), Taken::Broken(_)));
        tail.release(&batch);
        write(&tail, 3, 1, &[0]);
        assert!(matches!(tail.take(), Taken::Broken(_)), "what came between is not here");
        tail.begin();
        write(&tail, 4, 1, &[0]);
        write(&tail, 5, 1, &[1]);
        tail.in_base(&mark(4));
        write(&tail, 6, 1, &[2]);
        let Taken::Batch(batch) = tail.take() else { panic!() };
        assert_eq!((batch.from, batch.to), (mark(4), mark(6)));
        tail.lost();
        assert!(matches!(tail.take(), Taken::Broken(_)));
    }

    #[test]
    fn groups_of_which_nothing_is_sent_are_bounded_too() {
        let tail = TailBuffer::new(10_000);
        let taken = (1..=1_000).find(|group| {
            // The store's own rows stay at home.
            tail.wrote(mark(group - 1), mark(*group), &[Write::put([0, 2], [9])]);
            tail.broken().is_some()
        });
        assert!(taken.is_some_and(|taken| taken > 10), "{taken:?}");
        assert!(tail.bytes() <= 10_000);
    }

    #[test]
    fn what_was_there_at_the_start_is_durable() {
        let tail = TailBuffer::new(1000);
        tail.begins(mark(7));
        assert_eq!(tail.last_group(), 7);
        write(&tail, 8, 1, b"a");
        assert_eq!(tail.last_group(), 8);
    }

    #[test]
    fn a_gap_is_no_batch() {
        let tail = TailBuffer::new(1000);
        write(&tail, 1, 1, b"a");
        write(&tail, 3, 1, b"b");
        assert!(matches!(tail.take(), Taken::Broken(_)));
    }
}
