//! The real bundles and the official examples, where they are at hand.

use crate::house::*;
use pollster::block_on;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use tacet_fhir::json::{self, Json};
use tacet_fhir::resource;
use tacet_vault::ImportUnit;

pub(crate) fn data(folder: &str) -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("TACET_TEST_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let Ok(listing) = std::fs::read_dir(root.join(folder)) else {
        eprintln!("skipped: the folder {folder} of the test data is not here (TACET_TEST_DATA)");
        return None;
    };
    let mut files: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

/// Ten bundles in every run; the whole set is what `tacet import` is measured with.
#[test]
fn synthea_bundles_come_back_equal() {
    let Some(files) = data("synthea-r4") else { return };
    let house = House::new();
    let mut expected: BTreeMap<(String, String), String> = BTreeMap::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "gz")).take(10) {
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_end(&mut body).unwrap();
        let unit = ImportUnit::Document(&body);
        let outcome = block_on(house.vault.import(&clinician(), &unit, Default::default())).unwrap();
        assert!(outcome.rejected.is_empty(), "{}: {:?}", file.display(), outcome.rejected);
        let bundle = json::parse(&body, &json::Limits::default()).unwrap();
        for entry in bundle.get("entry").unwrap().items() {
            let value = entry.get("resource").unwrap();
            let key = (value.get_str("resourceType").unwrap().to_owned(), value.get_str("id").unwrap().to_owned());
            // References between entries, put in their final form by plain replacement: a second implementation.
            let mut text = String::from_utf8(json::write(value)).unwrap();
            for other in bundle.get("entry").unwrap().items() {
                let target = other.get("resource").unwrap();
                let id = target.get_str("id").unwrap();
                let urn = format!("\"reference\":\"urn:uuid:{id}\"");
                if text.contains(&urn) {
                    let new = format!("\"reference\":\"{}/{id}\"", target.get_str("resourceType").unwrap());
                    text = text.replace(&urn, &new);
                }
            }
            expected.insert(key, text);
        }
    }
    let report = house.assert_sound();
    assert_eq!(report.resources.values().sum::<u64>(), expected.len() as u64);
    for ((name, id), source) in &expected {
        let read = house.read(name, id).unwrap();
        let parse = |text: &str| json::parse(text.as_bytes(), &json::Limits::default()).unwrap().into_owned();
        assert!(resource::same_content(&parse(&read), &parse(source)), "{name} differs");
    }
}

#[test]
fn official_examples_are_stored_and_read_back_equal() {
    let Some(files) = data("r4-examples") else { return };
    // The refusals and their reasons are listed, and tested, where the rules are.
    let refused = include_str!("../../../fhir/tests/refused-examples.txt");
    let house = House::new();
    let (mut stored, mut left_out) = (0, 0);
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let body = std::fs::read(file).unwrap();
        let value: Json<'_> = json::parse(&body, &json::Limits::default()).unwrap();
        let resource_type = resource::resource_type(&value).unwrap();
        let mut with_id = value.clone();
        let id = resource::id(&value).unwrap_or_else(|| rid(&format!("example-{stored}")));
        resource::set_id(&mut with_id, &id);
        let body = json::write(&with_id);
        let answer = block_on(house.vault.update(&clinician(), resource_type, &id, &body, BASE_URL, None, false));
        let name = file.file_name().unwrap().to_str().unwrap();
        // Carries what operations take; it has no endpoint.
        let unkept = resource_type.as_str() == "Parameters";
        if unkept || refused.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            assert!(answer.is_err(), "{name} is to be refused");
            left_out += 1;
            continue;
        }
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
        let read = house.read(resource_type.as_str(), answer.record.id.as_str()).unwrap();
        let read = json::parse(read.as_bytes(), &json::Limits::default()).unwrap();
        assert!(resource::same_content(&read, &with_id), "{}", file.display());
        stored += 1;
    }
    assert_eq!(
        stored + left_out,
        files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")).count()
    );
    assert!(stored > 600);
    house.assert_sound();
}
