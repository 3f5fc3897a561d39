//! Who said something, and how much: what one writes of oneself, and consents that say more than can be worked out.

use super::*;

/// Records by which a nurse of the ward could write herself more than the ward has.
#[test]
fn what_only_its_beneficiary_wrote_is_no_more_than_a_ward_has() {
    let order = |by: &str, status: &str| {
        format!(
            r#"{{"resourceType":"ServiceRequest","id":"s","status":"{status}","intent":"order","subject":{{"reference":"Patient/p"}},
            "authoredOn":"2026-03-01","requester":{{"reference":"Practitioner/{by}"}}}}"#
        )
    };
    let team = |member: &str| {
        format!(
            r#"{{"resourceType":"CareTeam","id":"t","status":"active","subject":{{"reference":"Patient/p"}},"participant":[{{"member":{{"reference":"{member}"}}}}]}}"#
        )
    };
    let encounter = |who: &str, end: &str| {
        stay(&format!(
            r#""status":"in-progress","period":{{"start":"2026-03-01"{end}}},"participant":[{{"individual":{{"reference":"Practitioner/{who}"}}}}]"#
        ))
    };
    let meeting =
        r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-03-03T10:00:00Z","participant":[
        {"actor":{"reference":"Patient/p"}},{"actor":{"reference":"Practitioner/nurse"}}]}"#
            .to_owned();
    let episode = r#"{"resourceType":"EpisodeOfCare","id":"o","status":"active","patient":{"reference":"Patient/p"},"careManager":{"reference":"Practitioner/nurse"}}"#.to_owned();
    let patient =
        r#"{"resourceType":"Patient","id":"p","generalPractitioner":[{"reference":"Practitioner/nurse"}]}"#.to_owned();
    for (text, kind, name, relation) in [
        (order("nurse", "active"), "ServiceRequest", "s", "order"),
        (team("Practitioner/nurse"), "CareTeam", "t", "care-team"),
        (team("PractitionerRole/r-nurse"), "CareTeam", "t", "care-team"),
        (encounter("nurse", ""), "Encounter", "e", "encounter-participant"),
        (meeting, "Appointment", "a", "appointment"),
        (episode, "EpisodeOfCare", "o", "care-team"),
        (patient, "Patient", "p", "general-practitioner"),
    ] {
        let mut ward = Ward::new();
        ward.put_by("nurse", None, &text);
        assert_eq!(ward.of("nurse", NOON), ["self-declared"], "{text}");
        ward.put_by("nurse", Some(&text), &text);
        assert_eq!(ward.of("nurse", NOON), [relation], "others had said so: {text}");
        ward.put_by("doctor", Some(&text), &text);
        assert_eq!(ward.of("nurse", NOON), [relation], "a colleague says so: {text}");
        ward.put(&text);
        assert_eq!(ward.of("nurse", NOON), [relation], "a machine says so: {text}");
        ward.put_by("nurse", None, &text);
        ward.gone(kind, name);
        assert_eq!(ward.of("nurse", NOON), [""; 0], "{text}");
        assert!(ward.care.authors.is_empty());
    }

    // What others said is not made more, or longer.
    let mut ward = Ward::new();
    let ended = encounter("nurse", r#","end":"2026-02-20""#);
    ward.put_by("nurse", Some(&encounter("doctor", "")), &encounter("nurse", ""));
    assert_eq!(ward.of("nurse", NOON), ["self-declared"], "others had named somebody else");
    ward.put_by("nurse", Some(&ended.replace("2026-03-01", "2026-02-01")), &encounter("nurse", ""));
    assert_eq!(ward.of("nurse", NOON), ["self-declared"], "it was over");
    ward.put_by("nurse", Some(&order("nurse", "active")), &order("nurse", "completed"));
    assert_eq!(ward.of("nurse", NOON), ["order", "self-declared"], "who ends an order keeps what came of it");
    ward.gone("Encounter", "e");
    let elsewhere = encounter("nurse", "").replace("Patient/p", "Patient/q");
    ward.put_by("nurse", Some(&elsewhere), &encounter("nurse", ""));
    assert_eq!(ward.of("nurse", NOON), ["order", "self-declared"], "it was about somebody else");
}

#[test]
fn who_joins_a_team_by_their_own_hand_has_little_of_what_the_team_has() {
    let team = |member: &str| {
        format!(
            r#"{{"resourceType":"CareTeam","id":"t","status":"active","participant":[{{"member":{{"reference":"Practitioner/{member}"}}}}]}}"#
        )
    };
    let mut ward = Ward::new();
    ward.put(r#"{"resourceType":"EpisodeOfCare","id":"o","status":"active","patient":{"reference":"Patient/p"},"team":[{"reference":"CareTeam/t"}]}"#);
    ward.put_by("nurse", Some(&team("doctor")), &team("nurse"));
    assert_eq!(ward.of("nurse", NOON), ["self-declared"]);
    let group = r#"{"resourceType":"Group","id":"g","type":"practitioner","actual":true,"member":[{"entity":{"reference":"Practitioner/nurse"}}]}"#;
    ward.put_by("nurse", None, group);
    let names = |ward: &Ward| {
        let identities = ward.care.identities(&id("nurse"), &mut Moments::at(at(NOON)));
        ["CareTeam/t", "Group/g"].map(|name| identities.contains(name))
    };
    assert_eq!(names(&ward), [false, false], "nor what a consent gives the team");
    ward.put(&team("nurse"));
    ward.put(group);
    assert_eq!(ward.of("nurse", NOON), ["care-team"]);
    assert_eq!(names(&ward), [true, true]);
}

/// [`RULINGS_MAX`]: as many are applied, one more is a refusal.
#[test]
fn whoever_says_more_than_can_be_worked_out_has_refused() {
    let mut ward = Ward::new();
    let consent = |rules: usize| {
        let rule = r#"{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]}"#;
        format!(
            r#"{{"resourceType":"Consent","id":"c","status":"active","patient":{{"reference":"Patient/p"}},
            "scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},
            "provision":{{"type":"permit","provision":[{}]}}}}"#,
            vec![rule; rules].join(",")
        )
    };
    let doctor = Subject {
        account: "d".into(),
        role: tacet_types::Role::Clinician,
        practitioner: Some(id("doctor")),
        patients: Vec::new(),
        purpose: "TREAT",
        strong: true,
        supplier: false,
        approved: None,
    };
    let said = |ward: &Ward| ward.care.consents(&id("p"), &doctor, at(NOON));
    // The rules, and the permit of the root.
    ward.put(&consent(RULINGS_MAX - 1));
    assert_eq!(said(&ward).len(), RULINGS_MAX);
    assert!(said(&ward).iter().any(|ruling| ruling.permit));
    ward.put(&consent(RULINGS_MAX));
    let refused = said(&ward);
    assert_eq!(refused.len(), 1);
    let everything = crate::consent::refusal(&id("c"));
    assert_eq!(refused, [everything]);
    // It binds who has a relation; not in an emergency, and not the patient.
    ward.put(&stay(r#""status":"in-progress","period":{"start":"2026-03-01"},"participant":[{"individual":{"reference":"Practitioner/doctor"}}]"#));
    let policies = crate::Policies::built_in();
    let sees = |ward: &Ward, subject: &Subject| {
        let seen = crate::visibility(&policies, &ward.care, &ward.settings, subject, crate::Act::Read, at(NOON));
        let observation = ResourceType::parse("Condition").unwrap();
        seen.sight(observation, &[id("p")], tacet_types::Labels::NONE) != tacet_types::Sight::Hidden
    };
    assert!(!sees(&ward, &doctor));
    let own = Subject {
        role: tacet_types::Role::Patient,
        practitioner: None,
        patients: vec![id("p")],
        purpose: "PATRQT",
        ..doctor.clone()
    };
    assert!(sees(&ward, &own));
    ward.care.put_break_glass(BreakGlass {
        id: "b".into(),
        account: "d".into(),
        patient: id("p"),
        reason: BtgReason::VitalEmergency,
        text: "t".into(),
        from: at(NOON),
        until: at("2026-03-02T12:00:00Z"),
    });
    assert!(sees(&ward, &doctor));
    ward.put(&consent(RULINGS_MAX - 1));
    ward.care.end_break_glass("b");
    assert!(sees(&ward, &doctor), "what can be worked out is applied");
}
