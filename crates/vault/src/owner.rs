//! Whose data key seals a resource.

use tacet_fhir::compartment;
use tacet_fhir::json::Json;
use tacet_fhir::reference::Reference;
use tacet_types::{ResourceId, ResourceType};

/// Whose key seals a record: a patient's, or the establishment's for what belongs to no single patient.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    /// Organizations, practitioners, definitions; and what several patients share, such as a Group.
    Establishment,
    /// What is in the compartment of this patient.
    Patient(ResourceId),
}

impl Owner {
    /// The patient, if it is one.
    pub(crate) fn patient(&self) -> Option<&ResourceId> {
        match self {
            Self::Establishment => None,
            Self::Patient(id) => Some(id),
        }
    }

    /// The patient as the ledger names it.
    pub(crate) fn ledger_patient(&self) -> Option<(ResourceType, ResourceId)> {
        Some((ResourceType::parse("Patient")?, self.patient()?.clone()))
    }

    /// The words under which the data key's row is hashed.
    pub(crate) fn label(&self) -> Vec<u8> {
        match self {
            Self::Establishment => b"establishment".to_vec(),
            Self::Patient(id) => [b"patient/", id.as_str().as_bytes()].concat(),
        }
    }
}

/// Where a resource belongs: whose key seals it, and all the patients in whose compartment it is.
pub(crate) struct Belonging {
    pub(crate) owner: Owner,
    pub(crate) patients: Vec<ResourceId>,
}

/// The elements that name the one patient whom a resource is about, by FHIR R4.
const SUBJECT_ELEMENTS: [&str; 4] = ["subject", "patient", "beneficiary", "individual"];

impl Belonging {
    /// Of a resource that has its id and its final references.
    ///
    /// One patient: that patient's key. Several (a Group, an appointment of two): the one whom the resource names as its
    /// subject; where there is no such one, the establishment's key, so that erasing one patient takes nothing of another.
    pub(crate) fn of(resource_type: ResourceType, id: &ResourceId, resource: &Json<'_>) -> Self {
        if resource_type.as_str() == "Patient" {
            let mut patients = compartment::patients(resource);
            if !patients.contains(id) {
                patients.push(id.clone());
            }
            return Self { owner: Owner::Patient(id.clone()), patients };
        }
        let patients = compartment::patients(resource);
        let owner = match patients.as_slice() {
            [] => Owner::Establishment,
            [only] => Owner::Patient(only.clone()),
            several => several
                .iter()
                .find(|patient| is_subject(resource, patient))
                .map_or(Owner::Establishment, |patient| Owner::Patient(patient.clone())),
        };
        Self { owner, patients }
    }
}

fn is_subject(resource: &Json<'_>, patient: &ResourceId) -> bool {
    SUBJECT_ELEMENTS.iter().any(|element| {
        let reference = resource.get(element).and_then(|subject| subject.get("reference")).and_then(Json::as_str);
        let target = reference.and_then(|text| Reference::parse(text).target());
        target.is_some_and(|(kind, id)| kind.as_str() == "Patient" && id == patient.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    /// A subject with a version was once taken for nobody's, and a patient of another server for ours.
    #[test]
    fn the_subject_is_found_with_its_version_and_only_here() {
        let owner = |subject: &str| {
            let text = format!(
                r#"{{"resourceType":"Observation","subject":{{"reference":"{subject}"}},
                "performer":[{{"reference":"Patient/a"}},{{"reference":"Patient/b"}}]}}"#
            );
            let resource = parse_str(&text, &Limits::default()).unwrap();
            let id = ResourceId::parse("o").unwrap();
            Belonging::of(ResourceType::parse("Observation").unwrap(), &id, &resource).owner
        };
        let b = Owner::Patient(ResourceId::parse("b").unwrap());
        assert_eq!(owner("Patient/b"), b);
        assert_eq!(owner("Patient/b/_history/2"), b);
        assert_eq!(owner("https://elsewhere.example/Patient/b"), Owner::Establishment);
    }
}
