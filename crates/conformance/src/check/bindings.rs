//! Bindings: is the code of an element in the value set that it is bound to?

use super::Check;
use crate::base::BaseBinding;
use crate::codes::Membership;
use crate::instance::Instance;
use crate::packages::split_canonical;
use crate::place::Place;
use crate::profile::{Binding, Strength};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{IssueType, Severity};

/// Most codings of one concept that are looked up.
const CODINGS_MAX: usize = 100;

/// The system of units of measure.
const UCUM: &str = "http://unitsofmeasure.org";

/// Value sets of R4 that list a few units (<https://hl7.org/fhir/R4/valueset-age-units.html>,
/// <https://hl7.org/fhir/R4/valueset-duration-units.html>).
const TIME_UNITS: [(&str, &[&str]); 2] = [
    ("http://hl7.org/fhir/ValueSet/age-units", &["min", "h", "d", "wk", "mo", "a"]),
    ("http://hl7.org/fhir/ValueSet/duration-units", &["ms", "s", "min", "h", "d", "wk", "mo", "a"]),
];

/// What a coded element says about a value set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// One of its codes is in the set.
    In,
    /// None is.
    Out,
    /// It has no code.
    NoCode,
    /// The set, or the code system, is not known.
    Unknown,
    /// It is not a coded element, or has no value.
    Nothing,
}

impl<'v> Check<'v> {
    /// A binding of a profile.
    pub(super) fn binding(&mut self, binding: &Binding, instance: Instance<'v>, place: &Place<'_>) {
        let required = binding.strength == Strength::Required;
        if !binding.value_set.is_empty() {
            self.bound(&binding.value_set, required, instance, place);
        }
        if let Some(max) = &binding.value_set_max {
            self.bound(max, true, instance, place);
        }
    }

    /// The code of a coding is one of its system, where that is all there.
    pub(super) fn coding_exists(&mut self, coding: &Json<'_>, place: &Place<'_>) {
        let Some(system) = coding.get_str("system") else { return };
        if !system.contains(':') {
            // R4, datatypes, Coding.system: an absolute address.
            let here = place.child("system", None);
            return self.error(IssueType::Value, &here, || "must be an absolute address");
        }
        let definition = self.packages.definition("CodeSystem", system);
        let is_supplement = |definition: &Json<'_>| {
            definition.get_str("content") == Some("supplement") || definition.get("supplements").is_some()
        };
        if definition.is_some_and(is_supplement) {
            // R4, CodeSystem, "Code System Supplements": codes stay those of the system that is supplemented.
            let here = place.child("system", None);
            return self.error(IssueType::Value, &here, || "is a supplement, which gives no codes of its own");
        }
        let Some(code) = coding.get_str("code") else { return };
        if self.context.terminology.code_exists(system, code) == Membership::No {
            self.error(IssueType::CodeInvalid, place, || "the code system has no such code");
        }
    }

    /// An identifier that is an address (its system is that of URIs) is a whole one: R4, datatypes, Identifier.
    pub(super) fn identifier(&mut self, identifier: &Json<'_>, place: &Place<'_>) {
        let is_address = identifier.get_str("system") == Some("urn:ietf:rfc:3986");
        if is_address && identifier.get_str("value").is_some_and(|value| !value.contains(':')) {
            let here = place.child("value", None);
            self.error(IssueType::Value, &here, || "must be a whole address, as its system is that of addresses");
        }
    }

    /// A binding of R4 itself.
    pub(super) fn base_binding(&mut self, binding: &BaseBinding, instance: Instance<'v>, place: &Place<'_>) {
        self.bound(binding.value_set, binding.required, instance, place);
    }

    fn bound(&mut self, value_set: &str, required: bool, instance: Instance<'v>, place: &Place<'_>) {
        let severity = if required { Severity::Error } else { Severity::Warning };
        match self.finding(value_set, instance) {
            Finding::In | Finding::Nothing => {}
            Finding::Out => self.report(severity, IssueType::CodeInvalid, place, || {
                format!("has no code of the value set {value_set}")
            }),
            Finding::NoCode => {
                if required {
                    self.error(IssueType::CodeInvalid, place, || {
                        format!("must have a code of the value set {value_set}")
                    });
                }
            }
            Finding::Unknown => self.report(Severity::Information, IssueType::NotFound, place, || {
                format!("was not held against the value set {value_set}, which cannot be expanded here")
            }),
        }
    }

    /// Whether an element surely has a code of a value set.
    pub(super) fn is_bound(&self, value_set: &str, instance: Instance<'v>) -> bool {
        self.finding(value_set, instance) == Finding::In
    }

    fn finding(&self, value_set: &str, instance: Instance<'v>) -> Finding {
        let Some(value) = instance.value else { return Finding::Nothing };
        match instance.type_name() {
            "CodeableConcept" => {
                let codings = value.get("coding").map(Json::items).unwrap_or_default();
                let mut finding = Finding::NoCode;
                for coding in codings.iter().take(CODINGS_MAX) {
                    match self.coding(value_set, coding) {
                        Finding::In => return Finding::In,
                        Finding::Unknown => finding = Finding::Unknown,
                        Finding::Out if finding != Finding::Unknown => finding = Finding::Out,
                        _ => {}
                    }
                }
                finding
            }
            "Coding" | "Quantity" | "Age" | "Duration" | "Count" | "Distance" | "Money" => {
                self.coding(value_set, value)
            }
            "code" | "string" | "uri" | "url" | "canonical" | "id" | "markdown" => {
                value.as_str().map_or(Finding::Nothing, |code| self.member(value_set, None, code))
            }
            _ => Finding::Nothing,
        }
    }

    fn coding(&self, value_set: &str, coding: &Json<'_>) -> Finding {
        match coding.get_str("code") {
            Some(code) => self.member(value_set, Some(coding.get_str("system").unwrap_or_default()), code),
            None => Finding::NoCode,
        }
    }

    /// `system` is `None` for a plain code, whose system is that of the set.
    fn member(&self, value_set: &str, system: Option<&str>, code: &str) -> Finding {
        match self.context.terminology.member_of(value_set, system, code) {
            Membership::Yes => Finding::In,
            Membership::No => Finding::Out,
            Membership::Unknown => of_time_units(value_set, system, code),
        }
    }
}

/// Whether a code is one of the units of R4's value sets for ages and durations, which list codes of UCUM.
fn of_time_units(value_set: &str, system: Option<&str>, code: &str) -> Finding {
    let (url, _) = split_canonical(value_set);
    let Some((_, units)) = TIME_UNITS.iter().find(|(known, _)| *known == url) else { return Finding::Unknown };
    if units.contains(&code) && system.is_none_or(|system| system == UCUM) { Finding::In } else { Finding::Out }
}
