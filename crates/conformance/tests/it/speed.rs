//! What the invariants cost on real records. Prints figures; asserts none.

#![expect(clippy::disallowed_methods, reason = "measures durations on purpose")]

use crate::data;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tacet_conformance::{Level, NoCodes, Packages, ValidationContext, validate};
use tacet_fhir::json::{Json, Limits, parse};

#[test]
fn invariants_on_real_records() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    let packages = Packages::standard();
    let mut context = ValidationContext::new(&NoCodes, data::now());
    context.level = Level::Invariants;
    let mut spent: BTreeMap<String, Vec<(Duration, Duration)>> = BTreeMap::new();
    let mut broken = BTreeMap::new();
    for (_, bytes) in tacet_testdata::files(&folder, ".json.gz").into_iter().take(3) {
        let bundle = parse(&bytes, &Limits::default()).expect("JSON");
        for entry in bundle.get("entry").map(Json::items).unwrap_or_default() {
            let Some(resource) = entry.get("resource") else { continue };
            let start = Instant::now();
            let structure = tacet_fhir::validate::validate(resource, &tacet_fhir::validate::Options::default());
            let middle = Instant::now();
            let issues = validate(resource, &[], &packages, &context);
            let end = Instant::now();
            for issue in &issues {
                *broken.entry(issue.message.clone()).or_insert(0) += 1;
            }
            assert!(issues.len() >= structure.len());
            let name = resource.resource_type().unwrap_or_default().to_owned();
            spent.entry(name).or_default().push((end - middle, middle - start));
        }
    }
    assert!(spent.len() > 5);
    for (name, mut figures) in spent {
        figures.sort();
        let (all, structure) = figures[figures.len() / 2];
        println!("{name}: median {all:?} with invariants, {structure:?} structure alone, {} records", figures.len());
    }
    println!("broken: {broken:?}");
}
