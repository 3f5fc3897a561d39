//! Elements of resources as short texts. What is not there is an empty text.

use crate::Language;
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

/// Longest text of a cell, in characters; beyond, it ends with an ellipsis, and the entry has it all.
const CELL_CHARS_MAX: usize = 1_000;

/// System and code of each coding of a CodeableConcept.
pub(crate) fn codings<'j>(concept: &'j Json<'_>) -> impl Iterator<Item = (&'j str, &'j str)> {
    let codings = concept.get("coding").into_iter().flat_map(|codings| codings.items());
    codings.filter_map(|coding| Some((coding.get_str("system").unwrap_or_default(), coding.get_str("code")?)))
}

/// Whether a CodeableConcept has that coding.
pub(crate) fn has_coding(concept: &Json<'_>, system: &str, code: &str) -> bool {
    codings(concept).any(|coding| coding == (system, code))
}

/// A CodeableConcept: its text, the name of what was chosen, or a code.
pub(crate) fn concept(value: Option<&Json<'_>>) -> String {
    let Some(value) = value else { return String::new() };
    if let Some(text) = value.get_str("text") {
        return cell(text);
    }
    let all = || value.get("coding").into_iter().flat_map(|codings| codings.items());
    let chosen = all().filter(|coding| coding.get("userSelected").and_then(Json::as_bool) == Some(true));
    let named = chosen.chain(all()).find_map(|coding| coding.get_str("display"));
    named.or_else(|| all().find_map(|coding| coding.get_str("code"))).map(cell).unwrap_or_default()
}

/// Several CodeableConcepts.
pub(crate) fn concepts(value: Option<&Json<'_>>) -> String {
    joined(value.into_iter().flat_map(Json::iter).map(|one| concept(Some(one))), ", ")
}

/// Texts that are not empty.
pub(crate) fn joined(texts: impl Iterator<Item = String>, between: &str) -> String {
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(between)
}

/// A text short enough for a cell, without characters that would break it.
pub(crate) fn cell(text: &str) -> String {
    let clean = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = clean.clone().take(CELL_CHARS_MAX).collect();
    if clean.count() > CELL_CHARS_MAX {
        short.push('…');
    }
    short
}

/// The instant at which a date or time begins, in milliseconds since the epoch.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let whole = match text.len() {
        4 => format!("{text}-01-01T00:00:00Z"),
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse(&whole).ok().map(Timestamp::as_ms)
}

/// A date as people write it, with the time of day as it was recorded where it has one.
pub(crate) fn date(text: &str, language: Language) -> String {
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let parts: Vec<&str> = day.split('-').collect();
    let day = match (language, parts.as_slice()) {
        (Language::French, [year, month, day]) => format!("{day}/{month}/{year}"),
        (Language::French, [year, month]) => format!("{month}/{year}"),
        _ => day.to_owned(),
    };
    match time.and_then(|time| Some((time.get(..5)?, time))) {
        Some((minutes, time)) if time.ends_with('Z') => cell(&format!("{day} {minutes} UTC")),
        Some((minutes, _)) => cell(&format!("{day} {minutes}")),
        None => cell(&day),
    }
}

/// A date where there is one.
pub(crate) fn date_of(value: Option<&str>, language: Language) -> String {
    value.map(|text| date(text, language)).unwrap_or_default()
}

/// A period.
pub(crate) fn period(value: &Json<'_>, language: Language) -> String {
    match (value.get_str("start"), value.get_str("end")) {
        (Some(start), Some(end)) => format!("{} – {}", date(start, language), date(end, language)),
        (Some(start), None) => format!("{} {}", language.of(("depuis", "since")), date(start, language)),
        (None, Some(end)) => format!("{} {}", language.of(("jusqu’au", "until")), date(end, language)),
        (None, None) => String::new(),
    }
}

/// An amount with its unit, as people write that.
pub(crate) fn quantity(value: Option<&Json<'_>>, language: Language) -> String {
    let Some(value) = value else { return String::new() };
    let Some(number) = value.get("value").and_then(Json::as_number) else { return String::new() };
    let unit = value.get_str("unit").or_else(|| value.get_str("code")).unwrap_or_default();
    let comparator = value.get_str("comparator").unwrap_or_default();
    // A cell has no more of it in any case.
    let unit =
        if unit == "1" { String::new() } else { tacet_ucum::in_words(&cell(unit), language == Language::French) };
    cell(format!("{comparator}{number} {unit}").trim())
}

fn range(value: &Json<'_>, language: Language) -> String {
    let (low, high) = (quantity(value.get("low"), language), quantity(value.get("high"), language));
    match (low.is_empty(), high.is_empty()) {
        // The unit of both is told once.
        (false, false) => match (low.split_once(' '), high.split_once(' ')) {
            (Some((number, one)), Some((_, other))) if one == other => format!("{number} – {high}"),
            _ => format!("{low} – {high}"),
        },
        (false, true) => format!("≥ {low}"),
        (true, false) => format!("≤ {high}"),
        (true, true) => String::new(),
    }
}

/// The `value[x]` of an Observation or of a component, or why there is none.
pub(crate) fn value(of: &Json<'_>, language: Language) -> String {
    let found = of.members().iter().find_map(|(name, value)| Some((name.strip_prefix("value")?, value)));
    let Some((kind, value)) = found else { return concept(of.get("dataAbsentReason")) };
    match kind {
        "Quantity" => quantity(Some(value), language),
        "CodeableConcept" => concept(Some(value)),
        "Boolean" => value
            .as_bool()
            .map(|yes| language.of(if yes { ("oui", "yes") } else { ("non", "no") }))
            .unwrap_or_default()
            .to_owned(),
        "Integer" => value.as_number().unwrap_or_default().to_owned(),
        "Range" => range(value, language),
        "Ratio" => {
            joined(["numerator", "denominator"].map(|part| quantity(value.get(part), language)).into_iter(), " / ")
        }
        "DateTime" => date_of(value.as_str(), language),
        "Period" => period(value, language),
        "SampledData" => language.of(("tracé", "trace")).to_owned(),
        _ => value.as_str().map(cell).unwrap_or_default(),
    }
}

/// What an Observation found: its value, or those of its components.
pub(crate) fn finding(observation: &Json<'_>, language: Language) -> String {
    let own = value(observation, language);
    let components = observation.get("component").into_iter().flat_map(|list| list.items()).map(|component| {
        let said = value(component, language);
        if said.is_empty() { said } else { format!("{} : {said}", concept(component.get("code"))) }
    });
    joined(std::iter::once(own).chain(components), "; ")
}

/// What is usual, as the laboratory said it.
pub(crate) fn usual(observation: &Json<'_>, language: Language) -> String {
    let ranges = observation.get("referenceRange").into_iter().flat_map(|list| list.items());
    joined(ranges.map(|one| one.get_str("text").map_or_else(|| range(one, language), cell)), "; ")
}

/// A person's name: as it was written, or put together.
pub(crate) fn name(value: &Json<'_>) -> String {
    if let Some(text) = value.get_str("text") {
        return cell(text);
    }
    let given = value.get("given").into_iter().flat_map(|list| list.items()).filter_map(Json::as_str);
    let parts = value.get_str("family").into_iter().chain(given);
    cell(&parts.collect::<Vec<_>>().join(" "))
}

/// An address on one line.
pub(crate) fn address(value: &Json<'_>) -> String {
    if let Some(text) = value.get_str("text") {
        return cell(text);
    }
    let lines = value.get("line").into_iter().flat_map(|list| list.items()).filter_map(Json::as_str);
    let rest = ["postalCode", "city", "country"].iter().filter_map(|name| value.get_str(name));
    cell(&lines.chain(rest).collect::<Vec<_>>().join(" "))
}

/// Doses and times, as they were written or put together.
pub(crate) fn dosage(value: Option<&Json<'_>>, language: Language) -> String {
    let one = |dosage: &Json<'_>| {
        if let Some(text) = dosage.get_str("text") {
            return cell(text);
        }
        let dose = |one: &Json<'_>| {
            let amount = quantity(one.get("doseQuantity"), language);
            let several = || one.get("doseRange").map(|doses| range(doses, language)).unwrap_or_default();
            let amount = if amount.is_empty() { several() } else { amount };
            joined([amount, quantity(one.get("rateQuantity"), language)].into_iter(), ", ")
        };
        let doses = joined(dosage.get("doseAndRate").into_iter().flat_map(Json::iter).map(dose), ", ");
        let needed = dosage.get("asNeededBoolean").and_then(Json::as_bool) == Some(true);
        let needed = if needed { language.of(("si besoin", "as needed")).to_owned() } else { String::new() };
        let reason = concept(dosage.get("asNeededCodeableConcept"));
        let timing = dosage.get("timing").map(|timing| self::timing(timing, language)).unwrap_or_default();
        joined([doses, timing, concept(dosage.get("route")), needed, reason].into_iter(), ", ")
    };
    joined(value.into_iter().flat_map(Json::iter).map(one), "; ")
}

fn timing(timing: &Json<'_>, language: Language) -> String {
    let coded = concept(timing.get("code"));
    let Some(repeat) = timing.get("repeat") else { return coded };
    let number = |name: &str| repeat.get(name).and_then(Json::as_number).map(str::to_owned);
    let times = number("frequency").map(|frequency| {
        let each = match (number("period"), repeat.get_str("periodUnit")) {
            (Some(period), Some(unit)) => format!(" / {period} {unit}"),
            _ => String::new(),
        };
        format!("{frequency} ×{each}")
    });
    let lists = ["timeOfDay", "when", "dayOfWeek"].map(|name| {
        let items = repeat.get(name).into_iter().flat_map(|list| list.items()).filter_map(Json::as_str);
        // Whole minutes, as people write them: 08:00 for 08:00:00.
        let items = items.map(|item| item.strip_suffix(":00").filter(|short| short.len() == 5).unwrap_or(item));
        cell(&items.collect::<Vec<_>>().join(" "))
    });
    let bounds = repeat.get("boundsPeriod").map(|bounds| period(bounds, language)).unwrap_or_default();
    joined([coded, times.unwrap_or_default()].into_iter().chain(lists).chain([bounds]), ", ")
}

/// Notes on a resource.
pub(crate) fn notes(resource: &Json<'_>) -> String {
    let notes = resource.get("note").into_iter().flat_map(|list| list.items());
    joined(notes.filter_map(|note| note.get_str("text")).map(cell), "; ")
}
