//! The walk: everything that an account can ask for, asked for.

use super::thief::{Thief, next_of};
use super::truth::Truth;
use super::{encoded, sampled};
use crate::commands::drill::staged::Stage;
use crate::error::CliError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tacet_testkit::PlantedKind;
use tacet_types::ResourceType;

/// Entries on a page, small so that there are pages to follow.
const PAGE: usize = 50;

/// Patients whose records are asked for in every way, of those who are closed.
const PROBED: usize = 8;

/// Looks at a copy that is being made.
const POLLS_MAX: usize = 200;

/// Counts that were wrong: what was asked, what came, what an honest answer is.
pub(super) type WrongCounts = Vec<(String, u64, u64)>;

/// Walks. Gives the counts that told of what is hidden.
pub(super) fn walk(
    thief: &mut Thief<'_>,
    stage: &Stage,
    truth: &Truth,
    say: &dyn Fn(&str),
) -> Result<WrongCounts, CliError> {
    say("the thief asks for every record by its id");
    for record in &stage.records {
        thief.get("a read by id", &format!("/{}", record.place()))?;
    }
    for n in sampled(&truth.closed, PROBED).into_iter().chain(sampled(&truth.own, 2)) {
        patient(thief, &stage.hospital.patient_id(n))?;
    }
    say("the thief searches every type, page by page");
    let mut wrong = searches(thief, stage, truth)?;
    links(thief)?;
    say("the thief counts");
    wrong.extend(counts(thief, stage, truth)?);
    say("histories, copies, matching, batches, subscriptions");
    for path in ["/_history?_count=200", "/Patient/_history?_count=200", "/Observation/_history?_count=200"] {
        thief.pages("a history", path)?;
    }
    thief.get("labels in use", "/$meta")?;
    thief.get("labels in use", "/Patient/$meta")?;
    copies(thief)?;
    matching(thief, stage, truth)?;
    batches(thief, stage, truth)?;
    subscriptions(thief, stage, truth)?;
    Ok(wrong)
}

/// Everything about one patient whose id is known.
fn patient(thief: &mut Thief<'_>, id: &str) -> Result<(), CliError> {
    for (way, path) in [
        ("everything", format!("/Patient/{id}/$everything?_count={PAGE}")),
        ("a compartment", format!("/Patient/{id}/*?_count={PAGE}")),
        ("a compartment", format!("/Patient/{id}/Observation?_count={PAGE}")),
        ("a history", format!("/Patient/{id}/_history")),
        ("a search by patient", format!("/Observation?patient={id}&_count={PAGE}&_include=*")),
        (
            "a search by patient",
            format!("/Patient?_id={id}&_revinclude=Observation:patient&_revinclude=Condition:patient"),
        ),
        ("a search by patient", format!("/?_type=Condition,Encounter&patient={id}")),
        ("_has", format!("/Practitioner?_has:Encounter:participant:patient={id}")),
        ("a chain", format!("/Encounter?patient:Patient._id={id}&_include=Encounter:patient")),
        ("_filter", format!("/Patient?_filter=_id%20eq%20{id}")),
    ] {
        thief.pages(way, &path)?;
    }
    thief.get("a version", &format!("/Patient/{id}/_history/1"))?;
    Ok(())
}

/// Every type without criteria, to the last page, in several orders; the entries and the total must be what is open.
fn searches(thief: &mut Thief<'_>, stage: &Stage, truth: &Truth) -> Result<WrongCounts, CliError> {
    let open = open_by_type(stage, truth);
    let mut wrong = WrongCounts::new();
    for resource_type in ResourceType::all() {
        let name = resource_type.as_str();
        let sorts: &[&str] = match name {
            "Patient" => &["", "&_sort=birthdate", "&_sort=-family", "&_sort=-_lastUpdated", "&_sort=_id"],
            "Observation" => &["", "&_sort=-date"],
            _ => &[""],
        };
        for sort in sorts {
            let query = format!("/{name}?_count={PAGE}&_total=accurate{sort}");
            let (matches, total) = thief.pages("a search without criteria", &query)?;
            if undecided(stage, truth, name) {
                continue;
            }
            let expected = open.get(name).copied().unwrap_or(0);
            for counted in [Some(matches), total].into_iter().flatten() {
                if counted != expected {
                    wrong.push((format!("{name}{sort}"), counted, expected));
                }
            }
        }
    }
    Ok(wrong)
}

fn open_by_type(stage: &Stage, truth: &Truth) -> BTreeMap<&'static str, u64> {
    let mut open = BTreeMap::new();
    for record in stage.records.iter().filter(|record| truth.open.contains(&record.place())) {
        *open.entry(record.resource_type.as_str()).or_default() += 1;
    }
    open
}

fn undecided(stage: &Stage, truth: &Truth, name: &str) -> bool {
    stage
        .records
        .iter()
        .any(|record| record.resource_type.as_str() == name && truth.undecided.contains(&record.place()))
}

/// From what is open to everybody to what is not.
fn links(thief: &mut Thief<'_>) -> Result<(), CliError> {
    for path in [
        "/Practitioner?_revinclude=Encounter:participant&_revinclude=Observation:performer",
        "/Practitioner?_revinclude=*&_count=20",
        "/Location?_revinclude=Encounter:location&_revinclude:iterate=Observation:encounter",
        "/Organization?_revinclude=Patient:organization",
        "/Encounter?_include=*&_include:iterate=*",
        "/Observation?_include=Observation:subject&_revinclude:iterate=Condition:patient",
        "/Schedule?_revinclude=Slot:schedule&_revinclude:iterate=Appointment:slot",
        "/Patient?_has:Observation:patient:code=8867-4",
        "/Practitioner?_has:Encounter:participant:_has:Observation:encounter:status=final",
        "/Encounter?patient.birthdate=lt2100-01-01",
        "/Observation?subject:Patient.gender=female",
        "/Location?_has:Encounter:location:patient.gender=male",
        "/Patient?_filter=birthdate%20lt%202100-01-01",
        "/Patient?_filter=not%20(gender%20eq%20unknown)",
        "/Patient?_elements=id",
        "/Patient?_summary=true",
        "/Patient?_security=https://tacet.invalid/CodeSystem/confidentiality|detained",
        "/Patient?_lastUpdated=gt2000-01-01",
        "/Patient?gender:missing=false",
        "/Patient?gender:not=other",
        "/?_type=Patient,Observation,Condition",
        "/Group?_include=Group:member",
        "/List?_include=List:item",
        "/Person?_include=Person:link",
        "/Appointment?date=ge2000-01-01&_include=Appointment:patient",
        "/Flag?_include=Flag:patient",
    ] {
        thief.pages("a search by links", path)?;
    }
    Ok(())
}

/// Questions whose answer is a number, by which one could find by halving what one cannot see.
fn counts(thief: &mut Thief<'_>, stage: &Stage, truth: &Truth) -> Result<WrongCounts, CliError> {
    let mut wrong = WrongCounts::new();
    let open: Vec<Value> = stage
        .records
        .iter()
        .filter(|record| record.resource_type.as_str() == "Patient" && truth.open.contains(&record.place()))
        .filter_map(|record| serde_json::from_str(&record.json).ok())
        .collect();
    let mut held = |thief: &mut Thief<'_>, query: String, expected: u64| -> Result<(), CliError> {
        match thief.count("a count", &query)? {
            Some(counted) if counted != expected => wrong.push((query, counted, expected)),
            _ => {}
        }
        Ok(())
    };
    for year in (1900..=2026).step_by(3) {
        let born = |patient: &&Value| {
            let year_of = patient.get("birthDate").and_then(Value::as_str).and_then(|date| date.get(..4)?.parse().ok());
            year_of.is_some_and(|of: i32| of < year)
        };
        held(thief, format!("/Patient?birthdate=lt{year}-01-01"), open.iter().filter(born).count() as u64)?;
    }
    for gender in ["female", "male"] {
        let of = |patient: &&Value| patient.get("gender").and_then(Value::as_str) == Some(gender);
        held(thief, format!("/Patient?gender={gender}"), open.iter().filter(of).count() as u64)?;
    }
    for n in sampled(&truth.closed, PROBED) {
        let id = stage.hospital.patient_id(n);
        for query in [
            format!("/Patient?_id={id}"),
            format!("/Observation?patient={id}"),
            format!("/Encounter?subject=Patient/{id}"),
            format!("/Practitioner?_has:Encounter:participant:patient={id}"),
            format!("/Condition?patient:Patient._id={id}"),
        ] {
            held(thief, query, 0)?;
        }
        for planted in stage.hospital.planted(n) {
            let value = encoded(&planted.text);
            let query = match planted.kind {
                PlantedKind::Nir | PlantedKind::LocalNumber => format!("/Patient?identifier={value}"),
                PlantedKind::Phone | PlantedKind::Email => format!("/Patient?telecom={value}"),
                _ => continue,
            };
            let with = open.iter().filter(|patient| patient.to_string().contains(&planted.text)).count() as u64;
            held(thief, query, with)?;
        }
    }
    Ok(wrong)
}

fn copies(thief: &mut Thief<'_>) -> Result<(), CliError> {
    let group = r#"{"resourceType":"Group","type":"person","actual":true,"name":"mine"}"#;
    let made = thief.ask("a group of one's own", "POST", "/Group", &[], group)?;
    let id = made.header("location").unwrap_or_default();
    let id = id.split("/Group/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("none").to_owned();
    for path in ["/$export".to_owned(), "/Patient/$export".to_owned(), format!("/Group/{id}/$export")] {
        let begun = thief.ask("a copy", "GET", &path, &[("Prefer", "respond-async")], "")?;
        let Some(place) = begun.header("content-location") else { continue };
        let Some(path) = path_of(&place) else { continue };
        for _ in 0..POLLS_MAX {
            let state = thief.get("a copy", &path)?;
            if state.status == 202 {
                std::thread::sleep(std::time::Duration::from_millis(50));
                continue;
            }
            let files = state.json();
            for file in files.get("output").and_then(Value::as_array).into_iter().flatten() {
                if let Some(path) = file.get("url").and_then(Value::as_str).and_then(path_of) {
                    thief.get("a file of a copy", &path)?;
                }
            }
            break;
        }
    }
    Ok(())
}

fn path_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    rest.find('/').and_then(|at| rest.get(at..)).map(str::to_owned)
}

fn matching(thief: &mut Thief<'_>, stage: &Stage, truth: &Truth) -> Result<(), CliError> {
    for n in sampled(&truth.closed, PROBED) {
        let Some(record) = stage.records.iter().find(|record| record.patient == Some(n)) else { continue };
        let patient: Value = serde_json::from_str(&record.json).unwrap_or_default();
        // As the thief has it from elsewhere: without the id.
        let keys = ["resourceType", "name", "birthDate", "gender", "identifier", "telecom", "address"];
        let asked: serde_json::Map<String, Value> =
            keys.iter().filter_map(|key| Some(((*key).to_owned(), patient.get(key)?.clone()))).collect();
        let body = json!({ "resourceType": "Parameters", "parameter": [{ "name": "resource", "resource": asked }] });
        thief.ask("$match", "POST", "/Patient/$match", &[], &body.to_string())?;
    }
    Ok(())
}

fn batches(thief: &mut Thief<'_>, stage: &Stage, truth: &Truth) -> Result<(), CliError> {
    let urls: Vec<String> = sampled(&truth.closed, PROBED)
        .into_iter()
        .flat_map(|n| {
            let id = stage.hospital.patient_id(n);
            [format!("Patient/{id}"), format!("Observation?patient={id}"), format!("Patient/{id}/_history")]
        })
        .collect();
    for kind in ["batch", "transaction"] {
        let entries: Vec<Value> =
            urls.iter().map(|url| json!({ "request": { "method": "GET", "url": url } })).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
        thief.ask("a batch", "POST", "/", &[], &bundle.to_string())?;
    }
    Ok(())
}

/// Asks to be told of everything that comes. What is announced afterwards is looked at in the subscription's own answers.
fn subscriptions(thief: &mut Thief<'_>, stage: &Stage, truth: &Truth) -> Result<(), CliError> {
    let mut asked = Vec::new();
    for criteria in ["Observation?", "Patient?gender=female,male", "Observation?status=final"] {
        let body = json!({
            "resourceType": "Subscription", "status": "requested", "reason": "to see", "criteria": criteria,
            "channel": { "type": "rest-hook", "endpoint": "http://127.0.0.1:9/hook", "payload": "application/fhir+json" },
        });
        let made = thief.ask("a subscription", "POST", "/Subscription", &[], &body.to_string())?;
        asked.extend(made.header("location").as_deref().and_then(path_of));
    }
    // Something comes to a closed patient.
    let integrator = stage.machine("drill interface", tacet_vault::Role::Integrator)?;
    for n in sampled(&truth.closed, 2) {
        if let Some(sign) = stage.hospital.vital_sign(n, 77) {
            let answer = integrator.ask("POST", "/Observation", &[], &sign.json);
            answer
                .map_err(|error| CliError::other("the drill could not be played: a create was not answered", error))?;
        }
    }
    for path in asked {
        let record = path.split("/_history").next().unwrap_or(&path).to_owned();
        thief.get("a subscription's state", &format!("{record}/$status"))?;
        thief.get("a subscription's events", &format!("{record}/$events"))?;
    }
    // The interface's own place in a list: another account's cursor.
    let page = integrator.ask("GET", "/Patient?_count=1&_sort=-_lastUpdated", &[], "");
    let page =
        page.map_err(|error| CliError::other("the drill could not be played: a page was not answered", error))?;
    if let Some(next) = next_of(&page.json()) {
        thief.get("another account's cursor", &next)?;
    }
    Ok(())
}
