//! What kind of record a resource type is: the words in which policies speak of records.

use crate::situation::named;
use std::fmt;
use std::sync::LazyLock;
use tacet_types::{ResourceType, TypeSet};

named! {
    /// A kind of record. Every resource type of R4 is of one.
    Category {
        /// Who the patient is and how to reach them.
        Demographics = "demographics",
        /// Which records are of the same person, and which patients work here.
        Identities = "identities",
        /// Stays and visits.
        Encounters = "encounters",
        /// When the patient comes.
        Appointments = "appointments",
        /// Diagnoses, problems, risks, family history.
        Problems = "problems",
        /// Allergies and intolerances.
        Allergies = "allergies",
        /// Prescriptions, dispensing, administration, immunizations.
        Medications = "medications",
        /// Results of the laboratory and other measurements.
        Results = "results",
        /// Images and their studies.
        Imaging = "imaging",
        /// What was done.
        Procedures = "procedures",
        /// Letters, reports, forms, messages between carers.
        Documents = "documents",
        /// Plans, goals, care teams, alerts.
        Plans = "plans",
        /// Orders, and tasks to carry them out.
        Orders = "orders",
        /// What the patient agreed to.
        Consents = "consents",
        /// Coverage, claims, invoices.
        Financial = "financial",
        /// Deliveries and devices.
        Logistics = "logistics",
        /// Taking part in studies.
        Research = "research",
        /// Where records come from.
        Traces = "traces",
        /// Who touched records, as other systems tell it.
        Audit = "audit",
        /// Opening hours of staff and rooms; lists of those on call.
        Agenda = "agenda",
        /// Staff, places, organisations.
        Directory = "directory",
        /// What is the same for every patient: terminology, profiles, catalogues, protocols.
        Definitions = "definitions",
        /// Who is to be told of changes.
        Subscriptions = "subscriptions",
        /// What may hold anything: whole bundles, files, lists, groups.
        Unfiled = "unfiled",
    }
}

/// The types of each category; what is named nowhere is unfiled.
const TYPES: &[(Category, &[&str])] = &[
    (Category::Demographics, &["Patient", "RelatedPerson"]),
    (Category::Identities, &["Person", "Linkage"]),
    (Category::Encounters, &["Encounter", "EpisodeOfCare"]),
    (Category::Appointments, &["Appointment", "AppointmentResponse"]),
    (
        Category::Problems,
        &["Condition", "ClinicalImpression", "RiskAssessment", "FamilyMemberHistory", "DetectedIssue", "AdverseEvent"],
    ),
    (Category::Allergies, &["AllergyIntolerance"]),
    (
        Category::Medications,
        &[
            "MedicationRequest",
            "MedicationStatement",
            "MedicationAdministration",
            "MedicationDispense",
            "Immunization",
            "ImmunizationEvaluation",
            "ImmunizationRecommendation",
        ],
    ),
    (Category::Results, &["Observation", "DiagnosticReport", "Specimen", "MolecularSequence", "BodyStructure"]),
    (Category::Imaging, &["ImagingStudy", "Media"]),
    (Category::Procedures, &["Procedure", "DeviceUseStatement", "BiologicallyDerivedProduct"]),
    (
        Category::Documents,
        &[
            "Composition",
            "DocumentReference",
            "DocumentManifest",
            "QuestionnaireResponse",
            "Communication",
            "GuidanceResponse",
        ],
    ),
    (Category::Plans, &["CarePlan", "CareTeam", "Goal", "Flag", "RequestGroup"]),
    (
        Category::Orders,
        &[
            "ServiceRequest",
            "DeviceRequest",
            "NutritionOrder",
            "VisionPrescription",
            "CommunicationRequest",
            "SupplyRequest",
            "Task",
        ],
    ),
    (Category::Consents, &["Consent", "Contract"]),
    (
        Category::Financial,
        &[
            "Account",
            "ChargeItem",
            "Claim",
            "ClaimResponse",
            "Coverage",
            "CoverageEligibilityRequest",
            "CoverageEligibilityResponse",
            "EnrollmentRequest",
            "EnrollmentResponse",
            "ExplanationOfBenefit",
            "Invoice",
            "PaymentNotice",
            "PaymentReconciliation",
        ],
    ),
    (Category::Logistics, &["Device", "DeviceMetric", "SupplyDelivery"]),
    (Category::Research, &["ResearchSubject", "MeasureReport"]),
    (Category::Traces, &["Provenance", "VerificationResult"]),
    (Category::Audit, &["AuditEvent"]),
    (Category::Agenda, &["Schedule", "Slot"]),
    (
        Category::Directory,
        &[
            "Practitioner",
            "PractitionerRole",
            "Organization",
            "OrganizationAffiliation",
            "Location",
            "HealthcareService",
            "Endpoint",
            "InsurancePlan",
        ],
    ),
    (
        Category::Definitions,
        &[
            "ActivityDefinition",
            "CapabilityStatement",
            "CatalogEntry",
            "ChargeItemDefinition",
            "CodeSystem",
            "CompartmentDefinition",
            "ConceptMap",
            "DeviceDefinition",
            "EffectEvidenceSynthesis",
            "EventDefinition",
            "Evidence",
            "EvidenceVariable",
            "ExampleScenario",
            "GraphDefinition",
            "ImplementationGuide",
            "Library",
            "Measure",
            "Medication",
            "MedicationKnowledge",
            "MedicinalProduct",
            "MedicinalProductAuthorization",
            "MedicinalProductContraindication",
            "MedicinalProductIndication",
            "MedicinalProductIngredient",
            "MedicinalProductInteraction",
            "MedicinalProductManufactured",
            "MedicinalProductPackaged",
            "MedicinalProductPharmaceutical",
            "MedicinalProductUndesirableEffect",
            "MessageDefinition",
            "NamingSystem",
            "ObservationDefinition",
            "OperationDefinition",
            "PlanDefinition",
            "Questionnaire",
            "ResearchDefinition",
            "ResearchElementDefinition",
            "ResearchStudy",
            "RiskEvidenceSynthesis",
            "SearchParameter",
            "SpecimenDefinition",
            "StructureDefinition",
            "StructureMap",
            "Substance",
            "SubstanceNucleicAcid",
            "SubstancePolymer",
            "SubstanceProtein",
            "SubstanceReferenceInformation",
            "SubstanceSourceMaterial",
            "SubstanceSpecification",
            "TerminologyCapabilities",
            "TestReport",
            "TestScript",
            "ValueSet",
        ],
    ),
    (Category::Subscriptions, &["Subscription"]),
    (
        Category::Unfiled,
        &["Basic", "Binary", "Bundle", "Group", "List", "MessageHeader", "OperationOutcome", "Parameters"],
    ),
];

static OF: LazyLock<[Category; ResourceType::COUNT]> = LazyLock::new(|| {
    let mut of = [Category::Unfiled; ResourceType::COUNT];
    for (category, names) in TYPES {
        for resource_type in names.iter().filter_map(|name| ResourceType::parse(name)) {
            if let Some(place) = of.get_mut(usize::from(resource_type.code())) {
                *place = *category;
            }
        }
    }
    of
});

impl Category {
    /// The category of a resource type.
    pub fn of(resource_type: ResourceType) -> Self {
        OF.get(usize::from(resource_type.code())).copied().unwrap_or(Self::Unfiled)
    }

    /// The types of this category.
    pub fn types(self) -> TypeSet {
        TypeSet::of(ResourceType::all().filter(|resource_type| Self::of(*resource_type) == self))
    }

    /// Whether records of this category lie ahead: only of these do policies learn whether they do.
    pub fn is_planned(self) -> bool {
        matches!(self, Self::Encounters | Self::Appointments)
    }

    /// The group that policies may name instead of each category of it.
    pub fn group(self) -> &'static str {
        match self {
            Self::Problems
            | Self::Allergies
            | Self::Medications
            | Self::Results
            | Self::Imaging
            | Self::Procedures
            | Self::Documents
            | Self::Plans
            | Self::Orders => "clinical",
            Self::Demographics | Self::Encounters | Self::Appointments | Self::Financial | Self::Consents => {
                "administrative"
            }
            Self::Directory | Self::Agenda | Self::Definitions => "common",
            Self::Logistics | Self::Research | Self::Traces | Self::Unfiled => "background",
            Self::Identities | Self::Audit | Self::Subscriptions => "system",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_of_exactly_one_category() {
        for resource_type in ResourceType::all() {
            let named =
                TYPES.iter().flat_map(|(_, names)| names.iter()).filter(|name| **name == resource_type.as_str());
            assert_eq!(named.count(), 1, "{resource_type}");
        }
        for (category, names) in TYPES {
            for name in *names {
                assert_eq!(ResourceType::parse(name).map(Category::of), Some(*category), "{name}");
            }
            assert_eq!(Category::parse(category.as_str()), Some(*category));
            assert_eq!(category.types().iter().count(), names.len());
        }
    }
}
