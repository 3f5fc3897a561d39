//! Forgetting what entries said whose time is over, while questions go on being answered.
//!
//! ```text
//! a month's key is destroyed ──> its entries are hidden: no question finds them by anything that they said
//!                                  └──> in the background: segments that hold some are written again without them, one manifest names the new ones,
//!                                       the old files go; nothing of the ended entries is left that opens
//! ```
//!
//! Entries stand in the order of their keys, so those of a month are one span, and all that ended lies in few segments. The tree
//! over the entries does not change. Until the manifest is there a start begins with hiding again, because the old one says how many keys had
//! ended when its segments were written.

use super::disk::{Refused, Segment};
use super::tail::Tail;
use super::{LedgerIndex, lock};
use crate::error::VaultError;
use std::sync::Arc;
use tacet_ledger::index::{Chunks, Manifest, Mark, Marks};
use tacet_ledger::{Epoch, EpochState, LedgerError, LedgerKeys, first_after};
use tacet_store::{Reader, Snapshot, StoreError};

/// Consecutive entries: the first, and the one after the last.
pub(super) type Span = (u64, u64);

/// The entries whose keys were destroyed, in order, none empty, none next to another.
pub(super) fn spans(reader: &dyn Reader, keys: &LedgerKeys) -> Result<Vec<Span>, LedgerError> {
    let size = tacet_ledger::head(reader, keys)?.map_or(0, |head| head.size());
    let mut spans: Vec<Span> = Vec::new();
    for (epoch, _) in keys.epochs().into_iter().filter(|(_, state)| *state == EpochState::Destroyed) {
        let from = match epoch.number().checked_sub(1) {
            Some(before) => first_after(reader, size, Epoch::from_number(before))?,
            None => 0,
        };
        let to = first_after(reader, size, epoch)?;
        match spans.last_mut() {
            _ if from >= to => {}
            Some(last) if last.1 == from => last.1 = to,
            _ => spans.push((from, to)),
        }
    }
    Ok(spans)
}

/// The span in which an entry is.
pub(super) fn span_of(spans: &[Span], entry: u64) -> Option<Span> {
    let at = spans.partition_point(|span| span.1 <= entry);
    spans.get(at).copied().filter(|span| span.0 <= entry)
}

/// Whether some of the entries are in a span.
fn touched(spans: &[Span], from: u64, to: u64) -> bool {
    let at = spans.partition_point(|span| span.1 <= from);
    spans.get(at).is_some_and(|span| span.0 < to)
}

/// Whether all of the entries are in a span.
fn covered(spans: &[Span], from: u64, to: u64) -> bool {
    span_of(spans, from).is_some_and(|span| span.1 >= to)
}

/// The blocks of times of the entries up to `to`, without those in the spans. `at` gives an entry's time, none where it does not open.
fn marks_without(
    marks: &[Mark],
    to: u64,
    spans: &[Span],
    at: &dyn Fn(u64) -> Result<Option<i64>, LedgerError>,
) -> Result<Marks, LedgerError> {
    let mut left = Marks::default();
    let ends = marks.iter().skip(1).map(|next| next.first).chain([to]);
    for (mark, end) in marks.iter().zip(ends) {
        let mut kept = *mark;
        if touched(spans, mark.first, end) {
            (kept.from_ms, kept.to_ms) = (i64::MAX, i64::MIN);
            for entry in (mark.first..end).filter(|entry| span_of(spans, *entry).is_none()) {
                if let Some(ms) = at(entry)? {
                    (kept.from_ms, kept.to_ms) = (kept.from_ms.min(ms), kept.to_ms.max(ms));
                }
            }
        }
        left.append(&[kept]);
    }
    Ok(left)
}

impl Tail {
    /// The same without what is said of entries in the spans.
    fn without(
        &self,
        spans: &[Span],
        at: &dyn Fn(u64) -> Result<Option<i64>, LedgerError>,
    ) -> Result<Self, LedgerError> {
        let mut left = Self { from: self.from, to: self.to, ..Self::default() };
        left.marks = marks_without(self.marks.as_slice(), self.to, spans, at)?;
        left.take_from(self, |entry| span_of(spans, entry).is_none());
        Ok(left)
    }
}

impl LedgerIndex {
    /// Whether files or memory still hold something of entries that have ended.
    pub(super) fn holds_ended(&self) -> bool {
        let state = lock(&self.state);
        state.files_ended != state.ended
    }

    /// Hides what has ended since: from here on nothing that it said finds it. For whoever holds the state.
    pub(super) fn hide_ended(&self, state: &mut super::State, reader: &dyn Reader) -> Result<(), LedgerError> {
        let ended = self.ledger_keys.ended();
        if state.ended == ended {
            return Ok(());
        }
        if ended < state.ended {
            // Keys came back, as in a copy of the store from before: of what they open nothing is known here.
            *state = super::State::empty(state.generation + 1, ended);
            return Ok(());
        }
        tracing::info!("keys of the ledger have ended: its index forgets what they opened");
        state.hidden = spans(reader, &self.ledger_keys)?;
        state.ended = ended;
        Ok(())
    }

    /// Writes files and memory again without what has ended, if there is something. Whether it did. Questions are answered meanwhile.
    ///
    /// # Errors
    /// The ledger cannot be read, or the disk does not take it: what has ended stays hidden, and it is to be tried again.
    pub(crate) fn forget_ended(
        &self,
        snapshot: &dyn Fn() -> Result<Box<dyn Snapshot>, StoreError>,
    ) -> Result<bool, VaultError> {
        let _writing = lock(&self.writing);
        let (segments, hidden, generation, ended) = {
            let state = lock(&self.state);
            if state.files_ended == state.ended {
                return Ok(false);
            }
            (state.segments.clone(), state.hidden.clone(), state.generation, state.ended)
        };
        let reader = snapshot()?;
        let at = |entry: u64| self.time_of(reader.as_ref(), entry);
        let failed = |error: Refused| {
            if !error.passes() {
                // What cannot be read now answers no question either.
                self.start_over();
            }
            VaultError::Unavailable(Box::new(error))
        };
        let mut next = Vec::with_capacity(segments.len());
        for segment in &segments {
            let info = &segment.info;
            let marks = segment.marks.as_slice();
            let empty = info.chunks == 0 && marks.iter().all(|mark| mark.from_ms > mark.to_ms);
            if empty || !touched(&hidden, info.from, info.to) {
                next.push(Arc::clone(segment));
                continue;
            }
            let marks = marks_without(marks, info.to, &hidden, &at)?;
            next.push(Arc::new(self.segment_without(segment, &hidden, &marks).map_err(failed)?));
        }
        let infos = next.iter().map(|segment| segment.info.clone()).collect();
        let mut state = lock(&self.state);
        if state.generation != generation {
            return Ok(false);
        }
        // Under the lock: what is in memory must not be written to a file with what has ended in between.
        // By a look of now: of entries that came since the one above it knows nothing, and they would be in no time.
        let newest = snapshot()?;
        let at = |entry: u64| self.time_of(newest.as_ref(), entry);
        let tail = state.tail.without(&hidden, &at)?;
        let frozen = match &state.frozen {
            Some((frozen, frontier)) => Some((Arc::new(frozen.without(&hidden, &at)?), frontier.clone())),
            None => None,
        };
        let manifest = Manifest { ended, frontier: state.written.clone(), segments: infos };
        self.disk.put_manifest(&manifest).map_err(|error| VaultError::Unavailable(Box::new(error)))?;
        (state.tail, state.frozen) = (tail, frozen);
        state.segments.clone_from(&next);
        state.files_ended = ended;
        if state.ended == ended {
            state.hidden.clear();
        }
        drop(state);
        let stays = |old: &Arc<Segment>| next.iter().any(|new| new.info.id == old.info.id);
        segments.iter().filter(|old| !stays(old)).for_each(|old| self.disk.remove(&old.info));
        Ok(true)
    }

    /// The time of an entry, in milliseconds since 1970; none where it does not open.
    fn time_of(&self, reader: &dyn Reader, entry: u64) -> Result<Option<i64>, LedgerError> {
        match tacet_ledger::read(reader, &self.ledger_keys, entry) {
            Ok(found) => Ok(Some(found.at.as_ms())),
            Err(error @ LedgerError::Store(_)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn segment_without(&self, segment: &Segment, spans: &[Span], marks: &Marks) -> Result<Segment, Refused> {
        let info = &segment.info;
        let mut writer = self.disk.writer(info.from)?;
        // Where all of it has ended, nothing of it is looked at.
        let chunks = if covered(spans, info.from, info.to) { 0 } else { segment.tops().len() };
        for number in 0..chunks {
            for (key, entries) in segment.decoded(number)? {
                let left = entries.into_iter().filter(|entry| span_of(spans, *entry).is_none());
                left.into_iter().try_for_each(|entry| writer.push(key, entry))?;
            }
        }
        writer.finish(info.to, marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hold_what_they_hold() {
        let spans = [(3, 5), (9, 10)];
        let inside: Vec<u64> = (0..12).filter(|entry| span_of(&spans, *entry).is_some()).collect();
        assert_eq!(inside, [3, 4, 9]);
        for from in 0..12 {
            for to in from + 1..13 {
                let some = inside.iter().any(|entry| (from..to).contains(entry));
                let all = (from..to).all(|entry| inside.contains(&entry));
                assert_eq!((touched(&spans, from, to), covered(&spans, from, to)), (some, all), "{from} {to}");
            }
        }
        assert!(!touched(&[], 0, 9) && !covered(&[], 0, 9));
    }

    #[test]
    fn blocks_keep_the_times_of_what_is_left_and_no_other() {
        let mark = |first, from_ms, to_ms| Mark { first, from_ms, to_ms };
        let marks = [mark(0, 0, 90), mark(10, 100, 190), mark(20, 200, 250)];
        // Entry 13 does not open.
        let at = |entry: u64| Ok((entry != 13).then_some(entry as i64 * 10));
        let left = marks_without(&marks, 26, &[(0, 12)], &at).unwrap();
        assert_eq!(left.as_slice(), [mark(0, i64::MAX, i64::MIN), mark(10, 120, 190), mark(20, 200, 250)]);
        let left = marks_without(&marks, 26, &[(25, 26)], &at).unwrap();
        assert_eq!(left.as_slice(), [mark(0, 0, 90), mark(10, 100, 190), mark(20, 200, 240)]);
    }
}
