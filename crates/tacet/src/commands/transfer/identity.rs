//! Who somebody is, by the traits that French rules compare (RNIV: birth name, given names, birth date, sex, place of birth) and by numbers.
//!
//! What is told is the sender's word for it, for a person who compares: nothing is decided here.

use super::read::patient;
use serde_json::{Value, json};
use tacet_fhir::json::{self, Json};
use tacet_transfer::PatientParts;

/// Longest text that is told of one trait, in characters.
const TEXT_CHARS_MAX: usize = 100;

/// Most names, and most numbers, that are told.
const EACH_MAX: usize = 10;

/// Says where somebody was born.
const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";

/// Registers of the national identity (INS), and what their numbers are called.
const REGISTERS: [(&str, &str); 4] = [
    ("urn:oid:1.2.250.1.213.1.4.8", "INS (NIR)"),
    ("urn:oid:1.2.250.1.213.1.4.9", "INS (NIA)"),
    ("urn:oid:1.2.250.1.213.1.4.10", "INS (test)"),
    ("urn:oid:1.2.250.1.213.1.4.11", "INS (test)"),
];

/// What kind of number one is, by table 0203 of HL7: <https://hl7.org/fhir/R4/valueset-identifier-type.html>.
const KINDS: [(&str, &str); 4] = [("PI", "hospital"), ("MR", "hospital"), ("INS-NIR", "INS (NIR)"), ("NH", "INS")];

/// The traits of a patient. What the document does not say is empty.
#[derive(Default)]
pub(super) struct Identity {
    /// Each as `FAMILY given given`, with its use where it has one that tells it from others.
    names: Vec<String>,
    born: Option<String>,
    sex: Option<String>,
    birth_place: Option<String>,
    /// What kind each number is of, and the number; the national ones first.
    numbers: Vec<(String, String)>,
}

impl Identity {
    /// That of the Patient of a document.
    pub(super) fn of(bundle: &[u8]) -> Self {
        let limits = json::Limits { bytes_max: usize::MAX, values_max: usize::MAX, ..json::Limits::default() };
        let Ok(document) = json::parse(bundle, &limits) else { return Self::default() };
        patient(&document).map(Self::of_patient).unwrap_or_default()
    }

    fn of_patient(patient: &Json<'_>) -> Self {
        let each = |name: &str| patient.get(name).map(Json::items).unwrap_or_default().iter();
        let born_at = each("extension").find(|one| one.get_str("url") == Some(BIRTH_PLACE));
        let mut numbers: Vec<(String, String)> = each("identifier").filter_map(number).collect();
        numbers.sort_by_key(|(kind, _)| !kind.starts_with("INS"));
        numbers.truncate(EACH_MAX);
        Self {
            names: each("name").filter_map(name).take(EACH_MAX).collect(),
            born: patient.get_str("birthDate").map(short),
            sex: patient.get_str("gender").map(short),
            birth_place: born_at.and_then(|one| place(one.get("valueAddress")?)),
            numbers,
        }
    }

    /// On one line.
    pub(super) fn line(&self) -> String {
        let or_none = |text: Option<&String>| text.map_or("-", String::as_str).to_owned();
        let mut parts = vec![or_none(self.names.first()), or_none(self.born.as_ref()), or_none(self.sex.as_ref())];
        parts.extend(self.birth_place.as_ref().map(|place| format!("born in {place}")));
        parts.extend(self.numbers.iter().map(|(kind, value)| format!("{kind} {value}")));
        parts.extend(self.names.iter().skip(1).map(|name| format!("also {name}")));
        parts.join("  ")
    }

    /// As JSON, with the parts of the transfer that are theirs.
    pub(super) fn told(&self, number: usize, parts: Option<&PatientParts>) -> Value {
        let numbers: Vec<Value> =
            self.numbers.iter().map(|(kind, value)| json!({ "kind": kind, "value": value })).collect();
        json!({
            "number": number, "name": self.names.first(), "other_names": self.names.get(1..).unwrap_or_default(), "birth_date": self.born,
            "sex": self.sex, "birth_place": self.birth_place, "identifiers": numbers, "bundle": parts,
        })
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(TEXT_CHARS_MAX).collect()
}

fn name(name: &Json<'_>) -> Option<String> {
    let given = name.get("given").map(Json::items).unwrap_or_default().iter().filter_map(Json::as_str);
    let parts = name.get_str("family").into_iter().chain(given).collect::<Vec<_>>().join(" ");
    let text = if parts.is_empty() { name.get_str("text")?.to_owned() } else { parts };
    let used = name.get_str("use").filter(|used| ["usual", "maiden", "nickname", "old"].contains(used));
    Some(short(&used.map_or(text.clone(), |used| format!("{text} ({used})"))))
}

fn number(identifier: &Json<'_>) -> Option<(String, String)> {
    let value = identifier.get_str("value").map(short).filter(|value| !value.is_empty())?;
    let system = identifier.get_str("system").unwrap_or_default();
    let of = identifier.get("type");
    let codings = of.and_then(|of| of.get("coding")).map(Json::items).unwrap_or_default();
    let known = |(code, _): &&(&str, &str)| codings.iter().any(|coding| coding.get_str("code") == Some(*code));
    let kind = REGISTERS.iter().find(|(register, _)| *register == system).or_else(|| KINDS.iter().find(known));
    let kind = match kind {
        Some((_, kind)) => (*kind).to_owned(),
        // By its own name, or whose numbers these are.
        None => short(of.and_then(|of| of.get_str("text")).unwrap_or(system)),
    };
    Some((if kind.is_empty() { "number".to_owned() } else { kind }, value))
}

/// A place of birth: its name, and its code, which is what French rules compare (INSEE).
fn place(address: &Json<'_>) -> Option<String> {
    let named = address.get_str("city").or_else(|| address.get_str("text"));
    let coded = address.get("extension").map(Json::items).unwrap_or_default().iter();
    let coded = coded.filter_map(|one| one.get("valueCoding")?.get_str("code")).next();
    let code = coded.or_else(|| address.get_str("district")).map(|code| format!("({code})"));
    let parts: Vec<String> =
        named.map(str::to_owned).into_iter().chain(code).chain(address.get_str("country").map(str::to_owned)).collect();
    (!parts.is_empty()).then(|| short(&parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traits_that_rules_compare_are_told_and_nothing_that_acts_on_a_terminal() {
        let document = r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient",
            "identifier":[{"type":{"coding":[{"code":"PI"}]},"system":"urn:x","value":"8001"},{"system":"urn:y","value":"7"},
                {"system":"urn:oid:1.2.250.1.213.1.4.8","value":"279035121518989"}],
            "name":[{"use":"official","family":"AUBRAC","given":["Zélie","Anne"]},{"use":"usual","family":"MARTIN"}],
            "gender":"female","birthDate":"1950-02-01",
            "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"Rennes\u001b[2J","district":"35238","country":"FRA"}}]}}]}"#;
        let identity = Identity::of(document.as_bytes());
        assert_eq!(
            identity.line(),
            "AUBRAC Zélie Anne  1950-02-01  female  born in Rennes[2J (35238) FRA  INS (NIR) 279035121518989  hospital 8001  urn:y 7  also MARTIN (usual)"
        );
        let told = identity.told(1, None);
        assert_eq!((&told["sex"], &told["identifiers"][0]["kind"]), (&json!("female"), &json!("INS (NIR)")));
        assert_eq!(Identity::of(b"{}").line(), "-  -  -");
        assert_eq!(Identity::of(b"nothing").line(), "-  -  -");
    }
}
