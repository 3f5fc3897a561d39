//! `CodeSystem/$lookup` (<https://hl7.org/fhir/R4/codesystem-operation-lookup.html>).

use super::expand::parsed;
use crate::error::TerminologyError;
use crate::parameters::{CodingRequest, Given, answer, parameter, parts, string};
use crate::snapshot::Terminology;
use crate::system::{System, system_of};
use crate::table::{ABSTRACT, INACTIVE, PropertyKind};
use std::sync::Arc;
use tacet_fhir::json::Json;

/// What somebody wants to know of a code.
#[derive(Clone, Debug, Default)]
pub struct Lookup<'a> {
    /// The code, with its system.
    pub coding: CodingRequest,
    /// The code system itself, where the operation is called on one.
    pub system: Option<&'a Json<'a>>,
    /// The language of the display.
    pub display_language: Option<String>,
    /// The properties wanted. Empty: all.
    pub properties: Vec<String>,
}

impl<'a> Lookup<'a> {
    pub(super) fn read(given: &Given<'_>, instance: Option<&'a Json<'a>>) -> Result<Self, TerminologyError> {
        given.refuse(&["date"])?;
        let coding = match (given.text("code")?, given.coding("coding")?) {
            (Some(code), None) => {
                CodingRequest { system: given.text("system")?, version: given.text("version")?, code, display: None }
            }
            (None, Some(coding)) => coding,
            _ => return Err(TerminologyError::request("give either `code` with `system`, or `coding`")),
        };
        Ok(Self {
            coding,
            system: instance,
            display_language: given.text("displayLanguage")?,
            properties: given.texts("property"),
        })
    }

    fn wants(&self, property: &str) -> bool {
        self.properties.is_empty() || self.properties.iter().any(|one| one == property || one == "*")
    }
}

impl Terminology {
    /// What is known of a code, as `Parameters`. Its definition comes as the property `definition`, since R4 has no
    /// parameter of that name.
    ///
    /// # Errors
    /// The system or the code is not known.
    pub fn lookup(&self, request: &Lookup<'_>) -> Result<Json<'static>, TerminologyError> {
        let coding = &request.coding;
        let system = match (request.system, coding.system.as_deref()) {
            (Some(resource), _) => System { base: Arc::new(system_of(resource)?), supplements: Arc::from([]) },
            (None, Some(url)) => self.system(url, coding.version.as_deref())?,
            (None, None) => return Err(TerminologyError::request("name a code system: `system` is missing")),
        };
        let header = system.header();
        let concept = system.table().find(&coding.code).ok_or_else(|| {
            TerminologyError::not_found(format!("code system `{}` does not have the code", header.url))
        })?;
        let table = system.table();
        let name = header.title.as_ref().or(header.name.as_ref()).unwrap_or(&header.url);
        let mut list = vec![parameter("name", "valueString", string(name))];
        if let Some(version) = &header.version {
            list.push(parameter("version", "valueString", string(version)));
        }
        let display = system.display_in(concept, request.display_language.as_deref());
        let display = display.unwrap_or_else(|| table.code(concept));
        list.push(parameter("display", "valueString", string(display)));
        for one in system.designations(concept) {
            let asked = request.wants("designation")
                || request.properties.iter().any(|property| {
                    property.strip_prefix("lang.").is_some_and(|asked| crate::language::matches(one.language, asked))
                });
            if asked {
                list.push(designation(one.language, one.purpose, one.value));
            }
        }
        if let Some(definition) = table.definition(concept).filter(|_| request.wants("definition")) {
            list.push(property("definition", PropertyKind::String, definition, None));
        }
        for (name, related) in [("parent", table.parents(concept)), ("child", table.children(concept))] {
            if request.wants(name) {
                list.extend(related.iter().map(|other| {
                    property(name, PropertyKind::Code, table.code(*other), system.display_in(*other, None))
                }));
            }
        }
        let mut said = Vec::new();
        for one in system.properties(concept).filter(|one| request.wants(one.name)) {
            said.push(one.name);
            list.push(property(one.name, one.kind, one.value, None));
        }
        for (name, flag) in [("inactive", INACTIVE), ("notSelectable", ABSTRACT)] {
            if table.is(concept, flag) && request.wants(name) && !said.contains(&name) {
                list.push(property(name, PropertyKind::Boolean, "true", None));
            }
        }
        Ok(answer(list))
    }
}

fn designation(language: &str, purpose: &str, value: &str) -> Json<'static> {
    let mut list = Vec::new();
    if !language.is_empty() {
        list.push(parameter("language", "valueCode", string(language)));
    }
    if !purpose.is_empty() {
        list.push(parameter("use", "valueCoding", parsed(purpose)));
    }
    list.push(parameter("value", "valueString", string(value)));
    parts("designation", list)
}

fn property(name: &str, kind: PropertyKind, value: &str, description: Option<&str>) -> Json<'static> {
    let value = match kind {
        PropertyKind::Coding => parsed(value),
        PropertyKind::Boolean => Json::from(value == "true"),
        PropertyKind::Integer | PropertyKind::Decimal => match parsed(value) {
            number @ Json::Number(_) => number,
            _ => return text_property(name, value, description),
        },
        PropertyKind::Code | PropertyKind::String | PropertyKind::DateTime => string(value),
    };
    let mut list = vec![parameter("code", "valueCode", string(name)), parameter("value", kind.member(), value)];
    list.extend(description.map(|text| parameter("description", "valueString", string(text))));
    parts("property", list)
}

/// A value that is not of the type its system says: given as the text it is.
fn text_property(name: &str, value: &str, description: Option<&str>) -> Json<'static> {
    property(name, PropertyKind::String, value, description)
}
