//! The International Patient Summary (IPS 2.0, <http://hl7.org/fhir/uv/ips/>): a patient's resources, as somebody may see them, made into a
//! document Bundle and into a paper.
//!
//! ```text
//! Patient, resources ── chosen for sections ── what they refer to ── references within the document ── what must be said to be absent
//!        └─> Summary { bundle, sections } ── to_paper ──> PDF
//! ```
//!
//! No I/O, no clock, no rule of access: what comes in may be seen by who is given the summary. Nothing is translated from one code to another and nothing
//! is concluded: what is not recorded is said not to be, and never said not to exist.

mod choose;
mod document;
mod fill;
mod labels;
mod links;
mod narrative;
mod paper;
mod rows;
mod sections;
#[cfg(test)]
mod tests;
mod words;

pub use paper::to_paper;
pub use sections::{Place, TYPES};
pub use tacet_types::Language;

use tacet_fhir::json::Json;
use tacet_types::{Rng, Timestamp};

/// The profile of the documents that are made here.
pub const BUNDLE_PROFILE: &str = "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips";

/// The profile of their compositions.
pub const COMPOSITION_PROFILE: &str = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips";

/// The version of the guide that they follow.
pub const IPS_VERSION: &str = "2.0.0";

/// Most resources from which one summary is made. A record of more is an archive, and its reader is better served by `$everything`.
pub const RESOURCES_MAX: usize = 100_000;

/// Most resources in one document.
pub const ENTRIES_MAX: usize = 5_000;

/// Most entries of one section; the newest are taken, and the section says how many older ones there are.
pub const SECTION_ENTRIES_MAX: usize = 200;

/// Most values of one examination, and most procedures of one kind, that a summary has: the newest.
pub const OF_A_CODE_MAX: usize = 3;

/// How long ago a medication may have been given to be in a summary, in days.
pub const ADMINISTRATION_DAYS_MAX: i64 = 3;

/// Who makes a summary, when and in which language.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SummarySettings {
    /// The hospital's name: author and custodian of the document.
    pub hospital: String,
    /// The hospital's number: system and value.
    pub hospital_identifier: Option<(String, String)>,
    /// The address of the server that holds the resources, without `/` at its end: references that begin with it are its own.
    pub base: Option<String>,
    /// The language of titles and of what the program writes. What was recorded stays in its own.
    pub language: Language,
    /// When it is made.
    pub now: Timestamp,
}

/// A patient's summary.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// The document: a Bundle of type `document`.
    pub bundle: Json<'static>,
    /// Its sections, in their order: what its narratives and the paper say.
    pub sections: Vec<Section>,
    /// Whom it is about: a name, a date of birth and numbers.
    pub identity: Identity,
    /// When it was made.
    pub made: Timestamp,
    /// Who made it.
    pub hospital: String,
    /// Its language.
    pub language: Language,
}

/// Whom a summary is about, in words.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Identity {
    /// The name by which the patient goes.
    pub name: String,
    /// Lines of what is known: label, text.
    pub lines: Vec<(String, String)>,
    /// The line for the top of each page.
    pub about: String,
}

/// A section in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Which one it is.
    pub place: Place,
    /// What its columns are called.
    pub columns: Vec<&'static str>,
    /// What it says, newest or most important first. Empty: nothing is recorded.
    pub rows: Vec<Vec<String>>,
    /// How many more there are in the record that would belong here, and are older.
    pub older: usize,
}

/// Why there is no summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SummaryError {
    /// What was given first is no Patient.
    #[error("a summary is made of a Patient and of resources about it")]
    NoPatient,
    /// There is too much.
    #[error("this record has more than {max} {what}: ask for `$everything` by pages instead")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The most there may be.
        max: usize,
    },
}

/// Makes the summary of a patient out of the resources of the compartment and those that they refer to. The order does not matter; resources of types that have
/// no place in a summary, and other patients, are passed over.
///
/// # Errors
/// `patient` is none, or there is too much.
pub fn summarize(
    patient: &Json<'_>,
    resources: &[Json<'_>],
    settings: &SummarySettings,
    rng: &dyn Rng,
) -> Result<Summary, SummaryError> {
    if patient.resource_type() != Some("Patient") || patient.get_str("id").is_none() {
        return Err(SummaryError::NoPatient);
    }
    if resources.len() > RESOURCES_MAX {
        return Err(SummaryError::TooLarge { what: "resources", max: RESOURCES_MAX });
    }
    document::make(patient, resources, settings, rng)
}
