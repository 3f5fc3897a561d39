//! Segments: rows in the order of their keys, in blocks, with an index behind them (`docs/formats/backup.md`).
//!
//! ```text
//! header 16 | block, block, ... | index | trailer 52
//! name = SHA-256(header | index)        each block has its SHA-256 in the index
//! ```
//!
//! So whoever knows a segment's name and length can read the index alone and verify it, then any block alone.

mod index;
mod writer;

pub use index::{BlockInfo, Segment, SegmentIndex};
pub use writer::SegmentWriter;

use crate::hex;

/// Begins a segment.
const MAGIC: &[u8; 8] = b"TACETSEG";

/// Ends a segment.
const MAGIC_END: &[u8; 8] = b"TACETEND";

/// Format of a segment.
const FORMAT: u16 = 1;

/// Bytes of the header: magic, format, zeros.
const HEADER_BYTES: usize = 16;

/// Bytes of the trailer: offset of the index, its length, the segment's name, magic.
pub const TRAILER_BYTES: usize = 8 + 4 + 32 + 8;

/// A block ends with the row that brings it to this many bytes.
pub const BLOCK_BYTES: usize = 64 << 10;

/// Bytes of rows that a segment has about, between the least at which it may be cut and [`SEGMENT_BYTES_MAX`].
pub const SEGMENT_BYTES: usize = 4 << 20;

/// A segment ends at the latest with the row that brings it to this many bytes.
pub const SEGMENT_BYTES_MAX: usize = 16 << 20;

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// It is set.
    Put,
    /// It is removed.
    Delete,
}

/// One row of a segment.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; none where it is removed.
    pub value: Option<Vec<u8>>,
}

impl std::fmt::Debug for Row {
    /// Space byte and lengths only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space = self.key.first().copied().unwrap_or_default();
        write!(f, "Row(0x{space:02x}, {:?} bytes)", self.value.as_ref().map(Vec::len))
    }
}

/// A segment's name as text.
pub fn segment_name(sha256: &[u8; 32]) -> String {
    hex::encode(sha256)
}

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let written = MAGIC.iter().chain(&FORMAT.to_be_bytes()).copied().collect::<Vec<u8>>();
    header.iter_mut().zip(written).for_each(|(to, from)| *to = from);
    header
}
