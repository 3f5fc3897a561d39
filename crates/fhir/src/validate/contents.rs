//! Rules about what some elements say, after their shape is known: extensions, references, coded concepts, and
//! contained resources.

use super::IssueType;
use super::place::Place;
use super::walk::Walk;
use crate::definitions::{CodeSet, Member};
use crate::json::{Json, Member as JsonMember};
use crate::reference::Reference;
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
    let Some(text) = value.get_str("reference") else { return };
    let target = match Reference::parse(text) {
        Reference::Relative { resource_type, .. } | Reference::Conditional { resource_type, .. } => Some(resource_type),
        Reference::Fragment(name) => match fragment(walk, name) {
            Fragment::Container => None,
            Fragment::Contained(resource_type) => resource_type,
            Fragment::Nowhere => {
                let message = "no contained resource has this id (ref-1)";
                return walk.report(IssueType::Invariant, &place.child("reference"), message);
            }
        },
        Reference::Absolute(_) | Reference::Urn(_) => None,
        Reference::Invalid => {
            let message = "not a reference: neither Type/id, an absolute URL, a URN nor #id";
            return walk.report(IssueType::Value, &place.child("reference"), message);
        }
    };
    if let (Some(target), Some(allowed)) = (target, member.targets())
        && !allowed.contains(target)
    {
        walk.report(IssueType::Structure, place, format!("may not refer to a resource of type {target}"));
    }
}

enum Fragment {
    /// `#`: the resource that contains the one that refers.
    Container,
    /// A contained resource of that type, where its type is known.
    Contained(Option<ResourceType>),
    Nowhere,
}

fn fragment(walk: &Walk<'_>, name: &str) -> Fragment {
    if name.is_empty() {
        return Fragment::Container;
    }
    let contained = walk.container().and_then(|container| container.get("contained"));
    let target = contained.map(Json::items).unwrap_or_default().iter().find(|item| item.get_str("id") == Some(name));
    match target {
        Some(resource) => Fragment::Contained(resource.resource_type().and_then(ResourceType::parse)),
        None => Fragment::Nowhere,
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

/// The ids of contained resources differ, or a fragment could mean two of them.
pub(super) fn contained_ids(walk: &mut Walk<'_>, resource: &Json<'_>, place: &Place<'_>) {
    let Some(Json::Array(items)) = resource.get("contained") else { return };
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    let place = place.child("contained");
    for (index, item) in items.iter().enumerate() {
        if item.get_str("id").is_some_and(|id| !seen.insert(id)) {
            let message = "another contained resource has the same id";
            walk.report(IssueType::Invariant, &place.item(index).child("id"), message);
        }
    }
}
