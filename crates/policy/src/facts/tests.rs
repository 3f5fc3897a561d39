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
    assert!(!written.contains("SECRET") && !written.contains("later") && written.len() < 350, "{written}");
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
fn facts_keep_who_wrote_them_and_what_others_had_written() {
    let team = |who: &str| {
        let text = format!(
            r#"{{"resourceType":"CareTeam","status":"active","subject":{{"reference":"Patient/p"}},"participant":[{{"member":{{"reference":"Practitioner/{who}"}}}}]}}"#
        );
        read(&text).unwrap()
    };
    let id = |text: &str| ResourceId::parse(text).unwrap();
    let before = |facts: &Facts| facts.author.as_ref().and_then(|author| author.before.as_deref().cloned());
    let alone = team("a").written_by(&id("a"), None);
    assert_eq!(before(&alone), None);
    let again = team("b").written_by(&id("a"), Some(alone.clone()));
    assert_eq!(before(&again), None, "still nobody else");
    let colleague = team("c").written_by(&id("b"), Some(again.clone()));
    assert_eq!(before(&colleague), Some(team("b").fact));
    let own = team("d").written_by(&id("b"), Some(colleague));
    assert_eq!(before(&own), Some(team("b").fact), "what somebody else wrote last");
    let machine = team("e").written_by(&id("b"), Some(team("x")));
    assert_eq!(before(&machine), Some(team("x").fact));
    for facts in [alone, again, own, team("m")] {
        let written = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&written).unwrap(), facts, "{written}");
    }
}

#[test]
fn encounters_that_tell_of_what_lies_ahead_are_known() {
    let plans = |text: &str| {
        let text = format!(r#"{{"resourceType":"Encounter","subject":{{"reference":"Patient/p"}},{text}}}"#);
        match read(&text) {
            Some(Facts { fact: Fact::Stay { plans, staff, .. }, .. }) => Some((plans, staff.len())),
            _ => None,
        }
    };
    let march = tacet_types::Timestamp::parse("2026-03-09T08:00:00Z").unwrap().as_ms();
    let doctor = r#""participant":[{"individual":{"reference":"Practitioner/d"}}]"#;
    for (text, expected) in [
        (r#""status":"planned""#, Some((i64::MAX, 0))),
        (r#""status":"planned","period":{}"#, Some((i64::MAX, 0))),
        (r#""status":"planned","period":{"start":"x"}"#, Some((i64::MAX, 0))),
        (r#""status":"planned","period":{"start":"2026-03-09"}"#, Some((i64::MIN, 0))),
        (r#""status":"unknown""#, Some((i64::MAX, 0))),
        (r#""status":"cancelled""#, None),
        (r#""status":"finished","location":[{"location":{"reference":"Location/l"},"status":"planned"}]"#, None),
        (
            r#""status":"in-progress","location":[{"location":{"reference":"Location/l"},"status":"reserved"}]"#,
            Some((i64::MAX, 0)),
        ),
        (
            r#""status":"in-progress","location":[{"location":{"reference":"Location/l"},"period":{"start":"2026-03-09T08:00:00Z"}}]"#,
            Some((march, 0)),
        ),
        (
            r#""status":"in-progress","location":[{"location":{"reference":"Location/l"},"period":{"start":"soon"}}]"#,
            Some((i64::MAX, 0)),
        ),
        (
            r#""status":"in-progress","location":[{"location":{"display":"l"},"period":{"end":"2026-03-09"}}]"#,
            Some((i64::MIN, 0)),
        ),
    ] {
        assert_eq!(plans(text), expected, "{text}");
    }
    assert_eq!(plans(&format!(r#""status":"unknown",{doctor}"#)), Some((i64::MAX, 0)), "no relation comes of it");
    assert_eq!(plans(&format!(r#""status":"planned",{doctor}"#)), Some((i64::MAX, 1)));
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
