//! The value of an operation: one of FHIR's types, a resource, or an element put together from parts.

use crate::budget::{Budget, DEPTH_MAX};
use crate::error::PatchErrorKind;
use tacet_fhir::definitions::{Group, GroupKind, Kind, Member, Primitive, tables};
use tacet_fhir::json::Json;

/// A value as it stands in a part.
pub(super) struct Value<'p> {
    /// `HumanName` of `valueHumanName`.
    type_name: Option<&'p str>,
    /// What the member holds; that of `resource` too.
    json: Option<&'p Json<'p>>,
    /// What `_valueDate` holds.
    twin: Option<&'p Json<'p>>,
    /// The parts, where there is no value.
    parts: &'p [Json<'p>],
}

/// A value as it goes into the resource: what stands in `name`, and what in `_name`. `null` where there is nothing.
pub(super) struct Made {
    pub(super) json: Json<'static>,
    pub(super) twin: Json<'static>,
}

/// The types that are a Quantity with a narrower meaning: one may be given for another.
const QUANTITIES: [&str; 7] = ["Age", "Count", "Distance", "Duration", "MoneyQuantity", "Quantity", "SimpleQuantity"];

impl<'p> Value<'p> {
    pub(super) fn read(part: &'p Json<'p>) -> Option<Self> {
        let mut value = Value { type_name: None, json: None, twin: None, parts: &[] };
        let mut is_resource = false;
        for (name, held) in part.members() {
            if let Some(type_name) = name.strip_prefix("value") {
                value.set_type(type_name)?;
                value.json = Some(held);
            } else if let Some(type_name) = name.strip_prefix("_value") {
                value.set_type(type_name)?;
                value.twin = Some(held);
            } else if name == "resource" {
                is_resource = true;
                value.json = Some(held);
            } else if name == "part" {
                value.parts = held.items();
            }
        }
        let typed = value.type_name.is_some();
        let kinds = usize::from(typed) + usize::from(is_resource) + usize::from(!value.parts.is_empty());
        (kinds == 1).then_some(value)
    }

    /// All members of one choice have one type.
    fn set_type(&mut self, type_name: &'p str) -> Option<()> {
        if self.type_name.is_some_and(|known| known != type_name) {
            return None;
        }
        self.type_name = Some(type_name);
        Some(())
    }

    /// The member of a group that an element name and this value lead to: for a choice (`value`, `value[x]`) the one of
    /// the value's type.
    pub(super) fn member(&self, group: &'static Group, name: &str) -> Option<&'static Member> {
        let name = name.strip_suffix("[x]").unwrap_or(name);
        group.member(name).or_else(|| group.member(&format!("{name}{}", self.type_name?)))
    }

    /// The value as that member holds it, in an object that stands `depth` levels deep.
    pub(super) fn make(&self, member: &Member, depth: usize, budget: &mut Budget) -> Result<Made, PatchErrorKind> {
        if depth >= DEPTH_MAX {
            return Err(PatchErrorKind::TooDeep);
        }
        let mut copied = |json: Option<&Json<'_>>| match json {
            Some(json) => budget.copy(json, depth).map(|()| json.borrowed().into_owned()),
            None => Ok(Json::Null),
        };
        match member.kind() {
            Kind::Primitive(primitive) => {
                let fits = match (primitive, self.json) {
                    _ if self.type_name.is_none() => false,
                    (_, None) => self.twin.is_some(),
                    (Primitive::Boolean, Some(json)) => matches!(json, Json::Bool(_)),
                    (
                        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt | Primitive::Decimal,
                        Some(json),
                    ) => matches!(json, Json::Number(_)),
                    (_, Some(json)) => matches!(json, Json::String(_)),
                };
                let twin_fits = self.twin.is_none_or(|twin| twin.is_object() && member.is_extensible());
                if !fits || !twin_fits {
                    return Err(PatchErrorKind::ValueType);
                }
                Ok(Made { json: copied(self.json)?, twin: copied(self.twin)? })
            }
            Kind::Resource => match self.json {
                Some(json) if self.type_name.is_none() && json.resource_type().is_some() => {
                    Ok(Made { json: copied(Some(json))?, twin: Json::Null })
                }
                _ => Err(PatchErrorKind::ValueType),
            },
            Kind::Group(id) => {
                let group = tables().group(id);
                let json = match (self.type_name, self.json) {
                    (Some(type_name), Some(json))
                        if self.twin.is_none() && fits(type_name, group) && json.is_object() =>
                    {
                        copied(Some(json))?
                    }
                    (None, None) => self.put_together(group, depth + 1, budget)?,
                    _ => return Err(PatchErrorKind::ValueType),
                };
                Ok(Made { json, twin: Json::Null })
            }
        }
    }

    /// An object of the parts: each is a member, and one that repeats is a list.
    fn put_together(
        &self,
        group: &'static Group,
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Json<'static>, PatchErrorKind> {
        let mut object = Json::Object(Vec::new());
        for part in self.parts {
            let name = part.get_str("name").ok_or(PatchErrorKind::Part("name"))?;
            let value = Value::read(part).ok_or(PatchErrorKind::Part("value"))?;
            let member = value.member(group, name).ok_or(PatchErrorKind::UnknownElement)?;
            let made = value.make(member, depth + 1, budget)?;
            put(&mut object, group, member, made)?;
        }
        Ok(object)
    }
}

/// Whether a value of that type can stand where the group is wanted. Parts of resources have no type to be named.
fn fits(type_name: &str, group: &Group) -> bool {
    let is_quantity = |name: &str| QUANTITIES.contains(&name);
    match group.kind() {
        GroupKind::Datatype => group.path() == type_name || (is_quantity(group.path()) && is_quantity(type_name)),
        GroupKind::Resource | GroupKind::Part | GroupKind::Abstract => false,
    }
}

/// Gives an object one value more: the next of a list, or the only one.
pub(super) fn put(
    object: &mut Json<'static>,
    group: &Group,
    member: &Member,
    made: Made,
) -> Result<(), PatchErrorKind> {
    let element = group.element(member);
    if element.is_many() {
        return edit_list(object, member.name(), |items| {
            items.push((made.json, made.twin));
            Ok(())
        });
    }
    let is_there = object.members().iter().any(|(name, _)| {
        let name = name.strip_prefix('_').unwrap_or(name);
        group.member(name).is_some_and(|known| group.element(known).name() == element.name())
    });
    if is_there {
        return Err(PatchErrorKind::AlreadyThere);
    }
    for (name, value) in [(member.name().to_owned(), made.json), (twin_name(member.name()), made.twin)] {
        if !value.is_null() {
            object.set(name, value);
        }
    }
    Ok(())
}

/// Changes a list as pairs of what stands in `name` and in `_name`, and puts both back, as far as there is something
/// in them.
pub(super) fn edit_list<T>(
    object: &mut Json<'static>,
    name: &str,
    edit: impl FnOnce(&mut Vec<(Json<'static>, Json<'static>)>) -> Result<T, PatchErrorKind>,
) -> Result<T, PatchErrorKind> {
    let twin = twin_name(name);
    let mut taken =
        |name: &str| object.get_mut(name).and_then(Json::as_array_mut).map(std::mem::take).unwrap_or_default();
    let (mut values, mut twins) = (taken(name), taken(&twin));
    let count = values.len().max(twins.len());
    values.resize(count, Json::Null);
    twins.resize(count, Json::Null);
    let mut pairs: Vec<_> = values.into_iter().zip(twins).collect();
    let outcome = edit(&mut pairs);
    let (values, twins): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    for (name, items) in [(name.to_owned(), values), (twin, twins)] {
        if items.iter().all(Json::is_null) {
            object.remove(&name);
        } else {
            object.set(name, Json::Array(items));
        }
    }
    outcome
}

/// `_birthDate` of `birthDate`.
pub(super) fn twin_name(name: &str) -> String {
    format!("_{name}")
}
