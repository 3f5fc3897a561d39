//! A store made again from a backup: what is read is verified before it counts, and what cannot be read is an error.

mod base;
mod filling;
mod source;

pub use base::{Base, BaseRow, Block, Piece};
pub use filling::{Filled, FillingEngine};
pub use source::SegmentBase;
