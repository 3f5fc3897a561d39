//! Code systems, value sets and concept maps: expansion, lookup, validation of codes, subsumption, translation. No I/O.
//!
//! ```text
//! resources (JSON) ──> Builder ──> Terminology ──> member_of, codes_of, below, above     (search, bindings)
//!                                        │
//!                                        └───────> operations of R4's terminology service (HTTP edge)
//! ```
//!
//! The rules are those of <https://hl7.org/fhir/R4/terminology-service.html>. It holds no content of LOINC, SNOMED CT or
//! any other licensed terminology: whoever has the right to such content loads it from its own file ([`loader`]).

mod bits;
mod canonical;
mod concept_map;
mod error;
mod expansion;
mod language;
pub mod limits;
pub mod loader;
mod operation;
mod parameters;
mod snapshot;
mod standard;
mod system;
mod table;
mod value_set;

pub use concept_map::Equivalence;
pub use error::{ErrorKind, TerminologyError};
pub use expansion::Membership;
pub use operation::{
    Expand, Kind, Lookup, Moment, Operation, Subsumption, Translate, Translation, ValidateCode, Validation, Within,
};
pub use parameters::{CodingRequest, Input};
pub use snapshot::{Builder, Terminology};
pub use system::{CodeSystem, Concept, Content, PropertyDefinition, SystemBuilder, SystemHeader};
pub use table::PropertyKind;
