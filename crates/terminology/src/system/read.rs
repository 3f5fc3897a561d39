//! A CodeSystem resource, read into a table.

use super::{CodeSystem, Content, PropertyDefinition, SystemHeader, table_error};
use crate::error::TerminologyError;
use crate::table::{ABSTRACT, Draft, INACTIVE, PropertyKind, TableError};
use tacet_fhir::json::{Json, write};

/// Where R4 says what the properties that every system may use mean ("Concept properties").
const MEANINGS: &str = "http://hl7.org/fhir/concept-properties#";

/// Reads a CodeSystem resource.
pub(crate) fn system_of(resource: &Json<'_>) -> Result<CodeSystem, TerminologyError> {
    let url = resource
        .get_str("url")
        .filter(|url| !url.is_empty())
        .ok_or_else(|| TerminologyError::invalid("a CodeSystem without `url` cannot be used: give it one"))?;
    let header = header(resource, url)?;
    let mut draft = Draft::default();
    let concepts = resource.get("concept").map(Json::items).unwrap_or_default();
    fill(&mut draft, &header, concepts).map_err(|error| table_error(url, error))?;
    CodeSystem::of(header, draft)
}

fn header(resource: &Json<'_>, url: &str) -> Result<SystemHeader, TerminologyError> {
    let text = |name| resource.get_str(name).map(str::to_owned);
    let content = resource.get_str("content").and_then(Content::of).ok_or_else(|| {
        TerminologyError::invalid(format!("CodeSystem `{url}` has no `content`, or one that R4 does not define"))
    })?;
    let properties = resource.get("property").map(Json::items).unwrap_or_default().iter().filter_map(|property| {
        let kind = property.get_str("type");
        Some(PropertyDefinition {
            code: property.get_str("code")?.to_owned(),
            uri: property.get_str("uri").map(str::to_owned),
            kind: PropertyKind::ALL.into_iter().find(|known| Some(known.as_str()) == kind)?,
        })
    });
    Ok(SystemHeader {
        url: url.to_owned(),
        version: text("version"),
        name: text("name"),
        title: text("title"),
        content,
        case_sensitive: resource.get("caseSensitive").and_then(Json::as_bool).unwrap_or(true),
        value_set: text("valueSet"),
        supplements: text("supplements"),
        properties: properties.take(usize::from(u16::MAX)).collect(),
    })
}

/// What a property does beside having a value.
#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    Parent,
    Child,
    Inactive,
    Status,
    NotSelectable,
    None,
}

fn meaning(header: &SystemHeader, name: &str) -> Meaning {
    let known = header.properties.iter().find(|known| known.code == name);
    let uri = known.and_then(|known| known.uri.as_deref()).and_then(|uri| uri.strip_prefix(MEANINGS));
    match uri.unwrap_or(name) {
        "parent" => Meaning::Parent,
        "child" => Meaning::Child,
        "inactive" => Meaning::Inactive,
        "status" => Meaning::Status,
        "notSelectable" | "abstract" => Meaning::NotSelectable,
        _ => Meaning::None,
    }
}

fn fill<'j>(draft: &mut Draft, header: &SystemHeader, concepts: &'j [Json<'j>]) -> Result<(), TableError> {
    let mut waiting: Vec<(&Json<'_>, Option<u32>)> = concepts.iter().rev().map(|concept| (concept, None)).collect();
    while let Some((concept, parent)) = waiting.pop() {
        let Some(code) = concept.get_str("code").filter(|code| !code.is_empty()) else { continue };
        let text = |name| concept.get_str(name).unwrap_or_default();
        let at = draft.push(code, text("display"), text("definition"), 0)?;
        if let Some(parent) = parent {
            draft.under(at, parent);
        }
        for property in concept.get("property").map(Json::items).unwrap_or_default() {
            add_property(draft, header, at, property)?;
        }
        for designation in concept.get("designation").map(Json::items).unwrap_or_default() {
            let purpose = designation.get("use").map(|purpose| String::from_utf8_lossy(&write(purpose)).into_owned());
            if let Some(value) = designation.get_str("value") {
                let language = designation.get_str("language").unwrap_or_default();
                draft.designation(at, language, purpose.as_deref().unwrap_or_default(), value)?;
            }
        }
        let below = concept.get("concept").map(Json::items).unwrap_or_default();
        waiting.extend(below.iter().rev().map(|child| (child, Some(at))));
    }
    Ok(())
}

fn add_property(draft: &mut Draft, header: &SystemHeader, concept: u32, property: &Json<'_>) -> Result<(), TableError> {
    let Some(code) = property.get_str("code") else { return Ok(()) };
    let held = PropertyKind::ALL.into_iter().find_map(|kind| Some((kind, property.get(kind.member())?)));
    let Some((kind, value)) = held else { return Ok(()) };
    let text = match value {
        Json::String(text) | Json::Number(text) => text.clone().into_owned(),
        Json::Bool(value) => value.to_string(),
        other => String::from_utf8_lossy(&write(other)).into_owned(),
    };
    match meaning(header, code) {
        Meaning::Parent => draft.link(concept, &text, true)?,
        Meaning::Child => draft.link(concept, &text, false)?,
        Meaning::Inactive if text == "true" => draft.flag(concept, INACTIVE),
        Meaning::Status if matches!(text.as_str(), "retired" | "inactive") => draft.flag(concept, INACTIVE),
        Meaning::NotSelectable if text == "true" => draft.flag(concept, ABSTRACT),
        _ => {}
    }
    // What the hierarchy says already is not kept twice; all else is, where the system defines it.
    if matches!(meaning(header, code), Meaning::Parent | Meaning::Child) {
        return Ok(());
    }
    match header.properties.iter().position(|known| known.code == code) {
        Some(name) => draft.property(concept, name as u16, kind, &text),
        None => Ok(()),
    }
}
