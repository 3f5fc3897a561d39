//! What is to be known before anything is done: alerts, allergies, problems.

use super::{Allergy, Asked, Known, Listed, Problem};
use crate::read::{DAY_MS, When, concept, each, has_code, moment};
use crate::select::{self, Dossier, Stated};
use tacet_fhir::json::Json;

/// What the ward is to know at once: flags, and what the patient refused or decided ahead.
pub(super) fn alerts(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Vec<String> {
    let over = |one: &Json<'_>| {
        let end = one.get("period").and_then(|period| period.get_str("end")).and_then(When::parse);
        end.is_some_and(|end| end.as_ms() + DAY_MS <= asked.now.as_ms())
    };
    let mut alerts: Vec<(bool, String)> = Vec::new();
    for flag in select::flags(dossier).filter(|flag| !over(flag)) {
        let Some(what) = flag.get("code").and_then(concept) else { continue };
        // Of the running of the hospital, not of safety: after the others.
        let minor =
            each(flag, "category").iter().any(|one| has_code(Some(one), &["admin", "administrative", "contact"]));
        alerts.push((minor, what));
    }
    // Consents that limit care, not the sharing of records (<https://hl7.org/fhir/R4/valueset-consent-scope.html>).
    for consent in dossier.each("Consent").filter(|one| one.get_str("status") == Some("active")) {
        let about_care = has_code(consent.get("scope"), &["adr", "treatment"]);
        let ahead = each(consent, "category")
            .iter()
            .find(|one| has_code(Some(one), &["acd", "dnr", "emrgonly", "hcd", "polst"]));
        if !about_care && ahead.is_none() {
            continue;
        }
        let provision = consent.get("provision");
        let refuses = provision.and_then(|one| one.get_str("type")) == Some("deny");
        let what: Vec<String> =
            provision.into_iter().flat_map(|one| each(one, "code")).filter_map(concept).take(4).collect();
        let what = if what.is_empty() { ahead.and_then(concept) } else { Some(what.join(", ")) };
        let what = what
            .or_else(|| consent.get("policyRule").and_then(concept))
            .or_else(|| consent.get("scope").and_then(concept));
        let Some(what) = what else { continue };
        let telling = asked.telling;
        let kind = if refuses {
            telling.of("Refus de soins", "Refuses")
        } else {
            telling.of("Volonté du patient", "Patient’s will")
        };
        alerts.push((false, format!("{kind} : {what}")));
    }
    alerts.sort();
    alerts.dedup();
    alerts.into_iter().map(|(_, what)| what).collect()
}

pub(super) fn known<'s, 'a, T>(
    stated: &Stated<'s, 'a>,
    max: usize,
    of: impl Fn(&'s Json<'a>) -> Option<T>,
) -> Known<T> {
    if !stated.known.is_empty() {
        return Known::Some(Listed::of(stated.known.iter().filter_map(|record| of(record)), max));
    }
    if stated.none.is_empty() {
        return Known::NotRecorded;
    }
    Known::None(stated.none.iter().filter_map(|record| record.get("code").and_then(concept)).take(4).collect())
}

pub(super) fn allergy(record: &Json<'_>) -> Allergy {
    let reactions = || each(record, "reaction").iter();
    let substance = || reactions().find_map(|reaction| reaction.get("substance").and_then(concept));
    let mut told: Vec<String> = reactions().flat_map(|one| each(one, "manifestation")).filter_map(concept).collect();
    told.dedup();
    told.truncate(5);
    Allergy {
        what: record.get("code").and_then(concept).or_else(substance).unwrap_or_else(|| "?".to_owned()),
        reactions: told,
        grave: record.get_str("criticality") == Some("high")
            || reactions().any(|reaction| reaction.get_str("severity") == Some("severe")),
        confirmed: has_code(record.get("verificationStatus"), &["confirmed"]),
    }
}

pub(super) fn problem(record: &Json<'_>) -> Problem {
    Problem {
        what: record.get("code").and_then(concept).unwrap_or_else(|| "?".to_owned()),
        since: moment(record, &["onsetDateTime", "onsetPeriod", "recordedDate"]),
        suspected: has_code(record.get("verificationStatus"), &["unconfirmed", "provisional", "differential"]),
    }
}
