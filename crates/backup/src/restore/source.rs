//! The base snapshot of a chain on its target, as rows that are elsewhere. Whatever is read is held against the manifest before it counts: an
//! index against its segment's name, a block against its index.

use super::base::{Base, Block, Piece};
use crate::error::BackupError;
use crate::manifest::SegmentInfo;
use crate::segment::{BlockInfo, Row, SegmentIndex};
use crate::target::Target;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tacet_store::StoreError;

/// Blocks kept in memory, in bytes of their rows.
const BLOCKS_BYTES_MAX: usize = 64 << 20;

/// Indexes kept in memory: some 4 KiB each.
const INDEXES_MAX: usize = 8192;

/// The segments of a base.
pub struct SegmentBase {
    target: Arc<dyn Target>,
    segments: Vec<SegmentInfo>,
    pieces: Vec<Piece>,
    indexes: Mutex<HashMap<usize, Index>>,
    blocks: Mutex<Blocks>,
}

/// What is kept of a segment's index.
#[derive(Clone)]
struct Index {
    firsts: Arc<Vec<Vec<u8>>>,
    blocks: Arc<Vec<BlockInfo>>,
}

#[derive(Default)]
struct Blocks {
    kept: HashMap<(usize, usize), Arc<Block>>,
    /// In the order in which they came.
    order: VecDeque<(usize, usize)>,
    bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: BackupError) -> StoreError {
    StoreError::Io(io::Error::other(error))
}

impl SegmentBase {
    /// Over the segments of a base's manifest, which was verified.
    pub fn new(target: Arc<dyn Target>, segments: Vec<SegmentInfo>) -> Self {
        let piece = |of: &SegmentInfo| Piece { first: of.first.clone(), last: of.last.clone(), bytes: of.bytes };
        let pieces = segments.iter().map(piece).collect();
        Self { target, segments, pieces, indexes: Mutex::default(), blocks: Mutex::default() }
    }

    fn segment(&self, piece: usize) -> Result<&SegmentInfo, StoreError> {
        self.segments.get(piece).ok_or_else(|| StoreError::corrupt("a backup has no such segment"))
    }

    fn read(&self, segment: &SegmentInfo, range: Option<Range<u64>>) -> Result<Vec<u8>, StoreError> {
        self.target.read(&segment.object, range).map_err(|error| failed(error.into()))
    }

    fn index(&self, piece: usize) -> Result<Index, StoreError> {
        if let Some(index) = lock(&self.indexes).get(&piece) {
            return Ok(index.clone());
        }
        let segment = self.segment(piece)?;
        let read = SegmentIndex::read(&segment.sha256, segment.bytes, |range| self.read(segment, Some(range)))?;
        let index = fitting(segment, read.map_err(|what| damaged(segment, what))?)?;
        let mut indexes = lock(&self.indexes);
        if indexes.len() >= INDEXES_MAX {
            indexes.clear();
        }
        indexes.insert(piece, index.clone());
        Ok(index)
    }
}

fn damaged(segment: &SegmentInfo, what: &'static str) -> StoreError {
    failed(BackupError::damaged(&segment.object, what))
}

/// An index is its segment's by its hash. That the manifest describes that segment is another matter.
fn fitting(segment: &SegmentInfo, index: SegmentIndex) -> Result<Index, StoreError> {
    let rows: u64 = index.blocks.iter().map(|block| u64::from(block.rows)).sum();
    let first = index.blocks.first().map(|block| &block.first);
    if rows != segment.rows || first != Some(&segment.first) || index.last != segment.last {
        return Err(damaged(segment, "it has other rows than its manifest says"));
    }
    let firsts = index.blocks.iter().map(|block| block.first.clone()).collect();
    Ok(Index { firsts: Arc::new(firsts), blocks: Arc::new(index.blocks) })
}

/// The rows of a block of a base, which removes none.
fn rows_of(segment: &SegmentInfo, rows: Vec<Row>) -> Result<Arc<Block>, StoreError> {
    let row = |row: Row| Some((row.key, row.value?));
    let rows = rows.into_iter().map(row).collect::<Option<Vec<_>>>();
    let rows = rows.ok_or_else(|| damaged(segment, "a base removes rows"))?;
    Ok(Arc::new(Block { rows }))
}

impl Base for SegmentBase {
    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    fn blocks(&self, piece: usize) -> Result<Arc<Vec<Vec<u8>>>, StoreError> {
        Ok(self.index(piece)?.firsts)
    }

    fn block(&self, piece: usize, block: usize) -> Result<Arc<Block>, StoreError> {
        if let Some(rows) = lock(&self.blocks).kept.get(&(piece, block)) {
            return Ok(Arc::clone(rows));
        }
        let (segment, index) = (self.segment(piece)?, self.index(piece)?);
        let info = index.blocks.get(block).ok_or_else(|| damaged(segment, "it has no such block"))?;
        let bytes = self.read(segment, Some(info.range()))?;
        let rows = rows_of(segment, info.read(&bytes).map_err(|what| damaged(segment, what))?)?;
        let mut blocks = lock(&self.blocks);
        if blocks.kept.insert((piece, block), Arc::clone(&rows)).is_none() {
            blocks.bytes += rows.bytes();
            blocks.order.push_back((piece, block));
            while blocks.bytes > BLOCKS_BYTES_MAX {
                let Some(oldest) = blocks.order.pop_front() else { break };
                blocks.bytes -= blocks.kept.remove(&oldest).map_or(0, |oldest| oldest.bytes());
            }
        }
        Ok(rows)
    }

    /// In one read: the whole object is smaller than what its blocks cost one by one.
    fn whole(&self, piece: usize) -> Result<Vec<Arc<Block>>, StoreError> {
        let segment = self.segment(piece)?;
        let object = self.read(segment, None)?;
        if object.len() as u64 != segment.bytes {
            return Err(damaged(segment, "it has another length than its manifest says"));
        }
        let read = SegmentIndex::of(&segment.sha256, &object).map_err(|what| damaged(segment, what))?;
        let mut rows = Vec::new();
        read.rows(&object, &mut |row| rows.push(row)).map_err(|what| damaged(segment, what))?;
        let index = fitting(segment, read)?;
        let mut rows = rows.into_iter();
        let block = |info: &BlockInfo| rows_of(segment, rows.by_ref().take(info.rows as usize).collect());
        index.blocks.iter().map(block).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::base::BaseRow;
    use super::*;
    use crate::segment::SegmentWriter;
    use crate::{MemoryTarget, ObjectName};

    fn put(target: &MemoryTarget, space: u8, rows: u16, deleted: Option<u16>) -> SegmentInfo {
        let mut writer = SegmentWriter::new();
        for number in 0..rows {
            let value = vec![number as u8; 700];
            let value = (deleted != Some(number)).then_some(value.as_slice());
            writer.push(&[&[space][..], &number.to_be_bytes()].concat(), value);
        }
        let made = writer.finish().unwrap();
        let object = ObjectName::parse(&format!("segments/{}", crate::segment_name(&made.sha256))).unwrap();
        target.put_new(&object, &made.bytes, None).unwrap();
        let (first, last) = (made.first, made.last);
        SegmentInfo { object, sha256: made.sha256, bytes: made.bytes.len() as u64, rows: rows.into(), first, last }
    }

    fn all(base: &SegmentBase, whole: bool) -> Result<Vec<BaseRow>, StoreError> {
        let mut rows = Vec::new();
        for piece in 0..base.pieces().len() {
            let blocks = match whole {
                true => base.whole(piece)?,
                false => (0..base.blocks(piece)?.len()).map(|at| base.block(piece, at)).collect::<Result<_, _>>()?,
            };
            rows.extend(blocks.iter().flat_map(|block| block.rows.clone()));
        }
        Ok(rows)
    }

    #[test]
    fn segments_are_read_whole_and_block_by_block() {
        let target = MemoryTarget::new();
        let segments = vec![put(&target, 2, 300, None), put(&target, 3, 10, None)];
        let base = SegmentBase::new(Arc::new(target.clone()), segments);
        assert!(base.blocks(0).unwrap().len() > 2);
        let rows = all(&base, true).unwrap();
        assert_eq!(rows.len(), 310);
        assert_eq!(rows, all(&base, false).unwrap());
        target.set_down(true);
        assert_eq!(rows, all(&base, false).unwrap(), "what was read is kept");
        assert!(all(&base, true).is_err());
    }

    #[test]
    fn each_byte_that_is_another_and_each_length_is_noticed_by_name() {
        let target = MemoryTarget::new();
        let segments = vec![put(&target, 2, 100, None)];
        let object = segments[0].object.clone();
        let good = target.objects()[&object].clone();
        let open = || SegmentBase::new(Arc::new(target.clone()), segments.clone());
        let expected = all(&open(), true).unwrap();
        let holds = |bytes: Vec<u8>, told: &str| {
            target.objects().insert(object.clone(), bytes);
            for whole in [true, false] {
                let error = all(&open(), whole).expect_err(told);
                let text = std::error::Error::source(&error).unwrap().to_string();
                assert!(text.contains(object.as_str()), "{told}: {text}");
            }
        };
        for at in (0..good.len()).step_by(97).chain(good.len() - 200..good.len()).chain(0..40) {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            holds(bytes, "a bit has turned");
        }
        holds(good[..good.len() - 1].to_vec(), "it is shorter");
        holds([&good[..], &[0]].concat(), "it is longer");
        holds(Vec::new(), "it is empty");
        let other = put(&target, 3, 100, None);
        let exchanged = target.objects()[&other.object].clone();
        holds(exchanged, "another segment stands in its place");
        target.objects().remove(&object);
        assert!(all(&open(), true).is_err() && all(&open(), false).is_err());
        target.objects().insert(object.clone(), good);
        assert_eq!(all(&open(), true).unwrap(), expected);
    }

    #[test]
    fn a_manifest_that_describes_another_segment_and_a_base_that_removes_are_refused() {
        let target = MemoryTarget::new();
        let good = put(&target, 2, 100, None);
        let changes: [fn(&mut SegmentInfo); 3] =
            [|info| info.rows = 99, |info| info.first = vec![2, 0], |info| info.last = vec![2, 0, 200]];
        for change in changes {
            let mut info = good.clone();
            change(&mut info);
            let base = SegmentBase::new(Arc::new(target.clone()), vec![info]);
            assert!(all(&base, true).is_err() && all(&base, false).is_err());
        }
        let base = SegmentBase::new(Arc::new(target.clone()), vec![put(&target, 2, 100, Some(7))]);
        assert!(all(&base, true).is_err() && all(&base, false).is_err());
    }
}
