use super::*;
use tacet_fhir::json::{Limits, parse_str};

pub(crate) fn read(text: &str) -> Option<Facts> {
    let json = parse_str(text, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}"));
    let kind = tacet_fhir::resource::resource_type(&json).unwrap();
    facts_of(kind, &ResourceId::parse("x").unwrap(), &json)
}

#[test]
fn facts_come_back_from_their_text_and_keep_no_words() {
    let text = r#"{"resourceType":"Encounter","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/p","display":"SECRET"},
        "period":{"start":"2026-03-01T08:00:00+01:00"},"reasonCode":[{"text":"SECRET"}],
        "participant":[{"individual":{"reference":"Practitioner/d","display":"SECRET"}},{"individual":{"reference":"RelatedPerson/r"}}],
        "location":[{"location":{"reference":"Location/w"},"status":"active"},{"location":{"reference":"Location/later"},"status":"planned"}]}"#;
    let facts = read(text).unwrap();
    let written = serde_json::to_string(&facts).unwrap();
    assert!(!written.contains("SECRET") && !written.contains("later") && written.len() < 300, "{written}");
    assert_eq!(serde_json::from_str::<Facts>(&written).unwrap(), facts);
    assert_eq!(facts.patient_ids(), [ResourceId::parse("p").unwrap()]);
    assert_eq!(facts.ends(), None, "it is going on");
    assert!(!format!("{facts:?}").contains("/p"), "ids do not print");
    for broken in [
        written.replace(r#""v":1"#, r#""v":9"#),
        written.replace("Patient/p", "Patient/p p"),
        written.replace("Patient/p", "https://other.example/Patient/p"),
    ] {
        assert!(serde_json::from_str::<Facts>(&broken).is_err(), "{broken}");
    }
}

#[test]
fn records_that_are_over_have_an_end() {
    let ends = |text: &str| read(text).unwrap().ends().map(|at| at.to_string());
    let patient = r#""subject":{"reference":"Patient/p"}"#;
    let encounter = |rest: &str| format!(r#"{{"resourceType":"Encounter",{patient},{rest}}}"#);
    assert_eq!(
        ends(&encounter(r#""status":"finished","period":{"end":"2026-03-01"}"#)).as_deref(),
        Some("2027-04-05T23:59:59.999Z")
    );
    assert_eq!(
        ends(&encounter(r#""status":"finished","meta":{"lastUpdated":"2026-03-01T00:00:00Z"}"#)).as_deref(),
        Some("2027-04-05T00:00:00.000Z"),
        "finished without saying when: when it was stored so"
    );
    assert_eq!(read(&encounter(r#""status":"finished""#)), None);
    assert_eq!(
        ends(r#"{"resourceType":"Slot","status":"busy","schedule":{"reference":"Schedule/s"},"start":"2026-03-01T18:00:00Z","end":"2026-03-02T08:00:00Z"}"#)
            .as_deref(),
        Some("2026-03-02T08:00:00.999Z")
    );
}

#[test]
fn odd_records_say_nothing_or_less() {
    for text in [
        r#"{"resourceType":"Encounter"}"#,
        r#"{"resourceType":"Encounter","status":"in-progress","subject":{"reference":"Group/g"}}"#,
        r#"{"resourceType":"Encounter","status":"in-progress","subject":"Patient/p"}"#,
        r#"{"resourceType":"Encounter","status":"cancelled","subject":{"reference":"Patient/p"}}"#,
        r#"{"resourceType":"Encounter","status":"in-progress","subject":{"reference":"Patient/p"},"period":{"start":"x"}}"#,
        r#"{"resourceType":"Encounter","status":"in-progress","subject":{"reference":"Patient/p"},"period":{"start":"2026","end":"2025"}}"#,
        r#"{"resourceType":"Appointment","status":"booked","participant":[{"actor":{"reference":"Patient/p"}}],"start":"2026-03-01"}"#,
        r#"{"resourceType":"Appointment","status":"booked","participant":[{"actor":{"reference":"Patient/p"}},{"actor":{"reference":"Practitioner/d"}}]}"#,
        r#"{"resourceType":"ServiceRequest","status":"active","intent":"proposal","subject":{"reference":"Patient/p"},"authoredOn":"2026"}"#,
        r#"{"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"Patient/p"}}"#,
        r#"{"resourceType":"CareTeam","subject":{"reference":"Patient/p"},"participant":[{"member":{"reference":"Practitioner/d"}}]}"#,
        r#"{"resourceType":"CareTeam","status":"active","participant":{"member":{"reference":"Patient/d"}}}"#,
        r#"{"resourceType":"PractitionerRole","active":false,"practitioner":{"reference":"Practitioner/d"}}"#,
        r#"{"resourceType":"PractitionerRole","location":[null,1]}"#,
        r#"{"resourceType":"Flag","status":"active","subject":{"reference":"Patient/p"},"code":{"coding":[{"system":"http://local.example","code":"detained"}]}}"#,
        r#"{"resourceType":"Patient","identifier":[{"value":"1"},{"system":"s","value":" "},"x"],"generalPractitioner":[{"display":"d"}]}"#,
        r#"{"resourceType":"Observation","subject":{"reference":"Patient/p"}}"#,
        r#"{"resourceType":"Consent","status":"active","patient":{"reference":"Patient/p"}}"#,
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    let many: Vec<String> =
        (0..2_000).map(|n| format!(r#"{{"member":{{"reference":"Practitioner/d{n}"}}}}"#)).collect();
    let team = format!(r#"{{"resourceType":"CareTeam","status":"active","participant":[{}]}}"#, many.join(","));
    let Some(Facts { fact: Fact::Team { members, .. }, .. }) = read(&team) else { panic!("a team") };
    assert_eq!(members.len(), LINKS_MAX);
}

#[test]
fn hours_that_cannot_be_read_are_not_all_hours() {
    let hours = |text: &str| {
        let role = format!(
            r#"{{"resourceType":"PractitionerRole","practitioner":{{"reference":"Practitioner/d"}},"availableTime":[{text}]}}"#
        );
        let Some(Facts { fact: Fact::Role { hours, .. }, .. }) = read(&role) else { panic!("a role") };
        hours.iter().map(|hours| (hours.days, hours.from_minutes, hours.to_minutes)).collect::<Vec<_>>()
    };
    assert_eq!(
        hours(r#"{"daysOfWeek":["mon","sun"],"availableStartTime":"06:30:00","availableEndTime":"14:15:00"}"#),
        [(0x41, 390, 855)]
    );
    assert_eq!(hours(r#"{"availableStartTime":"21:00:00","availableEndTime":"23:59:59"}"#), [(0x7F, 1260, 1440)]);
    assert_eq!(hours(r#"{"allDay":true}"#), [(0x7F, 0, 1440)]);
    assert_eq!(hours(r#"{"daysOfWeek":["someday"]}"#), [(0, 0, 0)]);
    assert_eq!(hours(r#"{"availableStartTime":"25:00:00"}"#), [(0, 0, 0)]);
}
