//! Profiles written for the purpose: each rule of slicing and of the rest, on what conforms and on what does not.

use crate::data;
use tacet_conformance::Packages;
use tacet_fhir::json::{Limits, parse_str};

/// A profile with these elements; its address is `http://t.example/p`.
fn profile(of: &str, elements: &str) -> String {
    profile_named("p", of, elements)
}

fn profile_named(name: &str, of: &str, elements: &str) -> String {
    let base = if of.contains(':') {
        of.split_once(' ').unwrap().0.to_owned()
    } else {
        format!("http://hl7.org/fhir/StructureDefinition/{of}")
    };
    let kind = of.split(' ').next_back().unwrap();
    format!(
        r#"{{"resourceType":"StructureDefinition","url":"http://t.example/{name}","type":"{kind}","derivation":"constraint",
            "kind":"resource","baseDefinition":"{base}","differential":{{"element":[{elements}]}}}}"#
    )
}

fn check(definitions: &[String], resource: &str) -> Vec<String> {
    let mut packages = Packages::standard();
    for definition in definitions {
        let definition = parse_str(definition, &Limits::default()).expect("well-formed");
        packages.add_resource(&definition).expect("a definition");
    }
    let resource = parse_str(resource, &Limits::default()).expect("well-formed");
    data::errors(&resource, &["http://t.example/p"], &packages)
        .into_iter()
        .map(|issue| format!("{}: {}", issue.location, issue.message))
        .collect()
}

#[track_caller]
fn conforms(definitions: &[String], resource: &str) {
    assert_eq!(check(definitions, resource), [""; 0]);
}

#[track_caller]
fn fails(definitions: &[String], resource: &str, place: &str, words: &str) {
    let issues = check(definitions, resource);
    assert!(issues.iter().any(|issue| issue.starts_with(&format!("{place}: ")) && issue.contains(words)), "{issues:?}");
}

#[test]
fn cardinalities_fixed_values_patterns_and_lengths() {
    let p = [profile(
        "Patient",
        r#"{"path":"Patient.name","min":1,"max":"1"},{"path":"Patient.name.family","maxLength":3},
           {"path":"Patient.active","fixedBoolean":true},{"path":"Patient.maritalStatus","patternCodeableConcept":{"coding":[{"code":"M"}]}},
           {"path":"Patient.address","max":"0"},{"path":"Patient.multipleBirth[x]","type":[{"code":"integer"}],"maxValueInteger":3}"#,
    )];
    conforms(
        &p,
        r#"{"resourceType":"Patient","name":[{"family":"abc"}],"active":true,"maritalStatus":{"coding":[{"code":"M","system":"s:s"}]},"multipleBirthInteger":3}"#,
    );
    fails(&p, r#"{"resourceType":"Patient"}"#, "Patient.name", "at least 1");
    fails(&p, r#"{"resourceType":"Patient","name":[{"family":"a"},{"family":"b"}]}"#, "Patient.name", "at most 1");
    fails(&p, r#"{"resourceType":"Patient","name":[{"family":"abcd"}]}"#, "Patient.name[0].family", "longer");
    fails(&p, r#"{"resourceType":"Patient","name":[{"family":"a"}],"active":false}"#, "Patient.active", "fixes");
    fails(
        &p,
        r#"{"resourceType":"Patient","name":[{"family":"a"}],"maritalStatus":{"text":"M"}}"#,
        "Patient.maritalStatus",
        "pattern",
    );
    fails(
        &p,
        r#"{"resourceType":"Patient","name":[{"family":"a"}],"address":[{"city":"x"}]}"#,
        "Patient.address",
        "at most 0",
    );
    fails(
        &p,
        r#"{"resourceType":"Patient","name":[{"family":"a"}],"multipleBirthBoolean":true}"#,
        "Patient.multipleBirth",
        "type",
    );
    fails(
        &p,
        r#"{"resourceType":"Patient","name":[{"family":"a"}],"multipleBirthInteger":4}"#,
        "Patient.multipleBirth",
        "more than",
    );
    fails(
        &p,
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#,
        "Observation",
        "not for this type",
    );
}

#[test]
fn slices_by_value_closed_ordered_and_default() {
    let slices = |rules: &str| {
        [profile(
            "Patient",
            &format!(
                r#"{{"path":"Patient.identifier","slicing":{{"discriminator":[{{"type":"value","path":"system"}}],{rules}}}}},
                {{"path":"Patient.identifier","sliceName":"a","min":1,"max":"1"}},{{"path":"Patient.identifier.system","fixedUri":"s:a"}},
                {{"path":"Patient.identifier.value","min":1}},
                {{"path":"Patient.identifier","sliceName":"b"}},{{"path":"Patient.identifier.system","fixedUri":"s:b"}}"#
            ),
        )]
    };
    let patient = |systems: &[&str]| {
        let items: Vec<String> =
            systems.iter().map(|system| format!(r#"{{"system":"{system}","value":"1"}}"#)).collect();
        format!(r#"{{"resourceType":"Patient","identifier":[{}]}}"#, items.join(","))
    };
    let open = slices(r#""rules":"open""#);
    conforms(&open, &patient(&["s:x", "s:b", "s:a"]));
    fails(&open, &patient(&["s:b"]), "Patient.identifier", "slice `a`");
    fails(&open, &patient(&["s:a", "s:a"]), "Patient.identifier", "at most 1 of the slice `a`");
    fails(
        &open,
        r#"{"resourceType":"Patient","identifier":[{"system":"s:a"}]}"#,
        "Patient.identifier[0].value",
        "at least 1",
    );
    let closed = slices(r#""rules":"closed""#);
    conforms(&closed, &patient(&["s:b", "s:a"]));
    fails(&closed, &patient(&["s:a", "s:x"]), "Patient.identifier[1]", "none of the slices");
    let at_end = slices(r#""rules":"openAtEnd""#);
    conforms(&at_end, &patient(&["s:b", "s:a", "s:x"]));
    fails(&at_end, &patient(&["s:x", "s:a"]), "Patient.identifier[1]", "only after");
    let ordered = slices(r#""rules":"open","ordered":true"#);
    conforms(&ordered, &patient(&["s:a", "s:x", "s:b"]));
    fails(&ordered, &patient(&["s:b", "s:a"]), "Patient.identifier[1]", "order");
}

#[test]
fn slices_by_pattern_exists_type_and_profile() {
    let p = [profile(
        "Observation",
        r#"{"path":"Observation.category","slicing":{"discriminator":[{"type":"pattern","path":"$this"}],"rules":"open"}},
           {"path":"Observation.category","sliceName":"lab","min":1,"patternCodeableConcept":{"coding":[{"system":"s:c","code":"lab"}]}},
           {"path":"Observation.value[x]","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"open"}},
           {"path":"Observation.value[x]","sliceName":"valueQuantity","type":[{"code":"Quantity"}]},
           {"path":"Observation.value[x].unit","min":1},
           {"path":"Observation.component","slicing":{"discriminator":[{"type":"exists","path":"interpretation"}],"rules":"open"}},
           {"path":"Observation.component","sliceName":"with","max":"1"},{"path":"Observation.component.interpretation","min":1}"#,
    )];
    let observation = |category: &str, rest: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},
                "category":[{{"coding":[{{"system":"s:c","code":"{category}"}}]}}]{rest}}}"#
        )
    };
    conforms(&p, &observation("lab", r#","valueQuantity":{"value":1,"unit":"u"}"#));
    conforms(&p, &observation("lab", r#","valueString":"x""#));
    fails(&p, &observation("x", ""), "Observation.category", "slice `lab`");
    fails(&p, &observation("lab", r#","valueQuantity":{"value":1}"#), "Observation.value.unit", "at least 1");
    let component = r#"{"code":{"text":"x"},"interpretation":[{"text":"y"}]}"#;
    fails(
        &p,
        &observation("lab", &format!(r#","component":[{component},{component}]"#)),
        "Observation.component",
        "`with`",
    );
    conforms(&p, &observation("lab", &format!(r#","component":[{component},{{"code":{{"text":"x"}}}}]"#)));
}

#[test]
fn slices_by_the_target_of_a_reference() {
    let p = [profile(
        "Composition",
        r#"{"path":"Composition.section.entry","slicing":{"discriminator":[{"type":"type","path":"resolve()"}],"rules":"closed"}},
           {"path":"Composition.section.entry","sliceName":"problem","min":1,
            "type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Condition"]}]}"#,
    )];
    let composition = |target: &str| {
        format!(
            r##"{{"resourceType":"Composition","status":"final","type":{{"text":"x"}},"date":"2020","title":"t",
                "author":[{{"display":"x"}}],"contained":[{target}],"section":[{{"title":"t","entry":[{{"reference":"#a"}}]}}]}}"##
        )
    };
    conforms(&p, &composition(r#"{"resourceType":"Condition","id":"a","subject":{"display":"x"}}"#));
    fails(
        &p,
        &composition(r#"{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"}}"#),
        "Composition.section[0].entry[0]",
        "none of the slices",
    );
}

#[test]
fn profiles_on_types_and_targets_and_derived_profiles() {
    let p = [
        profile(
            "http://t.example/base Patient",
            r#"{"path":"Patient.identifier","max":"2"},{"id":"Patient.identifier:a.value","path":"Patient.identifier.value","min":1}"#,
        ),
        profile_named(
            "base",
            "Patient",
            r#"{"path":"Patient.name","type":[{"code":"HumanName","profile":["http://t.example/name"]}]},
               {"path":"Patient.managingOrganization","type":[{"code":"Reference","targetProfile":["http://t.example/org"]}]},
               {"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
               {"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a","min":1},
               {"id":"Patient.identifier:a.system","path":"Patient.identifier.system","fixedUri":"s:a"}"#,
        ),
        profile_named("name", "HumanName", r#"{"path":"HumanName.family","min":1}"#),
        profile_named("org", "Organization", r#"{"path":"Organization.name","min":1}"#),
    ];
    let patient = |name: &str, org: &str| {
        format!(
            r##"{{"resourceType":"Patient","identifier":[{{"system":"s:a","value":"1"}}],"name":[{name}],
            "contained":[{{"resourceType":"Organization","id":"o",{org}}}],"managingOrganization":{{"reference":"#o"}}}}"##
        )
    };
    conforms(&p, &patient(r#"{"family":"x"}"#, r#""name":"y""#));
    fails(&p, &patient(r#"{"text":"x"}"#, r#""name":"y""#), "Patient.name[0].family", "at least 1");
    fails(&p, &patient(r#"{"family":"x"}"#, r#""alias":["y"]"#), "Patient.managingOrganization", "target");
    fails(
        &p,
        r#"{"resourceType":"Patient","identifier":[{"system":"s:a"}]}"#,
        "Patient.identifier[0].value",
        "at least 1",
    );
    fails(&p, r#"{"resourceType":"Patient","identifier":[{"system":"s:b"}]}"#, "Patient.identifier", "slice `a`");
}

#[test]
fn extensions_are_held_to_their_definition() {
    let p = [profile(
        "Patient",
        r#"{"path":"Patient.extension","slicing":{"discriminator":[{"type":"value","path":"url"}],"rules":"open"}},
           {"path":"Patient.extension","sliceName":"place","min":1,
            "type":[{"code":"Extension","profile":["http://hl7.org/fhir/StructureDefinition/patient-birthPlace"]}]}"#,
    )];
    let patient = |extension: &str| format!(r#"{{"resourceType":"Patient","extension":[{extension}]}}"#);
    conforms(
        &p,
        &patient(r#"{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"x"}}"#),
    );
    fails(&p, &patient(r#"{"url":"http://o.example/x","valueString":"x"}"#), "Patient.extension", "slice `place`");
    let of_a_string = r#"{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueString":"x"}"#;
    fails(&p, &patient(of_a_string), "Patient.extension[0].value", "type");
    let elsewhere = r#"{"resourceType":"Patient","name":[{"family":"x","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"x"}}]}]}"#;
    fails(&p, elsewhere, "Patient.name[0].extension[0]", "does not allow it here");
    let invented = r#"{"url":"http://hl7.org/fhir/StructureDefinition/there-is-none","valueString":"x"}"#;
    conforms(&[profile("Patient", r#"{"path":"Patient"}"#)], &patient(invented));
    let of_modifier =
        r#"{"resourceType":"Patient","modifierExtension":[{"url":"http://o.example/x","valueString":"x"}]}"#;
    fails(&p, of_modifier, "Patient.modifierExtension[0]", "not known");
}

#[test]
fn rules_of_profiles_are_evaluated() {
    let p = [profile(
        "Patient",
        r#"{"path":"Patient.name","constraint":[{"key":"t-1","severity":"error","human":"family or text","expression":"family.exists() or text.exists()"},
            {"key":"t-2","severity":"warning","human":"a warning","expression":"false"}]}"#,
    )];
    conforms(&p, r#"{"resourceType":"Patient","name":[{"family":"x"}]}"#);
    fails(&p, r#"{"resourceType":"Patient","name":[{"given":["x"]}]}"#, "Patient.name[0]", "family or text (t-1)");
}

#[test]
fn a_circle_of_references_ends() {
    let p = [profile(
        "Patient",
        r#"{"path":"Patient.link.other","type":[{"code":"Reference","targetProfile":["http://t.example/p"]}]},{"path":"Patient.gender","min":1}"#,
    )];
    let entry = |id: &str, other: &str, gender: &str| {
        format!(
            r#"{{"fullUrl":"http://h.example/Patient/{id}","resource":{{"resourceType":"Patient","id":"{id}",{gender}
            "meta":{{"profile":["http://t.example/p"]}},"link":[{{"other":{{"reference":"Patient/{other}"}},"type":"seealso"}}]}}}}"#
        )
    };
    let bundle = |gender: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{},{}]}}"#,
            entry("a", "b", r#""gender":"male","#),
            entry("b", "a", gender)
        )
    };
    let mut all = check(&p, &bundle(r#""gender":"male","#));
    all.retain(|issue| !issue.contains("not for this type"));
    assert_eq!(all, [""; 0]);
    fails(&p, &bundle(""), "Bundle.entry[0].resource.link[0].other", "target");
    fails(&p, &bundle(""), "Bundle.entry[1].resource.gender", "at least 1");
}

#[test]
fn what_explodes_is_bounded() {
    use tacet_conformance::{NoCodes, ValidationContext, validate};
    let mut packages = Packages::standard();
    // Each name is tried against two profiles, which try each other again below.
    for (own, other) in [("p", "q"), ("q", "p")] {
        let text = profile_named(
            own,
            "Extension",
            &format!(
                r#"{{"path":"Extension.extension","type":[{{"code":"Extension","profile":["http://t.example/{own}","http://t.example/{other}"]}}]}},{{"path":"Extension.url","max":"0"}}"#
            ),
        );
        packages.add_resource(&parse_str(&text, &Limits::default()).expect("well-formed")).expect("a definition");
    }
    let mut extension = r#"{"url":"http://t.example/p","valueString":"x"}"#.to_owned();
    for _ in 0..25 {
        extension = format!(
            r#"{{"url":"http://t.example/p","extension":[{extension},{extension_again}]}}"#,
            extension_again = r#"{"url":"http://t.example/q","valueString":"y"}"#
        );
    }
    let text = format!(r#"{{"resourceType":"Patient","extension":[{extension}]}}"#);
    let resource = parse_str(&text, &Limits::default()).expect("well-formed");
    let mut context = ValidationContext::new(&NoCodes, data::now());
    context.limits.steps_max = 200_000;
    context.limits.issues_max = 10;
    let issues = validate(&resource, &[], &packages, &context);
    assert!(!issues.is_empty() && issues.len() <= 11, "{}", issues.len());
}
