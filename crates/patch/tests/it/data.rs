//! Where the official test cases are. They are not in the repository: a test that needs them says that it skipped.

use std::path::Path;

/// A file of the official patch tests, or `None`, with a word about it, where it is not there.
pub(crate) fn patch_tests(name: &str) -> Option<String> {
    let root = std::env::var_os("TACET_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), Into::into);
    let file = root.join("fhir-test-cases-r4/patch").join(name);
    if file.is_file() {
        return Some(std::fs::read_to_string(file).expect("readable"));
    }
    eprintln!("skipped: no file {name} in the test data (set TACET_TEST_DATA)");
    None
}
