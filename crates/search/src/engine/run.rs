//! A search over all segments.

use super::compile::compile;
use super::docs::Docs;
use super::node::Node;
use super::segment::{Budget, Segment, Types, failed};
use super::sorting::{Candidate, Least, Sorting};
use super::superseded::{Superseded, find};
use super::{encode, order, walk};
use crate::document::Key;
use crate::error::SearchError;
use crate::filter::Filter;
use crate::index::{Page, Position, SortValue};
use crate::request::{SortKey, Total};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashSet;
use tacet_fhir::search::ParameterId;
use tacet_types::VersionId;
use tantivy::{DocId, Searcher, TERMINATED};

/// Most resources that one chain leads through: their keys are held in memory, and each is a look-up in each segment.
pub const CHAIN_KEYS_MAX: usize = 100_000;

/// Most resources that are read to put them in an order for which there are no columns (`_id`, several reference parameters at once).
pub const UNSORTED_MAX: usize = 200_000;

/// Up to about so many matches are collected and put in order; among more, the first are looked for from the beginning of the order.
/// Builds with debug assertions begin at a few, so that tests with few documents go both ways.
const COLLECT_MAX: u64 = if cfg!(debug_assertions) { 8 } else { 16_384 };

/// What it costs to look for a document in a list, in steps of walking the list.
const SEEK_STEPS: u64 = 4;

/// What the index has of a page.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// The first in order, one more than the page holds if there are so many.
    pub hits: Vec<(Position, VersionId)>,
    /// How many there are in all, if that was asked for; an estimate only if it is exact and cheap.
    pub total: Option<u64>,
}

/// Which documents of the index a prepared filter means, without those that are superseded.
pub fn search(
    searcher: &Searcher,
    filter: &Filter,
    page: &Page,
    superseded: &Superseded,
) -> Result<Found, SearchError> {
    order::check(&page.sort)?;
    run(searcher, filter, superseded, |run| run.page(page))
}

/// How many documents of the index a prepared filter means, without those that are superseded.
pub fn count(searcher: &Searcher, filter: &Filter, superseded: &Superseded) -> Result<u64, SearchError> {
    run(searcher, filter, superseded, |run| run.count())
}

/// The keys of all documents that a prepared filter means, without those that are superseded: at most [`CHAIN_KEYS_MAX`].
pub fn matching(searcher: &Searcher, filter: &Filter, superseded: &Superseded) -> Result<HashSet<Key>, SearchError> {
    run(searcher, filter, superseded, |run| {
        let mut keys = HashSet::new();
        for part in &run.parts {
            part.each(&mut |doc| {
                if keys.len() >= CHAIN_KEYS_MAX {
                    let what = "resources that a chain leads through";
                    return Err(SearchError::TooCostly { what, max: CHAIN_KEYS_MAX });
                }
                keys.insert(part.segment.key(doc)?.0);
                Ok(())
            })?;
        }
        Ok(keys)
    })
}

/// The resources that a document refers to by these parameters, in the order of parameters, then of type and id; each once. None where
/// the index has no such document. The caller looks into the overlay first.
pub fn references(searcher: &Searcher, key: &Key, parameters: &[ParameterId]) -> Result<Option<Vec<Key>>, SearchError> {
    let (budget, broken) = (Budget::new(), Cell::new(false));
    let Some(&(ordinal, doc)) = find(searcher, key)?.first() else { return Ok(None) };
    let segment = Segment::new(searcher, ordinal as u32, &budget, &broken)?;
    let mut targets = Vec::new();
    for parameter in parameters {
        let Ok(parameter) = u16::try_from(parameter.index()) else { continue };
        let Some(column) = segment.texts(parameter, encode::column::REFERENCE)? else { continue };
        for number in column.term_ords(doc) {
            let target = order::reference_of(&segment.text(&column, number)?).ok_or(SearchError::Damaged)?;
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    Ok(Some(targets))
}

/// A segment, and which of its documents are meant.
pub(super) struct Part<'s> {
    pub(super) segment: &'s Segment<'s>,
    pub(super) node: Node<'s>,
    /// What documents that are meant may be of.
    pub(super) types: Types,
    superseded: Option<&'s HashSet<DocId>>,
}

/// A search that goes on.
pub(super) struct Run<'s> {
    pub(super) parts: Vec<Part<'s>>,
}

fn run<T>(
    searcher: &Searcher,
    filter: &Filter,
    superseded: &Superseded,
    then: impl FnOnce(&Run<'_>) -> Result<T, SearchError>,
) -> Result<T, SearchError> {
    let (budget, broken) = (Budget::new(), Cell::new(false));
    let ordinals = 0..searcher.segment_readers().len();
    let segments = ordinals.map(|ordinal| Segment::new(searcher, ordinal as u32, &budget, &broken));
    let segments: Vec<Segment<'_>> = segments.collect::<Result<_, _>>()?;
    let mut parts = Vec::with_capacity(segments.len());
    for (ordinal, segment) in segments.iter().enumerate() {
        let (node, types) = compile(filter, segment)?;
        if !matches!(node, Node::Nothing) {
            parts.push(Part { segment, node, types, superseded: superseded.segment(ordinal) });
        }
    }
    let result = then(&Run { parts })?;
    budget.check()?;
    if broken.get() { Err(failed(())) } else { Ok(result) }
}

impl Part<'_> {
    /// Whether a document counts at all.
    pub(super) fn is_current(&self, doc: DocId) -> bool {
        self.segment.is_alive(doc) && self.superseded.is_none_or(|docs| !docs.contains(&doc))
    }

    /// Visits all documents that are meant.
    fn each(&self, visit: &mut dyn FnMut(DocId) -> Result<(), SearchError>) -> Result<(), SearchError> {
        let mut docs = self.node.open(self.segment)?;
        let mut doc = docs.doc();
        while doc != TERMINATED {
            if self.is_current(doc) {
                visit(doc)?;
            }
            doc = docs.advance();
        }
        Ok(())
    }

    fn estimate(&self) -> u64 {
        self.node.estimate(self.segment.max_doc())
    }

    /// How many are meant, if that is known without visiting them; the deleted and the superseded ones are looked up.
    fn known(&self) -> Result<Option<u64>, SearchError> {
        let Some(mut all) = self.node.exact(self.segment.max_doc()) else { return Ok(None) };
        let deleted = self.segment.reader.num_deleted_docs();
        if deleted > 0 {
            // To look for a deleted one costs several times what a step does.
            if all <= u64::from(deleted) * SEEK_STEPS {
                return Ok(None);
            }
            all = all.saturating_sub(self.segment.deleted_among(&mut *self.node.open(self.segment)?));
        }
        let Some(superseded) = self.superseded else { return Ok(Some(all)) };
        let current = superseded.iter().copied().filter(|&doc| self.segment.is_alive(doc));
        let mut gone: Vec<DocId> = current.collect();
        gone.sort_unstable();
        let mut docs: Box<dyn Docs> = self.node.open(self.segment)?;
        let among = gone.into_iter().filter(|&doc| docs.seek(doc) == doc).count();
        Ok(Some(all.saturating_sub(among as u64)))
    }
}

impl<'s> Run<'s> {
    pub(super) fn estimate(&self) -> u64 {
        self.parts.iter().map(Part::estimate).sum()
    }

    fn count(&self) -> Result<u64, SearchError> {
        let mut count = 0;
        for part in &self.parts {
            match part.known()? {
                Some(known) => count += known,
                None => part.each(&mut |_| {
                    count += 1;
                    Ok(())
                })?,
            }
        }
        Ok(count)
    }

    fn page(&self, page: &Page) -> Result<Found, SearchError> {
        let wanted = page.count.saturating_add(1);
        let estimate = self.estimate();
        let sortings: Vec<Sorting<'_>> =
            self.parts.iter().map(|part| Sorting::new(part.segment, &page.sort)).collect::<Result<_, _>>()?;
        let walked = if page.count == 0 {
            Some(Vec::new())
        } else if estimate > COLLECT_MAX {
            walk::walk(self, &sortings, page, wanted, estimate)?
        } else {
            None
        };
        let visited = Cell::new(None);
        let hits = match walked {
            Some(partials) => self.finish(partials, &sortings, page, wanted)?,
            None => {
                let (partials, count) = self.collect(&sortings, page, wanted)?;
                visited.set(Some(count));
                self.finish(partials, &sortings, page, wanted)?
            }
        };
        let total = match page.total {
            Total::None => None,
            Total::Estimate if visited.get().is_none() && estimate > COLLECT_MAX => {
                let known = self.parts.iter().map(Part::known).collect::<Result<Option<Vec<_>>, _>>()?;
                known.map(|known| known.iter().sum())
            }
            _ => Some(match visited.get() {
                Some(visited) => visited,
                None => self.count()?,
            }),
        };
        Ok(Found { hits, total })
    }

    /// Visits all and keeps the first. Gives how many there are, too.
    fn collect(
        &self,
        sortings: &[Sorting<'_>],
        page: &Page,
        wanted: usize,
    ) -> Result<(Vec<Partial>, u64), SearchError> {
        let global = sortings.iter().all(Sorting::is_global);
        let mut partials = Partials::new(&page.sort, wanted);
        let mut count = 0u64;
        let mut least = Least::new(wanted);
        let mut read = 0;
        for (place, (part, sorting)) in self.parts.iter().zip(sortings).enumerate() {
            let bound = page.after.as_ref().map(|after| sorting.bound(after)).transpose()?;
            let fast = sorting.is_fast();
            part.each(&mut |doc| {
                count += 1;
                if !fast {
                    read += 1;
                    if read > UNSORTED_MAX {
                        return Err(SearchError::TooCostly {
                            what: "resources to put in this order",
                            max: UNSORTED_MAX,
                        });
                    }
                    let partial = Partial::of(place, sorting, doc)?;
                    match page.after.as_ref().map_or(Ordering::Greater, |after| partial.compare_to(after, &page.sort)) {
                        Ordering::Less => {}
                        Ordering::Equal => partials.always(partial),
                        Ordering::Greater => partials.push(partial),
                    }
                    return Ok(());
                }
                let candidate = sorting.candidate(doc);
                match bound.as_ref().map_or(Ordering::Greater, |bound| candidate.compare(bound)) {
                    Ordering::Less => {}
                    // As far as ranks tell it is the last of the page before: type and id decide.
                    Ordering::Equal => partials.always(Partial::of(place, sorting, doc)?),
                    Ordering::Greater => least.push(candidate),
                }
                Ok(())
            })?;
            if !global {
                let found = std::mem::replace(&mut least, Least::new(wanted));
                for candidate in found.finish() {
                    partials.push(Partial::of(place, sorting, candidate.doc)?);
                }
            }
        }
        for candidate in least.finish() {
            if let Some((place, sorting)) = self.place(sortings, &candidate) {
                partials.push(Partial::of(place, sorting, candidate.doc)?);
            }
        }
        Ok((partials.finish(), count))
    }

    /// The part that a candidate came from.
    pub(super) fn place<'a, 'b>(
        &self,
        sortings: &'a [Sorting<'b>],
        candidate: &Candidate,
    ) -> Option<(usize, &'a Sorting<'b>)> {
        let place = self.parts.iter().position(|part| part.segment.ordinal == candidate.segment)?;
        Some((place, sortings.get(place)?))
    }

    /// Reads the keys of what is left, puts it in order, and cuts it to the page.
    fn finish(
        &self,
        mut partials: Vec<Partial>,
        sortings: &[Sorting<'_>],
        page: &Page,
        wanted: usize,
    ) -> Result<Vec<(Position, VersionId)>, SearchError> {
        debug_assert_eq!(sortings.len(), self.parts.len());
        partials.sort_by(|a, b| a.compare(b, &page.sort));
        let mut hits = Vec::with_capacity(partials.len().min(wanted));
        let mut last: Option<(Vec<SortValue>, u64)> = None;
        for partial in partials {
            // Those that tie with the last one wanted are read as well: type and id tell them apart.
            let ties =
                last.as_ref().is_some_and(|(values, order)| *order == partial.order && *values == partial.values);
            if hits.len() >= wanted && !ties {
                break;
            }
            let Some(part) = self.parts.get(partial.place) else { continue };
            let (key, version) = part.segment.key(partial.doc)?;
            last = Some((partial.values.clone(), partial.order));
            let position = Position { values: partial.values, order: partial.order, key };
            if page.after.as_ref().is_none_or(|after| position.compare(after, &page.sort).is_gt()) {
                hits.push((position, version));
            }
        }
        hits.sort_by(|(a, _), (b, _)| a.compare(b, &page.sort));
        hits.truncate(wanted);
        Ok(hits)
    }
}

/// A result whose key has not been read yet.
pub(super) struct Partial {
    place: usize,
    doc: DocId,
    values: Vec<SortValue>,
    order: u64,
}

impl Partial {
    pub(super) fn of(place: usize, sorting: &Sorting<'_>, doc: DocId) -> Result<Self, SearchError> {
        Ok(Self { place, doc, values: sorting.values(doc)?, order: sorting.order(doc) })
    }

    fn compare(&self, other: &Self, sort: &[SortKey]) -> Ordering {
        values_compare(&self.values, &other.values, sort).then(self.order.cmp(&other.order))
    }

    /// As far as values and order keys tell.
    pub(super) fn compare_to(&self, position: &Position, sort: &[SortKey]) -> Ordering {
        values_compare(&self.values, &position.values, sort).then(self.order.cmp(&position.order))
    }
}

fn values_compare(a: &[SortValue], b: &[SortValue], sort: &[SortKey]) -> Ordering {
    let pairs = a.iter().zip(b).zip(sort);
    pairs.map(|((a, b), key)| a.compare(b, key.descending)).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// The first of many, with all that tie.
struct Partials<'p> {
    sort: &'p [SortKey],
    wanted: usize,
    kept: Vec<Partial>,
    ties: Vec<Partial>,
}

impl<'p> Partials<'p> {
    fn new(sort: &'p [SortKey], wanted: usize) -> Self {
        Self { sort, wanted, kept: Vec::new(), ties: Vec::new() }
    }

    fn push(&mut self, partial: Partial) {
        self.kept.push(partial);
        if self.kept.len() > self.wanted.saturating_mul(4).saturating_add(1024) {
            self.cut();
        }
    }

    /// Keeps one whatever comes.
    fn always(&mut self, partial: Partial) {
        self.ties.push(partial);
    }

    fn cut(&mut self) {
        self.kept.sort_by(|a, b| a.compare(b, self.sort));
        let Some(last) = self.wanted.checked_sub(1).and_then(|place| self.kept.get(place)) else { return };
        let end = self.kept.partition_point(|partial| partial.compare(last, self.sort).is_le());
        self.kept.truncate(end);
    }

    fn finish(mut self) -> Vec<Partial> {
        self.cut();
        self.kept.append(&mut self.ties);
        self.kept
    }
}
