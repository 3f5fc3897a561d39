//! Compartments of R4: to whose records a resource belongs.
//!
//! A resource is in the compartment of each patient (encounter, practitioner, related person, device) that one of the
//! definition's search parameters refers to, and in its own. Only references to this server count: `Patient/1`, with
//! or without version, or an absolute URL below the server's base when the caller knows one. A patient who is named
//! only by an identifier, or in a contained resource, is not found. Definitions: FHIR R4,
//! <https://hl7.org/fhir/R4/compartmentdefinition.html>.

use crate::json::Json;
use crate::reference::Reference;
use crate::resource;
use crate::search::{Path, paths_of};
use std::sync::OnceLock;
use tacet_types::{ResourceId, ResourceType};

/// Made by `cargo xtask definitions`; its head says what each line is.
const TEXT: &str = include_str!("../definitions/compartments.txt");

/// Parameters that name whom a resource is about, before those that name who wrote, performed or pays.
const SUBJECTS: [&str; 5] = ["subject", "patient", "beneficiary", "individual", "encounter"];

/// A kind of compartment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Compartment {
    /// All of one patient.
    Patient,
    /// All of one stay or visit.
    Encounter,
    /// All that one relative or friend of a patient has to do with.
    RelatedPerson,
    /// All that one member of staff has to do with.
    Practitioner,
    /// All that one device has to do with.
    Device,
}

impl Compartment {
    /// The five compartments of R4.
    pub const ALL: [Self; 5] = [Self::Patient, Self::Encounter, Self::RelatedPerson, Self::Practitioner, Self::Device];

    /// The type of the resources that have such a compartment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::Encounter => "Encounter",
            Self::RelatedPerson => "RelatedPerson",
            Self::Practitioner => "Practitioner",
            Self::Device => "Device",
        }
    }

    /// The compartment of the resources of this type.
    pub fn of(resource_type: ResourceType) -> Option<Self> {
        Self::ALL.into_iter().find(|compartment| compartment.as_str() == resource_type.as_str())
    }

    /// The search parameters by which a resource of this type belongs to such compartments; subjects first.
    pub fn parameters(self, resource_type: ResourceType) -> Vec<&'static str> {
        let name = resource_type.as_str();
        let found = TEXT.lines().find_map(|line| {
            line.strip_prefix(self.as_str())?.strip_prefix('\t')?.strip_prefix(name)?.strip_prefix('\t')
        });
        let mut codes: Vec<_> = found.unwrap_or_default().split_whitespace().collect();
        codes.sort_by_key(|code| SUBJECTS.iter().position(|subject| subject == code).unwrap_or(SUBJECTS.len()));
        codes
    }

    /// Whether resources of this type can be in such a compartment.
    pub fn holds(self, resource_type: ResourceType) -> bool {
        Self::of(resource_type) == Some(self) || !self.paths(resource_type).is_empty()
    }

    fn paths(self, resource_type: ResourceType) -> &'static [Path] {
        static PATHS: [[OnceLock<Vec<Path>>; ResourceType::COUNT]; 5] =
            [const { [const { OnceLock::new() }; ResourceType::COUNT] }; 5];
        let paths = PATHS.get(self as usize).and_then(|paths| paths.get(usize::from(resource_type.code())));
        let make =
            || self.parameters(resource_type).into_iter().flat_map(|code| paths_of(resource_type, code)).collect();
        paths.map(|paths| paths.get_or_init(make).as_slice()).unwrap_or_default()
    }

    /// The ids whose compartments of this kind hold the resource, each once, in order of first mention: its own, then
    /// its subject, then others. `base` is the address of this server, without trailing `/`, if absolute references to
    /// it are to count.
    pub fn members(self, resource: &Json<'_>, base: Option<&str>) -> Vec<ResourceId> {
        let Some(resource_type) = resource::resource_type(resource) else { return Vec::new() };
        let mut ids: Vec<&str> = Vec::new();
        if Self::of(resource_type) == Some(self) {
            ids.extend(resource.get_str("id"));
        }
        for path in self.paths(resource_type) {
            path.walk(resource, resource, &mut |item| {
                let Some(text) = item.get_str("reference") else { return };
                let mut reference = Reference::parse(text);
                if let Some(base) = base {
                    reference = reference.seen_from(base);
                }
                if let Some((target, id)) = reference.target()
                    && target.as_str() == self.as_str()
                    && !ids.contains(&id)
                {
                    ids.push(id);
                }
            });
        }
        ids.into_iter().filter_map(|id| ResourceId::parse(id).ok()).collect()
    }
}

/// The patients in whose compartments the resource is, in order of first mention: itself, if it is a patient, then its
/// subject, then others (a patient who performs, receives or pays).
pub fn patients(resource: &Json<'_>) -> Vec<ResourceId> {
    Compartment::Patient.members(resource, None)
}

/// All compartments that hold the resource.
pub fn compartments(resource: &Json<'_>) -> Vec<(Compartment, ResourceId)> {
    let members =
        |compartment: Compartment| compartment.members(resource, None).into_iter().map(move |id| (compartment, id));
    Compartment::ALL.into_iter().flat_map(members).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_str};

    fn of(compartment: Compartment, text: &str) -> Vec<String> {
        let json = parse_str(text, &Limits::default()).unwrap();
        compartment.members(&json, Some("https://h.example/fhir")).iter().map(|id| id.as_str().to_owned()).collect()
    }

    fn patients_of(text: &str) -> Vec<String> {
        of(Compartment::Patient, text)
    }

    #[test]
    fn every_definition_has_its_paths() {
        let mut lines = 0;
        for compartment in Compartment::ALL {
            assert_eq!(Compartment::of(ResourceType::parse(compartment.as_str()).unwrap()), Some(compartment));
            for resource_type in ResourceType::all() {
                let codes = compartment.parameters(resource_type);
                lines += usize::from(!codes.is_empty());
                for code in codes {
                    assert!(!paths_of(resource_type, code).is_empty(), "{resource_type} {code}");
                }
            }
        }
        assert_eq!(lines, TEXT.lines().filter(|line| !line.starts_with('#')).count());
        assert_eq!(lines, 211);
    }

    #[test]
    fn the_subject_comes_first_and_nobody_twice() {
        assert_eq!(
            patients_of(
                r#"{"resourceType":"Observation","performer":[{"reference":"Practitioner/x"},{"reference":"Patient/2"},{"reference":"Patient/1"}],
                "subject":{"reference":"Patient/1"}}"#
            ),
            ["1", "2"]
        );
        assert_eq!(
            patients_of(
                r#"{"resourceType":"Coverage","payor":[{"reference":"Patient/p"}],"subscriber":{"reference":"Patient/s"},
                "policyHolder":{"reference":"Patient/h"},"beneficiary":{"reference":"Patient/b"}}"#
            ),
            ["b", "h", "s", "p"]
        );
    }

    #[test]
    fn a_patient_is_in_its_own_and_in_those_it_links_to() {
        assert_eq!(
            patients_of(
                r#"{"resourceType":"Patient","id":"me","link":[{"other":{"reference":"Patient/old"}},{"other":{"reference":"RelatedPerson/r"}}]}"#
            ),
            ["me", "old"]
        );
        assert_eq!(patients_of(r#"{"resourceType":"Patient"}"#), Vec::<String>::new());
    }

    #[test]
    fn only_references_to_this_server_count() {
        for (reference, found) in [
            ("Patient/1/_history/2", true),
            ("https://h.example/fhir/Patient/1", true),
            ("https://other.example/fhir/Patient/1", false),
            ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", false),
            ("Patient?identifier=1", false),
            ("Group/1", false),
            ("Patient/a b", false),
        ] {
            let text = format!(r#"{{"resourceType":"Condition","subject":{{"reference":"{reference}"}}}}"#);
            assert_eq!(patients_of(&text), if found { vec!["1"] } else { vec![] }, "{reference}");
        }
        let contained = r##"{"resourceType":"Condition","contained":[{"resourceType":"Patient","id":"c"}],
            "subject":{"reference":"#c","type":"Patient","identifier":{"value":"1"}}}"##;
        assert_eq!(patients_of(contained), Vec::<String>::new());
        for text in [r#"{"resourceType":"Organization","id":"1"}"#, r#"{"resourceType":"Nothing"}"#, "[]", "{}"] {
            assert_eq!(patients_of(text), Vec::<String>::new());
        }
    }

    #[test]
    fn the_other_compartments_are_found() {
        let text = r#"{"resourceType":"Procedure","id":"1","subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/e"},
            "performer":[{"actor":{"reference":"Practitioner/d"}},{"actor":{"reference":"RelatedPerson/r"}}],
            "asserter":{"reference":"Practitioner/other"}}"#;
        let json = parse_str(text, &Limits::default()).unwrap();
        let found: Vec<_> = compartments(&json)
            .into_iter()
            .map(|(compartment, id)| format!("{}/{}", compartment.as_str(), id.as_str()))
            .collect();
        assert_eq!(found, ["Patient/p", "Encounter/e", "RelatedPerson/r", "Practitioner/d"]);
        assert_eq!(of(Compartment::Device, r#"{"resourceType":"Device","id":"dev"}"#), ["dev"]);
        assert_eq!(of(Compartment::Encounter, r#"{"resourceType":"Encounter","id":"e"}"#), ["e"]);
        assert!(Compartment::Patient.holds(ResourceType::parse("Observation").unwrap()));
        assert!(!Compartment::Patient.holds(ResourceType::parse("Organization").unwrap()));
    }
}
