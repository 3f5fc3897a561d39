//! Definitions of any shape are taken in or refused; validating against them ends within its bounds, the same each time.
//!
//! The input is a line with a StructureDefinition, and after it the resource that is validated against it; without a
//! second line, a patient is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_conformance::{Limits as Bounds, NoCodes, Packages, ValidationContext, validate};
use tacet_fhir::json::{Limits, parse};
use tacet_types::Timestamp;

const PATIENT: &[u8] = br##"{"resourceType":"Patient","id":"p","active":true,"contained":[{"resourceType":"Patient","id":"c"}],
    "extension":[{"url":"http://fuzz.example/e","valueQuantity":{"value":1.5,"code":"mg"}}],
    "identifier":[{"system":"http://a.example","value":"1"},{"system":"http://b.example","value":"2"}],
    "name":[{"family":"One","given":["A",null],"_given":[null,{"id":"g"}]}],"birthDate":"1970-03-30",
    "maritalStatus":{"coding":[{"system":"urn:a","code":"M"}]},"link":[{"other":{"reference":"#c"},"type":"seealso"}]}"##;

const URL: &str = "http://fuzz.example/p";

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let Ok(definition) = parse(lines.next().unwrap_or_default(), &Limits::default()) else {
        return;
    };
    let resource = lines.next().unwrap_or(PATIENT);
    let Ok(resource) = parse(resource, &Limits::default()) else {
        return;
    };
    let mut packages = Packages::standard();
    if packages.add_resource(&definition).is_err() {
        return;
    }
    let url = definition.get_str("url").unwrap_or(URL).to_owned();
    let mut context = ValidationContext::new(&NoCodes, Timestamp::from_ms(1_767_225_600_000));
    context.limits = Bounds { steps_max: 100_000, rule_steps_max: 10_000, ..Bounds::default() };
    let once = || validate(&resource, &[url.as_str()], &packages, &context);
    let issues = once();
    assert!(issues.len() <= context.limits.issues_max + 1, "more issues than allowed");
    assert_eq!(issues, once(), "two answers");
    // The definition itself is a resource that can be validated.
    let _ = validate(&definition, &[], &packages, &context);
});
