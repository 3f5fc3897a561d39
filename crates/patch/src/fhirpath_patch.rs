//! FHIRPath Patch: <https://hl7.org/fhir/R4/fhirpatch.html>.
//!
//! ```text
//! Parameters ── operation ──> Operation ── path ──> Place (an element, by the way to it) ── tree ──> changed copy
//! ```

mod operation;
mod place;
mod tree;
mod value;

use crate::budget::{Budget, OPERATIONS_MAX};
use crate::error::{PatchError, PatchErrorKind};
use crate::protect;
use operation::{Operation, What};
use place::Place;
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

/// The resource with all operations of the patch done, in their order; or the first that cannot be done, and then
/// nothing is changed.
///
/// The patch is a `Parameters` resource. `now` is what a path that asks for the time is told. See
/// [`crate::Protected`] for what a patch may not change.
///
/// Where R4 leaves something open: a path that finds nothing is an error for every operation but `delete`; a path of
/// `insert` and `move` must name all items of one list; an element that has lost its last member goes too; `resolve()`
/// finds contained resources only.
pub fn fhirpath_patch(resource: &Json<'_>, parameters: &Json<'_>, now: Timestamp) -> Result<Json<'static>, PatchError> {
    if tree::group_of(resource).is_none() {
        return Err(PatchError::whole(PatchErrorKind::NotAResource));
    }
    if parameters.resource_type() != Some("Parameters") {
        return Err(PatchError::whole(PatchErrorKind::NotParameters));
    }
    let operations = parameters.get("parameter").map(Json::items).unwrap_or_default();
    if operations.len() > OPERATIONS_MAX {
        return Err(PatchError::whole(PatchErrorKind::TooManyOperations));
    }
    let mut changed = resource.borrowed().into_owned();
    let mut budget = Budget::new();
    let steps_max = place::steps_of_each(operations.len());
    for (number, parameter) in operations.iter().enumerate() {
        Operation::read(parameter)
            .and_then(|operation| {
                let found = place::find(&changed, operation.path, now, steps_max)?;
                apply(&mut changed, &operation, &found, &mut budget)
            })
            .and_then(|()| protect::check(resource, &changed))
            .map_err(PatchError::of(number))?;
    }
    Ok(changed)
}

fn apply(
    resource: &mut Json<'static>,
    operation: &Operation<'_>,
    found: &[Place],
    budget: &mut Budget,
) -> Result<(), PatchErrorKind> {
    match &operation.what {
        What::Add { name, value } => tree::add(resource, single(found)?, name, value, budget),
        What::Replace { value } => tree::replace(resource, single(found)?, value, budget),
        What::Delete if found.is_empty() => Ok(()),
        What::Delete => tree::delete(resource, single(found)?, budget),
        What::Insert { index, value } => tree::insert(resource, found, *index, value, budget),
        What::Move { source, destination } => tree::shift(resource, found, *source, *destination, budget),
    }
}

fn single(found: &[Place]) -> Result<&Place, PatchErrorKind> {
    match found {
        [] => Err(PatchErrorKind::NotFound("path")),
        [place] => Ok(place),
        _ => Err(PatchErrorKind::NotSingle),
    }
}

#[cfg(test)]
mod tests;
