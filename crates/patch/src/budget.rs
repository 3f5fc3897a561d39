//! How much a patch may do. A patch of a few hundred bytes could otherwise double a resource at each operation.

use crate::PatchErrorKind;
use tacet_fhir::json::Json;

/// Most operations in one patch.
pub const OPERATIONS_MAX: usize = 1_000;

/// Deepest nesting of the outcome, in arrays and objects: the default bound of the parser that reads it again.
pub const DEPTH_MAX: usize = 64;

/// Most work of one patch: items that shift in lists, values that are copied, and bytes of their text, in all.
pub const WORK_MAX: usize = 64 * 1024 * 1024;

/// What is left of the work.
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Budget { left: WORK_MAX }
    }

    /// Takes some of it.
    pub(crate) fn spend(&mut self, work: usize) -> Result<(), PatchErrorKind> {
        self.left = self.left.checked_sub(work).ok_or(PatchErrorKind::TooMuchWork)?;
        Ok(())
    }

    /// Takes what copying a value costs, before it is copied. It must fit below `depth` levels.
    pub(crate) fn copy(&mut self, value: &Json<'_>, depth: usize) -> Result<(), PatchErrorKind> {
        let text = match value {
            Json::Number(text) | Json::String(text) => text.len(),
            Json::Array(_) | Json::Object(_) if depth >= DEPTH_MAX => return Err(PatchErrorKind::TooDeep),
            Json::Array(items) => {
                for item in items {
                    self.copy(item, depth + 1)?;
                }
                0
            }
            Json::Object(members) => {
                let mut names = 0;
                for (name, member) in members {
                    names += name.len();
                    self.copy(member, depth + 1)?;
                }
                names
            }
            Json::Null | Json::Bool(_) => 0,
        };
        self.spend(text + size_of::<Json<'_>>())
    }
}
