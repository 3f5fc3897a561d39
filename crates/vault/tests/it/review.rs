//! What an attacker with an account of the hospital tries: to tell what is hidden from what is not there, to see by an older version what is
//! withheld now, to call treatment something else, to set a patient free of what sets them apart.

use crate::access::{person, put, ward};
use crate::house::*;
use pollster::block_on;
use tacet_ledger::Entry;
use tacet_vault::{
    Caller, EverythingQuery, HistoryQuery, HistoryScope, PurposeOfUse, ReturnPreference, Role, Stored, VaultError,
};

fn told<T>(answer: Result<T, VaultError>) -> Result<(), (&'static str, String)> {
    answer.map(|_| ()).map_err(|error| (error.http_status(), error.to_string()))
}

fn create(house: &House, who: &Caller, text: &str) -> Result<Stored, VaultError> {
    let value = tacet_fhir::json::parse(text.as_bytes(), &Default::default()).unwrap();
    let name = value.get_str("resourceType").unwrap().to_owned();
    block_on(house.vault.create(who, kind(&name), text.as_bytes(), BASE_URL))
}

fn update(house: &House, who: &Caller, text: &str) -> Result<Stored, VaultError> {
    let value = tacet_fhir::json::parse(text.as_bytes(), &Default::default()).unwrap();
    let (name, id) = (value.get_str("resourceType").unwrap().to_owned(), value.get_str("id").unwrap().to_owned());
    block_on(house.vault.update(who, kind(&name), &rid(&id), text.as_bytes(), BASE_URL, None, false))
}

fn last(house: &House) -> Entry {
    house.ledger().pop().unwrap()
}

fn appointment(patient: &str) -> String {
    format!(
        r#"{{"resourceType":"Appointment","id":"a-{patient}","status":"booked","start":"2026-03-01T09:00:00Z","end":"2026-03-01T10:00:00Z","participant":[{{"actor":{{"reference":"Patient/{patient}"}},"status":"accepted"}},{{"actor":{{"reference":"Practitioner/dr-a"}},"status":"accepted"}}]}}"#
    )
}

#[test]
fn an_odd_cursor_is_no_way_to_ask_whether_a_record_is_there() {
    let house = ward();
    let ask = |id: &str| {
        let scope = HistoryScope::Instance(kind("Patient"), rid(id));
        let query = HistoryQuery { cursor: Some("x".to_owned()), ..Default::default() };
        told(block_on(house.vault.history(&person(Role::Clinician, "dr-a"), &scope, &query)))
    };
    assert_eq!(ask("other"), ask("absent"));
    assert_ne!(ask("mine"), ask("absent"));
}

#[test]
fn nothing_is_stored_for_a_patient_who_is_not_there_so_a_refusal_tells_nothing() {
    let house = ward();
    let office = person(Role::Reception, "dr-r");
    block_on(house.vault.erase(&caller(Role::Operator), &rid("other"))).unwrap();
    let ask = |patient: &str| {
        let before = house.ledger().len();
        let answer = told(create(&house, &office, &appointment(patient)));
        (answer, house.ledger().len() - before)
    };
    assert_eq!(ask("mine").0, Ok(()));
    let absent = ask("absent");
    assert!(absent.0.is_err());
    assert_eq!(ask("vip"), absent, "one who is set apart");
    assert_eq!(ask("other"), absent, "one who was erased");
    // With the patient in the same transaction, in either order.
    for patient_first in [true, false] {
        let mut entries = [
            r#"{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"resourceType":"Patient","name":[{"family":"New"}]},"request":{"method":"POST","url":"Patient"}}"#.to_owned(),
            format!(r#"{{"resource":{},"request":{{"method":"POST","url":"Appointment"}}}}"#, appointment("x").replace("Patient/x", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")),
        ];
        if !patient_first {
            entries.reverse();
        }
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","));
        let done = block_on(house.vault.bundle(&office, bundle.as_bytes(), BASE_URL, ReturnPreference::Minimal));
        assert_eq!(told(done), Ok(()));
    }
}

#[test]
fn an_older_version_does_not_show_what_was_labelled_since() {
    let house = ward();
    put(&house, &appointment("mine"));
    put(
        &house,
        r#"{"resourceType":"Encounter","id":"stay-mine","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/mine"},"period":{"start":"2026-02-01T08:00:00Z"}}"#,
    );
    let note = |label: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"noted","status":"final","code":{{"text":"Weight"}},"subject":{{"reference":"Patient/mine"}},"note":[{{{label}"text":"whispered"}}]}}"#
        )
    };
    put(&house, &note(""));
    put(
        &house,
        &note(
            r#""extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}}],"#,
        ),
    );
    let who = person(Role::Clinician, "dr-a");
    let shown = |version: u64| {
        let read =
            block_on(house.vault.vread(&who, kind("Observation"), &rid("noted"), tacet_types::VersionId(version)));
        read.ok().map(|read| String::from_utf8(read.body.to_vec()).unwrap().contains("whispered"))
    };
    assert_eq!((shown(1), shown(2)), (None, Some(false)));
    for scope in [
        HistoryScope::Instance(kind("Observation"), rid("noted")),
        HistoryScope::Type(kind("Observation")),
        HistoryScope::System,
    ] {
        let page = block_on(house.vault.history(&who, &scope, &Default::default())).unwrap();
        let bodies = page.entries.iter().filter_map(|entry| entry.body.as_ref());
        assert!(bodies.clone().count() > 0);
        assert!(bodies.into_iter().all(|body| !String::from_utf8_lossy(body).contains("whispered")), "{scope:?}");
    }
    let machine = caller(Role::Integrator);
    let read = block_on(house.vault.vread(&machine, kind("Observation"), &rid("noted"), tacet_types::VersionId(1)));
    assert!(String::from_utf8_lossy(&read.unwrap().body).contains("whispered"));
}

/// A label that is added to a second element reaches back to versions in which the first alone had one, and not to versions that are labelled
/// in the same places.
#[test]
fn an_older_version_does_not_show_an_element_that_was_labelled_after_another() {
    let house = ward();
    put(&house, &appointment("mine"));
    put(
        &house,
        r#"{"resourceType":"Encounter","id":"stay-mine","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/mine"},"period":{"start":"2026-02-01T08:00:00Z"}}"#,
    );
    let label = r#""extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}}],"#;
    let notes = |first: &str, second: &str, language: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"noted","language":"{language}","status":"final","code":{{"text":"Weight"}},"subject":{{"reference":"Patient/mine"}},"note":[{{{first}"text":"whispered"}},{{{second}"text":"confided"}}]}}"#
        )
    };
    for (first, second, language) in
        [(label, "", "fr"), (label, label, "fr"), (label, label, "en"), ("", label, "en"), (label, label, "fr")]
    {
        put(&house, &notes(first, second, language));
    }
    let shown = |who: &Caller, version: u64| {
        let read =
            block_on(house.vault.vread(who, kind("Observation"), &rid("noted"), tacet_types::VersionId(version)));
        read.ok().map(|read| {
            let text = String::from_utf8(read.body.to_vec()).unwrap();
            (text.contains("whispered"), text.contains("confided"))
        })
    };
    // Not cleared for what is very restricted: seen are only the versions that are labelled like the current one.
    let (who, cut, whole) = (person(Role::Clinician, "dr-a"), Some((false, false)), Some((true, true)));
    let versions = |who: &Caller| (1..=5).map(|version| shown(who, version)).collect::<Vec<_>>();
    assert_eq!(versions(&who), [None, cut, cut, None, cut]);
    let scope = HistoryScope::Instance(kind("Observation"), rid("noted"));
    let page = block_on(house.vault.history(&who, &scope, &Default::default())).unwrap();
    let listed: Vec<u64> = page.entries.iter().map(|entry| entry.record.version.0).collect();
    assert_eq!((listed, page.total), (vec![5, 3, 2], Some(3)));
    for scope in [HistoryScope::Type(kind("Observation")), HistoryScope::System] {
        let page = block_on(house.vault.history(&who, &scope, &Default::default())).unwrap();
        let texts =
            || page.entries.iter().filter_map(|entry| entry.body.as_ref()).map(|body| String::from_utf8_lossy(body));
        assert!(texts().count() > 0 && texts().all(|text| !text.contains("whispered") && !text.contains("confided")));
    }
    // Nothing is withheld from who is cleared for both.
    put(
        &house,
        r#"{"resourceType":"CareTeam","id":"team","status":"active","subject":{"reference":"Patient/mine"},"participant":[{"member":{"reference":"Practitioner/dr-a"}}]}"#,
    );
    assert_eq!(versions(&who), [whole; 5]);
    assert_eq!(versions(&caller(Role::Integrator)), [whole; 5]);
}

#[test]
fn places_in_lists_tell_nothing_and_are_not_made_up() {
    let house = ward();
    for number in 0..3 {
        put(&house, &observation(&format!("more-{number}"), "mine", "70"));
    }
    let who = person(Role::Clinician, "dr-a");
    let query = |cursor: Option<String>| EverythingQuery { count: 1, cursor, ..Default::default() };
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = block_on(house.vault.everything(&who, &rid("mine"), &query(cursor))).unwrap();
        let own = page.entries.iter().filter(|(_, member)| *member);
        ids.extend(own.map(|(shown, _)| shown.record.id.as_str().to_owned()));
        cursor = page.next;
        match &cursor {
            Some(cursor) => assert!(cursor.len() > 64 && cursor.parse::<u64>().is_err()),
            None => break,
        }
    }
    ids.sort();
    assert_eq!(ids, ["mine", "mine", "more-0", "more-1", "more-2", "stay-mine"]);
    assert!(block_on(house.vault.everything(&who, &rid("mine"), &query(Some("1".to_owned())))).is_err());
    let scope = HistoryScope::Type(kind("Observation"));
    let page = |cursor: Option<String>| {
        block_on(house.vault.history(&who, &scope, &HistoryQuery { count: 1, cursor, ..Default::default() }))
    };
    let next = page(None).unwrap().next.unwrap();
    assert!(!next.contains('.'));
    assert_eq!(page(Some(next)).unwrap().entries[0].record.id.as_str(), "more-1");
    assert!(page(Some("9.0".to_owned())).is_err());
}

#[test]
fn treatment_by_another_name_is_refused_like_treatment() {
    let house = ward();
    put(
        &house,
        r#"{"resourceType":"Consent","id":"no","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/mine"},"dateTime":"2026-02-01","policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTOUT"}]},"provision":{"type":"deny","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"}]}}"#,
    );
    let code = |code: &str| PurposeOfUse::parse(code).unwrap();
    for purpose in ["TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT", "CAREMGT", "PATRQT", "PATADMIN", "COC"] {
        let who = Caller { purpose: code(purpose), ..person(Role::Clinician, "dr-a") };
        let read = block_on(house.vault.read(&who, kind("Observation"), &rid("mine")));
        assert!(matches!(read, Err(VaultError::NotFound)), "{purpose}");
    }
    // A declared emergency counts, under whatever name of one.
    let who = person(Role::Clinician, "dr-a");
    block_on(house.vault.break_glass(&who, &rid("mine"), "vital-emergency", "unconscious at the door", 30)).unwrap();
    for purpose in ["TREAT", "ETREAT", "BTG"] {
        let who = Caller { purpose: code(purpose), ..who.clone() };
        assert!(block_on(house.vault.read(&who, kind("Observation"), &rid("mine"))).is_ok(), "{purpose}");
    }
}

#[test]
fn nobody_takes_a_flag_away_who_may_take_no_label_away() {
    let house = ward();
    let flag = |status: &str| {
        format!(
            r#"{{"resourceType":"Flag","id":"guard","status":"{status}","code":{{"coding":[{{"system":"https://tacet.invalid/CodeSystem/confidentiality","code":"detained"}}]}},"subject":{{"reference":"Patient/mine"}}}}"#
        )
    };
    put(&house, &flag("active"));
    put(&house, &appointment("mine"));
    put(
        &house,
        r#"{"resourceType":"Encounter","id":"stay-mine","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/mine"},"period":{"start":"2026-02-01T08:00:00Z"}}"#,
    );
    // In charge by an appointment alone: the flag is seen and may not be taken away.
    for role in [Role::Clinician, Role::Nurse] {
        let who = person(role, "dr-a");
        assert!(block_on(house.vault.read(&who, kind("Flag"), &rid("guard"))).is_ok());
        assert!(matches!(update(&house, &who, &flag("inactive")), Err(VaultError::NotAllowed(_))), "{role:?}");
        let gone = block_on(house.vault.delete(&who, kind("Flag"), &rid("guard"), None));
        assert!(matches!(gone, Err(VaultError::NotAllowed(_))), "{role:?}");
        assert_eq!(last(&house).outcome, tacet_vault::Outcome::Failed);
        assert!(update(&house, &who, &flag("active")).is_ok(), "what keeps the flag may be said");
    }
    assert!(update(&house, &caller(Role::Integrator), &flag("inactive")).is_ok());
}
