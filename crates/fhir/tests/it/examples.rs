//! The official examples are accepted, except those listed with the reason for which they are refused.

use std::collections::BTreeMap;
use tacet_fhir::json::{Limits, parse, write};
use tacet_fhir::validate::{Options, validate};

/// The examples that are rightly refused: `file: place: reason` a line, `#` before remarks.
const REFUSED: &str = include_str!("../refused-examples.txt");

/// How many examples the collection holds; fewer means that something was not read.
const EXAMPLES: usize = 648;

#[test]
fn official_examples_are_accepted_or_listed() {
    let Some(folder) = tacet_testdata::folder("r4-examples") else { return };
    let mut listed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in REFUSED.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (file, rest) = line.split_once(": ").expect("file: place: reason");
        let (place, _reason) = rest.split_once(": ").expect("file: place: reason");
        listed.entry(file).or_default().push(place);
    }
    let files = tacet_testdata::files(&folder, ".json");
    assert_eq!(files.len(), EXAMPLES);
    let mut surprises = Vec::new();
    for (name, bytes) in &files {
        let resource = parse(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = write(&resource);
        assert_eq!(parse(&again, &Limits::default()).expect("own output"), resource, "{name}");
        let issues = validate(&resource, &Options::default());
        let mut places: Vec<&str> = issues.iter().map(|issue| issue.location.as_str()).collect();
        places.sort_unstable();
        let mut expected = listed.remove(name.as_str()).unwrap_or_default();
        expected.sort_unstable();
        if places != expected {
            let found: Vec<_> = issues.iter().map(|issue| format!("{}: {}", issue.location, issue.message)).collect();
            surprises.push(format!("{name}: {}", found.join("; ")));
        }
    }
    assert!(listed.is_empty(), "listed but not there: {listed:?}");
    assert!(surprises.is_empty(), "{} examples:\n{}", surprises.len(), surprises.join("\n"));
}
