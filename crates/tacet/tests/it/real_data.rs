//! The real Synthea bundles, through the program: all of them in, counted against the files, and read back over HTTP.

use crate::http::Client;
use crate::place::Place;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::PathBuf;

/// One record in so many is read back; the vault's own tests compare more of them.
const READ_ONE_IN: usize = 25;

/// Puts the final ids in the place of references between the entries of a bundle.
fn resolve(value: &mut Value, targets: &HashMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(text) if name == "reference" => {
                        if let Some(target) = targets.get(text) {
                            target.clone_into(text);
                        }
                    }
                    member => resolve(member, targets),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, targets)),
        _ => {}
    }
}

/// The records of all bundles by `Type/id`, as they should come back.
fn expected(folder: &PathBuf) -> BTreeMap<String, Value> {
    let mut records = BTreeMap::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "gz")) {
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let entries = bundle["entry"].as_array().unwrap();
        let name = |resource: &Value| {
            format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap())
        };
        let targets =
            entries.iter().map(|entry| (entry["fullUrl"].as_str().unwrap().to_owned(), name(&entry["resource"])));
        let targets: HashMap<String, String> = targets.collect();
        for entry in entries {
            let mut resource = entry["resource"].clone();
            resolve(&mut resource, &targets);
            records.insert(name(&resource), resource);
        }
    }
    records
}

fn without_meta(mut resource: Value) -> Value {
    resource.as_object_mut().unwrap().remove("meta");
    resource
}

#[test]
fn every_synthea_bundle_is_imported_and_comes_back() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    let (place, _) = Place::with_store();
    let report = place.json(&["import", folder.to_str().unwrap()]);
    assert_eq!(report["rejected_total"], 0, "{report}");
    let expected = expected(&folder);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in expected.keys() {
        *counts.entry(name.split('/').next().unwrap()).or_default() += 1;
    }
    assert_eq!(place.assert_sound("after the import")["resources"], json!(counts));

    let token = place.token("Dr Reader", "integrator");
    let serving = place.serve();
    let mut client = Client::connect(&serving.address, &token).unwrap();
    let mut read = 0;
    // A record that several bundles bring (a practitioner) is the last one's; threads decide which that is.
    let own =
        expected.iter().filter(|(name, _)| !name.starts_with("Practitioner/") && !name.starts_with("Organization/"));
    for (name, source) in own.step_by(READ_ONE_IN) {
        let answer = client.get(&format!("/{name}")).unwrap();
        assert_eq!(answer.status, 200, "{name}");
        assert!(without_meta(answer.json()) == without_meta(source.clone()), "{name} differs");
        read += 1;
    }
    assert!(read > 500, "{read}");
    assert_eq!(serving.stop().0, Some(0));
    println!("{} records imported, {read} read back", expected.len());
}
