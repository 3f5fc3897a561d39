//! Who may see what: every way to ask, over a small ward.
//!
//! `dr-a` takes part in the stay of `mine`, `dr-b` in that of `other`. What `dr-a` may not see answers as what is not there.

mod detained;
mod emergency;
mod own_word;
mod wards;
mod ways;

use crate::house::*;
use pollster::block_on;
use tacet_ledger::Entry;
use tacet_vault::{Caller, Outcome, Role, VaultError};
use ways::{Answer, ways};

/// Somebody of the hospital who stands for this Practitioner.
pub(crate) fn person(role: Role, practitioner: &str) -> Caller {
    // Each role asks for what it is there for.
    let purpose = tacet_vault::usual_purpose(role);
    let owner = format!("Dr {practitioner}");
    Caller { owner, practitioner: Some(rid(practitioner)), strong: true, purpose, ..caller(role) }
}

fn machine() -> Caller {
    caller(Role::Integrator)
}

fn dr_a() -> Caller {
    person(Role::Clinician, "dr-a")
}

pub(crate) fn put(house: &House, text: &str) {
    let value = tacet_fhir::json::parse(text.as_bytes(), &Default::default()).unwrap();
    let (name, id) = (value.get_str("resourceType").unwrap(), value.get_str("id").unwrap());
    let stored = block_on(house.vault.update(&machine(), kind(name), &rid(id), text.as_bytes(), BASE_URL, None, false));
    stored.unwrap_or_else(|error| panic!("{name}/{id}: {error} {:?}", error.issues()));
}

fn labels(codes: &[(&str, &str)]) -> String {
    let codings: Vec<String> = codes
        .iter()
        .map(|(system, code)| {
            format!(r#"{{"system":"http://terminology.hl7.org/CodeSystem/{system}","code":"{code}"}}"#)
        })
        .collect();
    format!(r#""meta":{{"security":[{}]}},"#, codings.join(","))
}

fn patient_of(id: &str, security: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}",{security}"identifier":[{{"system":"urn:ward","value":"{id}"}}],"name":[{{"family":"fam-{id}"}}],"birthDate":"1970-01-01"}}"#
    )
}

fn observation_of(id: &str, patient: &str, security: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}",{security}"identifier":[{{"system":"urn:ward","value":"{id}"}}],"status":"final","code":{{"coding":[{{"system":"urn:code","code":"c-{id}"}}],"text":"Weight"}},"subject":{{"reference":"Patient/{patient}"}},"valueString":"v"}}"#
    )
}

fn stay(id: &str, patient: &str, practitioner: &str, status: &str) -> String {
    let end = if status == "finished" { r#","end":"2026-02-02T08:00:00Z""# } else { "" };
    format!(
        r#"{{"resourceType":"Encounter","id":"{id}","status":"{status}","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"}},"subject":{{"reference":"Patient/{patient}"}},"period":{{"start":"2026-02-01T08:00:00Z"{end}}},"participant":[{{"individual":{{"reference":"Practitioner/{practitioner}"}}}}]}}"#
    )
}

/// The ward.
pub(crate) fn ward() -> House {
    let house = House::guarded();
    for name in ["dr-a", "dr-b"] {
        put(&house, &format!(r#"{{"resourceType":"Practitioner","id":"{name}","active":true}}"#));
    }
    for (patient, practitioner) in [("mine", "dr-a"), ("other", "dr-b")] {
        put(&house, &patient_of(patient, ""));
        put(&house, &stay(&format!("stay-{patient}"), patient, practitioner, "in-progress"));
        put(&house, &observation_of(patient, patient, ""));
    }
    // A colleague as a patient of nobody, and what is very restricted of a patient of the ward.
    put(&house, &patient_of("vip", &labels(&[("v3-ActCode", "CEL")])));
    put(&house, &observation_of("vip", "vip", ""));
    put(&house, &observation_of("secret", "other", &labels(&[("v3-Confidentiality", "V")])));
    house
}

/// What the ledger got while something was done.
fn noted<T>(house: &House, work: impl FnOnce() -> T) -> (T, Vec<Entry>) {
    let before = house.ledger().len();
    let done = work();
    (done, house.ledger().split_off(before))
}

#[test]
fn what_is_hidden_answers_as_what_is_not_there_in_every_way() {
    for (name, _) in ways() {
        // A way may change something: each target on a ward of its own.
        let ask = |target: &str| -> (Answer, usize) {
            let house = ward();
            let way = ways().into_iter().find(|(known, _)| *known == name).unwrap().1;
            let (answer, entries) = noted(&house, || way(&house, &dr_a(), target));
            house.assert_sound();
            (answer.about(target), entries.len())
        };
        let absent = ask("absent");
        for hidden in ["other", "vip"] {
            assert_eq!(ask(hidden), absent, "{name}: {hidden}");
        }
    }
}

#[test]
fn what_is_seen_is_there_in_every_way_that_finds() {
    let house = ward();
    for (name, way) in ways().into_iter().filter(|(name, _)| !ways::CHANGING.contains(name)) {
        let there = way(&house, &dr_a(), "mine").about("mine");
        let absent = way(&house, &dr_a(), "absent").about("absent");
        assert_ne!(there, absent, "{name}");
    }
}

#[test]
fn a_read_says_on_which_ground_and_a_refusal_says_whose() {
    let house = ward();
    let (read, entries) = noted(&house, || block_on(house.vault.read(&dr_a(), kind("Observation"), &rid("mine"))));
    assert!(read.is_ok());
    assert_eq!(entries[0].basis.as_deref(), Some("encounter-participant by clinician-care"));
    let (read, entries) = noted(&house, || block_on(house.vault.read(&dr_a(), kind("Observation"), &rid("other"))));
    assert!(matches!(read, Err(VaultError::NotFound)));
    assert_eq!((entries.len(), entries[0].outcome), (1, Outcome::Refused));
    assert_eq!(entries[0].patient, Some((kind("Patient"), rid("other"))));
    assert!(entries[0].basis.is_none());
    let (read, entries) = noted(&house, || block_on(house.vault.read(&machine(), kind("Patient"), &rid("vip"))));
    assert!(read.is_ok());
    assert_eq!(entries[0].basis.as_deref(), Some("whole-store by machine-whole-store"));
}

/// What opens with time is closed again where the clock is set back, though it was asked a moment ago.
#[test]
fn a_clock_that_is_set_back_brings_nothing_forward() {
    const DAY_MS: i64 = 86_400_000;
    let house = ward();
    let at = tacet_types::Clock::now(house.clock.as_ref()).plus_ms(20 * DAY_MS);
    let visit = format!(
        r#"{{"resourceType":"Appointment","id":"later","status":"booked","start":"{at}","end":"{}","participant":[{{"actor":{{"reference":"Patient/other"}},"status":"accepted"}},{{"actor":{{"reference":"Practitioner/dr-a"}},"status":"accepted"}}]}}"#,
        at.plus_ms(DAY_MS)
    );
    put(&house, &visit);
    let open = || sees(&house, &dr_a(), "Observation", "other");
    assert!(!open());
    house.clock.advance_ms(20 * DAY_MS);
    assert!(open());
    house.clock.advance_ms(-20 * DAY_MS);
    assert!(!open());
    assert!(sees(&house, &dr_a(), "Observation", "mine"));
}

fn sees(house: &House, caller: &Caller, name: &str, id: &str) -> bool {
    let read = match block_on(house.vault.read(caller, kind(name), &rid(id))) {
        Ok(_) => true,
        Err(VaultError::NotFound) => false,
        Err(error) => panic!("{error}"),
    };
    house.vault.wait_for_index(&mut |_| {});
    let found = ways::search(house, caller, &format!("{name}?_id={id}")).unwrap();
    assert_eq!(found.entries.len(), usize::from(read), "search and read agree on {name}/{id}");
    read
}

#[test]
fn relations_count_from_their_commit_on_and_no_longer() {
    let mut house = ward();
    assert!(sees(&house, &dr_a(), "Observation", "mine") && !sees(&house, &dr_a(), "Observation", "other"));
    // A stay that ended weeks ago is no relation.
    put(&house, &stay("stay-mine", "mine", "dr-a", "finished"));
    assert!(!sees(&house, &dr_a(), "Observation", "mine"));
    // A care team that names the practitioner is one.
    let team = |who: &str| {
        format!(
            r#"{{"resourceType":"CareTeam","id":"team","status":"active","subject":{{"reference":"Patient/other"}},"participant":[{{"member":{{"reference":"Practitioner/{who}"}}}}]}}"#
        )
    };
    put(&house, &team("dr-a"));
    assert!(sees(&house, &dr_a(), "Observation", "other") && sees(&house, &dr_a(), "Patient", "other"));
    house.reopen();
    assert!(sees(&house, &dr_a(), "Observation", "other") && !sees(&house, &dr_a(), "Observation", "mine"));
    put(&house, &team("dr-b"));
    assert!(!sees(&house, &dr_a(), "Observation", "other"));
    // And one that is deleted is none.
    put(&house, &team("dr-a"));
    assert!(sees(&house, &dr_a(), "Observation", "other"));
    block_on(house.vault.delete(&machine(), kind("CareTeam"), &rid("team"), None)).unwrap();
    assert!(!sees(&house, &dr_a(), "Observation", "other"));
    house.reopen();
    assert!(!sees(&house, &dr_a(), "Observation", "other"));
}

#[test]
fn a_kill_loses_no_relation_that_was_acknowledged() {
    let mut house = ward();
    let index = tempfile::tempdir().unwrap();
    put(&house, &stay("stay-mine", "mine", "dr-a", "finished"));
    put(&house, &stay("stay-other", "other", "dr-a", "in-progress"));
    house.kill(index.path());
    house.vault.wait_for_index(&mut |_| {});
    assert!(sees(&house, &dr_a(), "Observation", "other") && !sees(&house, &dr_a(), "Observation", "mine"));
}

#[test]
fn a_consent_counts_at_once() {
    let house = ward();
    let consent = |status: &str| {
        format!(
            r#"{{"resourceType":"Consent","id":"no","status":"{status}","scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},"category":[{{"coding":[{{"system":"http://loinc.org","code":"59284-0"}}]}}],"patient":{{"reference":"Patient/mine"}},"dateTime":"2026-02-01","policyRule":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTIN"}}]}},"provision":{{"type":"permit","provision":[{{"type":"deny","actor":[{{"role":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}}]}},"reference":{{"reference":"Practitioner/dr-a"}}}}]}}]}}}}"#
        )
    };
    assert!(sees(&house, &dr_a(), "Observation", "mine"));
    put(&house, &consent("active"));
    assert!(!sees(&house, &dr_a(), "Observation", "mine"));
    put(&house, &consent("inactive"));
    assert!(sees(&house, &dr_a(), "Observation", "mine"));
}

#[test]
fn labels_hide_a_record_and_each_of_its_versions() {
    let house = ward();
    let nurse = person(Role::Nurse, "dr-a");
    assert!(sees(&house, &nurse, "Observation", "mine"));
    put(&house, &observation_of("mine", "mine", &labels(&[("v3-Confidentiality", "V")])));
    // Very restricted is for those who take part in the stay: these two do.
    assert!(sees(&house, &dr_a(), "Observation", "mine"));
    put(&house, &stay("stay-mine", "mine", "dr-b", "in-progress"));
    put(
        &house,
        r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-03-01T09:00:00Z","end":"2026-03-01T10:00:00Z","participant":[{"actor":{"reference":"Patient/mine"},"status":"accepted"},{"actor":{"reference":"Practitioner/dr-a"},"status":"accepted"}]}"#,
    );
    // An appointment opens the record, and not what is very restricted in it: neither now nor as it was before.
    assert!(sees(&house, &dr_a(), "Patient", "mine") && !sees(&house, &dr_a(), "Observation", "mine"));
    for version in 1..=2 {
        let read =
            block_on(house.vault.vread(&dr_a(), kind("Observation"), &rid("mine"), tacet_types::VersionId(version)));
        assert!(matches!(read, Err(VaultError::NotFound)), "version {version}");
    }
    // Given up again, the version that was restricted stays so.
    put(&house, &observation_of("mine", "mine", ""));
    assert!(sees(&house, &dr_a(), "Observation", "mine"));
    let scope = tacet_vault::HistoryScope::Instance(kind("Observation"), rid("mine"));
    let page = block_on(house.vault.history(&dr_a(), &scope, &Default::default())).unwrap();
    let versions: Vec<u64> = page.entries.iter().map(|entry| entry.record.version.0).collect();
    assert_eq!((versions, page.total), (vec![3, 1], Some(2)));
}

#[test]
fn elements_with_a_label_are_cut_out_and_cannot_be_lost() {
    let house = ward();
    let label = r#"{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}}"#;
    let noted = |text: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"noted","status":"final","code":{{"text":"Weight"}},"subject":{{"reference":"Patient/mine"}},"note":[{{"extension":[{label}],"text":"whispered"}},{{"text":"{text}"}}]}}"#
        )
    };
    put(&house, &noted("said"));
    let body = |caller: &Caller| {
        let read = block_on(house.vault.read(caller, kind("Observation"), &rid("noted"))).unwrap();
        String::from_utf8(read.body.to_vec()).unwrap()
    };
    assert!(body(&dr_a()).contains("whispered"), "who takes part in the stay is cleared");
    put(&house, &stay("stay-mine", "mine", "dr-b", "in-progress"));
    put(
        &house,
        r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-03-01T09:00:00Z","end":"2026-03-01T10:00:00Z","participant":[{"actor":{"reference":"Patient/mine"},"status":"accepted"},{"actor":{"reference":"Practitioner/dr-a"},"status":"accepted"}]}"#,
    );
    assert!(!body(&dr_a()).contains("whispered") && body(&dr_a()).contains("said"));
    assert!(body(&machine()).contains("whispered"));
    let page = ways::search(&house, &dr_a(), "Observation?_id=noted").unwrap();
    assert!(!String::from_utf8_lossy(&page.entries[0].disclosed.body).contains("whispered"));
    // No change by who does not see it all.
    let update = block_on(house.vault.update(
        &dr_a(),
        kind("Observation"),
        &rid("noted"),
        body(&dr_a()).into_bytes().as_slice(),
        BASE_URL,
        None,
        false,
    ));
    assert!(matches!(update, Err(VaultError::NotAllowed(_))));
    let patch = tacet_vault::Patch::Merge(br#"{"status":"amended"}"#);
    let patched = block_on(house.vault.patch(&dr_a(), kind("Observation"), &rid("noted"), &patch, BASE_URL, None));
    assert!(matches!(patched, Err(VaultError::NotAllowed(_))));
    assert!(body(&machine()).contains("whispered"));
}

#[test]
fn writing_is_held_to_what_stands_and_to_what_shall_stand() {
    let house = ward();
    let write = |caller: &Caller, text: &str| -> Result<tacet_vault::Stored, VaultError> {
        let value = tacet_fhir::json::parse(text.as_bytes(), &Default::default()).unwrap();
        let (name, id) = (value.get_str("resourceType").unwrap(), value.get_str("id").unwrap());
        block_on(house.vault.update(caller, kind(name), &rid(id), text.as_bytes(), BASE_URL, None, false))
    };
    let create = |caller: &Caller, text: &str| {
        block_on(house.vault.create(caller, kind("Observation"), text.as_bytes(), BASE_URL))
    };
    assert!(write(&dr_a(), &observation_of("mine", "mine", "")).is_ok());
    assert!(create(&dr_a(), &observation_of("x", "mine", "")).is_ok());
    // Into the record of somebody who is not theirs, or out of it.
    assert!(matches!(create(&dr_a(), &observation_of("x", "other", "")), Err(VaultError::NotAllowed(_))));
    assert!(matches!(write(&dr_a(), &observation_of("mine", "other", "")), Err(VaultError::NotAllowed(_))));
    assert!(matches!(write(&dr_a(), &observation_of("other", "mine", "")), Err(VaultError::NotFound)));
    // Under an id of their own choice: as if it were hidden.
    assert!(matches!(write(&dr_a(), &observation_of("chosen", "mine", "")), Err(VaultError::NotFound)));
    assert!(write(&machine(), &observation_of("chosen", "mine", "")).is_ok());
    // A label may be added by whoever may write, and be taken away only by who may relabel.
    let restricted = observation_of("mine", "mine", &labels(&[("v3-ActCode", "HIV")]));
    assert!(write(&dr_a(), &restricted).is_ok());
    let lowered = write(&dr_a(), &observation_of("mine", "mine", ""));
    let may_relabel = house
        .vault
        .explain(&dr_a(), tacet_policy::Act::Relabel, kind("Observation"), &rid("mine"))
        .is_ok_and(|why| matches!(why.verdict, tacet_policy::Verdict::Open(_)));
    assert_eq!(lowered.is_ok(), may_relabel);
    let office = person(Role::Reception, "dr-r");
    assert!(matches!(create(&office, &observation_of("x", "mine", "")), Err(VaultError::NotAllowed(_))));
}

#[test]
fn who_puts_a_patient_on_file_has_a_relation_for_a_while() {
    let mut house = ward();
    let office = person(Role::Reception, "dr-r");
    let body = r#"{"resourceType":"Patient","name":[{"family":"New"}]}"#;
    let stored = block_on(house.vault.create(&office, kind("Patient"), body.as_bytes(), BASE_URL)).unwrap();
    assert!(sees(&house, &office, "Patient", stored.record.id.as_str()));
    house.reopen();
    assert!(sees(&house, &office, "Patient", stored.record.id.as_str()));
    house.assert_sound();
}

#[test]
fn an_export_holds_what_the_caller_sees() {
    let house = ward();
    let mut exported = Vec::new();
    let mut run = |caller: &Caller| {
        exported.clear();
        let mut sink = |record: &tacet_vault::Disclosed| {
            exported.push(record.record.id.as_str().to_owned());
            Ok(())
        };
        block_on(house.vault.export(caller, &[kind("Observation")], "test", &mut sink)).unwrap();
        exported.sort();
        exported.clone()
    };
    assert_eq!(run(&machine()), ["mine", "other", "secret", "vip"]);
    assert!(run(&dr_a()).is_empty(), "no policy lets a clinician take copies away");
}

#[test]
fn scopes_leave_less_than_the_account_has() {
    let house = ward();
    put(
        &house,
        r#"{"resourceType":"Condition","id":"mine","subject":{"reference":"Patient/mine"},"code":{"text":"x"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}"#,
    );
    let with = |scopes: &str, patient: Option<&str>| Caller {
        scopes: Some(std::sync::Arc::new(tacet_policy::Scopes::parse(scopes).unwrap())),
        launch_patient: patient.map(rid),
        ..machine()
    };
    let all = with("user/*.cruds", None);
    assert!(sees(&house, &all, "Observation", "other") && sees(&house, &all, "Condition", "mine"));
    let patient = with("patient/Observation.rs patient/Patient.rs", Some("mine"));
    assert!(sees(&house, &patient, "Observation", "mine") && sees(&house, &patient, "Patient", "mine"));
    assert!(!sees(&house, &patient, "Observation", "other") && !sees(&house, &patient, "Condition", "mine"));
    let one = with("user/Observation.rs?code=urn:code|c-other", None);
    assert!(sees(&house, &one, "Observation", "other") && !sees(&house, &one, "Observation", "mine"));
    let page = ways::search(&house, &one, "Observation?_summary=count").unwrap();
    assert_eq!(page.total, Some(1));
    let update = |caller: &Caller| {
        let body = observation_of("mine", "mine", "");
        block_on(house.vault.update(caller, kind("Observation"), &rid("mine"), body.as_bytes(), BASE_URL, None, false))
    };
    assert!(matches!(update(&patient), Err(VaultError::NotAllowed(_))));
    assert!(update(&with("user/Observation.ru", None)).is_ok());
}

#[test]
fn a_subscription_tells_of_what_its_subscriber_sees() {
    let house = ward();
    let scopes = tacet_policy::Scopes::parse("user/Subscription.cruds patient/Observation.rs").unwrap();
    let subscriber =
        Caller { scopes: Some(std::sync::Arc::new(scopes)), launch_patient: Some(rid("mine")), ..machine() };
    let body = r#"{"resourceType":"Subscription","id":"s","status":"requested","reason":"test","criteria":"Observation?","channel":{"type":"rest-hook","endpoint":"https://x.example/hook"}}"#;
    let stored =
        block_on(house.vault.create(&subscriber, kind("Subscription"), body.as_bytes(), BASE_URL)).unwrap().record;
    let version =
        block_on(house.vault.activate_subscription(&stored.id, stored.version, "Observation?", BASE_URL)).unwrap();
    put(&house, &observation_of("other", "other", ""));
    put(&house, &observation_of("mine", "mine", ""));
    let told = house.vault.notifications(&stored.id, version, 10).unwrap().unwrap();
    let ids: Vec<&str> = told.iter().flat_map(|one| &one.records).map(|record| record.id.as_str()).collect();
    assert_eq!((ids, told[0].number), (vec!["mine"], 1));
    // What was hidden between the match and the sending is not sent.
    let hidden =
        [told[0].records[0].clone(), tacet_types::RecordRef { id: rid("other"), ..told[0].records[0].clone() }];
    let sent = house.vault.announce(&stored.id, version, &hidden, tacet_vault::NotificationContent::Full);
    let Ok(tacet_vault::Announced::Send { there, shown }) = block_on(sent) else { panic!("it may be sent") };
    assert_eq!((there.len(), shown.len(), there[0].id.as_str()), (1, 1, "mine"));
}

#[test]
fn a_transaction_that_touches_what_is_hidden_is_none() {
    let run = |target: &str| {
        let house = ward();
        let (own, theirs) = (observation_of("mine", "mine", ""), observation_of(target, "mine", ""));
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{own},"request":{{"method":"PUT","url":"Observation/mine"}}}},{{"resource":{theirs},"request":{{"method":"PUT","url":"Observation/{target}"}}}}]}}"#
        );
        let who = dr_a();
        let work = house.vault.bundle(&who, bundle.as_bytes(), BASE_URL, tacet_vault::ReturnPreference::Minimal);
        let (done, entries) = noted(&house, || block_on(work));
        let error = done.err().map(|error| (error.http_status(), error.to_string()));
        let read = block_on(house.vault.read(&machine(), kind("Observation"), &rid("mine"))).unwrap();
        (error, entries.len(), read.record.version.0)
    };
    let absent = run("absent");
    assert_eq!(absent.2, 1, "all or nothing");
    assert_eq!(run("other"), absent);
}

#[test]
fn histories_of_a_type_leave_out_what_is_hidden() {
    let house = ward();
    let scope = tacet_vault::HistoryScope::Type(kind("Observation"));
    let ids = |caller: &Caller| {
        let page = block_on(house.vault.history(caller, &scope, &Default::default())).unwrap();
        let mut ids: Vec<String> = page.entries.iter().map(|entry| entry.record.id.as_str().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&dr_a()), ["mine"]);
    assert_eq!(ids(&machine()), ["mine", "other", "secret", "vip"]);
}

#[test]
fn an_erased_patient_leaves_nothing_that_decisions_go_by() {
    let mut house = ward();
    let before = house.disk_rows(0x0e);
    block_on(house.vault.erase(&caller(Role::Operator), &rid("mine"))).unwrap();
    assert!(house.disk_rows(0x0e) < before);
    assert!(!sees(&house, &dr_a(), "Observation", "mine"));
    house.reopen();
    assert!(!sees(&house, &dr_a(), "Observation", "mine"));
    house.assert_sound();
}
