//! A slow derivation, in steps, for a server that is running: whether the entries are still those that were written.
//!
//! ```text
//! kept tiles ──> their root is one that was signed? ──> each block of 256 entries is held against its hash in them, at once
//!                                             no  ──> told; the entries are held against signed roots alone
//! rows ──hash──> frontier ──> at the size of each checkpoint, and at the end: the root must be the signed one
//! ```
//!
//! The check at the start and each publication trust kept tiles, because they cannot read a hundred million entries. So an old entry changed in place
//! is seen by nothing that is quick; this sees it. Entries are hashed, not opened: it needs none of their keys.

use super::tiles::{kept_tile, root_by_tiles};
use crate::error::LedgerError;
use crate::keys::LedgerKeys;
use crate::merkle::{Frontier, TreeHash, leaf_hash, root_of};
use tacet_store::Reader;
use tacet_tlog::tile::TILE_WIDTH;

/// Most bytes of rows that are read in one step.
const STEP_BYTES: usize = 8 << 20;

/// Where a walk is.
pub struct Walk {
    frontier: Frontier,
    /// Hashes of the entries since the last whole block.
    block: Vec<TreeHash>,
    /// Sizes and the roots that were signed at them, ascending; the last is the ledger's head when the walk began.
    signed: Vec<(u64, TreeHash)>,
    /// How many of these were passed.
    passed: usize,
    /// Whether the kept tiles were those of a signed root when the walk began.
    tiles: bool,
}

/// What a step came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walked {
    /// There is more to do.
    On,
    /// All entries were derived, and are those that were signed.
    Whole,
    /// Of these entries at least one is not the one that was written, or is missing.
    Altered {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
}

impl Walk {
    /// Begins with the first entry, to go to the newest there is now. Give a snapshot.
    ///
    /// # Errors
    /// The head or a checkpoint does not open.
    pub fn begin(reader: &dyn Reader, keys: &LedgerKeys) -> Result<Self, LedgerError> {
        let head = crate::head(reader, keys)?;
        let mut signed: Vec<(u64, TreeHash)> =
            super::kept(reader, keys)?.iter().map(|checkpoint| (checkpoint.size(), checkpoint.root())).collect();
        let published = signed.last().copied();
        signed.extend(head.map(|head| (head.size(), head.root())));
        signed.retain(|(size, _)| *size > 0);
        signed.sort_by_key(|(size, _)| *size);
        let tiles = match published {
            Some((size, root)) if size > 0 => root_by_tiles(reader, size).is_ok_and(|made| made == root),
            _ => false,
        };
        Ok(Self { frontier: Frontier::new(), block: Vec::new(), signed, passed: 0, tiles })
    }

    /// Entries that were derived.
    pub fn done(&self) -> u64 {
        self.frontier.size()
    }

    /// Entries that are to be derived.
    pub fn all(&self) -> u64 {
        self.signed.last().map_or(0, |(size, _)| *size)
    }

    /// Whether what was published is made of kept tiles that belong to it. If not, or if nothing was published, an altered entry is told later, with less
    /// precision.
    pub fn holds_tiles(&self) -> bool {
        self.tiles
    }

    /// Derives some more entries.
    ///
    /// # Errors
    /// Rows cannot be read.
    pub fn step(&mut self, reader: &dyn Reader, entries_max: usize) -> Result<Walked, LedgerError> {
        let from = self.done();
        let left = usize::try_from(self.all().saturating_sub(from)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(Walked::Whole);
        }
        let rows = match crate::rows(reader, from, left.min(entries_max.max(1)), STEP_BYTES) {
            Ok(rows) if rows.is_empty() => return Ok(Walked::Altered { from, to: from + 1 }),
            Ok(rows) => rows,
            Err(LedgerError::NoEntry { index }) => return Ok(Walked::Altered { from: index, to: index + 1 }),
            Err(other) => return Err(other),
        };
        for row in rows {
            let leaf = leaf_hash(&row);
            self.frontier.append(leaf);
            self.block.push(leaf);
            if let Some(altered) = self.hold_block(reader)?.or_else(|| self.hold_root()) {
                return Ok(altered);
            }
        }
        Ok(if self.done() >= self.all() { Walked::Whole } else { Walked::On })
    }

    /// Holds a whole block against its hash in the kept tile of level 1.
    fn hold_block(&mut self, reader: &dyn Reader) -> Result<Option<Walked>, LedgerError> {
        let width = u64::from(TILE_WIDTH);
        if self.block.len() < usize::from(TILE_WIDTH) {
            return Ok(None);
        }
        let made = root_of(&self.block);
        self.block.clear();
        let block = (self.done() / width).saturating_sub(1);
        if !self.tiles {
            return Ok(None);
        }
        let kept = kept_tile(reader, 1, block / width)?;
        let hash = usize::try_from(block % width).ok().and_then(|place| kept.get(place));
        // Kept tiles come after the entries: of the newest there may be none yet.
        let differs = hash.is_some_and(|hash| *hash != made);
        Ok(differs.then(|| Walked::Altered { from: block * width, to: (block + 1) * width }))
    }

    /// Holds the tree against what was signed at this size.
    fn hold_root(&mut self) -> Option<Walked> {
        while let Some((size, root)) = self.signed.get(self.passed).filter(|(size, _)| *size == self.done()) {
            if self.frontier.root() != *root {
                let before = self.passed.checked_sub(1).and_then(|before| self.signed.get(before));
                return Some(Walked::Altered { from: before.map_or(0, |(size, _)| *size), to: *size });
            }
            self.passed += 1;
        }
        None
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Walk({} of {})", self.done(), self.all())
    }
}
