//! How much, how often, when: a Dosage in words, and the times at which something is due (<https://hl7.org/fhir/R4/dosage.html>,
//! <https://hl7.org/fhir/R4/datatypes.html#Timing>).
//!
//! What is structured is told in words; what somebody wrote stands beside it as it was written. A time is worked out only where the order says times:
//! "twice a day" is no time, and none is made up for it.

use crate::read::{DAY_MS, When, concept, each, has_code, line, moment, quantity, range, text};
use crate::words::{Language, Telling};
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

/// Most times a day, and most events, that are looked at.
const TIMES_MAX: usize = 48;

/// How far ahead a next time is looked for, in days.
const AHEAD_DAYS: i64 = 31;

/// The codes of when within a day, French and English (<https://hl7.org/fhir/R4/valueset-event-timing.html>).
const WHEN: [(&str, &str, &str); 26] = [
    ("MORN", "le matin", "in the morning"),
    ("MORN.early", "tôt le matin", "early in the morning"),
    ("MORN.late", "en fin de matinée", "late in the morning"),
    ("NOON", "à midi", "at noon"),
    ("AFT", "l’après-midi", "in the afternoon"),
    ("AFT.early", "en début d’après-midi", "early in the afternoon"),
    ("AFT.late", "en fin d’après-midi", "late in the afternoon"),
    ("EVE", "le soir", "in the evening"),
    ("EVE.early", "en début de soirée", "early in the evening"),
    ("EVE.late", "tard le soir", "late in the evening"),
    ("NIGHT", "la nuit", "at night"),
    ("PHS", "après l’endormissement", "after falling asleep"),
    ("HS", "au coucher", "at bedtime"),
    ("WAKE", "au réveil", "on waking"),
    ("C", "au repas", "with meals"),
    ("CM", "au petit déjeuner", "with breakfast"),
    ("CD", "au déjeuner", "with lunch"),
    ("CV", "au dîner", "with dinner"),
    ("AC", "avant le repas", "before meals"),
    ("ACM", "avant le petit déjeuner", "before breakfast"),
    ("ACD", "avant le déjeuner", "before lunch"),
    ("ACV", "avant le dîner", "before dinner"),
    ("PC", "après le repas", "after meals"),
    ("PCM", "après le petit déjeuner", "after breakfast"),
    ("PCD", "après le déjeuner", "after lunch"),
    ("PCV", "après le dîner", "after dinner"),
];

/// The codes of whole schedules, French and English (<https://hl7.org/fhir/R4/valueset-timing-abbreviation.html>).
const SCHEDULES: [(&str, &str, &str); 18] = [
    ("BID", "2 fois par jour", "twice a day"),
    ("TID", "3 fois par jour", "3 times a day"),
    ("QID", "4 fois par jour", "4 times a day"),
    ("AM", "chaque matin", "every morning"),
    ("PM", "chaque après-midi", "every afternoon"),
    ("QD", "1 fois par jour", "once a day"),
    ("QOD", "un jour sur deux", "every other day"),
    ("Q1H", "toutes les heures", "every hour"),
    ("Q2H", "toutes les 2 heures", "every 2 hours"),
    ("Q3H", "toutes les 3 heures", "every 3 hours"),
    ("Q4H", "toutes les 4 heures", "every 4 hours"),
    ("Q6H", "toutes les 6 heures", "every 6 hours"),
    ("Q8H", "toutes les 8 heures", "every 8 hours"),
    ("BED", "au coucher", "at bedtime"),
    ("WK", "1 fois par semaine", "once a week"),
    ("MO", "1 fois par mois", "once a month"),
    ("C", "au repas", "with meals"),
    ("HS", "au coucher", "at bedtime"),
];

/// Days of a week, from Monday, as codes and in both languages.
const WEEK: [(&str, &str, &str); 7] = [
    ("mon", "lundi", "Monday"),
    ("tue", "mardi", "Tuesday"),
    ("wed", "mercredi", "Wednesday"),
    ("thu", "jeudi", "Thursday"),
    ("fri", "vendredi", "Friday"),
    ("sat", "samedi", "Saturday"),
    ("sun", "dimanche", "Sunday"),
];

fn words<'t>(table: &[(&str, &'t str, &'t str)], code: &str, language: Language) -> Option<&'t str> {
    table.iter().find(|(known, ..)| *known == code).map(|(_, french, english)| language.of(french, english))
}

/// A unit of time, for one and for several of them.
fn unit_of_time(code: &str, several: bool, language: Language) -> Option<&'static str> {
    let (one, more, english_one, english_more) = match code {
        "s" => ("seconde", "secondes", "second", "seconds"),
        "min" => ("minute", "minutes", "minute", "minutes"),
        "h" => ("heure", "heures", "hour", "hours"),
        "d" => ("jour", "jours", "day", "days"),
        "wk" => ("semaine", "semaines", "week", "weeks"),
        "mo" => ("mois", "mois", "month", "months"),
        "a" => ("an", "ans", "year", "years"),
        _ => return None,
    };
    Some(match (language, several) {
        (Language::French, false) => one,
        (Language::French, true) => more,
        (Language::English, false) => english_one,
        (Language::English, true) => english_more,
    })
}

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
        (false, Some(written)) => {
            let quoted = telling.of("« %s »", "“%s”").replace("%s", &written);
            Some(format!("{structured} {quoted}"))
        }
    }
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
    parts.extend(most.map(|most| format!("max. {most} {}", language.of("par prise", "at a time"))));
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
            parts.push(format!("{} {}", language.of("le", "on"), days.join(", ")));
        }
        let times = each(repeat, "timeOfDay").iter().filter_map(Json::as_str).filter_map(clock);
        let times: Vec<String> = times.map(|(_, time)| time).take(TIMES_MAX).collect();
        if !times.is_empty() {
            parts.push(format!("{} {}", language.of("à", "at"), times.join(", ")));
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
    parts.extend(duration.map(|long| format!("{} {long}", language.of("sur", "over"))));
    if let Some(bounds) = repeat.get("boundsDuration") {
        let long = digits(bounds, "value", language.comma()).and_then(|number| span(number, bounds.get_str("code")));
        let long = long.or_else(|| quantity(bounds, language.comma()));
        parts.extend(long.map(|long| format!("{} {long}", language.of("pendant", "for"))));
    }
    if let Some(bounds) = repeat.get("boundsPeriod") {
        let side = |name| bounds.get_str(name).and_then(When::parse).map(|when| telling.when(&when, now));
        parts.extend(side("start").map(|start| format!("{} {start}", language.of("dès le", "from"))));
        parts.extend(side("end").map(|end| format!("{} {end}", language.of("jusqu’au", "until"))));
    }
    parts
}

/// When a treatment is to be given next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// At this moment, which lies ahead.
    At(Timestamp),
    /// It was due at this moment, and nobody wrote down that it was given.
    Since(Timestamp),
}

/// How long after its time a dose counts as missed where nobody wrote it down, in milliseconds: an hour.
const LATE_MS: i64 = 3_600_000;

/// When an order is due next, where it says times of day, events, or a number of hours and the last time is known. The earliest of its dosages. None where
/// no time follows from what it says, where it is given as needed, or where it is over.
pub fn next_due(
    order: &Json<'_>,
    name: &str,
    last: Option<Timestamp>,
    telling: &Telling,
    now: Timestamp,
) -> Option<Due> {
    let dosages = each(order, name).iter().take(8);
    let due = dosages.filter_map(|dosage| due_of(dosage, last, telling, now));
    due.min_by_key(|due| match due {
        Due::At(at) | Due::Since(at) => *at,
    })
}

fn due_of(dosage: &Json<'_>, last: Option<Timestamp>, telling: &Telling, now: Timestamp) -> Option<Due> {
    let as_needed = dosage.get("asNeededBoolean").and_then(Json::as_bool) == Some(true)
        || dosage.get("asNeededCodeableConcept").is_some();
    let timing = dosage.get("timing").filter(|_| !as_needed)?;
    let bounds = timing.get("repeat").and_then(|repeat| repeat.get("boundsPeriod"));
    let ends = bounds.and_then(|bounds| bounds.get_str("end")).and_then(When::parse).map(|end| match end {
        When::At(at) => at.as_ms(),
        When::Date(_) => end.as_ms() + DAY_MS,
    });
    let starts = bounds.and_then(|bounds| bounds.get_str("start")).and_then(When::parse).map(|start| start.as_ms());
    let within =
        |at: &Timestamp| starts.is_none_or(|starts| at.as_ms() >= starts) && ends.is_none_or(|ends| at.as_ms() <= ends);
    let mut times: Vec<Timestamp> = each(timing, "event")
        .iter()
        .take(TIMES_MAX)
        .filter_map(|event| match When::parse(event.as_str()?)? {
            When::At(at) => Some(at),
            When::Date(_) => None,
        })
        .collect();
    let repeat = timing.get("repeat");
    if let Some(repeat) = repeat {
        times.extend(of_day(repeat, telling, now));
        if times.is_empty() {
            return by_hours(repeat, last?, now).filter(|due| match due {
                Due::At(at) | Due::Since(at) => within(at),
            });
        }
    }
    times.retain(within);
    times.sort_unstable();
    // The last time that has passed: was it given?
    let passed = times.iter().rev().find(|at| **at <= now && now.as_ms() - at.as_ms() < DAY_MS);
    if let Some(passed) = passed {
        // Given from an hour before it on: nurses go round.
        let given = last.is_some_and(|last| last.as_ms() >= passed.as_ms() - LATE_MS);
        let told = last.is_some();
        if told && !given && now.as_ms() - passed.as_ms() >= LATE_MS {
            return Some(Due::Since(*passed));
        }
        if !given && now.as_ms() - passed.as_ms() < LATE_MS {
            return Some(Due::At(*passed));
        }
    }
    // One that is not yet due and was given before its time is done.
    let ahead = |at: &&Timestamp| **at > now && last.is_none_or(|last| last.as_ms() < at.as_ms() - LATE_MS);
    times.iter().find(ahead).map(|at| Due::At(*at))
}

/// The times of day of a schedule, from yesterday on.
fn of_day(repeat: &Json<'_>, telling: &Telling, now: Timestamp) -> Vec<Timestamp> {
    let clocks = each(repeat, "timeOfDay").iter().filter_map(Json::as_str).filter_map(clock).take(TIMES_MAX);
    let clocks: Vec<i64> = clocks.map(|(ms, _)| ms).collect();
    // Every second day says nothing of which: no time is made up.
    let daily = match (repeat.get("period").and_then(Json::as_number), repeat.get_str("periodUnit")) {
        (Some(period), Some("d")) => period == "1",
        (None, None) => true,
        (Some(period), Some("wk")) => period == "1" && repeat.get("dayOfWeek").is_some(),
        _ => false,
    };
    if clocks.is_empty() || !daily {
        return Vec::new();
    }
    let days: Vec<&str> = each(repeat, "dayOfWeek").iter().filter_map(Json::as_str).collect();
    let today = telling.zone.local_ms(now).div_euclid(DAY_MS);
    let mut times = Vec::new();
    for day in today - 1..=today + AHEAD_DAYS {
        // 1970-01-01 was a Thursday, three days after a Monday.
        let of_week = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        let named = WEEK.get(of_week).is_some_and(|(code, ..)| days.contains(code));
        if days.is_empty() || named {
            times.extend(clocks.iter().map(|ms| telling.zone.instant(day * DAY_MS + ms)));
        }
        if times.len() >= 4 * TIMES_MAX {
            break;
        }
    }
    times
}

/// Once in so many hours or minutes after the last time.
fn by_hours(repeat: &Json<'_>, last: Timestamp, now: Timestamp) -> Option<Due> {
    if repeat.get("frequency").and_then(Json::as_i64).is_some_and(|times| times != 1) {
        return None;
    }
    let period: f64 = repeat.get("period")?.as_number()?.parse().ok()?;
    let hour = 3_600_000.0;
    let unit = match repeat.get_str("periodUnit")? {
        "min" => hour / 60.0,
        "h" => hour,
        _ => return None,
    };
    let length = period * unit;
    if !(60_000.0..=72.0 * hour).contains(&length) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "three days of milliseconds at most")]
    let due = last.plus_ms(length as i64);
    Some(if due <= now { Due::Since(due) } else { Due::At(due) })
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
    use crate::words::Zone;
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

    #[test]
    fn when_it_is_due() {
        let due = |repeat: &str, last: Option<&str>, now: &str| {
            let order = format!(r#"{{"dosageInstruction":[{{"timing":{{"repeat":{repeat}}}}}]}}"#);
            next_due(&json(&order), "dosageInstruction", last.map(at), &FRENCH, at(now))
        };
        let daily = r#"{"timeOfDay":["08:00:00","20:00:00"]}"#;
        // Winter: 08:00 in Paris is 07:00 UTC.
        let evening = Some(Due::At(at("2026-11-22T19:00:00Z")));
        assert_eq!(
            due(daily, None, "2026-11-22T12:00:00Z"),
            evening,
            "without any administration nobody can say it was missed"
        );
        assert_eq!(due(daily, Some("2026-11-22T07:10:00Z"), "2026-11-22T12:00:00Z"), evening);
        let missed = Some(Due::Since(at("2026-11-22T07:00:00Z")));
        assert_eq!(due(daily, Some("2026-11-21T19:05:00Z"), "2026-11-22T12:00:00Z"), missed);
        let now_due = Some(Due::At(at("2026-11-22T07:00:00Z")));
        assert_eq!(due(daily, Some("2026-11-21T19:05:00Z"), "2026-11-22T07:20:00Z"), now_due);
        let early = due(daily, Some("2026-11-22T18:30:00Z"), "2026-11-22T18:40:00Z");
        assert_eq!(early, Some(Due::At(at("2026-11-23T07:00:00Z"))), "given a little before its time");
        let hours = r#"{"frequency":1,"period":6,"periodUnit":"h"}"#;
        assert_eq!(
            due(hours, Some("2026-11-22T09:00:00Z"), "2026-11-22T12:00:00Z"),
            Some(Due::At(at("2026-11-22T15:00:00Z")))
        );
        assert_eq!(
            due(hours, Some("2026-11-22T05:00:00Z"), "2026-11-22T12:00:00Z"),
            Some(Due::Since(at("2026-11-22T11:00:00Z")))
        );
        for nothing in [
            r#"{"frequency":2,"period":1,"periodUnit":"d"}"#,
            r#"{"timeOfDay":["08:00:00"],"period":2,"periodUnit":"d"}"#,
            r#"{"timeOfDay":["08:00:00"],"boundsPeriod":{"end":"2026-11-20"}}"#,
            r#"{"period":1e9,"periodUnit":"h"}"#,
        ] {
            assert_eq!(due(nothing, Some("2026-11-22T05:00:00Z"), "2026-11-22T12:00:00Z"), None, "{nothing}");
        }
        // A Sunday: Thursday is next.
        let thursday = due(r#"{"timeOfDay":["08:00:00"],"dayOfWeek":["thu"]}"#, None, "2026-11-22T12:00:00Z");
        assert_eq!(thursday, Some(Due::At(at("2026-11-26T07:00:00Z"))));
    }
}
