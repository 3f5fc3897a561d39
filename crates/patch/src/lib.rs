//! Changes to a resource by patch: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and FHIRPath Patch
//! (FHIR R4). No I/O.
//!
//! ```text
//! resource ─┐
//!           ├── json_patch, merge_patch, fhirpath_patch ──> the changed resource, or why not; never a half
//! patch ────┘
//! ```
//!
//! The given resource is left as it is: operations go to a copy, one after the other, and the first that cannot be done
//! ends it with a [`PatchError`] that says which one and why, and repeats no value.
//!
//! A patch may not touch what makes the resource the one it is: see [`Protected`]. Whether the outcome is a valid
//! resource is not decided here; the caller validates it as it validates any other write.

mod budget;
mod equality;
mod error;
mod fhirpath_patch;
mod json_patch;
mod merge_patch;
mod pointer;
mod protect;

pub use budget::{DEPTH_MAX, OPERATIONS_MAX, WORK_MAX};
pub use error::{PatchError, PatchErrorKind};
pub use fhirpath_patch::fhirpath_patch;
pub use json_patch::{json_patch, patch_document};
pub use merge_patch::merge_patch;
pub use pointer::POINTER_BYTES_MAX;
pub use protect::Protected;
