//! Where the walk is: a chain of names on the stack, written out as FHIRPath only when an issue needs it.

use std::fmt;

/// One step on the way from the resource to an element.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    name: &'p str,
    index: Option<usize>,
    depth: usize,
}

impl<'p> Place<'p> {
    /// The resource itself, by its type.
    pub(crate) fn root(name: &'p str) -> Self {
        Place { parent: None, name, index: None, depth: 0 }
    }

    /// A member of what is here, with its number where it is an item of an array.
    pub(crate) fn child(&'p self, name: &'p str, index: Option<usize>) -> Place<'p> {
        Place { parent: Some(self), name, index, depth: self.depth + 1 }
    }

    /// How many steps from the resource.
    pub(crate) fn depth(&self) -> usize {
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
