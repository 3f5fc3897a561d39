//! The official validator cases of R4, with the outcomes of the reference implementation.
//!
//! A case has a base run (the resource with what its `meta.profile` names, the `profiles` and `supporting` files
//! loaded), and some have a profile run (the same, and a profile asked for); each run counts, the second as
//! `name#profile`. A run passes when the verdict is that of the reference: at least one error, or none. Which errors,
//! and how many, is not compared. Runs without a published outcome are left out.

use crate::{data, list};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tacet_conformance::{Packages, ValidationContext};
use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::outcome::Severity;

const NOT_PASSED: &str = include_str!("not-passed.txt");

/// Runs of the collection with an outcome; fewer means that something was not read.
const RUNS_MIN: usize = 600;

/// Whether an outcome has an error; `None` where there is no outcome.
fn has_error(folder: &Path, outcome: Option<&Json<'_>>) -> Option<bool> {
    let read = |bytes: &[u8]| {
        let outcome = parse(bytes, &Limits::default()).expect("an outcome");
        let issues = outcome.get("outcome").unwrap_or(&outcome).get("issue").map(Json::items).unwrap_or_default();
        issues.iter().any(|issue| matches!(issue.get_str("severity"), Some("error" | "fatal")))
    };
    match outcome? {
        Json::String(file) => std::fs::read(folder.join("outcomes").join(file.as_ref())).ok().map(|bytes| read(&bytes)),
        // What is no resource at all has a count of errors instead of an outcome.
        inline => match inline.get("errorCount").and_then(Json::as_i64) {
            Some(count) => Some(count > 0),
            None => Some(read(&tacet_fhir::json::write(inline))),
        },
    }
}

/// Adds the definitions of the files that a case names.
fn add(packages: &mut Packages, folder: &Path, case: &Json<'_>, member: &str) {
    for file in case.get(member).map(Json::items).unwrap_or_default().iter().filter_map(Json::as_str) {
        add_file(packages, folder, file);
    }
}

fn add_file(packages: &mut Packages, folder: &Path, file: &str) -> Option<String> {
    let bytes = std::fs::read(folder.join(file)).ok()?;
    let Some(resource) = data::read(file, &bytes) else {
        println!("cannot be read: {file}");
        return None;
    };
    if resource.resource_type() == Some("Bundle") {
        for entry in resource.get("entry").map(Json::items).unwrap_or_default() {
            if let Some(resource) = entry.get("resource") {
                let _ = packages.add_resource(resource);
            }
        }
    }
    packages.add_resource(&resource).ok()?;
    resource.get_str("url").map(str::to_owned)
}

#[test]
fn verdicts_are_those_of_the_reference() {
    let Some(folder) = tacet_testdata::folder("validator-r4") else { return };
    let manifest = std::fs::read(folder.join("manifest.json")).expect("a manifest");
    let manifest = parse(&manifest, &Limits::default()).expect("JSON");
    let only = std::env::var("TACET_VALIDATOR_CASE").ok();
    let mut run = BTreeSet::new();
    let mut failed = BTreeMap::new();
    for case in manifest.get("test-cases").map(Json::items).unwrap_or_default() {
        let (Some(name), Some(file)) = (case.get_str("name"), case.get_str("file")) else { continue };
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let Ok(bytes) = std::fs::read(folder.join(file)) else { continue };
        let resource = data::read(file, &bytes);
        let mut packages = Packages::standard();
        for member in ["supporting", "profiles", "supporting5"] {
            add(&mut packages, &folder, case, member);
        }
        let mut check = |id: String, expected: Option<bool>, packages: &Packages, profiles: &[&str]| {
            let Some(expected) = expected else { return };
            run.insert(id.clone());
            let terminology = data::terminology(packages);
            let mut context = ValidationContext::new(&terminology, data::now());
            // The reference was run without allowing unknown extensions.
            context.unknown_extensions = Severity::Error;
            let found = resource.as_ref().map(|resource| data::errors_in(resource, profiles, packages, &context));
            if only.is_some() {
                println!("{id}: reference {expected}\n{}", data::lines(found.as_deref().unwrap_or_default()));
            }
            let has = found.as_ref().is_none_or(|found| !found.is_empty());
            if has != expected {
                let why = match &found {
                    None => "cannot be read".to_owned(),
                    Some(found) if found.is_empty() => "no error found".to_owned(),
                    Some(found) => found
                        .iter()
                        .take(3)
                        .map(|issue| format!("{}: {}", issue.location, issue.message))
                        .collect::<Vec<_>>()
                        .join(" ;; "),
                };
                failed.insert(id, format!("[{}] {why}", case.get_str("module").unwrap_or("-")));
            }
        };
        check(name.to_owned(), has_error(&folder, case.get("java")), &packages, &[]);
        if let Some(profile) = case.get("profile") {
            add(&mut packages, &folder, profile, "supporting");
            let source = profile.get_str("source").unwrap_or_default();
            let url = if source.starts_with("http") {
                Some(source.to_owned())
            } else {
                add_file(&mut packages, &folder, source)
            };
            let profiles: Vec<&str> = url.as_deref().into_iter().collect();
            check(format!("{name}#profile"), has_error(&folder, profile.get("java")), &packages, &profiles);
        }
    }
    if only.is_some() {
        return;
    }
    assert!(run.len() >= RUNS_MIN, "only {} runs", run.len());
    list::compare("official validator cases", NOT_PASSED, &failed, &run);
}
