//! The search parameters that one store knows: the 1,384 of R4, and those that it was given as SearchParameter resources.

use std::sync::Arc;
use tacet_fhir::json::Json;
use tacet_fhir::search::{self, ParameterId, ParameterType, Targets, Value};
use tacet_types::ResourceType;

/// An immutable set of search parameters; cheap to clone.
#[derive(Clone, Debug)]
pub struct Parameters(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    fingerprint: [u8; 16],
}

impl Parameters {
    /// The parameters of R4 alone.
    pub fn standard() -> Self {
        Self(Arc::new(Inner::default()))
    }

    /// The parameter that a search for this type means by this code.
    pub fn find(&self, resource_type: ResourceType, code: &str) -> Option<ParameterId> {
        search::parameter(resource_type, code)
    }

    /// How its values compare.
    pub fn type_of(&self, id: ParameterId) -> ParameterType {
        id.parameter().parameter_type
    }

    /// Its name in a query.
    pub fn code(&self, id: ParameterId) -> &str {
        id.parameter().code
    }

    /// What a reference parameter may lead to.
    pub fn targets(&self, id: ParameterId) -> &Targets {
        &id.parameter().targets
    }

    /// The parameters that say how the parts of a composite compare, in their order; none for another type.
    pub fn components(&self, id: ParameterId) -> Vec<ParameterId> {
        let standard = search::parameters();
        let of = |definition: &str| {
            let place = standard.iter().position(|known| known.id == definition)?;
            u16::try_from(place).ok().map(ParameterId::from_index)
        };
        id.parameter().components.iter().filter_map(|component| of(component.definition)).collect()
    }

    /// Digest of the definitions: an index that was built under another one has to be built again.
    pub fn fingerprint(&self) -> [u8; 16] {
        self.0.fingerprint
    }

    /// Gives each value of each parameter that applies to the resource to `sink`.
    pub fn extract<'v>(&self, resource: &'v Json<'_>, sink: &mut dyn FnMut(ParameterId, Value<'v>)) {
        search::extract(resource, sink);
    }

    /// Whether the parameter is `_id` or `_lastUpdated`, which are not values of a document but its head.
    pub(crate) fn is_head(&self, id: ParameterId) -> bool {
        matches!(id.parameter().code, "_id" | "_lastUpdated")
    }
}
