//! Any text is refused as an expression or evaluated within its bounds, the same each time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse};
use tacet_fhirpath::{CheckOptions, Context, Expression, NodeType};
use tacet_types::Timestamp;

const RESOURCE: &[u8] = br##"{"resourceType":"Patient","id":"p","active":true,
    "contained":[{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.50,"system":"http://unitsofmeasure.org","code":"mg"}}],
    "name":[{"family":"One","given":["A",null],"_given":[null,{"id":"g","extension":[{"url":"u","valueCode":"c"}]}]}],
    "birthDate":"1970-03-30","multipleBirthInteger":2,"managingOrganization":{"reference":"#o"}}"##;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(expression) = Expression::compile(text) else {
        return;
    };
    let resource = parse(RESOURCE, &Limits::default()).expect("the resource is well-formed");
    let context = Context { steps_max: 50_000, ..Context::new(&resource, Timestamp::from_ms(1_767_225_600_000)) };
    let once = || expression.evaluate_on(&resource, &context).map(|items| format!("{items:?}"));
    assert_eq!(once(), once(), "two answers");
    if let Some(patient) = NodeType::find("Patient") {
        let _ = expression.check(&[patient], &CheckOptions { ordered: true });
    }
});
