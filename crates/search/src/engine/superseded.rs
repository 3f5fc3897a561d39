//! Documents of the index that something newer has taken the place of.

use super::encode::field;
use super::segment::failed;
use super::terms;
use crate::document::Key;
use crate::error::SearchError;
use std::collections::HashSet;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Searcher, TERMINATED};

/// Which documents of one searcher do not count, because the overlay knows better. Made for one searcher, and worth nothing with another.
#[derive(Clone, Default, Debug)]
pub struct Superseded {
    by_segment: Vec<HashSet<DocId>>,
}

impl Superseded {
    /// Those of a searcher that have one of these keys.
    pub fn of<'k>(searcher: &Searcher, keys: impl IntoIterator<Item = &'k Key>) -> Result<Self, SearchError> {
        let mut new = Self::default();
        for key in keys {
            new.add(searcher, key)?;
        }
        Ok(new)
    }

    /// Adds what the searcher has of this resource. A look-up in each segment: some microseconds.
    pub fn add(&mut self, searcher: &Searcher, key: &Key) -> Result<(), SearchError> {
        for (ordinal, doc) in find(searcher, key)? {
            if self.by_segment.len() <= ordinal {
                self.by_segment.resize_with(ordinal + 1, HashSet::new);
            }
            if let Some(segment) = self.by_segment.get_mut(ordinal) {
                segment.insert(doc);
            }
        }
        Ok(())
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.by_segment.iter().map(HashSet::len).sum()
    }

    /// Those of one segment.
    pub(super) fn segment(&self, ordinal: usize) -> Option<&HashSet<DocId>> {
        self.by_segment.get(ordinal).filter(|docs| !docs.is_empty())
    }
}

/// Where a searcher has a resource: segment and document. One at most, if the index is in order.
pub(super) fn find(searcher: &Searcher, key: &Key) -> Result<Vec<(usize, DocId)>, SearchError> {
    let term = terms::key(key);
    let mut found = Vec::new();
    for (ordinal, reader) in searcher.segment_readers().iter().enumerate() {
        let inverted = reader.inverted_index(field::TERMS).map_err(failed)?;
        let Some(info) = inverted.terms().get(&term).map_err(failed)? else { continue };
        let mut postings = inverted.read_postings_from_terminfo(&info, IndexRecordOption::Basic).map_err(failed)?;
        let mut doc = postings.doc();
        while doc != TERMINATED {
            if !reader.is_deleted(doc) {
                found.push((ordinal, doc));
            }
            doc = postings.advance();
        }
    }
    Ok(found)
}
