//! When care was given, by what a record says of it, not by when it was stored: `start` and `end` of `$everything`
//! (<https://hl7.org/fhir/R4/operation-patient-everything.html>).
//!
//! A record without any such date, and a type that has none (patients, allergies, devices, cover), belongs to every time: leaving it out
//! could hide what matters.

use std::collections::BTreeSet;
use tacet_fhir::search::{ParameterId, parameter};
use tacet_search::document::Key;
use tacet_search::filter::{Comparison, Filter, Test};
use tacet_types::{ResourceType, Timestamp};

/// The search parameters that say when care was given, for each type. A record is in time if one of its dates is.
const CARE_DATES: [(&str, &[&str]); 42] = [
    ("AdverseEvent", &["date"]),
    ("Appointment", &["date"]),
    ("CarePlan", &["date"]),
    ("CareTeam", &["date"]),
    ("ChargeItem", &["occurrence"]),
    ("Claim", &["created"]),
    ("ClinicalImpression", &["date"]),
    ("Communication", &["sent", "received"]),
    ("CommunicationRequest", &["occurrence", "authored"]),
    ("Composition", &["date", "period"]),
    ("Consent", &["date"]),
    ("DetectedIssue", &["identified"]),
    ("DeviceRequest", &["authored-on", "event-date"]),
    ("DiagnosticReport", &["date"]),
    ("DocumentManifest", &["created"]),
    ("DocumentReference", &["date", "period"]),
    ("Encounter", &["date"]),
    ("EpisodeOfCare", &["date"]),
    ("ExplanationOfBenefit", &["created"]),
    ("FamilyMemberHistory", &["date"]),
    ("Flag", &["date"]),
    ("Goal", &["start-date", "target-date"]),
    ("ImagingStudy", &["started"]),
    ("Immunization", &["date"]),
    ("Invoice", &["date"]),
    ("List", &["date"]),
    ("MeasureReport", &["date", "period"]),
    ("Media", &["created"]),
    ("MedicationAdministration", &["effective-time"]),
    ("MedicationDispense", &["whenprepared", "whenhandedover"]),
    ("MedicationRequest", &["authoredon", "date"]),
    ("MedicationStatement", &["effective"]),
    ("NutritionOrder", &["datetime"]),
    ("Observation", &["date"]),
    ("Procedure", &["date"]),
    ("QuestionnaireResponse", &["authored"]),
    ("RequestGroup", &["authored"]),
    ("RiskAssessment", &["date"]),
    ("ServiceRequest", &["authored", "occurrence"]),
    ("Specimen", &["collected"]),
    ("Task", &["authored-on", "period"]),
    ("VisionPrescription", &["datewritten"]),
];

/// A time of care, both ends included, in milliseconds since 1970.
pub(super) struct Care {
    low_ms: i64,
    high_ms: i64,
}

impl Care {
    /// None: any time.
    pub(super) fn between(start: Option<Timestamp>, before: Option<Timestamp>) -> Option<Self> {
        (start.is_some() || before.is_some()).then(|| Self {
            low_ms: start.map_or(i64::MIN, Timestamp::as_ms),
            high_ms: before.map_or(i64::MAX, |before| before.as_ms().saturating_sub(1)),
        })
    }

    /// Those of these records that are in time. `keys` are sorted.
    pub(super) fn filter(&self, keys: Vec<Key>) -> Filter {
        let types: BTreeSet<ResourceType> = keys.iter().map(|key| key.resource_type).collect();
        let any = types.into_iter().map(|resource_type| match self.of_type(resource_type) {
            Some(in_time) => Filter::All(vec![Filter::Types(vec![resource_type]), in_time]),
            None => Filter::Types(vec![resource_type]),
        });
        Filter::All(vec![Filter::Any(any.collect()), Filter::Keys(keys)])
    }

    /// What holds for a record of this type that is in time. None: each is.
    fn of_type(&self, resource_type: ResourceType) -> Option<Filter> {
        let date = |code: &str| parameter(resource_type, code);
        let within = |id: ParameterId, low, high| Filter::Value(id, Test::Date(Comparison::Approximately, low, high));
        if resource_type.as_str() == "Condition" {
            // A disease lasts from its onset until it has abated, which many never do.
            let unless = |id: ParameterId, low, high| {
                Filter::Any(vec![within(id, low, high), Filter::Not(Box::new(Filter::Present(id)))])
            };
            let (onset, abatement) = (date("onset-date")?, date("abatement-date")?);
            let (low, high) = (self.low_ms, self.high_ms);
            return Some(Filter::All(vec![unless(onset, i64::MIN, high), unless(abatement, low, i64::MAX)]));
        }
        let (_, codes) = CARE_DATES.iter().find(|(name, _)| *name == resource_type.as_str())?;
        let dates: Vec<ParameterId> = codes.iter().filter_map(|code| date(code)).collect();
        let undated = Filter::Not(Box::new(Filter::Any(dates.iter().copied().map(Filter::Present).collect())));
        let mut any: Vec<Filter> = dates.into_iter().map(|id| within(id, self.low_ms, self.high_ms)).collect();
        any.push(undated);
        Some(Filter::Any(any))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::search::ParameterType;

    #[test]
    fn the_dates_are_search_parameters_of_r4() {
        let condition = [("Condition", &["onset-date", "abatement-date"][..])];
        for (name, codes) in CARE_DATES.into_iter().chain(condition) {
            let resource_type = ResourceType::parse(name).unwrap();
            for code in codes {
                let id = parameter(resource_type, code).unwrap_or_else(|| panic!("{name}:{code}"));
                assert_eq!(id.parameter().parameter_type, ParameterType::Date, "{name}:{code}");
            }
        }
    }
}
