//! Who the patient is, where they lie, and whom to call.

use super::{Asked, Contact, Identity, InsKind, Stay};
use crate::read::{concept, each, has_code, human_name, moment, name_of, phones, text};
use crate::select::Dossier;
use tacet_fhir::json::Json;

/// The OIDs of the national identity of health, and of its ranges for tests: what the number is
/// (ANS, "Référentiel Identifiant national de santé", annex 2).
const INS: [(&str, InsKind); 4] = [
    ("1.2.250.1.213.1.4.8", InsKind::Nir),
    ("1.2.250.1.213.1.4.9", InsKind::Nia),
    ("1.2.250.1.213.1.4.10", InsKind::TestNir),
    ("1.2.250.1.213.1.4.11", InsKind::DemoNir),
];

/// Who a Patient is.
pub fn identity(patient: &Json<'_>) -> Identity {
    let identifiers = || each(patient, "identifier").iter().filter(|one| one.get_str("use") != Some("old"));
    let ins = identifiers().find_map(|one| {
        let oid = one.get_str("system")?.trim_start_matches("urn:oid:");
        let (_, kind) = INS.iter().find(|(known, _)| *known == oid)?;
        Some((text(one, "value")?, *kind))
    });
    let number = identifiers().find(|one| has_code(one.get("type"), &["PI", "MR"])).or_else(|| {
        identifiers().find(|one| {
            let oid = one.get_str("system").unwrap_or_default().trim_start_matches("urn:oid:");
            !INS.iter().any(|(known, _)| *known == oid)
        })
    });
    let names = || each(patient, "name").iter();
    let name = name_of(patient);
    let used = names().find(|name| name.get_str("use") == Some("usual")).and_then(human_name);
    let reliability = each(patient, "extension")
        .iter()
        .filter(|one| one.get_str("url").is_some_and(|url| url.ends_with("fr-core-identity-reliability")))
        .flat_map(|one| each(one, "extension"))
        .find_map(|one| one.get("valueCoding")?.get_str("code"));
    let preferred = each(patient, "communication").iter();
    let preferred = preferred.filter(|one| one.get("preferred").and_then(Json::as_bool) == Some(true));
    Identity {
        used: used.filter(|used| Some(used) != name.as_ref()),
        name,
        born: moment(patient, &["birthDate"]),
        sex: text(patient, "gender"),
        ins,
        validated: reliability.map(|code| code == "VALI"),
        number: number.and_then(|one| text(one, "value")),
        dead: patient.get("deceasedBoolean").and_then(Json::as_bool) == Some(true)
            || patient.get("deceasedDateTime").is_some(),
        speaks: preferred.filter_map(|one| one.get("language").and_then(concept)).next(),
    }
}

pub(super) fn stay(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Stay {
    let going = |one: &&Json<'_>| match asked.encounter {
        Some(id) => one.get_str("id") == Some(id),
        None => matches!(one.get_str("status"), Some("in-progress" | "arrived" | "triaged" | "onleave")),
    };
    let start = |one: &Json<'_>| moment(one, &["period"]);
    let encounter = dossier.each("Encounter").filter(going).max_by_key(|one| start(one).map(|when| when.as_ms()));
    let Some(encounter) = encounter else { return Stay::default() };
    let mut stay = Stay { since: start(encounter), ..Stay::default() };
    let places = each(encounter, "location").iter();
    let here = places.filter(|one| !matches!(one.get_str("status"), Some("completed" | "planned" | "reserved")));
    let latest = here.max_by_key(|one| moment(one, &["period"]).map_or(i64::MIN, |when| when.as_ms()));
    if let Some(place) = latest.and_then(|one| one.get("location")) {
        let said = text(place, "display");
        let mut next = dossier.resolve(encounter, place);
        // From the bed to its room and its ward; a bound on steps, as places may be parts of each other.
        for _ in 0..4 {
            let Some(location) = next else { break };
            let name = text(location, "name");
            let kind = location.get("physicalType");
            match () {
                () if has_code(kind, &["bd"]) => stay.bed = stay.bed.take().or(name),
                () if has_code(kind, &["ro"]) => stay.room = stay.room.take().or(name),
                () if has_code(kind, &["wa", "lvl", "wi", "bu"]) => {
                    stay.ward = stay.ward.take().or(name);
                    break;
                }
                () => stay.bed = stay.bed.take().or(name),
            }
            next = location.get("partOf").and_then(|above| dossier.resolve(location, above));
        }
        // "Cardiologie, lit 12" says where, where no place of that kind is on file.
        if stay.bed.is_none() {
            stay.bed = match (said, &stay.ward) {
                (Some(said), Some(ward)) => {
                    let rest = said.strip_prefix(ward.as_str()).unwrap_or(&said);
                    let rest = rest.trim_start_matches([',', ' ', '-', '–']).to_owned();
                    Some(rest).filter(|rest| !rest.is_empty())
                }
                (said, _) => said,
            };
        }
    }
    let people =
        || each(encounter, "participant").iter().filter(|one| one.get("period").is_none_or(|p| p.get("end").is_none()));
    let of_kind = |codes: &[&str]| {
        people()
            .find(|one| each(one, "type").iter().any(|kind| has_code(Some(kind), codes)))
            .and_then(|one| one.get("individual"))
    };
    let responsible =
        of_kind(&["ATND"]).or_else(|| of_kind(&["PPRF"])).or_else(|| people().find_map(|one| one.get("individual")));
    stay.responsible = responsible.and_then(|reference| named(dossier, encounter, reference));
    let reasons: Vec<String> = each(encounter, "reasonCode").iter().filter_map(concept).take(3).collect();
    stay.reason = Some(reasons.join(" ; ")).filter(|reasons| !reasons.is_empty());
    stay
}

pub(super) fn contacts(dossier: &Dossier<'_>, patient: Option<&Json<'_>>) -> Vec<Contact> {
    let relation = |one: &Json<'_>| each(one, "relationship").iter().find_map(concept);
    let mut contacts: Vec<Contact> = Vec::new();
    for contact in patient.into_iter().flat_map(|patient| each(patient, "contact")) {
        let organization = || contact.get("organization").and_then(|one| text(one, "display"));
        if let Some(name) = contact.get("name").and_then(human_name).or_else(organization) {
            contacts.push(Contact { relation: relation(contact), name, phones: phones(contact), doctor: false });
        }
    }
    for person in dossier.each("RelatedPerson").filter(|one| one.get("active").and_then(Json::as_bool) != Some(false)) {
        let Some(name) = name_of(person) else { continue };
        let contact = Contact { relation: relation(person), name, phones: phones(person), doctor: false };
        if !contacts.iter().any(|known| known.name == contact.name && known.phones == contact.phones) {
            contacts.push(contact);
        }
    }
    if let Some(patient) = patient {
        for doctor in each(patient, "generalPractitioner") {
            let found = dossier.resolve(patient, doctor);
            let Some(name) = named(dossier, patient, doctor) else { continue };
            contacts.push(Contact {
                relation: None,
                name,
                phones: found.map(phones).unwrap_or_default(),
                doctor: true,
            });
        }
    }
    contacts
}

/// The display of a reference, or the name of what it refers to.
fn named<'a>(dossier: &Dossier<'a>, holder: &Json<'a>, reference: &Json<'_>) -> Option<String> {
    let found = || dossier.resolve(holder, reference);
    text(reference, "display").or_else(|| {
        let found = found()?;
        match found.get("name")? {
            Json::String(_) => text(found, "name"),
            _ => name_of(found),
        }
    })
}
