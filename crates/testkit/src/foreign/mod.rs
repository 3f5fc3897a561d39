//! Records as other countries' software writes them: American shapes mostly, and the billing and planning types that the
//! hospital's own charts have none of.
//!
//! They stand alone (what they refer to need not exist) and are there for the compression dictionaries, so that feeds from
//! elsewhere compress too, and for tests that want types beyond the hospital's. All of it is written here by hand from the
//! standard and from published code systems; no record of anybody's software was copied.

mod billing;
mod clinical;
mod people;
mod terms;

use crate::Record;
use crate::draw::{Draw, Stream};
use crate::json::{JsonWriter, References, Uuid};
use tacet_types::ResourceType;

/// Writes the body of one resource.
type Body = fn(&mut JsonWriter, &mut Draw);

const SHAPES: &[(&str, Body)] = &[
    ("AllergyIntolerance", clinical::allergy),
    ("CarePlan", clinical::care_plan),
    ("CareTeam", clinical::care_team),
    ("Claim", billing::claim),
    ("Condition", clinical::condition),
    ("Coverage", billing::coverage),
    ("Device", clinical::device),
    ("DiagnosticReport", clinical::report),
    ("DocumentReference", clinical::document),
    ("Encounter", clinical::encounter),
    ("ExplanationOfBenefit", billing::explanation),
    ("Goal", clinical::goal),
    ("ImagingStudy", clinical::imaging),
    ("Immunization", clinical::immunization),
    ("Location", people::location),
    ("MedicationAdministration", clinical::administration),
    ("MedicationRequest", clinical::prescription),
    ("Observation", clinical::observation),
    ("Organization", people::organization),
    ("Patient", people::patient),
    ("Practitioner", people::practitioner),
    ("PractitionerRole", people::practitioner_role),
    ("Procedure", clinical::procedure),
    ("Provenance", people::provenance),
    ("SupplyDelivery", clinical::supply),
];

/// The types that [`record`] can write, sorted.
pub fn types() -> impl Iterator<Item = ResourceType> {
    SHAPES.iter().filter_map(|(name, _)| ResourceType::parse(name))
}

/// Record number `n` of a type; `None` for a type that is not among [`types`].
pub fn record(resource_type: ResourceType, seed: u64, n: u64) -> Option<Record> {
    let (name, body) = SHAPES.iter().find(|(name, _)| *name == resource_type.as_str())?;
    let draw = &mut Draw::new(seed ^ u64::from(resource_type.code()) << 32, Stream::Foreign, n);
    let id = any_id(draw);
    let json = JsonWriter::resource(References::Relative, name, id, |w| body(w, draw));
    Some(Record { resource_type, id: id.text(), json })
}

fn any_id(draw: &mut Draw) -> Uuid {
    Uuid::from_words(draw.next(), draw.next())
}

/// A reference to some resource of this type.
fn refer(w: &mut JsonWriter, draw: &mut Draw, name: &str, resource_type: &str) {
    w.own(name, resource_type, any_id(draw));
}

/// An array with one reference.
fn refer_in_array(w: &mut JsonWriter, draw: &mut Draw, name: &str, resource_type: &str) {
    w.array(name, |w| w.element(|w| w.own_members(resource_type, any_id(draw))));
}

/// Some moment between 1990 and 2025.
fn moment(draw: &mut Draw) -> i64 {
    draw.between(631_152_000, 1_740_000_000) * 1000
}

/// One of `codes` with its display, and often the display again as text.
fn concept(w: &mut JsonWriter, draw: &mut Draw, name: &str, system: &str, codes: &[(&str, &str)]) {
    let (code, display) = *draw.pick_from(codes);
    let text = if draw.chance(85) { display } else { "" };
    w.object(name, |w| w.concept_members(system, code, display, text));
}

/// An array of one such code.
fn concepts(w: &mut JsonWriter, draw: &mut Draw, name: &str, system: &str, codes: &[(&str, &str)]) {
    let (code, display) = *draw.pick_from(codes);
    let text = if draw.chance(85) { display } else { "" };
    w.single(name, |w| w.concept_members(system, code, display, text));
}

const SNOMED: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";
const TERMINOLOGY: &str = "http://terminology.hl7.org/CodeSystem/";
const US_CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/";

/// `meta.profile` with a profile of US Core, on about half of the records as it is with feeds.
fn us_core(w: &mut JsonWriter, draw: &mut Draw, profile: &str) {
    if draw.chance(50) {
        w.object("meta", |w| w.array("profile", |w| w.item(&format!("{US_CORE}{profile}"))));
    }
}

/// The full name of a code system of HL7.
fn hl7(name: &str) -> String {
    format!("{TERMINOLOGY}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_sorted_valid_and_repeatable() {
        assert!(SHAPES.is_sorted_by_key(|(name, _)| *name));
        assert_eq!(types().count(), SHAPES.len());
        for resource_type in types() {
            for n in 0..60 {
                let made = record(resource_type, 1, n).unwrap();
                assert_eq!(record(resource_type, 1, n), Some(made.clone()));
                let faults = crate::tests::faults(&made.json);
                assert!(faults.is_empty(), "{resource_type}: {faults:?} in {}", made.json);
            }
            assert_ne!(record(resource_type, 1, 0), record(resource_type, 2, 0));
        }
        assert_eq!(record(ResourceType::parse("Measure").unwrap(), 1, 0), None);
    }
}
