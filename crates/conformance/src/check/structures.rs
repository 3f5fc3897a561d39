//! What a StructureDefinition of R4 says, held against the types that it constrains
//! (<https://hl7.org/fhir/R4/profiling.html>).

use super::Check;
use super::values::is_same;
use crate::base::base;
use crate::place::Place;
use crate::profile::{Profile, ROOT};
use std::sync::Arc;
use tacet_fhir::definitions::{Group, Kind, tables};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::IssueType;

/// Most names in one path.
const PATH_NAMES_MAX: usize = 64;
/// Types whose place any profile on a type derived from them can take.
const ABSTRACT: [&str; 4] = ["Resource", "DomainResource", "Element", "BackboneElement"];

/// What a path leads to.
#[derive(Clone, Copy)]
enum Found {
    /// An element with these members.
    Group(&'static Group),
    /// Something whose type the definition tells elsewhere.
    Anything,
    Nothing,
}

impl<'v> Check<'v> {
    /// The rules of a definition that its invariants do not say.
    pub(super) fn structure_definition(&mut self, value: &'v Json<'v>, place: &Place<'_>) {
        // Definitions for other versions of the standard constrain other types.
        if value.get_str("fhirVersion").is_some_and(|version| !version.starts_with("4.0")) {
            return;
        }
        let Some(type_name) = value.get_str("type") else { return };
        if !type_name.contains(':') && !base().is_type(type_name) && type_name != "xhtml" {
            let message = "R4 has no such type: a type of one's own is named by an absolute address";
            self.error(IssueType::Value, &place.child("type", None), || message);
        }
        let base_url = value.get_str("baseDefinition").unwrap_or_default();
        if value.get_str("url").is_some_and(|url| url == base_url) {
            let here = place.child("baseDefinition", None);
            self.error(IssueType::Value, &here, || "a definition cannot be derived from itself");
        }
        let is_constraint = value.get_str("derivation") == Some("constraint");
        let constrained = is_constraint.then(|| self.packages.profile(base_url)).flatten();
        for part in ["differential", "snapshot"] {
            let part_place = place.child(part, None);
            let elements = value.get(part).and_then(|part| part.get("element")).map(Json::items).unwrap_or_default();
            for (index, element) in elements.iter().enumerate() {
                let here = part_place.child("element", Some(index));
                if !self.step(&here) {
                    return;
                }
                self.element_definition(type_name, constrained.as_ref(), element, &here);
            }
        }
    }

    fn element_definition(
        &mut self,
        type_name: &str,
        constrained: Option<&Arc<Profile>>,
        element: &'v Json<'v>,
        place: &Place<'_>,
    ) {
        let Some(path) = element.get_str("path") else { return };
        let names: Vec<&str> = path.split('.').take(PATH_NAMES_MAX).collect();
        let Some((first, names)) = names.split_first() else { return };
        let here = place.child("path", None);
        if Some(*first) != type_name.rsplit('/').next() {
            return self.error(IssueType::Value, &here, || "the path does not begin with the type of the definition");
        }
        let found = tables().find(type_name).map_or(Found::Anything, |group| walk(Found::Group(group), names));
        if matches!(found, Found::Nothing) {
            self.error(IssueType::Value, &here, || "R4 has no such element");
        }
        self.discriminators(found, element, place);
        self.profiles_of_types(element, place);
        if let Some(constrained) = constrained {
            self.fixed_again(constrained, names, element, place);
        }
    }

    /// The paths by which slices are told apart lead somewhere.
    fn discriminators(&mut self, found: Found, element: &'v Json<'v>, place: &Place<'_>) {
        let slicing = element.get("slicing");
        let discriminators = slicing.and_then(|slicing| slicing.get("discriminator")).map(Json::items);
        for (index, discriminator) in discriminators.unwrap_or_default().iter().enumerate() {
            let path = discriminator.get_str("path").unwrap_or_default();
            let names: Vec<&str> = path
                .split('.')
                .take(PATH_NAMES_MAX)
                .filter(|name| *name != "$this")
                // What follows a function is of a type that only an instance tells.
                .take_while(|name| !name.contains(['(', ')', '\'']))
                .collect();
            if matches!(walk(found, &names), Found::Nothing) && !matches!(found, Found::Nothing) {
                let slicing = place.child("slicing", None);
                let here = slicing.child("discriminator", Some(index));
                self.error(IssueType::Value, &here, || "the element that is sliced has no such element");
            }
        }
    }

    /// A profile on a type is one on that type.
    fn profiles_of_types(&mut self, element: &'v Json<'v>, place: &Place<'_>) {
        let types = element.get("type").map(Json::items).unwrap_or_default();
        for (index, rule) in types.iter().enumerate() {
            let Some(code) = rule.get_str("code") else { continue };
            if ABSTRACT.contains(&code) || !base().is_type(code) {
                continue;
            }
            let profiles = rule.get("profile").map(Json::items).unwrap_or_default();
            for (at, canonical) in profiles.iter().enumerate() {
                let Some(canonical) = canonical.as_str().filter(|canonical| !canonical.contains('#')) else { continue };
                if self.packages.profile(canonical).is_some_and(|profile| profile.type_name != code) {
                    let rule_place = place.child("type", Some(index));
                    let here = rule_place.child("profile", Some(at));
                    self.error(IssueType::Value, &here, || "is a profile on another type");
                }
            }
        }
    }

    /// What the base fixes stays as it is.
    fn fixed_again(&mut self, constrained: &Profile, names: &[&str], element: &'v Json<'v>, place: &Place<'_>) {
        let is_slice = element.get_str("id").is_some_and(|id| id.contains(':')) || element.get("sliceName").is_some();
        let fixed = element.members().iter().find(|(name, _)| name.starts_with("fixed")).map(|(_, value)| value);
        let (false, Some(fixed)) = (is_slice, fixed) else { return };
        let node =
            names.iter().try_fold(ROOT, |node, name| constrained.child(node, name.strip_suffix("[x]").unwrap_or(name)));
        let before = node.and_then(|node| constrained.node(node).fixed.as_ref());
        if before.is_some_and(|before| !is_same(fixed, before, 0)) {
            self.error(IssueType::Value, place, || "the definition that this one is derived from fixes another value");
        }
    }
}

/// What names lead to, one after the other.
fn walk(from: Found, names: &[&str]) -> Found {
    names.iter().fold(from, |found, name| match found {
        Found::Group(group) => step(group, name),
        other => other,
    })
}

/// The member of that name: by its own name, as a choice (`value[x]`, `value`), or as one type of a choice.
fn step(group: &'static Group, name: &str) -> Found {
    let bare = name.strip_suffix("[x]").unwrap_or(name);
    let mut members =
        group.members().iter().filter(|member| member.name() == bare || group.element(member).name() == bare);
    match (members.next(), members.next()) {
        // The value of a primitive is an element of its definition.
        (None, _) if bare == "value" && group.path() == "Element" => Found::Anything,
        (None, _) => Found::Nothing,
        (Some(only), None) => match only.kind() {
            Kind::Group(id) => Found::Group(tables().group(id)),
            Kind::Primitive(_) => Found::Group(tables().element()),
            Kind::Resource => Found::Anything,
        },
        _ => Found::Anything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_the_tables_of_the_standard() {
        let leads = |path: &str| {
            let names: Vec<&str> = path.split('.').collect();
            let group = tables().find(names[0]).expect("a type");
            !matches!(walk(Found::Group(group), &names[1..]), Found::Nothing)
        };
        for known in [
            "Observation",
            "Observation.value[x]",
            "Observation.valueQuantity.code",
            "Observation.component.value[x].coding",
            "Patient.contact.name.given.extension",
            "Patient.active.value",
            "Questionnaire.item.item.item.linkId",
            "Bundle.entry.resource.anything",
            "Extension.value[x]",
        ] {
            assert!(leads(known), "{known}");
        }
        for unknown in ["Observation.valueBla", "Patient.name.first", "Patient.contact.given", "Extension.type"] {
            assert!(!leads(unknown), "{unknown}");
        }
    }
}
