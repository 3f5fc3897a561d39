//! Writing a segment, in memory: it is put in one piece.

use super::index::{BlockInfo, Segment};
use super::{BLOCK_BYTES, HEADER_BYTES, MAGIC_END, header};
use crate::manifest::{SpaceRows, sha256};
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::mem;

/// Takes rows in the order of their keys.
pub struct SegmentWriter {
    bytes: Vec<u8>,
    blocks: Vec<BlockInfo>,
    block_start: usize,
    block_rows: u32,
    block_first: Vec<u8>,
    last: Vec<u8>,
    spaces: BTreeMap<u8, (u64, u64)>,
}

impl Default for SegmentWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl SegmentWriter {
    /// An empty segment.
    pub fn new() -> Self {
        Self {
            bytes: header().to_vec(),
            blocks: Vec::new(),
            block_start: HEADER_BYTES,
            block_rows: 0,
            block_first: Vec::new(),
            last: Vec::new(),
            spaces: BTreeMap::new(),
        }
    }

    /// Whether it has no rows yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_BYTES
    }

    /// Bytes of rows so far.
    pub fn row_bytes(&self) -> usize {
        self.bytes.len() - HEADER_BYTES
    }

    /// The last row's key; empty before the first.
    pub fn last_key(&self) -> &[u8] {
        &self.last
    }

    /// Adds a row; `value` none: it is removed. Its key comes after that of the row before.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        debug_assert!(self.last.as_slice() < key, "rows are given in the order of their keys");
        if self.block_rows == 0 {
            self.block_first = key.to_vec();
        }
        // INVARIANT: the store takes no longer keys and values (KEY_BYTES_MAX, VALUE_BYTES_MAX).
        let key_length = u16::try_from(key.len()).unwrap_or(u16::MAX);
        let value_length = u32::try_from(value.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX);
        self.bytes.push(if value.is_some() { 1 } else { 2 });
        self.bytes.extend_from_slice(&key_length.to_be_bytes());
        self.bytes.extend_from_slice(&value_length.to_be_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.block_rows += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        let counts = self.spaces.entry(key.first().copied().unwrap_or_default()).or_default();
        if value.is_some() {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
        if self.bytes.len() - self.block_start >= BLOCK_BYTES {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if self.block_rows == 0 {
            return;
        }
        let block = self.bytes.get(self.block_start..).unwrap_or_default();
        self.blocks.push(BlockInfo {
            first: mem::take(&mut self.block_first),
            offset: self.block_start as u64,
            length: u32::try_from(block.len()).unwrap_or(u32::MAX),
            rows: self.block_rows,
            sha256: sha256(block),
        });
        self.block_start = self.bytes.len();
        self.block_rows = 0;
    }

    /// The finished segment; none where it has no rows.
    pub fn finish(mut self) -> Option<Segment> {
        self.end_block();
        let first = self.blocks.first()?.first.clone();
        let mut index = Vec::new();
        index.extend_from_slice(&u32::try_from(self.blocks.len()).unwrap_or(u32::MAX).to_be_bytes());
        for block in &self.blocks {
            index.extend_from_slice(&u16::try_from(block.first.len()).unwrap_or(u16::MAX).to_be_bytes());
            index.extend_from_slice(&block.first);
            index.extend_from_slice(&block.offset.to_be_bytes());
            index.extend_from_slice(&block.length.to_be_bytes());
            index.extend_from_slice(&block.rows.to_be_bytes());
            index.extend_from_slice(&block.sha256);
        }
        index.extend_from_slice(&u16::try_from(self.last.len()).unwrap_or(u16::MAX).to_be_bytes());
        index.extend_from_slice(&self.last);
        index.extend_from_slice(&u16::try_from(self.spaces.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (space, (puts, deletes)) in &self.spaces {
            index.push(*space);
            index.extend_from_slice(&puts.to_be_bytes());
            index.extend_from_slice(&deletes.to_be_bytes());
        }
        let mut context = Context::new(&SHA256);
        context.update(&header());
        context.update(&index);
        let mut name = [0; 32];
        name.copy_from_slice(context.finish().as_ref());
        let offset = self.bytes.len() as u64;
        let length = u32::try_from(index.len()).unwrap_or(u32::MAX);
        self.bytes.append(&mut index);
        self.bytes.extend_from_slice(&offset.to_be_bytes());
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(&name);
        self.bytes.extend_from_slice(MAGIC_END);
        let spaces = self.spaces.into_iter().map(|(space, (puts, deletes))| SpaceRows { space, puts, deletes });
        Some(Segment { bytes: self.bytes, sha256: name, first, last: self.last, spaces: spaces.collect() })
    }
}
