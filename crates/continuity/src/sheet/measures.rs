//! Vital signs and results: values with their units, usual ranges, and how far they are off.

use super::{Asked, Listed, Measure, Off};
use crate::read::{concept, each, has_code, moment, number, quantity, range, text};
use crate::select::{self, Dossier, Measured, OBSERVED};
use crate::words::Telling;
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

pub(super) fn measures(dossier: &Dossier<'_>, kind: Measured, max: usize, asked: &Asked<'_>) -> Listed<Measure> {
    let (telling, now) = (&asked.telling, asked.now);
    let all = select::latest(dossier, kind).into_iter().map(|(record, before)| Measure {
        what: record.get("code").and_then(concept).unwrap_or_else(|| "?".to_owned()),
        value: whole_value(record, telling, now).or_else(|| record.get("dataAbsentReason").and_then(concept)),
        range: usual(record, telling.language.comma()),
        off: off(record),
        at: moment(record, &OBSERVED),
        before: before.and_then(|one| Some((whole_value(one, telling, now)?, moment(one, &OBSERVED)))),
        preliminary: record.get_str("status") == Some("preliminary"),
    });
    Listed::of(all, max)
}

/// The value of an observation or of a part of one.
fn value(record: &Json<'_>, telling: &Telling, now: Timestamp) -> Option<String> {
    let comma = telling.language.comma();
    record
        .get("valueQuantity")
        .and_then(|one| quantity(one, comma))
        .or_else(|| record.get("valueCodeableConcept").and_then(concept))
        .or_else(|| text(record, "valueString"))
        .or_else(|| record.get("valueRange").and_then(|one| range(one, comma)))
        .or_else(|| Some(record.get("valueInteger")?.as_number()?.to_owned()))
        .or_else(|| {
            let yes = record.get("valueBoolean").and_then(Json::as_bool)?;
            Some(if yes { telling.of("oui", "yes") } else { telling.of("non", "no") }.to_owned())
        })
        .or_else(|| {
            let ratio = record.get("valueRatio")?;
            Some(format!(
                "{}/{}",
                quantity(ratio.get("numerator")?, comma)?,
                quantity(ratio.get("denominator")?, comma)?
            ))
        })
        .or_else(|| moment(record, &["valueDateTime"]).map(|when| telling.when(&when, now)))
        .or_else(|| text(record, "valueTime"))
}

/// Systolic and diastolic blood pressure (LOINC): told as everybody writes them, `141/71 mmHg`.
const PRESSURES: [&str; 2] = ["8480-6", "8462-4"];

/// Both blood pressures of an observation, where both are there and in one unit.
fn pressures(record: &Json<'_>, telling: &Telling) -> Option<String> {
    let [above, below] = PRESSURES.map(|code| {
        let part = each(record, "component").iter().find(|part| has_code(part.get("code"), &[code]))?;
        let told = quantity(part.get("valueQuantity")?, telling.language.comma())?;
        told.split_once(' ').map(|(number, unit)| (number.to_owned(), unit.to_owned()))
    });
    let ((above, unit), (below, other)) = above.zip(below)?;
    (unit == other).then(|| format!("{above}/{below} {unit}"))
}

fn whole_value(record: &Json<'_>, telling: &Telling, now: Timestamp) -> Option<String> {
    let own = value(record, telling, now);
    let whole = record.get("code").and_then(concept).unwrap_or_default();
    let pressures = pressures(record, telling);
    let rest = each(record, "component").iter().take(12).filter_map(|part| {
        if pressures.is_some() && has_code(part.get("code"), &PRESSURES) {
            return None;
        }
        let what = part.get("code").and_then(concept)?;
        // Named after the whole: what is told beside it already.
        let short = what.strip_prefix(&whole).map(str::trim).filter(|short| !whole.is_empty() && !short.is_empty());
        Some(format!("{} {}", short.unwrap_or(&what), value(part, telling, now)?))
    });
    let parts: Vec<String> = pressures.clone().into_iter().chain(rest).collect();
    match (own, parts.is_empty()) {
        (own, true) => own,
        (None, false) => Some(parts.join(" ; ")),
        (Some(own), false) => Some(format!("{own} ({})", parts.join(" ; "))),
    }
}

/// The usual range: the one that says `normal` or nothing, not one of a treatment.
fn normal<'r, 'a>(record: &'r Json<'a>) -> Option<&'r Json<'a>> {
    let ranges = each(record, "referenceRange").iter();
    ranges.into_iter().find(|range| range.get("type").is_none() || has_code(range.get("type"), &["normal"]))
}

fn usual(record: &Json<'_>, comma: bool) -> Option<String> {
    let normal = normal(record)?;
    let bare = |side: &str| {
        let side = normal.get(side)?;
        let digits = side.get("value")?.as_number()?;
        Some(if comma { digits.replace('.', ",") } else { digits.to_owned() })
    };
    // The unit stands with the value; a range in another unit tells its own.
    let unit = |value: Option<&Json<'_>>| value.and_then(|value| text(value, "unit").or_else(|| text(value, "code")));
    let same = unit(record.get("valueQuantity")) == unit(normal.get("low").or_else(|| normal.get("high")));
    match (bare("low"), bare("high")) {
        _ if !same => range(normal, comma).or_else(|| text(normal, "text")),
        (Some(low), Some(high)) => Some(format!("{low}–{high}")),
        (Some(low), None) => Some(format!("≥ {low}")),
        (None, Some(high)) => Some(format!("≤ {high}")),
        (None, None) => text(normal, "text"),
    }
}

/// As the laboratory said (<https://hl7.org/fhir/R4/valueset-observation-interpretation.html>); where it said nothing, by the range, if both are in one unit.
fn off(record: &Json<'_>) -> Off {
    let said = each(record, "interpretation").iter().flat_map(|one| each(one, "coding")).find_map(|coding| {
        Some(match coding.get_str("code")? {
            "L" => Off::Low,
            "LL" | "LU" => Off::VeryLow,
            "H" => Off::High,
            "HH" | "HU" => Off::VeryHigh,
            "A" => Off::Abnormal,
            "AA" => Off::Critical,
            "POS" | "DET" => Off::Positive,
            "N" | "NEG" | "ND" => Off::No,
            _ => return None,
        })
    });
    said.unwrap_or_else(|| {
        let (Some(measured), Some(normal)) = (record.get("valueQuantity"), normal(record)) else { return Off::No };
        let unit = |value: &Json<'_>| text(value, "code").or_else(|| text(value, "unit"));
        let side = |name: &str| normal.get(name).filter(|side| unit(side) == unit(measured)).and_then(number);
        match number(measured) {
            Some(value) if measured.get("comparator").is_none() => match (side("low"), side("high")) {
                (Some(low), _) if value < low => Off::Low,
                (_, Some(high)) if value > high => Off::High,
                _ => Off::No,
            },
            _ => Off::No,
        }
    })
}
