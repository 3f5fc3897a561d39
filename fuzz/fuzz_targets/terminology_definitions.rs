//! Value sets and code systems of any shape: each is taken in or refused, and an expansion ends within its bounds. The
//! codes that an expansion lists are members of the value set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse};
use tacet_terminology::limits::EXPANSION_CODES_MAX;
use tacet_terminology::{Builder, Input, Kind, Membership, Moment, Operation};
use tacet_types::{ManualClock, SeededRng, Timestamp};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = parse(bytes, &Limits::default()) else { return };
    // One resource, or an array of them that refer to one another.
    let mut builder = Builder::empty();
    for resource in json.iter() {
        let _taken = builder.add_resource(resource);
    }
    let terminology = builder.build();
    let clock = ManualClock::new(Timestamp::from_ms(0));
    let rng = SeededRng::new(1);
    for resource in json.iter() {
        let call =
            Operation { name: "$expand", kind: Kind::ValueSet, input: Input::Resource(resource), instance: None };
        if let Ok(expanded) = terminology.operation(&call, Moment { clock: &clock, rng: &rng }) {
            assert!(expanded.get("expansion").is_some());
        }
        let Some(url) = resource.get_str("url") else { continue };
        if let Ok(codes) = terminology.codes_of(url) {
            assert!(codes.len() <= EXPANSION_CODES_MAX);
            for (system, code) in codes.iter().take(100) {
                assert_ne!(terminology.member_of(url, Some(system), code), Membership::No);
            }
        }
        let code =
            resource.get("concept").and_then(|concepts| concepts.items().first()).and_then(|one| one.get_str("code"));
        if let Some(code) = code {
            let _below: Result<Vec<String>, _> = terminology.below(url, code);
        }
        let _translated = terminology.operation(
            &Operation { name: "translate", kind: Kind::ConceptMap, input: Input::Resource(resource), instance: None },
            Moment { clock: &clock, rng: &rng },
        );
    }
});
