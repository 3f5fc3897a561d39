//! Rules about definitions that stand in the text of R4 and in none of its invariants.

use super::Check;
use crate::codes::Membership;
use crate::place::Place;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{IssueType, Severity};
use tacet_fhir::search::{Parameter, parameters};

/// The properties of concepts that R4 defines, with the type of each
/// (<https://hl7.org/fhir/R4/codesystem-concept-properties.html>).
const CONCEPT_PROPERTIES: [(&str, &str); 5] = [
    ("inactive", "boolean"),
    ("deprecated", "dateTime"),
    ("notSelectable", "boolean"),
    ("parent", "code"),
    ("child", "code"),
];
/// Their addresses begin so.
const CONCEPT_PROPERTY: &str = "http://hl7.org/fhir/concept-properties#";
/// The addresses of R4's search parameters begin so.
const SEARCH_PARAMETER: &str = "http://hl7.org/fhir/SearchParameter/";
/// Deepest nesting of items in a questionnaire.
const ITEMS_DEPTH_MAX: usize = 32;

/// The search parameter of R4 that has an address.
fn standard_parameter(canonical: &str) -> Option<&'static Parameter> {
    static BY_ID: LazyLock<HashMap<&'static str, &'static Parameter>> =
        LazyLock::new(|| parameters().iter().map(|parameter| (parameter.id, parameter)).collect());
    let (url, _) = crate::packages::split_canonical(canonical);
    BY_ID.get(url.strip_prefix(SEARCH_PARAMETER)?).copied()
}

/// The items of a member.
fn items<'v>(value: &'v Json<'v>, name: &str) -> &'v [Json<'v>] {
    value.get(name).map(Json::items).unwrap_or_default()
}

impl<'v> Check<'v> {
    /// A resource of that type that defines something.
    pub(super) fn definition(&mut self, resource_type: &str, value: &'v Json<'v>, place: &Place<'_>) {
        match resource_type {
            "StructureDefinition" => self.structure_definition(value, place),
            "CodeSystem" => self.code_system(value, place),
            "ConceptMap" => self.concept_map(value, place),
            "Questionnaire" => self.questionnaire(value, place),
            "SearchParameter" => self.search_parameter(value, place),
            "CapabilityStatement" => self.capability_statement(value, place),
            _ => {}
        }
    }

    fn code_system(&mut self, value: &'v Json<'v>, place: &Place<'_>) {
        if value.get("supplements").is_some() && value.get_str("content") != Some("supplement") {
            let here = place.child("content", None);
            self.error(IssueType::Value, &here, || "the content of a supplement is `supplement`");
        }
        let mut codes = HashSet::new();
        let mut addresses = HashSet::new();
        for (index, property) in items(value, "property").iter().enumerate() {
            let here = place.child("property", Some(index));
            let address = property.get_str("uri");
            let is_new = property.get_str("code").is_none_or(|code| codes.insert(code));
            if !is_new || address.is_some_and(|address| !addresses.insert(address)) {
                self.error(IssueType::Value, &here, || "another property has this code or address");
            }
            let known = address.and_then(|address| address.strip_prefix(CONCEPT_PROPERTY));
            let known = CONCEPT_PROPERTIES.iter().find(|(name, _)| Some(*name) == known);
            if known.is_some_and(|(_, is)| property.get_str("type") != Some(is)) {
                self.error(IssueType::Value, &here, || "the standard gives the property of this address another type");
            }
        }
    }

    /// Codes are of the value sets that the map is said to be between.
    fn concept_map(&mut self, value: &'v Json<'v>, place: &Place<'_>) {
        let set =
            |name: &str| value.get_str(&format!("{name}Canonical")).or_else(|| value.get_str(&format!("{name}Uri")));
        let (source_set, target_set) = (set("source"), set("target"));
        for (index, group) in items(value, "group").iter().enumerate() {
            let group_place = place.child("group", Some(index));
            let (source, target) = (group.get_str("source"), group.get_str("target"));
            for (index, element) in items(group, "element").iter().enumerate() {
                let here = group_place.child("element", Some(index));
                if !self.step(&here) {
                    return;
                }
                self.mapped(Severity::Error, source_set, source, element, &here);
                for (index, mapped) in items(element, "target").iter().enumerate() {
                    // A target may also be a concept that the set, which is only context, leaves out.
                    self.mapped(Severity::Warning, target_set, target, mapped, &here.child("target", Some(index)));
                }
            }
        }
    }

    fn mapped(
        &mut self,
        severity: Severity,
        set: Option<&str>,
        system: Option<&str>,
        element: &'v Json<'v>,
        place: &Place<'_>,
    ) {
        let (Some(set), Some(system), Some(code)) = (set, system, element.get_str("code")) else { return };
        if self.context.terminology.member_of(set, Some(system), code) == Membership::No {
            self.report(
                severity,
                IssueType::CodeInvalid,
                &place.child("code", None),
                || "is not of the value set of the map",
            );
        }
    }

    /// What an item depends on is another item, and none below it: it is looked for among those around, before and after
    /// (<https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen.question>).
    fn questionnaire(&mut self, value: &'v Json<'v>, place: &Place<'_>) {
        let mut all = HashSet::new();
        link_ids(value, &mut all, 0);
        self.conditions(value, &all, place, 0);
    }

    fn conditions(&mut self, value: &'v Json<'v>, all: &HashSet<&'v str>, place: &Place<'_>, depth: usize) {
        if depth > ITEMS_DEPTH_MAX {
            return;
        }
        for (index, item) in items(value, "item").iter().enumerate() {
            let here = place.child("item", Some(index));
            if !self.step(&here) {
                return;
            }
            let conditions = items(item, "enableWhen");
            if !conditions.is_empty() {
                let mut below = HashSet::new();
                link_ids(item, &mut below, 0);
                for (index, condition) in conditions.iter().enumerate() {
                    let Some(question) = condition.get_str("question") else { continue };
                    let condition_place = here.child("enableWhen", Some(index));
                    let here = condition_place.child("question", None);
                    if below.contains(question) {
                        self.error(IssueType::BusinessRule, &here, || "an item cannot depend on an item inside of it");
                    } else if !all.contains(question) {
                        self.error(IssueType::NotFound, &here, || "the questionnaire has no such item");
                    }
                }
            }
            self.conditions(item, all, &here, depth + 1);
        }
    }

    /// A parameter derived from one of R4 has its type, and no type of resource that this one is not for.
    fn search_parameter(&mut self, value: &'v Json<'v>, place: &Place<'_>) {
        let Some(origin) = value.get_str("derivedFrom").and_then(standard_parameter) else { return };
        if value.get_str("type").is_some_and(|is| is != origin.parameter_type.as_str()) {
            let here = place.child("type", None);
            self.error(IssueType::Value, &here, || "is not the type of the parameter that this one is derived from");
        }
        let is_for_all = origin.bases.iter().any(|name| matches!(*name, "Resource" | "DomainResource"));
        for (index, name) in items(value, "base").iter().enumerate() {
            if !is_for_all && name.as_str().is_some_and(|name| !origin.bases.contains(&name)) {
                let here = place.child("base", Some(index));
                self.error(
                    IssueType::Value,
                    &here,
                    || "the parameter that this one is derived from is not for this type",
                );
            }
        }
    }

    /// The search parameters named are of the type stated.
    fn capability_statement(&mut self, value: &'v Json<'v>, place: &Place<'_>) {
        for (index, rest) in items(value, "rest").iter().enumerate() {
            let rest_place = place.child("rest", Some(index));
            self.named_parameters(rest, &rest_place);
            for (index, resource) in items(rest, "resource").iter().enumerate() {
                self.named_parameters(resource, &rest_place.child("resource", Some(index)));
            }
        }
    }

    fn named_parameters(&mut self, holder: &'v Json<'v>, place: &Place<'_>) {
        for (index, named) in items(holder, "searchParam").iter().enumerate() {
            let known = named.get_str("definition").and_then(standard_parameter);
            let stated = named.get_str("type");
            if known.is_some_and(|known| stated.is_some_and(|stated| stated != known.parameter_type.as_str())) {
                let here = place.child("searchParam", Some(index));
                self.error(IssueType::Value, &here, || "is not the type that the definition of the parameter has");
            }
        }
    }
}

/// The link ids of the items below.
fn link_ids<'v>(value: &'v Json<'v>, out: &mut HashSet<&'v str>, depth: usize) {
    if depth > ITEMS_DEPTH_MAX {
        return;
    }
    for item in items(value, "item") {
        out.extend(item.get_str("linkId"));
        link_ids(item, out, depth + 1);
    }
}
