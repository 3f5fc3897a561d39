//! The order of documents within a segment, without reading their texts: by numbers that stand for them there.

use super::encode::{self, column};
use super::segment::{Numbers, Segment, failed};
use crate::error::SearchError;
use crate::index::{Position, SORT_KEYS_MAX, SortValue};
use crate::request::{SortBy, SortKey};
use std::cmp::Ordering;
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, f64_to_u64, i64_to_u64, u64_to_f64, u64_to_i64};

/// What a document stands by in its segment: rank of the kind, and a number. Already turned around where the order descends, so that the
/// least comes first.
type Rank = (u8, u64);

/// One document of a segment that may be a result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    ranks: [Rank; SORT_KEYS_MAX],
    pub(super) order: u64,
    pub(super) segment: u32,
    pub(super) doc: DocId,
}

impl Candidate {
    /// Which comes first, as far as ranks and order keys tell.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.ranks.cmp(&other.ranks).then_with(|| self.order.cmp(&other.order))
    }
}

/// Kinds of values in the order in which [`SortValue`] has them; what is missing comes last both ways.
mod rank {
    pub(crate) const INTEGER: u8 = 0;
    pub(crate) const NUMBER: u8 = 1;
    pub(crate) const TEXT: u8 = 2;
    pub(crate) const MISSING: u8 = u8::MAX;
}

/// The columns of one key of the order.
enum Source {
    Updated(Column<u64>),
    Values {
        integers: Vec<Numbers>,
        numbers: Vec<Numbers>,
        /// At most one: texts of two columns cannot be compared by their numbers.
        texts: Option<StrColumn>,
    },
    /// The document must be read.
    Id,
    /// Texts of several columns.
    Mixed {
        integers: Vec<Numbers>,
        numbers: Vec<Numbers>,
        texts: Vec<StrColumn>,
    },
}

/// The order within a segment.
pub(super) struct Sorting<'s> {
    segment: &'s Segment<'s>,
    keys: &'s [SortKey],
    sources: Vec<Source>,
    orders: Column<u64>,
}

impl<'s> Sorting<'s> {
    pub(super) fn new(segment: &'s Segment<'s>, keys: &'s [SortKey]) -> Result<Self, SearchError> {
        let sources = keys.iter().map(|key| source(segment, key)).collect::<Result<_, _>>()?;
        Ok(Self { segment, keys, sources, orders: segment.fixed(encode::ORDER)? })
    }

    /// Whether documents of this segment can be compared without reading texts.
    pub(super) fn is_fast(&self) -> bool {
        !self.sources.iter().any(|source| matches!(source, Source::Id | Source::Mixed { .. }))
    }

    /// The candidate for a document. If the order is not fast, it stands by its order key only.
    pub(super) fn candidate(&self, doc: DocId) -> Candidate {
        let mut ranks = [(0, 0); SORT_KEYS_MAX];
        for ((source, key), rank) in self.sources.iter().zip(self.keys).zip(&mut ranks) {
            *rank = source.rank(doc, key.descending);
        }
        Candidate { ranks, order: self.orders.values.get_val(doc), segment: self.segment.ordinal, doc }
    }

    /// The least candidate that does not come before `after` by its values and its order key. Equal ones are told apart by [`Position`].
    pub(super) fn bound(&self, after: &Position) -> Result<Candidate, SearchError> {
        let mut ranks = [(0, 0); SORT_KEYS_MAX];
        for (((source, key), value), rank) in self.sources.iter().zip(self.keys).zip(&after.values).zip(&mut ranks) {
            *rank = match value {
                SortValue::Missing => (rank::MISSING, 0),
                SortValue::Integer(number) => turned(rank::INTEGER, i64_to_u64(*number), key.descending),
                SortValue::Number(number) => turned(rank::NUMBER, f64_to_u64(*number), key.descending),
                SortValue::Text(text) => {
                    let place = match source {
                        Source::Values { texts: Some(column), .. } => text_place(column, text)?,
                        _ => 0,
                    };
                    turned(rank::TEXT, place, key.descending)
                }
            };
        }
        Ok(Candidate { ranks, order: after.order, segment: 0, doc: 0 })
    }

    /// What a document stands by, with its texts. `id` is asked for where the order goes by it.
    pub(super) fn values(&self, doc: DocId) -> Result<Vec<SortValue>, SearchError> {
        let keys = self.sources.iter().zip(self.keys);
        keys.map(|(source, key)| source.value(self.segment, doc, key.descending)).collect()
    }

    /// The order key of a document.
    pub(super) fn order(&self, doc: DocId) -> u64 {
        self.orders.values.get_val(doc)
    }

    /// Whether ranks mean the same in every segment, as far as this one goes.
    pub(super) fn is_global(&self) -> bool {
        self.sources.iter().all(|source| match source {
            Source::Updated(_) => true,
            Source::Values { texts, .. } => texts.is_none(),
            Source::Id | Source::Mixed { .. } => false,
        })
    }

    /// Whether all that the first key finds here are moments.
    pub(super) fn is_by_moment(&self) -> bool {
        match self.sources.first() {
            Some(Source::Updated(_)) => true,
            Some(Source::Values { numbers, texts, .. }) => numbers.is_empty() && texts.is_none(),
            _ => false,
        }
    }

    /// What a document stands by under the first key, if that is a moment.
    pub(super) fn first_integer(&self, doc: DocId) -> Option<i64> {
        let (source, key) = (self.sources.first()?, self.keys.first()?);
        match source {
            Source::Updated(column) => Some(u64_to_i64(column.values.get_val(doc))),
            Source::Values { integers, .. } | Source::Mixed { integers, .. } => {
                best(integers, doc, key.descending).map(u64_to_i64)
            }
            Source::Id => None,
        }
    }
}

/// Turned around where the order descends.
fn turned(kind: u8, number: u64, descending: bool) -> Rank {
    // INVARIANT: kinds of values are below `MISSING` either way.
    if descending { (rank::TEXT - kind, !number) } else { (kind, number) }
}

/// Numbers of texts are doubled and one added, so that a text which the segment lacks has a place between two.
fn doubled(number: u64) -> u64 {
    number * 2 + 1
}

fn text_place(column: &StrColumn, text: &str) -> Result<u64, SearchError> {
    use tantivy::columnar::TermOrdHit;
    Ok(match column.dictionary().term_ord_or_next(text.as_bytes()).map_err(failed)? {
        TermOrdHit::Exact(number) => doubled(number),
        TermOrdHit::Next(number) => number.saturating_mul(2),
    })
}

fn source(segment: &Segment<'_>, key: &SortKey) -> Result<Source, SearchError> {
    let parameters = match &key.parameter {
        SortBy::LastUpdated => return Ok(Source::Updated(segment.fixed(encode::UPDATED)?)),
        SortBy::Id => return Ok(Source::Id),
        SortBy::Parameter(parameters) => parameters,
    };
    let (mut integers, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for parameter in parameters {
        let Ok(parameter) = u16::try_from(parameter.index()) else { continue };
        integers.extend(segment.numbers(parameter, column::DATE_LOW)?);
        numbers.extend(segment.numbers(parameter, column::NUMBER_LOW)?);
        numbers.extend(segment.numbers(parameter, column::QUANTITY_BASE_LOW)?);
        texts.extend(segment.texts(parameter, column::TEXT)?);
        texts.extend(segment.texts(parameter, column::REFERENCE)?);
    }
    Ok(if texts.len() > 1 {
        Source::Mixed { integers, numbers, texts }
    } else {
        Source::Values { integers, numbers, texts: texts.pop() }
    })
}

/// The least or greatest number of a document in some columns.
fn best(columns: &[Numbers], doc: DocId, descending: bool) -> Option<u64> {
    let all = columns.iter().flat_map(|column| column.of(doc));
    if descending { all.max() } else { all.min() }
}

impl Source {
    fn rank(&self, doc: DocId, descending: bool) -> Rank {
        match self {
            Self::Updated(column) => turned(rank::INTEGER, column.values.get_val(doc), descending),
            Self::Values { integers, numbers, texts } => {
                let integer = || best(integers, doc, descending).map(|found| (rank::INTEGER, found));
                let number = || best(numbers, doc, descending).map(|found| (rank::NUMBER, found));
                let text = || {
                    let all = texts.as_ref()?.term_ords(doc);
                    let found = if descending { all.max() } else { all.min() };
                    found.map(|found| (rank::TEXT, doubled(found)))
                };
                let found = if descending {
                    text().or_else(number).or_else(integer)
                } else {
                    integer().or_else(number).or_else(text)
                };
                found.map_or((rank::MISSING, 0), |(kind, number)| turned(kind, number, descending))
            }
            Self::Id | Self::Mixed { .. } => (0, 0),
        }
    }

    fn value(&self, segment: &Segment<'_>, doc: DocId, descending: bool) -> Result<SortValue, SearchError> {
        let (integers, numbers, texts) = match self {
            Self::Updated(column) => return Ok(SortValue::Integer(u64_to_i64(column.values.get_val(doc)))),
            Self::Id => return Ok(SortValue::text(segment.key(doc)?.0.id.as_str())),
            Self::Values { integers, numbers, texts } => (integers, numbers, texts.as_slice()),
            Self::Mixed { integers, numbers, texts } => (integers, numbers, texts.as_slice()),
        };
        let mut found = Vec::new();
        found.extend(best(integers, doc, descending).map(|number| SortValue::Integer(u64_to_i64(number))));
        found.extend(best(numbers, doc, descending).map(|number| SortValue::Number(u64_to_f64(number))));
        for column in texts {
            let all = column.term_ords(doc);
            if let Some(number) = if descending { all.max() } else { all.min() } {
                found.push(SortValue::Text(segment.text(column, number)?.into()));
            }
        }
        Ok(found.into_iter().min_by(|a, b| a.compare(b, descending)).unwrap_or(SortValue::Missing))
    }
}

/// So many more are kept before the least of them are told.
const KEPT_MORE: usize = 64;

/// The `count` least candidates, and all that are equal to the last of them but for the document.
pub(super) struct Least {
    count: usize,
    kept: Vec<Candidate>,
    /// What comes after this one is not among the least.
    limit: Option<Candidate>,
}

impl Least {
    pub(super) fn new(count: usize) -> Self {
        Self { count, kept: Vec::new(), limit: None }
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        if self.limit.as_ref().is_some_and(|limit| candidate.compare(limit).is_gt()) {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= self.count.saturating_mul(2).saturating_add(KEPT_MORE) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.kept.len() <= self.count {
            return;
        }
        let Some(place) = self.count.checked_sub(1) else { return self.kept.clear() };
        let (_, last, _) = self.kept.select_nth_unstable_by(place, Candidate::compare);
        let last = *last;
        self.kept.retain(|candidate| candidate.compare(&last).is_le());
        self.limit = Some(last);
    }

    pub(super) fn finish(mut self) -> Vec<Candidate> {
        self.cut();
        self.kept
    }
}
