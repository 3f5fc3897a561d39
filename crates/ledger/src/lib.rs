//! The access ledger: every disclosure and every change, sealed, in a Merkle tree, durable before the answer.
//!
//! ```text
//!  Entry ──Prepared::new──> Prepared ──Store::submit──┐          committer thread
//!                                                     ├──> number, seal, leaf hash, frontier ──┐
//!                                    other commits ───┘            head, once a group          │
//!                       Receipt <── group durable <── one batch, one sync <────────────────────┘
//! ```
//!
//! What it is: [`Entry`] and its bytes ([`encoding`]), the tree ([`merkle`]), the store's sequencer that appends ([`open_store`]), [`Receipt`]s,
//! reading ([`read`], [`list`], [`list_newest`]) and [`verify`]. The rows are in `docs/formats/ledger.md`.
//! What it is not: it decides nothing about who may do what, signs no checkpoints yet, and does not open records.
//!
//! # Why a receipt is proof
//!
//! 1. A [`Receipt`] has private fields, no public constructor, no `Clone` and no decoding; within this crate only
//!    [`LedgerSequencer`]'s implementation of `Sequencer` makes one.
//! 2. A [`LedgerSequencer`] has no public constructor either. [`open_store`] makes it and moves it into a [`tacet_store::Store`], which
//!    keeps it in its committer thread and never gives it back. So nobody can call it by hand.
//! 3. The store hands the sequencer's outcome to the submitter after the group that holds the entry's row and the head is
//!    durable, and never if that fails. (A store opened with `Durability::Buffered` gives that up; it exists to measure the price.)
//!
//! Hence whoever holds a receipt holds it after its entry became durable, and what asks for a `&Receipt` cannot run before. It also asks
//! [`Receipt::covers`], because a receipt for one record must not open another.
//!
//! ```compile_fail,E0451
//! // A sequencer cannot be had outside of a store, so receipts cannot be made without a commit.
//! fn by_hand(keys: tacet_ledger::LedgerKeys, rest: tacet_ledger::LedgerSequencer) -> tacet_ledger::LedgerSequencer {
//!     tacet_ledger::LedgerSequencer { keys, ..rest }
//! }
//! ```

mod codes;
pub mod encoding;
mod entry;
mod error;
mod head;
mod keys;
pub mod merkle;
mod reading;
mod receipt;
mod rows;
mod sequencer;
mod verify;

pub use codes::{AuditType, Channel, EventKind, Outcome, PurposeOfUse};
pub use entry::{
    Agent, DETAIL_BYTES_MAX, Entry, EntryError, ON_BEHALF_OF_BYTES_MAX, OWNER_BYTES_MAX, Origin, QUERY_BYTES_MAX,
    RECORDS_MAX, ROLE_BYTES_MAX, TOKEN_BYTES_MAX,
};
pub use error::LedgerError;
pub use head::TreeHead;
pub use keys::LedgerKeys;
pub use reading::{LIST_MAX, list, list_newest, read};
pub use receipt::{Prepared, Receipt};
pub use rows::{RowHashes, SPACE_ENTRY, SPACE_HEAD};
pub use sequencer::{ENTRIES_MAX, LedgerSequencer, head, open_store};
pub use verify::{PROBLEMS_MAX, Problem, Verification, verify};
