//! Ascending lists of entries that are asked for the next one from a place, forwards or backwards, and what fits all of several.

use super::{Malformed, Mark, Top, runs};
use std::ops::Bound;

/// A list of entries, in ascending order, each once.
pub trait List<E> {
    /// The first entry of the list at `entry` or after it.
    ///
    /// # Errors
    /// The list cannot be read.
    fn at_or_after(&mut self, entry: u64) -> Result<Option<u64>, E>;

    /// The last entry of the list at `entry` or before it.
    ///
    /// # Errors
    /// The list cannot be read.
    fn at_or_before(&mut self, entry: u64) -> Result<Option<u64>, E>;
}

/// A list in memory.
#[derive(Clone, Default, Debug)]
pub struct MemoryList(pub Vec<u64>);

fn after(entries: &[u64], entry: u64) -> Option<u64> {
    entries.get(entries.partition_point(|found| *found < entry)).copied()
}

fn before(entries: &[u64], entry: u64) -> Option<u64> {
    entries.get(entries.partition_point(|found| *found <= entry).checked_sub(1)?).copied()
}

impl<E> List<E> for MemoryList {
    fn at_or_after(&mut self, entry: u64) -> Result<Option<u64>, E> {
        Ok(after(&self.0, entry))
    }

    fn at_or_before(&mut self, entry: u64) -> Result<Option<u64>, E> {
        Ok(before(&self.0, entry))
    }
}

/// The chunks of a segment, opened one at a time.
pub trait Chunks {
    /// Why one cannot be had.
    type Error: From<Malformed>;

    /// The segment's first entry.
    fn from(&self) -> u64;

    /// The top of each chunk.
    fn tops(&self) -> &[Top];

    /// A chunk.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    fn chunk(&self, number: usize) -> Result<Vec<u8>, Self::Error>;
}

/// The entries of one key in a segment. It has one chunk's worth of them in memory.
pub struct SegmentList<C> {
    chunks: C,
    key: u64,
    /// The first chunk that begins with the key.
    first: usize,
    /// The one after the last of these.
    end: usize,
    loaded: Option<(usize, Vec<u64>)>,
}

impl<C: Chunks> SegmentList<C> {
    /// Finds the chunks; reads none yet.
    pub fn new(chunks: C, key: u64) -> Self {
        let first = chunks.tops().partition_point(|top| top.key < key);
        let end = chunks.tops().partition_point(|top| top.key <= key);
        Self { chunks, key, first, end, loaded: None }
    }

    /// The entries of the key in a chunk: none where it has none.
    fn entries(&mut self, number: usize) -> Result<&[u64], C::Error> {
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
            let chunk = self.chunks.chunk(number)?;
            let mut entries = Vec::new();
            for run in runs(&chunk, self.chunks.from()) {
                let run = run?;
                if run.key == self.key {
                    run.entries(&mut entries)?;
                    break;
                }
            }
            self.loaded = Some((number, entries));
        }
        Ok(self.loaded.as_ref().map_or(&[], |(_, entries)| entries.as_slice()))
    }

    /// The chunk, among those that may have the key, in which `entry` stands if it stands anywhere. None: there is no such chunk at all.
    fn place(&self, entry: u64) -> Option<usize> {
        let tops = self.chunks.tops().get(self.first..self.end).unwrap_or_default();
        let later = tops.partition_point(|top| top.entry <= entry);
        (self.first + later).checked_sub(1)
    }
}

impl<C: Chunks> List<C::Error> for SegmentList<C> {
    fn at_or_after(&mut self, entry: u64) -> Result<Option<u64>, C::Error> {
        let start = self.place(entry).unwrap_or(self.first);
        // The chunk after the place begins with an entry behind it, so this ends at the second.
        for number in start..self.end.max(self.first.min(start + 1)) {
            if let Some(found) = after(self.entries(number)?, entry) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn at_or_before(&mut self, entry: u64) -> Result<Option<u64>, C::Error> {
        match self.place(entry) {
            Some(number) => Ok(before(self.entries(number)?, entry)),
            None => Ok(None),
        }
    }
}

/// The entries of the blocks that reach into a time, all of them.
#[derive(Clone, Debug)]
pub struct Window {
    /// First entry, and the one after the last, of each stretch of blocks.
    stretches: Vec<(u64, u64)>,
}

impl Window {
    /// Of the blocks of the entries before `to`, those that may have one at `from_ms` or after it and before `to_ms`.
    pub fn new(marks: &[Mark], to: u64, times: (Bound<i64>, Bound<i64>)) -> Self {
        let mut stretches: Vec<(u64, u64)> = Vec::new();
        let ends = marks.iter().skip(1).map(|mark| mark.first).chain([to]);
        for (mark, end) in marks.iter().zip(ends) {
            let late_enough = match times.0 {
                Bound::Included(from_ms) => mark.to_ms >= from_ms,
                Bound::Excluded(from_ms) => mark.to_ms > from_ms,
                Bound::Unbounded => true,
            };
            let early_enough = match times.1 {
                Bound::Included(to_ms) => mark.from_ms <= to_ms,
                Bound::Excluded(to_ms) => mark.from_ms < to_ms,
                Bound::Unbounded => true,
            };
            if !late_enough || !early_enough {
                continue;
            }
            match stretches.last_mut() {
                Some((_, last)) if *last == mark.first => *last = end,
                _ => stretches.push((mark.first, end)),
            }
        }
        Self { stretches }
    }
}

impl<E> List<E> for Window {
    fn at_or_after(&mut self, entry: u64) -> Result<Option<u64>, E> {
        let at = self.stretches.partition_point(|(_, end)| *end <= entry);
        Ok(self.stretches.get(at).map(|(first, _)| entry.max(*first)))
    }

    fn at_or_before(&mut self, entry: u64) -> Result<Option<u64>, E> {
        let at = self.stretches.partition_point(|(first, _)| *first <= entry);
        Ok(at.checked_sub(1).and_then(|at| self.stretches.get(at)).map(|(_, end)| entry.min(end - 1)))
    }
}

/// What is in one list of each group: all of several, each of which may be fulfilled in several ways.
pub struct Joined<'a, E> {
    groups: Vec<Vec<Box<dyn List<E> + Send + 'a>>>,
}

impl<'a, E> Joined<'a, E> {
    /// Of these groups. No group at all would fit every entry there ever was, and has none here.
    pub fn new(groups: Vec<Vec<Box<dyn List<E> + Send + 'a>>>) -> Self {
        Self { groups }
    }
}

impl<E> List<E> for Joined<'_, E> {
    fn at_or_after(&mut self, mut entry: u64) -> Result<Option<u64>, E> {
        let mut agreed = 0;
        for place in (0..self.groups.len()).cycle() {
            let Some(group) = self.groups.get_mut(place) else { break };
            let mut least = None;
            for list in group {
                least = [least, list.at_or_after(entry)?].into_iter().flatten().min();
            }
            let Some(found) = least else { return Ok(None) };
            agreed = if found == entry { agreed + 1 } else { 1 };
            entry = found;
            if agreed >= self.groups.len() {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn at_or_before(&mut self, mut entry: u64) -> Result<Option<u64>, E> {
        let mut agreed = 0;
        for place in (0..self.groups.len()).cycle() {
            let Some(group) = self.groups.get_mut(place) else { break };
            let mut greatest = None;
            for list in group {
                greatest = greatest.max(list.at_or_before(entry)?);
            }
            let Some(found) = greatest else { return Ok(None) };
            agreed = if found == entry { agreed + 1 } else { 1 };
            entry = found;
            if agreed >= self.groups.len() {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::ChunkWriter;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    struct InMemory {
        from: u64,
        tops: Vec<Top>,
        chunks: Vec<Vec<u8>>,
    }

    impl Chunks for &InMemory {
        type Error = Malformed;

        fn from(&self) -> u64 {
            self.from
        }

        fn tops(&self) -> &[Top] {
            &self.tops
        }

        fn chunk(&self, number: usize) -> Result<Vec<u8>, Malformed> {
            self.chunks.get(number).cloned().ok_or(Malformed::new("chunk"))
        }
    }

    fn in_memory(from: u64, postings: &BTreeSet<(u64, u64)>) -> InMemory {
        let mut writer = ChunkWriter::new(from);
        let mut chunks = Vec::new();
        postings.iter().for_each(|(key, entry)| chunks.extend(writer.push(*key, *entry).unwrap()));
        chunks.extend(writer.finish());
        let (tops, chunks) = chunks.into_iter().unzip();
        InMemory { from, tops, chunks }
    }

    fn all<E: std::fmt::Debug>(list: &mut dyn List<E>, end: u64) -> Vec<u64> {
        let (mut found, mut next) = (Vec::new(), 0);
        while let Some(entry) = list.at_or_after(next).unwrap() {
            found.push(entry);
            next = entry + 1;
        }
        let (mut back, mut next) = (Vec::new(), Some(end));
        while let Some(at) = next
            && let Some(entry) = list.at_or_before(at).unwrap()
        {
            back.push(entry);
            next = entry.checked_sub(1);
        }
        back.reverse();
        assert_eq!(found, back);
        found
    }

    #[test]
    fn long_lists_are_read_in_both_directions() {
        // Keys 2 and 4 go over several chunks, 3 stands between them in one.
        let mut postings: BTreeSet<(u64, u64)> = (0..50_000).map(|entry| (2, 100 + entry * 200)).collect();
        postings.extend((0..50_000).map(|entry| (4, 150 + entry * 200)));
        postings.extend([(3, 100), (3, 5000), (9, 100)]);
        let memory = in_memory(100, &postings);
        assert!(memory.chunks.len() > 6, "{}", memory.chunks.len());
        for key in 0..11 {
            let expected: Vec<u64> = postings.iter().filter(|(of, _)| *of == key).map(|(_, entry)| *entry).collect();
            assert_eq!(all(&mut SegmentList::new(&memory, key), u64::MAX), expected, "{key}");
            let mut list = SegmentList::new(&memory, key);
            for entry in (0..10_100_000).step_by(54_321) {
                assert_eq!(list.at_or_after(entry).unwrap(), after(&expected, entry), "{key} {entry}");
                assert_eq!(list.at_or_before(entry).unwrap(), before(&expected, entry), "{key} {entry}");
            }
        }
    }

    #[test]
    fn a_window_is_made_of_whole_blocks() {
        let mark = |first, from_ms, to_ms| Mark { first, from_ms, to_ms };
        let marks = [mark(10, 0, 5), mark(20, 5, 9), mark(30, 9, 8), mark(40, 7, 12)];
        let window = |from, to| {
            let mut window = Window::new(&marks, 45, (from, to));
            all::<Malformed>(&mut window, 1000)
        };
        assert_eq!(window(Bound::Unbounded, Bound::Unbounded), (10..45).collect::<Vec<_>>());
        assert_eq!(window(Bound::Included(10), Bound::Unbounded), (40..45).collect::<Vec<_>>());
        assert_eq!(window(Bound::Unbounded, Bound::Excluded(5)), (10..20).collect::<Vec<_>>());
        assert_eq!(window(Bound::Included(6), Bound::Excluded(8)), (20..30).chain(40..45).collect::<Vec<_>>());
        assert_eq!(window(Bound::Included(13), Bound::Unbounded), Vec::<u64>::new());
    }

    proptest! {
        #[test]
        fn what_is_joined_is_what_is_in_all_groups(
            groups in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::btree_set(0u64..60, 0..40), 1..3), 1..4),
        ) {
            let fits = |entry: &u64| groups.iter().all(|group| group.iter().any(|list| list.contains(entry)));
            let expected: Vec<u64> = (0..60).filter(fits).collect();
            let boxed = |list: &BTreeSet<u64>| {
                Box::new(MemoryList(list.iter().copied().collect())) as Box<dyn List<Malformed> + Send>
            };
            let mut joined = Joined::new(groups.iter().map(|group| group.iter().map(boxed).collect()).collect());
            prop_assert_eq!(all(&mut joined, 100), expected);
        }
    }
}
