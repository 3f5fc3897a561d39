//! A code system: what it says of itself, and its concepts.

mod filter;
mod read;

use crate::error::TerminologyError;
use crate::table::{ABSTRACT, ConceptTable, DesignationView, Draft, INACTIVE, PropertyKind, PropertyView, TableError};
use std::sync::Arc;

pub(crate) use filter::{Filter, FilterError, FilterOperator, Steps};
pub(crate) use read::system_of;

/// How much of a code system a definition holds (`CodeSystem.content`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Nothing: the concepts are elsewhere.
    NotPresent,
    /// A few, to show what it looks like.
    Example,
    /// A part of them.
    Fragment,
    /// All of them.
    Complete,
    /// Additions to another code system.
    Supplement,
}

impl Content {
    /// The code of the code system `codesystem-content-mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Content::NotPresent => "not-present",
            Content::Example => "example",
            Content::Fragment => "fragment",
            Content::Complete => "complete",
            Content::Supplement => "supplement",
        }
    }

    pub(crate) fn of(code: &str) -> Option<Content> {
        [Content::NotPresent, Content::Example, Content::Fragment, Content::Complete, Content::Supplement]
            .into_iter()
            .find(|content| content.as_str() == code)
    }
}

/// A property that concepts of a system may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PropertyDefinition {
    /// Its code.
    pub code: String,
    /// Its formal meaning, where one is given.
    pub uri: Option<String>,
    /// The type of its values.
    pub kind: PropertyKind,
}

/// What a code system says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SystemHeader {
    /// Its canonical address: the `system` of its codes.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// Its name for programs.
    pub name: Option<String>,
    /// Its name for people.
    pub title: Option<String>,
    /// How much of it is here.
    pub content: Content,
    /// Whether `a` and `A` are two codes. R4 gives no default; this engine takes them for two unless told otherwise.
    pub case_sensitive: bool,
    /// The value set of all its codes, if it has an address.
    pub value_set: Option<String>,
    /// For a supplement: the system it adds to, perhaps with a version.
    pub supplements: Option<String>,
    /// The properties of its concepts.
    pub properties: Vec<PropertyDefinition>,
}

impl SystemHeader {
    /// The head of a complete, case-sensitive system of that address.
    pub fn complete(url: impl Into<String>, version: Option<String>) -> Self {
        Self {
            url: url.into(),
            version,
            name: None,
            title: None,
            content: Content::Complete,
            case_sensitive: true,
            value_set: None,
            supplements: None,
            properties: Vec::new(),
        }
    }
}

/// One concept, as it is given to a [`SystemBuilder`].
#[derive(Clone, Copy, Default, Debug)]
pub struct Concept<'c> {
    /// Its code.
    pub code: &'c str,
    /// Its display, or empty.
    pub display: &'c str,
    /// Its definition, or empty.
    pub definition: &'c str,
    /// Codes of the concepts right above it, in any order of adding. One that never comes is passed over.
    pub parents: &'c [&'c str],
    /// It exists for order only and cannot be chosen.
    pub is_abstract: bool,
    /// It is not to be used any more.
    pub inactive: bool,
    /// Values of properties: the place of the definition in [`SystemHeader::properties`], and the value as text.
    pub properties: &'c [(u16, &'c str)],
    /// Other names: language (or empty) and text.
    pub designations: &'c [(&'c str, &'c str)],
}

/// Makes a [`CodeSystem`] concept by concept, without a resource in between: for systems of 100,000 and more.
#[derive(Debug)]
pub struct SystemBuilder {
    header: SystemHeader,
    draft: Draft,
}

impl SystemBuilder {
    /// A system without concepts.
    pub fn new(header: SystemHeader) -> Self {
        Self { header, draft: Draft::default() }
    }

    /// Adds a concept.
    ///
    /// # Errors
    /// Too many concepts or too much text ([`crate::limits`]).
    pub fn add(&mut self, concept: &Concept<'_>) -> Result<(), TerminologyError> {
        self.push(concept).map_err(|error| table_error(&self.header.url, error))
    }

    fn push(&mut self, concept: &Concept<'_>) -> Result<(), TableError> {
        let flags = if concept.is_abstract { ABSTRACT } else { 0 } | if concept.inactive { INACTIVE } else { 0 };
        let at = self.draft.push(concept.code, concept.display, concept.definition, flags)?;
        for parent in concept.parents {
            self.draft.link(at, parent, true)?;
        }
        for (name, value) in concept.properties {
            let kind = self.header.properties.get(usize::from(*name)).map_or(PropertyKind::String, |known| known.kind);
            self.draft.property(at, *name, kind, value)?;
        }
        for (language, text) in concept.designations {
            self.draft.designation(at, language, "", text)?;
        }
        Ok(())
    }

    /// The system.
    ///
    /// # Errors
    /// Two concepts of one code, or a concept above itself.
    pub fn finish(self) -> Result<CodeSystem, TerminologyError> {
        CodeSystem::of(self.header, self.draft)
    }
}

fn table_error(url: &str, error: TableError) -> TerminologyError {
    let message = format!("code system `{url}`: {error}");
    match error {
        TableError::TooLarge => TerminologyError::too_costly(message),
        TableError::Duplicate | TableError::Cycle => TerminologyError::invalid(message),
    }
}

/// A code system, ready to be asked.
#[derive(Debug)]
pub struct CodeSystem {
    pub(crate) header: SystemHeader,
    pub(crate) table: ConceptTable,
}

impl CodeSystem {
    pub(crate) fn of(header: SystemHeader, draft: Draft) -> Result<Self, TerminologyError> {
        let case_sensitive = header.case_sensitive;
        match draft.finish(case_sensitive) {
            Ok(table) => Ok(Self { header, table }),
            Err(error) => Err(table_error(&header.url, error)),
        }
    }

    /// What it says of itself.
    pub fn header(&self) -> &SystemHeader {
        &self.header
    }

    /// How many concepts it has here.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it has none here.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }
}

/// A property's value, with the definition it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedProperty<'s> {
    pub(crate) name: &'s str,
    pub(crate) kind: PropertyKind,
    pub(crate) value: &'s str,
}

/// A code system together with the supplements that are known for it.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) base: Arc<CodeSystem>,
    pub(crate) supplements: Arc<[Arc<CodeSystem>]>,
}

impl System {
    pub(crate) fn header(&self) -> &SystemHeader {
        &self.base.header
    }

    pub(crate) fn table(&self) -> &ConceptTable {
        &self.base.table
    }

    /// Whether a code that is not in the table does not exist.
    pub(crate) fn is_complete(&self) -> bool {
        self.header().content == Content::Complete
    }

    /// Whether nothing can be said of its codes.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.header().content, Content::NotPresent | Content::Supplement)
    }

    /// The base and each supplement that knows the concept, with its number there.
    fn places(&self, concept: u32) -> impl Iterator<Item = (&CodeSystem, u32)> {
        let code = self.table().code(concept);
        let added = self.supplements.iter().filter_map(move |one| Some((one.as_ref(), one.table.find(code)?)));
        std::iter::once((self.base.as_ref(), concept)).chain(added)
    }

    pub(crate) fn designations(&self, concept: u32) -> impl Iterator<Item = DesignationView<'_>> {
        self.places(concept).flat_map(|(system, concept)| system.table.designations(concept))
    }

    pub(crate) fn properties(&self, concept: u32) -> impl Iterator<Item = NamedProperty<'_>> {
        self.places(concept).flat_map(|(system, concept)| {
            system.table.properties(concept).map(move |PropertyView { name, kind, value }| NamedProperty {
                name: system.header.properties.get(usize::from(name)).map_or("", |known| known.code.as_str()),
                kind,
                value,
            })
        })
    }

    /// The definition of a property, by its code or its address.
    pub(crate) fn property(&self, name: &str) -> Option<&PropertyDefinition> {
        std::iter::once(&self.base)
            .chain(self.supplements.iter())
            .flat_map(|system| &system.header.properties)
            .find(|known| known.code == name || known.uri.as_deref() == Some(name))
    }

    /// The display in a language: a designation of that language, or the concept's own display.
    pub(crate) fn display_in(&self, concept: u32, language: Option<&str>) -> Option<&str> {
        let translated = language.and_then(|language| {
            let mut found = self.designations(concept).filter(|one| crate::language::matches(one.language, language));
            found.next().map(|one| one.value)
        });
        translated.or_else(|| self.table().display(concept))
    }

    /// Whether a text is the display of the concept or one of its designations; blanks and letter case do not count.
    pub(crate) fn has_display(&self, concept: u32, text: &str) -> bool {
        let same = |other: &str| crate::language::same_text(other, text);
        self.table().display(concept).is_some_and(same) || self.designations(concept).any(|one| same(one.value))
    }
}
