//! Search over sealed data: what a query means, what it finds, and a sealed index that finds it fast.
//!
//! ```text
//! resource ── Document::of ──> Document ──┬──> overlay (memory, at once) ──┐
//!                                         └──> index (sealed files, soon) ─┤
//! parameters ── compile ──> SearchRequest ── Filter ── evaluated by both ──┴──> keys of resources, no content
//! ```
//!
//! It gives keys only: showing what they name is the vault's business, after an entry in the ledger. The index is derived: it
//! can be made again from the sealed versions at any time, and is whenever one of its files is not what it was.

pub mod document;
pub mod engine;
pub mod error;
pub mod filter;
pub mod index;
pub mod matcher;
pub mod parameters;
pub mod request;
pub mod sealed;
pub mod terminology;

pub use error::SearchError;
pub use index::{
    Change, Empty, Hits, IndexKey, IndexOptions, IndexStatistics, Marks, Opened, PAGE_COUNT_MAX, Page, Position,
    Rebuild, SearchIndex, Store,
};
