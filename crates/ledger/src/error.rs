//! What can go wrong in the ledger. Entries are named by their index, which tells nothing of anybody.

use crate::encoding::DecodeError;
use tacet_seal::{KeeperError, SealError};
use tacet_store::StoreError;
use tacet_tlog::{CheckpointError, KeyError};

/// Why the ledger refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store failed.
    #[error("the store under the ledger failed")]
    Store(#[from] StoreError),
    /// There are entries and no head: the head row was removed.
    #[error("the ledger has entries but no head; run `tacet ledger verify` and restore the store from a backup")]
    HeadMissing,
    /// The head does not open: altered, of another establishment, or sealed under another key.
    #[error("the ledger's head does not open; run `tacet ledger verify` and restore the store from a backup")]
    HeadSealed(#[source] SealError),
    /// The head opens and is not one that this program writes.
    #[error(
        "the ledger's head is not one of format {supported}: byte {found}; use the program that wrote it or a newer one"
    )]
    HeadFormat {
        /// The first byte found.
        found: u8,
        /// The format that is read.
        supported: u8,
    },
    /// The head's root is not that of its own frontier.
    #[error("the ledger's head contradicts itself; run `tacet ledger verify` and restore the store from a backup")]
    HeadInconsistent,
    /// Entries that the head counts are not there: rows were removed, or rolled back without the head.
    #[error("the ledger's head counts {size} entries and only {found} are found; restore the store from a backup")]
    EntriesMissing {
        /// How many entries the head counts.
        size: u64,
        /// How many there would have to be for the last one found.
        found: u64,
    },
    /// Entries stand beyond what the head counts: the head was rolled back without the rows, or rows were added.
    #[error(
        "the ledger's head counts {size} entries and there is one numbered {found}; restore the store from a backup"
    )]
    EntriesBeyondHead {
        /// How many entries the head counts.
        size: u64,
        /// The number of the last row.
        found: u64,
    },
    /// The last entries are not those that the head's tree was made of.
    #[error("entries of the ledger from number {from} on are not those that were written; run `tacet ledger verify`")]
    EntriesAltered {
        /// First entry of the part of the tree that does not fit.
        from: u64,
    },
    /// A row in the ledger's space has a key that no entry has.
    #[error("a row in the ledger's space is not an entry; run `tacet ledger verify`")]
    StrangeRow,
    /// There is no such entry.
    #[error("the ledger has no entry number {index}")]
    NoEntry {
        /// The number asked for.
        index: u64,
    },
    /// The row of an entry is not shaped as this program writes it.
    #[error(
        "entry {index} of the ledger has row format {found}, and this program reads {supported}; use a newer program"
    )]
    RowFormat {
        /// The entry.
        index: u64,
        /// The first byte found.
        found: u8,
        /// The format that is read.
        supported: u8,
    },
    /// The entry's key is not at hand: it was destroyed when its time was over.
    #[error("entry {index} of the ledger is under key {epoch}, which is not held: its retention may be over")]
    KeyNotHeld {
        /// The entry.
        index: u64,
        /// The number of its key.
        epoch: u16,
    },
    /// The entry's key should be there and is not: its row was taken away or altered. No rule did that.
    #[error(
        "entry {index} of the ledger is under key {epoch}, whose row is missing or damaged: restore it from a copy of the keys"
    )]
    KeyMissing {
        /// The entry.
        index: u64,
        /// The number of its key.
        epoch: u16,
    },
    /// There is no such key.
    #[error("the ledger has no key number {epoch}")]
    NoEpoch {
        /// The number.
        epoch: u16,
    },
    /// Entries are written under this key.
    #[error("key number {epoch} of the ledger is the one that entries are written under: it cannot be destroyed")]
    EpochInUse {
        /// The number.
        epoch: u16,
    },
    /// The keeper did not make or give the key of a month.
    #[error("the key of a month of the ledger cannot be had: check the key keeper, and try again")]
    Keeper(#[source] KeeperError),
    /// The entry does not open.
    #[error("entry {index} of the ledger does not open; run `tacet ledger verify`")]
    EntrySealed {
        /// The entry.
        index: u64,
        /// What the seal said.
        #[source]
        source: SealError,
    },
    /// The entry opens and is not one that this program reads.
    #[error("entry {index} of the ledger opens and cannot be read")]
    EntryFormat {
        /// The entry.
        index: u64,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The entry opens and is not the one that its row commits to.
    #[error("entry {index} of the ledger is not the one that its row was made for; run `tacet ledger verify`")]
    EntryCommitment {
        /// The entry.
        index: u64,
    },
    /// A row of the published log does not open.
    #[error("a row of the published log does not open; run `tacet ledger verify` and restore the store from a backup")]
    LogSealed(#[source] SealError),
    /// A row of the published log opens and cannot be read.
    #[error("a row of the published log cannot be read ({0}); use the program that wrote it or a newer one")]
    LogRow(&'static str),
    /// The log has no name and no key yet.
    #[error("the ledger is not published yet: start the server once, or run `tacet ledger key`")]
    LogUnnamed,
    /// The log has another name already.
    #[error(
        "the log's origin is {found}, by which witnesses know it: put that under `origin`, or give the log another name with `tacet ledger succeed`"
    )]
    LogNamed {
        /// Its name.
        found: String,
    },
    /// A key or a name of the log is refused.
    #[error(transparent)]
    LogKey(#[from] KeyError),
    /// A checkpoint of the log is refused.
    #[error(transparent)]
    LogCheckpoint(#[from] CheckpointError),
    /// The ledger has fewer entries than were signed.
    #[error("the ledger has {size} entries, and a checkpoint of {signed} entries was signed before: it was set back")]
    LogSetBack {
        /// Entries of the ledger.
        size: u64,
        /// Entries of the checkpoint.
        signed: u64,
    },
    /// The ledger is not a continuation of what was signed.
    #[error(
        "the first {signed} entries of the ledger are not those of the checkpoint that was signed: history was changed"
    )]
    LogForked {
        /// Entries of the checkpoint.
        signed: u64,
    },
    /// A file of the published log that it does not have.
    #[error("the published log has no such file")]
    LogNoFile,
    /// Sealing failed.
    #[error("an entry of the ledger could not be sealed")]
    Sealing(#[source] SealError),
    /// More entries in one commit than allowed.
    #[error("{entries} ledger entries in one commit, and there may be {}: split the commit", crate::ENTRIES_MAX)]
    TooManyEntries {
        /// How many.
        entries: usize,
    },
    /// A thread of the verification ended early.
    #[error("the verification was interrupted; run it again")]
    Interrupted,
}
