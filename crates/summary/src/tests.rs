//! Summaries of small records, rule by rule.

use crate::{Language, Place, Summary, SummaryError, SummarySettings, summarize, to_paper};
use tacet_fhir::json::{Json, Limits, parse_str, write};
use tacet_types::{SeededRng, Timestamp};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","name":[{"family":"DUPONT","given":["Zoé"]}],"birthDate":"1980-02-01",
    "gender":"female","link":[{"other":{"reference":"Patient/other"},"type":"seealso"}],
    "managingOrganization":{"reference":"Organization/gone"}}"#;

fn read(text: &str) -> Json<'static> {
    parse_str(text, &Limits::default()).expect("JSON").into_owned()
}

fn settings() -> SummarySettings {
    SummarySettings {
        hospital: "Hôpital <d'essai> & fils".to_owned(),
        hospital_identifier: None,
        base: Some("https://fhir.example.org".to_owned()),
        language: Language::English,
        now: Timestamp::parse("2026-03-01T08:00:00Z").expect("a time"),
    }
}

fn of(resources: &[&str]) -> Summary {
    let resources: Vec<_> = resources.iter().map(|text| read(text)).collect();
    summarize(&read(PATIENT), &resources, &settings(), &SeededRng::new(7)).expect("a summary")
}

fn rows(summary: &Summary, place: Place) -> Vec<String> {
    let section = summary.sections.iter().find(|section| section.place == place);
    section.map(|section| section.rows.iter().map(|row| row.join("|")).collect()).unwrap_or_default()
}

fn entries<'s>(summary: &'s Summary, kind: &str) -> Vec<&'s Json<'static>> {
    let all = summary.bundle.get("entry").expect("entries").items();
    let resources = all.iter().filter_map(|entry| entry.get("resource"));
    resources.filter(|resource| resource.resource_type() == Some(kind)).collect()
}

#[test]
fn nothing_recorded_is_never_nothing_there() {
    let summary = of(&[]);
    let composition = entries(&summary, "Composition")[0];
    let sections = composition.get("section").expect("sections").items();
    assert_eq!(sections.len(), 7);
    for section in sections {
        let reason = section.get("emptyReason").expect("a reason");
        assert_eq!(crate::words::codings(reason).map(|(_, code)| code).collect::<Vec<_>>(), ["unavailable"]);
        assert!(section.get("entry").is_none());
        assert!(
            section.get("text").and_then(|text| text.get_str("div")).is_some_and(|div| div.contains("does not mean"))
        );
    }
    let all = String::from_utf8(write(&summary.bundle)).expect("UTF-8");
    assert!(!all.contains("nilknown") && !all.contains("no-known") && !all.contains("716186003"));
    assert!(all.contains("H\u{f4}pital &lt;d&#39;essai&gt; &amp; fils"), "the narrative is escaped");
}

#[test]
fn what_is_wrong_over_or_only_proposed_has_no_place() {
    let status = |kind: &str, status: &str| {
        format!(
            r#"{{"resourceType":"{kind}","id":"{kind}-{status}","status":"{status}","code":{{"text":"{status}"}}}}"#
        )
    };
    let coded = |code: &str, verification: &str| {
        format!(
            r#"{{"resourceType":"Condition","id":"{code}-{verification}","code":{{"text":"{code} {verification}"}},
            "clinicalStatus":{{"coding":[{{"code":"{code}"}}]}},"verificationStatus":{{"coding":[{{"code":"{verification}"}}]}}}}"#
        )
    };
    let all = [
        status("Flag", "active"),
        status("Flag", "inactive"),
        status("Observation", "final"),
        status("Observation", "entered-in-error"),
        status("Observation", "cancelled"),
        status("Procedure", "not-done"),
        status("Procedure", "completed"),
        status("MedicationStatement", "stopped"),
        coded("active", "confirmed"),
        coded("active", "refuted"),
        coded("resolved", "confirmed"),
        coded("active", "entered-in-error"),
        r#"{"resourceType":"MedicationRequest","id":"m1","status":"active","intent":"order","medicationCodeableConcept":{"text":"ordered"}}"#.to_owned(),
        r#"{"resourceType":"MedicationRequest","id":"m2","status":"active","intent":"proposal","medicationCodeableConcept":{"text":"proposed"}}"#.to_owned(),
        r#"{"resourceType":"MedicationRequest","id":"m3","status":"active","intent":"order","doNotPerform":true,"medicationCodeableConcept":{"text":"forbidden"}}"#.to_owned(),
    ];
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let summary = of(&all);
    assert_eq!(rows(&summary, Place::Alerts), ["active||"]);
    assert_eq!(rows(&summary, Place::Results), ["final||||"]);
    assert_eq!(rows(&summary, Place::Procedures), ["completed||completed|"]);
    assert_eq!(rows(&summary, Place::Problems), ["active confirmed|active, confirmed|||"]);
    assert_eq!(rows(&summary, Place::Past), ["resolved confirmed|resolved, confirmed|||"]);
    assert_eq!(rows(&summary, Place::Medications), ["ordered||active|"]);
    assert_eq!(entries(&summary, "Condition").len(), 2);
}

#[test]
fn of_each_examination_the_newest_are_told() {
    let result = |id: usize, code: &str, day: usize| {
        format!(
            r#"{{"resourceType":"Observation","id":"o{id}","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}}]}}],
            "code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"effectiveDateTime":"2026-01-{day:02}","valueQuantity":{{"value":{day}.0,"unit":"g"}}}}"#
        )
    };
    let all: Vec<String> = (1..=9).map(|day| result(day, "1-1", day)).chain([result(20, "2-2", 1)]).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let summary = of(&all);
    let told = rows(&summary, Place::Results);
    assert_eq!(
        told,
        ["1-1|9.0 g|||2026-01-09", "1-1|8.0 g|||2026-01-08", "1-1|7.0 g|||2026-01-07", "2-2|1.0 g|||2026-01-01"]
    );
    let section = summary.sections.iter().find(|section| section.place == Place::Results).expect("results");
    assert_eq!(section.older, 6);
    // The laboratory profile asks for who performed it; nobody is made up.
    let text = String::from_utf8(write(entries(&summary, "Observation")[0])).expect("UTF-8");
    assert!(text.contains(r#""performer":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}]"#), "{text}");
}

#[test]
fn units_are_told_as_people_write_them() {
    let leukocytes = r#"{"resourceType":"Observation","id":"o","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],
        "code":{"coding":[{"system":"http://loinc.org","code":"6690-2"}]},"effectiveDateTime":"2026-01-01","valueQuantity":{"value":7.2,"unit":"10*3/uL"},
        "referenceRange":[{"low":{"value":4,"code":"10*3/uL"},"high":{"value":10,"code":"10*3/uL"}}]}"#;
    assert_eq!(rows(&of(&[leukocytes]), Place::Results), ["6690-2|7.2 ×10³/µL|4 – 10 ×10³/µL||2026-01-01"]);
}

#[test]
fn references_stay_within_the_document() {
    let summary = of(&[
        r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":{"text":"x"},"encounter":{"reference":"Encounter/e"},
            "recorder":{"reference":"https://fhir.example.org/Practitioner/d/_history/3","display":"Dr A"},"asserter":{"reference":"Practitioner/hidden","display":"Dr B"}}"#,
        r#"{"resourceType":"Practitioner","id":"d","name":[{"family":"A"}]}"#,
        r#"{"resourceType":"Practitioner","id":"unused","name":[{"family":"U"}]}"#,
        r#"{"resourceType":"Patient","id":"other","name":[{"family":"Mother"}]}"#,
    ]);
    let condition = entries(&summary, "Condition")[0];
    assert!(condition.get("encounter").is_none());
    assert_eq!(condition.get("asserter"), Some(&read(r#"{"display":"Dr B"}"#)));
    let recorder = condition.get("recorder").and_then(|one| one.get_str("reference")).expect("a reference").to_owned();
    let full_urls: Vec<&str> = summary
        .bundle
        .get("entry")
        .expect("entries")
        .items()
        .iter()
        .filter_map(|entry| entry.get_str("fullUrl"))
        .collect();
    assert!(full_urls.contains(&recorder.as_str()) && full_urls.iter().all(|url| url.starts_with("urn:uuid:")));
    assert_eq!(entries(&summary, "Practitioner").len(), 1);
    assert_eq!(entries(&summary, "Patient").len(), 1);
    let patient = entries(&summary, "Patient")[0];
    assert!(patient.get("link").is_none() && patient.get("managingOrganization").is_none());
    assert_eq!(entries(&summary, "Organization").len(), 1, "the author alone");
}

#[test]
fn a_document_carries_the_labels_of_what_is_in_it() {
    let summary = of(&[
        r#"{"resourceType":"Condition","id":"c","meta":{"versionId":"4","source":"urn:private","profile":["urn:x"],"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"code":{"text":"x"}}"#,
    ]);
    let meta = entries(&summary, "Condition")[0].get("meta").expect("labels");
    assert_eq!(meta.members().len(), 1);
    let security = summary.bundle.get("meta").and_then(|meta| meta.get("security")).expect("labels").items();
    assert_eq!(security.len(), 1);
    assert_eq!(entries(&summary, "Composition")[0].get_str("confidentiality"), Some("R"));
}

#[test]
fn a_device_on_the_patient_is_in_use_since_nobody_knows_when() {
    let device = r#"{"resourceType":"Device","id":"d","status":"active","patient":{"reference":"Patient/p"},"type":{"text":"Pacemaker"}}"#;
    let summary = of(&[device]);
    assert_eq!(rows(&summary, Place::Devices), ["Pacemaker||active|"]);
    assert_eq!(entries(&summary, "DeviceUseStatement").len(), 1);
    let stated = r#"{"resourceType":"DeviceUseStatement","id":"s","status":"active","subject":{"reference":"Patient/p"},"device":{"reference":"Device/d"},"timingDateTime":"2020"}"#;
    let summary = of(&[device, stated]);
    assert_eq!(rows(&summary, Place::Devices), ["Pacemaker|2020|active|"]);
    assert_eq!((entries(&summary, "DeviceUseStatement").len(), entries(&summary, "Device").len()), (1, 1));
}

#[test]
fn what_is_no_patient_has_no_summary() {
    let other = read(r#"{"resourceType":"Group","id":"p"}"#);
    let error = summarize(&other, &[], &settings(), &SeededRng::new(7)).expect_err("no patient");
    assert_eq!(error, SummaryError::NoPatient);
}

#[test]
fn the_paper_says_what_the_document_says() {
    let summary = of(&[r#"{"resourceType":"Flag","id":"f","status":"active","code":{"text":"Isolation"}}"#]);
    let paper = to_paper(&summary);
    assert!(paper.about.starts_with("DUPONT Zoé — born 1980-02-01"), "{}", paper.about);
    let pdf = paper.to_pdf().expect("a PDF");
    assert!(pdf.starts_with(b"%PDF-"));
}

#[test]
fn the_same_record_gives_the_same_summary() {
    let record = [r#"{"resourceType":"Flag","id":"f","status":"active","code":{"text":"Isolation"}}"#];
    assert_eq!(of(&record), of(&record));
}
