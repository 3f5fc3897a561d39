use super::compile::{Kind, Program, compile, compile_component};
use super::table::{is_a, table};
use super::*;
use std::collections::BTreeSet;

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
        let program = compile(table(), parameter.expression, &parameter.bases)
            .unwrap_or_else(|error| panic!("{}: expected {}", parameter.id, error.0));
        let Program::Paths(paths) = program else {
            assert_eq!(parameter.parameter_type, ParameterType::Token);
            continue;
        };
        for path in &paths {
            for component in &parameter.components {
                let defined = parameters().iter().find(|known| known.id == component.definition).unwrap();
                let parts = compile_component(table(), component.expression, path.end, path.root)
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
    // Alternatives of a choice that its parameter cannot compare (an onset given as an age has no date), and one parameter
    // of R4 whose type is not that of its element (a reference parameter on a code).
    let known = [
        ("date", "Age"),
        ("date", "Range"),
        ("date", "string"),
        ("reference", "Attachment"),
        ("reference", "code"),
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
