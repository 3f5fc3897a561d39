//! Reading a segment: the index by itself, and each block by itself. Whatever comes from a target is hostile until its hash says otherwise.

use super::{HEADER_BYTES, MAGIC_END, Row, TRAILER_BYTES, header};
use crate::manifest::{SpaceRows, sha256};
use aws_lc_rs::digest::{Context, SHA256};
use std::ops::Range;
use tacet_store::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Bytes of a row before its key.
const ROW_HEADER_BYTES: usize = 1 + 2 + 4;

/// A finished segment.
pub struct Segment {
    /// The whole object.
    pub bytes: Vec<u8>,
    /// Its name.
    pub sha256: [u8; 32],
    /// Its first key.
    pub first: Vec<u8>,
    /// Its last key.
    pub last: Vec<u8>,
    /// Rows by space, ascending.
    pub spaces: Vec<SpaceRows>,
}

/// Where a block stands, and what it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// Key of its first row.
    pub first: Vec<u8>,
    /// Where it begins in the object, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
    /// Its rows.
    pub rows: u32,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl BlockInfo {
    /// The block's place in the object.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(u64::from(self.length))
    }

    /// The rows in the block's bytes.
    ///
    /// # Errors
    /// They are not what was written; says how.
    pub fn read(&self, bytes: &[u8]) -> Result<Vec<Row>, &'static str> {
        if bytes.len() != self.length as usize || sha256(bytes) != self.sha256 {
            return Err("a block of it has other bytes");
        }
        let mut rows = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (row, after) = read_row(rest).ok_or("a row of it is malformed")?;
            if rows.last().is_some_and(|last: &Row| last.key >= row.key) {
                return Err("its rows are not in the order of their keys");
            }
            rows.push(row);
            rest = after;
        }
        if rows.len() != self.rows as usize || rows.first().is_none_or(|row| row.key != self.first) {
            return Err("a block of it has other rows than its index says");
        }
        Ok(rows)
    }
}

fn read_row(bytes: &[u8]) -> Option<(Row, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<ROW_HEADER_BYTES>()?;
    let [op, key_high, key_low, value @ ..] = *head;
    let key_length = usize::from(u16::from_be_bytes([key_high, key_low]));
    let value_length = u32::from_be_bytes(value) as usize;
    if key_length == 0 || key_length > KEY_BYTES_MAX || value_length > VALUE_BYTES_MAX {
        return None;
    }
    let (key, rest) = rest.split_at_checked(key_length)?;
    let (value, rest) = rest.split_at_checked(value_length)?;
    let value = match (op, value_length) {
        (1, _) => Some(value.to_vec()),
        (2, 0) => None,
        _ => return None,
    };
    Some((Row { key: key.to_vec(), value }, rest))
}

/// A segment's index, verified against its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentIndex {
    /// Blocks in the order of their keys.
    pub blocks: Vec<BlockInfo>,
    /// Key of the last row.
    pub last: Vec<u8>,
    /// Rows by space, ascending.
    pub spaces: Vec<SpaceRows>,
}

impl SegmentIndex {
    /// Reads the index of the segment of this name and length; `read` gives bytes of the object. Reads twice: the trailer, then the index (and
    /// the header with it where they are near).
    ///
    /// # Errors
    /// What `read` says; or, as `Ok(Err(what))`, that the bytes are not what was written.
    pub fn read<E>(
        name: &[u8; 32],
        bytes: u64,
        mut read: impl FnMut(Range<u64>) -> Result<Vec<u8>, E>,
    ) -> Result<Result<Self, &'static str>, E> {
        let Some(trailer_at) = bytes.checked_sub(TRAILER_BYTES as u64).filter(|at| *at >= HEADER_BYTES as u64) else {
            return Ok(Err("it is too short"));
        };
        // One byte more than there may be: an object that is longer than it was is not what was written either.
        let trailer = read(trailer_at..bytes.saturating_add(1))?;
        let range = match index_range(name, &trailer, trailer_at) {
            Ok(range) => range,
            Err(what) => return Ok(Err(what)),
        };
        let index = read(range)?;
        let head = read(0..HEADER_BYTES as u64)?;
        Ok(Self::decode(name, &head, &index, trailer_at))
    }

    /// Reads the index of a whole object.
    ///
    /// # Errors
    /// It is not what was written; says how.
    pub fn of(name: &[u8; 32], object: &[u8]) -> Result<Self, &'static str> {
        let at = |range: Range<u64>| {
            let (from, to) = (usize::try_from(range.start), usize::try_from(range.end));
            let (from, to) = (from.unwrap_or(usize::MAX), to.unwrap_or(usize::MAX).min(object.len()));
            Ok::<_, std::convert::Infallible>(object.get(from..to).unwrap_or_default().to_vec())
        };
        match Self::read(name, object.len() as u64, at) {
            Ok(read) => read,
            Err(never) => match never {},
        }
    }

    fn decode(name: &[u8; 32], head: &[u8], index: &[u8], trailer_at: u64) -> Result<Self, &'static str> {
        if head != header() {
            return Err("it does not begin as a segment of this format");
        }
        let mut context = Context::new(&SHA256);
        context.update(head);
        context.update(index);
        if context.finish().as_ref() != name {
            return Err("its index has other bytes");
        }
        let read = decode(index).ok_or("its index is malformed")?;
        let mut at = HEADER_BYTES as u64;
        for block in &read.blocks {
            if block.offset != at || block.length == 0 {
                return Err("its blocks do not follow each other");
            }
            at = block.range().end;
        }
        let counted: u64 = read.blocks.iter().map(|block| u64::from(block.rows)).sum();
        let listed = read.spaces.iter().map(|rows| rows.puts.saturating_add(rows.deletes)).fold(0, u64::saturating_add);
        if at.saturating_add(index.len() as u64) != trailer_at || counted != listed {
            return Err("its index does not fit its blocks");
        }
        let ordered = read.blocks.is_sorted_by(|one, next| one.first < next.first);
        if !ordered || read.blocks.last().is_none_or(|block| block.first > read.last) {
            return Err("its blocks are not in the order of their keys");
        }
        Ok(read)
    }

    /// The block in which `key` stands if the segment has it.
    pub fn block_of(&self, key: &[u8]) -> Option<&BlockInfo> {
        if key > self.last.as_slice() {
            return None;
        }
        let after = self.blocks.partition_point(|block| block.first.as_slice() <= key);
        after.checked_sub(1).and_then(|place| self.blocks.get(place))
    }

    /// Shows every row of a whole object whose index this is, after its block was held against its hash.
    ///
    /// # Errors
    /// It is not what was written; says how. Rows that were shown before are whole blocks.
    pub fn rows(&self, object: &[u8], visit: &mut dyn FnMut(Row)) -> Result<(), &'static str> {
        let mut last: Vec<u8> = Vec::new();
        let mut spaces = std::collections::BTreeMap::<u8, (u64, u64)>::new();
        for block in &self.blocks {
            let range = block.range();
            let (from, to) = (usize::try_from(range.start), usize::try_from(range.end));
            let bytes = from.ok().zip(to.ok()).and_then(|(from, to)| object.get(from..to)).ok_or("it is too short")?;
            for row in block.read(bytes)? {
                if row.key <= last {
                    return Err("its rows are not in the order of their keys");
                }
                last.clone_from(&row.key);
                let counts = spaces.entry(row.key.first().copied().unwrap_or_default()).or_default();
                if row.value.is_some() {
                    counts.0 += 1;
                } else {
                    counts.1 += 1;
                }
                visit(row);
            }
        }
        let counted = spaces.into_iter().map(|(space, (puts, deletes))| SpaceRows { space, puts, deletes });
        if last != self.last || !counted.eq(self.spaces.iter().copied()) {
            return Err("it has other rows than its index says");
        }
        Ok(())
    }
}

/// Where the index stands, from the trailer's bytes (and none behind them).
fn index_range(name: &[u8; 32], trailer: &[u8], trailer_at: u64) -> Result<Range<u64>, &'static str> {
    if trailer.len() < TRAILER_BYTES {
        return Err("it is cut short");
    }
    let fields = || {
        let (offset, rest) = trailer.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (named, rest) = rest.split_first_chunk::<32>()?;
        (rest == MAGIC_END).then(|| (u64::from_be_bytes(*offset), u32::from_be_bytes(*length), named))
    };
    let (offset, length, named) = fields().ok_or("it does not end as a segment of this length")?;
    if named != name {
        return Err("it is another segment");
    }
    let range = offset..offset.saturating_add(u64::from(length));
    if offset < HEADER_BYTES as u64 || range.end != trailer_at {
        return Err("its trailer does not fit its length");
    }
    Ok(range)
}

fn decode(index: &[u8]) -> Option<SegmentIndex> {
    let (count, mut rest) = index.split_first_chunk::<4>()?;
    let mut blocks = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (first, after) = read_key(rest)?;
        let (offset, after) = after.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (rows, after) = after.split_first_chunk::<4>()?;
        let (hash, after) = after.split_first_chunk::<32>()?;
        blocks.push(BlockInfo {
            first,
            offset: u64::from_be_bytes(*offset),
            length: u32::from_be_bytes(*length),
            rows: u32::from_be_bytes(*rows),
            sha256: *hash,
        });
        rest = after;
    }
    let (last, rest) = read_key(rest)?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let mut spaces: Vec<SpaceRows> = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let ([space], after) = rest.split_first_chunk::<1>()?;
        let (puts, after) = after.split_first_chunk::<8>()?;
        let (deletes, after) = after.split_first_chunk::<8>()?;
        if spaces.last().is_some_and(|last| last.space >= *space) {
            return None;
        }
        spaces.push(SpaceRows {
            space: *space,
            puts: u64::from_be_bytes(*puts),
            deletes: u64::from_be_bytes(*deletes),
        });
        rest = after;
    }
    (rest.is_empty() && !blocks.is_empty()).then_some(SegmentIndex { blocks, last, spaces })
}

fn read_key(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (key, rest) = rest.split_at_checked(length)?;
    (length > 0 && length <= KEY_BYTES_MAX).then(|| (key.to_vec(), rest))
}

#[cfg(test)]
mod tests {
    use super::super::SegmentWriter;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn segment(rows: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Segment {
        let mut writer = SegmentWriter::new();
        rows.iter().for_each(|(key, value)| writer.push(key, value.as_deref()));
        writer.finish().unwrap()
    }

    fn all(name: &[u8; 32], object: &[u8]) -> Result<Vec<Row>, &'static str> {
        let mut rows = Vec::new();
        SegmentIndex::of(name, object)?.rows(object, &mut |row| rows.push(row))?;
        Ok(rows)
    }

    /// Rows enough for some blocks, of several spaces, with removals.
    fn some_rows(count: u32, value_bytes: usize) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let row = |n: u32| {
            let value = (!n.is_multiple_of(5)).then(|| vec![n as u8; value_bytes + n as usize % 7]);
            ([&[2 + (n % 3) as u8][..], &n.to_be_bytes()].concat(), value)
        };
        (0..count).map(row).collect()
    }

    proptest! {
        #[test]
        fn rows_go_round(rows in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..40),
            prop::option::of(prop::collection::vec(any::<u8>(), 0..3000)), 1..200)) {
            let segment = segment(&rows);
            let read = all(&segment.sha256, &segment.bytes).unwrap();
            prop_assert!(read.iter().map(|row| (&row.key, &row.value)).eq(rows.iter()));
            let index = SegmentIndex::of(&segment.sha256, &segment.bytes).unwrap();
            prop_assert_eq!(&index.spaces, &segment.spaces);
            for key in rows.keys() {
                let block = index.block_of(key).unwrap();
                let range = block.range();
                let found = block.read(&segment.bytes[range.start as usize..range.end as usize]).unwrap();
                prop_assert!(found.iter().any(|row| row.key == *key));
            }
        }

        #[test]
        fn no_bytes_are_a_segment_by_chance(bytes in prop::collection::vec(any::<u8>(), 0..400), name in any::<[u8; 32]>()) {
            prop_assert!(SegmentIndex::of(&name, &bytes).is_err());
            let _ = decode(&bytes);
            let _ = read_row(&bytes);
        }
    }

    #[test]
    fn each_bit_that_turns_and_each_byte_that_is_missing_or_added_is_noticed() {
        let segment = segment(&some_rows(60, 20));
        for place in 0..segment.bytes.len() {
            for bit in 0..8 {
                let mut changed = segment.bytes.clone();
                changed[place] ^= 1 << bit;
                assert!(all(&segment.sha256, &changed).is_err(), "byte {place} bit {bit}");
            }
            assert!(all(&segment.sha256, &segment.bytes[..place]).is_err(), "cut at {place}");
        }
        assert!(all(&segment.sha256, &[&segment.bytes[..], b"\0"].concat()).is_err());
    }

    #[test]
    fn an_index_is_read_alone_and_longer_objects_are_noticed() {
        let segment = segment(&some_rows(3000, 200));
        let mut asked = Vec::new();
        let mut read = |range: Range<u64>| {
            asked.push(range.clone());
            let to = (range.end as usize).min(segment.bytes.len());
            Ok::<_, ()>(segment.bytes[range.start as usize..to].to_vec())
        };
        let bytes = segment.bytes.len() as u64;
        let index = SegmentIndex::read(&segment.sha256, bytes, &mut read).unwrap().unwrap();
        assert!(index.blocks.len() > 5, "{} blocks", index.blocks.len());
        assert!(asked.iter().map(|range| range.end - range.start).sum::<u64>() < bytes / 20);
        // Read as if it were shorter than it is.
        let longer = [&segment.bytes[..], b"x"].concat();
        let read = |range: Range<u64>| {
            let to = (range.end as usize).min(longer.len());
            Ok::<_, ()>(longer[range.start as usize..to].to_vec())
        };
        assert!(SegmentIndex::read(&segment.sha256, bytes, read).unwrap().is_err());
    }

    #[test]
    fn a_segment_has_the_documented_bytes() {
        let rows = BTreeMap::from([(vec![2, 1], Some(vec![0xaa])), (vec![3], None)]);
        let Segment { bytes, sha256: name, .. } = segment(&rows);
        assert_eq!(&bytes[..16], b"TACETSEG\0\x01\0\0\0\0\0\0");
        assert_eq!(&bytes[16..26], [1, 0, 2, 0, 0, 0, 1, 2, 1, 0xaa]);
        assert_eq!(&bytes[26..34], [2, 0, 1, 0, 0, 0, 0, 3]);
        let block = sha256(&bytes[16..34]);
        let index = [
            &[0, 0, 0, 1, 0, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 18, 0, 0, 0, 2][..],
            &block,
            &[0, 1, 3, 0, 2],
            &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ]
        .concat();
        assert_eq!(&bytes[34..34 + index.len()], index);
        let trailer = &bytes[34 + index.len()..];
        assert_eq!(trailer.len(), TRAILER_BYTES);
        assert_eq!(&trailer[..12], [&34_u64.to_be_bytes()[..], &(index.len() as u32).to_be_bytes()].concat());
        assert_eq!((&trailer[12..44], &trailer[44..]), (&name[..], &b"TACETEND"[..]));
        assert_eq!(sha256(&[&bytes[..16], &index].concat()), name);
    }
}
