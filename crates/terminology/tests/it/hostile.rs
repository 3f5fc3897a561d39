//! Definitions that somebody wrote to do harm, or by mistake.

use crate::{SHIPS, call, json, of, set};
use std::fmt::Write as _;
use tacet_fhir::json::{Json, Limits, parse_str};
use tacet_terminology::limits::VALUE_SET_NESTING_MAX;
use tacet_terminology::{Builder, Concept, ErrorKind, Kind, Membership, SystemBuilder, SystemHeader};

const SYSTEM: &str = "http://example.org/ships";

#[test]
fn a_cycle_of_value_sets_is_refused_and_does_not_hide_the_rest() {
    let a = set(
        "http://example.org/a",
        &format!(
            r#"{{"include":[{{"valueSet":["http://example.org/b"]}},{{"system":"{SYSTEM}","concept":[{{"code":"brig"}}]}}]}}"#
        ),
    );
    let b = set("http://example.org/b", r#"{"include":[{"valueSet":["http://example.org/a"]}]}"#);
    let itself = set("http://example.org/c", r#"{"include":[{"valueSet":["http://example.org/c"]}]}"#);
    let terminology = of(&[SHIPS, &a, &b, &itself]);
    for url in ["http://example.org/a", "http://example.org/b", "http://example.org/c"] {
        assert_eq!(terminology.codes_of(url).unwrap_err().kind, ErrorKind::Invalid);
    }
    assert_eq!(terminology.member_of("http://example.org/a", Some(SYSTEM), "brig"), Membership::Yes);
    assert_eq!(terminology.member_of("http://example.org/a", Some(SYSTEM), "sloop"), Membership::Unknown);
}

#[test]
fn deep_nesting_of_value_sets_is_refused() {
    let depth = VALUE_SET_NESTING_MAX + 5;
    let mut resources: Vec<String> = (0..depth)
        .map(|at| {
            set(
                &format!("http://example.org/{at}"),
                &format!(r#"{{"include":[{{"valueSet":["http://example.org/{}"]}}]}}"#, at + 1),
            )
        })
        .collect();
    resources.push(set(&format!("http://example.org/{depth}"), &format!(r#"{{"include":[{{"system":"{SYSTEM}"}}]}}"#)));
    let mut all: Vec<&str> = resources.iter().map(String::as_str).collect();
    all.push(SHIPS);
    let terminology = of(&all);
    assert_eq!(terminology.codes_of("http://example.org/0").unwrap_err().kind, ErrorKind::TooCostly);
    assert_eq!(terminology.member_of("http://example.org/0", None, "brig"), Membership::Unknown);
    assert_eq!(terminology.codes_of("http://example.org/10").map(|codes| codes.len()), Ok(7));
}

#[test]
fn a_cycle_in_a_hierarchy_is_refused_when_it_comes_in() {
    let cyclic = r#"{"resourceType":"CodeSystem","url":"http://example.org/x","status":"active","content":"complete",
        "concept":[{"code":"a","property":[{"code":"parent","valueCode":"b"}]},
        {"code":"b","property":[{"code":"parent","valueCode":"a"}]}]}"#;
    let mut builder = Builder::empty();
    assert_eq!(builder.add_resource(&json(cyclic)).unwrap_err().kind, ErrorKind::Invalid);
    let twice = cyclic.replace(r#""code":"b","property""#, r#""code":"a","property""#);
    assert_eq!(builder.add_resource(&json(&twice)).unwrap_err().kind, ErrorKind::Invalid);
    assert!(builder.build().system_header("http://example.org/x", None).is_none());
}

#[test]
fn a_concept_tree_as_deep_as_the_parser_allows_is_read_without_recursion() {
    let mut text = String::from(
        r#"{"resourceType":"CodeSystem","url":"http://example.org/deep","status":"active","content":"complete""#,
    );
    let depth = 200;
    for at in 0..depth {
        write!(text, r#","concept":[{{"code":"c{at}""#).unwrap();
    }
    text.push_str(&"}]".repeat(depth));
    text.push('}');
    let limits = Limits { depth_max: 512, ..Limits::default() };
    let mut builder = Builder::empty();
    builder.add_resource(&parse_str(&text, &limits).expect("JSON")).expect("a system");
    assert_eq!(builder.build().above("http://example.org/deep", "c199").expect("known").len(), depth);
}

#[test]
fn regular_expressions_are_linear_bounded_and_checked() {
    let with = |regex: &str| {
        let regex = regex.replace('\\', "\\\\");
        let text = set(
            "http://example.org/vs",
            &format!(
                r#"{{"include":[{{"system":"http://example.org/long","filter":[{{"property":"display","op":"regex","value":"{regex}"}}]}}]}}"#
            ),
        );
        let long = format!(
            r#"{{"resourceType":"CodeSystem","url":"http://example.org/long","status":"active","content":"complete","concept":[{{"code":"a","display":"{}b"}}]}}"#,
            "a".repeat(50_000)
        );
        of(&[&long, &text]).codes_of("http://example.org/vs")
    };
    assert_eq!(with("(a+)+$").map(|codes| codes.len()), Ok(0));
    assert_eq!(with("(a|a)*b").map(|codes| codes.len()), Ok(1));
    for refused in ["(", "((a{100}){100}){100}", &"(".repeat(400), &"a".repeat(1_001), r"(a)\1"] {
        assert_eq!(with(refused).unwrap_err().kind, ErrorKind::Invalid, "{refused}");
    }
}

#[test]
fn work_is_bounded_whatever_the_definition_repeats() {
    let mut builder = SystemBuilder::new(SystemHeader::complete("http://example.org/large", None));
    for at in 0..50_000 {
        builder.add(&Concept { code: &format!("c{at}"), ..Concept::default() }).unwrap();
    }
    let mut known = Builder::empty();
    known.add_system(builder.finish().unwrap()).unwrap();
    let include = r#"{"system":"http://example.org/large"}"#;
    let many = format!(r#"{{"include":[{}]}}"#, vec![include; 2_000].join(","));
    known.add_resource(&json(&set("http://example.org/many", &many))).unwrap();
    known.add_resource(&json(&set("http://example.org/once", &format!(r#"{{"include":[{include}]}}"#)))).unwrap();
    let terminology = known.build();
    assert_eq!(terminology.codes_of("http://example.org/many").unwrap_err().kind, ErrorKind::TooCostly);
    assert_eq!(terminology.codes_of("http://example.org/once").unwrap().len(), 50_000);
    let huge = [("url", "http://example.org/once"), ("count", "2147483647"), ("offset", "49999")];
    assert_eq!(crate::codes(&call(&terminology, Kind::ValueSet, "expand", &huge).unwrap()), ["c49999"]);
    let huge = [("url", "http://example.org/once"), ("offset", "2147483647")];
    assert_eq!(crate::codes(&call(&terminology, Kind::ValueSet, "expand", &huge).unwrap()), Vec::<String>::new());
}

#[test]
fn more_codes_than_one_page_are_asked_for_by_page() {
    let mut builder = SystemBuilder::new(SystemHeader::complete("http://example.org/large", None));
    for at in 0..60_000 {
        builder.add(&Concept { code: &format!("c{at}"), ..Concept::default() }).unwrap();
    }
    let mut known = Builder::empty();
    known.add_system(builder.finish().unwrap()).unwrap();
    let terminology = known.build();
    let url = ("url", "http://example.org/large?fhir_vs");
    let all = call(&terminology, Kind::ValueSet, "expand", &[url]);
    assert_eq!(all.unwrap_err().kind, ErrorKind::TooCostly);
    let page = call(&terminology, Kind::ValueSet, "expand", &[url, ("count", "10"), ("offset", "59995")]).unwrap();
    assert_eq!(crate::codes(&page).len(), 5);
}

#[test]
fn definitions_of_any_shape_do_not_panic() {
    for text in [
        r#"{"resourceType":"ValueSet","url":"http://example.org/x","compose":5}"#,
        r#"{"resourceType":"ValueSet","url":"http://example.org/x","compose":{"include":[1,null,{},{"system":"s","filter":[{}]},{"concept":[{"code":"a"}]},{"system":"s","concept":[{}],"filter":[{"property":"a","op":"=","value":"b"}]}]}}"#,
        r#"{"resourceType":"ValueSet","url":"http://example.org/x","expansion":{"contains":[{"contains":{}}]}}"#,
        r#"{"resourceType":"CodeSystem","url":"http://example.org/x","content":"complete","concept":[{"code":"a","concept":7,"property":[{"code":"b"}]},{},3]}"#,
        r#"{"resourceType":"ConceptMap","url":"http://example.org/x","group":[{"element":[{"code":"a","target":[{}]}]},3]}"#,
        r#"{"resourceType":"CodeSystem","url":"http://example.org/x","content":"supplement"}"#,
        r#"{"resourceType":"Patient","url":"http://example.org/x"}"#,
        "7",
    ] {
        let resource = json(text);
        let mut builder = Builder::empty();
        let _added = builder.add_resource(&resource);
        let terminology = builder.build();
        assert_ne!(terminology.member_of("http://example.org/x", None, "z"), Membership::Yes);
        for (kind, name) in [(Kind::ValueSet, "expand"), (Kind::CodeSystem, "lookup"), (Kind::ConceptMap, "translate")]
        {
            let parameters = tacet_terminology::Input::Resource(&Json::Null);
            assert!(crate::send(&terminology, kind, name, parameters, Some(&resource)).is_err());
        }
    }
}
