//! The example consents of IHE's Privacy Consent on FHIR: for each, who sees which example records, as its text says.

use crate::data::{folder, key, resource};
use std::path::Path;
use tacet_fhir::json::{Json, Limits, parse_str};
use tacet_fhir::reference::{Reference, for_each_reference};
use tacet_fhir::search::DateRange;
use tacet_fhir::security::labels_of;
use tacet_policy::{BreakGlass, BtgReason, CareData, ConsentRuling, RecordScope, Subject, facts_of};
use tacet_types::{Criterion, Labels, ResourceId, ResourceType, Role, Timestamp};

/// The records of a row, in this order. The last three are ours: the guide has none by that author or with these labels.
const RECORDS: [&str; 7] = [
    "Observation-ex-alcoholUse.json",    // R, ETHUD; 2022-06-13
    "Observation-ex-bloodPressure.json", // N; 2004
    "Observation-ex-bloodSugar.json",    // N; 2020
    "Observation-ex-weight-2.json",      // N; 2016
    "Observation-ex-weight.json",        // N; 2004
    "Encounter-ex-encounter.json",       // N; no date; the encounter of all five
    "DocumentReference-ex-documentreference.json",
];
const OWN: [&str; 3] = [
    r#"{"resourceType":"Observation","id":"own","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/ex-patient"},
        "performer":[{"reference":"Practitioner/ex-practitioner"}],"effectiveDateTime":"2023-05-01"}"#,
    r#"{"resourceType":"Observation","id":"psy","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"},
        {"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status":"final","code":{"text":"c"},
        "subject":{"reference":"Patient/ex-patient"},"effectiveDateTime":"2021"}"#,
    r#"{"resourceType":"Observation","id":"sdv","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SDV"},
        {"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status":"final","code":{"text":"c"},
        "subject":{"reference":"Patient/ex-patient"},"effectiveDateTime":"2021"}"#,
];

/// A row: the consent, who, for what purpose, and for each record whether it is permitted (`P`), denied (`D`) or not spoken of (`-`).
/// Records: alcohol, pressure, sugar, weight-2, weight, encounter, document; own, psy, sdv.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("basic-treat", "practitioner", "TREAT", "PPPPPPP PPP"),
    ("basic-treat", "clerk", "HPAYMT", "PPPPPPP PPP"),
    ("basic-treat", "practitioner", "HRESCH", "------- ---"),
    ("basic-treat-infant", "practitioner", "TREAT", "PPPPPPP PPP"),
    ("basic-ink", "practitioner", "TREAT", "PPPPPPP PPP"),
    ("basic-reject", "practitioner", "TREAT", "DDDDDDD DDD"),
    ("basic-reject", "clerk", "HOPERAT", "DDDDDDD DDD"),
    ("basic-reject", "practitioner", "HRESCH", "------- ---"),
    ("basic-research", "researcher", "HRESCH", "PPPPPPP PPP"),
    // A permit on the top concept is one on all below it.
    ("basic-research", "researcher", "CLINTRCH", "PPPPPPP PPP"),
    ("basic-research", "practitioner", "TREAT", "------- ---"),
    // Its end was in 2022.
    ("expired-treat", "practitioner", "TREAT", "------- ---"),
    ("intermediate-purpose", "researcher", "http://example.org/policies/purposeOfUse|FooBar", "PPPPPPP PPP"),
    ("intermediate-purpose", "practitioner", "http://example.org/policies/purposeOfUse|FooBar", "------- ---"),
    ("intermediate-purpose", "researcher", "TREAT", "------- ---"),
    // Only what this practitioner wrote. None of the guide's records is theirs.
    ("intermediate-authoredby", "clerk", "TREAT", "DDDDDDD PDD"),
    ("intermediate-not-authoredby", "clerk", "TREAT", "PPPPPPP DPP"),
    // Only what is listed.
    ("intermediate-data", "practitioner", "TREAT", "PPPPPPD DDD"),
    ("intermediate-not-data", "practitioner", "TREAT", "DPPPPPP PPP"),
    ("intermediate-encounter", "practitioner", "TREAT", "PPPPPPD DDD"),
    ("intermediate-not-encounter", "practitioner", "TREAT", "DDDDDDP PPP"),
    // Only, and all but, 2022.
    ("intermediate-timeframe", "practitioner", "TREAT", "PDDDDDD DDD"),
    ("intermediate-not-timeframe", "practitioner", "TREAT", "DPPPPPP PPP"),
    ("intermediate-not-timeframe", "researcher", "HRESCH", "------- ---"),
    ("dissent-intermediate-break-glass", "practitioner", "TREAT", "DDDDDDD DDD"),
    ("dissent-intermediate-break-glass", "practitioner", "BTG", "PPPPPPP PPP"),
    ("dissent-intermediate-break-glass", "clerk", "BTG", "DDDDDDD DDD"),
    ("dissent-intermediate-break-glass", "practitioner", "declared", "PPPPPPP PPP"),
    ("advanced-normal", "practitioner", "TREAT", "DPPPPPP PDD"),
    ("advanced-normal-restricted", "practitioner", "TREAT", "PPPPPPP PPP"),
    ("advanced-normal-not-restricted", "practitioner", "TREAT", "DPPPPPP PDD"),
    ("advanced-normal-focused-restricted", "practitioner", "TREAT", "PPPPPPP PPP"),
    ("advanced-normal-focused-restricted", "clerk", "TREAT", "DPPPPPP PDD"),
    ("advanced-normal-focused-psy", "practitioner", "TREAT", "DPPPPPP PPD"),
    ("advanced-normal-focused-psy", "clerk", "TREAT", "DPPPPPP PDD"),
    ("advanced-normal-focused-psy-or-sdv", "practitioner", "TREAT", "DPPPPPP PPP"),
    ("advanced-normal-focused-psy-or-sdv", "author", "HOPERAT", "DPPPPPP PDD"),
    ("advanced-normal-break-glass-restricted", "practitioner", "TREAT", "DPPPPPP PDD"),
    ("advanced-normal-break-glass-restricted", "practitioner", "BTG", "PPPPPPP PPP"),
    ("advanced-normal-break-glass-restricted", "practitioner", "declared", "PPPPPPP PPP"),
    ("advanced-normal-break-glass-restricted", "clerk", "BTG", "DPPPPPP PDD"),
];

struct Record {
    kind: ResourceType,
    id: ResourceId,
    labels: Labels,
    refers_to: Vec<(ResourceType, ResourceId)>,
    date: Option<DateRange>,
}

impl Record {
    fn of(json: &Json<'_>) -> Self {
        let (kind, id) = key(json);
        let mut refers_to = Vec::new();
        for_each_reference(json, &mut |text| refers_to.extend(Reference::parse(text).target_id()));
        let date = json.get_str("effectiveDateTime").and_then(DateRange::parse);
        Self { kind, id, labels: labels_of(json), refers_to, date }
    }

    fn meets(&self, criterion: &Criterion) -> bool {
        match criterion {
            Criterion::Is(kind, id) => (self.kind, &self.id) == (*kind, id),
            Criterion::RefersTo(kind, id) => self.refers_to.iter().any(|known| *known == (*kind, id.clone())),
            Criterion::Within(from, to) => self.date.is_some_and(|date| date.low_ms <= *to && date.high_ms >= *from),
        }
    }

    fn in_scope(&self, scope: &RecordScope, permit: bool) -> bool {
        let labels = scope
            .labels
            .is_none_or(|labels| if permit { self.labels.within(labels) } else { self.labels.meets(labels) });
        let within = scope.within.is_none_or(|(from, to)| self.meets(&Criterion::Within(from, to)));
        let any_of = scope.any_of.is_empty() || scope.any_of.iter().any(|criterion| self.meets(criterion));
        scope.types.has(self.kind) && labels && within && any_of
    }

    fn verdict(&self, rulings: &[ConsentRuling]) -> char {
        let concerns = |ruling: &&ConsentRuling| {
            self.in_scope(&ruling.scope, ruling.permit)
                && !ruling.unless.iter().any(|scope| self.in_scope(scope, !ruling.permit))
        };
        let all: Vec<bool> = rulings.iter().filter(concerns).map(|ruling| ruling.permit).collect();
        match (all.contains(&false), all.contains(&true)) {
            (true, _) => 'D',
            (false, true) => 'P',
            (false, false) => '-',
        }
    }
}

fn put(care: &mut CareData, json: &Json<'_>) {
    let (kind, id) = key(json);
    let facts = facts_of(kind, &id, json);
    care.put((kind, id), facts);
}

/// Who works where: the guide gives no roles.
fn staff(care: &mut CareData, folder: &Path) {
    put(care, &resource(&folder.join("Group-ex-privilegedUsers.json")));
    let role = r#"{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/ex-researcher"},
        "organization":{"reference":"Organization/ex-org-researcher"}}"#;
    put(care, &parse_str(role, &Limits::default()).expect("JSON"));
}

fn consent_file(folder: &Path, name: &str) -> Json<'static> {
    let long = folder.join(format!("Consent-ex-consent-{name}.json"));
    resource(&if long.is_file() { long } else { folder.join(format!("Consent-ex-{name}.json")) })
}

fn rulings(care: &CareData, who: &str, purpose: &'static str, now: Timestamp) -> Vec<ConsentRuling> {
    let patient = ResourceId::parse("ex-patient").expect("an id");
    let subject = Subject {
        account: format!("{who}-{purpose}"),
        role: Role::Clinician,
        practitioner: ResourceId::parse(&format!("ex-{who}")).ok(),
        patients: Vec::new(),
        purpose: if purpose == "declared" { "TREAT" } else { purpose },
        strong: true,
        supplier: false,
        approved: None,
    };
    care.consents(&patient, &subject, now)
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T08:00:00Z").expect("an instant")
}

#[test]
fn each_example_consent_does_what_its_text_says() {
    let Some(folder) = folder("ihe-pcf") else { return };
    let mut records: Vec<Record> = RECORDS.iter().map(|name| Record::of(&resource(&folder.join(name)))).collect();
    records.extend(OWN.iter().map(|text| Record::of(&parse_str(text, &Limits::default()).expect("JSON"))));
    let mut wrong = Vec::new();
    for (consent, who, purpose, expected) in TABLE {
        let mut care = CareData::new();
        staff(&mut care, &folder);
        put(&mut care, &consent_file(&folder, consent));
        if *purpose == "declared" {
            care.put_break_glass(BreakGlass {
                id: "b".into(),
                account: format!("{who}-{purpose}"),
                patient: ResourceId::parse("ex-patient").expect("an id"),
                reason: BtgReason::VitalEmergency,
                text: "unconscious".into(),
                from: now(),
                until: now().plus_ms(1),
            });
        }
        let rulings = rulings(&care, who, purpose, now());
        let said: String = records.iter().map(|record| record.verdict(&rulings)).collect();
        if said != expected.replace(' ', "") {
            wrong.push(format!("{consent} to {who} for {purpose}: {said}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Every example is in the table.
    let files =
        std::fs::read_dir(&folder).expect("a folder").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for file in files.filter(|file| file.starts_with("Consent-")) {
        let name = file.trim_start_matches("Consent-ex-").trim_start_matches("consent-").trim_end_matches(".json");
        assert!(TABLE.iter().any(|(consent, ..)| *consent == name), "{name}");
    }
}

#[test]
fn a_consent_holds_until_its_end_and_only_while_it_is_active() {
    let Some(folder) = folder("ihe-pcf") else { return };
    let consent = consent_file(&folder, "expired-treat");
    let mut care = CareData::new();
    put(&mut care, &consent);
    let at = |text: &str| Timestamp::parse(text).expect("an instant");
    let permits = |now: &str| !rulings(&care, "practitioner", "TREAT", at(now)).is_empty();
    assert!(permits("2022-12-31T23:59:59.999Z") && !permits("2023-01-01T00:00:00Z"));
    let settings = tacet_policy::CareSettings::default();
    assert_eq!(care.next_change(None, at("2022-06-01T00:00:00Z"), &settings), Some(at("2023-01-01T00:00:00Z")));

    let reject = consent_file(&folder, "basic-reject");
    let changed = |member: &str, value: &str| {
        let mut json = reject.clone();
        json.set(member.to_owned(), parse_str(value, &Limits::default()).expect("JSON").into_owned());
        let mut care = CareData::new();
        put(&mut care, &json);
        rulings(&care, "practitioner", "TREAT", now()).iter().map(|ruling| ruling.permit).collect::<Vec<_>>()
    };
    assert_eq!(changed("status", r#""active""#), [false]);
    for status in ["draft", "proposed", "rejected", "inactive", "entered-in-error"] {
        assert!(changed("status", &format!("\"{status}\"")).is_empty(), "{status}");
    }
    let scope = |code: &str| {
        format!(r#"{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"{code}"}}]}}"#)
    };
    for other in ["research", "adr", "treatment"] {
        assert!(changed("scope", &scope(other)).is_empty(), "{other}");
    }
    // What may be about privacy withholds; what is about something else does not.
    assert_eq!(changed("scope", r#"{"text":"vie privée"}"#), [false]);
    let mut permit = consent_file(&folder, "basic-treat");
    permit.set("scope", parse_str(r#"{"text":"vie privée"}"#, &Limits::default()).expect("JSON").into_owned());
    let mut care = CareData::new();
    put(&mut care, &permit);
    assert!(rulings(&care, "practitioner", "TREAT", now()).is_empty(), "and opens nothing");
}

/// A consent with this root rule.
fn with_rule(rule: &str) -> CareData {
    let text = format!(
        r#"{{"resourceType":"Consent","id":"c","status":"active","scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},
        "category":[{{"text":"c"}}],"patient":{{"reference":"Patient/ex-patient"}},"provision":{rule}}}"#
    );
    let mut care = CareData::new();
    put(&mut care, &parse_str(&text, &Limits::default()).expect("JSON"));
    care
}

#[test]
fn what_is_not_understood_opens_nothing_and_withholds_widely() {
    let strange = [
        r#""code":[{"text":"some documents"}]"#,
        r#""class":[{"system":"http://hl7.org/fhir/consentcontentclass","code":"application/hl7-cda+xml"}]"#,
        r#""securityLabel":[{"display":"secret"}]"#,
        r#""data":[{"meaning":"reversed","reference":{"reference":"Observation/own"}}]"#,
        r#""data":[{"meaning":"instance","reference":{"display":"that one"}}]"#,
        r#""dataPeriod":{"start":"last year"}"#,
        r#""actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"display":"my doctor"}}]"#,
        r#""actor":[{"role":{"coding":[{"code":"CST"}]},"reference":{"reference":"Practitioner/ex-practitioner"}}]"#,
        r#""purpose":[{"display":"good"}]"#,
        r#""action":[{"coding":[{"code":"correct"}]}]"#,
        r#""period":{"end":"soon"}"#,
    ];
    let own = Record::of(&parse_str(OWN[0], &Limits::default()).expect("JSON"));
    for part in strange {
        let permit = with_rule(&format!(r#"{{"type":"permit",{part}}}"#));
        assert_ne!(own.verdict(&rulings(&permit, "practitioner", "TREAT", now())), 'P', "{part}");
        let deny = with_rule(&format!(r#"{{"type":"deny",{part}}}"#));
        let expected = if part.contains("display\":\"secret") { '-' } else { 'D' };
        assert_eq!(own.verdict(&rulings(&deny, "practitioner", "TREAT", now())), expected, "{part}");
    }
    // A rule without a type, or of a third level, opens nothing either.
    for rule in [
        r#"{"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"}]}"#,
        r#"{"type":"deny","provision":[{"type":"permit","provision":[{"type":"deny","code":[{"text":"x"}]}]}]}"#,
    ] {
        assert_ne!(own.verdict(&rulings(&with_rule(rule), "practitioner", "TREAT", now())), 'P', "{rule}");
    }
    // Those of whom nothing shows that they are not meant are denied, and nobody else.
    let rule =
        r#"{"type":"deny","actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"reference":"Organization/o"}}]}"#;
    let subject = |practitioner: Option<&str>| Subject {
        account: "a".into(),
        role: Role::Reception,
        practitioner: practitioner.and_then(|id| ResourceId::parse(id).ok()),
        patients: Vec::new(),
        purpose: "PATADMIN",
        strong: true,
        supplier: false,
        approved: None,
    };
    let patient = ResourceId::parse("ex-patient").expect("an id");
    assert_eq!(with_rule(rule).consents(&patient, &subject(None), now()).len(), 1);
    assert_eq!(with_rule(rule).consents(&patient, &subject(Some("p")), now()).len(), 0);
}

#[test]
fn who_the_patient_is_stays_open_where_only_content_is_narrowed() {
    let patient =
        Record::of(&parse_str(r#"{"resourceType":"Patient","id":"ex-patient"}"#, &Limits::default()).expect("JSON"));
    let narrowed = with_rule(r#"{"type":"permit","dataPeriod":{"start":"2022"}}"#);
    assert_eq!(patient.verdict(&rulings(&narrowed, "practitioner", "TREAT", now())), '-');
    let rejected = with_rule(r#"{"type":"deny"}"#);
    assert_eq!(patient.verdict(&rulings(&rejected, "practitioner", "TREAT", now())), 'D');
}
