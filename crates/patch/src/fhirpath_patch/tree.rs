//! The changes themselves, beside the definitions.

use super::place::{Place, Step};
use super::value::{Value, edit_list, put, twin_name};
use crate::budget::Budget;
use crate::error::PatchErrorKind;
use tacet_fhir::definitions::{Group, Kind, Member, tables};
use tacet_fhir::json::Json;
use tacet_types::ResourceType;

/// An element that a way leads to.
pub(super) struct Reached<'j> {
    /// Its value.
    pub(super) json: Option<&'j Json<'static>>,
    /// What stands beside a primitive.
    pub(super) twin: Option<&'j Json<'static>>,
    /// What members it can have.
    group: &'static Group,
    /// The group and the member that it is held by; `None` for the resource itself.
    held_by: Option<(&'static Group, &'static Member)>,
}

/// The members of a resource of that type.
pub(super) fn group_of(resource: &Json<'_>) -> Option<&'static Group> {
    tables().resource(ResourceType::parse(resource.resource_type()?)?)
}

/// Goes that way, down from the resource. `None` where it leads to nothing that R4 defines.
pub(super) fn reach<'j>(resource: &'j Json<'static>, steps: &[Step]) -> Option<Reached<'j>> {
    let mut at = Reached { json: Some(resource), twin: None, group: group_of(resource)?, held_by: None };
    for Step { member, index } in steps {
        let holder = at.json.filter(|json| json.is_object()).or(at.twin)?;
        let member = at.group.member(member)?;
        let item = |value: Option<&'j Json<'static>>| match index {
            Some(index) => value.and_then(|list| list.items().get(*index)),
            None => value,
        };
        let json = item(holder.get(member.name()));
        let twin = if member.is_extensible() { item(holder.get(&twin_name(member.name()))) } else { None };
        let group = match member.kind() {
            Kind::Group(id) => tables().group(id),
            Kind::Primitive(_) => tables().element(),
            Kind::Resource => group_of(json?)?,
        };
        at = Reached { json, twin, group, held_by: Some((at.group, member)) };
    }
    Some(at)
}

/// The object that holds the members of the element there: its own, or for a primitive the one beside its value, which
/// is made where there is none yet.
fn holder<'j>(resource: &'j mut Json<'static>, steps: &[Step]) -> Option<&'j mut Json<'static>> {
    let mut at = resource;
    for Step { member, index } in steps {
        let is_object = |value: &Json<'_>| match index {
            Some(index) => value.items().get(*index).is_some_and(Json::is_object),
            None => value.is_object(),
        };
        let has_members = at.get(member).is_some_and(is_object);
        let name = if has_members { member.clone() } else { twin_name(member) };
        if at.get(&name).is_none() {
            at.set(name.clone(), if index.is_some() { Json::Array(Vec::new()) } else { Json::Object(Vec::new()) });
        }
        at = at.get_mut(&name)?;
        if let Some(index) = index {
            let items = at.as_array_mut()?;
            if items.len() <= *index {
                items.resize(index + 1, Json::Null);
            }
            at = items.get_mut(*index)?;
            if at.is_null() {
                *at = Json::Object(Vec::new());
            }
        }
    }
    Some(at)
}

/// How deep in the JSON form the members of an element stand.
fn depth(steps: &[Step]) -> usize {
    1 + steps.iter().map(|step| 1 + usize::from(step.index.is_some())).sum::<usize>()
}

/// A place is in the tree that it was found in; this error tells of a fault of ours and of nothing else.
const LOST: PatchErrorKind = PatchErrorKind::NotFound("path");

pub(super) fn add(
    resource: &mut Json<'static>,
    place: &Place,
    name: &str,
    value: &Value<'_>,
    budget: &mut Budget,
) -> Result<(), PatchErrorKind> {
    let group = reach(resource, &place.steps).ok_or(LOST)?.group;
    let member = value.member(group, name).ok_or(PatchErrorKind::UnknownElement)?;
    let made = value.make(member, depth(&place.steps) + 1, budget)?;
    let holder = holder(resource, &place.steps).ok_or(LOST)?;
    budget.spend(holder.get(member.name()).map_or(0, |list| list.items().len()))?;
    put(holder, group, member, made)
}

/// The way to what holds an element, and the last step to it.
fn parent(place: &Place) -> Result<(&Step, &[Step]), PatchErrorKind> {
    // The resource itself is replaced by an update and removed by a delete, not by a patch.
    place.steps.split_last().ok_or(PatchErrorKind::NotAnElement)
}

pub(super) fn replace(
    resource: &mut Json<'static>,
    place: &Place,
    value: &Value<'_>,
    budget: &mut Budget,
) -> Result<(), PatchErrorKind> {
    let (last, above) = parent(place)?;
    let (group, member) = reach(resource, &place.steps).and_then(|reached| reached.held_by).ok_or(LOST)?;
    // A choice may get a value of another of its types.
    let element = group.element(member);
    let wanted = if element.is_choice() { value.member(group, element.name()) } else { Some(member) };
    let wanted =
        wanted.filter(|wanted| group.element(wanted).name() == element.name()).ok_or(PatchErrorKind::ValueType)?;
    let made = value.make(wanted, depth(&place.steps), budget)?;
    let holder = holder(resource, above).ok_or(LOST)?;
    if let Some(index) = last.index {
        return edit_list(holder, member.name(), |items| {
            budget.spend(items.len())?;
            *items.get_mut(index).ok_or(LOST)? = (made.json, made.twin);
            Ok(())
        });
    }
    let Some(members) = holder.as_object_mut() else { return Err(LOST) };
    let twin = twin_name(member.name());
    let at = members.iter().position(|(name, _)| name == member.name() || *name == twin.as_str()).ok_or(LOST)?;
    members.retain(|(name, _)| name != member.name() && *name != twin.as_str());
    for (name, json) in [(twin_name(wanted.name()), made.twin), (wanted.name().to_owned(), made.json)] {
        if !json.is_null() {
            members.insert(at.min(members.len()), (name.into(), json));
        }
    }
    Ok(())
}

/// Takes an element out, and what holds it too where nothing is left in that.
pub(super) fn delete(resource: &mut Json<'static>, place: &Place, budget: &mut Budget) -> Result<(), PatchErrorKind> {
    let (mut last, mut above) = parent(place)?;
    loop {
        let holder = holder(resource, above).ok_or(LOST)?;
        match last.index {
            Some(index) => edit_list(holder, &last.member, |items| {
                budget.spend(items.len())?;
                if index >= items.len() {
                    return Err(LOST);
                }
                items.remove(index);
                Ok(())
            })?,
            None => {
                holder.remove(&last.member);
                holder.remove(&twin_name(&last.member));
            }
        }
        if !holder.members().is_empty() {
            return Ok(());
        }
        match above.split_last() {
            // A primitive whose extensions are gone keeps its value, and then only the object beside it goes.
            Some((step, further)) if has_value(resource, above) => return drop_twin(resource, step, further),
            Some((step, further)) => (last, above) = (step, further),
            None => return Ok(()),
        }
    }
}

fn has_value(resource: &Json<'static>, steps: &[Step]) -> bool {
    let reached = reach(resource, steps);
    reached.and_then(|reached| reached.json).is_some_and(|json| !json.is_null() && !json.is_object())
}

fn drop_twin(resource: &mut Json<'static>, last: &Step, above: &[Step]) -> Result<(), PatchErrorKind> {
    let holder = holder(resource, above).ok_or(LOST)?;
    match last.index {
        Some(index) => edit_list(holder, &last.member, |items| {
            items.get_mut(index).ok_or(LOST)?.1 = Json::Null;
            Ok(())
        }),
        None => {
            holder.remove(&twin_name(&last.member));
            Ok(())
        }
    }
}

/// The way to what holds a list, and its member: the places must be all items of it, in their order.
fn list<'f>(
    resource: &Json<'static>,
    found: &'f [Place],
) -> Result<(&'f [Step], &'f str, &'static Member), PatchErrorKind> {
    let (last, above) = found.first().ok_or(PatchErrorKind::NotFound("path")).and_then(parent)?;
    for (number, place) in found.iter().enumerate() {
        let (step, way) = parent(place)?;
        if way != above || step.member != last.member || step.index != Some(number) {
            return Err(PatchErrorKind::NotAList);
        }
    }
    let next = Step { member: last.member.clone(), index: Some(found.len()) };
    let way: Vec<_> = above.iter().cloned().chain([next]).collect();
    let more = reach(resource, &way).is_some_and(|reached| reached.json.is_some() || reached.twin.is_some());
    let (_, member) = found.first().and_then(|place| reach(resource, &place.steps)?.held_by).ok_or(LOST)?;
    if more { Err(PatchErrorKind::NotAList) } else { Ok((above, &last.member, member)) }
}

pub(super) fn insert(
    resource: &mut Json<'static>,
    found: &[Place],
    index: usize,
    value: &Value<'_>,
    budget: &mut Budget,
) -> Result<(), PatchErrorKind> {
    let (above, name, member) = list(resource, found)?;
    let made = value.make(member, depth(above) + 2, budget)?;
    edit_list(holder(resource, above).ok_or(LOST)?, name, |items| {
        budget.spend(items.len())?;
        if index > items.len() {
            return Err(PatchErrorKind::PastTheEnd("index"));
        }
        items.insert(index, (made.json, made.twin));
        Ok(())
    })
}

/// `move`: the item is taken out first, and `destination` counts what is left.
pub(super) fn shift(
    resource: &mut Json<'static>,
    found: &[Place],
    source: usize,
    destination: usize,
    budget: &mut Budget,
) -> Result<(), PatchErrorKind> {
    let (above, name, _) = list(resource, found)?;
    edit_list(holder(resource, above).ok_or(LOST)?, name, |items| {
        budget.spend(items.len())?;
        if source >= items.len() {
            return Err(PatchErrorKind::PastTheEnd("source"));
        }
        if destination >= items.len() {
            return Err(PatchErrorKind::PastTheEnd("destination"));
        }
        let item = items.remove(source);
        items.insert(destination, item);
        Ok(())
    })
}
