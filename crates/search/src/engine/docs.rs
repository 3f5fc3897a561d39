//! Sets of documents of one segment, walked upwards.

use std::rc::Rc;
use tantivy::postings::SegmentPostings;
use tantivy::{DocId, DocSet, TERMINATED};

/// What a candidate must pass.
pub(super) type Check<'s> = Rc<dyn Fn(DocId) -> bool + 's>;

/// A set of documents, walked upwards; at [`TERMINATED`] when it has ended.
pub(super) trait Docs {
    /// Where it stands.
    fn doc(&self) -> DocId;

    /// Goes to the next.
    fn advance(&mut self) -> DocId;

    /// Goes to the first that is not before `target`; stays where it is if it is there already.
    fn seek(&mut self, target: DocId) -> DocId;
}

/// No document.
pub(super) struct Nothing;

impl Docs for Nothing {
    fn doc(&self) -> DocId {
        TERMINATED
    }

    fn advance(&mut self) -> DocId {
        TERMINATED
    }

    fn seek(&mut self, _: DocId) -> DocId {
        TERMINATED
    }
}

/// All documents below a number.
pub(super) struct Everything {
    pub(super) at: DocId,
    pub(super) max: DocId,
}

impl Docs for Everything {
    fn doc(&self) -> DocId {
        if self.at < self.max { self.at } else { TERMINATED }
    }

    fn advance(&mut self) -> DocId {
        self.at = self.at.saturating_add(1);
        self.doc()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.at = self.at.max(target);
        self.doc()
    }
}

impl Docs for SegmentPostings {
    fn doc(&self) -> DocId {
        DocSet::doc(self)
    }

    fn advance(&mut self) -> DocId {
        DocSet::advance(self)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        let at = DocSet::doc(self);
        if at >= target { at } else { DocSet::seek(self, target) }
    }
}

/// A set that was gathered once: numbers in order, or a bit for each document.
pub(super) enum Gathered {
    List(Vec<DocId>),
    Bits(Vec<u64>),
}

impl Gathered {
    /// Whether a document is among them.
    pub(super) fn has(&self, doc: DocId) -> bool {
        match self {
            Self::List(list) => list.binary_search(&doc).is_ok(),
            Self::Bits(bits) => bits.get(doc as usize / 64).is_some_and(|word| word >> (doc % 64) & 1 == 1),
        }
    }

    /// Gathers what `fill` gives, in any order and repeatedly. `expected` is about how many there will be.
    pub(super) fn gather<E>(
        max_doc: DocId,
        expected: u64,
        fill: impl FnOnce(&mut dyn FnMut(DocId)) -> Result<(), E>,
    ) -> Result<Self, E> {
        // A list takes four bytes a document and must be sorted; a bit set takes a bit of every document.
        if expected < u64::from(max_doc) / 64 {
            let mut list = Vec::new();
            fill(&mut |doc| list.push(doc))?;
            list.sort_unstable();
            list.dedup();
            return Ok(Self::List(list));
        }
        let mut bits = vec![0u64; (max_doc as usize).div_ceil(64)];
        fill(&mut |doc| {
            if let Some(word) = bits.get_mut(doc as usize / 64) {
                *word |= 1 << (doc % 64);
            }
        })?;
        Ok(Self::Bits(bits))
    }
}

/// Walks what was gathered.
pub(super) struct Walk {
    set: Rc<Gathered>,
    /// The place in the list.
    place: usize,
    doc: DocId,
}

impl Walk {
    pub(super) fn new(set: Rc<Gathered>) -> Self {
        let mut walk = Self { set, place: 0, doc: 0 };
        walk.doc = walk.from(0);
        walk
    }

    /// The first that is not before `target`.
    fn from(&mut self, target: DocId) -> DocId {
        match &*self.set {
            Gathered::List(list) => {
                let rest = list.get(self.place..).unwrap_or_default();
                // Near ones first: most steps are short.
                let skip = match rest.iter().take(8).position(|&doc| doc >= target) {
                    Some(skip) => skip,
                    None => rest.partition_point(|&doc| doc < target),
                };
                self.place += skip;
                list.get(self.place).copied().unwrap_or(TERMINATED)
            }
            Gathered::Bits(bits) => {
                let mut place = target as usize / 64;
                let Some(&word) = bits.get(place) else { return TERMINATED };
                let mut word = word & (u64::MAX << (target % 64));
                while word == 0 {
                    place += 1;
                    match bits.get(place) {
                        Some(&next) => word = next,
                        None => return TERMINATED,
                    }
                }
                place as DocId * 64 + word.trailing_zeros()
            }
        }
    }
}

impl Docs for Walk {
    fn doc(&self) -> DocId {
        self.doc
    }

    fn advance(&mut self) -> DocId {
        if self.doc != TERMINATED {
            self.doc = self.from(self.doc + 1);
        }
        self.doc
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc < target {
            self.doc = if target == TERMINATED { TERMINATED } else { self.from(target) };
        }
        self.doc
    }
}

/// What is in one set or another, for few sets.
pub(super) struct Union<'s> {
    sets: Vec<Box<dyn Docs + 's>>,
    doc: DocId,
}

impl<'s> Union<'s> {
    pub(super) fn new(sets: Vec<Box<dyn Docs + 's>>) -> Self {
        let mut union = Self { sets, doc: TERMINATED };
        union.settle();
        union
    }

    fn settle(&mut self) -> DocId {
        self.doc = self.sets.iter().map(|set| set.doc()).min().unwrap_or(TERMINATED);
        self.doc
    }
}

impl Docs for Union<'_> {
    fn doc(&self) -> DocId {
        self.doc
    }

    fn advance(&mut self) -> DocId {
        for set in &mut self.sets {
            if set.doc() == self.doc {
                set.advance();
            }
        }
        self.settle()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target {
            return self.doc;
        }
        for set in &mut self.sets {
            set.seek(target);
        }
        self.settle()
    }
}

/// What is in all of some sets, in none of others, and passes all checks.
pub(super) struct Conjunction<'s> {
    first: Box<dyn Docs + 's>,
    others: Vec<Box<dyn Docs + 's>>,
    excluded: Vec<Box<dyn Docs + 's>>,
    checks: Vec<Check<'s>>,
}

impl<'s> Conjunction<'s> {
    /// `first` should be the smallest.
    pub(super) fn new(
        first: Box<dyn Docs + 's>,
        others: Vec<Box<dyn Docs + 's>>,
        excluded: Vec<Box<dyn Docs + 's>>,
        checks: Vec<Check<'s>>,
    ) -> Self {
        let mut new = Self { first, others, excluded, checks };
        new.settle();
        new
    }

    fn settle(&mut self) -> DocId {
        let mut doc = self.first.doc();
        'next: while doc != TERMINATED {
            for other in &mut self.others {
                let found = other.seek(doc);
                if found != doc {
                    doc = self.first.seek(found);
                    continue 'next;
                }
            }
            let passes =
                self.excluded.iter_mut().all(|set| set.seek(doc) != doc) && self.checks.iter().all(|check| check(doc));
            if passes {
                return doc;
            }
            doc = self.first.advance();
        }
        TERMINATED
    }
}

impl Docs for Conjunction<'_> {
    fn doc(&self) -> DocId {
        self.first.doc()
    }

    fn advance(&mut self) -> DocId {
        self.first.advance();
        self.settle()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.first.doc() < target {
            self.first.seek(target);
            self.settle();
        }
        self.first.doc()
    }
}
