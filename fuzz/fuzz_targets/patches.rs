//! A patch leaves the resource it was given as it is, keeps what is protected, and its outcome can be read again.
//!
//! The input is a JSON array of a resource and a patch.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse, write};
use tacet_patch::{fhirpath_patch, json_patch, patch_document};
use tacet_types::Timestamp;

fuzz_target!(|data: &[u8]| {
    // One level less for the array around both.
    let Ok(input) = parse(data, &Limits::default()) else { return };
    let [resource, patch] = input.items() else { return };
    let before = resource.clone();
    let outcome = if patch.is_array() {
        let _ = patch_document(resource, patch);
        json_patch(resource, patch)
    } else {
        fhirpath_patch(resource, patch, Timestamp::from_ms(0))
    };
    assert_eq!(&before, resource);
    let Ok(outcome) = outcome else { return };
    for name in ["resourceType", "id"] {
        assert_eq!(outcome.get(name), resource.get(name));
    }
    let text = write(&outcome);
    assert_eq!(parse(&text, &Limits { bytes_max: usize::MAX, ..Limits::default() }).expect("not read again"), outcome);
});
