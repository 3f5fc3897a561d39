//! Code systems from the files their owners give out: LOINC, ICD-10 (ClaML, and the text of the French ATIH), CCAM.
//!
//! Nothing of their content is in this program. Whoever has the right to a file reads it with these functions:
//!
//! ```text
//! file ── loinc / claml / cim10 / ccam ──> Sink ──┬── Parts: CodeSystem resources, one a line, to be stored
//!                                                 └── Memory: a CodeSystem, to be used at once
//! ```
//!
//! A row is read, handed on and forgotten; a file is never in memory as a whole. [`Parts`] keeps codes, displays, designations
//! and hierarchy in one resource and puts all other properties into supplements of bounded size, because a resource may
//! not be larger than [`PART_BYTES_MAX`].

mod ccam;
mod cim10;
mod claml;
mod csv;
mod loinc;
mod parts;

use crate::error::TerminologyError;
use crate::system::{CodeSystem, Concept, SystemBuilder, SystemHeader};

pub use ccam::ccam;
pub use cim10::cim10;
pub use claml::claml;
pub use loinc::loinc;
pub use parts::{PART_BYTES_MAX, Parts};

/// Which release of a code system a file holds: the file itself does not say it in the terms of FHIR.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// The canonical address of the code system, such as `http://loinc.org` or `http://hl7.org/fhir/sid/icd-10`.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// Its name for programs, such as `LOINC`.
    pub name: String,
}

impl Release {
    fn header(&self, case_sensitive: bool) -> SystemHeader {
        let mut header = SystemHeader::complete(&*self.url, self.version.clone());
        header.name = Some(self.name.clone());
        header.case_sensitive = case_sensitive;
        header
    }
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Loaded {
    /// Concepts handed on.
    pub concepts: u64,
    /// Rows or elements that are not concepts and were passed over.
    pub passed_over: u64,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file, or what is written, gave an error.
    #[error("cannot read or write: {0}")]
    Io(#[from] std::io::Error),
    /// The file does not look like what it should be.
    #[error("line {line}: {what}")]
    Format {
        /// Where, as far as it is known (0: anywhere).
        line: u64,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Something is larger than is allowed.
    #[error("{0}")]
    TooLarge(String),
    /// The concepts do not make a code system.
    #[error("{0}")]
    System(#[from] TerminologyError),
}

impl LoadError {
    fn format(line: u64, what: impl Into<String>) -> Self {
        LoadError::Format { line, what: what.into() }
    }
}

/// Where concepts go.
pub trait Sink {
    /// What the code system says of itself. Comes first, once.
    ///
    /// # Errors
    /// It cannot be written.
    fn begin(&mut self, header: SystemHeader) -> Result<(), LoadError>;

    /// One concept.
    ///
    /// # Errors
    /// It cannot be written, or there are too many.
    fn concept(&mut self, concept: &Concept<'_>) -> Result<(), LoadError>;
}

/// Takes concepts into memory.
#[derive(Default, Debug)]
pub struct Memory(Option<SystemBuilder>);

impl Memory {
    /// The code system.
    ///
    /// # Errors
    /// Nothing was read, a code came twice, or a concept is above itself.
    pub fn finish(self) -> Result<CodeSystem, LoadError> {
        match self.0 {
            Some(builder) => Ok(builder.finish()?),
            None => Err(LoadError::format(0, "nothing was read")),
        }
    }
}

impl Sink for Memory {
    fn begin(&mut self, header: SystemHeader) -> Result<(), LoadError> {
        self.0 = Some(SystemBuilder::new(header));
        Ok(())
    }

    fn concept(&mut self, concept: &Concept<'_>) -> Result<(), LoadError> {
        match &mut self.0 {
            Some(builder) => Ok(builder.add(concept)?),
            None => Err(LoadError::format(0, "a concept came before its code system")),
        }
    }
}
