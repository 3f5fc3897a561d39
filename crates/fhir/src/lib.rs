//! FHIR R4 over raw JSON: parsing, definitions, validation, search values, compartments. No I/O, no typed model.

pub mod json;
pub mod reference;
pub mod resource;
