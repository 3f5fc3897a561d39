//! Documents of the index that something newer has taken the place of.

use super::encode::field;
use super::segment::failed;
use super::terms;
use crate::document::Key;
use crate::error::SearchError;
use std::collections::{HashMap, HashSet};
use tantivy::index::SegmentId;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Searcher, TERMINATED};

/// Which documents of one searcher do not count, because the overlay knows better. Made for one searcher, and worth nothing with another.
#[derive(Clone, Default, Debug)]
pub struct Superseded {
    by_segment: Vec<HashSet<DocId>>,
    keys: HashSet<Key>,
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

    /// Those of a later searcher of the same index that have one of these keys, all of which this was made for or told of. In the segments
    /// that both searchers have, nothing needs to be looked for: of what was found there, only what was deleted since goes.
    pub fn follow<'k>(
        &self,
        from: &Searcher,
        to: &Searcher,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> Result<Self, SearchError> {
        let before: HashMap<SegmentId, usize> =
            from.segment_readers().iter().enumerate().map(|(ordinal, reader)| (reader.segment_id(), ordinal)).collect();
        let mut new = Self::default();
        let mut others = Vec::new();
        for (ordinal, reader) in to.segment_readers().iter().enumerate() {
            let Some(before) = before.get(&reader.segment_id()) else {
                others.push(ordinal);
                continue;
            };
            let docs = self.by_segment.get(*before).into_iter().flatten().copied();
            docs.filter(|doc| !reader.is_deleted(*doc)).for_each(|doc| new.insert(ordinal, doc));
        }
        for key in keys {
            let mut held = self.holds(key);
            let term = terms::key(key);
            for &ordinal in &others {
                for doc in find_in(to, ordinal, &term)? {
                    new.insert(ordinal, doc);
                    held = true;
                }
            }
            if held {
                new.keys.insert(key.clone());
            }
        }
        Ok(new)
    }

    /// Adds what the searcher has of this resource. A look-up in each segment: some microseconds.
    pub fn add(&mut self, searcher: &Searcher, key: &Key) -> Result<(), SearchError> {
        let found = find(searcher, key)?;
        if !found.is_empty() {
            self.keys.insert(key.clone());
        }
        found.into_iter().for_each(|(ordinal, doc)| self.insert(ordinal, doc));
        Ok(())
    }

    fn insert(&mut self, ordinal: usize, doc: DocId) {
        if self.by_segment.len() <= ordinal {
            self.by_segment.resize_with(ordinal + 1, HashSet::new);
        }
        if let Some(segment) = self.by_segment.get_mut(ordinal) {
            segment.insert(doc);
        }
    }

    /// Whether the searcher has a document of a resource that was looked for.
    pub fn holds(&self, key: &Key) -> bool {
        self.keys.contains(key)
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
    for ordinal in 0..searcher.segment_readers().len() {
        found.extend(find_in(searcher, ordinal, &term)?.into_iter().map(|doc| (ordinal, doc)));
    }
    Ok(found)
}

/// The documents of one segment that have a key's term and are not deleted.
fn find_in(searcher: &Searcher, ordinal: usize, term: &[u8]) -> Result<Vec<DocId>, SearchError> {
    let mut found = Vec::new();
    let Some(reader) = searcher.segment_readers().get(ordinal) else { return Ok(found) };
    let inverted = reader.inverted_index(field::TERMS).map_err(failed)?;
    let Some(info) = inverted.terms().get(term).map_err(failed)? else { return Ok(found) };
    let mut postings = inverted.read_postings_from_terminfo(&info, IndexRecordOption::Basic).map_err(failed)?;
    let mut doc = postings.doc();
    while doc != TERMINATED {
        if !reader.is_deleted(doc) {
            found.push(doc);
        }
        doc = postings.advance();
    }
    Ok(found)
}
