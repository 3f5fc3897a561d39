//! Validation ends, stays within its bound, and what it says can be sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse};
use tacet_fhir::outcome::operation_outcome_bytes;
use tacet_fhir::validate::{Options, validate};

fuzz_target!(|data: &[u8]| {
    let Ok(resource) = parse(data, &Limits::default()) else {
        return;
    };
    let options = Options::default();
    let issues = validate(&resource, &options);
    assert!(issues.len() <= options.issues_max + 1, "{} issues", issues.len());
    let outcome = operation_outcome_bytes(&issues, None);
    let outcome = parse(&outcome, &Limits::default()).expect("an OperationOutcome that is no JSON");
    assert!(validate(&outcome, &options).is_empty(), "an OperationOutcome that is not valid");
});
