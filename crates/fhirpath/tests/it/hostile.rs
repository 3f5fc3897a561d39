//! Expressions and resources made to exhaust time, memory or the stack: each ends in an answer or an error.

use proptest::prelude::*;
use tacet_fhir::json::{Json, Limits, parse, parse_str};
use tacet_fhirpath::{Context, EvaluationError, Expression, Item};
use tacet_types::Timestamp;

fn evaluate(text: &str, resource: &Json<'_>) -> Result<Vec<String>, EvaluationError> {
    let expression = Expression::compile(text).unwrap_or_else(|error| panic!("{error}"));
    let context = Context { steps_max: 200_000, ..Context::new(resource, Timestamp::from_ms(0)) };
    let result = expression.evaluate_on(resource, &context)?;
    Ok(result.iter().map(|item| item.to_text().unwrap_or_default().into_owned()).collect())
}

fn fails(text: &str) -> EvaluationError {
    let resource = parse_str(r#"{"resourceType":"Patient","name":[{"given":["a","b","c","d"]}]}"#, &Limits::default());
    match evaluate(text, &resource.expect("a resource")) {
        Err(error) => error,
        Ok(found) => panic!("{} items", found.len()),
    }
}

#[test]
fn nesting_is_refused_before_it_can_exhaust_the_stack() {
    for (open, close) in [("(", ")"), ("a.where(", ")"), ("a[", "]"), ("-", ""), ("iif(true, ", ")"), ("1 + (", ")")] {
        let deep = format!("{}1{}", open.repeat(5_000), close.repeat(5_000));
        assert!(Expression::compile(&deep).is_err(), "{open}");
    }
    // As deep as is allowed has to run on the stack of an ordinary thread.
    let mut deepest = None;
    for depth in 1..100 {
        let text = format!("{}true{}", "(iif(true and true or false, ".repeat(depth), "))".repeat(depth));
        match Expression::compile(&text) {
            Ok(_) => deepest = Some(text),
            Err(_) => break,
        }
    }
    let resource = parse_str("{}", &Limits::default()).expect("JSON");
    assert_eq!(evaluate(&deepest.expect("some nesting"), &resource), Ok(vec!["true".to_owned()]));
}

#[test]
fn long_chains_do_not_nest() {
    let resource = parse_str("{}", &Limits::default()).expect("JSON");
    let sum = format!("0{}", " + 1".repeat(5_000));
    assert_eq!(evaluate(&sum, &resource), Ok(vec!["5000".to_owned()]));
    let path = format!("(1){}", ".first()".repeat(5_000));
    assert_eq!(evaluate(&path, &resource), Ok(vec!["1".to_owned()]));
    assert!(Expression::compile(&format!("0{}", " + 1".repeat(30_000))).is_err());
}

#[test]
fn growth_without_end_is_stopped() {
    let bounded = |text: &str| {
        let error = fails(text);
        assert!(matches!(error, EvaluationError::TooManySteps | EvaluationError::TooLarge), "{error}: {text}");
    };
    bounded("1.repeat($this + 1)");
    bounded("'a'.repeat($this & $this)");
    let doubling = format!("('x'){}", ".select($this & $this)".repeat(60));
    bounded(&doubling);
    let replaced = format!("('xxxxxxxx'){}", ".replace('x', 'xxxxxxxx')".repeat(30));
    bounded(&replaced);
    let groups = format!("('xxxxxxxx'){}", ".replaceMatches('.*', '$0$0$0$0$0$0$0$0')".repeat(30));
    bounded(&groups);
    let wider = format!("(1){}", ".select($this.combine($this))".repeat(60));
    bounded(&wider);
    let nested = format!("name.given{}1{}", ".select(%resource.name.given".repeat(12), ")".repeat(12));
    bounded(&nested.replace("given1", "given"));
    let encoded = format!("('x'){}", ".encode('hex')".repeat(60));
    bounded(&encoded);
}

#[test]
fn patterns_take_linear_time_and_bounded_memory() {
    let text = format!("'{}b'.matches('(a+)+$')", "a".repeat(20_000));
    let resource = parse_str("{}", &Limits::default()).expect("JSON");
    assert_eq!(evaluate(&text, &resource), Ok(vec!["false".to_owned()]));
    assert!(Expression::compile("'a'.matches('(a{1000}){1000}')").is_err());
    assert!(Expression::compile("'a'.matches('a)(b')").is_err());
    assert!(Expression::compile("'a'.matchesFull('a)|(b')").is_err());
    assert_eq!(evaluate("'a'.matches('(' & 'a')", &resource), Err(EvaluationError::Pattern { at: "matches" }));
}

#[test]
fn numbers_at_their_bounds_give_nothing_rather_than_a_wrong_one() {
    let resource = parse_str("{}", &Limits::default()).expect("JSON");
    for text in [
        "2147483647 + 1",
        "-2147483648 - 1",
        "2147483647 * 2147483647",
        "'79228162514264337593543950335'.toDecimal() + 1",
        "7922816251426433759354395033.5 * 100",
        "2.power(31)",
        "10.power(1000000)",
        "1.0000001.power(2147483647)",
        "0.power(-1)",
        "100.exp()",
        "3000000000.5.floor()",
        "0.ln()",
        "(-1).ln()",
        "1.log(1)",
        "@9999-12-31 + 1 day",
        "@0001-01-01 - 1 day",
        "@2020-01-01 + 7922816251426433759354395033.5 days",
        "'9999999999'.toInteger()",
        "1.0.lowBoundary(29)",
        "1000000000000000000000000000.0.lowBoundary(20)",
    ] {
        assert_eq!(evaluate(text, &resource), Ok(Vec::new()), "{text}");
    }
    for text in ["2147483649", "99999999999999999999", "1.99999999999999999999999999999999999999"] {
        assert!(Expression::compile(text).is_err(), "{text}");
    }
}

#[test]
fn a_deep_resource_is_compared_and_walked() {
    let depth = 400;
    let text = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let limits = Limits { depth_max: 500, ..Limits::default() };
    let resource = parse(text.as_bytes(), &limits).expect("JSON");
    assert_eq!(evaluate("a = a and a ~ a and descendants().count() = 400", &resource), Ok(vec!["true".to_owned()]));
}

#[test]
fn many_items_are_told_apart_within_the_bound() {
    let names: Vec<String> = (0..20_000).map(|at| format!(r#""n{at}""#)).collect();
    let text = format!(r#"{{"resourceType":"Patient","name":[{{"given":[{}]}}]}}"#, names.join(","));
    let resource = parse(text.as_bytes(), &Limits::default()).expect("JSON");
    assert_eq!(evaluate("name.given.isDistinct()", &resource), Ok(vec!["true".to_owned()]));
    assert_eq!(evaluate("name.given.repeat($this)", &resource), Err(EvaluationError::TooManySteps));
}

#[test]
fn what_does_not_depend_on_the_item_is_evaluated_once() {
    let contained: Vec<String> = (0..300).map(|at| format!(r#"{{"resourceType":"Basic","id":"c{at}"}}"#)).collect();
    let references: Vec<String> = (0..300).map(|at| format!(r##"{{"reference":"#c{at}"}}"##)).collect();
    let text = format!(
        r#"{{"resourceType":"List","contained":[{}],"entry":[{{"item":{}}}]}}"#,
        contained.join(","),
        references.join(r#"},{"item":"#),
    );
    let resource = parse(text.as_bytes(), &Limits::default()).expect("JSON");
    // The shape of `dom-3`: walking the resource for each contained one would take over 300 x 2,000 steps.
    let orphans =
        "contained.where(('#' + id in (%resource.descendants().reference | %resource.descendants().as(uri))).not())";
    assert_eq!(evaluate(&format!("{orphans}.count()"), &resource), Ok(vec!["0".to_owned()]));
    let fresh = "contained.select(%resource.descendants().select($this).count()).distinct()";
    assert_eq!(evaluate(fresh, &resource), Err(EvaluationError::TooManySteps));
}

/// Parts that expressions are made of, put together at random: most of what comes out is nearly right.
const PARTS: [&str; 58] = [
    "name",
    "given",
    "Patient",
    "`a b`",
    "'x'",
    "'\\u00e9'",
    "1",
    "2.50",
    "@2020-02",
    "@2020-02-29T10:00Z",
    "@T10:30",
    "1 'mg'",
    "2 days",
    "true",
    "{}",
    "$this",
    "$index",
    "$total",
    "%resource",
    "%`vs-x`",
    "(",
    ")",
    "[",
    "]",
    ".",
    ",",
    "+",
    "-",
    "*",
    "/",
    " div ",
    " mod ",
    "&",
    "|",
    "=",
    "!=",
    "~",
    "!~",
    "<",
    ">=",
    " and ",
    " or ",
    " xor ",
    " implies ",
    " in ",
    " contains ",
    " is ",
    " as ",
    "where(",
    "select(",
    "repeat(",
    "iif(",
    "matches(",
    "substring(",
    "descendants()",
    "toString()",
    "lowBoundary()",
    "aggregate(",
];

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2_000), ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = Expression::compile(&text);
    }

    #[test]
    fn what_is_made_of_its_parts_is_refused_or_evaluated(parts in prop::collection::vec(0..PARTS.len(), 1..24)) {
        let text: String = parts.iter().map(|at| PARTS[*at]).collect();
        if let Ok(expression) = Expression::compile(&text) {
            let resource = parse_str(
                r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}],"family":"é"}],"birthDate":"2020-02"}"#,
                &Limits::default(),
            ).expect("a resource");
            let context = Context { steps_max: 20_000, ..Context::new(&resource, Timestamp::from_ms(0)) };
            let first = expression.evaluate_on(&resource, &context).map(|items| items.iter().map(show).collect::<Vec<_>>());
            let again = expression.evaluate_on(&resource, &context).map(|items| items.iter().map(show).collect::<Vec<_>>());
            prop_assert_eq!(first, again);
            let _ = expression.check(&[], &tacet_fhirpath::CheckOptions { ordered: true });
        }
    }
}

fn show(item: &Item<'_>) -> String {
    format!("{item:?}")
}
