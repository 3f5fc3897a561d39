//! The tree's head: how many entries there are, the root over them, and the frontier that the next one is appended to.

use crate::error::LedgerError;
use crate::merkle::{Frontier, HASH_BYTES, SIZE_MAX, TreeHash};

/// The format of a head that is written, and the only one that is read.
const FORMAT: u8 = 1;

/// Longest encoded head: format, size, root and a hash for each bit of the size.
pub(crate) const HEAD_BYTES_MAX: usize = 1 + 8 + HASH_BYTES * (1 + SIZE_MAX.ilog2() as usize + 1);

/// The head of the ledger's tree. What a checkpoint will sign is its size and root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TreeHead {
    frontier: Frontier,
    root: TreeHash,
}

impl TreeHead {
    pub(crate) fn new(frontier: Frontier) -> Self {
        Self { root: frontier.root(), frontier }
    }

    /// How many entries the ledger has.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over all entries (RFC 6962).
    pub fn root(&self) -> TreeHash {
        self.root
    }

    /// The complete subtrees that the next entry is appended to.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// `format=1  size (8)  root (32)  peak (32) for each bit set in size, largest first`
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES_MAX);
        out.push(FORMAT);
        out.extend(self.size().to_be_bytes());
        out.extend(self.root.0);
        self.frontier.peaks().iter().for_each(|peak| out.extend(peak.0));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, LedgerError> {
        let found = bytes.first().copied().unwrap_or_default();
        let Some((&[FORMAT], rest)) = bytes.split_first_chunk::<1>() else {
            return Err(LedgerError::HeadFormat { found, supported: FORMAT });
        };
        let Some((size, rest)) = rest.split_first_chunk::<8>() else { return Err(LedgerError::HeadInconsistent) };
        let (hashes, left_over) = rest.as_chunks::<HASH_BYTES>();
        let Some((root, peaks)) = hashes.split_first() else { return Err(LedgerError::HeadInconsistent) };
        let frontier =
            Frontier::from_peaks(u64::from_be_bytes(*size), peaks.iter().map(|peak| TreeHash(*peak)).collect())
                .filter(|frontier| left_over.is_empty() && frontier.root().0 == *root)
                .ok_or(LedgerError::HeadInconsistent)?;
        Ok(Self::new(frontier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    fn numbered_leaves(count: u64) -> Vec<TreeHash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    #[test]
    fn heads_go_round_and_any_change_is_refused() {
        let mut frontier = Frontier::new();
        for leaf in numbered_leaves(40) {
            let head = TreeHead::new(frontier.clone());
            let bytes = head.encode();
            assert_eq!(TreeHead::decode(&bytes).unwrap(), head);
            for place in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << (place % 8);
                // A size with as many bits set has the same peaks and the same root: only the seal holds it.
                let same_shape = (1..9).contains(&place)
                    && TreeHead::decode(&changed)
                        .is_ok_and(|other| other.root() == head.root() && other.size() != head.size());
                assert!(TreeHead::decode(&changed).is_err() || same_shape, "byte {place} of {}", frontier.size());
                assert!(TreeHead::decode(&bytes[..place]).is_err());
            }
            assert!(TreeHead::decode(&[bytes.as_slice(), b"x"].concat()).is_err());
            frontier.append(leaf);
        }
    }

    #[test]
    fn a_later_format_is_named() {
        assert!(matches!(TreeHead::decode(&[2, 0]), Err(LedgerError::HeadFormat { found: 2, supported: 1 })));
        assert!(matches!(TreeHead::decode(&[]), Err(LedgerError::HeadFormat { found: 0, .. })));
    }
}
