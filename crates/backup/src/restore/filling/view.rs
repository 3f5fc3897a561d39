//! The rows as they stood at one moment: those that are here, and beneath them those of the base that are not.

use super::{Moment, Shared, inner};
use crate::restore::base::Block;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_store::{Reader, Snapshot, StoreError, Value, Visit};

/// Rows of the local engine fetched at once, and their bytes: a scan stops to look at the base in between.
const PAGE_ROWS: usize = 256;
const PAGE_BYTES: usize = 1 << 20;

/// The row whose turn it is, by key and value.
type Peeked<'a> = Option<(&'a [u8], &'a [u8])>;

/// A moment's rows.
pub(super) struct View {
    shared: Arc<Shared>,
    local: Box<dyn Snapshot>,
    /// What came up to this moment is in `local`; `None`: everything is.
    moment: Option<Moment>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Way {
    /// Which of two keys comes first on this way.
    fn order(self, one: &[u8], two: &[u8]) -> Ordering {
        match self {
            Self::Up => one.cmp(two),
            Self::Down => two.cmp(one),
        }
    }
}

impl View {
    pub(super) fn new(shared: Arc<Shared>, local: Box<dyn Snapshot>, moment: Option<Moment>) -> Self {
        Self { shared, local, moment }
    }

    fn scan(&self, way: Way, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let Some(moment) = self.moment else {
            let shown = &mut |key: &[u8], value: &[u8]| {
                if inner::is_inner(key) { ControlFlow::Continue(()) } else { visit(key, value) }
            };
            return match way {
                Way::Up => self.local.range(from, to, shown),
                Way::Down => self.local.range_rev(from, to, shown),
            };
        };
        let mut here = Pages::new(self.local.as_ref(), way, from.to_vec(), to.to_vec());
        let (removed_from, removed_to) = inner::removed_between(from, to);
        let mut removed = Pages::new(self.local.as_ref(), way, removed_from, removed_to);
        let mut there = Blocks::new(&self.shared, moment, way, from, to);
        loop {
            let ours = here.peek()?;
            let theirs = there.peek()?;
            let order = match (&ours, &theirs) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((ours, _)), Some((theirs, _))) => way.order(ours, theirs),
            };
            if order == Ordering::Greater {
                let Some((key, value)) = theirs else { return Ok(()) };
                let gone = loop {
                    let Some((row, _)) = removed.peek()? else { break false };
                    let Some(of) = inner::key_of_removed(row) else { break false };
                    match way.order(of, key) {
                        Ordering::Less => removed.next(),
                        order => break order == Ordering::Equal,
                    }
                };
                if !gone && visit(key, value).is_break() {
                    return Ok(());
                }
                there.next();
            } else {
                let Some((key, value)) = ours else { return Ok(()) };
                if !inner::is_inner(key) && visit(key, value).is_break() {
                    return Ok(());
                }
                here.next();
                if order == Ordering::Equal {
                    there.next();
                }
            }
        }
    }
}

impl Reader for View {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        if inner::is_inner(key) {
            return Ok(None);
        }
        let ours = self.local.get(key)?;
        let (None, Some(moment)) = (&ours, self.moment) else { return Ok(ours) };
        let Some((piece, block)) = self.shared.place(key)? else { return Ok(None) };
        if self.shared.had(piece, block, moment) || self.local.get(&inner::removed(key))?.is_some() {
            return Ok(None);
        }
        // INVARIANT: an error of the source is given on. "No such row" is said only by the block that would hold it.
        let rows = self.shared.fetch(piece, block)?;
        Ok(rows.get(key).map(<[u8]>::to_vec))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.scan(Way::Up, from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.scan(Way::Down, from, to, visit)
    }
}

impl Snapshot for View {}

/// Rows of the local snapshot, page by page.
struct Pages<'a> {
    local: &'a dyn Snapshot,
    way: Way,
    from: Vec<u8>,
    to: Vec<u8>,
    page: VecDeque<(Vec<u8>, Vec<u8>)>,
    over: bool,
}

impl<'a> Pages<'a> {
    fn new(local: &'a dyn Snapshot, way: Way, from: Vec<u8>, to: Vec<u8>) -> Self {
        Self { local, way, from, to, page: VecDeque::new(), over: false }
    }

    fn peek(&mut self) -> Result<Peeked<'_>, StoreError> {
        if self.page.is_empty() && !self.over {
            self.fetch()?;
        }
        Ok(self.page.front().map(|(key, value)| (key.as_slice(), value.as_slice())))
    }

    fn next(&mut self) {
        self.page.pop_front();
    }

    fn fetch(&mut self) -> Result<(), StoreError> {
        let Self { local, way, from, to, page, over } = self;
        let (mut bytes, mut stopped) = (0, false);
        let visit = &mut |key: &[u8], value: &[u8]| {
            bytes += key.len() + value.len();
            page.push_back((key.to_vec(), value.to_vec()));
            stopped = page.len() >= PAGE_ROWS || bytes >= PAGE_BYTES;
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match way {
            Way::Up => local.range(from, to, visit)?,
            Way::Down => local.range_rev(from, to, visit)?,
        }
        *over = !stopped;
        if let Some((last, _)) = page.back() {
            match way {
                Way::Up => *from = [last.as_slice(), &[0]].concat(),
                Way::Down => *to = last.clone(),
            }
        }
        Ok(())
    }
}

/// Rows of the base between two keys that were not here at a moment, block by block.
struct Blocks<'a> {
    shared: &'a Shared,
    moment: Moment,
    way: Way,
    from: &'a [u8],
    to: &'a [u8],
    /// The piece whose turn it is; `None`: there is none any more.
    piece: Option<usize>,
    /// Its blocks that are still to be read.
    blocks: VecDeque<usize>,
    /// The block that is read, and the rows of it that are still to be shown: from (included), to (not).
    read: Option<(Arc<Block>, usize, usize)>,
}

impl<'a> Blocks<'a> {
    fn new(shared: &'a Shared, moment: Moment, way: Way, from: &'a [u8], to: &'a [u8]) -> Self {
        let pieces = shared.base.pieces();
        let piece = match way {
            Way::Up => Some(pieces.partition_point(|piece| piece.last.as_slice() < from)),
            Way::Down => pieces.partition_point(|piece| piece.first.as_slice() < to).checked_sub(1),
        };
        let mut blocks = Self { shared, moment, way, from, to, piece, blocks: VecDeque::new(), read: None };
        // `advance` goes to the piece after this one.
        blocks.piece = match way {
            Way::Up => piece.and_then(|piece| piece.checked_sub(1)).or(Some(usize::MAX)),
            Way::Down => piece.map(|piece| piece.saturating_add(1)),
        };
        blocks
    }

    fn peek(&mut self) -> Result<Peeked<'_>, StoreError> {
        while !matches!(&self.read, Some((_, from, to)) if from < to) {
            let Some(block) = self.blocks.pop_front() else { if self.advance()? { continue } else { return Ok(None) } };
            let Some(piece) = self.piece else { return Ok(None) };
            // One that came meanwhile, but after the moment, is not in the snapshot: it is read where it came from.
            if self.shared.had(piece, block, self.moment) {
                continue;
            }
            let rows = self.shared.base.block(piece, block)?;
            let first = rows.rows.partition_point(|(key, _)| key.as_slice() < self.from);
            let end = rows.rows.partition_point(|(key, _)| key.as_slice() < self.to);
            self.read = Some((rows, first, end));
        }
        let Some((rows, first, end)) = &self.read else { return Ok(None) };
        let at = match self.way {
            Way::Up => *first,
            Way::Down => end.saturating_sub(1),
        };
        Ok(rows.rows.get(at).map(|(key, value)| (key.as_slice(), value.as_slice())))
    }

    fn next(&mut self) {
        if let Some((_, first, end)) = &mut self.read {
            match self.way {
                Way::Up => *first += 1,
                Way::Down => *end = end.saturating_sub(1),
            }
        }
    }

    /// Goes to the next piece and picks out its blocks between the two keys. False: there is none.
    fn advance(&mut self) -> Result<bool, StoreError> {
        let next = match (self.way, self.piece) {
            (_, None) => None,
            (Way::Up, Some(piece)) => Some(piece.wrapping_add(1)),
            (Way::Down, Some(piece)) => piece.checked_sub(1),
        };
        self.piece = next;
        let Some((piece, of)) = next.and_then(|piece| Some((piece, self.shared.base.pieces().get(piece)?))) else {
            return Ok(false);
        };
        let beyond = match self.way {
            Way::Up => of.first.as_slice() >= self.to,
            Way::Down => of.last.as_slice() < self.from,
        };
        if beyond {
            self.piece = None;
            return Ok(false);
        }
        if self.shared.had_whole(piece, self.moment) {
            return Ok(true);
        }
        let firsts = self.shared.base.blocks(piece)?;
        let begin = firsts.partition_point(|first| first.as_slice() <= self.from).saturating_sub(1);
        let end = firsts.partition_point(|first| first.as_slice() < self.to);
        self.blocks = match self.way {
            Way::Up => (begin..end).collect(),
            Way::Down => (begin..end).rev().collect(),
        };
        Ok(true)
    }
}
