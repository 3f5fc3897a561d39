//! Messages as hospitals send them, and what becomes of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod events;
mod published;
