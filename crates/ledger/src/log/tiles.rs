//! The files of the log, made from rows. Tiles of level 1 and above are kept, so that none of them needs 65,536 entries read.

use super::{Change, SPACE_LOG};
use crate::error::LedgerError;
use crate::rows::{entry_index, entry_key};
use std::ops::ControlFlow;
use tacet_store::{Reader, Write};
use tacet_tlog::TreeHash;
use tacet_tlog::merkle::proof::{HashSource, ProofError};
use tacet_tlog::merkle::{Frontier, leaf_hash, root_of};
use tacet_tlog::tile::{
    LEVEL_MAX, Resource, TILE_HEIGHT, TILE_WIDTH, Tile, TileHashError, TileHashes, Tiles, decode_tile, encode_tile,
    push_entry,
};

const TILES: u8 = 3;

/// Hashes added to a tile in one change: each is made of 256 entries, or of a tile.
const HASHES_A_CHANGE: usize = 64;

/// Tiles that are removed in one change.
const TILES_A_CHANGE: usize = 1000;

fn tile_row(level: u8, index: u64) -> [u8; 11] {
    let [a, b, c, d, e, f, g, h] = index.to_be_bytes();
    [SPACE_LOG, TILES, level, a, b, c, d, e, f, g, h]
}

/// The rows of a ledger as the files of a log. Reads the rows that it needs and believes the tiles that are kept: what is made of them is to be
/// verified where it matters.
#[derive(Clone, Copy)]
pub struct LogRows<'a>(pub &'a dyn Reader);

impl LogRows<'_> {
    /// The bytes of a bundle of entries.
    ///
    /// # Errors
    /// There are not so many entries.
    pub fn bundle(&self, index: u64, width: u16) -> Result<Vec<u8>, LedgerError> {
        let mut bundle = Vec::new();
        self.leaves(index, width, &mut |row| {
            push_entry(&mut bundle, row).map_err(|_| LedgerError::LogRow("an entry is too long for a bundle"))
        })?;
        Ok(bundle)
    }

    /// The bytes of a file other than the checkpoint.
    ///
    /// # Errors
    /// There are not so many entries, or it is the checkpoint.
    pub fn file(&self, resource: &Resource) -> Result<Vec<u8>, LedgerError> {
        match resource {
            Resource::Checkpoint => Err(LedgerError::LogNoFile),
            Resource::Tile(tile) => self.tile(*tile).map(|hashes| encode_tile(&hashes)),
            Resource::Entries { index, width } => self.bundle(*index, *width),
        }
    }

    fn leaves(
        &self,
        index: u64,
        width: u16,
        each: &mut dyn FnMut(&[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let from = index.checked_mul(u64::from(TILE_WIDTH)).ok_or(LedgerError::NoEntry { index })?;
        let to = from.checked_add(u64::from(width)).ok_or(LedgerError::NoEntry { index })?;
        let (mut next, mut outcome) = (from, Ok(()));
        self.0.range(&entry_key(from), &entry_key(to), &mut |key, row| {
            if entry_index(key) != Some(next) {
                return ControlFlow::Break(());
            }
            next += 1;
            outcome = each(row);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        if next == to { Ok(()) } else { Err(LedgerError::NoEntry { index: next }) }
    }

    /// The hashes of a tile that are kept.
    fn kept(&self, level: u8, index: u64) -> Result<Vec<TreeHash>, LedgerError> {
        let Some(value) = self.0.get(&tile_row(level, index))? else { return Ok(Vec::new()) };
        let width = u16::try_from(value.len() / 32).ok().filter(|width| (1..=TILE_WIDTH).contains(width));
        let width = width.ok_or(LedgerError::LogRow("a tile"))?;
        decode_tile(&value, width).map_err(|_| LedgerError::LogRow("a tile"))
    }

    /// A tile, made of what is kept of it and of the tiles under it. Levels are few, so going down is bounded.
    fn make(&self, level: u8, index: u64, width: u16) -> Result<Vec<TreeHash>, LedgerError> {
        let mut hashes = Vec::with_capacity(usize::from(width));
        let Some(below) = level.checked_sub(1) else {
            self.leaves(index, width, &mut |row| {
                hashes.push(leaf_hash(row));
                Ok(())
            })?;
            return Ok(hashes);
        };
        hashes = match self.kept(level, index) {
            // A kept tile is derived data: one that is none is made anew, and the verification names it.
            Err(LedgerError::LogRow(_)) => Vec::new(),
            kept => kept?,
        };
        hashes.truncate(usize::from(width));
        let first = index.checked_mul(u64::from(TILE_WIDTH)).ok_or(LedgerError::LogNoFile)?;
        while hashes.len() < usize::from(width) {
            let place = first.checked_add(hashes.len() as u64).ok_or(LedgerError::LogNoFile)?;
            hashes.push(root_of(&self.make(below, place, TILE_WIDTH)?));
        }
        Ok(hashes)
    }

    /// How many hashes of a level are kept.
    fn kept_hashes(&self, level: u8) -> Result<u64, LedgerError> {
        let (mut last, from, to) = (None, tile_row(level, 0), tile_row(level + 1, 0));
        self.0.range_rev(&from, &to, &mut |key, value| {
            let index = key.last_chunk().map(|index| u64::from_be_bytes(*index));
            last = index.map(|index| (index, value.len() as u64 / 32));
            ControlFlow::Break(())
        })?;
        Ok(last.map_or(0, |(index, hashes)| index.saturating_mul(u64::from(TILE_WIDTH)).saturating_add(hashes)))
    }
}

impl Tiles for LogRows<'_> {
    type Error = LedgerError;

    fn tile(&self, tile: Tile) -> Result<Vec<TreeHash>, LedgerError> {
        let fits = tile.level <= LEVEL_MAX && (1..=TILE_WIDTH).contains(&tile.width);
        if fits { self.make(tile.level, tile.index, tile.width) } else { Err(LedgerError::LogNoFile) }
    }
}

/// The next rows of tiles to keep for the tree of the first `size` entries; `None` where all are kept. To be called, and committed, until then.
///
/// # Errors
/// Rows cannot be read, or there are not so many entries.
pub fn next_tiles(reader: &dyn Reader, size: u64) -> Result<Option<Change>, LedgerError> {
    let rows = LogRows(reader);
    for level in 1..=LEVEL_MAX {
        let wanted = size.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0);
        let kept = rows.kept_hashes(level)?;
        if kept >= wanted {
            continue;
        }
        let (index, begun) = (kept / u64::from(TILE_WIDTH), usize::try_from(kept % u64::from(TILE_WIDTH)).unwrap_or(0));
        let whole = usize::try_from(wanted.saturating_sub(kept)).unwrap_or(usize::MAX).saturating_add(begun);
        let width = whole.min(begun + HASHES_A_CHANGE).min(usize::from(TILE_WIDTH));
        let hashes = rows.make(level, index, u16::try_from(width).unwrap_or(TILE_WIDTH))?;
        let writes = vec![Write::put(tile_row(level, index), encode_tile(&hashes))];
        return Ok(Some(Change { preconditions: Vec::new(), writes }));
    }
    Ok(None)
}

/// Removes some of the tiles that are kept; `None` where there are none. To be called, and committed, until then: [`next_tiles`] makes them again.
///
/// # Errors
/// Rows cannot be read.
pub fn forget_tiles(reader: &dyn Reader) -> Result<Option<Change>, LedgerError> {
    let mut writes = Vec::new();
    reader.range(&[SPACE_LOG, TILES], &[SPACE_LOG, TILES + 1], &mut |key, _| {
        writes.push(Write::delete(key));
        if writes.len() < TILES_A_CHANGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok((!writes.is_empty()).then_some(Change { preconditions: Vec::new(), writes }))
}

/// The tiles that are kept, in order, as the verification compares them with what it derives.
pub(crate) fn kept_tile(reader: &dyn Reader, level: u8, index: u64) -> Result<Vec<TreeHash>, LedgerError> {
    LogRows(reader).kept(level, index)
}

/// The root of the first `size` entries as the kept tiles have it: of the entries only those are read that no kept tile covers.
pub(super) fn root_by_tiles(reader: &dyn Reader, size: u64) -> Result<TreeHash, LedgerError> {
    let rows = LogRows(reader);
    let tiles = TileHashes { tiles: &rows, size };
    let (mut peaks, mut done) = (Vec::new(), 0_u64);
    for level in (0..u64::BITS).rev().filter(|level| size & (1 << level) != 0) {
        let peak = tiles.subtree(level, done >> level).map_err(|error| from_proof(ProofError::Source(error)))?;
        peaks.push(peak);
        done += 1 << level;
    }
    Frontier::from_peaks(size, peaks).map(|frontier| frontier.root()).ok_or(LedgerError::LogNoFile)
}

pub(super) fn from_proof(error: ProofError<TileHashError<LedgerError>>) -> LedgerError {
    match error {
        ProofError::BeyondTree { size } => LedgerError::NoEntry { index: size },
        ProofError::Source(TileHashError::Tiles(error)) => error,
        ProofError::Source(TileHashError::Beyond | TileHashError::Short) => LedgerError::LogNoFile,
    }
}
