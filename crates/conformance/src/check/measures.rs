//! Reports on measures, held against the measure that they name (<https://hl7.org/fhir/R4/measurereport.html>): a result
//! for each group of the measure, for populations that the measure has.

use super::Check;
use crate::place::Place;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::IssueType;

/// Most groups, populations and codings that are held against each other: more than any measure has.
const PARTS_MAX: usize = 100;

impl<'v> Check<'v> {
    /// A report against its measure, where that is known.
    pub(super) fn measure_report(&mut self, report: &'v Json<'v>, place: &Place<'_>) {
        let packages = self.packages;
        let measure = report.get_str("measure").and_then(|canonical| packages.definition("Measure", canonical));
        let Some(measure) = measure else { return };
        let (defined, given) = (parts(measure, "group"), parts(report, "group"));
        let is_cohort = measure.get("scoring").is_some_and(|scoring| {
            parts(scoring, "coding").iter().any(|coding| coding.get_str("code") == Some("cohort"))
        });
        for (index, group) in given.iter().enumerate().take(PARTS_MAX) {
            let here = place.child("group", Some(index));
            if !self.step(&here) {
                return;
            }
            if is_cohort && group.get("measureScore").is_some() {
                let here = here.child("measureScore", None);
                self.error(IssueType::BusinessRule, &here, || "a measure that only counts a cohort has no score");
            }
            // A single group needs no code to be told.
            let counterpart = match (defined, given) {
                ([only], [_]) => Some(only),
                _ => defined.iter().take(PARTS_MAX).find(|known| is_same_code(known, group)),
            };
            match counterpart {
                Some(known) => self.populations(known, group, &here),
                None => self.error(IssueType::BusinessRule, &here, || "the measure has no group with this code"),
            }
        }
    }

    fn populations(&mut self, defined: &'v Json<'v>, given: &'v Json<'v>, place: &Place<'_>) {
        let known = parts(defined, "population");
        for (index, population) in parts(given, "population").iter().enumerate().take(PARTS_MAX) {
            let is_known = known.iter().take(PARTS_MAX).any(|known| is_same_code(known, population));
            if population.get("code").is_some() && !is_known {
                let here = place.child("population", Some(index));
                self.error(IssueType::BusinessRule, &here, || "the measure has no population with this code");
            }
        }
    }
}

fn parts<'v>(value: &'v Json<'v>, name: &str) -> &'v [Json<'v>] {
    value.get(name).map(Json::items).unwrap_or_default()
}

/// Whether the codes of two parts share a coding, or their text where they have none.
fn is_same_code(left: &Json<'_>, right: &Json<'_>) -> bool {
    let (Some(left), Some(right)) = (left.get("code"), right.get("code")) else { return false };
    let (codings, others) = (parts(left, "coding"), parts(right, "coding"));
    if codings.is_empty() && others.is_empty() {
        return left.get_str("text").is_some() && left.get_str("text") == right.get_str("text");
    }
    let key =
        |coding: &Json<'_>| (coding.get_str("system").map(str::to_owned), coding.get_str("code").map(str::to_owned));
    codings.iter().take(PARTS_MAX).any(|coding| others.iter().take(PARTS_MAX).any(|other| key(coding) == key(other)))
}
