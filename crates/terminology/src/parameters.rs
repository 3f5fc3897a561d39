//! What an operation is given, and what it answers: the `Parameters` resource, or the query of a URL.

use crate::error::TerminologyError;
use std::borrow::Cow;
use tacet_fhir::json::Json;

/// Most parameters of one call that are looked at.
const PARAMETERS_MAX: usize = 10_000;

/// The parameters of a call, as they came in.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A `Parameters` resource, or the one resource that an operation takes (a ValueSet for `$expand`).
    Resource(&'a Json<'a>),
    /// Names and values of a URL's query, decoded, in order.
    Query(&'a [(String, String)]),
}

/// The parameters by name.
#[derive(Debug)]
pub(crate) struct Given<'a>(Vec<(&'a str, Cow<'a, Json<'a>>)>);

/// A code, and what else a Coding says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CodingRequest {
    /// The code system, if it is said.
    pub system: Option<String>,
    /// Its version, if it is said.
    pub version: Option<String>,
    /// The code.
    pub code: String,
    /// The display that somebody gave it.
    pub display: Option<String>,
}

impl CodingRequest {
    /// A code of a system.
    pub fn new(system: Option<&str>, code: &str) -> Self {
        Self { system: system.map(str::to_owned), code: code.to_owned(), ..Self::default() }
    }

    pub(crate) fn of(coding: &Json<'_>) -> Option<Self> {
        let text = |name| coding.get_str(name).map(str::to_owned);
        Some(Self { system: text("system"), version: text("version"), code: text("code")?, display: text("display") })
    }
}

impl<'a> Given<'a> {
    /// Reads a call's parameters. A resource that is not `Parameters` counts as the parameter of that name.
    pub(crate) fn read(input: Input<'a>) -> Result<Self, TerminologyError> {
        let mut given = Vec::new();
        match input {
            Input::Query(pairs) => {
                given.extend(pairs.iter().map(|(name, value)| (name.as_str(), Cow::Owned(Json::from(value.as_str())))));
            }
            Input::Resource(resource) => match resource.resource_type() {
                Some("Parameters") => {
                    for parameter in resource.get("parameter").map(Json::items).unwrap_or_default() {
                        let name = parameter.get_str("name").unwrap_or_default();
                        let held = parameter.members().iter().find(|(member, _)| {
                            member == "resource" || member.starts_with("value") || member == "part"
                        });
                        if let Some((_, value)) = held {
                            given.push((name, Cow::Borrowed(value)));
                        }
                    }
                }
                Some("ValueSet") => given.push(("valueSet", Cow::Borrowed(resource))),
                Some("CodeSystem") => given.push(("codeSystem", Cow::Borrowed(resource))),
                Some("ConceptMap") => given.push(("conceptMap", Cow::Borrowed(resource))),
                _ => return Err(TerminologyError::request("the body is neither Parameters nor a resource to work on")),
            },
        }
        match given.len() > PARAMETERS_MAX {
            true => Err(TerminologyError::too_costly(format!("more than {PARAMETERS_MAX} parameters"))),
            false => Ok(Given(given)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// Refuses parameters that R4 defines and that would change the answer if they were heeded.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<(), TerminologyError> {
        match names.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(TerminologyError::not_supported(format!("the parameter `{name}` is not supported"))),
            None => Ok(()),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, TerminologyError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if !text.is_empty() => Ok(Some(text.clone().into_owned())),
            Some(_) => Err(wrong(name, "a text")),
        }
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let all = self.0.iter().filter(|(known, _)| *known == name);
        all.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, TerminologyError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(Json::String(text)) if text == "true" => Ok(Some(true)),
            Some(Json::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(wrong(name, "`true` or `false`")),
        }
    }

    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, TerminologyError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Number(text) | Json::String(text)) => {
                // An integer of FHIR has 32 bits.
                let number = text.parse::<i32>().ok().and_then(|number| usize::try_from(number).ok());
                number.map(Some).ok_or_else(|| wrong(name, COUNT))
            }
            Some(_) => Err(wrong(name, COUNT)),
        }
    }

    /// The Coding of that name, or, given apart, `code` with `system`, `version` and `display`.
    pub(crate) fn coding(&self, name: &str) -> Result<Option<CodingRequest>, TerminologyError> {
        match self.get(name) {
            None => Ok(None),
            Some(coding) => CodingRequest::of(coding).map(Some).ok_or_else(|| wrong(name, "a Coding with `code`")),
        }
    }

    /// The codings of the CodeableConcept of that name.
    pub(crate) fn codings(&self, name: &str) -> Option<Vec<CodingRequest>> {
        let concept = self.get(name)?;
        let codings = concept.get("coding").map(Json::items).unwrap_or_default();
        Some(codings.iter().take(crate::limits::CONCEPT_CODINGS_MAX).filter_map(CodingRequest::of).collect())
    }
}

/// What a count must be.
const COUNT: &str = "a whole number of 32 bits that is not negative";

fn wrong(name: &str, expected: &str) -> TerminologyError {
    TerminologyError::request(format!("the parameter `{name}` must be {expected}"))
}

/// A `Parameters` resource of these.
pub(crate) fn answer(parameters: Vec<Json<'static>>) -> Json<'static> {
    Json::object([("resourceType", Json::from("Parameters")), ("parameter", Json::Array(parameters))])
}

/// One parameter; `member` is `valueString`, `valueCode` and so on.
pub(crate) fn parameter(name: &'static str, member: &'static str, value: Json<'static>) -> Json<'static> {
    Json::object([("name", Json::from(name)), (member, value)])
}

/// One parameter with parts.
pub(crate) fn parts(name: &'static str, parts: Vec<Json<'static>>) -> Json<'static> {
    Json::object([("name", Json::from(name)), ("part", Json::Array(parts))])
}

/// A text of our own as JSON.
pub(crate) fn string(text: &str) -> Json<'static> {
    Json::from(text.to_owned())
}
