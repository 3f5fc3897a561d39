//! Which entries may answer a question: lists of every segment and of the tail, joined, in one order.

use super::disk::{Refused, Segment, Shared};
use super::ended::{Span, span_of};
use super::{LedgerIndex, lock};
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use tacet_ledger::index::{Facet, Joined, List, Mark, MemoryList, Question, SegmentList, Window};

/// Consecutive entries, and where their lists are.
enum Layer {
    Segment(Arc<Segment>),
    Memory { from: u64, to: u64, lists: HashMap<u64, Vec<u64>>, marks: Vec<Mark> },
}

impl Layer {
    fn span(&self) -> (u64, u64) {
        match self {
            Self::Segment(segment) => (segment.info.from, segment.info.to),
            Self::Memory { from, to, .. } => (*from, *to),
        }
    }

    fn list(&self, key: u64) -> Box<dyn List<Refused> + Send> {
        match self {
            Self::Segment(segment) => Box::new(SegmentList::new(Shared(Arc::clone(segment)), key)),
            Self::Memory { lists, .. } => Box::new(MemoryList(lists.get(&key).cloned().unwrap_or_default())),
        }
    }

    fn window(&self, times: (Bound<i64>, Bound<i64>)) -> Box<dyn List<Refused> + Send> {
        let marks = match self {
            Self::Segment(segment) => segment.marks.as_slice(),
            Self::Memory { marks, .. } => marks.as_slice(),
        };
        Box::new(Window::new(marks, self.span().1, times))
    }

    fn joined(&self, groups: &[Vec<u64>], times: Option<(Bound<i64>, Bound<i64>)>) -> Joined<'static, Refused> {
        let lists = |group: &Vec<u64>| group.iter().map(|key| self.list(*key)).collect();
        let mut all: Vec<Vec<Box<dyn List<Refused> + Send>>> = groups.iter().map(lists).collect();
        if let Some(times) = times {
            all.push(vec![self.window(times)]);
        }
        if all.is_empty() {
            let (from, to) = self.span();
            let everything = Mark { first: from, from_ms: i64::MIN, to_ms: i64::MAX };
            all.push(vec![Box::new(Window::new(&[everything], to, (Bound::Unbounded, Bound::Unbounded)))]);
        }
        Joined::new(all)
    }
}

/// The index as it stood at one moment.
pub(crate) struct View {
    layers: Vec<Layer>,
    /// Entries that are found by nothing that they said: their time is over.
    hidden: Vec<Span>,
    /// Entries that it knows.
    pub(crate) entries: u64,
    /// How many of them did not open when they were looked at; at most what was asked to be counted.
    pub(crate) unread: u64,
}

impl LedgerIndex {
    /// The index as it stands now, for questions with these keys; none where it does not hold the first `entries_min` entries any more, because it is
    /// being made again since they were looked at. Entries that do not open are counted up to `unread_max`.
    pub(crate) fn view(&self, groups: &[Vec<u64>], entries_min: u64, unread_max: u64) -> Result<Option<View>, Refused> {
        let unread = self.facet_keys.key(Facet::Unread);
        let mut view = {
            let state = lock(&self.state);
            if state.frontier.size() < entries_min {
                return Ok(None);
            }
            let mut layers: Vec<Layer> =
                state.segments.iter().map(|segment| Layer::Segment(Arc::clone(segment))).collect();
            let frozen = state.frozen.as_ref().map(|(tail, _)| tail.as_ref());
            for tail in frozen.into_iter().chain([&state.tail]) {
                let keys = groups.iter().flatten().chain([&unread]);
                let lists = keys.map(|key| (*key, tail.list(*key))).collect();
                let marks = tail.marks.as_slice().to_vec();
                layers.push(Layer::Memory { from: tail.from, to: tail.to, lists, marks });
            }
            View { layers, hidden: state.hidden.clone(), entries: state.frontier.size(), unread: 0 }
        };
        for layer in &view.layers {
            let (mut list, mut next) = (layer.list(unread), 0);
            while view.unread < unread_max
                && let Some(found) = list.at_or_after(next)?
            {
                let hidden = span_of(&view.hidden, found);
                view.unread += u64::from(hidden.is_none());
                next = hidden.map_or(found + 1, |(_, end)| end);
            }
        }
        Ok(Some(view))
    }
}

/// The entries that may answer a question, one after the other. Those that are given and do not answer it are few: the edges of a time, and what
/// is not in the index.
pub(crate) struct Search {
    view: View,
    groups: Vec<Vec<u64>>,
    times: Option<(Bound<i64>, Bound<i64>)>,
    newest_first: bool,
    /// The next entry that may be given; none: it is done.
    next: Option<u64>,
    /// Entries that were there when the question was asked first.
    size: u64,
    current: Option<(usize, Joined<'static, Refused>)>,
}

impl Search {
    /// Among the first `size` entries, from `next` on.
    pub(crate) fn new(
        view: View,
        question: &Question,
        groups: Vec<Vec<u64>>,
        newest_first: bool,
        size: u64,
        next: Option<u64>,
    ) -> Self {
        let size = size.min(view.entries);
        let first = if newest_first { size.checked_sub(1) } else { (size > 0).then_some(0) };
        let next = next.or(first).filter(|next| *next < size);
        Self { view, groups, times: question.times(), newest_first, next, size, current: None }
    }

    /// Where it goes on; none: it is done.
    pub(crate) fn position(&self) -> Option<u64> {
        self.next
    }

    /// How many entries there were.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// How many of the ledger's entries did not open when they were looked at.
    pub(crate) fn unread(&self) -> u64 {
        self.view.unread
    }

    /// The span of entries that are not to be found, where this is one of them. Who asks for all entries is told that they are there.
    fn hidden(&self, entry: u64) -> Option<Span> {
        let all = self.groups.is_empty() && self.times.is_none();
        span_of(&self.view.hidden, entry).filter(|_| !all)
    }

    /// The next entry.
    pub(crate) fn advance(&mut self) -> Result<Option<u64>, Refused> {
        while let Some(next) = self.next {
            let at = self.view.layers.partition_point(|layer| layer.span().1 <= next);
            let Some(layer) = self.view.layers.get(at) else { break };
            let (from, to) = layer.span();
            if let Some((first, end)) = self.hidden(next) {
                self.next =
                    if self.newest_first { first.checked_sub(1) } else { Some(end).filter(|end| *end < self.size) };
                continue;
            }
            if self.current.as_ref().is_none_or(|(current, _)| *current != at) {
                self.current = Some((at, layer.joined(&self.groups, self.times)));
            }
            let Some((_, joined)) = &mut self.current else { break };
            if self.newest_first {
                let found = joined.at_or_before(next)?.filter(|found| *found >= from);
                self.next = found.unwrap_or(from).checked_sub(1);
                if found.is_some_and(|found| self.hidden(found).is_none()) {
                    return Ok(found);
                }
            } else {
                let found = joined.at_or_after(next)?.filter(|found| *found < to);
                self.next = Some(found.map_or(to, |found| found + 1)).filter(|next| *next < self.size);
                if found.is_some_and(|found| found < self.size && self.hidden(found).is_none()) {
                    return Ok(found);
                }
            }
        }
        self.next = None;
        Ok(None)
    }
}
