//! Any query is compiled or refused within its bounds, the same each time; what lenient handling takes is never less than strict.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::compartment::Compartment;
use tacet_search::parameters::Parameters;
use tacet_search::request::{Call, Handling, QueryLimits, Scope, compile};
use tacet_search::terminology::NoTerminology;
use tacet_types::{ResourceId, ResourceType, Timestamp};

// The first byte chooses the scope; the rest is `name=value&name=value`, already decoded.
fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let pairs: Vec<(String, String)> = text
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let named = ResourceType::from_code(*first);
    let scope = match (named, ResourceId::parse("1")) {
        (Some(resource_type), _) => Scope::Type(resource_type),
        (None, Ok(id)) if *first > 200 => Scope::Compartment { compartment: Compartment::Patient, id, types: None },
        _ => Scope::System,
    };
    let ask = |handling| {
        let call = Call {
            scope: scope.clone(),
            parameters: &pairs,
            handling,
            base_url: "https://h.example/fhir",
            now: Timestamp::from_ms(1_772_366_400_000),
        };
        compile(&call, &Parameters::standard(), &NoTerminology, &QueryLimits::default())
    };
    let lenient = ask(Handling::Lenient);
    if let Ok(strict) = ask(Handling::Strict) {
        let lenient = lenient.expect("what is taken strictly is taken leniently");
        assert!(strict.issues.is_empty() && strict == lenient);
        assert_eq!(strict.used.len(), pairs.len());
    }
});
