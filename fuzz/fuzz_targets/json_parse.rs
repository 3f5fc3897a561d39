//! What the parser accepts, serde_json accepts; and it is written and read again without a difference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse, write, write_pretty};

fuzz_target!(|data: &[u8]| {
    // serde_json stops at a depth of 128.
    let limits = Limits { depth_max: 100, ..Limits::default() };
    let Ok(value) = parse(data, &limits) else {
        return;
    };
    // As raw text: serde_json reads a number into 64 bits, and ours may be longer.
    serde_json::from_slice::<&serde_json::value::RawValue>(data).expect("serde_json refuses what we accept");
    for written in [write(&value), write_pretty(&value)] {
        let again = parse(&written, &Limits { bytes_max: usize::MAX, ..limits }).expect("does not read what it wrote");
        assert_eq!(again, value);
    }
});
