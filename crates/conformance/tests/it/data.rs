//! How the tests read the test data, and what they hold them to.

use tacet_conformance::{Packages, ValidationContext};
use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::outcome::{Issue, Severity};
use tacet_terminology::{Builder, Terminology};
use tacet_types::Timestamp;

/// The time that rules see: after every record of the test data.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-07-01T00:00:00Z").expect("a time")
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
