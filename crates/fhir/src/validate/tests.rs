//! One malformed resource for each rule, with the place where the fault must be found, and right ones beside them.

use super::*;
use crate::json::{Limits, parse_str};
use IssueType as T;

/// The place and kind of each issue.
fn faults(text: &str) -> Vec<(String, IssueType)> {
    let resource = parse_str(text, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}"));
    validate(&resource, &Options::default()).into_iter().map(|issue| (issue.location, issue.code)).collect()
}

/// Each of these has exactly one fault.
fn assert_faults(cases: &[(&str, &str, IssueType)]) {
    for (text, location, code) in cases {
        assert_eq!(faults(text), [((*location).to_owned(), *code)], "{text}");
    }
}

fn assert_right(cases: &[&str]) {
    for text in cases {
        assert_eq!(faults(text), [], "{text}");
    }
}

#[test]
fn the_resource_type_is_known() {
    assert_faults(&[
        ("[]", "Resource", T::Structure),
        ("{}", "Resource", T::Required),
        (r#"{"resourceType":1}"#, "Resource", T::Structure),
        (r#"{"resourceType":"Pet"}"#, "Resource", T::Structure),
        (r#"{"resourceType":"DomainResource"}"#, "Resource", T::Structure),
        (r#"{"resourceType":"patient"}"#, "Resource", T::Structure),
    ]);
    assert_right(&[r#"{"resourceType":"Patient"}"#, r#"{"id":"a","resourceType":"Basic","code":{"text":"x"}}"#]);
}

#[test]
fn members_are_known() {
    assert_faults(&[
        (r#"{"resourceType":"Patient","nickname":"x"}"#, "Patient.nickname", T::Structure),
        (r#"{"resourceType":"Patient","Name":[]}"#, "Patient", T::Structure),
        (r#"{"resourceType":"Patient","a b":1}"#, "Patient", T::Structure),
        (r#"{"resourceType":"Patient","_name":[{"id":"x"}]}"#, "Patient._name", T::Structure),
        (
            r#"{"resourceType":"Patient","name":[{"family":"a","resourceType":"x"}]}"#,
            "Patient.name[0].resourceType",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","contact":[{"name":{"text":"a","x":1}}]}"#,
            "Patient.contact[0].name.x",
            T::Structure,
        ),
        (r#"{"resourceType":"Patient","fhir_comments":["x"]}"#, "Patient", T::Structure),
        (
            r#"{"resourceType":"Patient","_id":{"extension":[{"url":"a","valueCode":"b"}]}}"#,
            "Patient._id",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","extension":[{"url":"a","_url":{"id":"b"},"valueCode":"b"}]}"#,
            "Patient.extension[0]._url",
            T::Structure,
        ),
    ]);
}

#[test]
fn a_name_that_is_no_element_is_not_repeated() {
    let text = r#"{"resourceType":"Patient","Jeanne Dupont 1954":{}}"#;
    let resource = parse_str(text, &Limits::default()).expect("well-formed");
    let issues = validate(&resource, &Options::default());
    assert_eq!(issues.len(), 1);
    assert!(!format!("{issues:?}").contains("Dupont"));
}

#[test]
fn json_types_are_those_of_the_element() {
    assert_faults(&[
        (r#"{"resourceType":"Patient","active":"true"}"#, "Patient.active", T::Structure),
        (r#"{"resourceType":"Patient","active":null}"#, "Patient.active", T::Structure),
        (r#"{"resourceType":"Patient","birthDate":1970}"#, "Patient.birthDate", T::Structure),
        (r#"{"resourceType":"Patient","birthDate":{}}"#, "Patient.birthDate", T::Structure),
        (r#"{"resourceType":"Patient","multipleBirthInteger":"2"}"#, "Patient.multipleBirth", T::Structure),
        (r#"{"resourceType":"Patient","maritalStatus":"M"}"#, "Patient.maritalStatus", T::Structure),
        (r#"{"resourceType":"Patient","name":["x"]}"#, "Patient.name[0]", T::Structure),
        (r#"{"resourceType":"Patient","name":[null]}"#, "Patient.name[0]", T::Structure),
        (r#"{"resourceType":"Patient","contained":["x"]}"#, "Patient.contained[0]", T::Structure),
    ]);
}

#[test]
fn cardinality_holds() {
    assert_faults(&[
        (r#"{"resourceType":"Observation","status":"final"}"#, "Observation.code", T::Required),
        (r#"{"resourceType":"Observation","code":{"text":"x"}}"#, "Observation.status", T::Required),
        (r#"{"resourceType":"Patient","name":{"family":"x"}}"#, "Patient.name", T::Structure),
        (r#"{"resourceType":"Patient","gender":["male"]}"#, "Patient.gender", T::Structure),
        (r#"{"resourceType":"Patient","maritalStatus":[{"text":"x"}]}"#, "Patient.maritalStatus", T::Structure),
        (r#"{"resourceType":"Patient","name":[]}"#, "Patient.name", T::Structure),
        (
            r#"{"resourceType":"Patient","link":[{"other":{"reference":"Patient/1"}}]}"#,
            "Patient.link[0].type",
            T::Required,
        ),
        (
            r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"display":"x"}}"#,
            "MedicationRequest.medication",
            T::Required,
        ),
    ]);
    assert_right(&[
        r#"{"resourceType":"Observation","_status":{"extension":[{"url":"u","valueCode":"unknown"}]},"code":{"text":"x"}}"#,
    ]);
}

#[test]
fn values_are_well_formed() {
    assert_faults(&[
        (r#"{"resourceType":"Patient","id":"a b"}"#, "Patient.id", T::Value),
        (r#"{"resourceType":"Patient","id":""}"#, "Patient.id", T::Invariant),
        (r#"{"resourceType":"Patient","birthDate":"1970-02-30"}"#, "Patient.birthDate", T::Value),
        (r#"{"resourceType":"Patient","multipleBirthInteger":1.5}"#, "Patient.multipleBirth", T::Value),
        (r#"{"resourceType":"Patient","deceasedDateTime":"2020-01-01T10:00:00"}"#, "Patient.deceased", T::Value),
        (r#"{"resourceType":"Patient","name":[{"given":["a","b\u0000"]}]}"#, "Patient.name[0].given[1]", T::Value),
        (r#"{"resourceType":"Patient","meta":{"lastUpdated":"2020-01-01"}}"#, "Patient.meta.lastUpdated", T::Value),
        (r#"{"resourceType":"Patient","photo":[{"data":"x"}]}"#, "Patient.photo[0].data", T::Value),
        (r#"{"resourceType":"Patient","telecom":[{"rank":0}]}"#, "Patient.telecom[0].rank", T::Value),
        (
            r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div><script>x</script></div>"}}"#,
            "Patient.text.div",
            T::Value,
        ),
    ]);
}

#[test]
fn one_type_of_a_choice_is_given() {
    assert_faults(&[
        (
            r#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}"#,
            "Patient.deceased",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","_deceasedDateTime":{"extension":[{"url":"u","valueCode":"c"}]},"deceasedBoolean":true}"#,
            "Patient.deceased",
            T::Structure,
        ),
        (r#"{"resourceType":"Patient","deceasedString":"x"}"#, "Patient.deceasedString", T::Structure),
        (r#"{"resourceType":"Patient","deceased":true}"#, "Patient.deceased", T::Structure),
    ]);
    assert_right(&[
        r#"{"resourceType":"Patient","deceasedBoolean":true,"_deceasedBoolean":{"extension":[{"url":"u","valueCode":"c"}]}}"#,
        r#"{"resourceType":"Patient","_deceasedBoolean":{"id":"x"},"deceasedBoolean":true}"#,
    ]);
}

#[test]
fn twins_hold_ids_and_extensions() {
    assert_faults(&[
        (r#"{"resourceType":"Patient","_birthDate":"x"}"#, "Patient.birthDate", T::Structure),
        (r#"{"resourceType":"Patient","_birthDate":{"id":"x"}}"#, "Patient.birthDate", T::Invariant),
        (r#"{"resourceType":"Patient","_birthDate":{}}"#, "Patient.birthDate", T::Invariant),
        (r#"{"resourceType":"Patient","birthDate":"1970","_birthDate":{}}"#, "Patient.birthDate", T::Invariant),
        (r#"{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":7}}"#, "Patient.birthDate.id", T::Value),
        (
            r#"{"resourceType":"Patient","birthDate":"1970","_birthDate":{"value":"x"}}"#,
            "Patient.birthDate.value",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","_birthDate":{"extension":[{"url":"u"}]}}"#,
            "Patient.birthDate.extension[0]",
            T::Invariant,
        ),
        (r#"{"resourceType":"Patient","name":[{"given":[null,"a"]}]}"#, "Patient.name[0].given[0]", T::Structure),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[{"id":"x"}]}]}"#,
            "Patient.name[0].given[1]",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a"],"_given":[null,null]}]}"#,
            "Patient.name[0].given[1]",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a"],"_given":{"id":"x"}}]}"#,
            "Patient.name[0].given",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a"],"_given":["x"]}]}"#,
            "Patient.name[0].given[0]",
            T::Structure,
        ),
    ]);
    // A null on both sides is found from both.
    let both = r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[{"id":"x"},null]}]}"#;
    assert_eq!(faults(both), [("Patient.name[0].given[1]".to_owned(), T::Structure)]);
    assert_right(&[
        r#"{"resourceType":"Patient","name":[{"given":[null,"a"],"_given":[{"extension":[{"url":"u","valueCode":"c"}]},null]}]}"#,
        r#"{"resourceType":"Patient","name":[{"_given":[{"extension":[{"url":"u","valueCode":"c"}]}]}]}"#,
        r#"{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"x"}}"#,
    ]);
}

#[test]
fn empty_things_are_left_out() {
    assert_faults(&[
        (r#"{"resourceType":"Patient","maritalStatus":{}}"#, "Patient.maritalStatus", T::Invariant),
        (r#"{"resourceType":"Patient","maritalStatus":{"id":"x"}}"#, "Patient.maritalStatus", T::Invariant),
        (r#"{"resourceType":"Patient","name":[{}]}"#, "Patient.name[0]", T::Invariant),
        (r#"{"resourceType":"Patient","name":[{"family":""}]}"#, "Patient.name[0].family", T::Invariant),
        (r#"{"resourceType":"Patient","name":[{"given":[]}]}"#, "Patient.name[0].given", T::Structure),
    ]);
}

#[test]
fn references_have_a_shape_and_a_target() {
    let patient = |reference: &str| {
        format!(r#"{{"resourceType":"Patient","generalPractitioner":[{{"reference":"{reference}"}}]}}"#)
    };
    for right in [
        "Practitioner/1",
        "Organization/a.b-c/_history/3",
        "http://example.org/fhir/Practitioner/1",
        "https://example.org/x",
        "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        "urn:oid:1.2.3",
        "Practitioner?identifier=a|b",
    ] {
        assert_eq!(faults(&patient(right)), [], "{right}");
    }
    for wrong in [
        "1",
        "Practitioner",
        "Practitioner/",
        "Pet/1",
        "practitioner/1",
        "Practitioner/a b",
        "Practitioner/a_b",
        "/Practitioner/1x/y/z",
    ] {
        let place = "Patient.generalPractitioner[0].reference".to_owned();
        assert_eq!(faults(&patient(wrong)), [(place, T::Value)], "{wrong}");
    }
    let place = "Patient.generalPractitioner[0]".to_owned();
    assert_eq!(faults(&patient("Patient/1")), [(place.clone(), T::Structure)]);
    assert_eq!(faults(&patient("Location?name=x")), [(place, T::Structure)]);
    assert_faults(&[
        (
            r#"{"resourceType":"Patient","managingOrganization":{"type":"organization"}}"#,
            "Patient.managingOrganization.type",
            T::Value,
        ),
        (
            r#"{"resourceType":"Patient","managingOrganization":{"type":"Location"}}"#,
            "Patient.managingOrganization",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Patient","managingOrganization":{"reference":"Organization/1","type":"Location"}}"#,
            "Patient.managingOrganization.type",
            T::Value,
        ),
        (
            r#"{"resourceType":"Patient","managingOrganization":{"reference":""}}"#,
            "Patient.managingOrganization.reference",
            T::Invariant,
        ),
    ]);
    assert_right(&[
        r#"{"resourceType":"Patient","managingOrganization":{"type":"Organization","identifier":{"value":"1"}}}"#,
    ]);
    let place = "Patient.generalPractitioner[0].reference".to_owned();
    assert_eq!(faults(&patient("#p")), [(place, T::Invariant)]);
}

#[test]
fn contained_resources_are_found_and_have_no_life_of_their_own() {
    let with = |contained: &str, reference: &str| {
        format!(
            r#"{{"resourceType":"Patient","contained":[{contained}],"managingOrganization":{{"reference":"{reference}"}}}}"#
        )
    };
    assert_eq!(faults(&with(r#"{"resourceType":"Organization","id":"o"}"#, "#o")), []);
    let cases = [
        (r#"{"resourceType":"Organization","id":"o"}"#, "#p", "Patient.managingOrganization.reference", T::Invariant),
        (r#"{"resourceType":"Practitioner","id":"o"}"#, "#o", "Patient.managingOrganization", T::Structure),
        (r#"{"resourceType":"Organization"}"#, "Organization/1", "Patient.contained[0].id", T::Required),
        (
            r#"{"resourceType":"Organization","id":"o","contained":[{"resourceType":"Basic","id":"b","code":{"text":"x"}}]}"#,
            "#o",
            "Patient.contained[0].contained",
            T::Invariant,
        ),
        (
            r#"{"resourceType":"Organization","id":"o","meta":{"versionId":"1"}}"#,
            "#o",
            "Patient.contained[0].meta.versionId",
            T::Invariant,
        ),
        (
            r#"{"resourceType":"Organization","id":"o","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}}"#,
            "#o",
            "Patient.contained[0].meta.lastUpdated",
            T::Invariant,
        ),
        (
            r#"{"resourceType":"Organization","id":"o","meta":{"security":[{"code":"R"}]}}"#,
            "#o",
            "Patient.contained[0].meta.security",
            T::Invariant,
        ),
        (
            r#"{"resourceType":"Organization","id":"o"},{"resourceType":"Location","id":"o"}"#,
            "#o",
            "Patient.contained[1].id",
            T::Invariant,
        ),
        (
            r##"{"resourceType":"Organization","id":"o","partOf":{"reference":"#x"}}"##,
            "#o",
            "Patient.contained[0].partOf.reference",
            T::Invariant,
        ),
        (r#"{"resourceType":"Pet","id":"o"}"#, "Organization/1", "Patient.contained[0]", T::Structure),
    ];
    for (contained, reference, place, code) in cases {
        assert_eq!(faults(&with(contained, reference)), [(place.to_owned(), code)], "{contained}");
    }
    // A contained resource may refer to its container and to its siblings.
    assert_right(&[
        r##"{"resourceType":"Patient","contained":[{"resourceType":"Provenance","id":"p","target":[{"reference":"#"}],
            "recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"reference":"#o"}}]},
            {"resourceType":"Organization","id":"o"}]}"##,
    ]);
}

#[test]
fn extensions_have_an_address_and_either_a_value_or_extensions() {
    let cases = [
        (r#"{"valueCode":"a"}"#, "Patient.extension[0].url", T::Required),
        (r#"{"url":"u"}"#, "Patient.extension[0]", T::Invariant),
        (r#"{"url":"u","id":"x"}"#, "Patient.extension[0]", T::Invariant),
        (r#"{"url":"a b","valueCode":"a"}"#, "Patient.extension[0].url", T::Value),
        (
            r#"{"url":"u","valueCode":"a","extension":[{"url":"v","valueCode":"b"}]}"#,
            "Patient.extension[0]",
            T::Invariant,
        ),
        (r#"{"url":"u","extension":[{"url":"v"}]}"#, "Patient.extension[0].extension[0]", T::Invariant),
        (r#"{"url":"u","valueCode":"a","valueString":"a"}"#, "Patient.extension[0].value", T::Structure),
        (r#"{"url":"u","valueHumanname":"a"}"#, "Patient.extension[0].valueHumanname", T::Structure),
        (r#"{"url":"u","valuePeriod":{"start":"x"}}"#, "Patient.extension[0].value.start", T::Value),
    ];
    for (extension, place, code) in cases {
        let text = format!(r#"{{"resourceType":"Patient","extension":[{extension}]}}"#);
        assert_eq!(faults(&text), [(place.to_owned(), code)], "{extension}");
    }
}

#[test]
fn required_bindings_hold() {
    assert_faults(&[
        (r#"{"resourceType":"Patient","gender":"m"}"#, "Patient.gender", T::CodeInvalid),
        (r#"{"resourceType":"Patient","name":[{"use":"nick"}]}"#, "Patient.name[0].use", T::CodeInvalid),
        (
            r#"{"resourceType":"Condition","subject":{"display":"x"},"clinicalStatus":{"coding":[{"system":"http://x","code":"active"}]}}"#,
            "Condition.clinicalStatus",
            T::CodeInvalid,
        ),
        (
            r#"{"resourceType":"Condition","subject":{"display":"x"},"clinicalStatus":{"text":"active"}}"#,
            "Condition.clinicalStatus",
            T::CodeInvalid,
        ),
    ]);
    assert_right(&[
        r#"{"resourceType":"Condition","subject":{"display":"x"},"clinicalStatus":{"coding":[{"system":"http://x","code":"y"},
            {"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}"#,
        r#"{"resourceType":"Condition","subject":{"display":"x"},"clinicalStatus":{"extension":[{"url":"u","valueCode":"unknown"}]}}"#,
    ]);
}

#[test]
fn resources_inside_others_are_walked() {
    assert_faults(&[
        (
            r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gender":"m"}}]}"#,
            "Bundle.entry[0].resource.gender",
            T::CodeInvalid,
        ),
        (
            r##"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}}]}"##,
            "Bundle.entry[0].resource.managingOrganization.reference",
            T::Invariant,
        ),
        (
            r#"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Patient","x":1}}]}]}"#,
            "Parameters.parameter[0].part[0].resource.x",
            T::Structure,
        ),
        (
            r#"{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"2"}]}]}"#,
            "Questionnaire.item[0].item[0].type",
            T::Required,
        ),
    ]);
}

#[test]
fn the_number_of_issues_is_bounded() {
    let many = format!(r#"{{"resourceType":"Patient","name":[{}]}}"#, vec!["{}"; 500].join(","));
    let resource = parse_str(&many, &Limits::default()).expect("well-formed");
    assert_eq!(validate(&resource, &Options::default()).len(), ISSUES_MAX + 1);
    let issues = validate(&resource, &Options { issues_max: 2 });
    assert_eq!(issues.last().map(|issue| (issue.code, issue.location.as_str())), Some((T::TooLong, "")));
    assert_eq!(issues.len(), 3);
}

/// Many references to many contained resources, and many nulls, took time in proportion to their product.
#[test]
fn large_resources_are_walked_in_proportion_to_their_size() {
    let contained: Vec<String> =
        (0..20_000).map(|n| format!(r#"{{"resourceType":"Organization","id":"o{n}"}}"#)).collect();
    let references: Vec<String> = (0..20_000).map(|n| format!(r##"{{"reference":"#o{n}"}}"##)).collect();
    let text = format!(
        r#"{{"resourceType":"Patient","contained":[{}],"generalPractitioner":[{}],"name":[{{"given":[{}]}}]}}"#,
        contained.join(","),
        references.join(","),
        vec!["null"; 20_000].join(",")
    );
    let resource = parse_str(&text, &Limits::default()).expect("well-formed");
    let issues = validate(&resource, &Options { issues_max: 20_001 });
    assert_eq!(issues.len(), 20_000, "one for each null and none for the references");
}

#[test]
fn a_tree_deeper_than_the_walk_is_refused() {
    let mut text = r#"{"url":"u","valueCode":"c"}"#.to_owned();
    for _ in 0..150 {
        text = format!(r#"{{"url":"u","extension":[{text}]}}"#);
    }
    let text = format!(r#"{{"resourceType":"Patient","extension":[{text}]}}"#);
    let limits = Limits { depth_max: 512, ..Limits::default() };
    let resource = parse_str(&text, &limits).expect("well-formed");
    let issues = validate(&resource, &Options::default());
    assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [T::TooCostly]);
}
