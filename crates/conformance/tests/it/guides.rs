//! The International Patient Summary and US Core: their examples against their profiles.

use crate::{data, list};
use std::collections::{BTreeMap, BTreeSet};
use tacet_conformance::Packages;

const NOT_PASSED: &str = include_str!("guides-not-passed.txt");

#[test]
fn examples_have_the_profiles_that_they_claim() {
    let (Some(ips), Some(us_core)) = (tacet_testdata::folder("ips-2.0.0"), tacet_testdata::folder("us-core")) else {
        return;
    };
    let mut packages = Packages::standard();
    let mut profiles = 0;
    for (name, bytes) in tacet_testdata::files(&ips.join("definitions"), ".json") {
        let resource = data::read(&name, &bytes).expect("JSON");
        profiles += usize::from(packages.add_resource(&resource).is_ok() && name.starts_with("StructureDefinition"));
    }
    assert!(profiles >= 30, "only {profiles} profiles");
    let mut run = BTreeSet::new();
    let mut failed = BTreeMap::new();
    for (guide, folder) in [("ips", ips.join("examples")), ("us-core", us_core)] {
        for (name, bytes) in tacet_testdata::files(&folder, ".json") {
            let Some(resource) = data::read(&name, &bytes).filter(|resource| resource.resource_type().is_some()) else {
                continue;
            };
            let id = format!("{guide}/{name}");
            let errors = data::errors(&resource, &[], &packages);
            if !errors.is_empty() {
                failed.insert(id.clone(), data::lines(&errors).trim().replace('\n', " ;; "));
            }
            run.insert(id);
        }
    }
    assert!(run.len() > 200, "only {} examples", run.len());
    list::compare("examples of guides", NOT_PASSED, &failed, &run);
}
