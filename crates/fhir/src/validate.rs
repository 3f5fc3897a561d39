//! Structural validation of a resource: does it have the shape that FHIR R4 gives it?
//!
//! ```text
//! Json ── walk, beside the tables of `definitions` ──> issues, each with its FHIRPath
//! ```
//!
//! Checked: known members and their JSON types, cardinality, formats of primitives, choices of types, `_name` twins,
//! the shape and target of references, contained resources, extensions, required bindings, empty values (`ele-1`), and
//! the safety of narratives. Not checked: profiles, other bindings, and invariants that need FHIRPath.
//!
//! A resource without a fault costs no allocation, except where it has a narrative; places are written out only when an
//! issue needs one. Messages name rules and types, never a value. An unknown member's name is repeated only when it
//! could be that of an element, so that data misplaced into names does not travel on.

mod contents;
mod place;
mod primitive;
mod walk;
mod xhtml;

use crate::json::Json;

pub use crate::outcome::{Issue, IssueType, Severity};
pub use primitive::is_well_formed;

/// Most issues reported for one resource; a client that gets this many has a systematic fault.
const ISSUES_MAX: usize = 100;

/// How to validate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Most issues reported. One more then says that there are others.
    pub issues_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { issues_max: ISSUES_MAX }
    }
}

/// The faults of a resource, in the order in which they stand; empty when its structure is right.
pub fn validate(resource: &Json<'_>, options: &Options) -> Vec<Issue> {
    walk::Walk::new(options.issues_max).run(resource)
}

#[cfg(test)]
mod tests;
