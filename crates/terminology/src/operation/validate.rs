//! `$validate-code` on CodeSystem and ValueSet (<https://hl7.org/fhir/R4/valueset-operation-validate-code.html>,
//! <https://hl7.org/fhir/R4/codesystem-operation-validate-code.html>).

use super::Kind;
use crate::error::TerminologyError;
use crate::expansion::{Membership, Pins};
use crate::parameters::{CodingRequest, Given, answer, parameter, string};
use crate::snapshot::Terminology;
use crate::system::{System, system_of};
use std::sync::Arc;
use tacet_fhir::json::Json;

/// In what a code is to be valid.
#[derive(Clone, Debug)]
pub enum Within<'a> {
    /// A code system by address and version; without address, that of the coding.
    System(Option<String>, Option<String>),
    /// A code system that is given.
    SystemResource(&'a Json<'a>),
    /// A value set by address and version.
    ValueSet(Option<String>, Option<String>),
    /// A value set that is given.
    ValueSetResource(&'a Json<'a>),
}

/// A question about codes.
#[derive(Clone, Debug)]
pub struct ValidateCode<'a> {
    /// In what.
    pub within: Within<'a>,
    /// The code, or those of a CodeableConcept, of which one is enough.
    pub codings: Vec<CodingRequest>,
    /// `false` says that codes which exist only for order are not valid. Not given, they are.
    pub abstract_allowed: Option<bool>,
    /// The language of the display that is answered.
    pub display_language: Option<String>,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Validation {
    /// Whether the code is valid, and its display, if one was given.
    pub result: bool,
    /// Why not.
    pub message: Option<String>,
    /// The display of the code, if it has one.
    pub display: Option<String>,
}

impl Validation {
    fn no(message: impl Into<String>) -> Self {
        Self { result: false, message: Some(message.into()), display: None }
    }

    /// The `Parameters` that say it.
    pub fn to_parameters(&self) -> Json<'static> {
        let mut list = vec![parameter("result", "valueBoolean", Json::from(self.result))];
        if let Some(message) = &self.message {
            list.push(parameter("message", "valueString", string(message)));
        }
        if let Some(display) = &self.display {
            list.push(parameter("display", "valueString", string(display)));
        }
        answer(list)
    }
}

impl<'a> ValidateCode<'a> {
    pub(super) fn read(
        given: &'a Given<'a>,
        kind: Kind,
        instance: Option<&'a Json<'a>>,
    ) -> Result<Self, TerminologyError> {
        given.refuse(&["context", "date"])?;
        let within = match kind {
            Kind::ValueSet => match instance.or_else(|| given.get("valueSet")) {
                Some(resource) => Within::ValueSetResource(resource),
                None => Within::ValueSet(given.text("url")?, given.text("valueSetVersion")?),
            },
            _ => match instance.or_else(|| given.get("codeSystem")) {
                Some(resource) => Within::SystemResource(resource),
                None => Within::System(given.text("url")?, given.text("version")?),
            },
        };
        let codings = match (given.text("code")?, given.coding("coding")?, given.codings("codeableConcept")) {
            (Some(code), None, None) => vec![CodingRequest {
                system: given.text("system")?,
                version: given.text("systemVersion")?,
                code,
                display: given.text("display")?,
            }],
            (None, Some(coding), None) => vec![coding],
            (None, None, Some(codings)) => codings,
            _ => {
                return Err(TerminologyError::request("give one of `code`, `coding` and `codeableConcept`"));
            }
        };
        Ok(Self {
            within,
            codings,
            abstract_allowed: given.flag("abstract")?,
            display_language: given.text("displayLanguage")?,
        })
    }
}

/// What was found of a code.
struct Found {
    display: Option<String>,
    is_abstract: bool,
    /// Whether the display that was given is one of its names; `true` where it has none.
    display_fits: bool,
}

impl Terminology {
    /// Whether a code is valid in a code system or a value set. Of several codings one valid one is enough.
    ///
    /// # Errors
    /// What it is to be valid in is not known; or nobody can say, because a system is not here.
    pub fn validate_code(&self, request: &ValidateCode<'_>) -> Result<Validation, TerminologyError> {
        let mut first = None;
        let mut failure = None;
        for coding in &request.codings {
            match self.validate_one(request, coding) {
                Ok(validation) if validation.result => return Ok(validation),
                Ok(validation) => first = first.or(Some(validation)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match (failure, first) {
            (Some(error), _) => Err(error),
            (None, Some(validation)) => Ok(validation),
            (None, None) => Ok(Validation::no("the concept has no code")),
        }
    }

    fn validate_one(&self, request: &ValidateCode<'_>, coding: &CodingRequest) -> Result<Validation, TerminologyError> {
        let (found, nowhere) = match &request.within {
            Within::System(url, version) => {
                let url = match (url, &coding.system) {
                    (Some(url), Some(system)) if url != system => {
                        return Ok(Validation::no("the code is of another code system than the one that was named"));
                    }
                    (Some(url), _) | (None, Some(url)) => url,
                    (None, None) => return Err(TerminologyError::request("name a code system: `url` is missing")),
                };
                let version = version.as_deref().or(coding.version.as_deref());
                let system = self.system(url, version)?;
                (in_system(&system, request, coding)?, format!("code system `{url}` does not have the code"))
            }
            Within::SystemResource(resource) => {
                let system = System { base: Arc::new(system_of(resource)?), supplements: Arc::from([]) };
                if coding.system.as_ref().is_some_and(|of| *of != system.header().url) {
                    return Ok(Validation::no("the code is of another code system than the one that was given"));
                }
                let nowhere = format!("code system `{}` does not have the code", system.header().url);
                (in_system(&system, request, coding)?, nowhere)
            }
            Within::ValueSet(url, version) => {
                self.in_value_set(request, coding, url.as_deref(), version.as_deref(), None)?
            }
            Within::ValueSetResource(resource) => self.in_value_set(request, coding, None, None, Some(resource))?,
        };
        Ok(match found {
            None => Validation::no(nowhere),
            Some(found) if found.is_abstract && request.abstract_allowed == Some(false) => Validation {
                result: false,
                message: Some("the code exists for order only and cannot be chosen".to_owned()),
                display: found.display,
            },
            Some(found) if !found.display_fits => Validation {
                result: false,
                message: Some("the display is not one of those of the code".to_owned()),
                display: found.display,
            },
            Some(found) => Validation { result: true, message: None, display: found.display },
        })
    }

    fn in_value_set(
        &self,
        request: &ValidateCode<'_>,
        coding: &CodingRequest,
        url: Option<&str>,
        version: Option<&str>,
        resource: Option<&Json<'_>>,
    ) -> Result<(Option<Found>, String), TerminologyError> {
        let value_set = self.named_value_set(url, version, resource)?;
        let expansion = self.expansion(&value_set, &Pins::default())?;
        let (system, version) = (coding.system.as_deref(), coding.version.as_deref());
        if expansion.membership(system, version, &coding.code) == Membership::Unknown {
            return Err(expansion.problem().cloned().unwrap_or_else(|| {
                TerminologyError::not_found("only a part of the code system is here, and the code is not in that part")
            }));
        }
        let found = expansion.find(system, version, &coding.code).map(|member| Found {
            display: member.display(request.display_language.as_deref()).map(str::to_owned),
            is_abstract: member.is_abstract(),
            display_fits: fits(coding, member.has_a_name(), |text| member.has_display(text)),
        });
        Ok((found, format!("value set `{}` does not have the code", value_set.title())))
    }
}

fn fits(coding: &CodingRequest, has_name: bool, is_name: impl Fn(&str) -> bool) -> bool {
    coding.display.as_deref().is_none_or(|text| !has_name || is_name(text))
}

fn in_system(
    system: &System,
    request: &ValidateCode<'_>,
    coding: &CodingRequest,
) -> Result<Option<Found>, TerminologyError> {
    let Some(concept) = system.table().find(&coding.code) else {
        return match system.is_complete() {
            true => Ok(None),
            false => Err(TerminologyError::not_found(format!(
                "only a part of code system `{}` is here, and the code is not in that part",
                system.header().url
            ))),
        };
    };
    let has_name = system.display_in(concept, None).is_some();
    Ok(Some(Found {
        display: system.display_in(concept, request.display_language.as_deref()).map(str::to_owned),
        is_abstract: system.table().is(concept, crate::table::ABSTRACT),
        display_fits: fits(coding, has_name, |text| system.has_display(concept, text)),
    }))
}
