//! Custom parameters: what is taken, what is refused, and what they find.

use super::*;
use crate::document::{Document, Key};
use tacet_fhir::json::{Limits, parse_str};
use tacet_types::{ResourceId, Timestamp, VersionId};

fn json(text: &str) -> Json<'static> {
    parse_str(text, &Limits::default()).unwrap().into_owned()
}

fn definition(url: &str, code: &str, kind: &str, base: &str, expression: &str) -> Json<'static> {
    json(&format!(
        r#"{{"resourceType":"SearchParameter","url":"{url}","status":"active","code":"{code}","type":"{kind}","base":["{base}"],"expression":"{expression}"}}"#
    ))
}

fn patient() -> ResourceType {
    ResourceType::parse("Patient").unwrap()
}

#[test]
fn a_custom_parameter_is_found_and_finds() {
    let eyes = definition("http://e/eyes", "eye-colour", "token", "Patient", "Patient.extension('http://e/eye').value");
    let (parameters, issues) = Parameters::standard().with_custom(&[eyes]);
    assert_eq!(issues, []);
    let id = parameters.find(patient(), "eye-colour").unwrap();
    assert_eq!(
        (id.index(), parameters.code(id), parameters.url(id).as_str()),
        (PARAMETER_COUNT, "eye-colour", "http://e/eyes")
    );
    assert_eq!(parameters.type_of(id), ParameterType::Token);
    assert_eq!(Parameters::standard().find(patient(), "eye-colour"), None);
    assert!(parameters.find(patient(), "name").is_some());
    let resource =
        json(r#"{"resourceType":"Patient","extension":[{"url":"http://e/eye","valueCode":"blue"}],"gender":"male"}"#);
    let key = Key { resource_type: patient(), id: ResourceId::parse("a").unwrap() };
    let document = Document::of(&resource, key, VersionId::FIRST, Timestamp::from_ms(0), &parameters);
    assert_eq!(document.values.iter().filter(|(found, _)| *found == id).count(), 1);
    assert!(parameters.of_type(patient()).contains(&id));
}

#[test]
fn the_fingerprint_is_that_of_the_definitions() {
    let standard = Parameters::standard().fingerprint();
    let with = |all: &[Json<'static>]| Parameters::standard().with_custom(all).0.fingerprint();
    let (a, b) = (
        definition("http://e/a", "a", "token", "Patient", "Patient.maritalStatus"),
        definition("http://e/b", "b", "token", "Patient", "Patient.maritalStatus"),
    );
    assert_eq!(with(&[]), standard);
    assert_ne!(with(std::slice::from_ref(&a)), standard);
    assert_eq!(with(&[a.clone(), b.clone()]), with(&[b.clone(), a.clone()]));
    let (first, _) = Parameters::standard().with_custom(&[b]);
    let (both, _) = first.with_custom(&[a]);
    assert_eq!(both.code(ParameterId::from_index(PARAMETER_COUNT as u16)), "a");
}

#[test]
fn what_cannot_be_used_is_left_out_with_an_issue() {
    let bad = [
        definition("http://e/1", "x", "token", "Patient", "Patient.nome"),
        definition("http://e/2", "x", "token", "Patient", "Patient.name.where($this.given.count() > 1)"),
        definition("http://e/3", "_x", "token", "Patient", "Patient.gender"),
        definition("http://e/4", "x", "special", "Patient", "Patient.gender"),
        definition("http://e/5", "x", "date", "Patient", "Patient.gender"),
        definition("http://e/6", "x", "token", "Patiens", "Patient.gender"),
        definition("http://e/7", "x", "composite", "Patient", "Patient"),
        definition("http://e/8", "x", "nothing", "Patient", "Patient.gender"),
        definition("", "x", "token", "Patient", "Patient.gender"),
        json(r#"{"resourceType":"Patient"}"#),
    ];
    for resource in bad {
        let (parameters, issues) = Parameters::standard().with_custom(std::slice::from_ref(&resource));
        assert_eq!(issues.len(), 1, "{resource:?}");
        assert_eq!(parameters.fingerprint(), Parameters::standard().fingerprint());
    }
    // The standard's own, and what is retired, are passed over in silence.
    let own = definition(
        "http://hl7.org/fhir/SearchParameter/Patient-active",
        "active",
        "token",
        "Patient",
        "Patient.active",
    );
    let mut retired = definition("http://e/r", "r", "token", "Patient", "Patient.gender");
    retired.set("status", Json::from("retired"));
    let (parameters, issues) = Parameters::standard().with_custom(&[own, retired]);
    assert_eq!((issues, parameters.fingerprint()), (vec![], Parameters::standard().fingerprint()));
    // Two of one code for one type: the first by url.
    let twice = [
        definition("http://e/b", "x", "token", "Patient", "Patient.gender"),
        definition("http://e/a", "x", "token", "Patient", "Patient.active"),
    ];
    let (parameters, issues) = Parameters::standard().with_custom(&twice);
    assert_eq!(issues.len(), 1);
    assert_eq!(parameters.url(parameters.find(patient(), "x").unwrap()), "http://e/a");
}

#[test]
fn a_composite_takes_its_parts_from_the_standard_and_from_others() {
    let part = definition("http://e/part", "marital", "token", "Patient", "Patient.maritalStatus");
    let composite = json(
        r#"{"resourceType":"SearchParameter","url":"http://e/both","status":"active","code":"marital-gender","type":"composite","base":["Patient"],
            "expression":"Patient","component":[{"definition":"http://e/part","expression":"maritalStatus"},
            {"definition":"http://hl7.org/fhir/SearchParameter/individual-gender","expression":"gender"}]}"#,
    );
    let (parameters, issues) = Parameters::standard().with_custom(&[composite.clone(), part]);
    assert_eq!(issues, []);
    let id = parameters.find(patient(), "marital-gender").unwrap();
    let parts: Vec<_> = parameters.components(id).into_iter().map(|part| parameters.code(part).to_owned()).collect();
    assert_eq!(parts, ["marital", "gender"]);
    let (_, issues) = Parameters::standard().with_custom(&[composite]);
    assert_eq!(issues.len(), 1, "its part is not there");
}

#[test]
fn a_parameter_of_the_store_takes_the_place_of_a_standard_one() {
    let own = definition("http://e/name", "name", "string", "Patient", "Patient.name.where(use='official').family");
    let (parameters, issues) = Parameters::standard().with_custom(&[own]);
    assert_eq!(issues, []);
    let id = parameters.find(patient(), "name").unwrap();
    assert_eq!(id.index(), PARAMETER_COUNT);
    let codes: Vec<_> = parameters.of_type(patient()).into_iter().filter(|id| parameters.code(*id) == "name").collect();
    assert_eq!(codes, [id]);
}

#[test]
fn parts_of_standard_composites_are_found() {
    for (place, parameter) in search::parameters().iter().enumerate() {
        let id = ParameterId::from_index(place as u16);
        assert_eq!(Parameters::standard().components(id).len(), parameter.components.len(), "{}", parameter.id);
    }
}
