//! From an element to its members.

use super::{Evaluation, Result};
use crate::item::{Collection, Item, NULL, Node};
use crate::location::Step;
use crate::model::{NodeType, type_of_kind};
use crate::syntax::Member;
use tacet_fhir::definitions::{Group, Kind, tables};
use tacet_fhir::json::Json;

/// A member that was found: its element's name, its own, its value and what stands beside it.
struct Found<'v> {
    element: &'v str,
    member: &'v str,
    json: Option<&'v Json<'v>>,
    extra: Option<&'v Json<'v>>,
    kind: Option<Kind>,
}

impl<'v> Evaluation<'_, 'v> {
    /// A name at the head of a path: the type of what the path starts at, or a member of it.
    pub(super) fn head(&self, member: &'v Member, this: &[Item<'v>]) -> Result<Collection<'v>> {
        if let Some(kind) = member.kind {
            self.step(this.len())?;
            let of_type: Collection<'v> =
                this.iter().filter(|item| item.node().is_some_and(|node| node.kind.is(kind))).cloned().collect();
            if !of_type.is_empty() {
                return Ok(of_type);
            }
        }
        self.member(&member.name, this)
    }

    /// The members of that name.
    pub(super) fn member(&self, name: &'v str, items: &[Item<'v>]) -> Result<Collection<'v>> {
        let mut out = Vec::new();
        for item in items {
            self.step(1)?;
            match item {
                Item::Node(node) => {
                    if let Some(found) = find(node, name) {
                        self.take(node, &found, &mut out)?;
                    }
                }
                Item::Type(info) => match name {
                    "namespace" => out.push(Item::text(info.namespace)),
                    "name" => out.push(Item::text(info.name)),
                    _ => {}
                },
                Item::Quantity(quantity) => match name {
                    "value" => out.push(Item::Decimal(quantity.value)),
                    "unit" | "code" => out.extend(quantity.unit_text().map(Item::String)),
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(out)
    }

    /// All members of an element, in their order.
    pub(super) fn children(&self, node: &Node<'v>, out: &mut Collection<'v>) -> Result<()> {
        let object = holder(node);
        for (name, json) in object.members() {
            self.step(1)?;
            let (plain, beside) = match name.strip_prefix('_') {
                Some(plain) => (plain, true),
                None => (name.as_ref(), false),
            };
            if plain == "resourceType" || (beside && object.get(plain).is_some()) {
                continue;
            }
            let (element, kind) = match group(node) {
                Some(group) => match group.member(plain) {
                    Some(member) => (group.element(member).name(), Some(member.kind())),
                    None => (plain, None),
                },
                None => (plain, None),
            };
            let (json, extra) = if beside { (None, Some(json)) } else { (Some(json), sibling(object, plain)) };
            self.take(node, &Found { element, member: plain, json, extra, kind }, out)?;
        }
        Ok(())
    }

    /// Makes an item of each value of a member.
    fn take(&self, node: &Node<'v>, found: &Found<'v>, out: &mut Collection<'v>) -> Result<()> {
        let arrays = (found.json.and_then(Json::as_array), found.extra.and_then(Json::as_array));
        let count = match arrays {
            (None, None) => {
                self.push(node, found, found.json, found.extra, None, out);
                return Ok(());
            }
            (values, extras) => values.map_or(0, <[_]>::len).max(extras.map_or(0, <[_]>::len)),
        };
        self.step(count)?;
        for index in 0..count {
            let json = arrays.0.and_then(|values| values.get(index));
            let extra = arrays.1.and_then(|extras| extras.get(index));
            self.push(node, found, json, extra, Some(index), out);
        }
        Ok(())
    }

    fn push(
        &self,
        node: &Node<'v>,
        found: &Found<'v>,
        json: Option<&'v Json<'v>>,
        extra: Option<&'v Json<'v>>,
        index: Option<usize>,
        out: &mut Collection<'v>,
    ) {
        let extra = extra.filter(|extra| extra.is_object());
        let json = json.filter(|json| !json.is_null());
        if json.is_none() && extra.is_none() {
            return;
        }
        let json = json.unwrap_or(&NULL);
        let kind = found.kind.map_or(NodeType::Unknown, |kind| type_of_kind(kind, json));
        let location = node.location.child(Step { element: found.element, member: found.member, index });
        out.push(Item::Node(Node { json, extra, kind, location }));
    }
}

/// The object that holds the members of an element: of a primitive, what stands beside its value.
fn holder<'v>(node: &Node<'v>) -> &'v Json<'v> {
    match node.extra {
        Some(extra) if !node.json.is_object() => extra,
        _ => node.json,
    }
}

/// The definition of the members of an element, where it is known.
fn group(node: &Node<'_>) -> Option<&'static Group> {
    match node.kind {
        NodeType::Group(group) => Some(group),
        NodeType::Primitive(_) => Some(tables().element()),
        NodeType::Unknown => None,
    }
}

/// The member `_name` of an object.
fn sibling<'v>(object: &'v Json<'v>, name: &str) -> Option<&'v Json<'v>> {
    let is_it = |known: &str| known.strip_prefix('_') == Some(name);
    object.members().iter().find(|(known, _)| is_it(known)).map(|(_, json)| json)
}

fn find<'v>(node: &Node<'v>, name: &'v str) -> Option<Found<'v>> {
    let object = holder(node);
    if !object.is_object() {
        return None;
    }
    let Some(group) = group(node) else {
        let (json, extra) = (object.get(name), sibling(object, name));
        return (json.is_some() || extra.is_some()).then_some(Found {
            element: name,
            member: name,
            json,
            extra,
            kind: None,
        });
    };
    let plain = group.member(name).filter(|member| !group.element(member).is_choice());
    if let Some(member) = plain {
        let (json, extra) = (object.get(name), if member.is_extensible() { sibling(object, name) } else { None });
        let kind = Some(member.kind());
        return (json.is_some() || extra.is_some()).then_some(Found { element: name, member: name, json, extra, kind });
    }
    // A choice: whichever of its members is there (`value` finds `valueQuantity`). The member's own name finds nothing.
    object.members().iter().find_map(|(known, _)| {
        let member_name = known.strip_prefix('_').unwrap_or(known);
        let member =
            member_name.strip_prefix(name).filter(|rest| !rest.is_empty()).and_then(|_| group.member(member_name))?;
        let element = group.element(member);
        (element.is_choice() && element.name() == name).then(|| Found {
            element: name,
            member: member_name,
            json: object.get(member_name),
            extra: sibling(object, member_name),
            kind: Some(member.kind()),
        })
    })
}
