//! What is missing on a sheet because it could not be read, told where somebody would look for it.

use super::{Gap, Sheet};

/// A part of a sheet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Section {
    /// Who it is.
    Identity,
    /// Alerts and the patient's decisions.
    Alerts,
    /// Allergies and intolerances.
    Allergies,
    /// Where the patient lies, and why.
    Stay,
    /// Problems.
    Problems,
    /// Treatments.
    Treatments,
    /// Vital signs and results.
    Measures,
    /// Orders and appointments.
    Orders,
    /// People to call.
    Contacts,
    /// Names of staff and of their organizations.
    Names,
    /// Nobody knows of what kind it is: it may be missing anywhere.
    Unknown,
}

impl Section {
    /// Where a record of this type would be told.
    pub fn of(resource_type: &str) -> Self {
        match resource_type {
            "Patient" => Self::Identity,
            "Flag" | "Consent" => Self::Alerts,
            "AllergyIntolerance" => Self::Allergies,
            "Encounter" | "Location" => Self::Stay,
            "Condition" => Self::Problems,
            "MedicationRequest" | "MedicationStatement" | "MedicationAdministration" | "Medication" => Self::Treatments,
            "Observation" => Self::Measures,
            "ServiceRequest" | "DeviceRequest" | "NutritionOrder" | "Appointment" => Self::Orders,
            "RelatedPerson" => Self::Contacts,
            "Practitioner" | "PractitionerRole" | "Organization" => Self::Names,
            _ => Self::Unknown,
        }
    }
}

impl Sheet {
    /// Says that something could not be read that would be told in these parts.
    pub fn lacks(&mut self, sections: impl IntoIterator<Item = Section>) {
        self.missing.extend(sections);
        if !self.missing.is_empty() && !self.gaps.contains(&Gap::Unreadable) {
            self.gaps.push(Gap::Unreadable);
        }
    }

    /// Whether something may be missing in a part.
    pub fn may_lack(&self, section: Section) -> bool {
        self.missing.contains(&section) || self.missing.contains(&Section::Unknown)
    }
}
