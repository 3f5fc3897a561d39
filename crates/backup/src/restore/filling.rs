//! An engine that serves what is elsewhere while it fills: a row that is not here yet is fetched from its block.
//!
//! ```text
//! get ──> here? ──yes──> the row                    write ──> here; a removed row is remembered as removed
//!           │ no
//!           ├─ removed here, or its block was taken in: there is none
//!           └─ otherwise: the block is fetched, verified, answered from, and put down as wanted
//! fill ──> a block's rows that were neither written nor removed here, and that it is here, in one batch
//! ```
//!
//! - A read that cannot be made is an error. It is never "no such row": the store above would take that for the truth and write by it.
//! - What was written or removed here is never undone by the fill: both take the same lock, and the fill looks first.
//! - What is remembered (blocks that are here, rows that were removed) stands in the batch that makes it true, so that an end at any moment leaves a
//!   state from which it goes on. Removed rows are remembered until everything is here.
//!
//! Once it is full it passes everything on, at the price of one look at a flag.

mod inner;
mod view;

use super::base::{Base, Block};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tacet_store::{
    Durability, Engine, EngineStatistics, Pressure, Reader, Snapshot, StoreError, Value, Visit, Witness, Write,
};
use view::View;

/// Blocks that were read and not yet taken in, at most: beyond, the oldest are forgotten, and come in their turn.
const WANTED_MAX: usize = 512;

/// Bytes of keys and values written as one batch while a piece is taken in: as long as somebody who writes waits for it.
const BATCH_BYTES: usize = 1 << 20;

/// Rows that say what was removed, taken away at once when everything is here.
const PURGE_ROWS: usize = 1000;

/// How much is here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filled {
    /// Pieces that are here whole.
    pub pieces: u64,
    /// Pieces in all.
    pub pieces_all: u64,
    /// Bytes of the pieces that are here whole.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_all: u64,
}

impl Filled {
    /// In hundredths, rounded down: 100 only where all is here.
    pub fn percent(&self) -> u8 {
        if self.pieces >= self.pieces_all {
            return 100;
        }
        let percent = self.bytes.saturating_mul(100).checked_div(self.bytes_all).unwrap_or(0);
        u8::try_from(percent.min(99)).unwrap_or(99)
    }
}

/// When a block came here, as a number that only grows: a reader that looked before does not go by it.
type Moment = u64;

/// What is here, of one piece.
#[derive(Clone, Debug)]
enum State {
    Parts(BTreeMap<u32, Moment>),
    Whole(Moment),
}

pub(crate) struct Shared {
    local: Arc<dyn Engine>,
    base: Arc<dyn Base>,
    states: RwLock<Vec<State>>,
    /// The moment of the last block that came.
    moment: AtomicU64,
    /// Whether everything is here. Set under `gate`.
    full: AtomicBool,
    /// Held for reading while a view is made, for writing while it becomes full: a view knows what its snapshot holds.
    gate: RwLock<()>,
    /// Held by whoever changes rows.
    writing: Mutex<()>,
    wanted: Mutex<VecDeque<(usize, usize, Arc<Block>)>>,
}

/// An engine over another and a [`Base`]. Clones are handles of the same one.
#[derive(Clone)]
pub struct FillingEngine(Arc<Shared>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(index: usize) -> Result<u32, StoreError> {
    u32::try_from(index).map_err(|_| StoreError::corrupt("a backup has more pieces than can be counted"))
}

impl FillingEngine {
    /// Goes on filling `local` from `base`, from where it stopped.
    ///
    /// # Errors
    /// The engine cannot be read, or says of itself what cannot be.
    pub fn open(local: Arc<dyn Engine>, base: Arc<dyn Base>) -> Result<Self, StoreError> {
        let mut states = vec![State::Parts(BTreeMap::new()); base.pieces().len()];
        let full = local.get(&inner::FULL)?.is_some();
        let mut strange = false;
        local.range(&inner::INNER, &inner::removed(&[]), &mut |key, _| {
            let known = match inner::here(key) {
                Some(inner::Here::Piece(piece)) => states.get_mut(piece as usize).map(|state| *state = State::Whole(0)),
                Some(inner::Here::Block(piece, block)) => states.get_mut(piece as usize).map(|state| {
                    if let State::Parts(parts) = state {
                        parts.insert(block, 0);
                    }
                }),
                None => None,
            };
            strange |= known.is_none();
            if strange { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if strange {
            return Err(StoreError::corrupt("the engine was filled from another backup"));
        }
        let shared = Shared {
            local,
            base,
            states: RwLock::new(states),
            moment: AtomicU64::new(0),
            full: AtomicBool::new(full),
            gate: RwLock::default(),
            writing: Mutex::default(),
            wanted: Mutex::default(),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// How much is here.
    pub fn filled(&self) -> Filled {
        self.0.filled()
    }

    /// Whether everything is here and it does not look elsewhere any more.
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Takes in the blocks that somebody read since the last time. Says how many.
    ///
    /// # Errors
    /// The engine cannot be written to.
    pub fn fill_wanted(&self) -> Result<usize, StoreError> {
        let mut taken = 0;
        loop {
            let Some((piece, block, rows)) = lock(&self.0.wanted).pop_front() else { return Ok(taken) };
            if !self.0.has(piece, block) {
                self.0.take_in(piece, &[(block, rows)], false)?;
                taken += 1;
            }
        }
    }

    /// Takes in what is missing of a piece. False: it was here already.
    ///
    /// # Errors
    /// The piece cannot be read, or the engine cannot be written to: what was taken in stays.
    pub fn fill_piece(&self, piece: usize) -> Result<bool, StoreError> {
        let shared = &self.0;
        if shared.is_full() || shared.is_whole(piece) || piece >= shared.base.pieces().len() {
            return Ok(false);
        }
        let all = shared.base.whole(piece)?;
        let mut batch: Vec<(usize, Arc<Block>)> = Vec::new();
        let mut bytes = 0;
        for (block, rows) in all.into_iter().enumerate() {
            if shared.has(piece, block) {
                continue;
            }
            if !batch.is_empty() && bytes + rows.bytes() > BATCH_BYTES {
                shared.take_in(piece, &batch, false)?;
                batch.clear();
                bytes = 0;
            }
            bytes += rows.bytes();
            batch.push((block, rows));
        }
        shared.take_in(piece, &batch, true)?;
        Ok(true)
    }

    /// The pieces that hold keys of `from` (included) to `to` (not) and are not here whole.
    pub fn missing_between(&self, from: &[u8], to: &[u8]) -> Vec<usize> {
        let pieces = self.0.base.pieces();
        let touches =
            |piece: usize| pieces.get(piece).is_some_and(|of| of.last.as_slice() >= from && of.first.as_slice() < to);
        (0..pieces.len()).filter(|piece| !self.is_full() && touches(*piece) && !self.0.is_whole(*piece)).collect()
    }

    /// Makes an end once every piece is here: what was remembered is let go of, and from then on everything is passed on. False: something is
    /// missing still.
    ///
    /// # Errors
    /// The engine cannot be written to. Call it again.
    pub fn finish(&self) -> Result<bool, StoreError> {
        let shared = &self.0;
        if !shared.is_full() {
            let pieces = shared.base.pieces().len();
            if !(0..pieces).all(|piece| shared.is_whole(piece)) {
                return Ok(false);
            }
            // Before anything is forgotten, the rows it stood for must be safe.
            shared.local.flush()?;
            let _writing = lock(&shared.writing);
            let _gate = shared.gate.write().unwrap_or_else(PoisonError::into_inner);
            shared.local.write(&[Write::put(inner::FULL, [])], Durability::Durable)?;
            shared.full.store(true, Ordering::SeqCst);
        }
        loop {
            let mut gone = Vec::new();
            shared.local.range(&inner::INNER, &inner::FULL, &mut |key, _| {
                gone.push(Write::delete(key));
                if gone.len() >= PURGE_ROWS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if gone.is_empty() {
                break;
            }
            shared.local.write(&gone, Durability::Buffered)?;
        }
        shared.local.flush()?;
        Ok(true)
    }

    /// A note that was kept with [`FillingEngine::write_noting`].
    ///
    /// # Errors
    /// The engine cannot be read.
    pub fn note(&self, name: &str) -> Result<Option<Value>, StoreError> {
        self.0.local.get(&inner::note(name))
    }

    /// Writes rows as if they had been there from the begin, with a note in the same batch. Not durable before the next flush.
    ///
    /// # Errors
    /// The engine cannot be written to.
    pub fn write_noting(&self, writes: &[Write], name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.write(writes, Some(Write::put(inner::note(name), value)), Durability::Buffered)
    }
}

impl Shared {
    fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    fn states(&self) -> std::sync::RwLockReadGuard<'_, Vec<State>> {
        self.states.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_whole(&self, piece: usize) -> bool {
        matches!(self.states().get(piece), Some(State::Whole(_)))
    }

    fn has(&self, piece: usize, block: usize) -> bool {
        self.had(piece, block, Moment::MAX)
    }

    /// Whether a block was here at a moment.
    fn had(&self, piece: usize, block: usize, moment: Moment) -> bool {
        match self.states().get(piece) {
            Some(State::Whole(came)) => *came <= moment,
            Some(State::Parts(parts)) => {
                u32::try_from(block).is_ok_and(|block| parts.get(&block).is_some_and(|came| *came <= moment))
            }
            None => false,
        }
    }

    /// Whether a piece was here whole at a moment.
    fn had_whole(&self, piece: usize, moment: Moment) -> bool {
        matches!(self.states().get(piece), Some(State::Whole(came)) if *came <= moment)
    }

    fn filled(&self) -> Filled {
        let (mut filled, full) = (Filled::default(), self.is_full());
        for (state, piece) in self.states().iter().zip(self.base.pieces()) {
            filled.pieces_all += 1;
            filled.bytes_all += piece.bytes;
            if full || matches!(state, State::Whole(_)) {
                filled.pieces += 1;
                filled.bytes += piece.bytes;
            }
        }
        filled
    }

    /// The block that would hold `key`, if any does.
    fn place(&self, key: &[u8]) -> Result<Option<(usize, usize)>, StoreError> {
        let pieces = self.base.pieces();
        let Some(piece) = pieces.partition_point(|piece| piece.first.as_slice() <= key).checked_sub(1) else {
            return Ok(None);
        };
        if pieces.get(piece).is_none_or(|piece| piece.last.as_slice() < key) {
            return Ok(None);
        }
        let blocks = self.base.blocks(piece)?;
        let block = blocks.partition_point(|first| first.as_slice() <= key).checked_sub(1);
        Ok(block.map(|block| (piece, block)))
    }

    /// Whether the base may have this row. Where its piece is here already too: a view may have looked what is here before that, and taken its
    /// snapshot after.
    fn may_come(&self, key: &[u8]) -> bool {
        let pieces = self.base.pieces();
        let piece = pieces.partition_point(|piece| piece.first.as_slice() <= key).checked_sub(1);
        piece.and_then(|piece| pieces.get(piece)).is_some_and(|piece| piece.last.as_slice() >= key)
    }

    /// Fetches a block on behalf of a reader, and puts it down as wanted.
    fn fetch(&self, piece: usize, block: usize) -> Result<Arc<Block>, StoreError> {
        let rows = self.base.block(piece, block)?;
        let mut wanted = lock(&self.wanted);
        if !wanted.iter().any(|(of, at, _)| (*of, *at) == (piece, block)) {
            if wanted.len() >= WANTED_MAX {
                wanted.pop_front();
            }
            wanted.push_back((piece, block, Arc::clone(&rows)));
        }
        Ok(rows)
    }

    fn view(self: &Arc<Self>) -> Result<View, StoreError> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        // The moment first: what came up to it is in the snapshot.
        let moment = if self.is_full() { None } else { Some(self.moment.load(Ordering::SeqCst)) };
        Ok(View::new(Arc::clone(self), self.local.snapshot()?, moment))
    }

    fn write(&self, writes: &[Write], note: Option<Write>, durability: Durability) -> Result<(), StoreError> {
        if let Some(write) = writes.iter().find(|write| inner::is_inner(write.key())) {
            return Err(StoreError::KeyRefused { space: 0, bytes: write.key().len() });
        }
        let _writing = lock(&self.writing);
        if self.is_full() && note.is_none() {
            return self.local.write(writes, durability);
        }
        let mut batch = Vec::with_capacity(writes.len() + 1);
        for write in writes {
            if self.may_come(write.key()) {
                let removed = inner::removed(write.key());
                match write {
                    Write::Delete { .. } => batch.push(Write::put(removed, [])),
                    Write::Put { .. } if self.local.get(&removed)?.is_some() => batch.push(Write::delete(removed)),
                    Write::Put { .. } => {}
                }
            }
            batch.push(write.clone());
        }
        batch.extend(note);
        self.local.write(&batch, durability)
    }

    /// Takes in blocks of one piece, in one batch with the rows that say so. `whole`: with these the piece is here.
    fn take_in(&self, piece: usize, blocks: &[(usize, Arc<Block>)], whole: bool) -> Result<(), StoreError> {
        let _writing = lock(&self.writing);
        let mut batch = Vec::new();
        for (block, rows) in blocks {
            let (Some((first, _)), Some((last, _))) = (rows.rows.first(), rows.rows.last()) else { continue };
            let end = [last.as_slice(), &[0]].concat();
            // What was written or removed here meanwhile. INVARIANT: nobody writes between this look and the batch.
            let mut ours = std::collections::HashSet::new();
            self.local.range(first, &end, &mut |key, _| {
                ours.insert(key.to_vec());
                ControlFlow::Continue(())
            })?;
            let (from, to) = inner::removed_between(first, &end);
            self.local.range(&from, &to, &mut |key, _| {
                ours.extend(inner::key_of_removed(key).map(<[u8]>::to_vec));
                ControlFlow::Continue(())
            })?;
            let theirs = rows.rows.iter().filter(|(key, _)| !ours.contains(key) && !inner::is_inner(key));
            batch.extend(theirs.map(|(key, value)| Write::put(key.clone(), value.clone())));
            if !whole {
                batch.push(Write::put(inner::block(number(piece)?, number(*block)?), []));
            }
        }
        if whole {
            let (from, to) = inner::blocks_of(number(piece)?);
            self.local.range(&from, &to, &mut |key, _| {
                batch.push(Write::delete(key));
                ControlFlow::Continue(())
            })?;
            batch.push(Write::put(inner::piece(number(piece)?), []));
        }
        self.local.write(&batch, Durability::Buffered)?;
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        let came = self.moment.load(Ordering::SeqCst).saturating_add(1);
        if let Some(state) = states.get_mut(piece) {
            match (whole, &mut *state) {
                (true, _) => *state = State::Whole(came),
                (false, State::Parts(parts)) => {
                    parts.extend(blocks.iter().filter_map(|(block, _)| Some((u32::try_from(*block).ok()?, came))));
                }
                (false, State::Whole(_)) => {}
            }
        }
        self.moment.store(came, Ordering::SeqCst);
        Ok(())
    }
}

impl Reader for FillingEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        if self.is_full() && !inner::is_inner(key) {
            return self.0.local.get(key);
        }
        self.0.view()?.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>, StoreError> {
        if self.is_full() && !keys.iter().any(|key| inner::is_inner(key)) {
            return self.0.local.get_many(keys);
        }
        self.0.view()?.get_many(keys)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.view()?.range(from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.view()?.range_rev(from, to, visit)
    }
}

impl Engine for FillingEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.0.view()?))
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        self.0.write(writes, None, durability)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.local.flush()
    }

    fn statistics(&self) -> EngineStatistics {
        self.0.local.statistics()
    }

    fn pressure(&self) -> Pressure {
        self.0.local.pressure()
    }

    fn recovered(&self) -> Result<(), StoreError> {
        self.0.local.recovered()
    }

    fn witness(&self) -> &dyn Witness {
        self.0.local.witness()
    }
}

#[cfg(test)]
mod tests;
