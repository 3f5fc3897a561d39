//! Definitions that nobody would write: validating against them ends within its bounds, and the same each time.

use tacet_conformance::{Limits as Bounds, NoCodes, Packages, ValidationContext, validate};
use tacet_fhir::json::{Json, Limits, parse_str};

const URL: &str = "http://hostile.example/p";
/// Definitions made for the test.
const ROUNDS: u64 = 400;

const PATIENT: &str = r##"{"resourceType":"Patient","id":"p","active":true,
    "contained":[{"resourceType":"Patient","id":"c","link":[{"other":{"reference":"#"},"type":"seealso"}]}],
    "extension":[{"url":"http://hostile.example/p","valueQuantity":{"value":1.5,"code":"mg"}}],
    "identifier":[{"system":"http://a.example","value":"1"},{"system":"http://b.example","value":"2"}],
    "name":[{"family":"One","given":["A",null],"_given":[null,{"id":"g"}]}],"birthDate":"1970-03-30",
    "link":[{"other":{"reference":"#c"},"type":"seealso"}]}"##;

/// Paths, some of them of nothing.
const PATHS: [&str; 12] = [
    "Patient",
    "Patient.link.other",
    "Patient.name",
    "Patient.name.given",
    "Patient.identifier",
    "Patient.extension",
    "Patient.contained",
    "Patient.birthDate",
    "Patient.link.other.link.other",
    "Patient..name",
    "Extension.value[x]",
    "",
];
/// What an element may say; `{u}` is the definition itself.
const PARTS: [&str; 16] = [
    r#""min":4294967296"#,
    r#""min":3,"max":"0""#,
    r#""max":"-1""#,
    r#""sliceName":"a/b/c/d""#,
    r#""sliceName":"a","slicing":{"discriminator":[{"type":"profile","path":"$this"}],"rules":"closed","ordered":true}"#,
    r#""slicing":{"discriminator":[{"type":"value","path":"resolve().link.other.resolve()"}],"rules":"openAtEnd"}"#,
    r#""slicing":{"discriminator":[{"type":"type","path":"ofType("},{"type":"exists","path":"..."}]}"#,
    r#""type":[{"code":"Reference","targetProfile":["{u}","{u}|1"]}]"#,
    r#""type":[{"code":"HumanName","profile":["{u}"]},{"code":"","profile":[""]}]"#,
    r#""type":[{"code":"Extension","profile":["{u}"]}]"#,
    r#""constraint":[{"key":"x","severity":"error","expression":"descendants().repeat(descendants()).count() > 0"}]"#,
    r#""constraint":[{"key":"y","severity":"error","expression":"conformsTo('{u}')"}]"#,
    r#""constraint":[{"key":"z","expression":"((((("}]"#,
    r#""patternHumanName":{"given":[[["A"]]]},"fixedString":{"a":null}"#,
    r#""minValueDate":"9999-99","maxLength":-5,"contentReference":"{u}""#,
    r#""binding":{"strength":"required","valueSet":"{u}|{u}"}"#,
];

/// A definition of up to twelve elements, chosen by a number that is stirred as it goes.
fn definition(mut seed: u64) -> String {
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    let elements: Vec<String> = (0..=next(12))
        .map(|_| {
            let path = PATHS[next(PATHS.len())];
            let parts: Vec<String> = (0..=next(2)).map(|_| PARTS[next(PARTS.len())].replace("{u}", URL)).collect();
            format!(r#"{{"path":"{path}","id":"{path}",{}}}"#, parts.join(","))
        })
        .collect();
    let base = ["http://hl7.org/fhir/StructureDefinition/Patient", URL, "http://unknown.example/base"][next(3)];
    let kind = ["Patient", "Extension", "Reference", "Nothing"][next(4)];
    let part = ["differential", "snapshot"][next(2)];
    format!(
        r#"{{"resourceType":"StructureDefinition","url":"{URL}","type":"{kind}","derivation":"constraint",
            "baseDefinition":"{base}","{part}":{{"element":[{}]}}}}"#,
        elements.join(",")
    )
}

fn read(text: &str) -> Option<Json<'_>> {
    parse_str(text, &Limits::default()).ok()
}

#[test]
fn no_definition_takes_a_validation_past_its_bounds() {
    let patient = read(PATIENT).expect("a patient");
    let mut context = ValidationContext::new(&NoCodes, crate::data::now());
    context.limits = Bounds { steps_max: 20_000, rule_steps_max: 10_000, ..Bounds::default() };
    let mut taken = 0;
    for round in 0..ROUNDS {
        let text = definition(round);
        // Members that stand twice are refused by the parser.
        let Some(definition) = read(&text) else { continue };
        let mut packages = Packages::standard();
        if packages.add_resource(&definition).is_err() {
            continue;
        }
        taken += 1;
        let issues = validate(&patient, &[URL], &packages, &context);
        assert!(issues.len() <= context.limits.issues_max + 1, "{text}");
        assert_eq!(issues, validate(&patient, &[URL], &packages, &context), "{text}");
        let _ = validate(&definition, &[], &packages, &context);
    }
    assert!(taken > ROUNDS / 2, "only {taken} were taken");
}
