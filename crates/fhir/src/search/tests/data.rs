//! Extraction over real resources: the two readings of the expressions agree, and so do the tree and the single paths.

use super::oracle;
use crate::json::{Json, Limits, parse};
use crate::search::compile::{Elements, Program, compile, compile_component};
use crate::search::normalise::normalise;
use crate::search::plan::{Path, compares_in_composite, refine};
use crate::search::table::{is_a, table};
use crate::search::{ParameterId, ParameterType, Targets, Value, extracted, parameters_of};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;

/// Files of the folder in the order of their names, unpacked.
fn files(folder: &FilePath, most: usize) -> Vec<Vec<u8>> {
    let json =
        tacet_testdata::each_file(folder, "").filter(|(name, _)| name.ends_with(".json") || name.ends_with(".json.gz"));
    json.map(|(_, bytes)| bytes).take(most).collect()
}

/// The resource and those in a bundle.
fn resources<'v, 'a>(json: &'v Json<'a>) -> Vec<&'v Json<'a>> {
    let entries = json.get("entry").map(Json::items).unwrap_or_default();
    std::iter::once(json).chain(entries.iter().filter_map(|entry| entry.get("resource"))).collect()
}

/// Values of each parameter, as texts that can be sorted.
fn sorted(values: impl IntoIterator<Item = (ParameterId, String)>) -> BTreeMap<ParameterId, Vec<String>> {
    let mut all: BTreeMap<ParameterId, Vec<String>> = BTreeMap::new();
    for (parameter, value) in values {
        all.entry(parameter).or_default().push(value);
    }
    all.values_mut().for_each(|values| values.sort());
    all
}

/// Holds the extraction of one resource to the oracle; returns the parameters that had values.
pub(super) fn check(resource: &Json<'_>) -> BTreeSet<ParameterId> {
    let Some(resource_type) = crate::resource::resource_type(resource) else {
        assert_eq!(extracted(resource), []);
        return BTreeSet::new();
    };
    let mut expected = Vec::new();
    for &id in parameters_of(resource_type) {
        let parameter = id.parameter();
        let program = compile(Elements::Table(table()), parameter.expression, &parameter.bases).unwrap();
        let Program::Paths(paths) = program else {
            let code = if oracle::flag(parameter.expression, resource) { "true" } else { "false" };
            expected.push((id, super::show(&super::flag_value(code))));
            continue;
        };
        let mut reached = BTreeSet::new();
        for path in paths.into_iter().filter(|path| is_a(resource_type, path.root)) {
            let end = path.end;
            let path = Path::from(refine(&parameter.targets, path));
            path.walk(resource, resource, &mut |item| {
                reached.insert(std::ptr::from_ref(item).addr());
                if parameter.parameter_type == ParameterType::Composite {
                    combine(id, end, item, resource, &mut expected);
                } else {
                    normalise(parameter.parameter_type, path.kind, item, &mut |value| {
                        expected.push((id, super::show(&value)))
                    });
                }
            });
        }
        let by_oracle = oracle::items(parameter.expression, resource, resource);
        // A resource in a bundle counts if it is of the type that the parameter leads to.
        let whole = parameter.expression.ends_with("].resource");
        let is_target = |item: &Json<'_>| match &parameter.targets {
            Targets::Types(types) if whole => {
                types.iter().any(|one| item.get_str("resourceType") == Some(one.as_str()))
            }
            _ => true,
        };
        let by_oracle = by_oracle.into_iter().filter(|item| is_target(item));
        let by_oracle = by_oracle.map(|item| std::ptr::from_ref(item).addr()).collect();
        assert_eq!(reached, by_oracle, "{} in a {resource_type}", parameter.id);
    }
    let found = extracted(resource);
    let ids = found.iter().map(|(id, _)| *id).collect();
    assert_eq!(sorted(found.iter().map(|(id, value)| (*id, super::show(value)))), sorted(expected));
    ids
}

/// The composite's values at one element, by the oracle's reading of its components.
fn combine(
    id: ParameterId,
    end: &'static str,
    item: &Json<'_>,
    resource: &Json<'_>,
    expected: &mut Vec<(ParameterId, String)>,
) {
    let name = crate::resource::resource_type(resource).unwrap().as_str();
    let mut rows: Vec<Vec<String>> = vec![Vec::new()];
    for component in &id.parameter().components {
        let defined = table().parameters.iter().find(|known| known.id == component.definition).unwrap();
        let paths = compile_component(Elements::Table(table()), component.expression, end, name).unwrap();
        let mut values = Vec::new();
        let mut reached = BTreeSet::new();
        for path in paths {
            let from = if path.from_resource { resource } else { item };
            let path = Path::from(path);
            path.walk(from, resource, &mut |end| {
                reached.insert(std::ptr::from_ref(end).addr());
                normalise(defined.parameter_type, path.kind, end, &mut |value| {
                    values.extend(compares_in_composite(&value).then(|| super::show(&value)));
                });
            });
        }
        let by_oracle = oracle::items(component.expression, item, resource);
        let by_oracle: BTreeSet<_> = by_oracle.into_iter().map(|item| std::ptr::from_ref(item).addr()).collect();
        assert_eq!(reached, by_oracle, "{}: {}", id.parameter().id, component.expression);
        let with = |row: &Vec<String>, value: &String| row.iter().chain([value]).cloned().collect::<Vec<_>>();
        rows = rows.iter().flat_map(|row| values.iter().map(move |value| with(row, value))).collect();
    }
    expected.extend(rows.into_iter().map(|row| (id, format!("[{}]", row.join(" & ")))));
}

#[test]
fn official_examples_are_read_alike() {
    let Some(folder) = tacet_testdata::folder("r4-examples") else { return };
    let mut seen = BTreeSet::new();
    let mut types = BTreeSet::new();
    for bytes in files(&folder, usize::MAX) {
        let json = parse(&bytes, &Limits::default()).unwrap();
        for resource in resources(&json) {
            seen.extend(check(resource));
            types.extend(crate::resource::resource_type(resource));
        }
    }
    println!("{} types, {} parameters with values", types.len(), seen.len());
    // The examples are real enough to fill two thirds of the parameters; fewer would mean that extraction finds less
    // than it did.
    assert!(types.len() > 100 && seen.len() > 800, "{} types, {} parameters", types.len(), seen.len());
}

#[test]
fn synthetic_patients_are_read_alike() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    let mut count = 0;
    for bytes in files(&folder, 2) {
        let json = parse(&bytes, &Limits::default()).unwrap();
        for resource in resources(&json) {
            check(resource);
            assert!(!extracted(resource).is_empty() || resource.get("entry").is_some());
            count += 1;
        }
    }
    assert!(count > 100, "{count} resources");
}

/// Run by hand: `cargo test --release -p tacet-fhir -- --ignored --nocapture search_speed`.
#[test]
#[ignore = "a measurement, not a check"]
#[expect(clippy::disallowed_methods, reason = "measures")]
fn search_speed() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    let texts = files(&folder, 6);
    let bundles: Vec<_> = texts.iter().map(|bytes| parse(bytes, &Limits::default()).unwrap()).collect();
    let mut by_type: BTreeMap<&str, Vec<&Json<'_>>> = BTreeMap::new();
    for resource in bundles.iter().flat_map(|bundle| resources(bundle).into_iter().skip(1)) {
        by_type.entry(resource.get_str("resourceType").unwrap()).or_default().push(resource);
    }
    // The fastest of many rounds: other work on the machine only ever adds.
    let timed = |resources: &[&Json<'_>], work: &mut dyn FnMut(&Json<'_>)| {
        let round = |work: &mut dyn FnMut(&Json<'_>)| {
            let start = std::time::Instant::now();
            resources.iter().for_each(|one| work(one));
            start.elapsed().as_nanos() / resources.len() as u128
        };
        (0..10_000 / resources.len() + 10).map(|_| round(work)).min().unwrap()
    };
    for (name, resources) in &by_type {
        let mut values = 0usize;
        for resource in resources {
            values += extracted(resource).len();
        }
        let mut count = 0usize;
        let extract = timed(resources, &mut |one| {
            crate::search::extract(one, &mut |_, value| {
                count += usize::from(!matches!(value, Value::Uri("")));
            })
        });
        let patients = timed(resources, &mut |one| count += crate::compartment::patients(one).len());
        let visit =
            timed(resources, &mut |one| crate::reference::for_each_reference(one, &mut |text| count += text.len()));
        let clone = timed(resources, &mut |one| count += (*one).clone().members().len());
        let rewrite = timed(resources, &mut |one| {
            let mut copy = (*one).clone();
            count += crate::reference::rewrite_references(&mut copy, &mut |text| {
                text.starts_with("urn:uuid:").then(|| "Patient/0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0".to_owned())
            });
        });
        let parameters = crate::resource::resource_type(resources[0]).map_or(0, |one| parameters_of(one).len());
        println!(
            "{name}: {} resources, {parameters} parameters, {} values each; ns: extract {extract}, patients {patients}, visit references {visit}, rewrite {} (copy {clone}) [{count}]",
            resources.len(),
            values / resources.len(),
            rewrite.saturating_sub(clone),
        );
    }
}
