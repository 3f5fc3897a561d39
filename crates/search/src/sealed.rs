//! A directory for the index library that seals every file: `SealedDirectory`.
//!
//! ```text
//! index/LOCK                 locked while a process has the index open
//! index/CURRENT              sealed: which generation, and its key
//! index/<random>/            a generation
//!                <hash>      a file: name by keyed hash, content in sealed chunks
//! ```
//!
//! Files are written once and have a key each. Only the library's list of files changes: with it, the id of every file is
//! written, so that a file of another time or place is refused even if it has the right name. Whatever is refused sets a latch:
//! from then on nothing is answered from this generation.

mod cache;
mod chunk;
mod directory;
mod disk;
mod file;
mod keys;
mod latch;
mod lock;
mod meta;
mod pointer;
mod writer;

pub use chunk::{CHUNK_BYTES, Refusal, open_bytes, seal_bytes};
pub use keys::{FileId, GenerationKey};

pub(crate) use cache::RangeCache;
pub(crate) use directory::SealedDirectory;
pub(crate) use disk::{Disk, bytes_below};
#[cfg(test)]
pub(crate) use file::OPENS_FAIL;
pub(crate) use file::Reading;
pub(crate) use latch::Latch;
pub(crate) use lock::LockedDirectory;
pub(crate) use pointer::{Found, Placed, Pointer};

/// Format of a generation: of its files, and of what is in them. Raised whenever an older program would read it wrongly, or this
/// one an older generation: it is then built anew.
pub(crate) const GENERATION_FORMAT: u16 = 3;
