//! What parsing and validating cost. Not a test of anything: run with `--release --ignored --nocapture speed`.

use std::hint::black_box;
use tacet_fhir::definitions::tables;
use tacet_fhir::json::{Json, Limits, parse, write};
use tacet_fhir::validate::{Options, validate};

#[test]
#[ignore = "prints measurements"]
fn speed_of_parsing_and_validating() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    let start = cpu_ns();
    black_box(tables());
    println!("tables read in {} us", (cpu_ns() - start) / 1000);
    let mut observations: Vec<Vec<u8>> = Vec::new();
    let mut others: Vec<Vec<u8>> = Vec::new();
    for (_, bytes) in tacet_testdata::files(&folder, ".json.gz") {
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
            let parsed = cost(resources, |bytes| drop(black_box(parse(bytes, &Limits::default()))));
            let validated = cost(resources, |bytes| {
                let tree = parse(bytes, &Limits::default()).expect("a resource");
                black_box(validate(&tree, &Options::default()));
            });
            let written = cost(resources, |bytes| {
                let tree = parse(bytes, &Limits::default()).expect("a resource");
                black_box(write(&tree));
            });
            println!(
                "  parse {parsed} ns, validate {} ns, write {} ns a resource",
                validated.saturating_sub(parsed),
                written.saturating_sub(parsed),
            );
        }
    }
}

/// Nanoseconds of this thread's CPU for each resource.
fn cost(resources: &[Vec<u8>], mut work: impl FnMut(&[u8])) -> u64 {
    let start = cpu_ns();
    resources.iter().for_each(|bytes| work(bytes));
    (cpu_ns() - start) / resources.len() as u64
}

/// The CPU time of this thread as Linux counts it, so that other work on the machine does not count.
fn cpu_ns() -> u64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    counted.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds")
}
