//! The sections of a summary: their codes, titles and order.
//!
//! Codes and the names of codes are those of the IPS Composition profile and of the examples of its package.

use crate::Language;

/// A section of the summary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// What everybody must know before they act.
    Alerts,
    /// Allergies and intolerances.
    Allergies,
    /// What the patient takes, or is given.
    Medications,
    /// Problems that are not over.
    Problems,
    /// Wishes laid down in advance.
    Directives,
    /// Vaccinations.
    Immunizations,
    /// Procedures.
    Procedures,
    /// Devices in or on the patient.
    Devices,
    /// Results of examinations.
    Results,
    /// Vital signs.
    Vitals,
    /// Pregnancies.
    Pregnancy,
    /// Problems that are over.
    Past,
    /// What the patient can do alone.
    Functional,
    /// Tobacco, alcohol and other circumstances.
    Social,
    /// What is planned.
    Plan,
    /// What the patient wants to be known.
    Story,
}

/// Types of resources from which a summary is made: those of its sections and those that they refer to.
pub const TYPES: &[&str] = &[
    "AllergyIntolerance",
    "CarePlan",
    "ClinicalImpression",
    "Condition",
    "Consent",
    "Device",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentReference",
    "Flag",
    "ImagingStudy",
    "Immunization",
    "ImmunizationRecommendation",
    "Medication",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Specimen",
];

impl Place {
    /// Every section, in the order of the document.
    pub const ALL: [Self; 16] = [
        Self::Alerts,
        Self::Allergies,
        Self::Medications,
        Self::Problems,
        Self::Directives,
        Self::Immunizations,
        Self::Procedures,
        Self::Devices,
        Self::Results,
        Self::Vitals,
        Self::Pregnancy,
        Self::Past,
        Self::Functional,
        Self::Social,
        Self::Plan,
        Self::Story,
    ];

    /// Whether it is in every summary, if only to say that nothing is recorded. The guide asks for the first three and recommends the others.
    pub fn is_always_there(self) -> bool {
        matches!(
            self,
            Self::Allergies
                | Self::Medications
                | Self::Problems
                | Self::Immunizations
                | Self::Results
                | Self::Procedures
                | Self::Devices
        )
    }

    /// Its LOINC code and the name of that.
    pub fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::Alerts => ("104605-1", "Alert"),
            Self::Allergies => ("48765-2", "Allergies and adverse reactions Document"),
            Self::Medications => ("10160-0", "History of Medication use Narrative"),
            Self::Problems => ("11450-4", "Problem list - Reported"),
            Self::Directives => ("42348-3", "Advance healthcare directives"),
            Self::Immunizations => ("11369-6", "History of Immunization note"),
            Self::Procedures => ("47519-4", "History of Procedures Document"),
            Self::Devices => ("46264-8", "History of medical device use"),
            Self::Results => ("30954-2", "Relevant diagnostic tests/laboratory data note"),
            Self::Vitals => ("8716-3", "Vital signs note"),
            Self::Pregnancy => ("10162-6", "History of pregnancies Narrative"),
            Self::Past => ("11348-0", "History of Past illness note"),
            Self::Functional => ("47420-5", "Functional status assessment note"),
            Self::Social => ("29762-2", "Social history note"),
            Self::Plan => ("18776-5", "Plan of care note"),
            Self::Story => ("81338-6", "Patient Goals, preferences, and priorities for care experience"),
        }
    }

    /// Its title.
    pub fn title(self, language: Language) -> &'static str {
        language.of(match self {
            Self::Alerts => ("Alertes", "Alerts"),
            Self::Allergies => ("Allergies et intolérances", "Allergies and intolerances"),
            Self::Medications => ("Traitements médicamenteux", "Medication summary"),
            Self::Problems => ("Problèmes en cours", "Problem list"),
            Self::Directives => ("Directives anticipées", "Advance directives"),
            Self::Immunizations => ("Vaccinations", "Immunizations"),
            Self::Procedures => ("Actes et interventions", "History of procedures"),
            Self::Devices => ("Dispositifs médicaux", "Medical devices"),
            Self::Results => ("Résultats d’examens", "Results"),
            Self::Vitals => ("Constantes", "Vital signs"),
            Self::Pregnancy => ("Grossesses", "History of pregnancy"),
            Self::Past => ("Antécédents", "History of past problems"),
            Self::Functional => ("Autonomie", "Functional status"),
            Self::Social => ("Habitudes et mode de vie", "Social history"),
            Self::Plan => ("Soins prévus", "Plan of care"),
            Self::Story => ("Souhaits du patient", "Patient story"),
        })
    }

    /// What stands where nothing is recorded: never that there is nothing.
    pub fn nothing(self, language: Language) -> &'static str {
        language.of(match self {
            Self::Allergies => (
                "Aucune information sur des allergies ou intolérances n’est disponible ici. Cela ne veut pas dire qu’il n’y en a pas.",
                "No information about allergies or intolerances is available here. This does not mean that there are none.",
            ),
            Self::Medications => (
                "Aucune information sur un traitement en cours n’est disponible ici. Cela ne veut pas dire qu’il n’y en a pas.",
                "No information about current medication is available here. This does not mean that there is none.",
            ),
            Self::Problems => (
                "Aucune information sur des problèmes en cours n’est disponible ici. Cela ne veut pas dire qu’il n’y en a pas.",
                "No information about current problems is available here. This does not mean that there are none.",
            ),
            _ => (
                "Aucune information n’est disponible ici. Cela ne veut pas dire qu’il n’y a rien.",
                "No information is available here. This does not mean that there is nothing.",
            ),
        })
    }
}
