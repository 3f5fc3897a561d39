//! The access ledger: every disclosure and every change, sealed, in a Merkle tree, durable before the answer.
//!
//! ```text
//!  Entry ──Prepared::new──> Prepared ──Store::submit──┐          committer thread
//!                                                     ├──> number, seal, leaf hash, frontier ──┐
//!                                    other commits ───┘            head, once a group          │
//!                       Receipt <── group durable <── one batch, one sync <────────────────────┘
//! ```
//!
//! What it is: [`Entry`] and its bytes ([`encoding`]), the tree ([`merkle`]), the store's sequencer that appends
//! ([`open_store`]), [`Receipt`]s, reading ([`read`], [`list`], [`list_newest`]), the [`index`] by which questions are answered, and [`verify`]. The rows are in
//! `docs/formats/ledger.md`. What it is not: it decides nothing about who may do what, and does not
//! open records.
//!
//! # Why a receipt is proof
//!
//! 1. A [`Receipt`] has private fields, no public constructor, no `Clone` and no decoding; within this crate only
//!    [`LedgerSequencer`]'s implementation of `Sequencer` makes one.
//! 2. A [`LedgerSequencer`] has no public constructor either. [`open_store`] makes it and moves it into a
//!    [`tacet_store::Store`], which keeps it in its committer thread and never gives it back. So nobody can call it
//!    by hand.
//! 3. The store hands the sequencer's outcome to the submitter after the group that holds the entry's row and the
//!    head is as durable as the engine makes it, and never if that fails. (A store opened with `Durability::Buffered` gives that up; it exists
//!    to measure the price.)
//!
//! Hence whoever holds a receipt holds it after its entry became durable, and what asks for a `&Receipt` cannot run
//! before. It also asks [`Receipt::covers`], because a receipt for one record must not open another.
//!
//! ```
//! use std::sync::Arc;
//! use tacet_ledger::{Agent, Entry, EventKind, LedgerKeys, Prepared, PurposeOfUse, open_store, verify};
//! use tacet_seal::{EstablishmentKeys, Key, SecureRng};
//! use tacet_store::{Commit, StoreOptions, memory::MemoryEngine};
//! use tacet_types::{Clock, EstablishmentId, OperationId, RecordRef, ResourceId, ResourceType, SystemClock, VersionId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = LedgerKeys::new(&EstablishmentKeys::derive(&Key::random(&SecureRng), EstablishmentId([1; 16])));
//! let store = open_store(Arc::new(MemoryEngine::new()), keys.clone(), Arc::new(SecureRng), StoreOptions::default())?;
//!
//! let agent = Agent { owner: "Dr Aubrac".into(), role: "clinician".into(), token: None };
//! let operation = OperationId::random(&SecureRng);
//! let mut entry = Entry::new(SystemClock.now(), EventKind::Read, agent, PurposeOfUse::Treatment, operation);
//! let patient = ResourceType::parse("Patient").ok_or("a type of R4")?;
//! let record = RecordRef { resource_type: patient, id: ResourceId::parse("p1")?, version: VersionId::FIRST };
//! entry.records = vec![record.clone()];
//!
//! let commit = Commit { item: vec![Prepared::new(&entry)?], ..Commit::default() };
//! let receipts = store.submit(commit).wait()?.outcome; // durable from here on
//! assert!(receipts[0].covers(&record));
//! assert!(verify(store.reader(), &keys, &mut |_, _| ())?.is_sound());
//! # Ok(())
//! # }
//! ```
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
mod epochs;
mod error;
mod head;
pub mod index;
mod keys;
pub mod listing;
pub mod log;
pub mod noted;
mod opening;
pub mod people;
mod reading;
mod receipt;
mod rows;
mod sequencer;
mod verify;

pub use tacet_tlog::merkle;

pub use codes::{AuditType, Channel, EventKind, Outcome, PurposeOfUse};
pub use entry::{
    ACCOUNT_BYTES_MAX, Agent, BASIS_BYTES_MAX, DETAIL_BYTES_MAX, DEVICE_BYTES_MAX, Entry, EntryError,
    ON_BEHALF_OF_BYTES_MAX, OWNER_BYTES_MAX, Origin, QUERY_BYTES_MAX, RECORDS_MAX, ROLE_BYTES_MAX, SESSION_BYTES_MAX,
    TOKEN_BYTES_MAX, cut, one_line,
};
pub use epochs::{Epoch, EpochRow, EpochState, SPACE_EPOCH_KEYS, first_after};
pub use error::LedgerError;
pub use head::TreeHead;
pub use keys::LedgerKeys;
pub use opening::{OPENING_BYTES_MAX, Opening, OpeningError, SALT_BYTES, opening};
pub use reading::{LIST_MAX, Opened, list, list_newest, open_row, read, read_each, rows};
pub use receipt::{Prepared, Receipt};
pub use rows::{RowHashes, SPACE_ENTRY, SPACE_HEAD};
pub use sequencer::{ENTRIES_MAX, LedgerSequencer, head, open_store};
pub use verify::{PROBLEMS_MAX, Problem, Verification, verify};
