//! Every document is valid against the profiles of IPS 2.0: as a whole, and each resource in it against the profile that its section wants.

use std::collections::BTreeMap;
use std::path::Path;
use tacet_conformance::{Packages, ValidationContext};
use tacet_fhir::json::{Json, Limits, parse};
use tacet_fhir::outcome::Severity;
use tacet_summary::{BUNDLE_PROFILE, Language, SummarySettings, summarize};
use tacet_terminology::{Builder, Terminology};
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::{SeededRng, Timestamp};

/// Most Synthea patients that are looked at: the smallest files, so that the test stays one of seconds.
const SYNTHEA_PATIENTS: usize = 12;

struct Judge {
    packages: Packages,
    terminology: Terminology,
}

impl Judge {
    fn new(folder: &Path) -> Self {
        let mut packages = Packages::standard();
        let mut profiles = 0;
        for (name, bytes) in tacet_testdata::files(&folder.join("definitions"), ".json") {
            let resource = parse(&bytes, &Limits::default()).expect("JSON").into_owned();
            profiles +=
                usize::from(packages.add_resource(&resource).is_ok() && name.starts_with("StructureDefinition"));
        }
        assert!(profiles >= 30, "only {profiles} profiles");
        let mut builder = Builder::default();
        for resource in packages.terminology() {
            let _ = builder.add_resource(resource);
        }
        Self { packages, terminology: builder.build() }
    }

    fn errors(&self, resource: &Json<'_>, profiles: &[&str]) -> Vec<String> {
        let context = ValidationContext::new(&self.terminology, now());
        let issues = tacet_conformance::validate(resource, profiles, &self.packages, &context);
        let errors = issues.into_iter().filter(|issue| issue.severity <= Severity::Error);
        errors.map(|issue| format!("{}: {}", issue.location, issue.message)).collect()
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-07-01T00:00:00Z").expect("a time")
}

fn settings() -> SummarySettings {
    SummarySettings {
        hospital: "Hôpital d’essai".to_owned(),
        hospital_identifier: Some(("urn:oid:1.2.250.1.71.4.2.2".to_owned(), "1990000001".to_owned())),
        base: None,
        language: Language::French,
        now: now(),
    }
}

/// The profile that the guide has for a resource of a document, where it has one.
fn profile(resource: &Json<'_>) -> Option<String> {
    const OF_TYPE: [&str; 16] = [
        "AllergyIntolerance",
        "Condition",
        "DeviceUseStatement",
        "DiagnosticReport",
        "ImagingStudy",
        "Immunization",
        "Medication",
        "MedicationRequest",
        "MedicationStatement",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Specimen",
        "Composition",
    ];
    let kind = resource.resource_type()?;
    let coded = |name: &str, code: &str| {
        let concepts = resource.get(name).into_iter().flat_map(Json::iter);
        let mut codings = concepts.flat_map(|one| one.get("coding").map(Json::items).unwrap_or_default());
        codings.any(|coding| coding.get_str("code") == Some(code))
    };
    let ips = |name: &str| Some(format!("http://hl7.org/fhir/uv/ips/StructureDefinition/{name}-uv-ips"));
    match kind {
        "Flag" => ips("Flag-alert"),
        "Device" => ips("Device"),
        "Observation" if coded("code", "82810-3") => ips("Observation-pregnancy-status"),
        "Observation" if coded("code", "72166-2") => ips("Observation-tobaccouse"),
        "Observation" if coded("code", "74013-4") => ips("Observation-alcoholuse"),
        "Observation" if coded("category", "laboratory") => ips("Observation-results-laboratory-pathology"),
        "Observation" if coded("category", "imaging") => ips("Observation-results-radiology"),
        "Observation" if coded("category", "vital-signs") => {
            Some("http://hl7.org/fhir/StructureDefinition/vitalsigns".to_owned())
        }
        _ if OF_TYPE.contains(&kind) => ips(kind),
        _ => None,
    }
}

/// Makes the summary of these resources and judges it; gives how many of each type it has.
fn judged(judge: &Judge, named: &str, resources: &[Json<'_>]) -> BTreeMap<String, usize> {
    let patient = resources.iter().find(|one| one.resource_type() == Some("Patient")).expect("a patient");
    let summary = summarize(patient, resources, &settings(), &SeededRng::new(3)).expect("a summary");
    let errors = judge.errors(&summary.bundle, &[BUNDLE_PROFILE]);
    assert!(errors.is_empty(), "{named}: {errors:#?}");
    let mut counts = BTreeMap::new();
    for entry in summary.bundle.get("entry").expect("entries").items() {
        let resource = entry.get("resource").expect("a resource");
        *counts.entry(resource.resource_type().unwrap_or_default().to_owned()).or_default() += 1;
        if let Some(profile) = profile(resource) {
            let errors = judge.errors(resource, &[&profile]);
            // Targets of references are looked at in the document as a whole.
            assert!(
                errors.is_empty(),
                "{named} {profile}: {errors:#?}\n{}",
                String::from_utf8_lossy(&tacet_fhir::json::write(resource))
            );
        }
    }
    // The XML form holds the same.
    let xml = tacet_fhir::xml::write(&summary.bundle).expect("XML");
    let back = tacet_fhir::xml::parse(&xml, &Limits::default()).expect("XML");
    assert_eq!(
        back.get("entry").map(|entries| entries.items().len()),
        summary.bundle.get("entry").map(|entries| entries.items().len())
    );
    counts
}

#[test]
fn summaries_of_the_synthetic_hospital_are_valid() {
    let Some(folder) = tacet_testdata::folder("ips-2.0.0") else { return };
    let judge = Judge::new(&folder);
    let hospital = Hospital::new(HospitalOptions { seed: 11, patients: 30, now: now() });
    let foundation = hospital.foundation();
    let mut total: BTreeMap<String, usize> = BTreeMap::new();
    for file in hospital.patients().take(30) {
        let read = |text: &str| parse(text.as_bytes(), &Limits::default()).expect("JSON").into_owned();
        let resources: Vec<Json<'static>> =
            file.resources.iter().chain(&foundation).map(|record| read(&record.json)).collect();
        for (kind, count) in judged(&judge, &file.id, &resources) {
            *total.entry(kind).or_default() += count;
        }
    }
    for kind in [
        "AllergyIntolerance",
        "Condition",
        "MedicationRequest",
        "Immunization",
        "Observation",
        "Practitioner",
        "Procedure",
    ] {
        assert!(total.get(kind).is_some_and(|count| *count > 0), "{kind} in {total:?}");
    }
    assert_eq!(total.get("Composition"), Some(&30));
}

#[test]
fn summaries_of_synthea_patients_are_valid() {
    let (Some(ips), Some(synthea)) = (tacet_testdata::folder("ips-2.0.0"), tacet_testdata::folder("synthea-r4")) else {
        return;
    };
    let judge = Judge::new(&ips);
    let mut files: Vec<_> = std::fs::read_dir(&synthea)
        .expect("a folder")
        .filter_map(|entry| Some((entry.as_ref().ok()?.metadata().ok()?.len(), entry.ok()?.path())))
        .filter(|(_, path)| path.extension().is_some_and(|extension| extension == "gz"))
        .collect();
    files.sort();
    let mut seen = 0;
    for (_, path) in files.iter().take(SYNTHEA_PATIENTS) {
        let bytes = tacet_testdata::read(path);
        let limits = Limits { values_max: usize::MAX, bytes_max: usize::MAX, ..Limits::default() };
        let bundle = parse(&bytes, &limits).expect("JSON").into_owned();
        // As a store would hold them: the ids of the entries, references by type and id.
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        for entry in bundle.get("entry").expect("entries").items() {
            let resource = entry.get("resource").expect("a resource");
            let place =
                format!("{}/{}", resource.resource_type().expect("a type"), resource.get_str("id").expect("an id"));
            ids.insert(entry.get_str("fullUrl").expect("a URL").to_owned(), place);
        }
        let mut resources: Vec<Json<'static>> = bundle
            .get("entry")
            .expect("entries")
            .items()
            .iter()
            .filter_map(|entry| entry.get("resource").cloned())
            .collect();
        for resource in &mut resources {
            tacet_fhir::reference::rewrite_references(resource, &mut |text| ids.get(text).cloned());
        }
        let counts = judged(&judge, &path.display().to_string(), &resources);
        assert!(counts.values().sum::<usize>() > 5, "{counts:?}");
        seen += 1;
    }
    assert_eq!(seen, SYNTHEA_PATIENTS);
}

#[test]
fn the_examples_of_the_package_come_back_valid() {
    let Some(folder) = tacet_testdata::folder("ips-2.0.0") else { return };
    let judge = Judge::new(&folder);
    let mut seen = 0;
    for (name, bytes) in tacet_testdata::files(&folder.join("examples"), ".json") {
        if !name.starts_with("Bundle-") {
            continue;
        }
        let bundle = parse(&bytes, &Limits::default()).expect("JSON").into_owned();
        assert_eq!(judge.errors(&bundle, &[BUNDLE_PROFILE]), Vec::<String>::new(), "{name} itself");
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        let mut resources = Vec::new();
        for entry in bundle.get("entry").expect("entries").items() {
            let resource = entry.get("resource").expect("a resource");
            let place =
                format!("{}/{}", resource.resource_type().expect("a type"), resource.get_str("id").expect("an id"));
            ids.insert(entry.get_str("fullUrl").expect("a URL").to_owned(), place);
            resources.push(resource.clone());
        }
        for resource in &mut resources {
            tacet_fhir::reference::rewrite_references(resource, &mut |text| ids.get(text).cloned());
        }
        // A document made of a document of the guide: nothing that its sections have is lost or made invalid.
        judged(&judge, &name, &resources);
        seen += 1;
    }
    assert_eq!(seen, 5);
}
