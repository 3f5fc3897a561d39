//! Anything may come in: compiling ends, within its bounds, and what it gives can be evaluated.

use super::*;
use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    let words = [
        "name",
        "_filter",
        "_has",
        "Observation",
        "patient",
        "subject",
        "code",
        "value-quantity",
        "_id",
        "_list",
        "_text",
        "_content",
        "_type",
        "_sort",
        "_include",
        "_revinclude",
        "_elements",
        "_lastUpdated",
        "near",
        "birthdate",
        "eq",
        "ne",
        "ap",
        "and",
        "or",
        "not",
        "pr",
        "co",
        "true",
        "false",
        "missing",
        "exact",
        "above",
        "below",
        "in",
        "of-type",
        "identifier",
        "Patient",
        "link",
        "http://a/b",
        "urn:oid:1.2",
        "2020-01-01T00:00:00",
        "1e-3",
        "-5.40",
        "http://unitsofmeasure.org",
        "mg",
        "é",
        "\u{0}",
        "code-value-quantity",
        "probability",
        "9999-12-31",
        "0001",
        "1e10000",
        "*",
        "_count",
        "*",
        "iterate",
    ];
    prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        3 => proptest::sample::select(vec![":", ".", ",", "|", "$", "\\", "(", ")", "[", "]", "\"", " ", "=", "-", "+", "/"]).prop_map(str::to_owned),
        1 => ".{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(word(), 0..10).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn any_query_is_compiled_or_refused(
        pairs in proptest::collection::vec((text(), text()), 0..4),
        scope in proptest::sample::select(vec!["", "Patient", "Observation", "Location", "Patient/p/*", "RiskAssessment"]),
        lenient in any::<bool>(),
    ) {
        let handling = if lenient { Handling::Lenient } else { Handling::Strict };
        let call = Call { scope: scope_of(scope), parameters: &pairs, handling, base_url: BASE, now: now() };
        if let Ok(request) = compile(&call, &Parameters::standard(), &Small, &QueryLimits::default()) {
            prop_assert!(request.used.len() + request.issues.len() == pairs.len());
            let few = Few::of(&[r#"{"resourceType":"Patient","id":"p","name":[{"family":"x"}],"link":[{"other":{"reference":"Patient/p"}}]}"#]);
            if let Ok(filter) = prepare(&request.filter, &few) {
                let _ = matches(&filter, &few.0[0]);
            }
        }
    }

    #[test]
    fn not_is_the_opposite(name in "[a-z]{1,3}", gender in "male|female") {
        let resource = r#"{"resourceType":"Patient","id":"p","name":[{"family":"abc"}],"gender":"male"}"#;
        let few = Few::of(&[resource]);
        let is = few.find("Patient", &format!("gender={gender}&name={name}")).len();
        let not = few.find("Patient", &format!("_filter=not (gender eq {gender} and name sw {name})")).len();
        prop_assert_eq!(is + not, 1);
    }
}
