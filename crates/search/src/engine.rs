//! What the index files hold and how a filter is evaluated over them.
//!
//! ```text
//! Document ── to_document ──> terms · columns · stored ── segments ──┐
//! Filter ── prepare ── compile, for each segment ──> Node ───────────┴──> documents ── first of the order ──> positions
//! ```
//!
//! Whether a value passes is decided by `matcher::passes` and `matcher::compare` alone, on values read back from terms and columns;
//! this module only finds where to look. Three kinds of looking: exact posting lists; posting lists that may give too much, with a check
//! by column; and values too long for either, read whole. Nothing is scored.
//!
//! Not here: other documents (chains are resolved before), what is not committed yet (the overlay), and files.

mod buckets;
mod codec;
mod compile;
mod contained;
mod docs;
mod encode;
mod guard;
mod node;
mod order;
mod run;
mod segment;
mod sorting;
mod superseded;
mod terms;
#[cfg(test)]
mod tests;
mod walk;

pub use encode::{key_term, schema, to_document};
pub(crate) use order::sort_value;
pub use run::{CHAIN_KEYS_MAX, Found, UNSORTED_MAX, count, matching, references, search};
pub use segment::TERMS_VISITED_MAX;
pub use superseded::Superseded;
