//! What parsing and validating cost. Not a test of anything: run with `--release --ignored --nocapture speed`.

use crate::data;
use std::hint::black_box;
use tacet_fhir::definitions::tables;
use tacet_fhir::json::{Json, Limits, parse, write};
use tacet_fhir::validate::{Options, validate};

#[test]
#[ignore = "prints measurements"]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn speed_of_parsing_and_validating() {
    use std::time::Instant;
    let Some(folder) = data::folder("synthea-r4") else { return };
    let start = Instant::now();
    black_box(tables());
    println!("tables read in {:?}", start.elapsed());
    let mut observations: Vec<Vec<u8>> = Vec::new();
    let mut others: Vec<Vec<u8>> = Vec::new();
    for (_, bytes) in data::files(&folder, ".json.gz") {
        let bundle = parse(&bytes, &Limits::default()).expect("a bundle");
        for entry in bundle.get("entry").map(Json::items).unwrap_or_default() {
            let resource = entry.get("resource").expect("a resource");
            let kept = if resource.resource_type() == Some("Observation") { &mut observations } else { &mut others };
            kept.push(write(resource));
        }
    }
    for (name, resources) in [("Observation", &observations), ("others", &others)] {
        let bytes: usize = resources.iter().map(Vec::len).sum();
        let count = resources.len() as u128;
        println!("{name}: {count} resources of {} bytes on average", bytes / resources.len());
        for _ in 0..3 {
            let start = Instant::now();
            for bytes in resources {
                black_box(parse(bytes, &Limits::default()).expect("a resource"));
            }
            let parsing = start.elapsed();
            let trees: Vec<Json<'_>> =
                resources.iter().map(|bytes| parse(bytes, &Limits::default()).expect("a resource")).collect();
            let start = Instant::now();
            for tree in &trees {
                black_box(validate(tree, &Options::default()));
            }
            let validating = start.elapsed();
            let start = Instant::now();
            for tree in &trees {
                black_box(write(tree));
            }
            let writing = start.elapsed();
            println!(
                "  parse {} ns, validate {} ns, write {} ns a resource",
                parsing.as_nanos() / count,
                validating.as_nanos() / count,
                writing.as_nanos() / count,
            );
        }
    }
}
