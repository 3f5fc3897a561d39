//! Every resource of the Synthea bundles is accepted, alone and in its bundle.

use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::validate::{Options, validate};

#[test]
fn synthea_bundles_are_accepted() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    let files = tacet_testdata::files(&folder, ".json.gz");
    assert!(files.len() >= 99, "{} bundles", files.len());
    let mut resources = 0;
    for (name, bytes) in &files {
        let bundle = parse(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let issues = validate(&bundle, &Options::default());
        assert!(issues.is_empty(), "{name}: {issues:#?}");
        for entry in bundle.get("entry").map(Json::items).unwrap_or_default() {
            let resource = entry.get("resource").expect("a resource");
            assert_eq!(validate(resource, &Options::default()), []);
            resources += 1;
        }
    }
    assert!(resources > 10_000, "{resources} resources");
}
