//! References are read without a panic, and replacing each by itself changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse};
use tacet_fhir::reference::{Reference, for_each_reference, rewrite_references, split_version};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let reference = Reference::parse(text);
        let (_, _) = (reference.target(), reference.target_id());
        let _ = reference.seen_from("http://localhost/fhir");
        let (before, version) = split_version(text);
        assert!(text.starts_with(before) && version.is_none_or(|version| text.ends_with(version)));
    }
    if let Ok(mut resource) = parse(data, &Limits::default()) {
        let mut found = 0usize;
        for_each_reference(&resource, &mut |_| found += 1);
        let before = resource.clone();
        rewrite_references(&mut resource, &mut |link| Some(link.to_owned()));
        assert_eq!(resource, before);
    }
});
