//! From when to when entries are. Entries stand in the order of their commits, which is nearly that of their times and not quite, so each block of
//! them keeps the least and the greatest.

use super::{CHUNK_BYTES, Malformed};
use tacet_types::Timestamp;

/// Entries of one block. A question about a time looks at up to two blocks of entries that are not of it.
pub const BLOCK_ENTRIES: u64 = 1024;

/// Bytes of a mark.
pub const MARK_BYTES: usize = 24;

/// Marks in a chunk of marks.
pub const MARKS_A_CHUNK: usize = CHUNK_BYTES / MARK_BYTES;

/// One block of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Its first entry. It goes to the next mark, or to the end of the segment.
    pub first: u64,
    /// The least time, in milliseconds since 1970; above the greatest where no entry of it opened.
    pub from_ms: i64,
    /// The greatest time.
    pub to_ms: i64,
}

/// The blocks of consecutive entries.
#[derive(Clone, Default, Debug)]
pub struct Marks {
    marks: Vec<Mark>,
}

impl Marks {
    /// Takes in the next entry; `at` is none where it did not open.
    pub fn add(&mut self, entry: u64, at: Option<Timestamp>) {
        let new = self.marks.last().is_none_or(|mark| entry - mark.first >= BLOCK_ENTRIES);
        if new {
            self.marks.push(Mark { first: entry, from_ms: i64::MAX, to_ms: i64::MIN });
        }
        if let (Some(mark), Some(at)) = (self.marks.last_mut(), at) {
            (mark.from_ms, mark.to_ms) = (mark.from_ms.min(at.as_ms()), mark.to_ms.max(at.as_ms()));
        }
    }

    /// Adds the blocks of the entries that follow.
    pub fn append(&mut self, later: &[Mark]) {
        self.marks.extend_from_slice(later);
    }

    /// The blocks.
    pub fn as_slice(&self) -> &[Mark] {
        &self.marks
    }

    /// As chunks: as many as fit into each, the rest zeros.
    pub fn encode(&self) -> Vec<Vec<u8>> {
        let chunk = |marks: &[Mark]| {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            for mark in marks {
                chunk.extend(mark.first.to_be_bytes());
                chunk.extend(mark.from_ms.to_be_bytes());
                chunk.extend(mark.to_ms.to_be_bytes());
            }
            chunk.resize(CHUNK_BYTES, 0);
            chunk
        };
        self.marks.chunks(MARKS_A_CHUNK).map(chunk).collect()
    }

    /// Adds the first `count` marks of a chunk.
    ///
    /// # Errors
    /// They are not in order.
    pub fn decode(&mut self, chunk: &[u8], count: usize) -> Result<(), Malformed> {
        let wrong = Malformed::new("marks");
        let (marks, _) = chunk.as_chunks::<MARK_BYTES>();
        for bytes in marks.get(..count).ok_or(wrong)? {
            let (words, _) = bytes.as_chunks::<8>();
            let [first, from_ms, to_ms] = words else { return Err(wrong) };
            let first = u64::from_be_bytes(*first);
            if self.marks.last().is_some_and(|last| last.first >= first) {
                return Err(Malformed::new("marks in order"));
            }
            let (from_ms, to_ms) = (i64::from_be_bytes(*from_ms), i64::from_be_bytes(*to_ms));
            self.marks.push(Mark { first, from_ms, to_ms });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hold_the_ends_of_each_block_and_go_round() {
        let mut marks = Marks::default();
        for entry in 100..100 + 3 * BLOCK_ENTRIES {
            // Times go down, and the middle block has none.
            let at = (!(1124..2148).contains(&entry)).then(|| Timestamp::from_ms(10_000 - entry as i64));
            marks.add(entry, at);
        }
        let expected = [(100, 8877, 9900), (1124, i64::MAX, i64::MIN), (2148, 6829, 7852)];
        let expected = expected.map(|(first, from_ms, to_ms)| Mark { first, from_ms, to_ms });
        assert_eq!(marks.as_slice(), expected);
        let mut again = Marks::default();
        for chunk in marks.encode() {
            assert_eq!(chunk.len(), CHUNK_BYTES);
            again.decode(&chunk, 3).unwrap();
        }
        assert_eq!(again.as_slice(), marks.as_slice());
        assert!(again.decode(&marks.encode()[0], 1).is_err(), "not after those before");
        assert!(Marks::default().decode(&marks.encode()[0], MARKS_A_CHUNK + 1).is_err());
    }
}
