//! What the validator asks a terminology service: whether a code is of a value set.

/// Whether a code is in a value set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The value set, or the code system, is not known here.
    Unknown,
}

/// Knows the codes of value sets.
pub trait Codes {
    /// Whether a code is in the value set of that address (`url` or `url|version`). `system` is `None` for a plain code,
    /// whose system is the one of the set.
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership;
}

/// Knows no code at all: every binding stays unchecked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCodes;

impl Codes for NoCodes {
    fn member_of(&self, _: &str, _: Option<&str>, _: &str) -> Membership {
        Membership::Unknown
    }
}
