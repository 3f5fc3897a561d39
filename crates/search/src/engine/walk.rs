//! The first of very many, from the beginning of the order: buckets are gone through one after the other until the page is full.

mod ids;

use super::buckets;
use super::run::{Partial, Run};
use super::sorting::{Candidate, Sorting};
use super::terms::{self, LAST_UPDATED};
use crate::error::SearchError;
use crate::index::{Page, Position, SortValue};
use crate::request::SortBy;
use std::collections::BTreeSet;
use tantivy::TERMINATED;

/// What to open a bucket in a segment costs, measured in documents collected (some 50 ns each).
const BUCKET_COST: u64 = 60;

/// What to look at a document of a bucket costs, in the same measure.
const DOCUMENT_COST: u64 = 3;

/// So much may be spent on buckets whatever collecting would cost.
const COST_MIN: u64 = 50_000;

/// Goes through the buckets of the order. None if the order has none, if they came to an end with the page not full (what has no value
/// is in no bucket), or if it took longer than to collect all would.
pub(super) fn walk(
    run: &Run<'_>,
    sortings: &[Sorting<'_>],
    page: &Page,
    wanted: usize,
    estimate: u64,
) -> Result<Option<Vec<Partial>>, SearchError> {
    let walk = Walk { run, sortings, page, wanted, left: estimate.max(COST_MIN), found: Vec::new() };
    let Some(first) = page.sort.first() else { return walk.by_order() };
    let parameter = match &first.parameter {
        SortBy::LastUpdated => LAST_UPDATED,
        SortBy::Parameter(parameters) => match parameters.as_slice() {
            [one] => match u16::try_from(one.index()) {
                Ok(parameter) => parameter,
                Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        },
        SortBy::Id => return walk.by_id(first.descending),
    };
    let Some(fresh) = walk.start() else { return Ok(None) };
    if !sortings.iter().all(Sorting::is_by_moment) {
        return Ok(None);
    }
    walk.by_day(parameter, first.descending, fresh)
}

struct Walk<'w, 's> {
    run: &'w Run<'s>,
    sortings: &'w [Sorting<'w>],
    page: &'w Page,
    wanted: usize,
    /// What may still be spent.
    left: u64,
    found: Vec<Partial>,
}

/// What became of a bucket.
enum Step {
    Full,
    More,
    TooDear,
}

impl Walk<'_, '_> {
    /// The moment to begin with: None inside where the page is the first. None at all where the page before ended among what has no
    /// moment.
    fn start(&self) -> Option<Option<i64>> {
        match self.page.after.as_ref().and_then(|after| after.values.first()) {
            None => Some(None),
            Some(SortValue::Integer(moment)) => Some(Some(*moment)),
            Some(_) => None,
        }
    }

    fn by_order(mut self) -> Result<Option<Vec<Partial>>, SearchError> {
        let first = self.page.after.as_ref().map_or(0, |after| terms::order_bucket(after.order));
        for bucket in first..terms::ORDER_BUCKETS {
            match self.bucket(&[terms::order(bucket)], None)? {
                Step::Full => return Ok(Some(self.found)),
                Step::More => {}
                Step::TooDear => return Ok(None),
            }
        }
        Ok(Some(self.found))
    }

    fn by_day(
        mut self,
        parameter: u16,
        descending: bool,
        start: Option<i64>,
    ) -> Result<Option<Vec<Partial>>, SearchError> {
        let (mut first, mut last) = (0, u32::MAX);
        match start.map(buckets::day) {
            Some(day) if descending => last = day,
            Some(day) => first = day,
            None => {}
        }
        for wide in self.numbers(parameter, 2, first, last, descending)? {
            let (from, to) = buckets::finer(2, wide);
            let (from, to) = (buckets::first_day(1, from), buckets::last_day(1, to));
            for middle in self.numbers(parameter, 1, first.max(from), last.min(to), descending)? {
                let (from, to) = buckets::finer(1, middle);
                for day in self.numbers(parameter, 0, first.max(from), last.min(to), descending)? {
                    let classes = 0..buckets::CLASSES;
                    let terms: Vec<_> = classes.map(|class| buckets::term(parameter, 0, class, day)).collect();
                    match self.bucket(&terms, Some(day))? {
                        Step::Full => return Ok(Some(self.found)),
                        Step::More => {}
                        Step::TooDear => return Ok(None),
                    }
                }
            }
        }
        Ok(None)
    }

    /// The buckets of a level that exist in any segment and have days between these, in the order of the walk.
    fn numbers(
        &mut self,
        parameter: u16,
        level: u8,
        first: u32,
        last: u32,
        descending: bool,
    ) -> Result<Vec<u32>, SearchError> {
        let mut numbers = BTreeSet::new();
        if first > last {
            return Ok(Vec::new());
        }
        let (from, to) = (buckets::at_level(first, level), buckets::at_level(last, level));
        for part in &self.run.parts {
            for class in 0..buckets::CLASSES {
                let mut start = buckets::term(parameter, level, class, from);
                let mut end = terms::end_of(&buckets::term(parameter, level, class, to)).unwrap_or_default();
                for &type_code in terms::types_of(&start, &part.types) {
                    terms::set_type(&mut start, type_code);
                    terms::set_type(&mut end, type_code);
                    part.segment.terms(&start, Some(&end), &mut |term, _| {
                        numbers.extend(buckets::number_of(term));
                        true
                    })?;
                }
            }
        }
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        if descending {
            numbers.reverse();
        }
        Ok(numbers)
    }

    /// Adds the documents of a bucket that are meant. With `day`, a document counts in the bucket of the day that it stands by only.
    fn bucket(&mut self, terms: &[Vec<u8>], day: Option<u32>) -> Result<Step, SearchError> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for (part, sorting) in self.run.parts.iter().zip(self.sortings) {
            let bound = self.page.after.as_ref().map(|after: &Position| sorting.bound(after)).transpose()?;
            let mut under_types = Vec::with_capacity(terms.len());
            for term in terms {
                for &type_code in terms::types_of(term, &part.types) {
                    let mut term = term.clone();
                    terms::set_type(&mut term, type_code);
                    under_types.push(term);
                }
            }
            for term in under_types {
                let Some(info) = part.segment.term(&term)? else { continue };
                let cost = BUCKET_COST + u64::from(info.doc_freq) * DOCUMENT_COST;
                let Some(left) = self.left.checked_sub(cost) else { return Ok(Step::TooDear) };
                self.left = left;
                let mut bucket = part.segment.postings(&info)?;
                let mut meant = part.node.open(part.segment)?;
                let mut doc = tantivy::DocSet::doc(&bucket);
                while doc != TERMINATED {
                    let found = meant.seek(doc);
                    if found != doc {
                        doc = super::docs::Docs::seek(&mut bucket, found);
                        continue;
                    }
                    let here = day.is_none_or(|day| sorting.first_integer(doc).map(buckets::day) == Some(day));
                    if here && part.is_current(doc) {
                        let candidate = sorting.candidate(doc);
                        // Where ranks do not say it all, what comes before the page is told apart below.
                        let before = bound.as_ref().is_some_and(|bound| candidate.compare(bound).is_lt());
                        if !before || !sorting.is_fast() {
                            candidates.push(candidate);
                        }
                    }
                    doc = tantivy::DocSet::advance(&mut bucket);
                }
            }
        }
        // A document has several dates on one day at times.
        candidates.sort_unstable();
        candidates.dedup();
        for candidate in candidates {
            if let Some((place, sorting)) = self.run.place(self.sortings, &candidate) {
                let partial = Partial::of(place, sorting, candidate.doc)?;
                let after = self.page.after.as_ref();
                if after.is_none_or(|after| partial.compare_to(after, &self.page.sort).is_ge()) {
                    self.found.push(partial);
                }
            }
        }
        // One more, since the last of the page before may be among them.
        Ok(if self.found.len() > self.wanted { Step::Full } else { Step::More })
    }
}
