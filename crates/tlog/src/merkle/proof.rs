//! Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2) and their verification (RFC 9162, sections
//! 2.1.3.2 and 2.1.4.2).
//!
//! A proof binds a leaf's index, but of the tree's size only what its path depends on: size and root must come together
//! from a head that is trusted.

use super::{HASH_BYTES, SIZE_MAX, TreeHash, empty_root, node_hash};

/// Most hashes in a proof: one a level, and one more for consistency.
pub const PROOF_HASHES_MAX: usize = SIZE_MAX.trailing_zeros() as usize + 1;

const _: () = assert!(PROOF_HASHES_MAX * HASH_BYTES < 2048, "a proof stays a small object");

/// Gives the hashes of a tree that stays as it is while it is asked.
pub trait HashSource {
    /// Why a hash cannot be had.
    type Error;

    /// The root of the complete subtree over the leaves from `index << level` up to, not including, `(index + 1) <<
    /// level`.
    fn subtree(&self, level: u32, index: u64) -> Result<TreeHash, Self::Error>;
}

/// A question that the tree has no answer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError<E> {
    /// The index or the older size lies beyond the tree.
    #[error("the tree has only {size} leaves: ask for one below, or for a later tree")]
    BeyondTree {
        /// The tree's size.
        size: u64,
    },
    /// A hash could not be had.
    #[error("a hash of the tree is not available")]
    Source(#[source] E),
}

/// Leaf hashes in memory as a source. Finding a hash takes the time of its subtree: for tests and small trees.
#[derive(Clone, Copy, Debug)]
pub struct LeafHashes<'a>(pub &'a [TreeHash]);

/// The leaves asked for are not in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the leaves asked for are not at hand")]
pub struct MissingLeaves;

impl HashSource for LeafHashes<'_> {
    type Error = MissingLeaves;

    fn subtree(&self, level: u32, index: u64) -> Result<TreeHash, MissingLeaves> {
        let from = index.checked_mul(1u64.checked_shl(level).ok_or(MissingLeaves)?).ok_or(MissingLeaves)?;
        let to = from.checked_add(1 << level).ok_or(MissingLeaves)?;
        let range = usize::try_from(from).ok().zip(usize::try_from(to).ok()).ok_or(MissingLeaves)?;
        self.0.get(range.0..range.1).map(super::root_of).ok_or(MissingLeaves)
    }
}

/// The proof that leaf `index` is in the tree of the first `size` leaves: the siblings on the way from the leaf to
/// the root, lowest first.
pub fn inclusion<S: HashSource>(source: &S, index: u64, size: u64) -> Result<Vec<TreeHash>, ProofError<S::Error>> {
    if index >= size || size > SIZE_MAX {
        return Err(ProofError::BeyondTree { size });
    }
    // Down from the root: the half that holds the leaf is entered, the other half's root is the sibling.
    let (mut from, mut count) = (0, size);
    let mut siblings = Vec::new();
    while count > 1 {
        let left = split(count);
        if index < from + left {
            siblings.push(range_root(source, from + left, count - left)?);
            count = left;
        } else {
            siblings.push(range_root(source, from, left)?);
            (from, count) = (from + left, count - left);
        }
    }
    siblings.reverse();
    Ok(siblings)
}

/// The proof that the tree of the first `old` leaves is the beginning of the tree of the first `size` leaves.
pub fn consistency<S: HashSource>(source: &S, old: u64, size: u64) -> Result<Vec<TreeHash>, ProofError<S::Error>> {
    if old > size || size > SIZE_MAX {
        return Err(ProofError::BeyondTree { size });
    }
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    // Down the edge of the old tree until a subtree lies wholly inside it (RFC 6962: SUBPROOF, with `b` as `whole`).
    let (mut from, mut count, mut inside, mut whole) = (0, size, old, true);
    let mut hashes = Vec::new();
    while inside < count {
        let left = split(count);
        if inside <= left {
            hashes.push(range_root(source, from + left, count - left)?);
            count = left;
        } else {
            hashes.push(range_root(source, from, left)?);
            (from, count, inside, whole) = (from + left, count - left, inside - left, false);
        }
    }
    if !whole {
        hashes.push(range_root(source, from, count)?);
    }
    hashes.reverse();
    Ok(hashes)
}

/// Whether `proof` shows that a leaf with this hash is at `index` in the tree of `size` leaves with this root.
#[must_use]
pub fn verify_inclusion(leaf: &TreeHash, index: u64, size: u64, proof: &[TreeHash], root: &TreeHash) -> bool {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // The right edge skips the levels at which it has no sibling.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `old` leaves with root `old_root` is the beginning of the one of `size`
/// leaves with root `root`.
#[must_use]
pub fn verify_consistency(old: u64, old_root: &TreeHash, size: u64, root: &TreeHash, proof: &[TreeHash]) -> bool {
    if old > size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root() && (size != 0 || *root == empty_root());
    }
    if old == size {
        return proof.is_empty() && old_root == root;
    }
    let (mut node, mut last) = (old - 1, size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let mut hashes = proof.iter();
    // Where the old tree is one complete subtree its root is known already, and the proof leaves it out.
    let Some(start) = (if old.is_power_of_two() { Some(old_root) } else { hashes.next() }) else { return false };
    let (mut old_hash, mut hash) = (*start, *start);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && hash == *root
}

/// The largest power of two below `count`, which is 2 or more.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The root over `count` leaves from `from`, a place that the splits of a tree reach: `from` is a multiple of every
/// complete subtree asked for.
fn range_root<S: HashSource>(source: &S, mut from: u64, count: u64) -> Result<TreeHash, ProofError<S::Error>> {
    let mut peaks = Vec::new();
    let mut rest = count;
    while rest > 0 {
        let level = u64::BITS - 1 - rest.leading_zeros();
        peaks.push(source.subtree(level, from >> level).map_err(ProofError::Source)?);
        from += 1 << level;
        rest -= 1 << level;
    }
    let mut from_right = peaks.into_iter().rev();
    Ok(from_right.next().map_or_else(empty_root, |last| from_right.fold(last, |right, left| node_hash(&left, &right))))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ct_leaves, naive_root, numbered_leaves};
    use super::*;

    /// RFC 6962, section 2.1.1, word for word.
    fn naive_path(index: usize, leaves: &[TreeHash]) -> Vec<TreeHash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        if index < left.len() {
            [naive_path(index, left), vec![naive_root(right)]].concat()
        } else {
            [naive_path(index - left.len(), right), vec![naive_root(left)]].concat()
        }
    }

    /// RFC 6962, section 2.1.2, word for word.
    fn naive_subproof(old: usize, leaves: &[TreeHash], whole: bool) -> Vec<TreeHash> {
        if old == leaves.len() {
            return if whole { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        if old <= left.len() {
            [naive_subproof(old, left, whole), vec![naive_root(right)]].concat()
        } else {
            [naive_subproof(old - left.len(), right, false), vec![naive_root(left)]].concat()
        }
    }

    /// Every proof that differs from a good one in one hash: changed, missing, doubled or added.
    fn spoiled(proof: &[TreeHash]) -> Vec<Vec<TreeHash>> {
        let mut all = vec![[proof, &[empty_root()]].concat(), [&[empty_root()], proof].concat()];
        for place in 0..proof.len() {
            let mut changed = proof.to_vec();
            changed[place].0[place % HASH_BYTES] ^= 0x10;
            let mut missing = proof.to_vec();
            missing.remove(place);
            let mut doubled = proof.to_vec();
            doubled.insert(place, proof[place]);
            all.extend([changed, missing, doubled]);
        }
        all
    }

    #[test]
    fn the_published_paths_come_out() {
        let leaves = ct_leaves();
        let hex = |proof: Vec<TreeHash>| proof.iter().map(TreeHash::to_string).collect::<Vec<_>>();
        assert_eq!(
            hex(inclusion(&LeafHashes(&leaves), 0, 8).unwrap()),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
        assert_eq!(
            hex(consistency(&LeafHashes(&leaves), 1, 8).unwrap()),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
    }

    #[test]
    fn every_inclusion_is_proved_and_nothing_else_is() {
        let leaves = numbered_leaves(40);
        for size in 1..=leaves.len() {
            let root = naive_root(&leaves[..size]);
            for index in 0..size {
                let proof = inclusion(&LeafHashes(&leaves), index as u64, size as u64).unwrap();
                assert_eq!(proof, naive_path(index, &leaves[..size]));
                let holds = |leaf: usize, index: usize, proof: &[TreeHash]| {
                    verify_inclusion(&leaves[leaf], index as u64, size as u64, proof, &root)
                };
                assert!(holds(index, index, &proof));
                assert!(!holds((index + 1) % leaves.len(), index, &proof));
                assert!((0..=size).all(|other| other == index || !holds(index, other, &proof)));
                assert!(spoiled(&proof).iter().all(|proof| !holds(index, index, proof)), "{index} of {size}");
                assert!(!verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &empty_root()));
            }
        }
    }

    #[test]
    fn every_extension_is_proved_and_nothing_else_is() {
        let leaves = numbered_leaves(40);
        for size in 0..=leaves.len() {
            let root = naive_root(&leaves[..size]);
            for old in 0..=size {
                let old_root = naive_root(&leaves[..old]);
                let proof = consistency(&LeafHashes(&leaves), old as u64, size as u64).unwrap();
                if old > 0 {
                    assert_eq!(proof, naive_subproof(old, &leaves[..size], true));
                }
                let holds = |old_root: &TreeHash, root: &TreeHash, proof: &[TreeHash]| {
                    verify_consistency(old as u64, old_root, size as u64, root, proof)
                };
                assert!(holds(&old_root, &root, &proof), "{old} to {size}");
                assert!(spoiled(&proof).iter().all(|proof| !holds(&old_root, &root, proof)), "{old} to {size}");
                let forged = leaves.first().unwrap();
                let other = if *forged == old_root { leaves.last().unwrap() } else { forged };
                assert!(!holds(other, &root, &proof));
                if old > 0 {
                    assert!(!holds(&old_root, &numbered_leaves(1000)[999], &proof));
                }
            }
        }
    }

    #[test]
    fn a_fork_is_not_an_extension() {
        let honest = numbered_leaves(33);
        for changed in 0..20 {
            let mut fork = honest.clone();
            fork[changed].0[0] ^= 1;
            for size in 20..=33u64 {
                let proof = consistency(&LeafHashes(&fork), 20, size).unwrap();
                let (old_root, root) = (naive_root(&honest[..20]), naive_root(&fork[..size as usize]));
                assert!(!verify_consistency(20, &old_root, size, &root, &proof));
            }
        }
    }

    #[test]
    fn questions_beyond_the_tree_are_errors() {
        let leaves = numbered_leaves(5);
        let source = LeafHashes(&leaves);
        assert_eq!(inclusion(&source, 5, 5), Err(ProofError::BeyondTree { size: 5 }));
        assert_eq!(inclusion(&source, 0, 0), Err(ProofError::BeyondTree { size: 0 }));
        assert_eq!(inclusion(&source, 0, 6), Err(ProofError::Source(MissingLeaves)));
        assert_eq!(inclusion(&source, 0, u64::MAX), Err(ProofError::BeyondTree { size: u64::MAX }));
        assert_eq!(consistency(&source, 6, 5), Err(ProofError::BeyondTree { size: 5 }));
        assert_eq!(consistency(&source, 3, 7), Err(ProofError::Source(MissingLeaves)));
        assert!(!verify_inclusion(&leaves[0], 0, 0, &[], &empty_root()));
        assert!(!verify_inclusion(&leaves[0], 0, 1, &vec![leaves[0]; 1000], &leaves[0]));
        assert!(!verify_consistency(6, &leaves[0], 5, &leaves[0], &[]));
    }

    #[test]
    fn the_split_is_the_largest_power_of_two_below() {
        for count in 2..2000u64 {
            assert_eq!(split(count), count.next_power_of_two() / 2);
        }
    }
}
