//! The walk over a resource beside the rules of R4 itself: invariants, extensions, bindings, what `meta.profile` names.

use super::bundles::Entries;
use super::{Check, Scope};
use crate::base::{self, DEFINITION, ElementRules, base};
use crate::instance::{Instance, push_items};
use crate::place::Place;
use std::rc::Rc;
use tacet_fhir::definitions::{Group, Kind, tables};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{IssueType, Severity};

/// The system of LOINC codes.
const LOINC: &str = "http://loinc.org";
/// The LOINC codes of vital signs, with the profile of each: R4, "Vital Signs Profiles".
const VITAL_SIGNS: [(&str, &str); 10] = [
    ("85353-1", "vitalspanel"),
    ("9279-1", "resprate"),
    ("8867-4", "heartrate"),
    ("2708-6", "oxygensat"),
    ("8310-5", "bodytemp"),
    ("8302-2", "bodyheight"),
    ("9843-4", "headcircum"),
    ("29463-7", "bodyweight"),
    ("39156-5", "bmi"),
    ("85354-9", "bp"),
];

/// The element that an extension stands in.
#[derive(Clone, Copy)]
pub(super) struct Owner<'v> {
    /// Its type: `Patient`, `HumanName`, `BackboneElement`, `code`.
    pub(super) type_name: &'static str,
    /// The group that has it as a member, and its name there; `None` for a resource.
    pub(super) element: Option<(&'static Group, &'static str)>,
    /// The group of its members, for parts.
    pub(super) group: Option<&'static Group>,
    /// The address of the extension that it is, if it is one.
    pub(super) extension_url: Option<&'v str>,
    /// The element itself.
    pub(super) holder: Instance<'v>,
}

impl<'v> Check<'v> {
    /// A resource: what was sent, an entry of a bundle, or a contained one.
    pub(super) fn resource(&mut self, value: &'v Json<'v>, scope: &Scope<'v>, place: &Place<'_>) {
        let instance = Instance::resource(value);
        let Some(group) = instance.group() else { return };
        if !self.step(place) {
            return;
        }
        let mut own = scope.clone();
        own.resource = value;
        if group.path() == "Bundle" {
            let entries = Rc::new(Entries::of(value, scope.bundle.clone()));
            if self.is_full() {
                self.bundle(value, &entries, place);
            }
            own.bundle = Some(entries);
        }
        let owner =
            Owner { type_name: group.path(), element: None, group: Some(group), extension_url: None, holder: instance };
        self.members(instance, group, owner, &own, place);
        if group.member("contained").is_some() {
            self.contained_are_used(value, place);
            if self.is_full() && std::ptr::eq(own.resource, own.root) && value.get("text").is_none_or(has_no_div) {
                let message = "a resource should have a narrative (dom-6)";
                self.report(Severity::Warning, IssueType::Invariant, place, || message);
            }
        }
        if self.is_full() {
            let stated = value.get("meta").and_then(|meta| meta.get("profile")).map(Json::items).unwrap_or_default();
            for canonical in stated.iter().filter_map(Json::as_str) {
                self.named_profile(canonical, instance, &own, place, Severity::Warning);
            }
            match group.path() {
                "QuestionnaireResponse" => self.questionnaire_response(value, &own, place),
                "Observation" => self.vital_sign(value, instance, &own, place),
                "MeasureReport" => self.measure_report(value, place),
                own_type => self.definition(own_type, value, place),
            }
        }
    }

    /// A vital sign has the profile that R4 gives its LOINC code
    /// (<https://hl7.org/fhir/R4/observation-vitalsigns.html>): whoever uses the code says that it is one.
    fn vital_sign(&mut self, value: &'v Json<'v>, instance: Instance<'v>, scope: &Scope<'v>, place: &Place<'_>) {
        let codings = value.get("code").and_then(|code| code.get("coding")).map(Json::items).unwrap_or_default();
        let found = codings.iter().find_map(|coding| {
            let code = coding.get_str("code").filter(|_| coding.get_str("system") == Some(LOINC))?;
            VITAL_SIGNS.iter().find(|(known, _)| *known == code)
        });
        if let Some((_, profile)) = found {
            self.named_profile(&format!("{DEFINITION}{profile}"), instance, scope, place, Severity::Warning);
        }
    }

    /// `dom-3`: each contained resource is referred to from what contains it, or refers to it. One walk over the strings
    /// instead of the expression, which walks all descendants once for each contained resource.
    fn contained_are_used(&mut self, value: &'v Json<'v>, place: &Place<'_>) {
        let Some(Json::Array(contained)) = value.get("contained") else { return };
        let mut fragments = std::collections::HashSet::new();
        collect_fragments(value, 0, &mut fragments);
        for (index, item) in contained.iter().enumerate() {
            let Some(id) = item.get_str("id") else { continue };
            let id = id.strip_prefix('#').unwrap_or(id);
            let mut own = std::collections::HashSet::new();
            collect_fragments(item, 0, &mut own);
            if !fragments.contains(id) && !own.contains("") {
                let here = place.child("contained", Some(index));
                let message = "nothing refers to the contained resource, and it refers to nothing around it (dom-3)";
                self.error(IssueType::Invariant, &here, || message);
            }
        }
    }

    /// The members of a resource or an element.
    fn members(
        &mut self,
        instance: Instance<'v>,
        group: &'static Group,
        owner: Owner<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let Some(object) = instance.object() else { return };
        let members = object.members();
        let rules = base().of(group);
        if let Some(rules) = rules {
            for guarded in &rules.rules {
                if !guarded.guard.passes(members, &guarded.rule) {
                    self.rule(&guarded.rule, instance, scope, place);
                }
            }
        }
        let element_rules = rules.filter(|rules| rules.has_elements());
        for (name, value) in members {
            let (bare, is_twin) = name.strip_prefix('_').map_or((&**name, false), |bare| (bare, true));
            let Some(member) = group.member(bare) else { continue };
            let element = group.element(member);
            let on_element = element_rules.and_then(|rules| rules.element(element.name()));
            match member.kind() {
                Kind::Primitive(primitive) => {
                    if !is_twin && self.is_full() {
                        self.addresses(primitive, group, element.name(), value, place);
                    }
                    if on_element.is_some() && (!is_twin || object.get(bare).is_none()) {
                        self.primitives(object, bare, member.kind(), on_element, scope, place);
                    }
                    if is_twin {
                        let url = owner.extension_url.filter(|_| group.path() == "Extension");
                        self.twins(object, bare, member.kind(), (group, element.name(), url), scope, place);
                    }
                }
                Kind::Resource => {
                    for (index, item) in value.iter().enumerate() {
                        let here = place.child(element.name(), value.is_array().then_some(index));
                        if member.name() == "contained" {
                            self.resource(item, scope, &here);
                        } else {
                            let full_url = object.get_str("fullUrl");
                            let own = Scope { resource: item, root: item, bundle: scope.bundle.clone(), full_url };
                            self.resource(item, &own, &here);
                        }
                    }
                }
                Kind::Group(id) => {
                    let inner = tables().group(id);
                    if is_twin || self.is_exhausted {
                        continue;
                    }
                    for (index, item) in value.iter().enumerate() {
                        let index = value.is_array().then_some(index);
                        let here = place.child(element.name(), index);
                        let instance = Instance { value: Some(item), twin: None, kind: member.kind(), index };
                        if inner.path() == "Extension" {
                            self.extension(instance, bare, owner, scope, &here);
                        }
                        if self.is_full() {
                            match inner.path() {
                                "Attachment" => self.attachment(item, &here),
                                "Coding" => self.coding_exists(item, &here),
                                "Identifier" => self.identifier(item, &here),
                                _ => {}
                            }
                        }
                        if let Some(on_element) = on_element {
                            self.element_rules(on_element, instance, scope, &here);
                        }
                        if !self.step(&here) {
                            return;
                        }
                        let own = Owner {
                            type_name: base::type_name(inner),
                            element: Some((group, element.name())),
                            group: Some(inner),
                            extension_url: match (inner.path(), group.path()) {
                                ("Extension", _) => item.get_str("url"),
                                // The value of an extension stands for the extension.
                                (_, "Extension") => owner.extension_url,
                                _ => None,
                            },
                            holder: instance,
                        };
                        self.members(instance, inner, own, scope, &here);
                    }
                }
            }
        }
    }

    /// Primitive values that have rules of their own.
    fn primitives(
        &mut self,
        object: &'v Json<'v>,
        name: &str,
        kind: Kind,
        rules: Option<&ElementRules>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let Some(rules) = rules else { return };
        let mut items = Vec::new();
        push_items(object, name, kind, &mut items);
        for instance in items {
            let here = place.child(name, instance.index);
            self.element_rules(rules, instance, scope, &here);
        }
    }

    /// The extensions of primitive values.
    fn twins(
        &mut self,
        object: &'v Json<'v>,
        name: &str,
        kind: Kind,
        element: (&'static Group, &'static str, Option<&'v str>),
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let mut items = Vec::new();
        push_items(object, name, kind, &mut items);
        for instance in items.into_iter().filter(|instance| instance.twin.is_some()) {
            let here = place.child(element.1, instance.index);
            if !self.step(&here) {
                return;
            }
            let type_name = instance.type_name();
            let (group, name, extension_url) = element;
            let element = Some((group, name));
            let owner = Owner { type_name, element, group: None, extension_url, holder: instance };
            self.members(instance, tables().element(), owner, scope, &here);
        }
    }

    fn element_rules(&mut self, rules: &ElementRules, instance: Instance<'v>, scope: &Scope<'v>, place: &Place<'_>) {
        for guarded in &rules.rules {
            self.rule(&guarded.rule, instance, scope, place);
        }
        if rules.profile.is_some() && instance.value.is_some_and(|value| value.get("comparator").is_some()) {
            let message = "a simple quantity has no comparator (sqty-1)";
            self.error(IssueType::Invariant, place, || message);
        }
        if let Some(binding) = rules.binding.as_ref().filter(|_| self.is_full()) {
            self.base_binding(binding, instance, place);
        }
    }
}

fn has_no_div(text: &Json<'_>) -> bool {
    text.get("div").is_none()
}

/// The ids that the strings of a value refer to: what follows a `#` at the start.
fn collect_fragments<'v>(value: &'v Json<'v>, depth: usize, out: &mut std::collections::HashSet<&'v str>) {
    // The structure has been bounded; this is for trees that did not come from the parser.
    if depth > tacet_fhir::json::DEPTH_CEILING {
        return;
    }
    match value {
        Json::String(text) => {
            if let Some(id) = text.strip_prefix('#') {
                out.insert(id);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| collect_fragments(item, depth + 1, out)),
        Json::Object(members) => members.iter().for_each(|(_, item)| collect_fragments(item, depth + 1, out)),
        _ => {}
    }
}
