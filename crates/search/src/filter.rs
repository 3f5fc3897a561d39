//! A compiled query: which resources it means, in a form that the index and the plain matcher evaluate alike.

mod guard;

pub use guard::{Guard, guarded};
pub(crate) use guard::{clinical_dates, is_other_reference};

use crate::document::Key;
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::search::ParameterId;
use tacet_types::ResourceType;

/// Which resources. Evaluated for one document at a time, but for [`Filter::Chain`], [`Filter::Has`] and [`Filter::Members`], which ask
/// about other documents.
#[derive(Clone, PartialEq, Debug)]
pub enum Filter {
    /// Every resource.
    Everything,
    /// No resource.
    Nothing,
    /// All of these hold.
    All(Vec<Filter>),
    /// One of these holds.
    Any(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// Resources of one of these types.
    Types(Vec<ResourceType>),
    /// These resources, sorted.
    Keys(Vec<Key>),
    /// Last updated: a range in milliseconds since 1970 UTC, both ends included.
    LastUpdated {
        /// How it compares with the moment.
        comparison: Comparison,
        /// Start of the range asked for.
        low_ms: i64,
        /// Its end.
        high_ms: i64,
    },
    /// Some value of the parameter passes the test.
    Value(ParameterId, Test),
    /// The parameter has some value.
    Present(ParameterId),
    /// A reference in the parameter leads to a resource that the inner filter means (`subject:Patient.name=x`).
    Chain {
        /// The reference parameter.
        parameter: ParameterId,
        /// Which resources it may lead to; their types are in this filter.
        target: Box<Filter>,
    },
    /// Another resource that the inner filter means refers to this one (`_has`).
    Has {
        /// The other's reference parameter.
        parameter: ParameterId,
        /// Which others; their type is in this filter.
        source: Box<Filter>,
    },
    /// The resources that a reference parameter of this one resource leads to (`_list`: `List.item`).
    Members {
        /// The resource that holds the list.
        of: Key,
        /// Its reference parameter.
        parameter: ParameterId,
    },
    /// All of these folded words are in the narrative (`_text`).
    NarrativeWords(Vec<Box<str>>),
    /// All of these folded words are in the content (`_content`).
    ContentWords(Vec<Box<str>>),
    /// Some resource within it (`contained`) is what the inner filter means.
    Contains(Box<Filter>),
    /// What somebody may see. [`guarded`] puts it where it belongs.
    Guard(Arc<Guard>),
}

/// A prefix of R4 (<https://hl7.org/fhir/R4/search.html#prefix>), as it compares two ranges, both with
/// their ends. V is the value's range and Q the query's. [`crate::matcher::compare`] is the one definition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Comparison {
    /// V lies within Q.
    Equal,
    /// V does not lie within Q.
    NotEqual,
    /// V has something above Q.
    Greater,
    /// V has something below Q.
    Less,
    /// Greater, or equal.
    GreaterOrEqual,
    /// Less, or equal.
    LessOrEqual,
    /// V begins after Q has ended.
    StartsAfter,
    /// V ends before Q begins.
    EndsBefore,
    /// V and Q overlap; the compiler has widened Q.
    Approximately,
}

/// The system that a token must have.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SystemTest {
    /// Any or none.
    Any,
    /// None (`|code`).
    Absent,
    /// This one, or one that the element implies.
    Is(Box<str>),
}

/// The unit that a quantity must have.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum UnitTest {
    /// Any unit, or none: compare the number as written.
    Any,
    /// This code of this system, as written.
    Is {
        /// The system of the unit.
        system: Box<str>,
        /// The code of the unit.
        code: Box<str>,
    },
    /// This code or this human text, in no particular system (`5.4||mg`).
    Written(Box<str>),
    /// This canonical unit of UCUM; the number asked for is in it.
    Canonical(Box<str>),
}

/// Codes with their systems; None for a code whose system the element implies or that has none.
pub type CodeSet = HashSet<(Option<Box<str>>, Box<str>)>;

/// What one value must be. A value of another kind never passes.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// A token with this code, exactly.
    TokenIs {
        /// Its system.
        system: SystemTest,
        /// Its code.
        code: Box<str>,
    },
    /// A token of this system, whatever its code (`system|`).
    TokenOfSystem(Box<str>),
    /// A token that is one of these (`:in`, `:above`, `:below`).
    TokenAmong(Arc<CodeSet>),
    /// A token whose text, folded, has a word that begins with each of these folded words (`:text`).
    TokenText(Vec<Box<str>>),
    /// An identifier of this type with this value (`:of-type`).
    OfType {
        /// System of the identifier's type.
        system: SystemTest,
        /// Code of the identifier's type.
        code: Box<str>,
        /// The identifier.
        value: Box<str>,
    },
    /// A string whose folded text begins with this.
    StringStarts(Box<str>),
    /// A string that is exactly this (`:exact`).
    StringIs(Box<str>),
    /// A string whose folded text is this (`eq` in `_filter`).
    StringEquals(Box<str>),
    /// A string whose folded text ends with this (`ew` in `_filter`).
    StringEnds(Box<str>),
    /// A string whose folded text contains this (`:contains`).
    StringContains(Box<str>),
    /// A string whose folded text has a word that begins with each of these folded words (`:text`).
    StringText(Vec<Box<str>>),
    /// A date or period.
    Date(Comparison, i64, i64),
    /// A number.
    Number(Comparison, f64, f64),
    /// A quantity.
    Quantity(Comparison, f64, f64, UnitTest),
    /// A reference to this resource of the store, in any version.
    ReferenceIs(Key),
    /// A reference to one of these resources of the store, in any version: what a chain becomes when it is resolved.
    ReferenceAmong(Arc<HashSet<Key>>),
    /// A reference to a resource with this id, of any of these types (`subject=23`).
    ReferenceId(Vec<ResourceType>, Box<str>),
    /// A reference to any resource of this type (`subject:Patient` before a chain narrows it, or `_has`).
    ReferenceType(ResourceType),
    /// A reference to this url elsewhere.
    ReferenceUrl(Box<str>),
    /// A reference by identifier (`:identifier`).
    ReferenceIdentifier {
        /// Its system.
        system: SystemTest,
        /// Its value.
        value: Box<str>,
    },
    /// A canonical with this url, and this version if one is given.
    Canonical(Box<str>, Option<Box<str>>),
    /// A uri or canonical that is exactly this.
    UriIs(Box<str>),
    /// A uri or canonical that is this or under it, by segments (`:below`).
    UriBelow(Box<str>),
    /// A uri or canonical that is this or above it, by segments (`:above`).
    UriAbove(Box<str>),
    /// A composite whose parts pass these, in their order.
    Composite(Vec<Test>),
    /// A position at most so many metres away.
    Near {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Metres, on a sphere of 6,371,008.8 m.
        metres: f64,
    },
}
