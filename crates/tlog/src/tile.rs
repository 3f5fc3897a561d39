//! The files of a published log (<https://c2sp.org/tlog-tiles>): their names, and what is in them.
//!
//! ```text
//! checkpoint                    the signed checkpoint
//! tile/<level>/<index>[.p/<width>]     hashes of 256 (or `width`) consecutive subtrees of 256^level leaves
//! tile/entries/<index>[.p/<width>]     the 256 (or `width`) entries under the tile of level 0 with that index
//! ```
//!
//! A hash in a tile of level 1 and above stands for a full tile below, so what a partial tile holds is in no tile above.

use crate::merkle::proof::HashSource;
use crate::merkle::{HASH_BYTES, SIZE_MAX, TreeHash, root_of};
use std::fmt;

/// Hashes of a full tile, and entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of the tree in a tile: it has `1 << TILE_HEIGHT` hashes.
pub const TILE_HEIGHT: u32 = 8;

/// Highest level of a tile that a tree may have here.
pub const LEVEL_MAX: u8 = (SIZE_MAX.trailing_zeros() / TILE_HEIGHT) as u8;

/// Longest entry, in bytes: its length stands in 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Longest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);

/// Bytes of a full tile.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH as usize * HASH_BYTES;

/// Longest name of a file.
const PATH_BYTES_MAX: usize = 128;

/// One file of a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resource {
    /// The signed checkpoint.
    Checkpoint,
    /// A tile of hashes.
    Tile(Tile),
    /// A bundle of entries.
    Entries {
        /// Its place: the first entry is `index * 256`.
        index: u64,
        /// How many entries, 1 to 256.
        width: u16,
    },
}

/// Which tile of hashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tile {
    /// Its level: 0 has leaf hashes.
    pub level: u8,
    /// Its place in the level.
    pub index: u64,
    /// How many hashes, 1 to 256.
    pub width: u16,
}

impl fmt::Display for Resource {
    /// The path, without a slash in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Checkpoint => return f.write_str("checkpoint"),
            Self::Tile(tile) => {
                write!(f, "tile/{}/", tile.level)?;
                (tile.index, tile.width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                (*index, *width)
            }
        };
        let mut groups = vec![index % 1000];
        let mut rest = index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
        }
        if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

impl Resource {
    /// The file with this path; `None` where no file of a log has it.
    pub fn parse(path: &str) -> Option<Self> {
        if path == "checkpoint" {
            return Some(Self::Checkpoint);
        }
        if path.len() > PATH_BYTES_MAX {
            return None;
        }
        let (kind, place) = path.strip_prefix("tile/")?.split_once('/')?;
        let (place, width) = match place.split_once(".p/") {
            Some((place, width)) => {
                let width = crate::text::decimal(width).and_then(|width| u16::try_from(width).ok());
                (place, width.filter(|width| (1..TILE_WIDTH).contains(width))?)
            }
            None => (place, TILE_WIDTH),
        };
        let index = parse_index(place)?;
        let resource = if kind == "entries" {
            Self::Entries { index, width }
        } else {
            let level = crate::text::decimal(kind).and_then(|level| u8::try_from(level).ok())?;
            Self::Tile(Tile { level: Some(level).filter(|level| *level < 64)?, index, width })
        };
        // One path a file: what is written otherwise than it would be here is no path.
        (resource.to_string() == path).then_some(resource)
    }

    /// Whether a tree of `size` leaves has this file: a full one for good, a partial one while it is at the right edge.
    pub fn is_in(&self, size: u64) -> bool {
        match self {
            Self::Checkpoint => true,
            Self::Entries { index, width } => width_at(0, *index, size) >= *width,
            Self::Tile(tile) => width_at(tile.level, tile.index, size) >= tile.width,
        }
    }
}

/// `001`, `x001/234`: groups of three digits, all but the last with an `x`.
fn parse_index(place: &str) -> Option<u64> {
    let (front, last) = place.rsplit_once('/').map_or((None, place), |(front, last)| (Some(front), last));
    let mut index = 0u64;
    for group in front.into_iter().flat_map(|front| front.split('/')) {
        index = index.checked_mul(1000)?.checked_add(digits(group.strip_prefix('x')?)?)?;
    }
    index.checked_mul(1000)?.checked_add(digits(last)?).filter(|index| *index <= SIZE_MAX)
}

fn digits(group: &str) -> Option<u64> {
    let fits = group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| group.parse().ok()).flatten()
}

/// How many hashes the tile has in a tree of `size` leaves: 0 to 256.
pub fn width_at(level: u8, index: u64, size: u64) -> u16 {
    let shift = u32::from(level) * TILE_HEIGHT;
    let hashes = size.checked_shr(shift).unwrap_or(0);
    let before = index.saturating_mul(u64::from(TILE_WIDTH));
    u16::try_from(hashes.saturating_sub(before).min(u64::from(TILE_WIDTH))).unwrap_or(TILE_WIDTH)
}

/// Every file of a log of `size` entries, in the order in which they are made: a bundle, its tile, and what that completes.
pub fn resources(size: u64) -> impl Iterator<Item = Resource> {
    let bundles = size.div_ceil(u64::from(TILE_WIDTH));
    let front = (0..bundles).flat_map(move |index| {
        let width = width_at(0, index, size);
        let full = (index + 1) * u64::from(TILE_WIDTH);
        let tiles = (0..=LEVEL_MAX).filter_map(move |level| {
            // The tile of this level that ends with this bundle.
            let shift = u32::from(level) * TILE_HEIGHT;
            let ends = level == 0 || (width == TILE_WIDTH && (index + 1).trailing_zeros() >= shift);
            let place = index >> shift;
            (ends && width_at(level, place, full.min(size)) > 0).then(|| Tile {
                level,
                index: place,
                width: width_at(level, place, full.min(size)),
            })
        });
        let whole = tiles.filter(|tile| tile.width == TILE_WIDTH);
        std::iter::once(Resource::Entries { index, width }).chain(whole.map(Resource::Tile))
    });
    let edge = (0..=LEVEL_MAX).filter_map(move |level| {
        let hashes = size.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0);
        let index = hashes / u64::from(TILE_WIDTH);
        let width = width_at(level, index, size);
        (width > 0).then_some(Resource::Tile(Tile { level, index, width }))
    });
    front.chain(edge)
}

/// Why bytes are not the tile or bundle that they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// A tile has another length than its hashes.
    #[error("the tile has {found} bytes and must have {expected}")]
    TileLength {
        /// Bytes found.
        found: usize,
        /// Bytes of its hashes.
        expected: usize,
    },
    /// A bundle ends within an entry, or has fewer entries.
    #[error("the bundle ends in its entry {entry} (counted from 0)")]
    BundleShort {
        /// The entry.
        entry: u16,
    },
    /// Bytes stand behind a bundle's last entry.
    #[error("the bundle has {bytes} bytes behind its last entry")]
    BundleLong {
        /// How many.
        bytes: usize,
    },
    /// An entry cannot stand in a bundle.
    #[error("an entry has {bytes} bytes, and may have {ENTRY_BYTES_MAX}")]
    EntryLength {
        /// Its bytes.
        bytes: usize,
    },
}

/// The bytes of a tile.
pub fn encode_tile(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile.
///
/// # Errors
/// It has not the length of `width` hashes.
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<TreeHash>, TileError> {
    let expected = usize::from(width) * HASH_BYTES;
    if bytes.len() != expected {
        return Err(TileError::TileLength { found: bytes.len(), expected });
    }
    Ok(bytes.as_chunks::<HASH_BYTES>().0.iter().map(|hash| TreeHash(*hash)).collect())
}

/// Adds an entry to a bundle.
///
/// # Errors
/// It is too long.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryLength { bytes: entry.len() })?;
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
    Ok(())
}

/// The entries of a bundle.
///
/// # Errors
/// It has not exactly `width` entries.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    for entry in 0..width {
        let short = TileError::BundleShort { entry };
        let (length, behind) = rest.split_first_chunk::<2>().ok_or(short)?;
        let (data, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(short)?;
        entries.push(data);
        rest = behind;
    }
    if rest.is_empty() { Ok(entries) } else { Err(TileError::BundleLong { bytes: rest.len() }) }
}

/// Gives the tiles of a tree. What is given is taken as it is: verify it first, or verify what is made of it.
pub trait Tiles {
    /// Why a tile cannot be had.
    type Error;

    /// The hashes of a tile, exactly `tile.width` of them.
    fn tile(&self, tile: Tile) -> Result<Vec<TreeHash>, Self::Error>;
}

/// The tiles of a tree of `size` leaves as a source of hashes for proofs.
#[derive(Clone, Copy, Debug)]
pub struct TileHashes<'a, T> {
    /// Where tiles come from.
    pub tiles: &'a T,
    /// The tree's size.
    pub size: u64,
}

/// A hash of a tree could not be had from its tiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TileHashError<E> {
    /// The tree of this size has no such hash.
    #[error("the tree has no such hash")]
    Beyond,
    /// The tile has fewer hashes than asked for.
    #[error("a tile has fewer hashes than it must have")]
    Short,
    /// The tile could not be had.
    #[error("a tile could not be had")]
    Tiles(#[source] E),
}

impl<T: Tiles> HashSource for TileHashes<'_, T> {
    type Error = TileHashError<T::Error>;

    fn subtree(&self, level: u32, index: u64) -> Result<TreeHash, Self::Error> {
        let (tile_level, inner) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let tile_level =
            u8::try_from(tile_level).ok().filter(|level| *level <= LEVEL_MAX).ok_or(TileHashError::Beyond)?;
        // The subtree's root is made of `1 << inner` hashes of one tile.
        let first = index.checked_mul(1 << inner).ok_or(TileHashError::Beyond)?;
        let place = first / u64::from(TILE_WIDTH);
        let from = usize::try_from(first % u64::from(TILE_WIDTH)).map_err(|_| TileHashError::Beyond)?;
        let to = from + (1 << inner);
        let width = width_at(tile_level, place, self.size);
        if to > usize::from(width) {
            return Err(TileHashError::Beyond);
        }
        let tile = Tile { level: tile_level, index: place, width };
        let hashes = self.tiles.tile(tile).map_err(TileHashError::Tiles)?;
        hashes.get(from..to).map(root_of).ok_or(TileHashError::Short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::proof::{LeafHashes, consistency, inclusion};
    use crate::merkle::tests::{naive_root, numbered_leaves};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn tile(level: u8, index: u64, width: u16) -> Resource {
        Resource::Tile(Tile { level, index, width })
    }

    #[test]
    fn names_are_those_of_the_specification() {
        for (resource, path) in [
            (Resource::Checkpoint, "checkpoint"),
            (tile(0, 0, 256), "tile/0/000"),
            (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (tile(7, 999, 1), "tile/7/999.p/1"),
            (tile(63, 1000, 255), "tile/63/x001/000.p/255"),
            (Resource::Entries { index: 273, width: 112 }, "tile/entries/273.p/112"),
            (Resource::Entries { index: 12_345, width: 256 }, "tile/entries/x012/345"),
        ] {
            assert_eq!(resource.to_string(), path);
            assert_eq!(Resource::parse(path), Some(resource));
        }
        for bad in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001/x002",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000/",
            "/tile/0/000",
            "tile/entries/x1/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0/../000",
            "checkpoint/",
            "tile/0/000.p/1/2",
        ] {
            assert_eq!(Resource::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Resource::parse(&format!("tile/0/{}000", "x000/".repeat(100))), None);
    }

    #[test]
    fn the_example_of_the_specification_has_its_tiles() {
        let all: Vec<Resource> = resources(70_000).collect();
        let of = |level: u8, full: bool| {
            let fits = |resource: &&Resource| match resource {
                Resource::Tile(tile) => tile.level == level && (tile.width == TILE_WIDTH) == full,
                _ => false,
            };
            all.iter().filter(fits).copied().collect::<Vec<_>>()
        };
        assert_eq!(of(0, true).len(), 273);
        assert_eq!(of(0, false), [tile(0, 273, 112)]);
        assert_eq!(of(1, true), [tile(1, 0, 256)]);
        assert_eq!(of(1, false), [tile(1, 1, 17)]);
        assert_eq!(of(2, false), [tile(2, 0, 1)]);
        assert_eq!(all.iter().filter(|resource| matches!(resource, Resource::Entries { .. })).count(), 274);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "each once");
        assert!(all.iter().all(|resource| resource.is_in(70_000)));
        assert!(!tile(1, 1, 18).is_in(70_000) && !tile(2, 0, 2).is_in(70_000) && !tile(40, 0, 1).is_in(70_000));
        assert_eq!(resources(0).count(), 0);
        assert_eq!(
            resources(256).collect::<Vec<_>>(),
            [Resource::Entries { index: 0, width: 256 }, tile(0, 0, 256), tile(1, 0, 1),]
        );
        assert_eq!(width_at(LEVEL_MAX, 0, SIZE_MAX), 1);
        assert_eq!(width_at(63, u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn bundles_and_tiles_go_round_and_other_lengths_are_refused() {
        let entries: Vec<Vec<u8>> = (0..300usize).map(|number| vec![number as u8; number * 7 % 500]).collect();
        let mut bundle = Vec::new();
        entries.iter().take(256).for_each(|entry| push_entry(&mut bundle, entry).unwrap());
        let read = decode_bundle(&bundle, 256).unwrap();
        assert_eq!(read, entries.iter().take(256).map(Vec::as_slice).collect::<Vec<_>>());
        assert!(matches!(decode_bundle(&bundle, 255), Err(TileError::BundleLong { .. })));
        assert_eq!(decode_bundle(&bundle[..bundle.len() - 1], 256), Err(TileError::BundleShort { entry: 255 }));
        assert_eq!(decode_bundle(&[], 1), Err(TileError::BundleShort { entry: 0 }));
        assert!(push_entry(&mut bundle, &vec![0; ENTRY_BYTES_MAX]).is_ok());
        assert_eq!(
            push_entry(&mut bundle, &vec![0; ENTRY_BYTES_MAX + 1]),
            Err(TileError::EntryLength { bytes: 65_536 })
        );
        let hashes = numbered_leaves(256);
        let bytes = encode_tile(&hashes);
        assert_eq!(bytes.len(), TILE_BYTES_MAX);
        assert_eq!(decode_tile(&bytes, 256).unwrap(), hashes);
        assert!(decode_tile(&bytes, 255).is_err() && decode_tile(&bytes[1..], 256).is_err());
    }

    /// Tiles by the definition: hashes of ranges of leaves.
    struct Naive(Vec<TreeHash>);

    impl Tiles for Naive {
        type Error = std::convert::Infallible;

        fn tile(&self, tile: Tile) -> Result<Vec<TreeHash>, Self::Error> {
            let leaves = 256usize.pow(u32::from(tile.level));
            let first = tile.index as usize * 256;
            let range = |place: usize| naive_root(&self.0[place * leaves..(place + 1) * leaves]);
            Ok((first..first + usize::from(tile.width)).map(range).collect())
        }
    }

    #[test]
    fn proofs_from_tiles_are_those_from_leaves() {
        let leaves = numbered_leaves(70_000);
        let naive = Naive(leaves.clone());
        for (from, size) in
            [(0, 1), (255, 256), (256, 257), (65_535, 65_536), (65_536, 70_000), (69_999, 70_000), (3, 700)]
        {
            let source = TileHashes { tiles: &naive, size };
            let by_leaves = LeafHashes(&leaves);
            assert_eq!(inclusion(&source, from, size).unwrap(), inclusion(&by_leaves, from, size).unwrap());
            assert_eq!(consistency(&source, from, size).unwrap(), consistency(&by_leaves, from, size).unwrap());
        }
        let source = TileHashes { tiles: &naive, size: 300 };
        assert_eq!(source.subtree(0, 300), Err(TileHashError::Beyond));
        assert_eq!(source.subtree(8, 1), Err(TileHashError::Beyond));
        assert_eq!(source.subtree(100, 0), Err(TileHashError::Beyond));
        assert_eq!(source.subtree(3, u64::MAX), Err(TileHashError::Beyond));
    }

    proptest! {
        #[test]
        fn every_name_is_read_as_it_is_written(level in 0u8..64, index in 0..=SIZE_MAX, width in 1u16..=256, entries: bool) {
            let resource = if entries { Resource::Entries { index, width } } else { tile(level, index, width) };
            prop_assert_eq!(Resource::parse(&resource.to_string()), Some(resource));
        }

        #[test]
        fn any_text_is_refused_or_written_the_same_again(path in "(tile/)?(entries|[0-9]{1,2})/(x[0-9]{3}/){0,3}[0-9]{2,4}(\\.p/[0-9]{1,3})?") {
            if let Some(resource) = Resource::parse(&path) {
                prop_assert_eq!(resource.to_string(), path);
            }
        }

        #[test]
        fn the_files_of_a_size_are_all_and_no_more(size in 0u64..200_000) {
            let mut leaves = 0u64;
            let mut by_level = [0u64; 4];
            for resource in resources(size) {
                prop_assert!(resource.is_in(size));
                match resource {
                    Resource::Entries { index, width } => {
                        prop_assert_eq!(index * 256, leaves);
                        leaves += u64::from(width);
                    }
                    Resource::Tile(tile) => {
                        let level = usize::from(tile.level);
                        prop_assert_eq!(tile.index * 256, by_level[level], "in order");
                        by_level[level] += u64::from(tile.width);
                    }
                    Resource::Checkpoint => prop_assert!(false),
                }
            }
            prop_assert_eq!(leaves, size);
            for (level, hashes) in by_level.iter().enumerate() {
                prop_assert_eq!(*hashes, size >> (8 * level));
            }
        }
    }
}
