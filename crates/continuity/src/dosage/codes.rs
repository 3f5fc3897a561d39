//! The codes of schedules, times of day and days in French and English words.

use crate::Language;

/// The codes of when within a day, French and English (<https://hl7.org/fhir/R4/valueset-event-timing.html>).
pub(super) const WHEN: [(&str, &str, &str); 26] = [
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
pub(super) const SCHEDULES: [(&str, &str, &str); 18] = [
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
pub(super) const WEEK: [(&str, &str, &str); 7] = [
    ("mon", "lundi", "Monday"),
    ("tue", "mardi", "Tuesday"),
    ("wed", "mercredi", "Wednesday"),
    ("thu", "jeudi", "Thursday"),
    ("fri", "vendredi", "Friday"),
    ("sat", "samedi", "Saturday"),
    ("sun", "dimanche", "Sunday"),
];

pub(super) fn words<'t>(table: &[(&str, &'t str, &'t str)], code: &str, language: Language) -> Option<&'t str> {
    table.iter().find(|(known, ..)| *known == code).map(|(_, french, english)| language.of((*french, *english)))
}

/// A unit of time, for one and for several of them.
pub(super) fn unit_of_time(code: &str, several: bool, language: Language) -> Option<&'static str> {
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
