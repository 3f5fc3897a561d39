//! Where an element stands in its resource.

use std::fmt::Write as _;
use std::rc::Rc;

/// The way from the root of a resource to an element. Cheap to copy: places share the way to what holds them.
#[derive(Clone, Debug, Default)]
pub struct Location<'v>(Option<Rc<Place<'v>>>);

#[derive(Debug)]
struct Place<'v> {
    within: Location<'v>,
    step: Step<'v>,
}

/// One step of a [`Location`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step<'v> {
    /// The name of the element as FHIRPath has it: `value`.
    pub element: &'v str,
    /// The name of the member of the JSON object: `valueQuantity`.
    pub member: &'v str,
    /// The place in the member's array, where it has one.
    pub index: Option<usize>,
}

impl<'v> Location<'v> {
    /// The root of a resource.
    pub const ROOT: Location<'static> = Location(None);

    /// One step further.
    #[must_use]
    pub fn child(&self, step: Step<'v>) -> Self {
        Location(Some(Rc::new(Place { within: self.clone(), step })))
    }

    /// What holds this place, and the last step. `None` at the root.
    pub fn parent(&self) -> Option<(&Location<'v>, Step<'v>)> {
        self.0.as_ref().map(|place| (&place.within, place.step))
    }

    /// The steps from the root.
    pub fn steps(&self) -> Vec<Step<'v>> {
        let mut steps = Vec::new();
        let mut at = self;
        while let Some((within, step)) = at.parent() {
            steps.push(step);
            at = within;
        }
        steps.reverse();
        steps
    }

    /// The place as an expression: `Patient.name[0].given[1]`, with `root` as its first word.
    pub fn to_fhirpath(&self, root: &str) -> String {
        let mut text = String::from(root);
        for step in self.steps() {
            // Writing to a String cannot fail.
            let _ = write!(text, ".{}", step.element);
            if let Some(index) = step.index {
                let _ = write!(text, "[{index}]");
            }
        }
        text
    }
}

impl PartialEq for Location<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self, other);
        loop {
            match (&left.0, &right.0) {
                (None, None) => return true,
                (Some(one), Some(two)) => {
                    if Rc::ptr_eq(one, two) {
                        return true;
                    }
                    if one.step != two.step {
                        return false;
                    }
                    (left, right) = (&one.within, &two.within);
                }
                _ => return false,
            }
        }
    }
}
