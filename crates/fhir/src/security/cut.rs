//! Cutting labelled elements out, so that what is left is still a resource.
//!
//! An element is cut with all that is in it. One that its type must have is put back without content, as absent for a reason
//! (<https://hl7.org/fhir/R4/extension-data-absent-reason.html>), with what that in turn must have. An element that has nothing left is cut too
//! (`ele-1`), and an extension whose value went (`ext-1`).

use super::{DEPTH_MAX, codes, element_labels, is_inline};
use crate::definitions::{Group, GroupKind, Kind, Member as Known, Special, tables};
use crate::json::{Json, Member};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use tacet_types::Labels;

/// Why an element that must be there is not.
const ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Deepest nesting of elements that must have elements that must have elements. R4 has three.
const REQUIRED_DEPTH_MAX: usize = 6;

/// A narrative must say something (`txt-2`).
const EMPTY_NARRATIVE: &str = "<div xmlns=\"http://www.w3.org/1999/xhtml\">-</div>";

/// Without what is not within `shown`.
pub(super) fn cut<'a>(resource: Json<'a>, shown: Labels, told: bool) -> Json<'a> {
    let referred_before = fragments(&resource);
    let mut knife = Knife { shown, told, cut: false };
    let Json::Object(members) = resource else { return resource };
    let group = group_of(&members);
    let mut rest = Json::Object(knife.object(members, group, true, 0));
    if !knife.cut {
        return rest;
    }
    without_orphans(&mut rest, &referred_before);
    without_narratives(&mut rest, true, 0);
    mark(&mut rest, told);
    rest
}

/// What of a member goes.
enum Fate {
    /// All of it, and its twin.
    All,
    /// These items of it and of its twin.
    Items(BTreeSet<usize>),
}

struct Knife {
    shown: Labels,
    told: bool,
    /// Whether anything was cut.
    cut: bool,
}

impl Knife {
    /// The members of an object that are shown.
    fn object<'a>(
        &mut self,
        members: Vec<Member<'a>>,
        group: Option<&'static Group>,
        root: bool,
        depth: usize,
    ) -> Vec<Member<'a>> {
        let fates = self.fates(&members, root);
        let mut missing: Vec<(&'static Known, Cow<'a, str>)> = Vec::new();
        let mut rest: Vec<Member<'a>> = Vec::with_capacity(members.len());
        for (name, value) in members {
            let twin = name.starts_with('_');
            let base = if twin { name.get(1..).unwrap_or_default() } else { name.as_ref() };
            let known = group.and_then(|group| group.member(base));
            let kept = match fates.get(base) {
                Some(Fate::All) => None,
                Some(Fate::Items(items)) => without_items(value, items),
                None => Some(value),
            };
            let was_cut = fates.contains_key(base);
            let kept = kept.and_then(|value| self.value(value, child_group(known, twin), depth + 1));
            match kept {
                Some(value) => rest.push((name, value)),
                None => {
                    self.cut = true;
                    if let (Some(known), Some(group)) = (known, group)
                        && group.element(known).is_required()
                    {
                        missing.push((known, Cow::Owned(base.to_owned())));
                    }
                }
            }
            self.cut |= was_cut;
        }
        for (known, base) in missing {
            let there = |(name, _): &Member<'a>| *name == base || name.strip_prefix('_') == Some(&base);
            if !rest.iter().any(there) {
                let many = group.is_some_and(|group| group.element(known).is_many());
                rest.push(absent(known.kind(), many, base, self.told, 0));
            }
        }
        rest
    }

    /// Which members of an object are cut, by name without `_`. Few objects have any.
    fn fates(&self, members: &[Member<'_>], root: bool) -> BTreeMap<String, Fate> {
        let hidden = |value: &Json<'_>| !element_labels(value).within(self.shown);
        let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
        for (name, value) in members {
            let base = name.strip_prefix('_').unwrap_or(name);
            if root && matches!(base, "resourceType" | "id" | "meta") {
                continue;
            }
            match value {
                Json::Object(_) if hidden(value) => {
                    fates.insert(base.to_owned(), Fate::All);
                }
                Json::Array(items) => {
                    let found: BTreeSet<usize> =
                        items.iter().enumerate().filter(|(_, item)| hidden(item)).map(|(at, _)| at).collect();
                    if found.is_empty() {
                        continue;
                    }
                    match fates.entry(base.to_owned()).or_insert_with(|| Fate::Items(BTreeSet::new())) {
                        Fate::All => {}
                        Fate::Items(items) => items.extend(found),
                    }
                }
                _ => {}
            }
        }
        fates
    }

    /// A value without what is hidden in it; none if nothing but its id is left of something that had content.
    fn value<'a>(&mut self, value: Json<'a>, group: Option<&'static Group>, depth: usize) -> Option<Json<'a>> {
        if depth > DEPTH_MAX {
            return None;
        }
        match value {
            Json::Array(items) => {
                let twin = group.is_some_and(|group| std::ptr::eq(group, tables().element()));
                let before = items.len();
                let items: Vec<_> = items
                    .into_iter()
                    .filter_map(|item| {
                        let shown = self.value(item, group, depth + 1);
                        // Items of a twin stand beside those of the values, so one that is empty leaves its place.
                        if twin { Some(shown.unwrap_or(Json::Null)) } else { shown }
                    })
                    .collect();
                let empty = items.iter().all(Json::is_null) && before > 0 && (twin || items.is_empty());
                (!empty).then_some(Json::Array(items))
            }
            Json::Object(members) => {
                let of_resource = members.iter().any(|(name, _)| name == "resourceType");
                let group = if of_resource { group_of(&members) } else { group };
                let before = members.len();
                let rest = self.object(members, group, false, depth);
                let hollow = match group.and_then(Group::special) {
                    _ if rest.len() == before => false,
                    Some(Special::Extension) => !rest.iter().any(|(name, _)| is_content_of_extension(name)),
                    _ => rest.iter().all(|(name, _)| matches!(name.as_ref(), "id" | "resourceType")),
                };
                (!hollow).then_some(Json::Object(rest))
            }
            scalar => Some(scalar),
        }
    }
}

/// Whether a member of an extension is what `ext-1` asks for.
fn is_content_of_extension(name: &str) -> bool {
    name == "extension" || name.strip_prefix('_').unwrap_or(name).starts_with("value")
}

/// The array without these items. Something that is no array, beside one that is, goes as a whole.
fn without_items<'a>(value: Json<'a>, items: &BTreeSet<usize>) -> Option<Json<'a>> {
    let Json::Array(all) = value else { return None };
    let rest: Vec<_> =
        all.into_iter().enumerate().filter(|(at, _)| !items.contains(at)).map(|(_, item)| item).collect();
    (!rest.is_empty()).then_some(Json::Array(rest))
}

/// What is defined of the objects in a member.
fn child_group(known: Option<&'static Known>, twin: bool) -> Option<&'static Group> {
    match known?.kind() {
        Kind::Primitive(_) if twin => Some(tables().element()),
        Kind::Group(id) if !twin => Some(tables().group(id)),
        _ => None,
    }
}

fn group_of(members: &[Member<'_>]) -> Option<&'static Group> {
    let name = members.iter().find(|(name, _)| name == "resourceType")?.1.as_str()?;
    tables().find(name).filter(|group| group.kind() == GroupKind::Resource)
}

/// A member that says only that it is absent, and why.
fn absent<'a>(kind: Kind, many: bool, base: Cow<'a, str>, told: bool, depth: usize) -> Member<'a> {
    let text = |text: &'static str| Json::String(Cow::Borrowed(text));
    let reason = || {
        let code = text(if told { "masked" } else { "unknown" });
        Json::Array(vec![Json::object([("url", text(ABSENT_REASON)), ("valueCode", code)])])
    };
    let (name, value) = match kind {
        Kind::Primitive(_) => (Cow::Owned(format!("_{base}")), Json::object([("extension", reason())])),
        Kind::Resource => (base, Json::object([("resourceType", text("Basic")), ("extension", reason())])),
        Kind::Group(id) => {
            let group = tables().group(id);
            let mut members = vec![(Cow::Borrowed("extension"), reason())];
            let required = group.elements().iter().filter(|element| element.is_required() && !element.is_choice());
            for element in required.filter(|_| depth < REQUIRED_DEPTH_MAX) {
                if let Some(known) = group.member(element.name()) {
                    let base = Cow::Borrowed(element.name());
                    members.push(absent(known.kind(), element.is_many(), base, told, depth + 1));
                }
            }
            for element in group.elements().iter().filter(|element| element.is_required() && element.is_choice()) {
                let of = |known: &&Known| group.element(known).name() == element.name();
                if let Some(known) = group.members().iter().find(of) {
                    let base = Cow::Owned(known.name().to_owned());
                    members.push(absent(known.kind(), element.is_many(), base, told, depth + 1));
                }
            }
            (base, Json::Object(members))
        }
    };
    (name, if many { Json::Array(vec![value]) } else { value })
}

/// The contained resources that texts of the resource refer to (`#id`).
fn fragments(resource: &Json<'_>) -> HashSet<String> {
    let mut found = HashSet::new();
    collect_fragments(resource, 0, &mut found);
    found
}

fn collect_fragments(value: &Json<'_>, depth: usize, found: &mut HashSet<String>) {
    match value {
        _ if depth > DEPTH_MAX => {}
        Json::String(text) => {
            found.extend(text.strip_prefix('#').filter(|name| !name.is_empty()).map(str::to_owned));
        }
        Json::Array(items) => items.iter().for_each(|item| collect_fragments(item, depth + 1, found)),
        Json::Object(members) => members.iter().for_each(|(_, member)| collect_fragments(member, depth + 1, found)),
        _ => {}
    }
}

/// Takes out the contained resources that only what was cut referred to, directly or by another contained one.
fn without_orphans(resource: &mut Json<'_>, referred_before: &HashSet<String>) {
    let Some(contained) = resource.remove("contained") else { return };
    let mut reached = fragments(resource);
    let Json::Array(items) = contained else { return };
    let own = |item: &Json<'_>| item.get_str("id").map(str::to_owned);
    let mut waiting: Vec<(Option<String>, HashSet<String>)> =
        items.iter().map(|item| (own(item), fragments(item))).collect();
    // What refers to the whole (`#`) and was referred to by nothing stays.
    let stays = |id: &Option<String>| id.as_ref().is_none_or(|id| !referred_before.contains(id));
    loop {
        let before = waiting.len();
        let (now, later): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(id, _)| stays(id) || id.as_ref().is_some_and(|id| reached.contains(id)));
        now.into_iter().for_each(|(_, fragments)| reached.extend(fragments));
        waiting = later;
        if waiting.len() == before || waiting.is_empty() {
            break;
        }
    }
    let orphans: HashSet<String> = waiting.into_iter().filter_map(|(id, _)| id).collect();
    let rest: Vec<_> = items.into_iter().filter(|item| own(item).is_none_or(|id| !orphans.contains(&id))).collect();
    if !rest.is_empty() {
        resource.set("contained", Json::Array(rest));
    }
}

/// Takes the narratives out: they tell in words what the elements say. One within an element (a section) is emptied, since its place may need it.
fn without_narratives(value: &mut Json<'_>, of_resource: bool, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    let is_narrative = |value: &Json<'_>| value.is_object() && value.get("div").is_some();
    if of_resource {
        value.remove("text");
    }
    match value {
        Json::Array(items) => items.iter_mut().for_each(|item| {
            let of_resource = item.resource_type().is_some();
            without_narratives(item, of_resource, depth + 1);
        }),
        Json::Object(members) => {
            for (name, member) in members {
                if name == "text" && is_narrative(member) {
                    *member = Json::object([("status", Json::from("empty")), ("div", Json::from(EMPTY_NARRATIVE))]);
                } else {
                    let of_resource = member.resource_type().is_some();
                    without_narratives(member, of_resource, depth + 1);
                }
            }
        }
        _ => {}
    }
}

/// Says that something is withheld, or takes away what would say it.
fn mark(resource: &mut Json<'_>, told: bool) {
    if told {
        if !resource.get("meta").is_some_and(Json::is_object) {
            resource.set("meta", Json::Object(Vec::new()));
        }
        let Some(meta) = resource.get_mut("meta") else { return };
        if !meta.get("security").is_some_and(Json::is_array) {
            meta.set("security", Json::Array(Vec::new()));
        }
        let text = |text: &'static str| Json::String(Cow::Borrowed(text));
        let security = meta.get_mut("security").and_then(Json::as_array_mut);
        let is_mark = |coding: &Json<'_>| {
            (coding.get_str("system"), coding.get_str("code")) == (Some(codes::OBSERVATION_VALUE), Some("REDACTED"))
        };
        if let Some(security) = security.filter(|security| !security.iter().any(is_mark)) {
            security.push(Json::object([("system", text(codes::OBSERVATION_VALUE)), ("code", text("REDACTED"))]));
        }
    } else if !has_inline(resource, 0)
        && let Some(meta) = resource.get_mut("meta")
    {
        let security = meta.get_mut("security").and_then(Json::as_array_mut);
        let empty = security.is_some_and(|security| {
            security.retain(|coding| !codes::is_inline_mark(coding));
            security.is_empty()
        });
        if empty {
            meta.remove("security");
        }
        if meta.members().is_empty() {
            resource.remove("meta");
        }
    }
}

/// Whether an inline label is left, of whatever sort.
fn has_inline(value: &Json<'_>, depth: usize) -> bool {
    match value {
        _ if depth > DEPTH_MAX => false,
        Json::Array(items) => items.iter().any(|item| has_inline(item, depth + 1)),
        Json::Object(members) => is_inline(value) || members.iter().any(|(_, member)| has_inline(member, depth + 1)),
        _ => false,
    }
}
