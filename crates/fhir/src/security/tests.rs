use super::*;
use crate::json::{Limits, parse_str, write};
use crate::validate::{Options, validate};
use proptest::prelude::*;

const R: &str = r#"{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}}"#;
const PSY: &str = r#"{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}}"#;
const RELIABLE: &str = r#"{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"PATRPT"}}"#;

fn read(text: &str) -> Json<'static> {
    let text = text.replace("<R>", R).replace("<PSY>", PSY).replace("<OK>", RELIABLE);
    parse_str(&text, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}")).into_owned()
}

fn text(value: &Json<'_>) -> String {
    String::from_utf8(write(value)).unwrap()
}

#[track_caller]
fn check(before: &str, shown: Labels, told: bool, after: &str) {
    let cut = without_inline(read(before), shown, told);
    assert_eq!(text(&cut), text(&read(after)));
    assert_eq!(validate(&cut, &Options::default()), [], "{}", text(&cut));
}

#[test]
fn labels_of_the_whole_come_from_everywhere_that_gives_any() {
    let of = |text: &str| labels_of(&read(text));
    let security = r#""meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"},{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}"#;
    let both = Labels::HIV.and(Labels::RESTRICTED);
    assert_eq!(of(r#"{"resourceType":"Patient"}"#), Labels::NONE);
    assert_eq!(of(&format!(r#"{{"resourceType":"Patient",{security}}}"#)), both);
    let entry = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{{"resourceType":"Patient",{security}}}}}]}}"#
    );
    assert_eq!(of(&entry), both, "a bundle is as confidential as what is in it");
    assert_eq!(of(r#"{"resourceType":"Patient","extension":[<PSY>]}"#), Labels::PSYCHIATRY);
    assert_eq!(
        of(r#"{"resourceType":"Patient","modifierExtension":[{"url":"m","extension":[<PSY>]}]}"#),
        Labels::PSYCHIATRY.and(Labels::INLINE)
    );
    assert!(Labels::RESTRICTED.within(of(r#"{"resourceType":"Patient","meta":{"extension":[<R>]}}"#)));
    assert_eq!(of(r#"{"resourceType":"Patient","identifier":[{"value":"1","extension":[<R>]}]}"#), Labels::INLINE);
    assert_eq!(of(r#"{"resourceType":"Patient","_birthDate":{"extension":[<PSY>]}}"#), Labels::INLINE);
    assert_eq!(of(r#"{"resourceType":"Patient","identifier":[{"value":"1","extension":[<OK>]}]}"#), Labels::NONE);
    assert_eq!(of(r#"{"resourceType":"Patient","meta":{"security":{"code":"R"}}}"#), Labels::OTHER, "odd, not open");
    assert_eq!(of(r#"["R"]"#), Labels::NONE);
}

#[test]
fn every_labelled_element_is_told_with_its_place() {
    let of = |text: &str| {
        let mut told = Vec::new();
        each_inline(&read(text), &mut |place, labels| told.push((place.to_owned(), labels)));
        told
    };
    assert_eq!(of(r#"{"resourceType":"Patient","extension":[<PSY>]}"#), [], "of the record as a whole");
    let record = r#"{"resourceType":"Patient","_gender":{"extension":[<PSY>]},"name":[{"family":"x"},{"extension":[<R>],
        "family":"y","_given":[null,{"extension":[<PSY>,<OK>]}]}]}"#;
    let told = of(record);
    let places: Vec<&str> = told.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["._gender", ".name[1]", ".name[1]._given[1]"]);
    assert_eq!(
        told.iter().map(|(_, labels)| *labels).collect::<Vec<_>>(),
        [Labels::PSYCHIATRY, Labels::RESTRICTED, Labels::PSYCHIATRY]
    );
}

#[test]
fn elements_and_primitives_are_cut() {
    let patient = r#"{"resourceType":"Patient","id":"p","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">111</div>"},"identifier":[{"value":"111","extension":[<R>]},{"value":"2"}],"gender":"male","birthDate":"1956","_birthDate":{"extension":[<PSY>]},"name":[{"family":"F","given":["a","b"],"_given":[null,{"extension":[<R>]}]}]}"#;
    check(
        patient,
        Labels::NONE,
        false,
        r#"{"resourceType":"Patient","id":"p","identifier":[{"value":"2"}],"gender":"male","name":[{"family":"F","given":["a"]}]}"#,
    );
    check(
        patient,
        Labels::RESTRICTED,
        true,
        r#"{"resourceType":"Patient","id":"p","identifier":[{"value":"111","extension":[<R>]},{"value":"2"}],"gender":"male","name":[{"family":"F","given":["a","b"],"_given":[null,{"extension":[<R>]}]}],"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"REDACTED"}]}}"#,
    );
    let all = Labels::RESTRICTED.and(Labels::PSYCHIATRY);
    assert_eq!(without_inline(read(patient), all, true), read(patient));
    assert!(matches!(public_part(&read(r#"{"resourceType":"Patient","id":"p"}"#)), Cow::Borrowed(_)));
    assert_eq!(public_part(&read(patient)).get("birthDate"), None);
}

#[test]
fn what_must_be_there_is_absent_for_a_reason() {
    let reason = |code: &str| {
        format!(
            r#"{{"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"{code}"}}]}}"#
        )
    };
    check(
        r#"{"resourceType":"Observation","status":"final","_status":{"extension":[<R>]},"code":{"text":"c","extension":[<PSY>]},"valueString":"v"}"#,
        Labels::NONE,
        false,
        &format!(r#"{{"resourceType":"Observation","valueString":"v","_status":{0},"code":{0}}}"#, reason("unknown")),
    );
    check(
        r#"{"resourceType":"Immunization","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PROCESSINLINELABEL"}]},"status":"completed","vaccineCode":{"coding":[{"code":"212","extension":[<R>]}]},"patient":{"reference":"Patient/1"},"occurrenceDateTime":"2021","_occurrenceDateTime":{"extension":[<R>]}}"#,
        Labels::NONE,
        false,
        &format!(
            r#"{{"resourceType":"Immunization","status":"completed","patient":{{"reference":"Patient/1"}},"vaccineCode":{0},"_occurrenceDateTime":{0}}}"#,
            reason("unknown")
        ),
    );
    // A part that must have parts.
    let claim = r#"{"resourceType":"Claim","status":"active","type":{"text":"t"},"use":"claim","patient":{"reference":"Patient/1"},"created":"2020","provider":{"display":"p"},"priority":{"text":"p"},"insurance":[{"sequence":1,"focal":true,"coverage":{"display":"c"},"extension":[<R>]}]}"#;
    let cut = without_inline(read(claim), Labels::NONE, true);
    assert_eq!(validate(&cut, &Options::default()), [], "{}", text(&cut));
    assert!(text(&cut).contains(r#""valueCode":"masked""#) && !text(&cut).contains("focal\":true"));
}

#[test]
fn what_repeats_it_goes_too() {
    check(
        r##"{"resourceType":"MedicationRequest","contained":[{"resourceType":"Medication","id":"m","ingredient":[{"itemReference":{"reference":"#s"}}]},{"resourceType":"Substance","id":"s","code":{"text":"methadone"}},{"resourceType":"Practitioner","id":"d"}],"status":"active","intent":"order","medicationReference":{"reference":"#m","extension":[<R>]},"subject":{"reference":"Patient/1"},"requester":{"reference":"#d"}}"##,
        Labels::NONE,
        false,
        r##"{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"reference":"Patient/1"},"requester":{"reference":"#d"},"medicationReference":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},"contained":[{"resourceType":"Practitioner","id":"d"}]}"##,
    );
    // An entry goes with its resource; narratives of the others may tell of it.
    check(
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"resourceType":"Patient","id":"a","extension":[<R>]}},{"resource":{"resourceType":"Composition","status":"final","type":{"text":"t"},"date":"2020","author":[{"display":"a"}],"title":"t","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},"section":[{"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}]}}]}"#,
        Labels::NONE,
        false,
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Composition","status":"final","type":{"text":"t"},"date":"2020","author":[{"display":"a"}],"title":"t","section":[{"text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">-</div>"}}]}}]}"#,
    );
}

#[test]
fn a_modifier_takes_what_it_modifies_with_it() {
    check(
        r#"{"resourceType":"Patient","id":"p","contact":[{"gender":"male","modifierExtension":[{"url":"http://x.example/m","valueBoolean":true,"extension":[<R>]}]},{"gender":"female"}]}"#,
        Labels::NONE,
        false,
        r#"{"resourceType":"Patient","id":"p","contact":[{"gender":"female"}]}"#,
    );
}

#[test]
fn an_extension_without_its_value_goes() {
    check(
        r#"{"resourceType":"Patient","id":"p","extension":[{"url":"http://x.example/a","valueString":"s","_valueString":{"extension":[<R>]}},{"url":"http://x.example/b","valueString":"t"}]}"#,
        Labels::NONE,
        false,
        r#"{"resourceType":"Patient","id":"p","extension":[{"url":"http://x.example/b","valueString":"t"}]}"#,
    );
}

#[test]
fn odd_shapes_are_cut_rather_than_shown() {
    for odd in [
        r#"{"resourceType":"Patient","birthDate":"SECRET","_birthDate":[{"extension":[<R>]}]}"#,
        r#"{"resourceType":"Patient","name":[{"given":["SECRET"],"_given":{"extension":[<R>]}}]}"#,
        r#"{"resourceType":"Patient","maritalStatus":{"text":"SECRET"},"_maritalStatus":{"extension":[<R>]}}"#,
        r#"{"resourceType":"Patient","maritalStatus":{"text":"SECRET","extension":<R>}}"#,
        r#"{"resourceType":"Patient","unheard":{"of":[{"text":"SECRET","extension":[<R>]}]}}"#,
        r#"{"unheard":{"of":[["SECRET",{"extension":[<R>]}]],"_of":[{"extension":[<R>]}]}}"#,
    ] {
        let resource = read(odd);
        assert!(Labels::INLINE.within(labels_of(&resource)), "{odd}");
        assert!(!text(&without_inline(resource.clone(), Labels::NONE, true)).contains("SECRET"), "{odd}");
        assert!(!text(&public_part(&resource)).contains("SECRET"), "{odd}");
    }
}

#[test]
fn what_is_too_deep_to_look_at_is_labelled_and_cut() {
    let deep = |levels: usize| {
        let text = format!(r#"{}{{"a":"SECRET"}}{}"#, r#"{"a":["#.repeat(levels), "]}".repeat(levels));
        parse_str(&text, &Limits { depth_max: 400, ..Limits::default() }).unwrap().into_owned()
    };
    assert_eq!(labels_of(&deep(20)), Labels::NONE);
    assert_eq!(labels_of(&deep(150)), Labels::OTHER.and(Labels::INLINE));
    assert!(!text(&without_inline(deep(150), Labels::EVERY, false)).contains("SECRET"));
}

/// Elements that carry a value, a label or none, and others within.
fn tree() -> impl Strategy<Value = String> {
    let label = prop_oneof![4 => Just(""), 1 => Just("<R>"), 1 => Just("<PSY>"), 1 => Just("<OK>")];
    let leaf = (label, 0..1000_u32).prop_map(|(label, number)| {
        let mark = if label.contains("<R>") { "SECRET" } else { "plain" };
        format!(r#"{{"url":"http://x.example/{number}","valueString":"{mark}{number}","_valueString":{{"id":"i{number}"{}}}}}"#,
            if label.is_empty() { String::new() } else { format!(r#","extension":[{label}]"#) })
    });
    leaf.prop_recursive(4, 40, 4, |inner| {
        (proptest::collection::vec(inner, 1..4), prop_oneof![3 => Just(""), 1 => Just("<R>,"), 1 => Just("<PSY>,")])
            .prop_map(|(inner, label)| {
                let inner = inner.join(",");
                // All that is within a labelled element is withheld with it.
                let inner = if label == "<R>," { inner.replace("plain", "SECRET") } else { inner };
                format!(r#"{{"url":"http://x.example/e","extension":[{label}{inner}]}}"#)
            })
    })
}

proptest! {
    #[test]
    fn no_value_of_a_cut_element_is_left_and_the_rest_is_a_resource(trees in proptest::collection::vec(tree(), 1..4), told: bool) {
        let resource = read(&format!(
            r#"{{"resourceType":"Patient","id":"p","name":[{{"family":"f","extension":[{}]}}],"contact":[{{"extension":[{}]}}]}}"#,
            trees.join(","), trees.join(",")));
        prop_assume!(element_labels(&resource.get("name").unwrap().items()[0]).is_empty());
        let cut = without_inline(resource.clone(), Labels::PSYCHIATRY, told);
        let written = text(&cut);
        prop_assert!(!written.contains("SECRET"), "{}", written);
        prop_assert_eq!(validate(&cut, &Options::default()), []);
        prop_assert_eq!(without_inline(cut.clone(), Labels::PSYCHIATRY, told), cut, "cutting again changes nothing");
        let all = Labels::PSYCHIATRY.and(Labels::RESTRICTED);
        prop_assert_eq!(&without_inline(resource.clone(), all, told), &resource);
        prop_assert_eq!(Labels::INLINE.within(labels_of(&resource)), text(&resource).contains("code\":\"R\"") || text(&resource).contains("\"PSY\""));
        let public = public_part(&resource).into_owned();
        prop_assert!(!Labels::INLINE.within(labels_of(&public)));
    }
}
