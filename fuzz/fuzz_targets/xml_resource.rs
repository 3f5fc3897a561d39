//! What is read from XML is written as XML and as JSON and read again without a difference; a valid resource has an
//! XML form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse, write};
use tacet_fhir::validate::{Options, validate};
use tacet_fhir::xml::{self, WriteError};

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    // What is written may be longer than what was read, by its escapes.
    let roomy = Limits { bytes_max: usize::MAX, ..limits };
    if let Ok(resource) = xml::parse(data, &limits) {
        assert_eq!(parse(&write(&resource), &roomy).expect("not read again as JSON"), resource);
        let text = xml::write(&resource).expect("what was read has an XML form");
        let again = xml::parse(&text, &roomy).expect("not read again as XML");
        // The second writing differs from the first in nothing: the order is that of the definitions in both.
        assert_eq!(xml::write(&again).expect("written once"), text);
        let pretty = xml::write_pretty(&resource).expect("written once");
        assert_eq!(xml::parse(&pretty, &roomy).expect("not read again"), again);
    }
    if let Ok(resource) = parse(data, &limits)
        && validate(&resource, &Options::default()).is_empty()
    {
        match xml::write(&resource) {
            Ok(text) => drop(xml::parse(&text, &roomy).expect("what was written is read")),
            Err(error) => assert!(matches!(error, WriteError::Character | WriteError::Narrative), "{error}"),
        }
    }
});
