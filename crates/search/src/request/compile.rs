//! From the parameters of a call to a compiled search.

use super::condition::{Compiler, Leaf};
use super::expression::Expression;
use super::fault::{Fault, Outcome, named};
use super::key::{Key, resource_type};
use super::{Call, Contained, Handling, QueryLimits, Scope, SearchRequest, SortBy, Summary, Total};
use crate::SearchError;
use crate::document;
use crate::filter::{Filter, Test};
use crate::parameters::Parameters;
use crate::terminology::Terminology;
use tacet_fhir::compartment::Compartment;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_fhir::search::ParameterId;
use tacet_types::{ResourceId, ResourceType};

/// Parameters that say one thing only: a second one would contradict the first.
const ONCE: [&str; 6] = ["_count", "_total", "_summary", "_contained", "_containedType", "_type"];

/// Compiles a search.
///
/// A parameter, modifier or type that is not known is an error or, with lenient handling, passed over with an issue and left out of
/// [`SearchRequest::used`]. A value that is not of its form is an error always, and so is what is known and not supported.
///
/// # Errors
/// [`SearchError::Refused`], [`SearchError::TooCostly`] for a bound of `limits`, or what the terminology says.
pub fn compile(
    call: &Call<'_>,
    parameters: &Parameters,
    terminology: &dyn Terminology,
    limits: &QueryLimits,
) -> Result<SearchRequest, SearchError> {
    if call.parameters.len() > limits.parameters_max {
        return Err(SearchError::TooCostly { what: "parameters", max: limits.parameters_max });
    }
    let bytes: usize = call.parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits.bytes_max {
        return Err(SearchError::TooCostly { what: "bytes in its parameters", max: limits.bytes_max });
    }
    let mut compiler = Compiler { call, parameters, terminology, limits, conditions: 0 };
    let mut request = SearchRequest {
        filter: Filter::Everything,
        sort: Vec::new(),
        count: None,
        total: Total::None,
        summary: Summary::False,
        elements: Vec::new(),
        contained: Contained::False,
        includes: Vec::new(),
        types: types_of(&call.scope)?,
        used: Vec::new(),
        issues: Vec::new(),
        made_with: parameters.fingerprint(),
    };
    let mut all = Vec::new();
    // Which types are searched decides what the others mean, so `_type` comes first, wherever it stands.
    let (of_type, others): (Vec<_>, Vec<_>) =
        call.parameters.iter().enumerate().partition(|(_, (name, _))| name == "_type");
    let mut used = Vec::new();
    for (place, (name, value)) in of_type.into_iter().chain(others) {
        match compiler.parameter(name, value, &mut request, &mut all) {
            Ok(()) => used.push(place),
            Err(Fault::Unknown(issue)) if call.handling == Handling::Lenient => request.issues.push(issue),
            Err(fault) => return Err(fault.into_error()),
        }
    }
    used.sort_unstable();
    request.used = used.into_iter().filter_map(|place| call.parameters.get(place).cloned()).collect();
    if let Some(twice) = ONCE.iter().find(|once| request.used.iter().filter(|(name, _)| name == **once).count() > 1) {
        let message = format!("{twice} is given more than once");
        return Err(SearchError::Refused(Box::new(Issue::error(IssueType::Invalid, "", message))));
    }
    if let Scope::Compartment { compartment, id, .. } = &call.scope {
        all.insert(0, compartment_filter(*compartment, id, &request.types));
    }
    if request.types.len() < ResourceType::COUNT {
        all.insert(0, Filter::Types(request.types.clone()));
    }
    let filter = if all.is_empty() { Filter::Everything } else { super::condition::all(all) };
    within_others(call, &mut request)?;
    request.filter = match request.contained {
        Contained::False => filter,
        Contained::True => Filter::Contains(Box::new(filter)),
        Contained::Both => Filter::Any(vec![filter.clone(), Filter::Contains(Box::new(filter))]),
    };
    Ok(request)
}

/// Refuses what has no meaning where what matches is found by another resource within it, and says that it may be of any type.
fn within_others(call: &Call<'_>, request: &mut SearchRequest) -> Result<(), SearchError> {
    if request.contained == Contained::False {
        return Ok(());
    }
    let refused =
        |message: &str| Err(SearchError::Refused(Box::new(Issue::error(IssueType::NotSupported, "", message))));
    if matches!(call.scope, Scope::Compartment { .. }) {
        return refused("contained resources are in no compartment: search them by their type");
    }
    if request.sort.iter().any(|key| matches!(key.parameter, SortBy::Parameter(_))) {
        return refused("contained resources give what holds them no order: sort by _id or _lastUpdated");
    }
    request.types = ResourceType::all().collect();
    Ok(())
}

/// The types that the scope searches, sorted.
fn types_of(scope: &Scope) -> Result<Vec<ResourceType>, SearchError> {
    match scope {
        Scope::System => Ok(ResourceType::all().collect()),
        Scope::Type(resource_type) => Ok(vec![*resource_type]),
        Scope::Compartment { compartment, types: None, .. } => {
            Ok(ResourceType::all().filter(|resource_type| compartment.holds(*resource_type)).collect())
        }
        Scope::Compartment { compartment, types: Some(resource_type), .. } => {
            if compartment.holds(*resource_type) {
                return Ok(vec![*resource_type]);
            }
            let message = format!(
                "{resource_type} is never in the compartment of a {}: search it elsewhere",
                compartment.as_str()
            );
            Err(SearchError::Refused(Box::new(Issue::error(IssueType::NotSupported, "", message))))
        }
    }
}

impl Compiler<'_> {
    fn parameter(
        &mut self,
        name: &str,
        value: &str,
        request: &mut SearchRequest,
        all: &mut Vec<Filter>,
    ) -> Outcome<()> {
        if value.is_empty() {
            return Err(Fault::unknown(format!("the search parameter {} has no value", named(name))));
        }
        match name {
            "_type" => {
                let named = self.alternatives(name, value)?.into_iter().map(|name| {
                    resource_type(name)
                        .map_err(|_| Fault::invalid("_type", "types of resources with commas between them"))
                });
                let named = named.collect::<Outcome<Vec<_>>>()?;
                if matches!(self.call.scope, Scope::Type(_) | Scope::Compartment { types: Some(_), .. }) {
                    return Err(Fault::unknown("_type is known only where more than one type is searched".to_owned()));
                }
                request.types.retain(|resource_type| named.contains(resource_type));
                return Ok(());
            }
            "_query" => {
                return Err(Fault::unsupported("named queries (_query) are not supported".to_owned()));
            }
            "_filter" => {
                let expression = Expression::read(value, self.limits)?;
                let types = request.types.clone();
                all.push(self.expression(&types, &expression, true)?);
                return Ok(());
            }
            _ => {}
        }
        if self.result(name, value, request)? {
            return Ok(());
        }
        let key = Key::read(name, self.limits.chain_depth_max)?;
        let leaf = Leaf::Search { modifier: key.modifier, raw: value };
        all.push(self.condition(&request.types, &key.links, key.name, leaf, true)?);
        Ok(())
    }
}

/// What is in one compartment: itself, and what refers to it by a parameter that the compartment's definition names
/// (<https://hl7.org/fhir/R4/compartmentdefinition.html>). The parameters are the standard's own, whatever else has their names.
fn compartment_filter(compartment: Compartment, id: &ResourceId, types: &[ResourceType]) -> Filter {
    let Some(owner) = ResourceType::parse(compartment.as_str()) else { return Filter::Nothing };
    let key = document::Key { resource_type: owner, id: id.clone() };
    let mut any = Vec::new();
    if types.contains(&owner) {
        any.push(Filter::Keys(vec![key.clone()]));
    }
    let mut groups: Vec<(Vec<ParameterId>, Vec<ResourceType>)> = Vec::new();
    for resource_type in types {
        let codes = compartment.parameters(*resource_type);
        let mut ids: Vec<_> =
            codes.into_iter().filter_map(|code| tacet_fhir::search::parameter(*resource_type, code)).collect();
        ids.sort_unstable();
        ids.dedup();
        match groups.iter_mut().find(|(known, _)| *known == ids) {
            _ if ids.is_empty() => {}
            Some((_, group)) => group.push(*resource_type),
            None => groups.push((ids, vec![*resource_type])),
        }
    }
    for (ids, group) in groups {
        let refers = ids.into_iter().map(|id| Filter::Value(id, Test::ReferenceIs(key.clone()))).collect();
        any.push(Filter::All(vec![Filter::Types(group), Filter::Any(refers)]));
    }
    Filter::Any(any)
}
