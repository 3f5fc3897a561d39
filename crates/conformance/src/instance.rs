//! An element of a resource beside what R4 says it is: its value, its `_name` twin and its type.

use crate::base;
use tacet_fhir::definitions::{Group, Kind, tables};
use tacet_fhir::json::Json;
use tacet_types::ResourceType;

/// One element of a resource: one item where the element repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance<'v> {
    /// The value; `None` where only extensions stand for it.
    pub(crate) value: Option<&'v Json<'v>>,
    /// The object in `_name`.
    pub(crate) twin: Option<&'v Json<'v>>,
    /// What R4 says that stands here.
    pub(crate) kind: Kind,
    /// Its number where the element repeats.
    pub(crate) index: Option<usize>,
}

impl<'v> Instance<'v> {
    /// A resource.
    pub(crate) fn resource(value: &'v Json<'v>) -> Self {
        Instance { value: Some(value), twin: None, kind: Kind::Resource, index: None }
    }

    /// The members that R4 gives it: of its type, or of every element where it is a primitive.
    pub(crate) fn group(&self) -> Option<&'static Group> {
        match self.kind {
            Kind::Group(id) => Some(tables().group(id)),
            Kind::Resource => {
                let resource_type = ResourceType::parse(self.value?.resource_type()?)?;
                tables().resource(resource_type)
            }
            Kind::Primitive(_) => Some(tables().element()),
        }
    }

    /// Its type's name.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Primitive(primitive) => primitive.as_str(),
            Kind::Group(_) | Kind::Resource => self.group().map_or("Resource", base::type_name),
        }
    }

    /// The text of a string, or the digits of a number.
    pub(crate) fn text(&self) -> Option<&'v str> {
        self.value.and_then(|value| value.as_str().or_else(|| value.as_number()))
    }

    /// The object that holds its members: the twin of a primitive.
    pub(crate) fn object(&self) -> Option<&'v Json<'v>> {
        match self.kind {
            Kind::Primitive(_) => self.twin,
            _ => self.value,
        }
    }

    /// The elements of a name (without `[x]`) in it, in their order.
    pub(crate) fn children(&self, name: &str) -> Vec<Instance<'v>> {
        let (Some(group), Some(object)) = (self.group(), self.object()) else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(member) = group.member(name)
            && !group.element(member).is_choice()
        {
            push_items(object, name, member.kind(), &mut found);
            return found;
        }
        for member in group.members().iter().filter(|member| {
            let element = group.element(member);
            element.is_choice() && element.name() == name
        }) {
            push_items(object, member.name(), member.kind(), &mut found);
        }
        found
    }
}

/// The items of a member and of its twin, side by side.
pub(crate) fn push_items<'v>(object: &'v Json<'v>, name: &str, kind: Kind, out: &mut Vec<Instance<'v>>) {
    let value = object.get(name);
    let twin = match kind {
        Kind::Primitive(_) => twin_of(object, name),
        _ => None,
    };
    push_pair(value, twin, kind, out);
}

/// The member `_name`.
fn twin_of<'v>(object: &'v Json<'v>, name: &str) -> Option<&'v Json<'v>> {
    object.members().iter().find(|(known, _)| known.strip_prefix('_') == Some(name)).map(|(_, value)| value)
}

fn push_pair<'v>(value: Option<&'v Json<'v>>, twin: Option<&'v Json<'v>>, kind: Kind, out: &mut Vec<Instance<'v>>) {
    match (value, twin) {
        (None, None) => {}
        (Some(Json::Array(values)), twin) => {
            let twins = twin.map(Json::items).unwrap_or_default();
            for index in 0..values.len().max(twins.len()) {
                push_one(values.get(index), twins.get(index), kind, Some(index), out);
            }
        }
        (None, Some(Json::Array(twins))) => {
            for (index, twin) in twins.iter().enumerate() {
                push_one(None, Some(twin), kind, Some(index), out);
            }
        }
        (value, twin) => push_one(value, twin, kind, None, out),
    }
}

fn push_one<'v>(
    value: Option<&'v Json<'v>>,
    twin: Option<&'v Json<'v>>,
    kind: Kind,
    index: Option<usize>,
    out: &mut Vec<Instance<'v>>,
) {
    let value = value.filter(|value| !value.is_null());
    let twin = twin.filter(|twin| !twin.is_null());
    if value.is_some() || twin.is_some() {
        out.push(Instance { value, twin, kind, index });
    }
}
