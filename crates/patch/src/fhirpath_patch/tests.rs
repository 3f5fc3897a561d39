//! What the official cases leave out: primitives with extensions, choices, lists, and refusals.

use super::*;
use crate::PatchErrorKind as Kind;
use crate::Protected;
use tacet_fhir::json::{Limits, parse_str, write};

fn read(text: &str) -> Json<'_> {
    parse_str(text, &Limits::default()).unwrap()
}

/// Writes operations out: `kind|path|further parts as JSON members of a part, name first`.
fn parameters(operations: &[&str]) -> String {
    let operation = |text: &&str| {
        let mut fields = text.split('|');
        let (kind, path) = (fields.next().unwrap(), fields.next().unwrap());
        let mut parts = vec![
            format!(r#"{{"name":"type","valueCode":"{kind}"}}"#),
            format!(r#"{{"name":"path","valueString":"{path}"}}"#),
        ];
        parts.extend(fields.map(|field| {
            let (name, rest) = field.split_once(' ').unwrap();
            format!(r#"{{"name":"{name}",{rest}}}"#)
        }));
        format!(r#"{{"name":"operation","part":[{}]}}"#, parts.join(","))
    };
    let operations: Vec<_> = operations.iter().map(operation).collect();
    format!(r#"{{"resourceType":"Parameters","parameter":[{}]}}"#, operations.join(","))
}

fn patched(resource: &str, operations: &[&str]) -> Result<String, (Option<usize>, PatchErrorKind)> {
    let parameters = parameters(operations);
    let outcome = fhirpath_patch(&read(resource), &read(&parameters), Timestamp::from_ms(0));
    outcome.map(|outcome| String::from_utf8(write(&outcome)).unwrap()).map_err(|error| (error.operation, error.kind))
}

/// The same with `{"resourceType":"Patient",` before and `}` behind both resources.
fn patient(members: &str, operation: &str) -> Result<String, PatchErrorKind> {
    let text = patched(&format!(r#"{{"resourceType":"Patient",{members}}}"#), &[operation]).map_err(|error| error.1)?;
    let rest = text.strip_prefix(r#"{"resourceType":"Patient""#).unwrap();
    Ok(rest.strip_suffix('}').unwrap().trim_start_matches(',').to_owned())
}

#[test]
fn values_and_what_stands_beside_them_go_together() {
    for (members, operation, outcome) in [
        (
            r#""birthDate":"1970""#,
            r#"add|Patient.birthDate|name "valueString":"extension"|value "part":[{"name":"url","valueUri":"u"},{"name":"value","valueCode":"c"}]"#,
            r#""birthDate":"1970","_birthDate":{"extension":[{"url":"u","valueCode":"c"}]}"#,
        ),
        (
            r#""birthDate":"1970","_birthDate":{"extension":[{"url":"u","valueCode":"c"}]}"#,
            "delete|Patient.birthDate.extension",
            r#""birthDate":"1970""#,
        ),
        (
            r#""active":true,"_birthDate":{"extension":[{"url":"u","valueCode":"c"}]}"#,
            "delete|Patient.birthDate.extension[0]",
            r#""active":true"#,
        ),
        (r#""active":true,"birthDate":"1970","_birthDate":{"id":"d"}"#, "delete|Patient.birthDate", r#""active":true"#),
        (
            r#""birthDate":"1970","_birthDate":{"id":"d"},"active":true"#,
            r#"replace|Patient.birthDate|value "valueDate":"1980""#,
            r#""birthDate":"1980","active":true"#,
        ),
        (
            r#""birthDate":"1970""#,
            r#"replace|Patient.birthDate|value "valueDate":"1980","_valueDate":{"id":"d"}"#,
            r#""birthDate":"1980","_birthDate":{"id":"d"}"#,
        ),
        (
            r#""name":[{"given":["a","b"]}]"#,
            r#"insert|Patient.name.given|index "valueInteger":1|value "valueString":"c","_valueString":{"id":"i"}"#,
            r#""name":[{"given":["a","c","b"],"_given":[null,{"id":"i"},null]}]"#,
        ),
        (
            r#""name":[{"given":["a",null,"b"],"_given":[null,{"id":"i"}]}]"#,
            r#"move|Patient.name.given|source "valueInteger":1|destination "valueInteger":0"#,
            r#""name":[{"given":[null,"a","b"],"_given":[{"id":"i"},null,null]}]"#,
        ),
        (
            r#""name":[{"given":["a",null,"b"],"_given":[null,{"id":"i"}]}]"#,
            "delete|Patient.name.given[1]",
            r#""name":[{"given":["a","b"]}]"#,
        ),
        (
            r#""name":[{"given":["a","b"],"_given":[null,{"extension":[{"url":"u","valueCode":"c"}]}]}]"#,
            "delete|Patient.name.given[1].extension",
            r#""name":[{"given":["a","b"]}]"#,
        ),
        (
            r#""name":[{"text":"a"}]"#,
            r#"add|Patient.name|name "valueString":"given"|value "valueString":"b""#,
            r#""name":[{"text":"a","given":["b"]}]"#,
        ),
        (
            r#""name":[{"text":"a"},{"text":"b"}]"#,
            "delete|Patient.name.where(text='b').text",
            r#""name":[{"text":"a"}]"#,
        ),
        (r#""active":true"#, "delete|Patient.name", r#""active":true"#),
        (r#""active":true"#, "delete|Patient.active", ""),
    ] {
        assert_eq!(patient(members, operation).as_deref(), Ok(outcome), "{operation}");
    }
}

#[test]
fn choices_take_the_name_of_their_type() {
    for (members, operation, outcome) in [
        (
            r#""id":"a""#,
            r#"add|Patient|name "valueString":"deceased"|value "valueBoolean":true"#,
            r#""id":"a","deceasedBoolean":true"#,
        ),
        (
            r#""id":"a""#,
            r#"add|Patient|name "valueString":"deceased[x]"|value "valueDateTime":"2020""#,
            r#""id":"a","deceasedDateTime":"2020""#,
        ),
        (
            r#""id":"a""#,
            r#"add|Patient|name "valueString":"deceasedBoolean"|value "valueBoolean":true"#,
            r#""id":"a","deceasedBoolean":true"#,
        ),
        (
            r#""deceasedBoolean":true,"_deceasedBoolean":{"id":"d"},"id":"a""#,
            r#"replace|Patient.deceased|value "valueDateTime":"2020""#,
            r#""deceasedDateTime":"2020","id":"a""#,
        ),
        (
            r#""contained":[{"resourceType":"Observation","valueQuantity":{"value":1}}]"#,
            r#"replace|Patient.contained[0].value|value "valueString":"x""#,
            r#""contained":[{"resourceType":"Observation","valueString":"x"}]"#,
        ),
        (
            r#""id":"a""#,
            r#"add|Patient|name "valueString":"contained"|value "resource":{"resourceType":"Basic","id":"b"}"#,
            r#""id":"a","contained":[{"resourceType":"Basic","id":"b"}]"#,
        ),
    ] {
        assert_eq!(patient(members, operation).as_deref(), Ok(outcome), "{operation}");
    }
    assert_eq!(
        patient(
            r#""deceasedBoolean":true"#,
            r#"add|Patient|name "valueString":"deceased"|value "valueDateTime":"2020""#
        ),
        Err(Kind::AlreadyThere)
    );
}

#[test]
fn elements_are_put_together_from_parts() {
    let parts = r#"{"name":"name","part":[{"name":"family","valueString":"f","_valueString":{"id":"i"}},{"name":"given","valueString":"g"},{"name":"given","valueString":"h"}]},{"name":"gender","valueCode":"male"}"#;
    let operation = format!(r#"add|Patient|name "valueString":"contact"|value "part":[{parts}]"#);
    assert_eq!(
        patient(r#""id":"a""#, &operation).as_deref(),
        Ok(r#""id":"a","contact":[{"name":{"family":"f","_family":{"id":"i"},"given":["g","h"]},"gender":"male"}]"#)
    );
}

#[test]
fn what_cannot_be_done_is_refused() {
    let names = r#""name":[{"text":"a","given":["x","y"]},{"text":"b"}]"#;
    for (members, operation, kind) in [
        (names, "delete|Patient.name", Kind::NotSingle),
        (names, "delete|Patient.name.count()", Kind::NotAnElement),
        (names, "delete|Patient", Kind::NotAnElement),
        (names, "delete|'text'", Kind::NotAnElement),
        (names, "delete|Patient.name[", Kind::Path),
        (names, "delete|Patient.name.text.toInteger() + 'a'", Kind::Path),
        (names, "merge|Patient.name", Kind::UnknownOperation),
        (names, r#"replace|Patient.gender|value "valueCode":"male""#, Kind::NotFound("path")),
        (names, r#"replace|Patient|value "resource":{"resourceType":"Patient"}"#, Kind::NotAnElement),
        (names, "replace|Patient.name[0]", Kind::Part("value")),
        (names, r#"replace|Patient.name[0]|value "valueString":"a""#, Kind::ValueType),
        (names, r#"replace|Patient.name[0]|value "valueAddress":{"text":"a"}"#, Kind::ValueType),
        (names, r#"replace|Patient.name[0]|value "valueHumanName":"a""#, Kind::ValueType),
        (names, r#"replace|Patient.name[0].text|value "valueBoolean":true"#, Kind::ValueType),
        (names, r#"replace|Patient.name[0].text|value "valueString":"a","valueCode":"b""#, Kind::Part("value")),
        (names, r#"add|Patient|name "valueString":"nickname"|value "valueString":"a""#, Kind::UnknownElement),
        (names, r#"add|Patient.name[0]|name "valueString":"text"|value "valueString":"a""#, Kind::AlreadyThere),
        (names, r#"add|Patient.name|name "valueString":"use"|value "valueString":"a""#, Kind::NotSingle),
        (names, r#"add|Patient.name[5]|name "valueString":"use"|value "valueString":"a""#, Kind::NotFound("path")),
        (names, r#"add|Patient|value "valueString":"a""#, Kind::Part("name")),
        (
            names,
            r#"insert|Patient.name|index "valueInteger":3|value "valueHumanName":{"text":"c"}"#,
            Kind::PastTheEnd("index"),
        ),
        (
            names,
            r#"insert|Patient.name|index "valueInteger":-1|value "valueHumanName":{"text":"c"}"#,
            Kind::Part("index"),
        ),
        (names, r#"insert|Patient.name|value "valueHumanName":{"text":"c"}"#, Kind::Part("index")),
        (names, r#"insert|Patient.name[0]|index "valueInteger":0|value "valueHumanName":{"text":"c"}"#, Kind::NotAList),
        (
            names,
            r#"insert|Patient.name.where(text='b')|index "valueInteger":0|value "valueHumanName":{"text":"c"}"#,
            Kind::NotAList,
        ),
        (names, r#"insert|Patient.name[0].text|index "valueInteger":0|value "valueString":"c""#, Kind::NotAList),
        (
            names,
            r#"insert|Patient.telecom|index "valueInteger":0|value "valueContactPoint":{"value":"c"}"#,
            Kind::NotFound("path"),
        ),
        (
            names,
            r#"move|Patient.name|source "valueInteger":2|destination "valueInteger":0"#,
            Kind::PastTheEnd("source"),
        ),
        (
            names,
            r#"move|Patient.name|source "valueInteger":0|destination "valueInteger":2"#,
            Kind::PastTheEnd("destination"),
        ),
        (names, r#"move|Patient.name|source "valueInteger":0"#, Kind::Part("destination")),
        (r#""id":"a""#, "delete|Patient.id", Kind::Protected(Protected::Id)),
        (r#""id":"a""#, r#"replace|Patient.id|value "valueId":"b""#, Kind::Protected(Protected::Id)),
        (
            r#""id":"a""#,
            r#"add|Patient|name "valueString":"meta"|value "valueMeta":{"versionId":"9"}"#,
            Kind::Protected(Protected::VersionId),
        ),
        (
            r#""id":"a","meta":{"source":"x"}"#,
            r#"add|Patient.meta|name "valueString":"lastUpdated"|value "valueInstant":"2020-01-01T00:00:00Z""#,
            Kind::Protected(Protected::LastUpdated),
        ),
    ] {
        assert_eq!(patient(members, operation), Err(kind), "{operation}");
    }
    let both = ["delete|Patient.gender", "delete|Patient.name.first()", "delete|Patient.name[0].given"];
    let names_of_three = r#"{"resourceType":"Patient","name":[{"text":"a"},{"given":["x","y"]}]}"#;
    assert_eq!(
        patched(names_of_three, &both),
        Err((Some(2), Kind::NotSingle)),
        "the third operation sees the first two done"
    );
    let refused = |resource: &str, parameters: &str| {
        fhirpath_patch(&read(resource), &read(parameters), Timestamp::from_ms(0))
            .map_err(|error| (error.operation, error.kind))
    };
    let patient = r#"{"resourceType":"Patient"}"#;
    assert_eq!(refused(patient, "[]"), Err((None, Kind::NotParameters)));
    assert_eq!(
        refused(patient, r#"{"resourceType":"Parameters","parameter":[{"name":"x"}]}"#),
        Err((Some(0), Kind::NotParameters))
    );
    assert_eq!(refused("[]", r#"{"resourceType":"Parameters"}"#), Err((None, Kind::NotAResource)));
    let many = parameters(&vec!["delete|Patient.gender"; OPERATIONS_MAX + 1]);
    assert_eq!(refused(patient, &many), Err((None, Kind::TooManyOperations)));
    let long = format!("delete|{}", "a".repeat(5_000));
    assert_eq!(refused(patient, &parameters(&[&long])), Err((Some(0), Kind::TooLong("path"))));
}

#[test]
fn only_the_resource_itself_is_changed() {
    // A contained resource is part of it, and `resolve()` says where it stands; another resource is not found at all.
    let members = r##""name":[{"text":"p"}],"contained":[{"resourceType":"Patient","id":"c","name":[{"text":"c"}]}],"link":[{"other":{"reference":"#c"}}]"##;
    let path = "Patient.link.other.resolve().name.text";
    let outcome = patient(members, &format!("delete|{path}")).unwrap();
    assert_eq!(outcome, members.replace(r#","name":[{"text":"c"}]"#, ""));
    let elsewhere = members.replace("#c", "Patient/other");
    let replace = format!(r#"replace|{path}|value "valueString":"x""#);
    assert_eq!(patient(&elsewhere, &replace), Err(Kind::NotFound("path")));
}

#[test]
fn depth_is_bounded() {
    let deep = format!(r#"{}{{"url":"u"}}{}"#, r#"{"extension":[{"url":"u"},"#.repeat(20), "]}".repeat(20));
    let value = format!(
        r#"add|Patient.extension[0]|name "valueString":"extension"|value "part":[{{"name":"url","valueUri":"v"}},{{"name":"value","valueReference":{deep}}}]"#
    );
    let outcome = patient(r#""extension":[{"url":"u"}]"#, &value);
    assert!(outcome.is_ok());
    let once = outcome.unwrap();
    let again = patient(&once, &value.replace("Patient.extension[0]", "Patient.extension[0].extension[0].value.extension[1].extension[1].extension[1].extension[1].extension[1].extension[1].extension[1].extension[1].extension[1].extension[1].extension[1]"));
    assert_eq!(again, Err(Kind::TooDeep));
}
