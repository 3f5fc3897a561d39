//! From a path to places in the resource.

use super::tree;
use crate::error::PatchErrorKind;
use tacet_fhir::json::Json;
use tacet_fhirpath::{Context, Expression, Item, STEPS_MAX};
use tacet_types::Timestamp;

/// Steps that each path may take at least, however many operations there are. A path of names takes a few dozen.
const STEPS_LEAST: u64 = 5_000;

/// Most elements that a path may find: the longest list that can be moved about in.
const PLACES_MAX: usize = 100_000;

/// The way to an element, by members of the JSON form. Empty for the resource itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) steps: Vec<Step>,
}

/// One step: a member and, where that is a list, which of its items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    pub(super) member: String,
    pub(super) index: Option<usize>,
}

/// How many steps each path gets, so that a patch of many operations takes no longer than one of few.
pub(super) fn steps_of_each(operations: usize) -> u64 {
    let operations = u64::try_from(operations).unwrap_or(u64::MAX).max(1);
    (STEPS_MAX / operations).max(STEPS_LEAST)
}

/// The elements that a path finds, in their order.
pub(super) fn find(
    resource: &Json<'static>,
    path: &str,
    now: Timestamp,
    steps_max: u64,
) -> Result<Vec<Place>, PatchErrorKind> {
    let expression = Expression::compile(path).map_err(|_| PatchErrorKind::Path)?;
    let context = Context { steps_max, ..Context::new(resource, now) };
    let items = expression.evaluate_on(resource, &context).map_err(|_| PatchErrorKind::Path)?;
    if items.len() > PLACES_MAX {
        return Err(PatchErrorKind::NotSingle);
    }
    items.iter().map(|item| place_of(resource, item)).collect()
}

fn place_of(resource: &Json<'static>, item: &Item<'_>) -> Result<Place, PatchErrorKind> {
    let node = item.node().ok_or(PatchErrorKind::NotAnElement)?;
    let steps: Vec<_> = node
        .location
        .steps()
        .into_iter()
        .map(|step| Step { member: step.member.to_owned(), index: step.index })
        .collect();
    // What `resolve()` found says where it stands in its own resource. Only an element that is reached by its way in
    // this one may be changed.
    let reached = tree::reach(resource, &steps).ok_or(PatchErrorKind::NotAnElement)?;
    let same = |reached: Option<&Json<'_>>, found: Option<&Json<'_>>| match (reached, found) {
        (Some(reached), Some(found)) => std::ptr::addr_eq(reached, found),
        (reached, found) => reached.is_none() && found.is_none(),
    };
    let value = |json| Some(json).filter(|json: &&Json<'_>| !json.is_null());
    let is_it = same(reached.json.and_then(value), value(node.json))
        && same(reached.twin.and_then(value), node.extra.and_then(value));
    if is_it { Ok(Place { steps }) } else { Err(PatchErrorKind::NotAnElement) }
}
