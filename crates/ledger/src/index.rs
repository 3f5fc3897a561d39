//! The index of the ledger, as far as it needs no disk: by which keys an entry is found, the bytes of the index, and how lists of entries are
//! joined. Files and sealing are the vault's; `docs/formats/ledger-index.md` says both to the byte.
//!
//! ```text
//!  entry 41 ──facets──> 8 keyed hashes ──tail, in memory──┐ sorted by (hash, entry), when it is full
//!                                                         ▼
//!            segment: chunk │ chunk │ chunk │ … │ tops │ marks          each chunk of one length, sealed by itself
//!                     (hash, entries, entries, …)   │      └ from when to when each 1,024 entries are
//!                                                   └ first (hash, entry) of each chunk
//! ```
//!
//! The index is derived: it says nothing that the entries do not say, can be made again from them, and is never believed about an entry. Whoever asks
//! opens the entries that it names and looks at them ([`Question::matches`]). What it may not do is to leave one out; so it follows the tree: it knows
//! the frontier of the entries that it was made from, and with the entries after them this must give the root of the ledger's head.

mod chunk;
mod facet;
mod list;
mod manifest;
mod marks;
mod question;

pub use chunk::{CHUNK_BYTES, ChunkWriter, Run, TOP_BYTES, TOPS_A_CHUNK, Top, decode_tops, encode_tops, runs};
pub use facet::{Facet, FacetKeys};
pub use list::{Chunks, Joined, List, MemoryList, SegmentList, Window};
pub use manifest::{MANIFEST_BYTES_MAX, Manifest, SEGMENTS_MAX, SegmentInfo};
pub use marks::{BLOCK_ENTRIES, MARK_BYTES, MARKS_A_CHUNK, Mark, Marks};
pub use question::{Question, QuestionError};

/// Bytes of the index that are not what was written. Says where, never what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a part of the ledger's index is not what was written ({what})")]
pub struct Malformed {
    /// What was expected.
    pub what: &'static str,
}

impl Malformed {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what }
    }
}
