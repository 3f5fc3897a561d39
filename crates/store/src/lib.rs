//! An ordered key-value store with atomic commits, preconditions and a change feed, over engines that can be changed.
//!
//! ```text
//! submit(commit) --> queue --> committer (group commit) --> engine: fjall, redb or memory
//!                                                      \--> witness: count and digest beside the engine
//! ```
//!
//! - A [`Commit`] is written whole or not at all, if its [`Precondition`]s hold when its turn comes.
//! - Its [`Ticket`] answers once the commit survives power loss, and no acknowledged commit vanishes unnoticed: a
//!   chained digest inside of the engine is compared with a [`Witness`] outside of it after every unclean start.
//! - Reading goes to the [`Engine`], or to a [`Snapshot`] of it.
//! - After a failed write nothing more is accepted until the store is opened again.
//!
//! Rows are opaque here: sealing them and hiding their keys is the callers' work. The key space, the chain and the files
//! are in `docs/formats/store.md`.

mod chain;
mod committer;
mod directory;
mod engine;
mod error;
mod feed;
pub mod fjall;
mod group;
pub mod memory;
mod queue;
pub mod redb;
mod rows;
mod store;
mod tail;
mod ticket;
mod transfer;
mod witness;

pub use engine::{
    Durability, Engine, EngineStatistics, KEY_BYTES_MAX, Mark, Precondition, Pressure, Reader, Snapshot,
    VALUE_BYTES_MAX, Value, Visit, Witness, Write,
};
pub use error::StoreError;
pub use rows::{FORMAT, SPACE_CALLERS, SPACE_FEED, SPACE_STORE};
pub use store::{Commit, Committed, NoSequencer, Sequencer, Store, StoreOptions};
pub use tail::{Tail, TailedEngine, mark_of};
pub use ticket::Ticket;
pub use transfer::{copy_all, settle};
