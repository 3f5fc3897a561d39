//! The walk over a resource beside its definition.

use super::contents;
use super::place::Place;
use super::{Issue, IssueType, is_well_formed};
use crate::definitions::{Element, Group, GroupKind, Kind, Member, Primitive, Special, Tables, tables};
use crate::json::{Json, Member as JsonMember};
use std::borrow::Cow;
use std::collections::HashMap;
use tacet_types::ResourceType;

/// Deepest nesting that is walked, in elements. The parser's own default bound is reached first; this one is for trees
/// that did not come from it.
const DEPTH_MAX: usize = 128;

/// Longest name of an element that an issue repeats. The longest of R4 has 34 letters.
const NAME_BYTES_MAX: usize = 64;

/// What a resource is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Stands for itself: what was sent, or an entry of a bundle.
    Own,
    /// In `contained`.
    Contained,
}

/// Contained resources by id, each with its type where that is known.
pub(super) type Contained<'j> = HashMap<&'j str, Option<ResourceType>>;

/// The state of one validation.
pub(super) struct Walk<'j> {
    tables: &'static Tables,
    issues: Vec<Issue>,
    issues_max: usize,
    /// The contained resources that fragments may name: those of the resource that is walked. Empty, and so without
    /// an allocation, for most.
    contained: Contained<'j>,
}

impl<'j> Walk<'j> {
    pub(super) fn new(issues_max: usize) -> Self {
        Walk { tables: tables(), issues: Vec::new(), issues_max, contained: HashMap::new() }
    }

    pub(super) fn run(mut self, resource: &'j Json<'j>) -> Vec<Issue> {
        let name = resource.resource_type().and_then(ResourceType::parse).map_or("Resource", ResourceType::as_str);
        self.resource(resource, &Place::root(name), Standing::Own);
        self.issues
    }

    /// Notes a fault. Past the bound only one more is noted, which says so.
    pub(super) fn report(&mut self, code: IssueType, place: &Place<'_>, message: impl Into<Cow<'static, str>>) {
        if self.issues.len() < self.issues_max {
            self.issues.push(Issue::error(code, place.to_string(), message.into()));
        } else if self.issues.len() == self.issues_max {
            self.issues.push(Issue::error(IssueType::TooLong, "", "there are more problems: correct these first"));
        }
    }

    fn structure(&mut self, place: &Place<'_>, message: impl Into<Cow<'static, str>>) {
        self.report(IssueType::Structure, place, message);
    }

    pub(super) fn contained(&self) -> &Contained<'j> {
        &self.contained
    }

    fn resource(&mut self, value: &'j Json<'j>, place: &Place<'_>, standing: Standing) {
        let Json::Object(members) = value else {
            return self.structure(place, "must be an object, a resource");
        };
        let resource_type = match value.get("resourceType") {
            Some(Json::String(name)) => ResourceType::parse(name),
            Some(_) => None,
            None => return self.report(IssueType::Required, place, "`resourceType` is missing"),
        };
        let Some(group) = resource_type.and_then(|resource_type| self.tables.resource(resource_type)) else {
            return self.structure(place, "`resourceType` is not a resource type of FHIR R4");
        };
        match standing {
            Standing::Own => {
                let own = contents::contained_by_id(self, value, place);
                let outer = std::mem::replace(&mut self.contained, own);
                self.members(members, group, place);
                self.contained = outer;
            }
            Standing::Contained => {
                self.members(members, group, place);
                contents::contained(self, value, place);
            }
        }
    }

    /// The members of a resource or of an element against their group.
    fn members(&mut self, members: &'j [JsonMember<'j>], group: &'static Group, place: &Place<'_>) {
        let is_resource = group.kind() == GroupKind::Resource;
        let mut seen = 0_u64;
        let mut has_content = is_resource;
        for (name, value) in members {
            if is_resource && name == "resourceType" {
                continue;
            }
            let (bare, is_twin) = name.strip_prefix('_').map_or((&**name, false), |bare| (bare, true));
            let found = group.member(bare).filter(|member| !is_twin || member.is_extensible());
            let Some(member) = found else {
                has_content = true;
                self.unknown(name, place);
                continue;
            };
            has_content |= bare != "id";
            let element = group.element(member);
            if let Some(bit) = element.bit().map(|bit| 1_u64 << bit) {
                if element.is_choice() && seen & bit != 0 {
                    self.choice(members, group, element, bare, place);
                }
                seen |= bit;
            }
            let here = place.child(element.name());
            if is_twin {
                self.twin(members, bare, value, element, &here);
            } else {
                self.member(members, bare, value, member, element, &here);
            }
        }
        if group.required() & !seen != 0 {
            self.missing(group, seen, place);
        }
        if !has_content {
            self.report(IssueType::Invariant, place, "an element must have a value or children (ele-1)");
        }
        if group.special() == Some(Special::Extension) {
            contents::extension(self, members, place);
        }
    }

    fn unknown(&mut self, name: &str, place: &Place<'_>) {
        let bare = name.strip_prefix('_').unwrap_or(name);
        let is_like_an_element = bare.len() <= NAME_BYTES_MAX
            && bare.starts_with(|first: char| first.is_ascii_lowercase())
            && bare.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_like_an_element {
            self.structure(&place.child(name), "unknown element");
        } else {
            self.structure(place, "has an unknown element");
        }
    }

    fn missing(&mut self, group: &Group, seen: u64, place: &Place<'_>) {
        for element in group.elements().iter().filter(|element| element.is_required()) {
            if element.bit().is_some_and(|bit| seen & (1 << bit) == 0) {
                self.report(IssueType::Required, &place.child(element.name()), "required element is missing");
            }
        }
    }

    /// A choice was seen before: under the same name it is the value and its twin, under another a second value.
    fn choice(
        &mut self,
        members: &[JsonMember<'_>],
        group: &'static Group,
        element: &Element,
        bare: &str,
        place: &Place<'_>,
    ) {
        let first = members.iter().find_map(|(name, _)| {
            let name = name.strip_prefix('_').unwrap_or(name);
            let member = group.member(name)?;
            (group.element(member).name() == element.name()).then_some(name)
        });
        if first != Some(bare) {
            self.structure(&place.child(element.name()), "only one of the types of a choice may be given");
        }
    }

    /// A member that holds values.
    fn member(
        &mut self,
        siblings: &'j [JsonMember<'j>],
        name: &str,
        value: &'j Json<'j>,
        member: &'static Member,
        element: &'static Element,
        place: &Place<'_>,
    ) {
        match (element.is_many(), value) {
            (true, Json::Array(items)) => {
                if items.is_empty() {
                    self.structure(place, "an array must not be empty: leave it out");
                }
                let mut twins = None;
                for (index, item) in items.iter().enumerate() {
                    let place = place.item(index);
                    if item.is_null() && matches!(member.kind(), Kind::Primitive(_)) {
                        let twins = twins.get_or_insert_with(|| twins_of(siblings, name));
                        if twins.get(index).is_none_or(Json::is_null) {
                            self.structure(&place, "null stands only where `_` and the name give extensions");
                        }
                    } else {
                        self.value(item, member, element, &place);
                    }
                }
            }
            (true, _) => self.structure(place, "must be an array"),
            (false, Json::Array(_)) => self.structure(place, "must not be an array"),
            (false, _) => self.value(value, member, element, place),
        }
    }

    fn value(&mut self, value: &'j Json<'j>, member: &'static Member, element: &'static Element, place: &Place<'_>) {
        match member.kind() {
            Kind::Primitive(primitive) => self.primitive(value, primitive, element, place),
            _ if place.depth() > DEPTH_MAX => self.report(IssueType::TooCostly, place, "nested deeper than allowed"),
            Kind::Resource => {
                // The only member of this name that holds resources is that of DomainResource.
                let contained = member.name() == "contained";
                self.resource(value, place, if contained { Standing::Contained } else { Standing::Own });
            }
            Kind::Group(id) => {
                let group = self.tables.group(id);
                let Json::Object(members) = value else {
                    return self.structure(place, format!("must be an object ({})", group.path()));
                };
                self.members(members, group, place);
                match group.special() {
                    Some(Special::Reference) => contents::reference(self, value, member, place),
                    Some(Special::CodeableConcept) => {
                        if let Some(codes) = element.codes() {
                            contents::coded(self, value, self.tables.code_set(codes), place);
                        }
                    }
                    Some(Special::Extension) | None => {}
                }
            }
        }
    }

    fn primitive(&mut self, value: &Json<'_>, primitive: Primitive, element: &'static Element, place: &Place<'_>) {
        let text = match (primitive, value) {
            (Primitive::Boolean, Json::Bool(_)) => return,
            (Primitive::Boolean, _) => return self.structure(place, "must be true or false"),
            (
                Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt | Primitive::Decimal,
                Json::Number(text),
            ) => text,
            (Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt | Primitive::Decimal, _) => {
                return self.structure(place, "must be a number, not in quotation marks");
            }
            (_, Json::String(text)) => text,
            (_, _) => return self.structure(place, "must be a string"),
        };
        if text.is_empty() {
            return self.report(IssueType::Invariant, place, "a value must not be empty: leave it out (ele-1)");
        }
        if let Err(rule) = super::primitive::check(primitive, text) {
            return self.report(IssueType::Value, place, rule);
        }
        if let Some(codes) = element.codes().map(|id| self.tables.code_set(id))
            && !codes.contains_code(text)
        {
            self.report(
                IssueType::CodeInvalid,
                place,
                format!("not a code of the required value set `{}`", codes.name()),
            );
        }
    }

    /// `_name`: the id and extensions of a primitive value, or what stands there for want of one.
    fn twin(
        &mut self,
        siblings: &'j [JsonMember<'j>],
        name: &str,
        value: &'j Json<'j>,
        element: &'static Element,
        place: &Place<'_>,
    ) {
        let beside = siblings.iter().find(|(sibling, _)| sibling == name).map(|(_, value)| value);
        match (element.is_many(), value) {
            (true, Json::Array(items)) => {
                let values = beside.and_then(Json::as_array).unwrap_or_default();
                if items.is_empty() {
                    self.structure(place, "an array must not be empty: leave it out");
                }
                for (index, item) in items.iter().enumerate() {
                    let place = place.item(index);
                    let beside = values.get(index);
                    if !item.is_null() {
                        self.twin_item(item, beside.is_some_and(|value| !value.is_null()), &place);
                    } else if beside.is_none() {
                        self.structure(&place, "null on both sides: neither a value nor extensions");
                    }
                }
            }
            (true, _) => self.structure(place, "what `_` and the name hold must be an array, as the values are"),
            (false, _) => self.twin_item(value, beside.is_some(), place),
        }
    }

    fn twin_item(&mut self, item: &'j Json<'j>, has_value: bool, place: &Place<'_>) {
        let Json::Object(members) = item else {
            return self.structure(place, "what `_` and the name hold must be an object with an id or extensions");
        };
        let only_an_id = members.iter().all(|(name, _)| name == "id");
        if only_an_id && has_value && !members.is_empty() {
            // The value is the content, so the id alone is not empty: its own shape is what is left to check.
            for (_, id) in members {
                let id_is_right = id.as_str().is_some_and(|id| is_well_formed(Primitive::String, id));
                if !id_is_right {
                    self.report(IssueType::Value, &place.child("id"), "must be a string");
                }
            }
            return;
        }
        self.members(members, self.tables.element(), place);
    }
}

/// The items of the member `_name` beside `name`.
fn twins_of<'s, 'j>(siblings: &'s [JsonMember<'j>], name: &str) -> &'s [Json<'j>] {
    let twin = siblings.iter().find(|(sibling, _)| sibling.strip_prefix('_') == Some(name));
    twin.map(|(_, value)| value.items()).unwrap_or_default()
}
