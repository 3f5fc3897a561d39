//! Which resources a summary has, and in which section.
//!
//! Rules go by status, category and code of the resource itself. What was entered in error, refuted, not done or only proposed has no place. Of results, vital
//! signs and procedures the newest few of each kind are taken.

use crate::sections::Place;
use crate::words::{codings, has_coding, instant};
use crate::{ADMINISTRATION_DAYS_MAX, OF_A_CODE_MAX, SECTION_ENTRIES_MAX};
use std::collections::{BTreeMap, HashSet};
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

const LOINC: &str = "http://loinc.org";
const OBSERVATION_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const CONSENT_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/consentcategorycodes";
const CONSENT_SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";

/// LOINC code of an Observation about tobacco by the IPS profile.
pub(crate) const TOBACCO: &str = "72166-2";
/// LOINC code of an Observation about alcohol by the IPS profile.
pub(crate) const ALCOHOL: &str = "74013-4";

/// Pregnancy status, the estimated date of delivery (value set `edd-method-uv-ips`), and counts of outcomes (`pregnancies-summary-uv-ips`).
const PREGNANCY: [&str; 13] = [
    "82810-3", "11778-8", "11779-6", "11780-4", "11636-8", "11637-6", "11638-4", "11639-2", "11640-0", "11612-9",
    "11613-7", "11614-5", "33065-4",
];

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What was chosen for a section: places in the list of resources, in the order in which they are shown.
#[derive(Default, Debug)]
pub(crate) struct Chosen {
    pub(crate) entries: Vec<usize>,
    pub(crate) older: usize,
}

/// The sections of these resources.
pub(crate) fn choose(resources: &[Json<'_>], now: Timestamp) -> BTreeMap<Place, Chosen> {
    let mut candidates: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    for (at, resource) in resources.iter().enumerate() {
        if let Some(place) = place_of(resource, now) {
            candidates.entry(place).or_default().push(at);
        }
    }
    let used: HashSet<String> = candidates
        .get(&Place::Devices)
        .into_iter()
        .flatten()
        .filter_map(|at| resources.get(*at)?.get("device")?.get_str("reference").map(str::to_owned))
        .collect();
    for (at, resource) in resources.iter().enumerate() {
        // R4: `Device.patient` is the patient to whom the device is affixed, so it is used without a statement that says it.
        let affixed = resource.resource_type() == Some("Device")
            && resource.get("patient").is_some()
            && resource.get_str("status").unwrap_or("active") == "active";
        let named = format!("Device/{}", resource.get_str("id").unwrap_or_default());
        if affixed && !used.contains(&named) {
            candidates.entry(Place::Devices).or_default().push(at);
        }
    }
    candidates.into_iter().map(|(place, entries)| (place, newest(place, entries, resources))).collect()
}

/// The order of a section, and what is left out of it.
fn newest(place: Place, mut entries: Vec<usize>, resources: &[Json<'_>]) -> Chosen {
    let Some(nothing) = resources.first() else { return Chosen::default() };
    let of = |at: &usize| resources.get(*at).unwrap_or(nothing);
    // The id decides between two of a moment: the same record gives the same summary.
    entries.sort_by_cached_key(|at| {
        let resource = of(at);
        let moment = std::cmp::Reverse(moment(resource));
        (standing(resource), moment, resource.get_str("id").unwrap_or_default().to_owned())
    });
    let all = entries.len();
    let most = match place {
        Place::Results | Place::Vitals | Place::Procedures => Some(OF_A_CODE_MAX),
        Place::Social | Place::Pregnancy => Some(1),
        _ => None,
    };
    if let Some(most) = most {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        entries.retain(|at| {
            let count = seen.entry(kind_of(of(at))).or_default();
            *count += 1;
            *count <= most
        });
    }
    entries.truncate(SECTION_ENTRIES_MAX);
    if place == Place::Results {
        // By examination, so that its values stand together; reports first.
        entries.sort_by_cached_key(|at| {
            let report = of(at).resource_type() != Some("DiagnosticReport");
            (report, kind_of(of(at)), std::cmp::Reverse(moment(of(at))))
        });
    }
    Chosen { older: all - entries.len(), entries }
}

/// What is over stands behind what is not, and what was given behind what is to be given.
fn standing(resource: &Json<'_>) -> u8 {
    if resource.resource_type() == Some("MedicationAdministration") {
        return 2;
    }
    let status = resource.get("clinicalStatus").map(|status| codings(status).any(|(_, code)| code == "active"));
    let critical = resource.get_str("criticality") == Some("high");
    match status {
        Some(true) if critical => 0,
        Some(true) | None => 1,
        Some(false) => 2,
    }
}

/// What an examination or a procedure is, so that those of one kind can be counted.
fn kind_of(resource: &Json<'_>) -> String {
    let code = resource.get("code");
    let coded = code.and_then(|code| codings(code).next().map(|(system, code)| format!("{system}|{code}")));
    let text = || code.and_then(|code| code.get_str("text")).map(str::to_owned);
    let kind = coded.or_else(text).unwrap_or_default();
    format!("{} {kind}", resource.resource_type().unwrap_or_default())
}

/// When it was, in milliseconds since the epoch; what has no date is oldest.
pub(crate) fn moment(resource: &Json<'_>) -> i64 {
    when(resource).and_then(instant).unwrap_or(i64::MIN)
}

/// The date that matters of a resource, as it was written.
pub(crate) fn when<'j>(resource: &'j Json<'_>) -> Option<&'j str> {
    const NAMES: [&str; 12] = [
        "effectiveDateTime",
        "effectiveInstant",
        "occurrenceDateTime",
        "performedDateTime",
        "timingDateTime",
        "onsetDateTime",
        "authoredOn",
        "dateTime",
        "started",
        "date",
        "issued",
        "recordedDate",
    ];
    const PERIODS: [&str; 6] =
        ["effectivePeriod", "performedPeriod", "timingPeriod", "occurrencePeriod", "onsetPeriod", "period"];
    let start = |name: &&str| {
        let period = resource.get(name)?;
        period.get_str("start").or_else(|| period.get_str("end"))
    };
    NAMES.iter().find_map(|name| resource.get_str(name)).or_else(|| PERIODS.iter().find_map(start))
}

/// The section of a resource, if it has one.
fn place_of(resource: &Json<'_>, now: Timestamp) -> Option<Place> {
    let status = resource.get_str("status").unwrap_or_default();
    let among = |statuses: &[&str]| statuses.contains(&status);
    match resource.resource_type()? {
        "Flag" => among(&["active"]).then_some(Place::Alerts),
        "AllergyIntolerance" => is_held_true(resource).then_some(Place::Allergies),
        "Condition" if !is_held_true(resource) => None,
        "Condition" if is_over(resource) => Some(Place::Past),
        "Condition" => Some(Place::Problems),
        "MedicationStatement" => among(&["active", "intended", "on-hold", "unknown"]).then_some(Place::Medications),
        "MedicationRequest" => {
            let ordered = !matches!(resource.get_str("intent"), Some("proposal" | "plan"));
            let done = resource.get("doNotPerform").and_then(Json::as_bool) != Some(true);
            (ordered && done && among(&["active", "on-hold", "unknown"])).then_some(Place::Medications)
        }
        "MedicationAdministration" => {
            let oldest = now.as_ms() - ADMINISTRATION_DAYS_MAX * DAY_MS;
            (among(&["in-progress", "on-hold", "completed"]) && moment(resource) >= oldest)
                .then_some(Place::Medications)
        }
        "Immunization" => among(&["completed", "not-done"]).then_some(Place::Immunizations),
        "Procedure" => among(&["completed", "in-progress", "on-hold", "stopped"]).then_some(Place::Procedures),
        "DeviceUseStatement" => {
            among(&["active", "intended", "on-hold", "completed", "stopped"]).then_some(Place::Devices)
        }
        "DiagnosticReport" => is_report_of_results(resource).then_some(Place::Results),
        "Observation" => observation(resource),
        "Consent" => {
            let category = ["acd", "dnr", "polst", "hcd"];
            let directive = category.iter().any(|code| has(resource, "category", CONSENT_CATEGORY, code))
                || has(resource, "scope", CONSENT_SCOPE, "adr")
                || has(resource, "category", LOINC, "42348-3");
            (directive && among(&["active"])).then_some(Place::Directives)
        }
        "CarePlan" => {
            let meant = resource.get_str("intent") != Some("proposal");
            (meant && among(&["active", "on-hold"])).then_some(Place::Plan)
        }
        "ImmunizationRecommendation" => Some(Place::Plan),
        "ClinicalImpression" => {
            let functional = has(resource, "code", LOINC, "47420-5");
            (functional && among(&["completed", "in-progress"])).then_some(Place::Functional)
        }
        "DocumentReference" if among(&["current"]) => {
            let is = |code| has(resource, "type", LOINC, code) || has(resource, "category", LOINC, code);
            let [directives, story] = ["42348-3", "81338-6"].map(is);
            directives.then_some(Place::Directives).or(story.then_some(Place::Story))
        }
        _ => None,
    }
}

fn observation(resource: &Json<'_>) -> Option<Place> {
    let status = resource.get_str("status")?;
    if matches!(status, "entered-in-error" | "cancelled" | "registered") {
        return None;
    }
    let loinc = |code: &str| has(resource, "code", LOINC, code);
    if PREGNANCY.iter().any(|code| loinc(code)) {
        return Some(Place::Pregnancy);
    }
    let category = |code: &str| has(resource, "category", OBSERVATION_CATEGORY, code);
    if loinc(TOBACCO) || loinc(ALCOHOL) || category("social-history") {
        return Some(Place::Social);
    }
    if category("vital-signs") {
        return Some(Place::Vitals);
    }
    // Answers to questionnaires and records of activity are no results of examinations, whoever wants them reads the record.
    let asked = category("survey") || category("activity") || category("therapy");
    (!asked || category("laboratory") || category("imaging")).then_some(Place::Results)
}

/// Not entered in error, and not found to be wrong.
fn is_held_true(resource: &Json<'_>) -> bool {
    let verification = resource.get("verificationStatus");
    !verification.is_some_and(|status| codings(status).any(|(_, code)| matches!(code, "entered-in-error" | "refuted")))
}

fn is_over(condition: &Json<'_>) -> bool {
    match condition.get("clinicalStatus") {
        Some(status) => codings(status).any(|(_, code)| matches!(code, "inactive" | "remission" | "resolved")),
        None => {
            condition.members().iter().any(|(name, _)| name.starts_with("abatement") || name.starts_with("_abatement"))
        }
    }
}

/// A report that tells a result, and not only that a note was written.
fn is_report_of_results(report: &Json<'_>) -> bool {
    let told = ["result", "imagingStudy", "conclusion", "conclusionCode"].iter().any(|name| report.get(name).is_some());
    told && matches!(
        report.get_str("status"),
        Some("final" | "amended" | "corrected" | "appended" | "preliminary" | "partial")
    )
}

fn has(resource: &Json<'_>, name: &str, system: &str, code: &str) -> bool {
    resource.get(name).into_iter().flat_map(Json::iter).any(|concept| has_coding(concept, system, code))
}
