//! A table while it is filled, concept by concept.

use super::{ConceptTable, PropertyKind, Rows, Span, StoredDesignation, StoredProperty, order};
use crate::limits::{SYSTEM_CONCEPTS_MAX, SYSTEM_TEXT_BYTES_MAX};
use std::collections::HashMap;

/// Why concepts do not make a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("more than {SYSTEM_CONCEPTS_MAX} concepts, or more than {SYSTEM_TEXT_BYTES_MAX} bytes of text")]
    TooLarge,
    #[error("two concepts have the same code: codes must differ, without letter case where the system ignores it")]
    Duplicate,
    #[error("the hierarchy has a cycle: no concept may be above itself")]
    Cycle,
}

/// Longest value that is looked up among those already kept, in bytes. Longer ones hardly ever occur twice.
const INTERNED_BYTES_MAX: usize = 64;

/// A table that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    text: String,
    spans: Vec<[Span; 3]>,
    flags: Vec<u8>,
    /// Child and parent.
    edges: Vec<(u32, u32)>,
    /// Concept, code of the other, and whether the other is the parent: known only when all codes are.
    links: Vec<(u32, Span, bool)>,
    properties: Vec<StoredProperty>,
    designations: Vec<StoredDesignation>,
    interned: HashMap<Box<str>, Span>,
}

impl Draft {
    /// Adds a concept; gives its number.
    pub(crate) fn push(&mut self, code: &str, display: &str, definition: &str, flags: u8) -> Result<u32, TableError> {
        if self.spans.len() >= SYSTEM_CONCEPTS_MAX {
            return Err(TableError::TooLarge);
        }
        let spans = [self.keep(code)?, self.keep(display)?, self.keep(definition)?];
        self.spans.push(spans);
        self.flags.push(flags);
        Ok(self.spans.len() as u32 - 1)
    }

    /// Puts a concept under another one that was added before.
    pub(crate) fn under(&mut self, child: u32, parent: u32) {
        self.edges.push((child, parent));
    }

    /// Relates a concept to a code that may still come. One that never comes is passed over.
    pub(crate) fn link(&mut self, concept: u32, code: &str, other_is_parent: bool) -> Result<(), TableError> {
        let code = self.intern(code)?;
        self.links.push((concept, code, other_is_parent));
        Ok(())
    }

    pub(crate) fn flag(&mut self, concept: u32, flag: u8) {
        if let Some(flags) = self.flags.get_mut(concept as usize) {
            *flags |= flag;
        }
    }

    pub(crate) fn property(
        &mut self,
        concept: u32,
        name: u16,
        kind: PropertyKind,
        value: &str,
    ) -> Result<(), TableError> {
        let value = self.intern(value)?;
        self.properties.push(StoredProperty { concept, name, kind, value });
        Ok(())
    }

    pub(crate) fn designation(
        &mut self,
        concept: u32,
        language: &str,
        purpose: &str,
        value: &str,
    ) -> Result<(), TableError> {
        let (language, purpose, value) = (self.intern(language)?, self.intern(purpose)?, self.keep(value)?);
        self.designations.push(StoredDesignation { concept, language, purpose, value });
        Ok(())
    }

    fn keep(&mut self, text: &str) -> Result<Span, TableError> {
        if self.text.len() + text.len() > SYSTEM_TEXT_BYTES_MAX {
            return Err(TableError::TooLarge);
        }
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Ok(Span { start, end: self.text.len() as u32 })
    }

    fn intern(&mut self, text: &str) -> Result<Span, TableError> {
        if text.len() > INTERNED_BYTES_MAX {
            return self.keep(text);
        }
        if let Some(span) = self.interned.get(text) {
            return Ok(*span);
        }
        let span = self.keep(text)?;
        self.interned.insert(text.into(), span);
        Ok(span)
    }

    /// Sorts, resolves the links and checks that codes differ and that nothing is above itself.
    pub(crate) fn finish(mut self, case_sensitive: bool) -> Result<ConceptTable, TableError> {
        let rows = self.spans.len();
        let mut sorted: Vec<u32> = (0..rows as u32).collect();
        let text = std::mem::take(&mut self.text).into_boxed_str();
        let spans = std::mem::take(&mut self.spans);
        let read = |span: Span| text.get(span.start as usize..span.end as usize).unwrap_or_default();
        let code = |concept: u32| spans.get(concept as usize).map_or("", |[code, _, _]| read(*code));
        sorted.sort_by(|a, b| order(code(*a), code(*b), case_sensitive));
        if sorted.windows(2).any(|pair| matches!(pair, [a, b] if order(code(*a), code(*b), case_sensitive).is_eq())) {
            return Err(TableError::Duplicate);
        }
        let find = |wanted: &str| {
            let at = sorted.binary_search_by(|concept| order(code(*concept), wanted, case_sensitive)).ok()?;
            sorted.get(at).copied()
        };
        for (concept, other, other_is_parent) in &self.links {
            if let Some(other) = find(read(*other)) {
                self.edges.push(if *other_is_parent { (*concept, other) } else { (other, *concept) });
            }
        }
        let mut edges = self.edges;
        edges.sort_unstable();
        edges.dedup();
        let parents = Rows::of(&edges, rows);
        edges.iter_mut().for_each(|(child, parent)| std::mem::swap(child, parent));
        edges.sort_unstable();
        let children = Rows::of(&edges, rows);
        if has_cycle(&parents, &children, rows) {
            return Err(TableError::Cycle);
        }
        self.properties.sort_by_key(|property| property.concept);
        self.designations.sort_by_key(|designation| designation.concept);
        Ok(ConceptTable {
            spans,
            flags: self.flags,
            sorted,
            case_sensitive,
            parents,
            children,
            properties: self.properties,
            designations: self.designations,
            text,
        })
    }
}

/// Takes away concepts whose parents are all gone; what is left over is on a cycle or below one (Kahn).
fn has_cycle(parents: &Rows, children: &Rows, rows: usize) -> bool {
    let mut above: Vec<u32> = (0..rows as u32).map(|row| parents.get(row).len() as u32).collect();
    let mut waiting: Vec<u32> = (0..rows as u32).filter(|row| parents.get(*row).is_empty()).collect();
    let mut gone = 0;
    while let Some(row) = waiting.pop() {
        gone += 1;
        for child in children.get(row) {
            if let Some(left) = above.get_mut(*child as usize) {
                *left -= 1;
                if *left == 0 {
                    waiting.push(*child);
                }
            }
        }
    }
    gone < rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_finds_its_concepts_and_knows_who_is_above_whom() {
        let mut draft = Draft::default();
        let a = draft.push("a", "First", "", 0).unwrap();
        let b = draft.push("b", "", "Second, defined", super::super::ABSTRACT).unwrap();
        let c = draft.push("c", "Third", "", 0).unwrap();
        draft.under(b, a);
        draft.link(c, "b", true).unwrap();
        draft.link(a, "c", false).unwrap();
        draft.link(a, "never", false).unwrap();
        draft.property(c, 4, PropertyKind::String, "x").unwrap();
        draft.designation(b, "fr", "", "Deuxième").unwrap();
        let table = draft.finish(true).unwrap();
        assert_eq!(table.find("b"), Some(b));
        assert_eq!(table.find("B"), None);
        assert_eq!(table.parents(c), [a, b]);
        assert_eq!(table.children(a), [b, c]);
        assert!(table.is_above(a, c) && table.is_above(b, c) && !table.is_above(c, a) && !table.is_above(a, a));
        assert_eq!(table.below(b).iter().collect::<Vec<_>>(), [b, c]);
        assert_eq!(table.definition(b), Some("Second, defined"));
        assert_eq!(table.display(b), None);
        assert!(table.is(b, super::super::ABSTRACT));
        assert_eq!(table.properties(c).count(), 1);
        assert_eq!(table.properties(b).count(), 0);
        assert_eq!(table.designations(b).map(|designation| designation.value).collect::<Vec<_>>(), ["Deuxième"]);
    }

    #[test]
    fn a_cycle_a_loop_and_a_repeated_code_are_refused() {
        for (links, expected) in [
            (vec![(0, "b"), (1, "a")], Some(TableError::Cycle)),
            (vec![(0, "a")], Some(TableError::Cycle)),
            (vec![(0, "b")], None),
        ] {
            let mut draft = Draft::default();
            draft.push("a", "", "", 0).unwrap();
            draft.push("b", "", "", 0).unwrap();
            for (concept, parent) in links {
                draft.link(concept, parent, true).unwrap();
            }
            assert_eq!(draft.finish(true).err(), expected);
        }
        let twice = || {
            let mut draft = Draft::default();
            draft.push("É", "", "", 0).unwrap();
            draft.push("é", "", "", 0).unwrap();
            draft
        };
        assert_eq!(twice().finish(false).err(), Some(TableError::Duplicate));
        assert_eq!(twice().finish(true).unwrap().find("é"), Some(1));
    }
}
