//! Parts of a resource: what `_summary` and `_elements` leave of it (FHIR R4, <https://hl7.org/fhir/R4/search.html#summary>).
//!
//! A part says of itself that it is one, by the tag `SUBSETTED`. What changes the meaning of the rest (`modifierExtension`,
//! `implicitRules`) and what a type must have is in every part.

use crate::definitions::{Group, GroupKind, Kind, tables};
use crate::json::Json;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Made by `cargo xtask definitions`; its head says what each line is.
const TEXT: &str = include_str!("../definitions/summary.txt");

/// Elements of a summary, by the path of their group; without the `[x]` of a choice.
static SUMMARY: LazyLock<HashMap<&'static str, HashSet<&'static str>>> = LazyLock::new(|| {
    let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
    let names = |rest: &'static str| rest.split(' ').map(|name| name.strip_suffix("[x]").unwrap_or(name)).collect();
    lines.filter_map(|line| line.split_once(' ')).map(|(path, rest)| (path, names(rest))).collect()
});

/// The system of the tag that marks a part.
const TAG_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

/// The code of the tag that marks a part.
const TAG_CODE: &str = "SUBSETTED";

/// Which part of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// The elements that the standard counts to the summary (`_summary=true`).
    Summary,
    /// The narrative, and what must be there (`_summary=text`).
    Text,
    /// All but the narrative (`_summary=data`).
    Data,
    /// These elements of the resource, and what must be there (`_elements`). A name may have the type before it (`Patient.name`).
    Elements(&'a [String]),
}

/// That part of a resource, marked as a part.
///
/// A value that is no resource of R4 comes back as it is.
pub fn part<'a>(resource: Json<'a>, wanted: Part<'_>) -> Json<'a> {
    let group = resource.get_str("resourceType").and_then(|name| tables().find(name));
    let Some(group) = group.filter(|group| group.kind() == GroupKind::Resource) else { return resource };
    let Json::Object(members) = resource else { return resource };
    let members = members.into_iter().filter_map(|(name, value)| {
        if name == "resourceType" {
            return Some((name, value));
        }
        let element = element_of(group, &name);
        let kept = match wanted {
            _ if always(group, element.unwrap_or(&name)) => true,
            Part::Summary => return summarised(group, name, value),
            Part::Text => name == "text",
            Part::Data => name != "text",
            Part::Elements(names) => names.iter().any(|wanted| names_element(wanted, group, element.unwrap_or(&name))),
        };
        kept.then_some((name, value))
    });
    let mut part = Json::Object(members.collect());
    mark(&mut part);
    part
}

/// Whether an element of a resource is in every part of it.
fn always(group: &Group, element: &str) -> bool {
    let required = || group.elements().iter().any(|known| known.name() == element && known.is_required());
    matches!(element, "id" | "meta" | "implicitRules" | "modifierExtension") || required()
}

/// Whether a word of `_elements` means this element of the group.
fn names_element(wanted: &str, group: &Group, element: &str) -> bool {
    let name = match wanted.split_once('.') {
        Some((resource_type, name)) if resource_type == group.path() => name,
        Some(_) => return false,
        None => wanted,
    };
    name.strip_suffix("[x]").unwrap_or(name) == element
        || group.member(name).is_some_and(|member| group.element(member).name() == element)
}

/// The element that a member belongs to, be it the `_name` twin or one type of a choice.
fn element_of(group: &Group, name: &str) -> Option<&'static str> {
    let member = group.member(name).or_else(|| group.member(name.strip_prefix('_')?))?;
    Some(group.element(member).name())
}

/// A member of a group as a summary has it; none where it is left out.
fn summarised<'a>(group: &Group, name: Cow<'a, str>, value: Json<'a>) -> Option<(Cow<'a, str>, Json<'a>)> {
    let Some(names) = SUMMARY.get(group.path()) else {
        // A group of which the standard names nothing is shown whole where something larger names it.
        return Some((name, value));
    };
    // What a datatype means may be said by its extensions alone.
    let of_datatype = group.kind() == GroupKind::Datatype && matches!(name.as_ref(), "id" | "extension");
    let element = element_of(group, &name)?;
    let required = group.elements().iter().any(|known| known.name() == element && known.is_required());
    if !of_datatype && !required && !names.contains(element) {
        return None;
    }
    let Some(Kind::Group(inner)) = group.member(&name).map(|member| member.kind()) else { return Some((name, value)) };
    let inner = tables().group(inner);
    let value = match value {
        Json::Array(items) => Json::Array(items.into_iter().map(|item| summarised_object(inner, item)).collect()),
        other => summarised_object(inner, other),
    };
    Some((name, value))
}

fn summarised_object<'a>(group: &Group, value: Json<'a>) -> Json<'a> {
    let Json::Object(members) = value else { return value };
    Json::Object(members.into_iter().filter_map(|(name, value)| summarised(group, name, value)).collect())
}

/// Adds the tag `SUBSETTED`, once.
fn mark(resource: &mut Json<'_>) {
    if !resource.get("meta").is_some_and(Json::is_object) {
        resource.set("meta", Json::Object(Vec::new()));
    }
    let Some(meta) = resource.get_mut("meta") else { return };
    if !meta.get("tag").is_some_and(Json::is_array) {
        meta.set("tag", Json::Array(Vec::new()));
    }
    let Some(tags) = meta.get_mut("tag").and_then(Json::as_array_mut) else { return };
    let is_mark = |tag: &Json<'_>| (tag.get_str("system"), tag.get_str("code")) == (Some(TAG_SYSTEM), Some(TAG_CODE));
    if !tags.iter().any(is_mark) {
        let text = |text: &'static str| Json::String(Cow::Borrowed(text));
        tags.push(Json::object([("system", text(TAG_SYSTEM)), ("code", text(TAG_CODE))]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_str, write};

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1"},"text":{"status":"generated","div":"<div/>"},
        "extension":[{"url":"x"}],"modifierExtension":[{"url":"m"}],"name":[{"family":"N","extension":[{"url":"y"}],"period":{"start":"2020"}}],
        "birthDate":"2000","_birthDate":{"id":"b"},"deceasedBoolean":false,"maritalStatus":{"text":"m"},
        "contact":[{"name":{"family":"C"}}],"link":[{"other":{"reference":"Patient/q"},"type":"seealso"}],
        "photo":[{"data":"AAAA"}]}"#;

    fn shown(text: &str, wanted: Part<'_>) -> Json<'static> {
        let resource = parse_str(text, &Limits::default()).unwrap().into_owned();
        let part = part(resource, wanted);
        let tags = part.get("meta").unwrap().get("tag").unwrap().items().len();
        assert_eq!(tags, 1, "marked once");
        assert_eq!(self::part(part.clone(), Part::Data).get("meta"), part.get("meta"), "not marked twice");
        part
    }

    fn names(value: &Json<'_>) -> Vec<String> {
        value.members().iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn the_table_names_elements_that_are_there() {
        assert!(SUMMARY.len() > 600, "{}", SUMMARY.len());
        for (path, names) in SUMMARY.iter() {
            let group = tables().find(path).unwrap_or_else(|| panic!("{path}"));
            for name in names {
                assert!(group.elements().iter().any(|element| element.name() == *name), "{path}.{name}");
            }
        }
    }

    #[test]
    fn a_summary_has_what_the_standard_says() {
        let part = shown(PATIENT, Part::Summary);
        assert_eq!(
            names(&part),
            [
                "resourceType",
                "id",
                "meta",
                "modifierExtension",
                "name",
                "birthDate",
                "_birthDate",
                "deceasedBoolean",
                "link"
            ]
        );
        assert_eq!(names(&part.get("name").unwrap().items()[0]), ["family", "extension", "period"]);
        let observation = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"note":[{"text":"n"}],"valueString":"v",
            "component":[{"code":{"text":"c"},"valueInteger":1,"interpretation":[{"text":"i"}]}]}"#;
        let part = shown(observation, Part::Summary);
        assert_eq!(names(&part), ["resourceType", "status", "code", "valueString", "component", "meta"]);
        assert_eq!(names(&part.get("component").unwrap().items()[0]), ["code", "valueInteger"]);
    }

    #[test]
    fn the_other_parts_keep_what_must_be_there() {
        assert_eq!(names(&shown(PATIENT, Part::Text)), ["resourceType", "id", "meta", "text", "modifierExtension"]);
        let data = names(&shown(PATIENT, Part::Data));
        assert!(!data.contains(&"text".to_owned()) && data.contains(&"photo".to_owned()));
        let wanted = [
            "birthDate".to_owned(),
            "Patient.deceased".to_owned(),
            "Observation.name".to_owned(),
            "nonsense".to_owned(),
        ];
        let part = shown(PATIENT, Part::Elements(&wanted));
        assert_eq!(
            names(&part),
            ["resourceType", "id", "meta", "modifierExtension", "birthDate", "_birthDate", "deceasedBoolean"]
        );
        let observation =
            r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"valueString":"v"}"#;
        let value = ["value".to_owned()];
        assert_eq!(
            names(&shown(observation, Part::Elements(&value))),
            ["resourceType", "id", "status", "code", "valueString", "meta"]
        );
        assert_eq!(names(&shown(observation, Part::Text)), ["resourceType", "id", "status", "code", "meta"]);
    }

    #[test]
    fn what_is_no_resource_stays_as_it_is() {
        for text in [r#"{"resourceType":"HumanName","family":"x"}"#, "[]", r#"{"resourceType":"Nothing","text":"x"}"#] {
            let value = parse_str(text, &Limits::default()).unwrap();
            assert_eq!(write(&part(value.clone(), Part::Summary)), write(&value));
        }
    }
}
