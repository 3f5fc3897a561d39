//! One segment as the engine reads it: terms, columns, stored values.

use super::docs::Docs;
use super::encode::{self, column_name, field};
use super::{codec, contained, terms};
use crate::document::{Document, Key, Value};
use crate::error::SearchError;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tacet_fhir::search::ParameterId;
use tacet_types::{Timestamp, VersionId};
use tantivy::columnar::{Column, DynamicColumn, StrColumn};
use tantivy::postings::TermInfo;
use tantivy::schema::{IndexRecordOption, TantivyDocument, Value as _};
use tantivy::termdict::TermStreamer;
use tantivy::{BitSet, DocAddress, DocId, InvertedIndexReader, Searcher, SegmentReader};

/// Most terms of dictionaries that one search looks through, over all segments: some 100 ns each.
pub const TERMS_VISITED_MAX: usize = 2_000_000;

/// Most resources whose contained ones one search reads, over all segments: some microseconds each.
pub(super) const CONTAINED_READ_MAX: usize = 200_000;

/// The library failed, or the directory under it; its own words may hold values of a resource.
pub(super) fn failed<E>(_: E) -> SearchError {
    SearchError::Engine("reading a segment")
}

/// What one search may still spend.
pub(super) struct Budget {
    terms: Cell<usize>,
    /// Documents whose contained resources may still be read; None: there were too many.
    contained: Cell<Option<usize>>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { terms: Cell::new(TERMS_VISITED_MAX), contained: Cell::new(Some(CONTAINED_READ_MAX)) }
    }

    /// Counts a document whose contained resources are read. False: no more may be, and the search must fail.
    pub(super) fn contained(&self) -> bool {
        let left = self.contained.get().and_then(|left| left.checked_sub(1));
        self.contained.set(left);
        left.is_some()
    }

    /// Whether what was answered within checks is all that there is.
    pub(super) fn check(&self) -> Result<(), SearchError> {
        match self.contained.get() {
            Some(_) => Ok(()),
            None => Err(SearchError::TooCostly {
                what: "resources that contain others to look through",
                max: CONTAINED_READ_MAX,
            }),
        }
    }

    fn term(&self) -> Result<(), SearchError> {
        match self.terms.get().checked_sub(1) {
            Some(left) => {
                self.terms.set(left);
                Ok(())
            }
            None => Err(SearchError::TooCostly { what: "terms to look through", max: TERMS_VISITED_MAX }),
        }
    }
}

/// A column of whole numbers of 64 bits, whatever the library made of them.
pub(super) enum Numbers {
    Unsigned(Column<u64>),
    /// All of them are small enough for the library to keep them as signed.
    Signed(Column<i64>),
}

impl Numbers {
    pub(super) fn of(&self, doc: DocId) -> NumbersOf<'_> {
        match self {
            Self::Unsigned(column) => NumbersOf::Unsigned(column.index.value_row_ids(doc), column),
            Self::Signed(column) => NumbersOf::Signed(column.index.value_row_ids(doc), column),
        }
    }
}

/// The numbers of one document, in order.
pub(super) enum NumbersOf<'c> {
    Unsigned(std::ops::Range<u32>, &'c Column<u64>),
    Signed(std::ops::Range<u32>, &'c Column<i64>),
}

impl Iterator for NumbersOf<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match self {
            Self::Unsigned(rows, column) => rows.next().map(|row| column.values.get_val(row)),
            Self::Signed(rows, column) => rows.next().map(|row| column.values.get_val(row).cast_unsigned()),
        }
    }
}

/// One segment, for one search.
pub(super) struct Segment<'s> {
    pub(super) reader: &'s SegmentReader,
    pub(super) ordinal: u32,
    pub(super) searcher: &'s Searcher,
    pub(super) budget: &'s Budget,
    /// Set when a column or a stored value could not be read inside a check: the search must fail then.
    pub(super) broken: &'s Cell<bool>,
    inverted: Arc<InvertedIndexReader>,
    types: OnceCell<Types>,
}

/// Codes of types, in order.
pub(super) type Types = Rc<[u8]>;

impl<'s> Segment<'s> {
    pub(super) fn new(
        searcher: &'s Searcher,
        ordinal: u32,
        budget: &'s Budget,
        broken: &'s Cell<bool>,
    ) -> Result<Self, SearchError> {
        let reader = searcher.segment_reader(ordinal);
        let inverted = reader.inverted_index(field::TERMS).map_err(failed)?;
        Ok(Self { reader, ordinal, searcher, budget, broken, inverted, types: OnceCell::new() })
    }

    pub(super) fn max_doc(&self) -> DocId {
        self.reader.max_doc()
    }

    /// The types of its documents, also of deleted ones.
    pub(super) fn types(&self) -> Result<Types, SearchError> {
        if let Some(types) = self.types.get() {
            return Ok(types.clone());
        }
        let mut types = Vec::new();
        self.terms_under(&terms::head(terms::GLOBAL, terms::kind::TYPE), &mut |term, _| {
            types.extend(term.last());
            true
        })?;
        Ok(self.types.get_or_init(|| types.into()).clone())
    }

    /// The deleted documents among those that `meant` walks.
    pub(super) fn deleted_among(&self, meant: &mut dyn Docs) -> u64 {
        let Some(alive) = self.reader.alive_bitset() else { return 0 };
        // The library's set of the living gives no words; crossed with a full one they can be read, 64 documents at a time.
        let mut words = BitSet::with_max_value_and_full(self.max_doc());
        words.intersect_update(alive.bitset());
        let mut count = 0;
        for word in 0..self.max_doc().div_ceil(64) {
            let dead = !u64::from_le_bytes(words.tinyset(word).into_bytes());
            let mut dead =
                if (word + 1) * 64 > self.max_doc() { dead & ((1 << (self.max_doc() % 64)) - 1) } else { dead };
            while dead != 0 {
                let doc = word * 64 + dead.trailing_zeros();
                count += u64::from(meant.seek(doc) == doc);
                dead &= dead - 1;
            }
        }
        count
    }

    /// One term.
    pub(super) fn term(&self, term: &[u8]) -> Result<Option<TermInfo>, SearchError> {
        self.inverted.terms().get(term).map_err(failed)
    }

    pub(super) fn postings(&self, info: &TermInfo) -> Result<tantivy::postings::SegmentPostings, SearchError> {
        self.inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic).map_err(failed)
    }

    /// Visits the terms from `from` up to but without `to`, in order, each counted against the budget. `visit` says whether to go on.
    pub(super) fn terms(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &TermInfo) -> bool,
    ) -> Result<(), SearchError> {
        let mut range = self.inverted.terms().range().ge(from);
        if let Some(to) = to {
            range = range.lt(to);
        }
        let mut stream = range.into_stream().map_err(failed)?;
        while stream.advance() {
            self.budget.term()?;
            if !visit(stream.key(), stream.value()) {
                break;
            }
        }
        Ok(())
    }

    /// The terms from `from` up to but without `to`, in order or backwards. Whoever goes through them counts.
    pub(super) fn stream(&self, from: &[u8], to: &[u8], backwards: bool) -> Result<TermStreamer<'_>, SearchError> {
        let range = self.inverted.terms().range().ge(from).lt(to);
        let range = if backwards { range.backward() } else { range };
        range.into_stream().map_err(failed)
    }

    /// All terms that begin with this.
    pub(super) fn terms_under(
        &self,
        start: &[u8],
        visit: &mut dyn FnMut(&[u8], &TermInfo) -> bool,
    ) -> Result<(), SearchError> {
        self.terms(start, terms::end_of(start).as_deref(), visit)
    }

    /// A column of numbers of a parameter; None where no document of the segment has one.
    pub(super) fn numbers(&self, parameter: u16, what: &str) -> Result<Option<Numbers>, SearchError> {
        for column in self.open(parameter, what)? {
            match column {
                DynamicColumn::U64(column) => return Ok(Some(Numbers::Unsigned(column))),
                DynamicColumn::I64(column) => return Ok(Some(Numbers::Signed(column))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// A column of texts of a parameter.
    pub(super) fn texts(&self, parameter: u16, what: &str) -> Result<Option<StrColumn>, SearchError> {
        for column in self.open(parameter, what)? {
            if let DynamicColumn::Str(column) = column {
                return Ok(Some(column));
            }
        }
        Ok(None)
    }

    fn open(&self, parameter: u16, what: &str) -> Result<Vec<DynamicColumn>, SearchError> {
        let handles =
            self.reader.fast_fields().dynamic_column_handles(&column_name(parameter, what)).map_err(failed)?;
        handles.iter().map(|handle| handle.open().map_err(failed)).collect()
    }

    /// One of the columns that every document has a number in.
    pub(super) fn fixed(&self, name: &str) -> Result<Column<u64>, SearchError> {
        self.reader.fast_fields().u64(name).map_err(failed)
    }

    /// Whether the document is not deleted.
    pub(super) fn is_alive(&self, doc: DocId) -> bool {
        !self.reader.is_deleted(doc)
    }

    fn stored(&self, doc: DocId) -> Result<TantivyDocument, SearchError> {
        self.searcher.doc(DocAddress::new(self.ordinal, doc)).map_err(failed)
    }

    /// The key and version of a document.
    pub(super) fn key(&self, doc: DocId) -> Result<(Key, VersionId), SearchError> {
        let stored = self.stored(doc)?;
        let bytes = stored.get_first(field::KEY).and_then(|value| value.as_bytes());
        bytes.and_then(encode::read_key).ok_or(SearchError::Damaged)
    }

    /// The long values of a document for a parameter.
    pub(super) fn long_values(&self, doc: DocId, parameter: ParameterId) -> Result<Vec<Value>, SearchError> {
        let stored = self.stored(doc)?;
        match stored.get_first(field::LONG).and_then(|value| value.as_bytes()) {
            Some(bytes) => codec::read_all(bytes, parameter).ok_or(SearchError::Damaged),
            None => Ok(Vec::new()),
        }
    }

    /// The resources within a document that was stored at this time.
    pub(super) fn contained(&self, doc: DocId, stored_at: Timestamp) -> Result<Vec<Document>, SearchError> {
        let stored = self.stored(doc)?;
        match stored.get_first(field::CONTAINED).and_then(|value| value.as_bytes()) {
            Some(bytes) => contained::read(bytes, stored_at).ok_or(SearchError::Damaged),
            None => Ok(Vec::new()),
        }
    }

    /// Reads inside a check: what cannot be read fails the search, and does not hold.
    pub(super) fn checked<T>(&self, result: Result<T, SearchError>, otherwise: T) -> T {
        result.unwrap_or_else(|_| {
            self.broken.set(true);
            otherwise
        })
    }

    /// The text of a number in a column's dictionary.
    pub(super) fn text(&self, column: &StrColumn, number: u64) -> Result<String, SearchError> {
        let mut text = String::new();
        match column.ord_to_str(number, &mut text) {
            Ok(true) => Ok(text),
            Ok(false) => Err(SearchError::Damaged),
            Err(error) => Err(failed::<io::Error>(error)),
        }
    }
}

/// Remembers for numbers of a dictionary what was found out once.
#[derive(Default)]
pub(super) struct Known(std::cell::RefCell<BTreeMap<u64, bool>>);

impl Known {
    pub(super) fn get(&self, number: u64, find: impl FnOnce() -> bool) -> bool {
        if let Some(&known) = self.0.borrow().get(&number) {
            return known;
        }
        let found = find();
        self.0.borrow_mut().insert(number, found);
        found
    }
}
