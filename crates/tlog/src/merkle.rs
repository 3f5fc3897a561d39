//! The Merkle tree of RFC 6962 (section 2.1): hashing, a compact frontier that grows by one leaf at a time, and proofs.
//!
//! Pure: no I/O, no keys, nothing of what a leaf holds. The proofs are in [`proof`], and ask a [`proof::HashSource`]
//! for the hashes they need, so that the same code serves leaves in memory, ledger rows and, later, published tiles.
//!
//! ```text
//!            root                 a frontier of 7 leaves keeps 3 hashes, its peaks:
//!          /      \               a (leaves 0-3), b (leaves 4-5), c (leaf 6)
//!        a          .
//!      /   \      /   \           append: push the leaf, then join equal peaks from the right
//!     .     .    b     c          root:   join all peaks from the right
//!    / \   / \  / \    |
//!    0 1   2 3  4 5    6
//! ```

pub mod proof;

use aws_lc_rs::digest::{Context, SHA256};
use std::fmt;

/// Bytes of a hash (SHA-256).
pub const HASH_BYTES: usize = 32;

/// Most leaves a frontier may say it has. Out of reach for a ledger (2^56 entries), and keeps every sum below from
/// overflowing.
pub const SIZE_MAX: u64 = 1 << 56;

/// First byte of what is hashed for a leaf (RFC 6962, section 2.1), so that a leaf is never taken for a node.
const LEAF_PREFIX: u8 = 0x00;

/// First byte of what is hashed for an inner node.
const NODE_PREFIX: u8 = 0x01;

/// A SHA-256 hash of the tree. It tells nothing without the sealed bytes it was made from, and prints as hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHash(pub [u8; HASH_BYTES]);

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The root of a tree without leaves: the hash of nothing.
pub fn empty_root() -> TreeHash {
    digest(&[])
}

/// The hash of a leaf that holds `data`.
pub fn leaf_hash(data: &[u8]) -> TreeHash {
    digest(&[&[LEAF_PREFIX], data])
}

/// The hash of the inner node over two subtrees.
pub fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    digest(&[&[NODE_PREFIX], &left.0, &right.0])
}

fn digest(parts: &[&[u8]]) -> TreeHash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; HASH_BYTES];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    TreeHash(hash)
}

/// What must be kept of a tree to append to it and to know its root: the roots of its complete subtrees, one for each
/// bit set in its size.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// Largest subtree first. INVARIANT: as many as `size` has bits set.
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// The frontier of a tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of `size` leaves with these peaks, largest first; `None` where their number does not fit the size.
    pub fn from_peaks(size: u64, peaks: Vec<TreeHash>) -> Option<Self> {
        (size <= SIZE_MAX && peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[TreeHash] {
        &self.peaks
    }

    /// The smallest complete subtree at the right edge: its first leaf, its level (it has `1 << level` leaves) and
    /// its root. `None` while empty.
    pub fn last_peak(&self) -> Option<(u64, u32, TreeHash)> {
        let level = self.size.trailing_zeros();
        self.peaks.last().map(|peak| (self.size - (1 << level), level, *peak))
    }

    /// Appends one leaf, by its hash. O(log n), one node hash on average.
    pub fn append(&mut self, leaf: TreeHash) {
        self.join(0, leaf);
    }

    /// Appends a complete subtree of `1 << level` leaves, by its root. `false`, and nothing done, where the present
    /// size is not a multiple of that many leaves.
    #[must_use]
    pub fn append_subtree(&mut self, level: u32, root: TreeHash) -> bool {
        let fits = level < SIZE_MAX.trailing_zeros() && self.size.trailing_zeros() >= level;
        if fits {
            self.join(level, root);
        }
        fits
    }

    /// INVARIANT: the size is a multiple of `1 << level`.
    fn join(&mut self, level: u32, mut root: TreeHash) {
        let mut rest = self.size >> level;
        while rest & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            root = node_hash(&left, &root);
            rest >>= 1;
        }
        self.peaks.push(root);
        self.size += 1 << level;
        debug_assert_eq!(self.peaks.len(), self.size.count_ones() as usize);
    }

    /// The root of the tree (RFC 6962, "Merkle Tree Hash"). O(log n).
    pub fn root(&self) -> TreeHash {
        let mut peaks = self.peaks.iter().rev();
        peaks.next().map_or_else(empty_root, |last| peaks.fold(*last, |right, left| node_hash(left, &right)))
    }
}

/// The root over leaf hashes held in memory.
pub fn root_of(leaves: &[TreeHash]) -> TreeHash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier.root()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition of RFC 6962, section 2.1, word for word: split at the largest power of two below n.
    pub(crate) fn naive_root(leaves: &[TreeHash]) -> TreeHash {
        match leaves.len() {
            0 => empty_root(),
            1 => leaves[0],
            n => {
                let split = n.next_power_of_two() / 2;
                node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
            }
        }
    }

    /// The eight leaves that the test programs of Certificate Transparency use.
    pub(crate) fn ct_leaves() -> Vec<TreeHash> {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        inputs.iter().map(|input| leaf_hash(input)).collect()
    }

    pub(crate) fn numbered_leaves(count: u64) -> Vec<TreeHash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    #[test]
    fn the_published_roots_come_out() {
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves = ct_leaves();
        for (count, root) in roots.iter().enumerate() {
            assert_eq!(root_of(&leaves[..count]).to_string(), *root, "{count} leaves");
            assert_eq!(naive_root(&leaves[..count]).to_string(), *root, "{count} leaves, by definition");
        }
    }

    #[test]
    fn every_size_agrees_with_the_definition() {
        let leaves = numbered_leaves(300);
        let mut frontier = Frontier::new();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), naive_root(&leaves[..size]));
            let again = Frontier::from_peaks(frontier.size(), frontier.peaks().to_vec());
            assert_eq!(again.as_ref(), Some(&frontier));
            if let Some((first, level, peak)) = frontier.last_peak() {
                assert_eq!(naive_root(&leaves[first as usize..size]), peak);
                assert_eq!(size as u64 - first, 1 << level);
            }
            frontier.append(leaves[size]);
        }
    }

    #[test]
    fn peaks_that_do_not_fit_the_size_are_refused() {
        let peak = leaf_hash(b"");
        assert!(Frontier::from_peaks(0, vec![peak]).is_none());
        assert!(Frontier::from_peaks(3, vec![peak]).is_none());
        assert!(Frontier::from_peaks(4, vec![peak; 2]).is_none());
        assert!(Frontier::from_peaks(u64::MAX, vec![peak; 64]).is_none());
    }

    proptest! {
        #[test]
        fn subtrees_and_leaves_give_the_same_tree(chunks in proptest::collection::vec(0u32..6, 1..40)) {
            let leaves = numbered_leaves(40 * 32);
            let (mut by_subtree, mut used) = (Frontier::new(), 0usize);
            for level in chunks {
                let to = used + (1 << level);
                let fits = used % (1 << level) == 0;
                prop_assert_eq!(by_subtree.append_subtree(level, naive_root(&leaves[used..to])), fits);
                if fits {
                    used = to;
                }
                prop_assert_eq!(by_subtree.root(), naive_root(&leaves[..used]));
                prop_assert_eq!(by_subtree.size(), used as u64);
            }
        }
    }
}
