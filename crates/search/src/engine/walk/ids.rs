//! The first of very many of one type by their ids: the terms of keys are gone through, for they are in that order already.

use super::{BUCKET_COST, Walk};
use crate::engine::run::Partial;
use crate::engine::segment::failed;
use crate::engine::terms;
use crate::error::SearchError;
use std::cmp::Ordering;
use tacet_types::ResourceId;
use tantivy::termdict::TermStreamer;
use tantivy::{DocSet, TERMINATED};

/// What it costs to collect a document by its id and to put it in order, in the measure of the walk: it must be read.
const READ_COST: u64 = 8;

/// Terms of keys of one segment, in order; UUIDs and other ids are two ranges of them.
struct Cursor<'r> {
    place: usize,
    stream: TermStreamer<'r>,
    id: Option<ResourceId>,
}

impl Cursor<'_> {
    fn advance(&mut self) -> Result<(), SearchError> {
        self.id = if self.stream.advance() {
            let key = terms::key_of(self.stream.key()).ok_or(SearchError::Damaged)?;
            Some(key.id)
        } else {
            None
        };
        Ok(())
    }
}

impl Walk<'_, '_> {
    /// None where documents of several types may be meant, or if it takes longer than to collect all would.
    pub(super) fn by_id(mut self, descending: bool) -> Result<Option<Vec<Partial>>, SearchError> {
        let run = self.run;
        let Some(&[type_code]) = run.parts.first().map(|part| &*part.types) else { return Ok(None) };
        self.left = self.left.saturating_mul(READ_COST);
        let mut cursors = Vec::new();
        for (place, part) in run.parts.iter().enumerate() {
            if *part.types != [type_code] {
                return Ok(None);
            }
            for (start, end) in
                terms::key_ranges(type_code, self.page.after.as_ref().map(|after| &after.key.id), descending)
            {
                let mut cursor = Cursor { place, stream: part.segment.stream(&start, &end, descending)?, id: None };
                cursor.advance()?;
                cursors.push(cursor);
            }
        }
        let first = |a: &&mut Cursor<'_>, b: &&mut Cursor<'_>| {
            let ordering = match (&a.id, &b.id) {
                (Some(a), Some(b)) => a.as_str().cmp(b.as_str()),
                _ => Ordering::Equal,
            };
            if descending { ordering.reverse() } else { ordering }
        };
        while let Some(cursor) = cursors.iter_mut().filter(|cursor| cursor.id.is_some()).min_by(first) {
            let Some(left) = self.left.checked_sub(BUCKET_COST) else { return Ok(None) };
            self.left = left;
            let (Some(part), Some(sorting)) = (run.parts.get(cursor.place), self.sortings.get(cursor.place)) else {
                return Err(failed(()));
            };
            let mut postings = part.segment.postings(cursor.stream.value())?;
            let mut doc = DocSet::doc(&postings);
            while doc != TERMINATED {
                if part.is_current(doc) && part.node.open(part.segment)?.seek(doc) == doc {
                    self.found.push(Partial::of(cursor.place, sorting, doc)?);
                }
                doc = DocSet::advance(&mut postings);
            }
            // One more, since the last of the page before may be among them.
            if self.found.len() > self.wanted {
                break;
            }
            cursor.advance()?;
        }
        Ok(Some(self.found))
    }
}
