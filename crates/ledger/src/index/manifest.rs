//! What the index consists of: how far it goes, the tree over the entries up to there, its segments and their keys.
//!
//! ```text
//! format=2 (2)  ended (4)  entries (8)  peak (32) for each bit set in entries
//! { id (16)  key (32)  first entry (8)  entry after the last (8)  chunks (4)  marks (4) }*
//! ```

use super::{MARKS_A_CHUNK, Malformed, TOPS_A_CHUNK};
use crate::merkle::{Frontier, HASH_BYTES, TreeHash};
use std::sync::Arc;
use tacet_seal::{KEY_BYTES, Key, Zeroizing};

/// The format that is written, and the only one that is read.
const FORMAT: u16 = 2;

/// Most segments. Merging keeps them below a hundred for any ledger that a disk can hold.
pub const SEGMENTS_MAX: usize = 1024;

/// Bytes of a segment's line.
const SEGMENT_BYTES: usize = 16 + KEY_BYTES + 8 + 8 + 4 + 4;

/// Longest manifest.
pub const MANIFEST_BYTES_MAX: usize = 2 + 4 + 8 + 64 * HASH_BYTES + SEGMENTS_MAX * SEGMENT_BYTES;

/// One segment.
#[derive(Clone)]
pub struct SegmentInfo {
    /// Random; its file's name, and what its chunks are bound to.
    pub id: [u8; 16],
    /// Its random key. It stands here and nowhere else: a segment that is in no manifest opens for nobody.
    pub key: Arc<Key>,
    /// Its first entry.
    pub from: u64,
    /// The entry after its last.
    pub to: u64,
    /// Chunks of postings.
    pub chunks: u32,
    /// Marks of time.
    pub marks: u32,
}

impl SegmentInfo {
    /// Chunks of tops.
    pub fn tops_chunks(&self) -> usize {
        (self.chunks as usize).div_ceil(TOPS_A_CHUNK)
    }

    /// Chunks of marks.
    pub fn marks_chunks(&self) -> usize {
        (self.marks as usize).div_ceil(MARKS_A_CHUNK)
    }

    /// All its chunks.
    pub fn all_chunks(&self) -> usize {
        self.chunks as usize + self.tops_chunks() + self.marks_chunks()
    }
}

impl std::fmt::Debug for SegmentInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentInfo({}..{}, {} chunks)", self.from, self.to, self.chunks)
    }
}

/// What the index consists of.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// How many keys of months had been destroyed when it was begun: it may remember what those opened that were destroyed later.
    pub ended: u32,
    /// The tree over the entries that are in its segments.
    pub frontier: Frontier,
    /// Its segments, in the order of entries and without gaps.
    pub segments: Vec<SegmentInfo>,
}

impl Manifest {
    /// Its bytes, to be sealed.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // With room for all: a buffer that grows leaves keys behind.
        let bytes = 2 + 4 + 8 + self.frontier.peaks().len() * HASH_BYTES + self.segments.len() * SEGMENT_BYTES;
        let mut out = Zeroizing::new(Vec::with_capacity(bytes));
        out.extend(FORMAT.to_be_bytes());
        out.extend(self.ended.to_be_bytes());
        out.extend(self.frontier.size().to_be_bytes());
        self.frontier.peaks().iter().for_each(|peak| out.extend(peak.0));
        for segment in &self.segments {
            out.extend(segment.id);
            out.extend(segment.key.as_bytes());
            out.extend(segment.from.to_be_bytes());
            out.extend(segment.to.to_be_bytes());
            out.extend(segment.chunks.to_be_bytes());
            out.extend(segment.marks.to_be_bytes());
        }
        out
    }

    /// The manifest of these bytes.
    ///
    /// # Errors
    /// Another format, segments that do not follow each other, or a tree that does not fit them.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let short = Malformed::new("manifest");
        let (format, rest) = bytes.split_first_chunk::<2>().ok_or(short)?;
        if u16::from_be_bytes(*format) != FORMAT {
            return Err(Malformed::new("format"));
        }
        let (ended, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let (size, rest) = rest.split_first_chunk::<8>().ok_or(short)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = rest.split_at_checked(size.count_ones() as usize * HASH_BYTES).ok_or(short)?;
        let peaks = peaks.as_chunks::<HASH_BYTES>().0.iter().map(|peak| TreeHash(*peak)).collect();
        let frontier = Frontier::from_peaks(size, peaks).ok_or(Malformed::new("size"))?;
        let (lines, left) = rest.as_chunks::<SEGMENT_BYTES>();
        if !left.is_empty() || lines.len() > SEGMENTS_MAX {
            return Err(Malformed::new("segments"));
        }
        let mut segments: Vec<SegmentInfo> = Vec::with_capacity(lines.len());
        for line in lines {
            let segment = decode_segment(line).ok_or(Malformed::new("segment"))?;
            let expected = segments.last().map_or(0, |last| last.to);
            if segment.from != expected || segment.to <= segment.from {
                return Err(Malformed::new("segments without gaps"));
            }
            segments.push(segment);
        }
        if segments.last().map_or(0, |last| last.to) != size {
            return Err(Malformed::new("segments up to the size"));
        }
        Ok(Self { ended: u32::from_be_bytes(*ended), frontier, segments })
    }
}

fn decode_segment(line: &[u8; SEGMENT_BYTES]) -> Option<SegmentInfo> {
    let (id, rest) = line.split_first_chunk::<16>()?;
    let (key, rest) = rest.split_at_checked(KEY_BYTES)?;
    let (from, rest) = rest.split_first_chunk::<8>()?;
    let (to, rest) = rest.split_first_chunk::<8>()?;
    let (chunks, marks) = rest.split_first_chunk::<4>()?;
    Some(SegmentInfo {
        id: *id,
        key: Arc::new(Key::from_slice(key)?),
        from: u64::from_be_bytes(*from),
        to: u64::from_be_bytes(*to),
        chunks: u32::from_be_bytes(*chunks),
        marks: u32::from_be_bytes(marks.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    fn manifest() -> Manifest {
        let mut frontier = Frontier::new();
        (0..300u64).for_each(|leaf| frontier.append(leaf_hash(&leaf.to_be_bytes())));
        let segment = |number: u8, from, to| SegmentInfo {
            id: [number; 16],
            key: Arc::new(Key::from_bytes([number; 32])),
            from,
            to,
            chunks: 3,
            marks: 1,
        };
        Manifest { ended: 7, frontier, segments: vec![segment(1, 0, 200), segment(2, 200, 300)] }
    }

    #[test]
    fn a_manifest_goes_round_and_a_wrong_one_is_refused() {
        let bytes = manifest().encode();
        let again = Manifest::decode(&bytes).unwrap();
        assert_eq!(*again.encode(), *bytes);
        assert_eq!((again.ended, again.frontier.root(), again.segments.len()), (7, manifest().frontier.root(), 2));
        assert!(Manifest::decode(&Manifest::default().encode()).unwrap().segments.is_empty());
        for place in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..place]).is_err(), "{place}");
        }
        let wrong = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            Manifest::decode(&manifest.encode()).unwrap_err().what
        };
        assert_eq!(wrong(|manifest| manifest.segments[1].from = 201), "segments without gaps");
        assert_eq!(wrong(|manifest| manifest.segments[1].to = 200), "segments without gaps");
        assert_eq!(wrong(|manifest| manifest.segments[1].to = 301), "segments up to the size");
        assert_eq!(wrong(|manifest| manifest.segments.clear()), "segments up to the size");
        let mut newer = bytes.to_vec();
        newer[1] = 3;
        assert_eq!(Manifest::decode(&newer).unwrap_err().what, "format");
    }

    #[test]
    fn nothing_secret_prints() {
        assert_eq!(format!("{:?}", manifest().segments[0]), "SegmentInfo(0..200, 3 chunks)");
    }
}
