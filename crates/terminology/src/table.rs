//! The concepts of one code system, in a form that stays small for 100,000 of them and more.
//!
//! ```text
//! text     code|display|definition|code|display|…     one string; a value that occurs again is kept once
//! ends     three offsets for each concept
//! sorted   concepts by code                            found by halving
//! parents, children                                    offsets and one list (compressed rows)
//! properties, designations                             by concept, found by halving
//! ```
//!
//! A concept is its number here: the order in which the code system lists them. A concept with a code, a display of
//! forty letters and one parent costs about 80 bytes.

mod draft;

use crate::bits::Bits;
use std::cmp::Ordering;

pub(crate) use draft::{Draft, TableError};

/// The concept cannot be chosen, or it is no longer to be used.
pub(crate) const ABSTRACT: u8 = 1;
pub(crate) const INACTIVE: u8 = 2;

/// A piece of the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// The FHIR type of a property's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PropertyKind {
    /// A code of the same code system.
    Code,
    /// A Coding; its text is the Coding as JSON.
    Coding,
    /// A string.
    String,
    /// An integer.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A dateTime.
    DateTime,
    /// A decimal.
    Decimal,
}

impl PropertyKind {
    /// The code of the code system `concept-property-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            PropertyKind::Code => "code",
            PropertyKind::Coding => "Coding",
            PropertyKind::String => "string",
            PropertyKind::Integer => "integer",
            PropertyKind::Boolean => "boolean",
            PropertyKind::DateTime => "dateTime",
            PropertyKind::Decimal => "decimal",
        }
    }

    /// The member of `CodeSystem.concept.property` that holds such a value.
    pub(crate) fn member(self) -> &'static str {
        match self {
            PropertyKind::Code => "valueCode",
            PropertyKind::Coding => "valueCoding",
            PropertyKind::String => "valueString",
            PropertyKind::Integer => "valueInteger",
            PropertyKind::Boolean => "valueBoolean",
            PropertyKind::DateTime => "valueDateTime",
            PropertyKind::Decimal => "valueDecimal",
        }
    }

    pub(crate) const ALL: [PropertyKind; 7] = [
        PropertyKind::Code,
        PropertyKind::Coding,
        PropertyKind::String,
        PropertyKind::Integer,
        PropertyKind::Boolean,
        PropertyKind::DateTime,
        PropertyKind::Decimal,
    ];
}

#[derive(Clone, Copy, Debug)]
struct StoredProperty {
    concept: u32,
    /// Which of the system's property definitions.
    name: u16,
    kind: PropertyKind,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
struct StoredDesignation {
    concept: u32,
    language: Span,
    /// The `use` as JSON, or empty.
    purpose: Span,
    value: Span,
}

/// A property's value, as it stands in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PropertyView<'t> {
    pub(crate) name: u16,
    pub(crate) kind: PropertyKind,
    pub(crate) value: &'t str,
}

/// Another name of a concept. Empty text stands for what is not given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DesignationView<'t> {
    pub(crate) language: &'t str,
    /// The Coding that says what it is used for, as JSON.
    pub(crate) purpose: &'t str,
    pub(crate) value: &'t str,
}

/// Lists of concepts, one for each concept: where each begins, and all of them end to end.
#[derive(Debug, Default)]
struct Rows {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    /// From pairs (row, item), sorted and each once.
    fn of(pairs: &[(u32, u32)], rows: usize) -> Self {
        let mut starts = Vec::with_capacity(rows + 1);
        let mut at = 0;
        for row in 0..rows as u32 {
            starts.push(at as u32);
            while pairs.get(at).is_some_and(|(of, _)| *of == row) {
                at += 1;
            }
        }
        starts.push(at as u32);
        Rows { starts, items: pairs.iter().map(|(_, item)| *item).collect() }
    }

    fn get(&self, row: u32) -> &[u32] {
        let bound = |at: usize| self.starts.get(at).map(|start| *start as usize);
        let (Some(start), Some(end)) = (bound(row as usize), bound(row as usize + 1)) else { return &[] };
        self.items.get(start..end).unwrap_or_default()
    }
}

/// The concepts of a code system.
#[derive(Debug)]
pub(crate) struct ConceptTable {
    text: Box<str>,
    /// Where code, display and definition of each concept stand.
    spans: Vec<[Span; 3]>,
    flags: Vec<u8>,
    sorted: Vec<u32>,
    case_sensitive: bool,
    parents: Rows,
    children: Rows,
    properties: Vec<StoredProperty>,
    designations: Vec<StoredDesignation>,
}

impl ConceptTable {
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    fn text(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn part(&self, concept: u32, part: usize) -> &str {
        self.spans.get(concept as usize).and_then(|spans| spans.get(part)).map_or("", |span| self.text(*span))
    }

    /// The code of a concept, as the system writes it.
    pub(crate) fn code(&self, concept: u32) -> &str {
        self.part(concept, 0)
    }

    /// The display, if there is one.
    pub(crate) fn display(&self, concept: u32) -> Option<&str> {
        Some(self.part(concept, 1)).filter(|text| !text.is_empty())
    }

    pub(crate) fn definition(&self, concept: u32) -> Option<&str> {
        Some(self.part(concept, 2)).filter(|text| !text.is_empty())
    }

    pub(crate) fn is(&self, concept: u32, flag: u8) -> bool {
        self.flags.get(concept as usize).is_some_and(|flags| flags & flag != 0)
    }

    /// The concept of a code. Letter case counts where the system says so.
    pub(crate) fn find(&self, code: &str) -> Option<u32> {
        let at = self.sorted.binary_search_by(|concept| order(self.code(*concept), code, self.case_sensitive)).ok()?;
        self.sorted.get(at).copied()
    }

    pub(crate) fn parents(&self, concept: u32) -> &[u32] {
        self.parents.get(concept)
    }

    pub(crate) fn children(&self, concept: u32) -> &[u32] {
        self.children.get(concept)
    }

    pub(crate) fn properties(&self, concept: u32) -> impl Iterator<Item = PropertyView<'_>> {
        let start = self.properties.partition_point(|property| property.concept < concept);
        let rest = self.properties.get(start..).unwrap_or_default();
        rest.iter().take_while(move |property| property.concept == concept).map(|property| PropertyView {
            name: property.name,
            kind: property.kind,
            value: self.text(property.value),
        })
    }

    pub(crate) fn designations(&self, concept: u32) -> impl Iterator<Item = DesignationView<'_>> {
        let start = self.designations.partition_point(|designation| designation.concept < concept);
        let rest = self.designations.get(start..).unwrap_or_default();
        rest.iter().take_while(move |designation| designation.concept == concept).map(|designation| DesignationView {
            language: self.text(designation.language),
            purpose: self.text(designation.purpose),
            value: self.text(designation.value),
        })
    }

    /// The concept and everything under it.
    pub(crate) fn below(&self, concept: u32) -> Bits {
        self.reached(concept, &self.children)
    }

    /// The concept and everything above it.
    pub(crate) fn above(&self, concept: u32) -> Bits {
        self.reached(concept, &self.parents)
    }

    fn reached(&self, concept: u32, rows: &Rows) -> Bits {
        let mut bits = Bits::none(self.len());
        let mut waiting = vec![concept];
        bits.insert(concept);
        while let Some(concept) = waiting.pop() {
            waiting.extend(rows.get(concept).iter().copied().filter(|next| bits.insert(*next)));
        }
        bits
    }

    /// Whether `upper` is above `lower`: the one that is subsumed. A concept is not above itself.
    pub(crate) fn is_above(&self, upper: u32, lower: u32) -> bool {
        upper != lower && self.above(lower).contains(upper)
    }
}

/// The order of codes in a table: by their bytes, or by their letters in lower case.
pub(crate) fn order(a: &str, b: &str, case_sensitive: bool) -> Ordering {
    if case_sensitive {
        return a.cmp(b);
    }
    a.chars().flat_map(char::to_lowercase).cmp(b.chars().flat_map(char::to_lowercase))
}
