//! The table, what extraction finds, and that nothing makes it fail.

mod data;
mod oracle;
mod samples;

use super::compile::{Elements, Kind, Program, compile, compile_component};
use super::table::{is_a, table};
use super::*;
use crate::reference::Reference;
use std::collections::BTreeSet;

/// A value as one line, for comparing and for the snapshot.
fn show(value: &Value<'_>) -> String {
    let system = |system: &TokenSystem<'_>| match system {
        TokenSystem::Absent => String::new(),
        TokenSystem::Implied => "*".to_owned(),
        TokenSystem::Uri(uri) => (*uri).to_owned(),
    };
    let range = |range: &NumberRange| {
        let end = |end: Option<Decimal>| end.map(|end| end.to_f64().to_string()).unwrap_or_default();
        format!("{}..{}", end(range.low), end(range.high))
    };
    let date = |ms: i64| match ms {
        OPEN_LOW_MS | OPEN_HIGH_MS => String::new(),
        ms => tacet_types::Timestamp::from_ms(ms).to_string(),
    };
    match value {
        Value::Token(token) => {
            let text = token.text.map(|text| format!(" '{text}'")).unwrap_or_default();
            format!("token {}|{}{text}", system(&token.system), token.code.unwrap_or_default())
        }
        Value::OfType { system, code, value } => format!("of-type {}|{code}|{value}", system.unwrap_or_default()),
        Value::String(text) => format!("string {text}"),
        Value::Date(range) => format!("date {}..{}", date(range.low_ms), date(range.high_ms)),
        Value::Number(number) => format!("number {}", range(number)),
        Value::Quantity(quantity) => {
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let (system, code, unit) = (text(quantity.system), text(quantity.code), text(quantity.unit));
            format!("quantity {} {system}|{code} '{unit}'", range(&quantity.range))
        }
        Value::Reference(Reference::Relative { resource_type, id, version }) => {
            format!("reference {resource_type}/{id} {}", version.unwrap_or_default()).trim_end().to_owned()
        }
        Value::Reference(Reference::Absolute(text) | Reference::Urn(text)) => format!("reference {text}"),
        Value::Reference(Reference::Conditional { resource_type, query }) => {
            format!("reference {resource_type}?{query}")
        }
        Value::Reference(Reference::Fragment(_) | Reference::Invalid) => panic!("not a value"),
        Value::ReferenceIdentifier { system, value } => {
            format!("reference-identifier {}|{value}", system.unwrap_or_default())
        }
        Value::Canonical { url, version } => {
            format!("canonical {url} {}", version.unwrap_or_default()).trim_end().to_owned()
        }
        Value::Uri(uri) => format!("uri {uri}"),
        Value::Composite(values) => format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(" & ")),
        Value::Position { latitude, longitude } => format!("position {} {}", latitude.to_f64(), longitude.to_f64()),
    }
}

fn flag_value(code: &str) -> Value<'_> {
    Value::Token(Token { system: TokenSystem::Implied, code: Some(code), text: None })
}

#[test]
fn every_parameter_of_r4_is_there() {
    assert_eq!(parameters().len(), PARAMETER_COUNT);
    let text = include_str!("../../definitions/search-parameters.txt");
    for (mark, count) in
        [("P\t", parameters().len()), ("C\t", parameters().iter().map(|parameter| parameter.components.len()).sum())]
    {
        assert_eq!(text.lines().filter(|line| line.starts_with(mark)).count(), count);
    }
    assert!(parameters().is_sorted_by_key(|parameter| parameter.id));
    assert_eq!(parameters().iter().filter(|parameter| parameter.example).count(), 3);
}

#[test]
fn every_expression_compiles_and_ends_in_types_that_the_parameter_compares() {
    let mut strange = BTreeSet::new();
    for parameter in parameters() {
        let program = compile(Elements::Table(table()), parameter.expression, &parameter.bases)
            .unwrap_or_else(|error| panic!("{}: expected {}", parameter.id, error.0));
        let Program::Paths(paths) = program else {
            assert_eq!(parameter.parameter_type, ParameterType::Token);
            continue;
        };
        for path in &paths {
            for component in &parameter.components {
                let defined = parameters().iter().find(|known| known.id == component.definition).unwrap();
                let parts = compile_component(Elements::Table(table()), component.expression, path.end, path.root)
                    .unwrap_or_else(|error| panic!("{}: expected {}", parameter.id, error.0));
                for part in parts {
                    if !normalise::supports(defined.parameter_type, Kind::of(part.end)) {
                        strange.insert((defined.parameter_type.as_str(), part.end));
                    }
                }
            }
            if parameter.components.is_empty() && !normalise::supports(parameter.parameter_type, Kind::of(path.end)) {
                strange.insert((parameter.parameter_type.as_str(), path.end));
            }
        }
    }
    // Alternatives of a choice that its parameter cannot compare: an onset given as an age has no date.
    let known = [
        ("date", "Age"),
        ("date", "Range"),
        ("date", "string"),
        ("reference", "Attachment"),
        ("token", "Quantity"),
        ("token", "Range"),
        ("token", "Reference"),
    ];
    assert_eq!(strange, BTreeSet::from(known));
}

#[test]
fn every_parameter_but_the_examples_applies_somewhere() {
    for (place, parameter) in parameters().iter().enumerate() {
        let id = ParameterId(u16::try_from(place).unwrap());
        let types: Vec<_> = ResourceType::all().filter(|one| parameters_of(*one).contains(&id)).collect();
        assert_eq!(types.is_empty(), parameter.example, "{}", parameter.id);
        assert!(types.iter().all(|one| parameter.bases.iter().any(|base| is_a(*one, base))));
        for resource_type in types {
            assert_eq!(
                super::parameter(resource_type, parameter.code),
                Some(id),
                "{} is not the only one",
                parameter.id
            );
        }
    }
}
