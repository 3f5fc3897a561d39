//! What R4 or an IPS profile asks for and the record does not have is said to be absent, by the extension that R4 has for it. Nothing is made up.

use crate::links::absent;
use crate::words::has_coding;
use tacet_fhir::json::Json;

/// An element that must be there.
enum Must {
    /// A concept or a reference by this name.
    Object(&'static str),
    /// A list of them.
    List(&'static str),
    /// One of `name[x]`; a date where there is none.
    Date(&'static str, &'static str),
    /// A value that is a text.
    Text(&'static str),
}

/// What must be there, by type: IPS 2.0 profiles, elements with a minimum of one that the base type has not.
fn musts(resource: &Json<'_>) -> &'static [Must] {
    match resource.resource_type().unwrap_or_default() {
        "AllergyIntolerance" | "Condition" | "Medication" => &[Must::Object("code")],
        "DeviceUseStatement" => &[Must::Date("timing", "_timingDateTime"), Must::Object("device")],
        "DiagnosticReport" => &[Must::Date("effective", "_effectiveDateTime")],
        "MedicationStatement" => &[Must::Date("effective", "_effectiveDateTime")],
        "Observation" if is_result(resource) => {
            &[Must::Date("effective", "_effectiveDateTime"), Must::List("performer")]
        }
        "Observation" => &[Must::Date("effective", "_effectiveDateTime")],
        "Organization" => &[Must::Text("name")],
        "Patient" => &[Must::Text("birthDate")],
        "Practitioner" => &[Must::List("name")],
        "Procedure" => &[Must::Object("code"), Must::Date("performed", "_performedDateTime")],
        "Specimen" => &[Must::Object("type")],
        _ => &[],
    }
}

/// A result by the laboratory and radiology profiles, which ask for who performed it.
fn is_result(observation: &Json<'_>) -> bool {
    const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
    let mut categories = observation.get("category").into_iter().flat_map(Json::iter);
    categories.any(|one| has_coding(one, SYSTEM, "laboratory") || has_coding(one, SYSTEM, "imaging"))
}

/// Says what is absent.
pub(crate) fn fill(resource: &mut Json<'static>) {
    for must in musts(resource) {
        match must {
            Must::Object(name) if resource.get(name).is_none() => drop(resource.set(*name, absent())),
            Must::List(name) if resource.get(name).is_none() => drop(resource.set(*name, Json::Array(vec![absent()]))),
            Must::Date(choice, name) if !has_choice(resource, choice) => drop(resource.set(*name, absent())),
            Must::Text(name) if !has_choice(resource, name) => drop(resource.set(format!("_{name}"), absent())),
            _ => {}
        }
    }
    match resource.resource_type() {
        Some("Patient") => name_of_patient(resource),
        Some("Observation") => value_of_observation(resource),
        _ => {}
    }
}

/// Whether the element, or one of a choice, is there with a value or with what is said of it.
fn has_choice(resource: &Json<'_>, choice: &str) -> bool {
    resource.members().iter().any(|(name, _)| {
        let name = name.strip_prefix('_').unwrap_or(name);
        name.strip_prefix(choice)
            .is_some_and(|kind| kind.is_empty() || kind.starts_with(|letter: char| letter.is_ascii_uppercase()))
    })
}

/// Invariant ips-pat-1: each name has a family name, a given name or a text.
fn name_of_patient(patient: &mut Json<'static>) {
    let nameless = || Json::object([("_text", absent())]);
    match patient.get_mut("name") {
        Some(Json::Array(names)) => {
            for name in names {
                let told = ["family", "given", "text", "_family", "_given", "_text"]
                    .iter()
                    .any(|part| name.get(part).is_some());
                if !told {
                    name.set("_text", absent());
                }
            }
        }
        _ => drop(patient.set("name", Json::Array(vec![nameless()]))),
    }
}

/// Invariants ips-2 and ips-3, and vs-2 of vital signs: a result has a value, parts, or a reason why not.
fn value_of_observation(observation: &mut Json<'static>) {
    let reason = || {
        let coding = Json::object([
            ("system", Json::from("http://terminology.hl7.org/CodeSystem/data-absent-reason")),
            ("code", Json::from("unknown")),
            ("display", Json::from("Unknown")),
        ]);
        Json::object([("coding", Json::Array(vec![coding]))])
    };
    let says = |value: &Json<'_>| has_choice(value, "value") || value.get("dataAbsentReason").is_some();
    let parts = ["hasMember", "component"].iter().any(|name| observation.get(name).is_some());
    if !says(observation) && !parts {
        observation.set("dataAbsentReason", reason());
    }
    if let Some(Json::Array(components)) = observation.get_mut("component") {
        for component in components {
            if !says(component) {
                component.set("dataAbsentReason", reason());
            }
        }
    }
}
