//! The search parameters that one store knows: the 1,384 of R4, and those that it was given as SearchParameter resources.

mod custom;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest;
use custom::Defined;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::Issue;
use tacet_fhir::search::{self, Custom, PARAMETER_COUNT, ParameterId, ParameterType, Targets, Value};
use tacet_types::ResourceType;

pub use custom::CUSTOM_MAX;

/// Counts how documents are made of resources, beyond what the definitions say: words, ranges, units. A change that gives a resource
/// other values or words needs the next number, so that indexes are built again.
const EXTRACTION: u32 = 2;

/// An immutable set of search parameters; cheap to clone.
#[derive(Clone, Debug)]
pub struct Parameters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// In the order of their ids, from [`PARAMETER_COUNT`].
    defined: Vec<Defined>,
    by_code: HashMap<ResourceType, HashMap<String, ParameterId>>,
    custom: Custom,
    fingerprint: [u8; 16],
}

impl Parameters {
    /// The parameters of R4 alone.
    pub fn standard() -> Self {
        static STANDARD: LazyLock<Parameters> = LazyLock::new(|| Parameters::of(Vec::new()));
        STANDARD.clone()
    }

    /// These and what the SearchParameter resources define. What cannot be used is left out, with an issue that says why; a standard
    /// parameter among them is passed over, and one that only has the code of a standard one takes its place for its types.
    ///
    /// The ids go by the order of urls, so the same resources give the same ids in whatever order they come.
    pub fn with_custom(&self, resources: &[Json<'_>]) -> (Parameters, Vec<Issue>) {
        let (defined, issues) = custom::read(&self.0.defined, resources);
        (Self::of(defined), issues)
    }

    fn of(defined: Vec<Defined>) -> Self {
        let mut by_code: HashMap<ResourceType, HashMap<String, ParameterId>> = HashMap::new();
        let mut custom = Custom::default();
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&EXTRACTION.to_be_bytes());
        context.update(standard_digest().as_ref());
        for defined in &defined {
            for base in &defined.search.bases {
                by_code.entry(*base).or_default().insert(defined.code.clone(), defined.search.id);
            }
            // Reading has checked it.
            let _ = custom.add(&defined.search);
            defined.digest(&mut context);
        }
        let mut fingerprint = [0; 16];
        fingerprint.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(Arc::new(Inner { defined, by_code, custom, fingerprint }))
    }

    fn defined(&self, id: ParameterId) -> Option<&Defined> {
        self.0.defined.get(id.index().checked_sub(PARAMETER_COUNT)?)
    }

    /// The parameter that a search for this type means by this code.
    pub fn find(&self, resource_type: ResourceType, code: &str) -> Option<ParameterId> {
        let custom = self.0.by_code.get(&resource_type).and_then(|codes| codes.get(code)).copied();
        custom.or_else(|| search::parameter(resource_type, code))
    }

    /// The parameters that a search for this type may name, each once: those of the store, then the standard's.
    pub fn of_type(&self, resource_type: ResourceType) -> Vec<ParameterId> {
        let mut ids: Vec<_> =
            self.0.by_code.get(&resource_type).into_iter().flat_map(HashMap::values).copied().collect();
        ids.sort_unstable();
        let standard = search::parameters_of(resource_type).iter().copied();
        ids.extend(standard.filter(|id| self.find(resource_type, id.parameter().code) == Some(*id)));
        ids
    }

    /// How its values compare.
    pub fn type_of(&self, id: ParameterId) -> ParameterType {
        self.defined(id).map_or_else(|| id.parameter().parameter_type, |defined| defined.search.parameter_type)
    }

    /// Its name in a query.
    pub fn code(&self, id: ParameterId) -> &str {
        self.defined(id).map_or_else(|| id.parameter().code, |defined| &defined.code)
    }

    /// Its canonical url.
    pub fn url(&self, id: ParameterId) -> String {
        self.defined(id).map_or_else(|| id.parameter().url(), |defined| defined.url.clone())
    }

    /// What a reference parameter may lead to.
    pub fn targets(&self, id: ParameterId) -> &Targets {
        self.defined(id).map_or_else(|| &id.parameter().targets, |defined| &defined.search.targets)
    }

    /// The parameters that say how the parts of a composite compare, in their order; none for another type.
    pub fn components(&self, id: ParameterId) -> Vec<ParameterId> {
        match self.defined(id) {
            Some(defined) => defined.components.clone(),
            None => {
                let components = id.parameter().components.iter();
                components.filter_map(|component| standard_by_id(component.definition)).collect()
            }
        }
    }

    /// Digest of the definitions: an index that was built under another one has to be built again.
    pub fn fingerprint(&self) -> [u8; 16] {
        self.0.fingerprint
    }

    /// Gives each value of each parameter that applies to the resource to `sink`.
    pub fn extract<'v>(&self, resource: &'v Json<'_>, sink: &mut dyn FnMut(ParameterId, Value<'v>)) {
        search::extract(resource, sink);
        self.0.custom.extract(resource, sink);
    }

    /// Whether the parameter is `_id` or `_lastUpdated`, which are not values of a document but its head.
    pub(crate) fn is_head(&self, id: ParameterId) -> bool {
        matches!(id.parameter().code, "_id" | "_lastUpdated")
    }
}

/// A parameter of R4 by the end of its url.
fn standard_by_id(id: &str) -> Option<ParameterId> {
    // The table is sorted by id; a test of its crate holds it to that.
    let place = search::parameters().binary_search_by(|known| known.id.cmp(id)).ok()?;
    u16::try_from(place).ok().map(ParameterId::from_index)
}

/// A text with its length before it, so that no two lists of texts have the same bytes.
fn update(context: &mut digest::Context, text: &str) {
    context.update(&(text.len() as u64).to_be_bytes());
    context.update(text.as_bytes());
}

/// Digest of the parameters of R4.
fn standard_digest() -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for parameter in search::parameters() {
        update(&mut context, parameter.id);
        update(&mut context, parameter.code);
        update(&mut context, parameter.parameter_type.as_str());
        update(&mut context, &parameter.bases.join(" "));
        update(&mut context, parameter.expression);
        for component in &parameter.components {
            update(&mut context, component.definition);
            update(&mut context, component.expression);
        }
    }
    context.finish()
}
