//! Real resources through XML and back, and the official XML texts beside their JSON twins.

use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::xml;

/// How many examples the collection holds; fewer means that something was not read.
const EXAMPLES: usize = 648;

#[test]
fn official_examples_come_back_from_xml() {
    let Some(folder) = tacet_testdata::folder("r4-examples") else { return };
    let files = tacet_testdata::files(&folder, ".json");
    assert_eq!(files.len(), EXAMPLES);
    let mut faults = Vec::new();
    for (name, bytes) in &files {
        let resource = parse(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        for written in [xml::write(&resource), xml::write_pretty(&resource)] {
            match written.map(|text| xml::parse(&text, &Limits::default())) {
                Ok(Ok(again)) => {
                    if let Some(place) = difference(&same_form(&resource), &same_form(&again)) {
                        faults.push(format!("{name}: differs at {place}"));
                    }
                }
                Ok(Err(error)) => faults.push(format!("{name}: {error}")),
                Err(error) => faults.push(format!("{name}: {error}")),
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Synthea's bundles are the largest texts that are met; three show it.
#[test]
fn bundles_come_back_from_xml() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    for (name, bytes) in tacet_testdata::files(&folder, ".json.gz").iter().take(3) {
        let resource = parse(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = xml::write(&resource).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = xml::parse(&text, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(difference(&same_form(&resource), &same_form(&again)), None, "{name}");
    }
}

/// Pairs that HL7 keeps in both forms and that do not say the same: `(name, why)`.
const TWINS_THAT_DIFFER: [(&str, &str); 2] = [
    ("observation-decimal.xml", "some numbers are written with an exponent in XML and without in JSON"),
    ("observation-example.xml", "the XML has an extension that the JSON does not have"),
];

/// Texts that are rightly refused: `(name, why)`.
const REFUSED: [(&str, &str); 1] = [("myconsent-ext.xml", "it is of STU3: R4 has no StructureDefinition.contextType")];

#[test]
fn official_texts_in_xml_say_what_their_twins_say() {
    let Some(folder) = tacet_testdata::folder("fhir-test-cases-r4") else { return };
    let (mut read, mut compared) = (0, 0);
    let mut faults = Vec::new();
    for folder in [folder.clone(), folder.join("examples")] {
        let twins = tacet_testdata::files(&folder, ".json");
        for (name, bytes) in tacet_testdata::files(&folder, ".xml") {
            let resource = match xml::parse(&bytes, &Limits::default()) {
                Ok(resource) => resource,
                Err(_) if REFUSED.iter().any(|(known, _)| *known == name) => continue,
                Err(error) => {
                    faults.push(format!("{name}: {error}"));
                    continue;
                }
            };
            read += 1;
            let again = xml::write(&resource).map(|text| xml::parse(&text, &Limits::default()));
            match again {
                Ok(Ok(again)) if difference(&same_form(&resource), &same_form(&again)).is_none() => {}
                other => faults.push(format!("{name}: does not come back: {:?}", other.map(|again| again.is_ok()))),
            }
            let stem = name.strip_suffix(".xml").unwrap_or(&name);
            let twin = twins.iter().find(|(twin, _)| twin.strip_suffix(".json") == Some(stem));
            if let Some((_, twin)) = twin {
                compared += 1;
                let twin = parse(twin, &Limits::default()).expect("JSON");
                let place = difference(&same_form(&twin), &same_form(&resource));
                let listed = TWINS_THAT_DIFFER.iter().any(|(known, _)| *known == name);
                if place.is_some() != listed {
                    faults.push(format!("{name}: differs from its twin at {place:?}"));
                }
            }
        }
    }
    println!("{read} texts read, {compared} compared with a twin");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(read >= 20 && compared >= 4, "{read} read, {compared} compared");
}

/// Without what the two forms do not share: the order of members, `null`s behind the last value of a list, lists of
/// nothing but `null`, and white space around a narrative.
fn same_form<'j>(value: &'j Json<'_>) -> Json<'j> {
    match value {
        Json::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| (name.as_ref().into(), same_form(value)))
                .filter(|(_, value): &(_, Json<'_>)| !matches!(value, Json::Array(items) if items.is_empty()))
                .collect();
            members.sort_by(|one: &(std::borrow::Cow<'_, str>, _), other| one.0.cmp(&other.0));
            Json::Object(members)
        }
        Json::Array(items) => {
            let mut items: Vec<_> = items.iter().map(same_form).collect();
            while items.last().is_some_and(Json::is_null) {
                items.pop();
            }
            Json::Array(items)
        }
        Json::String(text) if text.trim_start().starts_with("<div") => Json::from(text.trim()),
        other => other.borrowed(),
    }
}

/// Where two trees first differ.
fn difference(one: &Json<'_>, other: &Json<'_>) -> Option<String> {
    match (one, other) {
        (Json::Object(one), Json::Object(other)) => {
            let names = |members: &[(std::borrow::Cow<'_, str>, Json<'_>)]| {
                members.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
            };
            if names(one) != names(other) {
                return Some(format!(": members {:?} and {:?}", names(one), names(other)));
            }
            one.iter()
                .zip(other)
                .find_map(|((name, one), (_, other))| difference(one, other).map(|place| format!(".{name}{place}")))
        }
        (Json::Array(one), Json::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(at, (one, other))| difference(one, other).map(|place| format!("[{at}]{place}"))),
        _ if one == other => None,
        _ => Some(format!(": {:.300} and {:.300}", format!("{one:?}"), format!("{other:?}"))),
    }
}
