//! What is known of a resource for searching it: its values for each search parameter, normalised and owned.
//!
//! Elements with a security label of their own are left out, so that no search tells what is in them. Whose record it is and how it is
//! labelled is asked of the whole resource.
//!
//! `_id` and `_lastUpdated` have no values here: they are the document's key and its time, whatever the resource says.

mod canonical;
mod make;
mod words;

pub(crate) use canonical::{UCUM, canonical_range};
pub use words::{CONTENT_WORDS_MAX, NARRATIVE_WORDS_MAX, WORD_BYTES_MAX, words};

use tacet_fhir::search::ParameterId;
use tacet_types::{Labels, ResourceId, ResourceType, Timestamp, VersionId};

/// Names a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: ResourceId,
}

/// One current resource as search sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Document {
    /// Which resource.
    pub key: Key,
    /// Its version: a later one takes the place of an earlier one.
    pub version: VersionId,
    /// When that version was stored.
    pub last_updated: Timestamp,
    /// The patients in whose compartment it is, sorted, each once; a patient's own is one of them.
    pub patients: Box<[ResourceId]>,
    /// Its security labels.
    pub labels: Labels,
    /// Its values, in the order of the resource.
    pub values: Vec<(ParameterId, Value)>,
    /// The resources within it, as documents of their own kind: they have its version and time, and neither patients nor labels nor
    /// others within them.
    pub contained: Vec<Document>,
    /// The distinct words of its narrative, folded and sorted; for `_text`.
    pub narrative: Vec<Box<str>>,
    /// The distinct words of all its texts, folded and sorted; for `_content`.
    pub content: Vec<Box<str>>,
}

/// The system of a token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum System {
    /// The element could have one and has none.
    Absent,
    /// Fixed by the element; a system in the query is not compared.
    Implied,
    /// This one.
    Uri(Box<str>),
}

/// One value. All ranges include both their ends; one without an end has the least or greatest number of its type (infinity) there.
/// Numbers are the nearest binary ones, taken by the same function for resource and query, so that both evaluators compare the same
/// bits.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the fields are those of `tacet_fhir::search::Value`, owned")]
pub enum Value {
    Token {
        system: System,
        code: Option<Box<str>>,
        text: Option<Box<str>>,
    },
    OfType {
        system: Option<Box<str>>,
        code: Box<str>,
        value: Box<str>,
    },
    /// As written, and as [`tacet_fhir::search::fold`] makes it: no case, no accents, blanks single.
    String {
        exact: Box<str>,
        folded: Box<str>,
    },
    /// Milliseconds since 1970, UTC: the first and the last.
    Date {
        low_ms: i64,
        high_ms: i64,
    },
    Number {
        low: f64,
        high: f64,
    },
    Quantity {
        low: f64,
        high: f64,
        system: Option<Box<str>>,
        code: Option<Box<str>>,
        unit: Option<Box<str>>,
        /// The same amount in base units of UCUM, with their canonical text; None where the unit is not UCUM.
        canonical: Option<(f64, f64, Box<str>)>,
    },
    /// To a resource of this store.
    Reference {
        target: Key,
        version: Option<VersionId>,
    },
    /// To something elsewhere, by its url as written.
    ReferenceUrl(Box<str>),
    ReferenceIdentifier {
        system: Option<Box<str>>,
        value: Box<str>,
    },
    Canonical {
        url: Box<str>,
        version: Option<Box<str>>,
    },
    Uri(Box<str>),
    Composite(Vec<Value>),
    /// Degrees.
    Position {
        latitude: f64,
        longitude: f64,
    },
}
