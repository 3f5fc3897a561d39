//! How much, how often, when: a Dosage in words, and the times at which something is due (<https://hl7.org/fhir/R4/dosage.html>,
//! <https://hl7.org/fhir/R4/datatypes.html#Timing>).
//!
//! What is structured is told in words; what somebody wrote stands beside it as it was written. A time is worked out only where the order says times:
//! "twice a day" is no time, and none is made up for it.

mod codes;
mod due;

pub use due::{Due, next_due};

use crate::read::{When, concept, each, has_code, line, moment, quantity, range, text};
use crate::{Language, Telling};
use codes::{SCHEDULES, WEEK, WHEN, unit_of_time, words};
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

/// Most times a day, and most events, that are looked at.
const TIMES_MAX: usize = 48;

fn digits(value: &Json<'_>, name: &str, comma: bool) -> Option<String> {
    let number = value.get(name)?.as_number()?;
    Some(if comma { number.replace('.', ",") } else { number.to_owned() })
}

/// `8` and `8:30` of `08:30:00`.
fn clock(time: &str) -> Option<(i64, String)> {
    let (hours, rest) = time.split_once(':')?;
    let minutes = rest.get(..2)?;
    let number = |text: &str, max: i64| text.parse::<i64>().ok().filter(|number| (0..=max).contains(number));
    let (hours, minutes) = (number(hours, 23)?, number(minutes, 59)?);
    Some(((hours * 60 + minutes) * 60_000, format!("{hours:02}:{minutes:02}")))
}

/// All dosages of an order in words, each on a line; none where it has none.
pub fn told(order: &Json<'_>, name: &str, telling: &Telling, now: Timestamp) -> Vec<String> {
    let mut dosages: Vec<&Json<'_>> = each(order, name).iter().take(8).collect();
    dosages.sort_by_key(|dosage| dosage.get("sequence").and_then(Json::as_i64).unwrap_or(i64::MAX));
    dosages.into_iter().filter_map(|dosage| one(dosage, telling, now)).collect()
}

fn one(dosage: &Json<'_>, telling: &Telling, now: Timestamp) -> Option<String> {
    let structured = structured(dosage, telling, now);
    let written = text(dosage, "text").or_else(|| text(dosage, "patientInstruction"));
    match (structured.is_empty(), written) {
        (true, written) => written,
        (false, None) => Some(structured),
        // The same once more.
        (false, Some(written)) if bare(&written) == bare(&structured) => Some(structured),
        (false, Some(written)) => {
            let quoted = telling.of("« %s »", "“%s”").replace("%s", &written);
            Some(format!("{structured} {quoted}"))
        }
    }
}

/// The words of a text, without what makes no difference in it: commas between words, capitals.
fn bare(text: &str) -> Vec<String> {
    let words = text.split_whitespace().map(|word| word.trim_matches([',', ';', '.', ':']));
    words.filter(|word| !word.is_empty()).map(|word| word.replace(',', ".").to_lowercase()).collect()
}

fn structured(dosage: &Json<'_>, telling: &Telling, now: Timestamp) -> String {
    let (language, comma) = (telling.language, telling.language.comma());
    let mut parts: Vec<String> = Vec::new();
    for amount in each(dosage, "doseAndRate").iter().take(2) {
        parts.extend(amount.get("doseQuantity").and_then(|one| quantity(one, comma)));
        parts.extend(amount.get("doseRange").and_then(|one| range(one, comma)));
        let rate = amount.get("rateQuantity").and_then(|one| quantity(one, comma));
        let rate = rate.or_else(|| amount.get("rateRange").and_then(|one| range(one, comma)));
        let rate = rate.or_else(|| amount.get("rateRatio").and_then(|one| ratio(one, comma)));
        parts.extend(rate.map(|rate| format!("{} {rate}", telling.of("débit", "rate"))));
    }
    if let Some(timing) = dosage.get("timing") {
        parts.extend(self::timing(timing, telling, now));
    }
    match dosage.get("asNeededCodeableConcept").map(concept) {
        Some(Some(reason)) => parts.push(format!("{} ({reason})", telling.of("si besoin", "as needed"))),
        Some(None) => parts.push(telling.of("si besoin", "as needed").to_owned()),
        None if dosage.get("asNeededBoolean").and_then(Json::as_bool) == Some(true) => {
            parts.push(telling.of("si besoin", "as needed").to_owned());
        }
        None => {}
    }
    for name in ["route", "site", "method"] {
        parts.extend(dosage.get(name).and_then(concept));
    }
    // One in R4, several in later versions: both are read.
    for most in each(dosage, "maxDosePerPeriod") {
        parts.extend(ratio(most, comma).map(|most| format!("max. {most}")));
    }
    let most = dosage.get("maxDosePerAdministration").and_then(|most| quantity(most, comma));
    parts.extend(most.map(|most| format!("max. {most} {}", language.of(("par prise", "at a time")))));
    parts.extend(each(dosage, "additionalInstruction").iter().take(4).filter_map(concept));
    line(&parts.join(", "))
}

fn ratio(value: &Json<'_>, comma: bool) -> Option<String> {
    let above = quantity(value.get("numerator")?, comma)?;
    let below = quantity(value.get("denominator")?, comma)?;
    Some(match below.strip_prefix("1 ") {
        Some(unit) => format!("{above}/{unit}"),
        None => format!("{above}/{below}"),
    })
}

fn timing(timing: &Json<'_>, telling: &Telling, now: Timestamp) -> Vec<String> {
    let language = telling.language;
    let mut parts: Vec<String> = Vec::new();
    let events = each(timing, "event").iter().filter_map(Json::as_str).filter_map(When::parse).take(6);
    let events: Vec<String> = events.map(|event| telling.when(&event, now)).collect();
    if !events.is_empty() {
        parts.push(events.join(" ; "));
    }
    if let Some(repeat) = timing.get("repeat") {
        parts.extend(often(repeat, language));
        let days: Vec<&str> =
            each(repeat, "dayOfWeek").iter().filter_map(|day| words(&WEEK, day.as_str()?, language)).take(7).collect();
        if !days.is_empty() {
            parts.push(format!("{} {}", language.of(("le", "on")), days.join(", ")));
        }
        let times = each(repeat, "timeOfDay").iter().filter_map(Json::as_str).filter_map(clock);
        let times: Vec<String> = times.map(|(_, time)| time).take(TIMES_MAX).collect();
        if !times.is_empty() {
            parts.push(format!("{} {}", language.of(("à", "at")), times.join(", ")));
        }
        let offset = repeat.get("offset").and_then(Json::as_i64);
        for code in each(repeat, "when").iter().filter_map(Json::as_str).take(8) {
            let words = words(&WHEN, code, language).unwrap_or(code);
            parts.push(match offset {
                Some(minutes) => format!("{minutes} min {words}"),
                None => words.to_owned(),
            });
        }
        parts.extend(lasting(repeat, telling, now));
    }
    if parts.is_empty()
        && let Some(code) = timing.get("code")
    {
        let known = each(code, "coding").iter().filter_map(|coding| coding.get_str("code"));
        let known = known.filter_map(|code| words(&SCHEDULES, code, language)).next().map(str::to_owned);
        parts.extend(known.or_else(|| concept(code)));
    }
    parts
}

/// How often: `3 fois par jour`, `toutes les 8 heures`, `2 fois par 36 heures`.
fn often(repeat: &Json<'_>, language: Language) -> Option<String> {
    let period_unit = repeat.get_str("periodUnit");
    let period = digits(repeat, "period", language.comma());
    let frequency = digits(repeat, "frequency", false);
    let frequency = match (frequency, digits(repeat, "frequencyMax", false)) {
        (Some(least), Some(most)) if least != most => Some(format!("{least}–{most}")),
        (frequency, _) => frequency,
    };
    let (Some(period), Some(code)) = (period, period_unit) else {
        let count = digits(repeat, "count", false)?;
        return Some(match (language, count.as_str()) {
            (Language::French, count) => format!("{count} fois en tout"),
            (Language::English, "1") => "once".to_owned(),
            (Language::English, count) => format!("{count} times in all"),
        });
    };
    let period = match digits(repeat, "periodMax", language.comma()) {
        Some(most) if most != period => format!("{period}–{most}"),
        _ => period,
    };
    let several = period != "1";
    let unit = unit_of_time(code, several, language)?;
    let feminine = matches!(code, "s" | "min" | "h" | "wk");
    Some(match (language, frequency.as_deref(), several) {
        (Language::French, None | Some("1"), true) => {
            format!("{} {period} {unit}", if feminine { "toutes les" } else { "tous les" })
        }
        (Language::English, None | Some("1"), true) => format!("every {period} {unit}"),
        (Language::French, Some(times), true) => format!("{times} fois par {period} {unit}"),
        (Language::English, Some(times), true) => format!("{times} times per {period} {unit}"),
        (Language::French, times, false) => format!("{} fois par {unit}", times.unwrap_or("1")),
        (Language::English, None | Some("1"), false) => format!("once per {unit}"),
        (Language::English, Some(times), false) => format!("{times} times per {unit}"),
    })
}

/// For how long, each time and in all.
fn lasting(repeat: &Json<'_>, telling: &Telling, now: Timestamp) -> Vec<String> {
    let language = telling.language;
    let mut parts = Vec::new();
    let span = |number: String, code: Option<&str>| {
        let unit = unit_of_time(code?, number != "1", language)?;
        Some(format!("{number} {unit}"))
    };
    let duration = digits(repeat, "duration", language.comma());
    let duration = duration.and_then(|number| span(number, repeat.get_str("durationUnit")));
    parts.extend(duration.map(|long| format!("{} {long}", language.of(("sur", "over")))));
    if let Some(bounds) = repeat.get("boundsDuration") {
        let long = digits(bounds, "value", language.comma()).and_then(|number| span(number, bounds.get_str("code")));
        let long = long.or_else(|| quantity(bounds, language.comma()));
        parts.extend(long.map(|long| format!("{} {long}", language.of(("pendant", "for")))));
    }
    if let Some(bounds) = repeat.get("boundsPeriod") {
        let side = |name| bounds.get_str(name).and_then(When::parse).map(|when| telling.when(&when, now));
        parts.extend(side("start").map(|start| format!("{} {start}", language.of(("dès le", "from")))));
        parts.extend(side("end").map(|end| format!("{} {end}", language.of(("jusqu’au", "until")))));
    }
    parts
}

/// Whether an order says of itself that something is not to be given.
pub fn is_forbidden(order: &Json<'_>) -> bool {
    order.get("doNotPerform").and_then(Json::as_bool) == Some(true)
}

/// When an order ends by its own words, if it does.
pub fn ends(order: &Json<'_>, name: &str) -> Option<When> {
    let of = |dosage: &Json<'_>| moment(dosage.get("timing")?.get("repeat")?.get("boundsPeriod")?, &["end"]);
    each(order, name).iter().filter_map(of).max_by_key(When::as_ms)
}

/// Whether it is to be given at once (`stat`).
pub fn is_at_once(order: &Json<'_>) -> bool {
    has_code(order.get("priority"), &["stat", "asap"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;
    use tacet_fhir::json::{Limits, parse_str};

    fn json(text: &str) -> Json<'_> {
        parse_str(text, &Limits::default()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    const FRENCH: Telling = Telling { language: Language::French, zone: Zone::Paris };
    const ENGLISH: Telling = Telling { language: Language::English, zone: Zone::Paris };

    fn both(dosage: &str) -> (String, String) {
        let order = format!(r#"{{"dosageInstruction":[{dosage}]}}"#);
        let now = at("2026-11-22T12:00:00Z");
        let of = |telling| told(&json(&order), "dosageInstruction", telling, now).join(" | ");
        (of(&FRENCH), of(&ENGLISH))
    }

    #[test]
    fn doses_in_words() {
        for (dosage, french, english) in [
            (
                r#"{"timing":{"repeat":{"frequency":3,"period":1,"periodUnit":"d","boundsDuration":{"value":5,"unit":"jour","code":"d"}}},"route":{"text":"voie orale"},"doseAndRate":[{"doseQuantity":{"value":1.5,"unit":"comprimé"}}]}"#,
                "1,5 comprimé, 3 fois par jour, pendant 5 jours, voie orale",
                "1.5 comprimé, 3 times per day, for 5 days, voie orale",
            ),
            (
                r#"{"timing":{"repeat":{"period":8,"periodUnit":"h"}},"asNeededCodeableConcept":{"text":"douleur"},"maxDosePerPeriod":{"numerator":{"value":4,"unit":"g"},"denominator":{"value":24,"unit":"h"}}}"#,
                "toutes les 8 heures, si besoin (douleur), max. 4 g/24 h",
                "every 8 hours, as needed (douleur), max. 4 g/24 h",
            ),
            (
                r#"{"timing":{"repeat":{"timeOfDay":["08:00:00","20:30:00"],"dayOfWeek":["mon","thu"]}}}"#,
                "le lundi, jeudi, à 08:00, 20:30",
                "on Monday, Thursday, at 08:00, 20:30",
            ),
            (r#"{"timing":{"code":{"coding":[{"code":"BID"}]}}}"#, "2 fois par jour", "twice a day"),
            (
                r#"{"timing":{"repeat":{"when":["HS"],"frequency":1,"period":1,"periodUnit":"d"}}}"#,
                "1 fois par jour, au coucher",
                "once per day, at bedtime",
            ),
            (
                r#"{"timing":{"repeat":{"when":["ACM"],"offset":30}}}"#,
                "30 min avant le petit déjeuner",
                "30 min before breakfast",
            ),
            (
                r#"{"doseAndRate":[{"rateRatio":{"numerator":{"value":50,"unit":"mL"},"denominator":{"value":1,"unit":"h"}}}],"timing":{"repeat":{"duration":4,"durationUnit":"h","count":1}}}"#,
                "débit 50 mL/h, 1 fois en tout, sur 4 heures",
                "rate 50 mL/h, once, over 4 hours",
            ),
            (r#"{"text":"selon protocole"}"#, "selon protocole", "selon protocole"),
            (
                r#"{"text":"1 le soir","timing":{"repeat":{"when":["EVE"]}}}"#,
                "le soir « 1 le soir »",
                "in the evening “1 le soir”",
            ),
            ("{}", "", ""),
        ] {
            assert_eq!(both(dosage), (french.to_owned(), english.to_owned()), "{dosage}");
        }
    }
}
