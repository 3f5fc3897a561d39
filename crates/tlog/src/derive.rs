//! The verification that trusts nothing but signatures: every hash is derived from the entries, and all else is held against that.
//!
//! ```text
//!  bundle ──> leaf hashes ══ tile of level 0
//!                └── full? its root ──> hashes ══ tile of level 1 ── full? ──> ...
//!                                                       └── at the end: root ══ checkpoint
//!                                       on the way: root at a known size ══ checkpoint that was kept elsewhere
//! ```
//!
//! A tile that says what its entries do not, an entry that was changed together with its tiles, a log that was set back or forked: each is
//! named at the first place where it shows. Memory is that of a bundle and a tile for each level.

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::cosignature::cosignatures;
use crate::merkle::{Frontier, TreeHash, empty_root, leaf_hash, root_of};
use crate::note::VerifierKey;
use crate::tile::{LEVEL_MAX, Resource, TILE_WIDTH, Tile, TileError, decode_bundle, decode_tile, width_at};

/// Most checkpoints that one verification is held to.
pub const KNOWN_MAX: usize = 10_000;

/// Gives the files of a log.
pub trait LogFiles {
    /// Why a file cannot be read.
    type Error;

    /// The bytes of a file; `None` where there is none. A reader stops where a file is longer than `bytes_max`, and says so by an error or by
    /// giving the first `bytes_max + 1` bytes.
    fn read(&mut self, resource: &Resource, bytes_max: usize) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// What is held to be true beforehand.
#[derive(Clone, Default, Debug)]
pub struct Trusted {
    /// Keys of the log.
    pub log: Vec<VerifierKey>,
    /// Keys of witnesses whose cosignatures are counted.
    pub witnesses: Vec<VerifierKey>,
    /// How many of these must have cosigned the checkpoint.
    pub cosignatures_min: usize,
    /// Checkpoints that were kept elsewhere and verified: the log must contain each.
    pub known: Vec<Checkpoint>,
}

/// What a verification ended with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Derived {
    /// The checkpoint that the entries give.
    pub checkpoint: Checkpoint,
    /// Names of the witnesses that cosigned it.
    pub witnesses: Vec<String>,
    /// Tiles that were held against the entries.
    pub tiles: u64,
}

/// The first thing that is wrong with a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong<E> {
    /// A file cannot be read.
    #[error("{resource} cannot be read")]
    Read {
        /// The file.
        resource: Resource,
        /// Why.
        #[source]
        source: E,
    },
    /// A file is missing.
    #[error("{0} is missing")]
    Missing(Resource),
    /// The checkpoint is not one of the log.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Fewer witnesses cosigned than must have.
    #[error("checkpoint: {found} of the trusted witnesses cosigned it and {wanted} must have")]
    Cosignatures {
        /// How many did.
        found: usize,
        /// How many must have.
        wanted: usize,
    },
    /// A bundle or a tile has not the form that it must have.
    #[error("{resource}: {source}")]
    Form {
        /// The file.
        resource: Resource,
        /// What is wrong.
        #[source]
        source: TileError,
    },
    /// A leaf hash in a tile is not that of its entry.
    #[error("entry {index} is not the one that {resource} has the hash of")]
    Entry {
        /// The entry's number.
        index: u64,
        /// The tile.
        resource: Resource,
    },
    /// A hash in a tile is not that of the tile below.
    #[error("{resource}: hash {place} (counted from 0) is not that of the entries under it")]
    Hash {
        /// The tile.
        resource: Resource,
        /// Which hash.
        place: usize,
    },
    /// The entries give another root than the checkpoint says.
    #[error("checkpoint: it says root {signed} over {size} entries, and they give {derived}")]
    Root {
        /// How many entries.
        size: u64,
        /// What was signed.
        signed: TreeHash,
        /// What the entries give.
        derived: TreeHash,
    },
    /// A checkpoint that was kept elsewhere is larger than the log.
    #[error("a checkpoint of {known} entries was kept elsewhere, and the log has only {size}: it was set back")]
    SetBack {
        /// Entries of the known checkpoint.
        known: u64,
        /// Entries of the log.
        size: u64,
    },
    /// A checkpoint that was kept elsewhere is of another history.
    #[error(
        "a checkpoint of {size} entries was kept elsewhere with root {known}, and the first {size} entries give {derived}: \
         history was changed"
    )]
    Forked {
        /// Entries of the known checkpoint.
        size: u64,
        /// Its root.
        known: TreeHash,
        /// The root that the entries give.
        derived: TreeHash,
    },
    /// More known checkpoints than allowed.
    #[error("more than {KNOWN_MAX} known checkpoints")]
    TooManyKnown,
}

/// Derives a log from its bundles, holds tiles, checkpoint and what is known against it, and stops at the first difference. `progress` is told
/// how many entries are done and how many the checkpoint counts.
///
/// # Errors
/// What is wrong, by the name of the place.
pub fn verify_files<F: LogFiles>(
    files: &mut F,
    trusted: &Trusted,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Derived, Wrong<F::Error>> {
    let bytes = read(files, Resource::Checkpoint, crate::note::NOTE_BYTES_MAX)?;
    let signed = SignedCheckpoint::verified(&bytes, &trusted.log)?;
    let checkpoint = signed.checkpoint().clone();
    let witnesses = cosignatures(&signed, &trusted.witnesses).map_err(CheckpointError::from)?;
    if witnesses.len() < trusted.cosignatures_min {
        return Err(Wrong::Cosignatures { found: witnesses.len(), wanted: trusted.cosignatures_min });
    }
    let mut run = Run::new(checkpoint.size(), &trusted.known)?;
    let bundles = checkpoint.size().div_ceil(u64::from(TILE_WIDTH));
    for index in 0..bundles {
        run.bundle(files, index)?;
        progress(run.frontier.size(), checkpoint.size());
    }
    run.edge(files)?;
    let (signed, derived) = (checkpoint.root(), run.frontier.root());
    if signed != derived {
        return Err(Wrong::Root { size: checkpoint.size(), signed, derived });
    }
    let witnesses = witnesses.into_iter().map(|cosignature| cosignature.witness).collect();
    Ok(Derived { checkpoint, witnesses, tiles: run.tiles })
}

fn read<F: LogFiles>(files: &mut F, resource: Resource, bytes_max: usize) -> Result<Vec<u8>, Wrong<F::Error>> {
    let read = files.read(&resource, bytes_max).map_err(|source| Wrong::Read { resource, source })?;
    read.ok_or(Wrong::Missing(resource))
}

struct Run<'a> {
    size: u64,
    frontier: Frontier,
    /// Of each level the hashes of the tile at its right edge.
    edge: Vec<Vec<TreeHash>>,
    /// Known checkpoints that are still to come, the smallest last.
    known: Vec<&'a Checkpoint>,
    tiles: u64,
}

impl<'a> Run<'a> {
    fn new<E>(size: u64, known: &'a [Checkpoint]) -> Result<Self, Wrong<E>> {
        if known.len() > KNOWN_MAX {
            return Err(Wrong::TooManyKnown);
        }
        let mut known: Vec<&Checkpoint> = known.iter().collect();
        known.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.size()));
        if let Some(largest) = known.first().filter(|largest| largest.size() > size) {
            return Err(Wrong::SetBack { known: largest.size(), size });
        }
        while known.last().is_some_and(|checkpoint| checkpoint.size() == 0) {
            known.pop();
        }
        Ok(Self {
            size,
            frontier: Frontier::new(),
            edge: vec![Vec::new(); usize::from(LEVEL_MAX) + 2],
            known,
            tiles: 0,
        })
    }

    fn bundle<F: LogFiles>(&mut self, files: &mut F, index: u64) -> Result<(), Wrong<F::Error>> {
        let width = width_at(0, index, self.size);
        let resource = Resource::Entries { index, width };
        let bytes = read(files, resource, crate::tile::BUNDLE_BYTES_MAX)?;
        let entries = decode_bundle(&bytes, width).map_err(|source| Wrong::Form { resource, source })?;
        for entry in entries {
            let leaf = leaf_hash(entry);
            self.frontier.append(leaf);
            if let Some(level) = self.edge.first_mut() {
                level.push(leaf);
            }
            self.hold_known()?;
        }
        if width == TILE_WIDTH { self.full_tiles(files, index) } else { Ok(()) }
    }

    fn hold_known<E>(&mut self) -> Result<(), Wrong<E>> {
        let size = self.frontier.size();
        while self.known.last().is_some_and(|known| known.size() == size) {
            let (known, derived) = (self.known.pop().map_or_else(empty_root, Checkpoint::root), self.frontier.root());
            if known != derived {
                return Err(Wrong::Forked { size, known, derived });
            }
        }
        Ok(())
    }

    /// The tiles that end with bundle `index`, from level 0 up.
    fn full_tiles<F: LogFiles>(&mut self, files: &mut F, index: u64) -> Result<(), Wrong<F::Error>> {
        let mut place = index;
        for level in 0..=LEVEL_MAX {
            let Some(hashes) =
                self.edge.get_mut(usize::from(level)).filter(|hashes| hashes.len() == usize::from(TILE_WIDTH))
            else {
                break;
            };
            let hashes = std::mem::take(hashes);
            self.hold(files, Tile { level, index: place, width: TILE_WIDTH }, &hashes)?;
            if let Some(above) = self.edge.get_mut(usize::from(level) + 1) {
                above.push(root_of(&hashes));
            }
            place /= u64::from(TILE_WIDTH);
        }
        Ok(())
    }

    /// The partial tiles at the right edge.
    fn edge<F: LogFiles>(&mut self, files: &mut F) -> Result<(), Wrong<F::Error>> {
        for level in 0..=LEVEL_MAX {
            let hashes = self.edge.get_mut(usize::from(level)).map(std::mem::take).unwrap_or_default();
            let Some(width) = u16::try_from(hashes.len()).ok().filter(|width| *width > 0) else { continue };
            let index = (self.size >> (u32::from(level) * crate::tile::TILE_HEIGHT)) / u64::from(TILE_WIDTH);
            self.hold(files, Tile { level, index, width }, &hashes)?;
        }
        Ok(())
    }

    fn hold<F: LogFiles>(&mut self, files: &mut F, tile: Tile, derived: &[TreeHash]) -> Result<(), Wrong<F::Error>> {
        let resource = Resource::Tile(tile);
        let bytes = read(files, resource, crate::tile::TILE_BYTES_MAX)?;
        let found = decode_tile(&bytes, tile.width).map_err(|source| Wrong::Form { resource, source })?;
        self.tiles += 1;
        let Some(place) = found.iter().zip(derived).position(|(found, derived)| found != derived) else {
            return Ok(());
        };
        if tile.level == 0 {
            return Err(Wrong::Entry { index: tile.index * u64::from(TILE_WIDTH) + place as u64, resource });
        }
        Err(Wrong::Hash { resource, place })
    }
}
