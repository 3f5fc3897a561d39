//! The official cases of FHIRPath Patch, read with our own reader of XML.

use crate::data;
use crate::json_patch::sorted;
use std::collections::BTreeMap;
use tacet_fhir::json::{Json, Limits};
use tacet_fhir::xml;
use tacet_patch::fhirpath_patch;
use tacet_types::Timestamp;

/// The cases that do not pass: `name: reason` a line, `#` before remarks.
const NOT_PASSED: &str = include_str!("not-passed.txt");

/// How many cases the file holds; fewer means that something was not read.
const CASES: usize = 33;

#[test]
fn official_cases_hold() {
    let Some(text) = data::patch_tests("fhir-patch-tests.xml") else { return };
    let mut listed: BTreeMap<&str, &str> = NOT_PASSED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(": ").expect("name: reason"))
        .collect();
    let (mut count, mut passed) = (0, 0);
    let mut surprises = Vec::new();
    for case in text.split("<case ").skip(1) {
        count += 1;
        let name = between(case, "name=\"", "\"").expect("a name");
        let outcome = run(case);
        passed += usize::from(outcome.is_ok());
        match (outcome, listed.remove(name)) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(_)) => surprises.push(format!("{name}: passes and is listed")),
            (Err(error), None) => surprises.push(format!("{name}: {error}")),
        }
    }
    println!("{passed} of {count} official cases of FHIRPath Patch pass");
    assert_eq!(count, CASES);
    assert!(listed.is_empty(), "listed but not there: {listed:?}");
    assert!(surprises.is_empty(), "{} cases:\n{}", surprises.len(), surprises.join("\n"));
}

fn run(case: &str) -> Result<(), String> {
    let read = |name: &str| {
        let text = between(case, &format!("<{name}>"), &format!("</{name}>"))?;
        Some(xml::parse(text.trim().as_bytes(), &Limits::default()).map_err(|error| format!("{name}: {error}")))
    };
    let (input, patch) = (read("input").ok_or("no input")??, read("diff").ok_or("no patch")??);
    match (fhirpath_patch(&input, &patch, Timestamp::from_ms(0)), read("output")) {
        (Ok(outcome), Some(expected)) => same(outcome, expected?),
        (Err(_), None) if case.contains("<error ") => Ok(()),
        (Ok(_), None) => Err("done, and should have been refused".into()),
        (Err(error), _) => Err(error.to_string()),
    }
}

fn same(outcome: Json<'static>, expected: Json<'static>) -> Result<(), String> {
    let (outcome, expected) = (sorted(quotes(outcome)), sorted(quotes(expected)));
    if outcome == expected { Ok(()) } else { Err(format!("gives {outcome:?}\nand should give {expected:?}")) }
}

/// With one way to write quotation marks in the text of a narrative: XML has two, and the case "Full Resource" asks for
/// another than it gives.
fn quotes(mut resource: Json<'static>) -> Json<'static> {
    if let Some(Json::String(div)) = resource.get_mut("text").and_then(|text| text.get_mut("div")) {
        *div = div.replace("&quot;", "\"").into();
    }
    resource
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
