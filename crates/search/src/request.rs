//! What a search asks for, compiled: the filter, the order, the page and what comes with it.

mod compile;
mod condition;
mod current;
mod escape;
mod expression;
mod fault;
mod head;
mod key;
mod limits;
mod operators;
mod ordered;
mod reference;
mod result;
mod string;
#[cfg(test)]
mod tests;
mod token;
mod value;

pub use compile::compile;
pub(crate) use fault::named;
pub use limits::QueryLimits;

use crate::filter::Filter;
use tacet_fhir::compartment::Compartment;
use tacet_fhir::outcome::Issue;
use tacet_fhir::search::ParameterId;
use tacet_types::{ResourceId, ResourceType, Timestamp};

/// Where a search looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// In resources of all types, or those that `_type` names.
    System,
    /// In resources of one type.
    Type(ResourceType),
    /// In what belongs to one patient, encounter, … (`Patient/1/Observation`, `Patient/1/*`).
    Compartment {
        /// What kind of compartment.
        compartment: Compartment,
        /// The resource that has it.
        id: ResourceId,
        /// Only resources of this type.
        types: Option<ResourceType>,
    },
}

/// What becomes of a parameter that is not known (`Prefer: handling=`, <https://hl7.org/fhir/R4/search.html#errors>).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handling {
    /// The search is refused.
    Strict,
    /// It is passed over, and an issue says so.
    Lenient,
}

/// A search as it comes in.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Where it looks.
    pub scope: Scope,
    /// Names and values, decoded, in their order; without `_format` and `_pretty`, which are the server's.
    pub parameters: &'a [(String, String)],
    /// What becomes of parameters that are not known.
    pub handling: Handling,
    /// The address of this server, without `/` at the end: references below it are references to this store.
    pub base_url: &'a str,
    /// The time of the call: `ap` on dates is measured from it.
    pub now: Timestamp,
}

/// One key of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SortKey {
    /// By what.
    pub parameter: SortBy,
    /// Largest first.
    pub descending: bool,
}

/// What an order goes by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SortBy {
    /// When it was stored.
    LastUpdated,
    /// Logical id.
    Id,
    /// A parameter: its id for each type of the search.
    Parameter(Vec<ParameterId>),
}

/// Whether the number of all matches is wanted (`_total`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Total {
    /// No.
    None,
    /// If it is cheap.
    Estimate,
    /// Yes.
    Accurate,
}

/// How much of each resource is wanted (`_summary`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Summary {
    /// All.
    False,
    /// The elements that the definitions mark.
    True,
    /// Narrative, id, meta, and what must be there.
    Text,
    /// All but the narrative.
    Data,
    /// Nothing but how many there are.
    Count,
}

/// Whether resources within others are searched (`_contained`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contained {
    /// No.
    False,
    /// Only they: what matches is what holds one that is meant.
    True,
    /// They and the others.
    Both,
}

/// Resources that come along with the matches (`_include`, `_revinclude`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Include {
    /// Those that refer to a match, instead of those that a match refers to.
    pub reverse: bool,
    /// The type that holds the reference; None for any (`*`).
    pub source: Option<ResourceType>,
    /// The reference parameter; None for all of them (`*`).
    pub parameter: Option<ParameterId>,
    /// The type that the reference leads to; None for any.
    pub target: Option<ResourceType>,
    /// Again on what came along.
    pub iterate: bool,
}

/// A search, compiled.
#[derive(Clone, PartialEq, Debug)]
pub struct SearchRequest {
    /// Which resources match, types and compartment included.
    pub filter: Filter,
    /// In which order; empty for the store's own.
    pub sort: Vec<SortKey>,
    /// How many on one page. Some(0) asks for the number alone, as [`Summary::Count`] does.
    pub count: Option<usize>,
    /// Whether the number of all is wanted.
    pub total: Total,
    /// How much of each resource.
    pub summary: Summary,
    /// Only these elements of each resource, and those that must be there; empty for all.
    pub elements: Vec<String>,
    /// Whether resources within others are searched. The filter says so; a match is what holds the one that is meant.
    pub contained: Contained,
    /// What comes along.
    pub includes: Vec<Include>,
    /// The types that a match can have, sorted.
    pub types: Vec<ResourceType>,
    /// What was understood, in the order of the call: the query of the self link.
    pub used: Vec<(String, String)>,
    /// What lenient handling passed over. Names of parameters, never values.
    pub issues: Vec<Issue>,
    /// Fingerprint of the search parameters that it was compiled with: with others it may mean something else.
    pub made_with: [u8; 16],
}

impl SearchRequest {
    /// Whether the other finds and shows the same, whatever parameters each was compiled with.
    pub fn means_the_same(&self, other: &Self) -> bool {
        Self { made_with: other.made_with, ..self.clone() } == *other
    }
}
