//! The document: a Composition, the Patient, what the sections hold and what that refers to.

use crate::choose::{self, Chosen};
use crate::labels::Gathered;
use crate::links::{self, Index};
use crate::sections::Place;
use crate::{
    BUNDLE_PROFILE, COMPOSITION_PROFILE, Language, Section, Summary, SummaryError, SummarySettings, fill, narrative,
    rows,
};
use std::collections::{BTreeMap, HashMap};
use tacet_fhir::json::Json;
use tacet_types::{ResourceId, Rng};

/// What a document is called.
pub(crate) fn title(language: Language) -> &'static str {
    language.of(("Résumé international du patient (IPS)", "International Patient Summary"))
}

fn text(value: impl Into<String>) -> Json<'static> {
    Json::from(value.into())
}

fn concept(system: &'static str, code: &'static str, display: &'static str) -> Json<'static> {
    let coding =
        Json::object([("system", Json::from(system)), ("code", Json::from(code)), ("display", Json::from(display))]);
    Json::object([("coding", Json::Array(vec![coding]))])
}

fn refers_to(urn: &str) -> Json<'static> {
    Json::object([("reference", text(urn))])
}

fn urn(rng: &dyn Rng) -> String {
    format!("urn:uuid:{}", ResourceId::random(rng).as_str())
}

/// An entry: the resource gets the id of its URN, so that the two do not disagree.
fn entry(urn: &str, mut resource: Json<'static>) -> Json<'static> {
    let id = urn.strip_prefix("urn:uuid:").unwrap_or(urn).to_owned();
    if let Json::Object(members) = &mut resource {
        members.retain(|(name, _)| name != "id");
        let after = usize::from(members.first().is_some_and(|(name, _)| name == "resourceType"));
        members.insert(after, ("id".into(), Json::from(id)));
    }
    Json::object([("fullUrl", text(urn)), ("resource", resource)])
}

pub(crate) fn make(
    patient: &Json<'_>,
    resources: &[Json<'_>],
    settings: &SummarySettings,
    rng: &dyn Rng,
) -> Result<Summary, SummaryError> {
    let language = settings.language;
    let index = Index::new(resources, settings.base.as_deref());
    let chosen = choose::choose(resources, settings.now);
    let general = |resource: &Json<'_>| {
        let practitioners = resource.get("generalPractitioner").into_iter().flat_map(Json::iter);
        practitioners.filter_map(|one| index.place(one.get_str("reference")?)).collect::<Vec<_>>()
    };
    let listed = chosen.values().flat_map(|chosen| chosen.entries.iter().copied()).chain(general(patient));
    let all = index.closure(listed)?;
    let mut urns: HashMap<String, String> = HashMap::with_capacity(all.len() + 1);
    let key = |resource: &Json<'_>| {
        format!("{}/{}", resource.resource_type().unwrap_or_default(), resource.get_str("id").unwrap_or_default())
    };
    let patient_urn = urn(rng);
    urns.insert(key(patient), patient_urn.clone());
    for resource in all.iter().filter_map(|at| resources.get(*at)) {
        urns.entry(key(resource)).or_insert_with(|| urn(rng));
    }
    let mut labels = Gathered::default();
    labels.add(patient);
    let mut supporting = Vec::with_capacity(all.len());
    let mut used = BTreeMap::new();
    for at in &all {
        let Some(resource) = resources.get(*at) else { continue };
        labels.add(resource);
        let Some(place) = urns.get(&key(resource)) else { continue };
        supporting.push(entry(place, prepared(resource, &index, &urns, language)));
        let listed_device = chosen.get(&Place::Devices).is_some_and(|chosen| chosen.entries.contains(at));
        if listed_device && resource.resource_type() == Some("Device") {
            let statement = urn(rng);
            supporting.push(entry(&statement, use_of(place, &patient_urn, resource, &index, language)));
            used.insert(*at, statement);
        }
    }
    let sections: Vec<Section> = Place::ALL
        .into_iter()
        .filter_map(|place| section(place, chosen.get(&place), resources, &index, language))
        .collect();
    let author_urn = urn(rng);
    let reference_of = |at: &usize| {
        let place = used.get(at).or_else(|| urns.get(&key(resources.get(*at)?)))?;
        Some(refers_to(place))
    };
    let composed: Vec<Json<'static>> = sections
        .iter()
        .map(|section| {
            let entries =
                chosen.get(&section.place).map(|chosen| chosen.entries.iter().filter_map(reference_of).collect());
            composed(section, entries.unwrap_or_default(), language)
        })
        .collect();
    let confidentiality = labels.confidentiality();
    let composition_urn = urn(rng);
    let identity = rows::identity(patient, language);
    let mut composition = Json::object([
        ("resourceType", Json::from("Composition")),
        ("meta", Json::object([("profile", Json::Array(vec![Json::from(COMPOSITION_PROFILE)]))])),
        ("language", Json::from(language.tag())),
        ("text", narrative::composition(title(language), &identity.lines, language)),
        ("identifier", identifier(&composition_urn)),
        ("status", Json::from("final")),
        ("type", concept("http://loinc.org", "60591-5", "Patient summary Document")),
        ("subject", refers_to(&patient_urn)),
        ("date", text(settings.now.to_string())),
        ("author", Json::Array(vec![refers_to(&author_urn)])),
        ("title", Json::from(title(language))),
        ("custodian", refers_to(&author_urn)),
        ("section", Json::Array(composed)),
    ]);
    if let Some(code) = confidentiality {
        composition.set("confidentiality", Json::from(code));
    }
    let mut entries = vec![
        entry(&composition_urn, composition),
        entry(&patient_urn, prepared(patient, &index, &urns, language)),
        entry(&author_urn, author(settings)),
    ];
    entries.append(&mut supporting);
    let mut meta = Json::object([("profile", Json::Array(vec![Json::from(BUNDLE_PROFILE)]))]);
    let security = labels.into_list();
    if !security.is_empty() {
        meta.set("security", Json::Array(security));
    }
    let bundle_urn = urn(rng);
    let bundle = Json::object([
        ("resourceType", Json::from("Bundle")),
        ("id", text(bundle_urn.strip_prefix("urn:uuid:").unwrap_or_default())),
        ("meta", meta),
        ("language", Json::from(language.tag())),
        ("identifier", identifier(&bundle_urn)),
        ("type", Json::from("document")),
        ("timestamp", text(settings.now.to_string())),
        ("entry", Json::Array(entries)),
    ]);
    Ok(Summary { bundle, sections, identity, made: settings.now, hospital: settings.hospital.clone(), language })
}

fn identifier(urn: &str) -> Json<'static> {
    Json::object([("system", Json::from("urn:ietf:rfc:3986")), ("value", text(urn))])
}

/// A section in words, or None where it need not be there.
fn section(
    place: Place,
    chosen: Option<&Chosen>,
    resources: &[Json<'_>],
    index: &Index<'_>,
    language: Language,
) -> Option<Section> {
    let entries = chosen.map(|chosen| chosen.entries.as_slice()).unwrap_or_default();
    if entries.is_empty() && !place.is_always_there() {
        return None;
    }
    let rows = entries.iter().filter_map(|at| resources.get(*at)).map(|one| rows::row(place, one, index, language));
    let older = chosen.map(|chosen| chosen.older).unwrap_or_default();
    Some(Section { place, columns: rows::columns(place, language), rows: rows.collect(), older })
}

/// A section of the Composition.
fn composed(section: &Section, entries: Vec<Json<'static>>, language: Language) -> Json<'static> {
    let (code, display) = section.place.code();
    let mut composed = Json::object([
        ("title", Json::from(section.place.title(language))),
        ("code", concept("http://loinc.org", code, display)),
        ("text", narrative::section(section, language)),
    ]);
    if entries.is_empty() {
        // Invariant ips-comp-1. `nilknown` would say that somebody asked.
        let mut reason =
            concept("http://terminology.hl7.org/CodeSystem/list-empty-reason", "unavailable", "Unavailable");
        reason.set("text", Json::from(language.of(("Aucune information disponible", "No information available"))));
        composed.set("emptyReason", reason);
    } else {
        composed.set("entry", Json::Array(entries));
    }
    composed
}

/// A resource as it stands in the document.
fn prepared(
    resource: &Json<'_>,
    index: &Index<'_>,
    urns: &HashMap<String, String>,
    language: Language,
) -> Json<'static> {
    let mut prepared = links::within(resource, index, urns);
    // Of what was said about the record, labels and tags are still true of this copy; its version, origin and profiles are those of the original.
    let mut meta: Vec<_> = match prepared.remove("meta") {
        Some(Json::Object(members)) => members,
        _ => Vec::new(),
    };
    meta.retain(|(name, _)| name == "security" || name == "tag");
    if !meta.is_empty() {
        prepared.set("meta", Json::Object(meta));
    }
    if resource.resource_type() == Some("Patient") {
        // Other records of the same person, and of relatives, are not in the document.
        prepared.remove("link");
    }
    fill::fill(&mut prepared);
    if prepared.get("text").is_none() {
        let kind = resource.resource_type().unwrap_or_default();
        let words = rows::headline(resource, index, language);
        prepared.set("text", narrative::resource(kind, &words, language));
    }
    prepared
}

/// That a device is in use which is affixed to the patient (R4: `Device.patient`) and of which nothing else says it: since when is not known.
fn use_of(device: &str, patient: &str, resource: &Json<'_>, index: &Index<'_>, language: Language) -> Json<'static> {
    let words = rows::headline(resource, index, language);
    Json::object([
        ("resourceType", Json::from("DeviceUseStatement")),
        ("text", narrative::resource("DeviceUseStatement", &words, language)),
        ("status", Json::from("active")),
        ("subject", refers_to(patient)),
        ("_timingDateTime", links::absent()),
        ("device", refers_to(device)),
    ])
}

/// The hospital.
fn author(settings: &SummarySettings) -> Json<'static> {
    let mut author = Json::object([
        ("resourceType", Json::from("Organization")),
        ("text", narrative::resource("Organization", &settings.hospital, settings.language)),
    ]);
    if let Some((system, value)) = &settings.hospital_identifier {
        let identifier = Json::object([("system", text(system)), ("value", text(value))]);
        author.set("identifier", Json::Array(vec![identifier]));
    }
    if settings.hospital.trim().is_empty() {
        author.set("_name", links::absent());
    } else {
        author.set("name", text(&settings.hospital));
    }
    author
}
