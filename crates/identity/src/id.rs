//! Ids of this crate: random, and no two kinds taken for each other.

use serde::{Deserialize, Serialize};
use std::fmt;
use tacet_types::{ResourceId, Rng};

/// Makes an id type: a random text in the form of a FHIR id.
macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new random id.
            pub fn random(rng: &dyn Rng) -> Self {
                Self(ResourceId::random(rng).as_str().to_owned())
            }

            /// Reads an id: 1 to 64 of `A-Z a-z 0-9 - .`.
            pub fn parse(text: &str) -> Option<Self> {
                ResourceId::parse(text).is_ok().then(|| Self(text.to_owned()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or("not an id")
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// Of an account. Random: it says nothing of the person.
    AccountId;
    /// Of an approval.
    ApprovalId;
    /// Of a ceremony under way.
    CeremonyId;
}
