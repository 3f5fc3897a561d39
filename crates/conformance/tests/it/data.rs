//! Where the real records are. They are not in the repository: a test that needs them says that it skipped.

use flate2::read::GzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};
use tacet_conformance::{Packages, ValidationContext};
use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::outcome::{Issue, Severity};
use tacet_terminology::{Builder, Terminology};
use tacet_types::Timestamp;

/// The time that rules see: after every record of the test data.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-07-01T00:00:00Z").expect("a time")
}

/// A folder of the test data, or `None`, with a word about it, where it is not there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TACET_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no folder {name} in the test data (set TACET_TEST_DATA)");
    None
}

/// The files of a folder by name, unpacked where they are `.gz`.
pub(crate) fn files(folder: &Path, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
        .filter(|(name, _)| name.ends_with(suffix))
        .map(|(name, path)| {
            let bytes = std::fs::read(path).expect("readable");
            if name.ends_with(".gz") {
                let mut unpacked = Vec::new();
                GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).expect("gzip");
                (name, unpacked)
            } else {
                (name, bytes)
            }
        })
        .collect();
    files.sort();
    files
}

/// A resource in JSON or XML, or `None` where it is neither.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Option<Json<'static>> {
    if name.ends_with(".xml") {
        return tacet_fhir::xml::parse(bytes, &Limits::default()).ok();
    }
    parse(bytes, &Limits::default()).ok().map(Json::into_owned)
}

/// The terminology of R4, and what the packages bring.
pub(crate) fn terminology(packages: &Packages) -> Terminology {
    let mut builder = Builder::default();
    for resource in packages.terminology() {
        // What it cannot use is for its own tests to judge.
        let _ = builder.add_resource(resource);
    }
    builder.build()
}

/// The errors of a resource, with everything checked.
pub(crate) fn errors(resource: &Json<'_>, profiles: &[&str], packages: &Packages) -> Vec<Issue> {
    let terminology = terminology(packages);
    errors_in(resource, profiles, packages, &ValidationContext::new(&terminology, now()))
}

/// The errors of a resource in a context.
pub(crate) fn errors_in(
    resource: &Json<'_>,
    profiles: &[&str],
    packages: &Packages,
    context: &ValidationContext<'_>,
) -> Vec<Issue> {
    let mut issues = tacet_conformance::validate(resource, profiles, packages, context);
    issues.retain(|issue| issue.severity <= Severity::Error);
    issues
}

/// Issues as lines, for the words of a failing test.
pub(crate) fn lines(issues: &[Issue]) -> String {
    issues.iter().map(|issue| format!("    {}: {}", issue.location, issue.message)).collect::<Vec<_>>().join("\n")
}
