//! The official suite of FHIRPath for R4, each test with what it says the outcome is.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use tacet_fhir::json::{Limits, parse};
use tacet_fhirpath::{CheckOptions, Context, Expression, Item, NodeType, is_true};
use tacet_types::Timestamp;

/// Tests that do not pass, each with the reason: name, tab, reason.
const NOT_PASSED: &str = include_str!("not-passed.txt");

#[test]
fn the_official_suite_passes_but_for_what_is_listed() {
    let Some(folder) = tacet_testdata::folder("fhirpath-r4-suite-json") else { return };
    let text = std::fs::read_to_string(folder.join("tests-fhir-r4.json")).expect("the suite");
    let suite: Value = serde_json::from_str(&text).expect("JSON");
    let tests = suite["tests"].as_array().expect("tests");
    let mut inputs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for test in tests {
        if let Some(name) = test["inputfile"].as_str() {
            inputs
                .entry(name.to_owned())
                .or_insert_with(|| std::fs::read(folder.join("input").join(name)).expect("an input"));
        }
    }

    let mut failed = BTreeMap::new();
    for test in tests {
        let input = test["inputfile"].as_str().map(|name| inputs[name].as_slice());
        if let Err(why) = run(test, input.unwrap_or(b"{}")) {
            failed.insert(test["id"].as_str().expect("an id").to_owned(), why);
        }
    }

    let listed: BTreeSet<&str> = NOT_PASSED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once('\t').expect("a name, a tab and a reason").0)
        .collect();
    let mut wrong = String::new();
    for (name, why) in &failed {
        if !listed.contains(name.as_str()) {
            let _ = writeln!(wrong, "{name} fails: {why}");
        }
    }
    for name in &listed {
        if !failed.contains_key(*name) {
            let _ = writeln!(wrong, "{name} is listed and passes");
        }
    }
    println!("FHIRPath suite: {} of {} pass", tests.len() - failed.len(), tests.len());
    assert!(tests.len() >= 1055, "the suite has shrunk to {}", tests.len());
    assert!(wrong.is_empty(), "{wrong}");
}

fn run(test: &Value, input: &[u8]) -> Result<(), String> {
    let text = test["expression"].as_str().expect("an expression");
    let resource = parse(input, &Limits::default()).expect("a resource");
    let invalid = test["invalid"].as_str();
    let expression = match Expression::compile(text) {
        Ok(expression) => expression,
        // A fault that is found early is found.
        Err(_) if invalid.is_some() => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    if invalid == Some("syntax") {
        return Err("it was compiled".to_owned());
    }

    let context = Context { strict: true, ..Context::new(&resource, Timestamp::from_ms(1_790_000_000_000)) };
    let start = Expression::compile(test["context"].as_str().unwrap_or("$this")).expect("a context");
    let focus = start.evaluate_on(&resource, &context).expect("a context");
    let types: Vec<NodeType> = match (test["contextType"].as_str(), resource.resource_type()) {
        (Some(types), _) => types.split('|').map(|name| NodeType::find(name).expect("a type")).collect(),
        (None, Some(name)) => match test["context"].as_str() {
            Some(path) => NodeType::find(name).expect("a type").element(path.rsplit('.').next().expect("a name")),
            None => vec![NodeType::find(name).expect("a type")],
        },
        (None, None) => Vec::new(),
    };
    let options = CheckOptions { ordered: test["checkOrderedFunctions"].as_bool() == Some(true) };
    let checked = expression.check(&types, &options);
    match (invalid, &checked) {
        (Some("semantic"), Err(_)) => return Ok(()),
        (None, Err(error)) => return Err(format!("the check refuses it: {error}")),
        _ => {}
    }

    let result = match expression.evaluate(&context, &focus) {
        Err(_) if invalid == Some("execution") => return Ok(()),
        Err(error) if invalid == Some("semantic") => return Err(format!("only evaluation finds it: {error}")),
        Err(error) => return Err(error.to_string()),
        Ok(_) if invalid.is_some() => return Err("it was evaluated".to_owned()),
        Ok(result) => result,
    };
    if test["predicate"].as_bool() == Some(true) {
        let truth = is_true(&result).map_err(|error| error.to_string())?;
        return expect(test, &[Item::Boolean(truth)]);
    }
    expect(test, &result)
}

fn expect(test: &Value, result: &[Item<'_>]) -> Result<(), String> {
    let outputs = test["outputs"].as_array().expect("outputs");
    let mut found: Vec<String> = result.iter().map(show).collect();
    let mut wanted: Vec<String> = Vec::new();
    for output in outputs {
        wanted.push(output["value"].as_str().expect("a value").to_owned());
    }
    if test["ordered"].as_bool() == Some(false) {
        found.sort();
        wanted.sort();
    }
    if found.len() != wanted.len() {
        return Err(format!("{found:?} instead of {wanted:?}"));
    }
    for ((found, wanted), output) in found.iter().zip(&wanted).zip(outputs) {
        let negative_zero =
            wanted.strip_prefix('-').is_some_and(|rest| !rest.contains(['1', '2', '3', '4', '5', '6', '7', '8', '9']));
        let wanted = if negative_zero { wanted.trim_start_matches('-') } else { wanted };
        if found.trim_start_matches('@') != wanted.trim_start_matches('@')
            && found.trim_start_matches("@T") != wanted.trim_start_matches("@T")
        {
            return Err(format!("{found} instead of {wanted}"));
        }
        if let (Some(kind), Some(item), false) = (output["type"].as_str(), result.first(), result.len() > 1) {
            let same = kind_of(item).eq_ignore_ascii_case(kind);
            if !same {
                return Err(format!("{} instead of {kind}", kind_of(item)));
            }
        }
    }
    Ok(())
}

fn show(item: &Item<'_>) -> String {
    item.to_text().map_or_else(|| "no text".to_owned(), String::from)
}

/// The type of an item as the suite names it.
fn kind_of(item: &Item<'_>) -> String {
    match item {
        Item::Node(node) => node.kind.name().to_owned(),
        Item::Boolean(_) => "boolean".to_owned(),
        Item::Integer(_) => "integer".to_owned(),
        Item::Decimal(_) => "decimal".to_owned(),
        Item::String(_) => "string".to_owned(),
        Item::Date(_) => "date".to_owned(),
        Item::DateTime(_) => "dateTime".to_owned(),
        Item::Time(_) => "time".to_owned(),
        Item::Quantity(_) => "Quantity".to_owned(),
        Item::Type(_) => "TypeInfo".to_owned(),
    }
}
