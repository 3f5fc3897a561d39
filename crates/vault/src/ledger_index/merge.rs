//! Making one segment of several, so that a question reads few files however many entries there are.

use super::disk::{Refused, Segment};
use super::{LedgerIndex, lock};
use std::collections::VecDeque;
use std::sync::Arc;
use tacet_ledger::index::{Chunks, Marks};

/// Segments of about one size that are made one. Each entry is written again once for each power of it: seven times at a
/// hundred billion entries.
const FANOUT: usize = 8;

/// The size class of a segment: how often a segment of a full tail fits into it, as a power of the fanout.
fn class(segment: &Segment, tail_entries: u64) -> u32 {
    ((segment.info.to - segment.info.from) / tail_entries.max(1)).max(1).ilog(FANOUT as u64)
}

/// The first segments that are to be merged, smallest classes first.
fn choose(segments: &[Arc<Segment>], tail_entries: u64) -> Option<&[Arc<Segment>]> {
    let greatest = segments.iter().map(|segment| class(segment, tail_entries)).max()?;
    (0..=greatest).find_map(|most| {
        segments.windows(FANOUT).find(|window| window.iter().all(|segment| class(segment, tail_entries) <= most))
    })
}

/// A segment that is being read from its beginning.
struct Source {
    segment: Arc<Segment>,
    next_chunk: usize,
    runs: VecDeque<(u64, Vec<u64>)>,
}

impl Source {
    fn key(&mut self) -> Result<Option<u64>, Refused> {
        while self.runs.is_empty() && self.next_chunk < self.segment.tops().len() {
            self.runs = self.segment.decoded(self.next_chunk)?.into();
            self.next_chunk += 1;
        }
        Ok(self.runs.front().map(|(key, _)| *key))
    }
}

impl LedgerIndex {
    /// Merges once, where there is something to merge. Whether it did.
    pub(super) fn merge(&self) -> Result<bool, Refused> {
        let _writing = lock(&self.writing);
        let (merged, generation) = {
            let state = lock(&self.state);
            let Some(chosen) = choose(&state.segments, self.tail_entries) else { return Ok(false) };
            (chosen.to_vec(), state.generation)
        };
        match self.merged(&merged) {
            Ok(segment) => self.put_in_place(generation, &merged, segment, None),
            Err(error) => {
                // What cannot be read now answers no question either.
                if !error.passes() {
                    self.start_over();
                }
                Err(error)
            }
        }
    }

    fn merged(&self, merged: &[Arc<Segment>]) -> Result<Arc<Segment>, Refused> {
        let from = merged.first().map_or(0, |first| first.info.from);
        let to = merged.last().map_or(0, |last| last.info.to);
        let source =
            |segment: &Arc<Segment>| Source { segment: Arc::clone(segment), next_chunk: 0, runs: VecDeque::new() };
        let mut sources: Vec<Source> = merged.iter().map(source).collect();
        let mut writer = self.disk.writer(from)?;
        loop {
            let mut least = None;
            for source in &mut sources {
                least = [least, source.key()?].into_iter().flatten().min();
            }
            let Some(key) = least else { break };
            // Segments follow each other, so their entries under one key do too.
            for source in &mut sources {
                while source.key()? == Some(key)
                    && let Some((_, entries)) = source.runs.pop_front()
                {
                    entries.into_iter().try_for_each(|entry| writer.push(key, entry))?;
                }
            }
        }
        let mut marks = Marks::default();
        merged.iter().for_each(|segment| marks.append(segment.marks.as_slice()));
        Ok(Arc::new(writer.finish(to, &marks)?))
    }
}
