//! Security labels of a resource: which it carries as a whole, which elements carry one of their own, and what is left without them.
//!
//! ```text
//! meta.security, of the resource and of those within it ─────────┐
//! labels on the resource itself (its extension, its meta) ───────┴─> labels_of: what a reader must be cleared for
//! inline label on an element or on a primitive's `_x` ─> INLINE ───> without_inline: cut for who is not cleared
//!                                                                    public_part: cut for the search index
//! ```
//!
//! An inline label (DS4P, <http://hl7.org/fhir/uv/security-label-ds4p/>) restricts an element and all that is in it. One that restricts nobody
//! (how reliable something is, confidentiality `N`) is not counted. Nothing here decides who is cleared.
//!
//! What repeats a withheld element goes with it: narratives, contained resources that only it referred to, a whole `Bundle` entry. A label on
//! a `modifierExtension` is one of what it modifies, since the rest would mean something else without it.

mod codes;
mod cut;

use crate::json::Json;
use std::borrow::Cow;
use std::fmt::Write;
use tacet_types::Labels;

/// The extension that labels an element (DS4P).
const INLINE_LABEL: &str = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/// Deepest nesting that is looked at. The parser's default is 64; what is deeper is treated as labelled, and cut.
const DEPTH_MAX: usize = 96;

/// The labels of a resource as a whole, and [`Labels::INLINE`] if elements carry labels of their own.
///
/// A resource that holds others (`Bundle`, `contained`) has all of theirs too. A code that we do not know is [`Labels::OTHER`].
pub fn labels_of(resource: &Json<'_>) -> Labels {
    let mut labels = Labels::NONE;
    gather(resource, true, 0, &mut labels);
    labels
}

/// The label that a `Coding` of a security label stands for; [`Labels::NONE`] if it restricts nobody, [`Labels::OTHER`] if we do not know it.
pub fn label_of(coding: &Json<'_>) -> Labels {
    codes::label_of(coding)
}

/// The resource without the elements whose inline label is not within `shown`.
///
/// What a type must have stays, as absent for a reason. Where something was cut and the reader is `told`, the reason is `masked` and the
/// resource carries the label `REDACTED`; otherwise the reason is `unknown` and nothing says that there was more.
pub fn without_inline(resource: Json<'_>, shown: Labels, told: bool) -> Json<'_> {
    if has_hidden(&resource, shown, 0) { cut::cut(resource, shown, told) } else { resource }
}

/// The resource without any element that carries a restricting label of its own: what a search may find.
///
/// Whose record it is must be asked of the whole resource: a labelled `subject` is cut like any element.
pub fn public_part<'r, 'a>(resource: &'r Json<'a>) -> Cow<'r, Json<'a>> {
    if has_hidden(resource, Labels::NONE, 0) {
        Cow::Owned(cut::cut(resource.clone(), Labels::NONE, false))
    } else {
        Cow::Borrowed(resource)
    }
}

/// Walks the whole resource: `meta.security` of each resource in it, the labels on each such resource, and whether any element has one.
fn gather(value: &Json<'_>, root: bool, depth: usize, labels: &mut Labels) {
    if depth > DEPTH_MAX {
        *labels = labels.and(Labels::OTHER).and(Labels::INLINE);
        return;
    }
    match value {
        Json::Array(items) => items.iter().for_each(|item| gather(item, false, depth + 1, labels)),
        Json::Object(members) => {
            if root || value.resource_type().is_some() {
                let security = value.get("meta").and_then(|meta| meta.get("security"));
                let codings = security.into_iter().flat_map(Json::iter).map(codes::label_of);
                *labels = codings.fold(*labels, Labels::and);
            }
            let own = element_labels(value);
            if !own.is_empty() {
                // The label on a resource as a whole is one of the record; of any other element it is inline.
                *labels = labels.and(if root { own } else { Labels::INLINE });
            }
            members.iter().for_each(|(_, member)| gather(member, false, depth + 1, labels));
        }
        _ => {}
    }
}

/// Tells the place (`.note[1].text`) and the labels of every element that carries restricting labels of its own, in the order of the
/// resource. What is too deep to look at is told as one element with [`Labels::OTHER`].
pub fn each_inline(resource: &Json<'_>, each: &mut dyn FnMut(&str, Labels)) {
    tell_inline(resource, &mut String::new(), 0, each);
}

fn tell_inline(value: &Json<'_>, place: &mut String, depth: usize, each: &mut dyn FnMut(&str, Labels)) {
    if depth > DEPTH_MAX {
        return each(place, Labels::OTHER);
    }
    let labels = if depth > 0 { element_labels(value) } else { Labels::NONE };
    if !labels.is_empty() {
        each(place, labels);
    }
    let length = place.len();
    let mut inner = |step: std::fmt::Arguments<'_>, value: &Json<'_>| {
        // Writing to a string does not fail.
        let _ = place.write_fmt(step);
        tell_inline(value, place, depth + 1, each);
        place.truncate(length);
    };
    match value {
        Json::Array(items) => items.iter().enumerate().for_each(|(n, item)| inner(format_args!("[{n}]"), item)),
        Json::Object(members) => members.iter().for_each(|(name, member)| inner(format_args!(".{name}"), member)),
        _ => {}
    }
}

/// Whether some element carries a label that is not within `shown`. The labels of the resource itself are not asked: they are those of
/// the record.
fn has_hidden(resource: &Json<'_>, shown: Labels, depth: usize) -> bool {
    let hidden = |value: &Json<'_>| !element_labels(value).within(shown) || has_hidden(value, shown, depth + 1);
    if depth > DEPTH_MAX {
        return true;
    }
    match resource {
        Json::Array(items) => items.iter().any(hidden),
        Json::Object(members) => members.iter().any(|(_, value)| hidden(value)),
        _ => false,
    }
}

/// The restricting labels on an element itself and, where it holds a resource (an entry of a `Bundle`), on that resource as a whole.
fn element_labels(element: &Json<'_>) -> Labels {
    let inner = element.get("resource").filter(|inner| inner.resource_type().is_some());
    inner.map_or(Labels::NONE, own_labels).and(own_labels(element))
}

/// The restricting labels of an element's extensions, of its modifiers and, where it is a resource, of its meta and its id.
fn own_labels(element: &Json<'_>) -> Labels {
    let mut labels = extension_labels(element);
    for modifier in element.get("modifierExtension").into_iter().flat_map(Json::iter) {
        labels = labels.and(extension_labels(modifier));
    }
    if element.resource_type().is_some() {
        for name in ["meta", "_id"] {
            labels = element.get(name).map_or(labels, |member| labels.and(extension_labels(member)));
        }
    }
    labels
}

/// The restricting labels among the extensions of an element.
fn extension_labels(element: &Json<'_>) -> Labels {
    let extensions = element.get("extension").into_iter().flat_map(Json::iter);
    extensions.filter(|extension| is_inline(extension)).map(inline_label).fold(Labels::NONE, Labels::and)
}

/// Whether an extension is an inline label, of whatever version of the guide.
fn is_inline(extension: &Json<'_>) -> bool {
    extension.get_str("url").is_some_and(|url| url.split('|').next() == Some(INLINE_LABEL))
}

/// What an inline label says. One without a value that we can read is the strictest.
fn inline_label(extension: &Json<'_>) -> Labels {
    if let Some(coding) = extension.get("valueCoding") {
        return codes::label_of(coding);
    }
    // Not what the guide says, but what people write.
    let codings = extension.get("valueCodeableConcept").and_then(|concept| concept.get("coding")).map(Json::items);
    match codings {
        Some(codings) if !codings.is_empty() => codings.iter().map(codes::label_of).fold(Labels::NONE, Labels::and),
        _ => Labels::OTHER,
    }
}

#[cfg(test)]
mod tests;
