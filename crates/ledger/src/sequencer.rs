//! The ledger's part in each commit: it numbers the entries, seals them, grows the tree and writes the head, in the
//! committer's order.

use crate::error::LedgerError;
use crate::head::TreeHead;
use crate::keys::LedgerKeys;
use crate::merkle::{Frontier, leaf_hash};
use crate::receipt::{Prepared, Receipt};
use crate::rows::{HEAD_KEY, entry_index, entry_key, last_index};
use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_store::{Engine, NoSequencer, Reader, Sequencer, Store, StoreError, StoreOptions, Write};
use tacet_types::Rng;

/// Most entries of one commit. A transaction over more patients is split by its caller, or refused.
pub const ENTRIES_MAX: usize = 1024;

/// When a ledger is opened, its last complete subtree is derived again if it has at most `1 << RECHECK_LEVEL_MAX`
/// entries: some milliseconds. The whole tree is [`crate::verify`]'s work.
const RECHECK_LEVEL_MAX: u32 = 10;

/// Numbers, seals and hashes entries inside a [`Store`]. Nobody else can hold one: [`open_store`] makes it and gives
/// it away, so that no receipt is made outside of a commit.
pub struct LedgerSequencer {
    keys: LedgerKeys,
    rng: Arc<dyn Rng>,
    frontier: Frontier,
    /// Whether entries were added since the head was last written.
    grown: bool,
}

/// Opens a store whose commits carry ledger entries. The only way to a [`LedgerSequencer`], and so to a [`Receipt`].
///
/// The head is held against the rows before anything is accepted: its root against its frontier, its size against the
/// last row, and its last subtree against the entries under it. A store in which there is neither head nor entry gets
/// a new ledger; whoever made a store writes a [`Start`](crate::EventKind::Start) entry at once, and knows by
/// [`size`](crate::head) that a ledger without entries was taken away.
///
/// # Errors
/// The store refuses to open, or head and rows do not belong together.
pub fn open_store(
    engine: Arc<dyn Engine>,
    keys: LedgerKeys,
    rng: Arc<dyn Rng>,
    options: StoreOptions,
) -> Result<Store<LedgerSequencer>, LedgerError> {
    match LedgerSequencer::load(engine.as_ref(), keys, rng) {
        Ok(sequencer) => Ok(Store::open(engine, sequencer, options)?),
        Err(error) => {
            // Where the store itself refuses (a later format, lost commits) its word is the better one.
            drop(Store::open(engine, NoSequencer, options)?);
            Err(error)
        }
    }
}

/// The ledger's head, as the rows have it; `None` where there is no ledger yet. Checked against itself, not against
/// the entries.
///
/// # Errors
/// There are entries and no head, or the head does not open or contradicts itself.
pub fn head(reader: &dyn Reader, keys: &LedgerKeys) -> Result<Option<TreeHead>, LedgerError> {
    match reader.get(&HEAD_KEY)? {
        Some(row) => keys.open_head(&row).map(Some),
        None if last_index(reader)?.is_some() => Err(LedgerError::HeadMissing),
        None => Ok(None),
    }
}

impl LedgerSequencer {
    fn load(reader: &dyn Reader, keys: LedgerKeys, rng: Arc<dyn Rng>) -> Result<Self, LedgerError> {
        let frontier = match head(reader, &keys)? {
            Some(head) => {
                check_last_entries(reader, &keys, &head)?;
                head.frontier().clone()
            }
            None => Frontier::new(),
        };
        Ok(Self { keys, rng, frontier, grown: false })
    }

    fn append(&mut self, entries: Vec<Prepared>, rows: &mut Vec<Write>) -> Result<Vec<Receipt>, LedgerError> {
        if entries.len() > ENTRIES_MAX {
            return Err(LedgerError::TooManyEntries { entries: entries.len() });
        }
        // All are sealed before the first is appended, so that a failure leaves tree, rows and keys as they were.
        let rng = self.rng.as_ref();
        let (mut sealed, mut made) = (Vec::with_capacity(entries.len()), Vec::new());
        for (index, entry) in (self.frontier.size()..).zip(&entries) {
            let chosen = self.keys.choose(entry.at, &made, rng)?;
            sealed.push(self.keys.seal_under((chosen.epoch, &chosen.sealer), index, &entry.encoded, rng)?);
            if chosen.row.is_some() {
                made.push(chosen);
            }
        }
        // INVARIANT: the key of a month's first entry is durable with that entry: they are in one batch.
        rows.extend(made.iter_mut().filter_map(|made| made.row.take()));
        self.keys.take_in(made);
        let mut receipts = Vec::with_capacity(entries.len());
        for (entry, row) in entries.into_iter().zip(sealed) {
            let index = self.frontier.size();
            self.frontier.append(leaf_hash(&row));
            self.grown = true;
            rows.push(Write::put(entry_key(index), row));
            receipts.push(entry.into_receipt(self.keys.establishment(), index));
        }
        Ok(receipts)
    }
}

impl Sequencer for LedgerSequencer {
    type Item = Vec<Prepared>;
    type Outcome = Vec<Receipt>;

    fn sequence(&mut self, entries: Vec<Prepared>, rows: &mut Vec<Write>) -> Result<Vec<Receipt>, StoreError> {
        self.append(entries, rows).map_err(|error| StoreError::Sequencer(Box::new(error)))
    }

    fn seal_group(&mut self, rows: &mut Vec<Write>) -> Result<(), StoreError> {
        if self.grown {
            let head = TreeHead::new(self.frontier.clone());
            let row = self
                .keys
                .seal_head(&head, self.rng.as_ref())
                .map_err(|error| StoreError::Sequencer(Box::new(error)))?;
            rows.push(Write::put(HEAD_KEY, row));
            self.grown = false;
        }
        Ok(())
    }
}

/// Holds the head against the end of the rows: O(log n), and at most `1 << RECHECK_LEVEL_MAX` rows read.
fn check_last_entries(reader: &dyn Reader, keys: &LedgerKeys, head: &TreeHead) -> Result<(), LedgerError> {
    let (size, found) = (head.size(), last_index(reader)?.map_or(0, |last| last.saturating_add(1)));
    if found < size {
        return Err(LedgerError::EntriesMissing { size, found });
    }
    if found > size {
        return Err(LedgerError::EntriesBeyondHead { size, found: found - 1 });
    }
    let Some((from, level, peak)) = head.frontier().last_peak() else { return Ok(()) };
    if level > RECHECK_LEVEL_MAX {
        return Ok(());
    }
    let mut subtree = Frontier::new();
    let mut in_order = true;
    let mut last_row = Vec::new();
    reader.range(&entry_key(from), &HEAD_KEY, &mut |key, row| {
        in_order &= entry_index(key) == Some(from + subtree.size());
        subtree.append(leaf_hash(row));
        last_row = row.to_vec();
        if in_order { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if !in_order || subtree.root() != peak {
        return Err(LedgerError::EntriesAltered { from });
    }
    // The keys must fit too: entries sealed under another key would be found out only when somebody asks for them.
    match keys.open_entry(size - 1, &last_row) {
        Ok(_) | Err(LedgerError::KeyNotHeld { .. } | LedgerError::KeyMissing { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
