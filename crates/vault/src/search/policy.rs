//! The setting under which patients are looked for by `Patient/$match` alone, as the French rules for the national identity have it.
//!
//! Two ways stay: the id (`_id`), and a whole identifier (`identifier=system|value` or `identifier=value`). A search that could
//! answer with patients must be held to one of these by each of its alternatives; and nothing anywhere in a search, chained or not,
//! may go by another parameter of a patient. What lies in a patient's compartment is found as before: whoever names it has the id.

use crate::error::VaultError;
use tacet_fhir::compartment::Compartment;
use tacet_fhir::search::{ParameterId, parameter, parameters_of};
use tacet_search::filter::{Filter, Test};
use tacet_search::request::{Scope, SearchRequest};
use tacet_types::ResourceType;

/// Types whose resources are a patient or the same human being.
const PERSONS: [&str; 2] = ["Patient", "Person"];

/// Refuses a search that looks for patients otherwise.
pub(super) fn refuse_looking_for_patients(scope: &Scope, request: &SearchRequest) -> Result<(), VaultError> {
    let persons: Vec<ResourceType> = PERSONS.into_iter().filter_map(ResourceType::parse).collect();
    let of_patient = matches!(scope, Scope::Compartment { compartment: Compartment::Patient, .. });
    let answers_with = request.types.is_empty() || request.types.iter().any(|of| persons.contains(of));
    if answers_with && !of_patient && !is_held(&request.filter, &persons) {
        return Err(VaultError::OnlyByMatch);
    }
    if goes_by_person(&request.filter, &persons) { Err(VaultError::OnlyByMatch) } else { Ok(()) }
}

/// Whether every resource that this means is named by its id or by a whole identifier.
fn is_held(filter: &Filter, persons: &[ResourceType]) -> bool {
    match filter {
        Filter::Nothing | Filter::Keys(_) => true,
        Filter::Value(parameter, test) => is_identifier(*parameter, test, persons),
        Filter::All(all) => all.iter().any(|filter| is_held(filter, persons)),
        Filter::Any(any) => any.iter().all(|filter| is_held(filter, persons)),
        _ => false,
    }
}

fn is_identifier(of: ParameterId, test: &Test, persons: &[ResourceType]) -> bool {
    matches!(test, Test::TokenIs { .. }) && persons.iter().any(|person| parameter(*person, "identifier") == Some(of))
}

/// Whether any part of this goes by what a patient is called, born, lives, has.
fn goes_by_person(filter: &Filter, persons: &[ResourceType]) -> bool {
    let of_person = |id: &ParameterId| persons.iter().any(|person| parameters_of(*person).contains(id));
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().any(|part| goes_by_person(part, persons)),
        Filter::Not(part) => goes_by_person(part, persons),
        Filter::Value(parameter, test) => of_person(parameter) && !is_identifier(*parameter, test, persons),
        Filter::Present(parameter) => of_person(parameter),
        Filter::Chain { target, .. } => {
            goes_by_person(target, persons) || (may_be_person(target, persons) && !is_held(target, persons))
        }
        Filter::Has { source, .. } => {
            goes_by_person(source, persons) || (may_be_person(source, persons) && !is_held(source, persons))
        }
        _ => false,
    }
}

/// Whether this may mean a patient: unless it names types and they are others.
fn may_be_person(filter: &Filter, persons: &[ResourceType]) -> bool {
    match filter {
        Filter::Types(types) => types.iter().any(|of| persons.contains(of)),
        Filter::Keys(keys) => keys.iter().any(|key| persons.contains(&key.resource_type)),
        Filter::Nothing => false,
        Filter::All(all) => all.iter().all(|part| may_be_person(part, persons)),
        Filter::Any(any) => any.iter().any(|part| may_be_person(part, persons)),
        _ => true,
    }
}
