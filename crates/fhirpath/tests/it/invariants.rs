//! Every invariant of R4: read, checked against the types it is for, and evaluated on the official examples.

use std::collections::BTreeSet;
use std::path::Path;
use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhirpath::{CheckOptions, Context, Expression, Item, Node, NodeType, is_true};
use tacet_types::Timestamp;

/// The table of the conformance crate, which has the invariants.
fn table() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/definitions/base.txt");
    std::fs::read_to_string(path).expect("the table of invariants")
}

struct Invariant {
    path: String,
    key: String,
    severity: String,
    text: String,
}

fn invariants() -> Vec<Invariant> {
    let table = table();
    let lines = table.lines().filter_map(|line| line.strip_prefix("I\t"));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Invariant {
                path: fields[0].to_owned(),
                key: fields[1].to_owned(),
                severity: fields[2].to_owned(),
                text: fields[3].to_owned(),
            }
        })
        .collect()
}

/// The types an element of that path may have, and its name where the path is not that of a type or part.
fn types(path: &str) -> (Vec<NodeType>, Option<&str>) {
    if let Some(kind) = NodeType::find(path) {
        return (vec![kind], None);
    }
    let (parent, name) = path.rsplit_once('.').expect("a path");
    let name = name.trim_end_matches("[x]");
    (NodeType::find(parent).expect("a part").element(name), Some(name))
}

#[test]
fn every_invariant_is_read_and_makes_sense_on_its_type() {
    let invariants = invariants();
    assert!(invariants.len() > 200, "{} invariants", invariants.len());
    let mut faults = Vec::new();
    for Invariant { path, key, text, .. } in &invariants {
        let expression = Expression::compile(text).unwrap_or_else(|error| panic!("{path} {key}: {error}: {text}"));
        let (types, _) = types(path);
        assert!(!types.is_empty(), "{path} has no type");
        if let Err(error) = expression.check(&types, &CheckOptions::default()) {
            faults.push(format!("{path} {key}: {error}"));
        }
    }
    assert_eq!(faults, FAULTY, "the check's opinion of R4 has changed");
}

/// Invariants of R4 that name elements their types do not have: the check is right about them.
const FAULTY: &[&str] = &["ChargeItemDefinition cid-0: no type that stands there has an element `name`"];

/// Examples that do not hold an invariant of severity error: narratives that are blank (as our validation says too).
const VIOLATIONS: [&str; 4] = [
    "txt-1 EventDefinition-example.json",
    "txt-1 Questionnaire-zika-virus-exposure-assessment.json",
    "txt-2 EventDefinition-example.json",
    "txt-2 Questionnaire-zika-virus-exposure-assessment.json",
];

#[test]
fn the_official_examples_hold_the_invariants() {
    let Some(folder) = tacet_testdata::folder("r4-examples") else { return };
    let invariants = invariants();
    let compiled: Vec<Expression> =
        invariants.iter().map(|invariant| Expression::compile(&invariant.text).expect("an expression")).collect();
    let places: Vec<Place<'_>> = invariants.iter().map(Place::of).collect();
    let mut evaluated = 0_usize;
    let mut violated = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        let Ok(resource) = parse(&bytes, &Limits::default()) else { continue };
        if resource.resource_type().is_none() {
            continue;
        }
        let context = Context::new(&resource, Timestamp::from_ms(1_790_000_000_000));
        for (parent, node) in nodes(&resource) {
            for ((invariant, place), expression) in invariants.iter().zip(&places).zip(&compiled) {
                if !place.concerns(parent, &node) {
                    continue;
                }
                evaluated += 1;
                // `%resource` is what holds the element: of a contained one, that.
                let held = holder(&resource, &node);
                let context = Context { resource: held, ..context.clone() };
                let result = expression.evaluate(&context, &[Item::Node(node.clone())]);
                let result = result.unwrap_or_else(|error| panic!("{} on {path:?}: {error}", invariant.key));
                if !is_true(&result).expect("one item") && invariant.severity == "error" && !result.is_empty() {
                    violated.insert(format!("{} {}", invariant.key, path.file_name().expect("a name").display()));
                }
            }
        }
    }
    println!("{evaluated} invariants evaluated on the examples");
    assert!(evaluated > 10_000, "{evaluated} evaluated");
    assert_eq!(violated.iter().map(String::as_str).collect::<Vec<_>>(), VIOLATIONS);
}

/// All elements of a resource, and itself, each with the type of what holds it.
fn nodes<'v>(resource: &'v Json<'v>) -> Vec<(NodeType, Node<'v>)> {
    static CHILDREN: std::sync::LazyLock<Expression> =
        std::sync::LazyLock::new(|| Expression::compile("children()").expect("an expression"));
    let context = Context::new(resource, Timestamp::from_ms(0));
    let mut all = vec![(NodeType::Unknown, Node::resource(resource))];
    let mut next = 0;
    while let Some((_, node)) = all.get(next).cloned() {
        next += 1;
        let kind = node.kind;
        let found = CHILDREN.evaluate(&context, &[Item::Node(node)]).expect("elements");
        all.extend(found.into_iter().filter_map(|item| Some((kind, item.node()?.clone()))));
    }
    all
}

/// Where an invariant stands: the type or part it is of, or the part and the name of its element.
struct Place<'i> {
    types: Vec<NodeType>,
    within: Option<(NodeType, &'i str)>,
}

impl<'i> Place<'i> {
    fn of(invariant: &'i Invariant) -> Self {
        let (types, element) = types(&invariant.path);
        let within = element.map(|name| {
            let (parent, _) = invariant.path.rsplit_once('.').expect("a path");
            (NodeType::find(parent).expect("a part"), name)
        });
        Place { types, within }
    }

    fn concerns(&self, parent: NodeType, node: &Node<'_>) -> bool {
        match self.within {
            None => node.kind == self.types[0] || self.types[0].name() == "DomainResource" && is_domain_resource(node),
            Some((within, name)) => {
                parent == within && node.location.parent().is_some_and(|(_, step)| step.element == name)
            }
        }
    }
}

fn is_domain_resource(node: &Node<'_>) -> bool {
    let whole = node.json.resource_type();
    whole.is_some_and(|name| !matches!(name, "Bundle" | "Binary" | "Parameters"))
}

/// The innermost resource that holds an element.
fn holder<'v>(resource: &'v Json<'v>, node: &Node<'v>) -> &'v Json<'v> {
    let mut at = resource;
    let mut held = resource;
    for step in node.location.steps() {
        let Some(next) = at.get(step.member) else { break };
        at = match step.index {
            Some(index) => &next.items()[index],
            None => next,
        };
        if at.resource_type().is_some() && step.member != "contained" {
            held = at;
        }
    }
    held
}
