//! Where the walk is: a chain of names on the stack, written out as FHIRPath only when an issue needs it.

use std::fmt;

/// One step on the way from the resource to an element.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    name: &'p str,
    index: Option<usize>,
    depth: usize,
}

impl<'p> Place<'p> {
    /// The resource itself, by its type.
    pub(super) fn root(name: &'p str) -> Self {
        Place { parent: None, name, index: None, depth: 0 }
    }

    /// A member of what is here.
    pub(super) fn child(&'p self, name: &'p str) -> Place<'p> {
        Place { parent: Some(self), name, index: None, depth: self.depth + 1 }
    }

    /// An item of the array that is here.
    pub(super) fn item(&self, index: usize) -> Place<'p> {
        Place { index: Some(index), ..*self }
    }

    /// How many steps from the resource.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}
