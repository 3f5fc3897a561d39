//! What elements of FHIR say to people: texts of codes, amounts, names, moments. Whatever has another shape than expected says nothing.

use tacet_fhir::json::Json;
use tacet_types::{Timestamp, civil_from_days, days_from_civil};

/// Longest text that is taken from an element, in characters; what is longer ends with an ellipsis.
pub const TEXT_CHARS_MAX: usize = 240;

/// A day, in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// A moment as a record tells it (<https://hl7.org/fhir/R4/datatypes.html#dateTime>): to the second, or a day, month or year.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum When {
    /// An instant.
    At(Timestamp),
    /// A date, as precise as it was written: `2026`, `2026-03`, `2026-03-01`.
    Date(String),
}

impl When {
    /// Reads a date, dateTime or instant.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('T') {
            return Timestamp::parse(text).ok().map(Self::At);
        }
        first_ms(text).map(|_| Self::Date(text.to_owned()))
    }

    /// The first millisecond that it can mean: what it is sorted by. Dates count by UTC.
    pub fn as_ms(&self) -> i64 {
        match self {
            Self::At(at) => at.as_ms(),
            Self::Date(text) => first_ms(text).unwrap_or(i64::MIN),
        }
    }
}

fn first_ms(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-');
    let mut number = |length: usize| match parts.next() {
        None => Some(1),
        Some(part) if part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.parse::<i64>().ok()
        }
        Some(_) => None,
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then(|| days * DAY_MS)
}

/// A text on one line, no longer than [`TEXT_CHARS_MAX`].
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(4 * TEXT_CHARS_MAX));
    let mut count = 0;
    for word in text.split_whitespace() {
        if count > 0 {
            out.push(' ');
            count += 1;
        }
        for letter in word.chars() {
            if count >= TEXT_CHARS_MAX {
                out.push('…');
                return out;
            }
            out.push(letter);
            count += 1;
        }
    }
    out
}

/// A string that says something.
pub fn text(value: &Json<'_>, name: &str) -> Option<String> {
    value.get_str(name).map(line).filter(|text| !text.is_empty())
}

/// The items of a member, or the member itself where it is no list.
pub fn each<'v, 'a>(value: &'v Json<'a>, name: &str) -> &'v [Json<'a>] {
    match value.get(name) {
        Some(Json::Array(items)) => items,
        Some(other) => std::slice::from_ref(other),
        None => &[],
    }
}

/// What a CodeableConcept says: its text, or the display of a coding (the one that a person chose first), or a code.
pub fn concept(value: &Json<'_>) -> Option<String> {
    let codings = || each(value, "coding").iter();
    text(value, "text")
        .or_else(|| {
            let chosen = codings().filter(|coding| coding.get("userSelected").and_then(Json::as_bool) == Some(true));
            chosen.chain(codings()).find_map(|coding| text(coding, "display"))
        })
        .or_else(|| codings().find_map(|coding| text(coding, "code")))
}

/// Whether a CodeableConcept has a coding of one of these codes, whatever its system. A status that is written as a plain code counts too.
pub fn has_code(value: Option<&Json<'_>>, codes: &[&str]) -> bool {
    let Some(value) = value else { return false };
    if let Some(code) = value.as_str() {
        return codes.contains(&code);
    }
    each(value, "coding").iter().any(|coding| coding.get_str("code").is_some_and(|code| codes.contains(&code)))
}

/// What tells a CodeableConcept from others: its first coding with a code, or its text in small letters.
pub fn concept_key(value: &Json<'_>) -> Option<String> {
    let coded = each(value, "coding").iter().find_map(|coding| {
        let code = coding.get_str("code")?;
        Some(format!("{}|{code}", coding.get_str("system").unwrap_or_default()))
    });
    coded.or_else(|| text(value, "text").map(|text| text.to_lowercase()))
}

/// An amount with its unit, its digits as they were written; a comma in French.
pub fn quantity(value: &Json<'_>, comma: bool) -> Option<String> {
    let number = value.get("value")?.as_number()?;
    let number = if comma { number.replace('.', ",") } else { number.to_owned() };
    let unit = text(value, "unit").or_else(|| text(value, "code")).filter(|unit| unit != "1");
    let unit = unit.map(|unit| tacet_ucum::in_words(&unit, comma)).filter(|unit| !unit.is_empty());
    let comparator = text(value, "comparator").unwrap_or_default();
    let number = format!("{comparator}{number}");
    Some(match unit {
        Some(unit) => format!("{number} {unit}"),
        None => number,
    })
}

/// A number, for comparisons only.
pub fn number(value: &Json<'_>) -> Option<f64> {
    value.get("value")?.as_number()?.parse().ok()
}

/// A range of amounts.
pub fn range(value: &Json<'_>, comma: bool) -> Option<String> {
    let side = |name| value.get(name).and_then(|side| quantity(side, comma));
    match (side("low"), side("high")) {
        (Some(low), Some(high)) => {
            // The unit once, where both have the same.
            let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
            match (low.split_once(' '), unit(&high)) {
                (Some((number, low_unit)), Some(high_unit)) if low_unit == high_unit => {
                    Some(format!("{number}–{high}"))
                }
                _ => Some(format!("{low}–{high}")),
            }
        }
        (Some(low), None) => Some(format!("≥ {low}")),
        (None, Some(high)) => Some(format!("≤ {high}")),
        (None, None) => None,
    }
}

/// A person's name in the order of French and English letters: title, given names, FAMILY. The text where it has no parts.
pub fn human_name(name: &Json<'_>) -> Option<String> {
    let list = |part: &str| -> Vec<String> {
        each(name, part).iter().filter_map(Json::as_str).map(line).filter(|part| !part.is_empty()).collect()
    };
    let mut parts = list("prefix");
    parts.extend(list("given"));
    parts.extend(text(name, "family").map(|family| family.to_uppercase()));
    if parts.is_empty() { text(name, "text") } else { Some(line(&parts.join(" "))) }
}

/// The name of somebody that is used now: an official one, a usual one, then any that is not of the past.
pub fn name_of(person: &Json<'_>) -> Option<String> {
    let names = || each(person, "name").iter().filter(|name| name.get_str("use") != Some("old"));
    let of = |wanted: &str| names().find(|name| name.get_str("use") == Some(wanted));
    of("official").or_else(|| of("usual")).or_else(|| names().next()).and_then(human_name)
}

/// The telephone numbers of somebody, the first three.
pub fn phones(person: &Json<'_>) -> Vec<String> {
    let reached = each(person, "telecom").iter();
    let phones = reached.filter(|one| one.get_str("system") == Some("phone") && one.get_str("use") != Some("old"));
    phones.filter_map(|one| text(one, "value")).take(3).collect()
}

/// The moment of the first of these members that has one; a Period counts from its start, a Timing by its first event.
pub fn moment(value: &Json<'_>, names: &[&str]) -> Option<When> {
    names.iter().find_map(|name| {
        let found = value.get(name)?;
        let text = found.as_str().or_else(|| found.get_str("start")).or_else(|| each(found, "event").first()?.as_str());
        When::parse(text?)
    })
}

/// The type and id that a reference of this server names, without a version: `Patient/1`.
pub fn target(reference: &Json<'_>) -> Option<String> {
    let text = reference.get_str("reference")?;
    let text = text.split_once("/_history/").map_or(text, |(before, _)| before);
    let mut parts = text.rsplitn(3, '/');
    let (id, kind) = (parts.next()?, parts.next()?);
    Some(format!("{kind}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    fn json(text: &str) -> Json<'_> {
        parse_str(text, &Limits::default()).unwrap()
    }

    #[test]
    fn moments_keep_their_precision() {
        assert_eq!(When::parse("2026"), Some(When::Date("2026".into())));
        assert!(When::parse("2026-02").unwrap().as_ms() < When::parse("2026-02-02").unwrap().as_ms());
        assert_eq!(When::parse("2026-03-01T08:00:00+01:00").unwrap().as_ms() % DAY_MS, 7 * 3_600_000);
        for wrong in ["", "26", "2026-13", "2026-02-30", "2026-2-1", "2026-01-01T", "x"] {
            assert_eq!(When::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn amounts_and_ranges() {
        let amount = json(r#"{"value":1.50,"unit":"mmol/L"}"#);
        assert_eq!(quantity(&amount, true).as_deref(), Some("1,50 mmol/L"));
        assert_eq!(quantity(&json(r#"{"value":5,"comparator":"<"}"#), false).as_deref(), Some("<5"));
        let both = json(r#"{"low":{"value":3.5,"unit":"g"},"high":{"value":5,"unit":"g"}}"#);
        assert_eq!(range(&both, false).as_deref(), Some("3.5–5 g"));
        assert_eq!(range(&json(r#"{"high":{"value":5}}"#), false).as_deref(), Some("≤ 5"));
        assert_eq!(range(&json("{}"), false), None);
    }

    #[test]
    fn texts_are_one_line_and_bounded() {
        assert_eq!(line(" a\n\tb  c "), "a b c");
        let long = line(&"é".repeat(5000));
        assert!(long.chars().count() == TEXT_CHARS_MAX + 1 && long.ends_with('…'));
        assert_eq!(concept(&json(r#"{"coding":[{"code":"x"},{"display":"Pain"}]}"#)).as_deref(), Some("Pain"));
        assert_eq!(
            target(&json(r#"{"reference":"https://a/fhir/Patient/1/_history/2"}"#)).as_deref(),
            Some("Patient/1")
        );
        assert_eq!(
            name_of(&json(r#"{"name":[{"use":"old","family":"X"},{"family":"Aubrac","given":["Zoé"]}]}"#)).as_deref(),
            Some("Zoé AUBRAC")
        );
    }
}
