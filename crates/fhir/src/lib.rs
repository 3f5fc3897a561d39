//! FHIR R4 over raw JSON: parsing, definitions, validation, search values, compartments. No I/O, no typed model.

pub mod definitions;
pub mod json;
pub mod outcome;
pub mod reference;
pub mod resource;
pub mod validate;
pub mod compartment;
pub mod search;
