//! Reference strings: what kind each is, where they stand in a resource, and how a transaction replaces them.
//!
//! Nothing is resolved or fetched here: a reference is read from its text alone. Rules: FHIR R4,
//! <https://hl7.org/fhir/R4/references.html> and <https://hl7.org/fhir/R4/http.html#trules>.

mod rewrite;

pub use rewrite::rewrite_references;

use crate::json::{Json, Member};
use tacet_types::{RESOURCE_ID_BYTES_MAX, ResourceId, ResourceType};

/// What stands between the id of a resource and one of its versions in a URL.
const HISTORY: &str = "/_history/";

/// A reference by its shape. Texts are slices of the original, so that nothing is copied for the common case.
///
/// Prints redacted: an id may carry a personal number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reference<'a> {
    /// `Patient/1` or `Patient/1/_history/2`, on the server that holds the resource.
    Relative {
        /// The target's type.
        resource_type: ResourceType,
        /// The target's logical id, already held to the shape of a FHIR id.
        id: &'a str,
        /// The version asked for, if the reference is version-specific.
        version: Option<&'a str>,
    },
    /// A URL with a scheme, such as `https://example.org/fhir/Patient/1`.
    Absolute(&'a str),
    /// `urn:uuid:…` or `urn:oid:…`: an entry of the same bundle.
    Urn(&'a str),
    /// `#name`: a contained resource (the text after the `#`; empty for the container itself).
    Fragment(&'a str),
    /// `Patient?identifier=…`: to be searched for while a transaction is processed.
    Conditional {
        /// The type to search.
        resource_type: ResourceType,
        /// The search, without the `?`.
        query: &'a str,
    },
    /// None of these.
    Invalid,
}

impl std::fmt::Debug for Reference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Relative { resource_type, version, .. } => {
                write!(f, "Relative({resource_type}/.., versioned: {})", version.is_some())
            }
            Self::Absolute(_) => f.write_str("Absolute(..)"),
            Self::Urn(_) => f.write_str("Urn(..)"),
            Self::Fragment(_) => f.write_str("Fragment(..)"),
            Self::Conditional { resource_type, .. } => write!(f, "Conditional({resource_type}?..)"),
            Self::Invalid => f.write_str("Invalid"),
        }
    }
}

impl<'a> Reference<'a> {
    /// Classifies the text of a reference.
    pub fn parse(text: &'a str) -> Self {
        if let Some(name) = text.strip_prefix('#') {
            return Self::Fragment(name);
        }
        if let Some(relative) = relative(text) {
            return relative;
        }
        if text.contains(char::is_whitespace) {
            // A conditional reference may hold a blank in a value; an address may not.
            return conditional(text).unwrap_or(Self::Invalid);
        }
        if text.strip_prefix("urn:uuid:").is_some_and(is_uuid) || text.strip_prefix("urn:oid:").is_some_and(is_oid) {
            return Self::Urn(text);
        }
        if let Some(conditional) = conditional(text) {
            return conditional;
        }
        if has_scheme(text) { Self::Absolute(text) } else { Self::Invalid }
    }

    /// The type and id on this server, for a relative reference.
    pub fn target(&self) -> Option<(ResourceType, &'a str)> {
        match *self {
            Self::Relative { resource_type, id, .. } => Some((resource_type, id)),
            _ => None,
        }
    }

    /// The type and id as owned values, for a relative reference.
    pub fn target_id(&self) -> Option<(ResourceType, ResourceId)> {
        let (resource_type, id) = self.target()?;
        Some((resource_type, ResourceId::parse(id).ok()?))
    }

    /// The same reference seen from the server at `base` (without trailing `/`): an absolute URL below it becomes
    /// relative.
    #[must_use]
    pub fn seen_from(self, base: &str) -> Self {
        let Self::Absolute(url) = self else { return self };
        url.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).and_then(relative).unwrap_or(self)
    }

    /// The type that the reference names: of a relative or conditional one, or by the end of a REST URL of any server.
    pub fn resource_type(&self) -> Option<ResourceType> {
        match *self {
            Self::Relative { resource_type, .. } | Self::Conditional { resource_type, .. } => Some(resource_type),
            Self::Absolute(url) => rest_end(url).and_then(|end| end.resource_type()),
            _ => None,
        }
    }
}

/// The text before `/_history/…`, and the version after it, if there is one.
pub fn split_version(text: &str) -> (&str, Option<&str>) {
    match text.split_once(HISTORY) {
        Some((before, version)) if is_id(version) => (before, Some(version)),
        _ => (text, None),
    }
}

/// The relative reference at the end of a REST URL.
fn rest_end(url: &str) -> Option<Reference<'_>> {
    let (plain, _) = split_version(url);
    let id_at = plain.rfind('/')?;
    let type_at = plain.get(..id_at)?.rfind('/')?;
    relative(plain.get(type_at + 1..)?)
}

fn relative(text: &str) -> Option<Reference<'_>> {
    // Names of types begin with a capital letter; most other texts end here.
    if !text.as_bytes().first()?.is_ascii_uppercase() {
        return None;
    }
    let (name, rest) = text.split_once('/')?;
    let (id, version) = split_version(rest);
    let resource_type = ResourceType::parse(name)?;
    is_id(id).then_some(Reference::Relative { resource_type, id, version })
}

fn conditional(text: &str) -> Option<Reference<'_>> {
    let (name, query) = text.split_once('?')?;
    let resource_type = ResourceType::parse(name)?;
    (!query.is_empty()).then_some(Reference::Conditional { resource_type, query })
}

/// The shape of a FHIR id, as [`ResourceId::parse`] holds it, without keeping a copy.
fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=RESOURCE_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// RFC 9562 in hexadecimal with its dashes, either case (R4 asks for lower case; senders do not always).
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Dotted numbers whose first is 0, 1 or 2 (R4, datatype `oid`).
fn is_oid(text: &str) -> bool {
    let number = |part: &str| part == "0" || (!part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit()));
    let mut parts = text.split('.');
    matches!(parts.next(), Some("0" | "1" | "2"))
        && text.contains('.')
        && parts.all(|part| !part.is_empty() && number(part))
}

/// `scheme:rest` of RFC 3986, section 3.1.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

/// Visits the text of each `Reference.reference` in the resource, contained resources included, in document order.
pub fn for_each_reference<'v>(resource: &'v Json<'_>, visit: &mut dyn FnMut(&'v str)) {
    walk(resource, "", visit);
}

fn walk<'v>(value: &'v Json<'_>, parent: &str, visit: &mut dyn FnMut(&'v str)) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| walk(item, parent, visit)),
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    Json::String(text) if name == "reference" && is_reference(members, parent) => visit(text),
                    Json::Array(_) | Json::Object(_) => walk(value, name, visit),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Whether these are the members of a `Reference`. Three other places of R4 have a `reference` that is a plain uri:
/// `DetectedIssue`, `Immunization.education` and `Expression`.
fn is_reference(members: &[Member<'_>], parent: &str) -> bool {
    parent != "education"
        && members.iter().all(|(name, _)| {
            let name = name.strip_prefix('_').unwrap_or(name);
            matches!(name, "reference" | "display" | "type" | "identifier" | "extension" | "id")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_str};

    fn kind(text: &str) -> String {
        format!("{:?}", Reference::parse(text))
    }

    #[test]
    fn each_shape_is_told_apart() {
        assert_eq!(
            Reference::parse("Patient/p-1"),
            Reference::Relative { resource_type: ResourceType::parse("Patient").unwrap(), id: "p-1", version: None }
        );
        assert_eq!(kind("Patient/1/_history/2"), "Relative(Patient/.., versioned: true)");
        assert_eq!(kind("https://a.example/fhir/Patient/1"), "Absolute(..)");
        assert_eq!(kind("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"), "Urn(..)");
        assert_eq!(kind("urn:uuid:0C3151BD-1CBF-4D64-B04D-CD9187A4C6E0"), "Urn(..)");
        assert_eq!(kind("urn:oid:1.2.250.1.213"), "Urn(..)");
        assert_eq!(Reference::parse("#me"), Reference::Fragment("me"));
        assert_eq!(Reference::parse("#"), Reference::Fragment(""));
        assert_eq!(kind("Patient?identifier=a|b c"), "Conditional(Patient?..)");
        // A urn of another kind is an address like any other.
        assert_eq!(kind("urn:ietf:rfc:3986"), "Absolute(..)");
    }

    #[test]
    fn what_is_none_of_them_is_invalid() {
        let long = format!("Patient/{}", "x".repeat(65));
        for text in [
            "",
            "Patient",
            "Patient/",
            "/Patient/1",
            "patient/1",
            "Patent/1",
            "Patient/a b",
            "Patient/1/",
            "Patient?",
            "Patient/1/_history/",
            "Patient/1/name",
            "urn uuid",
            "é/1",
            &long,
        ] {
            assert_eq!(Reference::parse(text), Reference::Invalid, "{text}");
        }
    }

    #[test]
    fn malformed_urns_are_addresses_that_match_nothing() {
        for text in ["urn:uuid:xyz", "urn:oid:3.1", "urn:oid:1", "urn:oid:1..2", "urn:oid:1.02"] {
            assert_eq!(kind(text), "Absolute(..)", "{text}");
        }
    }

    #[test]
    fn an_address_below_the_base_is_relative() {
        let reference = Reference::parse("https://h.example/fhir/Patient/1/_history/3");
        let seen = reference.seen_from("https://h.example/fhir");
        assert_eq!(seen.target().unwrap().1, "1");
        assert_eq!(reference.seen_from("https://h.example/fh"), reference);
        assert_eq!(reference.seen_from("https://other.example"), reference);
        assert_eq!(reference.resource_type().unwrap().as_str(), "Patient");
        assert_eq!(Reference::parse("https://h.example/about").resource_type(), None);
    }

    #[test]
    fn references_do_not_print() {
        for text in ["Patient/255069938801226", "Patient?identifier=255069938801226", "#255069938801226"] {
            assert!(!kind(text).contains("2550"));
        }
    }

    #[test]
    fn every_reference_is_visited_and_no_other_uri() {
        let json = parse_str(
            r##"{"resourceType":"DetectedIssue","reference":"http://a.example/uri",
                "contained":[{"resourceType":"Observation","id":"c","subject":{"reference":"Patient/2"}}],
                "patient":{"reference":"Patient/1","display":"x","_reference":{"id":"a"}},
                "evidence":[{"detail":[{"reference":"#c"},{"display":"none"}]}],
                "extension":[{"url":"u","valueReference":{"reference":"urn:oid:1.2"}},
                    {"url":"e","valueExpression":{"language":"text/fhirpath","reference":"http://a.example/e"}}]}"##,
            &Limits::default(),
        )
        .unwrap();
        let mut seen = Vec::new();
        for_each_reference(&json, &mut |text| seen.push(text));
        assert_eq!(seen, ["Patient/2", "Patient/1", "#c", "urn:oid:1.2"]);
    }
}
