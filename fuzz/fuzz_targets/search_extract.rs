//! Search values and compartments come out of anything that parses, the same each time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse};
use tacet_fhir::{compartment, search};

fuzz_target!(|data: &[u8]| {
    let Ok(resource) = parse(data, &Limits::default()) else {
        return;
    };
    let values = search::extracted(&resource).len();
    assert_eq!(values, search::extracted(&resource).len());
    let patients = compartment::patients(&resource);
    let all = compartment::compartments(&resource);
    assert!(patients.iter().all(|patient| all.iter().any(|(_, id)| id == patient)));
});
