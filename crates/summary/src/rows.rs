//! What a section says, as a table: the same for the document's narrative and for the paper.

use crate::choose::when;
use crate::links::Index;
use crate::sections::Place;
use crate::words::{cell, concept, concepts, date_of, dosage, finding, joined, notes, period, usual};
use crate::{Identity, Language};
use tacet_fhir::json::Json;

type Pair = (&'static str, &'static str);

const DATE: Pair = ("Date", "Date");
const STATUS: Pair = ("État", "Status");
const NOTES: Pair = ("Remarques", "Notes");

/// The names of a section's columns.
pub(crate) fn columns(place: Place, language: Language) -> Vec<&'static str> {
    let names: &[Pair] = match place {
        Place::Alerts => &[("Alerte", "Alert"), ("Catégorie", "Category"), ("Depuis", "Since")],
        Place::Allergies => &[
            ("Substance", "Substance"),
            ("Réactions", "Reactions"),
            ("Gravité", "Criticality"),
            STATUS,
            ("Depuis", "Since"),
        ],
        Place::Medications => &[("Médicament", "Medication"), ("Dose et horaires", "Dose and times"), STATUS, DATE],
        Place::Problems | Place::Past => &[("Problème", "Problem"), STATUS, ("Début", "Onset"), ("Fin", "End"), NOTES],
        Place::Immunizations => &[("Vaccin", "Vaccine"), DATE, STATUS, ("Lot", "Lot")],
        Place::Procedures => &[("Acte", "Procedure"), DATE, STATUS, ("Site", "Body site")],
        Place::Devices => &[("Dispositif", "Device"), DATE, STATUS, ("Site", "Body site")],
        Place::Results | Place::Vitals => &[
            ("Examen", "Examination"),
            ("Valeur", "Value"),
            ("Valeurs usuelles", "Reference range"),
            ("Interprétation", "Interpretation"),
            DATE,
        ],
        Place::Pregnancy | Place::Social => &[("Observation", "Observation"), ("Valeur", "Value"), DATE],
        Place::Directives | Place::Story | Place::Plan | Place::Functional => {
            &[("Objet", "Subject"), ("Contenu", "Content"), STATUS, DATE]
        }
    };
    names.iter().map(|name| language.of(*name)).collect()
}

/// The cells of a resource, as many as the section has columns.
pub(crate) fn row(place: Place, resource: &Json<'_>, index: &Index<'_>, language: Language) -> Vec<String> {
    let date = || date_of(when(resource), language);
    let status = || status(resource, language);
    let code = || concept(resource.get("code"));
    match place {
        Place::Alerts => vec![code(), concepts(resource.get("category")), date()],
        Place::Allergies => {
            vec![code(), reactions(resource), criticality(resource, language), state(resource, language), date()]
        }
        Place::Medications => vec![medication(resource, index), doses(resource, language), status(), date()],
        Place::Problems | Place::Past => {
            let end = resource.get_str("abatementDateTime");
            vec![code(), state(resource, language), date(), date_of(end, language), notes(resource)]
        }
        Place::Immunizations => vec![
            concept(resource.get("vaccineCode")),
            date(),
            status(),
            resource.get_str("lotNumber").map(cell).unwrap_or_default(),
        ],
        Place::Procedures => vec![code(), date(), status(), concepts(resource.get("bodySite"))],
        Place::Devices => vec![device(resource, index), date(), status(), concept(resource.get("bodySite"))],
        Place::Results | Place::Vitals if resource.resource_type() == Some("DiagnosticReport") => {
            let conclusion = resource.get_str("conclusion").map(cell).unwrap_or_default();
            let said = joined([conclusion, concepts(resource.get("conclusionCode"))].into_iter(), "; ");
            vec![code(), said, String::new(), String::new(), date()]
        }
        Place::Results | Place::Vitals => {
            vec![
                code(),
                finding(resource, language),
                usual(resource, language),
                concepts(resource.get("interpretation")),
                date(),
            ]
        }
        Place::Pregnancy | Place::Social => vec![code(), finding(resource, language), date()],
        Place::Directives | Place::Story | Place::Plan | Place::Functional => {
            vec![subject(resource), content(resource, language), status(), date()]
        }
    }
}

fn subject(resource: &Json<'_>) -> String {
    let titled = ["title", "description"].iter().find_map(|name| resource.get_str(name)).map(cell);
    let coded = || {
        let all = ["type", "category", "code"].iter().map(|name| concepts(resource.get(name)));
        all.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    };
    titled.unwrap_or_else(coded)
}

fn content(resource: &Json<'_>, language: Language) -> String {
    let list = |name: &str| resource.get(name).into_iter().flat_map(Json::iter);
    let parts = match resource.resource_type().unwrap_or_default() {
        "CarePlan" => list("activity")
            .filter_map(|activity| activity.get("detail"))
            .map(|detail| {
                joined(
                    [concept(detail.get("code")), detail.get_str("description").map(cell).unwrap_or_default()]
                        .into_iter(),
                    " : ",
                )
            })
            .collect::<Vec<_>>(),
        "Consent" => resource.get("provision").into_iter().map(|provision| concepts(provision.get("code"))).collect(),
        "DocumentReference" => {
            list("content").filter_map(|content| content.get("attachment")?.get_str("title")).map(cell).collect()
        }
        "ImmunizationRecommendation" => list("recommendation")
            .map(|one| {
                joined([concepts(one.get("vaccineCode")), concept(one.get("forecastStatus"))].into_iter(), " : ")
            })
            .collect(),
        "ClinicalImpression" => resource.get_str("summary").map(cell).into_iter().collect(),
        _ => Vec::new(),
    };
    let parts = joined(parts.into_iter(), "; ");
    let time = resource.get("period").map(|time| period(time, language)).unwrap_or_default();
    if parts.is_empty() { time } else { parts }
}

fn reactions(allergy: &Json<'_>) -> String {
    let reactions = allergy.get("reaction").into_iter().flat_map(Json::iter);
    joined(reactions.map(|one| concepts(one.get("manifestation"))), "; ")
}

fn criticality(allergy: &Json<'_>, language: Language) -> String {
    let severities = allergy.get("reaction").into_iter().flat_map(Json::iter);
    let severe = severities.filter_map(|one| one.get_str("severity")).any(|severity| severity == "severe");
    let criticality = match allergy.get_str("criticality") {
        Some("high") => language.of(("haut risque", "high risk")),
        Some("low") => language.of(("faible risque", "low risk")),
        Some("unable-to-assess") => language.of(("risque non évaluable", "risk cannot be assessed")),
        _ => "",
    };
    let severe = if severe { language.of(("réaction sévère", "severe reaction")) } else { "" };
    joined([criticality, severe].into_iter().map(str::to_owned), ", ")
}

/// Clinical status and how sure it is.
fn state(resource: &Json<'_>, language: Language) -> String {
    let said = |name: &str| {
        let status = resource.get(name)?;
        let code = crate::words::codings(status).map(|(_, code)| code).next();
        Some(code.map_or_else(|| concept(Some(status)), |code| translated(code, language)))
    };
    joined(["clinicalStatus", "verificationStatus"].iter().filter_map(|name| said(name)), ", ")
}

fn status(resource: &Json<'_>, language: Language) -> String {
    resource.get_str("status").map(|code| translated(code, language)).unwrap_or_default()
}

/// A status of R4 in words; one that is not known here as it is.
fn translated(code: &str, language: Language) -> String {
    let words = match code {
        "active" => ("en cours", "active"),
        "on-hold" => ("suspendu", "on hold"),
        "intended" => ("prévu", "intended"),
        "unknown" => ("état inconnu", "status unknown"),
        "completed" => ("terminé", "completed"),
        "stopped" => ("arrêté", "stopped"),
        "in-progress" => ("en cours", "in progress"),
        "not-done" => ("non fait", "not done"),
        "inactive" => ("inactif", "inactive"),
        "resolved" => ("résolu", "resolved"),
        "remission" => ("rémission", "remission"),
        "recurrence" => ("récidive", "recurrence"),
        "relapse" => ("rechute", "relapse"),
        "confirmed" => ("confirmé", "confirmed"),
        "unconfirmed" => ("non confirmé", "unconfirmed"),
        "provisional" => ("provisoire", "provisional"),
        "differential" => ("à discuter", "differential"),
        "current" => ("en vigueur", "current"),
        other => return cell(other),
    };
    language.of(words).to_owned()
}

fn medication(resource: &Json<'_>, index: &Index<'_>) -> String {
    let own = concept(resource.get("medicationCodeableConcept"));
    if !own.is_empty() {
        return own;
    }
    referred(resource, resource.get("medicationReference"), "code", index)
}

fn doses(resource: &Json<'_>, language: Language) -> String {
    let name = match resource.resource_type() {
        Some("MedicationRequest") => "dosageInstruction",
        _ => "dosage",
    };
    if resource.resource_type() == Some("MedicationAdministration") {
        let Some(given) = resource.get(name) else { return String::new() };
        let amount = crate::words::quantity(given.get("dose"), language);
        let text = given.get_str("text").map(cell).unwrap_or_default();
        return joined([text, amount, concept(given.get("route"))].into_iter(), ", ");
    }
    dosage(resource.get(name), language)
}

fn device(resource: &Json<'_>, index: &Index<'_>) -> String {
    if resource.resource_type() == Some("Device") {
        return device_name(resource);
    }
    let reference = resource.get("device");
    let found = reference.and_then(|reference| index.find(reference.get_str("reference")?));
    let named = found.map(device_name).unwrap_or_default();
    if named.is_empty() { referred(resource, reference, "type", index) } else { named }
}

fn device_name(device: &Json<'_>) -> String {
    let coded = concept(device.get("type"));
    let named = device.get("deviceName").into_iter().flat_map(Json::iter).find_map(|name| name.get_str("name"));
    if coded.is_empty() { named.map(cell).unwrap_or_default() } else { coded }
}

/// What a reference names: the concept of the record that it leads to, contained or not, or the text beside it.
fn referred(within: &Json<'_>, reference: Option<&Json<'_>>, element: &str, index: &Index<'_>) -> String {
    let Some(reference) = reference else { return String::new() };
    let target = reference.get_str("reference").and_then(|text| match text.strip_prefix('#') {
        Some(name) => within.get("contained")?.items().iter().find(|one| one.get_str("id") == Some(name)),
        None => index.find(text),
    });
    let named = target.map(|target| concept(target.get(element))).unwrap_or_default();
    if named.is_empty() { reference.get_str("display").map(cell).unwrap_or_default() } else { named }
}

/// A few words about any resource, for a narrative of its own.
pub(crate) fn headline(resource: &Json<'_>, index: &Index<'_>, language: Language) -> String {
    let place = match resource.resource_type().unwrap_or_default() {
        "Flag" => Place::Alerts,
        "AllergyIntolerance" => Place::Allergies,
        "MedicationStatement" | "MedicationRequest" | "MedicationAdministration" => Place::Medications,
        "Condition" => Place::Problems,
        "Immunization" => Place::Immunizations,
        "Procedure" => Place::Procedures,
        "DeviceUseStatement" | "Device" => Place::Devices,
        "DiagnosticReport" | "Observation" => Place::Results,
        "Practitioner" | "Patient" | "RelatedPerson" => {
            return resource
                .get("name")
                .and_then(|names| names.items().first())
                .map(crate::words::name)
                .unwrap_or_default();
        }
        "Organization" => return resource.get_str("name").map(cell).unwrap_or_default(),
        _ => Place::Plan,
    };
    joined(row(place, resource, index, language).into_iter(), " — ")
}

/// Whom the summary is about.
pub(crate) fn identity(patient: &Json<'_>, language: Language) -> Identity {
    let list = |name: &str| patient.get(name).into_iter().flat_map(Json::iter);
    let is_use = |name: &&Json<'_>, what: &str| name.get_str("use") == Some(what);
    let usual =
        list("name").find(|name| is_use(name, "usual")).or_else(|| list("name").find(|name| is_use(name, "official")));
    let name = usual.or_else(|| list("name").next()).map(crate::words::name).unwrap_or_default();
    let mut lines = Vec::new();
    let mut line = |label: Pair, text: String| {
        if !text.is_empty() {
            lines.push((language.of(label).to_owned(), text));
        }
    };
    for other in list("name") {
        let label = match other.get_str("use") {
            Some("official") => ("Nom à l’état civil", "Official name"),
            Some("maiden") => ("Nom de naissance", "Birth name"),
            Some("usual") => ("Nom utilisé", "Usual name"),
            _ => ("Nom", "Name"),
        };
        line(label, crate::words::name(other));
    }
    let born = date_of(patient.get_str("birthDate"), language);
    line(("Date de naissance", "Date of birth"), born.clone());
    let sex = match patient.get_str("gender") {
        Some("male") => language.of(("masculin", "male")),
        Some("female") => language.of(("féminin", "female")),
        Some("other") => language.of(("autre", "other")),
        _ => language.of(("inconnu", "unknown")),
    };
    line(("Sexe", "Sex"), sex.to_owned());
    let mut numbers = Vec::new();
    for identifier in list("identifier") {
        let Some(value) = identifier.get_str("value") else { continue };
        let kind = number_kind(identifier);
        line(("Identifiant", "Identifier"), joined([kind.clone(), cell(value)].into_iter(), " "));
        if kind.starts_with("INS") || numbers.is_empty() {
            numbers.insert(0, joined([kind, cell(value)].into_iter(), " "));
        }
    }
    line(("Adresse", "Address"), joined(list("address").map(crate::words::address), "; "));
    let telecom = |of: &Json<'_>| {
        let all = of.get("telecom").into_iter().flat_map(Json::iter);
        joined(all.filter_map(|one| one.get_str("value")).map(cell), ", ")
    };
    line(("Téléphone, courriel", "Phone, mail"), telecom(patient));
    for contact in list("contact") {
        let named = contact.get("name").map(crate::words::name).unwrap_or_default();
        let text = joined([named, concepts(contact.get("relationship")), telecom(contact)].into_iter(), ", ");
        line(("À prévenir", "Contact"), text);
    }
    let born = if born.is_empty() { born } else { format!("{} {born}", language.of(("né(e) le", "born"))) };
    let about = joined([name.clone(), born, numbers.into_iter().next().unwrap_or_default()].into_iter(), " — ");
    Identity { name, lines, about }
}

/// What an identifier is: the national identity by its registers, or what it says of itself.
fn number_kind(identifier: &Json<'_>) -> String {
    match identifier.get_str("system").unwrap_or_default() {
        "urn:oid:1.2.250.1.213.1.4.8" => "INS (NIR)".to_owned(),
        "urn:oid:1.2.250.1.213.1.4.9" => "INS (NIA)".to_owned(),
        "urn:oid:1.2.250.1.213.1.4.10" | "urn:oid:1.2.250.1.213.1.4.11" => "INS (TEST)".to_owned(),
        _ => concept(identifier.get("type")),
    }
}
