//! Search parameters of FHIR R4 and the values that they find in a resource.
//!
//! ```text
//! definitions/search-parameters.txt ── table ──> parameters and elements
//!                                        │
//!                 expression ── compile ─┴──> paths ── plan ──> one tree of paths for each resource type
//!
//! resource ── extract (one walk of the tree) ──> (parameter, value) (parameter, value) …
//! ```
//!
//! The official expressions use a small part of FHIRPath, and `compile` takes that part and no more; types are known
//! from the definitions, so `Observation.value` becomes `valueQuantity`, `valueString`, … while compiling and a value
//! is never guessed at. Values come out as FHIR R4 (<https://hl7.org/fhir/R4/search.html>) compares them: ranges for
//! dates, numbers and quantities, system and code for tokens, targets for references.
//!
//! This is not an index and not a query: it says what a resource holds. The sixteen parameters of R4 that have no
//! expression (`_text`, `_content`, `_query`, `_filter`, …) are not in the table.

mod compile;
mod custom;
mod date;
mod decimal;
mod fold;
mod normalise;
mod plan;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod value;

pub use custom::{Custom, CustomParameter, ExpressionError};
pub use date::{DateRange, OPEN_HIGH_MS, OPEN_LOW_MS};
pub use decimal::{Decimal, NumberRange};
pub use fold::fold;
pub use table::{Component, Parameter, ParameterType, Targets};
pub use value::{Quantity, Token, TokenSystem, Value};

pub(crate) use plan::{Path, paths_of};

use crate::json::Json;
use tacet_types::ResourceType;

/// How many search parameters R4 defines by an expression.
pub const PARAMETER_COUNT: usize = 1384;

/// A search parameter by its place in [`parameters`]. Stands for the same parameter as long as the definitions are the
/// same: what is written to disk should hold the parameter's code instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ParameterId(u16);

impl ParameterId {
    /// The parameter at this place; [`PARAMETER_COUNT`] and above are for those that a caller adds.
    pub fn from_index(index: u16) -> Self {
        Self(index)
    }

    /// The place in [`parameters`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The parameter; one without code, type or base if the id is not one of [`parameters`].
    pub fn parameter(self) -> &'static Parameter {
        parameters().get(self.index()).unwrap_or(&table::NO_PARAMETER)
    }
}

/// All search parameters, in the order of their ids.
pub fn parameters() -> &'static [Parameter] {
    &table::table().parameters
}

/// The parameter that a search for this type means by this code (`subject`, `_id`).
pub fn parameter(resource_type: ResourceType, code: &str) -> Option<ParameterId> {
    parameters_of(resource_type).iter().copied().find(|id| id.parameter().code == code)
}

/// The parameters that apply to this type: its own and those of every resource. The standard's three examples do not
/// count.
pub fn parameters_of(resource_type: ResourceType) -> &'static [ParameterId] {
    plan::plan(resource_type).map(|plan| plan.parameters.as_slice()).unwrap_or_default()
}

/// Gives each value that a search parameter finds in the resource to `sink`, in the order of the resource. A resource
/// of no known type has no values; whatever is not of the shape that the definitions ask for is passed over. Never
/// fails.
pub fn extract<'v>(resource: &'v Json<'_>, sink: &mut dyn FnMut(ParameterId, Value<'v>)) {
    let Some(resource_type) = crate::resource::resource_type(resource) else { return };
    if let Some(plan) = plan::plan(resource_type) {
        plan.extract(resource, sink);
    }
}

/// [`extract`] into a list.
pub fn extracted<'v>(resource: &'v Json<'_>) -> Vec<(ParameterId, Value<'v>)> {
    let mut all = Vec::new();
    extract(resource, &mut |parameter, value| all.push((parameter, value)));
    all
}
