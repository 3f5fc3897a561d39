//! Rows that are elsewhere, in pieces that are cut into blocks: what a [`super::FillingEngine`] reads while it is not full.

use std::sync::Arc;
use tacet_store::StoreError;

/// The rows of one block, ascending by key.
pub type BaseRow = (Vec<u8>, Vec<u8>);

/// Rows of one block of a piece, ascending by key, no key twice.
#[derive(Debug, Default)]
pub struct Block {
    /// The rows.
    pub rows: Vec<BaseRow>,
}

impl Block {
    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let at = self.rows.binary_search_by(|(row, _)| row.as_slice().cmp(key)).ok()?;
        self.rows.get(at).map(|(_, value)| value.as_slice())
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// One piece: where its keys begin and end, both included.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Key of its first row.
    pub first: Vec<u8>,
    /// Key of its last row.
    pub last: Vec<u8>,
    /// Its bytes, for the progress.
    pub bytes: u64,
}

/// Rows that are elsewhere. They do not change. Calls may block, and what they give was verified.
pub trait Base: Send + Sync {
    /// The pieces, ascending by key; no two overlap.
    fn pieces(&self) -> &[Piece];

    /// The first key of each block of a piece, ascending; the first of them is the piece's.
    ///
    /// # Errors
    /// It cannot be read now, or is not what was written.
    fn blocks(&self, piece: usize) -> Result<Arc<Vec<Vec<u8>>>, StoreError>;

    /// The rows of one block.
    ///
    /// # Errors
    /// It cannot be read now, or is not what was written.
    fn block(&self, piece: usize, block: usize) -> Result<Arc<Block>, StoreError>;

    /// All blocks of a piece, for those who take all of them.
    ///
    /// # Errors
    /// They cannot be read now, or are not what was written.
    fn whole(&self, piece: usize) -> Result<Vec<Arc<Block>>, StoreError> {
        let blocks = self.blocks(piece)?;
        (0..blocks.len()).map(|block| self.block(piece, block)).collect()
    }
}
