//! Where the official test cases are. They are not in the repository: a test that needs them says that it skipped.

/// A file of the official patch tests, or `None`, with a word about it, where it is not there.
pub(crate) fn patch_tests(name: &str) -> Option<String> {
    let file = tacet_testdata::file(&format!("fhir-test-cases-r4/patch/{name}"))?;
    Some(std::fs::read_to_string(file).expect("readable"))
}
