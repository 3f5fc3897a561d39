//! Deriving the whole tree again from the rows, and opening every entry.
//!
//! ```text
//!  rows ──scan──> chunks of 1024 ──> workers: hash, open, subtree root ──in order──> frontier ──> against the head
//! ```
//!
//! Memory is bounded by the chunks under way; entries are opened and dropped. The scan and the joining are done by the
//! calling thread, hashing and opening by workers, each of which answers in the order in which it was asked.
//!
//! On the way the tree is held against every checkpoint that is kept, and the kept tiles against the hashes derived: they are caches, and nothing
//! is taken from them.

use crate::error::LedgerError;
use crate::head::TreeHead;
use crate::keys::LedgerKeys;
use crate::log;
use crate::merkle::{Frontier, TreeHash, leaf_hash, root_of};
use crate::rows::{HEAD_KEY, SPACE_ENTRY, entry_index};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use tacet_store::Reader;
use tacet_tlog::Checkpoint;
use tacet_tlog::tile::{LEVEL_MAX, TILE_HEIGHT, TILE_WIDTH};

/// A whole chunk is a complete subtree of `1 << CHUNK_LEVEL` leaves.
const CHUNK_LEVEL: u32 = 10;

/// Tiles of level 0 in a whole chunk.
const CHUNK_TILES: usize = 1 << (CHUNK_LEVEL - TILE_HEIGHT);

/// Leaves of a whole chunk.
const CHUNK_LEAVES: usize = 1 << CHUNK_LEVEL;

/// A chunk of more bytes than this is cut short: entries may be large.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Chunks that a worker may have before it: one at work, one waiting.
const CHUNKS_AHEAD: usize = 2;

/// Most workers. More are not faster: the scan is then what takes the time.
const WORKERS_MAX: usize = 4;

/// Most problems that are kept with what they are; beyond, they are counted.
pub const PROBLEMS_MAX: usize = 10_000;

/// What a verification found.
#[derive(Debug)]
pub struct Verification {
    /// The head that the rows were held against; `None` where there is none, or none that opens.
    pub head: Option<TreeHead>,
    /// The root derived from the rows, where they are without gaps up to the head's size.
    pub derived_root: Option<TreeHash>,
    /// Entries that opened.
    pub opened: u64,
    /// Entries whose key is not held, because its time was over: hashed, not opened.
    pub without_key: u64,
    /// What is wrong, in the order of entries, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many things are wrong.
    pub problems_total: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems_total == 0
    }

    fn add(&mut self, problem: Problem) {
        self.problems_total += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// One thing that is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The head is missing, does not open or contradicts itself.
    Head(LedgerError),
    /// Entries are missing.
    Missing {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Rows stand beyond what the head counts.
    BeyondHead {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// An entry does not open or cannot be read.
    Entry {
        /// Its number.
        index: u64,
        /// Why.
        error: LedgerError,
    },
    /// A row in the ledger's space has a key that no entry has.
    StrangeRow,
    /// A checkpoint, or the log's name and keys, cannot be read.
    Log(LedgerError),
    /// A checkpoint counts more entries than there are: the ledger was set back.
    SetBack {
        /// Entries of the checkpoint.
        signed: u64,
        /// Entries of the ledger.
        size: u64,
    },
    /// The first entries are not those of a checkpoint that was signed: history was changed.
    Checkpoint {
        /// Entries of the checkpoint.
        size: u64,
        /// Its root.
        signed: TreeHash,
        /// The root of the rows.
        derived: TreeHash,
    },
    /// A kept tile is not what the entries give. No proof is made of it.
    Tile {
        /// Its level.
        level: u8,
        /// Its place in the level.
        index: u64,
    },
    /// Every entry is there and the tree over them is not the head's: some row is not the one that was written.
    Root {
        /// The head's root.
        head: TreeHash,
        /// The root of the rows.
        derived: TreeHash,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => write!(f, "{error}"),
            Self::Missing { from, to } => write!(f, "entries {from} to {} are missing", to - 1),
            Self::BeyondHead { from, to } => {
                write!(f, "entries {from} to {} stand beyond what the head counts", to - 1)
            }
            Self::Entry { error, .. } => write!(f, "{error}"),
            Self::StrangeRow => f.write_str("a row in the ledger's space is not an entry"),
            Self::Log(error) => write!(f, "the published log: {error}"),
            Self::SetBack { signed, size } => {
                write!(f, "a checkpoint of {signed} entries was signed and there are {size}: the ledger was set back")
            }
            Self::Checkpoint { size, signed, derived } => {
                write!(
                    f,
                    "the first {size} entries give root {derived} and root {signed} was signed: history was changed"
                )
            }
            Self::Tile { level, index } => {
                write!(f, "tile {index} of level {level} is not what the entries give: run `tacet ledger tiles`")
            }
            Self::Root { head, derived } => write!(f, "the entries give root {derived} and the head says {head}"),
        }
    }
}

/// Derives the tree again and holds it against the head, opens every entry, and says everything that is wrong.
///
/// `reader` must not change meanwhile: give a snapshot where the store is in use. `progress` is told how many entries
/// are done, and how many the head counts. About 2 us of CPU an entry, spread over the workers.
///
/// # Errors
/// Only where the rows cannot be read; what is wrong with the ledger is in the answer.
pub fn verify(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verification, LedgerError> {
    let mut verification = Verification {
        head: None,
        derived_root: None,
        opened: 0,
        without_key: 0,
        problems: Vec::new(),
        problems_total: 0,
    };
    match crate::sequencer::head(reader, keys) {
        Ok(head) => verification.head = head,
        Err(LedgerError::Store(error)) => return Err(error.into()),
        Err(error) => verification.add(Problem::Head(error)),
    }
    let size = verification.head.as_ref().map_or(0, TreeHead::size);
    let known = match log::kept(reader, keys) {
        Ok(known) => known,
        Err(LedgerError::Store(error)) => return Err(error.into()),
        Err(error) => {
            verification.add(Problem::Log(error));
            Vec::new()
        }
    };
    let beyond = known.iter().map(Checkpoint::size).max().filter(|signed| *signed > size);
    if let Some(signed) = beyond {
        verification.add(Problem::SetBack { signed, size });
    }
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    std::thread::scope(|scope| {
        let workers = (0..workers)
            .map(|_| {
                let (to_worker, chunks) = sync_channel(CHUNKS_AHEAD);
                let (answers, from_worker) = channel();
                scope.spawn(move || work(keys, &chunks, &answers));
                Worker { to_worker, from_worker }
            })
            .collect();
        let mut run = Run::new(verification, workers, progress, reader, known);
        run.scan(reader)?;
        run.finish()
    })
}

struct Worker {
    to_worker: SyncSender<Chunk>,
    from_worker: Receiver<Answer>,
}

/// Rows of consecutive entries.
#[derive(Default)]
struct Chunk {
    first: u64,
    rows: Vec<Vec<u8>>,
    bytes: usize,
}

/// What a worker found in a chunk.
struct Answer {
    first: u64,
    hashes: Hashes,
    opened: u64,
    without_key: u64,
    errors: Vec<(u64, LedgerError)>,
}

enum Hashes {
    /// Of a whole chunk: the roots over 256 leaves each.
    Tiles([TreeHash; CHUNK_TILES]),
    Leaves(Vec<TreeHash>),
}

fn work(keys: &LedgerKeys, chunks: &Receiver<Chunk>, answers: &Sender<Answer>) {
    for chunk in chunks {
        let leaves: Vec<TreeHash> = chunk.rows.iter().map(|row| leaf_hash(row)).collect();
        let whole = leaves.len() == CHUNK_LEAVES && chunk.first.trailing_zeros() >= CHUNK_LEVEL;
        let hashes = if whole {
            let mut tiles = leaves.chunks(usize::from(TILE_WIDTH)).map(root_of);
            Hashes::Tiles(std::array::from_fn(|_| tiles.next().unwrap_or_else(crate::merkle::empty_root)))
        } else {
            Hashes::Leaves(leaves)
        };
        let mut answer = Answer { first: chunk.first, hashes, opened: 0, without_key: 0, errors: Vec::new() };
        for (index, row) in (chunk.first..=u64::MAX).zip(&chunk.rows) {
            match keys.open_entry(index, row) {
                Ok(_) => answer.opened += 1,
                Err(LedgerError::KeyNotHeld { .. }) => answer.without_key += 1,
                Err(error) => answer.errors.push((index, error)),
            }
        }
        if answers.send(answer).is_err() {
            return;
        }
    }
}

struct Run<'a> {
    verification: Verification,
    workers: Vec<Worker>,
    progress: &'a mut dyn FnMut(u64, u64),
    /// How many entries the head counts; 0 without a head.
    size: u64,
    chunk: Chunk,
    /// Chunks handed out, and answers taken.
    sent: usize,
    taken: usize,
    frontier: Frontier,
    /// Where gaps and strange rows were found: told in the order of entries.
    found: Vec<(u64, Problem)>,
    done: u64,
    reader: &'a dyn Reader,
    /// Checkpoints that are still to come, the smallest last.
    known: Vec<Checkpoint>,
    /// Leaves of the tile of level 0 at the right edge, and of each level above the hashes of its tile there.
    edge: Vec<Vec<TreeHash>>,
}

impl<'a> Run<'a> {
    fn new(
        verification: Verification,
        workers: Vec<Worker>,
        progress: &'a mut dyn FnMut(u64, u64),
        reader: &'a dyn Reader,
        mut known: Vec<Checkpoint>,
    ) -> Self {
        let size = verification.head.as_ref().map_or(0, TreeHead::size);
        known.retain(|checkpoint| (1..=size).contains(&checkpoint.size()));
        known.reverse();
        Self {
            verification,
            workers,
            progress,
            size,
            chunk: Chunk::default(),
            sent: 0,
            taken: 0,
            frontier: Frontier::new(),
            found: Vec::new(),
            done: 0,
            reader,
            known,
            edge: vec![Vec::new(); usize::from(LEVEL_MAX) + 2],
        }
    }

    fn scan(&mut self, reader: &dyn Reader) -> Result<(), LedgerError> {
        let mut outcome = Ok(());
        let mut next = 0;
        let (mut beyond, mut strange) = (None::<(u64, u64)>, 0);
        reader.range(&[SPACE_ENTRY], &HEAD_KEY, &mut |key, row| {
            let Some(index) = entry_index(key) else {
                strange += 1;
                return ControlFlow::Continue(());
            };
            if index >= self.size {
                beyond = Some((beyond.map_or(index, |(from, _)| from), index.saturating_add(1)));
            }
            if index > next && next < self.size {
                self.found.push((next, Problem::Missing { from: next, to: index.min(self.size) }));
            }
            next = index.saturating_add(1);
            outcome = self.take_row(index, row);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        if next < self.size {
            self.found.push((next, Problem::Missing { from: next, to: self.size }));
        }
        if let Some((from, to)) = beyond
            && self.verification.head.is_some()
        {
            self.found.push((from, Problem::BeyondHead { from, to }));
        }
        (0..strange).for_each(|_| self.verification.add(Problem::StrangeRow));
        Ok(())
    }

    /// Adds a row to the chunk at hand, which is sent off first where the row does not continue it, and after where
    /// it is full.
    fn take_row(&mut self, index: u64, row: &[u8]) -> Result<(), LedgerError> {
        let continues = self.chunk.first.saturating_add(self.chunk.rows.len() as u64) == index;
        if !continues || index == self.size {
            self.send()?;
        }
        if self.chunk.rows.is_empty() {
            self.chunk.first = index;
        }
        self.chunk.bytes += row.len();
        self.chunk.rows.push(row.to_vec());
        let size = index.saturating_add(1);
        // A chunk ends where a checkpoint does, so that its root is at hand.
        let known = self.known.binary_search_by(|known| size.cmp(&known.size())).is_ok();
        let at_edge = known || size.trailing_zeros() >= CHUNK_LEVEL;
        if at_edge || self.chunk.bytes >= CHUNK_BYTES_MAX { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), LedgerError> {
        let chunk = std::mem::take(&mut self.chunk);
        if chunk.rows.is_empty() {
            return Ok(());
        }
        if self.sent - self.taken >= self.workers.len() * CHUNKS_AHEAD {
            self.take_answer()?;
        }
        let worker = self.workers.get(self.sent % self.workers.len()).ok_or(LedgerError::Interrupted)?;
        worker.to_worker.send(chunk).map_err(|_| LedgerError::Interrupted)?;
        self.sent += 1;
        Ok(())
    }

    /// Chunks go round the workers and their answers are taken round in the same way, so they come in the order of
    /// entries.
    fn take_answer(&mut self) -> Result<(), LedgerError> {
        let worker = self.workers.get(self.taken % self.workers.len()).ok_or(LedgerError::Interrupted)?;
        let answer = worker.from_worker.recv().map_err(|_| LedgerError::Interrupted)?;
        self.taken += 1;
        self.verification.opened += answer.opened;
        self.verification.without_key += answer.without_key;
        let entries = answer.opened + answer.without_key + answer.errors.len() as u64;
        for (index, error) in answer.errors {
            self.tell_found_up_to(index);
            self.verification.add(Problem::Entry { index, error });
        }
        // After a gap the tree cannot be derived any more; what lies beyond the head is no part of it.
        if answer.first == self.frontier.size() && answer.first < self.size {
            match answer.hashes {
                Hashes::Tiles(roots) => {
                    for root in roots {
                        let _fits = self.frontier.append_subtree(TILE_HEIGHT, root);
                        debug_assert!(_fits);
                        self.derived(1, root)?;
                    }
                }
                Hashes::Leaves(leaves) => {
                    for leaf in leaves {
                        self.frontier.append(leaf);
                        self.derived(0, leaf)?;
                    }
                }
            }
            self.hold_known();
        }
        self.done += entries;
        (self.progress)(self.done, self.size);
        Ok(())
    }

    /// Takes a derived hash of a level; a tile that it completes is held against the kept one.
    fn derived(&mut self, level: u8, mut hash: TreeHash) -> Result<(), LedgerError> {
        for level in level..=LEVEL_MAX {
            let Some(hashes) = self.edge.get_mut(usize::from(level)) else { return Ok(()) };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return Ok(());
            }
            let hashes = std::mem::take(hashes);
            self.hold_tile(level, &hashes)?;
            hash = root_of(&hashes);
        }
        Ok(())
    }

    /// INVARIANT: `hashes` are the last ones of their level up to the frontier.
    fn hold_tile(&mut self, level: u8, hashes: &[TreeHash]) -> Result<(), LedgerError> {
        if level == 0 || hashes.is_empty() {
            return Ok(());
        }
        let last = (self.frontier.size() >> (u32::from(level) * TILE_HEIGHT)).saturating_sub(1);
        let index = last / u64::from(TILE_WIDTH);
        let kept = match log::kept_tile(self.reader, level, index) {
            Err(LedgerError::Store(error)) => return Err(error.into()),
            kept => kept.ok(),
        };
        // What is not kept yet is not wrong.
        if !kept.is_some_and(|kept| hashes.starts_with(&kept)) {
            self.verification.add(Problem::Tile { level, index });
        }
        Ok(())
    }

    fn hold_known(&mut self) {
        while self.known.last().is_some_and(|known| known.size() == self.frontier.size()) {
            let Some(known) = self.known.pop() else { return };
            let (signed, derived) = (known.root(), self.frontier.root());
            if signed != derived {
                self.verification.add(Problem::Checkpoint { size: known.size(), signed, derived });
            }
        }
    }

    /// Tells the gaps found before entry `index`.
    fn tell_found_up_to(&mut self, index: u64) {
        let later = self.found.split_off(self.found.partition_point(|(at, _)| *at <= index));
        for (_, problem) in std::mem::replace(&mut self.found, later) {
            self.verification.add(problem);
        }
    }

    fn finish(mut self) -> Result<Verification, LedgerError> {
        self.send()?;
        while self.taken < self.sent {
            self.take_answer()?;
        }
        self.tell_found_up_to(u64::MAX);
        if let Some(head) = &self.verification.head
            && self.frontier.size() == self.size
        {
            let (head, derived) = (head.root(), self.frontier.root());
            for level in 1..=LEVEL_MAX {
                let hashes = self.edge.get_mut(usize::from(level)).map(std::mem::take).unwrap_or_default();
                self.hold_tile(level, &hashes)?;
            }
            self.verification.derived_root = Some(derived);
            if head != derived {
                self.verification.add(Problem::Root { head, derived });
            }
        }
        Ok(self.verification)
    }
}
