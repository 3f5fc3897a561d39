//! The hospital as a whole.

use super::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

fn hospital(seed: u64) -> Hospital {
    let now = Timestamp::parse("2026-01-15T08:00:00Z").unwrap();
    Hospital::new(HospitalOptions { seed, patients: 400, now })
}

/// Calls `visit` with each `reference` in a resource.
fn each_reference(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "reference" => visit(text),
                    other => each_reference(other, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, visit)),
        _ => {}
    }
}

#[test]
fn a_patient_depends_on_seed_and_number_only() {
    let (a, b, other) = (hospital(1), hospital(1), hospital(2));
    let backwards: Vec<_> = (0..50).rev().map(|n| b.patient(n)).collect();
    for (n, file) in (0..50).zip(backwards.iter().rev()) {
        assert_eq!(a.patient(n), *file);
        assert_eq!(a.patient_id(n), file.id);
        assert_ne!(other.patient(n).id, file.id);
    }
    let far = a.patient(u64::MAX);
    assert_eq!(far, b.patient(u64::MAX));
    assert_eq!(a.foundation(), b.foundation());
}

#[test]
fn every_resource_reads_as_json_and_refers_to_what_exists() {
    let hospital = hospital(3);
    let standing: HashSet<String> =
        hospital.foundation().iter().map(|record| format!("{}/{}", record.resource_type, record.id)).collect();
    let mut ids = HashSet::new();
    for file in hospital.patients() {
        let own: HashSet<String> =
            file.resources.iter().map(|record| format!("{}/{}", record.resource_type, record.id)).collect();
        assert_eq!(file.resources[0].resource_type.as_str(), "Patient");
        for record in &file.resources {
            let value: Value = serde_json::from_str(&record.json).unwrap();
            assert_eq!(value["resourceType"], record.resource_type.as_str());
            assert_eq!(value["id"], *record.id);
            assert!(tacet_types::ResourceId::parse(&record.id).is_ok());
            assert!(ids.insert(record.id.clone()), "an id twice");
            assert!(!record.json.contains('\n'));
            each_reference(&value, &mut |reference| {
                assert!(own.contains(reference) || standing.contains(reference), "{reference} in {}", record.json);
            });
        }
    }
}

#[test]
fn volumes_are_plausible_and_skewed() {
    let hospital = hospital(4);
    let mut counts: Vec<usize> = Vec::new();
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for file in hospital.patients() {
        counts.push(file.resources.len());
        file.resources.iter().for_each(|record| *types.entry(record.resource_type.as_str()).or_default() += 1);
    }
    counts.sort_unstable();
    let mean = counts.iter().sum::<usize>() / counts.len();
    assert!((26..=36).contains(&mean), "{mean} resources a patient");
    assert!(counts[counts.len() / 2] < mean, "more than half below the mean");
    assert!(counts[counts.len() - 1] > 4 * mean);
    for name in [
        "AllergyIntolerance",
        "Appointment",
        "CareTeam",
        "Composition",
        "Condition",
        "Consent",
        "Coverage",
        "DiagnosticReport",
        "DocumentReference",
        "Encounter",
        "Immunization",
        "MedicationRequest",
        "Observation",
        "Patient",
        "Procedure",
        "RelatedPerson",
        "ServiceRequest",
        "Specimen",
    ] {
        assert!(types.get(name).is_some_and(|count| *count >= 20), "{name}: {types:?}");
    }
}

#[test]
fn what_is_planted_stands_in_the_resources() {
    let hospital = hospital(5);
    let mut kinds = HashSet::new();
    for n in 0..100 {
        let file = hospital.patient(n);
        let text: String = file.resources.iter().map(|record| record.json.as_str()).collect();
        let planted = hospital.planted(n);
        assert!(planted.iter().filter(|planted| planted.is_distinctive()).count() >= 5);
        for planted in planted {
            let french_date = planted.kind == PlantedKind::BirthDate && planted.text.contains('/');
            // `Mme ..` and the French date stand in narratives and letters, which not every chart has.
            if !french_date && planted.kind != PlantedKind::Display {
                assert!(text.contains(&planted.text), "{planted:?}");
            }
            kinds.insert(planted.kind);
        }
    }
    assert_eq!(kinds.len(), 12);
}

#[test]
fn transactions_refer_by_urn_within_and_by_id_without() {
    let hospital = hospital(6);
    for n in 0..20 {
        for method in [Method::Post, Method::Put] {
            let bundle: Value = serde_json::from_str(&hospital.transaction_bundle(n, method)).unwrap();
            assert_eq!(bundle["type"], "transaction");
            let entries = bundle["entry"].as_array().unwrap();
            assert_eq!(entries.len(), hospital.patient(n).resources.len());
            let urls: HashSet<&str> = entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
            assert_eq!(urls.len(), entries.len());
            for entry in entries {
                let (resource, request) = (&entry["resource"], &entry["request"]);
                let name = resource["resourceType"].as_str().unwrap();
                match method {
                    Method::Post => assert_eq!((&request["method"], &request["url"]), (&"POST".into(), &name.into())),
                    Method::Put => {
                        let url = format!("{name}/{}", resource["id"].as_str().unwrap());
                        assert_eq!((&request["method"], &request["url"]), (&"PUT".into(), &url.into()));
                    }
                }
                each_reference(resource, &mut |reference| {
                    let standing = ["Practitioner/", "Location/", "Organization/"];
                    assert!(urls.contains(reference) || standing.iter().any(|name| reference.starts_with(name)));
                });
            }
        }
    }
    let foundation: Value = serde_json::from_str(&hospital.foundation_bundle()).unwrap();
    assert!(foundation["entry"].as_array().unwrap().iter().all(|entry| entry["request"]["method"] == "PUT"));
}

#[test]
fn lines_are_the_same_resources() {
    let hospital = hospital(7);
    let mut mixed = Vec::new();
    hospital.write_ndjson(10..20, &mut mixed).unwrap();
    let lines: HashSet<String> = String::from_utf8(mixed).unwrap().lines().map(str::to_owned).collect();
    let patients = (10..20).flat_map(|n| hospital.patient(n).resources);
    let expected: HashSet<String> =
        hospital.foundation().into_iter().chain(patients).map(|record| record.json).collect();
    assert_eq!(lines, expected);

    let folder = std::sync::Mutex::new(BTreeMap::<ResourceType, Vec<u8>>::new());
    struct Line<'a>(ResourceType, &'a std::sync::Mutex<BTreeMap<ResourceType, Vec<u8>>>);
    impl std::io::Write for Line<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.lock().unwrap().entry(self.0).or_default().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    hospital.write_ndjson_by_type(10..20, |resource_type| Ok(Line(resource_type, &folder))).unwrap();
    let mut found = HashSet::new();
    for (resource_type, bytes) in folder.into_inner().unwrap() {
        for line in String::from_utf8(bytes).unwrap().lines() {
            assert!(line.starts_with(&format!("{{\"resourceType\":\"{resource_type}\",")));
            found.insert(line.to_owned());
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn load_makes_new_observations_of_known_patients() {
    let hospital = hospital(8);
    let mut ids = HashSet::new();
    for n in 0..10 {
        for k in 0..10 {
            let record = hospital.vital_sign(n, k).unwrap();
            let value: Value = serde_json::from_str(&record.json).unwrap();
            assert_eq!(value["subject"]["reference"], format!("Patient/{}", hospital.patient_id(n)));
            assert!(ids.insert(record.id));
        }
    }
}

#[test]
fn nothing_happens_before_birth_or_after_the_present() {
    let hospital = hospital(9);
    let now = hospital.options().now;
    for file in hospital.patients() {
        let patient: Value = serde_json::from_str(&file.resources[0].json).unwrap();
        let birth = patient["birthDate"].as_str().unwrap().to_owned();
        for record in &file.resources {
            if record.resource_type.as_str() == "Appointment" {
                continue;
            }
            let value: Value = serde_json::from_str(&record.json).unwrap();
            for moment in [
                &value["period"]["start"],
                &value["period"]["end"],
                &value["effectiveDateTime"],
                &value["authoredOn"],
                &value["occurrenceDateTime"],
                &value["performedPeriod"]["end"],
                &value["date"],
            ] {
                let Some(text) = moment.as_str() else { continue };
                assert!(text[..10] >= birth[..], "{text} before {birth} in {}", record.json);
                if let Ok(moment) = Timestamp::parse(text) {
                    assert!(moment <= now.plus_ms(3_600_000), "{text} in {}", record.json);
                }
            }
        }
    }
}

/// Says what the validation finds wrong with a resource, if anything.
pub(crate) fn faults(json: &str) -> Vec<String> {
    let limits = tacet_fhir::json::Limits::default();
    let parsed = tacet_fhir::json::parse(json.as_bytes(), &limits).unwrap();
    let issues = tacet_fhir::validate::validate(&parsed, &tacet_fhir::validate::Options::default());
    issues.iter().map(|issue| format!("{}: {}", issue.location, issue.message)).collect()
}

#[test]
fn every_resource_is_valid_r4() {
    let hospital = hospital(10);
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    let mut types = HashSet::new();
    let load = (0..20).filter_map(|k| hospital.vital_sign(1, k));
    let records = hospital.foundation().into_iter().chain(load);
    for record in records.chain(hospital.patients().flat_map(|file| file.resources)) {
        for fault in faults(&record.json) {
            *wrong.entry(format!("{} {fault}", record.resource_type)).or_default() += 1;
        }
        types.insert(record.resource_type);
    }
    assert!(types.len() >= 22);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!faults(r#"{"resourceType":"Patient","gender":"unknown","birthdate":"2000-01-01"}"#).is_empty());
}

#[test]
fn a_few_patients_are_set_apart_and_labelled() {
    let hospital = hospital(6);
    let staff: Vec<StaffMember> = hospital.staff().collect();
    let mut seen = [0; 4];
    for n in 0..2000 {
        let standing = hospital.standing(n);
        let place = match standing {
            Standing::Ordinary => 0,
            Standing::Detained => 1,
            Standing::Known => 2,
            Standing::Staff(_) => 3,
        };
        seen[place] += 1;
        if standing == Standing::Ordinary {
            continue;
        }
        let file = hospital.patient(n);
        let patient: Value = serde_json::from_str(&file.resources[0].json).unwrap();
        assert_eq!(patient["meta"]["security"].as_array().unwrap().len(), 1);
        let of = |name: &str| -> Vec<Value> {
            let records = file.resources.iter().filter(|record| record.resource_type.as_str() == name);
            records.map(|record| serde_json::from_str(&record.json).unwrap()).collect()
        };
        match standing {
            Standing::Detained => {
                for appointment in of("Appointment") {
                    assert_eq!(appointment["meta"]["security"][0]["code"], "transport");
                }
                let dead = patient["deceasedDateTime"].is_string();
                assert!(dead || (of("Flag").len() == 1 && !of("Appointment").is_empty()));
            }
            Standing::Staff(number) => {
                let colleague = format!("Practitioner/{}", staff[number as usize].id);
                assert_eq!(of("Person")[0]["link"][1]["target"]["reference"], *colleague);
            }
            _ => assert!(of("Person").is_empty() && of("Flag").is_empty()),
        }
    }
    assert!(seen.iter().all(|count| *count > 0) && seen[0] > 1900, "{seen:?}");
}

#[test]
fn sensitive_reasons_are_labelled_where_the_stay_is_not() {
    let hospital = hospital(7);
    let mut marked = 0;
    for file in hospital.patients() {
        for record in file.resources.iter().filter(|record| record.resource_type.as_str() == "Encounter") {
            let value: Value = serde_json::from_str(&record.json).unwrap();
            let inline = value["reasonCode"][0]["extension"][0]["valueCoding"]["code"].is_string();
            assert_eq!(inline, value["meta"]["security"][0]["code"] == "PROCESSINLINELABEL");
            assert_eq!(inline, value["diagnosis"][0]["extension"].is_array());
            marked += usize::from(inline);
        }
    }
    assert!(marked > 5);
}
