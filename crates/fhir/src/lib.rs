//! FHIR R4 over raw JSON: parsing, definitions, validation, search values, compartments. No I/O, no typed model.

pub mod compartment;
pub mod definitions;
pub mod json;
pub mod outcome;
pub mod reference;
pub mod resource;
pub mod search;
pub mod security;
pub mod summary;
pub mod validate;
pub mod xml;
