//! What the validator asks a terminology service: whether a code is of a value set.

pub use tacet_terminology::Membership;

use tacet_terminology::Terminology;

/// Knows the codes of value sets.
pub trait Codes {
    /// Whether a code is in the value set of that address (`url` or `url|version`). `system` is `None` for a plain code,
    /// whose system is the one of the set.
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership;

    /// Whether a code system has a code; `Unknown` for a system that is not all there.
    fn code_exists(&self, system: &str, code: &str) -> Membership {
        let _ = (system, code);
        Membership::Unknown
    }
}

impl Codes for Terminology {
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership {
        Terminology::member_of(self, value_set, system, code)
    }

    fn code_exists(&self, system: &str, code: &str) -> Membership {
        Terminology::code_exists(self, system, None, code)
    }
}

/// Knows no code at all: every binding stays unchecked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCodes;

impl Codes for NoCodes {
    fn member_of(&self, _: &str, _: Option<&str>, _: &str) -> Membership {
        Membership::Unknown
    }
}
