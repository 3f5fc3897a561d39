//! Value sets and code systems of the official validator's test cases, where the data are.

use std::path::{Path, PathBuf};
use tacet_fhir::json::{Limits, parse};
use tacet_terminology::{Builder, ErrorKind, Membership};

fn snapshot(folder: &Path, files: &[&str]) -> tacet_terminology::Terminology {
    let mut builder = Builder::default();
    for file in files {
        let bytes = std::fs::read(folder.join(file)).expect("a file");
        builder.add_resource(&parse(&bytes, &Limits::default()).expect("JSON")).expect("a definition");
    }
    builder.build()
}

fn url(folder: &Path, file: &str) -> String {
    let bytes = std::fs::read(folder.join(file)).expect("a file");
    parse(&bytes, &Limits::default()).expect("JSON").get_str("url").expect("a url").to_owned()
}

#[test]
fn filters_of_the_validator_s_cases_are_judged_alike() {
    let Some(folder) = tacet_testdata::folder("validator-r4") else { return };
    let codes = |file: &str| {
        let terminology = snapshot(&folder, &["cs-filter.json", "cs-sub-prop.json", file]);
        terminology.codes_of(&url(&folder, file))
    };
    assert_eq!(codes("vs-filter-property-bad2.json").expect_err("no system").kind, ErrorKind::Invalid);
    // The validator names the code that does not exist; for an expansion it is a filter that nothing passes.
    assert_eq!(codes("vs-filter-property-bad.json").map(|codes| codes.len()), Ok(0));
    assert!(codes("vs-filter-property.json").is_ok_and(|codes| !codes.is_empty()));
    assert!(codes("vs-filter-int.json").is_ok());
}

#[test]
fn every_definition_of_the_cases_is_read_and_asked() {
    let Some(folder) = tacet_testdata::folder("validator-r4") else { return };
    let mut builder = Builder::default();
    let mut sets = Vec::new();
    let mut refused = 0;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ext| ext == "json")) {
        let bytes = std::fs::read(file).expect("a file");
        let Ok(resource) = parse(&bytes, &Limits::default()) else { continue };
        match builder.add_resource(&resource) {
            Ok(()) if resource.resource_type() == Some("ValueSet") => {
                sets.extend(resource.get_str("url").map(str::to_owned))
            }
            Ok(()) => {}
            Err(_) => refused += 1,
        }
    }
    let terminology = builder.build();
    assert!(sets.len() > 20, "{} value sets", sets.len());
    assert!(refused < 5, "{refused} refused");
    for set in &sets {
        match terminology.codes_of(set) {
            Ok(codes) => {
                for (system, code) in codes.iter().take(50) {
                    assert_eq!(terminology.member_of(set, Some(system), code), Membership::Yes, "{set}");
                }
            }
            Err(error) => assert!(!error.message.is_empty()),
        }
    }
}
