//! Identifiers as types of their own, so that one is never taken for another.

use crate::{ResourceType, Rng};
use std::fmt;

/// Longest logical id of a resource, in bytes (FHIR R4, datatype `id`).
pub const RESOURCE_ID_BYTES_MAX: usize = 64;

/// The logical id of a resource: 1 to 64 of `A-Z a-z 0-9 - .` (FHIR R4, datatype `id`).
///
/// Hospitals have put social security numbers into ids, so it prints redacted; [`ResourceId::as_str`] shows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Box<str>);

/// Why a text is not a logical id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdError;

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a FHIR id: expected 1 to 64 of `A-Z`, `a-z`, `0-9`, `-` and `.`")
    }
}

impl std::error::Error for IdError {}

impl ResourceId {
    /// Reads a logical id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        if (1..=RESOURCE_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(IdError)
        }
    }

    /// A new random id in the shape of a version 4 UUID (RFC 9562), which tells nothing of when or where it was made.
    pub fn random(rng: &dyn Rng) -> Self {
        Self(uuid_v4(rng).into())
    }

    /// The id as it stands in a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResourceId(..)")
    }
}

/// The number of a version of a resource, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VersionId(pub u64);

impl VersionId {
    /// The first version.
    pub const FIRST: Self = Self(1);

    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Reads a version id as it stands in a URL or in `meta.versionId`: digits without leading zero.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Position in the store's change feed, from 1; 0 is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sequence(pub u64);

/// The establishment (hospital) that a store belongs to: 16 random bytes made by `tacet init`, bound into every seal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EstablishmentId(pub [u8; 16]);

/// One request or command, so that an answer, a log line and a ledger entry can be brought together. Random, not personal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationId(pub [u8; 16]);

impl OperationId {
    /// A new random operation id.
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationId({self})")
    }
}

/// One version of one resource: what a ledger entry names and a seal is bound to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordRef {
    /// The resource's type.
    pub resource_type: ResourceType,
    /// The resource's logical id.
    pub id: ResourceId,
    /// The version.
    pub version: VersionId,
}

fn uuid_v4(rng: &dyn Rng) -> String {
    let mut bytes = [0u8; 16];
    rng.fill(&mut bytes);
    let value = u128::from_be_bytes(bytes);
    let value = value & !(0xf << 76) | (0x4 << 76); // version 4
    let value = value & !(0x3 << 62) | (0x2 << 62); // variant of RFC 9562
    let hex = format!("{value:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRng;

    #[test]
    fn ids_are_held_to_their_shape() {
        for text in ["a", "1", "A-b.9", &"x".repeat(64)] {
            assert_eq!(ResourceId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", " ", "a/b", "a_b", "é", "a\0", &"x".repeat(65)] {
            assert!(ResourceId::parse(text).is_err());
        }
    }

    #[test]
    fn random_ids_are_version_4_uuids() {
        let rng = SeededRng::new(7);
        for _ in 0..100 {
            let id = ResourceId::random(&rng);
            let text = id.as_str();
            assert_eq!(text.len(), 36);
            assert_eq!(text.as_bytes()[14], b'4');
            assert!(b"89ab".contains(&text.as_bytes()[19]));
            assert!(ResourceId::parse(text).is_ok());
        }
    }

    #[test]
    fn an_id_does_not_print() {
        let id = ResourceId::parse("255069938801226").unwrap();
        assert!(!format!("{id:?}").contains("2550"));
    }

    #[test]
    fn versions_are_plain_numbers() {
        assert_eq!(VersionId::parse("12"), Some(VersionId(12)));
        for text in ["", "0", "01", "+1", "1a", "99999999999999999999999"] {
            assert_eq!(VersionId::parse(text), None);
        }
    }
}
