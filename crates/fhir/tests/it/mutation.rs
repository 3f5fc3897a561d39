//! Damaged examples: nothing panics, and what the definitions require is missed when it is gone.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tacet_fhir::definitions::{Group, Kind, tables};
use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::outcome::operation_outcome;
use tacet_fhir::validate::{IssueType, Options, validate};

/// The smaller examples, so that many can be damaged.
fn examples(bytes_max: usize) -> Vec<(String, Vec<u8>)> {
    let Some(folder) = tacet_testdata::folder("r4-examples") else { return Vec::new() };
    let mut files = tacet_testdata::files(&folder, ".json");
    files.retain(|(_, bytes)| bytes.len() <= bytes_max);
    files
}

/// Changes one place of a tree, found by walking `steps`.
fn damage(value: &mut Json<'static>, steps: &[u32], edit: u8) {
    let Some((step, rest)) = steps.split_first() else { return replace(value, edit) };
    let step = *step as usize;
    match value {
        Json::Object(members) if !members.is_empty() => {
            let at = step % members.len();
            match edit {
                0 if rest.is_empty() => drop(members.remove(at)),
                1 if rest.is_empty() => members[at].0.to_mut().push('x'),
                2 if rest.is_empty() => members[at].0 = format!("_{}", members[at].0).into(),
                _ => damage(&mut members[at].1, rest, edit),
            }
        }
        Json::Array(items) if !items.is_empty() => {
            let at = step % items.len();
            damage(&mut items[at], rest, edit);
        }
        scalar => replace(scalar, edit),
    }
}

fn replace(value: &mut Json<'static>, edit: u8) {
    let old = std::mem::replace(value, Json::Null);
    *value = match edit % 8 {
        0 => Json::Null,
        1 => Json::Bool(true),
        2 => Json::from(7_u64),
        3 => Json::from(String::new()),
        4 => Json::from("<div>\u{1F600}".to_owned()),
        5 => Json::Array(vec![old]),
        6 => Json::Object(Vec::new()),
        _ => Json::Object(vec![("id".into(), old)]),
    };
}

#[test]
fn damaged_examples_never_panic() {
    let examples = examples(20_000);
    if examples.is_empty() {
        return;
    }
    let plan =
        (any::<prop::sample::Index>(), prop::collection::vec((prop::collection::vec(0..40_u32, 0..8), 0..8_u8), 1..4));
    let refused = std::cell::Cell::new(0_u32);
    TestRunner::new(Config::with_cases(1500))
        .run(&plan, |(example, edits)| {
            let (_, bytes) = &examples[example.index(examples.len())];
            let mut resource = parse(bytes, &Limits::default()).expect("an example").into_owned();
            for (steps, edit) in &edits {
                damage(&mut resource, steps, *edit);
            }
            let issues = validate(&resource, &Options::default());
            refused.set(refused.get() + u32::from(!issues.is_empty()));
            let outcome = operation_outcome(&issues, None);
            prop_assert_eq!(validate(&outcome, &Options::default()), []);
            Ok(())
        })
        .expect("no panic");
    let refused = refused.get();
    assert!(refused > 700, "only {refused} of 1500 damaged examples were refused");
}

/// Takes out each required member in turn and expects that it is missed.
fn without_required(resource: &Json<'static>, group: &Group, at: &mut Vec<usize>, missed: &mut usize) {
    let mut place = resource;
    for step in at.iter() {
        place = match place {
            Json::Object(members) => &members[*step].1,
            Json::Array(items) => &items[*step],
            _ => return,
        };
    }
    let Json::Object(members) = place else { return };
    let members = members.clone();
    for (index, (name, value)) in members.iter().enumerate() {
        let Some(member) = group.member(name) else { continue };
        let twin = format!("_{name}");
        if group.element(member).is_required() && !members.iter().any(|(other, _)| *other == twin) {
            let mut less = resource.clone();
            let mut target = &mut less;
            for step in at.iter() {
                target = match target {
                    Json::Object(members) => &mut members[*step].1,
                    Json::Array(items) => &mut items[*step],
                    _ => return,
                };
            }
            target.remove(name);
            let issues = validate(&less, &Options::default());
            let suffix = format!(".{}", group.element(member).name());
            let is_missed =
                issues.iter().any(|issue| issue.code == IssueType::Required && issue.location.ends_with(&suffix));
            assert!(is_missed, "{} is not missed: {issues:?}", group.path());
            *missed += 1;
        }
        if let Kind::Group(id) = member.kind() {
            at.push(index);
            if let Json::Array(items) = value {
                for item in 0..items.len().min(2) {
                    at.push(item);
                    without_required(resource, tables().group(id), at, missed);
                    at.pop();
                }
            } else {
                without_required(resource, tables().group(id), at, missed);
            }
            at.pop();
        }
    }
}

#[test]
fn required_elements_are_missed() {
    let examples = examples(6_000);
    if examples.is_empty() {
        return;
    }
    let mut missed = 0;
    for (_, bytes) in &examples {
        let resource = parse(bytes, &Limits::default()).expect("an example").into_owned();
        let group = resource.resource_type().and_then(|name| tables().find(name)).expect("a resource");
        without_required(&resource, group, &mut Vec::new(), &mut missed);
    }
    assert!(missed > 1000, "only {missed} required elements in the examples");
}
