//! Which of a patient's records count now: allergies, problems, treatments, results. What was entered in error or refuted never does.
//!
//! ```text
//! resources (JSON) ── Dossier ──> allergies, problems, treatments, .. : the records themselves, in an order that people expect
//! ```
//!
//! What is said of a record (texts, doses) is [`crate::sheet`]'s matter; here is only which records, so that a paper pack and a patient summary agree.

use crate::read::{concept_key, each, has_code, moment, target};
use std::collections::HashMap;
use std::sync::Arc;
use tacet_fhir::json::Json;

/// Codes that say that there is no allergy, or none of a kind: SNOMED CT's situations, and those of the International Patient Summary
/// (<https://hl7.org/fhir/uv/ips/CodeSystem-absent-unknown-uv-ips.html>).
const NO_ALLERGY: [&str; 8] = [
    "716186003",
    "409137002",
    "429625007",
    "428607008",
    "no-known-allergies",
    "no-known-medication-allergies",
    "no-known-environmental-allergies",
    "no-known-food-allergies",
];

/// Codes that say that nobody knows: as if nothing were recorded.
const NOT_KNOWN: [&str; 3] = ["no-allergy-info", "no-problem-info", "no-medication-info"];

/// Codes that say that there is no problem: SNOMED CT, and the International Patient Summary.
const NO_PROBLEM: [&str; 2] = ["160245001", "no-known-problems"];

/// Codes that say that there is no treatment: SNOMED CT, and the International Patient Summary.
const NO_TREATMENT: [&str; 2] = ["787481004", "no-known-medications"];

/// The records of one patient, with what they refer to where that is known.
pub struct Dossier<'a> {
    resources: Vec<Json<'a>>,
    by_reference: HashMap<String, usize>,
    shared: Option<Arc<Dossier<'a>>>,
}

impl<'a> Dossier<'a> {
    /// Over these resources, in any order. Those without a type are never found.
    pub fn new(resources: Vec<Json<'a>>) -> Self {
        let key = |resource: &Json<'_>| Some(format!("{}/{}", resource.resource_type()?, resource.get_str("id")?));
        let by_reference =
            resources.iter().enumerate().filter_map(|(place, resource)| Some((key(resource)?, place))).collect();
        Self { resources, by_reference, shared: None }
    }

    /// Over these resources of a patient; what they refer to is looked for among the shared ones too, which are of nobody: staff, places, medications.
    pub fn over(resources: Vec<Json<'a>>, shared: Arc<Dossier<'a>>) -> Self {
        Self { shared: Some(shared), ..Self::new(resources) }
    }

    /// The records of a type.
    pub fn each<'s>(&'s self, resource_type: &'s str) -> impl Iterator<Item = &'s Json<'a>> {
        self.resources.iter().filter(move |resource| resource.resource_type() == Some(resource_type))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// What a reference of `holder` means: a resource in it, or one of the dossier.
    pub fn resolve<'s>(&'s self, holder: &'s Json<'a>, reference: &Json<'_>) -> Option<&'s Json<'a>> {
        let text = reference.get_str("reference")?;
        if let Some(local) = text.strip_prefix('#') {
            return each(holder, "contained").iter().find(|inner| inner.get_str("id") == Some(local));
        }
        let wanted = target(reference)?;
        let here = self.by_reference.get(&wanted).and_then(|place| self.resources.get(*place));
        here.or_else(|| {
            let shared = self.shared.as_deref()?;
            shared.by_reference.get(&wanted).and_then(|place| shared.resources.get(*place))
        })
    }
}

/// What is recorded of a kind of thing. No record at all is neither yes nor no.
#[derive(Default)]
pub struct Stated<'s, 'a> {
    /// What there is.
    pub known: Vec<&'s Json<'a>>,
    /// Records that say that there is none.
    pub none: Vec<&'s Json<'a>>,
}

impl Stated<'_, '_> {
    /// Whether somebody recorded something, be it that there is nothing.
    pub fn is_recorded(&self) -> bool {
        !self.known.is_empty() || !self.none.is_empty()
    }
}

/// Whether a record was withdrawn, by either way of FHIR.
pub fn is_withdrawn(record: &Json<'_>) -> bool {
    has_code(record.get("status"), &["entered-in-error"])
        || has_code(record.get("verificationStatus"), &["entered-in-error", "refuted"])
}

/// When a record was written down or happened, in milliseconds; those without a date are oldest.
pub fn recorded_ms(record: &Json<'_>, names: &[&str]) -> i64 {
    moment(record, names).map_or(i64::MIN, |when| when.as_ms())
}

/// Allergies and intolerances that last, the dangerous ones first, then the latest
/// (<https://hl7.org/fhir/R4/allergyintolerance.html>).
pub fn allergies<'s, 'a>(dossier: &'s Dossier<'a>) -> Stated<'s, 'a> {
    let lasts = |record: &&Json<'_>| {
        !is_withdrawn(record) && !has_code(record.get("clinicalStatus"), &["inactive", "resolved"])
    };
    let mut stated = split(dossier.each("AllergyIntolerance").filter(lasts), &NO_ALLERGY);
    stated.known.sort_by_key(|record| {
        let grave = record.get_str("criticality") == Some("high")
            || each(record, "reaction").iter().any(|reaction| reaction.get_str("severity") == Some("severe"));
        (!grave, std::cmp::Reverse(recorded_ms(record, &["recordedDate", "onsetDateTime"])))
    });
    stated
}

/// Problems that last, the listed ones before the diagnoses of stays, then the latest; the same code once
/// (<https://hl7.org/fhir/R4/condition.html>).
pub fn problems<'s, 'a>(dossier: &'s Dossier<'a>) -> Stated<'s, 'a> {
    let lasts = |record: &&Json<'_>| {
        let over = has_code(record.get("clinicalStatus"), &["inactive", "remission", "resolved"]);
        !is_withdrawn(record) && !over && record.get("abatementDateTime").is_none()
    };
    let mut stated = split(dossier.each("Condition").filter(lasts), &NO_PROBLEM);
    stated.known.sort_by_key(|record| {
        let listed = each(record, "category").iter().any(|one| has_code(Some(one), &["problem-list-item"]));
        (!listed, std::cmp::Reverse(recorded_ms(record, &["recordedDate", "onsetDateTime", "onsetPeriod"])))
    });
    let mut seen = std::collections::HashSet::new();
    stated.known.retain(|record| record.get("code").and_then(concept_key).is_none_or(|key| seen.insert(key)));
    stated
}

/// Orders of medication in force, and those that rest, the latest first (<https://hl7.org/fhir/R4/medicationrequest.html>). Proposals and
/// plans are none.
pub fn prescriptions<'s, 'a>(dossier: &'s Dossier<'a>) -> Vec<&'s Json<'a>> {
    let counts = |record: &&Json<'_>| {
        let ordered = !matches!(record.get_str("intent"), Some("proposal" | "plan" | "option"));
        ordered && matches!(record.get_str("status"), Some("active" | "on-hold"))
    };
    let mut found: Vec<_> = dossier.each("MedicationRequest").filter(counts).collect();
    found.sort_by_key(|record| std::cmp::Reverse(recorded_ms(record, &["authoredOn"])));
    found
}

/// What the patient takes, as somebody said, the latest first (<https://hl7.org/fhir/R4/medicationstatement.html>).
pub fn taken<'s, 'a>(dossier: &'s Dossier<'a>) -> Stated<'s, 'a> {
    let counts = |record: &&Json<'_>| matches!(record.get_str("status"), Some("active" | "intended" | "on-hold"));
    let mut stated = Stated::default();
    for record in dossier.each("MedicationStatement").filter(counts) {
        match record.get("medicationCodeableConcept") {
            code if has_code(code, &NO_TREATMENT) => stated.none.push(record),
            code if has_code(code, &NOT_KNOWN) => {}
            _ => stated.known.push(record),
        }
    }
    let dates = ["effectiveDateTime", "effectivePeriod", "dateAsserted"];
    stated.known.sort_by_key(|record| std::cmp::Reverse(recorded_ms(record, &dates)));
    stated
}

/// The moment of an observation: when it was true, or else when it was made known.
pub const OBSERVED: [&str; 5] =
    ["effectiveDateTime", "effectiveInstant", "effectivePeriod", "effectiveTiming", "issued"];

/// Kinds of observations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measured {
    /// Of the category `vital-signs`.
    VitalSigns,
    /// Of the laboratory, and everything else but what a person told of their life.
    Results,
}

/// The latest observation of each code with the one before it, the latest first. Preliminary ones count; cancelled ones do not
/// (<https://hl7.org/fhir/R4/observation.html>).
pub fn latest<'s, 'a>(dossier: &'s Dossier<'a>, kind: Measured) -> Vec<(&'s Json<'a>, Option<&'s Json<'a>>)> {
    let of_kind = |record: &&Json<'_>| {
        let is = |code: &str| each(record, "category").iter().any(|one| has_code(Some(one), &[code]));
        let counts = matches!(record.get_str("status"), Some("final" | "amended" | "corrected" | "preliminary"));
        counts
            && match kind {
                Measured::VitalSigns => is("vital-signs"),
                Measured::Results => !is("vital-signs") && !is("social-history") && !is("survey"),
            }
    };
    let mut by_code: HashMap<String, (&Json<'_>, Option<&Json<'_>>)> = HashMap::new();
    let mut found: Vec<&'s Json<'a>> = dossier.each("Observation").filter(of_kind).collect();
    found.sort_by_key(|record| std::cmp::Reverse(recorded_ms(record, &OBSERVED)));
    for record in found {
        let Some(key) = record.get("code").and_then(concept_key) else { continue };
        by_code.entry(key).and_modify(|(_, before)| *before = before.or(Some(record))).or_insert((record, None));
    }
    let mut latest: Vec<_> = by_code.into_values().collect();
    latest.sort_by(|(one, _), (other, _)| {
        let key = |record: &Json<'_>| std::cmp::Reverse(recorded_ms(record, &OBSERVED));
        key(one).cmp(&key(other)).then_with(|| one.get_str("id").cmp(&other.get_str("id")))
    });
    latest
}

/// Flags in force (<https://hl7.org/fhir/R4/flag.html>).
pub fn flags<'s, 'a>(dossier: &'s Dossier<'a>) -> impl Iterator<Item = &'s Json<'a>> {
    dossier.each("Flag").filter(|flag| flag.get_str("status") == Some("active"))
}

fn split<'s, 'a>(records: impl Iterator<Item = &'s Json<'a>>, none: &[&str]) -> Stated<'s, 'a>
where
    'a: 's,
{
    let mut stated = Stated::default();
    for record in records {
        match record.get("code") {
            code if has_code(code, none) => stated.none.push(record),
            code if has_code(code, &NOT_KNOWN) => {}
            _ => stated.known.push(record),
        }
    }
    stated
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    fn dossier<'a>(texts: &[&'a str]) -> Dossier<'a> {
        Dossier::new(texts.iter().map(|text| parse_str(text, &Limits::default()).unwrap()).collect())
    }

    fn ids<'a>(records: impl IntoIterator<Item = &'a Json<'a>>) -> Vec<&'a str> {
        records.into_iter().filter_map(|record| record.get_str("id")).collect()
    }

    #[test]
    fn no_allergy_recorded_is_not_no_known_allergy() {
        let nothing = dossier(&[]);
        assert!(!allergies(&nothing).is_recorded());
        let denied =
            dossier(&[r#"{"resourceType":"AllergyIntolerance","id":"n","code":{"coding":[{"code":"716186003"}]}}"#]);
        let stated = allergies(&denied);
        assert!(stated.known.is_empty() && stated.none.len() == 1 && stated.is_recorded());
        let unknown = dossier(&[
            r#"{"resourceType":"AllergyIntolerance","id":"u","code":{"coding":[{"code":"no-allergy-info"}]}}"#,
        ]);
        assert!(!allergies(&unknown).is_recorded());
    }

    #[test]
    fn what_is_over_or_withdrawn_does_not_count() {
        let status = |code: &str, verified: &str, id: &str| {
            format!(
                r#"{{"resourceType":"AllergyIntolerance","id":"{id}","clinicalStatus":{{"coding":[{{"code":"{code}"}}]}},"verificationStatus":{{"coding":[{{"code":"{verified}"}}]}},"code":{{"text":"{id}"}}}}"#
            )
        };
        let texts = [
            status("active", "confirmed", "a"),
            status("resolved", "confirmed", "b"),
            status("active", "refuted", "c"),
            status("active", "entered-in-error", "d"),
            status("active", "unconfirmed", "e")
                .replace("\"code\":{\"text\"", "\"criticality\":\"high\",\"code\":{\"text\""),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let all = dossier(&texts);
        assert_eq!(ids(allergies(&all).known), ["e", "a"], "the dangerous one is first");
    }

    #[test]
    fn the_latest_of_each_code_with_the_one_before() {
        let observation = |id: &str, code: &str, at: &str, status: &str| {
            format!(
                r#"{{"resourceType":"Observation","id":"{id}","status":"{status}","category":[{{"coding":[{{"code":"laboratory"}}]}}],"code":{{"coding":[{{"system":"s","code":"{code}"}}]}},"effectiveDateTime":"{at}"}}"#
            )
        };
        let texts = [
            observation("1", "K", "2026-03-01T08:00:00Z", "final"),
            observation("2", "K", "2026-03-02T08:00:00+01:00", "final"),
            observation("3", "K", "2026-03-03T08:00:00Z", "cancelled"),
            observation("4", "Na", "2026-03-02T12:00:00Z", "preliminary"),
            observation("5", "K", "2026-02-01", "final"),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let all = dossier(&texts);
        let found: Vec<_> = latest(&all, Measured::Results)
            .into_iter()
            .map(|(now, before)| (now.get_str("id").unwrap(), before.and_then(|one| one.get_str("id"))))
            .collect();
        assert_eq!(found, [("4", None), ("2", Some("1"))]);
        assert!(latest(&all, Measured::VitalSigns).is_empty());
    }
}
