//! Rules about what some elements say, after their shape is known: extensions, references, coded concepts, and
//! contained resources.

use super::IssueType;
use super::place::Place;
use super::walk::{Contained, Walk};
use crate::definitions::{CodeSet, Member};
use crate::json::{Json, Member as JsonMember};
use crate::reference::Reference;
use std::collections::hash_map::Entry;
use tacet_types::ResourceType;

/// `ext-1`: an extension has a value or extensions, not both.
pub(super) fn extension(walk: &mut Walk<'_>, members: &[JsonMember<'_>], place: &Place<'_>) {
    let has_extensions = members.iter().any(|(name, _)| name == "extension");
    let has_value = members.iter().any(|(name, _)| name.starts_with("value") || name.starts_with("_value"));
    if has_extensions == has_value {
        walk.report(IssueType::Invariant, place, "an extension has either a value or extensions (ext-1)");
    }
}

/// The text of a reference, and the type that it names where it names one.
pub(super) fn reference(walk: &mut Walk<'_>, value: &Json<'_>, member: &'static Member, place: &Place<'_>) {
    let target = match value.get_str("reference") {
        Some(text) => literal(walk, text, &place.child("reference")),
        None => None,
    };
    let stated = match value.get_str("type") {
        // The address of a logical model may stand here too; only R4's own types are known.
        Some(name) if !name.contains(':') => {
            let stated = ResourceType::parse(name);
            if stated.is_none() {
                walk.report(IssueType::Value, &place.child("type"), "not a resource type of FHIR R4");
            }
            stated
        }
        _ => None,
    };
    if let (Some(stated), Some(target)) = (stated, target)
        && stated != target
    {
        walk.report(IssueType::Value, &place.child("type"), "the reference is to a resource of another type");
    } else if let (Some(target), Some(allowed)) = (target.or(stated), member.targets())
        && !allowed.contains(target)
    {
        walk.report(IssueType::Structure, place, format!("may not refer to a resource of type {target}"));
    }
}

/// The type that the text of a reference names, if it names one.
fn literal(walk: &mut Walk<'_>, text: &str, place: &Place<'_>) -> Option<ResourceType> {
    match Reference::parse(text) {
        Reference::Relative { resource_type, .. } | Reference::Conditional { resource_type, .. } => Some(resource_type),
        // `#` alone is the resource that contains the one that refers.
        Reference::Fragment("") | Reference::Absolute(_) | Reference::Urn(_) => None,
        Reference::Fragment(name) => match walk.contained().get(name) {
            Some(resource_type) => *resource_type,
            None => {
                walk.report(IssueType::Invariant, place, "no contained resource has this id (ref-1)");
                None
            }
        },
        // An empty text is already reported as such.
        Reference::Invalid if text.is_empty() => None,
        Reference::Invalid => {
            let message = "not a reference: neither Type/id, an absolute URL, a URN nor #id";
            walk.report(IssueType::Value, place, message);
            None
        }
    }
}

/// A concept whose binding is required: one of its codings is of the set. A concept that gives only extensions says
/// with them why there is none.
pub(super) fn coded(walk: &mut Walk<'_>, concept: &Json<'_>, codes: &'static CodeSet, place: &Place<'_>) {
    let codings = concept.get("coding").map(Json::items).unwrap_or_default();
    if codings.is_empty() && concept.get("text").is_none() {
        return;
    }
    let fits = codings.iter().any(|coding| match (coding.get_str("system"), coding.get_str("code")) {
        (Some(system), Some(code)) => codes.contains(system, code),
        _ => false,
    });
    if !fits {
        let message = format!("no coding is of the required value set `{}`", codes.name());
        walk.report(IssueType::CodeInvalid, place, message);
    }
}

/// A contained resource: has an id, contains none itself, and has no life of its own (`dom-2`, `dom-4`, `dom-5`).
pub(super) fn contained(walk: &mut Walk<'_>, resource: &Json<'_>, place: &Place<'_>) {
    if resource.get("id").is_none() {
        walk.report(IssueType::Required, &place.child("id"), "a contained resource must have an id");
    }
    if resource.get("contained").is_some() {
        let message = "a contained resource must not contain others (dom-2)";
        walk.report(IssueType::Invariant, &place.child("contained"), message);
    }
    let Some(meta) = resource.get("meta") else { return };
    let place = place.child("meta");
    for (name, message) in [
        ("versionId", "a contained resource has no version (dom-4)"),
        ("lastUpdated", "a contained resource has no time of its own (dom-4)"),
        ("security", "a contained resource has no security label of its own (dom-5)"),
    ] {
        if meta.get(name).is_some() {
            walk.report(IssueType::Invariant, &place.child(name), message);
        }
    }
}

/// The contained resources by id. The ids differ, or a fragment could mean two of them.
pub(super) fn contained_by_id<'j>(walk: &mut Walk<'_>, resource: &'j Json<'j>, place: &Place<'_>) -> Contained<'j> {
    let mut by_id = Contained::new();
    let Some(Json::Array(items)) = resource.get("contained") else { return by_id };
    let place = place.child("contained");
    for (index, item) in items.iter().enumerate() {
        let Some(id) = item.get_str("id") else { continue };
        match by_id.entry(id) {
            Entry::Vacant(free) => drop(free.insert(item.resource_type().and_then(ResourceType::parse))),
            Entry::Occupied(_) => {
                let message = "another contained resource has the same id";
                walk.report(IssueType::Invariant, &place.item(index).child("id"), message);
            }
        }
    }
    by_id
}
