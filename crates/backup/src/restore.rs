//! A store made again from a backup: what is read is verified before it counts, and what cannot be read is an error.

mod base;
mod chain;
mod filling;
mod keys;
mod run;
mod source;

pub use base::{Base, BaseRow, Block, Piece};
pub use chain::{Chain, Wanted, content_chain};
pub(crate) use chain::{PASSED_OVER_MAX, READERS, in_order, signed_chain};
pub use filling::{Filled, FillingEngine};
pub use keys::{KeyCopies, KeyCopy};
pub use run::{Counted, LogsDone, Restoring};
pub use source::SegmentBase;

#[cfg(test)]
mod tests;
