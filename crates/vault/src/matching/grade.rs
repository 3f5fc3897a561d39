//! The traits of a patient, and how well those of a record agree with those that are looked for.

use super::refused;
use crate::error::VaultError;
use std::collections::BTreeSet;
use tacet_fhir::json::Json;
use tacet_fhir::search::fold;

/// Most identifiers, and most family names, that one look-up goes by.
const ALTERNATIVES_MAX: usize = 10;

/// Holds the place of birth of a patient.
const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";

/// Holds the official code of a place in France (INSEE) inside of an address; `district` is where older records have it.
const PLACE_CODES: [&str; 2] = [
    "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code",
    "http://interopsante.org/fhir/StructureDefinition/FrAddressInseeCode",
];

/// How well a record matches (value set `match-grade`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatchGrade {
    /// It is the patient who was meant: the identifier, or all five traits of the French identity, and nothing against it.
    Certain,
    /// Birth date and full names are the same, or the identifier is and something else is not.
    Probable,
    /// It may be the patient.
    Possible,
    /// Too much is against it. Such a record is not shown.
    CertainlyNot,
}

impl MatchGrade {
    /// Its code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Probable => "probable",
            Self::Possible => "possible",
            Self::CertainlyNot => "certainly-not",
        }
    }
}

/// How well a record matches, as a grade and as a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Graded {
    /// The grade.
    pub grade: MatchGrade,
    /// From 0 to 1; it orders records and is no probability.
    pub score: f64,
}

/// What a look-up goes by, or what a record says.
#[derive(Default)]
pub(super) struct Traits {
    /// System and value of each identifier that has both.
    pub(super) identifiers: BTreeSet<(String, String)>,
    /// A whole date.
    pub(super) birth_date: Option<String>,
    /// Family names as they stand: those of birth and those used.
    pub(super) families: Vec<String>,
    /// The first given name.
    pub(super) given: Option<String>,
    /// Folded given names, each alone.
    givens: BTreeSet<String>,
    sex: Option<String>,
    place: Option<String>,
}

/// How two values of a trait agree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Same,
    /// One begins with the other.
    Begins,
    Different,
    /// One of them is not known.
    Unknown,
}

impl Traits {
    /// The traits of a patient who is looked for.
    pub(super) fn asked(patient: &Json<'_>) -> Result<Self, VaultError> {
        let traits = Self::of(patient);
        if traits.identifiers.len() > ALTERNATIVES_MAX || traits.families.len() > ALTERNATIVES_MAX {
            return Err(VaultError::TooLarge { what: "identifiers or names of the patient", max: ALTERNATIVES_MAX });
        }
        if patient.get("birthDate").is_some() && traits.birth_date.is_none() {
            return Err(refused("Patient.birthDate", "a whole date of birth is needed, `YYYY-MM-DD`"));
        }
        if traits.birth_date.is_none() && traits.identifiers.is_empty() {
            let message =
                "a patient is looked for by the date of birth, or by an identifier with its system: give one of them";
            return Err(refused("Patient.birthDate", message));
        }
        Ok(traits)
    }

    fn of(patient: &Json<'_>) -> Self {
        let items = |name: &str| patient.get(name).map(Json::items).unwrap_or_default();
        let mut traits = Self::default();
        for identifier in items("identifier") {
            if let (Some(system), Some(value)) = (identifier.get_str("system"), identifier.get_str("value"))
                && !system.is_empty()
                && !value.is_empty()
                && identifier.get_str("use") != Some("old")
            {
                traits.identifiers.insert((system.to_owned(), value.to_owned()));
            }
        }
        traits.birth_date = patient.get_str("birthDate").filter(|date| is_whole_date(date)).map(str::to_owned);
        for name in items("name") {
            if let Some(family) = name.get_str("family")
                && !traits.families.iter().any(|known| known == family)
            {
                traits.families.push(family.to_owned());
            }
            let mut given = name.get("given").map(Json::items).unwrap_or_default().iter().filter_map(Json::as_str);
            let is_official = name.get_str("use") == Some("official");
            traits.givens.extend(given.clone().map(|name| fold(name).into_owned()));
            if let Some(first) = given.next().filter(|_| traits.given.is_none() || is_official) {
                traits.given = Some(first.to_owned());
            }
        }
        traits.sex = patient.get_str("gender").filter(|sex| matches!(*sex, "male" | "female")).map(str::to_owned);
        let place = items("extension").iter().find(|extension| extension.get_str("url") == Some(BIRTH_PLACE));
        traits.place = place.and_then(|place| place.get("valueAddress")).and_then(place_code);
        traits
    }

    /// How well a record matches these.
    pub(super) fn grade(&self, record: &Json<'_>) -> Graded {
        use Agreement::{Begins, Different, Same};
        let other = Self::of(record);
        let identifier = self.identifiers.intersection(&other.identifiers).next().is_some();
        // Another number of the same kind speaks for another patient.
        let another = !identifier
            && self.identifiers.iter().any(|(system, _)| other.identifiers.iter().any(|(known, _)| known == system));
        let birth = exactly(self.birth_date.as_deref(), other.birth_date.as_deref());
        let sex = exactly(self.sex.as_deref(), other.sex.as_deref());
        let place = exactly(self.place.as_deref(), other.place.as_deref());
        let families: BTreeSet<String> = other.families.iter().map(|name| fold(name).into_owned()).collect();
        let family = best(self.families.iter().map(|name| named(name, &families)));
        let given = best(self.given.iter().map(|name| named(name, &other.givens)));
        let against = [another, birth == Different, sex == Different, place == Different];
        let against = against.into_iter().filter(|it| *it).count();
        let all_same = [birth, family, given, sex, place].into_iter().all(|agreement| agreement == Same);
        let names_differ = family == Different && given == Different;
        let grade = match (identifier, against) {
            (true, 0) if !names_differ => MatchGrade::Certain,
            (true, 0 | 1) => MatchGrade::Probable,
            (true, _) => MatchGrade::Possible,
            (false, 0) if all_same => MatchGrade::Certain,
            (false, 0) if birth == Same && family == Same && given == Same => MatchGrade::Probable,
            (false, 0 | 1) if !names_differ => MatchGrade::Possible,
            (false, _) => MatchGrade::CertainlyNot,
        };
        let names = |agreement: Agreement, same: f64, begins: f64| match agreement {
            Same => same,
            Begins => begins,
            _ => 0.0,
        };
        let weight = |agreement: Agreement, weight: f64| match agreement {
            Same => weight,
            Different => -weight,
            _ => 0.0,
        };
        let score = match (grade, identifier) {
            (MatchGrade::Certain, _) => 1.0,
            // An identifier stands above all that speaks for anybody without it.
            (_, true) => 0.9 - 0.02 * against as f64,
            (_, false) => {
                let traits = weight(birth, 0.35) + names(family, 0.2, 0.12) + names(given, 0.15, 0.08);
                (traits + weight(sex, 0.05) + weight(place, 0.05) - if another { 0.1 } else { 0.0 }).clamp(0.0, 0.8)
            }
        };
        Graded { grade, score }
    }
}

fn exactly(left: Option<&str>, right: Option<&str>) -> Agreement {
    match (left, right) {
        (Some(left), Some(right)) if left == right => Agreement::Same,
        (Some(_), Some(_)) => Agreement::Different,
        _ => Agreement::Unknown,
    }
}

/// How a name that is looked for agrees with those of a record, which are folded.
fn named(name: &str, known: &BTreeSet<String>) -> Agreement {
    let name = fold(name);
    if name.is_empty() || known.is_empty() {
        return Agreement::Unknown;
    }
    if known.contains(name.as_ref()) {
        return Agreement::Same;
    }
    let begins = known.iter().any(|known| known.starts_with(name.as_ref()) || name.starts_with(known.as_str()));
    if begins { Agreement::Begins } else { Agreement::Different }
}

fn best(all: impl Iterator<Item = Agreement>) -> Agreement {
    let mut best = Agreement::Unknown;
    for agreement in all {
        best = match (best, agreement) {
            (Agreement::Same, _) | (_, Agreement::Same) => Agreement::Same,
            (Agreement::Begins, _) | (_, Agreement::Begins) => Agreement::Begins,
            (Agreement::Different, _) | (_, Agreement::Different) => Agreement::Different,
            _ => Agreement::Unknown,
        };
    }
    best
}

fn is_whole_date(text: &str) -> bool {
    text.len() == "YYYY-MM-DD".len() && tacet_fhir::search::DateRange::parse(text).is_some()
}

fn place_code(address: &Json<'_>) -> Option<String> {
    let extensions = address.get("extension").map(Json::items).unwrap_or_default();
    let official = extensions.iter().filter(|it| it.get_str("url").is_some_and(|url| PLACE_CODES.contains(&url)));
    let mut codes = official.filter_map(|extension| extension.get("valueCoding")?.get_str("code"));
    codes.next().or_else(|| address.get_str("district")).map(|code| code.trim().to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disclose::json_limits;
    use tacet_fhir::json;

    const RECORD: &str = r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"1"},{"system":"t","value":"9"}],
        "birthDate":"1980-02-29","gender":"female","name":[{"use":"official","family":"Ménard","given":["Zoé","Anne"]},
        {"use":"usual","family":"Roux"}],"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
        "valueAddress":{"district":"35238"}}]}"#;

    fn grade(asked: &str) -> (MatchGrade, f64) {
        let parse = |text: &str| json::parse(text.as_bytes(), &json_limits()).unwrap().into_owned();
        let graded = Traits::asked(&parse(asked)).unwrap().grade(&parse(RECORD));
        (graded.grade, graded.score)
    }

    #[test]
    fn grades_follow_what_agrees_and_what_speaks_against() {
        use MatchGrade::{Certain, CertainlyNot, Possible, Probable};
        let place = |code: &str| {
            format!(
                r#""extension":[{{"url":"{BIRTH_PLACE}","valueAddress":{{"extension":[{{"url":"{}","valueCoding":{{"code":"{code}"}}}}]}}}}]"#,
                PLACE_CODES[0]
            )
        };
        let (rennes, paris) = (place("35238"), place("75056"));
        let one = r#""identifier":[{"system":"s","value":"1"}]"#;
        let another = r#""identifier":[{"system":"s","value":"2"}]"#;
        let born = r#""birthDate":"1980-02-29""#;
        let name = r#""name":[{"family":"MENARD","given":["zoe"]}]"#;
        let mut last = 2.0;
        for (asked, expected) in [
            (format!(r#"{{{one}}}"#), Certain),
            (format!(r#"{{{born},{name},"gender":"female",{rennes}}}"#), Certain),
            (format!(r#"{{{one},"birthDate":"1981-02-28"}}"#), Probable),
            (format!(r#"{{{one},"birthDate":"1981-02-28","gender":"male"}}"#), Possible),
            (format!(r#"{{{born},{name},"gender":"female"}}"#), Probable),
            (format!(r#"{{{born},{name}}}"#), Probable),
            (format!(r#"{{{born},{name},"gender":"male"}}"#), Possible),
            (format!(r#"{{{born},{name},{another}}}"#), Possible),
            (format!(r#"{{{born},"name":[{{"family":"men","given":["zo"]}}]}}"#), Possible),
            (format!(r#"{{{born},"name":[{{"family":"men"}}]}}"#), Possible),
            (format!(r#"{{{born}}}"#), Possible),
            (format!(r#"{{{born},"name":[{{"family":"x","given":["y"]}}]}}"#), CertainlyNot),
            (format!(r#"{{{born},{another},"gender":"male",{paris}}}"#), CertainlyNot),
        ] {
            let (grade, score) = grade(&asked);
            assert_eq!(grade, expected, "{asked}");
            assert!(score <= last && (0.0..=1.0).contains(&score), "{asked}: {score} after {last}");
            last = score;
        }
        let used = format!(r#"{{{born},"name":[{{"family":"Roux","given":["Zoé"]}}]}}"#);
        assert_eq!(grade(&used).0, Probable, "the name that is used counts like that of birth");
    }

    #[test]
    fn a_birth_date_or_an_identifier_comes_first() {
        for asked in [
            r#"{}"#,
            r#"{"name":[{"family":"Ménard"}]}"#,
            r#"{"birthDate":"1980"}"#,
            r#"{"birthDate":"1980-02","identifier":[{"system":"s","value":"1"}]}"#,
            r#"{"birthDate":"1980-02-30"}"#,
            r#"{"identifier":[{"value":"1"}]}"#,
        ] {
            let patient = json::parse(asked.as_bytes(), &json_limits()).unwrap();
            assert!(Traits::asked(&patient).is_err(), "{asked}");
        }
    }
}
