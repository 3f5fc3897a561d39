//! Why a patch was not applied.

use crate::Protected;
use std::fmt;

/// What is wrong with a patch, and with which operation. Carries no value of the resource or the patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PatchError {
    /// The operation, counted from 0; `None` where the patch as a whole is at fault.
    pub operation: Option<usize>,
    /// What is wrong.
    pub kind: PatchErrorKind,
}

impl PatchError {
    pub(crate) fn whole(kind: PatchErrorKind) -> Self {
        PatchError { operation: None, kind }
    }

    /// For `map_err`: the error of the operation of that number.
    pub(crate) fn of(operation: usize) -> impl Fn(PatchErrorKind) -> Self {
        move |kind| PatchError { operation: Some(operation), kind }
    }
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(number) => write!(f, "operation {number} of the patch (the first is 0): {}", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl std::error::Error for PatchError {}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchErrorKind {
    /// A JSON Patch is not an array of objects.
    #[error("a JSON Patch is an array of objects, one for each operation (RFC 6902 section 3)")]
    NotAPatch,
    /// A JSON Merge Patch is not an object.
    #[error("a JSON Merge Patch is an object (RFC 7396)")]
    NotAMergePatch,
    /// A FHIRPath Patch is not a `Parameters` resource of `operation` parameters.
    #[error("a FHIRPath Patch is a Parameters resource whose parameters are all named `operation`")]
    NotParameters,
    /// The resource is not an object, or not of a type of R4.
    #[error("what is patched is not a resource")]
    NotAResource,
    /// More operations than [`crate::OPERATIONS_MAX`].
    #[error("more operations than allowed in one patch: send it in parts")]
    TooManyOperations,
    /// More than [`crate::WORK_MAX`].
    #[error("the patch copies or moves more than allowed: send it in parts")]
    TooMuchWork,
    /// The outcome would nest deeper than [`crate::DEPTH_MAX`].
    #[error("the outcome would nest deeper than allowed")]
    TooDeep,
    /// The operation is none that the kind of patch knows.
    #[error("unknown kind of operation")]
    UnknownOperation,
    /// A part that the operation needs is missing, or is not of the right type.
    #[error("`{0}` is missing or not of the right type")]
    Part(&'static str),
    /// A pointer is not written as RFC 6901 asks.
    #[error("`{0}` is not a JSON pointer (RFC 6901)")]
    Pointer(&'static str),
    /// A pointer is longer than [`crate::POINTER_BYTES_MAX`], which is the bound of paths too.
    #[error("`{0}` is longer than allowed")]
    TooLong(&'static str),
    /// Nothing is where the operation wants something.
    #[error("nothing is there at `{0}`")]
    NotFound(&'static str),
    /// An index is past the end of its list.
    #[error("`{0}` is past the end of the list")]
    PastTheEnd(&'static str),
    /// What is at the place has no members and no items.
    #[error("what `{0}` goes through is neither an object nor a list")]
    NotAContainer(&'static str),
    /// A move into a part of what is moved.
    #[error("a value cannot be moved into itself")]
    IntoItself,
    /// The outcome of a JSON Patch is no object.
    #[error("the whole resource can only be replaced by a resource")]
    NoResourceLeft,
    /// A `test` did not hold. FHIR R4 (http.html, patch) answers it with 422.
    #[error("the test does not hold: read the resource again")]
    TestFailed,
    /// The operation changes what a patch may not change.
    #[error("a patch may not change `{0}`")]
    Protected(Protected),
    /// The path is no FHIRPath expression that can be read or evaluated.
    #[error("`path` is not a FHIRPath expression that can be evaluated here")]
    Path,
    /// The path finds more than one element where one is wanted.
    #[error("`path` finds more than one element: name one")]
    NotSingle,
    /// The path gives a computed value, which is no place in the resource.
    #[error("`path` does not lead to an element of the resource")]
    NotAnElement,
    /// The path finds elements that are not all of one list.
    #[error("`path` does not name one whole list")]
    NotAList,
    /// No element of that name is defined there.
    #[error("no element of that `name` is defined there")]
    UnknownElement,
    /// `add` to an element that may be there once and is there.
    #[error("the element is there already: use `replace`")]
    AlreadyThere,
    /// The value is not one that the element can hold.
    #[error("`value` is not of a type that the element can hold")]
    ValueType,
}
