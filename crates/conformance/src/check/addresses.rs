//! Addresses: UUIDs as they are written, and those that R4 wants whole.

use super::Check;
use crate::place::Place;
use tacet_fhir::definitions::{Group, GroupKind, Primitive};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::IssueType;

/// The namespace of UUIDs.
const UUID: &str = "urn:uuid:";
/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// Letters of a UUID.
const UUID_LETTERS: usize = 36;

impl<'v> Check<'v> {
    /// The values of an element of type `uri`, `url` or `canonical`.
    ///
    /// UUIDs are written in lower case (<https://hl7.org/fhir/R4/datatypes.html#uri>). Canonical addresses are absolute or
    /// name a contained resource (<https://hl7.org/fhir/R4/references.html#canonical>); a definition's own address and the
    /// code system of a value set are absolute.
    pub(super) fn addresses(
        &mut self,
        primitive: Primitive,
        group: &'static Group,
        name: &'static str,
        value: &'v Json<'v>,
        place: &Place<'_>,
    ) {
        if !matches!(primitive, Primitive::Uri | Primitive::Url | Primitive::Canonical) {
            return;
        }
        let is_canonical = primitive == Primitive::Canonical;
        let is_own = name == "url" && group.kind() == GroupKind::Resource;
        let is_system = name == "system" && group.path() == "ValueSet.compose.include";
        for (index, item) in value.iter().enumerate() {
            let Some(text) = item.as_str() else { continue };
            let here = place.child(name, value.is_array().then_some(index));
            let plain = text.split(['|', '#']).next().unwrap_or(text);
            if plain.strip_prefix(UUID).is_some_and(|uuid| !is_uuid(uuid)) {
                self.error(
                    IssueType::Value,
                    &here,
                    || "a UUID has 32 hexadecimal digits, in lower case, in five groups",
                );
            }
            let is_absolute = text.contains(':') || is_canonical && text.starts_with('#');
            if (is_canonical || is_own || is_system) && !is_absolute {
                self.error(IssueType::Value, &here, || "must be an absolute address");
            }
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    text.len() == UUID_LETTERS
        && text.bytes().enumerate().all(|(at, byte)| if HYPHENS.contains(&at) { byte == b'-' } else { is_digit(byte) })
}

#[cfg(test)]
mod tests {
    use super::is_uuid;

    #[test]
    fn uuids_are_told_from_what_looks_like_them() {
        assert!(is_uuid("53fefa32-fcbb-4ff8-8a92-55ee120877b7"));
        for wrong in [
            "",
            "53FEFA32-fcbb-4ff8-8a92-55ee120877b7",
            "53fefa32-fcbb-4ff8-8a92-55ee120877b",
            "53fefa32-fcbb-4ff8-8a92-55ee120877b70",
            "53fefa32fcbb-4ff8-8a92-55ee120877b7--",
        ] {
            assert!(!is_uuid(wrong), "{wrong}");
        }
    }
}
