//! The French health identity (INS): the identifier and the mandatory traits of a patient, as a profile of our own.
//!
//! From the public reference documents of the Agence du numérique en santé ("Référentiel Identifiant national de santé",
//! "Référentiel national d'identitovigilance"): the number is the NIR or the NIA with its key; its traits are birth name,
//! given names of birth, sex, date of birth and the code of the place of birth. The rules are FHIRPath in
//! `definitions/fr-ins`, so that they can be read, and run by any other validator.

/// The address of the profile for a patient whose identity is an INS.
pub const PATIENT: &str = "https://tacet.invalid/fhir/StructureDefinition/fr-ins-patient";
/// The address of the profile for the identifier alone.
pub const IDENTIFIER: &str = "https://tacet.invalid/fhir/StructureDefinition/fr-ins-identifier";

/// The definitions, as StructureDefinition resources.
pub(crate) const DEFINITIONS: [&str; 2] =
    [include_str!("../definitions/fr-ins/identifier.json"), include_str!("../definitions/fr-ins/patient.json")];
