//! The commit chain: one link for each group, written in the group's own batch, so that a group that vanished is missed.
//!
//! ```text
//! link n:  group n | commits after it | commits in it | hash of its writes | digest
//! digest(n) = SHA-256("tacet-chain-1" | digest(n-1) | group | commits | size | hash of its writes)
//! ```
//!
//! Links are kept in a ring of [`LINKS`] rows. It is not enough to keep the newest: an engine with several journals may
//! lose the middle of an older one and still replay the newest link from the next. [`walk`] finds such gaps.

use crate::engine::{Mark, Reader, Write};
use crate::error::StoreError;
use crate::rows::SPACE_STORE;
use aws_lc_rs::digest::{Context, SHA256, digest};
use std::ops::ControlFlow;

/// Links kept. An engine must have put all but the newest `LINKS` groups where a torn journal cannot take them;
/// [`crate::fjall`] sees to that by flushing in time.
pub(crate) const LINKS: u64 = 1 << 18;

/// Second byte of a link's key.
const LINK: u8 = 0x02;

/// Key of the origin: the mark from which the chain is expected, where that is not [`Mark::START`].
const ORIGIN_KEY: [u8; 2] = [SPACE_STORE, 0x03];

/// Separates this digest from all others of Tacet.
const DOMAIN: &[u8] = b"tacet-chain-1";

/// Bytes of a link's value.
const LINK_BYTES: usize = 8 + 8 + 4 + 32 + 32;

/// What one group left in the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// The chain after this group.
    pub(crate) mark: Mark,
    size: u32,
    writes_hash: [u8; 32],
}

impl Link {
    /// The link that follows `previous` for a group of `size` commits with these `writes`.
    pub(crate) fn after(previous: &Mark, size: u32, writes: &[Write]) -> Self {
        let mut context = Context::new(&SHA256);
        for write in writes {
            // Lengths first, with a delete told from an empty value, so that no two lists have the same bytes.
            let value = write.value();
            let value_length = value.map_or(u64::MAX, |value| value.len() as u64);
            context.update(&(write.key().len() as u64).to_be_bytes());
            context.update(&value_length.to_be_bytes());
            context.update(write.key());
            context.update(value.unwrap_or_default());
        }
        let writes_hash = hash_bytes(context.finish().as_ref());
        Self::linked(previous, size, writes_hash)
    }

    fn linked(previous: &Mark, size: u32, writes_hash: [u8; 32]) -> Self {
        let group = previous.group.saturating_add(1);
        let commits = previous.commits.saturating_add(u64::from(size));
        let bytes = [
            DOMAIN,
            previous.digest.as_slice(),
            &group.to_be_bytes(),
            &commits.to_be_bytes(),
            &size.to_be_bytes(),
            &writes_hash,
        ]
        .concat();
        let mark = Mark { group, commits, digest: hash_bytes(digest(&SHA256, &bytes).as_ref()) };
        Self { mark, size, writes_hash }
    }

    /// The row that holds this link.
    pub(crate) fn row(&self) -> Write {
        let mut value = Vec::with_capacity(LINK_BYTES);
        value.extend_from_slice(&self.mark.group.to_be_bytes());
        value.extend_from_slice(&self.mark.commits.to_be_bytes());
        value.extend_from_slice(&self.size.to_be_bytes());
        value.extend_from_slice(&self.writes_hash);
        value.extend_from_slice(&self.mark.digest);
        Write::Put { key: key(self.mark.group), value }
    }

    fn read(value: &[u8]) -> Option<Self> {
        let (group, rest) = value.split_first_chunk::<8>()?;
        let (commits, rest) = rest.split_first_chunk::<8>()?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let (writes_hash, rest) = rest.split_first_chunk::<32>()?;
        let digest = <[u8; 32]>::try_from(rest).ok()?;
        let mark = Mark { group: u64::from_be_bytes(*group), commits: u64::from_be_bytes(*commits), digest };
        Some(Self { mark, size: u32::from_be_bytes(*size), writes_hash: *writes_hash })
    }

    /// The link that a group's batch carries, if this write is one.
    pub(crate) fn in_write(write: &Write) -> Option<Self> {
        let place = write.key().strip_prefix(&[SPACE_STORE, LINK])?;
        (place.len() == 4).then(|| Self::read(write.value()?)).flatten()
    }

    pub(crate) fn follows(&self, previous: &Mark) -> bool {
        *self == Self::linked(previous, self.size, self.writes_hash)
    }
}

fn hash_bytes(hash: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash);
    bytes
}

/// Key of the link of `group`: its place in the ring.
fn key(group: u64) -> Vec<u8> {
    let place = (group % LINKS) as u32;
    [[SPACE_STORE, LINK].as_slice(), &place.to_be_bytes()].concat()
}

/// The link of `group`, where the ring still holds it.
pub(crate) fn link_of(reader: &dyn Reader, group: u64) -> Result<Option<Link>, StoreError> {
    let Some(value) = reader.get(&key(group))? else { return Ok(None) };
    let link = Link::read(&value).ok_or_else(|| StoreError::corrupt("a link of the commit chain is malformed"))?;
    Ok((link.mark.group == group).then_some(link))
}

/// Writes that begin the chain anew after `mark`: every link goes, and the origin says where the next one belongs.
pub(crate) fn restart(reader: &dyn Reader, mark: &Mark) -> Result<Vec<Write>, StoreError> {
    let origin = [mark.group.to_be_bytes().as_slice(), &mark.commits.to_be_bytes(), &mark.digest].concat();
    let mut writes = vec![Write::put(ORIGIN_KEY, origin)];
    reader.range(&[SPACE_STORE, LINK], &[SPACE_STORE, LINK + 1], &mut |key, _| {
        writes.push(Write::delete(key));
        ControlFlow::Continue(())
    })?;
    Ok(writes)
}

/// The mark from which the chain is expected.
pub(crate) fn origin(reader: &dyn Reader) -> Result<Mark, StoreError> {
    let Some(value) = reader.get(&ORIGIN_KEY)? else { return Ok(Mark::START) };
    let read = || {
        let (group, rest) = value.split_first_chunk::<8>()?;
        let (commits, rest) = rest.split_first_chunk::<8>()?;
        let digest = <[u8; 32]>::try_from(rest).ok()?;
        Some(Mark { group: u64::from_be_bytes(*group), commits: u64::from_be_bytes(*commits), digest })
    };
    read().ok_or_else(|| StoreError::corrupt("the origin of the commit chain is malformed"))
}

/// What a walk over the whole ring found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Walked {
    /// The newest link's mark; the origin where there is none.
    pub(crate) head: Mark,
    /// Commits that stood in links which are not there although newer ones are.
    pub(crate) missing_commits: u64,
    /// Groups that are not there although newer ones are.
    pub(crate) missing_groups: u64,
    /// Whether every link follows from the one before it, where both are there.
    pub(crate) chained: bool,
    /// The mark at the group that was asked for, where the ring holds it.
    pub(crate) at: Option<Mark>,
}

/// Walks the ring from its oldest link to the newest, and picks out the mark at `group`.
pub(crate) fn walk(reader: &dyn Reader, group: u64) -> Result<Walked, StoreError> {
    let mut links = Vec::new();
    let mut malformed = false;
    reader.range(&[SPACE_STORE, LINK], &[SPACE_STORE, LINK + 1], &mut |_, value| {
        match Link::read(value) {
            Some(link) => links.push(link),
            None => malformed = true,
        }
        ControlFlow::Continue(())
    })?;
    if malformed {
        return Err(StoreError::corrupt("a link of the commit chain is malformed"));
    }
    links.sort_unstable_by_key(|link| link.mark.group);
    let origin = origin(reader)?;
    let head = links.last().map_or(origin, |link| link.mark);
    let mut walked = Walked {
        head,
        missing_commits: 0,
        missing_groups: 0,
        chained: true,
        at: (group == origin.group).then_some(origin),
    };
    // The ring should hold every group from this one; an older link at the place of a newer one is itself a loss.
    let first = head.group.saturating_sub(LINKS - 1).max(origin.group.saturating_add(1));
    let mut previous = (first == origin.group.saturating_add(1)).then_some(origin);
    let mut next = first;
    for link in links.into_iter().filter(|link| link.mark.group >= first) {
        if link.mark.group == next {
            walked.chained &= previous.is_none_or(|mark| link.follows(&mark));
        } else {
            let commits_before = link.mark.commits.saturating_sub(u64::from(link.size));
            walked.missing_groups += link.mark.group.saturating_sub(next);
            walked.missing_commits += previous.map_or(0, |mark| commits_before.saturating_sub(mark.commits));
        }
        if link.mark.group == group {
            walked.at = Some(link.mark);
        }
        next = link.mark.group.saturating_add(1);
        previous = Some(link.mark);
    }
    Ok(walked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Durability, Engine};
    use crate::memory::MemoryEngine;

    fn chain(engine: &MemoryEngine, groups: u64, skipped: &[u64]) -> Mark {
        let mut mark = Mark::START;
        for group in 1..=groups {
            let link = Link::after(&mark, 3, &[Write::put([9, group as u8], [1])]);
            if !skipped.contains(&group) {
                engine.write(&[link.row()], Durability::Buffered).unwrap();
            }
            mark = link.mark;
        }
        mark
    }

    #[test]
    fn a_whole_chain_is_walked_to_its_head() {
        let engine = MemoryEngine::new();
        let head = chain(&engine, 20, &[]);
        let walked = walk(&engine, 7).unwrap();
        assert_eq!((walked.head, walked.missing_groups, walked.chained), (head, 0, true));
        assert_eq!(walked.at, Some(link_of(&engine, 7).unwrap().unwrap().mark));
        assert_eq!(walked.at.unwrap().commits, 21);
    }

    #[test]
    fn a_gap_is_counted() {
        for skipped in [vec![1], vec![1, 2], vec![5], vec![5, 6, 7], vec![2, 9]] {
            let engine = MemoryEngine::new();
            chain(&engine, 20, &skipped);
            let walked = walk(&engine, 20).unwrap();
            assert_eq!(walked.missing_groups, skipped.len() as u64, "{skipped:?}");
            assert_eq!(walked.missing_commits, 3 * skipped.len() as u64, "{skipped:?}");
        }
    }

    #[test]
    fn a_link_of_another_history_does_not_follow() {
        let engine = MemoryEngine::new();
        chain(&engine, 20, &[]);
        let other = Link::after(&Mark { group: 9, commits: 27, digest: [7; 32] }, 3, &[]);
        engine.write(&[other.row()], Durability::Buffered).unwrap();
        assert!(!walk(&engine, 20).unwrap().chained);
    }

    #[test]
    fn writes_that_differ_have_different_links() {
        let lists: [&[Write]; 6] = [
            &[],
            &[Write::put([1], [])],
            &[Write::delete([1])],
            &[Write::put([1], [2])],
            &[Write::put([1, 2], [])],
            &[Write::put([1], []), Write::put([2], [])],
        ];
        let digests: std::collections::BTreeSet<_> =
            lists.iter().map(|writes| Link::after(&Mark::START, 1, writes).mark.digest).collect();
        assert_eq!(digests.len(), lists.len());
    }
}
