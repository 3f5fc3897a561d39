//! Random code systems and value sets, against a model that is too simple to be wrong.

use crate::json;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tacet_terminology::{Builder, Membership, Subsumption, Terminology};

const SYSTEM: &str = "http://example.org/random";

/// Parents of each concept: always of a smaller number, so that there is no cycle.
type Hierarchy = Vec<BTreeSet<usize>>;

#[derive(Clone, Debug)]
enum Choice {
    All,
    Listed(Vec<usize>),
    Filtered(&'static str, usize),
    /// An earlier value set.
    Nested(Vec<usize>),
}

#[derive(Clone, Debug)]
struct Set {
    include: Vec<Choice>,
    exclude: Vec<Choice>,
}

fn hierarchy() -> impl Strategy<Value = Hierarchy> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..25).prop_map(|rows| {
        rows.iter()
            .enumerate()
            .map(
                |(at, parents)| {
                    if at == 0 { BTreeSet::new() } else { parents.iter().map(|one| one.index(at)).collect() }
                },
            )
            .collect()
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    let operator =
        prop::sample::select(vec!["is-a", "descendent-of", "is-not-a", "generalizes", "regex", "in", "not-in", "="]);
    prop_oneof![
        1 => Just(Choice::All),
        3 => prop::collection::vec(0_usize..30, 1..5).prop_map(Choice::Listed),
        4 => (operator, 0_usize..25).prop_map(|(op, at)| Choice::Filtered(op, at)),
        2 => prop::collection::vec(0_usize..6, 1..3).prop_map(Choice::Nested),
    ]
}

fn sets() -> impl Strategy<Value = Vec<Set>> {
    let set = (prop::collection::vec(choice(), 1..4), prop::collection::vec(choice(), 0..3))
        .prop_map(|(include, exclude)| Set { include, exclude });
    prop::collection::vec(set, 1..6)
}

fn above(hierarchy: &Hierarchy, at: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([at]);
    for parent in &hierarchy[at] {
        found.extend(above(hierarchy, *parent));
    }
    found
}

fn chosen(hierarchy: &Hierarchy, earlier: &[BTreeSet<usize>], choice: &Choice) -> BTreeSet<usize> {
    let all: BTreeSet<usize> = (0..hierarchy.len()).collect();
    match choice {
        Choice::All => all,
        Choice::Listed(list) => list.iter().copied().filter(|at| *at < hierarchy.len()).collect(),
        Choice::Nested(list) => {
            let mut kept = all;
            for at in list {
                kept = match earlier.get(*at) {
                    Some(set) => kept.intersection(set).copied().collect(),
                    None => kept,
                };
            }
            kept
        }
        Choice::Filtered(op, at) => {
            let at = at % hierarchy.len();
            let holds = |one: &usize| match *op {
                "is-a" => above(hierarchy, *one).contains(&at),
                "descendent-of" => *one != at && above(hierarchy, *one).contains(&at),
                "is-not-a" => !above(hierarchy, *one).contains(&at),
                "generalizes" => above(hierarchy, at).contains(one),
                "regex" | "in" | "=" => *one == at,
                _ => *one != at,
            };
            all.into_iter().filter(holds).collect()
        }
    }
}

fn clause(hierarchy: &Hierarchy, earlier: usize, choice: &Choice) -> String {
    match choice {
        Choice::All => format!(r#"{{"system":"{SYSTEM}"}}"#),
        Choice::Listed(list) => {
            let list: Vec<String> = list.iter().map(|at| format!(r#"{{"code":"c{at}"}}"#)).collect();
            format!(r#"{{"system":"{SYSTEM}","concept":[{}]}}"#, list.join(","))
        }
        Choice::Nested(list) => {
            let list: Vec<String> =
                list.iter().filter(|at| **at < earlier).map(|at| format!(r#""http://example.org/set/{at}""#)).collect();
            // Without one that exists: the whole system, as the model says.
            let sets = if list.is_empty() { String::new() } else { format!(r#","valueSet":[{}]"#, list.join(",")) };
            format!(r#"{{"system":"{SYSTEM}"{sets}}}"#)
        }
        Choice::Filtered(op, at) => {
            let at = at % hierarchy.len();
            let property = if matches!(*op, "regex" | "in" | "not-in" | "=") { "code" } else { "concept" };
            format!(r#"{{"system":"{SYSTEM}","filter":[{{"property":"{property}","op":"{op}","value":"c{at}"}}]}}"#)
        }
    }
}

fn system(hierarchy: &Hierarchy) -> String {
    let concepts: Vec<String> = hierarchy
        .iter()
        .enumerate()
        .map(|(at, parents)| {
            let parents: Vec<String> =
                parents.iter().map(|one| format!(r#"{{"code":"parent","valueCode":"c{one}"}}"#)).collect();
            format!(r#"{{"code":"c{at}","property":[{}]}}"#, parents.join(","))
        })
        .collect();
    format!(
        r#"{{"resourceType":"CodeSystem","url":"{SYSTEM}","status":"active","content":"complete","concept":[{}]}}"#,
        concepts.join(",")
    )
}

fn built(hierarchy: &Hierarchy, sets: &[Set]) -> (Terminology, Vec<BTreeSet<usize>>) {
    let mut builder = Builder::empty();
    builder.add_resource(&json(&system(hierarchy))).expect("a system");
    let mut model: Vec<BTreeSet<usize>> = Vec::new();
    for (at, set) in sets.iter().enumerate() {
        let clauses = |list: &[Choice]| list.iter().map(|one| clause(hierarchy, at, one)).collect::<Vec<_>>().join(",");
        let compose = format!(r#"{{"include":[{}],"exclude":[{}]}}"#, clauses(&set.include), clauses(&set.exclude));
        let url = format!("http://example.org/set/{at}");
        builder.add_resource(&json(&crate::set(&url, &compose))).expect("a set");
        let mut codes: BTreeSet<usize> = set.include.iter().flat_map(|one| chosen(hierarchy, &model, one)).collect();
        for one in set.exclude.iter().flat_map(|one| chosen(hierarchy, &model, one)) {
            codes.remove(&one);
        }
        model.push(codes);
    }
    (builder.build(), model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_expansion_is_what_the_model_says(hierarchy in hierarchy(), sets in sets()) {
        let (terminology, model) = built(&hierarchy, &sets);
        // From the last one back, so that nested ones are worked out inside and not found ready.
        for (at, expected) in model.iter().enumerate().rev() {
            let url = format!("http://example.org/set/{at}");
            let codes = terminology.codes_of(&url).expect("codes");
            let expected: BTreeSet<String> = expected.iter().map(|one| format!("c{one}")).collect();
            prop_assert_eq!(codes.len(), expected.len(), "no code twice");
            prop_assert!(codes.iter().all(|(system, code)| system == SYSTEM && expected.contains(code)));
            for one in 0..30 {
                let code = format!("c{one}");
                let member = if expected.contains(&code) { Membership::Yes } else { Membership::No };
                prop_assert_eq!(terminology.member_of(&url, Some(SYSTEM), &code), member);
                prop_assert_eq!(terminology.member_of(&url, None, &code), member);
            }
        }
    }

    #[test]
    fn subsumption_agrees_with_the_ancestors(hierarchy in hierarchy()) {
        let (terminology, _) = built(&hierarchy, &[]);
        let sets: BTreeMap<usize, BTreeSet<usize>> = (0..hierarchy.len()).map(|at| (at, above(&hierarchy, at))).collect();
        for (a, above_a) in &sets {
            let codes: BTreeSet<String> = terminology.above(SYSTEM, &format!("c{a}")).expect("known").into_iter().collect();
            prop_assert_eq!(codes, above_a.iter().map(|one| format!("c{one}")).collect::<BTreeSet<_>>());
            for (b, above_b) in &sets {
                let expected = match (a == b, above_b.contains(a), above_a.contains(b)) {
                    (true, _, _) => Subsumption::Equivalent,
                    (_, true, _) => Subsumption::Subsumes,
                    (_, _, true) => Subsumption::SubsumedBy,
                    _ => Subsumption::NotSubsumed,
                };
                prop_assert_eq!(terminology.subsumes(SYSTEM, None, &format!("c{a}"), &format!("c{b}")), Ok(expected));
                let below = terminology.below(SYSTEM, &format!("c{a}")).expect("known");
                prop_assert_eq!(below.contains(&format!("c{b}")), above_b.contains(a));
            }
        }
    }
}
